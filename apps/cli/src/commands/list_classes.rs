//! `tweedie list classes`: the scheduler classes of diffusers, each a sampler of the catalogue with options of its own.

use crate::report::{Outcome, say};
use serde_json::{Value, json};
use tweedie::config::{ClassOption, OptionKind, Scheduler};

pub fn run(json: bool) -> Outcome {
    if json {
        return say(Value::from_iter(Scheduler::classes().map(object)));
    }
    Scheduler::classes().try_for_each(|class| {
        say(format_args!("{class}  {}", described(class).1))?;
        options(class).iter().try_for_each(|option| say(format_args!("    {}", line(option))))
    })
}

fn options(class: &str) -> Vec<ClassOption> {
    Scheduler::class_options(class).unwrap_or_default()
}

/// The sampler that a class is without options, and a description.
fn described(class: &str) -> (Option<&'static str>, String) {
    match Scheduler::of_class(class).map(|scheduler| scheduler.entry()) {
        Ok(entry) => (Some(entry.name), format!("the sampler {}: {}", entry.name, entry.summary)),
        Err(_) => (None, "a sampler that depends on its options".to_owned()),
    }
}

fn line(ClassOption { name, kind, .. }: &ClassOption) -> String {
    match kind {
        OptionKind::Number { default: Some(default), .. } => format!("{name} = {default}"),
        OptionKind::Number { default: None, .. } => format!("{name}: a number"),
        OptionKind::Flag { default } => format!("{name} = {default}"),
        OptionKind::Word { words, default: Some(default) } => format!("{name} = {default}: {}", words.join(", ")),
        OptionKind::Word { words, default: None } => format!("{name}: {}", words.join(", ")),
        _ => format!("{name}: a list of numbers"),
    }
}

/// A class as JSON, with the keys of every list. Flags are the numbers 0 and 1; bounds that are not known are null.
fn object(class: &str) -> Value {
    let (mut parameters, mut choices, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    for ClassOption { name, kind, .. } in options(class) {
        match kind {
            OptionKind::Number { default, is_whole } => {
                let min = if is_whole { json!(0) } else { Value::Null };
                parameters.push(json!({ "name": name, "default": default, "min": min, "max": null }));
            }
            OptionKind::Flag { default } => {
                parameters.push(json!({ "name": name, "default": u8::from(default), "min": 0, "max": 1 }));
            }
            OptionKind::Word { words, default } => {
                choices.push(json!({ "name": name, "words": words, "default": default }));
            }
            _ => lists.push(name),
        }
    }
    let (sampler, summary) = described(class);
    json!({
        "name": class,
        "synonyms": [],
        "summary": summary,
        "sampler": sampler,
        "parameters": parameters,
        "choices": choices,
        "lists": lists,
    })
}

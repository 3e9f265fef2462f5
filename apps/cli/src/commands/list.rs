//! `tweedie list`: the catalogues of the library.

use super::{list_classes, list_models};
use crate::report::{Outcome, say};
use clap::ValueEnum;
use serde_json::{Value, json};
use tweedie::math::catalog::{Catalogue, Entry, Parameter, SolverKind};
use tweedie::math::run::{Base, Choice, GridRule, Parameterisation, RunModel, RunSampler};
use tweedie::math::sampler::{Sampler, Scale, Variance};
use tweedie::math::{Density, Guider, LatentFormat, Model, Quantity, Recipe, Schedule, Weight};
use tweedie::noise::Source;
use tweedie::table::Penalty;

/// List everything that has a name: schedules, samplers, quantities and so on
///
/// Prints each with the names that other libraries use for it, where it comes from, and the numbers that shape it. With --json:
/// an array of objects with `name`, `synonyms`, `summary` and `parameters`, each parameter with `name`, `default`, `min` and
/// `max`. A model also has its `recipe` (sampler, grid, steps, guidance, latent), a format of latents its `latent`, a class of
/// diffusers its `sampler` and `lists` (options that are lists); classes, and samplers and grids of run files, have `choices`
/// (options that are words).
#[derive(clap::Args, Clone, Debug)]
pub struct List {
    /// The kind of things to list
    #[arg(value_name = "KIND")]
    kind: Kind,
}

/// A catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Models,
    Latents,
    Processes,
    Schedules,
    Samplers,
    /// Scheduler classes of diffusers
    Classes,
    Grids,
    #[value(alias = "guiders")]
    Guidance,
    /// Samplers of a run file
    RunSamplers,
    /// Grids of a run file, and the nodes that change sigmas
    RunGrids,
    /// Models of a run file
    RunModels,
    /// Bases of a run file's models
    Bases,
    /// What a network's output means in a run file
    Parameterisations,
    Scales,
    Variances,
    SolverTypes,
    Quantities,
    Weights,
    #[value(alias = "losses")]
    Penalties,
    Densities,
    NoiseSources,
}

impl List {
    pub fn run(&self, json: bool) -> Outcome {
        match self.kind {
            Kind::Models => list_with(&Recipe::CATALOGUE, json, ("recipe", list_models::object), list_models::lines),
            Kind::Latents => list_with(&LatentFormat::CATALOGUE, json, ("latent", list_models::latent), |_| Vec::new()),
            Kind::Processes => list(&Model::PROCESSES, json),
            Kind::Schedules => list(&Schedule::CATALOGUE, json),
            Kind::Samplers => list_samplers(json),
            Kind::Classes => list_classes::run(json),
            Kind::RunSamplers => list_choosing(RunSampler::CATALOGUE.entries.iter(), |sampler| sampler.choices, json),
            Kind::Guidance => list(&Guider::CATALOGUE, json),
            Kind::Grids => {
                let placing = GridRule::CATALOGUE.entries.iter().filter(|entry| !entry.make.changes_sigmas);
                list_choosing(placing, |grid| grid.choices, json)
            }
            Kind::RunGrids => list_choosing(GridRule::CATALOGUE.entries.iter(), |grid| grid.choices, json),
            Kind::RunModels => list(&RunModel::CATALOGUE, json),
            Kind::Bases => list(&Base::CATALOGUE, json),
            Kind::Parameterisations => list(&Parameterisation::CATALOGUE, json),
            Kind::Scales => list(&Scale::CATALOGUE, json),
            Kind::Variances => list(&Variance::CATALOGUE, json),
            Kind::SolverTypes => list(&SolverKind::CATALOGUE, json),
            Kind::Quantities => list(&Quantity::CATALOGUE, json),
            Kind::Weights => list(&Weight::CATALOGUE, json),
            Kind::Penalties => list(&Penalty::CATALOGUE, json),
            Kind::Densities => list(&Density::CATALOGUE, json),
            Kind::NoiseSources => list(&Source::CATALOGUE, json),
        }
    }
}

fn list<T>(catalogue: &Catalogue<T>, json: bool) -> Outcome {
    if json {
        return say(Value::from_iter(catalogue.entries.iter().map(object)));
    }
    let width = catalogue.entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    catalogue.entries.iter().try_for_each(|entry| say(text(entry, width)))
}

/// Our samplers, then those of run files under names that ours do not have.
fn list_samplers(json: bool) -> Outcome {
    let own = Sampler::CATALOGUE.entries.iter();
    let others = RunSampler::CATALOGUE.entries.iter().filter(|entry| Sampler::CATALOGUE.find(entry.name).is_err());
    if json {
        let others = others.map(|entry| with_choices(entry, entry.make.choices));
        return say(Value::from_iter(own.map(object).chain(others)));
    }
    list(&Sampler::CATALOGUE, json)?;
    say("\nof run files, under ComfyUI's names and options:")?;
    list_choosing(others, |sampler| sampler.choices, json)
}

/// Lists entries with those of their options that are words: in JSON as `choices`, each with `name`, `words` and `default`.
fn list_choosing<T: 'static>(
    entries: impl Iterator<Item = &'static Entry<T>>,
    choices: fn(&T) -> &'static [Choice],
    json: bool,
) -> Outcome {
    if json {
        return say(Value::from_iter(entries.map(|entry| with_choices(entry, choices(&entry.make)))));
    }
    let entries: Vec<_> = entries.collect();
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    entries.iter().try_for_each(|entry| {
        say(text(entry, width))?;
        let mut choices = choices(&entry.make).iter();
        choices.try_for_each(|it| say(format_args!("{:<width$}    {}: {}", "", it.name, it.words.join(", "))))
    })
}

fn with_choices<T>(entry: &Entry<T>, choices: &[Choice]) -> Value {
    let choices = choices.iter().map(|it| json!({ "name": it.name, "words": it.words, "default": it.default }));
    let mut value = object(entry);
    value["choices"] = Value::from_iter(choices);
    value
}

/// Lists entries with what each makes, as JSON under this key, or in lines.
fn list_with<T>(
    catalogue: &Catalogue<T>,
    json: bool,
    (key, value): (&str, impl Fn(&T) -> Value),
    lines: impl Fn(&T) -> Vec<String>,
) -> Outcome {
    if json {
        let with = |entry: &Entry<T>| {
            let mut object = object(entry);
            object[key] = value(&entry.make);
            object
        };
        return say(Value::from_iter(catalogue.entries.iter().map(with)));
    }
    let width = catalogue.entries.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    catalogue.entries.iter().try_for_each(|entry| {
        let more: String = lines(&entry.make).iter().map(|line| format!("\n{:<width$}    {line}", "")).collect();
        say(text(entry, width) + &more)
    })
}

/// An entry as JSON. An infinite number is null, since JSON has none.
fn object<T>(entry: &Entry<T>) -> Value {
    let parameter = |it: &Parameter| json!({ "name": it.name, "default": it.default, "min": it.min, "max": it.max });
    json!({
        "name": entry.name,
        "synonyms": entry.synonyms,
        "summary": entry.summary,
        "parameters": Value::from_iter(entry.parameters.iter().map(parameter)),
    })
}

/// A line with the summary, one with the synonyms, and one for each parameter.
fn text<T>(entry: &Entry<T>, width: usize) -> String {
    let mut text = format!("{:<width$}  {}", entry.name, entry.summary);
    let mut add = |line: String| text += &format!("\n{:<width$}    {line}", "");
    if !entry.synonyms.is_empty() {
        add(format!("also {}", entry.synonyms.join(", ")));
    }
    for parameter in entry.parameters {
        let default = parameter.default.map_or_else(String::new, |default| format!(" = {default}"));
        add(format!("{}{default}: {} ({})", parameter.name, parameter.about, parameter.range()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::find;
    use crate::schedule_args::{ScheduleArgs, named};
    use tweedie::math::catalog::Make;

    /// A schedule that the library does not have.
    const NOVEL: Catalogue<Make<Schedule>> = Catalogue {
        entries: &[Entry::new(
            "schedule",
            "novel",
            &["brand_new"],
            "four timesteps",
            &[Parameter::new("beta_end", 0.5, [0.0, 1.0], "variance that the last timestep adds")],
            |values| Ok(Schedule::linear(4, 0.1, values.number("beta_end"))?),
        )],
    };

    #[test]
    fn a_new_entry_is_found_listed_and_built() {
        assert_eq!(find(&NOVEL, "Brand-New").unwrap().name, "novel");
        assert_eq!(find(&NOVEL, "linear").unwrap_err(), "expected novel");
        assert!(named(&NOVEL, "linear").unwrap_err().starts_with("expected novel (or brand_new), custom"));
        let entry = &NOVEL.entries[0];
        assert!(text(entry, 5).contains("beta_end = 0.5: variance"));
        assert_eq!(object(entry)["parameters"][0]["default"], 0.5);
        let schedule = Some(named(&NOVEL, "brand new").unwrap());
        let usual = ScheduleArgs { schedule, ..ScheduleArgs::default() };
        assert_eq!(usual.build_from(&NOVEL).unwrap(), Schedule::linear(4, 0.1, 0.5).unwrap());
        let shaped = ScheduleArgs { beta_end: Some(0.25), ..usual.clone() };
        assert_eq!(shaped.build_from(&NOVEL).unwrap(), Schedule::linear(4, 0.1, 0.25).unwrap());
        let refused = ScheduleArgs { train_timesteps: Some(9), ..usual }.build_from(&NOVEL).unwrap_err();
        assert_eq!(refused.to_string(), "--train-timesteps does not apply to the novel schedule");
    }

    #[test]
    fn every_entry_is_listed() {
        for kind in Kind::value_variants() {
            assert!(List { kind: *kind }.run(true).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn a_line_has_all_that_is_known() {
        let entry = Schedule::CATALOGUE.find("scaled-linear").unwrap();
        let text = text(entry, 14);
        assert!(text.starts_with("scaled-linear   roots of betas"), "{text}");
        assert!(text.contains("also quad, quadratic"), "{text}");
        assert!(text.contains("\n                  beta_end = 0.012: variance that"), "{text}");
        let churn = object(Sampler::CATALOGUE.find("euler").unwrap());
        assert_eq!(churn["parameters"][0]["name"], "s_churn");
        assert_eq!(churn["parameters"][0]["max"], Value::Null);
    }
}

//! The form: what each control shows of the choices, and what it changes in them. The HTML says what they look like.

use crate::dom::{Outcome, all, by_id, document, set, write};
use scenes::digits;
use scenes::playback::Playback;
use scenes::renderer::ImageId;
use scenes::schedules::{RECIPES, can_be_rescaled};
use scenes::solvers::Solver;
use scenes::state::{PREDICTIONS, Source, State, about};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlButtonElement, HtmlInputElement, HtmlSelectElement};

/// A control of the form. Check boxes say `true` or `false`, menus the index of what is chosen.
struct Control {
    id: &'static str,
    get: fn(&State) -> String,
    set: fn(&mut State, &str),
    /// Unit of the number that is shown next to it, in the element `ID-text`.
    unit: Option<&'static str>,
}

const CONTROLS: [Control; 22] = [
    control("schedule", None, |s| s.schedule.recipe.to_string(), |s, v| put(v, &mut s.schedule.recipe)),
    control(
        "zero",
        None,
        |s| s.schedule.zero_terminal_snr.to_string(),
        |s, v| put(v, &mut s.schedule.zero_terminal_snr),
    ),
    control("seed", None, |s| s.seed.to_string(), |s, v| put(v, &mut s.seed)),
    control("timestep", Some(""), |s| s.timestep.to_string(), |s, v| put(v, &mut s.timestep)),
    control("error", Some("%"), |s| percent(s.error), |s, v| put_percent(v, &mut s.error)),
    control(
        "solver",
        None,
        |s| index_of(Solver::all(), &s.sampling.solver),
        |s, v| pick(v, Solver::all(), &mut s.sampling.solver),
    ),
    control("steps", Some(""), |s| s.sampling.steps.to_string(), |s, v| put(v, &mut s.sampling.steps)),
    control(
        "stochasticity",
        None,
        |s| percent(s.sampling.stochasticity),
        |s, v| put_percent(v, &mut s.sampling.stochasticity),
    ),
    control(
        "predicts",
        None,
        |s| index_of(PREDICTIONS, &s.sampling.predicts),
        |s, v| pick(v, PREDICTIONS, &mut s.sampling.predicts),
    ),
    control("strength", Some("%"), |s| percent(s.sampling.strength), |s, v| put_percent(v, &mut s.sampling.strength)),
    control("network", Some("%"), |s| percent(s.sampling.error), |s, v| put_percent(v, &mut s.sampling.error)),
    control("source", None, |s| index_of(SOURCES, &s.sampling.source), |s, v| pick(v, SOURCES, &mut s.sampling.source)),
    control("call", Some(""), |s| s.sampling.call.to_string(), |s, v| put(v, &mut s.sampling.call)),
    control("class", None, |s| index_of(classes(), &s.digits.class), |s, v| pick(v, classes(), &mut s.digits.class)),
    control("guidance", Some(""), |s| s.digits.guidance.to_string(), |s, v| put(v, &mut s.digits.guidance)),
    control("count", Some(""), |s| s.digits.count.to_string(), |s, v| put(v, &mut s.digits.count)),
    control(
        "writer",
        None,
        |s| index_of(digits::solvers(), &s.digits.solver),
        |s, v| pick(v, digits::solvers(), &mut s.digits.solver),
    ),
    control("writer-steps", Some(""), |s| s.digits.steps.to_string(), |s, v| put(v, &mut s.digits.steps)),
    control(
        "writer-stochasticity",
        None,
        |s| percent(s.digits.stochasticity),
        |s, v| put_percent(v, &mut s.digits.stochasticity),
    ),
    control(
        "writer-predicts",
        None,
        |s| index_of(digits::PREDICTIONS, &s.digits.predicts),
        |s, v| pick(v, digits::PREDICTIONS, &mut s.digits.predicts),
    ),
    control("brush", Some(" pixels"), |s| s.digits.brush.to_string(), |s, v| put(v, &mut s.digits.brush)),
    control("written", None, |s| s.digits.call.to_string(), |s, v| put(v, &mut s.digits.call)),
];

/// The classes of the digits in the order of the menu; the last is any.
fn classes() -> impl Iterator<Item = Option<u32>> {
    (0..10).map(Some).chain([None])
}

const SOURCES: [Source; 2] = [Source::Posters, Source::Cuttings];

const fn control(
    id: &'static str,
    unit: Option<&'static str>,
    get: fn(&State) -> String,
    set: fn(&mut State, &str),
) -> Control {
    Control { id, get, set, unit }
}

/// Parses a text into a value; leaves the value where the text is not one of its type.
fn put<T: std::str::FromStr>(text: &str, into: &mut T) {
    if let Ok(value) = text.parse() {
        *into = value;
    }
}

fn percent(part: f64) -> String {
    (part * 100.0).round().to_string()
}

fn put_percent(text: &str, part: &mut f64) {
    let mut value = f64::NAN;
    put(text, &mut value);
    if (0.0..=100.0).contains(&value) {
        *part = value / 100.0;
    }
}

fn index_of<T: PartialEq>(all: impl IntoIterator<Item = T>, one: &T) -> String {
    all.into_iter().position(|each| each == *one).unwrap_or_default().to_string()
}

fn pick<T>(text: &str, all: impl IntoIterator<Item = T>, into: &mut T) {
    let mut index = usize::MAX;
    put(text, &mut index);
    if let Some(value) = all.into_iter().nth(index) {
        *into = value;
    }
}

/// Fills menus and lists.
pub fn furnish() -> Outcome {
    options("schedule", RECIPES.iter().map(|recipe| (recipe.name, recipe.summary)))?;
    options("solver", Solver::all().map(|solver| (solver.name(), solver.about())))?;
    options("writer", digits::solvers().map(|solver| (solver.name(), solver.about())))?;
    let networks = digits::PREDICTIONS.iter().map(|&quantity| (quantity.name(), about(quantity)));
    options("writer-predicts", networks)?;
    options("predicts", PREDICTIONS.iter().map(|&quantity| (quantity.name(), about(quantity))))?;
    let list: Element = by_id("predictions")?;
    for (index, &quantity) in PREDICTIONS.iter().enumerate() {
        let (label, input) = (document()?.create_element("label")?, document()?.create_element("input")?);
        label.set_attribute("title", about(quantity))?;
        input.set_attribute("type", "checkbox")?;
        input.set_attribute("id", &format!("shown-{index}"))?;
        label.append_child(&input)?;
        label.append_child(&document()?.create_text_node(quantity.name()))?;
        list.append_child(&label)?;
    }
    Ok(())
}

fn options<'a>(id: &str, entries: impl Iterator<Item = (&'a str, &'a str)>) -> Outcome {
    let menu: HtmlSelectElement = by_id(id)?;
    for (index, (name, about)) in entries.enumerate() {
        let option = document()?.create_element("option")?;
        option.set_attribute("value", &index.to_string())?;
        option.set_attribute("title", about)?;
        option.set_text_content(Some(name));
        menu.append_child(&option)?;
    }
    Ok(())
}

/// Takes the value of a control that the user has changed.
pub fn changed(state: &mut State, element: &Element) {
    let id = element.id();
    let value = value_of(element);
    if let Some(control) = CONTROLS.iter().find(|control| control.id == id) {
        (control.set)(state, &value);
    } else if let Some(index) = id.strip_prefix("shown-").and_then(|index| index.parse::<usize>().ok()) {
        let mut shown = state.shown;
        if let Some(one) = shown.get_mut(index) {
            *one = value == "true";
        }
        if shown.contains(&true) {
            state.shown = shown; // the last column stays
        }
    }
    state.renew_set();
}

fn value_of(element: &Element) -> String {
    if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
        if input.type_() == "checkbox" { input.checked().to_string() } else { input.value() }
    } else {
        element.dyn_ref::<HtmlSelectElement>().map_or_else(String::new, HtmlSelectElement::value)
    }
}

fn set_value(element: &Element, value: &str) {
    if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
        if input.type_() == "checkbox" {
            input.set_checked(value == "true");
        } else if input.value() != value {
            input.set_value(value);
        }
    } else if let Some(menu) = element.dyn_ref::<HtmlSelectElement>() {
        menu.set_value(value);
    }
}

/// Shows the choices in all controls, however they were made.
pub fn refresh(state: &State, playback: &mut Playback) -> Outcome {
    let calls = playback.calls(state);
    for id in ["call", "written"] {
        set(&by_id(id)?, "max", &calls.to_string())?;
    }
    write(&by_id::<Element>("written-text")?, &state.digits.call.min(calls).to_string());
    let focused = document()?.active_element().map(|element| element.id());
    for control in &CONTROLS {
        let element: Element = by_id(control.id)?;
        let typing = control.id == "seed" && focused.as_deref() == Some("seed");
        let value = (control.get)(state);
        if !typing {
            set_value(&element, &value); // typing is not interrupted
        }
        if let Some(unit) = control.unit {
            write(&by_id::<Element>(&format!("{}-text", control.id))?, &(value + unit));
        }
    }
    let count = state.shown.iter().filter(|shown| **shown).count();
    for (index, shown) in state.shown.iter().enumerate() {
        let input: HtmlInputElement = by_id(&format!("shown-{index}"))?;
        input.set_checked(*shown);
        input.set_disabled(*shown && count == 1);
    }
    let zero: HtmlInputElement = by_id("zero")?;
    zero.set_disabled(!can_be_rescaled(state.schedule.recipe()));
    noise("", state.sampling.solver, state.sampling.stochasticity)?;
    noise("writer-", state.digits.solver, state.digits.stochasticity)?;
    by_id::<HtmlInputElement>("guidance")?.set_disabled(state.digits.class.is_none());
    let is_digit = matches!(state.selected, Some(ImageId::Digit(..) | ImageId::CleanDigit(..)));
    by_id::<HtmlButtonElement>("take")?.set_disabled(!is_digit);
    by_id::<HtmlButtonElement>("forget")?.set_disabled(state.digits.region.is_none());
    by_id::<HtmlButtonElement>("save")?.set_disabled(state.selected.is_none());
    for button in all("[data-do=play]")? {
        write(&button, if state.playing { "Pause" } else { "Play" });
    }
    set(&by_id("controls")?, "data-view", state.view.name())
}

/// Shows the slider of a sampler's drawn noise, if it has one.
fn noise(prefix: &str, solver: Solver, part: f64) -> Outcome {
    let id = |name: &str| format!("{prefix}stochasticity-{name}");
    let option = solver.stochasticity();
    set(&by_id(&id("row"))?, "class", if option.is_some() { "row" } else { "row absent" })?;
    write(&by_id::<Element>(&id("name"))?, option.map_or("", |(name, _)| name));
    let drawn = option.map_or_else(String::new, |(_, most)| format!("{:.2}", part * most));
    write(&by_id::<Element>(&id("text"))?, &drawn);
    Ok(())
}

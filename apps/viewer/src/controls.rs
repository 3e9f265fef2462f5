//! The panel of sliders and menus.

use crate::app::Viewer;
use crate::digits::{self, MOST_DIGITS, MOST_GUIDANCE};
use crate::gallery::DIM;
use crate::renderer::ImageId;
use crate::schedules::{RECIPES, TIMESTEPS, can_be_rescaled};
use crate::solvers::{MOST_STEPS, Solver};
use crate::state::{DigitsState, END, PREDICTIONS, SamplingState, Source, State, View, about};
use eframe::egui::{Align, Button, ComboBox, DragValue, Grid, Layout, RichText, Slider, Ui, vec2};

/// An action that the panel asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Choose a file to open.
    Open,
    /// Choose a file to save the selected picture to.
    Save,
    /// Take the selected digit to erase from.
    Take,
}

/// The smallest and the largest radius of the brush, in pixels of a digit.
pub(crate) const BRUSHES: [f32; 2] = [0.5, 8.0];

/// Room for a slider's value, and for a name before a control, in points.
const VALUE: f32 = 74.0;
const NAME: f32 = 56.0;

/// Shows the panel, and returns the action that it asks for.
pub fn show(ui: &mut Ui, viewer: &mut Viewer) -> Option<Action> {
    let mut action = None;
    let state = &mut viewer.state;
    ui.spacing_mut().slider_width = ui.available_width() - VALUE;
    ui.spacing_mut().item_spacing.y = 6.0;
    ui.horizontal(|ui| {
        if ui.button("Open…").on_hover_text("Open a PNG or JPEG (O). You can also drop one on the window.").clicked()
        {
            action = Some(Action::Open);
        }
        let able = state.selected.is_some();
        let save = ui.add_enabled(able, Button::new("Save…"));
        let save = save.on_hover_text("Save the selected picture as a PNG (S).");
        if save.on_disabled_hover_text("Click a picture to select it first.").clicked() {
            action = Some(Action::Save);
        }
        if ui.button("Reset").on_hover_text("Back to the initial settings; the picture stays (R).").clicked() {
            state.reset();
        }
    });
    ui.separator();
    heading(ui, "Noise schedule");
    match state.view {
        View::Plane | View::Sampling => schedule(ui, state),
        View::Digits => {
            let text = RichText::new("cosine, as in the networks' training").color(DIM);
            ui.label(text).on_hover_text("A network works only with the noise schedule that it was trained on.");
        }
    }
    seed(ui, state);
    ui.separator();
    match state.view {
        View::Plane => plane(ui, viewer),
        View::Sampling => sampling(ui, viewer),
        View::Digits => action = writing(ui, viewer).or(action),
    }
    action
}

fn heading(ui: &mut Ui, text: &str) {
    ui.strong(text);
}

fn schedule(ui: &mut Ui, state: &mut State) {
    let width = ui.available_width() - 8.0;
    let recipes = RECIPES.iter().enumerate().map(|(index, recipe)| (index, recipe.name, recipe.summary));
    menu(ui, "schedule", Some(width), &mut state.schedule.recipe, recipes);
    let able = can_be_rescaled(state.schedule.recipe());
    ui.add_enabled_ui(able, |ui| {
        ui.checkbox(&mut state.schedule.zero_terminal_snr, "zero terminal SNR").on_hover_text(
            "Rescale so that no trace of the picture is left at the last timestep (Lin et al. 2023). An epsilon \
             prediction says nothing about the picture there.",
        );
    });
}

fn seed(ui: &mut Ui, state: &mut State) {
    beside(ui, "seed", |ui| {
        ui.add(DragValue::new(&mut state.seed).speed(0.1))
            .on_hover_text("The same seed draws the same noise, on every device.");
        if ui.button("another").on_hover_text("The next seed (N).").clicked() {
            state.another_seed();
        }
    });
}

fn play(ui: &mut Ui, viewer: &mut Viewer, text: &str) {
    let label = if viewer.state.playing { "Pause" } else { "Play" };
    if ui.add(Button::new(label).min_size(vec2(64.0, 0.0))).on_hover_text(text).clicked() {
        viewer.playback.toggle(&mut viewer.state);
    }
}

fn plane(ui: &mut Ui, viewer: &mut Viewer) {
    let level = viewer.schedule().and_then(|schedule| schedule.level(viewer.state.timestep as usize).ok());
    let state = &mut viewer.state;
    heading(ui, "Timestep");
    let slider = Slider::new(&mut state.timestep, 0..=TIMESTEPS - 1);
    let response = ui.add(slider);
    named(&response, "timestep", &state.timestep.to_string());
    response.on_hover_text("0 is the least noisy. Keys: arrows (with Shift by 25), Home and End.");
    if let Some(level) = level {
        let (alpha, sigma, log_snr) = (level.alpha(), level.sigma(), level.log_snr());
        let text = format!("alpha {alpha:.4}   sigma {sigma:.4}   log SNR {log_snr:.2}");
        ui.label(RichText::new(text).color(DIM).small());
    }
    play(ui, viewer, "From noise to the picture and back (Space).");
    let state = &mut viewer.state;
    ui.separator();
    heading(ui, "Error of each prediction");
    error(ui, &mut state.error);
    ui.separator();
    heading(ui, "Predictions");
    Grid::new("predictions").num_columns(3).spacing([14.0, 4.0]).show(ui, |ui| {
        for (index, quantity) in PREDICTIONS.iter().enumerate() {
            let last = state.shown.iter().filter(|shown| **shown).count() == 1 && state.shown[index];
            ui.add_enabled_ui(!last, |ui| {
                ui.checkbox(&mut state.shown[index], quantity.name()).on_hover_text(about(*quantity));
            });
            if index % 3 == 2 {
                ui.end_row();
            }
        }
    });
}

/// Shows a menu. Each choice has a name, and a description as its tooltip.
fn menu<T: Copy + PartialEq>(
    ui: &mut Ui,
    name: &str,
    width: Option<f32>,
    chosen: &mut T,
    choices: impl Iterator<Item = (T, &'static str, &'static str)>,
) {
    let choices: Vec<_> = choices.collect();
    let &(_, text, about) = choices.iter().find(|(choice, ..)| choice == chosen).unwrap_or(&choices[0]);
    let menu = ComboBox::from_id_salt(name).selected_text(text).height(400.0);
    let menu = if let Some(width) = width { menu.width(width) } else { menu };
    let shown = menu.show_ui(ui, |ui| {
        for (choice, text, about) in choices {
            ui.selectable_value(chosen, choice, text).on_hover_text(about);
        }
    });
    named(&shown.response, name, text);
    shown.response.on_hover_text(about);
}

/// Shows a control after its name.
fn beside<T>(ui: &mut Ui, name: &str, control: impl FnOnce(&mut Ui) -> T) -> T {
    let row = ui.horizontal(|ui| {
        let left = Layout::left_to_right(Align::Center);
        ui.allocate_ui_with_layout(vec2(NAME, ui.available_height()), left, |ui| {
            ui.set_min_width(NAME);
            ui.label(name);
        });
        ui.spacing_mut().slider_width -= NAME + ui.spacing().item_spacing.x;
        control(ui)
    });
    row.inner
}

/// The least strength of the slider, in percent: one step of twenty.
pub(crate) const LEAST_STRENGTH: f64 = 5.0;

fn error(ui: &mut Ui, value: &mut f64) {
    let mut percent = (*value * 100.0).round();
    let response = ui.add(Slider::new(&mut percent, 0.0..=100.0).suffix("%").fixed_decimals(0));
    named(&response, "error", &format!("{percent}"));
    response.on_hover_text("Noise of this size relative to the root mean square of the predicted quantity.");
    *value = percent / 100.0;
}

fn sampling(ui: &mut Ui, viewer: &mut Viewer) {
    let calls = viewer.course().map_or(0, |course| course.calls().len());
    let state = &mut viewer.state;
    heading(ui, "Sampler");
    let SamplingState { solver, steps, stochasticity, .. } = &mut state.sampling;
    sampler(ui, Solver::all(), (solver, steps, stochasticity));
    beside(ui, "predicts", |ui| {
        let quantities = PREDICTIONS.iter().map(|&quantity| (quantity, quantity.name(), about(quantity)));
        menu(ui, "predicts", None, &mut state.sampling.predicts, quantities);
    });
    strength(ui, &mut state.sampling.strength);
    ui.separator();
    heading(ui, "Error of the network");
    error(ui, &mut state.sampling.error);
    ui.separator();
    heading(ui, "What the denoiser knows");
    ui.horizontal(|ui| {
        let source = &mut state.sampling.source;
        ui.selectable_value(source, Source::Posters, "posters").on_hover_text("Six built-in pictures.");
        ui.selectable_value(source, Source::Cuttings, "crops").on_hover_text("Eight crops of the open picture.");
    });
    state.renew_set();
    ui.separator();
    heading(ui, "Call of the network");
    state.sampling.call = state.sampling.call.min(calls);
    let response = ui.add(Slider::new(&mut state.sampling.call, 0..=calls));
    named(&response, "call", &state.sampling.call.to_string());
    response.on_hover_text("Back and forth through the trajectory (arrows, Home and End). What was computed is kept.");
    ui.horizontal(|ui| {
        play(ui, viewer, "Sample, call by call (Space).");
        if ui.button("To the end").on_hover_text("Make all calls (End).").clicked() {
            viewer.state.sampling.call = calls;
        }
    });
}

/// Shows the strength: the part of the steps that is taken, from a noised picture on.
fn strength(ui: &mut Ui, value: &mut f64) {
    let mut percent = (*value * 100.0).round();
    let slider = Slider::new(&mut percent, LEAST_STRENGTH..=100.0).suffix("%").fixed_decimals(0);
    let response = beside(ui, "strength", |ui| ui.add(slider));
    named(&response, "strength", &format!("{percent}"));
    response.on_hover_text("100% begins with noise; less takes the last steps alone, from noised pictures of the set.");
    *value = percent / 100.0;
}

/// Shows the menu of samplers, their steps, and how much noise is drawn where that can be chosen.
fn sampler(
    ui: &mut Ui,
    solvers: impl Iterator<Item = Solver>,
    (solver, steps, stochasticity): (&mut Solver, &mut usize, &mut f64),
) {
    let width = ui.available_width() - 8.0;
    menu(ui, "sampler", Some(width), solver, solvers.map(|solver| (solver, solver.name(), solver.about())));
    let slider = Slider::new(steps, 1..=MOST_STEPS).logarithmic(true);
    let response = beside(ui, "steps", |ui| ui.add(slider));
    named(&response, "steps", &steps.to_string());
    response.on_hover_text("Steps from noise to the clean sample.");
    if let Some((name, most)) = solver.stochasticity() {
        let mut value = *stochasticity * most;
        let slider = Slider::new(&mut value, 0.0..=most).fixed_decimals(2);
        let response = beside(ui, name, |ui| ui.add(slider));
        named(&response, name, &format!("{value}"));
        response.on_hover_text("How much noise is drawn on the way; 0 is none.");
        *stochasticity = (value / most).clamp(0.0, 1.0);
    }
}

fn writing(ui: &mut Ui, viewer: &mut Viewer) -> Option<Action> {
    let calls = viewer.course().map_or(0, |course| course.calls().len());
    let state = &mut viewer.state;
    heading(ui, "Class");
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for class in (0..10).map(Some).chain([None]) {
            let text = class.map_or_else(|| "any".to_owned(), |class| class.to_string());
            let response = ui.selectable_value(&mut state.digits.class, class, text.as_str());
            named(&response, "class", &text);
            response.on_hover_text("The digit to write; with `any`, the noise alone decides.");
        }
    });
    let guidance = Slider::new(&mut state.digits.guidance, 0.0..=MOST_GUIDANCE).fixed_decimals(1);
    let able = state.digits.class.is_some();
    let response = beside(ui, "guidance", |ui| ui.add_enabled(able, guidance));
    named(&response, "guidance", &state.digits.guidance.to_string());
    response
        .on_hover_text("The scale of classifier-free guidance: 1 is the network's own prediction.")
        .on_disabled_hover_text("Guidance needs a class.");
    let response = beside(ui, "digits", |ui| ui.add(Slider::new(&mut state.digits.count, 1..=MOST_DIGITS)));
    named(&response, "digits", &state.digits.count.to_string());
    response.on_hover_text("The number of digits side by side, each from different noise.");
    ui.separator();
    heading(ui, "Sampler");
    let DigitsState { solver, steps, stochasticity, .. } = &mut state.digits;
    sampler(ui, digits::solvers(), (solver, steps, stochasticity));
    beside(ui, "predicts", |ui| {
        let networks = digits::PREDICTIONS.iter().map(|&quantity| (quantity, quantity.name(), about(quantity)));
        menu(ui, "predicts", None, &mut state.digits.predicts, networks);
    });
    ui.separator();
    let action = erasing(ui, state);
    ui.separator();
    heading(ui, "Call of the network");
    let mut call = state.digits.call.min(calls);
    let response = ui.add(Slider::new(&mut call, 0..=calls));
    named(&response, "call", &call.to_string());
    response.on_hover_text("Back and forth through the calls (arrows, Home and End). What was computed is kept.");
    state.digits.look_at(call, calls);
    ui.horizontal(|ui| {
        play(ui, viewer, "Write, call by call (Space).");
        if ui.button("To the end").on_hover_text("Make all calls (End).").clicked() {
            viewer.state.digits.call = END;
        }
    });
    action
}

fn erasing(ui: &mut Ui, state: &mut State) -> Option<Action> {
    heading(ui, "Erase and write again");
    let [least, most] = BRUSHES;
    let response = beside(ui, "brush", |ui| ui.add(Slider::new(&mut state.digits.brush, least..=most).step_by(0.5)));
    named(&response, "brush", &state.digits.brush.to_string());
    response.on_hover_text("The brush's radius in pixels. Drag over the digit at the bottom of the window.");
    let mut action = None;
    ui.horizontal(|ui| {
        let able = matches!(state.selected, Some(ImageId::Digit(..) | ImageId::CleanDigit(..)));
        let take = ui.add_enabled(able, Button::new("Take"));
        let take = take.on_hover_text("Erase from the digit that you clicked.");
        if take.on_disabled_hover_text("Click a digit first.").clicked() {
            action = Some(Action::Take);
        }
        let forget = ui.add_enabled(state.digits.region.is_some(), Button::new("Forget"));
        let forget = forget.on_hover_text("Write whole digits again.");
        if forget.on_disabled_hover_text("Nothing is erased yet: drag over the digit at the bottom.").clicked() {
            state.digits.forget();
        }
    });
    action
}

/// Names a control that has no text of its own, for screen readers and tests.
fn named(response: &eframe::egui::Response, name: &str, value: &str) {
    let label = format!("{name}: {value}");
    response.ctx.accesskit_node_builder(response.id, |node| node.set_label(label));
}

//! Another window after one that had to stop: the same choices in a new process.
//!
//! The choices are passed as one command line argument. Those that cannot be read from it get their defaults.

use crate::controls::{BRUSHES, LEAST_STRENGTH};
use crate::digits::{self, MOST_DIGITS, MOST_GUIDANCE};
use crate::region::Region;
use crate::schedules::recipe;
use crate::solvers::{MOST_STEPS, Solver};
use crate::state::{DigitsState, Message, PREDICTIONS, Source, State, View};
use crate::window::Options;
use eframe::egui::{Rect, pos2};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The state of a window that the next one continues with.
#[derive(Clone, Debug)]
pub struct Restart {
    /// Choices of the user.
    pub state: State,
    /// Place on the screen.
    pub place: Option<Rect>,
    /// Number of devices in a row before this one that were lost soon after their windows had opened.
    pub brief: u32,
}

impl Restart {
    /// Opens the next window. On Unix it replaces this process; elsewhere this process waits for it.
    ///
    /// # Errors
    /// The program cannot be started again.
    pub fn go_on(&self, options: &Options) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("--resume").arg(self.write());
        if let Some(adapter) = &options.adapter {
            command.arg("--adapter").arg(adapter);
        }
        if let Some(trace) = &options.trace {
            command.arg("--trace").arg(trace);
        }
        if options.lose_midway {
            command.arg("--lose-midway");
        }
        become_it(&mut command).map_err(|error| format!("cannot open another window: {error}"))
    }

    /// Writes the state as text.
    #[must_use]
    pub fn write(&self) -> String {
        let State { sampling, .. } = &self.state;
        let message = self.state.message.as_ref().map(|message| &message.text);
        json!({
            "view": self.state.view.name(),
            "sampling": self.state.view == View::Sampling,
            "path": self.state.path,
            "schedule": self.state.schedule.recipe().name,
            "zero_terminal_snr": self.state.schedule.zero_terminal_snr,
            "timestep": self.state.timestep,
            "error": self.state.error,
            "seed": self.state.seed,
            "shown": self.state.shown,
            "cuttings": sampling.source == Source::Cuttings,
            "solver": sampling.solver.name(),
            "steps": sampling.steps,
            "stochasticity": sampling.stochasticity,
            "strength": sampling.strength,
            "predicts": sampling.predicts.name(),
            "network_error": sampling.error,
            "call": sampling.call,
            "digits": write_digits(&self.state.digits),
            "message": message,
            "place": self.place.map(|place| [place.left(), place.top(), place.right(), place.bottom()]),
            "brief": self.brief,
        })
        .to_string()
    }

    /// Reads the state from text. What cannot be read has its default.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let (number, whole) = (|key: &str| value[key].as_f64(), |key: &str| value[key].as_u64());
        let mut state = State::default();
        if let Some(path) = value["path"].as_str() {
            state.open(Path::new(path));
        }
        let is = |key: &str| value[key] == true;
        let usual = if is("sampling") { View::Sampling } else { View::Plane };
        state.view = value["view"].as_str().and_then(View::find).unwrap_or(usual);
        state.schedule.recipe = value["schedule"].as_str().and_then(recipe).unwrap_or(0);
        state.schedule.zero_terminal_snr = is("zero_terminal_snr");
        state.timestep = whole("timestep").map_or(state.timestep, |t| t.min(u64::from(u32::MAX)) as u32);
        state.error = number("error").unwrap_or(state.error);
        state.seed = whole("seed").unwrap_or(state.seed);
        if let Some(shown) = value["shown"].as_array().filter(|shown| shown.iter().any(|shown| *shown == true)) {
            state.shown.iter_mut().zip(shown).for_each(|(into, from)| *into = *from == true);
        }
        let sampling = &mut state.sampling;
        sampling.source = if is("cuttings") { Source::Cuttings } else { Source::Posters };
        sampling.solver = value["solver"].as_str().and_then(Solver::find).unwrap_or(sampling.solver);
        sampling.steps = whole("steps").map_or(sampling.steps, steps);
        sampling.stochasticity = number("stochasticity").map_or(sampling.stochasticity, part);
        sampling.strength =
            number("strength").map_or(sampling.strength, |strength| strength.clamp(LEAST_STRENGTH / 100.0, 1.0));
        sampling.predicts =
            PREDICTIONS.into_iter().find(|known| value["predicts"] == known.name()).unwrap_or(sampling.predicts);
        sampling.error = number("network_error").unwrap_or(sampling.error);
        sampling.call = whole("call").map_or(sampling.call, |call| call as usize);
        state.renew_set();
        read_digits(&value["digits"], &mut state.digits);
        let message = value["message"].as_str().map(|text| Message { text: text.to_owned(), alarming: true });
        state.message = message.or(state.message);
        let side = |i: usize| value["place"][i].as_f64().map(|at| at as f32);
        let place = || Some(Rect::from_min_max(pos2(side(0)?, side(1)?), pos2(side(2)?, side(3)?)));
        Self { state, place: place(), brief: whole("brief").unwrap_or(0) as u32 }
    }
}

fn steps(found: u64) -> usize {
    found.clamp(1, MOST_STEPS as u64) as usize
}

fn part(found: f64) -> f64 {
    found.clamp(0.0, 1.0)
}

/// The choices of the digits view, with the digit that was erased from.
fn write_digits(digits: &DigitsState) -> Value {
    let region = digits.region.as_ref();
    json!({
        "class": digits.class,
        "count": digits.count,
        "predicts": digits.predicts.name(),
        "solver": digits.solver.name(),
        "steps": digits.steps,
        "stochasticity": digits.stochasticity,
        "guidance": digits.guidance,
        "call": digits.call,
        "brush": digits.brush,
        "digit": region.map(Region::digit),
        "erased": region.map(|region| region.erased().collect::<Vec<_>>()),
    })
}

fn read_digits(value: &Value, digits: &mut DigitsState) {
    let (number, whole) = (|key: &str| value[key].as_f64(), |key: &str| value[key].as_u64());
    if value["class"].is_null() && value.is_object() {
        digits.class = None;
    }
    digits.class = whole("class").filter(|class| *class < 10).map_or(digits.class, |class| Some(class as u32));
    let most = u64::from(MOST_DIGITS);
    digits.count = whole("count").map_or(digits.count, |count| count.clamp(1, most) as u32);
    let known = digits::PREDICTIONS.into_iter().find(|known| value["predicts"] == known.name());
    digits.predicts = known.unwrap_or(digits.predicts);
    digits.solver = digits::solvers().find(|known| value["solver"] == known.name()).unwrap_or(digits.solver);
    digits.steps = whole("steps").map_or(digits.steps, steps);
    digits.stochasticity = number("stochasticity").map_or(digits.stochasticity, part);
    digits.guidance = number("guidance").map_or(digits.guidance, |scale| scale.clamp(0.0, MOST_GUIDANCE));
    digits.call = whole("call").map_or(digits.call, |call| call as usize);
    digits.brush = number("brush").map_or(digits.brush, |radius| (radius as f32).clamp(BRUSHES[0], BRUSHES[1]));
    let numbers = |key: &str| value[key].as_array().into_iter().flatten();
    let digit: Vec<f32> = numbers("digit").filter_map(Value::as_f64).map(|value| value as f32).collect();
    digits.region = Region::of(&digit).map(|mut region| {
        region.erase_pixels(numbers("erased").filter_map(Value::as_u64).map(|pixel| pixel as usize));
        region
    });
}

#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec()) // it returns only if it fails
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> std::io::Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Stroke;
    use tweedie::Quantity;

    #[test]
    fn what_was_chosen_comes_back() {
        let mut restart = Restart::read("");
        assert!(restart.place.is_none() && restart.state.message.is_none());
        let state = &mut restart.state;
        (state.view, state.timestep, state.error, state.seed) = (View::Sampling, 17, 0.75, u64::MAX);
        (state.schedule.recipe, state.schedule.zero_terminal_snr) = (2, true);
        state.shown = [false, true, false, true, false, true];
        let sampling = &mut state.sampling;
        (sampling.solver, sampling.steps, sampling.call) = (Solver::find("unipc").unwrap(), 33, 12);
        (sampling.stochasticity, sampling.error, sampling.source) = (0.5, 0.125, Source::Cuttings);
        sampling.predicts = Quantity::Flow;
        state.renew_set();
        state.sampling.strength = 0.35;
        let digits = &mut state.digits;
        (digits.class, digits.count, digits.predicts) = (None, 7, Quantity::Epsilon);
        (digits.solver, digits.steps, digits.stochasticity) = (Solver::find("ddim").unwrap(), 50, 0.75);
        (digits.guidance, digits.call, digits.brush) = (3.5, 12, 4.0);
        let ramp: Vec<f32> = (0..1024).map(|i| (i as f32).sin()).collect();
        assert!(digits.take(&ramp));
        digits.erase(Stroke { ends: [[3.0, 4.0], [20.0, 30.0]], radius: 2.5 });
        let region = digits.region.clone();
        state.alarm("lost");
        (restart.place, restart.brief) = (Some(Rect::from_min_max(pos2(1.0, 2.0), pos2(3.0, 4.5))), 2);

        let again = Restart::read(&restart.write());
        assert_eq!(again.write(), restart.write());
        assert!(region.is_some() && again.state.digits.region == region, "to the bit");
        assert_eq!((again.state.run().set.members.len(), again.place), (8, restart.place));
        assert_eq!((again.state.quantities(), again.brief), (restart.state.quantities(), 2));
        assert_eq!(again.state.sampling.strength, 0.35);
    }

    #[test]
    fn what_cannot_be_read_is_as_at_the_beginning() {
        let usual = Restart::read("").write();
        for text in ["no json", "[]", r#"{"shown": [false], "solver": 7, "steps": -1, "place": [1]}"#] {
            assert_eq!(Restart::read(text).write(), usual, "{text}");
        }
        let text = r#"{"digits": {"class": 99, "count": 0, "steps": 1e9, "digit": [1], "guidance": "a"}}"#;
        let digits = Restart::read(text).state.digits;
        let sampling = Restart::read(r#"{"steps": 100000, "strength": 0, "stochasticity": 7}"#).state.sampling;
        assert_eq!((sampling.steps, sampling.strength, sampling.stochasticity), (MOST_STEPS, 0.05, 1.0));
        assert_eq!((digits.count, digits.region, digits.guidance), (1, None, 2.0));
    }
}

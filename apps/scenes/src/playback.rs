//! The position in time: the timestep or the call, moved by keys or by playing; and the schedule and the loop that this needs,
//! made once for each choice.

use crate::course::Course;
use crate::digits;
use crate::schedules::{ScheduleChoice, TIMESTEPS};
use crate::solvers::Solver;
use crate::state::{State, View};
use std::sync::Arc;
use tweedie::{Quantity, Schedule};

/// Seconds from the picture to noise when the timestep plays; and calls of a sampler in a second.
const SWEEP: f64 = 4.0;
const CALLS_A_SECOND: f64 = 8.0;

/// The longest time that counts between two frames, in seconds: a window that was hidden does not jump ahead.
const LONGEST: f64 = 0.5;

/// Weight of a frame in the running mean of their times, which forgets after some twenty frames.
const FRESH: f64 = 0.05;

/// Choices that a loop depends on: schedule (`None` is that of the digits), solver, steps, drawn noise and strength, prediction.
type CourseKey = (Option<ScheduleChoice>, Solver, usize, [u64; 2], Quantity);

/// The position in time, and the schedule and the loop of the last choices.
#[derive(Debug, Default)]
pub struct Playback {
    /// The position between two whole timesteps or calls, and whether the timestep falls.
    phase: f64,
    falling: bool,
    /// Seconds a frame while time plays; 0 before that is known, and while it does not.
    pub frame_seconds: f64,
    schedule: Option<(ScheduleChoice, Arc<Schedule>)>,
    course: Option<(CourseKey, Result<Arc<Course>, String>)>,
}

impl Playback {
    /// Returns the schedule of the view: the chosen one, or that of the digits. If that cannot be made, a message says why.
    pub fn schedule(&mut self, state: &mut State) -> Option<Arc<Schedule>> {
        if state.view == View::Digits {
            return digits::schedule();
        }
        let choice = state.schedule;
        if self.schedule.as_ref().is_none_or(|(made, _)| *made != choice) {
            match choice.schedule() {
                Ok(schedule) => self.schedule = Some((choice, Arc::new(schedule))),
                Err(error) => state.alarm(error.to_string()),
            }
        }
        self.schedule.as_ref().map(|(_, schedule)| Arc::clone(schedule))
    }

    /// Returns the loop of the view; for the plane view it is that of the sampling view.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn course(&mut self, state: &State) -> Result<Arc<Course>, String> {
        let kept = self.course.take();
        let serves = |key: &CourseKey| kept.clone().filter(|(made, _)| made == key);
        let made = if state.view == View::Digits {
            let scene = state.digits();
            let numbers = [scene.stochasticity, 1.0].map(f64::to_bits);
            let key = (None, scene.solver, scene.steps, numbers, scene.predicts);
            let make = || scene.sampler().map(|it| Arc::new(it.into())).map_err(|error| error.to_string());
            serves(&key).unwrap_or_else(|| (key, make()))
        } else {
            let scene = state.run();
            let numbers = [scene.stochasticity, scene.strength].map(f64::to_bits);
            let key = (Some(scene.schedule), scene.solver, scene.steps, numbers, scene.predicts);
            let make = || scene.course().map(Arc::new).map_err(|error| error.to_string());
            serves(&key).unwrap_or_else(|| (key, make()))
        };
        self.course.insert(made).1.clone()
    }

    /// Number of network calls of the chosen sampler.
    pub fn calls(&mut self, state: &State) -> usize {
        self.course(state).map_or(0, |course| course.calls().len())
    }

    /// Moves the timestep or the call, within its range.
    pub fn go(&mut self, state: &mut State, by: i64) {
        let moved = |at: usize, last: usize| (at as i64).saturating_add(by).clamp(0, last as i64) as usize;
        match state.view {
            View::Plane => state.timestep = moved(state.timestep as usize, TIMESTEPS as usize - 1) as u32,
            View::Sampling => state.sampling.call = moved(state.sampling.call, self.calls(state)),
            View::Digits => {
                let calls = self.calls(state);
                state.digits.look_at(moved(state.digits.call.min(calls), calls), calls);
            }
        }
    }

    /// Starts or stops playing. After the last call, playing begins again.
    pub fn toggle(&mut self, state: &mut State) {
        state.playing = !state.playing;
        let is_over = match state.view {
            View::Plane => false,
            View::Sampling => state.sampling.call >= self.calls(state),
            View::Digits => state.digits.call >= self.calls(state),
        };
        if state.playing && is_over {
            self.go(state, i64::MIN / 2);
        }
    }

    /// Advances by a frame, so many seconds after the one before; `playing` says whether time plays.
    pub fn frame(&mut self, playing: bool, state: &mut State, seconds: f64) {
        if !playing {
            self.frame_seconds = 0.0;
            return;
        }
        let seconds = seconds.clamp(0.0, LONGEST);
        self.frame_seconds += (seconds - self.frame_seconds) * if self.frame_seconds == 0.0 { 1.0 } else { FRESH };
        self.play(state, seconds);
    }

    /// Returns a line on the work since the window opened, and the time that a frame takes.
    #[must_use]
    pub fn status_line(&self, dispatches: u64) -> String {
        match self.frame_seconds {
            0.0 => format!("{dispatches} dispatches, idle"),
            seconds => format!("{dispatches} dispatches, {:.1} ms a frame", seconds * 1e3),
        }
    }

    /// Moves time on: the timestep back and forth, the calls to their end.
    fn play(&mut self, state: &mut State, seconds: f64) {
        let rate = match state.view {
            View::Plane => f64::from(TIMESTEPS) / SWEEP,
            View::Sampling | View::Digits => CALLS_A_SECOND,
        };
        self.phase += seconds * rate;
        let whole = self.phase.floor();
        self.phase -= whole;
        match state.view {
            View::Plane => {
                let at = state.timestep;
                self.falling = (self.falling || at == TIMESTEPS - 1) && at != 0;
                self.go(state, if self.falling { -(whole as i64) } else { whole as i64 });
            }
            View::Sampling => {
                self.go(state, whole as i64);
                state.playing = state.sampling.call < self.calls(state);
            }
            View::Digits => {
                self.go(state, whole as i64);
                state.playing = state.digits.call < self.calls(state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pictures::test_card::test_card;

    fn small() -> State {
        State::of(test_card(8, 6).into(), "a small one")
    }

    #[test]
    fn time_turns_round_at_both_ends() {
        let (mut state, mut playback) = (State { timestep: 990, ..small() }, Playback::default());
        let mut seen = Vec::new();
        for _ in 0..12 {
            playback.play(&mut state, SWEEP / 4.0);
            seen.push(state.timestep);
        }
        assert!(seen.contains(&0) && seen.contains(&(TIMESTEPS - 1)), "{seen:?}");
    }

    #[test]
    fn the_status_line_is_idle_where_nothing_plays() {
        let (mut state, mut playback) = (State { playing: true, ..small() }, Playback::default());
        playback.frame(true, &mut state, 0.016);
        assert_eq!(playback.status_line(7), "7 dispatches, 16.0 ms a frame");
        // Something else is shown, and time will go on after it.
        let timestep = state.timestep;
        playback.frame(false, &mut state, 0.016);
        assert_eq!(
            (playback.status_line(7).as_str(), state.timestep, state.playing),
            ("7 dispatches, idle", timestep, true)
        );
    }

    #[test]
    fn sampling_stops_by_itself() {
        let mut state = State { view: View::Sampling, playing: true, ..small() };
        let mut playback = Playback::default();
        let calls = playback.calls(&state);
        playback.play(&mut state, (calls - 1) as f64 / CALLS_A_SECOND);
        assert!(state.playing && state.sampling.call == calls - 1);
        playback.play(&mut state, 100.0);
        assert!(!state.playing && state.sampling.call == calls);
        playback.toggle(&mut state);
        assert!(state.playing && state.sampling.call == 0, "and begins again");
    }

    #[test]
    fn digits_play_to_their_end() {
        let mut state = State { view: View::Digits, ..small() };
        let mut playback = Playback::default();
        let calls = playback.calls(&state);
        playback.toggle(&mut state);
        assert!(state.playing && state.digits.call == 0);
        playback.play(&mut state, (calls - 1) as f64 / CALLS_A_SECOND);
        assert!(state.playing && state.digits.call == calls - 1);
        playback.play(&mut state, 100.0);
        assert!(!state.playing && state.digits.call == crate::state::END);
        playback.go(&mut state, -1);
        assert_eq!(state.digits.call, calls - 1);
        // The samplers of both views are kept apart.
        state.view = View::Sampling;
        assert_ne!(playback.calls(&state), calls);
    }
}

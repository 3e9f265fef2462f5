//! The user's choices. They depend on no window and no device, and outlive both.

use crate::digits::DigitsScene;
use crate::plane::{PlaneScene, mean_square};
use crate::region::{Region, Stroke};
use crate::renderer::ImageId;
use crate::schedules::{ScheduleChoice, TIMESTEPS};
use crate::solvers::Solver;
use crate::trajectory::RunScene;
use crate::variants::variants;
use pictures::test_card::test_card;
use pictures::{Picture, Set};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tweedie::Quantity;
use tweedie::math::SigmaData;

/// The box that an opened picture is fitted into, in pixels: what a row of three shows without loss on most screens.
const WIDTH: u32 = 384;
const HEIGHT: u32 = 288;

/// The size of the built-in picture.
const CARD: [u32; 2] = [320, 240];

/// The side of the pictures that are sampled.
pub const SIDE: u32 = 96;

/// Quantities that can be predicted.
pub const PREDICTIONS: [Quantity; 6] =
    [Quantity::Epsilon, Quantity::X0, Quantity::V, Quantity::Score, Quantity::Flow, Quantity::Edm(SigmaData::KARRAS)];

/// Returns the description of a prediction.
#[must_use]
pub fn about(quantity: Quantity) -> &'static str {
    Quantity::CATALOGUE.find(quantity.name()).map_or("", |entry| entry.summary)
}

/// View of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// A picture, its targets, and what is recovered from predictions.
    #[default]
    Plane,
    /// Samples on their way from noise.
    Sampling,
    /// Digits that a trained network writes.
    Digits,
}

impl View {
    /// Name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plane => "plane",
            Self::Sampling => "sampling",
            Self::Digits => "digits",
        }
    }

    /// The view of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Plane, Self::Sampling, Self::Digits].into_iter().find(|view| view.name() == name)
    }
}

/// Images that the ideal denoiser knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Six posters.
    #[default]
    Posters,
    /// Crops of the open picture.
    Cuttings,
}

/// The choices of the sampling view.
#[derive(Clone, Debug)]
pub struct SamplingState {
    /// Images that the denoiser knows.
    pub source: Source,
    /// The sampler.
    pub solver: Solver,
    /// Its steps.
    pub steps: usize,
    /// How much noise is drawn, as a part of the most that the sampler may draw: 0 to 1.
    pub stochasticity: f64,
    /// Quantity that the network predicts.
    pub predicts: Quantity,
    /// The relative error of the network.
    pub error: f64,
    /// The part of the steps that is taken: 1 begins with noise, less with a noised picture of the set.
    pub strength: f64,
    /// The call that is shown; 0 is before the first.
    pub call: usize,
    set: (Source, Arc<Set>),
}

/// The last of all calls, however many there are.
pub const END: usize = usize::MAX;

/// The choices of the digits view.
#[derive(Clone, Debug)]
pub struct DigitsState {
    /// The class, 0 to 9; `None` is any.
    pub class: Option<u32>,
    /// Digits side by side.
    pub count: u32,
    /// Quantity that the network predicts.
    pub predicts: Quantity,
    /// The sampler.
    pub solver: Solver,
    /// Its steps.
    pub steps: usize,
    /// How much noise is drawn, as a part of the most that the sampler may draw: 0 to 1.
    pub stochasticity: f64,
    /// The scale of classifier-free guidance; 1 is none.
    pub guidance: f64,
    /// The call that is shown; 0 is before the first, and [`END`] after the last.
    pub call: usize,
    /// The radius of the brush, in pixels of a digit.
    pub brush: f32,
    /// The digit with an erased part, once there is one.
    pub region: Option<Region>,
    /// Strokes on a digit whose numbers are on their way to the host.
    strokes: Vec<Stroke>,
}

impl Default for DigitsState {
    fn default() -> Self {
        Self {
            class: Some(3),
            count: 4,
            predicts: Quantity::V,
            solver: Solver::find("dpm++").unwrap_or_default(),
            steps: 10,
            stochasticity: 0.0,
            guidance: 2.0,
            call: END,
            brush: 2.5,
            region: None,
            strokes: Vec::new(),
        }
    }
}

impl DigitsState {
    /// Erases what a stroke covers. Returns true if the digit's numbers must be asked for first, for [`take`](Self::take).
    pub fn erase(&mut self, stroke: Stroke) -> bool {
        if let Some(region) = &mut self.region {
            region.erase(&stroke);
            return false;
        }
        self.strokes.push(stroke);
        self.strokes.len() == 1
    }

    /// Takes a digit to erase from, and erases what was drawn in the meantime. Returns false for numbers that are no digit.
    pub fn take(&mut self, digit: &[f32]) -> bool {
        let strokes = std::mem::take(&mut self.strokes);
        let Some(mut region) = Region::of(digit) else { return false };
        strokes.iter().for_each(|stroke| region.erase(stroke));
        self.region = Some(region);
        true
    }

    /// Forgets the digit that was erased from: whole digits are written again.
    pub fn forget(&mut self) {
        self.region = None;
        self.drop_strokes();
    }

    /// Drops the strokes on a digit whose numbers will not come.
    pub fn drop_strokes(&mut self) {
        self.strokes.clear();
    }

    /// Returns the call before which digits are shown, and the call whose clean digits are shown: those of the chosen call, but
    /// of no call beyond those that are written.
    #[must_use]
    pub fn seen(&self, calls: usize, written: usize) -> [usize; 2] {
        let call = self.call.min(calls).min(written);
        [call, call.min(calls.min(written).saturating_sub(1))]
    }

    /// Shows a call of so many; the last is [`END`].
    pub fn look_at(&mut self, call: usize, calls: usize) {
        self.call = if call >= calls { END } else { call };
    }
}

/// A line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Text of the message.
    pub text: String,
    /// True if something went wrong.
    pub alarming: bool,
}

/// All choices.
#[derive(Clone, Debug)]
pub struct State {
    /// View of the window.
    pub view: View,
    /// The picture.
    pub picture: Arc<Picture>,
    /// The mean of its squares.
    pub mean_square: f64,
    /// Name for people.
    pub name: String,
    /// Path that it was opened from, if any.
    pub path: Option<PathBuf>,
    /// The noise schedule.
    pub schedule: ScheduleChoice,
    /// The timestep.
    pub timestep: u32,
    /// The relative error of each prediction.
    pub error: f64,
    /// The seed of all noise.
    pub seed: u64,
    /// Which of [`PREDICTIONS`] have a column.
    pub shown: [bool; PREDICTIONS.len()],
    /// True if time plays.
    pub playing: bool,
    /// The picture that is selected, to be saved or erased from.
    pub selected: Option<ImageId>,
    /// The choices of the sampling view.
    pub sampling: SamplingState,
    /// The choices of the digits view.
    pub digits: DigitsState,
    /// The last message.
    pub message: Option<Message>,
}

impl Default for State {
    fn default() -> Self {
        Self::of(Arc::clone(&TEST_CARD), "the test card")
    }
}

/// Draws the built-in image once.
static TEST_CARD: LazyLock<Arc<Picture>> = LazyLock::new(|| Arc::new(test_card(CARD[0], CARD[1])));
static POSTERS: LazyLock<Arc<Set>> = LazyLock::new(|| {
    // No file is opened, so nothing can go wrong; even an empty set would do no harm.
    Arc::new(Set::open(&[], SIDE).unwrap_or(Set { members: Vec::new(), side: SIDE }))
});

impl State {
    /// The choices that a window begins with, for this picture.
    #[must_use]
    pub fn of(picture: Arc<Picture>, name: &str) -> Self {
        Self {
            view: View::Plane,
            mean_square: mean_square(&picture.data),
            picture,
            name: name.to_owned(),
            path: None,
            schedule: ScheduleChoice::default(),
            timestep: 400,
            error: 0.25,
            seed: 1,
            shown: [true, true, true, false, false, false],
            playing: false,
            selected: None,
            sampling: SamplingState {
                source: Source::Posters,
                solver: Solver::default(),
                steps: 20,
                stochasticity: 0.0,
                predicts: Quantity::V,
                error: 0.0,
                strength: 1.0,
                call: 0,
                set: (Source::Posters, Arc::clone(&POSTERS)),
            },
            digits: DigitsState::default(),
            message: None,
        }
    }

    /// The quantities with a column.
    #[must_use]
    pub fn quantities(&self) -> Vec<Quantity> {
        PREDICTIONS.into_iter().zip(self.shown).filter_map(|(quantity, shown)| shown.then_some(quantity)).collect()
    }

    /// Scene of the plane view.
    #[must_use]
    pub fn plane(&self) -> PlaneScene {
        PlaneScene {
            picture: Arc::clone(&self.picture),
            schedule: self.schedule,
            quantities: self.quantities(),
            timestep: self.timestep.min(TIMESTEPS - 1),
            error: self.error,
            seed: self.seed,
        }
    }

    /// Scene of the sampling view.
    #[must_use]
    pub fn run(&self) -> RunScene {
        let SamplingState { solver, steps, stochasticity, predicts, error, strength, .. } = self.sampling;
        let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
        RunScene {
            set: Arc::clone(&self.sampling.set.1),
            schedule: self.schedule,
            solver,
            steps,
            stochasticity: stochasticity * most,
            predicts,
            error,
            strength,
            seed: self.seed,
        }
    }

    /// Scene of the digits view.
    #[must_use]
    pub fn digits(&self) -> DigitsScene {
        let DigitsState { class, count, predicts, solver, steps, stochasticity, guidance, .. } = self.digits;
        let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
        DigitsScene {
            class,
            count,
            predicts,
            solver,
            steps,
            stochasticity: stochasticity * most,
            guidance,
            seed: self.seed,
            region: self.digits.region.clone(),
        }
    }

    /// Makes the set of the chosen source, if that has changed.
    pub fn renew_set(&mut self) {
        let source = self.sampling.source;
        if self.sampling.set.0 != source {
            self.sampling.set = (source, self.set_of(source));
        }
    }

    fn set_of(&self, source: Source) -> Arc<Set> {
        match source {
            Source::Posters => Arc::clone(&POSTERS),
            Source::Cuttings => Arc::new(variants(&self.picture, SIDE)),
        }
    }

    /// Opens a picture. If that fails the old one stays, and the message says why.
    pub fn open(&mut self, path: &Path) {
        match Picture::open(path, WIDTH, HEIGHT) {
            Ok(picture) => {
                let name =
                    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
                self.set_picture(picture, name);
                self.path = Some(path.to_owned());
                self.message = None;
            }
            Err(error) => self.alarm(format!("{error:#}")),
        }
    }

    /// The same from the bytes of a file that somebody else has read.
    pub fn open_bytes(&mut self, name: &str, bytes: &[u8]) {
        match Picture::read(bytes, WIDTH, HEIGHT) {
            Ok(picture) => {
                self.set_picture(picture, name.to_owned());
                (self.path, self.message) = (None, None);
            }
            Err(error) => self.alarm(format!("{name}: {error:#}")),
        }
    }

    /// Shows this picture instead.
    pub fn set_picture(&mut self, picture: Picture, name: String) {
        self.mean_square = mean_square(&picture.data);
        (self.picture, self.name) = (Arc::new(picture), name);
        if self.sampling.source == Source::Cuttings {
            self.sampling.set = (Source::Cuttings, self.set_of(Source::Cuttings));
        }
    }

    /// Moves a selected sample to the call that is shown; for digits, to no call beyond those that are written.
    pub fn follow_selection(&mut self, calls: usize, written: usize) {
        let last = calls.saturating_sub(1);
        let (sampled, [call, looked]) = (self.sampling.call, self.digits.seen(calls, written));
        self.selected = self.selected.map(|what| match what {
            ImageId::Sample(sample, _) if self.view == View::Sampling => ImageId::Sample(sample, sampled),
            ImageId::Preview(sample, _) if self.view == View::Sampling => ImageId::Preview(sample, sampled.min(last)),
            ImageId::Digit(digit, _) if self.view == View::Digits => ImageId::Digit(digit, call),
            ImageId::CleanDigit(digit, _) if self.view == View::Digits => ImageId::CleanDigit(digit, looked),
            other => other,
        });
    }

    /// Returns the default file name of a picture.
    #[must_use]
    pub fn file_name(&self, what: ImageId) -> String {
        let quantities = self.quantities();
        let quantity = |column: usize| quantities.get(column).map_or("none", |quantity| quantity.name());
        let t = self.timestep;
        match what {
            ImageId::X0 => "x0.png".to_owned(),
            ImageId::Xt => format!("x_t-{t}.png"),
            ImageId::Target(column) => format!("{}-target-{t}.png", quantity(column)),
            ImageId::Prediction(column) => format!("{}-{t}.png", quantity(column)),
            ImageId::Recovered(column) => format!("x0-from-{}-{t}.png", quantity(column)),
            ImageId::Sample(sample, call) => format!("sample-{}-call-{call}.png", sample + 1),
            ImageId::Preview(sample, call) => format!("preview-{}-call-{call}.png", sample + 1),
            ImageId::Member(member) => format!("member-{}.png", member + 1),
            ImageId::Digit(sample, call) => format!("digit-{}-call-{call}.png", sample + 1),
            ImageId::CleanDigit(sample, call) => format!("clean-digit-{}-call-{call}.png", sample + 1),
            ImageId::Erased => "erased.png".to_owned(),
        }
    }

    /// Takes a digit to erase from. If it did not arrive, or is none, a message says why.
    pub fn take_digit(&mut self, picture: Result<Picture, String>) {
        let taken = picture.and_then(|picture| {
            // All colours of a digit are the same.
            let grey = &picture.data[..picture.data.len() / 3];
            let why = "expected a digit of finite numbers to erase from, found something else";
            if self.digits.take(grey) { Ok(()) } else { Err(why.to_owned()) }
        });
        if let Err(why) = taken {
            self.digits.drop_strokes();
            self.alarm(why);
        }
    }

    /// Takes the next seed.
    pub fn another_seed(&mut self) {
        self.seed = self.seed.wrapping_add(1);
    }

    /// Resets all choices but the view and the picture.
    pub fn reset(&mut self) {
        let fresh = Self::of(Arc::clone(&self.picture), &self.name);
        *self = Self { view: self.view, path: self.path.take(), ..fresh };
    }

    /// Shows a message that something went wrong.
    pub fn alarm(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), alarming: true });
    }

    /// Shows a message.
    pub fn say(&mut self, text: impl Into<String>) {
        self.message = Some(Message { text: text.into(), alarming: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_file_changes_nothing_but_the_message() {
        let mut state = State::of(test_card(8, 6).into(), "a small one");
        let before = Arc::clone(&state.picture);
        state.open(Path::new("nowhere.png"));
        assert!(Arc::ptr_eq(&before, &state.picture));
        let message = state.message.unwrap();
        assert!(message.alarming && message.text.contains("no such file"), "{}", message.text);
    }

    #[test]
    fn bytes_are_a_file_too() {
        let mut state = State::of(test_card(8, 6).into(), "a small one");
        state.open_bytes("broken.png", b"not a picture");
        let message = state.message.clone().unwrap();
        assert!(message.alarming && message.text.starts_with("broken.png: expected a PNG"), "{}", message.text);
        let bytes = files::picture::png(&test_card(40, 30).to_rgb()).unwrap();
        state.open_bytes("card.png", &bytes);
        assert_eq!((state.name.as_str(), state.message.is_none()), ("card.png", true));
    }

    #[test]
    fn strokes_wait_for_their_digit() {
        let stroke = |x: f32| Stroke { ends: [[x, 4.5]; 2], radius: 0.6 };
        let mut digits = DigitsState::default();
        assert!(digits.erase(stroke(4.5)), "its numbers are asked for");
        assert!(!digits.erase(stroke(9.5)), "once");
        assert!(digits.take(&[0.25; 1024]));
        assert!(!digits.erase(stroke(20.5)));
        let erased = |digits: &DigitsState| digits.region.as_ref().map(|region| region.erased().count());
        assert_eq!(erased(&digits), Some(3));
        digits.forget();
        assert!(digits.erase(stroke(4.5)));
        assert!(!digits.take(&[f32::NAN; 1024]) && digits.region.is_none());
        assert!(digits.erase(stroke(4.5)), "what was no digit is asked for again");
        digits.look_at(3, 10);
        assert_eq!(digits.call, 3);
        digits.look_at(10, 10);
        assert_eq!(digits.call, END, "with more steps the end is further");
    }

    #[test]
    fn cuttings_follow_the_picture() {
        let mut state = State::of(test_card(8, 6).into(), "a small one");
        state.sampling.source = Source::Cuttings;
        state.renew_set();
        let before = state.run().set;
        state.renew_set();
        assert!(Arc::ptr_eq(&before, &state.run().set));
        state.set_picture(test_card(40, 30), "another".into());
        assert!(!Arc::ptr_eq(&before, &state.run().set));
        state.reset();
        assert_eq!((state.sampling.source, state.name.as_str()), (Source::Posters, "another"));
    }
}

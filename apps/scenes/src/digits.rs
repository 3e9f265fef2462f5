//! Digits on the GPU: a trained network between a solver's steps, every sample on the way, and a part that is known.
//!
//! **Theory.** The three networks of the crate `digits` predict v, x0 and epsilon on the cosine schedule, with a class or
//! without one. Where a part of a digit is known, each step puts the noised digit there (Lugmayr et al. 2022), and the
//! network writes the rest.
//!
//! **Practice.** Calls are recorded as they are wanted, as many in a frame as the [`Pace`] allows. A part that is erased while
//! digits are being written takes effect when they are finished, so that there are results even while the brush keeps moving.
//! It costs three small writes and a loop, but no new plan.

use crate::buffers::{ImageId, ImageSlice, floats};
use crate::history::History;
use crate::region::Region;
use crate::solvers::Solver;
pub use ::digits::PREDICTIONS;
use ::digits::architecture::{PIXELS, SIDE};
use ::digits::{Calls, DigitsError, Kernels, NO_CLASS, Network, Tensors, Times, Weights, model};
use std::sync::{Arc, LazyLock};
use tweedie::gpu::{Inpainting, Noise, NoiseKey, Plan, Recording};
use tweedie::math::Sampler;
use tweedie::math::sampler::Scale;
use tweedie::wgpu;
use tweedie::{Context, Guidance, Quantity, Sampling, Schedule, Tensor};

/// The most digits side by side.
pub const MOST_DIGITS: u32 = 8;

/// The largest guidance of the slider.
pub const MOST_GUIDANCE: f64 = 8.0;

/// Samplers that led to no digit when they were tried with these networks. `lcm` and `tcd` are for networks that are distilled to
/// jump to the clean sample, which these are not; for the others the reason was not investigated.
const UNFIT: [&str; 5] = ["lcm", "tcd", "pndm", "f-pndm", "reverse-diffusion"];

/// The source of the weights for a prediction; `None` while they are on their way.
pub type WeightsSource = fn(Quantity) -> Option<Result<Weights, DigitsError>>;

/// The schedule of the networks' training.
static SCHEDULE: LazyLock<Option<Arc<Schedule>>> =
    LazyLock::new(|| model(Quantity::V).ok().map(|model| Arc::new(model.schedule().clone())));

/// Returns the schedule of the networks' training. It is valid, so that there is always one.
#[must_use]
pub fn schedule() -> Option<Arc<Schedule>> {
    SCHEDULE.clone()
}

/// Returns the samplers for these networks: those of the process that they were trained on, but none that leads to no digit.
pub fn solvers() -> impl Iterator<Item = Solver> {
    Solver::of_library().filter(of_process).filter(|solver| !UNFIT.contains(&solver.name()))
}

/// Returns whether a sampler shows a network samples of a variance-preserving process.
fn of_process(solver: &Solver) -> bool {
    matches!(solver.scale(), Some(Scale::VariancePreserving | Scale::VarianceExploding))
}

/// Description of digits to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct DigitsScene {
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
    /// The value of the sampler's option for drawn noise, if it has one.
    pub stochasticity: f64,
    /// The scale of classifier-free guidance; 1 is none.
    pub guidance: f64,
    /// The seed of all noise.
    pub seed: u64,
    /// The part of a digit that is known.
    pub region: Option<Region>,
}

impl DigitsScene {
    /// Makes the sampler; clean digits are clamped to `-1..=1`.
    ///
    /// # Errors
    /// The sampler does not exist with these choices.
    pub fn sampler(&self) -> Result<Sampler, DigitsError> {
        let model = model(self.predicts)?;
        let sampler = self.solver.sampler(model.schedule(), self.steps, self.stochasticity, 1.0, self.predicts);
        let clipped = sampler.map_err(tweedie::Error::from)?.clipped(1.0);
        Ok(clipped.map_err(tweedie::Error::from)?)
    }

    /// Returns whether guidance needs a second prediction: without a class both would be the same.
    #[must_use]
    pub fn is_guided(&self) -> bool {
        self.class.is_some() && self.guidance != 1.0
    }

    /// The class of each prediction: the conditional ones first, then the unconditional ones.
    fn labels(&self, count: u32) -> Vec<u32> {
        let of = |class, count: u32| std::iter::repeat_n(class, count as usize);
        let unconditional = if self.is_guided() { count } else { 0 };
        of(self.class.unwrap_or(NO_CLASS), count).chain(of(NO_CLASS, unconditional)).collect()
    }

    /// Returns whether both need the same network in the same loop, on the same buffers.
    fn same_network(&self, other: &Self) -> bool {
        let network = |scene: &Self| (scene.class, scene.count, scene.predicts, scene.is_guided());
        let sampler = |scene: &Self| (scene.solver, scene.steps, scene.stochasticity.to_bits());
        network(self) == network(other) && sampler(self) == sampler(other)
    }

    fn same_plans(&self, other: &Self) -> bool {
        (self.guidance.to_bits(), self.seed) == (other.guidance.to_bits(), other.seed)
    }
}

/// The number of calls that a frame may record, so that a window stays responsive on any device and a fast device is not held
/// back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    calls: usize,
    before: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { calls: 1, before: 0 }
    }
}

impl Pace {
    /// Frames shorter than the first have room for more calls, those longer than the second had too many, in seconds.
    const ROOM: f64 = 1.0 / 45.0;
    const LONG: f64 = 1.0 / 20.0;
    /// The most calls of a frame: a loop in a few of them.
    const MOST: usize = 16;

    /// Adapts to a frame that came so many seconds after the one before, when so many calls were done.
    pub fn frame(&mut self, seconds: f64, done: usize) {
        // Only a frame after one that computed says how long that takes.
        if std::mem::replace(&mut self.before, done) != done {
            self.calls = match seconds {
                _ if seconds < Self::ROOM => (self.calls * 2).min(Self::MOST),
                _ if seconds > Self::LONG => (self.calls / 2).max(1),
                _ => self.calls,
            };
        }
    }

    /// The calls that a frame may record.
    #[must_use]
    pub const fn calls(&self) -> usize {
        self.calls
    }
}

/// Digits that are being written, with their network and plans.
#[derive(Debug)]
pub struct Digits {
    scene: DigitsScene,
    sampler: Sampler,
    history: History,
    input: wgpu::Buffer,
    predictions: wgpu::Buffer,
    /// 1 where the digit is known, for all digits alike; the known digit; and what is shown of it.
    mask: wgpu::Buffer,
    known: wgpu::Buffer,
    left: wgpu::Buffer,
    network: Network,
    /// The start and the steps.
    plans: [Plan; 2],
}

impl Digits {
    /// Makes the buffers, the network and the plans of a scene.
    ///
    /// # Errors
    /// The sampler does not exist with these choices, or the network or a plan cannot be made.
    pub fn new(
        context: &Context,
        queue: &wgpu::Queue,
        kernels: &Kernels,
        weights: &Weights,
        scene: &DigitsScene,
    ) -> Result<Self, DigitsError> {
        let sampler = scene.sampler()?;
        let device = context.device();
        let history = History::new(device, [scene.count, PIXELS], sampler.calls().len());
        let shape = history.shape();
        let labels = scene.labels(shape.batch);
        let input = floats(device, "scenes::input", shape.total());
        let predictions = floats(device, "scenes::predictions", labels.len() as u64 * u64::from(PIXELS));
        let [mask, known, left] =
            ["scenes::mask", "scenes::known", "scenes::left"].map(|label| floats(device, label, u64::from(PIXELS)));
        let times: Vec<f32> = sampler.calls().iter().map(|call| call.timestep as f32).collect();
        let tensors = Tensors { x: &input, samples: shape.batch, labels: &labels, prediction: &predictions };
        let network = Network::new(kernels, weights, tensors, Times::Shared(&times), Calls::Recorded)?;
        let made = (&sampler, &history, [&input, &predictions, &mask, &known]);
        let plans = plans(context, scene, made)?;
        let scene = scene.clone();
        let digits = Self { scene, sampler, history, input, predictions, mask, known, left, network, plans };
        digits.write_region(queue);
        Ok(digits)
    }

    /// Returns whether these can become the digits of a scene by [`adopt`](Self::adopt).
    #[must_use]
    pub fn serves(&self, scene: &DigitsScene) -> bool {
        self.scene.same_network(scene)
    }

    /// Begins anew if the scene has changed; if no more than the erased part has, only once `wanted` calls are done.
    ///
    /// # Errors
    /// A plan cannot be made.
    pub fn adopt(
        &mut self,
        context: &Context,
        queue: &wgpu::Queue,
        scene: &DigitsScene,
        wanted: usize,
    ) -> Result<(), DigitsError> {
        let (plans_differ, region_differs) = (!self.scene.same_plans(scene), self.scene.region != scene.region);
        if plans_differ {
            let buffers = [&self.input, &self.predictions, &self.mask, &self.known];
            self.plans = plans(context, scene, (&self.sampler, &self.history, buffers))?;
        }
        let is_finished = self.done() >= wanted.min(self.sampler.calls().len());
        if region_differs && (plans_differ || is_finished) {
            self.scene = scene.clone();
            self.write_region(queue);
        } else if plans_differ {
            self.scene = scene.clone();
        } else {
            return Ok(());
        }
        self.history.forget();
        Ok(())
    }

    /// Writes the mask and the known digit. Without a region nothing is known: the mask is 0.
    fn write_region(&self, queue: &wgpu::Queue) {
        let write = |buffer, numbers: &[f32]| queue.write_buffer(buffer, 0, bytemuck::cast_slice(numbers));
        match &self.scene.region {
            Some(region) => {
                write(&self.mask, &region.mask());
                write(&self.known, region.digit());
                write(&self.left, &region.left());
            }
            None => write(&self.mask, &[0.0; PIXELS as usize]),
        }
    }

    /// Records calls until `wanted` are done, but at most `most`, and returns the number of dispatches.
    ///
    /// # Errors
    /// A plan cannot be recorded.
    pub fn advance(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        wanted: usize,
        most: usize,
    ) -> Result<usize, DigitsError> {
        let ([start, step], network) = (&self.plans, &self.network);
        let last = wanted.min(self.sampler.calls().len()).min(self.history.done() + most);
        let begin = |encoder: &mut wgpu::CommandEncoder| {
            start.encode(encoder, Recording::timestep(0))?;
            Ok(start.dispatches())
        };
        self.history.advance(encoder, begin, last, |encoder, call| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            network.record(&mut pass, call as u32)?;
            step.record(&mut pass, Recording::call(call as u32)).map_err(tweedie::Error::from)?;
            Ok(network.dispatches() + step.dispatches())
        })
    }

    /// Calls that have been recorded.
    #[must_use]
    pub fn done(&self) -> usize {
        self.history.done()
    }

    /// Number of digits.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.history.shape().batch
    }

    /// Finds the buffer of one of these pictures. For a call that is not done, it is that of the last one that is.
    #[must_use]
    pub fn find(&self, what: ImageId) -> Option<ImageSlice> {
        let done = self.done();
        let (buffer, offset) = match what {
            ImageId::Digit(digit, call) => self.history.sample(digit, call.min(done))?,
            ImageId::CleanDigit(digit, call) => self.history.clean(digit, call.min(done.checked_sub(1)?))?,
            ImageId::Erased if self.scene.region.is_some() => (&self.left, 0),
            _ => return None,
        };
        Some(ImageSlice { buffer: buffer.clone(), offset, size: [SIDE; 2], channels: 1 })
    }
}

/// Makes the plans of the start and of the steps. A mask is always bound, so that erasing needs no other plan.
fn plans(
    context: &Context,
    scene: &DigitsScene,
    (sampler, history, [input, predictions, mask, known]): (&Sampler, &History, [&wgpu::Buffer; 4]),
) -> Result<[Plan; 2], DigitsError> {
    let (key, shape) = (NoiseKey::seed(scene.seed), history.shape());
    let (x, predicted) = (Tensor::f32(history.x()), Tensor::f32(predictions));
    let alike = |buffer| Tensor::f32(buffer).stride(0);
    let unconditional = predicted.at(4 * shape.total());
    let sampling = Sampling {
        guidance: scene.is_guided().then(|| Guidance::new(unconditional, scene.guidance)),
        known: Some(Inpainting { mask: alike(mask), x0: alike(known) }),
        x0: Some(Tensor::f32(history.x0())),
        input: Some(Tensor::f32(input)),
        ..Sampling::in_place(sampler, shape, x, predicted, Noise::drawn(key))
    };
    Ok([sampling.start(context, key)?, sampling.plan(context)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> DigitsScene {
        crate::state::State::default().digits()
    }

    #[test]
    fn every_solver_has_a_loop_for_every_network() {
        let names: Vec<&str> = solvers().map(Solver::name).collect();
        assert!(names.contains(&"ddim") && names.contains(&"heun") && names.contains(&"repaint"), "{names:?}");
        assert!(!names.contains(&"lcm") && !names.contains(&"flow-euler"), "{names:?}");
        for solver in solvers() {
            let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
            for (predicts, stochasticity) in PREDICTIONS.into_iter().flat_map(|it| [(it, 0.0), (it, most)]) {
                let scene = DigitsScene { solver, predicts, stochasticity, steps: 8, ..scene() };
                let sampler = scene.sampler().unwrap_or_else(|error| panic!("{} {predicts}: {error}", solver.name()));
                let told = |call: &tweedie::math::Call| (0.0..1000.0).contains(&call.timestep);
                assert!(sampler.calls().iter().all(told), "{} {predicts}", solver.name());
            }
        }
        for name in UNFIT {
            assert!(Solver::find(name).is_some_and(|solver| of_process(&solver)), "{name} needs no mention");
        }
    }

    #[test]
    fn guidance_needs_a_class_and_a_scale() {
        let labels = |class, guidance| DigitsScene { class, guidance, ..scene() }.labels(2);
        assert_eq!(labels(Some(3), 2.0), [3, 3, NO_CLASS, NO_CLASS]);
        assert_eq!(labels(Some(3), 1.0), [3, 3]);
        assert_eq!(labels(None, 2.0), [NO_CLASS, NO_CLASS]);
    }

    #[test]
    fn a_pace_follows_the_device() {
        let mut pace = Pace::default();
        for done in 1..9 {
            pace.frame(0.016, done);
        }
        assert_eq!(pace.calls(), Pace::MOST);
        pace.frame(30.0, 8); // nothing was computed, so it was something else that took so long
        assert_eq!(pace.calls(), Pace::MOST);
        for done in 9..19 {
            pace.frame(0.3, done);
        }
        assert_eq!(pace.calls(), 1);
    }
}

//! Sampling on the GPU: a solver's steps around the ideal denoiser of a few pictures, and every sample on the way.
//!
//! **Theory.** What a perfectly trained network would answer about a finite set of pictures is known in closed form (see
//! the crate `networks`), so any sampler can be watched without weights. With an error, relative as in the plane, it is like a
//! real network.
//!
//! **Practice.** Calls are recorded as they are wanted, a few in a frame, and each leaves its sample and the clean sample
//! that the network predicts in a history. Going back and forth is drawing with another offset.

use crate::buffers::{ImageId, ImageSlice, floats, uploaded};
use crate::course::{Buffers, Course};
use crate::history::History;
use crate::plane::{mean_square, noised};
use crate::schedules::ScheduleChoice;
use crate::solvers::Solver;
use networks::{Ask, Calls, Mixture, Network, Tensors};
use pictures::Set;
use std::sync::Arc;
use tweedie::gpu::{Drawn, NoiseKey, Plan, Recording};
use tweedie::table::Table;
use tweedie::wgpu;
use tweedie::{Context, Error, Loop, Quantity, Shape};

/// Samples that are shown side by side, where there is room.
pub const SAMPLES: u32 = 4;

/// The most calls that are recorded in one frame, so that the window stays responsive on any device.
pub const CALLS: usize = 4;

/// The first stream of the network's errors: above those of any sampler's noise.
const ERROR_STREAM: u32 = 1 << 20;

/// Description of a sampling run.
#[derive(Clone, Debug)]
pub struct RunScene {
    /// Images that the denoiser knows.
    pub set: Arc<Set>,
    /// The noise schedule.
    pub schedule: ScheduleChoice,
    /// The sampler.
    pub solver: Solver,
    /// Its steps.
    pub steps: usize,
    /// The value of the sampler's option for drawn noise, if it has one.
    pub stochasticity: f64,
    /// Quantity that the network predicts.
    pub predicts: Quantity,
    /// The relative error of the network.
    pub error: f64,
    /// The part of the steps that is taken: 1 begins with noise, less with pictures of the set, noised (image to image).
    pub strength: f64,
    /// The seed of all noise.
    pub seed: u64,
}

impl RunScene {
    fn same(&self, other: &Self) -> bool {
        let parts = |scene: &Self| [scene.stochasticity, scene.error, scene.strength].map(f64::to_bits);
        let numbers = |scene: &Self| (scene.steps, parts(scene), scene.seed);
        Arc::ptr_eq(&self.set, &other.set)
            && self.schedule == other.schedule
            && (self.solver, self.predicts) == (other.solver, other.predicts)
            && numbers(self) == numbers(other)
    }

    /// Makes the loop.
    ///
    /// # Errors
    /// The sampler does not exist with these choices.
    pub fn course(&self) -> Result<Course, Error> {
        self.solver.course(self.schedule, self.steps, self.stochasticity, self.strength, self.predicts)
    }

    /// The pictures that so many samples begin with, before they are noised.
    fn pictures(&self, samples: u32) -> Vec<f32> {
        let (numbers, elements) = (self.set.numbers(), self.set.elements());
        numbers.chunks(elements.max(1)).cycle().take(samples as usize).flatten().copied().collect()
    }
}

/// Samples that are being generated, with their network and loop.
#[derive(Debug)]
pub struct Trajectory {
    scene: RunScene,
    history: History,
    members: wgpu::Buffer,
    network: Network,
    err: Option<Plan>,
    recorded: Loop,
}

impl Trajectory {
    /// Makes the buffers and plans of a scene.
    ///
    /// # Errors
    /// The sampler does not exist with these choices, or a plan cannot be made.
    pub fn new(context: &Context, queue: &wgpu::Queue, scene: &RunScene) -> Result<Self, Error> {
        let course = scene.course()?;
        let device = context.device();
        let elements = scene.set.elements() as u32;
        let history = History::new(device, [SAMPLES, elements], course.calls().len());
        let shape = history.shape();
        let [input, prediction] =
            ["scenes::input", "scenes::prediction"].map(|label| floats(device, label, shape.total()));

        let numbers = scene.set.numbers();
        let members = uploaded(device, queue, "scenes::members", &numbers);
        let asks = course.asks(scene.predicts);
        let mixture = Mixture::pictures(scene.set.elements(), &numbers);
        let tensors = Tensors { batch: shape.batch, x: &input, prediction: &prediction };
        let network = Network::new(device, &mixture, &asks, tensors, Calls::Recorded);
        let err = (scene.error > 0.0).then(|| err(context, scene, &asks, shape, &prediction)).transpose()?;

        let pictures = scene.pictures(shape.batch);
        let pictures = (scene.strength < 1.0).then(|| uploaded(device, queue, "scenes::pictures", &pictures));
        let buffers = Buffers {
            x: history.x(),
            input: &input,
            prediction: &prediction,
            x0: history.x0(),
            pictures: pictures.as_ref(),
        };
        let recorded = course.recorded(context, shape, &buffers, NoiseKey::seed(scene.seed))?;
        Ok(Self { scene: scene.clone(), history, members, network, err, recorded })
    }

    /// Returns whether this is the trajectory of a scene.
    #[must_use]
    pub fn serves(&self, scene: &RunScene) -> bool {
        self.scene.same(scene)
    }

    /// Records calls until `wanted` are done, but at most [`CALLS`], and returns the number of dispatches.
    ///
    /// # Errors
    /// A plan cannot be recorded.
    pub fn advance(&mut self, encoder: &mut wgpu::CommandEncoder, wanted: usize) -> Result<usize, Error> {
        let (network, err, recorded) = (&self.network, self.err.as_ref(), &self.recorded);
        let last = wanted.min(recorded.calls()).min(self.history.done() + CALLS);
        let begin = |encoder: &mut wgpu::CommandEncoder| {
            recorded.record_start(encoder)?;
            Ok(recorded.start_dispatches())
        };
        self.history.advance(encoder, begin, last, |encoder, call| {
            recorded.record_call(encoder, call, |encoder, _| {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                network.record(&mut pass, call as u32);
                let at = Recording::call(call as u32).step(call as u32);
                err.map_or(Ok::<(), Error>(()), |err| Ok(err.record(&mut pass, at)?))
            })?;
            Ok(network.dispatches() + err.map_or(0, Plan::dispatches) + recorded.call_dispatches(call))
        })
    }

    /// Calls that have been recorded.
    #[must_use]
    pub fn done(&self) -> usize {
        self.history.done()
    }

    /// Number of samples.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.history.shape().batch
    }

    /// Finds the buffer of one of these pictures, if the trajectory has got there: a sample before a call, or after the last.
    #[must_use]
    pub fn find(&self, what: ImageId) -> Option<ImageSlice> {
        let (buffer, offset) = match what {
            ImageId::Sample(sample, call) => self.history.sample(sample, call)?,
            ImageId::Preview(sample, call) => self.history.clean(sample, call)?,
            ImageId::Member(member) if member < self.scene.set.members.len() => {
                (&self.members, member as u64 * self.scene.set.elements() as u64)
            }
            _ => return None,
        };
        let (size, channels) = ([self.scene.set.side; 2], 3);
        Some(ImageSlice { buffer: buffer.clone(), offset, size, channels })
    }
}

/// Plans the network's error, in place: other noise in every call.
fn err(
    context: &Context,
    scene: &RunScene,
    asks: &[Ask],
    shape: Shape,
    prediction: &wgpu::Buffer,
) -> Result<Plan, Error> {
    let data = mean_square(&scene.set.numbers());
    let rms = |ask: &Ask| (f64::from(ask.x0).powi(2) * data).sqrt().hypot(f64::from(ask.epsilon));
    let table = Table::new(asks.iter().map(|ask| [[1.0, scene.error * rms(ask)], [0.0, 0.0]]));
    let key = NoiseKey::seed(scene.seed).stream(ERROR_STREAM);
    noised(context, &table, shape, Drawn::new(key).steps(asks.len() as u32), [prediction; 2])
}

//! Sampling on the GPU: a solver's steps around the ideal denoiser of a few pictures, and every sample on the way.
//!
//! **Theory.** What a perfectly trained network would answer about a finite set of pictures is known in closed form (see
//! the crate `networks`), so any sampler can be watched without weights. An error, relative as in the plane, makes a real
//! network of it.
//!
//! **Practice.** Calls are recorded as they are wanted, a few in a frame, and each leaves its sample and the clean sample
//! that the network made of it in one long buffer. Looking back and forth is a draw with another offset.

use crate::buffers::{ImageSlice, floats, uploaded};
use crate::plane::{mean_square, noised};
use crate::schedules::ScheduleChoice;
use crate::solvers::Solver;
use networks::{Ask, Calls, Mixture, Network, Tensors, asks};
use pictures::Set;
use std::sync::Arc;
use tweedie::gpu::{Drawn, Noise, NoiseKey, Plan, Recording};
use tweedie::math::Sampler;
use tweedie::table::Table;
use tweedie::wgpu;
use tweedie::{Context, Error, Quantity, Sampling, Shape, Tensor};

/// Samples that are drawn side by side, where there is room.
pub const SAMPLES: u32 = 4;

/// The memory that each of both trajectories may take: what every device binds at once.
const MOST_BYTES: u64 = 128 << 20;

/// Calls that are recorded in one frame, so that the window stays alive on any device.
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
    /// Amount of drawn noise, if that can be chosen.
    pub stochasticity: f64,
    /// Quantity that the network predicts.
    pub predicts: Quantity,
    /// The relative error of the network.
    pub error: f64,
    /// The seed of all noise.
    pub seed: u64,
}

impl RunScene {
    fn same(&self, other: &Self) -> bool {
        let numbers = |scene: &Self| (scene.steps, scene.stochasticity.to_bits(), scene.error.to_bits(), scene.seed);
        Arc::ptr_eq(&self.set, &other.set)
            && self.schedule == other.schedule
            && (self.solver, self.predicts) == (other.solver, other.predicts)
            && numbers(self) == numbers(other)
    }

    /// The sampler's rows.
    ///
    /// # Errors
    /// There is no such sampler.
    pub fn sampler(&self) -> Result<Sampler, Error> {
        Ok(self.solver.sampler(&self.schedule.schedule()?, self.steps, self.stochasticity, self.predicts)?)
    }
}

/// Samples on their way, and the plans that lead them.
#[derive(Debug)]
pub struct Trajectory {
    scene: RunScene,
    sampler: Sampler,
    samples: u32,
    elements: u64,
    x: wgpu::Buffer,
    x0: wgpu::Buffer,
    /// The samples before each call, and after the last.
    seen: wgpu::Buffer,
    /// Clean samples that the network predicted.
    previews: wgpu::Buffer,
    members: wgpu::Buffer,
    start: Plan,
    network: Network,
    err: Option<Plan>,
    step: Plan,
    done: usize,
    started: bool,
}

impl Trajectory {
    /// Makes the buffers and plans of a scene.
    ///
    /// # Errors
    /// There is no such sampler, and whatever the plans find.
    pub fn new(context: &Context, queue: &wgpu::Queue, scene: &RunScene) -> Result<Self, Error> {
        let sampler = scene.sampler()?;
        let device = context.device();
        let elements = scene.set.elements() as u64;
        let places = sampler.calls().len() as u64 + 1;
        let most = MOST_BYTES.min(device.limits().max_storage_buffer_binding_size);
        let samples = (most / (4 * elements * places)).clamp(1, u64::from(SAMPLES)) as u32;
        let shape = Shape::new(samples, elements as u32);
        let tensor = |label| floats(device, label, shape.total());
        let [x, input, prediction, x0] =
            ["scenes::x", "scenes::input", "scenes::prediction", "scenes::preview"].map(tensor);
        let [seen, previews] =
            ["scenes::seen", "scenes::previews"].map(|label| floats(device, label, places * shape.total()));

        let numbers = scene.set.numbers();
        let members = uploaded(device, queue, "scenes::members", &numbers);
        let asks = asks(&sampler, scene.predicts);
        let mixture = Mixture::pictures(scene.set.elements(), &numbers);
        let tensors = Tensors { batch: samples, x: &input, prediction: &prediction };
        let network = Network::new(device, &mixture, &asks, tensors, Calls::Recorded);
        let err = (scene.error > 0.0).then(|| err(context, scene, &asks, shape, &prediction)).transpose()?;

        let key = NoiseKey::seed(scene.seed);
        let [x_tensor, predicted] = [&x, &prediction].map(Tensor::f32);
        let sampling = Sampling {
            x0: Some(Tensor::f32(&x0)),
            input: Some(Tensor::f32(&input)),
            ..Sampling::in_place(&sampler, shape, x_tensor, predicted, Noise::drawn(key))
        };
        let (start, step) = (sampling.start(context, key)?, sampling.plan(context)?);
        let (done, started) = (0, false);
        let scene = scene.clone();
        Ok(Self {
            scene,
            sampler,
            samples,
            elements,
            x,
            x0,
            seen,
            previews,
            members,
            start,
            network,
            err,
            step,
            done,
            started,
        })
    }

    /// Returns whether this is the trajectory of a scene.
    #[must_use]
    pub fn serves(&self, scene: &RunScene) -> bool {
        self.scene.same(scene)
    }

    /// Records calls until so many are done, but no more than [`CALLS`], and says how many dispatches that took.
    ///
    /// # Errors
    /// Whatever the plans find.
    pub fn advance(&mut self, encoder: &mut wgpu::CommandEncoder, wanted: usize) -> Result<usize, Error> {
        let mut dispatches = 0;
        if !self.started {
            self.start.encode(encoder, Recording::timestep(0))?;
            self.keep(encoder, &self.x, &self.seen, 0);
            dispatches += self.start.dispatches();
            self.started = true;
        }
        let last = wanted.min(self.sampler.calls().len()).min(self.done + CALLS);
        while self.done < last {
            let call = self.done as u32;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.network.record(&mut pass, call);
            if let Some(err) = &self.err {
                err.record(&mut pass, Recording::call(call).step(call))?;
                dispatches += err.dispatches();
            }
            self.step.record(&mut pass, Recording::call(call))?;
            drop(pass);
            dispatches += self.network.dispatches() + self.step.dispatches();
            self.keep(encoder, &self.x0, &self.previews, self.done);
            self.done += 1;
            self.keep(encoder, &self.x, &self.seen, self.done);
        }
        Ok(dispatches)
    }

    fn keep(&self, encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer, to: &wgpu::Buffer, place: usize) {
        encoder.copy_buffer_to_buffer(from, 0, to, place as u64 * from.size(), from.size());
    }

    /// Calls that have been recorded.
    #[must_use]
    pub const fn done(&self) -> usize {
        self.done
    }

    /// The solver's rows.
    #[must_use]
    pub const fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Number of samples.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.samples
    }

    fn hung(&self, buffer: &wgpu::Buffer, index: u64) -> ImageSlice {
        let side = self.scene.set.side;
        ImageSlice { buffer: buffer.clone(), offset: index * self.elements, size: [side, side] }
    }

    /// A sample before a call, or after the last, if it has come so far.
    #[must_use]
    pub fn sample(&self, sample: u32, call: usize) -> Option<ImageSlice> {
        let known = self.started && call <= self.done && sample < self.samples;
        known.then(|| self.hung(&self.seen, call as u64 * u64::from(self.samples) + u64::from(sample)))
    }

    /// Clean sample that the network predicted in that call.
    #[must_use]
    pub fn preview(&self, sample: u32, call: usize) -> Option<ImageSlice> {
        let known = call < self.done && sample < self.samples;
        known.then(|| self.hung(&self.previews, call as u64 * u64::from(self.samples) + u64::from(sample)))
    }

    /// A picture of the set.
    #[must_use]
    pub fn member(&self, member: usize) -> Option<ImageSlice> {
        (member < self.scene.set.members.len()).then(|| self.hung(&self.members, member as u64))
    }
}

/// The network's error: noise of its own in every call, in place.
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

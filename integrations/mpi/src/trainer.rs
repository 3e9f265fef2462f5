//! A training step on the adapter, in two halves, between which the gradients of all processes are summed.
//!
//! ```text
//! host      this process's part of the batch
//! tweedie   timesteps and noise of samples first, first + 1, ..     x0             -> t, x_t
//! yours     the network                                             x_t, t         -> prediction
//! tweedie   the same noise, the loss                                prediction, x0 -> losses, d(loss)/d(prediction)
//! yours     the network, backwards                                                 -> d(loss)/d(weights) of the part
//! host      the sum over all processes
//! yours     Adam                                                                   -> weights
//! ```
//!
//! The loss is the mean over the whole batch, so gradients of parts are summed and not averaged.

use crate::adam::Adam;
use crate::checkpoint::State;
use crate::data::{Data, Point};
use crate::kernel::download;
use crate::network::{Backward, Forward, Inputs, Matrices, TILE, embedding, initial_weights};
use crate::share::Share;
use crate::streams;
use anyhow::Result;
use tweedie::gpu::{Drawn, Gradient, GradientScale};
use tweedie::headless::Gpu;
use tweedie::math::{Objective, TimestepDensity, Weight};
use tweedie::table::Penalty;
use tweedie::wgpu::{Buffer, ComputePassDescriptor};
use tweedie::{Context, Quantity, Recording, Schedule, Shape, Tensor, TimestepSource, Training, TrainingStep};

/// Features, hidden units, outputs.
const WIDTHS: [u32; 5] = [32, 64, 64, 64, TILE];
/// Coordinates of a point.
const ELEMENTS: u32 = 2;
/// Batches of the training set; after the last, the first comes again.
const BATCHES: u32 = 128;
/// The weight of the loss, as in the example.
const WEIGHT: Weight = Weight::MinSnr { gamma: 20.0 };

/// A network with everything on the device that its training needs.
#[derive(Debug)]
pub struct Trainer {
    gpu: Gpu,
    share: Share,
    points: Vec<Point>,
    tensors: Tensors,
    weights: Matrices,
    forward: Forward,
    backward: Backward,
    adam: Adam,
    around: TrainingStep,
    noise: tweedie::gpu::Plan,
}

/// The buffers of this process's samples that tweedie reads and writes.
#[derive(Debug)]
struct Tensors {
    x0: Buffer,
    timesteps: Buffer,
    noise: Buffer,
    x_t: Buffer,
    losses: Buffer,
}

impl Tensors {
    fn new(gpu: &Gpu, samples: u32) -> Self {
        let of = |label, elements: u32| gpu.buffer(label, u64::from(samples * elements) * size_of::<f32>() as u64);
        let [x0, noise, x_t] = ["x0", "noise", "x_t"].map(|label| of(label, ELEMENTS));
        let [timesteps, losses] = ["timesteps", "losses"].map(|label| of(label, 1));
        Self { x0, timesteps, noise, x_t, losses }
    }
}

/// The numbers of this process's samples in a step, read from the device.
#[derive(Debug)]
pub struct Drawings {
    /// `[samples]`.
    pub timesteps: Vec<u32>,
    /// `[samples, 2]`: drawn once more, since the kernels of a step do not store it.
    pub noise: Vec<f32>,
    /// `[samples, 2]`.
    pub x_t: Vec<f32>,
    /// `[samples]`.
    pub losses: Vec<f32>,
    /// The gradient of the loss with respect to the prediction, `[samples, 2]`.
    pub loss_gradient: Vec<f32>,
}

impl Trainer {
    /// Creates a training of `steps` steps for this part of each batch.
    pub fn new(gpu: Gpu, share: Share, steps: u32) -> Result<Self> {
        let (context, schedule) = (Context::new(&gpu.device), Schedule::linear(1000, 1e-4, 0.02)?);
        let tensors = Tensors::new(&gpu, share.count);
        let weights = Matrices::new(&gpu, "weights", &WIDTHS);
        let initial = initial_weights(&WIDTHS, streams::WEIGHTS);
        gpu.queue.write_buffer(&weights.buffer, 0, bytemuck::cast_slice(&initial));
        let embedding = gpu.upload("embedding", bytemuck::cast_slice(&embedding(&schedule, WIDTHS[0])));
        let inputs = Inputs { x_t: &tensors.x_t, timesteps: &tensors.timesteps, embedding: &embedding };
        let forward = Forward::new(&gpu, &weights, inputs, share.count);
        let backward = Backward::new(&gpu, &weights, &forward);
        let adam = Adam::new(&gpu, &weights, &backward.gradient, steps);

        let shape = Shape::new(share.count, ELEMENTS);
        // A sample's numbers depend on its index in the whole batch.
        let drawn = Drawn::new(streams::TRAINING.first_sample(share.first.into())).steps(steps);
        let density = TimestepDensity::uniform(schedule.len())?;
        let gradient = Gradient::sum(Tensor::f32(&backward.prediction).stride(TILE));
        let training = Training {
            objective: &Objective::of(Quantity::V).weighted(WEIGHT),
            penalty: Penalty::MSE,
            shape,
            noise: drawn,
            timestep_source: TimestepSource::Drawn { density: &density, stratified: Some(share.batch) },
            timesteps: &tensors.timesteps,
            groups: None,
            x0: Tensor::f32(&tensors.x0),
            x_t: Tensor::f32(&tensors.x_t),
            prediction: Tensor::f32(forward.prediction()).stride(TILE),
            gradient: gradient.scaled(GradientScale::Factor(1.0 / f64::from(share.batch))),
            losses: &tensors.losses,
            mean: None,
            variance: None,
        };
        let around = TrainingStep::new(&context, &schedule, &training)?;
        let noise = tweedie::gpu::Plan::fill(&context, shape, drawn, Tensor::f32(&tensors.noise))?;
        let points = Data::Moons.points(streams::TRAINING_SET, (share.batch * BATCHES) as usize);
        Ok(Self { gpu, share, points, tensors, weights, forward, backward, adam, around, noise })
    }

    /// The first half of step `k`: the gradient of the loss with respect to the weights, and the loss, of this process's samples.
    pub fn gradient(&self, k: u32) -> Result<(Vec<f32>, f32)> {
        let Share { batch, first, count } = self.share;
        let begin = k % BATCHES * batch + first;
        let own: Vec<Point> = self.points.iter().cycle().skip(begin as usize).take(count as usize).copied().collect();
        self.gpu.queue.write_buffer(&self.tensors.x0, 0, bytemuck::cast_slice(&own));
        self.gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            self.around.record_before(&mut pass, k)?;
            self.forward.record(&mut pass);
            self.around.record_after(&mut pass, k)?;
            self.backward.record(&mut pass);
            anyhow::Ok(())
        })??;
        let losses = self.read::<f32>(&self.tensors.losses)?;
        let loss = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / f64::from(batch);
        Ok((self.read(&self.backward.gradient.buffer)?, loss as f32))
    }

    /// The second half of step `k`: updates the weights by the gradient of the whole batch.
    pub fn update(&self, k: u32, gradient: &[f32]) -> Result<()> {
        // Replaces this process's own gradient.
        self.gpu.queue.write_buffer(&self.backward.gradient.buffer, 0, bytemuck::cast_slice(gradient));
        self.gpu.submit(|encoder| {
            self.adam.select(encoder, k);
            self.adam.record(&mut encoder.begin_compute_pass(&ComputePassDescriptor::default()));
        })?;
        Ok(())
    }

    /// The state from which a run can be resumed.
    pub fn state(&self) -> Result<State> {
        Ok(State { weights: self.read(&self.weights.buffer)?, moments: self.read(&self.adam.moments)? })
    }

    /// Replaces the present state by another.
    pub fn restore(&self, state: &State) {
        let write = |buffer, numbers: &[f32]| self.gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(numbers));
        write(&self.weights.buffer, &state.weights);
        write(&self.adam.moments, &state.moments);
    }

    /// The numbers of the first half of step `k`, which must be the latest one made.
    pub fn drawings(&self, k: u32) -> Result<Drawings> {
        self.gpu.submit(|encoder| self.noise.encode(encoder, Recording::timestep(0).step(k)))??;
        let rows = self.read::<f32>(&self.backward.prediction)?;
        let row = |row: &[f32]| row[..ELEMENTS as usize].to_vec();
        Ok(Drawings {
            timesteps: self.read(&self.tensors.timesteps)?,
            noise: self.read(&self.tensors.noise)?,
            x_t: self.read(&self.tensors.x_t)?,
            losses: self.read(&self.tensors.losses)?,
            loss_gradient: rows.chunks_exact(TILE as usize).flat_map(row).collect(),
        })
    }

    fn read<T: bytemuck::Pod>(&self, buffer: &Buffer) -> Result<Vec<T>> {
        Ok(pollster::block_on(download(&self.gpu, buffer))?)
    }
}

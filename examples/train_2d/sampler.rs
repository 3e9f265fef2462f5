//! From noise to samples, with the network called on the GPU and no readback in between.
//!
//! ```text
//! tweedie   noise to start with                   -> x
//! yours     the network         x, t              -> prediction
//! tweedie   a step of a solver  x, prediction     -> x
//! ```
//!
//! A solver is numbers: tweedie computes a row of coefficients for each call of the network, and the step is one dispatch
//! for all of them. Another solver is another line in `main.rs`.

use crate::Setup;
use crate::data::Point;
use crate::kernel::download;
use crate::network::{Forward, Inputs, Matrices, TILE};
use crate::streams;
use std::error::Error;
use tweedie::gpu::{Noise, Plan, RecordError, Recording};
use tweedie::math::sampler::{Denoiser, Grid, Sampler, Solver};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::wgpu::{Buffer, CommandEncoder, ComputePassDescriptor};
use tweedie::{Quantity, Sampling, Shape, Tensor};

/// A method to get from noise to samples.
#[derive(Clone, Copy)]
pub struct Way {
    /// Its name for display.
    pub name: &'static str,
    /// The solver that makes a step.
    pub solver: &'static dyn Solver,
    /// Calls of the network, from 1 to the number of timesteps of the schedule.
    pub calls: usize,
}

/// A network with buffers for a batch of samples.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    x: Buffer,
    timestep: Buffer,
    network: Forward,
}

impl Generator {
    /// Creates a generator of this many two-dimensional samples. It uses the weights as they are when samples are drawn.
    pub fn new(setup: &Setup, weights: &Matrices, samples: u32) -> Self {
        let shape = Shape::new(samples, 2);
        let x = setup.gpu.buffer("samples", 4 * shape.total());
        let timestep = setup.gpu.buffer("timestep", 4);
        let inputs = Inputs { x_t: &x, timesteps: &timestep, embedding: &setup.embedding };
        let network = Forward::new(&setup.gpu, weights, inputs, samples);
        Self { shape, x, timestep, network }
    }

    /// Draws new samples from a network with this prediction: one submit, one readback.
    pub async fn sample(&self, setup: &Setup, prediction: Quantity, way: Way) -> Result<Vec<Point>, Box<dyn Error>> {
        let Setup { gpu, context, schedule, .. } = setup;
        let timesteps = Spacing::Trailing.timesteps(schedule.len(), way.calls)?;
        let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?;
        let sampler = Sampler::new(way.solver, &grid, &Denoiser::new(prediction))?;

        let (x, key) = (Tensor::f32(&self.x), streams::SAMPLING);
        let answer = Tensor::f32(self.network.prediction()).stride(TILE);
        let sampling = Sampling::in_place(&sampler, self.shape, x, answer, Noise::drawn(key));
        let (start, step) = (sampling.start(context, key)?, sampling.plan(context)?);

        let told: Vec<u32> = sampler.timesteps().map(|t| t as u32).collect();
        let told = gpu.upload("timesteps", bytemuck::cast_slice(&told));
        gpu.submit(|encoder| self.record(encoder, &start, &step, &told))??;
        Ok(download(gpu, &self.x).await?)
    }

    fn record(
        &self,
        encoder: &mut CommandEncoder,
        start: &Plan,
        step: &Plan,
        told: &Buffer,
    ) -> Result<(), RecordError> {
        start.encode(encoder, Recording::timestep(0))?;
        for (k, offset) in (0..).zip((0..told.size()).step_by(4)) {
            encoder.copy_buffer_to_buffer(told, offset, &self.timestep, 0, 4);
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            self.network.record(&mut pass);
            step.record(&mut pass, Recording::timestep(k))?;
        }
        Ok(())
    }
}

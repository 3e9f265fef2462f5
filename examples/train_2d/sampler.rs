//! From noise to samples: DDIM and DDPM, with the network called on the GPU and no readback in between.
//!
//! **Theory.** Song et al. 2021 (arXiv 2010.02502, eq. 12 and 16), from the level of `t` to the cleaner one of `s`:
//! ```text
//! n   = eta * (deviation of q(x_s | x_t, x0))
//! x_s = alpha_s x0 + sqrt(sigma_s^2 - n^2) epsilon + n z
//! ```
//! with eta 0 for DDIM and 1 for DDPM. The clean sample and the noise are what the prediction implies, so the first two
//! terms are one row on (x_t, prediction), of any prediction.

use crate::Setup;
use crate::data::Point;
use crate::kernel::download;
use crate::network::{Forward, Inputs, Matrices, TILE};
use crate::streams;
use std::error::Error;
use tweedie::Quantity;
use tweedie::gpu::{At, Drawn, Map, MapPlan, NoiseKey, RecordError, Second, Shape, Tensor, Timesteps};
use tweedie::math::{NoiseLevel, Posterior, solve};
use tweedie::table::{Matrix, Table};
use tweedie::wgpu::{Buffer, CommandEncoder, ComputePassDescriptor};

/// The way of a batch from noise to samples.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What the network predicts.
    pub prediction: Quantity,
    /// 0 for DDIM, 1 for DDPM.
    pub eta: f64,
    /// Calls of the network, at most the timesteps of the schedule.
    pub calls: u32,
    /// The noise: this stream for the start, the next ones for the steps.
    pub key: NoiseKey,
}

/// A network with buffers for a batch of samples.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    x: Buffer,
    timesteps: Buffer,
    network: Forward,
}

impl Generator {
    /// For this many two-dimensional samples, with whatever the weights are when they are made.
    pub fn new(setup: &Setup, weights: &Matrices, samples: u32) -> Self {
        let x = setup.gpu.buffer("samples", 8 * u64::from(samples));
        let timesteps = setup.gpu.buffer("sampling timesteps", 4 * u64::from(samples));
        let inputs = Inputs { x_t: &x, timesteps: &timesteps, embedding: &setup.embedding };
        let network = Forward::new(&setup.gpu, weights, inputs, samples);
        Self { shape: Shape::new(samples, 2), x, timesteps, network }
    }

    /// New samples: one submit, one readback.
    pub async fn sample(&self, setup: &Setup, way: &Way) -> Result<Vec<Point>, Box<dyn Error>> {
        let plans = Plans::new(self, setup, way)?;
        setup.gpu.submit(|encoder| self.record(encoder, &plans))??;
        Ok(download(&setup.gpu, &self.x).await?)
    }

    fn record(&self, encoder: &mut CommandEncoder, plans: &Plans) -> Result<(), RecordError> {
        plans.start.encode(encoder, At::timestep(0))?;
        let bytes = self.timesteps.size();
        for k in 0..plans.calls {
            encoder.copy_buffer_to_buffer(&plans.timesteps, u64::from(k) * bytes, &self.timesteps, 0, bytes);
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            self.network.record(&mut pass);
            plans.step.record(&mut pass, At::timestep(k))?;
            plans.noise.record(&mut pass, At::timestep(k).step(k))?;
        }
        Ok(())
    }
}

/// The plans of a way: noise to start with, then for each call of the network a step and its noise, all in place.
#[derive(Debug)]
struct Plans {
    start: MapPlan,
    step: MapPlan,
    noise: MapPlan,
    /// The timestep of each sample, call after call.
    timesteps: Buffer,
    calls: u32,
}

impl Plans {
    fn new(generator: &Generator, setup: &Setup, way: &Way) -> Result<Self, Box<dyn Error>> {
        let (context, schedule, shape) = (&setup.context, setup.diffusion.schedule(), generator.shape);
        let visited: Vec<u32> = (0..way.calls).rev().map(|k| trailing(k, way.calls, schedule.len())).collect();
        let mut levels = visited.iter().map(|&t| schedule.level(t as usize)).collect::<Result<Vec<_>, _>>()?;
        levels.push(NoiseLevel::CLEAN);
        let steps = levels.windows(2).map(|pair| step(pair[0], pair[1], way));
        let (rows, noise_rows): (Vec<_>, Vec<_>) = steps.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let (x, prediction) = (Tensor::f32(&generator.x), Tensor::f32(generator.network.prediction()).stride(TILE));
        let plan = |rows: Vec<Matrix>, in1| {
            let (table, timesteps) = (Table::new(rows), Timesteps::Batch);
            MapPlan::new(context, &Map { table: &table, shape, timesteps, in0: Some(x), in1, out0: x, out1: None })
        };
        let noise = Drawn::new(streams::next(way.key, 1)).steps(way.calls);
        let timesteps: Vec<u32> = visited.iter().flat_map(|&t| vec![t; shape.batch as usize]).collect();
        Ok(Self {
            start: MapPlan::fill(context, shape, Drawn::new(way.key), x)?,
            step: plan(rows, Second::Given(prediction))?,
            noise: plan(noise_rows, Second::Drawn(noise))?,
            timesteps: setup.gpu.upload("timesteps of all calls", bytemuck::cast_slice(&timesteps)),
            calls: way.calls,
        })
    }
}

/// The row on (x_t, prediction) and the row that adds the noise, from one level to the next.
fn step(from: NoiseLevel, to: NoiseLevel, way: &Way) -> Result<(Matrix, Matrix), Box<dyn Error>> {
    let posterior = Posterior::between(from, to).ok_or("expected timesteps from noisy to clean")?;
    let variance = way.eta.powi(2) * posterior.variance;
    let direction = (to.sigma().powi(2) - variance).max(0.0).sqrt();
    let x0 = solve(from, way.prediction, Quantity::X0)?;
    let epsilon = solve(from, way.prediction, Quantity::Epsilon)?;
    let row = [0, 1].map(|i| to.alpha() * x0[i] + direction * epsilon[i]);
    Ok(([row, [0.0; 2]], [[1.0, variance.sqrt()], [0.0; 2]]))
}

/// The `k`-th timestep of `calls`, spread so that the last one is the noisiest (`trailing` spacing).
fn trailing(k: u32, calls: u32, timesteps: usize) -> u32 {
    ((u64::from(k) + 1) * timesteps as u64 / u64::from(calls)) as u32 - 1
}

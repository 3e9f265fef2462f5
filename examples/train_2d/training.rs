//! The training loop: tweedie works around the network, the application does the rest, and one submit holds many steps.
//!
//! ```text
//! copy      the next batch, Adam's constants of the step
//! tweedie   timesteps and noise are drawn         x0             -> t, x_t
//! yours     the network                           x_t, t         -> prediction
//! tweedie   the same noise, the loss              prediction, x0 -> losses, d(loss)/d(prediction)
//! yours     the network, backwards                               -> d(loss)/d(weights)
//! yours     Adam                                                 -> weights
//! ```
//!
//! Neither the noise nor the target is ever stored, and nothing is read back until the training is over.

use crate::Setup;
use crate::adam::Adam;
use crate::data::Data;
use crate::kernel::download;
use crate::network::{Backward, Forward, Inputs, Matrices, TILE, initial_weights};
use crate::streams;
use std::error::Error;
use tweedie::gpu::{Drawn, Gradient, RecordError};
use tweedie::math::{Objective, TimestepDensity, Weight};
use tweedie::table::Penalty;
use tweedie::wgpu::{Buffer, CommandEncoder, ComputePassDescriptor};
use tweedie::{Quantity, Shape, Tensor, TimestepSource, Training, TrainingStep};

/// Training steps of a submit: enough that a submit costs nothing, few enough that the device is never busy for long.
const STEPS_PER_SUBMIT: u32 = 50;
/// Batches of the training set; after the last, the first comes again.
const BATCHES: u32 = 128;
/// The weight of the loss. As an error of x0 it is the same whatever the network predicts, so only the predictions are compared.
/// Images use 5 (Hang et al. 2023, arXiv 2303.09556); points have no detail that noise hides early, and with 5 the samples end up
/// farther from the data.
const WEIGHT: Weight = Weight::MinSnr { gamma: 20.0 };

/// A network with everything on the device that its training needs, for any data set and prediction.
#[derive(Debug)]
pub struct Trainer {
    /// The weights, as the last training left them.
    pub weights: Matrices,
    shape: Shape,
    steps: u32,
    data: Buffer,
    x0: Buffer,
    timesteps: Buffer,
    x_t: Buffer,
    losses: Buffer,
    forward: Forward,
    backward: Backward,
    adam: Adam,
}

impl Trainer {
    /// Creates a training of `steps` steps, for a network of these widths and batches of this shape.
    pub fn new(setup: &Setup, widths: &[u32], shape: Shape, steps: u32) -> Self {
        let Setup { gpu, embedding, .. } = setup;
        let bytes = 4 * shape.total();
        let [x0, x_t] = ["x0", "x_t"].map(|label| gpu.buffer(label, bytes));
        let [timesteps, losses] = ["timesteps", "losses"].map(|label| gpu.buffer(label, 4 * u64::from(shape.batch)));
        let weights = Matrices::new(gpu, "weights", widths);
        let inputs = Inputs { x_t: &x_t, timesteps: &timesteps, embedding };
        let forward = Forward::new(gpu, &weights, inputs, shape.batch);
        let backward = Backward::new(gpu, &weights, &forward);
        let adam = Adam::new(gpu, &weights, &backward.gradient, steps);
        let data = gpu.buffer("training set", bytes * u64::from(BATCHES));
        Self { weights, shape, steps, data, x0, timesteps, x_t, losses, forward, backward, adam }
    }

    /// Trains from the start; the weights are then those of this data set and prediction. Returns the loss of the last
    /// batch.
    pub async fn run(&self, setup: &Setup, data: Data, prediction: Quantity) -> Result<f64, Box<dyn Error>> {
        let around = self.around(setup, prediction)?;
        self.upload(setup, data);
        for first in (0..self.steps).step_by(STEPS_PER_SUBMIT as usize) {
            let mut steps = first..self.steps.min(first + STEPS_PER_SUBMIT);
            setup.gpu.submit(|encoder| steps.try_for_each(|k| self.record_step(encoder, &around, k)))??;
        }
        let losses: Vec<f32> = download(&setup.gpu, &self.losses).await?;
        Ok(losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64)
    }

    /// The plans of tweedie in a step, around the network.
    fn around(&self, setup: &Setup, prediction: Quantity) -> Result<TrainingStep, Box<dyn Error>> {
        let Setup { context, schedule, .. } = setup;
        let training = Training {
            objective: &Objective::of(prediction).weighted(WEIGHT),
            penalty: Penalty::MSE,
            shape: self.shape,
            noise: Drawn::new(streams::TRAINING).steps(self.steps),
            timestep_source: TimestepSource::Drawn {
                density: &TimestepDensity::uniform(schedule.len())?,
                stratified: Some(self.shape.batch),
            },
            timesteps: &self.timesteps,
            groups: None,
            x0: Tensor::f32(&self.x0),
            x_t: Tensor::f32(&self.x_t),
            // Rows of TILE numbers, of which the first ones are the elements of a sample.
            prediction: Tensor::f32(self.forward.prediction()).stride(TILE),
            gradient: Gradient::mean(Tensor::f32(&self.backward.prediction).stride(TILE)),
            losses: &self.losses,
            mean: None,
            variance: None,
        };
        Ok(TrainingStep::new(context, schedule, &training)?)
    }

    /// Uploads the data and the weights to begin with.
    fn upload(&self, setup: &Setup, data: Data) {
        let points = data.points(streams::TRAINING_SET, (self.shape.batch * BATCHES) as usize);
        let initial = initial_weights(&self.weights.widths, streams::WEIGHTS);
        setup.gpu.queue.write_buffer(&self.data, 0, bytemuck::cast_slice(&points));
        setup.gpu.queue.write_buffer(&self.weights.buffer, 0, bytemuck::cast_slice(&initial));
    }

    fn record_step(&self, encoder: &mut CommandEncoder, around: &TrainingStep, k: u32) -> Result<(), RecordError> {
        if k == 0 {
            self.adam.reset(encoder);
        }
        let bytes = self.x0.size();
        encoder.copy_buffer_to_buffer(&self.data, u64::from(k % BATCHES) * bytes, &self.x0, 0, bytes);
        self.adam.select(encoder, k);
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        around.record_before(&mut pass, k)?;
        self.forward.record(&mut pass);
        around.record_after(&mut pass, k)?;
        self.backward.record(&mut pass);
        self.adam.record(&mut pass);
        Ok(())
    }
}

//! The training loop: tweedie makes the pair, the application does the rest, and a submit holds many steps.
//!
//! ```text
//! copy      the batch, its timesteps, Adam's constants of the step
//! tweedie   noise is drawn          x0, t              -> x_t, target
//! yours     the network             x_t, t             -> prediction
//!           the loss                prediction, target -> d(loss)/d(prediction)
//! yours     the network, backwards                     -> d(loss)/d(weights)
//! yours     Adam                                       -> weights
//! ```
//!
//! Nothing is read back until the training is over.

use crate::Setup;
use crate::adam::Adam;
use crate::data::{Data, timesteps};
use crate::kernel::download;
use crate::loss::{Loss, Operands, weights};
use crate::network::{Backward, Forward, Inputs, Matrices, initial_weights};
use crate::streams;
use std::error::Error;
use tweedie::gpu::{At, Drawn, MapPlan, Second, Shape, Tensor, Timesteps};
use tweedie::wgpu::{Buffer, CommandEncoder, ComputePassDescriptor};
use tweedie::{Noising, Quantity};

/// Training steps of a submit: enough that a submit costs nothing, few enough that the device is never busy for long.
const STEPS_PER_SUBMIT: u32 = 50;
/// Batches of the training set; after the last, the first comes again.
const BATCHES: u32 = 128;

/// A network with all that its training needs on the device, for any data set and prediction.
#[derive(Debug)]
pub struct Training {
    /// The weights, as the last training left them.
    pub weights: Matrices,
    shape: Shape,
    steps: u32,
    data: Buffer,
    x0: Buffer,
    all_timesteps: Buffer,
    timesteps: Buffer,
    x_t: Buffer,
    target: Buffer,
    forward: Forward,
    loss_weights: Buffer,
    loss: Loss,
    backward: Backward,
    adam: Adam,
}

impl Training {
    /// Of `steps` steps, for a network of these widths and batches of this shape.
    pub fn new(setup: &Setup, widths: &[u32], shape: Shape, steps: u32) -> Self {
        let Setup { gpu, diffusion, embedding, .. } = setup;
        let bytes = 4 * shape.total();
        let [x0, x_t, target] = ["x0", "x_t", "target"].map(|label| gpu.buffer(label, bytes));
        let drawn = timesteps(streams::TIMESTEPS, diffusion.schedule().len(), (shape.batch * steps) as usize);
        let current = gpu.buffer("timesteps", 4 * u64::from(shape.batch));
        let weights = Matrices::new(gpu, "weights", widths);
        let inputs = Inputs { x_t: &x_t, timesteps: &current, embedding };
        let forward = Forward::new(gpu, &weights, inputs, shape.batch);
        let backward = Backward::new(gpu, &weights, &forward);
        let loss_weights = gpu.buffer("loss weights", 4 * diffusion.schedule().len() as u64);
        let (prediction, timesteps) = (forward.prediction(), &current);
        let operands = Operands { prediction, target: &target, timesteps, weights: &loss_weights };
        Self {
            shape,
            steps,
            data: gpu.buffer("training set", bytes * u64::from(BATCHES)),
            all_timesteps: gpu.upload("all timesteps", bytemuck::cast_slice(&drawn)),
            loss: Loss::new(gpu, operands, &backward.prediction, shape.batch),
            timesteps: current,
            loss_weights,
            adam: Adam::new(gpu, &weights, &backward.gradient, steps),
            weights,
            x0,
            x_t,
            target,
            forward,
            backward,
        }
    }

    /// Trains from the start; the weights are then those of this data set and prediction. Returns the loss of the last
    /// batch.
    pub async fn run(&self, setup: &Setup, data: Data, prediction: Quantity) -> Result<f64, Box<dyn Error>> {
        let Setup { gpu, context, diffusion, .. } = setup;
        self.start(setup, data, prediction);
        let pair = diffusion.noising(
            context,
            &Noising {
                shape: self.shape,
                timesteps: Timesteps::per_sample(&self.timesteps),
                x0: Tensor::f32(&self.x0),
                epsilon: Second::Drawn(Drawn::new(streams::TRAINING_NOISE).steps(self.steps)),
                first: (Quantity::Xt, Tensor::f32(&self.x_t)),
                second: Some((prediction, Tensor::f32(&self.target))),
            },
        )?;
        for first in (0..self.steps).step_by(STEPS_PER_SUBMIT as usize) {
            let steps = first..self.steps.min(first + STEPS_PER_SUBMIT);
            gpu.submit(|encoder| steps.into_iter().try_for_each(|k| self.record_step(encoder, &pair, k)))??;
        }
        let losses: Vec<f32> = download(gpu, &self.loss.losses).await?;
        Ok(losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64)
    }

    /// Uploads the data, the weights of the loss and the weights to begin with.
    fn start(&self, setup: &Setup, data: Data, prediction: Quantity) {
        let points = data.points(streams::TRAINING_SET, (self.shape.batch * BATCHES) as usize);
        let loss_weights = weights(setup.diffusion.schedule(), prediction);
        let initial = initial_weights(&self.weights.widths, streams::WEIGHTS);
        setup.gpu.queue.write_buffer(&self.data, 0, bytemuck::cast_slice(&points));
        setup.gpu.queue.write_buffer(&self.loss_weights, 0, bytemuck::cast_slice(&loss_weights));
        setup.gpu.queue.write_buffer(&self.weights.buffer, 0, bytemuck::cast_slice(&initial));
    }

    fn record_step(&self, encoder: &mut CommandEncoder, pair: &MapPlan, k: u32) -> Result<(), tweedie::Error> {
        if k == 0 {
            self.adam.reset(encoder);
        }
        let (x0, timesteps) = (self.x0.size(), self.timesteps.size());
        encoder.copy_buffer_to_buffer(&self.data, u64::from(k % BATCHES) * x0, &self.x0, 0, x0);
        encoder.copy_buffer_to_buffer(&self.all_timesteps, u64::from(k) * timesteps, &self.timesteps, 0, timesteps);
        self.adam.select(encoder, k);
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        pair.record(&mut pass, At::per_sample().step(k))?;
        self.forward.record(&mut pass);
        self.loss.record(&mut pass);
        self.backward.record(&mut pass);
        self.adam.record(&mut pass);
        Ok(())
    }
}

//! The network for v, trained further with Burn's autodiff, tweedie's noise and tweedie's loss, with the settings of `train.py` in
//! `examples/digits` of the repository.

use super::batches::Batch;
use super::unet::UNet;
use anyhow::Result;
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use digits::architecture::{SIDE, TIMESTEPS};
use tweedie::gpu::NoiseKey;
use tweedie::math::Objective;
use tweedie::{Quantity, Schedule};
use tweedie_burn::{Bridge, Goal, Training};

// The optimizer of `train.py`, with PyTorch's epsilon.
const BETAS: [f32; 2] = [0.9, 0.99];
const EPSILON: f32 = 1e-8;

/// A training in progress.
pub struct Run {
    pub network: UNet,
    pub step: u32,
    optimizer: ModuleOptimizer,
    training: Training,
    device: Device,
    seed: u64,
}

/// The results of a step.
pub struct Course {
    pub loss: Tensor<1>,
    /// The norm of all gradients together.
    pub norm: Tensor<1>,
}

impl Run {
    /// Starts from these weights, with noise of this seed and moments of zero.
    pub fn new(bridge: &Bridge, weights: &[u8], seed: u64) -> Result<Self> {
        let device = bridge.device().clone().autodiff();
        let network = UNet::read(weights, &device)?;
        let goal = Goal::new(Objective::of(Quantity::V), TIMESTEPS)?;
        let training = Training::new(bridge, &Schedule::cosine(TIMESTEPS)?, goal)?;
        let [first, second] = BETAS;
        let optimizer = AdamWConfig::new().with_beta_1(first).with_beta_2(second);
        let optimizer = optimizer.with_epsilon(EPSILON).with_weight_decay(0.0).init();
        Ok(Self { network, step: 0, optimizer, training, device, seed })
    }

    /// Makes one step.
    pub fn step(&mut self, batch: Batch<'_>) -> Result<Course> {
        let (count, side) = (batch.labels.len(), SIDE as usize);
        let x0 = Tensor::<4>::from_data(TensorData::new(batch.x0.to_vec(), [count, 1, side, side]), &self.device);
        let t = words(batch.timesteps, &self.device);
        let noisy = self.training.noise_at(x0, t, NoiseKey::seed(self.seed).stream(self.step))?;

        let times: Vec<f32> = batch.timesteps.iter().map(|&t| t as f32).collect();
        let labels = words(batch.labels, &self.device);
        let prediction = self.network.forward(noisy.x_t.clone().autodiff(), &times, labels);
        let losses = self.training.loss(&noisy, prediction)?;

        let gradients = GradientsParams::from_grads(losses.mean.backward(), &self.network);
        let norm = norm(&gradients, &self.network);
        self.network = self.optimizer.step(batch.rate, self.network.clone(), gradients);
        self.step += 1;
        Ok(Course { loss: losses.mean.without_autodiff(), norm })
    }
}

fn words(words: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(words.to_vec(), [words.len()]), device)
}

/// The norm of all gradients together.
fn norm(gradients: &GradientsParams, network: &UNet) -> Tensor<1> {
    let mut squares = Squares { gradients, sums: Vec::new() };
    network.visit(&mut squares);
    Tensor::cat(squares.sums, 0).sum().sqrt()
}

/// The sums of the squares of gradients.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sums: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.sums.extend(self.gradients.get::<D>(param.id).map(|gradient| gradient.square().sum()));
    }
}

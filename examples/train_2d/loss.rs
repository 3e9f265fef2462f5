//! The loss: weighted mean squared error against the target, and its gradient with respect to the prediction.
//!
//! The same error of the clean sample is `snr` times larger as an epsilon loss and `snr + 1` times larger as a v loss
//! (Salimans & Ho 2022, arXiv 2202.00512, section 4). So these two need no weight, while the x0 loss would all but ignore
//! low noise. It gets the weight of epsilon, cut off at [`MOST`] (Min-SNR, Hang et al. 2023, arXiv 2303.09556).

use crate::kernel::{Dispatch, Kernel, whole};
use crate::network::TILE;
use tweedie::headless::Gpu;
use tweedie::wgpu::{Buffer, ComputePass};
use tweedie::{Quantity, Schedule};

pub const LOSS: &str = include_str!("shaders/loss.wgsl");
const WORKGROUP: u32 = 64;
/// The largest weight. Images take 5; points have no detail that noise hides early, and are learned down to low noise.
const MOST: f64 = 20.0;

/// What the loss reads.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'a> {
    /// With rows of [`TILE`], of which the first two count.
    pub prediction: &'a Buffer,
    /// Without gaps.
    pub target: &'a Buffer,
    /// The timestep of each sample.
    pub timesteps: &'a Buffer,
    /// The weight of each timestep; see [`weights`].
    pub weights: &'a Buffer,
}

/// Stands between the forward and the backward pass.
#[derive(Debug)]
pub struct Loss {
    dispatch: Dispatch,
    /// The loss of each sample, f32.
    pub losses: Buffer,
}

impl Loss {
    /// For a batch of two-dimensional samples; the gradient has rows of [`TILE`].
    pub fn new(gpu: &Gpu, operands: Operands<'_>, gradient: &Buffer, batch: u32) -> Self {
        let losses = gpu.buffer("losses", 4 * u64::from(batch));
        let kernel = Kernel::new(&gpu.device, "loss", LOSS, &[("width", f64::from(TILE))]);
        let Operands { prediction, target, timesteps, weights } = operands;
        let buffers = [prediction, target, timesteps, weights, gradient, &losses].map(whole);
        let dispatch = kernel.bind(&gpu.device, &buffers, batch.div_ceil(WORKGROUP));
        Self { dispatch, losses }
    }

    /// Records it.
    pub fn record(&self, pass: &mut ComputePass<'_>) {
        self.dispatch.record(pass);
    }
}

/// The weight of each timestep's loss.
pub fn weights(schedule: &Schedule, prediction: Quantity) -> Vec<f32> {
    let weight = |snr: f64| if prediction == Quantity::X0 { snr.min(MOST) } else { 1.0 };
    schedule.snr().into_iter().map(|snr| weight(snr) as f32).collect()
}

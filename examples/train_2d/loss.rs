//! The loss: mean squared error against the target, and its gradient with respect to the prediction.

use crate::kernel::{Dispatch, Kernel, whole};
use crate::network::TILE;
use tweedie::headless::Gpu;
use tweedie::wgpu::{Buffer, ComputePass};

pub const LOSS: &str = include_str!("shaders/loss.wgsl");
const WORKGROUP: u32 = 64;

/// Stands between the forward and the backward pass.
#[derive(Debug)]
pub struct Loss {
    dispatch: Dispatch,
    /// The loss of each sample, f32.
    pub losses: Buffer,
}

impl Loss {
    /// For a batch of two-dimensional samples: `prediction` and `gradient` with rows of [`TILE`], `target` without gaps.
    pub fn new(gpu: &Gpu, prediction: &Buffer, target: &Buffer, gradient: &Buffer, batch: u32) -> Self {
        let losses = gpu.buffer("losses", u64::from(batch) * 4);
        let kernel = Kernel::new(&gpu.device, "loss", LOSS, &[("width", f64::from(TILE))]);
        let buffers = [prediction, target, gradient, &losses].map(whole);
        let dispatch = kernel.bind(&gpu.device, &buffers, batch.div_ceil(WORKGROUP));
        Self { dispatch, losses }
    }

    /// Records it.
    pub fn record(&self, pass: &mut ComputePass<'_>) {
        self.dispatch.record(pass);
    }
}

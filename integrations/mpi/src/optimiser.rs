//! Adam (Kingma & Ba 2015, arXiv 1412.6980) by the kernel of the example `train_2d`, on a gradient that comes from the host.
//!
//! The learning rate falls to 0 along half a cosine. Every process makes the same update of the same sum.

use crate::kernel::{Dispatch, Kernel, uniform, whole};
use std::f64::consts::PI;
use tweedie::headless::Gpu;
use tweedie::wgpu::{Buffer, ComputePass};

const ADAM: &str = include_str!("../../../examples/train_2d/shaders/adam.wgsl");
const WORKGROUP: u32 = 64;
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;
/// The first learning rate.
const RATE: f64 = 6e-3;

/// The optimiser's state and its dispatch.
#[derive(Debug)]
pub struct Optimiser {
    /// Both moments of each weight: the state beside the weights.
    pub moments: Buffer,
    gradient: Buffer,
    step: Buffer,
    update: Dispatch,
}

impl Optimiser {
    /// For these weights.
    pub fn new(gpu: &Gpu, weights: &Buffer) -> Self {
        let constants = [("beta1", BETA1), ("beta2", BETA2), ("epsilon", EPSILON)];
        let kernel = Kernel::new(&gpu.device, "adam", ADAM, &constants);
        let moments = gpu.buffer("moments", 2 * weights.size());
        let gradient = gpu.buffer("summed gradient", weights.size());
        let step = uniform(&gpu.device, "adam step", bytemuck::cast_slice(&[0.0_f32; 2]));
        let buffers = [&step, &gradient, &moments, weights].map(whole);
        let elements = (weights.size() / size_of::<f32>() as u64) as u32;
        let update = kernel.bind(&gpu.device, &buffers, elements.div_ceil(WORKGROUP));
        Self { moments, gradient, step, update }
    }

    /// Brings in the gradient of step `k` of `steps`, counted from 0. The next submit sees it.
    pub fn bring(&self, gpu: &Gpu, k: u32, steps: u32, gradient: &[f32]) {
        gpu.queue.write_buffer(&self.step, 0, bytemuck::cast_slice(&rates(k, steps)));
        gpu.queue.write_buffer(&self.gradient, 0, bytemuck::cast_slice(gradient));
    }

    /// Records the update of the weights.
    pub fn record(&self, pass: &mut ComputePass<'_>) {
        self.update.record(pass);
    }
}

/// The uniform block of step `k` of `steps`.
fn rates(k: u32, steps: u32) -> [f32; 2] {
    let t = f64::from(k) + 1.0;
    let rate = RATE * 0.5 * (1.0 + (PI * f64::from(k) / f64::from(steps)).cos());
    [(rate / (1.0 - BETA1.powf(t))) as f32, (1.0 / (1.0 - BETA2.powf(t))) as f32]
}

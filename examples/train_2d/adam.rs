//! Adam (Kingma & Ba 2015, arXiv 1412.6980), in one dispatch over all weights.
//!
//! The learning rate falls from its first value to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983), which
//! does for a short training what an average of the weights does for a long one. Numbers that depend only on the step are
//! computed in advance in f64, for all steps, and copied step by step.

use crate::kernel::{Dispatch, Kernel, uniform, whole};
use crate::network::Matrices;
use std::f64::consts::PI;
use tweedie::headless::Gpu;
use tweedie::wgpu::{Buffer, CommandEncoder, ComputePass};

pub const ADAM: &str = include_str!("shaders/adam.wgsl");
const WORKGROUP: u32 = 64;
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;
/// The first learning rate.
const RATE: f64 = 6e-3;
/// Bytes of a step: the uniform block of `adam.wgsl`.
const STEP: u64 = 8;

/// The optimiser's state and its dispatch.
#[derive(Debug)]
pub struct Adam {
    update: Dispatch,
    /// Both moments of each weight: the state in addition to the weights.
    pub moments: Buffer,
    steps: Buffer,
    step: Buffer,
}

impl Adam {
    /// Creates the optimiser for these weights, their gradient, and a training of this many steps.
    pub fn new(gpu: &Gpu, weights: &Matrices, gradient: &Matrices, steps: u32) -> Self {
        let constants = [("beta1", BETA1), ("beta2", BETA2), ("epsilon", EPSILON)];
        let kernel = Kernel::new(&gpu.device, "adam", ADAM, &constants);
        let moments = gpu.buffer("moments", 2 * weights.buffer.size());
        let rates: Vec<[f32; 2]> = (0..steps).map(|k| rates(k, steps)).collect();
        let steps = gpu.upload("adam steps", bytemuck::cast_slice(&rates));
        let step = uniform(&gpu.device, "adam step", &[0; STEP as usize]);
        let buffers = [&step, &gradient.buffer, &moments, &weights.buffer].map(whole);
        let update = kernel.bind(&gpu.device, &buffers, weights.elements().div_ceil(WORKGROUP));
        Self { update, moments, steps, step }
    }

    /// Forgets the moments, for a training from the start.
    pub fn reset(&self, encoder: &mut CommandEncoder) {
        encoder.clear_buffer(&self.moments, 0, None);
    }

    /// Copies in the numbers of step `k`, counted from 0.
    pub fn select(&self, encoder: &mut CommandEncoder, k: u32) {
        encoder.copy_buffer_to_buffer(&self.steps, u64::from(k) * STEP, &self.step, 0, STEP);
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

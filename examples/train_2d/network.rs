//! A multilayer perceptron in plain WGSL, with its backward pass written by hand.
//!
//! **Theory.** With `a_0` the features of a sample and `W_l` the weights,
//! ```text
//! z_{l+1} = a_l W_l          a_l = silu(z_l), except that the prediction is the last z itself
//! dW_l    = a_l^T dz_{l+1}   dz_l = (dz_{l+1} W_l^T) * silu'(z_l)
//! ```
//! where `d` means the gradient of the loss. All three products are one kernel, `matmul.wgsl`, with different strides.
//! There are no biases: one of the features is the constant 1, which takes their place.
//!
//! **Practice.** [`Forward`] and [`Backward`] are made once for a batch and record into the caller's pass. Between the two comes
//! whatever turns the prediction into the gradient of a loss. Widths and batches are multiples of [`TILE`]; a network with two
//! outputs has rows of [`TILE`], of which the first two count.

use crate::kernel::{Dispatch, Kernel, uniform, whole};
use crate::streams;
use std::f64::consts::PI;
use tweedie::Schedule;
use tweedie::gpu::NoiseKey;
use tweedie::headless::Gpu;
use tweedie::wgpu::{Buffer, BufferBinding, ComputePass};

/// Rows and columns that an invocation of `matmul.wgsl` computes.
pub const TILE: u32 = 8;
/// Features that `embed.wgsl` makes from a sample's position; the others come from its timestep.
pub const OF_POSITION: u32 = 14;
/// Invocations of a workgroup in `matmul.wgsl` and `embed.wgsl`.
const MATMUL_WORKGROUP: u32 = 32;
const EMBED_WORKGROUP: u32 = 64;
const BYTES: u64 = size_of::<f32>() as u64;

/// Variants of the end of `matmul.wgsl`, which receives a finished sum.
const PLAIN: &str = include_str!("shaders/plain.wgsl");
const SILU: &str = include_str!("shaders/silu.wgsl");
pub const SILU_BACKWARD: &str = include_str!("shaders/silu_backward.wgsl");
/// All of them, to be validated.
#[cfg(test)]
pub const FINISHES: [&str; 3] = [PLAIN, SILU, SILU_BACKWARD];
pub const MATMUL: &str = include_str!("shaders/matmul.wgsl");
pub const EMBED: &str = include_str!("shaders/embed.wgsl");

/// One matrix for each layer, `widths[l] x widths[l + 1]`, in one buffer: the weights, or their gradient.
///
/// A matrix is a multiple of 256 bytes long, so each begins where any device can bind it.
#[derive(Debug)]
pub struct Matrices {
    /// Features, hidden units of each layer, outputs.
    pub widths: Vec<u32>,
    /// The matrices, row-major, one after the other.
    pub buffer: Buffer,
}

impl Matrices {
    /// Creates matrices of zeros.
    pub fn new(gpu: &Gpu, label: &str, widths: &[u32]) -> Self {
        let elements: u32 = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
        Self { widths: widths.to_vec(), buffer: gpu.buffer(label, u64::from(elements) * BYTES) }
    }

    fn layers(&self) -> usize {
        self.widths.len() - 1
    }

    /// The number of elements of all matrices.
    pub fn elements(&self) -> u32 {
        (self.buffer.size() / BYTES) as u32
    }

    fn layer(&self, l: usize) -> BufferBinding<'_> {
        let elements = |l: usize| u64::from(self.widths[l] * self.widths[l + 1]);
        let offset = (0..l).map(elements).sum::<u64>() * BYTES;
        BufferBinding { buffer: &self.buffer, offset, size: std::num::NonZero::new(elements(l) * BYTES) }
    }
}

/// Weights of variance 2/fan-in (He et al. 2015, arXiv 1502.01852), layer after layer, each from a stream of its own.
pub fn initial_weights(widths: &[u32], key: NoiseKey) -> Vec<f32> {
    let layers = widths.windows(2).zip(0..);
    layers
        .flat_map(|(pair, l)| {
            let deviation = (2.0 / f64::from(pair[0])).sqrt();
            let normals = streams::next(key, l).reference(pair[0] as usize, pair[1] as usize);
            normals.into_iter().map(move |z| (deviation * z) as f32)
        })
        .collect()
}

/// Features of each timestep for the network: sines and cosines of the log signal-to-noise ratio, stretched over half a
/// turn, at the frequencies 0, 1/2, 1, ...; the cosine of frequency 0 is the constant that takes the place of biases.
pub fn embedding(schedule: &Schedule, width: u32) -> Vec<f32> {
    let lambda = schedule.lambda();
    let (most, least) = (lambda[0], lambda[lambda.len() - 1]);
    let pairs = (width - OF_POSITION) / 2;
    let place = lambda.iter().map(|l| PI * (l - least) / (most - least));
    let rows = place.flat_map(|place| (0..pairs).map(move |j| f64::from(j) / 2.0 * place));
    rows.flat_map(|angle| [angle.sin() as f32, angle.cos() as f32]).collect()
}

/// The uniform block of `matmul.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Product {
    rows: u32,
    columns: u32,
    inner: u32,
    a: [u32; 2],
    b: [u32; 2],
    unused: u32,
}

impl Product {
    /// `a b` of a `rows x inner` and an `inner x columns` matrix.
    fn new(rows: u32, inner: u32, columns: u32) -> Self {
        Self { rows, columns, inner, a: [inner, 1], b: [columns, 1], unused: 0 }
    }

    /// `a` lies in memory as its transpose.
    fn a_transposed(self) -> Self {
        Self { a: [1, self.rows], ..self }
    }

    /// `b` lies in memory as its transpose.
    fn b_transposed(self) -> Self {
        Self { b: [1, self.inner], ..self }
    }

    fn dispatch(self, gpu: &Gpu, kernel: &Kernel, buffers: &[BufferBinding<'_>]) -> Dispatch {
        let block = uniform(&gpu.device, "product", bytemuck::bytes_of(&self));
        let buffers: Vec<_> = std::iter::once(whole(&block)).chain(buffers.iter().cloned()).collect();
        let tiles = (self.rows / TILE) * (self.columns / TILE);
        kernel.bind(&gpu.device, &buffers, tiles.div_ceil(MATMUL_WORKGROUP))
    }
}

fn matmul(gpu: &Gpu, finish: &str) -> Kernel {
    Kernel::new(&gpu.device, "matmul", &[MATMUL, finish].concat(), &[])
}

/// The input buffers of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The noisy samples, two numbers each.
    pub x_t: &'a Buffer,
    /// The timestep of each sample, or one for all: a `u32` below the rows of `embedding`.
    pub timesteps: &'a Buffer,
    /// The features of each timestep; see [`embedding`].
    pub embedding: &'a Buffer,
}

/// From noisy samples to predictions.
#[derive(Debug)]
pub struct Forward {
    dispatches: Vec<Dispatch>,
    batch: u32,
    /// `a_l`, with the prediction at the end, and `z_l` of the hidden layers.
    activations: Vec<Buffer>,
    before: Vec<Buffer>,
}

impl Forward {
    /// Creates the dispatches for this many samples.
    pub fn new(gpu: &Gpu, weights: &Matrices, inputs: Inputs<'_>, batch: u32) -> Self {
        let widths = &weights.widths;
        let activations = tensors(gpu, "activation", widths, batch);
        let before = tensors(gpu, "before activation", &widths[1..weights.layers()], batch);
        let embed = Kernel::new(&gpu.device, "embed", EMBED, &[("width", f64::from(widths[0]))]);
        let features = [inputs.x_t, inputs.timesteps, inputs.embedding, &activations[0]].map(whole);
        let mut dispatches = vec![embed.bind(&gpu.device, &features, batch.div_ceil(EMBED_WORKGROUP))];
        let (hidden, last) = (matmul(gpu, SILU), matmul(gpu, PLAIN));
        for l in 0..weights.layers() {
            let product = Product::new(batch, widths[l], widths[l + 1]);
            let operands = [whole(&activations[l]), weights.layer(l), whole(&activations[l + 1])];
            dispatches.push(match before.get(l) {
                Some(z) => product.dispatch(gpu, &hidden, &[&operands[..], &[whole(z)]].concat()),
                None => product.dispatch(gpu, &last, &operands),
            });
        }
        Self { dispatches, batch, activations, before }
    }

    /// The input of the first layer, a row of the first width for each sample.
    pub fn features(&self) -> &Buffer {
        &self.activations[0]
    }

    /// The network's output, a row of the last width for each sample.
    pub fn prediction(&self) -> &Buffer {
        &self.activations[self.activations.len() - 1]
    }

    /// Records the dispatches from the inputs to the prediction.
    pub fn record(&self, pass: &mut ComputePass<'_>) {
        self.dispatches.iter().for_each(|dispatch| dispatch.record(pass));
    }
}

/// From the gradient of a loss with respect to the predictions to its gradient with respect to the weights.
#[derive(Debug)]
pub struct Backward {
    dispatches: Vec<Dispatch>,
    /// Input: the gradient of the loss with respect to the prediction; beyond the outputs that count it stays 0.
    pub prediction: Buffer,
    /// Output: the gradient with respect to the weights.
    pub gradient: Matrices,
}

impl Backward {
    /// Creates the backward pass of a forward pass, whose activations it reads.
    pub fn new(gpu: &Gpu, weights: &Matrices, forward: &Forward) -> Self {
        Self::through(gpu, weights, forward, SILU_BACKWARD)
    }

    /// As [`new`](Self::new), with this text for the way back through an activation: `check.rs` passes a wrong one, which must be
    /// noticed.
    pub fn through(gpu: &Gpu, weights: &Matrices, forward: &Forward, slope: &str) -> Self {
        let (widths, batch) = (&weights.widths, forward.batch);
        let gradient = Matrices::new(gpu, "gradient", widths);
        let mut dz = tensors(gpu, "dz", &widths[1..], batch);
        let (plain, hidden) = (matmul(gpu, PLAIN), matmul(gpu, slope));
        let mut dispatches = Vec::new();
        for l in (0..weights.layers()).rev() {
            let product = Product::new(widths[l], batch, widths[l + 1]).a_transposed();
            let operands = [whole(&forward.activations[l]), whole(&dz[l]), gradient.layer(l)];
            dispatches.push(product.dispatch(gpu, &plain, &operands));
            if l > 0 {
                let product = Product::new(batch, widths[l + 1], widths[l]).b_transposed();
                let operands = [whole(&dz[l]), weights.layer(l), whole(&dz[l - 1]), whole(&forward.before[l - 1])];
                dispatches.push(product.dispatch(gpu, &hidden, &operands));
            }
        }
        Self { dispatches, prediction: dz.remove(widths.len() - 2), gradient }
    }

    /// Records the backward pass.
    pub fn record(&self, pass: &mut ComputePass<'_>) {
        self.dispatches.iter().for_each(|dispatch| dispatch.record(pass));
    }
}

/// A tensor of `batch` rows for each width.
fn tensors(gpu: &Gpu, label: &str, widths: &[u32], batch: u32) -> Vec<Buffer> {
    widths.iter().map(|&width| gpu.buffer(label, u64::from(batch * width) * BYTES)).collect()
}

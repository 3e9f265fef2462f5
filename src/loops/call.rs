//! A call of the network inside a recorded loop: the numbers that the network needs, on the host and in a buffer.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::tensor::Shape;

/// A call of the network.
#[derive(Clone, Copy, Debug)]
pub struct LoopCall<'a> {
    /// Its index, from 0.
    pub index: usize,
    /// The number of calls of the loop.
    pub calls: usize,
    /// The step of the grid to which it belongs, from 0; in [`Loop::adaptive`](crate::Loop::adaptive) the attempt.
    pub step: usize,
    /// The sigma of the run's grid; for a [`Sampling`](crate::Sampling) the sigma of the call's level. NaN if the GPU chooses the
    /// step ([`Loop::adaptive`](crate::Loop::adaptive)).
    pub sigma: f64,
    /// The time to pass to the network, in the units that it was trained with: a timestep, a sigma or another function of the level.
    /// NaN if the GPU chooses the step; `values` has it.
    pub told: f64,
    /// The factor by which the sample is scaled in the network's input. NaN if the GPU chooses the step; `values` has it.
    pub input: f64,
    /// The predictions that are needed besides the conditional one: the unconditional, the third and the fourth.
    pub asks: [bool; 3],
    /// The draw that follows the call, if noise is in a tensor that the application fills
    /// ([`LoopNoise::Tensors`](crate::LoopNoise::Tensors), [`Noise::Tensor`](crate::Noise::Tensor)).
    pub draw: Option<usize>,
    /// A buffer with these numbers, for networks that read them on the GPU. Its usages are UNIFORM, STORAGE and COPY_SRC.
    pub values: &'a wgpu::Buffer,
    /// The byte of `values` at which the numbers of this call begin, a multiple of 256. They are f32: `told`, `sigma`, `input`, 0,
    /// then `told` once for each sample, and once more for each sample (for two predictions in one batch); `4*(4 + 2*batch)`
    /// bytes in all.
    pub offset: u64,
}

impl LoopCall<'_> {
    /// The bytes from [`offset`](Self::offset) to the part in which `told` is repeated for each sample.
    pub const PER_SAMPLE: u64 = 16;
}

/// The numbers of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub step: usize,
    pub sigma: f64,
    pub told: f64,
    pub input: f64,
    pub asks: [bool; 3],
    pub draw: Option<usize>,
    /// The index of its numbers in the buffer.
    pub place: usize,
}

/// The largest alignment that a binding may need.
pub(super) const ALIGNMENT: u64 = 256;

/// The bytes from a call's numbers to the next one's.
pub(super) const fn stride(shape: Shape) -> u64 {
    (4 * (4 + 2 * shape.batch as u64)).next_multiple_of(ALIGNMENT)
}

/// The buffer with the numbers of all calls.
pub(super) fn values(context: &Context, shape: Shape, calls: &[Facts]) -> Result<wgpu::Buffer, PlanError> {
    let mut bytes: Vec<u8> = Vec::new();
    for (k, facts) in calls.iter().enumerate() {
        bytes.resize(k * stride(shape) as usize, 0);
        let told = std::iter::repeat_n(facts.told, 2 * shape.batch as usize);
        let numbers = [facts.told, facts.sigma, facts.input, 0.0].into_iter().chain(told);
        bytes.extend(numbers.flat_map(|number| (number as f32).to_le_bytes()));
    }
    bytes.resize((calls.len().max(1) as u64 * stride(shape)) as usize, 0);
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    context.buffer_with("tweedie::Loop::values", usage, &bytes)
}

//! A call of the network inside a recorded loop: what it must be told, as numbers and in a buffer.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::tensor::Shape;

/// A call of the network.
#[derive(Clone, Copy, Debug)]
pub struct LoopCall<'a> {
    /// Its index, from 0.
    pub index: usize,
    /// The calls of the loop.
    pub calls: usize,
    /// The step of the grid to which it belongs.
    pub step: usize,
    /// The sigma of the run; of a sampler that of its level. NaN where the GPU chooses it: [`Loop::adaptive`](crate::Loop::adaptive).
    pub sigma: f64,
    /// The number that the network is told. NaN where the GPU chooses it: it is in `values`.
    pub told: f64,
    /// The factor of the sample in its input. NaN where the GPU chooses it.
    pub input: f64,
    /// The predictions that are asked for besides the conditional one: unconditional, third and fourth.
    pub asks: [bool; 3],
    /// The draw that follows the call, if noise is a tensor that the application fills ([`LoopNoise::Tensors`](crate::LoopNoise::Tensors),
    /// [`Noise::Tensor`](crate::Noise::Tensor)).
    pub draw: Option<usize>,
    /// A buffer that holds the numbers, for networks that read them on the GPU, with usages UNIFORM, STORAGE and COPY_SRC.
    pub values: &'a wgpu::Buffer,
    /// The byte at which those of this call begin, a multiple of 256: as f32 the number told, the sigma, the factor of the input and
    /// 0, then the number told once for each sample, and again for each: `4*(4 + 2*batch)` bytes.
    pub offset: u64,
}

impl LoopCall<'_> {
    /// The byte, from [`offset`](Self::offset) on, at which the number told begins that is there once for each sample.
    pub const PER_SAMPLE: u64 = 16;
}

/// A call that is known ahead.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub step: usize,
    pub sigma: f64,
    pub told: f64,
    pub input: f64,
    pub asks: [bool; 3],
    pub draw: Option<usize>,
    /// The place of its numbers in the buffer.
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

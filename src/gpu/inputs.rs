//! The inputs of a plan beside its tensors: rows to apply, noise to draw, and the place of a recording.

use crate::gpu::tensor::{Shape, Tensor};
use crate::noise::NoiseKey;
use crate::noise::perturb::Perturbation;

/// The row of the table that each sample uses.
#[derive(Clone, Copy, Debug)]
pub enum Timesteps<'a> {
    /// One for the whole batch, named at each recording by [`At::timestep`].
    Batch,
    /// One `u32` per sample, read from this buffer on the GPU. A value that is not in the table, or names an undefined row,
    /// makes that sample NaN and is counted in [`MapPlan::status`](crate::gpu::MapPlan::status).
    PerSample {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the first timestep: a multiple of 4.
        offset: u64,
    },
    /// One `u32` for the whole batch, read from this buffer on the GPU: a counter that the application, or
    /// [`Counter`](crate::gpu::Counter), advances between recordings. Out of range, every sample becomes NaN.
    Shared {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the timestep: a multiple of 4.
        offset: u64,
    },
}

impl<'a> Timesteps<'a> {
    /// A timestep for each sample, from the beginning of a buffer.
    pub const fn per_sample(buffer: &'a wgpu::Buffer) -> Self {
        Timesteps::PerSample { buffer, offset: 0 }
    }
}

/// The timestep and the noise step that a recording uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The timestep of the whole batch, for [`Timesteps::Batch`]; `None` for [`Timesteps::PerSample`].
    pub timestep: Option<u32>,
    /// The noise step, below [`Drawn::steps`]. It draws from the plan's stream plus this number, or with the key that
    /// [`MapPlan::set_key`](crate::gpu::MapPlan::set_key) gave it. 0 where no noise is drawn.
    pub step: u32,
}

impl At {
    /// This timestep for the whole batch.
    pub const fn timestep(timestep: u32) -> Self {
        Self { timestep: Some(timestep), step: 0 }
    }

    /// This call of a loop for the whole batch; see [`StepPlan`](crate::gpu::StepPlan).
    pub const fn call(call: u32) -> Self {
        Self::timestep(call)
    }

    /// Each sample's own timestep, or the batch's, from a buffer.
    pub const fn per_sample() -> Self {
        Self { timestep: None, step: 0 }
    }

    /// The same at this noise step.
    pub const fn step(self, step: u32) -> Self {
        Self { step, ..self }
    }
}

/// The second input of a map or a loss.
#[derive(Clone, Copy, Debug)]
pub enum Second<'a> {
    /// A tensor.
    Given(Tensor<'a>),
    /// Standard normal noise, drawn in the kernel.
    Drawn(Drawn<'a>),
}

impl<'a> Second<'a> {
    /// The tensor that is read, if any.
    pub(crate) fn tensor(self) -> Option<Tensor<'a>> {
        match self {
            Second::Given(tensor) => Some(tensor),
            Second::Drawn(_) => None,
        }
    }

    /// The noise that is drawn, if any.
    pub(crate) fn drawn(self) -> Option<Drawn<'a>> {
        match self {
            Second::Given(_) => None,
            Second::Drawn(drawn) => Some(drawn),
        }
    }
}

/// Noise that a kernel draws.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// The number of noise steps that may be recorded without setting a key: at least 1.
    pub steps: u32,
    /// A tensor that the noise is also written to.
    pub keep: Option<Tensor<'a>>,
    /// Offset noise and input perturbation.
    pub perturbed: Option<Perturbed>,
}

/// Noise that is not white: the terms added to each element of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perturbed {
    /// The strengths. Leave [`Perturbation::input`] at 0 for a target and for the loss, which do not see it.
    pub by: Perturbation,
    /// The elements of a channel: a sample is channel after channel.
    pub channel: u32,
}

impl<'a> Drawn<'a> {
    /// Noise of one step that is not written out.
    pub const fn new(key: NoiseKey) -> Self {
        Self { key, steps: 1, keep: None, perturbed: None }
    }

    /// The same with this many noise steps, on consecutive streams.
    pub const fn steps(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// The same with perturbations added; each channel of a sample has this many elements.
    pub const fn perturbed(self, by: Perturbation, channel: u32) -> Self {
        Self { perturbed: Some(Perturbed { by, channel }), ..self }
    }

    /// The same, also written to this tensor.
    pub const fn keep(self, tensor: Tensor<'a>) -> Self {
        Self { keep: Some(tensor), ..self }
    }
}

/// The noise of a loop.
#[derive(Clone, Copy, Debug, Default)]
pub enum Noise<'a> {
    /// None: no row may ask for it.
    #[default]
    None,
    /// A tensor, which the application fills before each call that needs it.
    Given(Tensor<'a>),
    /// Drawn in the kernel: call `k` draws on stream `key.stream + k`.
    Drawn(DrawnNoise<'a>),
}

/// Noise that a step draws.
#[derive(Clone, Copy, Debug)]
pub struct DrawnNoise<'a> {
    /// Seed, first stream and first sample.
    pub key: NoiseKey,
    /// A seed and an index for each sample instead of the key's: four `u32` a sample, `[seed low, seed high, sample low,
    /// sample high]`, without gaps; and the byte at which they begin, a multiple of the device's
    /// `min_storage_buffer_offset_alignment`. Requests that share a batch keep their own noise.
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
    /// A tensor that the noise is also written to.
    pub keep: Option<Tensor<'a>>,
}

impl<'a> Noise<'a> {
    /// Noise of this key.
    pub const fn drawn(key: NoiseKey) -> Self {
        Self::Drawn(DrawnNoise { key, seeds: None, keep: None })
    }
}

/// The reduction over the batch that a gradient belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Of {
    /// The sum of the samples' losses, each the mean over its elements.
    #[default]
    Sum,
    /// The mean of the samples' losses: the gradient of the sum over the number of samples.
    Mean,
}

impl Of {
    /// The factor of a gradient beside the weight: 1, or 1 over the samples.
    pub(crate) fn share(self, shape: Shape) -> f64 {
        self.share_of(f64::from(shape.batch.max(1)))
    }

    /// The same for this many samples.
    pub(crate) fn share_of(self, samples: f64) -> f64 {
        match self {
            Of::Sum => 1.0,
            Of::Mean => 1.0 / samples,
        }
    }
}

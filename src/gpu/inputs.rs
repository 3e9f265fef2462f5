//! The inputs of a plan besides its tensors: rows to apply, noise to draw, and what a recording names.

use crate::gpu::error::PlanError;
use crate::gpu::tensor::{Shape, Tensor};
use crate::noise::NoiseKey;
use crate::noise::perturb::Perturbation;

/// The row of the table that each sample uses.
#[derive(Clone, Copy, Debug)]
pub enum Timesteps<'a> {
    /// One timestep for the whole batch, named at each recording by [`Recording::timestep`].
    Batch,
    /// One `u32` per sample, read from this buffer on the GPU. A value that is not in the table, or names an undefined row,
    /// makes that sample NaN and is counted in [`Plan::status`](crate::gpu::Plan::status).
    PerSample {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the first timestep: a multiple of 4.
        offset: u64,
    },
    /// One `u32` for the whole batch, read from this buffer on the GPU: a counter that the application, or
    /// [`Counter`](crate::gpu::Counter), advances between recordings. If it is out of range, every sample becomes NaN.
    Shared {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the timestep: a multiple of 4.
        offset: u64,
    },
    /// One `u32` for each [group](Groups) of each sample, read from this buffer on the GPU: `[batch, groups]`, for tokens,
    /// frames or channels that have noise levels of their own.
    PerGroup {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the first timestep: a multiple of 4.
        offset: u64,
        /// The groups of a sample.
        groups: Groups,
    },
}

impl<'a> Timesteps<'a> {
    /// A timestep for each sample, from the beginning of a buffer.
    pub const fn per_sample(buffer: &'a wgpu::Buffer) -> Self {
        Timesteps::PerSample { buffer, offset: 0 }
    }

    /// A timestep for each group of each sample, from the beginning of a buffer.
    pub const fn per_group(buffer: &'a wgpu::Buffer, groups: Groups) -> Self {
        Timesteps::PerGroup { buffer, offset: 0, groups }
    }

    /// The batch as kernels see it: with a timestep for each group, each run of a group counts as a sample.
    pub(crate) fn runs_of(self, shape: Shape) -> Result<(Shape, Option<Runs>), PlanError> {
        let Timesteps::PerGroup { groups, .. } = self else { return Ok((shape, None)) };
        let Some(each) = groups.runs_in(shape.elements) else {
            return Err(PlanError::Groups { elements: shape.elements, count: groups.count, run: groups.run });
        };
        let found = u64::from(shape.batch) * u64::from(each);
        let batch = u32::try_from(found).map_err(|_| PlanError::Runs { most: u32::MAX, found })?;
        Ok((Shape::new(batch, groups.run), Some(Runs { each, groups: groups.count })))
    }
}

/// The groups of a sample's elements that have a timestep each: element `e` belongs to group `e / run % count`.
///
/// A sample of `[tokens, channels]` has `Groups::new(tokens, channels)`: a level for each token. One of `[channels, frames,
/// height, width]` has `Groups::new(frames, height * width)`: a level for each frame, of all its channels. One of `[channels,
/// height, width]` has `Groups::new(channels, height * width)`.
///
/// ```
/// let frames = tweedie::Groups::new(5, 64 * 64); // of [16, 5, 64, 64]
/// let element = |channel: u32, frame: u32, pixel: u32| (channel * 5 + frame) * 64 * 64 + pixel;
/// assert_eq!([element(0, 3, 17), element(15, 3, 0)].map(|element| frames.group_of(element)), [Some(3); 2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    /// Groups of a sample, at least 1.
    pub count: u32,
    /// Consecutive elements of a group, at least 1. A sample is a sequence of whole runs in which all groups take turns.
    pub run: u32,
}

impl Groups {
    /// `count` groups, in runs of `run` elements.
    pub const fn new(count: u32, run: u32) -> Self {
        Self { count, run }
    }

    /// The group of an element of a sample; `None` if there are no groups or runs.
    #[must_use]
    pub const fn group_of(self, element: u32) -> Option<u32> {
        match element.checked_div(self.run) {
            Some(run) => run.checked_rem(self.count),
            None => None,
        }
    }

    /// The runs of a sample of this many elements, if it is whole runs of all groups.
    fn runs_in(self, elements: u32) -> Option<u32> {
        let runs = elements.checked_div(self.run)?;
        let is_whole =
            self.count > 0 && runs > 0 && runs.is_multiple_of(self.count) && elements.is_multiple_of(self.run);
        is_whole.then_some(runs)
    }
}

/// The counts by which a run's sample and group are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// Runs of a sample.
    pub each: u32,
    /// Groups of a sample.
    pub groups: u32,
}

/// The timestep and the noise step that a recording uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The timestep of the whole batch, for [`Timesteps::Batch`]; `None` where the GPU reads it.
    pub timestep: Option<u32>,
    /// The noise step, below [`Drawn::steps`]. It draws from the plan's stream plus this number, or with the key that
    /// [`Plan::set_key`](crate::gpu::Plan::set_key) gave it. 0 where no noise is drawn.
    pub step: u32,
}

impl Recording {
    /// This timestep for the whole batch.
    pub const fn timestep(timestep: u32) -> Self {
        Self { timestep: Some(timestep), step: 0 }
    }

    /// This call of a loop for the whole batch; see [`Step`](crate::gpu::Step).
    pub const fn call(call: u32) -> Self {
        Self::timestep(call)
    }

    /// No timestep: the plan reads that of each sample, or the batch's, from a buffer, or has none.
    pub const fn per_sample() -> Self {
        Self { timestep: None, step: 0 }
    }

    /// The same at this noise step.
    pub const fn step(self, step: u32) -> Self {
        Self { step, ..self }
    }
}

/// The noise of a plan, or the tensor that stands in its place.
#[derive(Clone, Copy, Debug, Default)]
pub enum Noise<'a> {
    /// No noise: rows may have no coefficient for it; in a map it reads as zero.
    #[default]
    None,
    /// A tensor, which the application fills before each recording.
    Tensor(Tensor<'a>),
    /// Standard normal noise, drawn in the kernel.
    Drawn(Drawn<'a>),
}

impl<'a> Noise<'a> {
    /// Noise drawn with this key: one step, not written out.
    pub const fn drawn(key: NoiseKey) -> Self {
        Self::Drawn(Drawn::new(key))
    }

    /// The tensor that is read, if any.
    pub(crate) fn tensor(self) -> Option<Tensor<'a>> {
        if let Self::Tensor(tensor) = self { Some(tensor) } else { None }
    }

    /// The noise that is drawn, if any.
    pub(crate) fn draws(self) -> Option<Drawn<'a>> {
        if let Self::Drawn(drawn) = self { Some(drawn) } else { None }
    }

    /// Returns `true` if there is no noise.
    pub(crate) fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

impl<'a> From<Drawn<'a>> for Noise<'a> {
    fn from(drawn: Drawn<'a>) -> Self {
        Self::Drawn(drawn)
    }
}

/// Noise of one step under this key, not written out.
impl From<NoiseKey> for Drawn<'_> {
    fn from(key: NoiseKey) -> Self {
        Self::new(key)
    }
}

impl<'a> From<Tensor<'a>> for Noise<'a> {
    fn from(tensor: Tensor<'a>) -> Self {
        Self::Tensor(tensor)
    }
}

/// Noise that a kernel draws.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// Seed, stream and first sample. A recording at step `k` draws from stream `key.stream + k`, call `k` of a loop from
    /// the stream of its row.
    pub key: NoiseKey,
    /// The number of noise steps that may be recorded without setting a key: 1 to 65,536. A loop needs 1 for all calls.
    pub steps: u32,
    /// A seed and an index for each sample instead of the key's: four `u32` a sample, `[seed low, seed high, sample low,
    /// sample high]`, without gaps; and the byte at which they begin, a multiple of the device's
    /// `min_storage_buffer_offset_alignment`. Requests that share a batch keep their own noise.
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
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
        Self { key, steps: 1, seeds: None, keep: None, perturbed: None }
    }

    /// The same with this many noise steps, on consecutive streams.
    pub const fn steps(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// The same with a seed and an index for each sample, from the beginning of a buffer; see [`seeds`](Self::seeds).
    pub const fn seeded(self, buffer: &'a wgpu::Buffer) -> Self {
        Self { seeds: Some((buffer, 0)), ..self }
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

/// The reduction over the batch whose gradient is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// The sum of the samples' losses, each the mean over its elements.
    #[default]
    Sum,
    /// The mean of the samples' losses: the gradient of the sum over the number of samples.
    Mean,
}

impl Reduction {
    /// The factor of a gradient besides the weight: 1, or 1 over the number of samples.
    pub(crate) fn share(self, shape: Shape) -> f64 {
        self.share_of(f64::from(shape.batch.max(1)))
    }

    /// The same for this many samples.
    pub(crate) fn share_of(self, samples: f64) -> f64 {
        match self {
            Reduction::Sum => 1.0,
            Reduction::Mean => 1.0 / samples,
        }
    }
}

/// The gradient of a loss.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    /// The tensor that it is written to. It may be the very same elements as the prediction.
    pub tensor: Tensor<'a>,
    /// The reduction of the samples' losses whose gradient it is.
    pub reduction: Reduction,
    /// A factor of the gradient alone, which leaves the losses as they are.
    pub scale: GradientScale<'a>,
}

/// A factor of gradients, for training in 16 bits ("loss scaling", Micikevicius et al. 2018, arXiv 1710.03740).
///
/// The gradient of a mean over a batch is small: in f16, whose smallest positive number is 6e-8, a part of it becomes 0 and more
/// of it loses digits. A factor of some thousands, by which the optimizer divides again, keeps it in range; f32 and bf16 need
/// none.
#[doc(alias("loss scaling", "GradScaler", "amp"))]
#[derive(Clone, Copy, Debug)]
pub enum GradientScale<'a> {
    /// A number, finite and above 0. It costs nothing: the coefficients hold it.
    Factor(f64),
    /// An `f32` on the GPU, which the application may change from step to step, and two counts: 12 bytes, `[scale: f32,
    /// not_finite: u32, flushed: u32]`, of a buffer with usage STORAGE, from this byte on, a multiple of the device's
    /// `min_storage_buffer_offset_alignment`.
    ///
    /// Each recording adds to `not_finite` the elements that are infinite or NaN in the gradient's storage, and to `flushed`
    /// those that are not 0 but are stored as 0. The application clears both. Many elements that are not finite call for a
    /// smaller scale, many that are flushed for a larger one.
    Buffer(&'a wgpu::Buffer, u64),
}

impl<'a> Gradient<'a> {
    /// The gradient of the sum of the losses, unscaled.
    pub const fn sum(tensor: Tensor<'a>) -> Self {
        Self { tensor, reduction: Reduction::Sum, scale: GradientScale::ONE }
    }

    /// The gradient of the mean of the losses, unscaled.
    pub const fn mean(tensor: Tensor<'a>) -> Self {
        Self { reduction: Reduction::Mean, ..Self::sum(tensor) }
    }

    /// The same times a factor.
    pub const fn scaled(self, scale: GradientScale<'a>) -> Self {
        Self { scale, ..self }
    }
}

impl<'a> GradientScale<'a> {
    /// No scale.
    pub const ONE: Self = Self::Factor(1.0);

    /// The factor that the coefficients hold.
    pub(crate) fn factor(self) -> f64 {
        if let Self::Factor(factor) = self { factor } else { 1.0 }
    }

    /// The buffer that holds it.
    pub(crate) fn buffer(self) -> Option<(&'a wgpu::Buffer, u64)> {
        if let Self::Buffer(buffer, offset) = self { Some((buffer, offset)) } else { None }
    }
}

impl From<f64> for GradientScale<'_> {
    fn from(factor: f64) -> Self {
        Self::Factor(factor)
    }
}

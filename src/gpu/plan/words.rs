//! Plain 32-bit words in buffers: timesteps, seeds, counters, results, and intermediate results between dispatches.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::{GradientScale, Timesteps};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::role::{Role, SCALER, SEEDS, TIMESTEPS};
use crate::gpu::plan::window::Window;
use crate::gpu::tensor::{Shape, Tensor};
use std::ops::Range;

/// Bytes of a word.
const WORD: u64 = 4;

/// The words of a seed: `[seed low, seed high, sample low, sample high]`.
const SEED_WORDS: u32 = 4;

/// The words of a factor of gradients: `[scale, not finite, flushed]`.
const SCALER_WORDS: u32 = 3;

/// Consecutive words of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct WordRange<'a> {
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first word.
    pub offset: u64,
    /// The number of words.
    pub count: u64,
    /// Their role, if they are the caller's; `None` for the plan's own words.
    pub role: Option<Role>,
}

impl<'a> WordRange<'a> {
    /// All words of a buffer.
    pub fn of(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, count: buffer.size() / WORD, role: None }
    }

    /// This many words from a byte of a buffer on.
    pub fn at((buffer, offset): (&'a wgpu::Buffer, u64), count: u32) -> Self {
        Self { buffer, offset, count: u64::from(count), role: None }
    }

    /// The words of the samples of `shape` in a tensor, from sample `first` on, and the number of elements in the first word that
    /// lie before them. Checks them as [`check`](Self::check) does.
    pub fn of_tensor(
        name: &'static str,
        tensor: Tensor<'a>,
        shape: Shape,
        first: u32,
    ) -> Result<(Self, u32), PlanError> {
        let (storage, each) = (tensor.storage, tensor.storage.bytes());
        if !tensor.offset.is_multiple_of(each) {
            return Err(PlanError::Offset { tensor: name, storage, expected: each, found: tensor.offset });
        }
        let skipped = (u64::from(first) * tensor.stride_in(shape)).saturating_mul(each);
        let start = tensor.offset.saturating_add(skipped);
        let end = start.saturating_add(tensor.extent(shape).saturating_mul(each));
        let offset = start - start % WORD;
        let words = Self { buffer: tensor.buffer, offset, count: (end - offset).div_ceil(WORD), role: None };
        words.check(name)?;
        check_limit(
            name,
            "elements that a kernel counts",
            u64::from(u32::MAX),
            words.count.saturating_mul(WORD / each),
        )?;
        Ok((words, ((start % WORD) / each) as u32))
    }

    /// The words of a factor of gradients on the GPU, and of its counts.
    pub fn of_scale(scale: GradientScale<'a>) -> Option<Self> {
        scale.buffer().map(|at| Self::at(at, SCALER_WORDS).in_role(SCALER))
    }

    /// The same words with a role, as the caller's.
    pub fn in_role(self, role: Role) -> Self {
        Self { role: Some(role), ..self }
    }

    /// The bytes of the words.
    pub fn bytes(&self) -> Range<u64> {
        self.offset..self.offset + WORD * self.count
    }

    /// Returns `true` if the words share any byte with these bytes of a buffer.
    pub fn overlaps(&self, buffer: &wgpu::Buffer, bytes: &Range<u64>) -> bool {
        let own = self.bytes();
        self.buffer == buffer && own.start < bytes.end && bytes.start < own.end
    }

    /// Checks the buffer's usage, the offset, and that the words lie within the buffer.
    pub fn check(&self, name: &'static str) -> Result<(), PlanError> {
        let usage = self.buffer.usage();
        if !usage.contains(wgpu::BufferUsages::STORAGE) {
            return Err(PlanError::BufferUsage { tensor: name, found: format!("{usage:?}") });
        }
        if !self.offset.is_multiple_of(WORD) {
            return Err(PlanError::WordOffset { words: name, found: self.offset });
        }
        let expected = (WORD * self.count).saturating_add(self.offset);
        let found = self.buffer.size();
        if expected > found {
            return Err(PlanError::BufferTooSmall { tensor: name, expected, found });
        }
        Ok(())
    }

    /// Checks that the device can bind the words at once.
    pub fn check_binding(&self, name: &'static str, context: &Context) -> Result<(), PlanError> {
        let slack = self.offset % alignment(context);
        let allowed = context.limits().max_storage_buffer_binding_size;
        check_limit(name, "max_storage_buffer_binding_size", allowed, slack + WORD * self.count)
    }

    /// Checks words whose binding must begin at the first of them; `what` names their offset in errors.
    pub fn check_whole(&self, name: &'static str, what: &'static str, context: &Context) -> Result<(), PlanError> {
        let limits = context.limits();
        let allowed = u64::from(limits.min_storage_buffer_offset_alignment);
        if !self.offset.is_multiple_of(allowed) {
            let (limit, found) = ("min_storage_buffer_offset_alignment", self.offset);
            return Err(PlanError::DeviceLimit { what, limit, allowed, found });
        }
        check_limit(name, "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, WORD * self.count)
    }

    /// A binding that covers the words, and the index of the first one in it.
    pub fn binding(&self, context: &Context) -> (Part<'a>, u32) {
        // A binding may only begin at a multiple of the device's alignment, so it may begin before the words do.
        let slack = self.offset % alignment(context);
        let (offset, size) = (self.offset - slack, slack + WORD * self.count);
        (Part { buffer: self.buffer, offset, size, role: self.role }, (slack / WORD) as u32)
    }
}

/// The alignment of the start of a binding of words in bytes.
fn alignment(context: &Context) -> u64 {
    u64::from(context.limits().min_storage_buffer_offset_alignment).max(WORD)
}

/// `u32`s of the caller's that kernels read for each sample of a batch: timesteps or seeds.
#[derive(Clone, Copy)]
pub(crate) struct SampleWords<'a> {
    pub name: &'static str,
    pub role: Role,
    pub buffer: &'a wgpu::Buffer,
    offset: u64,
    /// Words from one sample's first word to the next sample's; 0 where all samples share one word.
    pub stride: u32,
    /// With timesteps per group, where a plan counts runs as samples, the number of entries: one for each group, or for each of
    /// the caller's samples. Kernels then bind them all.
    entries: Option<u32>,
}

impl<'a> SampleWords<'a> {
    /// The timesteps of a batch, if they lie in a buffer.
    pub fn of_timesteps(timesteps: Timesteps<'a>) -> Option<Self> {
        let words =
            |buffer, offset, stride| Self { name: "timesteps", role: TIMESTEPS, buffer, offset, stride, entries: None };
        match timesteps {
            Timesteps::Batch => None,
            Timesteps::PerSample { buffer, offset } => Some(words(buffer, offset, 1)),
            Timesteps::Shared { buffer, offset } => Some(words(buffer, offset, 0)),
            Timesteps::PerGroup { buffer, offset, .. } => Some(words(buffer, offset, 1)),
        }
    }

    /// A seed for each sample, from this byte of a buffer on.
    pub fn of_seeds((buffer, offset): (&'a wgpu::Buffer, u64)) -> Self {
        Self { name: "seeds", role: SEEDS, buffer, offset, stride: SEED_WORDS, entries: None }
    }

    /// The same words under this name.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// The same words as this many entries that kernels bind as a whole.
    pub fn whole(self, entries: u32) -> Self {
        Self { entries: Some(entries), ..self }
    }

    /// Returns `true` if all samples share one word.
    pub fn are_shared(&self) -> bool {
        self.stride == 0
    }

    /// The words of a whole batch.
    pub fn of_batch(&self, batch: u32) -> WordRange<'a> {
        self.of_samples(0, batch)
    }

    /// The words of a window's samples.
    pub fn of_window(&self, window: &Window) -> WordRange<'a> {
        self.of_samples(window.first_sample, window.samples)
    }

    fn of_samples(&self, first: u32, samples: u32) -> WordRange<'a> {
        let stride = u64::from(self.stride);
        let (first, samples) = self.entries.map_or((first, samples), |entries| (0, entries));
        // Samples that share a word have one together.
        let count = (stride * u64::from(samples)).max(1);
        let offset = self.offset + WORD * stride * u64::from(first);
        WordRange { buffer: self.buffer, offset, count, role: Some(self.role) }
    }
}

/// The memory in which a reduction leaves its result for each chunk.
#[derive(Clone, Copy)]
pub(crate) struct Partials<'a> {
    pub words: WordRange<'a>,
    /// The factor of the sums, where a chunk is a whole sample and `words` are the results of the batch.
    pub direct: Option<f32>,
}

impl Partials<'_> {
    /// The index of a window's first sum in the binding.
    pub fn first_of(&self, window: &Window, context: &Context) -> u32 {
        // Each window reuses scratch memory; results lie at the index of their sample.
        self.direct.map_or(0, |_| self.words.binding(context).1 + window.first_sample)
    }
}

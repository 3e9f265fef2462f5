//! Reductions: what is made of each sample as a whole, before a step or instead of one.
//!
//! **Theory.** A sample is cut into chunks of a fixed number of elements, so what is added to what depends on its size alone:
//! not on the batch, the device or the shape of a dispatch. A workgroup reduces a chunk, and a second kernel the chunks of a
//! sample, both as trees of a fixed order; short samples share a workgroup. A selection counts digits instead, pass after
//! pass; counts have no order.
//!
//! **Practice.** Sums of samples that are one chunk are written where they are wanted. What else passes between dispatches lies
//! in scratch memory of the plan's own: of a batch that would need more than [`SCRATCH`] bytes, some samples are reduced after
//! the others.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::tables::check;
use crate::gpu::plan::window::Window;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{CHUNK, FoldParams, MAX_GROUPS, WORKGROUP};
use wgpu::BufferUsages;

/// Bytes of scratch memory that samples share which are reduced at once.
const SCRATCH: u64 = 8 << 20;

/// A reduction of every sample to a number.
pub(crate) struct Reduction<'a> {
    /// What is reduced.
    pub job: Job<'a>,
    /// Bytes of scratch memory for a sample.
    pub bytes: u64,
    /// The lowest bits of the digits that are counted, one pass each; of a sum, one 0.
    pub digits: &'static [u32],
    /// How a pass ends, and its numbers, as far as they are the same for all passes and samples. With a pitch of more than 1
    /// each row of the table has a column of its own in the results.
    pub finish: Fold,
    pub numbers: FoldParams,
    /// Where the results go.
    pub output: Words<'a>,
    /// Where their mean goes, if it is wanted: of totals alone.
    pub mean: Option<Words<'a>>,
}

/// Words of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub buffer: &'a wgpu::Buffer,
    /// The first byte, and how many there are.
    pub offset: u64,
    pub bytes: u64,
}

impl<'a> Words<'a> {
    /// All of a buffer.
    pub fn of(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0, bytes: buffer.size() }
    }

    /// Whether the device binds as much at once.
    pub fn check(&self, what: &'static str, context: &Context) -> Result<(), PlanError> {
        let limits = context.limits();
        let slack = self.offset % u64::from(limits.min_storage_buffer_offset_alignment).max(4);
        check(what, "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, slack + self.bytes)
    }

    /// What to bind so that the words are in it, and the index of the first one there.
    pub fn binding(&self, context: &Context) -> (wgpu::BindingResource<'a>, u32) {
        let alignment = u64::from(context.limits().min_storage_buffer_offset_alignment).max(4);
        let offset = self.offset / alignment * alignment;
        let size = std::num::NonZero::new(self.offset - offset + self.bytes);
        let binding = wgpu::BufferBinding { buffer: self.buffer, offset, size };
        (wgpu::BindingResource::Buffer(binding), ((self.offset - offset) / 4) as u32)
    }
}

/// Where a reduction leaves what it made of each chunk.
#[derive(Clone, Copy)]
pub(crate) struct Scratch<'a> {
    pub words: Words<'a>,
    /// Where a chunk is a sample, these may be the results of the whole batch: the sums times this.
    pub results: Option<f32>,
}

impl Scratch<'_> {
    /// The word of a window's first sum in what is bound.
    pub fn first_of(&self, window: &Window, context: &Context) -> u32 {
        self.results.map_or(0, |_| self.words.binding(context).1 + window.first_sample)
    }
}

impl Reduction<'_> {
    /// Whether the sums of chunks are results already: of samples of one chunk, where each has one result, which lies in no
    /// buffer that is read at the same time.
    fn is_direct(&self) -> bool {
        let job = &self.job;
        let tensors = job.tensors().map(|(_, tensor)| tensor).chain(job.timesteps()).chain(job.seeds);
        job.op.sums()
            && self.numbers.pitch <= 1
            && self.numbers.parts == 1
            && tensors.map(|tensor| tensor.buffer).all(|buffer| buffer != self.output.buffer)
    }
}

/// How many chunks a sample of this many elements has.
pub(crate) fn chunks(elements: u32) -> u32 {
    elements.div_ceil(CHUNK)
}

/// How many invocations of a workgroup sum up so many parts together, `each` of them an invocation's own.
fn team(parts: u32, each: u32) -> u32 {
    parts.div_ceil(each).max(1).next_power_of_two().min(WORKGROUP)
}

/// How many invocations of a workgroup take a chunk together: fewer than all where samples are short, unless they count, in
/// bins of the workgroup's.
pub(crate) fn team_of(op: Op, elements: u32) -> u32 {
    if matches!(op, Op::Histogram { .. }) { WORKGROUP } else { team(elements, CHUNK / WORKGROUP) }
}

impl PlanBuilder<'_> {
    /// Adds a reduction: for each group of samples, its passes one after the other; then the mean of all of them.
    pub fn reduce(&mut self, reduction: &Reduction<'_>) -> Result<(), PlanError> {
        let limit = self.context.limits().max_storage_buffer_binding_size;
        check("results of samples", "max_storage_buffer_binding_size", limit, self.aligned(reduction.output.bytes))?;
        let windows = self.windows_of(reduction);
        let builder = self.builder(&reduction.job);
        let variant = builder.variant(builder.reducing_walk(&windows), &builder.outputs(), self.rows.rows);
        let reports = self.is_first_to_count(&variant);
        let at_once = windows.iter().map(|window| window.samples).max().unwrap_or(1);
        if reduction.is_direct() {
            let results = Scratch { words: reduction.output, results: Some(reduction.numbers.factor) };
            let job = Job { scratch: Some(results), ..reduction.job.clone() };
            self.place(&job, &variant, &windows, reports)?;
        } else {
            let scratch = self.scratch(reduction, u64::from(at_once) * reduction.bytes)?;
            let words = Words::of(&scratch);
            for group in windows.chunk_by(|a, b| a.first_sample == b.first_sample) {
                for &digit in reduction.digits {
                    let scratch = Some(Scratch { words, results: None });
                    let job = Job { scratch, digit, ..reduction.job.clone() };
                    self.place(&job, &variant, group, reports)?;
                    let Window { first_sample, samples, .. } = group[0];
                    let numbers = FoldParams { samples, first_sample, digit_shift: digit, ..reduction.numbers };
                    self.finish(reduction.finish, numbers, words, reduction.output)?;
                }
            }
        }
        let batch = reduction.job.shape.batch;
        reduction.mean.map_or(Ok(()), |mean| self.mean(reduction.output, batch, mean))
    }

    /// Adds the mean of so many results. More than a chunk of them are added up chunk by chunk first, since one workgroup takes
    /// long over a million; and so are fewer that lie in the same buffer as their mean, since no binding may be written twice.
    fn mean(&mut self, results: Words<'_>, batch: u32, mean: Words<'_>) -> Result<(), PlanError> {
        let sum = |samples, parts, factor| FoldParams { samples, parts, factor, ..FoldParams::default() };
        let factor = (1.0 / f64::from(batch)) as f32;
        let parts = chunks(batch);
        if parts == 1 && results.buffer != mean.buffer {
            return self.finish(Fold::Total, sum(1, batch, factor), results, mean);
        }
        let sums = self.context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("tweedie::fold_total::sums"),
            size: 4 * u64::from(parts),
            usage: BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        self.finish(Fold::Total, sum(parts, CHUNK.min(batch), 1.0), results, Words::of(&sums))?;
        self.finish(Fold::Total, sum(1, parts, factor), Words::of(&sums), mean)
    }

    /// Memory for what passes between dispatches.
    fn scratch(&self, reduction: &Reduction<'_>, size: u64) -> Result<wgpu::Buffer, PlanError> {
        let limits = self.context.limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        check("scratch memory", "max_storage_buffer_binding_size", allowed, size)?;
        Ok(self.context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(&reduction.job.label("scratch")),
            size,
            usage: BufferUsages::STORAGE,
            mapped_at_creation: false,
        }))
    }

    fn aligned(&self, bytes: u64) -> u64 {
        bytes.next_multiple_of(u64::from(self.context.limits().min_storage_buffer_offset_alignment).max(4))
    }

    /// Windows of whole chunks, and of no more samples than scratch memory has room for.
    fn windows_of(&self, reduction: &Reduction<'_>) -> Vec<Window> {
        let limit = self.context.limits().max_storage_buffer_binding_size;
        let most = if reduction.is_direct() { u64::MAX } else { (SCRATCH.min(limit) / reduction.bytes).max(1) };
        let most = most.min(u64::from(u32::MAX)) as u32;
        let windows = self.builder(&reduction.job).windows(CHUNK);
        windows.into_iter().flat_map(|window| window.split(most)).collect()
    }

    /// Adds the end of a pass.
    pub fn finish(
        &mut self,
        finish: Fold,
        numbers: FoldParams,
        scratch: Words<'_>,
        output: Words<'_>,
    ) -> Result<(), PlanError> {
        let team = if finish == Fold::Histogram { WORKGROUP } else { team(numbers.parts, 1) };
        let teams = numbers.samples.div_ceil(WORKGROUP / team);
        let groups = teams.min(MAX_GROUPS);
        let (scratch, first_part) = scratch.binding(self.context);
        let (output, first_result) = output.binding(self.context);
        let pitch = numbers.pitch.max(1);
        let numbers = FoldParams {
            groups_x: groups,
            first_result,
            first_part,
            team,
            pitch,
            nan_bits: f32::NAN.to_bits(),
            ..numbers
        };
        let label = |role| format!("tweedie::{}::{role}", finish.name());
        let (params, stride) = self.columns(&label("params"), numbers)?;
        let size = std::num::NonZero::new(size_of::<FoldParams>() as u64);
        let params = wgpu::BufferBinding { buffer: &params, offset: 0, size };
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, storage(true), false),
            entry(2, storage(true), false),
        ];
        let pipeline = self.context.small_pipeline(finish.name(), || finish.compose(), &bindings);
        let bound = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let group = self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&label("group")),
            layout: &pipeline.layout,
            entries: &[bound(0, wgpu::BindingResource::Buffer(params)), bound(1, scratch), bound(2, output)],
        });
        let workgroups = [groups, teams.div_ceil(groups), 1];
        self.dispatches.push(Dispatch { pipeline, group, workgroups, offsets: Offsets::Column(stride) });
        Ok(())
    }

    /// The numbers for each column of the results, and the bytes from one to the next.
    fn columns(&self, label: &str, numbers: FoldParams) -> Result<(wgpu::Buffer, u32), PlanError> {
        let size = size_of::<FoldParams>() as u32;
        let stride = size.next_multiple_of(self.context.limits().min_uniform_buffer_offset_alignment);
        let mut bytes = vec![0; (numbers.pitch * stride) as usize];
        for (slot, column) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
            let numbers = FoldParams { first_result: numbers.first_result + column, ..numbers };
            slot[..size as usize].copy_from_slice(bytemuck::bytes_of(&numbers));
        }
        let buffer = self.context.buffer_with(label, BufferUsages::UNIFORM, &bytes)?;
        Ok((buffer, if numbers.pitch == 1 { 0 } else { stride }))
    }
}

//! Reductions: what is made of each sample as a whole, before a step or instead of one.
//!
//! **Theory.** A sample is cut into chunks of a fixed number of elements, so what is added to what depends on its size alone:
//! not on the batch, the device or the shape of a dispatch. A workgroup reduces a chunk, and a second kernel the chunks of a
//! sample, both as trees of a fixed order. A selection counts digits instead, pass after pass; counts have no order.
//!
//! **Practice.** What passes between the dispatches lies in scratch memory of the plan's own: of a batch that would need more
//! than [`SCRATCH`] bytes, some samples are reduced after the others.

use super::build::{Builder, Draft};
use super::context::{entry, storage};
use super::error::PlanError;
use super::finish::{Finish, Numbers};
use super::kernel::Kernel;
use super::layout::{CHUNK, MAX_GROUPS};
use super::plan::Dispatch;
use super::upload::check;
use super::window::Window;
use wgpu::BufferUsages;

/// Bytes of scratch memory that samples share which are reduced at once.
const SCRATCH: u64 = 8 << 20;

/// A reduction of every sample to a number.
pub(super) struct Reduction<'a> {
    /// What is reduced.
    pub kernel: Kernel<'a>,
    /// Bytes of scratch memory for a sample.
    pub bytes: u64,
    /// The lowest bits of the digits that are counted, one pass each; of a sum, one 0.
    pub digits: &'static [u32],
    /// How a pass ends, and its numbers, as far as they are the same for all passes and samples.
    pub finish: Finish,
    pub numbers: Numbers,
    /// Where the results go.
    pub output: &'a wgpu::Buffer,
}

/// How many chunks a sample of this many elements has.
pub(super) fn chunks(elements: u32) -> u32 {
    elements.div_ceil(CHUNK)
}

impl Draft<'_> {
    /// Adds a reduction: for each group of samples, its passes one after the other.
    pub fn reduce(&mut self, reduction: &Reduction<'_>) -> Result<(), PlanError> {
        let builder = Builder { context: self.context, kernel: &reduction.kernel };
        let source = builder.source(builder.reducing_walk(), &builder.outputs(), self.rows.rows);
        let windows = self.windows_of(reduction)?;
        let at_once = windows.iter().map(|window| window.samples).max().unwrap_or(1);
        let scratch = self.context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(&reduction.kernel.label("scratch")),
            size: u64::from(at_once) * reduction.bytes,
            usage: BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        for group in windows.chunk_by(|a, b| a.first_sample == b.first_sample) {
            for &digit in reduction.digits {
                let kernel = Kernel { scratch: Some(&scratch), digit, ..reduction.kernel.clone() };
                self.place(&kernel, &source, group)?;
                let Window { first_sample, samples, .. } = group[0];
                let numbers = Numbers { samples, first_sample, shift: digit, ..reduction.numbers };
                self.finish(reduction.finish, numbers, &scratch, reduction.output);
            }
        }
        Ok(())
    }

    /// Windows of whole chunks, and of no more samples than scratch memory has room for.
    fn windows_of(&self, reduction: &Reduction<'_>) -> Result<Vec<Window>, PlanError> {
        let limit = self.context.limits().max_storage_buffer_binding_size;
        let what = "scratch memory of a sample";
        check(what, "max_storage_buffer_binding_size", limit, reduction.bytes)?;
        let most = (SCRATCH.min(limit) / reduction.bytes).max(1).min(u64::from(u32::MAX)) as u32;
        let windows = Builder { context: self.context, kernel: &reduction.kernel }.windows(CHUNK);
        Ok(windows.into_iter().flat_map(|window| window.split(most)).collect())
    }

    /// Adds the end of a pass.
    pub fn finish(&mut self, finish: Finish, numbers: Numbers, scratch: &wgpu::Buffer, output: &wgpu::Buffer) {
        let groups = numbers.samples.min(MAX_GROUPS);
        let numbers = Numbers { groups, nan: f32::NAN.to_bits(), ..numbers };
        let label = |role| format!("tweedie::{}::{role}", finish.name());
        let params = self.context.buffer_with(&label("params"), BufferUsages::UNIFORM, bytemuck::bytes_of(&numbers));
        let bindings = [
            entry(0, wgpu::BufferBindingType::Uniform, false),
            entry(1, storage(true), false),
            entry(2, storage(true), false),
        ];
        let pipeline = self.context.small_pipeline(finish.name(), || finish.compose(), &bindings);
        let buffers = [&params, scratch, output];
        let entries = [0, 1, 2]
            .map(|binding| wgpu::BindGroupEntry { binding, resource: buffers[binding as usize].as_entire_binding() });
        let group = self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&label("group")),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let workgroups = [groups, numbers.samples.div_ceil(groups), 1];
        self.dispatches.push(Dispatch { pipeline, group, workgroups, has_offsets: false });
    }
}

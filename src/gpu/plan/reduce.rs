//! Reductions of whole samples: sums for a step or for guidance, losses and terms.
//!
//! **Theory.** A sample is cut into chunks of a fixed number of elements, so the order of additions depends on its size alone,
//! not on the batch, the device or the shape of a dispatch. A workgroup reduces a chunk, and a second kernel the chunks of a
//! sample, both as trees of a fixed order; short samples share a workgroup. A selection counts digits instead, pass after
//! pass; counts do not depend on an order.
//!
//! **Practice.** Sums of samples that are one chunk are written directly to the results. All other partial results lie in the
//! plan's own scratch memory. Where a batch would need more than [`SCRATCH`] bytes of it, its samples are reduced group by
//! group.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::fold_pass::{FoldPass, total_params};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::layout::chunks;
use crate::gpu::plan::window::Window;
use crate::gpu::plan::words::{Partials, WordRange};
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::params::{CHUNK, FoldParams};
use crate::gpu::shader::variant::Variant;
use crate::gpu::storage::Storage;
use wgpu::BufferUsages;

/// The most bytes of scratch memory for the samples that are reduced at once, unless a single sample needs more.
const SCRATCH: u64 = 8 << 20;

/// A reduction of every sample to a number.
pub(crate) struct ReductionPass<'a> {
    pub job: Job<'a>,
    /// Bytes of partial results for a sample.
    pub partial_bytes: u64,
    /// The lowest bits of the digits that are counted, one pass each; a single 0 for a sum.
    pub digits: &'static [u32],
    pub fold: Fold,
    /// The parameters of the fold that are the same for all passes and samples. With a pitch of more than 1, each row of the
    /// table has a column of its own in the results.
    pub params: FoldParams,
    pub output: WordRange<'a>,
    /// The mean of the results over the batch, if it is wanted; only of sums.
    pub mean: Option<WordRange<'a>>,
}

impl<'a> ReductionPass<'a> {
    /// The sum over each sample, times a factor, in one of `pitch` columns.
    pub fn total(job: Job<'a>, factor: f64, pitch: u32, output: WordRange<'a>) -> Self {
        let parts = chunks(job.shape.elements);
        let partial_bytes = Storage::F32.bytes() * u64::from(parts);
        let params = total_params(parts, factor as f32, pitch);
        Self { job, partial_bytes, digits: &[0], fold: Fold::Total, params, output, mean: None }
    }

    /// Adds the dispatches to a plan: the passes of each group of samples, one after the other, and then the mean of all.
    pub fn add_to(&self, plan: &mut PlanBuilder<'_>) -> Result<(), PlanError> {
        check_results(plan.context, &self.output)?;
        let windows = self.windows(plan);
        let variant = plan.reducing_variant(&self.job, &windows);
        let counts = plan.is_first_to_count(&variant);
        if self.is_direct() {
            self.add_direct(plan, &variant, &windows, counts)?;
        } else {
            self.add_passes(plan, &variant, &windows, counts)?;
        }
        let batch = self.job.shape.batch;
        self.mean.map_or(Ok(()), |mean| add_mean(plan, self.output, batch, mean))
    }

    /// Returns `true` if the sums of chunks are results already.
    ///
    /// They are for samples of one chunk with one result each, unless a buffer that is read also holds the results: WebGPU
    /// forbids a dispatch that reads and writes one buffer through two bindings.
    fn is_direct(&self) -> bool {
        let job = &self.job;
        let buffers =
            job.tensors().map(|(_, tensor)| tensor.buffer).chain(job.sample_words().map(|words| words.buffer));
        job.op.sums()
            && self.params.pitch <= 1
            && self.params.parts == 1
            && buffers.into_iter().all(|buffer| buffer != self.output.buffer)
    }

    fn add_direct(
        &self,
        plan: &mut PlanBuilder<'_>,
        variant: &Variant,
        windows: &[Window],
        counts: bool,
    ) -> Result<(), PlanError> {
        // The kernel that reduces chunks multiplies by the factor itself, and no fold follows.
        let results = Partials { words: self.output, direct: Some(self.params.factor) };
        let job = Job { partials: Some(results), ..self.job.clone() };
        plan.dispatch_windows(&job, variant, windows, counts)
    }

    fn add_passes(
        &self,
        plan: &mut PlanBuilder<'_>,
        variant: &Variant,
        windows: &[Window],
        counts: bool,
    ) -> Result<(), PlanError> {
        // Scratch memory is as large as the largest window needs.
        let at_once = windows.iter().map(|window| window.samples).max().unwrap_or(1);
        let scratch = self.scratch(plan.context, u64::from(at_once) * self.partial_bytes)?;
        let words = WordRange::of(&scratch);
        // Windows within one sample fill the same scratch memory side by side before it is folded. The next group of
        // samples reuses it: dispatches of a pass are ordered, so the fold has read it by then.
        for group in windows.chunk_by(|a, b| a.first_sample == b.first_sample) {
            // A digit is counted among the elements that share all higher digits with the result, so each pass needs the one
            // before.
            for &digit in self.digits {
                let partials = Some(Partials { words, direct: None });
                let job = Job { partials, digit, ..self.job.clone() };
                plan.dispatch_windows(&job, variant, group, counts)?;
                let Window { first_sample, samples, .. } = group[0];
                let params = FoldParams { samples, first_sample, digit_shift: digit, ..self.params };
                let fold = FoldPass { fold: self.fold, params, partials: words, output: self.output };
                plan.dispatches.push(fold.dispatch(plan.context)?);
            }
        }
        Ok(())
    }

    /// Memory for the partial results of the samples that are reduced at once.
    fn scratch(&self, context: &Context, size: u64) -> Result<wgpu::Buffer, PlanError> {
        let limits = context.limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        check_limit("scratch memory", "max_storage_buffer_binding_size", allowed, size)?;
        Ok(context.zeroed_buffer(&self.job.label("scratch"), BufferUsages::STORAGE, size))
    }

    /// Windows of whole chunks, and of no more samples than scratch memory has room for.
    fn windows(&self, plan: &PlanBuilder<'_>) -> Vec<Window> {
        let limit = plan.context.limits().max_storage_buffer_binding_size;
        // Direct results need no scratch memory, so nothing limits the samples of a window.
        let most = if self.is_direct() { u64::MAX } else { (SCRATCH.min(limit) / self.partial_bytes).max(1) };
        let most = most.min(u64::from(u32::MAX)) as u32;
        let windows = plan.layout(&self.job).windows(CHUNK);
        windows.into_iter().flat_map(|window| window.split(most)).collect()
    }
}

/// Checks that one binding holds the results of all samples, wherever they begin.
fn check_results(context: &Context, output: &WordRange<'_>) -> Result<(), PlanError> {
    let limits = context.limits();
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(4);
    let bytes = output.bytes();
    let size = (bytes.end - bytes.start).next_multiple_of(alignment);
    let (limit, allowed) = ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size);
    check_limit("results of samples", limit, allowed, size)
}

/// Adds the mean of this many results.
///
/// If there are more than a chunk of them, they are first added up chunk by chunk, since one workgroup would take long over a
/// million. So are fewer results in the same buffer as their mean, since a dispatch may not bind a buffer for writing twice.
fn add_mean(
    plan: &mut PlanBuilder<'_>,
    results: WordRange<'_>,
    batch: u32,
    mean: WordRange<'_>,
) -> Result<(), PlanError> {
    let context = plan.context;
    let factor = (1.0 / f64::from(batch)) as f32;
    let parts = chunks(batch);
    // A chunk of results is one workgroup's work.
    if parts == 1 && results.buffer != mean.buffer {
        plan.dispatches.push(FoldPass::total([1, batch], factor, results, mean).dispatch(context)?);
        return Ok(());
    }
    let sums = context.zeroed_buffer("tweedie::fold_total::sums", BufferUsages::STORAGE, 4 * u64::from(parts));
    let sums = WordRange::of(&sums);
    plan.dispatches.push(FoldPass::total([parts, CHUNK.min(batch)], 1.0, results, sums).dispatch(context)?);
    plan.dispatches.push(FoldPass::total([1, parts], factor, sums, mean).dispatch(context)?);
    Ok(())
}

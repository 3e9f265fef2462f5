//! The variational bound over a whole chain: the terms of all timesteps, and their sum.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::{Recording, Timesteps};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::check::check_results;
use crate::gpu::plan::fold_pass::FoldPass;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::plan::{Bound, Plan};
use crate::gpu::plan::reduce::ReductionPass;
use crate::gpu::plan::words::WordRange;
use crate::gpu::record_error::RecordError;
use crate::gpu::vlb::inputs::VlbInputs;
use crate::noise::NoiseKey;
use std::sync::Arc;
use wgpu::BufferUsages;

/// The inputs and outputs of a [`VlbLoop`].
#[derive(Clone, Copy, Debug)]
pub struct VlbLoopTerms<'a> {
    /// The inputs of each term. The table has a row for each timestep, and one for each other term of the sum. Each row has a
    /// column in the terms. The network's output tensors hold new outputs at each recording.
    pub inputs: VlbInputs<'a>,
    /// The buffer, with usage STORAGE, for the sum over the columns, if it is wanted: an `f32` a sample; and the byte at which
    /// they begin.
    pub total: Option<(&'a wgpu::Buffer, u64)>,
}

/// The terms of a chain, recorded one timestep after the other around the caller's network, and their sum.
///
/// Terms that are not recorded are NaN, and so is a sum that lacks one. Nothing is read back in between.
#[derive(Debug)]
pub struct VlbLoop {
    plan: Plan,
    clear: Bound,
    total: Option<Bound>,
    terms: wgpu::Buffer,
}

impl VlbLoop {
    /// Makes the plans.
    ///
    /// Cost: that of a [`VlbTerms`](super::VlbTerms), and 4 bytes for each sample and row of the table.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn new(context: &Context, chain: &VlbLoopTerms<'_>) -> Result<Self, PlanError> {
        Self::with_keys(context, chain, None)
    }

    /// Makes the plans with keys that another one has uploaded already.
    pub(crate) fn with_keys(
        context: &Context,
        chain: &VlbLoopTerms<'_>,
        keys: Option<&Arc<Keys>>,
    ) -> Result<Self, PlanError> {
        let VlbLoopTerms { inputs, total } = *chain;
        inputs.check()?;
        let table = inputs.scaled(1.0);
        let rounded = table.rounded()?;
        let job = Job { keys, ..inputs.job(Timesteps::Batch, &rounded, 1.0) };
        let batch = inputs.shape.batch;
        let mut builder = PlanBuilder::new(context, &job, false)?;
        let rows = table.len() as u32;
        let count = u64::from(batch) * u64::from(rows);
        let limits = context.limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        check_limit("terms of a chain", "max_storage_buffer_binding_size", allowed, 4 * count)?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
        let terms = context.zeroed_buffer("tweedie::VlbLoop::terms", usage, 4 * count);
        let all = WordRange::of(&terms);
        let sum = |slot| {
            let output = WordRange::at(slot, batch);
            check_results(&job, "total", &output)?;
            let dispatch = FoldPass::total([batch, rows], 1.0, all, output).dispatch(context)?;
            Ok::<_, PlanError>(dispatch.bound(context, &builder.places))
        };
        let total = total.map(sum).transpose()?;
        // A sum over zero parts, scaled by NaN, fills the terms with NaN.
        let nothing = context.zeroed_buffer("tweedie::VlbLoop::nothing", usage, 16);
        let clear = FoldPass::total([count as u32, 0], f32::NAN, WordRange::of(&nothing), all).dispatch(context)?;
        let clear = clear.bound(context, &builder.places);
        // Each row of the table has a column: recording a timestep writes the terms of its column alone.
        ReductionPass::total(job.clone(), 1.0, rows, all).add_to(&mut builder)?;
        Ok(Self { plan: builder.done(), clear, total, terms })
    }

    /// Records the beginning of a chain: all terms become NaN.
    pub fn record_start(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.clear.record(pass, &[0]);
    }

    /// Records the terms of a timestep into the caller's pass: one pass over the tensors and a small dispatch. Timesteps may be
    /// recorded in any order. It does not allocate, upload or submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: Recording) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the sum of each sample's terms, which are always added in the same order, whatever the order of the recordings;
    /// nothing if no sum was requested.
    pub fn record_total(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.total.iter().for_each(|dispatch| dispatch.record(pass, &[0]));
    }

    /// The buffer of the terms, `[batch, rows of the table]` of `f32`. The caller's encoder may copy it.
    pub fn terms(&self) -> &wgpu::Buffer {
        &self.terms
    }

    /// Sets a key, as [`Plan::set_key`] does.
    ///
    /// # Errors
    /// [`RecordError`] for a plan that draws no noise, or a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }
}

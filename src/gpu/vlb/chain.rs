//! The bound over a whole chain: the terms of all timesteps side by side, and their sum.

use super::{Shape, Tensor, Timesteps, VlbInputs};
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::map::At;
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::plan::{Dispatch, Plan};
use crate::gpu::plan::reduce::{Reduction, Words};
use crate::gpu::plan::tables::check;
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::params::FoldParams;
use wgpu::BufferUsages;

/// What a [`ChainPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct ChainTerms<'a> {
    /// What each term is computed from. The table has a row for each timestep, and for whatever else is a term of the sum:
    /// each is a column of the terms. The network's outputs are others at each recording.
    pub inputs: VlbInputs<'a>,
    /// Where the sum over the columns goes, if it is wanted: an `f32` a sample, from this byte of a buffer with usage STORAGE.
    pub total: Option<(&'a wgpu::Buffer, u64)>,
}

/// The terms of a chain, recorded one timestep after the other around the caller's network, and added up.
///
/// Terms that are not recorded are NaN, and so is a sum that lacks one. Nothing is read back in between.
#[derive(Debug)]
pub struct ChainPlan {
    plan: Plan,
    clear: Vec<Dispatch>,
    total: Vec<Dispatch>,
    terms: wgpu::Buffer,
}

impl ChainPlan {
    /// Makes a plan.
    ///
    /// Cost: that of a [`VlbPlan`](super::VlbPlan), and 4 bytes for each sample and row of the table.
    ///
    /// # Errors
    /// [`PlanError`] says what is rejected.
    pub fn new(context: &Context, chain: &ChainTerms<'_>) -> Result<Self, PlanError> {
        let ChainTerms { inputs, total } = *chain;
        inputs.check()?;
        let table = inputs.scaled(1.0);
        let rounded = table.rounded()?;
        let job = inputs.job(Timesteps::Batch, &rounded);
        let shape = inputs.shape;
        let mut draft = PlanBuilder::new(context, &job, false)?;
        let rows = table.len() as u32;
        let words = u64::from(shape.batch) * u64::from(rows);
        let limits = context.limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        check("terms of a chain", "max_storage_buffer_binding_size", allowed, 4 * words)?;
        let buffer = |role, size| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
            let (label, mapped_at_creation) = (Some(role), false);
            context.device().create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation })
        };
        let (terms, nothing) = (buffer("tweedie::Chain::terms", 4 * words), buffer("tweedie::Chain::nothing", 16));
        let sums = |samples, parts, factor| FoldParams { samples, parts, factor, ..FoldParams::default() };
        if let Some((buffer, offset)) = total {
            job.check_apart("total", &Tensor::f32(buffer).at(offset), Shape::new(shape.batch, 1))?;
            let output = Words { buffer, offset, bytes: 4 * u64::from(shape.batch) };
            draft.finish(Fold::Total, sums(shape.batch, rows, 1.0), Words::of(&terms), output)?;
        }
        let total = std::mem::take(&mut draft.dispatches);
        // The sum of no parts, times NaN.
        draft.finish(Fold::Total, sums(words as u32, 0, f32::NAN), Words::of(&nothing), Words::of(&terms))?;
        let clear = std::mem::take(&mut draft.dispatches);
        draft.reduce(&Reduction::total(job, 1.0, rows, Words::of(&terms)))?;
        Ok(Self { plan: draft.done(), clear, total, terms })
    }

    /// Records that no term is known: the beginning of a chain.
    pub fn record_start(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.clear.iter().for_each(|dispatch| dispatch.record(pass, &[0]));
    }

    /// Records the terms of a timestep, in any order of them, into the caller's pass: one pass over the tensors and a
    /// small dispatch. No heap allocation, no upload, no submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the sum of each sample's terms: always in the same order, whatever that of the recordings was.
    pub fn record_total(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.total.iter().for_each(|dispatch| dispatch.record(pass, &[0]));
    }

    /// The terms, an `f32` each: for each sample a run with one of each row of the table. The caller's encoder may copy it.
    pub fn terms(&self) -> &wgpu::Buffer {
        &self.terms
    }

    /// As [`MapPlan::set_key`](crate::gpu::MapPlan::set_key).
    ///
    /// # Errors
    /// [`RecordError`] for a plan that draws no noise, and a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }
}

//! The plan of a loop's steps.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::At;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::op::step as slots;
use crate::gpu::step::bounds::Bounds;
use crate::gpu::step::clean_stats::CleanStats;
use crate::gpu::step::history::History;
use crate::gpu::step::inputs::{Step, preview};
use crate::gpu::step::scales;
use crate::gpu::tensor::Tensor;
use crate::noise::NoiseKey;
use crate::table::RoundedTable;
use crate::table::step::StepRow;
use std::cell::RefCell;

/// A loop whose steps are ready to be recorded.
#[derive(Debug)]
pub struct StepPlan {
    plan: Plan,
    clean_stats: Option<wgpu::Buffer>,
    history: Option<History>,
    bounds: Bounds,
}

impl StepPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles a shader; every plan uploads 80 bytes a row (one aligned slot a row for one
    /// call per batch) and, for solvers that look back, allocates as many clean samples as they look back to. [`PlanError`]
    /// lists the inputs that are rejected.
    pub fn new(context: &Context, step: &Step<'_>) -> Result<Self, PlanError> {
        Self::remembering(context, step, None)
    }

    /// Makes a plan of the same loop on other tensors: it remembers in the same memory, so that each call may be recorded
    /// from either. For hosts whose allocator hands out other memory at every call.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`PlanError::History`] for a loop whose history buffer is another.
    pub fn beside(&self, context: &Context, step: &Step<'_>) -> Result<Self, PlanError> {
        Self::remembering(context, step, Some(self))
    }

    fn remembering(context: &Context, step: &Step<'_>, beside: Option<&Self>) -> Result<Self, PlanError> {
        step.check()?;
        let numbers = step.rows.iter().enumerate().map(|(call, row)| Some(row.numbers(call)));
        let rows = RoundedTable::new(numbers)?;
        let clean_stats = step.clean_stats.then(|| CleanStats::buffer(context, rows.len())).transpose()?;
        let job = step.job(&rows, clean_stats.as_ref());
        let history = RefCell::new(None);
        let plan = PlanBuilder::plan(context, &job, |plan| {
            // Factors and thresholds first: the step reads them, and may replace the tensors that they are made of.
            let scales = scales::plan(plan, &job, &step.rules, step.rows)?;
            let mut job = Job { scales: scales.as_ref(), ..job.clone() }.as_one_sample();
            let past = History::new(plan, &job, beside.map(|plan| plan.history.as_ref()))?;
            job.tensors[slots::HISTORY] = past.as_ref().map(|past| past.tensor(&job));
            history.replace(past.clone());
            // In the four-buffer form the clean sample goes first, in a dispatch of its own, if that spares a binding too
            // many.
            if plan.four_buffers && !plan.fits(&job) && job.tensors[slots::X0].is_some() {
                plan.stream(&preview(&job))?;
                job.tensors[slots::X0] = None;
            }
            plan.stream(&job)
        })?;
        Ok(Self { plan, clean_stats, history: history.into_inner(), bounds: Bounds::of(step) })
    }

    /// Records a call's step into the caller's pass: one dispatch, or one for each window of buffers that are larger than
    /// the device binds at once; two more before it for guidance rescale, and six for a threshold. Sets the pipeline and
    /// bind group 0. No heap allocation, no upload, no submit.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records a call's step into a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// The same plan on other tensors, by their roles; see [`MapPlan::moved`](crate::gpu::MapPlan::moved).
    /// It remembers in the same memory, so that each call may be recorded from either.
    ///
    /// # Errors
    /// As there.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let plan = self.plan.moved(context, tensors)?;
        Ok(Self { plan, clean_stats: self.clean_stats.clone(), history: self.history.clone(), bounds: self.bounds })
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches()
    }

    /// Draws from another key from now on, for the next run of the loop, through the caller's queue. It holds for all that
    /// is submitted after this call.
    pub fn set_key(&self, queue: &wgpu::Queue, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, 0, key)
    }

    /// Writes rows in place of those from `first` on, through the caller's queue: other guidance, steps or samplers. They hold
    /// for all that is submitted after this call, in the plans that were [moved](Self::moved) from this one too. Call `k`
    /// still draws on stream `k` of the key.
    ///
    /// A plan binds what its first rows use: rows may ask for noise, guidance, a learned deviation and the past as far as
    /// those did.
    ///
    /// # Errors
    /// [`PlanError::Missing`] and [`PlanError::Depth`] for rows that ask for more, [`PlanError::Rows`] beyond the end,
    /// [`PlanError::Table`] for a number that f32 cannot hold; then nothing is written.
    pub fn set_rows(&self, queue: &wgpu::Queue, first: u32, rows: &[StepRow]) -> Result<(), PlanError> {
        self.bounds.check(first, rows)?;
        let numbers = (first as usize..).zip(rows).map(|(call, row)| Some(row.numbers(call)));
        self.plan.set_rows(queue, first, &RoundedTable::new(numbers)?)
    }

    /// The status buffer, for calls from a buffer, as [`MapPlan::status`](crate::gpu::MapPlan::status).
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status()
    }

    /// The statistics of the clean samples, if they are kept: [`CleanStats::BYTES`] for each call, read by
    /// [`CleanStats::decode`]. The caller's encoder may copy and clear them.
    pub fn clean_stats(&self) -> Option<&wgpu::Buffer> {
        self.clean_stats.as_ref()
    }
}

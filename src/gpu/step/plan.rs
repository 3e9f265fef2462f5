//! The plan of a loop's steps.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::Plan;
use crate::gpu::shader::slots::step as slots;
use crate::gpu::step::clean_stats::CleanStats;
use crate::gpu::step::history::History;
use crate::gpu::step::inputs::{Step, preview};
use crate::gpu::step::scales;

impl Step<'_> {
    /// Makes the plan of all calls.
    ///
    /// A recording is one dispatch, or one for each window of buffers that are larger than the device binds at once, with two
    /// more before it for guidance rescale, and six for a threshold.
    ///
    /// Cost: the first plan of a kind compiles a shader; every plan uploads 80 bytes a row (144 for rows with further parts, 208
    /// with slices; one aligned slot a row for one call per batch). For solvers that look back it allocates as many clean samples
    /// as they look back to, unless [`memory`](Self::memory) is given.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        self.check()?;
        let rows = self.bounds().rounded(0, self.rows)?;
        let clean_stats = self.clean_stats.then(|| CleanStats::buffer(context, rows.len())).transpose()?;
        let job = self.job(&rows, clean_stats.as_ref())?;
        PlanBuilder::plan(context, &job, |plan| {
            // Factors and thresholds first: the step reads them, and may replace the tensors from which they are computed.
            let scales = scales::plan(plan, &job, &self.options, self.rows)?;
            let mut job = Job { scales: scales.as_ref(), ..job.clone() }.as_one_sample();
            let history = History::new(plan, &job)?;
            if let Some(history) = &history {
                job.tensors[slots::HISTORY] = Some(history.tensor(&job));
            }
            // In the four-buffer form the clean sample is written first, by a dispatch of its own, if one kernel would bind too
            // many buffers.
            if plan.four_buffers && !plan.fits(&job) && job.tensors[slots::X0].is_some() {
                plan.stream(&preview(&job))?;
                job.tensors[slots::X0] = None;
            }
            plan.stream(&job)
        })
    }
}

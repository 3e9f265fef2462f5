//! Plans of losses and of terms of the variational bound: a sum for each sample, their mean, and optional outputs for each
//! element.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::GradientScale;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::check::{check, check_results};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::reduce::ReductionPass;
use crate::gpu::plan::role::{MEAN, RESULTS};
use crate::gpu::plan::words::WordRange;

/// A buffer of the caller's, and the byte at which results begin.
pub(crate) type ResultSlot<'a> = (&'a wgpu::Buffer, u64);

/// Checks the factor of a gradient. The weights of the rows are multiplied by `share`, which is the factor with that of the
/// reduction, and the sums are divided by it again. `weights` are those of the rows without it.
pub(crate) fn check_scale(
    scale: GradientScale<'_>,
    share: f64,
    mut weights: impl Iterator<Item = f64>,
) -> Result<(), PlanError> {
    let found = scale.factor();
    let refuse = |expected| Err(PlanError::Rule { what: "gradient scale", expected, found });
    let is_normal = |x: f64| (x as f32).is_normal();
    if !(found > 0.0 && is_normal(found)) {
        return refuse("finite and above 0");
    }
    // A weight that f32 holds only without the factor. Weights that it cannot hold anyway are not the scale's fault.
    let is_lost = |weight: f64| is_normal(weight) && (weight * share).abs() < f64::from(f32::MIN_POSITIVE);
    if !is_normal(1.0 / share) || weights.any(is_lost) {
        return refuse("large enough that the weights of the losses, and 1 over it, are normal numbers of f32");
    }
    Ok(())
}

/// Sums over the elements of each sample.
pub(crate) struct Sums<'a> {
    /// The op that is summed over the elements, and the outputs that it writes for each element.
    pub job: Job<'a>,
    /// The factor of the sums besides the weights of the rows.
    pub factor: f64,
    /// The sums, and their name in errors.
    pub samples: (&'static str, ResultSlot<'a>),
    /// The mean of the sums.
    pub mean: Option<ResultSlot<'a>>,
}

impl<'a> Sums<'a> {
    /// Makes the plan: one pass over the tensors that sums and writes outputs, where that is possible, and the folds of the sums.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let job = &self.job;
        check(job)?;
        self.check()?;
        PlanBuilder::plan(context, job, |plan| {
            plan.places.add_results(self.samples.0, &self.results());
            self.mean_words().iter().for_each(|mean| plan.places.add_results("mean", mean));
            // The usual case: outputs are written while the sums are computed, and every tensor is read once.
            if plan.writes_while_reducing(job) {
                return self.reduction(job.clone()).add_to(plan);
            }
            // The sums first: an output may replace an input that they read.
            self.reduction(job.without_outputs()).add_to(plan)?;
            plan.stream(job)
        })
    }

    fn check(&self) -> Result<(), PlanError> {
        let (name, _) = self.samples;
        let samples = self.results();
        check_results(&self.job, name, &samples)?;
        let scale = self.job.scaler;
        let meets_scale =
            |words: &WordRange<'_>| scale.is_some_and(|scale| scale.overlaps(words.buffer, &words.bytes()));
        if meets_scale(&samples) {
            return Err(PlanError::Overlap { output: name, other: "scale" });
        }
        let Some(mean) = self.mean_words() else { return Ok(()) };
        check_results(&self.job, "mean", &mean)?;
        if meets_scale(&mean) {
            return Err(PlanError::Overlap { output: "mean", other: "scale" });
        }
        if samples.overlaps(mean.buffer, &mean.bytes()) {
            return Err(PlanError::Overlap { output: "mean", other: name });
        }
        Ok(())
    }

    fn results(&self) -> WordRange<'a> {
        WordRange::at(self.samples.1, self.job.shape.batch).in_role(RESULTS)
    }

    fn mean_words(&self) -> Option<WordRange<'a>> {
        self.mean.map(|mean| WordRange::at(mean, 1).in_role(MEAN))
    }

    fn reduction<'b>(&self, job: Job<'b>) -> ReductionPass<'b>
    where
        'a: 'b,
    {
        ReductionPass { mean: self.mean_words(), ..ReductionPass::total(job, self.factor, 1, self.results()) }
    }
}

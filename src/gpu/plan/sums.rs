//! A number for each sample, their mean, and what is written beside them: what a loss and a term of the variational bound
//! have in common.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::reduce::{Reduction, Words, chunks};
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::params::FoldParams;
use crate::gpu::{Shape, Storage, Tensor};

/// Where one number a sample goes, or one number: a buffer, and the byte at which it begins.
pub(crate) type Place<'a> = (&'a wgpu::Buffer, u64);

/// Sums over the elements of each sample.
pub(crate) struct Sums<'a> {
    /// What is summed, and what is written of the elements.
    pub job: Job<'a>,
    /// What the sums are multiplied with beside the weights of the rows.
    pub factor: f64,
    /// Where the sums go, and their name in errors.
    pub samples: (&'static str, Place<'a>),
    /// Where their mean goes.
    pub mean: Option<Place<'a>>,
}

impl Sums<'_> {
    /// The plan: one pass over the tensors that sums and writes, where that is possible, and the ends of the sums.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        let job = &self.job;
        job.check()?;
        self.check()?;
        PlanBuilder::plan(context, job, |draft| {
            if draft.writes_while_reducing(job) {
                return draft.reduce(&self.reduction(job.clone()));
            }
            let mut reduced = job.clone();
            let slots = 0..reduced.tensors.len();
            slots.filter(|&slot| is_output(job, slot)).for_each(|slot| reduced.tensors[slot] = None);
            draft.reduce(&self.reduction(reduced))?;
            draft.stream(job)
        })
    }

    fn check(&self) -> Result<(), PlanError> {
        let (one, all) = (Shape::new(1, 1), Shape::new(self.job.shape.batch, 1));
        let (name, (buffer, offset)) = self.samples;
        let samples = Tensor::f32(buffer).at(offset);
        self.job.check_apart(name, &samples, all)?;
        let Some((buffer, offset)) = self.mean else { return Ok(()) };
        let mean = Tensor::f32(buffer).at(offset);
        self.job.check_apart("mean", &mean, one)?;
        if mean.buffer == samples.buffer && samples.bytes(all).contains(&offset) {
            return Err(PlanError::Overlap { output: "mean", other: name });
        }
        Ok(())
    }

    fn reduction<'b>(&'b self, job: Job<'b>) -> Reduction<'b> {
        let words = |(buffer, offset), count: u32| Words { buffer, offset, bytes: 4 * u64::from(count) };
        let output = words(self.samples.1, job.shape.batch);
        Reduction { mean: self.mean.map(|mean| words(mean, 1)), ..Reduction::total(job, self.factor, 1, output) }
    }
}

/// Whether a slot of the op is written.
fn is_output(job: &Job<'_>, slot: usize) -> bool {
    job.op.slots().get(slot).is_some_and(crate::gpu::shader::op::Slot::is_output)
}

impl<'a> Reduction<'a> {
    /// The sum over each sample, times a number; see [`finish`](Reduction::finish) for the pitch.
    pub fn total(job: Job<'a>, factor: f64, pitch: u32, output: Words<'a>) -> Self {
        let parts = chunks(job.shape.elements);
        let numbers = FoldParams { parts, pitch, factor: factor as f32, ..FoldParams::default() };
        let bytes = Storage::F32.bytes() * u64::from(parts);
        Self { job, bytes, digits: &[0], finish: Fold::Total, numbers, output, mean: None }
    }
}

//! A number for each sample, their mean, and what is written beside them: what a loss and a term of the variational bound
//! have in common.

use super::build::Draft;
use super::context::Context;
use super::error::PlanError;
use super::finish::{Finish, Numbers};
use super::kernel::Kernel;
use super::plan::Plan;
use super::reduce::{Reduction, Words, chunks};
use super::{Shape, Storage, Tensor};

/// Where one number a sample goes, or one number: a buffer, and the byte at which it begins.
pub(super) type Place<'a> = (&'a wgpu::Buffer, u64);

/// Sums over the elements of each sample.
pub(super) struct Sums<'a> {
    /// What is summed, and what is written of the elements.
    pub kernel: Kernel<'a>,
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
        let kernel = &self.kernel;
        kernel.check()?;
        self.check()?;
        Draft::plan(context, kernel, |draft| {
            if draft.writes_while_reducing(kernel) {
                return draft.reduce(&self.reduction(kernel.clone()));
            }
            let mut reduced = kernel.clone();
            let slots = 0..reduced.tensors.len();
            slots.filter(|&slot| is_output(kernel, slot)).for_each(|slot| reduced.tensors[slot] = None);
            draft.reduce(&self.reduction(reduced))?;
            draft.stream(kernel)
        })
    }

    fn check(&self) -> Result<(), PlanError> {
        let (one, all) = (Shape::new(1, 1), Shape::new(self.kernel.shape.batch, 1));
        let (name, (buffer, offset)) = self.samples;
        let samples = Tensor::f32(buffer).at(offset);
        self.kernel.check_apart(name, &samples, all)?;
        let Some((buffer, offset)) = self.mean else { return Ok(()) };
        let mean = Tensor::f32(buffer).at(offset);
        self.kernel.check_apart("mean", &mean, one)?;
        if mean.buffer == samples.buffer && samples.bytes(all).contains(&offset) {
            return Err(PlanError::Overlap { output: "mean", other: name });
        }
        Ok(())
    }

    fn reduction<'b>(&'b self, kernel: Kernel<'b>) -> Reduction<'b> {
        let words = |(buffer, offset), count: u32| Words { buffer, offset, bytes: 4 * u64::from(count) };
        let output = words(self.samples.1, kernel.shape.batch);
        Reduction { mean: self.mean.map(|mean| words(mean, 1)), ..Reduction::total(kernel, self.factor, 1, output) }
    }
}

/// Whether a slot of the op is written.
fn is_output(kernel: &Kernel<'_>, slot: usize) -> bool {
    kernel.op.slots().get(slot).is_some_and(super::op::Slot::is_output)
}

impl<'a> Reduction<'a> {
    /// The sum over each sample, times a number; see [`finish`](Reduction::finish) for the pitch.
    pub fn total(kernel: Kernel<'a>, factor: f64, pitch: u32, output: Words<'a>) -> Self {
        let parts = chunks(kernel.shape.elements);
        let numbers = Numbers { parts, pitch, numbers: [factor as f32, 0.0, 0.0, 0.0], ..Numbers::default() };
        let bytes = Storage::F32.bytes() * u64::from(parts);
        Self { kernel, bytes, digits: &[0], finish: Finish::Total, numbers, output, mean: None }
    }
}

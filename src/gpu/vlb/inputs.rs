//! The inputs of terms of the variational bound.

use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Second, Timesteps};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::keys::Drawing;
use crate::gpu::plan::words::SampleWords;
use crate::gpu::shader::op::{Op, SLOTS, vlb as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::vlb::{Term, VlbRow};
use crate::table::{RoundedTable, Table};

/// The inputs of a term of the variational bound (VLB).
#[derive(Clone, Copy, Debug)]
pub struct VlbInputs<'a> {
    /// A row for each timestep.
    pub table: &'a Table<VlbRow>,
    /// The clean sample that the prediction implies is clamped to `-clip..=clip`.
    pub clip: Option<f64>,
    /// The batch.
    pub shape: Shape,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// Its second output, if a row looks at it: the learned variance.
    pub learned: Option<Tensor<'a>>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noise, given or drawn as for the noising, or the noisy sample, whichever the rows are for; if one looks at it.
    pub in1: Option<Second<'a>>,
    /// A seed for each sample, as [`Loss::seeds`](crate::gpu::Loss::seeds).
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
}

impl<'a> VlbInputs<'a> {
    /// The rows with all that multiplies the gradients in their weight, so that it is rounded once.
    pub(super) fn scaled(&self, share: f64) -> Table<VlbRow> {
        // The weight of the gradients is rounded with this factor; the fold of the terms divides by the share again.
        let factor = share / f64::from(self.shape.elements.max(1));
        self.table.map(|row| row.times(factor))
    }

    /// The job that sums the terms up, without gradients.
    pub(super) fn job<'b>(&self, timesteps: Timesteps<'b>, rows: &'b RoundedTable) -> Job<'b>
    where
        'a: 'b,
    {
        let drawn = self.in1.and_then(Second::drawn);
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::LEARNED] = self.learned;
        tensors[slots::X0] = Some(self.x0);
        tensors[slots::IN1] = self.in1.and_then(Second::tensor);
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        Job {
            drawn: drawn.map(Drawing::of),
            seeds: drawn.and(self.seeds).map(SampleWords::of_seeds),
            limit: self.clip.map_or(f32::MAX, |clip| clip as f32),
            ..Job::new(Op::Vlb { clips: self.clip.is_some() }, self.shape, timesteps, tensors, rows)
        }
    }

    /// Checks the clip range, and that the inputs are there that a row has a coefficient for.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        if let Some(found) = self.clip.filter(|clip| !(clip.is_finite() && (*clip as f32).is_normal() && *clip > 0.0)) {
            return Err(PlanError::Rule { what: "clip range", expected: "finite and above 0", found });
        }
        let missing = |what, absent: bool, looks: &dyn Fn(&VlbRow) -> bool| {
            let row = self.table.rows().iter().position(|row| absent && row.as_ref().is_some_and(looks));
            row.map_or(Ok(()), |row| Err(PlanError::Missing { what, row }))
        };
        missing("in1", self.in1.is_none(), &|row| row.inputs[1] != 0.0)?;
        missing("learned", self.learned.is_none(), &|row| row.log_ratio[1] != 0.0 && row.term != Term::SquaredError)
    }
}

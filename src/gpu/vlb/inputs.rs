//! The inputs of terms of the variational bound.

use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Noise, Timesteps};
use crate::gpu::plan::job::Job;
use crate::gpu::plan::rows::{Accepts, check_vlb};
use crate::gpu::shader::op::Op;
use crate::gpu::shader::slots::{SLOTS, vlb as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::vlb::VlbRow;
use crate::table::{RoundedTable, Table};

/// The inputs of a term of the variational bound (VLB).
#[derive(Clone, Copy, Debug)]
pub struct VlbInputs<'a> {
    /// A row for each timestep.
    pub table: &'a Table<VlbRow>,
    /// The range to which the clean sample that the prediction implies is clamped: `-clip..=clip`; `None` for no clamping.
    pub clip: Option<f64>,
    /// The batch.
    pub shape: Shape,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// Its second output, if a row has a coefficient for it: the learned variance.
    pub learned: Option<Tensor<'a>>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noise, given or drawn as for the noising, or the noisy sample, whichever the rows are made for; if a row has a
    /// coefficient for it.
    pub in1: Noise<'a>,
}

impl<'a> VlbInputs<'a> {
    /// The factor of the weights, for gradients with the factor `share`. It is rounded with them, and the fold of the terms
    /// divides by the share again.
    fn factor(&self, share: f64) -> f64 {
        share / f64::from(self.shape.elements.max(1))
    }

    /// The weights of the rows for each element, with a share of 1.
    pub(super) fn weights(&self) -> impl Iterator<Item = f64> + 'a {
        let factor = self.factor(1.0);
        self.table.rows().iter().flatten().map(move |row| row.weight * factor)
    }

    /// The rows, with all factors of the gradients in their weights, so that these are rounded once.
    pub(super) fn scaled(&self, share: f64) -> Table<VlbRow> {
        self.table.map(|row| row.times(self.factor(share)))
    }

    /// The job that sums up the terms, without gradients, with rows scaled by this share.
    pub(super) fn job<'b>(&self, timesteps: Timesteps<'b>, rows: &'b RoundedTable, share: f64) -> Job<'b>
    where
        'a: 'b,
    {
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::LEARNED] = self.learned;
        tensors[slots::X0] = Some(self.x0);
        tensors[slots::IN1] = self.in1.tensor();
        let op = Op::Vlb { clips: self.clip.is_some(), scaled_gradient: false };
        let (in1, learned) = (!self.in1.is_none(), self.learned.is_some());
        Job {
            limit: self.clip.map_or(f32::MAX, |clip| clip as f32),
            accepts: Accepts::Vlb { in1, learned, factor: self.factor(share) },
            ..Job::new(op, self.shape, timesteps, tensors, rows)
        }
        .drawing(self.in1, slots::NOISE_OUT)
    }

    /// Checks the clip range, and that all inputs that a row has a coefficient for are given.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        if let Some(found) = self.clip.filter(|clip| !(clip.is_finite() && (*clip as f32).is_normal() && *clip > 0.0)) {
            return Err(PlanError::Rule { what: "clip range", expected: "finite and above 0", found });
        }
        let rows = self.table.rows().iter().enumerate();
        let rows = rows.filter_map(|(index, row)| Some((index, row.as_ref()?)));
        check_vlb(rows, !self.in1.is_none(), self.learned.is_some())
    }
}

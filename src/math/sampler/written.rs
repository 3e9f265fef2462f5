//! Rows as solvers write them, and the rows that clipping makes of them.
//!
//! **Theory.** The clean sample is what gets clipped. A solver that keeps another quantity `q`, such as epsilon, mixes the `q` of
//! the current call with those of earlier ones. With `q = k*x + c*x0` at the level of a call, its row is rewritten in terms of
//! `x0`, and it remembers the `q` that the clipped clean sample implies.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::Step;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::{Quantity, solve};
use crate::table::step::StepRow;

/// The parts of a row that its clipping changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Written {
    /// The coefficients `[x, p, z, clean]` of the next sample.
    pub(super) next: [f64; 4],
    /// The coefficients of `x`, `p` and `z` in x0, or in the quantity that takes its place.
    pub(super) x0: [f64; 3],
    /// The coefficients of `x` and `p` in x0, and those of `x` and x0 in the kept quantity, where that is not x0.
    clean: Option<[[f64; 2]; 2]>,
}

impl Written {
    pub(super) fn new(call: &Call, keeps: Quantity, denoiser: &Denoiser) -> Self {
        let StepRow { x, p, z, clean, x0, .. } = call.row;
        let Call { timestep, level, input, .. } = *call;
        let here = Step { timestep, from: level, to: level, to_timestep: None, input, churn: 0.0 };
        let clean_row = denoiser.row(Quantity::X0, call.step, &here).ok().filter(|_| keeps != Quantity::X0);
        let rows = clean_row.and_then(|row| Some([row, solve(level, Quantity::X0, keeps).ok()?]));
        Self { next: [x, p, z, clean], x0, clean: rows }
    }

    /// Returns the row in terms of x0, so that x0 can be clipped.
    pub(super) fn in_clean_samples(&self, step: usize, row: &StepRow) -> Result<StepRow, SamplerError> {
        let (solver, what) = ("a solver that remembers epsilon or slopes", "clip x0 where they do not follow from it");
        let Some([[d_x, d_p], kept]) = self.clean else {
            return Err(SamplerError::Unsupported { solver, what, step });
        };
        let through = if row.p == 0.0 { 0.0 } else { row.p / d_p };
        Ok(StepRow {
            x0: [d_x, d_p, 0.0],
            x: row.x + row.clean * kept[0] - through * d_x,
            p: 0.0,
            clean: row.clean * kept[1] + through,
            kept: [kept[0], kept[1], 0.0],
            ..*row
        })
    }
}

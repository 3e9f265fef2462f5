//! The bounds of rows that a plan of steps takes in place of its own.

use crate::gpu::error::PlanError;
use crate::gpu::inputs::Noise;
use crate::gpu::step::inputs::Step;
use crate::table::step::{Clip, Deviation, StepRow};

/// The inputs that a plan reads, by what a row may ask for. A plan binds what its first rows use and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    noise: bool,
    /// Noise within the clean sample.
    noisy_clean: bool,
    /// Noise beside the clean sample, of the plan's deviation.
    deviation: bool,
    unconditional: bool,
    masked: bool,
    depth: usize,
}

impl Bounds {
    /// The bounds of a request's plan.
    pub fn of(step: &Step<'_>) -> Self {
        let any = |uses: &dyn Fn(&StepRow) -> bool| step.rows.iter().any(uses);
        let masked = step.known.is_some();
        let noise = !matches!(step.noise, Noise::None) && any(&|row| row.draws(masked));
        // Reductions ahead of the step read what the first rows need.
        let quantile = matches!(step.rules.clip, Clip::Quantile { .. });
        let rescales = step.rules.rescale == 0.0 || step.rules.rescales(step.rows);
        Self {
            noise,
            noisy_clean: noise && (!quantile || any(&|row| row.x0[2] != 0.0)),
            deviation: noise && (step.rules.deviation == Deviation::Fixed || any(&|row| row.z != 0.0)),
            unconditional: step.unconditional.is_some() && rescales,
            masked,
            depth: step.rows.iter().map(StepRow::depth).max().unwrap_or(0),
        }
    }

    /// Checks rows that are to take the place of those from `first` on.
    pub fn check(&self, first: u32, rows: &[StepRow]) -> Result<(), PlanError> {
        for (row, numbers) in (first as usize..).zip(rows) {
            let missing = |what| Err(PlanError::Missing { what, row });
            if numbers.draws(self.masked) && !self.noise || numbers.x0[2] != 0.0 && !self.noisy_clean {
                return missing("noise");
            }
            if numbers.z != 0.0 && !self.deviation {
                return missing("learned");
            }
            if numbers.guidance != [1.0, 0.0] && !self.unconditional {
                return missing("unconditional");
            }
            let (expected, found) = (self.depth, numbers.depth());
            if found > expected {
                return Err(PlanError::Depth { row, expected, found });
            }
        }
        Ok(())
    }
}

//! The options of a loop that hold for all of its steps.

use crate::gpu::error::PlanError;
use crate::table::step::{Clip, Deviation, StepRow};

/// The options that hold for all steps of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepOptions {
    /// The treatment of the clean sample.
    pub clip: Clip,
    /// The kind of the noise's standard deviation: fixed by the rows, or learned by the network.
    pub deviation: Deviation,
    /// Guidance rescale, in `0..=1`: the degree to which the guided prediction is rescaled to the standard deviation of the
    /// conditional one (Lin et al. 2023, arXiv 2305.08891, section 3.4). A sample is not rescaled if one of the two deviations is
    /// not finite in f32, or if that of the guided prediction is 0.
    pub rescale: f64,
}

impl StepOptions {
    /// Checks the numbers of the options.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        let check = |what, expected, found: f64, holds: bool| {
            if holds { Ok(()) } else { Err(PlanError::Rule { what, expected, found }) }
        };
        check("rescale", "within 0..=1", self.rescale, (0.0..=1.0).contains(&self.rescale))?;
        let positive = |x: f64| x.is_finite() && x > 0.0 && (x as f32).is_normal();
        match self.clip {
            Clip::None => Ok(()),
            Clip::Range(range) => check("clip range", "finite and above 0", range, positive(range)),
            Clip::Quantile { ratio, least, most } => {
                check("quantile", "within 0..=1", ratio, (0.0..=1.0).contains(&ratio))?;
                check("least threshold", "finite and above 0", least, positive(least))?;
                check("largest threshold", "at least the least one", most, most >= least)
            }
        }
    }

    /// Returns `true` if any prediction may be rescaled. A row without guidance is not changed by the factor.
    pub(super) fn rescales(&self, rows: &[StepRow]) -> bool {
        self.rescale > 0.0 && rows.iter().any(StepRow::is_guided)
    }
}

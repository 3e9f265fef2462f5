//! Denoisers: from the network's output to the clean sample.
//!
//! **Theory.** The network is given `input * x` at a level and predicts a point of the plane (see
//! [`Quantity`]), so x0 and epsilon follow from one [`solve`] at the level that the network sees. EDM's network output
//! is such a point too.

use super::grid::Step;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::{Quantity, solve};
use crate::table::step::Clip;

/// How a clean sample follows from the network's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoiser {
    /// The quantity that the network predicts.
    pub prediction: Quantity,
    /// The factor from the network's output to that quantity: 1 for most, -1 for an output of the opposite sign.
    pub factor: f64,
    /// Clipping of the clean sample before it is used.
    pub clip: Clip,
}

impl Denoiser {
    /// Creates the denoiser of a network that predicts this quantity, without clipping.
    #[must_use]
    pub const fn new(prediction: Quantity) -> Self {
        Self { prediction, factor: 1.0, clip: Clip::None }
    }

    /// Returns the denoiser with clipping or thresholding.
    #[must_use]
    pub fn clipped(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// The coefficients of `x` and the prediction in the wanted quantity at the start of step `k`.
    pub(super) fn row(&self, wanted: Quantity, k: usize, step: &Step) -> Result<[f64; 2], SamplerError> {
        self.at((k, step.from, step.input), wanted)
    }

    /// The coefficients of `x` and the prediction in the wanted quantity, for a call of step `k` at this level and input scale.
    pub(in crate::math) fn at(
        &self,
        (k, level, input): (usize, NoiseLevel, f64),
        wanted: Quantity,
    ) -> Result<[f64; 2], SamplerError> {
        let seen = NoiseLevel::raw(input * level.alpha(), input * level.sigma());
        let row = solve(seen, self.prediction, wanted);
        let [c_x, c_p] = row.map_err(|source| SamplerError::Undefined { step: k, source })?;
        Ok([c_x * input, self.factor * c_p])
    }
}

/// Checks the parameters of clipping.
pub(super) fn check_clip(clip: Clip) -> Result<(), SamplerError> {
    match clip {
        Clip::None => Ok(()),
        Clip::Range(range) => check::positive("the clipping range", range),
        Clip::Quantile { ratio, least, most } => {
            check::fraction("the quantile", ratio)?;
            check::positive("the least threshold", least)?;
            let found = most;
            let (name, expected) = ("the largest threshold", "at least the least threshold");
            if most >= least { Ok(()) } else { Err(SamplerError::Parameter { name, expected, found }) }
        }
    }
}

//! From the network's answer to the clean sample.
//!
//! **Theory.** The network is given `input * x` at a level and answers with a point of the plane (see
//! [`Quantity`]), so x0 and epsilon are one [`solve`] away, at the level that the network sees. EDM's network predicts a
//! mixture that keeps unit variance at every level (Karras et al. 2022, arXiv 2206.00364, eq. 7 and table 1):
//! ```text
//! x0 = c_skip*x + c_out*F        c_skip = d^2/(sigma^2 + d^2)        c_out = sigma*d/sqrt(sigma^2 + d^2)
//! ```
//! with `d` the standard deviation of the data.

use super::check;
use super::grid::Step;
use crate::error::{SamplerError, Undefined};
use crate::math::{NoiseLevel, Quantity, solve};
use crate::table::Clip;

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Prediction {
    /// A quantity of the plane, at the level of `input * x`.
    Quantity(Quantity),
    /// The raw output `F` of an EDM network; its samples have `alpha = 1`.
    Edm {
        /// The standard deviation of the data, 0.5 in the paper.
        sigma_data: f64,
    },
}

impl From<Quantity> for Prediction {
    fn from(quantity: Quantity) -> Self {
        Self::Quantity(quantity)
    }
}

impl Prediction {
    /// The coefficients of `x` and the prediction in the wanted quantity, given the sample's level and what it is
    /// multiplied with for the network.
    ///
    /// # Errors
    /// [`Undefined`] where the prediction does not determine it.
    pub fn row(self, wanted: Quantity, level: NoiseLevel, input: f64) -> Result<[f64; 2], Undefined> {
        match self {
            Self::Quantity(given) => {
                let seen = NoiseLevel::raw(input * level.alpha(), input * level.sigma());
                let [c_x, c_p] = solve(seen, given, wanted)?;
                Ok([c_x * input, c_p])
            }
            Self::Edm { sigma_data } => {
                let clean = edm_clean(level, sigma_data);
                let [c_x, c_x0] = solve(level, Quantity::X0, wanted)?;
                Ok([c_x0.mul_add(clean[0], c_x), c_x0 * clean[1]])
            }
        }
    }
}

/// `[c_skip, c_out]`.
fn edm_clean(level: NoiseLevel, sigma_data: f64) -> [f64; 2] {
    let whole = sigma_data.hypot(level.sigma());
    let (data, noise) = (sigma_data / whole, level.sigma() / whole);
    [data * data, noise * sigma_data]
}

/// How an answer of the network becomes a clean sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoiser {
    /// What the network predicts.
    pub prediction: Prediction,
    /// Whether the network answers with the opposite sign: velocities of a time that runs from noise to data, and
    /// `v_prediction` of diffusers' EDM schedulers.
    pub negated: bool,
    /// What is done to the clean sample before it is used.
    pub clip: Clip,
}

impl Denoiser {
    /// A network that predicts this, without clipping.
    pub fn new(prediction: impl Into<Prediction>) -> Self {
        Self { prediction: prediction.into(), negated: false, clip: Clip::None }
    }

    /// The same with clipping or thresholding.
    #[must_use]
    pub fn clipped(self, clip: Clip) -> Self {
        Self { clip, ..self }
    }

    /// The coefficients of `x` and the prediction in the wanted quantity at the start of step `k`.
    pub(super) fn row(&self, wanted: Quantity, k: usize, step: &Step) -> Result<[f64; 2], SamplerError> {
        let row = self.prediction.row(wanted, step.from, step.input);
        let [c_x, c_p] = row.map_err(|source| SamplerError::Undefined { step: k, source })?;
        Ok([c_x, if self.negated { -c_p } else { c_p }])
    }

    pub(super) fn check(&self) -> Result<(), SamplerError> {
        if let Prediction::Edm { sigma_data } = self.prediction {
            check::positive("sigma_data", sigma_data)?;
        }
        match self.clip {
            Clip::None => Ok(()),
            Clip::Range(range) => check::positive("the clipping range", range),
            Clip::Quantile { ratio, least, most } => {
                check::fraction("the quantile", ratio)?;
                check::positive("the least threshold", least)?;
                let found = most;
                let (name, expected) = ("the largest threshold", "at least the least one");
                if most >= least { Ok(()) } else { Err(SamplerError::Parameter { name, expected, found }) }
            }
        }
    }
}

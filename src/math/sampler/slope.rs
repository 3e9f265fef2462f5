//! Slopes: the derivatives of samples along the probability flow, for solvers that mix them.
//!
//! **Theory.** In the right variables the probability flow is `dy/ds = slope`, and a step with a mean slope `m` is
//! ```text
//! epsilon:   y = x/alpha, s = sigma/alpha    x' = alpha'/alpha*x - added/alpha*m      added = alpha'*sigma - alpha*sigma'
//! velocity:  y = x,       s = t              x' = x - added*m                         on a rectified flow
//! ```
//! (Song et al. 2021, arXiv 2010.02502, eq. 14; Liu et al. 2022, arXiv 2209.03003, eq. 1). The first is DDIM's transfer, formula 9
//! of PNDM (Liu et al. 2022, arXiv 2202.09778), and on variance-exploding levels Euler's step.
//!
//! **Practice.** At pure noise the transfer in epsilon is infinite: a mean of several slopes is of no use there, and a step with
//! a single one needs x0.

use super::denoiser::Denoiser;
use super::grid::{Scale, Step};
use super::transition::Transition;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;

/// The quantity that a solver mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slope {
    /// The noise.
    Epsilon,
    /// The velocity of a rectified flow with respect to its time.
    Velocity,
    /// The network's prediction; the mixture of predictions is treated as one at the start of the step.
    Prediction,
}

impl Slope {
    /// The slope that is mixed for samples of this scale.
    pub(super) fn of(scale: Scale) -> Self {
        if scale == Scale::Flow { Self::Velocity } else { Self::Epsilon }
    }

    /// The quantity that is remembered.
    pub(super) const fn quantity(self, denoiser: &Denoiser) -> Quantity {
        match self {
            Self::Epsilon => Quantity::Epsilon,
            Self::Velocity => Quantity::Flow,
            Self::Prediction => denoiser.prediction,
        }
    }

    /// The factors of the sample and of the mean slope in the step that leads from one level to another.
    pub(super) fn over(self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<[f64; 2], SamplerError> {
        let (added, alpha) = (Transition::of(step).added(), step.from.alpha());
        let (ratio, weight) = (step.to.alpha() / alpha, -added / alpha);
        Ok(match self {
            Self::Velocity => [1.0, -added],
            Self::Epsilon => [ratio, weight],
            Self::Prediction => {
                // The remembered predictions already have the output's factor.
                let [e_x, e_p] = Denoiser { factor: 1.0, ..*denoiser }.row(Quantity::Epsilon, k, step)?;
                [weight.mul_add(e_x, ratio), weight * e_p]
            }
        })
    }

    /// Returns true for a level from which the factors of a step are infinite.
    pub(super) fn is_infinite(self, from: NoiseLevel) -> bool {
        self != Self::Velocity && from.alpha() == 0.0
    }

    /// The distance in `s` from one level to a noisier one, multiplied by the unit of the first.
    pub(super) fn distance(self, from: NoiseLevel, noisier: NoiseLevel) -> f64 {
        from.noise_added_by(noisier) / self.unit(noisier)
    }

    /// The number by which a level is divided to normalize it.
    pub(super) fn unit(self, level: NoiseLevel) -> f64 {
        if self == Self::Velocity { level.alpha() + level.sigma() } else { level.alpha() }
    }
}

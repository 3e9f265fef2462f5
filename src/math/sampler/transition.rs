//! Differences between two noise levels, without cancellation.
//!
//! **Theory.** Everything that a solver needs of a step from `(alpha, sigma)` to `(alpha', sigma')` follows from one
//! difference of products, `added = alpha'*sigma - alpha*sigma'`, which is positive towards clean:
//! ```text
//! kept  = exp(-h) = sigma'*alpha/(sigma*alpha')    how much of the noise stays, h the step in lambda = ln(alpha/sigma)
//! 1 - kept        = added/(sigma*alpha')
//! ```
//! (Lu et al. 2022, arXiv 2206.00927, write all of this in `h`; the posterior of Kingma et al. 2021, arXiv 2107.00630,
//! appendix A, has variance `sigma'^2*(1 - kept^2)`.)

use super::grid::Step;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::level::log_ratio;

/// A step between two levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transition {
    pub(super) from: NoiseLevel,
    pub(super) to: NoiseLevel,
}

impl Transition {
    pub(super) const fn of(step: &Step) -> Self {
        Self { from: step.from, to: step.to }
    }

    /// `alpha'*sigma - alpha*sigma'`: positive towards clean.
    pub(super) fn added(self) -> f64 {
        self.to.noise_added_by(self.from)
    }

    /// `sigma'/sigma`; 0 if both are clean.
    pub(super) fn ratio(self) -> f64 {
        if self.to.sigma() == 0.0 { 0.0 } else { self.to.sigma() / self.from.sigma() }
    }

    /// `exp(-h)`, in `0..=1` towards clean.
    pub(super) fn kept(self) -> f64 {
        if self.from.alpha() == 0.0 { 0.0 } else { self.ratio() * (self.from.alpha() / self.to.alpha()) }
    }

    /// `1 - exp(-2h)`, in `0..=1` towards clean.
    pub(super) fn lost(self) -> f64 {
        if self.to.sigma() == 0.0 {
            return 1.0;
        }
        self.added() / self.from.sigma() / self.to.alpha() * (1.0 + self.kept())
    }

    /// The deviations of the old and the new noise at the next level; the new noise is `eta` times the posterior's.
    pub(super) fn split(self, eta: f64) -> [f64; 2] {
        let sigma = self.to.sigma();
        if eta == 0.0 {
            return [sigma, 0.0];
        }
        let (kept, lost) = (self.kept(), self.lost());
        let old = ((1.0 - eta) * (1.0 + eta) + (eta * kept) * (eta * kept)).sqrt();
        [sigma * old, sigma * eta * lost.sqrt()]
    }

    /// `lambda' - lambda`; infinite from pure noise and to a clean sample.
    pub(super) fn h(self) -> f64 {
        let (now, before) = (self.to.alpha() * self.from.sigma(), self.from.alpha() * self.to.sigma());
        log_ratio(now, before, self.added())
    }

    /// Checks that step `k` goes towards clean, so that it can draw noise.
    pub(super) fn check_cleaner(self, k: usize, solver: &'static str) -> Result<(), SamplerError> {
        match (0.0..=1.0).contains(&self.lost()) {
            true => Ok(()),
            false => Err(SamplerError::Unsupported { solver, what: "draw noise on the way to more noise", step: k }),
        }
    }
}

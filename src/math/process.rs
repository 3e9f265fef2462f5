//! Processes: the curves that signal and noise follow from the clean sample to pure noise.

use super::edm::SigmaData;
use super::level::NoiseLevel;
use std::fmt;

/// The curve of `(alpha, sigma)` on which a model was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Process {
    /// `alpha^2 + sigma^2 = 1` (Ho et al. 2020, arXiv 2006.11239).
    VariancePreserving,
    /// `alpha = 1` (Song et al. 2021, arXiv 2011.13456; Karras et al. 2022, 2206.00364).
    VarianceExploding,
    /// `alpha = 1 - sigma`: rectified flow, whose time is `sigma` (Liu et al. 2022, arXiv 2209.03003).
    Flow,
    /// `alpha = cos(t)`, `sigma = sigma_data*sin(t)`: TrigFlow, whose time is an angle in `0..=pi/2` (Lu & Song 2024, arXiv
    /// 2410.11081).
    TrigFlow(SigmaData),
    /// Levels that lie on none of these curves and are used as given.
    Levels,
}

/// The largest distance from a curve at which a level still counts as lying on it: the rounding of `alpha` and `sigma`.
const ON_CURVE: f64 = 1e-12;

impl Process {
    /// The curve on which all of these levels lie, or [`Levels`](Self::Levels).
    pub(super) fn of(levels: &[NoiseLevel]) -> Self {
        let on = |distance: fn(f64, f64) -> f64| {
            levels.iter().all(|level| distance(level.alpha(), level.sigma()).abs() <= ON_CURVE)
        };
        if on(|alpha, _| alpha - 1.0) {
            Self::VarianceExploding
        } else if on(|alpha, sigma| alpha + sigma - 1.0) {
            Self::Flow
        } else if on(|alpha, sigma| alpha.hypot(sigma) - 1.0) {
            Self::VariancePreserving
        } else {
            Self::Levels
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::VariancePreserving => "variance-preserving",
            Self::VarianceExploding => "variance-exploding",
            Self::Flow => "rectified-flow",
            Self::TrigFlow(_) => "trigflow",
            Self::Levels => "plain",
        })
    }
}

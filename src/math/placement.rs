//! Rules that place the noise levels of a loop.

use super::error::sampler::SamplerError;
use super::schedule::Schedule;
use super::spacing::Spacing;
use super::{flow, sigmas};

/// A rule that places the noise levels of a loop.
///
/// ```
/// use tweedie::math::{Placement, Schedule};
///
/// let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
/// let karras = Placement::CATALOGUE.find("karras")?.build(&[("rho", 5.0)])?;
/// let sigmas = karras.sigmas(&schedule, 10, [0.03, 14.6])?;
/// assert_eq!((sigmas.len(), sigmas[0], sigmas[9]), (10, 14.6, 0.03));
/// # Ok::<(), tweedie::math::catalog::CatalogError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Placement {
    /// At timesteps of the schedule.
    Timesteps(Spacing),
    /// In equal steps of `sigma^(1/rho)` (Karras et al. 2022, arXiv 2206.00364, eq. 5).
    Karras {
        /// The exponent.
        rho: f64,
    },
    /// In equal steps of `ln(sigma)` (k-diffusion).
    Exponential,
    /// At `ln(sigma) = ln(sigma_min) + (1 - i/(n-1))^rho * ln(sigma_max/sigma_min)` (k-diffusion).
    Polyexponential {
        /// The exponent.
        rho: f64,
    },
    /// At quantiles of a beta distribution between the ends (Lee et al. 2024, arXiv 2407.12173).
    Beta {
        /// The first shape, in `0.1..=100`; 0.6 in diffusers.
        a: f64,
        /// The second shape, in `0.1..=100`; 0.6 in diffusers.
        b: f64,
    },
    /// At equal steps of time of a continuous variance-preserving process (Song et al. 2021, arXiv 2011.13456).
    Vp {
        /// The rise of beta over the whole time, above 0.
        beta_d: f64,
        /// The least beta, at least 0.
        beta_min: f64,
        /// The least time, above 0 and at most 1.
        least_time: f64,
    },
    /// At the times `1 - i/n` of a rectified flow, shifted; see [`flow::shifted`](super::flow::shifted).
    FlowTimes {
        /// The shift towards noise; 1 changes nothing.
        shift: f64,
    },
    /// At equal steps between the shifted times 1 and `1/T`, all of which are then shifted again: Stable Diffusion 3, and
    /// diffusers' `FlowMatchEulerDiscreteScheduler`.
    FlowEnds {
        /// The shift towards noise; 1 changes nothing.
        shift: f64,
    },
}

impl Placement {
    /// `rho = 7` (Karras et al. 2022, arXiv 2206.00364, table 1).
    pub(crate) const KARRAS: Self = Self::Karras { rho: 7.0 };

    /// Returns `steps` ratios of noise to signal from noisy to clean, between the ends `[sigma_min, sigma_max]`.
    ///
    /// Timesteps and the times of a flow or of a variance-preserving process do not depend on the ends. The sigmas of a flow
    /// are its times.
    ///
    /// # Errors
    /// [`SamplerError`] for a number of steps that is not possible, and for ends or parameters out of range.
    pub fn sigmas(self, schedule: &Schedule, steps: usize, [least, most]: [f64; 2]) -> Result<Vec<f64>, SamplerError> {
        match self {
            Self::Timesteps(spacing) => {
                let positions = spacing.positions(schedule.len(), steps)?;
                Ok(positions.into_iter().map(|position| schedule.sigma_at(position)).collect())
            }
            Self::Karras { rho } => sigmas::karras(steps, least, most, rho),
            Self::Exponential => sigmas::exponential(steps, least, most),
            Self::Polyexponential { rho } => sigmas::polyexponential(steps, least, most, rho),
            Self::Beta { a, b } => sigmas::beta(steps, least, most, a, b),
            Self::Vp { beta_d, beta_min, least_time } => {
                sigmas::variance_preserving(steps, beta_d, beta_min, least_time)
            }
            Self::FlowTimes { shift } => shifted(flow::even(steps)?, shift),
            Self::FlowEnds { shift } => {
                let [first, last] = [1.0, 1.0 / schedule.len() as f64].map(|time| flow::shifted(time, shift));
                shifted(flow::times(steps, first?, last?)?, shift)
            }
        }
    }

    /// The shift of a flow's times.
    pub(in crate::math) const fn shift(self) -> Option<f64> {
        match self {
            Self::FlowTimes { shift } | Self::FlowEnds { shift } => Some(shift),
            _ => None,
        }
    }

    /// The exponent, for a rule that has one.
    pub(in crate::math) const fn rho(self) -> Option<f64> {
        match self {
            Self::Karras { rho } | Self::Polyexponential { rho } => Some(rho),
            _ => None,
        }
    }

    /// The rule's name in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timesteps(Spacing::Leading { .. }) => "leading",
            Self::Timesteps(Spacing::Trailing) => "trailing",
            Self::Timesteps(Spacing::Linspace) => "linspace",
            Self::Karras { .. } => "karras",
            Self::Exponential => "exponential",
            Self::Polyexponential { .. } => "polyexponential",
            Self::Beta { .. } => "beta",
            Self::Vp { .. } => "vp",
            Self::FlowTimes { .. } => "flow-times",
            Self::FlowEnds { .. } => "flow-ends",
        }
    }

    /// The name of the option that chooses such a rule: `spacing` or `sigmas`.
    pub(in crate::math) const fn option(self) -> &'static str {
        match self {
            Self::Timesteps(_) => "spacing",
            _ => "sigmas",
        }
    }

    /// The same rule with another exponent, if it has one.
    pub(in crate::math) fn with_rho(self, rho: Option<f64>) -> Self {
        match (self, rho) {
            (Self::Karras { .. }, Some(rho)) => Self::Karras { rho },
            (Self::Polyexponential { .. }, Some(rho)) => Self::Polyexponential { rho },
            _ => self,
        }
    }
}

/// The times, shifted towards noise.
fn shifted(times: Vec<f64>, shift: f64) -> Result<Vec<f64>, SamplerError> {
    times.into_iter().map(|time| flow::shifted(time, shift)).collect()
}

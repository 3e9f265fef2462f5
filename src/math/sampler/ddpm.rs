//! DDPM: ancestral sampling of the reverse chain.
//!
//! **Theory.** The mean of `q(x_s | x_t, x0)` plus noise (Ho et al. 2020, arXiv 2006.11239, algorithm 2):
//! ```text
//! x' = coef_x0*x0 + coef_xt*x + sqrt(variance)*z
//! ```
//! The variance is the posterior's, `sigma'^2*(1 - kept^2)`, or the forward step's, `sigma^2*(1 - kept^2)` (`beta`), the
//! two extremes between which the right one lies (eq. 7 and section 3.2), or learned between them (Nichol & Dhariwal
//! 2021, arXiv 2102.09672, eq. 15).
//!
//! **Practice.** A step to a clean sample draws no noise, so the logarithm of a variance of 0 is never taken.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use crate::table::step::{Deviation, StepRow};

/// The least variance in diffusers.
const LEAST_VARIANCE: f64 = 1e-20;

/// The variance of a reverse step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Variance {
    /// The posterior's variance, right for data that are one point (`fixed_small`, and `fixed_small_log`).
    #[default]
    FixedSmall,
    /// The forward step's variance, right for data of unit variance (`fixed_large`, and `fixed_large_log`).
    FixedLarge,
    /// The network's second output is the logarithm of the variance (guided-diffusion's `LEARNED`).
    LearnedLog,
    /// The network's second output is the variance itself (diffusers' `learned`).
    Learned,
    /// The network's second output interpolates between the logarithms of the small variance, at -1, and of the large one, at 1.
    LearnedRange,
}

/// Ancestral sampling of the reverse chain (DDPM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ddpm {
    /// The variance of a step.
    pub variance: Variance,
    /// diffusers also draws noise in the last step, unless that starts at timestep 0: with the posterior's variance raised to
    /// 1e-20, or with the whole `1 - abar` for the large variance.
    pub compat: Compat,
    /// The last step of a grid returns the mean whatever level it ends at (Würstchen, whose last level is not clean).
    pub ends_in_mean: bool,
}

impl Ddpm {
    /// Creates the solver with this variance.
    #[must_use]
    pub const fn new(variance: Variance) -> Self {
        Self { variance, compat: Compat::Published, ends_in_mean: false }
    }

    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let move_ = Transition::of(step);
        move_.check_cleaner(k, "DDPM")?;
        let lost = move_.lost();
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        call.row.clean = step.to.alpha() * lost;
        call.row.x = move_.kept() * move_.ratio();
        let [small, large] = [step.to, step.from].map(|level| level.sigma() * level.sigma() * lost);
        let draws = match self.compat {
            _ if self.ends_in_mean => step.to_timestep.is_some(),
            Compat::Published => small > 0.0,
            Compat::Diffusers => step.timestep > 0.0,
        };
        if draws {
            self.draw(&mut call.row, small.max(LEAST_VARIANCE), large);
        }
        Ok(call)
    }

    fn draw(&self, row: &mut StepRow, small: f64, large: f64) {
        let (low, high) = (small.ln(), large.ln());
        (row.z, row.learned) = match self.variance {
            Variance::FixedSmall => (small.sqrt(), [0.0; 2]),
            Variance::FixedLarge => (large.sqrt(), [0.0; 2]),
            Variance::LearnedLog => (1.0, [0.0, 0.5]),
            Variance::Learned => (1.0, [0.0; 2]),
            Variance::LearnedRange => (1.0, [0.25 * (high + low), 0.25 * (high - low)]),
        };
    }
}

impl Solver for Ddpm {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        let deviation = match self.variance {
            Variance::FixedSmall | Variance::FixedLarge => Deviation::Fixed,
            Variance::LearnedLog | Variance::LearnedRange => Deviation::Log,
            Variance::Learned => Deviation::Variance,
        };
        let steps = grid.steps().iter().enumerate();
        let calls = steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?;
        Ok(Solution { deviation, ..calls.into() })
    }
}

//! Noise schedules: a list of noise levels and every table that follows from it.
//!
//! **Theory.** A schedule is the curve `t -> (alpha_t, sigma_t)`, sampled. Variance-preserving ones come from betas,
//! `abar_t = prod (1 - beta_i)` (Ho et al. 2020, arXiv 2006.11239), or from `abar` itself; variance-exploding ones
//! (Song et al. 2021, Karras et al. 2022) and rectified flow (Liu et al. 2022) are levels like any other. Published
//! f32 tables lose up to 8e-5 of `sqrt(1 - abar)` and 1.4e-4 of the posterior variance; these lose a few ulp of f64.
//!
//! **Practice.** Index 0 is the least noisy timestep, in every recipe; the clean sample comes before it. A schedule is
//! built once (cost linear in its length) and never changes. Each table is a new vector with one dimensionless entry per
//! timestep. The constructors here are the plain ones; the named schedules are in `recipes.rs` and `families.rs`.

pub(in crate::math) mod families;
mod ratios;
mod recipes;

use super::chain::Chain;
use super::level::NoiseLevel;
use super::posterior::Posterior;
use super::process::Process;
use crate::math::schedule_error::ScheduleError;

/// See [`Schedule::MAX_STEPS`].
pub(crate) const MAX_STEPS: usize = 1 << 24;

/// The least variance of `posterior_log_variance_clipped` (the clamp of diffusers and lucidrains).
pub(in crate::math) const LEAST_VARIANCE: f64 = 1e-20;

/// A noise schedule: the noise level of each timestep, 0 the least noisy.
#[doc(alias("scheduler", "betas", "alphas_cumprod"))]
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    levels: Vec<NoiseLevel>,
    process: Process,
    /// Present if the schedule has betas.
    chain: Option<Chain>,
}

impl Schedule {
    /// The most timesteps that a schedule may have, 2^24: a guard against an absurd argument, not a limit of the
    /// mathematics.
    pub const MAX_STEPS: usize = MAX_STEPS;

    /// Creates a variance-preserving schedule from betas in `0..=1` in any order (0: a step that adds no noise, 1: one that
    /// leaves no signal).
    ///
    /// # Errors
    /// [`ScheduleError::Beta`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn from_betas(betas: &[f64]) -> Result<Self, ScheduleError> {
        check_steps(betas.len())?;
        match first_outside_unit(betas) {
            Some((index, value)) => Err(ScheduleError::Beta { index, value }),
            None => Ok(Self::of_chain(Chain::from_betas(betas.to_vec()))),
        }
    }

    /// Creates a variance-preserving schedule from `abar` in `0..=1`.
    ///
    /// Values that rise are accepted, because noising, targets and conversions only need the marginals, which exist at each
    /// timestep by itself. Where `abar` rises there is no posterior ([`ScheduleError::NotMarkov`]), and the derived beta is
    /// negative (minus infinity after 0). Where `abar` stays 0, the step is not determined; its beta is taken to be 0.
    ///
    /// # Errors
    /// [`ScheduleError::AlphasCumprod`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn from_alphas_cumprod(alphas_cumprod: &[f64]) -> Result<Self, ScheduleError> {
        check_steps(alphas_cumprod.len())?;
        match first_outside_unit(alphas_cumprod) {
            Some((index, value)) => Err(ScheduleError::AlphasCumprod { index, value }),
            None => Ok(Self::of_chain(Chain::from_alphas_cumprod(alphas_cumprod))),
        }
    }

    /// Creates a schedule of any levels in any order. It has no betas, even if each level is variance preserving by itself.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn from_levels(levels: &[NoiseLevel]) -> Result<Self, ScheduleError> {
        check_steps(levels.len())?;
        Ok(Self { levels: levels.to_vec(), process: Process::of(levels), chain: None })
    }

    /// Creates a schedule of levels that lie on a curve by construction.
    pub(in crate::math) fn on(process: Process, levels: Vec<NoiseLevel>) -> Result<Self, ScheduleError> {
        check_steps(levels.len())?;
        Ok(Self { levels, process, chain: None })
    }

    fn of_chain(chain: Chain) -> Self {
        Self { levels: chain.levels(), process: Process::VariancePreserving, chain: Some(chain) }
    }

    pub(in crate::math) fn chain(&self) -> Result<&Chain, ScheduleError> {
        self.chain.as_ref().ok_or(ScheduleError::NoBetas)
    }

    /// The curve on which the levels lie.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.process
    }

    /// The number of timesteps, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Always false: no constructor makes an empty schedule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// Returns the noise level of a timestep.
    ///
    /// # Errors
    /// [`ScheduleError::Timestep`].
    pub fn level(&self, t: usize) -> Result<NoiseLevel, ScheduleError> {
        self.levels.get(t).copied().ok_or(ScheduleError::Timestep { found: t, steps: self.len() })
    }

    /// All noise levels in order.
    #[must_use]
    pub fn levels(&self) -> &[NoiseLevel] {
        &self.levels
    }

    /// `beta_t`, the variance that the forward step into `t` adds; `None` for a schedule that was not built from betas or
    /// `abar`. If it was built from `abar`, `beta_t` is `1 - abar_t/abar_{t-1}`, negative where `abar` rises.
    #[must_use]
    pub fn betas(&self) -> Option<&[f64]> {
        self.chain.as_ref().map(Chain::betas)
    }

    /// `abar_t`, the fraction of the variance that is signal, in `0..=1`.
    #[must_use]
    pub fn alphas_cumprod(&self) -> Vec<f64> {
        match &self.chain {
            Some(chain) => chain.alphas_cumprod(),
            None => self.each(NoiseLevel::alpha_bar),
        }
    }

    /// `1 - abar_t`, the fraction that is noise, without cancellation.
    #[must_use]
    pub fn one_minus_alphas_cumprod(&self) -> Vec<f64> {
        match &self.chain {
            Some(chain) => chain.one_minus_alphas_cumprod(),
            None => self.each(NoiseLevel::one_minus_alpha_bar),
        }
    }

    /// `sqrt(abar_t)`: the levels' `alpha` if variance preserving. In a chain of betas, an `abar` below 2.2e-308, which f64 would
    /// hold with fewer digits, is 0, and so is its root.
    #[must_use]
    pub fn sqrt_alphas_cumprod(&self) -> Vec<f64> {
        each(self.alphas_cumprod(), f64::sqrt)
    }

    /// `sqrt(1 - abar_t)`: the levels' `sigma` if variance preserving.
    #[must_use]
    pub fn sqrt_one_minus_alphas_cumprod(&self) -> Vec<f64> {
        each(self.one_minus_alphas_cumprod(), f64::sqrt)
    }

    /// The signal-to-noise ratio `abar_t/(1 - abar_t)`; infinite where there is no noise.
    #[must_use]
    pub fn snr(&self) -> Vec<f64> {
        match &self.chain {
            Some(chain) => {
                let noise = chain.one_minus_alphas_cumprod();
                let pairs = chain.alphas_cumprod().into_iter().zip(noise);
                pairs.map(|(signal, noise)| signal / noise).collect()
            }
            None => self.each(NoiseLevel::snr),
        }
    }

    /// `ln(SNR_t)`, to a few ulp also where it crosses zero; plus infinity without noise, minus infinity without signal.
    #[must_use]
    pub fn log_snr(&self) -> Vec<f64> {
        match &self.chain {
            Some(chain) => chain.log_snr(),
            None => self.each(NoiseLevel::log_snr),
        }
    }

    /// Half the log SNR, the time variable of DPM-Solver (Lu et al. 2022, arXiv 2206.00927).
    #[must_use]
    pub fn lambda(&self) -> Vec<f64> {
        each(self.log_snr(), |log_snr| 0.5 * log_snr)
    }

    /// Returns the posterior `q(x_s | x_t, x0)` for `s < t`; `s = None` is the clean sample.
    ///
    /// For a schedule from betas the forward step from `s` to `t` is the product of the steps between; for all others it
    /// follows from the two marginals, whatever lies between.
    ///
    /// # Errors
    /// [`ScheduleError::Timestep`], [`ScheduleError::Order`] unless `s < t`, [`ScheduleError::NotMarkov`] where the signal
    /// rises from `s` to `t` or the levels are too extreme.
    pub fn posterior(&self, t: usize, s: Option<usize>) -> Result<Posterior, ScheduleError> {
        let noisy = self.level(t)?;
        let cleaner = s.map_or(Ok(NoiseLevel::CLEAN), |s| self.level(s))?;
        if let Some(to) = s.filter(|&s| s >= t) {
            return Err(ScheduleError::Order { from: t, to });
        }
        let found = match &self.chain {
            Some(chain) => chain.posterior(t, s),
            None => Posterior::between(noisy, cleaner),
        };
        found.ok_or(ScheduleError::NotMarkov { timestep: t })
    }

    /// Returns `q(x_{t-1} | x_t, x0)` at every timestep; that of timestep 0 leads to the clean sample (variance 0).
    ///
    /// # Errors
    /// [`ScheduleError::NotMarkov`] for the first timestep at which the signal rises.
    pub fn posteriors(&self) -> Result<Vec<Posterior>, ScheduleError> {
        let steps = 0..self.len();
        steps.map(|t| self.posterior(t, t.checked_sub(1))).collect()
    }

    /// The variance of `q(x_{t-1} | x_t, x0)`, 0 at timestep 0 (Ho et al. 2020, eq. 7).
    ///
    /// # Errors
    /// [`ScheduleError::NotMarkov`].
    pub fn posterior_variance(&self) -> Result<Vec<f64>, ScheduleError> {
        Ok(each(self.posteriors()?, |posterior| posterior.variance))
    }

    /// The logarithm of the posterior variance, with entry 0 replaced by entry 1 (guided-diffusion).
    ///
    /// A variance below 1e-20 counts as 1e-20: entry 0 of a schedule of one timestep, and steps after leading zero betas.
    ///
    /// # Errors
    /// [`ScheduleError::NotMarkov`].
    pub fn posterior_log_variance_clipped(&self) -> Result<Vec<f64>, ScheduleError> {
        let mut variance = self.posterior_variance()?;
        if let [first, second, ..] = variance.as_mut_slice() {
            *first = *second;
        }
        Ok(each(variance, |v| v.max(LEAST_VARIANCE).ln()))
    }

    /// The coefficient of x0 in the posterior mean, `beta_t*sqrt(abar_{t-1})/(1 - abar_t)` (Ho et al. 2020, eq. 7).
    ///
    /// # Errors
    /// [`ScheduleError::NotMarkov`].
    pub fn posterior_mean_coef1(&self) -> Result<Vec<f64>, ScheduleError> {
        Ok(each(self.posteriors()?, |posterior| posterior.coef_x0))
    }

    /// The coefficient of x_t in the posterior mean, `sqrt(1 - beta_t)*(1 - abar_{t-1})/(1 - abar_t)` (eq. 7).
    ///
    /// # Errors
    /// [`ScheduleError::NotMarkov`].
    pub fn posterior_mean_coef2(&self) -> Result<Vec<f64>, ScheduleError> {
        Ok(each(self.posteriors()?, |posterior| posterior.coef_xt))
    }

    /// `beta_t/sqrt(1 - abar_t)`, the coefficient of the second form of the posterior mean (Ho et al. 2020, eq. 11):
    /// ```text
    /// mean = (x_t - beta_t/sqrt(1 - abar_t) * epsilon) / sqrt(1 - beta_t)
    /// ```
    /// 0 where there is no noise yet.
    ///
    /// # Errors
    /// [`ScheduleError::NoBetas`], and [`ScheduleError::NotMarkov`] for the first timestep at which `abar` rises.
    pub fn epsilon_mean_coef(&self) -> Result<Vec<f64>, ScheduleError> {
        let betas = self.chain()?.betas();
        if let Some(timestep) = betas.iter().position(|&beta| beta < 0.0) {
            return Err(ScheduleError::NotMarkov { timestep });
        }
        let pairs = betas.iter().zip(self.sqrt_one_minus_alphas_cumprod());
        let coefficient = |(&beta, sigma)| if sigma == 0.0 { 0.0 } else { beta / sigma };
        Ok(pairs.map(coefficient).collect())
    }

    fn each(&self, value: impl Fn(NoiseLevel) -> f64) -> Vec<f64> {
        self.levels.iter().map(|&level| value(level)).collect()
    }
}

fn each<T>(values: Vec<T>, change: impl Fn(T) -> f64) -> Vec<f64> {
    values.into_iter().map(change).collect()
}

/// Checks the number of timesteps; to be called before anything of that size is allocated.
pub(in crate::math) fn check_steps(steps: usize) -> Result<(), ScheduleError> {
    match steps {
        0 => Err(ScheduleError::Empty),
        1..=MAX_STEPS => Ok(()),
        found => Err(ScheduleError::TooLong { found, limit: MAX_STEPS }),
    }
}

fn first_outside_unit(values: &[f64]) -> Option<(usize, f64)> {
    let mut numbered = values.iter().copied().enumerate();
    numbered.find(|(_, value)| !(0.0..=1.0).contains(value))
}

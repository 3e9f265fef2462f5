//! Schedules of the other processes: variance exploding with the levels of EDM, and rectified flow.

use super::recipes::check_positive;
use super::{Schedule, check_steps};
use crate::math::edm::SigmaData;
use crate::math::level::NoiseLevel;
use crate::math::process::Process;
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::FRAC_PI_2;

/// The range of exponents of lists of sigmas; published ones lie between 1 and 7. Far below, all sigmas but the last equal
/// the largest; far above, the list is that of equal steps of the logarithm.
pub(in crate::math) const RHO: [f64; 2] = [1e-3, 1e3];

impl Schedule {
    /// Creates the variance-exploding schedule of `alpha = 1` and the given `sigma`s, finite and at least 0, the least noisy
    /// first (Song et al. 2021, arXiv 2011.13456; for EDM see [`edm`](Self::edm)).
    ///
    /// # Errors
    /// [`ScheduleError::Level`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn variance_exploding(sigmas: &[f64]) -> Result<Self, ScheduleError> {
        let levels = sigmas.iter().copied().map(NoiseLevel::variance_exploding).collect::<Result<_, _>>()?;
        Self::on(Process::VarianceExploding, levels)
    }

    /// Creates the schedule of EDM's noise levels (Karras et al. 2022, arXiv 2206.00364, eq. 5), without the final 0:
    /// ```text
    /// sigma_i = (sigma_max^(1/rho) + i/(n-1)*(sigma_min^(1/rho) - sigma_max^(1/rho)))^rho        i = n-1 .. 0
    /// ```
    /// A single level is `sigma_max`. In the paper, `sigma_min = 0.002`, `sigma_max = 80`, `rho = 7`.
    ///
    /// # Errors
    /// [`ScheduleError::ParamNotPositive`]; [`ScheduleError::Parameter`] for a `rho` outside `0.001..=1000`;
    /// [`ScheduleError::Range`] if `sigma_min > sigma_max`; [`ScheduleError::Level`] for levels beyond the range of f64;
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn edm(steps: usize, sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Self, ScheduleError> {
        Self::variance_exploding(&edm_sigmas(steps, sigma_min, sigma_max, rho)?)
    }

    /// Creates the rectified flow `alpha = 1 - t`, `sigma = t` at `t = (i+1)/steps`: the last timestep is pure noise (Liu et
    /// al. 2022, arXiv 2209.03003, with the direction of time of Stable Diffusion 3, arXiv 2403.03206).
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn rectified_flow(steps: usize) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        let times: Vec<f64> = (0..steps).map(|i| (i + 1) as f64 / steps as f64).collect();
        Self::rectified_flow_times(&times)
    }

    /// Creates the TrigFlow schedule of the angles `(i+1)/steps * pi/2`: the last timestep is pure noise (Lu & Song 2024, arXiv
    /// 2410.11081).
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn trig_flow(steps: usize, sigma_data: SigmaData) -> Result<Self, ScheduleError> {
        check_steps(steps)?;
        let angles = (0..steps).map(|i| (i + 1) as f64 / steps as f64 * FRAC_PI_2);
        let levels = angles.map(|angle| NoiseLevel::trig_flow(angle, sigma_data)).collect::<Result<_, _>>()?;
        Self::on(Process::TrigFlow(sigma_data), levels)
    }

    /// Creates the rectified flow at explicit times in `0..=1`, the least noisy first; 1 is pure noise.
    ///
    /// # Errors
    /// [`ScheduleError::Time`], [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn rectified_flow_times(times: &[f64]) -> Result<Self, ScheduleError> {
        let levels = times.iter().copied().map(NoiseLevel::rectified_flow).collect::<Result<_, _>>()?;
        Self::on(Process::Flow, levels)
    }
}

/// The sigmas of [`Schedule::edm`], the least first.
pub(in crate::math) fn edm_sigmas(
    n: usize,
    sigma_min: f64,
    sigma_max: f64,
    rho: f64,
) -> Result<Vec<f64>, ScheduleError> {
    check_steps(n)?;
    check_positive("sigma_min", sigma_min)?;
    check_positive("sigma_max", sigma_max)?;
    check_rho(rho)?;
    if sigma_min > sigma_max {
        let (name, start, end) = ("sigma", sigma_min, sigma_max);
        return Err(ScheduleError::Range { name, start, end });
    }
    // The powers relative to the first, without cancellation: (sigma_min/sigma_max)^(1/rho) - 1.
    let fall = ((sigma_min / sigma_max).ln() / rho).exp_m1();
    let last = n.saturating_sub(1).max(1) as f64;
    let sigma = |i: usize| match i {
        0 => sigma_max,
        _ if i + 1 == n => sigma_min, // the ends are what was asked for, to the bit
        _ => sigma_max * (rho * (i as f64 / last * fall).ln_1p()).exp(),
    };
    let checked = |i| NoiseLevel::variance_exploding(sigma(i)).map(NoiseLevel::sigma);
    (0..n).rev().map(checked).collect()
}

/// Checks the exponent of a list of sigmas.
pub(in crate::math) fn check_rho(rho: f64) -> Result<(), ScheduleError> {
    let (name, expected, found) = ("rho", "within 0.001..=1000", rho);
    match (RHO[0]..=RHO[1]).contains(&rho) {
        true => Ok(()),
        false => Err(ScheduleError::Parameter { name, expected, found }),
    }
}

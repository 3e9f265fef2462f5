//! Lists of noise-to-signal ratios, "sigmas".
//!
//! **Theory.** Samplers that work in `sigma/alpha` choose its values freely: in equal steps of `sigma^(1/rho)` (Karras et
//! al. 2022, arXiv 2206.00364, eq. 5), in equal steps of its logarithm, along the beta distribution (Lee et al. 2024, arXiv
//! 2407.12173), or in the time of a continuous VP process (Song et al. 2021, arXiv 2011.13456).
//!
//! **Practice.** Lists run from noisy to clean, from the largest to the least sigma where these are given (exactly these,
//! except that the largest of a beta list is rounded), and do not include the final 0. A list of one sigma holds the largest.

use super::beta_distribution::quantile;
use super::check;
use super::level::NoiseLevel;
use super::schedule::check_steps;
use super::schedule::families::{check_rho, edm_sigmas};
use crate::math::error::sampler::SamplerError;
use crate::math::schedule_error::ScheduleError;

/// `(sigma_max^(1/rho) + i/(n-1)*(sigma_min^(1/rho) - sigma_max^(1/rho)))^rho` (Karras et al. 2022, eq. 5; `rho = 7`).
///
/// # Errors
/// [`SamplerError::Schedule`] with the errors of [`Schedule::edm`](super::schedule::Schedule::edm).
pub(super) fn karras(n: usize, sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Vec<f64>, SamplerError> {
    let mut sigmas = edm_sigmas(n, sigma_min, sigma_max, rho)?;
    sigmas.reverse();
    Ok(sigmas)
}

/// Equal steps of `ln(sigma)`: [`polyexponential`] with `rho = 1`, and diffusers' "Lu lambdas".
///
/// # Errors
/// As `polyexponential`.
pub(super) fn exponential(n: usize, sigma_min: f64, sigma_max: f64) -> Result<Vec<f64>, SamplerError> {
    polyexponential(n, sigma_min, sigma_max, 1.0)
}

/// `ln(sigma) = ln(sigma_min) + (1 - i/(n-1))^rho * ln(sigma_max/sigma_min)` (k-diffusion).
///
/// # Errors
/// [`SamplerError::Parameter`] for ends that are not above 0, [`SamplerError::Schedule`] for the count, for ends in the wrong
/// order and for a `rho` out of range.
pub(super) fn polyexponential(n: usize, sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Vec<f64>, SamplerError> {
    check_ends(n, sigma_min, sigma_max)?;
    check_rho(rho)?;
    let (low, high) = (sigma_min.ln(), sigma_max.ln());
    let sigma = |x: f64| match x {
        1.0 => sigma_max,
        0.0 => sigma_min,
        _ => (x.powf(rho) * (high - low) + low).exp(),
    };
    Ok(falling(n).map(sigma).collect())
}

/// `sigma_min + q*(sigma_max - sigma_min)` with `q` the quantiles of the beta distribution at equal steps (Lee et al. 2024;
/// `a = b = 0.6` in diffusers).
///
/// # Errors
/// [`SamplerError::Parameter`]: `a` and `b` must be within 0.1..=100; [`SamplerError::Schedule`] for the count and for
/// ends in the wrong order.
pub(super) fn beta(n: usize, sigma_min: f64, sigma_max: f64, a: f64, b: f64) -> Result<Vec<f64>, SamplerError> {
    check_ends(n, sigma_min, sigma_max)?;
    check::shape("a of the beta distribution", a)?;
    check::shape("b of the beta distribution", b)?;
    Ok(quantiles(n, a, b).map(|share| sigma_min + share * (sigma_max - sigma_min)).collect())
}

/// `sqrt(exp(beta_d*t^2/2 + beta_min*t) - 1)` with `t` from 1 to `least_time` in equal steps: the continuous VP process
/// (Song et al. 2021, eq. 32-33; in k-diffusion `beta_d = 19.9`, `beta_min = 0.1`, `least_time = 0.001`).
///
/// # Errors
/// [`SamplerError::Parameter`]; [`SamplerError::Schedule`] for the count and for sigmas beyond the range of f64.
pub(super) fn variance_preserving(
    n: usize,
    beta_d: f64,
    beta_min: f64,
    least_time: f64,
) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    check::positive("beta_d", beta_d)?;
    check::not_negative("beta_min", beta_min)?;
    check::fraction("the least time", least_time)?;
    check::positive("the least time", least_time)?;
    let sigma = |x: f64| {
        let t = least_time + x * (1.0 - least_time);
        (0.5 * beta_d * t * t + beta_min * t).exp_m1().sqrt()
    };
    let list: Vec<f64> = falling(n).map(sigma).collect();
    let checked = list.into_iter().map(|sigma| NoiseLevel::variance_exploding(sigma).map(NoiseLevel::sigma));
    Ok(checked.collect::<Result<_, _>>()?)
}

/// Timesteps at the quantiles of a beta distribution, between the ends `[least, most]` (Lee et al. 2024, arXiv 2407.12173).
///
/// # Errors
/// [`SamplerError::Parameter`]; [`SamplerError::Schedule`] for the count.
pub(super) fn beta_timesteps(n: usize, [least, most]: [f64; 2], a: f64, b: f64) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    check::shape("a of the beta distribution", a)?;
    check::shape("b of the beta distribution", b)?;
    Ok(quantiles(n, a, b).map(|share| least + share * (most - least)).collect())
}

/// The quantiles of a beta distribution from 1 to 0 in `n` equal steps.
fn quantiles(n: usize, a: f64, b: f64) -> impl Iterator<Item = f64> {
    falling(n).map(move |p| quantile(p, a, b))
}

/// `1 .. 0` in `n` equal steps; 1 alone if `n` is 1.
fn falling(n: usize) -> impl Iterator<Item = f64> {
    let last = n.saturating_sub(1).max(1) as f64;
    (0..n).map(move |i| 1.0 - i as f64 / last)
}

fn check_ends(n: usize, sigma_min: f64, sigma_max: f64) -> Result<(), SamplerError> {
    check_steps(n)?;
    check::positive("sigma_min", sigma_min)?;
    check::positive("sigma_max", sigma_max)?;
    if sigma_min > sigma_max {
        let (name, start, end) = ("sigma", sigma_min, sigma_max);
        return Err(ScheduleError::Range { name, start, end }.into());
    }
    Ok(())
}

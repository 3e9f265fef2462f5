//! Lists of sigmas and times, by the library's rules and by hand.

use tweedie::error::SamplerError;
use tweedie::math::{Placement, Schedule};

/// A list by a rule of the library that does not depend on the schedule.
fn placed(placement: Placement, n: usize, ends: [f64; 2]) -> Result<Vec<f64>, SamplerError> {
    placement.sigmas(&Schedule::cosine(2).unwrap(), n, ends)
}

pub fn karras(n: usize, least: f64, most: f64, rho: f64) -> Result<Vec<f64>, SamplerError> {
    placed(Placement::Karras { rho }, n, [least, most])
}

pub fn exponential(n: usize, least: f64, most: f64) -> Result<Vec<f64>, SamplerError> {
    placed(Placement::Exponential, n, [least, most])
}

pub fn polyexponential(n: usize, least: f64, most: f64, rho: f64) -> Result<Vec<f64>, SamplerError> {
    placed(Placement::Polyexponential { rho }, n, [least, most])
}

pub fn beta(n: usize, least: f64, most: f64, a: f64, b: f64) -> Result<Vec<f64>, SamplerError> {
    placed(Placement::Beta { a, b }, n, [least, most])
}

pub fn variance_preserving(n: usize, beta_d: f64, beta_min: f64, least_time: f64) -> Result<Vec<f64>, SamplerError> {
    placed(Placement::Vp { beta_d, beta_min, least_time }, n, [0.1, 1.0])
}

/// `n` times in equal steps from `most` to `least`.
pub fn times(n: usize, most: f64, least: f64) -> Vec<f64> {
    let step = (least - most) / n.saturating_sub(1).max(1) as f64;
    (0..n).map(|i| if i > 0 && i + 1 == n { least } else { most + i as f64 * step }).collect()
}

//! The levels of diffusers' IPNDM: `sigma = sin(pi*s/2)^2` and `alpha = sqrt(1 - sigma^2)`, as angles.

use super::error::ConfigError;
use super::options::refused;
use std::f64::consts::FRAC_PI_2;

/// The angles at even `s` from 1 on, without the clean sample.
pub(super) fn even(steps: usize) -> Vec<f64> {
    let angle = |i: usize| {
        let (sine, cosine) = (FRAC_PI_2 * (1.0 - i as f64 / steps as f64)).sin_cos();
        (sine * sine).atan2(cosine * 1f64.hypot(sine))
    };
    (0..steps).map(angle).collect()
}

/// The angles of these sigmas (`trained_betas` of the class), which must fall and end with 0.
pub(super) fn angles(sigmas: &[f64]) -> Result<Vec<f64>, ConfigError> {
    let falls = sigmas.windows(2).all(|pair| pair[0] > pair[1]) && sigmas.len() > 1;
    let ends = [sigmas.first(), sigmas.last()].map(|end| end.copied().unwrap_or(f64::NAN));
    if !falls || ends[0] > 1.0 || ends[1] != 0.0 {
        let found = format!("{} numbers from {} to {}", sigmas.len(), ends[0], ends[1]);
        return Err(refused("trained_betas", "at least two falling sigmas within 0..=1, the last of them 0", found));
    }
    let visited = &sigmas[..sigmas.len() - 1];
    Ok(visited.iter().map(|sigma| sigma.atan2(((1.0 - sigma) * (1.0 + sigma)).sqrt())).collect())
}

//! The noise-to-signal ratios, "sigmas", of a schedule, and the timesteps that have them.
//!
//! A network that takes timesteps is given the timestep of a ratio, by interpolation.

use super::Schedule;
use crate::math::level::NoiseLevel;

/// The `abar` that a timestep without any signal is taken to have where its ratio must be finite: the least above 0 that f16
/// holds. diffusers does the same in all samplers that work in sigmas; the ratio is just below 4096.
const LEAST_ABAR: f64 = 1.0 / (1 << 24) as f64;

/// The least sigma that has a logarithm here (diffusers and k-diffusion).
const LEAST_SIGMA: f64 = 1e-10;

fn ratio(level: &NoiseLevel) -> f64 {
    match level.alpha() {
        0.0 => ((1.0 - LEAST_ABAR) / LEAST_ABAR).sqrt(),
        alpha => level.sigma() / alpha,
    }
}

impl Schedule {
    /// `sigma/alpha` of every timestep; just below 4096 (that of `abar = 2^-24`) where there is no signal.
    #[must_use]
    pub fn sigmas(&self) -> Vec<f64> {
        self.levels().iter().map(ratio).collect()
    }

    /// The ratios of the first and the last timestep.
    pub(crate) fn sigma_ends(&self) -> [f64; 2] {
        let levels = self.levels();
        [ratio(&levels[0]), ratio(&levels[levels.len() - 1])]
    }

    /// Returns the ratio at a position between timesteps, by linear interpolation; beyond the ends that of the nearest end, and
    /// NaN for NaN.
    #[must_use]
    pub fn sigma_at(&self, position: f64) -> f64 {
        if position.is_nan() {
            return position;
        }
        let (levels, last) = (self.levels(), self.len() - 1);
        let place = position.clamp(0.0, last as f64);
        let below = place.floor() as usize;
        let (low, high) = (ratio(&levels[below]), ratio(&levels[(below + 1).min(last)]));
        if place.fract() == 0.0 { low } else { (high - low).mul_add(place.fract(), low) }
    }

    /// Returns the position that has this ratio, by interpolation in its logarithm; beyond the ends the nearest end, and NaN
    /// for NaN.
    /// Takes time linear in the schedule's length.
    #[must_use]
    pub fn timestep_of(&self, sigma: f64) -> f64 {
        let levels = self.levels();
        let Some(last_pair) = levels.len().checked_sub(2).filter(|_| !sigma.is_nan()) else {
            return if sigma.is_nan() { sigma } else { 0.0 };
        };
        let sigma = sigma.max(LEAST_SIGMA);
        let below = levels.iter().rposition(|level| ratio(level) <= sigma).unwrap_or(0).min(last_pair);
        let [low, high] = [below, below + 1].map(|k| ratio(&levels[k]).max(LEAST_SIGMA).ln());
        let share = (sigma.ln() - low) / (high - low);
        below as f64 + if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }
}

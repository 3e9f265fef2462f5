//! The clock of a continuous cosine schedule: from times to levels and back.
//!
//! **Theory.** Nichol & Dhariwal 2021 (arXiv 2102.09672, eq. 17) in continuous time, as used by Würstchen (Pernias et al.
//! 2023, arXiv 2306.00637), whose networks are given the time itself:
//! ```text
//! abar(t) = clamp(cos^2((t' + offset)/(1 + offset)*pi/2)/cos^2(offset/(1 + offset)*pi/2), 0.0001, 0.9999)
//! t'      = t^power for a power below 1, 1 - (1 - t)^power above
//! ```

use super::check;
use super::error::sampler::SamplerError;
use super::level::NoiseLevel;
use std::f64::consts::FRAC_PI_2;

/// The least and the largest `abar`.
const ENDS: [f64; 2] = [1e-4, 0.9999];

/// The clock of a continuous cosine schedule: a level for each time in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineClock {
    offset: f64,
    power: f64,
}

impl CosineClock {
    /// Creates the clock with this offset, usually 0.008, and this power of time, usually 1 (`s` and `scaler` in diffusers).
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for an offset below 0 or a power that is not above 0.
    pub fn new(offset: f64, power: f64) -> Result<Self, SamplerError> {
        check::not_negative("the offset of a cosine schedule", offset)?;
        check::positive("the power of time", power)?;
        Ok(Self { offset, power })
    }

    /// Returns the level of a time in `0..=1`.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a time out of range.
    pub fn level(self, time: f64) -> Result<NoiseLevel, SamplerError> {
        check::fraction("the time of a cosine schedule", time)?;
        let moved = match self.power {
            power if power > 1.0 => 1.0 - (1.0 - time).powf(power),
            power => time.powf(power),
        };
        let abar = (self.angle(moved).cos() / self.angle(0.0).cos()).powi(2);
        Ok(NoiseLevel::variance_preserving(abar.clamp(ENDS[0], ENDS[1]))?)
    }

    fn angle(self, time: f64) -> f64 {
        (time + self.offset) / (1.0 + self.offset) * FRAC_PI_2
    }

    /// The time of a level.
    pub(super) fn time(self, level: NoiseLevel) -> f64 {
        let alpha = level.alpha() / level.alpha().hypot(level.sigma());
        let angle = (alpha * self.angle(0.0).cos()).clamp(0.0, 1.0).acos();
        let moved = (angle / FRAC_PI_2).mul_add(1.0 + self.offset, -self.offset).clamp(0.0, 1.0);
        match self.power {
            power if power > 1.0 => 1.0 - (1.0 - moved).powf(power.recip()),
            power => moved.powf(power.recip()),
        }
    }
}

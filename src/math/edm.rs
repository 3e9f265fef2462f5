//! EDM's preconditioning (Karras et al. 2022, arXiv 2206.00364, table 1).
//!
//! **Theory.** The network sees `c_in*x_t` and its output `F` is mixed with its input: `x0 = c_skip*x_t + c_out*F`. With
//! data of standard deviation `sigma_data`, at any level:
//! ```text
//! h      = sqrt((alpha*sigma_data)^2 + sigma^2)       the standard deviation of x_t
//! c_in   = 1/h
//! c_skip = alpha*sigma_data^2/h^2
//! c_out  = sigma*sigma_data/h
//! F      = (sigma/(sigma_data*h), -alpha*sigma_data/h)
//! ```
//! The paper's formulas are those at `alpha = 1`. `F` is `-v` of data scaled to unit variance: a rotation, never singular.
//!
//! **Practice.** `F` is a [`Quantity`](super::Quantity) like any other, so [`solve`](super::solve) from `F` to x0 gives
//! `c_skip` and `c_out`. Targets, losses and samplers need no special case.

use super::level::NoiseLevel;
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::FRAC_PI_2;
use std::hash::{Hash, Hasher};

/// How far an angle may exceed `pi/2` and still count as it: the published value has four decimals.
pub(crate) const RIGHT_ANGLE_ROUNDING: f64 = 1e-5;

/// The standard deviation of the data: finite and above 0, in the data's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmaData(f64);

impl SigmaData {
    /// The paper's value for images in `-1..=1`.
    pub const KARRAS: Self = Self(0.5);

    /// Creates a standard deviation.
    ///
    /// # Errors
    /// [`ScheduleError::ParamNotPositive`].
    pub fn new(value: f64) -> Result<Self, ScheduleError> {
        if value.is_finite() && value > 0.0 {
            Ok(Self(value))
        } else {
            Err(ScheduleError::ParamNotPositive { name: "sigma_data", value })
        }
    }

    /// The standard deviation.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// The factor `c_in` that gives the network's input unit variance.
    #[must_use]
    pub fn c_in(self, level: NoiseLevel) -> f64 {
        1.0 / self.deviation(level)
    }

    /// The number `c_noise = ln(sigma/alpha)/4` that the network is given instead of a timestep; infinite at both ends.
    #[must_use]
    pub fn c_noise(self, level: NoiseLevel) -> f64 {
        -0.25 * level.lambda()
    }

    /// The network's output as a row on `(x0, epsilon)`.
    pub(super) fn row(self, level: NoiseLevel) -> [f64; 2] {
        let h = self.deviation(level);
        [level.sigma() / h / self.0, 0.0 - level.alpha() * self.0 / h]
    }

    fn deviation(self, level: NoiseLevel) -> f64 {
        (level.alpha() * self.0).hypot(level.sigma())
    }
}

impl NoiseLevel {
    /// Creates the level `alpha = cos(t)`, `sigma = sigma_data*sin(t)` for an angle `t` in `0..=pi/2` (Lu & Song 2024, arXiv
    /// 2410.11081).
    ///
    /// An angle that exceeds `pi/2` only by the rounding of its published value, 1.5708, counts as `pi/2`.
    ///
    /// # Errors
    /// [`ScheduleError::Angle`].
    pub fn trig_flow(t: f64, sigma_data: SigmaData) -> Result<Self, ScheduleError> {
        if !(0.0..=FRAC_PI_2 + RIGHT_ANGLE_ROUNDING).contains(&t) {
            return Err(ScheduleError::Angle { value: t });
        }
        let alpha = if t >= FRAC_PI_2 { 0.0 } else { t.cos() };
        Ok(Self::raw(alpha, sigma_data.value() * t.min(FRAC_PI_2).sin()))
    }
}

/// The value is never NaN.
impl Eq for SigmaData {}

/// The value is never zero, so equal values have equal bits.
impl Hash for SigmaData {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

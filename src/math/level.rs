//! Noise levels: the shares of signal and noise in a noisy sample.
//!
//! **Theory.** Every Gaussian diffusion has `x_t = alpha*x0 + sigma*epsilon` with `epsilon ~ N(0, 1)` (Kingma et al.
//! 2021, arXiv 2107.00630, eq. 1); the families differ in the curve that `(alpha, sigma)` follows. The ratio
//! `SNR = alpha^2/sigma^2` decides a conversion; the length of `(alpha, sigma)` is only the scale of `x_t`.
//!
//! **Practice.** A [`NoiseLevel`] is two numbers that have been checked once: finite, not negative, not both zero.

use super::double_double::difference_of_products;
use crate::math::schedule_error::ScheduleError;

/// The coefficients of `x_t = alpha*x0 + sigma*epsilon`.
#[doc(alias("snr", "log_snr", "signal-to-noise"))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseLevel {
    alpha: f64,
    sigma: f64,
}

impl NoiseLevel {
    /// The clean sample: `alpha = 1`, `sigma = 0`.
    pub const CLEAN: Self = Self { alpha: 1.0, sigma: 0.0 };

    /// Creates a level from signal and noise, both finite and at least 0, not both 0.
    ///
    /// # Errors
    /// [`ScheduleError::Level`].
    pub fn new(alpha: f64, sigma: f64) -> Result<Self, ScheduleError> {
        let valid = |x: f64| x.is_finite() && x >= 0.0;
        if valid(alpha) && valid(sigma) && alpha + sigma > 0.0 {
            Ok(Self::raw(alpha, sigma))
        } else {
            Err(ScheduleError::Level { alpha, sigma })
        }
    }

    /// Creates the level `alpha = sqrt(abar)`, `sigma = sqrt(1 - abar)` for `abar` in `0..=1` (Ho et al. 2020, arXiv
    /// 2006.11239, eq. 4).
    ///
    /// `1 - abar` is one subtraction: where `abar` is near 1 and known more precisely than an f64 can hold, take the level
    /// of a [`Schedule`](super::Schedule) instead.
    ///
    /// # Errors
    /// [`ScheduleError::AlphasCumprod`], with index 0.
    pub fn variance_preserving(abar: f64) -> Result<Self, ScheduleError> {
        if !(0.0..=1.0).contains(&abar) {
            return Err(ScheduleError::AlphasCumprod { index: 0, value: abar });
        }
        Ok(Self::raw(abar.sqrt(), (1.0 - abar).sqrt()))
    }

    /// Creates the level `alpha = 1` with any finite `sigma >= 0` (Song et al. 2021, arXiv 2011.13456; Karras et al. 2022,
    /// 2206.00364).
    ///
    /// # Errors
    /// [`ScheduleError::Level`].
    pub fn variance_exploding(sigma: f64) -> Result<Self, ScheduleError> {
        Self::new(1.0, sigma)
    }

    /// Creates the level `alpha = 1 - t`, `sigma = t` for `t` in `0..=1`; `t = 1` is pure noise, as in Stable Diffusion 3
    /// and Flux (Liu et al. 2022, arXiv 2209.03003, counts the other way).
    ///
    /// # Errors
    /// [`ScheduleError::Time`].
    pub fn rectified_flow(t: f64) -> Result<Self, ScheduleError> {
        if !(0.0..=1.0).contains(&t) {
            return Err(ScheduleError::Time { value: t });
        }
        Ok(Self::raw(1.0 - t, t))
    }

    /// Creates a level without checking it; negative zeros become positive.
    pub(in crate::math) fn raw(alpha: f64, sigma: f64) -> Self {
        Self { alpha: alpha + 0.0, sigma: sigma + 0.0 }
    }

    /// The signal's coefficient.
    #[must_use]
    pub const fn alpha(self) -> f64 {
        self.alpha
    }

    /// The noise's coefficient.
    #[must_use]
    pub const fn sigma(self) -> f64 {
        self.sigma
    }

    /// The fraction of the variance that is signal, `alpha^2/(alpha^2 + sigma^2)`, in `0..=1`: `alpha^2` if variance
    /// preserving.
    #[must_use]
    pub fn alpha_bar(self) -> f64 {
        let cosine = self.alpha / self.alpha.hypot(self.sigma);
        cosine * cosine
    }

    /// The fraction of the variance that is noise, `sigma^2/(alpha^2 + sigma^2)`, in `0..=1`.
    #[must_use]
    pub fn one_minus_alpha_bar(self) -> f64 {
        let sine = self.sigma / self.alpha.hypot(self.sigma);
        sine * sine
    }

    /// The signal-to-noise ratio `alpha^2/sigma^2`; infinite at `sigma = 0`.
    #[must_use]
    pub fn snr(self) -> f64 {
        let ratio = self.alpha / self.sigma;
        ratio * ratio
    }

    /// `ln(SNR)`: plus infinity without noise, minus infinity without signal.
    #[must_use]
    pub fn log_snr(self) -> f64 {
        2.0 * self.lambda()
    }

    /// `ln(alpha/sigma)`, half the log SNR (Lu et al. 2022, arXiv 2206.00927); infinite where that is.
    #[must_use]
    pub fn lambda(self) -> f64 {
        log_ratio(self.alpha, self.sigma, self.alpha - self.sigma)
    }

    /// `alpha*other.sigma - sigma*other.alpha`: positive where `other` is noisier, accurate to 1.5 ulp.
    pub(in crate::math) fn noise_added_by(self, other: Self) -> f64 {
        difference_of_products(self.alpha, other.sigma, self.sigma, other.alpha)
    }
}

/// `ln(a/b)` given `a - b`, to a few ulp also where the two are nearly equal.
pub(in crate::math) fn log_ratio(a: f64, b: f64, difference: f64) -> f64 {
    if difference.abs() < 0.5 * b {
        (difference / b).ln_1p()
    } else if a > 0.0 && b > 0.0 && !(a / b).is_normal() {
        a.ln() - b.ln()
    } else {
        (a / b).ln()
    }
}

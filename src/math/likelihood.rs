//! Likelihoods of Gaussians: the divergence between two, and the probability that one gives to an 8-bit value.
//!
//! **Theory.** A term of the variational bound compares two normal distributions; the last term, the decoder, integrates one
//! over the bin of an 8-bit value (Ho et al. 2020, arXiv 2006.11239, eq. 13).
//!
//! **Practice.** The definitions are guided-diffusion's: the normal distribution function is its tanh approximation, and
//! probabilities below 1e-12 count as 1e-12. Results are in nats per element.

use crate::table::vlb::{CUBIC, HALF_BIN, LAST_BIN, LEAST_PROBABILITY};
use std::f64::consts::{FRAC_2_PI, LN_2};

fn argument(z: f64) -> f64 {
    FRAC_2_PI.sqrt() * (z + CUBIC * z * z * z)
}

/// `(1 + tanh(a))/2`, also where it is tiny.
fn logistic(a: f64) -> f64 {
    1.0 / (1.0 + (-2.0 * a).exp())
}

/// `(tanh(a) - tanh(b))/2` for `a >= b`, without cancellation where both are near 1 or both near -1.
fn half_tanh_difference(a: f64, b: f64) -> f64 {
    let (a, b) = if a + b < 0.0 { (-b, -a) } else { (a, b) };
    if b < 0.0 {
        return 0.5 * (a.tanh() - b.tanh());
    }
    let outside = |x: f64| (-2.0 * x).exp();
    let gap = if a == b { 0.0 } else { -(-2.0 * (a - b)).exp_m1() };
    outside(b) * gap / ((1.0 + outside(a)) * (1.0 + outside(b)))
}

/// The mean of nats over the elements in bits: bits per dimension. 0 if there are no elements.
pub(super) fn bits(nats: &[f64]) -> f64 {
    let mean = nats.iter().sum::<f64>() / nats.len().max(1) as f64;
    mean / LN_2
}

/// One element's normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// The mean.
    pub mean: f64,
    /// The logarithm of the variance.
    pub log_variance: f64,
}

impl Gaussian {
    /// Mean 0, variance 1.
    pub const STANDARD: Self = Self { mean: 0.0, log_variance: 0.0 };

    /// The divergence `KL(self || other)` in nats.
    #[must_use]
    pub fn kl(self, other: Self) -> f64 {
        let change = self.log_variance - other.log_variance;
        let distance = self.mean - other.mean;
        // change.exp() - 1 - change without cancellation between the first two.
        0.5 * (change.exp_m1() - change + distance * distance * (-other.log_variance).exp())
    }

    /// `(1 + tanh(sqrt(2/pi)*(z + 0.044715 z^3)))/2` with `z` the distance of `x` from the mean in standard deviations:
    /// guided-diffusion's distribution function, within 2e-4 of the normal one.
    #[must_use]
    pub fn cdf(self, x: f64) -> f64 {
        0.5 * (1.0 + argument((x - self.mean) * (-0.5 * self.log_variance).exp()).tanh())
    }

    /// The log probability in nats of the bin of width 2/255 around `x`; the bins of -1 and 1 are open (Ho et al. 2020, eq.
    /// 13). At least `ln(1e-12)`.
    ///
    /// ```
    /// use tweedie::math::Gaussian;
    ///
    /// let narrow = |mean| Gaussian { mean, log_variance: -20.0 };
    /// assert!(narrow(0.0).discretized_log_likelihood(0.0) > -1e-9); // in the middle of its bin
    /// assert_eq!(narrow(-1.0).discretized_log_likelihood(1.0), 1e-12f64.ln());
    /// ```
    #[must_use]
    pub fn discretized_log_likelihood(self, x: f64) -> f64 {
        let place = |edge: f64| argument((edge - self.mean) * (-0.5 * self.log_variance).exp());
        let (above, below) = (place(x + HALF_BIN), place(x - HALF_BIN));
        let probability = if x < -LAST_BIN {
            logistic(above)
        } else if x > LAST_BIN {
            logistic(-below)
        } else {
            half_tanh_difference(above, below)
        };
        probability.max(LEAST_PROBABILITY).ln()
    }
}

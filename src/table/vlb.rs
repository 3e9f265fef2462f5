//! Rows of a term of the variational bound.
//!
//! **Theory.** A term compares the Gaussian of the truth with the model's. Both means hold the same share of the noisy
//! sample, so their difference is the error of x0 times a number, and that error is linear in what the kernel reads.
//! Counted in standard deviations of the model it is `z`, and with the logarithm `r` of the ratio of both variances the
//! divergence is
//! ```text
//! KL = (e^r - 1 - r + z^2)/2
//! ```
//! The decoder integrates the model's Gaussian over the bin of an 8-bit value, with the same two numbers; and a standard
//! normal as the model of the last noisy sample is one more row.
//!
//! **Practice.** A [`VlbRow`] is two `vec4`s a timestep. The error is formed without the cancellation of two means that are
//! nearly equal; a clip that holds for the whole table acts on the clean sample that the error implies.

use super::Row;

/// Half of the width of a bin: 256 values in `-1..=1`.
pub(crate) const HALF_BIN: f64 = 1.0 / 255.0;

/// Beyond this a value is the first or the last of the 256, whose bin is open.
pub(crate) const LAST_BIN: f64 = 0.999;

/// The least probability of a bin (guided-diffusion).
pub(crate) const LEAST_PROBABILITY: f64 = 1e-12;

/// The coefficient of `z^3`, relative to `z`, in the tanh approximation of the normal distribution function
/// (guided-diffusion).
pub(crate) const CUBIC: f64 = 0.044715;

/// The cost that a term sums up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Term {
    /// The Kullback-Leibler divergence of the model from the truth, in nats.
    Divergence,
    /// The negative log likelihood of the clean sample's bin under the model, in nats.
    Decoder,
    /// The squared error of the clean sample.
    SquaredError,
}

/// The coefficients of one timestep:
/// ```text
/// d    = prediction*p + inputs[0]*x0 + inputs[1]*in1          the error of x0; clipped, clamp(x0 + d) - x0
/// r    = log_ratio[0] + log_ratio[1]*learned                  ln(truth's variance/model's variance)
/// s    = inverse_deviation*exp(r/2)                           1/(the model's standard deviation, in units of x0)
/// term = weight * sum(cost(d, r)) / elements
///
/// Divergence     cost = (exp(r) - 1 - r + (s*d)^2)/2
/// Decoder        cost = -ln(max(F(s*(h - d)) - F(s*(-h - d)), 1e-12)),  F(z) = (1 + tanh(sqrt(2/pi)*(z + 0.044715 z^3)))/2
/// SquaredError   cost = d^2
/// ```
/// where `p` is the network's output, `learned` its second, `in1` the noise or the noisy sample, and `h` half a bin; the
/// bins of -1 and 1 are open. An input whose coefficient is 0 is not looked at, and x0 itself only if something is clipped,
/// decoded, or its coefficient is not 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VlbRow {
    /// The coefficient of the network's output in the error of x0.
    pub prediction: f64,
    /// The coefficients of the clean sample and the other input in that error.
    pub inputs: [f64; 2],
    /// The factor from an error of x0 to standard deviations of the truth: x0's share of its mean over its deviation.
    pub inverse_deviation: f64,
    /// The logarithm of the ratio of the variances: alone, and of the network's second output.
    pub log_ratio: [f64; 2],
    /// The weight of the sample's term and its gradients.
    pub weight: f64,
    /// The cost.
    pub term: Term,
}

impl VlbRow {
    /// Returns the row with its weight multiplied by a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { weight: factor * self.weight, ..self }
    }
}

impl Term {
    /// The code in the kernel.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Term::Divergence => 0,
            Term::Decoder => 1,
            Term::SquaredError => 2,
        }
    }
}

/// `[prediction, x0, in1, inverse_deviation]`, `[log_ratio, of learned, weight, term]`.
impl Row<8> for VlbRow {
    fn numbers(&self) -> [f64; 8] {
        let Self { prediction, inputs: [x0, in1], inverse_deviation, log_ratio: [ratio, learned], weight, term } =
            *self;
        [prediction, x0, in1, inverse_deviation, ratio, learned, weight, f64::from(term.number())]
    }
}

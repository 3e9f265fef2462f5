//! Rows of the terms of the variational bound.
//!
//! **Theory.** A term compares the Gaussian of the true posterior with the model's. Both means contain the same share of the
//! noisy sample, so their difference is proportional to the error of x0, which is linear in the inputs of the kernel. With `z`
//! for the difference in standard deviations of the model and `r` for the logarithm of the ratio of the variances, the
//! divergence is
//! ```text
//! KL = (e^r - 1 - r + z^2)/2
//! ```
//! The decoder term integrates the model's Gaussian over the bin of an 8-bit value, with the same two numbers. The prior term,
//! with a standard normal as the model of the last noisy sample, is one more row.
//!
//! **Practice.** A [`VlbRow`] is two `vec4`s per timestep. The error is formed directly, without the cancellation between two
//! nearly equal means. Clipping is the same for the whole table and acts on the clean sample that the error implies.

use super::Row;

/// Half the width of a bin, of 256 values in `-1..=1`.
pub(crate) const HALF_BIN: f64 = 1.0 / 255.0;

/// Beyond this magnitude a value is the first or the last of the 256, whose bin is open to one side.
pub(crate) const LAST_BIN: f64 = 0.999;

/// The least probability of a bin (guided-diffusion).
pub(crate) const LEAST_PROBABILITY: f64 = 1e-12;

/// The coefficient of `z^3`, relative to `z`, in the tanh approximation of the normal distribution function
/// (guided-diffusion).
pub(crate) const CUBIC: f64 = 0.044715;

/// The cost that a term sums over elements.
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
/// where `p` is the network's output, `learned` its second output, `in1` the noise or the noisy sample, and `h` half a bin; the
/// bins of -1 and 1 are open to one side. An input whose coefficient is 0 is not read, except x0 where it is clipped or the
/// term is that of the decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VlbRow {
    /// The coefficient of the network's output in the error of x0.
    pub prediction: f64,
    /// The coefficients of the clean sample and the other input in that error.
    pub inputs: [f64; 2],
    /// The factor from an error of x0 to standard deviations of the true posterior: the coefficient of x0 in its mean over its
    /// standard deviation.
    pub inverse_deviation: f64,
    /// The logarithm of the ratio of the true variance to the model's: the constant part, and the coefficient of the network's
    /// second output.
    pub log_ratio: [f64; 2],
    /// The weight of the sample's term and its gradients.
    pub weight: f64,
    /// The cost that is summed.
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

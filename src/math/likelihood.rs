//! The variational bound: what a diffusion model says about the probability of data.
//!
//! **Theory.** The negative log likelihood of `x0` is at most a sum with one term a timestep (Ho et al. 2020, arXiv
//! 2006.11239, eq. 5):
//! ```text
//! prior       KL(q(x_T | x0) || N(0, 1))
//! timestep t  KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t))        t > 0
//! timestep 0  -log p(x0 | x_0)                                     the decoder
//! ```
//! where `p` is the Gaussian whose mean is the posterior's at the `x0` that the network implies, and whose variance is
//! fixed or learned. The decoder is that Gaussian, integrated over the bin of an 8-bit value.
//!
//! **Practice.** Host code in f64 for evaluation, one sample at a time, in nats an element; [`bits`] makes bits per
//! dimension of them. guided-diffusion's definitions throughout: the normal distribution function is its tanh
//! approximation, and probabilities below 1e-12 count as that. Its hybrid loss adds the term of a drawn timestep, times
//! `T/1000`, to the mean squared error, and lets no gradient through the term's mean.

use super::posterior::Posterior;
use super::quantity::{Quantity, solve};
use super::schedule::{LEAST_VARIANCE, Schedule};
use crate::error::BoundError;
use std::f64::consts::{FRAC_2_PI, LN_2};

/// The least probability of a bin (guided-diffusion).
const LEAST_PROBABILITY: f64 = 1e-12;

/// Half of the width of a bin: 256 values in `-1..=1`.
const HALF_BIN: f64 = 1.0 / 255.0;

/// Beyond this a value is the first or the last of the 256, whose bin is open.
const LAST_BIN: f64 = 0.999;

/// `KL(N(mean1, e^log_variance1) || N(mean2, e^log_variance2))` in nats.
#[must_use]
pub fn normal_kl(first: Gaussian, second: Gaussian) -> f64 {
    let change = first.log_variance - second.log_variance;
    let distance = first.mean - second.mean;
    // change.exp() - 1 - change without cancellation between the first two.
    0.5 * (change.exp_m1() - change + distance * distance * (-second.log_variance).exp())
}

/// `(1 + tanh(sqrt(2/pi)*(z + 0.044715 z^3)))/2`: guided-diffusion's distribution function of the standard normal, within
/// 2e-4 of it.
#[must_use]
pub fn tanh_normal_cdf(z: f64) -> f64 {
    0.5 * (1.0 + argument(z).tanh())
}

fn argument(z: f64) -> f64 {
    FRAC_2_PI.sqrt() * (z + 0.044715 * z * z * z)
}

/// The log probability in nats of the bin of width 2/255 around `x`, under a Gaussian of this mean and log standard
/// deviation; the bins of -1 and 1 are open (Ho et al. 2020, eq. 13). At least `ln(1e-12)`.
///
/// ```
/// use tweedie::math::discretized_gaussian_log_likelihood as likelihood;
///
/// assert!(likelihood(0.0, 0.0, -10.0) > -1e-9); // a narrow Gaussian in the middle of its bin
/// assert_eq!(likelihood(1.0, -1.0, -10.0), 1e-12f64.ln());
/// ```
#[must_use]
pub fn discretized_gaussian_log_likelihood(x: f64, mean: f64, log_scale: f64) -> f64 {
    let place = |edge: f64| argument((edge - mean) * (-log_scale).exp());
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

/// The mean of nats over the elements, in bits: bits per dimension. 0 of no element.
#[must_use]
pub fn bits(nats: &[f64]) -> f64 {
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
}

/// The variance of a reverse step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ModelVariance {
    /// That of the posterior, at timestep 0 that of timestep 1.
    #[default]
    FixedSmall,
    /// `beta_t`, at timestep 0 the posterior's of timestep 1.
    FixedLarge,
    /// The exponential of the network's second output.
    Learned,
    /// Between the posterior's and `beta_t`, in logarithm, as the network's second output goes from -1 to 1 (Nichol &
    /// Dhariwal 2021, arXiv 2102.09672, eq. 15).
    LearnedRange,
}

/// The bound of a model on a schedule.
#[derive(Clone, Debug)]
pub struct Bound {
    schedule: Schedule,
    predicts: Quantity,
    clip: Option<f64>,
    steps: Vec<Step>,
}

/// What a timestep needs.
#[derive(Clone, Copy, Debug)]
struct Step {
    posterior: Posterior,
    /// Of the posterior, clipped.
    log_variance: f64,
    /// Of the model: this, and this times the network's second output.
    learned: [f64; 2],
}

/// A term of the bound, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundTerm {
    /// What the model says of the step before.
    pub model: Vec<Gaussian>,
    /// The clean sample that the prediction implies, clipped.
    pub x0: Vec<f64>,
    /// The Kullback-Leibler divergence from the posterior, in nats: the term at every timestep but 0.
    pub kl: Vec<f64>,
    /// The negative log likelihood of the clean sample, in nats: the term at timestep 0.
    pub decoder: Vec<f64>,
}

/// The bound of one sample over a whole chain.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainBound {
    /// Bits per dimension of each timestep, 0 first.
    pub terms: Vec<f64>,
    /// Bits per dimension of the prior.
    pub prior: f64,
    /// Their sum: at most this many bits per dimension describe the sample.
    pub total: f64,
    /// The mean squared error of the clean sample at each timestep.
    pub x0_mse: Vec<f64>,
    /// That of the epsilon which follows from the clean sample; NaN where it does not follow.
    pub epsilon_mse: Vec<f64>,
}

impl Bound {
    /// For a model that predicts a quantity. Its x0 is clamped to `-clip..=clip`, if that is given; NaN clamps nothing.
    ///
    /// # Errors
    /// [`BoundError::Schedule`]: a schedule without betas, or one on which the signal rises.
    pub fn new(
        schedule: &Schedule,
        predicts: Quantity,
        variance: ModelVariance,
        clip: Option<f64>,
    ) -> Result<Self, BoundError> {
        let clip = clip.map(f64::abs).filter(|clip| !clip.is_nan());
        let posteriors = schedule.posteriors()?;
        let small = schedule.posterior_log_variance_clipped()?;
        let mut large: Vec<f64> = schedule.chain()?.betas().iter().map(|b| b.max(LEAST_VARIANCE).ln()).collect();
        let range = |t: usize| [0.5 * (small[t] + large[t]), 0.5 * (large[t] - small[t])];
        let learned: Vec<[f64; 2]> = match variance {
            ModelVariance::FixedSmall => small.iter().map(|&log| [log, 0.0]).collect(),
            ModelVariance::FixedLarge => {
                large[0] = small[0];
                large.iter().map(|&log| [log, 0.0]).collect()
            }
            ModelVariance::Learned => vec![[0.0, 1.0]; small.len()],
            ModelVariance::LearnedRange => (0..small.len()).map(range).collect(),
        };
        let steps = posteriors.into_iter().zip(small).zip(learned);
        let steps = steps.map(|((posterior, log_variance), learned)| Step { posterior, log_variance, learned });
        Ok(Self { schedule: schedule.clone(), predicts, clip, steps: steps.collect() })
    }

    /// The term of a timestep, from the clean sample, the noisy one, and the network's outputs. `learned` is not looked at
    /// where the variance is fixed.
    ///
    /// # Errors
    /// [`BoundError`]: a timestep out of range, tensors of other sizes, a prediction that does not determine x0.
    pub fn term(
        &self,
        timestep: usize,
        x0: &[f64],
        x_t: &[f64],
        prediction: &[f64],
        learned: &[f64],
    ) -> Result<BoundTerm, BoundError> {
        let level = self.schedule.level(timestep)?;
        let Step { posterior, log_variance, learned: [fixed, slope] } = self.steps[timestep];
        let tensors = [("x_t", x_t), ("prediction", prediction), ("learned", learned)];
        let needed = if slope == 0.0 { 2 } else { 3 };
        tensors[..needed].iter().try_for_each(|(name, tensor)| check(name, x0, tensor))?;
        let [c0, c1] = solve(level, self.predicts, Quantity::X0).map_err(|error| error.at(timestep))?;
        let implied = x_t.iter().zip(prediction).map(|(x, p)| self.clipped(c0 * x + c1 * p));
        let implied: Vec<f64> = implied.collect();
        let mean = |x0: f64, x: f64| posterior.coef_x0 * x0 + posterior.coef_xt * x;
        let model = implied.iter().zip(x_t).enumerate().map(|(i, (&x0, &x))| {
            let log_variance = if slope == 0.0 { fixed } else { fixed + slope * learned[i] };
            Gaussian { mean: mean(x0, x), log_variance }
        });
        let model: Vec<Gaussian> = model.collect();
        let truth = x0.iter().zip(x_t).map(|(&x0, &x)| Gaussian { mean: mean(x0, x), log_variance });
        let kl = truth.zip(&model).map(|(truth, &model)| normal_kl(truth, model)).collect();
        let nll = |(&x0, g): (&f64, &Gaussian)| -discretized_gaussian_log_likelihood(x0, g.mean, 0.5 * g.log_variance);
        let decoder = x0.iter().zip(&model).map(nll).collect();
        Ok(BoundTerm { model, x0: implied, kl, decoder })
    }

    /// `KL(q(x_T | x0) || N(0, 1))` in nats, element by element.
    #[must_use]
    pub fn prior(&self, x0: &[f64]) -> Vec<f64> {
        let end = self.schedule.levels()[self.schedule.len() - 1];
        let log_variance = 2.0 * end.sigma().ln();
        let last = |x0: &f64| normal_kl(Gaussian { mean: end.alpha() * x0, log_variance }, Gaussian::STANDARD);
        x0.iter().map(last).collect()
    }

    /// The whole bound of one sample: `noise` gives the noise of a timestep, `network` its outputs (prediction, learned) for
    /// a timestep and a noisy sample. Both are asked from the last timestep to the first.
    ///
    /// # Errors
    /// As [`term`](Self::term).
    pub fn chain(
        &self,
        x0: &[f64],
        mut noise: impl FnMut(usize) -> Vec<f64>,
        mut network: impl FnMut(usize, &[f64]) -> [Vec<f64>; 2],
    ) -> Result<ChainBound, BoundError> {
        let steps = self.schedule.len();
        let [mut terms, mut x0_mse, mut epsilon_mse] = [(); 3].map(|()| vec![0.0; steps]);
        for t in (0..steps).rev() {
            let (level, epsilon) = (self.schedule.level(t)?, noise(t));
            check("noise", x0, &epsilon)?;
            let pairs = x0.iter().zip(&epsilon);
            let x_t: Vec<f64> = pairs.map(|(x0, eps)| level.alpha() * x0 + level.sigma() * eps).collect();
            let [prediction, learned] = network(t, &x_t);
            let term = self.term(t, x0, &x_t, &prediction, &learned)?;
            terms[t] = term.bits(t);
            x0_mse[t] = mse(x0, &term.x0);
            epsilon_mse[t] = match solve(level, Quantity::X0, Quantity::Epsilon) {
                Ok([c0, c1]) => {
                    let implied = x_t.iter().zip(&term.x0).map(|(x, x0)| c0 * x + c1 * x0);
                    mse(&epsilon, &implied.collect::<Vec<_>>())
                }
                Err(_) => f64::NAN,
            };
        }
        let prior = bits(&self.prior(x0));
        Ok(ChainBound { total: terms.iter().sum::<f64>() + prior, terms, prior, x0_mse, epsilon_mse })
    }

    fn clipped(&self, x0: f64) -> f64 {
        self.clip.map_or(x0, |clip| x0.clamp(-clip, clip))
    }
}

impl BoundTerm {
    /// Bits per dimension that this term adds to the bound at its timestep.
    #[must_use]
    pub fn bits(&self, timestep: usize) -> f64 {
        bits(if timestep == 0 { &self.decoder } else { &self.kl })
    }
}

fn mse(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>() / a.len().max(1) as f64
}

fn check(name: &'static str, x0: &[f64], tensor: &[f64]) -> Result<(), BoundError> {
    let (expected, found) = (x0.len(), tensor.len());
    if expected == found { Ok(()) } else { Err(BoundError::Elements { name, expected, found }) }
}

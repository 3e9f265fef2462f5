//! The variational lower bound (VLB) of a diffusion model: an upper bound on bits per dimension of data.
//!
//! **Theory.** The negative log likelihood of `x0` is at most a sum with one term per timestep (Ho et al. 2020, arXiv
//! 2006.11239, eq. 5):
//! ```text
//! prior       KL(q(x_T | x0) || N(0, 1))
//! timestep t  KL(q(x_{t-1} | x_t, x0) || p(x_{t-1} | x_t))        t > 0
//! timestep 0  -log p(x0 | x_0)                                     the decoder
//! ```
//! where `p` is the Gaussian whose mean is the posterior's at the `x0` that the network implies, and whose variance is
//! fixed or learned. The decoder is that Gaussian, integrated over the bin of an 8-bit value. Both means hold the same
//! share of `x_t`, so they differ only by the error of `x0` times its coefficient in the posterior: a row of a table.
//!
//! **Practice.** [`Vlb::term`] and [`Vlb::chain`] evaluate the bound in f64, one sample at a time, by the published
//! formulas; [`Vlb::table`] and [`Vlb::chain_table`] are the rows of the kernels that do so on the GPU (see
//! [`gpu::vlb`](crate::gpu::vlb)), in bits per dimension. The definitions are those of guided-diffusion. Its hybrid
//! loss adds the term of a drawn timestep, times `T/1000`, to the mean squared error, and lets no gradient through the
//! term's mean.

use super::likelihood::{Gaussian, bits};
use super::loss::LossInputs;
use super::model_variance::ModelVariance;
use super::posterior::Posterior;
use super::quantity::{Quantity, Undefined, solve};
use super::schedule::{LEAST_VARIANCE, Schedule};
use crate::math::error::vlb::VlbError;
use crate::table::Table;
use crate::table::vlb::{Term, VlbRow};
use std::f64::consts::LN_2;

/// The variational bound of a model on a schedule.
#[derive(Clone, Debug)]
pub struct Vlb {
    schedule: Schedule,
    predicts: Quantity,
    clip: Option<f64>,
    timesteps: Vec<Gaussians>,
}

/// The Gaussians of a timestep.
#[derive(Clone, Copy, Debug)]
struct Gaussians {
    posterior: Posterior,
    /// The log variance of the posterior, clipped.
    log_variance: f64,
    /// The log variance of the model: a constant, and the factor of the network's second output.
    learned: [f64; 2],
}

/// A term of the variational bound, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct VlbTerm {
    /// The model's Gaussian `p(x_{t-1} | x_t)`; at timestep 0 that of the decoder.
    pub model: Vec<Gaussian>,
    /// The clean sample that the prediction implies, clipped.
    pub x0: Vec<f64>,
    /// The Kullback-Leibler divergence from the posterior, in nats: the term at every timestep but 0.
    pub kl: Vec<f64>,
    /// The negative log likelihood of the clean sample, in nats: the term at timestep 0.
    pub decoder: Vec<f64>,
}

/// The variational bound of one sample over a whole chain.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainVlb {
    /// Bits per dimension of each timestep, 0 first.
    pub terms: Vec<f64>,
    /// Bits per dimension of the prior.
    pub prior: f64,
    /// The sum of the terms and the prior: an upper bound on the sample's bits per dimension.
    pub total: f64,
    /// The mean squared error of the predicted clean sample at each timestep.
    pub x0_mse: Vec<f64>,
    /// The mean squared error of the epsilon that the predicted clean sample implies; NaN where it is undefined.
    pub epsilon_mse: Vec<f64>,
}

impl Vlb {
    /// Creates the bound of a model that predicts a quantity. The x0 that it implies is clamped to `-clip..=clip` if `clip` is
    /// given and finite.
    ///
    /// # Errors
    /// [`VlbError::Schedule`] for a schedule without betas, or one on which the signal rises.
    pub fn new(
        schedule: &Schedule,
        predicts: Quantity,
        variance: ModelVariance,
        clip: Option<f64>,
    ) -> Result<Self, VlbError> {
        let clip = clip.map(f64::abs).filter(|clip| clip.is_finite());
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
        let timesteps = posteriors.into_iter().zip(small).zip(learned);
        let timesteps =
            timesteps.map(|((posterior, log_variance), learned)| Gaussians { posterior, log_variance, learned });
        Ok(Self { schedule: schedule.clone(), predicts, clip, timesteps: timesteps.collect() })
    }

    /// Evaluates the term of a timestep from the clean sample, the noisy one and the network's outputs. `learned` is ignored
    /// where the variance is fixed.
    ///
    /// # Errors
    /// [`VlbError`] for a timestep out of range, tensors of different sizes, or a prediction that does not determine x0.
    pub fn term(
        &self,
        timestep: usize,
        x0: &[f64],
        x_t: &[f64],
        prediction: &[f64],
        learned: &[f64],
    ) -> Result<VlbTerm, VlbError> {
        let level = self.schedule.level(timestep)?;
        let Gaussians { posterior, log_variance, learned: [fixed, slope] } = self.timesteps[timestep];
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
        let kl = truth.zip(&model).map(|(truth, &model)| truth.kl(model)).collect();
        let nll = |(&x0, g): (&f64, &Gaussian)| -g.discretized_log_likelihood(x0);
        let decoder = x0.iter().zip(&model).map(nll).collect();
        Ok(VlbTerm { model, x0: implied, kl, decoder })
    }

    /// Returns `KL(q(x_T | x0) || N(0, 1))` in nats, element by element.
    #[must_use]
    pub fn prior(&self, x0: &[f64]) -> Vec<f64> {
        let end = self.schedule.levels()[self.schedule.len() - 1];
        let log_variance = 2.0 * end.sigma().ln();
        let last = |x0: &f64| Gaussian { mean: end.alpha() * x0, log_variance }.kl(Gaussian::STANDARD);
        x0.iter().map(last).collect()
    }

    /// Evaluates the whole bound of one sample: `noise` gives the noise of a timestep, `network` its outputs
    /// (prediction, learned) for a timestep and a noisy sample. Both are called from the last timestep to the first.
    ///
    /// # Errors
    /// As [`term`](Self::term).
    pub fn chain(
        &self,
        x0: &[f64],
        mut noise: impl FnMut(usize) -> Vec<f64>,
        mut network: impl FnMut(usize, &[f64]) -> [Vec<f64>; 2],
    ) -> Result<ChainVlb, VlbError> {
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
        Ok(ChainVlb { total: terms.iter().sum::<f64>() + prior, terms, prior, x0_mse, epsilon_mse })
    }

    /// The schedule.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The limit to which the clean sample is clamped, on both sides of 0.
    #[must_use]
    pub const fn clip(&self) -> Option<f64> {
        self.clip
    }

    /// Returns true if the variance depends on the network's second output at any timestep.
    #[must_use]
    pub fn learns(&self) -> bool {
        self.timesteps.iter().any(|step| step.learned[1] != 0.0)
    }

    /// Returns the coefficients of the term of a timestep, in bits per dimension. With [`LossInputs::CleanAndNoise`] the
    /// kernel reads the noise along with the clean sample, and the error of the mean does not cancel; with
    /// [`LossInputs::NoisyAndTarget`] it reads the noisy sample in place of the noise.
    ///
    /// # Errors
    /// [`VlbError::Schedule`] for a timestep out of range, [`VlbError::Undefined`] where the prediction does not determine
    /// x0.
    pub fn row(&self, timestep: usize, given: LossInputs) -> Result<VlbRow, VlbError> {
        let level = self.schedule.level(timestep)?;
        let Gaussians { posterior, log_variance, learned: [fixed, slope] } = self.timesteps[timestep];
        let at = |error: Undefined| error.at(timestep);
        let [c0, c1] = solve(level, self.predicts, Quantity::X0).map_err(at)?;
        let inputs = match given {
            LossInputs::NoisyAndTarget => [-1.0, c0],
            LossInputs::CleanAndNoise => self.predicts.row(level).map_err(at)?.map(|c| 0.0 - c1 * c),
        };
        Ok(VlbRow {
            prediction: c1,
            inputs,
            inverse_deviation: posterior.coef_x0 * (-0.5 * log_variance).exp(),
            log_ratio: [log_variance - fixed, 0.0 - slope],
            weight: 1.0 / LN_2,
            term: if timestep == 0 { Term::Decoder } else { Term::Divergence },
        })
    }

    /// Returns the coefficients of the prior, in bits per dimension; it depends on the clean sample alone.
    #[must_use]
    pub fn prior_row(&self) -> VlbRow {
        let end = self.schedule.levels()[self.schedule.len() - 1];
        VlbRow {
            prediction: 0.0,
            inputs: [-1.0, 0.0],
            inverse_deviation: end.alpha() / end.sigma(),
            log_ratio: [2.0 * end.sigma().ln(), 0.0],
            weight: 1.0 / LN_2,
            term: Term::Divergence,
        }
    }

    /// Returns the coefficients of the terms of all timesteps.
    ///
    /// # Errors
    /// As [`row`](Self::row), for the first timestep without one.
    pub fn table(&self, given: LossInputs) -> Result<Table<VlbRow>, VlbError> {
        let rows = (0..self.schedule.len()).map(|t| self.row(t, given));
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// As [`table`](Self::table), with an undefined row at every timestep at which the prediction does not determine x0.
    #[must_use]
    pub fn table_where_defined(&self, given: LossInputs) -> Table<VlbRow> {
        Table::with_undefined((0..self.schedule.len()).map(|t| self.row(t, given).ok()))
    }

    /// Returns the rows of a whole chain: those of all timesteps, then that of the prior.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn chain_table(&self, given: LossInputs) -> Result<Table<VlbRow>, VlbError> {
        let rows = (0..self.schedule.len()).map(|t| self.row(t, given)).chain([Ok(self.prior_row())]);
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// Returns the rows of the mean squared error of the clean sample, clipped, at every timestep. That of the epsilon which
    /// the clean sample implies is this error times the [signal-to-noise ratio](Schedule::snr).
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn x0_mse_table(&self, given: LossInputs) -> Result<Table<VlbRow>, VlbError> {
        Ok(self.table(given)?.map(|row| VlbRow { weight: 1.0, term: Term::SquaredError, ..*row }))
    }

    fn clipped(&self, x0: f64) -> f64 {
        self.clip.map_or(x0, |clip| x0.clamp(-clip, clip))
    }
}

impl VlbTerm {
    /// Returns the bits per dimension that this term adds to the bound, given its timestep.
    #[must_use]
    pub fn bits(&self, timestep: usize) -> f64 {
        bits(if timestep == 0 { &self.decoder } else { &self.kl })
    }
}

fn mse(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>() / a.len().max(1) as f64
}

fn check(name: &'static str, x0: &[f64], tensor: &[f64]) -> Result<(), VlbError> {
    let (expected, found) = (x0.len(), tensor.len());
    if expected == found { Ok(()) } else { Err(VlbError::Elements { name, expected, found }) }
}

//! Churn: noise that is added before a step and removed by the step.
//!
//! **Theory.** Karras et al. 2022 (arXiv 2206.00364, algorithm 2): the sample at `sigma` is raised to
//! `sigma^ = sigma*(1 + gamma)` by fresh noise, and the step starts there:
//! ```text
//! gamma = min(amount/n, sqrt(2) - 1) where least <= sigma <= most, else 0
//! x^    = x + scale*sqrt(sigma^^2 - sigma^2)*z
//! ```
//!
//! **Practice.** The noise of step `k` is added by the row of the call before it, so that the network is given the churned
//! sample, as in the paper and k-diffusion; that of the first step by [`Sampler::start`](super::Sampler::start).
//! diffusers calls the network before the noise is added and uses its output afterwards; see [`Churn::unseen`].

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;

/// Parameters of churning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churn {
    /// `s_churn`: the amount of churn, spread over the steps.
    pub amount: f64,
    /// `s_tmin`: no churn below this sigma.
    pub least: f64,
    /// `s_tmax`: no churn above this sigma; may be infinite.
    pub most: f64,
    /// `s_noise`: the factor of the noise, 1 or slightly above.
    pub scale: f64,
}

impl Churn {
    /// Creates churn of this amount at every sigma.
    #[must_use]
    pub const fn new(amount: f64) -> Self {
        Self { amount, least: 0.0, most: f64::INFINITY, scale: 1.0 }
    }

    fn check(&self, grid: &Grid) -> Result<(), SamplerError> {
        check::not_negative("churn", self.amount)?;
        check::not_negative("the scale of churn", self.scale)?;
        check::not_nan("the least sigma of churn", self.least)?;
        check::not_nan("the largest sigma of churn", self.most)?;
        let exploding = |step: &Step| step.from.alpha() == 1.0;
        match grid.steps().iter().position(|step| !exploding(step)) {
            Some(step) => {
                Err(SamplerError::Unsupported { solver: "churn", what: "raise a level with alpha < 1", step })
            }
            None => Ok(()),
        }
    }

    /// The churned sigma, and the standard deviation of the noise that is added to reach it.
    fn of(&self, sigma: f64, steps: usize) -> (f64, f64) {
        if !(self.least..=self.most).contains(&sigma) {
            return (sigma, 0.0);
        }
        let gamma = (self.amount / steps as f64).min(std::f64::consts::SQRT_2 - 1.0);
        (sigma * (1.0 + gamma), self.scale * sigma * (gamma * (2.0 + gamma)).sqrt())
    }
}

impl Grid {
    /// Returns the grid with every step churned; `clock` gives the timestep of a sigma.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for churn out of range; [`SamplerError::Unsupported`] unless every step starts at a level
    /// with `alpha = 1`.
    pub fn churned(&self, churn: &Churn, clock: impl Fn(f64) -> f64) -> Result<Self, SamplerError> {
        churn.check(self)?;
        let raise = |step: &Step| {
            let (sigma, noise) = churn.of(step.from.sigma(), self.len());
            if noise == 0.0 {
                return Ok(*step);
            }
            let from = NoiseLevel::variance_exploding(sigma)?;
            Ok(Step { timestep: clock(sigma), from, input: self.scale().input(from), churn: noise, ..*step })
        };
        self.with_steps(self.steps().iter().map(raise).collect::<Result<_, SamplerError>>()?)
    }
}

impl Churn {
    /// Returns Euler's method with churn as diffusers computes it: the network is called at `sigma`, and its output is used as
    /// if it came from the churned sample. A prediction of v is converted at `sigma`, any other at the churned level.
    #[must_use]
    pub fn unseen(self) -> impl Solver {
        UnseenChurn(self)
    }
}

/// See [`Churn::unseen`].
struct UnseenChurn(Churn);

impl UnseenChurn {
    fn call(&self, k: usize, step: &Step, steps: usize, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let (sigma, noise) = self.0.of(step.from.sigma(), steps);
        let raised = NoiseLevel::variance_exploding(sigma)?;
        let converted = match denoiser.prediction {
            Quantity::V => *step,
            // The network's input was scaled for sigma, but its output is converted as if for the raised level.
            _ => Step { from: raised, ..*step },
        };
        let mut call = Call::begin(k, &converted, denoiser, Quantity::X0)?;
        call.level = step.from;
        let move_ = Transition { from: raised, to: step.to };
        let row = &mut call.row;
        row.x0[2] = row.x0[0] * noise;
        (row.x, row.clean, row.z) = (move_.ratio(), move_.added() / sigma, move_.ratio() * noise);
        Ok(call)
    }
}

impl Solver for UnseenChurn {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        self.0.check(grid)?;
        let steps = grid.steps().iter().enumerate();
        let calls = steps.map(|(k, step)| self.call(k, step, grid.len(), denoiser));
        Ok(calls.collect::<Result<Vec<_>, _>>()?.into())
    }
}

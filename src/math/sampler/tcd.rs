//! TCD: strategic stochastic sampling of a trajectory consistency model.
//!
//! **Theory.** Zheng et al. 2024 (arXiv 2402.19159, algorithm 4): a step from `t` to `t'` goes without noise to the earlier
//! time `s = (1 - gamma)*t'`, and back to `t'` with fresh noise. With the ratios `r = sigma/alpha` at `t'` and `s`,
//! ```text
//! x' = alpha'*(x0 + r_s*epsilon) + alpha'*sqrt(r'^2 - r_s^2)*z
//! ```
//! `gamma = 0` is DDIM; `gamma = 1` noises the clean sample anew, from the level at time 0.
//!
//! **Practice.** Times are the model's, so the caller supplies a function that gives the ratio at `(1 - gamma)` of a level's
//! time. If x0 is clipped, epsilon is the one that the network's output implies.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// Strategic stochastic sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tcd<F> {
    /// The share of the time `t'` by which a step overshoots and returns, in `0..=1`: `gamma` in the paper, `eta` in diffusers.
    pub gamma: f64,
    /// A function from a share and a level's noise-to-signal ratio to the ratio at that share of the level's time.
    pub earlier: F,
}

impl<F: Fn(f64, f64) -> f64> Tcd<F> {
    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let [e_x, e_p] = denoiser.row(Quantity::Epsilon, k, step)?;
        let (alpha, sigma) = (step.to.alpha(), step.to.sigma());
        // The clamp is for times before the model's first: they are not noisier than the end of the step.
        let kept = match sigma / alpha {
            ratio if self.gamma > 0.0 => alpha * (self.earlier)(1.0 - self.gamma, ratio).clamp(0.0, ratio),
            _ => sigma,
        };
        let row = &mut call.row;
        (row.x, row.p, row.clean) = (kept * e_x, kept * e_p, alpha);
        row.z = ((sigma - kept) * (sigma + kept)).sqrt();
        Ok(call)
    }
}

impl<F: Fn(f64, f64) -> f64> Solver for Tcd<F> {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check::fraction("gamma", self.gamma)?;
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }
}

//! DPM2: the midpoint method, deterministic or ancestral.
//!
//! **Theory.** k-diffusion's `sample_dpm_2` and `sample_dpm_2_ancestral` (after DPM-Solver-2, Lu et al. 2022, arXiv 2206.00927,
//! and algorithm 2 of Karras et al. 2022, arXiv 2206.00364): an Euler step to the geometric mean `m` of the sigmas of a step,
//! then the whole step with the slope found there. With `(a, s)` for `(alpha, sigma)`,
//! ```text
//! x_m = Euler from (a, s) to (a_m, s_m)        x' = x + (a' - a)*x0_m + (s' - s)*epsilon_m
//! ```
//! for every family of levels. The first sample follows from the one at `m` and the x0 of the call before, so that
//! ```text
//! x' = (s'/s_m)*x_m + ((a'*s_m - a_m*s') + (a_m*s - a*s_m))/s_m * x0_m - (a_m*s - a*s_m)/s_m * x0
//! ```
//! is an ordinary multistep row. The ancestral method steps to a cleaner level than the next, with the old noise alone, and adds
//! new noise: on variance-exploding levels with `eta = 1`, `m` is then the next sigma.
//!
//! **Practice.** The network is called at `m`, between the levels of the grid, which therefore needs a
//! [clock](Grid::with_clock). A step to a clean sample, or from pure noise on a scale where that has no finite sigma, is an Euler
//! step of one call. A loop of `n` steps from a finite sigma down to a clean sample has `2n - 1` calls.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::halfway::{Mean, halfway};
use super::solver::{Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;

/// The midpoint method of k-diffusion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dpm2 {
    /// The share of the posterior's noise that is drawn, in `0..=1`: 0 is deterministic, 1 the usual ancestral method.
    pub eta: f64,
    /// The factor of fresh noise (`s_noise` of k-diffusion), usually 1.
    pub noise_scale: f64,
}

impl Dpm2 {
    /// Creates the deterministic method.
    #[must_use]
    pub const fn new() -> Self {
        Self::ancestral(0.0)
    }

    /// Creates the ancestral method, whose `eta` is usually 1.
    #[must_use]
    pub const fn ancestral(eta: f64) -> Self {
        Self { eta, noise_scale: 1.0 }
    }

    /// The calls of step `k`: one or two.
    fn step(&self, k: usize, grid: &Grid, denoiser: &Denoiser, calls: &mut Vec<Call>) -> Result<(), SamplerError> {
        let step = &grid.steps()[k];
        if self.eta > 0.0 {
            Transition::of(step).check_cleaner(k, "an ancestral DPM2")?;
        }
        let [old, new] = Transition::of(step).split(self.eta);
        let (down, noise) = (NoiseLevel::raw(step.to.alpha(), old), new * self.noise_scale);
        let Some(middle) = halfway(grid.scale(), step.from, down, Mean::Sigma) else {
            calls.push(Call { noise: calls.len(), ..euler(k, step, down, noise, denoiser)? });
            return Ok(());
        };
        calls.push(Call { noise: calls.len(), ..euler(k, &Step { to: middle, ..*step }, middle, 0.0, denoiser)? });
        let second = grid.between(k, middle, step.to, "DPM2")?;
        let mut call = Call::begin(k, &second, denoiser, Quantity::X0)?;
        let [before, after] =
            [(step.from, middle), (middle, down)].map(|(from, to)| Transition { from, to }.added() / middle.sigma());
        (call.row.x, call.row.clean, call.row.z) = (down.sigma() / middle.sigma(), before + after, noise);
        call.row = call.row.looking_back(&[-before]);
        call.noise = calls.len();
        calls.push(call);
        Ok(())
    }
}

impl Default for Dpm2 {
    fn default() -> Self {
        Self::new()
    }
}

/// The call at the start of a step, which leads to the level `down` and adds noise there.
fn euler(k: usize, step: &Step, down: NoiseLevel, noise: f64, denoiser: &Denoiser) -> Result<Call, SamplerError> {
    let move_ = Transition { from: step.from, to: down };
    let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
    (call.row.x, call.row.clean, call.row.z) = (move_.ratio(), move_.added() / step.from.sigma(), noise);
    Ok(call)
}

impl Solver for Dpm2 {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check::fraction("eta", self.eta)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        let mut calls = Vec::new();
        for k in 0..grid.len() {
            self.step(k, grid, denoiser, &mut calls)?;
        }
        Ok(calls.into())
    }
}

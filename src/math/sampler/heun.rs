//! Heun's method: second order from two calls per step.
//!
//! **Theory.** Karras et al. 2022 (arXiv 2206.00364, algorithms 1 and 2): an Euler step, then the mean of the slopes at
//! both ends. Along a step a sample moves by `u = (alpha' - alpha)*x0 + (sigma' - sigma)*epsilon`, and with `u^` from the
//! call at the Euler sample `x^`, whose epsilon is `(x^ - alpha'*x0^)/sigma'`,
//! ```text
//! x' = x + (u + u^)/2 = x^ + (u^ - u)/2 = x^ + c*(x0^ - x0)        c = (alpha'*sigma - alpha*sigma')/(2*sigma')
//! ```
//! for every family of levels; on variance-exploding ones `c = (sigma/sigma' - 1)/2`. So the second call needs neither the
//! first sample nor the first slope, only the x0 of the previous call: it is an ordinary multistep row.
//!
//! **Practice.** A step to a clean sample, or to an end at which the network cannot be called, is an Euler step. A loop of
//! `n` steps down to a clean sample has `2n - 1` calls; the first call of a step leads to the Euler sample, the second to the
//! step's result.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Solution, Solver};
use super::transition::Transition;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// Heun's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heun;

fn euler(k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
    let move_ = Transition::of(step);
    let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
    (call.row.x, call.row.clean) = (move_.ratio(), move_.added() / step.from.sigma());
    Ok(call)
}

/// The call at the end of the step, which corrects it; `None` where the network cannot be called there.
fn correction(k: usize, step: &Step, grid: &Grid, denoiser: &Denoiser) -> Option<Result<Call, SamplerError>> {
    let timestep = step.to_timestep.filter(|_| step.to.sigma() > 0.0)?;
    let at_end = Step { timestep, from: step.to, input: grid.scale().input(step.to), ..*step };
    Some(Call::begin(k, &at_end, denoiser, Quantity::X0).map(|mut call| {
        let weight = 0.5 * Transition::of(step).added() / step.to.sigma();
        (call.row.x, call.row.clean) = (1.0, weight);
        call.row = call.row.looking_back(&[-weight]);
        call
    }))
}

impl Solver for Heun {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        let mut calls = Vec::new();
        for (k, step) in grid.steps().iter().enumerate() {
            calls.push(euler(k, step, denoiser)?);
            if let Some(call) = correction(k, step, grid, denoiser) {
                calls.push(call?);
            }
        }
        Ok(calls.into())
    }
}

//! DPM-Solver++ SDE: two network calls per step, and noise in both.
//!
//! **Theory.** k-diffusion's `sample_dpmpp_sde`. Both halves of a step start from its sample `x`: a stochastic first-order step
//! to the midpoint in lambda, then the whole step with the x0 that is found there,
//! ```text
//! x_m = k1*x + c1*x0   + n1*z1        k1 = old/sigma        c1 = alpha_m - k1*alpha
//! x'  = k2*x + c2*x0_m + n2*z2        old and n: the old and the new noise at the end, by eta
//! ```
//! where `z1` and `z2` come from one Brownian path: they share the noise before the midpoint. The sample follows from the
//! one at the midpoint, `x = (x_m - c1*x0 - n1*z1)/k1`. On the path of the stochastic differential equation itself the old noise
//! cancels too: `n2*z2 - (k2/k1)*n1*z1` is independent of `z1`, and has the standard deviation
//! ```text
//! sqrt(n2^2 - (k2/k1)^2*n1^2) = sigma'*eta*kept_1*sqrt((1 - kept^2)/(1 - eta^2 + eta^2*kept_1^2))
//! ```
//! with `kept_1 = exp(-h)` up to the midpoint and `kept` from there: at `eta = 1` that of an ancestral step from the midpoint.
//!
//! **Practice.** Every call draws one fresh noise. With [`Compat::Diffusers`] the row of a second call has the whole `n2`, and the
//! noise of the first call as its second noise. That suits recorded increments of a path in sigma, each divided by its standard
//! deviation. The grid needs a [clock](Grid::with_clock). A step from pure noise or to a clean sample has one call.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::halfway::{Mean, halfway};
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;

/// DPM-Solver++ SDE with two calls per step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSde {
    /// The share of the posterior's noise that is drawn, in `0..=1`, usually 1.
    pub eta: f64,
    /// The factor of fresh noise (`s_noise` of k-diffusion), usually 1.
    pub noise_scale: f64,
    /// diffusers draws increments of a path in sigma, where the second increment of a step contains the first.
    pub compat: Compat,
}

impl DpmSde {
    /// Creates the solver with this `eta`, usually 1.
    #[must_use]
    pub const fn new(eta: f64) -> Self {
        Self { eta, noise_scale: 1.0, compat: Compat::Published }
    }

    /// The coefficients of a stochastic first-order step between two levels.
    fn shares(&self, from: NoiseLevel, to: NoiseLevel) -> Shares {
        let [old, new] = Transition { from, to }.split(self.eta);
        let down = NoiseLevel::raw(to.alpha(), old);
        let move_ = Transition { from, to: down };
        Shares { x: move_.ratio(), clean: move_.added() / from.sigma(), z: new * self.noise_scale }
    }

    /// The calls of step `k`: one or two.
    fn step(&self, k: usize, grid: &Grid, denoiser: &Denoiser, calls: &mut Vec<Call>) -> Result<(), SamplerError> {
        let step = &grid.steps()[k];
        if self.eta > 0.0 {
            Transition::of(step).check_cleaner(k, "DPM-Solver++ SDE")?;
        }
        let middle = halfway(grid.scale(), step.from, step.to, Mean::Ratio);
        let first = Step { to: middle.unwrap_or(step.to), ..*step };
        let shares = self.shares(first.from, first.to);
        let mut call = Call::begin(k, &first, denoiser, Quantity::X0)?;
        (call.row.x, call.row.clean, call.row.z) = (shares.x, shares.clean, shares.z);
        call.noise = calls.len();
        calls.push(call);
        if let Some(middle) = middle {
            let second = grid.between(k, middle, step.to, "DPM-Solver++ SDE")?;
            let call = self.second(k, [step.from, middle, step.to], &second, shares, denoiser)?;
            let noise = calls.len();
            calls.push(match self.compat {
                Compat::Published => Call { noise, ..call },
                Compat::Diffusers => with_both(Call { noise, ..call }, noise - 1, shares),
            });
        }
        Ok(())
    }

    fn second(
        &self,
        k: usize,
        [from, middle, to]: [NoiseLevel; 3],
        step: &Step,
        first: Shares,
        denoiser: &Denoiser,
    ) -> Result<Call, SamplerError> {
        let whole = self.shares(from, to);
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let again = whole.x / first.x;
        (call.row.x, call.row.clean, call.row.z) = (again, whole.clean, whole.z);
        call.row = call.row.looking_back(&[-again * first.clean]);
        if self.compat == Compat::Published {
            let [before, after] = [(from, middle), (middle, to)].map(|(from, to)| Transition { from, to });
            let fresh = self.eta * before.kept() * (after.lost() / self.kept_old(before.kept())).sqrt();
            call.row.z = to.sigma() * fresh * self.noise_scale;
        }
        Ok(call)
    }

    /// `1 - eta^2 + eta^2*kept^2`.
    fn kept_old(&self, kept: f64) -> f64 {
        (1.0 - self.eta) * (1.0 + self.eta) + (self.eta * kept) * (self.eta * kept)
    }
}

/// Adds the noise of the first call, whose row has the index `first`, to the row of the second.
fn with_both(mut call: Call, first: usize, shares: Shares) -> Call {
    call.row.second_z = (-call.row.x * shares.z, first as u32);
    call
}

/// The coefficients of a stochastic first-order step.
#[derive(Clone, Copy, Debug)]
struct Shares {
    x: f64,
    clean: f64,
    z: f64,
}

impl Solver for DpmSde {
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

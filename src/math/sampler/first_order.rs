//! The first-order family: DDIM, Euler, Euler ancestral, flow Euler, and their inversions.
//!
//! **Theory.** The sample at the next level is composed of x0 and epsilon, with a share of fresh noise
//! (Song et al. 2021, arXiv 2010.02502, eq. 12 and 16):
//! ```text
//! x' = alpha'*x0 + d*epsilon + n*z        n = eta*sigma'*sqrt(1 - kept^2)        d^2 + n^2 = sigma'^2
//! ```
//! `eta = 0` is DDIM, and with `alpha = 1` Euler (Karras et al. 2022, arXiv 2206.00364, eq. 4), and with
//! `alpha = 1 - sigma` flow matching; `eta = 1` is DDPM and Euler ancestral. `d` is
//! `sigma'*sqrt((1 - eta^2) + eta^2*kept^2)`, which is never the root of a negative number.
//!
//! **Practice.** If x0 is clipped, the result depends on which epsilon is used; see [`FirstOrder::rederived`].

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Interval, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// A step of the first-order family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FirstOrder {
    /// The share of the posterior's noise that is drawn, in `0..=1`.
    pub eta: f64,
    /// The epsilon to use if x0 is clipped: false takes the one that the network's output implies (diffusers' DDIM), true
    /// takes `(x - alpha*x0)/sigma` with the clipped x0 (guided-diffusion, Euler; diffusers' `use_clipped_model_output`).
    pub rederived: bool,
    /// The factor of fresh noise (`s_noise` of k-diffusion), usually 1.
    pub noise_scale: f64,
}

impl FirstOrder {
    /// Creates DDIM (Song et al. 2021), which uses the model's own epsilon.
    #[must_use]
    pub const fn ddim(eta: f64) -> Self {
        Self { eta, rederived: false, noise_scale: 1.0 }
    }

    /// Creates Euler's method on the probability flow ODE, whose epsilon follows from x0.
    #[must_use]
    pub const fn euler() -> Self {
        Self::ancestral(0.0)
    }

    /// Creates Euler ancestral (k-diffusion), whose `eta` is usually 1.
    #[must_use]
    pub const fn ancestral(eta: f64) -> Self {
        Self { eta, rederived: true, noise_scale: 1.0 }
    }

    pub(super) fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let move_ = Transition::of(step);
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let row = &mut call.row;
        // At a clean sample epsilon does not follow from x0, and the sample is not clipped either.
        let rederived = self.rederived && step.from.sigma() > 0.0;
        if rederived && self.eta == 0.0 {
            (row.x, row.clean) = (move_.ratio(), move_.added() / step.from.sigma());
        } else if rederived {
            let (direction, noise) = self.split(k, move_)?;
            row.x = direction / step.from.sigma();
            row.clean = step.to.alpha() - row.x * step.from.alpha();
            row.z = noise;
        } else {
            let (direction, noise) = self.split(k, move_)?;
            let [e_x, e_p] = denoiser.row(Quantity::Epsilon, k, step)?;
            (row.x, row.p, row.clean, row.z) = (direction * e_x, direction * e_p, step.to.alpha(), noise);
        }
        Ok(call)
    }

    /// The deviations of the old and the new noise at the next level.
    fn split(&self, k: usize, move_: Transition) -> Result<(f64, f64), SamplerError> {
        if self.eta > 0.0 {
            move_.check_cleaner(k, "a sampler with eta above 0")?;
        }
        let [old, new] = move_.split(self.eta);
        Ok((old, new * self.noise_scale))
    }
}

impl Solver for FirstOrder {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check::fraction("eta", self.eta)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }

    fn interval(&self) -> Interval {
        if self.eta == 0.0 { Interval::Step } else { Interval::Point }
    }
}

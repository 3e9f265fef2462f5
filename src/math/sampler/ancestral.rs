//! Euler ancestral: a step to a cleaner level than the next, then noise.
//!
//! **Theory.** On sigmas it is k-diffusion's `sample_euler_ancestral`, a [`FirstOrder`] step. On a rectified flow a sample at
//! time `s` goes to `down`, is scaled to the signal of the next time `s'`, and gets the noise that it lacks there
//! (ComfyUI's `sample_euler_ancestral_RF`, for which LTX-Video is distilled):
//! ```text
//! r    = 1 + (s'/s - 1)*eta          down = s'*r          k = (1 - s')/(1 - down)
//! x'   = k*((down/s)*x + (1 - down/s)*x0) + n*z           n = sqrt(s'^2 - k^2*down^2)
//! ```
//! Unlike the posterior of a flow, `eta = 1` leaves some of the old noise.

use super::call::Call;
use super::denoiser::Denoiser;
use super::first_order::FirstOrder;
use super::grid::{Grid, Scale, Step};
use super::solver::{Compat, Interval, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// The summand of diffusers in denominators that may be 0.
const NOT_ZERO: f64 = 1e-12;

/// Euler ancestral, on sigmas or on a rectified flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ancestral {
    /// The amount by which a step overshoots the next level, in `0..=1`: 0 is Euler's method.
    pub eta: f64,
    /// The factor of fresh noise (`s_noise` of k-diffusion), usually 1.
    pub noise_scale: f64,
    /// diffusers adds 1e-12 to denominators of a flow, and does not scale the signal where the factor of noise is 0.
    pub compat: Compat,
}

impl Ancestral {
    /// Creates the solver with this `eta`, usually 1.
    #[must_use]
    pub const fn new(eta: f64) -> Self {
        Self { eta, noise_scale: 1.0, compat: Compat::Published }
    }

    /// The call of a step on a rectified flow.
    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        Transition::of(step).check_cleaner(k, "a sampler with eta above 0")?;
        let (from, to) = (step.from.sigma(), step.to.sigma());
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let ratio = 1.0 - self.eta * ((from - to) / from);
        let down = to * ratio;
        let (signal, noise) = self.renoised(ratio, to);
        call.row.x = signal * (down / from);
        call.row.clean = signal * (1.0 - down / from);
        call.row.z = noise * self.noise_scale;
        Ok(call)
    }

    /// The factor of the signal and the deviation of the noise that lead from `to*ratio` to `to`.
    fn renoised(&self, ratio: f64, to: f64) -> (f64, f64) {
        let (down, signal) = (to * ratio, 1.0 - to);
        match self.compat {
            _ if to == 0.0 => (1.0, 0.0),
            Compat::Diffusers if self.noise_scale == 0.0 => (1.0, 0.0),
            Compat::Diffusers => {
                let rest = 1.0 - down;
                let old = down * down * (signal * signal) / (rest * rest + NOT_ZERO);
                (signal / (rest + NOT_ZERO), (to * to - old).max(0.0).sqrt())
            }
            // The difference of squares, without cancellation.
            Compat::Published => {
                let kept = signal / (1.0 - down);
                let lost = (1.0 - ratio) / (1.0 - down);
                (kept, to * (lost * (1.0 + ratio * kept)).sqrt())
            }
        }
    }
}

impl Solver for Ancestral {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        if grid.scale() != Scale::Flow || self.eta == 0.0 {
            let noise_scale = self.noise_scale;
            return FirstOrder { noise_scale, ..FirstOrder::ancestral(self.eta) }.solve(grid, denoiser);
        }
        check::fraction("eta", self.eta)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }

    fn interval(&self) -> Interval {
        FirstOrder::ancestral(self.eta).interval()
    }
}

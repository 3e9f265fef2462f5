//! Multistep consistency sampling: LCM, and stochastic flow matching.
//!
//! **Theory.** A consistency model predicts the clean sample in one call; each further step noises it to the next level
//! (Song et al. 2023, arXiv 2303.01469, algorithm 1; Luo et al. 2023, arXiv 2310.04378, algorithm 3):
//! ```text
//! x' = alpha'*(c_skip*x + c_out*x0) + sigma'*z
//! c_skip = d^2/((r*t)^2 + d^2)        c_out = r*t/sqrt((r*t)^2 + d^2)
//! ```
//! with the timestep `t`, its scale `r` and `d = 0.5`. Without the boundary scaling a step noises x0 again: diffusers'
//! `stochastic_sampling` of flow matching.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::solver::{Interval, Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// The standard deviation of the data in the boundary scaling.
const SIGMA_DATA: f64 = 0.5;

/// The solver of consistency models: x0, noised to the next level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consistency {
    /// The factor of timesteps in the scaling that makes a consistency model the identity at timestep 0; `None` takes x0 as it
    /// is.
    pub timestep_scaling: Option<f64>,
}

impl Consistency {
    /// Creates the solver of latent consistency models, whose timesteps are scaled by 10.
    #[must_use]
    pub const fn lcm() -> Self {
        Self { timestep_scaling: Some(10.0) }
    }

    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let [skip, out] = match self.timestep_scaling {
            None => [0.0, 1.0],
            Some(timestep_scaling) => {
                let time = timestep_scaling * step.timestep;
                let whole = time.hypot(SIGMA_DATA);
                [(SIGMA_DATA / whole).powi(2), time / whole]
            }
        };
        (call.row.x, call.row.clean, call.row.z) = (step.to.alpha() * skip, step.to.alpha() * out, step.to.sigma());
        Ok(call)
    }
}

impl Solver for Consistency {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        if let Some(scaling) = self.timestep_scaling {
            check::positive("the scale of timesteps", scaling)?;
        }
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }

    fn interval(&self) -> Interval {
        Interval::Rest
    }
}

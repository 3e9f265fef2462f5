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
use super::solver::{Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// The scaling that makes a consistency model the identity at timestep 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Boundary {
    /// The factor of timesteps; 10 for LCM.
    pub timestep_scaling: f64,
    /// The standard deviation of the data; 0.5.
    pub sigma_data: f64,
}

/// The solver of consistency models: x0, noised to the next level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consistency {
    /// The boundary scaling; `None` takes x0 as it is.
    pub boundary: Option<Boundary>,
}

impl Consistency {
    /// Creates the solver of latent consistency models: timesteps times 10, `sigma_data = 0.5`.
    #[must_use]
    pub const fn lcm() -> Self {
        Self { boundary: Some(Boundary { timestep_scaling: 10.0, sigma_data: 0.5 }) }
    }

    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let [skip, out] = match self.boundary {
            None => [0.0, 1.0],
            Some(Boundary { timestep_scaling, sigma_data }) => {
                let time = timestep_scaling * step.timestep;
                let whole = time.hypot(sigma_data);
                [(sigma_data / whole).powi(2), time / whole]
            }
        };
        (call.row.x, call.row.clean, call.row.z) = (step.to.alpha() * skip, step.to.alpha() * out, step.to.sigma());
        Ok(call)
    }
}

impl Solver for Consistency {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        if let Some(boundary) = self.boundary {
            check::positive("the scale of timesteps", boundary.timestep_scaling)?;
            check::positive("sigma_data", boundary.sigma_data)?;
        }
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }
}

//! Multistep consistency sampling: LCM, and stochastic flow matching.
//!
//! **Theory.** A consistency model predicts the clean sample in one call; each step but the last noises it to the next level
//! (Song et al. 2023, arXiv 2303.01469, algorithm 1; Luo et al. 2023, arXiv 2310.04378, algorithm 3):
//! ```text
//! x' = alpha'*(c_skip*x + c_out*x0) + sigma'*z
//! c_skip = d^2/((r*t)^2 + d^2)        c_out = r*t/sqrt((r*t)^2 + d^2)
//! ```
//! with the timestep `t`, its scale `r` and `d = 0.5`. Without the boundary scaling, a step simply noises x0 to the next level:
//! diffusers' `stochastic_sampling` for flow matching.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Scale, Step};
use super::solver::{Interval, Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// The solver of consistency models on sigmas: x0, noised again to the next level, down to the least sigma of training
/// (Song et al. 2023, arXiv 2303.01469, algorithm 1):
/// ```text
/// x' = alpha'*x0 + noise_scale*sqrt(sigma'^2 - (alpha'*least)^2)*z
/// ```
/// On EDM's scale, x0 follows from the network's output `F` by the boundary scalings of the paper's appendix C, under which a
/// sample at the least sigma is its own clean sample: `x0 = d^2/((s - least)^2 + d^2)*x + (s - least)*d/sqrt(s^2 + d^2)*F`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConsistencyModel {
    /// The least sigma of training, `epsilon` in the paper; 0 where the network predicts samples without noise.
    pub least: f64,
    /// The factor of fresh noise (`s_noise`), usually 1.
    pub noise_scale: f64,
}

impl ConsistencyModel {
    fn call(&self, k: usize, grid: &Grid, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let step = &grid.steps()[k];
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let (alpha, sigma, row) = (step.to.alpha(), step.to.sigma(), &mut call.row);
        let sign = if matches!(denoiser.prediction, Quantity::TrigFlow(_)) { -1.0 } else { 1.0 };
        if let Scale::Edm(data) = grid.scale() {
            let (now, data) = (step.from.sigma(), data.value());
            let above = now - self.least;
            let skip = (data / above.hypot(data)).powi(2);
            row.x0 = [skip, sign * denoiser.factor * above * data / now.hypot(data), 0.0];
        }
        let least = (alpha * self.least).min(sigma);
        (row.clean, row.z) = (alpha, self.noise_scale * ((sigma - least) * (sigma + least)).sqrt());
        Ok(call)
    }
}

impl Solver for ConsistencyModel {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check::not_negative("the least sigma", self.least)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        let calls = (0..grid.len()).map(|k| self.call(k, grid, denoiser));
        Ok(calls.collect::<Result<Vec<_>, _>>()?.into())
    }
}

/// The standard deviation of the data in the boundary scaling.
const SIGMA_DATA: f64 = 0.5;

/// The solver of consistency models: x0, noised to the next level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consistency {
    /// The factor of timesteps in the boundary scaling, which makes a consistency model the identity at timestep 0; `None` for
    /// no such scaling.
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

//! `LCMScheduler`.

use super::common::{BetaSchedule, Usual, denoiser, prediction, rescaled_schedule, whole_timesteps};
use super::error::ConfigError;
use super::options::Options;
use super::run::{Run, Steps};
use crate::math::level::NoiseLevel;
use crate::math::sampler::Sampler;
use crate::math::sampler::consistency::{Boundary, Consistency};
use crate::math::sampler::grid::Grid;
use crate::math::spacing::consistency_timesteps;

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    let usual = Usual { beta_schedule: BetaSchedule::ScaledLinear, beta_start: 0.00085, beta_end: 0.012 };
    let schedule = rescaled_schedule(options, &usual)?;
    let original = options.count("original_inference_steps", 50)?;
    let timesteps = match &run.steps {
        Steps::Count(steps) => consistency_timesteps(schedule.len(), original, 1.0, *steps)?,
        Steps::Timesteps(list) => whole_timesteps(list, schedule.len())?,
    };
    let boundary = Boundary { timestep_scaling: options.number("timestep_scaling", 10.0)?, sigma_data: 0.5 };
    let prediction = prediction(options)?;
    let denoiser = denoiser(options, run, prediction, false)?;
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
    Ok(Sampler::new(&Consistency { boundary: Some(boundary) }, &grid, &denoiser)?)
}

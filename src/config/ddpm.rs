//! `DDPMScheduler`.

use super::common::{Usual, denoiser, prediction, rescaled_schedule, spacing, timesteps};
use super::error::ConfigError;
use super::options::Options;
use super::run::Run;
use crate::math::level::NoiseLevel;
use crate::math::sampler::Sampler;
use crate::math::sampler::ddpm::{Ddpm, Variance};
use crate::math::sampler::grid::Grid;
use crate::math::spacing::Spacing;

const VARIANCES: &[(&str, Variance)] = &[
    ("fixed_small", Variance::FixedSmall),
    ("fixed_small_log", Variance::FixedSmall),
    ("fixed_large", Variance::FixedLarge),
    ("fixed_large_log", Variance::FixedLarge),
    ("learned", Variance::Learned),
    ("learned_range", Variance::LearnedRange),
];

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    let schedule = rescaled_schedule(options, &Usual::DDPM)?;
    let variance = options.choice("variance_type", VARIANCES, Variance::FixedSmall)?;
    let spacing = spacing(options, Spacing::Leading { offset: 0 })?;
    let prediction = prediction(options)?;
    let denoiser = denoiser(options, run, prediction, true)?;
    let timesteps = timesteps(run, spacing, schedule.len())?;
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
    Ok(Sampler::new(&Ddpm { variance, compat: run.compat }, &grid, &denoiser)?)
}

//! `DDIMScheduler` and `DDIMInverseScheduler`.

use super::common::{Usual, clip, count_only, denoiser, prediction, rescaled_schedule, spacing};
use super::error::ConfigError;
use super::options::Options;
use super::run::Run;
use crate::math::level::NoiseLevel;
use crate::math::sampler::Sampler;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::first_order::FirstOrder;
use crate::math::sampler::grid::Grid;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&["eta", "rederive_epsilon"])?;
    let prediction = prediction(options)?;
    let denoiser = denoiser(options, run, prediction, true)?;
    let solver = FirstOrder { estimate: run.estimate(), ..FirstOrder::ddim(run.eta) };
    Ok(Sampler::new(&solver, &grid(options, run)?, &denoiser)?)
}

/// The steps of DDIM backwards, from the clean sample to noise.
pub(super) fn build_inverse(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    if let Some(flag) = options.has("set_alpha_to_zero").then(|| options.flag("set_alpha_to_zero", true)) {
        options.set_flag("set_alpha_to_one", flag?); // its former name
    }
    let denoiser = Denoiser::new(prediction(options)?).clipped(clip(options, true)?);
    Ok(Sampler::new(&FirstOrder::ddim(0.0), &grid(options, run)?.reversed()?, &denoiser)?)
}

fn grid(options: &mut Options, run: &Run) -> Result<Grid, ConfigError> {
    let schedule = rescaled_schedule(options, &Usual::DDPM)?;
    let spacing = spacing(options, Spacing::Leading { offset: 0 })?;
    let end = end(options, &schedule)?;
    let steps = count_only(run)?;
    let timesteps = spacing.timesteps(schedule.len(), steps)?;
    Ok(match run.is_diffusers() {
        true => Grid::with_stride(&schedule, &timesteps, schedule.len() / steps, end)?,
        false => Grid::of_schedule(&schedule, &timesteps, end)?,
    })
}

/// `set_alpha_to_one`: whether the last step leads to a clean sample or to the schedule's least noise.
fn end(options: &mut Options, schedule: &Schedule) -> Result<NoiseLevel, ConfigError> {
    match options.flag("set_alpha_to_one", true)? {
        true => Ok(NoiseLevel::CLEAN),
        false => Ok(schedule.level(0)?),
    }
}

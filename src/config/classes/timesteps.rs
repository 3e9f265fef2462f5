//! Classes that visit the timesteps of a schedule.

use super::read::{LEADING, Read, spaced};
use crate::config::common::{DPM_SDE, Usual, clip, prediction, rescaled, rescaled_schedule, schedule, threshold};
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::model::Model;
use crate::math::sampler::ddpm::Variance;
use crate::math::schedule::Schedule;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("DDPMScheduler", ddpm),
    ("DDPMParallelScheduler", ddpm),
    ("DDIMScheduler", ddim),
    ("DDIMParallelScheduler", ddim),
    ("CogVideoXDDIMScheduler", cogvideox),
    ("CogVideoXDPMScheduler", cogvideox_dpm),
    ("DDIMInverseScheduler", ddim_inverse),
    ("LCMScheduler", lcm),
];

fn ddpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let variance = options.entry("variance_type", &Variance::CATALOGUE)?;
    let defaults = SamplerOptions { variance, clip: clip(options, true)?, ..SamplerOptions::default() };
    let (threshold, schedule) = (threshold(options)?, rescaled_schedule(options)?);
    let read = spaced(options, "ddpm", schedule, LEADING, defaults)?;
    Ok(Scheduler { threshold, takes: vec!["timesteps"], ..read })
}

fn ddim(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let noisy = !options.flag("set_alpha_to_one", true)?;
    let clip = clip(options, true)?;
    let defaults = SamplerOptions { ends_at_least_sigma: Some(noisy), clip, ..SamplerOptions::default() };
    let (threshold, schedule) = (threshold(options)?, rescaled_schedule(options)?);
    let read = spaced(options, "ddim", schedule, LEADING, defaults)?;
    Ok(Scheduler { threshold, takes: vec!["eta", "rederive_epsilon"], ..read })
}

/// DDIM on CogVideoX's schedule.
fn cogvideox(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let noisy = !options.flag("set_alpha_to_one", true)?;
    let defaults = SamplerOptions { ends_at_least_sigma: Some(noisy), ..SamplerOptions::default() };
    let schedule = snr_shifted(options)?;
    spaced(options, "ddim", schedule, LEADING, defaults)
}

/// DPM-Solver++ 2M SDE on CogVideoX's schedule, at the timesteps of its DDIM. The last step is of first order, even if it ends
/// at the least noise of training.
fn cogvideox_dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let noisy = !options.flag("set_alpha_to_one", true)?;
    let defaults = SamplerOptions {
        ends_at_least_sigma: Some(noisy),
        lower_order_final: Some(false),
        euler_at_final: Some(noisy),
        ..SamplerOptions::default()
    };
    let schedule = snr_shifted(options)?;
    let mut read = spaced(options, DPM_SDE, schedule, LEADING, defaults)?;
    read.rules.strided = true;
    Ok(read)
}

/// A schedule whose signal-to-noise ratio is divided by a number (Yang et al. 2024, arXiv 2408.06072). The classes have the
/// option `clip_sample` but do not clip.
fn snr_shifted(options: &mut Options) -> Result<Schedule, ConfigError> {
    if clip(options, false)?.is_some() {
        options.note(&format!("clip_sample has no effect in {}", options.class()));
    }
    let trained = schedule(options, &Usual::LCM)?;
    let scale = options.number("snr_shift_scale", 3.0)?;
    rescaled(options, trained.with_snr_divided(scale)?)
}

/// The steps of DDIM backwards, from the clean sample to noise.
fn ddim_inverse(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let former = options.has("set_alpha_to_zero");
    let name = if former { "set_alpha_to_zero" } else { "set_alpha_to_one" };
    let noisy = !options.flag(name, true)?;
    let clip = clip(options, true)?;
    let defaults = SamplerOptions { ends_at_least_sigma: Some(noisy), clip, ..SamplerOptions::default() };
    let schedule = rescaled_schedule(options)?;
    spaced(options, "ddim-inverse", schedule, LEADING, defaults)
}

fn lcm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = schedule(options, &Usual::LCM)?;
    let schedule = rescaled(options, schedule)?;
    let defaults = SamplerOptions {
        original_steps: options.optional_count("original_inference_steps")?,
        timestep_scaling: options.optional_number("timestep_scaling")?,
        clip: clip(options, false)?,
        ..SamplerOptions::default()
    };
    let threshold = threshold(options)?;
    let read = Scheduler::new(Model::new(schedule, prediction(options)?), "lcm", defaults)?;
    Ok(Scheduler { threshold, takes: vec!["timesteps", "original_steps"], ..read })
}

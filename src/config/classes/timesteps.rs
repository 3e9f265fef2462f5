//! Classes that visit the timesteps of a schedule.

use super::read::{LEADING, Read, spaced};
use crate::config::common::{Usual, clip, prediction, rescaled, rescaled_schedule, schedule, threshold};
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

/// DDIM on a schedule whose signal-to-noise ratio is divided by a number (Yang et al. 2024, arXiv 2408.06072). The class has the
/// option `clip_sample`, but clips nothing.
fn cogvideox(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let noisy = !options.flag("set_alpha_to_one", true)?;
    if clip(options, false)?.is_some() {
        options.note("clip_sample acts on nothing in CogVideoXDDIMScheduler");
    }
    let defaults = SamplerOptions { ends_at_least_sigma: Some(noisy), ..SamplerOptions::default() };
    let trained = schedule(options, &Usual::LCM)?;
    let scale = options.number("snr_shift_scale", 3.0)?;
    let shifted = |abar: f64| abar / (scale + (1.0 - scale) * abar);
    let abar: Vec<f64> = trained.alphas_cumprod().into_iter().map(shifted).collect();
    let schedule = rescaled(options, Schedule::from_alphas_cumprod(&abar)?)?;
    spaced(options, "ddim", schedule, LEADING, defaults)
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

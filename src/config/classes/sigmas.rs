//! Classes that visit sigmas of a variance-exploding process.

use super::read::{Read, spaced};
use crate::config::common::{Usual, clip, ends_noisy, placement, rescaled_schedule, schedule};
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Last, Whole};
use crate::math::model::Told;
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::spacing::Spacing;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("EulerDiscreteScheduler", euler),
    ("EulerAncestralDiscreteScheduler", euler_ancestral),
    ("HeunDiscreteScheduler", heun),
    ("KDPM2DiscreteScheduler", kdpm2),
    ("KDPM2AncestralDiscreteScheduler", kdpm2_ancestral),
    ("DPMSolverSDEScheduler", dpm_sde),
];

fn euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = rescaled_schedule(options)?;
    let continuous = options.choice("timestep_type", &[("discrete", false), ("continuous", true)], false)?;
    let logarithmic = options.choice("interpolation_type", &[("linear", false), ("log_linear", true)], false)?;
    let placed = placement(options, false)?.map(|(_, placement)| placement);
    let given = [options.optional_number("sigma_min")?, options.optional_number("sigma_max")?];
    // The ends of a placement; without one they have no effect in diffusers either.
    let [sigma_min, sigma_max] = if placed.is_some() { given } else { [None; 2] };
    for (name, given) in ["sigma_min", "sigma_max"].into_iter().zip(given) {
        if placed.is_none() && given.is_some() {
            options.note(&format!("{name} has no effect where no rule places sigmas"));
        }
    }
    let last = Last::At(schedule.sigma_ends()[0]);
    let ends_at_least_sigma = ends_noisy(options)?;
    let defaults =
        SamplerOptions { placement: placed, sigma_min, sigma_max, ends_at_least_sigma, ..SamplerOptions::default() };
    let mut read = spaced(options, "euler", schedule, Spacing::Linspace, defaults)?;
    read.rules = GridRules { between_listed: !logarithmic, one_too_many: logarithmic, last, ..read.rules };
    if continuous && read.model.prediction() == Quantity::V {
        read.model = read.model.told_as(Told::LogSigma);
    }
    Ok(Scheduler { takes: vec!["s_churn", "timesteps"], ..read })
}

fn euler_ancestral(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = rescaled_schedule(options)?;
    let read = spaced(options, "euler-ancestral", schedule, Spacing::Linspace, SamplerOptions::default())?;
    Ok(Scheduler { takes: vec!["timesteps"], ..read })
}

fn heun(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let read = two_calls(options, "heun")?;
    let clip = clip(options, false)?;
    Ok(Scheduler { defaults: SamplerOptions { clip, ..read.defaults }, ..read })
}

fn kdpm2(options: &mut Options) -> Result<Scheduler, ConfigError> {
    Ok(rounded(two_calls(options, "dpm2")?))
}

fn kdpm2_ancestral(options: &mut Options) -> Result<Scheduler, ConfigError> {
    Ok(rounded(two_calls(options, "dpm2-ancestral")?))
}

fn dpm_sde(options: &mut Options) -> Result<Scheduler, ConfigError> {
    if options.optional_number("noise_sampler_seed")?.is_some() {
        options.note("noise_sampler_seed has no effect: a run is given its noise, or a noise key");
    }
    two_calls(options, "dpm++-sde")
}

/// A sampler with two calls per step, whose sigmas are placed between the ends of the list that the spacing gives.
fn two_calls(options: &mut Options, sampler: &str) -> Result<Scheduler, ConfigError> {
    let schedule = schedule(options, &Usual::HEUN)?;
    let placement = placement(options, false)?.map(|(_, placement)| placement);
    let defaults = SamplerOptions { placement, ..SamplerOptions::default() };
    let mut read = spaced(options, sampler, schedule, Spacing::Linspace, defaults)?;
    read.rules.between_listed = true;
    Ok(Scheduler { takes: vec!["timesteps"], ..read })
}

/// A class that rounds timesteps at Karras's sigmas, and at no others.
fn rounded(mut read: Scheduler) -> Scheduler {
    let karras = matches!(read.defaults.placement, Some(Placement::Karras { .. }));
    read.rules.whole = karras.then_some(Whole::Nearest);
    read
}

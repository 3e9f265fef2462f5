//! Classes of DDPM with a schedule or an order of steps of their own.

use super::read::{LEADING, Read};
use crate::config::common::{Usual, clip, schedule, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::GridRules;
use crate::math::cosine_clock::CosineClock;
use crate::math::model::{Model, Told};
use crate::math::quantity::Quantity;
use crate::math::sampler::ddpm::Variance;
use crate::math::sampler::solver::Compat;
use crate::math::schedule::{MAX_STEPS, Schedule};
use crate::math::spacing::Spacing;
use crate::table::step::Clip;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] =
    &[("UnCLIPScheduler", unclip), ("DDPMWuerstchenScheduler", wuerstchen), ("RePaintScheduler", repaint)];

/// DDPM on the cosine schedule, at timesteps from one of its ends to the other.
fn unclip(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let known = [("fixed_small_log", Variance::FixedSmall), ("learned_range", Variance::LearnedRange)];
    let variance = Some(options.choice("variance_type", &known, Variance::FixedSmall)?);
    options.choice("beta_schedule", &[("squaredcos_cap_v2", ())], ())?;
    let names = [("epsilon", Quantity::Epsilon), ("sample", Quantity::X0)];
    let prediction = options.choice("prediction_type", &names, Quantity::Epsilon)?;
    let schedule = Schedule::cosine(train_timesteps(options, 1000)?)?;
    let defaults = SamplerOptions { variance, clip: clip(options, true)?, ..SamplerOptions::default() };
    let rules = GridRules { spacing: Some(Spacing::Linspace), ..GridRules::default() };
    let read = Scheduler::new(Model::new(schedule, prediction), "ddpm", defaults)?;
    Ok(Scheduler { rules, takes: vec!["timesteps"], places: Some(between_ends), ..read })
}

/// Refuses one step as diffusers does, which divides by the number of steps minus one.
fn between_ends(_: &Model, run: &SamplerOptions, _: &mut SamplerOptions) -> Result<(), ConfigError> {
    match (run.compat, run.steps) {
        (Compat::Diffusers, Some(1)) => Err(refused("steps", "at least 2, the two ends of the schedule", 1)),
        _ => Ok(()),
    }
}

/// The number of timesteps at which a continuous schedule is tabulated, for uses that need whole timesteps.
const LISTED: usize = 1000;

/// DDPM at continuous times, which the network is given (Pernias et al. 2023, arXiv 2306.00637). The last step returns the mean at
/// time 0, where a little noise is left.
fn wuerstchen(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let clock = CosineClock::new(options.number("s", 0.008)?, options.number("scaler", 1.0)?)?;
    let abar = |i: usize| Ok(clock.level((i + 1) as f64 / LISTED as f64)?.alpha_bar());
    let abar = (0..LISTED).map(abar).collect::<Result<Vec<f64>, ConfigError>>()?;
    let schedule = Schedule::from_alphas_cumprod(&abar)?;
    let model = Model::new(schedule, Quantity::Epsilon).told_as(Told::CosineTime(clock));
    let read = Scheduler::new(model, "ddpm", SamplerOptions::default())?;
    Ok(Scheduler { takes: vec!["times", "timesteps"], places: Some(equal_times), ..read })
}

/// Equal times from 1, or those of a list, whose last one diffusers does not visit.
fn equal_times(_: &Model, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
    let times: Vec<f64> = match (run.steps, &run.timesteps, &run.times) {
        (Some(steps @ 1..=MAX_STEPS), None, None) => (0..steps).map(|i| 1.0 - i as f64 / steps as f64).collect(),
        (None, Some(list), None) | (None, None, Some(list)) => list.clone(),
        // Two lists, or none: the grid reports it.
        _ => return Ok(()),
    };
    if run.compat == Compat::Diffusers && run.steps.is_none() && times.last().is_some_and(|last| *last != 0.0) {
        let last = times.len() - 1;
        options.end_index = Some(run.end_index.map_or(last, |end| end.min(last)));
    }
    (options.steps, options.timesteps, options.times) = (None, None, Some(times));
    Ok(())
}

/// RePaint: DDIM with jumps back to higher noise.
fn repaint(options: &mut Options) -> Result<Scheduler, ConfigError> {
    options.choice("prediction_type", &[("epsilon", ())], ())?;
    let schedule = schedule(options, &Usual::DDPM)?;
    let clips = options.flag("clip_sample", true)?;
    let defaults = SamplerOptions {
        eta: Some(options.number("eta", 0.0)?),
        clip: clips.then_some(Clip::Range(1.0)),
        ..SamplerOptions::default()
    };
    let rules = GridRules { spacing: Some(LEADING), ..GridRules::default() };
    let read = Scheduler::new(Model::new(schedule, Quantity::Epsilon), "repaint", defaults)?;
    let takes = vec!["eta", "jump_length", "jump_n_sample", "timesteps"];
    Ok(Scheduler { rules, takes, places: Some(at_most_all), ..read })
}

/// Takes all timesteps where more steps are requested, as diffusers does.
fn at_most_all(model: &Model, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
    if run.compat == Compat::Diffusers {
        options.steps = run.steps.map(|steps| steps.min(model.schedule().len()));
    }
    Ok(())
}

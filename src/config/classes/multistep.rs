//! Multistep classes.

use super::flow::shifts;
use super::read::Read;
use crate::config::common::{
    LU, dpm_solver, ends_noisy, placement, prediction_on, rescaled_schedule, spacing, threshold, unipc_solver,
};
use crate::config::error::ConfigError;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_rules::{GridRules, Last, Times, Whole};
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[("DPMSolverMultistepScheduler", dpm), ("UniPCMultistepScheduler", unipc)];

fn dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    let (sampler, mut defaults) = dpm_solver(options)?;
    let prediction = prediction_on(options, flow)?;
    let cosine = options.says("beta_schedule", "squaredcos_cap_v2");
    let (schedule, threshold) = (rescaled_schedule(options)?, threshold(options)?);
    defaults.ends_at_least_sigma = ends_noisy(options)?;
    let placed = placement(options, true)?;
    if flow {
        if let Some((second, _)) = placed {
            return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second });
        }
        // With this flag the class takes `mu`, which is optional in any case.
        options.flag("use_dynamic_shifting", false)?;
        options.choice("time_shift_type", &[("exponential", ())], ())?;
        let shift = options.number("flow_shift", 1.0)?;
        let last = Last::At(schedule.sigma_ends()[0]);
        let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction).shifted(shift);
        let rules = GridRules { times: Times::FromData, whole: Some(Whole::Down), last, ..GridRules::default() };
        let read = Scheduler::new(model, sampler, defaults)?;
        return Ok(Scheduler { rules, threshold, takes: vec!["mu"], ..read });
    }
    let least = options.number("lambda_min_clipped", f64::NEG_INFINITY)?;
    let usable = Some(schedule.lambda().iter().filter(|&&lambda| lambda >= least).count());
    defaults.placement = placed.map(|(_, placement)| placement);
    let nearest = placed.is_some_and(|(flag, _)| flag == "use_karras_sigmas" || flag == LU) && !cosine;
    let whole = Some(if nearest { Whole::Nearest } else { Whole::Down });
    let spacing = Some(spacing(options, Spacing::Linspace)?);
    let rules = GridRules { spacing, usable, whole, finite: true, ..GridRules::default() };
    let read = Scheduler::new(Model::new(schedule, prediction), sampler, defaults)?;
    Ok(Scheduler { rules, threshold, takes: vec!["timesteps"], ..read })
}

fn unipc(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    let mut defaults = unipc_solver(options)?;
    let prediction = prediction_on(options, flow)?;
    let placed = placement(options, false)?;
    let (schedule, threshold) = (rescaled_schedule(options)?, threshold(options)?);
    defaults.ends_at_least_sigma = ends_noisy(options)?;
    if let Some((flag, placement)) = placed {
        if flow && !matches!(placement, Placement::Karras { .. }) {
            return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second: flag });
        }
        let ends = schedule.sigma_ends();
        defaults.placement = Some(placement);
        defaults.sigma_min = Some(options.number("sigma_min", ends[0])?);
        defaults.sigma_max = Some(options.number("sigma_max", ends[1])?);
    }
    let nearest = matches!(defaults.placement, Some(Placement::Karras { .. })) && !flow;
    let whole = Some(if nearest { Whole::Nearest } else { Whole::Down });
    let last = if flow || placed.is_some() { Last::Listed } else { Last::Least };
    let spacing = Some(spacing(options, Spacing::Linspace)?);
    let rules = GridRules { spacing, whole, last, finite: true, ..GridRules::default() };
    if !flow {
        let read = Scheduler::new(Model::new(schedule, prediction), "unipc", defaults)?;
        return Ok(Scheduler { rules, threshold, ..read });
    }
    let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction);
    let read = Scheduler { rules, threshold, ..Scheduler::new(model, "unipc", defaults)? };
    let mut read = shifts(options, read, "flow_shift")?;
    read.rules.times = Times::BeforeLast;
    read.rules.ratios = placed.is_some();
    Ok(read)
}

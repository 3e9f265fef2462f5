//! Multistep classes, and the singlestep one.

use super::flow::shifts;
use super::read::Read;
use crate::config::common::{
    DPM_SDE, LU, Usual, dpm_solver, ends_noisy, placement, prediction_on, rescaled_schedule, schedule, spacing,
    threshold, unipc_solver,
};
use crate::config::error::ConfigError;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Last, Times, Whole};
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("DPMSolverMultistepScheduler", dpm),
    ("DPMSolverMultistepInverseScheduler", inverse),
    ("DPMSolverSinglestepScheduler", singlestep),
    ("UniPCMultistepScheduler", unipc),
];

/// The differences between classes of DPM-Solver.
struct Family {
    sampler: &'static str,
    defaults: SamplerOptions,
    schedule: Schedule,
    /// The class has `timestep_spacing`.
    spaced: bool,
    /// The class has `use_lu_lambdas`.
    lu: bool,
    /// Timesteps at Karras's sigmas are rounded down instead of to the nearest.
    rounds_down: bool,
    takes: &'static [&'static str],
}

fn dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, mut defaults) = dpm_solver(options, true)?;
    defaults.ends_at_least_sigma = ends_noisy(options)?;
    let rounds_down = options.says("beta_schedule", "squaredcos_cap_v2");
    let schedule = rescaled_schedule(options)?;
    let takes = &["timesteps"];
    dpm_family(options, Family { sampler, defaults, schedule, spaced: true, lu: true, rounds_down, takes })
}

fn singlestep(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, defaults) = dpm_solver(options, false)?;
    let eta = (sampler == DPM_SDE).then_some(1.0);
    let ends_at_least_sigma = ends_noisy(options)?;
    let defaults = SamplerOptions { eta, ends_at_least_sigma, euler_at_final: None, ..defaults };
    let schedule = schedule(options, &Usual::DDPM)?;
    let (sampler, takes) = ("dpm++-2s", &["timesteps"]);
    dpm_family(options, Family { sampler, defaults, schedule, spaced: false, lu: false, rounds_down: false, takes })
}

/// DPM-Solver++ from the clean sample to noise, which cannot draw noise.
fn inverse(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, defaults) = dpm_solver(options, true)?;
    if sampler == DPM_SDE {
        return Err(refused(
            "algorithm_type",
            "dpmsolver++ or dpmsolver, since the inversion draws no noise",
            "sde-dpmsolver++",
        ));
    }
    let schedule = schedule(options, &Usual::DDPM)?;
    let sampler = "dpm++-inverse";
    dpm_family(options, Family { sampler, defaults, schedule, spaced: true, lu: false, rounds_down: false, takes: &[] })
}

fn dpm_family(options: &mut Options, family: Family) -> Result<Scheduler, ConfigError> {
    let Family { sampler, mut defaults, schedule, spaced, lu, rounds_down, takes } = family;
    let flow = options.flag("use_flow_sigmas", false)?;
    let (prediction, threshold) = (prediction_on(options, flow)?, threshold(options)?);
    let placed = placement(options, lu)?;
    if flow {
        if let Some((second, _)) = placed {
            return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second });
        }
        // With this flag the class takes `mu`, which is optional here.
        options.flag("use_dynamic_shifting", false)?;
        options.choice("time_shift_type", &[("exponential", ())], ())?;
        let shift = options.number("flow_shift", 1.0)?;
        let rising = sampler == "dpm++-inverse";
        // On a flow, the inverse class goes towards the clean sample, and keeps its last time at the end.
        defaults.ends_at_least_sigma = defaults.ends_at_least_sigma.or(rising.then_some(true));
        let last = if rising { Last::Listed } else { Last::At(schedule.sigma_ends()[0]) };
        let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction).shifted(shift);
        let whole = Some(Whole::Down);
        let rules = GridRules { times: Times::FromData, whole, last, finite: rising, ..GridRules::default() };
        let read = Scheduler::new(model, sampler, defaults)?;
        return Ok(Scheduler { rules, threshold, takes: vec!["mu"], ..read });
    }
    let spacing = if spaced { spacing(options, Spacing::Linspace)? } else { Spacing::Linspace };
    let least = options.number("lambda_min_clipped", f64::NEG_INFINITY)?;
    let usable = Some(schedule.lambda().iter().filter(|&&lambda| lambda >= least).count());
    defaults.placement = placed.map(|(_, placement)| placement);
    let nearest = placed.is_some_and(|(flag, _)| flag == "use_karras_sigmas" || flag == LU) && !rounds_down;
    let whole = Some(if nearest { Whole::Nearest } else { Whole::Down });
    let rules = GridRules { spacing: Some(spacing), usable, whole, finite: true, ..GridRules::default() };
    let read = Scheduler::new(Model::new(schedule, prediction), sampler, defaults)?;
    Ok(Scheduler { rules, threshold, takes: takes.to_vec(), ..read })
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

//! Classes that choose the amount of their noise.

use super::read::Read;
use crate::config::common::{Usual, placement, prediction_on, schedule, spacing, threshold};
use crate::config::error::ConfigError;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Last, Times, Whole};
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::sampler::multistep::Form;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[("SASolverScheduler", sa_solver)];

/// SA-Solver. The class ends at the least sigma, or keeps the last one where sigmas are placed.
fn sa_solver(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    let prediction = prediction_on(options, flow)?;
    let (mut defaults, threshold) = (solver(options)?, threshold(options)?);
    let schedule = schedule(options, &Usual::DDPM)?;
    let placed = placement(options, false)?;
    if let (true, Some((second, _))) = (flow, placed) {
        return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second });
    }
    let placed = placed.map(|(_, placement)| placement);
    if options.has("tau_func") {
        return Err(refused("tau_func", "none, since a file cannot hold a function", "a value"));
    }
    if flow {
        let shift = options.number("flow_shift", 1.0)?;
        let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction).shifted(shift);
        let rules =
            GridRules { times: Times::FromData, whole: Some(Whole::Down), last: Last::Listed, ..GridRules::default() };
        let read = Scheduler::new(model, "sa-solver", defaults)?;
        return Ok(Scheduler { rules, threshold, takes: vec!["tau"], ..read });
    }
    let least = options.number("lambda_min_clipped", f64::NEG_INFINITY)?;
    let usable = Some(schedule.lambda().iter().filter(|&&lambda| lambda >= least).count());
    defaults.placement = placed;
    let whole = Some(if matches!(placed, Some(Placement::Karras { .. })) { Whole::Nearest } else { Whole::Down });
    let last = if placed.is_some() { Last::Listed } else { Last::Least };
    let spacing = Some(spacing(options, Spacing::Linspace)?);
    let rules = GridRules { spacing, usable, whole, last, finite: true, ..GridRules::default() };
    let read = Scheduler::new(Model::new(schedule, prediction), "sa-solver", defaults)?;
    Ok(Scheduler { rules, threshold, takes: vec!["tau", "timesteps"], ..read })
}

fn solver(options: &mut Options) -> Result<SamplerOptions, ConfigError> {
    let forms = [("data_prediction", Form::X0), ("noise_prediction", Form::Epsilon)];
    let orders = [options.count("predictor_order", 2)?, options.count("corrector_order", 2)?];
    if orders[1] == 0 {
        return Err(refused("corrector_order", "1 to 4", 0));
    }
    Ok(SamplerOptions {
        order: Some(orders[0]),
        corrector_order: Some(orders[1]),
        form: Some(options.choice("algorithm_type", &forms, Form::X0)?),
        lower_order_final: Some(options.flag("lower_order_final", true)?),
        ends_at_least_sigma: Some(true),
        ..SamplerOptions::default()
    })
}

//! Classes that mix the slopes of earlier calls: PNDM, LMS, IPNDM and DEIS.

use super::read::{LEADING, Read, spaced};
use crate::config::common::{Usual, placement, prediction_on, schedule, spacing, threshold, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::config::sine_squared::angles;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Last, Times, Whole};
use crate::math::edm::SigmaData;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("PNDMScheduler", pndm),
    ("LMSDiscreteScheduler", lms),
    ("IPNDMScheduler", ipndm),
    ("DEISMultistepScheduler", deis),
];

/// PNDM, with its Runge-Kutta steps or without.
fn pndm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let noisy = !options.flag("set_alpha_to_one", false)?;
    let sampler = if options.flag("skip_prk_steps", false)? { "pndm" } else { "f-pndm" };
    let schedule = schedule(options, &Usual::DDPM)?;
    let defaults = SamplerOptions { ends_at_least_sigma: Some(noisy), ..SamplerOptions::default() };
    let read = spaced(options, sampler, schedule, LEADING, defaults)?;
    match read.model.prediction() {
        Quantity::Epsilon | Quantity::V => Ok(read),
        found => Err(refused("prediction_type", "epsilon or v_prediction", found)),
    }
}

fn lms(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = schedule(options, &Usual::DDPM)?;
    let placement = placement(options, false)?.map(|(_, placement)| placement);
    let defaults = SamplerOptions { placement, ..SamplerOptions::default() };
    let mut read = spaced(options, "lms", schedule, Spacing::Linspace, defaults)?;
    read.rules.between_listed = true;
    Ok(Scheduler { takes: vec!["order"], ..read })
}

/// iPNDM on the levels `sigma = sin(pi*s/2)^2` at equally spaced `s`. The network predicts v and is given the angle. If there are
/// `trained_betas`, they are the sigmas, with a step between each two of them.
fn ipndm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let model = Model::trig_flow(train_timesteps(options, 1000)?, SigmaData::new(1.0)?)?.told_as(Told::QuarterTurns);
    let listed = options.numbers("trained_betas")?.map(|sigmas| angles(&sigmas)).transpose()?;
    let defaults = SamplerOptions { times: listed, ..SamplerOptions::default() };
    let mut read = Scheduler::new(model, "ipndm", defaults)?;
    read.rules.sine_squared = true;
    Ok(Scheduler { takes: vec!["times"], ..read })
}

/// The highest order that the class computes; higher ones act as this one.
const MOST_ORDER: usize = 3;

/// The names that the class accepts, all for the same solver.
const ALGORITHMS: &[(&str, ())] = &[("deis", ()), ("dpmsolver", ()), ("dpmsolver++", ())];
const TYPES: &[(&str, ())] = &[("logrho", ()), ("midpoint", ()), ("heun", ()), ("bh1", ()), ("bh2", ())];

fn deis(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    options.choice("algorithm_type", ALGORITHMS, ())?;
    options.choice("solver_type", TYPES, ())?;
    let order = options.count("solver_order", 2)?;
    if order > MOST_ORDER {
        options.note(&format!("solver_order {order} acts as {MOST_ORDER} in DEISMultistepScheduler"));
    }
    let lower_order_final = Some(options.flag("lower_order_final", true)?);
    let prediction = prediction_on(options, flow)?;
    let placed = placement(options, false)?;
    let (schedule, threshold) = (schedule(options, &Usual::DDPM)?, threshold(options)?);
    let spacing = Some(spacing(options, Spacing::Linspace)?);
    options.choice("time_shift_type", &[("exponential", ())], ())?;
    let sized = options.flag("use_dynamic_shifting", false)?;
    let mut defaults =
        SamplerOptions { order: Some(order.min(MOST_ORDER)), lower_order_final, ..SamplerOptions::default() };
    if flow && placed.is_none() {
        let shift = options.number("flow_shift", 1.0)?;
        let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction).shifted(shift);
        let rules =
            GridRules { times: Times::FromData, whole: Some(Whole::Down), last: Last::Twice, ..GridRules::default() };
        let takes = if sized { vec!["mu"] } else { Vec::new() };
        return Ok(Scheduler { rules, threshold, takes, ..Scheduler::new(model, "deis", defaults)? });
    }
    if let (true, Some((second, _))) = (flow, placed) {
        return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second });
    }
    let nearest = placed.is_some_and(|(_, placement)| matches!(placement, Placement::Karras { .. }));
    let whole = Some(if nearest { Whole::Nearest } else { Whole::Down });
    defaults.placement = placed.map(|(_, placement)| placement);
    // At timesteps the class ends at the level of timestep 0.
    defaults.ends_at_least_sigma = placed.is_none().then_some(true);
    let last = if placed.is_some() { Last::Twice } else { Last::Least };
    let rules = GridRules { spacing, whole, last, finite: true, ..GridRules::default() };
    let model = Model::new(schedule, prediction);
    Ok(Scheduler { rules, threshold, ..Scheduler::new(model, "deis", defaults)? })
}

//! Classes of flows other than plain rectified flows of images: flow maps, policies, stages, proteins.

use super::flow::flow_euler;
use super::read::Read;
use crate::config::common::{prediction_on, threshold, train_timesteps, unipc_solver};
use crate::config::error::ConfigError;
use crate::config::lists::{Lists, Staging};
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Times};
use crate::math::model::{Model, Told};
use crate::math::protein_times::ProteinTimes;
use crate::math::quantity::Quantity;
use crate::math::sampler::pi_flow::PiFlow;
use crate::math::sampler::score_rescaling::{NoiseCourse, ScoreRescaling};
use crate::math::stages::Stages;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("FlowMapEulerDiscreteScheduler", flow_map),
    ("LTXEulerAncestralRFScheduler", ltx),
    ("MiniMaxH3Scheduler", minimax),
    ("PiflowScheduler", pi_flow),
    ("RFD4ProteinaScheduler", proteina),
    ("HeliosScheduler", helios),
    ("HeliosDMDScheduler", helios_dmd),
];

/// Timesteps of flows whose networks are given times from 0 to 1.
const TIMESTEPS: usize = 1000;

/// A flow map: a network that is also given the end of a step, and predicts the whole step.
fn flow_map(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let timesteps = train_timesteps(options, 1000)?;
    let model = Model::flow(timesteps)?.shifted(options.number("shift", 1.0)?).flow_map();
    let read = Scheduler::new(model, "flow-euler", SamplerOptions::default())?;
    let rules = GridRules { times: Times::Even, between_listed: true, ..GridRules::default() };
    Ok(Scheduler { rules, lists: Lists::Units(timesteps as f64), takes: vec!["timesteps"], ..read })
}

/// Euler ancestral on a flow. Its levels are those of the Euler class with the other options of the file.
fn ltx(options: &mut Options) -> Result<Scheduler, ConfigError> {
    for flag in ["stochastic_sampling", "invert_sigmas"] {
        if options.flag(flag, false)? {
            return Err(refused(flag, "false: this class runs from noise to data and draws its own noise", true));
        }
    }
    let (eta, noise) = (options.number("eta", 1.0)?, options.number("s_noise", 1.0)?);
    let mut read = flow_euler(options)?;
    let defaults = SamplerOptions { eta: Some(eta), noise_scale: Some(noise), ..read.defaults };
    let own = Scheduler::new(read.model.clone(), "euler-ancestral", defaults)?;
    (read.sampler, read.defaults, read.lists) = (own.sampler, own.defaults, Lists::Sigmas);
    read.rules.ends_listed = true;
    read.takes.extend(["eta", "s_noise"]);
    Ok(read)
}

/// Video or sound of a model, each with a shift of its own. The clean sample counts as one of the steps.
fn minimax(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let shift = options.number("shift", 12.0)?;
    let model = Model::flow(TIMESTEPS)?.shifted(shift).negated().told_as(Told::RisingTime(1.0));
    let rules = GridRules { times: Times::Even, ..GridRules::default() };
    Ok(Scheduler { rules, lists: Lists::Points, ..Scheduler::new(model, "flow-euler", SamplerOptions::default())? })
}

fn pi_flow(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let usual = PiFlow::default();
    let shift = options.number("shift", usual.shift)?;
    let model = Model::flow(train_timesteps(options, 1000)?)?.shifted(shift);
    let policy = PiFlow {
        slices: options.count("n_grid", usual.slices)?,
        shift,
        substeps: options.count("num_policy_substeps", usual.substeps)?,
        last_step: options.number("final_step_size_scale", usual.last_step)?,
        least_time: options.number("eps", usual.least_time)?,
    };
    Scheduler::new(model, "pi-flow", SamplerOptions { pi_flow: Some(policy), ..SamplerOptions::default() })
}

fn proteina(options: &mut Options) -> Result<Scheduler, ConfigError> {
    if let Some(missing) = ["schedule_mode", "noise_mode", "tsr_k", "tsr_sigma"].into_iter().find(|it| !options.has(it))
    {
        return Err(refused(missing, "a value, which has no default", "none"));
    }
    let logarithmic = options.choice("schedule_mode", &[("log", true), ("power", false)], true)?;
    let courses = [("1/t", NoiseCourse::Reciprocal), ("tan", NoiseCourse::Tangent)];
    let usual = ScoreRescaling::default();
    let rescaling = ScoreRescaling {
        noise: options.choice("noise_mode", &courses, usual.noise)?,
        inverse_temperature: options.number("tsr_k", usual.inverse_temperature)?,
        deviation: options.number("tsr_sigma", usual.deviation)?,
        stochastic: [
            options.number("t_lim_ode_below", usual.stochastic[0])?,
            options.number("t_lim_ode", usual.stochastic[1])?,
        ],
        ..usual
    };
    let tail_steps = options.count("tail_steps", 10)?;
    let rule = ProteinTimes { logarithmic, tail_steps, tail_multiplier: options.count("tail_step_multiplier", 2)? };
    let model = Model::flow(TIMESTEPS)?.negated().told_as(Told::RisingTime(1.0));
    let defaults = SamplerOptions { score_rescaling: Some(rescaling), ..SamplerOptions::default() };
    let read = Scheduler::new(model, "proteina", defaults)?;
    Ok(Scheduler { lists: Lists::Protein(rule), takes: vec!["times", "start_time"], ..read })
}

/// The way from one level to the next.
#[derive(Clone, Copy, PartialEq)]
enum Course {
    Euler,
    UniPc,
    Distilled,
}

fn helios(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let courses = [("unipc", Course::UniPc), ("euler", Course::Euler), ("dmd", Course::Distilled)];
    let course = options.choice("scheduler_type", &courses, Course::UniPc)?;
    staged(options, course, true)
}

fn helios_dmd(options: &mut Options) -> Result<Scheduler, ConfigError> {
    staged(options, Course::Distilled, false)
}

/// A stage of a pyramid. `exponential` is the default of `time_shift_type`: true if the argument is the logarithm of the shift.
fn staged(options: &mut Options, course: Course, exponential: bool) -> Result<Scheduler, ConfigError> {
    let timesteps = train_timesteps(options, 1000)?;
    if !options.flag("use_flow_sigmas", true)? {
        return Err(refused("use_flow_sigmas", true, false));
    }
    let flow = !options.has("prediction_type") || options.says("prediction_type", "flow_prediction");
    let prediction = if flow { Quantity::Flow } else { prediction_on(options, true)? };
    if course != Course::UniPc && !flow {
        return Err(refused("prediction_type", "flow_prediction, since this class has steps for no other", prediction));
    }
    let kinds = [("exponential", true), ("linear", false)];
    let logarithm = options.choice("time_shift_type", &kinds, exponential)?;
    let shift = options.number("shift", 1.0)?;
    let dynamic = options.flag("use_dynamic_shifting", false)?;
    if dynamic && shift != 1.0 {
        return Err(ConfigError::Contradiction { first: "use_dynamic_shifting", second: "shift" });
    }
    let distilled = course == Course::Distilled;
    let stages = stages(options, timesteps, shift)?;
    let factor = if shift != 1.0 && logarithm { shift.exp() } else { shift };
    let staging = Staging { stages, shift: factor, distilled, dynamic: dynamic.then_some(logarithm), timesteps };
    let (sampler, defaults) = match course {
        Course::UniPc => ("unipc", unipc_solver(options)?),
        _ => ("flow-euler", SamplerOptions { stochastic: distilled, ..SamplerOptions::default() }),
    };
    let threshold = if course == Course::UniPc { threshold(options)? } else { None };
    let mut takes = vec!["stage_index"];
    takes.extend(distilled.then_some("is_amplify_first_chunk"));
    takes.extend(dynamic.then_some("mu"));
    let own = Model::flow(timesteps)?;
    let model = Model::new(own.schedule().clone(), prediction);
    Ok(Scheduler { lists: Lists::Staged(staging), threshold, takes, ..Scheduler::new(model, sampler, defaults)? })
}

fn stages(options: &mut Options, timesteps: usize, shift: f64) -> Result<Stages, ConfigError> {
    let count = options.count("stages", 3)?;
    let thirds = vec![0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0];
    let mut range = options.numbers("stage_range")?.unwrap_or(thirds);
    if count == 0 || range.len() <= count {
        return Err(refused("stage_range", format!("{} ends of stages", count.saturating_add(1)), range.len()));
    }
    range.truncate(count + 1);
    Ok(Stages::new(timesteps, shift, &range, options.number("gamma", 1.0 / 3.0)?)?)
}

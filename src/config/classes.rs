//! The classes of diffusers: each a sampler of the catalogue, with the options of the file.

use super::common::{
    Given, LU, Usual, clip, dpm_solver, ends_noisy, placement, prediction, prediction_on, rescaled, rescaled_schedule,
    schedule, spacing, threshold, train_timesteps, unipc_solver,
};
use super::error::ConfigError;
use super::options::{Options, refused};
use super::scheduler::{Mu, Scheduler};
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::{GridRules, Last, Times, Whole};
use crate::math::edm::SigmaData;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::sampler::ddpm::Variance;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;

/// Reads the options of a class.
pub(super) type Read = fn(&mut Options) -> Result<Scheduler, ConfigError>;

/// The schedulers that are supported.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("DDPMScheduler", ddpm),
    ("DDPMParallelScheduler", ddpm),
    ("DDIMScheduler", ddim),
    ("DDIMParallelScheduler", ddim),
    ("CogVideoXDDIMScheduler", cogvideox),
    ("DDIMInverseScheduler", ddim_inverse),
    ("EulerDiscreteScheduler", euler),
    ("EulerAncestralDiscreteScheduler", euler_ancestral),
    ("HeunDiscreteScheduler", heun),
    ("DPMSolverMultistepScheduler", dpm),
    ("UniPCMultistepScheduler", unipc),
    ("LCMScheduler", lcm),
    ("FlowMatchEulerDiscreteScheduler", flow_euler),
    ("FlowMatchHeunDiscreteScheduler", flow_heun),
    ("FlowMatchLCMScheduler", flow_lcm),
    ("SCMScheduler", scm),
    ("EDMEulerScheduler", edm_euler),
    ("EDMDPMSolverMultistepScheduler", edm_dpm),
];

const LEADING: Spacing = Spacing::Leading { offset: 0 };

/// A class that visits the timesteps of a schedule, with the spacing of the file or its own.
fn spaced(
    options: &mut Options,
    sampler: &str,
    schedule: Schedule,
    usual: Spacing,
    defaults: SamplerOptions,
) -> Result<Scheduler, ConfigError> {
    let rules = GridRules { spacing: Some(spacing(options, usual)?), ..GridRules::default() };
    let model = Model::new(schedule, prediction(options)?);
    Ok(Scheduler { rules, ..Scheduler::new(model, sampler, defaults)? })
}

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

fn euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = rescaled_schedule(options)?;
    let continuous = options.choice("timestep_type", &[("discrete", false), ("continuous", true)], false)?;
    let logarithmic = options.choice("interpolation_type", &[("linear", false), ("log_linear", true)], false)?;
    let placed = placement(options, false)?.map(|(_, placement)| placement);
    let given = [options.optional_number("sigma_min")?, options.optional_number("sigma_max")?];
    // The ends of a placement; without one they act on nothing in diffusers either.
    let [sigma_min, sigma_max] = if placed.is_some() { given } else { [None; 2] };
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
    let schedule = schedule(options, &Usual::HEUN)?;
    let placement = placement(options, false)?.map(|(_, placement)| placement);
    let defaults = SamplerOptions { placement, clip: clip(options, false)?, ..SamplerOptions::default() };
    let mut read = spaced(options, "heun", schedule, Spacing::Linspace, defaults)?;
    read.rules.between_listed = true;
    Ok(Scheduler { takes: vec!["timesteps"], ..read })
}

fn dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    let (sampler, mut defaults) = dpm_solver(options)?;
    let prediction = prediction_on(options, flow)?;
    let cosine = options.says("beta_schedule", "squaredcos_cap_v2");
    let (schedule, threshold) = (rescaled_schedule(options)?, threshold(options)?);
    defaults.ends_at_least_sigma = ends_noisy(options)?;
    if flow {
        let shift = options.number("flow_shift", 1.0)?;
        let last = Last::At(schedule.sigma_ends()[0]);
        let model = Model::new(Schedule::rectified_flow(schedule.len())?, prediction).shifted(shift);
        let rules = GridRules { times: Times::FromData, whole: Some(Whole::Down), last, ..GridRules::default() };
        let read = Scheduler::new(model, sampler, defaults)?;
        return Ok(Scheduler { rules, threshold, takes: vec!["mu"], ..read });
    }
    let least = options.number("lambda_min_clipped", f64::NEG_INFINITY)?;
    let usable = Some(schedule.lambda().iter().filter(|&&lambda| lambda >= least).count());
    let placed = placement(options, true)?;
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

/// The shift of a flow: a fixed one, whose option has this name, or one that follows from the size of the image.
fn shifts(options: &mut Options, mut read: Scheduler, name: &str) -> Result<Scheduler, ConfigError> {
    read.model = read.model.shifted(options.number(name, 1.0)?);
    let mu = options.choice(
        "time_shift_type",
        &[("exponential", Mu::Exponential), ("linear", Mu::Linear)],
        Mu::Exponential,
    )?;
    let mut point = |tokens, [usual_tokens, usual_shift]: [f64; 2], shift| {
        Ok::<_, ConfigError>((options.number(tokens, usual_tokens)?, options.number(shift, usual_shift)?))
    };
    let base = point("base_image_seq_len", [256.0, 0.5], "base_shift")?;
    let most = point("max_image_seq_len", [4096.0, 1.15], "max_shift")?;
    if options.flag("use_dynamic_shifting", false)? {
        (read.mu, read.rules.dynamic) = (mu, true);
        read.takes.extend(["mu", "tokens"]);
        read.model = read.model.shifted_by_tokens(base, most);
    }
    read.rules.terminal = Some(options.number("shift_terminal", 0.0)?).filter(|terminal| *terminal != 0.0);
    Ok(read)
}

fn flow_euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let mut model = Model::flow(train_timesteps(options)?)?;
    let placement = placement(options, false)?.map(|(_, placement)| placement);
    let inverted = options.flag("invert_sigmas", false)?;
    let stochastic = options.flag("stochastic_sampling", false)?;
    if inverted && stochastic {
        return Err(ConfigError::Contradiction { first: "invert_sigmas", second: "stochastic_sampling" });
    }
    if inverted {
        // The network's time runs from noise to data, and so does its velocity.
        let timesteps = model.schedule().len() as f64;
        model = model.negated().told_as(Told::RisingTime(timesteps));
    }
    let defaults = SamplerOptions { placement, stochastic, ..SamplerOptions::default() };
    let mut read = shifts(options, Scheduler::new(model, "flow-euler", defaults)?, "shift")?;
    read.rules.between_listed = true;
    read.takes.push("timesteps");
    Ok(read)
}

/// A consistency model of a flow: each step noises the clean sample again.
fn flow_lcm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    if options.has("scale_factors") {
        return Err(refused("scale_factors", "none: samples keep their size", "a list"));
    }
    let mut read = flow_euler(options)?;
    read.defaults.stochastic = true;
    Ok(read)
}

fn flow_heun(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let model = Model::flow(train_timesteps(options)?)?.shifted(options.number("shift", 1.0)?);
    Scheduler::new(model, "flow-heun", SamplerOptions::default())
}

/// A network with the preconditioning of Karras et al. 2022 (arXiv 2206.00364, table 1), by the sampler of this name.
fn edm(options: &mut Options, sampler: &str, solver: SamplerOptions) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options)?;
    let given = Given::read(options, Schedule::CATALOGUE.find("edm")?, &["sigma_min", "sigma_max", "rho"])?;
    let [least, most, rho] = ["sigma_min", "sigma_max", "rho"].map(|name| given.number(name));
    let placement = options.choice(
        "sigma_schedule",
        &[("karras", Placement::Karras { rho }), ("exponential", Placement::Exponential)],
        Placement::Karras { rho },
    )?;
    let sigma_data = SigmaData::new(options.number("sigma_data", SigmaData::KARRAS.value())?)?;
    let model = Model::new(given.build("edm", steps)?, Quantity::Edm(sigma_data));
    let negated = options.choice("prediction_type", &[("epsilon", false), ("v_prediction", true)], false)?;
    let defaults = SamplerOptions {
        placement: Some(placement),
        sigma_min: Some(least),
        sigma_max: Some(most),
        ends_at_least_sigma: ends_noisy(options)?,
        ..solver
    };
    Scheduler::new(if negated { model.negated() } else { model }, sampler, defaults)
}

/// Consistency sampling of TrigFlow (Chen et al. 2025, arXiv 2503.09641). The class is handed an output in the data's units.
fn scm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options)?;
    options.choice("prediction_type", &[("trigflow", ())], ())?;
    let sigma_data = SigmaData::new(options.number("sigma_data", SigmaData::KARRAS.value())?)?;
    let model = Model::trig_flow(steps, sigma_data)?.with_output_factor(1.0 / sigma_data.value())?;
    let defaults = SamplerOptions { stochastic: true, ..SamplerOptions::default() };
    Ok(Scheduler { takes: vec!["times", "timesteps"], ..Scheduler::new(model, "flow-euler", defaults)? })
}

fn edm_euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let mut read = edm(options, "euler", SamplerOptions::default())?;
    read.rules.last = Last::Listed;
    Ok(Scheduler { takes: vec!["s_churn"], ..read })
}

fn edm_dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, solver) = dpm_solver(options)?;
    let threshold = threshold(options)?;
    Ok(Scheduler { threshold, ..edm(options, sampler, solver)? })
}

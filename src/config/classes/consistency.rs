//! Classes of consistency models.

use super::read::Read;
use crate::config::common::{Given, Usual, prediction, rescaled, schedule, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::edm::SigmaData;
use crate::math::error::sampler::SamplerError;
use crate::math::model::{Model, Told};
use crate::math::quantity::Quantity;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::solver::Compat;
use crate::math::schedule::Schedule;
use crate::table::step::Clip;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("TCDScheduler", tcd),
    ("CMStochasticIterativeScheduler", stochastic_iterative),
    ("ConsistencyDecoderScheduler", decoder),
];

/// Trajectory consistency. The class has options of clipping, but clips nothing, and its last step ends at the least noise.
fn tcd(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let schedule = schedule(options, &Usual::LCM)?;
    let schedule = rescaled(options, schedule)?;
    for option in ["clip_sample", "thresholding"] {
        if options.flag(option, false)? {
            options.note(&format!("{option} has no effect in TCDScheduler"));
        }
    }
    let defaults = SamplerOptions {
        original_steps: options.optional_count("original_inference_steps")?,
        ends_at_least_sigma: Some(true),
        ..SamplerOptions::default()
    };
    let read = Scheduler::new(Model::new(schedule, prediction(options)?), "tcd", defaults)?;
    Ok(Scheduler { takes: vec!["eta", "timesteps", "original_steps"], places: Some(of_all), ..read })
}

/// diffusers chooses among all timesteps if the number of original steps is an argument.
fn of_all(model: &Model, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
    if let (Compat::Diffusers, Some(original), Some(found)) = (run.compat, run.original_steps, run.steps) {
        if found > original {
            return Err(SamplerError::TooManySteps { found, available: original }.into());
        }
        options.original_steps = Some(model.schedule().len());
    }
    Ok(())
}

/// The number of timesteps with which consistency models are distilled, unless the file says otherwise.
const CONSISTENCY_TIMESTEPS: usize = 40;

/// A network with the boundary scalings of Song et al. 2023 (arXiv 2303.01469, appendix C), whose time is `250*ln(sigma)`.
fn stochastic_iterative(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options, CONSISTENCY_TIMESTEPS)?;
    let given = Given::read(options, Schedule::CATALOGUE.find("edm")?, &["sigma_min", "sigma_max", "rho"])?;
    let sigma_data = SigmaData::new(options.number("sigma_data", SigmaData::KARRAS.value())?)?;
    let model = Model::new(given.build("edm", steps)?, Quantity::Edm(sigma_data)).told_as(Told::ScaledLogSigma(250.0));
    let defaults = SamplerOptions {
        noise_scale: Some(options.number("s_noise", 1.0)?),
        clip: options.flag("clip_denoised", true)?.then_some(Clip::Range(1.0)),
        ..SamplerOptions::default()
    };
    let read = Scheduler::new(model, "consistency", defaults)?;
    Ok(Scheduler { takes: vec!["timesteps"], places: Some(of_training), ..read })
}

/// Levels of training by their places, counted from the noisiest: a number of them at whole strides, or those of a list.
fn of_training(model: &Model, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
    let levels = model.schedule().levels();
    let places: Vec<usize> = match (run.steps, &run.timesteps, &run.times) {
        (Some(found), None, None) if found > levels.len() => {
            return Err(SamplerError::TooManySteps { found, available: levels.len() }.into());
        }
        (Some(steps @ 1..), None, None) => (0..steps).map(|i| i * (levels.len() / steps)).collect(),
        (None, Some(list), None) => listed(list, levels.len(), run.compat)?,
        // Two lists, or none: the grid reports it.
        _ => return Ok(()),
    };
    let sigma = |place: &usize| levels[levels.len() - 1 - place].sigma();
    options.sigma_list = Some(places.iter().map(sigma).collect());
    (options.steps, options.timesteps) = (None, None);
    Ok(())
}

/// The places of a list, the noisiest first. diffusers takes falling lists only; the authors write rising ones.
fn listed(list: &[f64], all: usize, compat: Compat) -> Result<Vec<usize>, ConfigError> {
    let whole = |&place: &f64| match place >= 0.0 && place.fract() == 0.0 && place < all as f64 {
        true => Ok(place as usize),
        false => Err(refused("timesteps", format!("whole numbers in 0..{all}"), place)),
    };
    let mut places = list.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    if compat == Compat::Diffusers && places.windows(2).any(|pair| pair[0] <= pair[1]) {
        return Err(refused(
            "timesteps",
            "a falling list of places, of which 0 is the noisiest",
            "one that does not fall",
        ));
    }
    places.sort_unstable();
    Ok(places)
}

/// The number of timesteps with which the decoder was trained.
const DECODER_TIMESTEPS: usize = 1024;

/// The number of steps from which the decoder was distilled.
const DECODER_DISTILLED: usize = 64;

/// diffusers' timesteps for the decoder, which are those of the authors for two steps.
const DECODER_STEPS: [f64; 2] = [1008.0, 512.0];

/// The decoder of DALL-E 3: EDM's scalings on variance-preserving samples; the network is given timesteps.
fn decoder(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options, DECODER_TIMESTEPS)?;
    let sigma_data = SigmaData::new(options.number("sigma_data", SigmaData::KARRAS.value())?)?;
    let model = Model::new(Schedule::cosine(steps)?, Quantity::Edm(sigma_data)).told_as(Told::Timestep);
    let defaults = SamplerOptions { scale: Some(Scale::VariancePreserving), ..SamplerOptions::default() };
    let read = Scheduler::new(model, "consistency", defaults)?;
    Ok(Scheduler { takes: vec!["timesteps"], places: Some(of_decoder), ..read })
}

/// The timesteps at the parts `1 - i/n`, rounded up to those of the distillation as in the authors' code. The result is clamped, as
/// there; diffusers does not clamp it.
fn of_decoder(model: &Model, run: &SamplerOptions, options: &mut SamplerOptions) -> Result<(), ConfigError> {
    let diffusers = run.compat == Compat::Diffusers;
    if !diffusers {
        options.clip = options.clip.or(Some(Clip::Range(1.0)));
    }
    let (Some(steps), None, None) = (run.steps, &run.timesteps, &run.times) else { return Ok(()) };
    let all = model.schedule().len();
    let space = (all / DECODER_DISTILLED).max(1);
    let place = |i: usize| {
        let part = (all - 1) as f64 * (1.0 - i as f64 / steps as f64);
        ((part as usize / space + 1) * space).min(all - space) as f64
    };
    let list = match (diffusers, steps) {
        (true, 2) => DECODER_STEPS.to_vec(),
        (true, _) => return Err(refused("steps", "2, the only number of diffusers' decoder", steps)),
        (false, 1..=DECODER_DISTILLED) => (0..steps).map(place).collect(),
        (false, 0) => return Err(SamplerError::NoSteps.into()),
        (false, found) => return Err(SamplerError::TooManySteps { found, available: DECODER_DISTILLED }.into()),
    };
    (options.steps, options.timesteps) = (None, Some(list));
    Ok(())
}

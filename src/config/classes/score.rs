//! Classes of networks that predict a score.

use super::read::Read;
use crate::config::common::train_timesteps;
use crate::config::error::ConfigError;
use crate::config::lists::Lists;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[("ScoreSdeVeScheduler", sde_ve)];

/// The predictor of a variance-exploding process (Song et al. 2021, arXiv 2011.13456). The size of the corrector's step depends on
/// the network's output, so its rows are not part of a run.
fn sde_ve(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let timesteps = match options.has("num_train_timesteps") {
        true => train_timesteps(options, 1000)?,
        false => 2000,
    };
    let ends = [options.number("sigma_min", 0.01)?, options.number("sigma_max", 1348.0)?];
    let least = options.number("sampling_eps", 1e-5)?;
    let snr = options.number("snr", 0.15)?;
    if options.count("correct_steps", 1)? > 0 {
        options.note(&format!(
            "correct_steps has no effect: a run has only the predictor; math::sampler::Langevin, with snr {snr}, is the corrector"
        ));
    }
    // Any schedule will do, since equal steps of the logarithm do not use it.
    let mut sigmas = Placement::Exponential.sigmas(&Schedule::rectified_flow(1)?, timesteps, ends)?;
    sigmas.reverse();
    let schedule = Schedule::variance_exploding(&sigmas)?;
    let model = Model::new(schedule, Quantity::Score).told_as(Told::Sigma).placed(Placement::Exponential);
    let read = Scheduler::new(model, "reverse-diffusion", SamplerOptions::default())?;
    Ok(Scheduler { lists: Lists::Exploding { ends, least }, takes: vec!["sampling_eps"], ..read })
}

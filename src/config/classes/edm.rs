//! Classes of networks that are told sigmas or angles.

use super::read::Read;
use crate::config::common::{Given, dpm_solver, ends_noisy, threshold, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::lists::Lists;
use crate::config::options::Options;
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::Last;
use crate::math::edm::SigmaData;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] =
    &[("SCMScheduler", scm), ("EDMEulerScheduler", edm_euler), ("EDMDPMSolverMultistepScheduler", edm_dpm)];

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
    let takes = vec!["times", "timesteps", "max_timesteps", "intermediate_timesteps"];
    Ok(Scheduler { takes, lists: Lists::Angles, ..Scheduler::new(model, "flow-euler", defaults)? })
}

fn edm_euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let mut read = edm(options, "euler", SamplerOptions::default())?;
    read.rules.last = Last::Listed;
    let SamplerOptions { placement, sigma_min, sigma_max, .. } = read.defaults;
    let ends = [sigma_min.unwrap_or(f64::NAN), sigma_max.unwrap_or(f64::NAN)];
    let lists = Lists::Ramp { placement: placement.unwrap_or(Placement::KARRAS), ends };
    Ok(Scheduler { takes: vec!["s_churn"], lists, ..read })
}

fn edm_dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, solver) = dpm_solver(options)?;
    let threshold = threshold(options)?;
    Ok(Scheduler { threshold, ..edm(options, sampler, solver)? })
}

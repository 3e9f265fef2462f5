//! Classes of networks whose time is a function of sigma, or an angle.

use super::read::Read;
use crate::config::common::{DPM_SDE, Given, dpm_solver, ends_noisy, threshold, train_timesteps};
use crate::config::error::ConfigError;
use crate::config::lists::Lists;
use crate::config::options::{Options, refused};
use crate::config::scheduler::Scheduler;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_rules::Last;
use crate::math::edm::SigmaData;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

/// The classes of this file.
pub(super) const CLASSES: &[(&str, Read)] = &[
    ("SCMScheduler", scm),
    ("EDMEulerScheduler", edm_euler),
    ("EDMDPMSolverMultistepScheduler", edm_dpm),
    ("CosineDPMSolverMultistepScheduler", cosine_dpm),
];

/// The defaults of a class.
struct Usual {
    /// The least and the largest sigma, and the exponent of the placement between them.
    ends: [f64; 3],
    sigma_data: f64,
    exponential: bool,
    negated: bool,
}

impl Usual {
    const COSINE: Self = Self { ends: [0.3, 500.0, 7.0], sigma_data: 1.0, exponential: true, negated: true };

    /// The defaults of the catalogue.
    fn edm() -> Result<Self, ConfigError> {
        let entry = Schedule::CATALOGUE.find("edm")?;
        let default = |name| entry.parameter(name).and_then(|parameter| parameter.default).unwrap_or(f64::NAN);
        let ends = ENDS.map(default);
        Ok(Self { ends, sigma_data: SigmaData::KARRAS.value(), exponential: false, negated: false })
    }
}

/// The options that place sigmas.
const ENDS: [&str; 3] = ["sigma_min", "sigma_max", "rho"];

/// A network with the preconditioning of Karras et al. 2022 (arXiv 2206.00364, table 1), by the sampler of this name.
fn edm(options: &mut Options, usual: &Usual, sampler: &str, solver: SamplerOptions) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options, 1000)?;
    let given = Given::read_over(options, &ENDS, usual.ends)?;
    let [least, most, rho] = ENDS.map(|name| given.number(name));
    let placement = options.choice(
        "sigma_schedule",
        &[("karras", Placement::Karras { rho }), ("exponential", Placement::Exponential)],
        if usual.exponential { Placement::Exponential } else { Placement::Karras { rho } },
    )?;
    let sigma_data = SigmaData::new(options.number("sigma_data", usual.sigma_data)?)?;
    let model = Model::new(given.build("edm", steps)?, Quantity::Edm(sigma_data));
    let negated = options.choice("prediction_type", &[("epsilon", false), ("v_prediction", true)], usual.negated)?;
    let defaults = SamplerOptions {
        placement: Some(placement),
        sigma_min: Some(least),
        sigma_max: Some(most),
        ends_at_least_sigma: ends_noisy(options)?,
        ..solver
    };
    Scheduler::new(if negated { model.negated() } else { model }, sampler, defaults)
}

/// Consistency sampling of TrigFlow (Chen et al. 2025, arXiv 2503.09641). The class is given the output in units of the data.
fn scm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let steps = train_timesteps(options, 1000)?;
    options.choice("prediction_type", &[("trigflow", ())], ())?;
    let sigma_data = SigmaData::new(options.number("sigma_data", SigmaData::KARRAS.value())?)?;
    let model = Model::trig_flow(steps, sigma_data)?.with_output_factor(1.0 / sigma_data.value())?;
    let defaults = SamplerOptions { stochastic: true, ..SamplerOptions::default() };
    let takes = vec!["times", "timesteps", "max_timesteps", "intermediate_timesteps"];
    Ok(Scheduler { takes, lists: Lists::Angles, ..Scheduler::new(model, "flow-euler", defaults)? })
}

fn edm_euler(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let mut read = edm(options, &Usual::edm()?, "euler", SamplerOptions::default())?;
    read.rules.last = Last::Listed;
    let SamplerOptions { placement, sigma_min, sigma_max, .. } = read.defaults;
    let ends = [sigma_min.unwrap_or(f64::NAN), sigma_max.unwrap_or(f64::NAN)];
    let lists = Lists::Ramp { placement: placement.unwrap_or(Placement::KARRAS), ends };
    Ok(Scheduler { takes: vec!["s_churn"], lists, ..read })
}

fn edm_dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (sampler, solver) = dpm_solver(options, true)?;
    let threshold = threshold(options)?;
    Ok(Scheduler { threshold, ..edm(options, &Usual::edm()?, sampler, solver)? })
}

/// DPM-Solver++ 2M SDE for a network that is given the time of the cosine schedule (Evans et al. 2024, arXiv 2407.14358).
fn cosine_dpm(options: &mut Options) -> Result<Scheduler, ConfigError> {
    let (_, solver) = dpm_solver(options, true)?;
    match solver.order {
        Some(1 | 2) | None => {}
        Some(order) => return Err(refused("solver_order", "1 or 2", order)),
    }
    let mut read = edm(options, &Usual::COSINE, DPM_SDE, solver)?;
    read.model = read.model.told_as(Told::QuarterTurns);
    Ok(read)
}

//! `DPMSolverMultistepScheduler`.

use super::common::{Usual, count_only, prediction, rescaled_schedule, spacing, threshold, whole_timesteps};
use super::error::ConfigError;
use super::options::{Options, refused};
use super::run::{Run, Steps};
use super::sigmas::{Placement, ends, last, told};
use crate::math::flow;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::dpm::{DpmKind, DpmSolver};
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::multistep::Form;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;
use crate::table::step::Clip;

/// diffusers takes the names of other solvers' types for the first.
const TYPES: &[(&str, DpmKind)] = &[
    ("midpoint", DpmKind::Midpoint),
    ("heun", DpmKind::Heun),
    ("logrho", DpmKind::Midpoint),
    ("bh1", DpmKind::Midpoint),
    ("bh2", DpmKind::Midpoint),
];

/// The solver of a configuration, and the share of noise that it draws.
const ALGORITHMS: &[(&str, (Form, f64))] = &[
    ("dpmsolver++", (Form::X0, 0.0)),
    ("sde-dpmsolver++", (Form::X0, 1.0)),
    ("dpmsolver", (Form::Epsilon, 0.0)),
    ("deis", (Form::X0, 0.0)),
];

/// The solver that the options describe.
pub(super) fn solver(options: &mut Options, run: &Run) -> Result<DpmSolver, ConfigError> {
    let (form, eta) = options.choice("algorithm_type", ALGORITHMS, (Form::X0, 0.0))?;
    Ok(DpmSolver {
        order: options.count("solver_order", 2)?,
        kind: options.choice("solver_type", TYPES, DpmKind::Midpoint)?,
        form,
        eta,
        lower_order_final: options.flag("lower_order_final", true)?,
        euler_at_final: options.flag("euler_at_final", false)?,
        compat: run.compat,
        ..DpmSolver::new(2)
    })
}

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    run.only(if flow { &["mu"] } else { &[] })?;
    let solver = solver(options, run)?;
    let prediction = prediction_on(options, flow)?;
    let grid = if flow { flow_grid(options, run)? } else { grid(options, run)? };
    let clip = threshold(options, run)?.unwrap_or(Clip::None);
    Ok(Sampler::new(&solver, &grid, &Denoiser::new(prediction).clipped(clip))?)
}

/// Reads the prediction type. A flow goes with flow sigmas only, v with other sigmas only.
pub(super) fn prediction_on(options: &mut Options, flow: bool) -> Result<Quantity, ConfigError> {
    let quantity = prediction(options)?;
    let (expected, unfit) = match flow {
        true => ("flow_prediction, epsilon or sample, since use_flow_sigmas is on", Quantity::V),
        false => ("epsilon, sample or v_prediction, since use_flow_sigmas is off", Quantity::Flow),
    };
    if quantity == unfit { Err(refused("prediction_type", expected, quantity)) } else { Ok(quantity) }
}

fn grid(options: &mut Options, run: &Run) -> Result<Grid, ConfigError> {
    let cosine = options.says("beta_schedule", "squaredcos_cap_v2");
    let schedule = rescaled_schedule(options, &Usual::DDPM)?;
    let spacing = spacing(options, Spacing::Linspace)?;
    let usable = usable(&schedule, options.number("lambda_min_clipped", f64::NEG_INFINITY)?);
    let placement = Placement::read(options, true)?;
    let table = schedule.sigma_table();
    let end = last(options, ends(&table)[0])?;
    if placement == Placement::Timesteps {
        let timesteps = timesteps(run, spacing, schedule.len(), usable)?;
        return at_timesteps(run, &schedule, &timesteps, end);
    }
    let sigmas = placement.sigmas(count_only(run)?, ends(&table))?.unwrap_or_default();
    let whole: fn(f64) -> f64 = match placement {
        Placement::Karras | Placement::Lu if !cosine => f64::round_ties_even,
        _ => f64::trunc,
    };
    let told = told(run, &sigmas, |sigma| table.timestep(sigma), whole);
    Ok(Grid::of_sigmas(Scale::VariancePreserving, &sigmas, &told, end)?)
}

/// The levels at timesteps. diffusers reaches them through sigmas, which are finite.
pub(super) fn at_timesteps(run: &Run, schedule: &Schedule, timesteps: &[usize], end: f64) -> Result<Grid, ConfigError> {
    if !run.is_diffusers() {
        let end = if end == 0.0 { NoiseLevel::CLEAN } else { schedule.level(0)? };
        return Ok(Grid::of_schedule(schedule, timesteps, end)?);
    }
    let table = schedule.sigma_table();
    let sigmas: Vec<f64> = timesteps.iter().map(|&t| table.at(t as f64)).collect();
    let told: Vec<f64> = timesteps.iter().map(|&t| t as f64).collect();
    Ok(Grid::of_sigmas(Scale::VariancePreserving, &sigmas, &told, end)?)
}

/// Counts the timesteps whose `lambda` is at least this (`lambda_min_clipped`).
fn usable(schedule: &Schedule, least: f64) -> usize {
    schedule.lambda().iter().filter(|&&lambda| lambda >= least).count()
}

fn timesteps(run: &Run, spacing: Spacing, train: usize, usable: usize) -> Result<Vec<usize>, ConfigError> {
    match (&run.steps, spacing) {
        (Steps::Timesteps(list), _) => whole_timesteps(list, train),
        (Steps::Count(steps), Spacing::Trailing) if run.is_diffusers() && usable < train => {
            // With the gaps of the whole schedule, and so fewer steps than asked for.
            let gap = train as f64 / *steps as f64;
            let places = (0..*steps).map(|i| usable as f64 - i as f64 * gap).take_while(|place| *place > 0.0);
            Ok(places.map(|place| (place.round_ties_even() as usize).saturating_sub(1)).collect())
        }
        (Steps::Count(steps), _) => Ok(spacing.timesteps_before_zero(usable, *steps)?),
    }
}

fn flow_grid(options: &mut Options, run: &Run) -> Result<Grid, ConfigError> {
    let n = count_only(run)?;
    let shift = options.number("flow_shift", 1.0)?;
    let shift = run.mu.map_or(shift, f64::exp);
    let schedule = rescaled_schedule(options, &Usual::DDPM)?;
    let train = schedule.len() as f64;
    let end = last(options, ends(&schedule.sigma_table())[0])?;
    // From data to noise, in the order of the class, so that whole timesteps stay whole.
    let signal = flow::times(n.saturating_add(1), 1.0, 1.0 / train)?;
    let noisy = signal[1..].iter().rev();
    let shifted = noisy.map(|&signal| flow::shifted(1.0 - signal, shift)).collect::<Result<Vec<_>, _>>()?;
    let told = told(run, &shifted, |sigma| sigma * train, f64::trunc);
    Ok(Grid::of_sigmas(Scale::Flow, &shifted, &told, end)?)
}

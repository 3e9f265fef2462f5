//! `UniPCMultistepScheduler`.

use super::common::{Usual, count_only, rescaled_schedule, spacing, threshold};
use super::dpm::{at_timesteps, prediction_on};
use super::error::ConfigError;
use super::flow::Shift;
use super::options::{Options, refused};
use super::run::Run;
use super::sigmas::{Placement, ends, last, range, told};
use crate::math::flow;
use crate::math::sampler::Sampler;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::multistep::Form;
use crate::math::sampler::unipc::{Corrector, UniPc, UniPcKind};
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;
use crate::table::step::Clip;

/// diffusers takes the names of other solvers' types for `bh2`.
const TYPES: &[(&str, UniPcKind)] = &[
    ("bh1", UniPcKind::Bh1),
    ("bh2", UniPcKind::Bh2),
    ("midpoint", UniPcKind::Bh2),
    ("heun", UniPcKind::Bh2),
    ("logrho", UniPcKind::Bh2),
];

/// The distance that diffusers keeps between the first flow sigma and 1, where its logarithms are infinite.
const BELOW_ONE: f64 = 1e-6;

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    let flow = options.flag("use_flow_sigmas", false)?;
    run.only(if flow { &["mu"] } else { &[] })?;
    if options.has("solver_p") {
        return Err(refused("solver_p", "none: the predictor is UniPC's own", "another scheduler"));
    }
    let solver = UniPc {
        order: options.count("solver_order", 2)?,
        kind: options.choice("solver_type", TYPES, UniPcKind::Bh2)?,
        form: if options.flag("predict_x0", true)? { Form::X0 } else { Form::Epsilon },
        corrector: corrector(options)?,
        lower_order_final: options.flag("lower_order_final", true)?,
    };
    let prediction = prediction_on(options, flow)?;
    let placement = Placement::read(options, false)?;
    let schedule = rescaled_schedule(options, &Usual::DDPM)?;
    let grid = match (placement, flow) {
        (Placement::Timesteps, false) => timestep_grid(options, run, &schedule)?,
        (Placement::Timesteps, true) => flow_grid(options, run, &schedule)?,
        (Placement::Karras, _) | (_, false) => placed_grid(options, run, &schedule, placement, flow)?,
        _ => return Err(ConfigError::Contradiction { first: "use_flow_sigmas", second: placement.name() }),
    };
    let clip = match threshold(options, run)? {
        // diffusers forgets to threshold in this form, in which it cannot be done.
        Some(_) if run.is_diffusers() && solver.form == Form::Epsilon => Clip::None,
        clip => clip.unwrap_or(Clip::None),
    };
    Ok(Sampler::new(&solver, &grid, &Denoiser::new(prediction).clipped(clip))?)
}

fn corrector(options: &mut Options) -> Result<Corrector, ConfigError> {
    let steps = options.numbers("disable_corrector")?.unwrap_or_default();
    // A number that no step has disables nothing.
    Ok(Corrector::Except(steps.into_iter().filter(|k| *k >= 0.0).map(|k| k as usize).collect()))
}

fn timestep_grid(options: &mut Options, run: &Run, schedule: &Schedule) -> Result<Grid, ConfigError> {
    let end = last(options, ends(&schedule.sigma_table())[0])?;
    let timesteps = spacing(options, Spacing::Linspace)?.timesteps_before_zero(schedule.len(), count_only(run)?)?;
    at_timesteps(run, schedule, &timesteps, end)
}

fn placed_grid(
    options: &mut Options,
    run: &Run,
    schedule: &Schedule,
    placement: Placement,
    flow: bool,
) -> Result<Grid, ConfigError> {
    let table = schedule.sigma_table();
    let placed = placement.sigmas(count_only(run)?, range(options, ends(&table))?)?.unwrap_or_default();
    let sigmas: Vec<f64> = if flow { placed.iter().map(|sigma| sigma / (1.0 + sigma)).collect() } else { placed };
    let end = last(options, sigmas.last().copied().unwrap_or(0.0))?;
    let train = schedule.len() as f64;
    let (scale, told) = match (flow, placement) {
        (true, _) => (Scale::Flow, told(run, &sigmas, |sigma| sigma * train, f64::trunc)),
        (false, Placement::Karras) => {
            (Scale::VariancePreserving, told(run, &sigmas, |sigma| table.timestep(sigma), f64::round_ties_even))
        }
        (false, _) => (Scale::VariancePreserving, told(run, &sigmas, |sigma| table.timestep(sigma), f64::trunc)),
    };
    Ok(Grid::of_sigmas(scale, &sigmas, &told, end)?)
}

fn flow_grid(options: &mut Options, run: &Run, schedule: &Schedule) -> Result<Grid, ConfigError> {
    let (n, train) = (count_only(run)?, schedule.len() as f64);
    let shift = Shift::read(options, run, "flow_shift")?;
    let times = flow::times(n.saturating_add(1), 1.0, 1.0 / train)?;
    let mut list = times[..n].iter().map(|&t| shift.of(t)).collect::<Result<Vec<_>, _>>()?;
    let terminal = options.number("shift_terminal", 0.0)?;
    if terminal != 0.0 {
        list = flow::stretched(&list, terminal)?;
    }
    if let Some(first) = list.first_mut().filter(|first| run.is_diffusers() && 1.0 - **first < BELOW_ONE) {
        *first -= BELOW_ONE;
    }
    let end = last(options, list.last().copied().unwrap_or(0.0))?;
    let told = told(run, &list, |sigma| sigma * train, f64::trunc);
    Ok(Grid::of_sigmas(Scale::Flow, &list, &told, end)?)
}

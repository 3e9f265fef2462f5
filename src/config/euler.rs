//! `EulerDiscreteScheduler`, `EulerAncestralDiscreteScheduler`, `HeunDiscreteScheduler`: sigmas with `alpha = 1`.

use super::common::{BetaSchedule, Usual, clip, prediction, rescaled_schedule, schedule, spacing};
use super::error::ConfigError;
use super::options::Options;
use super::run::{Run, Steps};
use super::sigmas::{Placement, ends, last};
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::churn::{Churn, UnseenChurn};
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::first_order::FirstOrder;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::heun::Heun;
use crate::math::sigmas::{self, SigmaTable};
use crate::math::spacing::Spacing;

/// `c_noise` of Karras et al. 2022 (arXiv 2206.00364, table 1).
pub(super) fn log_time(sigma: f64) -> f64 {
    0.25 * sigma.ln()
}

/// Falling sigmas and the timestep that the network is told at each.
struct Places {
    sigmas: Vec<f64>,
    told: Vec<f64>,
}

impl Places {
    /// Sigmas and the timesteps that have them.
    fn of_sigmas(sigmas: Vec<f64>, table: &SigmaTable) -> Self {
        Self { told: sigmas.iter().map(|&sigma| table.timestep(sigma)).collect(), sigmas }
    }

    /// The timesteps of the run and the sigmas there.
    fn at_timesteps(options: &mut Options, run: &Run, table: &SigmaTable) -> Result<Self, ConfigError> {
        let spacing = spacing(options, Spacing::Linspace)?;
        let told = match &run.steps {
            Steps::Count(steps) => spacing.positions(table.sigmas().len(), *steps)?,
            Steps::Timesteps(list) => list.clone(),
        };
        Ok(Self { sigmas: told.iter().map(|&t| table.at(t)).collect(), told })
    }

    /// As many, in equal steps of the logarithm over the whole schedule (`log_linear`). diffusers makes one too many and
    /// tells the network the timesteps of other sigmas.
    fn logarithmic(self, run: &Run, table: &SigmaTable) -> Result<Self, ConfigError> {
        let ([least, most], n) = (ends(table), self.told.len());
        Ok(match run.is_diffusers() {
            true => Self { sigmas: sigmas::exponential(n.saturating_add(1), least, most)?, ..self },
            false => Self::of_sigmas(sigmas::exponential(n, least, most)?, table),
        })
    }

    /// As many, placed anew between the ends of the list or those that the file gives.
    fn replaced(self, placement: Placement, table: &SigmaTable, given: SigmaRange) -> Result<Self, ConfigError> {
        let (Some(&most), Some(&least)) = (self.sigmas.first(), self.sigmas.last()) else { return Ok(self) };
        let ends = [given[0].unwrap_or(least), given[1].unwrap_or(most)];
        Ok(match placement.sigmas(self.told.len(), ends)? {
            None => self,
            Some(sigmas) => Self::of_sigmas(sigmas, table),
        })
    }
}

/// `sigma_min` and `sigma_max`.
type SigmaRange = [Option<f64>; 2];

pub(super) fn build(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&["churn"])?;
    let table = rescaled_schedule(options, &Usual::DDPM)?.sigma_table();
    let prediction = prediction(options)?;
    let continuous = options.choice("timestep_type", &[("discrete", false), ("continuous", true)], false)?;
    let logarithmic = options.choice("interpolation_type", &[("linear", false), ("log_linear", true)], false)?;
    let placement = Placement::read(options, false)?;
    let given = [options.optional_number("sigma_min")?, options.optional_number("sigma_max")?];
    let end = last(options, ends(&table)[0])?;

    let places = Places::at_timesteps(options, run, &table)?;
    let places = if logarithmic { places.logarithmic(run, &table)? } else { places };
    let Places { mut sigmas, mut told } = places.replaced(placement, &table, given)?;
    let log_times = continuous && prediction == Quantity::V;
    if log_times {
        told = sigmas.iter().map(|&sigma| log_time(sigma)).collect();
    }
    let (mut end, mut churn) = (end, run.churn);
    if sigmas.len() > told.len() {
        // The sigma too many is where diffusers' run ends; its churn is spread over all of them.
        let share = told.len() as f64 / sigmas.len() as f64;
        churn = churn.map(|churn| Churn { amount: churn.amount * share, ..churn });
        end = sigmas.pop().unwrap_or(end);
    }
    let grid = Grid::of_sigmas(Scale::VarianceExploding, &sigmas, &told, end)?;
    let clock = |sigma| if log_times { log_time(sigma) } else { table.timestep(sigma) };
    churned_euler(&grid, &Denoiser::new(prediction), churn, run, clock)
}

/// Euler's method, with churn if the run wants it.
pub(super) fn churned_euler(
    grid: &Grid,
    denoiser: &Denoiser,
    churn: Option<Churn>,
    run: &Run,
    clock: impl Fn(f64) -> f64,
) -> Result<Sampler, ConfigError> {
    Ok(match churn {
        None => Sampler::new(&FirstOrder::euler(), grid, denoiser)?,
        Some(churn) if run.is_diffusers() => Sampler::new(&UnseenChurn(churn), grid, denoiser)?,
        Some(churn) => Sampler::new(&FirstOrder::euler(), &grid.churned(&churn, clock)?, denoiser)?,
    })
}

pub(super) fn build_ancestral(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    let table = rescaled_schedule(options, &Usual::DDPM)?.sigma_table();
    let places = Places::at_timesteps(options, run, &table)?;
    let grid = Grid::of_sigmas(Scale::VarianceExploding, &places.sigmas, &places.told, 0.0)?;
    Ok(Sampler::new(&FirstOrder::ancestral(1.0), &grid, &Denoiser::new(prediction(options)?))?)
}

pub(super) fn build_heun(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    let usual = Usual { beta_schedule: BetaSchedule::Linear, beta_start: 0.00085, beta_end: 0.012 };
    let table = schedule(options, &usual)?.sigma_table();
    let placement = Placement::read(options, false)?;
    let places = Places::at_timesteps(options, run, &table)?.replaced(placement, &table, [None; 2])?;
    let denoiser = Denoiser::new(prediction(options)?).clipped(clip(options, false)?);
    let grid = Grid::of_sigmas(Scale::VarianceExploding, &places.sigmas, &places.told, 0.0)?;
    Ok(Sampler::new(&Heun, &grid, &denoiser)?)
}

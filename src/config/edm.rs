//! `EDMEulerScheduler` and `EDMDPMSolverMultistepScheduler`: networks with the preconditioning of Karras et al. 2022
//! (arXiv 2206.00364, table 1).

use super::common::{count_only, threshold};
use super::dpm::solver;
use super::error::ConfigError;
use super::euler::{churned_euler, log_time};
use super::options::Options;
use super::run::Run;
use super::sigmas::{last, range};
use crate::math::edm::SigmaData;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sigmas;
use crate::table::step::Clip;

/// The places of the paper: 80 to 0.002.
const ENDS: [f64; 2] = [0.002, 80.0];

pub(super) fn build_euler(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&["churn"])?;
    let (grid, denoiser) = places(options, run, |list, _| list[list.len() - 1])?;
    churned_euler(&grid, &denoiser, run.churn, run, log_time)
}

pub(super) fn build_dpm(options: &mut Options, run: &Run) -> Result<Sampler, ConfigError> {
    run.only(&[])?;
    let solver = solver(options, run)?;
    let (grid, denoiser) = places(options, run, |_, least| least)?;
    let clip = threshold(options, run)?.unwrap_or(Clip::None);
    Ok(Sampler::new(&solver, &grid, &denoiser.clipped(clip))?)
}

/// The grid, whose last sigma is 0 or what `least` makes of the list and `sigma_min`.
fn places(options: &mut Options, run: &Run, least: fn(&[f64], f64) -> f64) -> Result<(Grid, Denoiser), ConfigError> {
    let n = count_only(run)?;
    let [sigma_min, sigma_max] = range(options, ENDS)?;
    let rho = options.number("rho", 7.0)?;
    let karras = options.choice("sigma_schedule", &[("karras", true), ("exponential", false)], true)?;
    let sigma_data = SigmaData::new(options.number("sigma_data", 0.5)?)?;
    let list = match karras {
        true => sigmas::karras(n, sigma_min, sigma_max, rho)?,
        false if n == 1 && run.is_diffusers() => vec![sigma_min], // not the largest
        false => sigmas::exponential(n, sigma_min, sigma_max)?,
    };
    let told: Vec<f64> = list.iter().map(|&sigma| log_time(sigma)).collect();
    let end = last(options, least(&list, sigma_min))?;
    let grid = Grid::of_sigmas(Scale::Edm(sigma_data), &list, &told, end)?;
    let negated = options.choice("prediction_type", &[("epsilon", false), ("v_prediction", true)], false)?;
    Ok((grid, Denoiser { negated, ..Denoiser::new(Quantity::Edm(sigma_data)) }))
}

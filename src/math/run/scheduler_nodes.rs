//! The scheduler nodes of ComfyUI: grids from the fields of a node.

use super::error::RunError;
use super::gits::GITS;
use super::model_table::exponentially_shifted;
use super::request::{Request, last, rounded};
use super::schedulers::{beta_of, exponential_between, karras_between};
use super::tables::{ALIGN_YOUR_STEPS, OPTIMAL_STEPS, Table};
use crate::math::normal::quantile;

/// The number that the Laplace node adds inside its logarithm, so that the ends are finite.
const LAPLACE_GUARD: f64 = 1e-5;

/// The number of timesteps that SD-Turbo was distilled on, and their distance.
const TURBO: [usize; 2] = [10, 100];

/// The numbers of tokens at the two points of LTX-Video's line of shifts, and the default number of tokens.
const LTXV_TOKENS: [f64; 3] = [1024.0, 4096.0, 4096.0];

/// The lines of FLUX.2's shift `mu` over the number of tokens at 10 and at 200 steps: slope and intercept.
const FLUX2_LINES: [[f64; 2]; 2] = [[8.738_095_24e-5, 1.898_333_33], [0.000_169_27, 0.456_666_66]];

/// The number of tokens above which FLUX.2 uses the line of 200 steps whatever the number of steps.
const FLUX2_TOKENS: f64 = 4300.0;

/// The logits of Ideogram's least and largest sigma: the ends of its log SNR, 15 and -18, times -1/2.
const IDEOGRAM_LOGITS: [f64; 2] = [-7.5, 9.0];

/// The side of the square image at which Ideogram's shift is 0.
const IDEOGRAM_SIDE: f64 = 512.0;

fn ends(request: &Request<'_>) -> Result<[f64; 2], RunError> {
    let [least, most] = ["sigma_min", "sigma_max"].map(|name| request.number(name));
    match least <= most {
        true => Ok([least, most]),
        false => Err(RunError::Number { name: "sigma_min", expected: "at most sigma_max", found: least }),
    }
}

/// `KarrasScheduler`.
pub(super) fn karras(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(karras_between(request, ends(request)?, request.number("rho")))
}

/// `ExponentialScheduler`.
pub(super) fn exponential(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(exponential_between(request, ends(request)?))
}

/// `PolyexponentialScheduler`.
pub(super) fn polyexponential(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let round = |value| request.round(value);
    let [least, most] = ends(request)?.map(f64::ln);
    let rho = request.number("rho");
    let ramp = request.precision.linspace(1.0, 0.0, request.steps).map(|part| round(part.powf(rho)));
    let log = |part: f64| round(round(part * round(most - least)) + round(least));
    Ok(ramp.map(|part| round(log(part).exp())).chain([0.0]).collect())
}

/// `LaplaceScheduler`, without a 0 at its end.
pub(super) fn laplace(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let round = |value| request.round(value);
    let [least, most] = ends(request)?;
    let [mu, beta] = ["mu", "beta"].map(|name| request.number(name));
    let sigma = |part: f64| {
        let from_middle = round(0.5 - part);
        let log = round(round(round(1.0 - round(2.0 * from_middle.abs())) + LAPLACE_GUARD).ln());
        let sign = if from_middle == 0.0 { 0.0 } else { from_middle.signum() };
        round(round(mu - round(beta * sign * log)).exp()).clamp(round(least), round(most))
    };
    Ok(request.precision.linspace(0.0, 1.0, request.steps).map(sigma).collect())
}

/// `VPScheduler`: equal times of a continuous variance-preserving process (Song et al. 2021).
pub(super) fn variance_preserving(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let round = |value| request.round(value);
    let [rise, least, end] = ["beta_d", "beta_min", "eps_s"].map(|name| request.number(name));
    let sigma = |time: f64| {
        let exponent = round(round(round(rise * round(time * time)) / 2.0) + round(least * time));
        round(round(exponent.exp_m1()).sqrt())
    };
    Ok(request.precision.linspace(1.0, end, request.steps).map(sigma).chain([0.0]).collect())
}

/// `SDTurboScheduler`.
pub(super) fn turbo(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let model = request.model()?;
    let [all, apart] = TURBO;
    let start = all.saturating_sub((all as f64 * request.number("denoise")) as usize);
    let told = (0..all).rev().map(|i| ((i + 1) * apart - 1) as f64).skip(start).take(request.steps);
    Ok(told.map(|told| model.sigma_at(told)).chain([0.0]).collect())
}

/// `BetaSamplingScheduler`.
pub(super) fn beta_sampling(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    beta_of(request, ["alpha", "beta"].map(|name| request.number(name)))
}

/// `AlignYourStepsScheduler`.
pub(super) fn align_your_steps(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    of_table(request, table(ALIGN_YOUR_STEPS, request.word("model_type")?))
}

/// `OptimalStepsScheduler`.
pub(super) fn optimal_steps(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    of_table(request, table(OPTIMAL_STEPS, request.word("model_type")?))
}

/// `GITSScheduler`: a table for each coefficient and number of steps; beyond 20 steps the last table is interpolated.
pub(super) fn gits(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let found = request.number("coeff");
    let near = |coefficient: f64| (coefficient - (found * 100.0).round_ties_even() / 100.0).abs() < 1e-9;
    let expected = "0.8 to 1.5 in steps of 0.05";
    let (_, tables) = GITS.iter().find(|(coefficient, _)| near(*coefficient)).ok_or(RunError::Number {
        name: "coeff",
        expected,
        found,
    })?;
    let index = request.steps.checked_sub(2).ok_or_else(|| request.steps_error("at least 2"))?;
    of_table(request, tables.get(index).or(tables.last()).copied().unwrap_or(&[]))
}

fn table(tables: &'static [Table], name: &str) -> &'static [f64] {
    tables.iter().find(|(known, _)| *known == name).map_or(&[], |(_, table)| table)
}

/// A table, interpolated to the number of steps, with its last sigma set to 0; `denoise` keeps the last of the steps.
fn of_table(request: &Request<'_>, table: &[f64]) -> Result<Vec<f64>, RunError> {
    let denoise = request.number("denoise");
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let kept = if denoise < 1.0 { rounded(request.steps as f64 * denoise) } else { request.steps };
    let places = request.steps + 1;
    let sigmas = if places == table.len() { table.to_vec() } else { log_interpolated(table, places) };
    let mut sigmas = last(sigmas, kept + 1);
    if let Some(end) = sigmas.last_mut() {
        *end = 0.0;
    }
    Ok(sigmas.into_iter().map(|sigma| request.round(sigma)).collect())
}

/// `places` values of a list at equal steps of its index, linear in the logarithm. Positions count from the clean end.
fn log_interpolated(table: &[f64], places: usize) -> Vec<f64> {
    let logs: Vec<f64> = table.iter().rev().map(|sigma| sigma.ln()).collect();
    let whole = logs.len().saturating_sub(1) as f64;
    let value = |i: usize| {
        let place = i as f64 / places.saturating_sub(1).max(1) as f64 * whole;
        let log = |i: f64| logs.get(i as usize).copied().unwrap_or(f64::NAN);
        let (low, high) = (log(place.floor()), log(place.ceil()));
        (low + (high - low) * place.fract()).exp()
    };
    (0..places).rev().map(value).collect()
}

/// Equal times from 1 to 0, exponentially shifted by `mu`.
fn equal_times(request: &Request<'_>, mu: f64) -> Vec<f64> {
    let precision = request.precision;
    let shifted = |time: f64| if time == 0.0 { 0.0 } else { exponentially_shifted(mu, time, precision) };
    precision.linspace(1.0, 0.0, request.steps + 1).map(shifted).collect()
}

/// `Flux2Scheduler`: equal times, with a shift that follows from the tokens of the image and the number of steps.
pub(super) fn flux2(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let tokens = (request.number("width") * request.number("height") / 256.0).round_ties_even();
    let [at_10, at_200] = FLUX2_LINES.map(|[slope, height]| slope * tokens + height);
    let slope = (at_200 - at_10) / 190.0;
    let mu = match tokens > FLUX2_TOKENS {
        true => at_200,
        false => slope * request.steps as f64 + (at_200 - 200.0 * slope),
    };
    Ok(equal_times(request, mu))
}

/// `LTXVScheduler`: equal times, with a shift that follows from the tokens of the video, then stretched to end at `terminal`.
pub(super) fn ltxv(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let round = |value| request.round(value);
    let [base, most, terminal] = ["base_shift", "max_shift", "terminal"].map(|name| request.number(name));
    let [low, high, _] = LTXV_TOKENS;
    let slope = (most - base) / (high - low);
    let mut sigmas = equal_times(request, request.number("tokens") * slope + (base - slope * low));
    if request.number("stretch") == 1.0 {
        let last = sigmas.iter().copied().rfind(|sigma| *sigma != 0.0).unwrap_or(f64::NAN);
        let scale = round(round(1.0 - last) / round(1.0 - terminal));
        for sigma in sigmas.iter_mut().filter(|sigma| **sigma != 0.0) {
            // A single step has no sigma but 1, and there is nothing to stretch.
            let stretched = round(1.0 - round(round(1.0 - *sigma) / scale));
            *sigma = if scale == 0.0 { *sigma } else { stretched };
        }
    }
    Ok(sigmas)
}

/// The default number of tokens of a video.
pub(super) const LTXV_DEFAULT_TOKENS: f64 = LTXV_TOKENS[2];

/// `Ideogram4Scheduler`: equally spaced quantiles of a logit-normal distribution, shifted by the size of the image.
pub(super) fn ideogram(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let [width, height, mu, deviation] = ["width", "height", "mu", "std"].map(|name| request.number(name));
    let mean = mu + 0.5 * (width * height / (IDEOGRAM_SIDE * IDEOGRAM_SIDE)).ln();
    let [least, most] = IDEOGRAM_LOGITS;
    let sigma = |i: usize| {
        let part = 1.0 - i as f64 / request.steps as f64;
        let logit = if i == 0 { most } else { (mean + deviation * quantile(part)).clamp(least, most) };
        request.round(1.0 / (1.0 + (-logit).exp()))
    };
    Ok((0..request.steps).map(sigma).chain([0.0]).collect())
}

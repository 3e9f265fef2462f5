//! The schedulers of ComfyUI by name, and some that other programs offer: rules that place the sigmas of a number of steps on
//! the table of a model.
//!
//! **Practice.** A list has one entry more than steps and ends in 0, unless its rule says otherwise: `ddim_uniform` can hold
//! more, `beta` fewer. [`Request::precision`] decides whether each operation is rounded to f32, as in a program that computes
//! in f32.

use super::error::RunError;
use super::model::RunModel;
use super::precision::Precision;
use super::request::Request;
use crate::math::beta_distribution::quantile;
use std::f64::consts::FRAC_2_PI;

/// The sigma at or below which `normal` and `ddim_uniform` regard the end of a model's table as clean.
const CLEAN: f64 = 1e-5;

/// The share of the noise that is gone where `linear_quadratic` turns from a line to a parabola (Polyak et al. 2024, arXiv
/// 2410.13720, appendix).
const LINEAR_QUADRATIC_THRESHOLD: f64 = 0.025;

/// The pivot of the two arcs of `bong_tangent`, as a fraction of its places.
const BONG_PIVOT: f64 = 0.6;

/// The slope of the arcs of `bong_tangent`, and the number of places at which they have it; it is inverse to that number.
const BONG_SLOPE: [f64; 2] = [0.2, 40.0];

/// The model's sigmas at equal strides, which need not be whole, from the noisiest down.
pub(super) fn simple(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let sigmas = request.model()?.sigmas();
    let stride = sigmas.len() as f64 / request.steps as f64;
    let place = |i: usize| sigmas.len().saturating_sub(1 + (i as f64 * stride) as usize);
    Ok(entries(sigmas, (0..request.steps).map(place)).chain([0.0]).collect())
}

/// Equal steps of what the network is told, without the last.
pub(super) fn sgm_uniform(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let model = request.model()?;
    let told = between_told(model, request.precision, request.steps + 1);
    Ok(told.take(request.steps).map(|told| model.sigma_at(told)).chain([0.0]).collect())
}

/// Equal steps of what the network is told, with the last. A model whose least sigma is clean gets no 0 after it, but one step
/// more.
pub(super) fn normal(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let model = request.model()?;
    let clean = model.sigma_at(model.told(model.sigma_min())) <= CLEAN;
    let told = between_told(model, request.precision, request.steps + usize::from(clean));
    Ok(told.map(|told| model.sigma_at(told)).chain((!clean).then_some(0.0)).collect())
}

fn between_told(model: &RunModel, precision: Precision, count: usize) -> impl Iterator<Item = f64> {
    precision.linspace(model.told(model.sigma_max()), model.told(model.sigma_min()), count)
}

/// Equal steps of `sigma^(1/rho)` (Karras et al. 2022, eq. 5).
pub(super) fn karras(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(karras_between(request, ends(request)?, request.number("rho")))
}

pub(super) fn karras_between(request: &Request<'_>, [least, most]: [f64; 2], rho: f64) -> Vec<f64> {
    let round = |value| request.round(value);
    let [low, high] = [least, most].map(|sigma| sigma.powf(1.0 / rho));
    let [high, span] = [round(high), round(low - high)];
    let ramp = request.precision.linspace(0.0, 1.0, request.steps);
    ramp.map(|part| round(round(high + round(part * span)).powf(rho))).chain([0.0]).collect()
}

/// Equal steps of `ln(sigma)`.
pub(super) fn exponential(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(exponential_between(request, ends(request)?))
}

pub(super) fn exponential_between(request: &Request<'_>, ends: [f64; 2]) -> Vec<f64> {
    let [least, most] = ends.map(f64::ln);
    let logs = request.precision.linspace(most, least, request.steps);
    logs.map(|log| request.round(log.exp())).chain([0.0]).collect()
}

fn ends(request: &Request<'_>) -> Result<[f64; 2], RunError> {
    let model = request.model()?;
    Ok([model.sigma_min(), model.sigma_max()])
}

/// The model's sigmas at a whole stride, from the second cleanest up: the list can hold more than `steps + 1` sigmas.
pub(super) fn ddim_uniform(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let sigmas = request.model()?.sigmas();
    let second = sigmas.get(1).ok_or(RunError::Missing { expected: "a model of at least two sigmas" })?;
    let clean = *second <= CLEAN;
    let stride = (sigmas.len() / (request.steps + usize::from(clean))).max(1);
    let rising = sigmas.iter().copied().skip(1).step_by(stride);
    let mut list: Vec<f64> = (!clean).then_some(0.0).into_iter().chain(rising).collect();
    list.reverse();
    Ok(list)
}

/// The model's sigmas at quantiles of a beta distribution (Lee et al. 2024, arXiv 2407.12173), without
/// repeated neighbours.
pub(super) fn beta(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    beta_of(request, ["a", "b"].map(|name| request.number(name)))
}

/// `beta` with the shapes 0.5 and 0.7, as RES4LYF registers it.
pub(super) fn beta57(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    beta_of(request, [0.5, 0.7])
}

pub(super) fn beta_of(request: &Request<'_>, [a, b]: [f64; 2]) -> Result<Vec<f64>, RunError> {
    let sigmas = request.model()?.sigmas();
    let last = sigmas.len().saturating_sub(1) as f64;
    let part = |i: usize| 1.0 - i as f64 * (1.0 / request.steps as f64);
    let share = |part: f64| match part {
        // SciPy's median of a symmetric distribution lies one bit above 1/2, which decides between two places.
        0.5 if a == b && a != 1.0 => 0.5_f64.next_up(),
        _ => quantile(part, a, b),
    };
    let mut places: Vec<usize> =
        (0..request.steps).map(|i| (share(part(i)) * last).round_ties_even() as usize).collect();
    places.dedup();
    Ok(entries(sigmas, places.into_iter()).chain([0.0]).collect())
}

/// A line over the first half of the steps, to a little below the noisiest sigma, then a parabola (Polyak et al. 2024, Movie
/// Gen; Mochi).
pub(super) fn linear_quadratic(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let most = request.model()?.sigma_max();
    let (steps, threshold) = (request.steps as f64, LINEAR_QUADRATIC_THRESHOLD);
    let linear = (request.steps / 2) as f64;
    let parabolic = steps - linear;
    let rest = linear - threshold * steps;
    let square = rest / (linear * parabolic * parabolic);
    let slope = threshold / linear - 2.0 * rest / (parabolic * parabolic);
    let done = |i: usize| match i as f64 {
        0.0 => 0.0,
        i if i < linear => i * threshold / linear,
        i => square * i * i + slope * i + square * linear * linear,
    };
    let left = (0..request.steps).map(|i| request.round(1.0 - done(i)));
    Ok(left.map(|left| request.round(left * most)).chain([0.0]).collect())
}

/// Equal steps of `atan(sigma)` (Sabour et al. 2024, arXiv 2404.14507, section 3).
pub(super) fn kl_optimal(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let model = request.model()?;
    if request.steps < 2 {
        return Err(request.steps_error("at least 2"));
    }
    let round = |value| request.round(value);
    let [least, most] = ends(request)?.map(|sigma| round(sigma.atan()));
    let last = (request.steps - 1) as f64;
    let sigma = |i: usize| match i {
        // The tangent of pi/4 falls short of 1 by the last bit in f64, and a flow starts at 1.
        0 if model.is_flow() => model.sigma_max(),
        _ => {
            let part = round(i as f64 / last);
            round(round(round(part * least) + round(round(1.0 - part) * most)).tan())
        }
    };
    Ok((0..request.steps).map(sigma).chain([0.0]).collect())
}

/// Two arctangents, from 1 to 1/2 and from 1/2 to 0, whatever the model (RES4LYF): for flows.
pub(super) fn bong_tangent(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    if request.steps < 2 {
        return Err(request.steps_error("at least 2"));
    }
    let places = request.steps + 2;
    let middle = ((places as f64 * BONG_PIVOT + places as f64 * BONG_PIVOT) / 2.0) as usize;
    let pivot = (places as f64 * BONG_PIVOT).trunc();
    let [slope, at] = BONG_SLOPE;
    let slope = slope / (places as f64 / at);
    let first = arc(middle, slope, pivot, [1.0, 0.5]).take(middle.saturating_sub(1));
    let second = arc(places - middle, slope, pivot - middle as f64, [0.5, 0.0]);
    Ok(first.chain(second).map(|sigma| request.round(sigma)).collect())
}

/// The values of an arctangent around its pivot at `count` places, scaled to run from `start` to `end`.
fn arc(count: usize, slope: f64, pivot: f64, [start, end]: [f64; 2]) -> impl Iterator<Item = f64> {
    let height = move |place: f64| (FRAC_2_PI * (-slope * (place - pivot)).atan() + 1.0) / 2.0;
    let [most, least] = [height(0.0), height(count as f64 - 1.0)];
    (0..count).map(move |place| (height(place as f64) - least) * (1.0 / (most - least)) * (start - end) + end)
}

/// The model's sigmas along `3u^2 - 2u^3`: few steps at both ends (stable-diffusion.cpp).
pub(super) fn smoothstep(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let sigmas = request.model()?.sigmas();
    let last = sigmas.len().saturating_sub(1) as f64;
    let place = |i: usize| {
        let left = 1.0 - i as f64 / request.steps as f64;
        (left * left * (3.0 - 2.0 * left) * last).round() as usize
    };
    Ok(entries(sigmas, (0..request.steps).map(place)).chain([0.0]).collect())
}

/// The entries of a list at these places.
fn entries(sigmas: &[f64], places: impl Iterator<Item = usize>) -> impl Iterator<Item = f64> {
    places.filter_map(|place| sigmas.get(place).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arcs_end_where_they_should() {
        let arc: Vec<f64> = arc(7, 0.3, 4.0, [1.0, 0.5]).collect();
        assert_eq!((arc[0], arc[6]), (1.0, 0.5));
        let slope = (arc[3] - arc[4]) / (arc[0] - arc[6]);
        assert!(slope > 1.0 / 6.0, "steepest at the pivot: {slope}");
    }
}

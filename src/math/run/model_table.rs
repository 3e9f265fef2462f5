//! The tables of sigmas that ComfyUI makes from a model's settings, and their logarithms.
//!
//! **Practice.** ComfyUI computes tables from betas in f64 and rounds them once, and so does this file; tables of flows and of
//! continuous models are computed in the precision of the run. Sigmas that fall are refused: a grid on such a table is
//! meaningless.

use super::base::{BETA_SCHEDULE, Base};
use super::error::RunError;
use super::precision::Precision;
use super::value::RunValues;
use crate::math::catalog::entry::Values;
use std::f64::consts::PI;

/// The `abar` that ComfyUI gives the last timestep at zero terminal SNR, instead of 0.
const ZERO_SNR_ABAR: f64 = 4.897_345_189_085_343_5e-8;

/// The offset of the cosine schedules (Nichol & Dhariwal 2021, section 3.2).
pub(super) const COSINE_OFFSET: f64 = 8e-3;

/// The largest beta of the cosine schedules (Nichol & Dhariwal 2021, section 3.2).
const MAX_BETA: f64 = 0.999;

/// The number of sigmas of a continuous model on which its grids are placed.
const CONTINUOUS_SIGMAS: usize = 1000;

/// The number of sigmas of Stable Cascade.
const CASCADE_SIGMAS: usize = 10_000;

/// Rising sigmas, and their logarithms, which are empty for flows: they need none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SigmaTable {
    pub(super) sigmas: Vec<f64>,
    pub(super) logs: Vec<f64>,
}

impl SigmaTable {
    /// The table of a base with its settings.
    pub(super) fn new(
        base: Base,
        name: &'static str,
        values: &Values,
        given: &RunValues,
        precision: Precision,
    ) -> Result<Self, RunError> {
        let number = |name| values.number(name);
        let count = values.count("timesteps");
        let round = |value| precision.round(value);
        let logs_of = |sigmas: &[f64]| -> Vec<f64> { sigmas.iter().map(|sigma| round(sigma.ln())).collect() };
        let (sigmas, logs) = match base {
            Base::Discrete | Base::DiscreteEdm => {
                let exact = discrete(values, BETA_SCHEDULE.of(given)?);
                (exact.iter().copied().map(round).collect(), logs_of(&exact))
            }
            Base::Distilled => {
                let all = discrete(values, BETA_SCHEDULE.of(given)?);
                let skip = skip(values);
                let kept = values.count("original_timesteps");
                let place = |j: usize| all.len().checked_sub(1 + (kept - 1 - j) * skip).and_then(|i| all.get(i));
                let sigmas: Vec<f64> = (0..kept).filter_map(place).map(|sigma| round(*sigma)).collect();
                let logs = logs_of(&sigmas);
                (sigmas, logs)
            }
            Base::Cascade => {
                let time = |i: usize| (i + 1) as f64 / CASCADE_SIGMAS as f64;
                let sigmas: Vec<f64> =
                    (0..CASCADE_SIGMAS).map(|i| round(cascade_sigma(time(i), number("shift")))).collect();
                let logs = logs_of(&sigmas);
                (sigmas, logs)
            }
            Base::Flow => {
                let [shift, multiplier] = ["shift", "multiplier"].map(number);
                let time = |i: usize| round(round(round((i + 1) as f64 / count as f64) * multiplier) / multiplier);
                ((0..count).map(|i| shifted(shift, time(i), precision)).collect(), Vec::new())
            }
            Base::Flux => {
                let time = |i: usize| round((i + 1) as f64 / count as f64);
                let mu = number("shift");
                ((0..count).map(|i| exponentially_shifted(mu, time(i), precision)).collect(), Vec::new())
            }
            Base::ContinuousEdm | Base::ContinuousV | Base::Cosmos => {
                let [least, most] = ["sigma_min", "sigma_max"].map(|name| number(name).ln());
                let sigmas: Vec<f64> =
                    precision.linspace(least, most, CONTINUOUS_SIGMAS).map(|log| round(log.exp())).collect();
                let logs = logs_of(&sigmas);
                (sigmas, logs)
            }
        };
        match fault(&sigmas) {
            Some((index, found)) => Err(RunError::Sigmas { base: name, index, found }),
            None => Ok(Self { sigmas, logs }),
        }
    }

    /// The index of the nearest `ln(sigma)`; of two at the same distance, the first.
    pub(super) fn nearest(&self, log: f64) -> usize {
        let above = self.logs.partition_point(|known| *known < log);
        let apart = |i: usize| self.logs.get(i).map_or(f64::INFINITY, |known| (log - known).abs());
        match above.checked_sub(1) {
            Some(below) if apart(below) <= apart(above) => below,
            _ => above.min(self.logs.len().saturating_sub(1)),
        }
    }

    /// The sigma at a place between the entries, linear in `ln(sigma)`.
    pub(super) fn at(&self, place: f64, precision: Precision) -> f64 {
        let last = self.logs.len().saturating_sub(1);
        let place = precision.round(place).clamp(0.0, last as f64);
        let weight = place.fract();
        let log = |i: f64| self.logs.get(i as usize).copied().unwrap_or(f64::NAN);
        let round = |value| precision.round(value);
        let low = round(round(1.0 - weight) * log(place.floor()));
        round(round(low + round(weight * log(place.ceil()))).exp())
    }
}

/// The stride of the timesteps that a distilled network knows; 0 if there are fewer timesteps than it asks for.
pub(super) fn skip(values: &Values) -> usize {
    values.count("timesteps") / values.count("original_timesteps").max(1)
}

/// The time of a flow, shifted: `shift*t/(1 + (shift - 1)*t)`.
pub(super) fn shifted(shift: f64, time: f64, precision: Precision) -> f64 {
    let round = |value| precision.round(value);
    if shift == 1.0 {
        return round(time);
    }
    let below = round(1.0 + round(round(shift - 1.0) * time));
    round(round(round(shift) * time) / below)
}

/// The time of a flow, shifted: `exp(mu)/(exp(mu) + 1/t - 1)`.
pub(super) fn exponentially_shifted(mu: f64, time: f64, precision: Precision) -> f64 {
    let round = |value| precision.round(value);
    let scale = round(mu.exp());
    precision.over(scale, round(scale + round(round(1.0 / time) - 1.0)))
}

/// The sigma of Stable Cascade at a time, 1 the noisiest.
pub(super) fn cascade_sigma(time: f64, shift: f64) -> f64 {
    let abar = |time: f64| ((time + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * PI * 0.5).cos().powi(2);
    let abar = abar(time) / abar(0.0);
    // The shift adds -2*ln(shift) to the log SNR.
    let odds = abar / (1.0 - abar) / (shift * shift);
    let abar = if shift == 1.0 { abar } else { odds / (1.0 + odds) };
    let abar = abar.clamp(1e-4, 0.9999);
    ((1.0 - abar) / abar).sqrt()
}

/// The sigmas of a discrete model, from its betas, in f64.
fn discrete(values: &Values, schedule: &str) -> Vec<f64> {
    let mut abar = 1.0;
    let abars: Vec<f64> = betas(values, schedule)
        .into_iter()
        .map(|beta| {
            abar *= 1.0 - beta;
            abar
        })
        .collect();
    let sigmas = abars.iter().map(|abar| ((1.0 - abar) / abar).sqrt());
    if values.number("zsnr") != 1.0 {
        return sigmas.collect();
    }
    // The roots of abar are shifted so that the last is 0, and scaled so that the first stays as it was.
    let roots: Vec<f64> = sigmas.map(|sigma| (1.0 / (sigma * sigma + 1.0)).sqrt()).collect();
    let [first, last] = [roots.first(), roots.last()].map(|root| root.copied().unwrap_or(f64::NAN));
    let count = roots.len();
    let abar = |(i, root): (usize, f64)| match i + 1 == count {
        true => ZERO_SNR_ABAR,
        false => ((root - last) * (first / (first - last))).powi(2),
    };
    roots.into_iter().enumerate().map(abar).map(|abar| ((1.0 - abar) / abar).sqrt()).collect()
}

/// The betas of a schedule by ComfyUI's name for it: its `linear` is linear in the root of beta.
fn betas(values: &Values, schedule: &str) -> Vec<f64> {
    let [start, end] = ["linear_start", "linear_end"].map(|name| values.number(name));
    let count = values.count("timesteps");
    let between = |start, end| Precision::Double.linspace(start, end, count);
    match schedule {
        "cosine" | "squaredcos_cap_v2" => {
            let abar =
                |i: usize| ((i as f64 / count as f64 + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * PI / 2.0).cos().powi(2);
            (0..count).map(|i| (1.0 - abar(i + 1) / abar(i)).clamp(0.0, MAX_BETA)).collect()
        }
        "sqrt_linear" => between(start, end).collect(),
        "sqrt" => between(start, end).map(f64::sqrt).collect(),
        _ => between(start.sqrt(), end.sqrt()).map(|root| root * root).collect(),
    }
}

/// The index and value of the first sigma that is not finite, not above 0, or below the one before it.
fn fault(sigmas: &[f64]) -> Option<(usize, f64)> {
    let mut before = 0.0;
    for (index, &sigma) in sigmas.iter().enumerate() {
        if !(sigma >= before && sigma > 0.0 && sigma < f64::INFINITY) {
            return Some((index, sigma));
        }
        before = sigma;
    }
    None
}

//! DPM-Solver that chooses its own steps (`dpm_adaptive`; Lu et al. 2022, arXiv 2206.00927, appendix C; k-diffusion).
//!
//! **Theory.** A step in `t = -ln(sigma)` is taken with a solver of lower and one of higher order from the same answers. Their
//! difference, divided by the tolerance of each element, is the error. From it a controller computes the factor of the next step,
//! and accepts the step if that factor is large enough.

use super::error::RunError;
use super::solvers::ancestral::further_down;
use super::solvers::course::last_above_zero;
use super::solvers::sampler::RunSampler;
use super::value::{RunValues, numbers};
use crate::math::catalog::entry::Entry;
use crate::table::UNITS;

/// The distance from the end, in `-ln(sigma)`, at which the loop stops.
const STOPS: f64 = 1e-5;

/// Added to an error before it is inverted.
const LEAST_ERROR: f64 = 1e-8;

/// The largest number of attempts: far more than any reasonable tolerance needs.
pub(crate) const MOST_ATTEMPTS: usize = 10_000;

/// The settings of the sampler.
#[derive(Clone, Debug)]
pub(crate) struct Adaptive {
    /// The order, 2 or 3, which is also the number of calls in an attempt.
    pub(crate) order: usize,
    rtol: f64,
    atol: f64,
    h_init: f64,
    /// The exponents of the controller, for the inverse errors of this attempt and of the last two accepted ones.
    powers: [f64; 3],
    safety: f64,
    pub(crate) eta: f64,
    pub(crate) s_noise: f64,
    /// The first `-ln(sigma)`.
    pub(crate) first: f64,
    /// The last `-ln(sigma)`, that of the last sigma above 0.
    pub(crate) last: f64,
    /// True if every step is a whole number of units of the table.
    pub(crate) on_table: bool,
}

/// The coefficients of a step in `-ln(sigma)`: each result is the sample plus a weighted sum of `d_k`, where `d_k` is the sample of
/// the step minus the clean sample of stage `k`.
///
/// They depend on the step only: the difference of a sample and its clean sample is noise times sigma, and the sigma of a stage at a
/// part `r` of a step `h` is the first one times `exp(-r*h)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Stages {
    /// The samples of the second and the third stage.
    pub inner: [[f64; 3]; 2],
    /// The result of lower order.
    pub low: [f64; 3],
    /// The result of higher order.
    pub high: [f64; 3],
}

impl Stages {
    /// The coefficients of order 2 (with a stage in the middle) or 3 (with stages at thirds).
    pub fn of(order: usize, step: f64) -> Self {
        if step == 0.0 {
            return Self::default();
        }
        let grown = |part: f64| (part * step).exp_m1();
        let decay = |part: f64| (-part * step).exp();
        let slanted = |part: f64| grown(part) / (part * step) - 1.0;
        let sum = |terms: &[(f64, [f64; 3])]| -> [f64; 3] {
            std::array::from_fn(|i| terms.iter().map(|(c, vector)| c * vector[i]).sum())
        };
        // The noise of a stage at a part of the step, times the first sigma, given the coefficients of its sample.
        let noise = |stage: usize, part: f64, sample: [f64; 3]| {
            let mut unit = [0.0; 3];
            unit[stage] = 1.0;
            sum(&[(1.0 / decay(part), sample), (1.0 / decay(part), unit)])
        };
        let e0 = [1.0, 0.0, 0.0];
        let euler = |part: f64| (-decay(part) * grown(part), e0);
        let first = 1.0 / order as f64;
        let second_sample = sum(&[euler(first)]);
        let change = sum(&[(1.0, noise(1, first, second_sample)), (-1.0, e0)]);
        let second_order = sum(&[euler(1.0), (-decay(1.0) / (2.0 * first) * grown(1.0), change)]);
        if order == 2 {
            return Self { inner: [second_sample, [0.0; 3]], low: sum(&[euler(1.0)]), high: second_order };
        }
        let second = 2.0 / 3.0;
        let third_sample = sum(&[euler(second), (-decay(second) * (second / first) * slanted(second), change)]);
        let change = sum(&[(1.0, noise(2, second, third_sample)), (-1.0, e0)]);
        let high = sum(&[euler(1.0), (-decay(1.0) / second * slanted(1.0), change)]);
        Self { inner: [second_sample, third_sample], low: second_order, high }
    }
}

/// The settings of the controller, which judges a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    /// The relative tolerance.
    pub rtol: f64,
    /// The absolute tolerance.
    pub atol: f64,
    /// The exponents of the inverse errors of this attempt and of the last two accepted ones.
    pub powers: [f64; 3],
    /// The least factor at which a step is accepted.
    pub safety: f64,
    /// The first step, in units of the table.
    pub first_step: f64,
}

/// An attempt at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    /// The root mean square, over the whole batch, of the difference between both orders divided by the tolerance.
    pub error: f64,
    /// The step in `-ln(sigma)` that the controller proposes next.
    pub next_step: f64,
    /// True if the step was accepted.
    pub is_accepted: bool,
    /// The sigma of the sample after the attempt; unchanged by a rejected one.
    pub sigma: f64,
}

/// A running loop of the sampler: where it is, and its attempts so far.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    adaptive: &'a Adaptive,
    /// Where it is, in `-ln(sigma)`.
    t: f64,
    /// The step that is attempted next.
    h: f64,
    inverse_errors: Option<[f64; 3]>,
    pub(super) x: Vec<f64>,
    /// The result of lower order of the last accepted step.
    low: Vec<f64>,
    pub(super) attempts: Vec<Attempt>,
}

/// A sample plus a weighted sum of its differences from clean samples.
fn moved(x: &[f64], coefficients: &[f64; 3], clean: &[Vec<f64>]) -> Vec<f64> {
    let along = |i: usize, x: f64| -> f64 {
        let terms =
            coefficients.iter().zip(clean).map(|(c, clean)| c * (x - clean.get(i).copied().unwrap_or(f64::NAN)));
        terms.sum()
    };
    x.iter().enumerate().map(|(i, x)| x + along(i, *x)).collect()
}

impl Adaptive {
    pub(super) fn new(
        sampler: &'static Entry<RunSampler>,
        sigmas: &[f64],
        options: &RunValues,
    ) -> Result<Self, RunError> {
        let values = numbers(sampler, sampler.make.choices, options)?;
        let [p, i, d] = ["pcoeff", "icoeff", "dcoeff"].map(|name| values.number(name));
        let (order, eta) = (values.count("order"), values.number("eta"));
        let by = if eta == 0.0 { order as f64 } else { 1.5 };
        let [first, _, ..] = sigmas else { return Err(RunError::Missing { expected: "at least 1 step" }) };
        let end = last_above_zero(sigmas);
        Ok(Self {
            order,
            rtol: values.number("rtol"),
            atol: values.number("atol"),
            h_init: values.number("h_init"),
            powers: [(p + i + d) / by, -(p + 2.0 * d) / by, d / by],
            safety: values.number("accept_safety"),
            eta,
            s_noise: values.number("s_noise"),
            first: -first.ln(),
            last: -end.ln(),
            on_table: false,
        })
    }

    /// The sigma at which the steps end.
    pub(super) fn last_sigma(&self) -> f64 {
        (-self.last).exp()
    }

    /// The unit of the table, in `-ln(sigma)`.
    pub(crate) fn unit(&self) -> f64 {
        (self.last - self.first) / f64::from(UNITS)
    }

    /// The settings of the controller, with the first step in units of the table.
    pub(crate) fn control(&self) -> Control {
        let Self { rtol, atol, powers, safety, h_init, .. } = *self;
        Control { rtol, atol, powers, safety, first_step: h_init / self.unit() }
    }

    /// The number of units that the solver goes down in a step of `units` units with noise: further than the step, because the noise
    /// leads back up.
    pub(crate) fn further_units(&self, units: u32) -> u32 {
        let end = f64::from(units) * self.unit();
        let [to, _] = further_down(0.0, end, f64::INFINITY, self.eta);
        let found = (to / self.unit()).round_ties_even();
        if found < f64::from(UNITS) { (found as u32).max(units) } else { UNITS }
    }

    /// Starts a loop at a sample.
    pub(super) fn walk(&self, x: Vec<f64>) -> Walk<'_> {
        let low = x.clone();
        Walk { adaptive: self, t: self.first, h: self.h_init, inverse_errors: None, x, low, attempts: Vec::new() }
    }
}

/// A step to attempt, in `-ln(sigma)`.
struct Reach {
    /// The end of the step, with its noise.
    end: f64,
    /// The place to which the solver goes before the noise is added.
    to: f64,
    /// The standard deviation of the noise.
    up: f64,
    /// True if no smaller step exists.
    is_least: bool,
}

impl Walk<'_> {
    fn is_before_end(&self) -> bool {
        self.t < self.adaptive.last - STOPS
    }

    /// True if its noise has a factor other than 0.
    pub(super) fn is_noisy(&self) -> bool {
        self.adaptive.eta > 0.0 && self.adaptive.s_noise != 0.0
    }

    /// True if all attempts are used up before the end.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_before_end() && self.attempts.len() >= MOST_ATTEMPTS
    }

    /// Makes an attempt and returns true, or returns false if the walk has ended. An attempt that returns an error has changed nothing.
    /// `ask` returns the clean sample that is predicted at a sample and a sigma, `noise` the next noise.
    pub(super) fn attempt<E>(
        &mut self,
        mut ask: impl FnMut(&[f64], f64) -> Result<Vec<f64>, E>,
        noise: impl FnOnce() -> Result<Vec<f64>, E>,
    ) -> Result<bool, E> {
        let Adaptive { order, .. } = *self.adaptive;
        if !self.is_before_end() || self.attempts.len() >= MOST_ATTEMPTS {
            return Ok(false);
        }
        let Reach { end, to, up, is_least } = self.reach();
        let (t, h) = (self.t, to - self.t);
        let sigma = |part: f64| (-(t + part * h)).exp();
        let stages = Stages::of(order, h);
        let x = &self.x[..];
        let mut clean = vec![ask(x, sigma(0.0))?];
        for (k, coefficients) in (1..order).zip(&stages.inner) {
            clean.push(ask(&moved(x, coefficients, &clean), sigma(k as f64 / order as f64))?);
        }
        let [low, high] = [stages.low, stages.high].map(|coefficients| moved(x, &coefficients, &clean));
        let error = self.error(&low, &high);
        let z = noise()?;
        let is_accepted = self.propose(error, is_least);
        if is_accepted {
            self.low = low;
            let scale = up * self.adaptive.s_noise;
            let noisy = |(i, x): (usize, f64)| x + scale * z.get(i).copied().unwrap_or(f64::NAN);
            self.x = if scale == 0.0 { high } else { high.into_iter().enumerate().map(noisy).collect() };
            self.t = end;
        }
        self.attempts.push(Attempt { error, next_step: self.h, is_accepted, sigma: (-self.t).exp() });
        Ok(true)
    }

    /// The root mean square of the difference of both orders, divided by the tolerance of each element.
    fn error(&self, low: &[f64], high: &[f64]) -> f64 {
        let Adaptive { rtol, atol, .. } = self.adaptive;
        let each = low.iter().zip(high).zip(&self.low).map(|((low, high), before)| {
            let tolerance = atol.max(rtol * low.abs().max(before.abs()));
            ((low - high) / tolerance).powi(2)
        });
        (each.sum::<f64>() / low.len().max(1) as f64).sqrt()
    }

    /// The next step to attempt.
    fn reach(&self) -> Reach {
        let Adaptive { eta, last, first, on_table, .. } = *self.adaptive;
        if !on_table {
            let end = last.min(self.t + self.h);
            let [to, up] = further_down(self.t, end, last, eta);
            return Reach { end, to, up, is_least: false };
        }
        let unit = self.adaptive.unit();
        let at = |place: u32| first + f64::from(place) * unit;
        let place = ((self.t - first) / unit).round() as u32;
        let remaining = UNITS - place.min(UNITS - 1);
        let units = ((self.h / unit).round_ties_even() as u32).clamp(1, remaining);
        let further = if eta == 0.0 { units } else { self.adaptive.further_units(units).min(remaining) };
        let (end, to) = (at(place + units), at(place + further));
        let up = (-end).exp() * (-(-2.0 * (to - end)).exp_m1()).sqrt();
        Reach { end, to, up, is_least: units == 1 }
    }

    /// Sets the length of the next step, and returns true if this one is accepted: by the controller, or because there is no smaller
    /// one.
    fn propose(&mut self, error: f64, is_least: bool) -> bool {
        let inverse = 1.0 / (error + LEAST_ERROR);
        let [_, e1, e2] = self.inverse_errors.unwrap_or([inverse; 3]);
        let [b0, b1, b2] = self.adaptive.powers;
        let factor = 1.0 + (inverse.powf(b0) * e1.powf(b1) * e2.powf(b2) - 1.0).atan();
        let is_accepted = factor >= self.adaptive.safety || is_least;
        self.inverse_errors = Some(if is_accepted { [inverse, inverse, e1] } else { [inverse, e1, e2] });
        self.h *= factor;
        if self.adaptive.on_table {
            self.h = self.h.max(self.adaptive.unit());
        }
        is_accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_tighter_tolerance_takes_more_steps_and_ends_nearer() {
        // Data of mean 0.7 and deviation 0.5: the clean sample is known, and so is the solution.
        let (mean, deviation) = (0.7, 0.5f64);
        let exact = |sigma: f64| sigma.hypot(deviation);
        let mut found = Vec::new();
        for rtol in [0.05, 1e-5] {
            let sampler = RunSampler::CATALOGUE.find("dpm_adaptive").unwrap();
            let options = [("rtol".to_owned(), rtol.into()), ("atol".to_owned(), (rtol / 10.0).into())];
            let adaptive = Adaptive::new(sampler, &[14.6, 0.03, 0.0], &options).unwrap();
            let start = mean + exact(14.6) * 1.3;
            let mut walk = adaptive.walk(vec![start]);
            let ask = |x: &[f64], sigma: f64| -> Result<Vec<f64>, Infallible> {
                let share = deviation.powi(2) / (deviation.powi(2) + sigma * sigma);
                Ok(vec![mean + share * (x[0] - mean)])
            };
            while walk.attempt(ask, || Ok(vec![0.0])).unwrap() {}
            found.push((walk.attempts.len(), (walk.x[0] - mean - exact(0.03) * 1.3).abs()));
        }
        let [(few, rough), (many, near)] = found[..] else { panic!("two runs") };
        assert!(many > 2 * few && near < 1e-4 && near < rough, "{found:?}");
    }
}

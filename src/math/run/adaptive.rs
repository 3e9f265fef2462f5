//! DPM-Solver that chooses its own steps (`dpm_adaptive`; Lu et al. 2022, arXiv 2206.00927, appendix C; k-diffusion).
//!
//! **Theory.** A step in `t = -ln(sigma)` is taken with a solver of lower and one of higher order from the same answers. Their
//! difference, by the tolerance of each element, is the error; a controller makes of it the factor of the next step, and accepts
//! the step if that factor is large enough.

use super::error::RunError;
use super::solvers::ancestral::further_down;
use super::solvers::sampler::RunSampler;
use super::value::{RunValues, numbers};
use crate::math::catalog::entry::Entry;

/// The distance from the end, in `-ln(sigma)`, at which it stops.
const STOPS: f64 = 1e-5;

/// Added to an error before it is inverted.
const LEAST_ERROR: f64 = 1e-8;

/// The most attempts: far more than any tolerance that ends in reasonable time needs.
pub(super) const MOST_ATTEMPTS: usize = 10_000;

/// The numbers of the sampler.
#[derive(Clone, Debug)]
pub(super) struct Adaptive {
    pub(super) order: usize,
    rtol: f64,
    atol: f64,
    h_init: f64,
    powers: [f64; 3],
    safety: f64,
    eta: f64,
    s_noise: f64,
    pub(super) first: f64,
    pub(super) last: f64,
}

/// An attempt at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    /// The root mean square over the whole batch of the difference by the tolerance.
    pub error: f64,
    /// The step in `-ln(sigma)` that the controller proposes next.
    pub next_step: f64,
    /// True if the step was taken.
    pub is_accepted: bool,
    /// The sigma reached.
    pub sigma: f64,
}

/// A loop of the sampler as it goes: what it asks for, and what it was answered.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    adaptive: &'a Adaptive,
    t: f64,
    h: f64,
    inverse_errors: Option<[f64; 3]>,
    pub(super) x: Vec<f64>,
    low: Vec<f64>,
    pub(super) attempts: Vec<Attempt>,
}

/// A sum of vectors with factors.
fn sum(terms: &[(f64, &[f64])]) -> Vec<f64> {
    let count = terms.first().map_or(0, |(_, x)| x.len());
    let at = |i: usize| terms.iter().map(|(c, x)| c * x.get(i).copied().unwrap_or(f64::NAN)).sum();
    (0..count).map(at).collect()
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
        let (first, end) = match sigmas {
            [first, .., before, last] => (*first, if *last == 0.0 { *before } else { *last }),
            [first, last] => (*first, if *last == 0.0 { *first } else { *last }),
            _ => return Err(RunError::Missing { expected: "at least 1 step" }),
        };
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
        })
    }

    /// Begins with a sample.
    pub(super) fn walk(&self, x: Vec<f64>) -> Walk<'_> {
        let low = x.clone();
        Walk { adaptive: self, t: self.first, h: self.h_init, inverse_errors: None, x, low, attempts: Vec::new() }
    }
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

    /// Makes an attempt, or returns false where the walk has ended. One that fails has changed nothing. `ask` gives the clean sample
    /// of a sample at a sigma, `noise` the next noise.
    pub(super) fn attempt<E>(
        &mut self,
        mut ask: impl FnMut(&[f64], f64) -> Result<Vec<f64>, E>,
        noise: impl FnOnce() -> Result<Vec<f64>, E>,
    ) -> Result<bool, E> {
        let Adaptive { order, eta, last, .. } = *self.adaptive;
        if !self.is_before_end() || self.attempts.len() >= MOST_ATTEMPTS {
            return Ok(false);
        }
        let end = last.min(self.t + self.h);
        let [to, up] = further_down(self.t, end, last, eta);
        let (t, h) = (self.t, to - self.t);
        let sigma = |part: f64| (-(t + part * h)).exp();
        let mut epsilon = |x: &[f64], part: f64| -> Result<Vec<f64>, E> {
            let clean = ask(x, sigma(part))?;
            let inverse = 1.0 / sigma(part);
            Ok(sum(&[(inverse, x), (-inverse, &clean)]))
        };
        let x = &self.x[..];
        let grown = |part: f64| (part * h).exp_m1();
        let e0 = epsilon(x, 0.0)?;
        let euler = |part: f64| sum(&[(1.0, x), (-sigma(part) * grown(part), &e0)]);
        let first = if order == 2 { 0.5 } else { 1.0 / 3.0 };
        let e1 = epsilon(&euler(first), first)?;
        let change = sum(&[(1.0, &e1), (-1.0, &e0)]);
        let second_order = sum(&[(1.0, &euler(1.0)), (-sigma(1.0) / (2.0 * first) * grown(1.0), &change)]);
        let (low, high) = if order == 2 {
            (euler(1.0), second_order)
        } else {
            let second = 2.0 / 3.0;
            let slanted = |part: f64| grown(part) / (part * h) - 1.0;
            let middle = sum(&[(1.0, &euler(second)), (-sigma(second) * (second / first) * slanted(second), &change)]);
            let e2 = epsilon(&middle, second)?;
            let change = sum(&[(1.0, &e2), (-1.0, &e0)]);
            let high = sum(&[(1.0, &euler(1.0)), (-sigma(1.0) / second * slanted(1.0), &change)]);
            (second_order, high)
        };
        let error = self.error(&low, &high);
        let z = noise()?;
        let is_accepted = self.propose(error);
        if is_accepted {
            self.low = low;
            let scale = up * self.adaptive.s_noise;
            self.x = if scale == 0.0 { high } else { sum(&[(1.0, &high), (scale, &z)]) };
            self.t = end;
        }
        self.attempts.push(Attempt { error, next_step: self.h, is_accepted, sigma: (-self.t).exp() });
        Ok(true)
    }

    /// The root mean square of the difference by the tolerance of each element.
    fn error(&self, low: &[f64], high: &[f64]) -> f64 {
        let Adaptive { rtol, atol, .. } = self.adaptive;
        let each = low.iter().zip(high).zip(&self.low).map(|((low, high), before)| {
            let tolerance = atol.max(rtol * low.abs().max(before.abs()));
            ((low - high) / tolerance).powi(2)
        });
        (each.sum::<f64>() / low.len().max(1) as f64).sqrt()
    }

    /// Sets the next step, and returns true if this one is accepted.
    fn propose(&mut self, error: f64) -> bool {
        let inverse = 1.0 / (error + LEAST_ERROR);
        let [_, e1, e2] = self.inverse_errors.unwrap_or([inverse; 3]);
        let [b0, b1, b2] = self.adaptive.powers;
        let factor = 1.0 + (inverse.powf(b0) * e1.powf(b1) * e2.powf(b2) - 1.0).atan();
        let is_accepted = factor >= self.adaptive.safety;
        self.inverse_errors = Some(if is_accepted { [inverse, inverse, e1] } else { [inverse, e1, e2] });
        self.h *= factor;
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

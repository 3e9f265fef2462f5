//! Multistep solvers in sigma that extrapolate the slope `d = (x - x0)/sigma` of earlier calls.

use super::course::{Course, euler, slope};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// A function that gives the weights of the last slopes, newest first, from the index of the step and the number of slopes.
type Weights = fn(&Course<'_>, usize, usize) -> Vec<f64>;

/// A solver that steps by a weighted sum of the last slopes; the step to the clean sample is Euler's.
fn by_slopes(course: &mut Course<'_>, order: usize, weights: Weights) -> Result<Linear, SamplerError> {
    let mut x = course.start();
    let mut slopes: Vec<Linear> = Vec::new();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let d = course.remember(&slope(&now.x, &now.d, from))?;
        slopes.insert(0, d);
        slopes.truncate(order);
        if to == 0.0 {
            x = euler(&now.x, &now.d, from, to);
            continue;
        }
        x = now.x;
        for (d, weight) in slopes.iter().zip(weights(course, i, slopes.len())) {
            x = x + d * weight;
        }
    }
    Ok(x)
}

/// The linear multistep method: `lms`.
pub fn lms(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    integrated(course, "order")
}

/// Integrates the polynomial in sigma through the last slopes; an option gives their number.
pub fn integrated(course: &mut Course<'_>, option: &str) -> Result<Linear, SamplerError> {
    let order = course.count(option);
    by_slopes(course, order, |course, i, count| {
        let (from, to) = course.ends(i);
        let nodes: Vec<f64> = (0..count).map(|j| (course.ends(i - j).0 - from) / (to - from)).collect();
        let integrals: Vec<f64> = (0..count).map(|power| 1.0 / (power + 1) as f64).collect();
        super::polynomial::weights(&nodes, &integrals).into_iter().map(|weight| weight * (to - from)).collect()
    })
}

/// The Adams-Bashforth weights for equal steps (Hairer, Nørsett & Wanner 1993, section III.1).
const ADAMS_BASHFORTH: [&[f64]; 4] = [
    &[1.0],
    &[3.0 / 2.0, -1.0 / 2.0],
    &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
    &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// The weights of equal steps, even where the steps are uneven: `ipndm` (Zhang & Chen 2023, arXiv 2204.13902).
pub fn ipndm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let order = course.count("max_order");
    by_slopes(course, order, |course, i, count| {
        let (from, to) = course.ends(i);
        let weights = ADAMS_BASHFORTH.get(count - 1).copied().unwrap_or_default();
        weights.iter().map(|weight| weight * (to - from)).collect()
    })
}

/// Weights for uneven steps: `ipndm_v`. Those of orders 3 and 4 are ComfyUI's, which differ from Adams-Bashforth.
pub fn ipndm_v(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let order = course.count("max_order");
    by_slopes(course, order, |course, i, count| {
        let step = |back: usize| {
            let (from, to) = course.ends(i - back);
            to - from
        };
        let steps: Vec<f64> = (0..count).map(step).collect();
        variable(&steps).into_iter().map(|weight| weight * steps[0]).collect()
    })
}

/// The weights for the steps `h, h1, h2, h3`, newest first.
fn variable(steps: &[f64]) -> Vec<f64> {
    match *steps {
        [h, h1] => vec![1.0 + h / (2.0 * h1), -h / (2.0 * h1)],
        [h, h1, h2] => {
            let t = third(h, h1, h2);
            vec![1.0 + h / (2.0 * h1) + t, -h / (2.0 * h1) - (1.0 + h1 / h2) * t, t * h1 / h2]
        }
        [h, h1, h2, h3] => {
            let t = third(h, h1, h2);
            let inner = (1.0 - h / (3.0 * (h + h1))) / 2.0 + (1.0 - h / (2.0 * (h + h1))) * h / (6.0 * (h + h1 + h2));
            let t2 = inner * h * (h + h1) * (h + h1 + h2) / (h1 * (h1 + h2) * (h1 + h2 + h3));
            let e = h1 * (h1 + h2) / (h2 * (h2 + h3));
            vec![
                1.0 + h / (2.0 * h1) + t + t2,
                -h / (2.0 * h1) - (1.0 + h1 / h2) * t - (1.0 + h1 / h2 + e) * t2,
                t * h1 / h2 + (h1 / h2 + e * (1.0 + h2 / h3)) * t2,
                -t2 * e * h1 / h2,
            ]
        }
        _ => vec![1.0],
    }
}

fn third(h: f64, h1: f64, h2: f64) -> f64 {
    (1.0 - h / (3.0 * (h + h1)) * h * (h + h1) / (h1 * (h1 + h2))) / 2.0
}

/// The least and the largest sigma of the VP process of `deis` (Zhang & Chen 2023, arXiv 2204.13902).
const DEIS_SIGMAS: [f64; 2] = [0.002, 80.0];

/// The time of the least sigma of that process.
const DEIS_EPSILON: f64 = 1e-3;

/// The number of points of the sum that approximates an integral.
const DEIS_POINTS: usize = 10_000;

/// The VP process in whose time `deis` interpolates slopes.
struct VpClock {
    beta_d: f64,
    beta_0: f64,
}

impl VpClock {
    fn new() -> Self {
        let [l0, l1] = DEIS_SIGMAS.map(|sigma| (sigma * sigma).ln_1p());
        let beta_d = 2.0 * (l0 / DEIS_EPSILON - l1) / (DEIS_EPSILON - 1.0);
        Self { beta_d, beta_0: l1 - 0.5 * beta_d }
    }

    fn time(&self, sigma: f64) -> f64 {
        let Self { beta_d, beta_0 } = self;
        ((beta_0 * beta_0 + 2.0 * beta_d * (sigma * sigma).ln_1p()).sqrt() - beta_0) / beta_d
    }

    /// `d sigma/dt`.
    fn speed(&self, time: f64) -> f64 {
        let exponent = 0.5 * self.beta_d * time * time + self.beta_0 * time;
        let sigma = exponent.exp_m1().sqrt();
        0.5 * (self.beta_d * time + self.beta_0) * exponent.exp() / sigma
    }
}

/// Polynomials in the time of a VP process: `deis`. As in ComfyUI, integrals are sums over 10,000 points, ends included.
pub fn deis(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let order = course.count("max_order");
    by_slopes(course, order, |course, i, count| {
        let (from, to) = course.ends(i);
        if count == 1 {
            return vec![to - from];
        }
        let clock = VpClock::new();
        let nodes: Vec<f64> = (0..count).map(|j| clock.time(course.ends(i - j).0)).collect();
        let (t, end) = (clock.time(from), clock.time(to));
        let mut sums = vec![0.0; count];
        for point in 0..DEIS_POINTS {
            let part = point as f64 / (DEIS_POINTS - 1) as f64;
            let time = t + (end - t) * part;
            let speed = clock.speed(time);
            for (j, sum) in sums.iter_mut().enumerate() {
                let others = nodes.iter().enumerate().filter(|(k, _)| *k != j);
                *sum += speed * others.map(|(_, other)| (time - other) / (nodes[j] - other)).product::<f64>();
            }
        }
        sums.into_iter().map(|sum| sum * (end - t) / DEIS_POINTS as f64).collect()
    })
}

/// Euler's method plus a share of the change of the slope: `gradient_estimation` (Permenter & Yuan 2023, arXiv 2306.04848).
pub fn gradient_estimation(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    estimated(course, false)
}

/// The same with the slope of the unconditional prediction (CFG++): `gradient_estimation_cfg_pp`.
pub fn gradient_estimation_cfg_pp(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    estimated(course, true)
}

fn estimated(course: &mut Course<'_>, is_cfg_pp: bool) -> Result<Linear, SamplerError> {
    let gamma = course.number("ge_gamma");
    let (mut x, mut before): (_, Option<Linear>) = (course.start(), None);
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let of = if is_cfg_pp { &now.u } else { &now.d };
        let d = course.remember(&slope(&now.x, of, from))?;
        if to == 0.0 {
            x = now.d;
            continue;
        }
        x = if is_cfg_pp { now.d + &d * to } else { euler(&now.x, &now.d, from, to) };
        if let Some(old) = before {
            x = x + (&d - &old) * ((gamma - 1.0) * (to - from));
        }
        before = Some(d);
    }
    Ok(x)
}

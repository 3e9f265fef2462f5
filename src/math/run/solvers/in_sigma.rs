//! Solvers in sigma: Euler, Heun and the midpoint method, with churn (Karras et al. 2022, arXiv 2206.00364, algorithm 2), and
//! DPM-Solver of fixed steps.

use super::ancestral::further_down;
use super::course::{Course, euler as euler_step, last_above_zero, slope};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// When the noise of churn is drawn.
#[derive(Clone, Copy, PartialEq)]
enum Draws {
    /// In a step with churn.
    WhereUsed,
    /// In every step.
    Always,
}

/// The largest share by which churn raises a sigma.
const MOST_CHURN: f64 = std::f64::consts::SQRT_2 - 1.0;

/// The sample with the noise of churn, and its raised sigma.
fn churned(course: &mut Course<'_>, x: Linear, sigma: f64, draws: Draws) -> (Linear, f64) {
    let [churn, least, most, scale] = ["s_churn", "s_tmin", "s_tmax", "s_noise"].map(|name| course.number(name));
    let share = if (least..=most).contains(&sigma) { (churn / course.steps() as f64).min(MOST_CHURN) } else { 0.0 };
    if share <= 0.0 && draws == Draws::WhereUsed {
        return (x, sigma);
    }
    let noise = course.noise();
    if share <= 0.0 {
        return (x, sigma);
    }
    let raised = sigma * (1.0 + share);
    (x + noise * (scale * (raised * raised - sigma * sigma).sqrt()), raised)
}

/// Euler's method: `euler`, `ddim`.
pub fn euler(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let (shown, from) = churned(course, x, from, Draws::WhereUsed);
        let now = course.ask(&shown, from)?;
        x = euler_step(&now.x, &now.d, from, to);
    }
    Ok(x)
}

/// Heun's method: `heun`.
pub fn heun(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let (shown, from) = churned(course, x, from, Draws::WhereUsed);
        let now = course.ask(&shown, from)?;
        let first = euler_step(&now.x, &now.d, from, to);
        if to == 0.0 {
            x = first;
            continue;
        }
        let then = course.ask(&first, to)?;
        let slopes = slope(&now.x, &now.d, from) + slope(&then.x, &then.d, to);
        x = now.x + slopes * (0.5 * (to - from));
    }
    Ok(x)
}

/// The midpoint method: `dpm_2`.
pub fn dpm_2(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let (shown, from) = churned(course, x, from, Draws::WhereUsed);
        let now = course.ask(&shown, from)?;
        if to == 0.0 {
            x = euler_step(&now.x, &now.d, from, to);
            continue;
        }
        let middle = (from.ln() * 0.5 + to.ln() * 0.5).exp();
        let then = course.ask(&euler_step(&now.x, &now.d, from, middle), middle)?;
        x = now.x + slope(&then.x, &then.d, middle) * (to - from);
    }
    Ok(x)
}

/// Heun's method with slopes at up to three sigmas, weighted by the sigmas: `heunpp2`.
pub fn heunpp2(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let first_sigma = course.ends(0).0;
    let last = course.steps();
    let mut x = course.start();
    for i in 0..last {
        let (start, to) = course.step(i);
        let (shown, from) = churned(course, x, start, Draws::Always);
        let now = course.ask(&shown, from)?;
        let step = to - from;
        let end = course.ends(last).0;
        if to == end {
            x = euler_step(&now.x, &now.d, from, to);
            continue;
        }
        let slope1 = slope(&now.x, &now.d, from);
        let then = course.ask(&euler_step(&now.x, &now.d, from, to), to)?;
        let slope2 = slope(&then.x, &then.d, to);
        let further = course.ends(i + 1).1;
        if further == end {
            let weight = to / (2.0 * first_sigma);
            x = now.x + (slope1 * (1.0 - weight) + slope2 * weight) * step;
            continue;
        }
        let last = course.ask(&(then.x + &slope2 * (further - to)), further)?;
        let slope3 = slope(&last.x, &last.d, further);
        let [w2, w3] = [to, further].map(|sigma| sigma / (3.0 * first_sigma));
        x = now.x + (slope1 * (1.0 - w2 - w3) + slope2 * w2 + slope3 * w3) * step;
    }
    Ok(x)
}

/// The orders of the DPM-Solver steps that spend this number of calls (Lu et al. 2022, arXiv 2206.00927).
fn orders(calls: usize) -> Vec<usize> {
    match (calls / 3, calls % 3) {
        (0, rest) => vec![rest],
        (threes, 0) => [vec![3; threes - 1], vec![2, 1]].concat(),
        (threes, rest) => [vec![3; threes], vec![rest]].concat(),
    }
}

/// DPM-Solver of orders up to 3, in equal steps of `-ln(sigma)`, with one call for each step of the grid in all: `dpm_fast`. It ends
/// at the last sigma above 0.
pub fn dpm_fast(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let calls = course.steps();
    let eta = course.number("eta");
    let end = last_above_zero(&course.sigmas);
    course.leaves(end);
    let orders = orders(calls);
    let [first, last] = [course.ends(0).0, end].map(|sigma| -sigma.ln());
    let mut x = course.start();
    for (i, &order) in orders.iter().enumerate() {
        course.step(i);
        let at = |i: usize| first + (last - first) * (i as f64 / orders.len() as f64);
        let (t, to) = (at(i), at(i + 1));
        let [end, up] = further_down(t, to, last, eta);
        x = solve(course, &x, t, end - t, order)?;
        let scale = course.number("s_noise");
        x = x + course.noise() * (up * scale);
    }
    Ok(x)
}

/// A step `h` of DPM-Solver in `t = -ln(sigma)`.
fn solve(course: &mut Course<'_>, x: &Linear, t: f64, h: f64, order: usize) -> Result<Linear, SamplerError> {
    let sigma = |part: f64| (-(t + part * h)).exp();
    let from = sigma(0.0);
    let now = course.ask(x, from)?;
    let epsilon = slope(&now.x, &now.d, from);
    // x - sigma*(e^(r h) - 1)*epsilon
    let euler = |part: f64| now.x.clone() - &epsilon * (sigma(part) * (part * h).exp_m1());
    if order == 1 {
        return Ok(euler(1.0));
    }
    let first = if order == 2 { 0.5 } else { 1.0 / 3.0 };
    let then = course.ask(&euler(first), sigma(first))?;
    let change = slope(&then.x, &then.d, sigma(first)) - epsilon.clone();
    let slanted = |part: f64| (part * h).exp_m1() / (part * h) - 1.0;
    if order == 2 {
        return Ok(euler(1.0) - change * (sigma(1.0) / (2.0 * first) * h.exp_m1()));
    }
    let second = 2.0 / 3.0;
    let middle = euler(second) - change * (sigma(second) * (second / first) * slanted(second));
    let last = course.ask(&middle, sigma(second))?;
    let change = slope(&last.x, &last.d, sigma(second)) - epsilon.clone();
    Ok(euler(1.0) - change * (sigma(1.0) / second * slanted(1.0)))
}

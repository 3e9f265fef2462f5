//! UniPC (Zhao et al. 2023, arXiv 2302.04867) on the clock `-ln(sigma)`, whatever the model.

use super::course::Course;
use super::polynomial::{exponential_integrals, weights};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// The sigma at which it ends in the place of 0.
const LAST: f64 = 1e-3;

/// The highest order.
pub const ORDER: usize = 3;

/// The weights of clean samples over a step of this length; `nodes` are their places in units of it. Of two, the second has the
/// paper's 1/2 of `B(h)`.
pub fn unified(course: &Course<'_>, h: f64, nodes: &[f64]) -> Vec<f64> {
    let mut integrals = exponential_integrals(h, nodes.len());
    if let [all, second] = &mut integrals[..] {
        *second = if course.chose("bh1") { 0.5 * h } else { 0.5 * *all };
    }
    weights(nodes, &integrals)
}

/// `uni_pc`, `uni_pc_bh2`. A last sigma of 0 becomes 0.001.
pub fn uni_pc(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let n = course.steps();
    if let Some(last) = course.sigmas.last_mut().filter(|sigma| **sigma == 0.0) {
        *last = LAST;
    }
    if n == 1 {
        // No order is left for a step: the start comes back, in the scale of the end.
        let (first, last) = course.step(0);
        let now = course.ask(&course.start(), first)?;
        return Ok(now.x * (last.hypot(1.0) / first.hypot(1.0)));
    }
    let most = ORDER.min(n - 1);
    let order = |step: usize| if step < most { step } else { most.min(n + 1 - step) };
    let mut clean: Vec<Linear> = Vec::new();
    let (mut corrected, mut x) = (course.start(), course.start());
    for i in 0..n {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        clean.insert(0, now.d.clone());
        // The places of the last calls in units of the step that begins at call `i - back`.
        let places = |course: &Course<'_>, back: usize, count: usize| -> Vec<f64> {
            let (start, end) = course.ends(i - back);
            let h = (start / end).ln();
            (0..count).map(|j| (start / course.ends(i - back - j).0).ln() / h).collect()
        };
        if i > 0 {
            let (start, end) = course.ends(i - 1);
            let nodes = [vec![1.0], places(course, 1, order(i))].concat();
            let found = unified(course, (start / end).ln(), &nodes);
            corrected = course.current(&corrected)? * (end / start);
            for (d, weight) in clean.iter().zip(found) {
                corrected = corrected + d * weight;
            }
        }
        let nodes = places(course, 0, order(i + 1));
        let found = unified(course, (from / to).ln(), &nodes);
        x = &corrected * (to / from);
        for (d, weight) in clean.iter().zip(found) {
            x = x + d * weight;
        }
        clean.truncate(ORDER);
    }
    Ok(x)
}

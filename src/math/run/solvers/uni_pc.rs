//! UniPC (Zhao et al. 2023, arXiv 2302.04867): ComfyUI's in `-ln(sigma)` whatever the model, the published one in half the log SNR.

use super::course::{Clock, Course, sigma_clock, snr_clock};
use super::polynomial::{exponential_integrals, weights};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// The sigma at which ComfyUI's UniPC ends instead of 0.
const LAST: f64 = 1e-3;

/// The highest order.
const ORDER: usize = 3;

/// The weights of clean samples over a step of length `h`; `nodes` are their places in units of it. With two nodes, the second
/// integral is replaced by half of `B(h)`, as in the paper.
fn integrated(course: &Course<'_>, h: f64, nodes: &[f64]) -> Vec<f64> {
    let mut integrals = exponential_integrals(h, nodes.len());
    if let [all, second] = &mut integrals[..] {
        *second = if course.chose("bh1") { 0.5 * h } else { 0.5 * *all };
    }
    weights(nodes, &integrals)
}

/// `uni_pc`, `uni_pc_bh2`. A last sigma of 0 becomes 0.001.
pub fn uni_pc(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    if let Some(last) = course.sigmas.last_mut().filter(|sigma| **sigma == 0.0) {
        *last = LAST;
    }
    if course.steps() == 1 {
        // ComfyUI takes no step: the start comes back, in the variance-preserving scale of the end.
        let (first, last) = course.step(0);
        let (now, scale) = (course.ask(&course.start(), first)?, last.hypot(1.0) / first.hypot(1.0));
        course.leaves(scale * first);
        return Ok(now.x * scale);
    }
    unified(course, sigma_clock)
}

/// The same in half the log SNR and to the clean sample, as in the paper (algorithms 5 to 8).
pub fn published(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    unified(course, snr_clock)
}

/// A predictor and a corrector from one call a step. The order falls towards the last step.
fn unified(course: &mut Course<'_>, clock: Clock) -> Result<Linear, SamplerError> {
    let n = course.steps();
    // The clean samples of the calls that were not at pure noise, latest first.
    let mut clean: Vec<Linear> = Vec::new();
    let (mut corrected, mut x) = (course.start(), course.start());
    for i in 0..n {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        // The length of a step, and the places of the last calls in units of it, from the call at which it begins.
        let step = |course: &Course<'_>, begin: usize, end: f64, count: usize| -> (f64, Vec<f64>) {
            let at = |call: usize| clock(course, course.ends(call).0)[0];
            let h = clock(course, end)[0] - at(begin);
            (h, (0..count).map(|j| (at(begin - j) - at(begin)) / h).collect())
        };
        corrected = match clean.len() {
            0 => now.x.clone(),
            known => {
                let (start, end) = course.ends(i - 1);
                let (h, places) = step(course, i - 1, end, known.min(n + 1 - i));
                let found = integrated(course, h, &[vec![1.0], places].concat());
                let [_, alpha] = clock(course, end);
                let kept = course.current(&corrected)? * (end / start);
                let terms = [&now.d].into_iter().chain(&clean).zip(found);
                terms.fold(kept, |x, (d, weight)| x + d * (weight * alpha))
            }
        };
        let ([_, alpha], [_, alpha_end]) = (clock(course, from), clock(course, to));
        if alpha == 0.0 || to == 0.0 {
            // A step from pure noise or to the clean sample is infinitely long, and is taken at first order.
            x = &corrected * (to / from) + &now.d * alpha_end;
        }
        if alpha == 0.0 {
            continue;
        }
        clean.insert(0, now.d);
        clean.truncate(ORDER);
        if to > 0.0 {
            let (h, places) = step(course, i, to, clean.len().min(n - i));
            let found = integrated(course, h, &places);
            let kept = &corrected * (to / from);
            x = clean.iter().zip(found).fold(kept, |x, (d, weight)| x + d * (weight * alpha_end));
        }
    }
    Ok(x)
}

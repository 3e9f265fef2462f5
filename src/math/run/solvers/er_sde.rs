//! ER-SDE (Cui et al. 2023, arXiv 2309.06169): an SDE with its own noise scale, in up to three stages from the clean samples of the
//! last calls.

use super::course::Course;
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// The number of points of the sums that approximate integrals.
const POINTS: usize = 200;

/// `er_sde`.
pub fn er_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let (eta, most) = (course.number("eta"), course.count("max_stage"));
    let (is_ode, is_reverse) = (course.chose("ODE") || eta == 0.0, course.chose("Reverse-time SDE"));
    let scale = move |ratio: f64| match (is_ode, is_reverse) {
        (true, _) => ratio,
        (false, true) => ratio.powf(1.0 + eta),
        (false, false) => ratio * (ratio.powf(0.3).exp() + 10.0).powf(eta),
    };
    // The clean samples of the last calls with their ratios, latest first, and the last divided difference.
    let (mut old, mut older, mut difference): (Option<(Linear, f64)>, Option<f64>, Option<Linear>) = (None, None, None);
    course.each_step(|course, now, from, to| {
        let [start, end] = [from, to].map(|sigma| course.ratio(sigma));
        let (alpha, kept) = (course.alpha(to), scale(end) / scale(start));
        let mut x = now.x * (alpha / course.alpha(from) * kept) + &now.d * (alpha * (1.0 - kept));
        let step = end - start;
        // Left Riemann sums from the end of the step up to its start.
        let width = -step / POINTS as f64;
        let points = (0..POINTS).map(|k| end + k as f64 * width);
        let [flat, slanted] = points.fold([0.0; 2], |[flat, slanted], point| {
            let inverse = 1.0 / scale(point);
            [flat + inverse, slanted + (point - start) * inverse]
        });
        let mut first = None;
        if let Some((d, ratio)) = old.as_ref().filter(|_| most >= 2) {
            let change = (&now.d - d) * (1.0 / (start - ratio));
            x = x + &change * (alpha * (step + scale(end) * flat * width));
            if let Some((before, ratio)) = difference.as_ref().zip(older).filter(|_| most >= 3) {
                let curve = (&change - before) * (2.0 / (start - ratio));
                x = x + curve * (alpha * (0.5 * step * step + scale(end) * slanted * width));
            }
            first = Some(change);
        }
        if !is_ode && course.number("s_noise") > 0.0 {
            let up = (end * end - start * start * kept * kept).max(0.0).sqrt();
            x = x + course.step_noise(alpha * up);
        }
        older = old.take().map(|(_, ratio)| ratio);
        (old, difference) = (Some((now.d, start)), first);
        Ok(x)
    })
}

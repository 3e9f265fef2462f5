//! RES multistep (Zhang et al. 2023, arXiv 2308.02157): an exponential integrator of second order, in `-ln(sigma)`.

use super::ancestral::split;
use super::course::Course;
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// `res_multistep`, `res_multistep_ancestral`, with the variance-exploding formulas whatever the model.
pub fn res_multistep(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    stepped(course, false)
}

/// The same with the clean sample of the unconditional prediction (CFG++): `res_multistep_cfg_pp` and its ancestral form.
pub fn res_multistep_cfg_pp(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    stepped(course, true)
}

/// The step before: its clean sample, its sigma, and the sigma to which it led without its noise.
struct Before {
    d: Linear,
    from: f64,
    down: f64,
}

fn stepped(course: &mut Course<'_>, is_cfg_pp: bool) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    let (mut x, mut before): (_, Option<Before>) = (course.start(), None);
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let [down, up] = split(from, to, eta);
        let kept = down / from;
        let d = if is_cfg_pp { now.u.clone() } else { now.d.clone() };
        x = match before.filter(|_| down > 0.0) {
            None => now.d.clone() + (&now.x - &d) * kept,
            Some(old) => {
                let h = -kept.ln();
                let back = (old.down / old.from).ln() / h;
                let first = (1.0 - kept) / h;
                let second = (1.0 - first) / h / back;
                // After a step that did not move there is no second point.
                let second = if second.is_nan() { 0.0 } else { second };
                let shown = if is_cfg_pp { now.x.clone() + now.d.clone() - now.u.clone() } else { now.x.clone() };
                shown * kept + &d * (h * (first - second)) + old.d * (h * second)
            }
        };
        if to > 0.0 && up > 0.0 {
            x = x + course.step_noise(up);
        }
        before = Some(Before { d, from, down });
    }
    Ok(x)
}

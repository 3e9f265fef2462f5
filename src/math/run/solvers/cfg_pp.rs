//! CFG++ (Chung et al. 2024, arXiv 2406.08070): the clean sample of the guided prediction, the noise of the unconditional one.

use super::ancestral::split;
use super::course::Course;
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// Euler and Euler ancestral: `euler_cfg_pp`, `euler_ancestral_cfg_pp`.
pub fn euler_cfg_pp(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    course.each_step(|course, now, from, to| {
        let (alpha, alpha_to) = (course.alpha(from), course.alpha(to));
        let [down, up] = split(course.ratio(from), course.ratio(to), eta);
        let noise = (&now.x - &(&now.u * alpha)) * (1.0 / from);
        let mut x = now.d * alpha_to + noise * (alpha_to * down);
        if eta > 0.0 {
            x = x + course.step_noise(alpha_to * up);
        }
        Ok(x)
    })
}

/// The share of the noise's change that is added to it.
const EXTRAPOLATED: f64 = 0.1;

/// The share of the Adams-Bashforth step.
const BLENDED: f64 = 0.25;

/// Euler with extrapolated noise, blended with an Adams-Bashforth step of second order: `cfgpp_ud10_ab`.
pub fn cfgpp_ud10_ab(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    struct Before {
        d: Linear,
        noise: Linear,
        slope: Linear,
        from: f64,
        step: f64,
    }
    let (mut x, mut before): (_, Option<Before>) = (course.start(), None);
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let step = to - from;
        if to == 0.0 {
            x = match before {
                Some(old) => now.d.clone() - (&now.d - &old.d) * (from / (from - old.from)),
                None => now.d,
            };
            break;
        }
        let (alpha, alpha_to) = (course.alpha(from), course.alpha(to));
        let fresh = course.remember(&((&now.x - &(&now.u * alpha)) * (1.0 / from)))?;
        // The noise is this call's plus a share of its change since the last call.
        let share = before.as_ref().map_or(0.0, |old| EXTRAPOLATED * step / old.step);
        let alone = &now.d * alpha_to + (&now.x - &(&now.u * alpha)) * (to * (1.0 + share) / from) - now.x.clone();
        let mut slope = course.remember(&(alone * (1.0 / step)))?;
        if let Some(old) = &before {
            slope = slope - &old.noise * (share * to / step);
        }
        let bashforth = match &before {
            Some(old) => slope.clone() + (&slope - &old.slope) * (step / (2.0 * old.step)),
            None => slope.clone(),
        };
        x = now.x + &slope * ((1.0 - BLENDED) * step) + bashforth * (BLENDED * step);
        before = Some(Before { d: now.d, noise: fresh, slope, from, step });
    }
    Ok(x)
}

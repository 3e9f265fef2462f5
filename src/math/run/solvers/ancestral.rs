//! The ancestral samplers: each step goes to a lower sigma than the next one, and noise brings the sample back up.
//!
//! **Theory.** A step from sigma `s` to `s'` goes deterministically to `down`, and independent noise of standard deviation `up`
//! brings the sample back to `s'`, with `down^2 + up^2 = s'^2` (k-diffusion, `get_ancestral_step`). On a flow the sample at
//! `down` is also scaled, so that the factors of signal and noise add up to 1 again (ComfyUI, the `RF` samplers).

use super::course::{Course, euler, slope};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// The split `[down, up]` of a variance-exploding step.
pub fn split(from: f64, to: f64, eta: f64) -> [f64; 2] {
    if eta == 0.0 {
        return [to, 0.0];
    }
    let lost = (to * to * (from * from - to * to) / (from * from)).sqrt();
    // From an infinite sigma (pure noise) the root is NaN: all noise is fresh.
    let up = if lost.is_nan() { to } else { to.min(eta * lost) };
    [(to * to - up * up).sqrt(), up]
}

/// The split of a DPM-Solver step in `t = -ln(sigma)`: the `t` to which the solver goes, at most `last`, and the standard
/// deviation of the noise.
pub fn further_down(t: f64, to: f64, last: f64, eta: f64) -> [f64; 2] {
    if eta == 0.0 {
        return [to, 0.0];
    }
    let sigma = (-to).exp();
    let [down, _] = split((-t).exp(), sigma, eta);
    let end = last.min(-down.ln());
    [end, (sigma * sigma - (-2.0 * end).exp()).max(0.0).sqrt()]
}

/// The split of a step: the sigma to which the solver goes, the factor of the sample there, and the standard deviation of the noise.
#[derive(Clone, Copy, Debug)]
struct Way {
    down: f64,
    scale: f64,
    up: f64,
}

impl Way {
    fn new(course: &Course<'_>, from: f64, to: f64, eta: f64) -> Self {
        if !course.model.is_flow() {
            let [down, up] = split(from, to, eta);
            return Self { down, scale: 1.0, up };
        }
        let down = to * (1.0 + (to / from - 1.0) * eta);
        let scale = (1.0 - to) / (1.0 - down);
        let up = (to * to - down * down * scale * scale).max(0.0).sqrt();
        Self { down, scale, up }
    }

    /// The sample at the end of the step, scaled and with noise if `draws` is true.
    fn ended(self, course: &mut Course<'_>, x: Linear, draws: bool) -> Linear {
        if draws { x * self.scale + course.step_noise(self.up) } else { x }
    }
}

/// Euler's method to `down`, then noise: `euler_ancestral`.
pub fn euler_ancestral(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let way = Way::new(course, from, to, eta);
        let draws = to > 0.0 && if course.model.is_flow() { eta > 0.0 } else { way.down > 0.0 };
        x = way.ended(course, euler(&now.x, &now.d, from, way.down), draws);
    }
    Ok(x)
}

/// The same with the split of variance-exploding models at eta 1, whatever the model and without options: `ddpm`.
pub fn ddpm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let [down, up] = split(from, to, 1.0);
        x = euler(&now.x, &now.d, from, down);
        if to > 0.0 {
            x = x + course.noise() * up;
        }
    }
    Ok(x)
}

/// The midpoint method to `down`, then noise: `dpm_2_ancestral`.
pub fn dpm_2_ancestral(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let way = Way::new(course, from, to, eta);
        if way.down == 0.0 {
            x = euler(&now.x, &now.d, from, 0.0);
            continue;
        }
        let middle = (from.ln() * 0.5 + way.down.ln() * 0.5).exp();
        let then = course.ask(&euler(&now.x, &now.d, from, middle), middle)?;
        x = now.x.clone() + slope(&then.x, &then.d, middle) * (way.down - from);
        x = way.ended(course, x, true);
    }
    Ok(x)
}

/// The middle sigma of a flow's step that begins at pure noise.
const BELOW_PURE_NOISE: f64 = 0.9999;

/// DPM-Solver++ 2S to `down`, then noise: `dpmpp_2s_ancestral`.
pub fn dpmpp_2s_ancestral(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let way = Way::new(course, from, to, eta);
        let is_flow = course.model.is_flow();
        if to == 0.0 || way.down == 0.0 {
            x = euler(&now.x, &now.d, from, way.down);
        } else {
            let middle = match is_flow && from == 1.0 {
                true => BELOW_PURE_NOISE,
                false => {
                    let [a, b] = [from, way.down].map(|sigma| course.half_log_snr(sigma));
                    course.sigma_of(a + 0.5 * (b - a))
                }
            };
            let then = course.ask(&course.straight((&now.x, &now.d), from, middle), middle)?;
            x = course.straight((&now.x, &then.d), from, way.down);
        }
        x = way.ended(course, x, to > 0.0 && (eta > 0.0 || !is_flow));
    }
    Ok(x)
}

/// The same with the slope of the unconditional prediction (CFG++): `dpmpp_2s_ancestral_cfg_pp`. It uses the variance-exploding
/// formulas whatever the model.
pub fn dpmpp_2s_ancestral_cfg_pp(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let eta = course.number("eta");
    let mut x = course.start();
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let [down, up] = split(from, to, eta);
        if down == 0.0 {
            x = now.d.clone();
        } else {
            let middle = (from * down).sqrt();
            let shown = now.x.clone() + now.d.clone() - now.u.clone();
            let then = course.ask(&euler(&shown, &now.d, from, middle), middle)?;
            let shifted = now.x.clone() + now.d.clone() - then.u.clone();
            x = euler(&shifted, &then.d, from, down);
        }
        if to > 0.0 {
            x = x + course.step_noise(up);
        }
    }
    Ok(x)
}

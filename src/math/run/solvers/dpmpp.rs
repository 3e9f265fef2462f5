//! DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095): multistep, with fresh noise, and the two-stage SDE of k-diffusion; and latent
//! consistency.

use super::ancestral::split;
use super::course::{Clock, Course, sigma_clock, snr_clock};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;
use crate::math::sampler::recorder::Answer;

/// The second-order multistep solver in `-ln(sigma)`, whatever the model: `dpmpp_2m`.
pub fn dpmpp_2m(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep(course, sigma_clock)
}

/// The same in half the log SNR, as in the paper (algorithm 2).
pub fn published_2m(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep(course, snr_clock)
}

fn multistep(course: &mut Course<'_>, clock: Clock) -> Result<Linear, SamplerError> {
    let mut before: Option<(Linear, f64)> = None;
    course.each_step(|course, now, from, to| {
        let ([start, alpha], [end, alpha_end]) = (clock(course, from), clock(course, to));
        let (h, ratio) = (end - start, to / from);
        let d = match &before {
            // After an infinite step from pure noise, the clean sample before it gets no weight.
            Some((old, h_old)) => {
                let half = 0.5 * h / h_old;
                &now.d * (1.0 + half) - old * half
            }
            None => now.d.clone(),
        };
        before = Some((now.d, h));
        Ok(now.x * ratio + d * (alpha_end - alpha * ratio))
    })
}

/// The same with the slope of the unconditional prediction (CFG++): `dpmpp_2m_cfg_pp`.
pub fn dpmpp_2m_cfg_pp(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let (mut x, mut before): (_, Option<(Linear, f64)>) = (course.start(), None);
    for i in 0..course.steps() {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let (h, ratio) = ((from / to).ln(), to / from);
        x = now.d.clone() + (&now.x - &now.u) * ratio;
        if let Some((old, h_old)) = before.filter(|_| to > 0.0) {
            x = x + (&now.d - &old) * ((1.0 - ratio) * 0.5 * h / h_old);
        }
        before = Some((now.u, h));
    }
    Ok(x)
}

/// Multistep with fresh noise, of second order (`dpmpp_2m_sde`, `dpmpp_2m_sde_heun`).
pub fn dpmpp_2m_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep_sde(course, 2)
}

/// The same of third order: `dpmpp_3m_sde`.
pub fn dpmpp_3m_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep_sde(course, 3)
}

fn multistep_sde(course: &mut Course<'_>, order: usize) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let eta = course.number("eta");
    let is_midpoint = course.chose("midpoint");
    // The clean samples of earlier calls with the steps in half the log SNR that followed them, latest first.
    let mut before: Vec<(Linear, f64)> = Vec::new();
    course.each_step(|course, now, from, to| {
        let h = course.half_log_snr(to) - course.half_log_snr(from);
        let h_eta = h * (1.0 + eta);
        let (alpha, lost) = (course.alpha(to), -(-h_eta).exp_m1());
        let slanted = (-h_eta).exp_m1() / h_eta + 1.0;
        let mut x = now.x * (to / from * (-h * eta).exp()) + &now.d * (alpha * lost);
        let change = before.first().map(|(old, h_old)| (&now.d - old) * (h / h_old));
        let older = before.get(1).zip(before.first()).filter(|_| order == 3);
        match (change, older) {
            (Some(d0), Some(((oldest, h_2), (old, h_1)))) => {
                let d1 = (old - oldest) * (h / h_2);
                let curve = (&d0 - &d1) * (h / (h_1 + h_2));
                x = x + (d0 + &curve * (h_1 / h)) * (alpha * slanted) - curve * (alpha * (slanted / h_eta - 0.5));
            }
            (Some(d0), None) if is_midpoint => x = x + d0 * (0.5 * alpha * lost),
            (Some(d0), None) => x = x + d0 * (alpha * slanted),
            (None, _) => {}
        }
        if eta > 0.0 && course.number("s_noise") > 0.0 {
            x = x + course.brownian_noise(to * (-(-2.0 * h * eta).exp_m1()).sqrt(), from, to);
        }
        before.insert(0, (now.d, h));
        before.truncate(2);
        Ok(x)
    })
}

/// The coefficients of a stochastic exponential Euler step: the factors of the sample and of the clean sample, and the standard
/// deviation of the fresh noise.
pub fn stochastic(course: &Course<'_>, from: f64, to: f64, eta: f64) -> [f64; 3] {
    let (start, alpha) = (course.ratio(from), course.alpha(to));
    let [down, up] = split(start, course.ratio(to), eta);
    [alpha * down / from, alpha * (1.0 - down / start), alpha * up]
}

/// Two stages with fresh noise in both, each from the start of the step: `dpmpp_sde`.
pub fn dpmpp_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, r] = ["eta", "r"].map(|name| course.number(name));
    course.each_step(|course, now, from, to| {
        let middle = course.sigma_between(from, to, r);
        let stage = |course: &mut Course<'_>, end: f64, d: &Linear| {
            let [kept, clean, up] = stochastic(course, from, end, eta);
            &now.x * kept + d * clean + course.brownian_noise(up, from, end)
        };
        let first = stage(course, middle, &now.d);
        let then = course.ask(&first, middle)?;
        let share = 1.0 / (2.0 * r);
        let d = &now.d * (1.0 - share) + &then.d * share;
        Ok(stage(course, to, &d))
    })
}

/// The value of `s_noise_end` that means `s_noise`.
pub const SAME: f64 = -1.0;

/// The clean sample, noised again: `lcm` (Luo et al. 2023, arXiv 2310.04378). The scale of the noise goes linearly from `s_noise`
/// to `s_noise_end`.
pub fn lcm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    consistency(course, |_, now, _| now.d)
}

/// The same with a function that gives the clean sample of an answer at a sigma.
pub fn consistency(
    course: &mut Course<'_>,
    clean: impl Fn(&Course<'_>, Answer, f64) -> Linear,
) -> Result<Linear, SamplerError> {
    let n = course.steps();
    let [begin, end] = ["s_noise", "s_noise_end"].map(|name| course.number(name));
    let end = if end == SAME { begin } else { end };
    let mut x = course.start();
    for i in 0..n {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        x = clean(course, now, from);
        if to > 0.0 {
            let part = if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 };
            let scale = begin + (end - begin) * part;
            let [kept, noise] = course.model.start(to, false);
            x = x * kept + course.noise() * (noise * scale);
        }
    }
    Ok(x)
}

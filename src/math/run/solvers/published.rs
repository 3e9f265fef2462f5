//! The published methods of names whose numbers in ComfyUI are others: a run with [`RunCompat::Published`] takes these.
//!
//! [`RunCompat::Published`]: crate::math::run::RunCompat::Published

use super::ancestral::split;
use super::course::Course;
use super::polynomial::{exponential_integrals, weights};
use super::{dpmpp, slopes, uni_pc};
use crate::math::error::sampler::SamplerError;
use crate::math::run::parameterisation::Parameterisation;
use crate::math::sampler::linear::Linear;

/// DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095, algorithm 2) in half the log SNR.
pub fn dpmpp_2m(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let mut before: Option<(Linear, f64)> = None;
    course.each_step(|course, now, from, to| {
        let h = course.half_log_snr(to) - course.half_log_snr(from);
        let d = match &before {
            // A step from pure noise is infinite, and the clean sample before it counts for nothing.
            Some((old, h_old)) => {
                let half = 0.5 * h / h_old;
                &now.d * (1.0 + half) - old * half
            }
            None => now.d.clone(),
        };
        let x = course.straight((&now.x, &d), from, to);
        before = Some((now.d, h));
        Ok(x)
    })
}

/// DPM-Solver++ SDE on one path: the noise of the middle goes on to the end of the step, and only the rest is fresh. See
/// [`DpmSde`](crate::math::sampler::DpmSde).
pub fn dpmpp_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, r] = ["eta", "r"].map(|name| course.number(name));
    course.each_step(|course, now, from, to| {
        let middle = course.sigma_between(from, to, r);
        let start = course.ratio(from);
        // The shares of the sample and of noise at a lower level.
        let shares = |course: &Course<'_>, end: f64| {
            let ([down, up], alpha) = (split(start, course.ratio(end), eta), course.alpha(end));
            [alpha / course.alpha(from) * (down / start), alpha * (1.0 - down / start), alpha * up]
        };
        let ([x1, d1, z1], [x2, d2, z2]) = (shares(course, middle), shares(course, to));
        let noise = course.brownian_noise(1.0, from, middle);
        let then = course.ask(&(&now.x * x1 + &now.d * d1 + &noise * z1), middle)?;
        let share = 1.0 / (2.0 * r);
        let d = &now.d * (1.0 - share) + then.d * share;
        let gone_on = x2 / x1 * z1;
        let fresh = ((z2 - gone_on) * (z2 + gone_on)).max(0.0).sqrt();
        Ok(now.x * x2 + d * d2 + noise * gone_on + course.brownian_noise(fresh, middle, to))
    })
}

/// The posterior of the levels that are visited (Ho et al. 2020, arXiv 2006.11239, equation 7): on a flow too in the ratio of
/// noise to signal.
pub fn ddpm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.each_step(|course, now, from, to| {
        let ([down, up], alpha) = (split(course.ratio(from), course.ratio(to), 1.0), course.alpha(to));
        let noise = course.noise() * (alpha * up * course.model.noise_scale());
        Ok(now.x * (alpha * down / from) + now.d * (alpha * (1.0 - down / course.ratio(from))) + noise)
    })
}

/// The deviation of the data, and the factor of the timestep (Luo et al. 2023, arXiv 2310.04378, section 4.1).
const BOUNDARY: [f64; 2] = [0.5, 10.0];

/// Latent consistency with the boundary that makes the network the identity at timestep 0. A model of the parameterisation
/// `LCM` has it in its clean sample.
pub fn lcm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    dpmpp::consistency(course, |course, now, sigma| {
        if course.model.parameterisation() == Parameterisation::Consistency {
            return now.d;
        }
        let [data, factor] = BOUNDARY;
        let time = course.model.told(sigma) * factor;
        let whole = time.hypot(data);
        now.x * ((data / whole).powi(2) * course.model.input(sigma)) + now.d * (time / whole)
    })
}

/// DEIS (Zhang & Chen 2023, arXiv 2204.13902, equation 15) in the logarithm of the ratio of noise to signal, with exact
/// integrals.
pub fn deis(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let order = course.count("max_order");
    // The predictions of noise, and the places of their calls in half the log SNR, latest first.
    let mut noises: Vec<(Linear, f64)> = Vec::new();
    course.each_step(|course, now, from, to| {
        let (alpha, place) = (course.alpha(from), course.half_log_snr(from));
        if alpha == 0.0 {
            return Ok(course.straight((&now.x, &now.d), from, to));
        }
        let epsilon = course.remember(&((&now.x - &(&now.d * alpha)) * (1.0 / from)))?;
        noises.insert(0, (epsilon, place));
        noises.truncate(order);
        let h = course.half_log_snr(to) - place;
        let nodes: Vec<f64> = noises.iter().map(|(_, other)| (other - place) / h).collect();
        let found = weights(&nodes, &exponential_integrals(-h, nodes.len()));
        let start = now.x * (course.alpha(to) / alpha);
        Ok(noises.iter().zip(found).fold(start, |x, ((noise, _), weight)| x + noise * (weight * to)))
    })
}

/// Adams and Bashforth's weights of uneven steps, of every order.
pub fn ipndm_v(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    slopes::integrated(course, "max_order")
}

/// UniPC (Zhao et al. 2023, arXiv 2302.04867) in half the log SNR, to the clean sample.
pub fn uni_pc(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let n = course.steps();
    let most = uni_pc::ORDER.min(n);
    let clock = |course: &Course<'_>, step: usize| course.half_log_snr(course.ends(step).0);
    // The clean samples of calls that were not at pure noise, latest first.
    let mut clean: Vec<Linear> = Vec::new();
    let (mut corrected, mut x) = (course.start(), course.start());
    for i in 0..n {
        let (from, to) = course.step(i);
        let now = course.ask(&x, from)?;
        let [begin, end] = [from, to].map(|sigma| course.half_log_snr(sigma));
        // The places of the last calls in units of the step that begins at call `i - back`, with `h`.
        let places = |course: &Course<'_>, back: usize, end: f64, count: usize| -> (f64, Vec<f64>) {
            let start = clock(course, i - back);
            let h = end - start;
            (h, (0..count).map(|j| (clock(course, i - back - j) - start) / h).collect())
        };
        corrected = match clean.len() {
            0 => now.x.clone(),
            known => {
                let (before, after) = course.ends(i - 1);
                let (h, nodes) = places(course, 1, begin, known.min(most).min(n + 1 - i));
                let found = uni_pc::unified(course, h, &[vec![1.0], nodes].concat());
                let start = course.current(&corrected)? * (after / before);
                let terms = [&now.d].into_iter().chain(&clean).zip(found);
                terms.fold(start, |x, (d, weight)| x + d * (weight * course.alpha(after)))
            }
        };
        if course.alpha(from) == 0.0 {
            x = course.straight((&corrected, &now.d), from, to);
            continue;
        }
        clean.insert(0, now.d.clone());
        clean.truncate(uni_pc::ORDER);
        if to == 0.0 {
            x = now.d;
            continue;
        }
        let (h, nodes) = places(course, 0, end, clean.len().min(most).min(n - i));
        let found = uni_pc::unified(course, h, &nodes);
        let start = &corrected * (to / from);
        x = clean.iter().zip(found).fold(start, |x, (d, weight)| x + d * (weight * course.alpha(to)));
    }
    Ok(x)
}

//! The published methods behind names that ComfyUI computes differently: a run with [`RunCompat::Published`] uses these.
//!
//! [`RunCompat::Published`]: crate::math::run::RunCompat::Published

use super::course::Course;
use super::polynomial::{exponential_integrals, weights};
use super::{dpmpp, slopes};
use crate::math::error::sampler::SamplerError;
use crate::math::run::parameterisation::Parameterisation;
use crate::math::sampler::linear::Linear;

/// DPM-Solver++ SDE on one path of noise: the noise of the middle stage carries on to the end of the step, and only the rest is
/// fresh. See
/// [`DpmSde`](crate::math::sampler::DpmSde).
pub fn dpmpp_sde(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, r] = ["eta", "r"].map(|name| course.number(name));
    course.each_step(|course, now, from, to| {
        let middle = course.sigma_between(from, to, r);
        let ([x1, d1, z1], [x2, d2, z2]) =
            (dpmpp::stochastic(course, from, middle, eta), dpmpp::stochastic(course, from, to, eta));
        let noise = course.brownian_noise(1.0, from, middle);
        let then = course.ask(&(&now.x * x1 + &now.d * d1 + &noise * z1), middle)?;
        let share = 1.0 / (2.0 * r);
        let d = &now.d * (1.0 - share) + then.d * share;
        let gone_on = x2 / x1 * z1;
        let fresh = ((z2 - gone_on) * (z2 + gone_on)).max(0.0).sqrt();
        Ok(now.x * x2 + d * d2 + noise * gone_on + course.brownian_noise(fresh, middle, to))
    })
}

/// The posterior of the visited levels (Ho et al. 2020, arXiv 2006.11239, equation 7), computed in the ratio of noise to signal, on a
/// flow too.
pub fn ddpm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.each_step(|course, now, from, to| {
        let [kept, clean, up] = dpmpp::stochastic(course, from, to, 1.0);
        let noise = course.noise() * (up * course.model.noise_scale());
        Ok(now.x * kept + now.d * clean + noise)
    })
}

/// Latent consistency with the boundary condition that makes the network the identity at timestep 0. The clean sample of a model
/// of the parameterisation `LCM` includes it already.
pub fn lcm(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    dpmpp::consistency(course, |course, now, sigma| {
        if course.model.parameterisation() == Parameterisation::Consistency {
            return now.d;
        }
        let [skip, out] = course.model.consistency_boundary(sigma);
        now.x * (skip * course.model.input(sigma)) + now.d * out
    })
}

/// DEIS (Zhang & Chen 2023, arXiv 2204.13902, equation 15) in the logarithm of the ratio of noise to signal, with exact
/// integrals.
pub fn deis(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    let order = course.count("max_order");
    // The predictions of noise, each with half the log SNR of its call, latest first.
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

/// The Adams-Bashforth weights for uneven steps, at every order: `ipndm_v`.
pub fn ipndm_v(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    slopes::integrated(course, "max_order")
}

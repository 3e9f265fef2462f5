//! SEEDS (Gonzalez et al. 2023, arXiv 2305.14267): exponential integrators with one path of noise through all stages of a step.

use super::course::Course;
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// `1 - e^-z`.
fn flat(z: f64) -> f64 {
    -(-z).exp_m1()
}

/// `1 + expm1(-z)/z`.
fn slanted(z: f64) -> f64 {
    1.0 + (-z).exp_m1() / z
}

/// A path of noise through the stages of a step: from 0, an Ornstein-Uhlenbeck process of unit stationary deviation.
struct Path {
    noise: Linear,
    is_on: bool,
}

impl Path {
    fn new(course: &Course<'_>) -> Self {
        let is_on = course.number("eta") > 0.0 && course.number("s_noise") > 0.0;
        Self { noise: Linear::ZERO, is_on }
    }

    /// Continues the path by `h_eta`, the length in half the log SNR times eta, and returns its noise at a sigma.
    fn on(&mut self, course: &mut Course<'_>, h_eta: f64, sigma: f64) -> Linear {
        if !self.is_on {
            return Linear::ZERO;
        }
        self.noise = &self.noise * (-h_eta).exp() + course.step_noise((-(-2.0 * h_eta).exp_m1()).max(0.0).sqrt());
        &self.noise * sigma
    }
}

/// Two stages: `seeds_2`, `exp_heun_2_x0` and `exp_heun_2_x0_sde`.
pub fn seeds_2(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, r] = ["eta", "r"].map(|name| course.number(name));
    course.each_step(|course, now, from, to| {
        let start = course.half_log_snr(from);
        let h = course.half_log_snr(to) - start;
        let h_eta = h * (1.0 + eta);
        let middle = if r == 1.0 { to } else { course.sigma_of(start + r * h) };
        let mut path = Path::new(course);
        let first = &now.x * (middle / from * (-r * h * eta).exp())
            + &now.d * (course.alpha(middle) * flat(r * h_eta))
            + path.on(course, r * h * eta, middle);
        let then = course.ask(&first, middle)?;
        let second = if course.chose("phi_1") { flat(h_eta) / (2.0 * r) } else { slanted(h_eta) / r };
        let alpha = course.alpha(to);
        Ok(now.x * (to / from * (-h * eta).exp())
            + now.d * (alpha * (flat(h_eta) - second))
            + then.d * (alpha * second)
            + path.on(course, (1.0 - r) * h * eta, to))
    })
}

/// Three stages: `seeds_3`.
pub fn seeds_3(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let [eta, r1, r2] = ["eta", "r_1", "r_2"].map(|name| course.number(name));
    course.each_step(|course, now, from, to| {
        let start = course.half_log_snr(from);
        let h = course.half_log_snr(to) - start;
        let h_eta = h * (1.0 + eta);
        let [sigma1, sigma2] = [r1, r2].map(|r| course.sigma_of(start + r * h));
        let kept = |r: f64, sigma: f64| sigma / from * (-r * h * eta).exp();
        let mut path = Path::new(course);
        let first = &now.x * kept(r1, sigma1)
            + &now.d * (course.alpha(sigma1) * flat(r1 * h_eta))
            + path.on(course, r1 * h * eta, sigma1);
        let second = course.ask(&first, sigma1)?;
        let (q2, alpha) = (r2 / r1 * slanted(r2 * h_eta), course.alpha(sigma2));
        let middle = &now.x * kept(r2, sigma2)
            + &now.d * (alpha * (flat(r2 * h_eta) - q2))
            + &second.d * (alpha * q2)
            + path.on(course, (r2 - r1) * h * eta, sigma2);
        let third = course.ask(&middle, sigma2)?;
        let (b3, alpha) = (slanted(h_eta) / r2, course.alpha(to));
        Ok(now.x * kept(1.0, to)
            + now.d * (alpha * (flat(h_eta) - b3))
            + third.d * (alpha * b3)
            + path.on(course, (1.0 - r2) * h * eta, to))
    })
}

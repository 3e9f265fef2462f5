//! Exponential Runge-Kutta methods from their tableaux, and exponential multistep methods (Hochbruck & Ostermann 2010, Exponential
//! integrators, sections 2.3 and 2.5; Zhang et al. 2023, arXiv 2308.02157: RES).
//!
//! **Theory.** In `L = ln(alpha/sigma)` a step `h` is `x' = (sigma'/sigma)*x + alpha'*h*sum_j b_j(h)*D_j` with clean samples
//! `D_j` at the nodes `L + c_j*h`. The weights are combinations of `phi_k(-c*h)`, with `phi_1(z) = (e^z - 1)/z` and
//! `phi_{k+1}(z) = (phi_k(z) - 1/k!)/z`. The weights of a row add up to `c*phi_1(-c*h)`, which gives the first of them.

use super::course::Course;
use super::polynomial::{exponential_integrals, weights};
use crate::math::error::sampler::SamplerError;
use crate::math::sampler::linear::Linear;

/// `factor * phi_2(-at*h)`: a term of a weight.
#[derive(Clone, Copy, Debug)]
pub struct Phi2 {
    pub factor: f64,
    pub at: f64,
}

/// A stage: its node, and the weights of the clean samples from the second on. The last stage is the end of the step, node 1.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    pub node: f64,
    pub weights: &'static [&'static [Phi2]],
}

/// The tableau of a method.
pub type Tableau = &'static [Stage];

const fn stage(node: f64, weights: &'static [&'static [Phi2]]) -> Stage {
    Stage { node, weights }
}

/// RES 2S: second order, node 1/2 (RES4LYF, `res_2s`).
pub const RES_2S: Tableau = &[stage(0.5, &[]), stage(1.0, &[&[Phi2 { factor: 2.0, at: 1.0 }]])];

/// RES 3S: third order, nodes 1/2 and 1 with `gamma = 4` (Hochbruck & Ostermann 2005, eq. 5.9; RES4LYF, `res_3s`).
pub const RES_3S: Tableau = &[
    stage(0.5, &[]),
    stage(1.0, &[&[Phi2 { factor: 2.0, at: 0.5 }, Phi2 { factor: 2.0, at: 1.0 }]]),
    stage(1.0, &[&[Phi2 { factor: 4.0 / 3.0, at: 1.0 }], &[Phi2 { factor: 1.0 / 3.0, at: 1.0 }]]),
];

impl Stage {
    /// `h` times the weights of this stage, the first one included.
    fn weights(&self, h: f64) -> Vec<f64> {
        let rest = self.weights.iter().map(|terms| {
            let value = |term: &Phi2| {
                // h*phi_2(-z) = M_1(z)/at with z = at*h
                let integrals = exponential_integrals(term.at * h, 2);
                term.factor * integrals.get(1).copied().unwrap_or(f64::NAN) / term.at
            };
            terms.iter().map(value).sum::<f64>()
        });
        let rest: Vec<f64> = rest.collect();
        let all = -(-self.node * h).exp_m1();
        [vec![all - rest.iter().sum::<f64>()], rest].concat()
    }
}

/// Takes every step of the grid by the stages of a tableau.
fn staged(course: &mut Course<'_>, tableau: Tableau) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    course.each_step(|course, now, from, to| {
        let start = course.half_log_snr(from);
        let h = course.half_log_snr(to) - start;
        let (mut x, mut clean) = (Linear::ZERO, vec![now.d]);
        for (k, stage) in tableau.iter().enumerate() {
            let is_end = k + 1 == tableau.len();
            let sigma = if stage.node == 1.0 { to } else { course.sigma_of(start + stage.node * h) };
            x = &now.x * (sigma / from);
            for (d, weight) in clean.iter().zip(stage.weights(h)) {
                x = x + d * (course.alpha(sigma) * weight);
            }
            if !is_end {
                clean.push(course.ask(&x, sigma)?.d);
            }
        }
        Ok(x)
    })
}

/// `res_2s`.
pub fn res_2s(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    staged(course, RES_2S)
}

/// `res_3s`.
pub fn res_3s(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    staged(course, RES_3S)
}

/// A multistep method: the polynomial through the clean samples of the last calls, integrated exactly.
fn multistep(course: &mut Course<'_>, order: usize) -> Result<Linear, SamplerError> {
    course.leave_pure_noise();
    let (mut clean, mut places): (Vec<Linear>, Vec<f64>) = (Vec::new(), Vec::new());
    course.each_step(|course, now, from, to| {
        let start = course.half_log_snr(from);
        let h = course.half_log_snr(to) - start;
        clean.insert(0, now.d);
        places.insert(0, start);
        clean.truncate(order);
        places.truncate(order);
        let nodes: Vec<f64> = places.iter().map(|place| (place - start) / h).collect();
        let mut x = now.x * (to / from);
        for (d, weight) in clean.iter().zip(weights(&nodes, &exponential_integrals(h, nodes.len()))) {
            x = x + d * (course.alpha(to) * weight);
        }
        Ok(x)
    })
}

/// `res_2m`.
pub fn res_2m(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep(course, 2)
}

/// `res_3m`.
pub fn res_3m(course: &mut Course<'_>) -> Result<Linear, SamplerError> {
    multistep(course, 3)
}

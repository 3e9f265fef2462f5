//! Temporal score rescaling: a rectified flow sampled at a lower temperature, as RFD4-Proteina samples proteins.
//!
//! **Theory.** Let `t` be the share of the data, 1 at the clean sample. The score `S = (t*v - x)/(1 - t)` is scaled by
//! ```text
//! q = (snr*s^2 + 1)/(snr*s^2/k + 1)        snr = t^2/(1 - t)^2
//! ```
//! as if the data, of standard deviation `s`, had been sampled at the temperature `1/k`. The velocity of the scaled score is
//! `v' = q*v + (1 - q)*x/t`. In a given range of times a step draws noise:
//! ```text
//! x' = x + (v' + g*q*S)*dt + sqrt(2*g*dt)*z        g = (noise schedule)/q^2
//! ```
//! Outside that range it is `x' = x + v'*dt`. With `k = 1` and no noise it is Euler's method.
//!
//! **Practice.** Protein backbones and their latents are two samples, each with its own parameters.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Scale, Step};
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use std::f64::consts::FRAC_PI_2;

/// The noise of a step as a function of the time `t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoiseCourse {
    /// `1/(t + 0.01)`.
    #[default]
    Reciprocal,
    /// `pi/2*sin(a)/(cos(a) + 0.01)` with `a = (1 - t)*pi/2`.
    Tangent,
}

/// The number that keeps the denominators of both courses above 0.
const SOFTENED: f64 = 1e-2;

/// The largest time at which a course is evaluated.
const LAST_TIME: f64 = 1.0 - 1e-5;

impl NoiseCourse {
    fn at(self, time: f64) -> f64 {
        let time = time.clamp(0.0, LAST_TIME);
        match self {
            Self::Reciprocal => 1.0 / (time + SOFTENED),
            Self::Tangent => {
                let angle = (1.0 - time) * FRAC_PI_2;
                FRAC_PI_2 * angle.sin() / (angle.cos() + SOFTENED)
            }
        }
    }
}

/// The solver of a rectified flow at a lower temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRescaling {
    /// The inverse temperature `k` (`tsr_k`), above 0; 1 is that of the data.
    pub inverse_temperature: f64,
    /// The standard deviation `s` of the data (`tsr_sigma`), at least 0. It decides how early the temperature takes effect.
    pub deviation: f64,
    /// The noise that steps draw.
    pub noise: NoiseCourse,
    /// The range of times `t`, both ends included, in which steps draw noise: 0 is pure noise, 1 clean.
    pub stochastic: [f64; 2],
    /// diffusers also draws noise in the step to the clean sample if that starts in the range.
    pub compat: Compat,
}

impl Default for ScoreRescaling {
    /// The temperature of the data, with the noise of RFD4-Proteina.
    fn default() -> Self {
        Self {
            inverse_temperature: 1.0,
            deviation: 1.0,
            noise: NoiseCourse::Reciprocal,
            stochastic: [0.02, 0.95],
            compat: Compat::Published,
        }
    }
}

impl ScoreRescaling {
    /// `q`, and `(1 - q)/t`.
    fn ratio(&self, level: [f64; 2]) -> [f64; 2] {
        let [time, sigma] = level;
        let spread = (time * self.deviation).powi(2);
        let whole = spread / self.inverse_temperature + sigma * sigma;
        let lost = (1.0 / self.inverse_temperature - 1.0) * (time * self.deviation * self.deviation) / whole;
        [(spread + sigma * sigma) / whole, lost]
    }

    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        Transition::of(step).check_cleaner(k, "temporal score rescaling")?;
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let (time, sigma) = (step.from.alpha(), step.from.sigma());
        let dt = step.from.sigma() - step.to.sigma();
        let [ratio, lost] = self.ratio([time, sigma]);
        // The velocity is (x0 - x)/sigma, and the score (t*v - x)/sigma.
        let (mut of_x, mut of_v) = (1.0 + lost * dt, ratio * dt);
        let last = step.to.sigma() == 0.0 && self.compat == Compat::Published;
        if (self.stochastic[0]..=self.stochastic[1]).contains(&time) && !last {
            let noise = self.noise.at(time) / (ratio * ratio);
            let score = noise * ratio * dt / sigma;
            (of_x, of_v) = (of_x - score, of_v + score * time);
            call.row.z = (2.0 * noise * dt).sqrt();
        }
        (call.row.x, call.row.clean) = (of_x - of_v / sigma, of_v / sigma);
        Ok(call)
    }
}

impl Solver for ScoreRescaling {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        if grid.scale() != Scale::Flow {
            let (solver, what) = ("temporal score rescaling", "visit levels other than a rectified flow's");
            return Err(SamplerError::Unsupported { solver, what, step: 0 });
        }
        check::positive("the inverse temperature", self.inverse_temperature)?;
        check::not_negative("the deviation of the data", self.deviation)?;
        self.stochastic.iter().try_for_each(|&time| check::not_nan("an end of the range of times with noise", time))?;
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }
}

//! SA-Solver: a stochastic Adams predictor and corrector with one network call per step.
//!
//! **Theory.** Xue et al. 2023 (arXiv 2309.05019). The amount `tau(t)` of noise that a step adds can be chosen freely for each
//! step; with `k = 1 + tau^2` the solution is that of DPM-Solver++'s SDE with `eta = tau^2` (equation 7):
//! ```text
//! x' = sigma'/sigma*exp(-tau^2*h)*x + alpha'*sum_i M_i(k*h)*D_i + sigma'*sqrt(1 - exp(-2*tau^2*h))*z
//! ```
//! `D_i` are the coefficients of the polynomial through the last x0 (algorithm 1; see [`multistep`](super::multistep)). The
//! corrector repeats the step with the new x0 among them, from the sample before the predictor and with the same noise. So
//! the corrected sample `c` is the predicted one plus multiples of x0,
//! ```text
//! c = x + sum_j (C_j - P_j)*x0_j
//! ```
//! and no noise needs to be kept: as in [`UniPc`](super::UniPc), the weights of `C - P` are added to the next row. In epsilon the step
//! is `alpha'/alpha*x + k*sigma'*sum_i M_i(-h)*D_i + tau*sigma'*sqrt(exp(2h) - 1)*z`.
//!
//! With two x0 the authors' code replaces the integral of the slope by `k*h/2`, which leaves the order as it is.
//!
//! **Practice.** [`Tau`] says which steps add noise. The first steps are of lower order, and the last ones too unless
//! `lower_order_final` is off.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::multistep::{Form, MOST_NODES, integrals, nodes, weights};
use super::solver::{Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;

/// The range of times in which noise is added, both ends included.
const NOISY: [f64; 2] = [0.2, 0.8];

/// The number of timesteps that corresponds to time 1.
const TIMESTEPS: f64 = 1000.0;

/// The most values that a correction involves: the new one and those of the predictor.
const MOST_CORRECTED: usize = MOST_NODES + 1;

/// SA-Solver, a stochastic Adams method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SaSolver {
    /// The number of x0 that the predictor uses, 1 to 4.
    pub predictor: usize,
    /// The number of x0 that the corrector uses, the new one among them, 1 to 4; 0 for no corrector.
    pub corrector: usize,
    /// Whether the solver works in x0 (`data_prediction`) or in epsilon (`noise_prediction`).
    pub form: Form,
    /// The noise that is added: 0 for the ODE, 1 for the posterior's noise; larger values add more.
    pub tau: Tau,
    /// The orders fall towards the last step.
    pub lower_order_final: bool,
}

/// The noise that SA-Solver adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tau {
    /// In every step.
    Everywhere(f64),
    /// In steps that start at timesteps 200 to 800, as in the authors' code and diffusers; for networks with 1000 timesteps.
    AtTimesteps(f64),
    /// In steps that start where `sigma/(alpha + sigma)`, the time of a flow, is 0.2 to 0.8.
    AtTimes(f64),
}

impl Tau {
    /// The square of `tau` in a step.
    fn squared(self, step: &Step) -> f64 {
        let (tau, time) = match self {
            Self::Everywhere(tau) => return tau * tau,
            Self::AtTimesteps(tau) => (tau, step.timestep / TIMESTEPS),
            Self::AtTimes(tau) => (tau, step.from.sigma() / (step.from.alpha() + step.from.sigma())),
        };
        if (NOISY[0]..=NOISY[1]).contains(&time) { tau * tau } else { 0.0 }
    }

    const fn value(self) -> f64 {
        match self {
            Self::Everywhere(tau) | Self::AtTimesteps(tau) | Self::AtTimes(tau) => tau,
        }
    }
}

impl SaSolver {
    /// Creates the solver with diffusers' defaults and the noise of the authors' code, [`Tau::AtTimesteps`]`(1.0)`.
    #[must_use]
    pub const fn new(predictor: usize, corrector: usize) -> Self {
        Self { predictor, corrector, form: Form::X0, tau: Tau::AtTimesteps(1.0), lower_order_final: true }
    }

    /// The weights of the values at `nodes` over a step.
    fn weights(&self, nodes: &[f64], step: &Step) -> [f64; MOST_NODES] {
        let (form, tau_squared) = (self.form, self.tau.squared(step));
        let k = 1.0 + tau_squared;
        match form {
            Form::X0 if tau_squared == 0.0 => form.weights(step, nodes, &Self::integrals(nodes, form.h(step))),
            Form::X0 => {
                let found = weights(nodes, &Self::integrals(nodes, k * form.h(step)));
                found.map(|weight| weight * form.scale(step))
            }
            Form::Epsilon => form.weights(step, nodes, &integrals(form.h(step))).map(|weight| k * weight),
        }
    }

    fn integrals(nodes: &[f64], h: f64) -> [f64; MOST_NODES] {
        let mut m = integrals(h);
        if nodes.len() == 2 {
            m[1] = 0.5 * h;
        }
        m
    }

    /// The positions of the last values that the predictor of step `k` uses.
    fn nodes(&self, steps: &[Step], k: usize) -> Vec<f64> {
        let most = if self.lower_order_final { self.predictor.min(steps.len() - k) } else { self.predictor };
        nodes(steps, k, most)
    }

    /// The weights of the last values in the predictor of step `k`, newest first.
    fn predictor(&self, steps: &[Step], k: usize) -> [f64; MOST_NODES] {
        self.weights(&self.nodes(steps, k), &steps[k])
    }

    /// The weights that the corrector of step `k - 1` adds to the sample of call `k`, newest first: `C - P`.
    fn correction(&self, steps: &[Step], k: usize) -> [f64; MOST_CORRECTED] {
        let possible = |before: &usize| self.corrector > 0 && self.form.h(&steps[*before]).is_finite();
        let Some(before) = k.checked_sub(1).filter(possible) else {
            return [0.0; MOST_CORRECTED];
        };
        let left = steps.len() - before + 1;
        let most = if self.lower_order_final { self.corrector.min(left) } else { self.corrector };
        let earlier = nodes(steps, before, most - 1);
        let places: Vec<f64> = std::iter::once(1.0).chain(earlier).take(most).collect();
        let [new, c0, c1, c2] = self.weights(&places, &steps[before]);
        let [p0, p1, p2, p3] = self.predictor(steps, before);
        [new, c0 - p0, c1 - p1, c2 - p2, 0.0 - p3]
    }

    fn call(&self, k: usize, steps: &[Step], denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let step = &steps[k];
        let (move_, tau_squared) = (Transition::of(step), self.tau.squared(step));
        if tau_squared > 0.0 {
            move_.check_cleaner(k, "SA-Solver with noise")?;
        }
        let mut call = Call::begin(k, step, denoiser, self.form.quantity())?;
        let row = &mut call.row;
        row.x = self.form.ratio(step);
        if tau_squared > 0.0 {
            let h = move_.h();
            (row.x, row.z) = match self.form {
                Form::X0 => {
                    let lost = -(-2.0 * tau_squared * h).exp_m1();
                    (row.x * move_.kept().powf(tau_squared), step.to.sigma() * lost.sqrt())
                }
                Form::Epsilon => (row.x, step.to.sigma() * (tau_squared * (2.0 * h).exp_m1()).sqrt()),
            };
        }
        let (predictor, correction) = (self.predictor(steps, k), self.correction(steps, k));
        let own = |j: usize| predictor.get(j).copied().unwrap_or(0.0);
        let weight = |j: usize| row.x.mul_add(correction[j], own(j));
        row.clean = weight(0);
        *row = row.looking_back(&[weight(1), weight(2), weight(3), weight(4)]);
        Ok(call)
    }

    fn check(&self, grid: &Grid) -> Result<(), SamplerError> {
        let orders = if self.corrector == 0 { vec![self.predictor] } else { vec![self.predictor, self.corrector] };
        if let Some(&found) = orders.iter().find(|order| !(1..=MOST_NODES).contains(*order)) {
            return Err(SamplerError::Order { solver: "SA-Solver", most: MOST_NODES, found });
        }
        check::not_negative("tau", self.tau.value())?;
        let joined = grid.steps().windows(2).position(|pair| pair[0].to != pair[1].from);
        match joined {
            Some(step) => {
                let (solver, what) = ("SA-Solver", "start a step where the last one did not end");
                Err(SamplerError::Unsupported { solver, what, step: step + 1 })
            }
            None => Ok(()),
        }
    }
}

impl Solver for SaSolver {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        self.check(grid)?;
        let calls = (0..grid.len()).map(|k| self.call(k, grid.steps(), denoiser)).collect::<Result<Vec<_>, _>>()?;
        Ok(Solution { keeps: self.form.quantity(), ..calls.into() })
    }
}

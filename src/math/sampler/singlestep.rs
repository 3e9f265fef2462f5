//! Singlestep DPM-Solver: groups of calls that start from one sample.
//!
//! **Theory.** DPM-Solver-2 and -3 and their data-prediction forms (Lu et al. 2022, arXiv 2206.00927, algorithms 1 and 2, and
//! arXiv 2211.01095): the first call of a group leads to the next level by a first-order step, the second from the same
//! sample to the level after that by a second-order step, the third by a third-order one. With the values `D_i` of the
//! group's calls, each leads from the group's sample `x` to
//! ```text
//! x_k = r_k*x + sum_i b_ki*D_i + n_k*z_k
//! ```
//! with the weights of [`multistep`](super::multistep). A call is made at the `x_{k-1}` of the call before, from which `x` follows:
//! ```text
//! x_k = q*x_{k-1} + sum_i (b_ki - q*b_{k-1,i})*D_i + n_k*z_k - q*n_{k-1}*z_{k-1}        q = r_k/r_{k-1}
//! ```
//!
//! **Practice.** A step of the grid is one call. The last step is of first order if it leads to a clean sample. A group that
//! starts at pure noise, from where other calls are infinitely far away, ends after its first call. With `eta` above 0, the
//! noises of a group lie on one Brownian path, and every call draws only the new part; diffusers draws each `z_k` anew.

use super::call::Call;
use super::denoiser::Denoiser;
use super::dpm::DpmKind;
use super::grid::{Grid, Step};
use super::multistep::{Form, MOST_NODES, check_order, integrals, weights};
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;

/// The amount by which a third-order coefficient of diffusers' stochastic solver is too low.
const TOO_LOW: f64 = 2.0;

/// Singlestep DPM-Solver++.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Singlestep {
    /// The order, 1 to 3: the largest number of calls in a group.
    pub order: usize,
    /// The integration rule. The published third order ([`DpmKind::Midpoint`]) leaves out the second call of the group, which
    /// keeps the order where the calls are evenly spaced in lambda; the other kinds integrate the polynomial through all calls.
    pub kind: DpmKind,
    /// Whether the solver works in x0 (DPM-Solver++) or in epsilon (DPM-Solver), which has no stochastic variant.
    pub form: Form,
    /// The share of noise, in `0..=1`: 0 for the ODE, 1 for the SDE (`sde-dpmsolver++`).
    pub eta: f64,
    /// The factor of fresh noise, usually 1.
    pub noise_scale: f64,
    /// The last step is of first order where the number of steps is a multiple of the order.
    pub lower_order_final: bool,
    /// diffusers draws the noise of each call of a group anew, and a coefficient of its third-order SDE is too low by 2. It
    /// counts groups from the start of the whole run, of which the grid may be a part.
    pub compat: Compat,
}

/// The coefficients of a call's result in terms of the sample at which its group starts.
struct Reach {
    x: f64,
    /// The coefficients of the group's values, the earliest first.
    values: Vec<f64>,
    z: f64,
}

impl Singlestep {
    /// Creates the ODE solver.
    #[must_use]
    pub const fn new(order: usize) -> Self {
        Self {
            order,
            kind: DpmKind::Midpoint,
            form: Form::X0,
            eta: 0.0,
            noise_scale: 1.0,
            lower_order_final: true,
            compat: Compat::Published,
        }
    }

    /// Returns true if a group begins with step `k`. diffusers counts the groups of the whole run, of which the grid may be a
    /// part.
    fn begins(&self, k: usize, grid: &Grid) -> bool {
        let (place, steps) = if self.compat == Compat::Diffusers { grid.place(k) } else { (k, grid.len()) };
        let last = place + 1 == steps;
        let even = self.lower_order_final && steps.is_multiple_of(self.order);
        place % self.order == 0 || (last && even) || grid.steps()[k].to.sigma() == 0.0
    }

    /// The coefficients that lead from the sample of call `start` to the end of step `k`; `None` where another call of the
    /// group is infinitely far away.
    fn reach(&self, steps: &[Step], start: usize, k: usize) -> Option<Reach> {
        let span = Step { from: steps[start].from, ..steps[k] };
        let move_ = Transition::of(&span);
        let node = |i: usize| Transition { from: span.from, to: steps[i].from }.h() / move_.h();
        let nodes: Vec<f64> = (start..=k).map(|i| if i == start { 0.0 } else { node(i) }).collect();
        let apart = nodes.windows(2).all(|pair| pair[0] < pair[1] && pair[1].is_finite());
        if k > start && !(move_.h().is_finite() && apart) {
            return None;
        }
        let (x, z) = (self.form.ratio(&span), 0.0);
        if self.eta == 0.0 {
            let values = self.values(&nodes, self.form.h(&span), |nodes, m| self.form.weights(&span, nodes, m));
            return Some(Reach { x, values, z });
        }
        let scale = span.to.alpha();
        let values = self.values(&nodes, (1.0 + self.eta) * move_.h(), |nodes, m| weights(nodes, m).map(|w| w * scale));
        Some(Reach { x: x * move_.kept().powf(self.eta), values, z: self.noise(&span) })
    }

    /// The standard deviation of the noise that the stochastic differential equation adds in a step.
    fn noise(&self, step: &Step) -> f64 {
        let h = Transition::of(step).h();
        step.to.sigma() * (-(-2.0 * self.eta * h).exp_m1()).sqrt() * self.noise_scale
    }

    /// The coefficients of the values at all nodes, from the integrals that this kind uses.
    fn values(
        &self,
        nodes: &[f64],
        h: f64,
        weights: impl Fn(&[f64], &[f64; MOST_NODES]) -> [f64; MOST_NODES],
    ) -> Vec<f64> {
        let mut m = integrals(h);
        match (self.kind, nodes) {
            (DpmKind::Midpoint, [_, _]) => m[1] = 0.5 * m[0],
            (DpmKind::Midpoint, &[first, _, last]) => {
                let [of_first, of_last, ..] = weights(&[first, last], &m);
                return vec![of_first, 0.0, of_last];
            }
            (_, [_, _, _]) if self.compat == Compat::Diffusers && self.eta > 0.0 => m[2] -= TOO_LOW,
            _ => {}
        }
        weights(nodes, &m)[..nodes.len()].to_vec()
    }

    /// The call of step `k`, whose group starts at step `start`; `None` where the group cannot reach so far.
    fn call(&self, k: usize, start: usize, grid: &Grid, denoiser: &Denoiser) -> Result<Option<Call>, SamplerError> {
        let steps = grid.steps();
        if self.eta > 0.0 {
            Transition::of(&steps[k]).check_cleaner(k, "a stochastic DPM-Solver++")?;
        }
        let Some(reach) = self.reach(steps, start, k) else { return Ok(None) };
        let mut call = Call::begin(k, &steps[k], denoiser, self.form.quantity())?;
        let row = &mut call.row;
        let newest = k - start;
        (row.x, row.clean, row.z) = (reach.x, reach.values[newest], reach.z);
        if k > start {
            let Some(before) = self.reach(steps, start, k - 1) else { return Ok(None) };
            let again = reach.x / before.x;
            let earlier = |back: usize| reach.values[newest - back] - again * before.values[newest - back];
            let history: Vec<f64> = (1..=newest).map(earlier).collect();
            row.x = again;
            *row = row.looking_back(&history);
            if self.eta > 0.0 && self.compat == Compat::Published {
                row.z = self.noise(&steps[k]);
            } else if self.eta > 0.0 {
                row.second_z = (-again * before.z, (k - 1) as u32);
            }
        }
        Ok(Some(call))
    }
}

impl Solver for Singlestep {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check_order("DPM-Solver++", self.order)?;
        check::fraction("eta", self.eta)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        if self.form == Form::Epsilon && self.eta > 0.0 {
            let (solver, what) = ("DPM-Solver in epsilon", "draw noise");
            return Err(SamplerError::Unsupported { solver, what, step: 0 });
        }
        let (mut calls, mut start) = (Vec::new(), 0);
        for k in 0..grid.len() {
            if self.begins(k, grid) {
                start = k;
            }
            let call = match self.call(k, start, grid, denoiser)? {
                Some(call) => Some(call),
                None => {
                    start = k;
                    self.call(k, k, grid, denoiser)?
                }
            };
            calls.extend(call);
        }
        Ok(Solution { keeps: self.form.quantity(), ..calls.into() })
    }
}

//! DPM-Solver++: multistep in x0, as an ODE or an SDE.
//!
//! **Theory.** Lu et al. 2022 (arXiv 2211.01095, algorithm 2 and appendix B) for the ODE; k-diffusion's `2m_sde` and
//! `3m_sde` for the SDE with any `eta`, where the clean sample is approached `1 + eta` times as fast and noise is replaced:
//! ```text
//! x' = sigma'/sigma*exp(-eta*h)*x + alpha'*sum_i M_i((1 + eta)*h)*D_i + sigma'*sqrt(1 - exp(-2*eta*h))*z
//! ```
//! `D_i` are the coefficients of the polynomial through the last x0 (see [`multistep`](super::multistep)), `D_0` the
//! newest. The published solvers replace some `M_i` by simpler numbers, which keeps the order at orders 1 and 2. At order
//! 3 they take half of `M_2`, which reduces the solver to second order with a small error; [`DpmKind::Exact`] is of third
//! order.
//!
//! **Practice.** The first steps use the x0 available by then. A step to a clean sample is always of first order (its
//! `h` is infinite), and a call made at pure noise is not used later (it is infinitely far away).

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::Grid;
use super::multistep::{FEW_STEPS, Form, MOST_NODES, check_order, integrals, nodes, weights};
use super::solver::{Compat, Solution, Solver};
use super::transition::Transition;
use crate::math::check;
use crate::math::error::sampler::SamplerError;

/// The rule that integrates the polynomial through the last x0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DpmKind {
    /// Second order by the midpoint rule, `M_1 = M_0/2`; third order as published.
    #[default]
    Midpoint,
    /// Second order with the exact `M_1`; third order as published.
    Heun,
    /// Every order with exact integrals: the exponential Adams-Bashforth method.
    Exact,
}

/// DPM-Solver++.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DpmSolver {
    /// The number of x0 that a step uses, 1 to 3: `1`, `2M` and `3M`.
    pub order: usize,
    /// The integration rule.
    pub kind: DpmKind,
    /// Whether the solver works in x0 (DPM-Solver++) or in epsilon (DPM-Solver, `dpmsolver` of diffusers), which has no stochastic
    /// variant here.
    pub form: Form,
    /// The share of noise, in `0..=1`: 0 for the ODE, 1 for the SDE (`sde-dpmsolver++`).
    pub eta: f64,
    /// The factor of fresh noise (`s_noise` of k-diffusion), usually 1.
    pub noise_scale: f64,
    /// With fewer than 15 steps, the last step is of first order and the one before of second order at most. A last step to the clean
    /// sample is of first order in any case.
    pub lower_order_final: bool,
    /// The last step is of first order.
    pub euler_at_final: bool,
    /// The third-order SDE of diffusers has a coefficient that is 1 too low, which reduces it to first order.
    pub compat: Compat,
}

impl DpmSolver {
    /// Creates the ODE solver with diffusers' defaults.
    #[must_use]
    pub const fn new(order: usize) -> Self {
        Self {
            order,
            kind: DpmKind::Midpoint,
            form: Form::X0,
            eta: 0.0,
            noise_scale: 1.0,
            lower_order_final: true,
            euler_at_final: false,
            compat: Compat::Published,
        }
    }

    /// Creates the SDE solver with diffusers' defaults.
    #[must_use]
    pub const fn sde(order: usize) -> Self {
        Self { eta: 1.0, ..Self::new(order) }
    }

    /// The order of step `k` if all x0 can be used. diffusers counts the steps of the whole run, of which the grid may be a part.
    fn order_at(&self, k: usize, grid: &Grid) -> usize {
        let (place, steps) = if self.compat == Compat::Diffusers { grid.place(k) } else { (k, grid.len()) };
        let few = self.lower_order_final && steps < FEW_STEPS;
        let most = match steps - place {
            1 if few || self.euler_at_final => 1,
            2 if few => 2,
            _ => self.order,
        };
        most.min(self.order).min(k + 1)
    }

    /// The integrals that this kind uses.
    fn integrals(&self, order: usize, h: f64) -> [f64; MOST_NODES] {
        let mut m = integrals(h);
        match (self.kind, order) {
            (DpmKind::Midpoint, 2) => m[1] = 0.5 * m[0],
            (DpmKind::Midpoint | DpmKind::Heun, 3) => {
                m[2] *= 0.5;
                if self.compat == Compat::Diffusers && self.eta > 0.0 {
                    m[2] -= 1.0;
                }
            }
            _ => {}
        }
        m
    }

    fn call(&self, k: usize, grid: &Grid, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let (steps, form) = (grid.steps(), self.form);
        let step = &steps[k];
        let nodes = nodes(steps, k, self.order_at(k, grid));
        let mut call = Call::begin(k, step, denoiser, form.quantity())?;
        let row = &mut call.row;
        row.x = form.ratio(step);
        if self.eta == 0.0 {
            let [m0, h1, h2, _] = form.weights(step, &nodes, &self.integrals(nodes.len(), form.h(step)));
            row.clean = m0;
            *row = row.looking_back(&[h1, h2]);
        } else {
            let (move_, scale) = (Transition::of(step), step.to.alpha());
            move_.check_cleaner(k, "a stochastic DPM-Solver++")?;
            let h = (1.0 + self.eta) * move_.h();
            let [m0, h1, h2, _] = weights(&nodes, &self.integrals(nodes.len(), h)).map(|weight| weight * scale);
            row.clean = m0;
            *row = row.looking_back(&[h1, h2]);
            row.x *= move_.kept().powf(self.eta);
            row.z = step.to.sigma() * (-(-2.0 * self.eta * move_.h()).exp_m1()).sqrt() * self.noise_scale;
        }
        Ok(call)
    }
}

impl Solver for DpmSolver {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check_order("DPM-Solver++", self.order)?;
        check::fraction("eta", self.eta)?;
        check::not_negative("the scale of the noise", self.noise_scale)?;
        if self.form == Form::Epsilon && self.eta > 0.0 {
            let (solver, what) = ("DPM-Solver in epsilon", "draw noise");
            return Err(SamplerError::Unsupported { solver, what, step: 0 });
        }
        let calls = (0..grid.len()).map(|k| self.call(k, grid, denoiser)).collect::<Result<Vec<_>, _>>()?;
        Ok(Solution { keeps: self.form.quantity(), ..calls.into() })
    }
}

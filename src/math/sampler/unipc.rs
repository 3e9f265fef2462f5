//! UniPC: a multistep predictor, and a corrector that needs no further network calls.
//!
//! **Theory.** Zhao et al. 2023 (arXiv 2302.04867, algorithms 5 to 8). The predictor is DPM-Solver++'s polynomial through
//! the last x0. After the call at the predicted sample, the corrector takes the same step again with that
//! output as one more node, and the next step starts from the corrected sample. With `s` for corrected samples, `P` and
//! `C` for the weights of predictor and corrector:
//! ```text
//! x_k     = A*s_{k-1} + sum_j P_j m_{k-1-j}             m the x0 of a call
//! s_k     = A*s_{k-1} + C_new m_k + sum_j C_j m_{k-1-j}
//!         = x_k       + C_new m_k + sum_j (C_j - P_j) m_{k-1-j}
//! ```
//! So the corrected sample is a linear combination of the current one and known x0: no second sample is kept, and a step
//! is one row with a history of three. The paper's linear system is the condition that a polynomial is integrated
//! exactly, which [`multistep`](super::multistep) does in closed form. Its `B(h)` remains where the paper replaces the
//! solution by 1/2: in the predictor of order 2 and the corrector of order 1.
//!
//! **Practice.** As for DPM-Solver++, a step to a clean sample is of first order, and calls at pure noise are not used
//! later; a step from pure noise is exact and is not corrected.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Step};
use super::multistep::{Form, MOST_NODES, check_order, integrals, nodes};
use super::solver::{Solution, Solver};
use crate::math::error::sampler::SamplerError;

/// The function `B(h)` of the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UniPcKind {
    /// `B(h) = h`, for few steps of unconditional models.
    Bh1,
    /// `B(h) = exp(h) - 1`.
    #[default]
    Bh2,
}

/// The steps that are corrected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Corrector {
    /// All except the last, after which the network is not called.
    #[default]
    On,
    /// None: UniP.
    Off,
    /// All except these, counted from 0 (`disable_corrector` of diffusers), and the last.
    Except(Vec<usize>),
}

/// UniPC, a multistep predictor and corrector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UniPc {
    /// The number of x0 that the predictor uses, 1 to 3; the corrector uses one more.
    pub order: usize,
    /// The function `B(h)`.
    pub kind: UniPcKind,
    /// Whether the solver works in x0 or in epsilon (`predict_x0 = false` of diffusers).
    pub form: Form,
    /// The steps that are corrected.
    pub corrector: Corrector,
    /// The order falls to 1 towards the last step.
    pub lower_order_final: bool,
}

impl UniPc {
    /// Creates the solver with diffusers' defaults.
    #[must_use]
    pub const fn new(order: usize) -> Self {
        Self { order, kind: UniPcKind::Bh2, form: Form::X0, corrector: Corrector::On, lower_order_final: true }
    }

    fn corrects(&self, k: usize) -> bool {
        match &self.corrector {
            Corrector::On => true,
            Corrector::Off => false,
            Corrector::Except(steps) => !steps.contains(&k),
        }
    }

    fn nodes(&self, steps: &[Step], k: usize) -> Vec<f64> {
        let most = if self.lower_order_final { self.order.min(steps.len() - k) } else { self.order };
        nodes(steps, k, most)
    }

    /// The weights of the values at `nodes` over a step, with the paper's 1/2 where there are two.
    fn weights(&self, nodes: &[f64], step: &Step) -> [f64; MOST_NODES] {
        let h = self.form.h(step);
        let mut m = integrals(h);
        if nodes.len() == 2 {
            m[1] = match self.kind {
                UniPcKind::Bh1 => 0.5 * h,
                UniPcKind::Bh2 => 0.5 * m[0],
            };
        }
        self.form.weights(step, nodes, &m)
    }

    /// The weights of the last x0 in the predictor of step `k`, newest first.
    fn predictor(&self, steps: &[Step], k: usize) -> [f64; MOST_NODES] {
        self.weights(&self.nodes(steps, k), &steps[k])
    }

    /// The weights of the x0 that the corrector of step `k - 1` adds to the sample of call `k`, newest first: `C - P`.
    fn correction(&self, steps: &[Step], k: usize) -> [f64; MOST_NODES] {
        let possible = |before: &usize| self.corrects(*before) && self.form.h(&steps[*before]).is_finite();
        let Some(before) = k.checked_sub(1).filter(possible) else {
            return [0.0; MOST_NODES];
        };
        let nodes: Vec<f64> = std::iter::once(1.0).chain(self.nodes(steps, before)).collect();
        let [new, c0, c1, c2] = self.weights(&nodes, &steps[before]);
        let [p0, p1, p2, _] = self.predictor(steps, before);
        [new, c0 - p0, c1 - p1, c2 - p2]
    }

    fn call(&self, k: usize, steps: &[Step], denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let mut call = Call::begin(k, &steps[k], denoiser, self.form.quantity())?;
        let row = &mut call.row;
        row.x = self.form.ratio(&steps[k]);
        let (predictor, correction) = (self.predictor(steps, k), self.correction(steps, k));
        let weight = |j: usize| row.x.mul_add(correction[j], predictor[j]);
        row.clean = weight(0);
        *row = row.looking_back(&[weight(1), weight(2), weight(3)]);
        Ok(call)
    }
}

impl Solver for UniPc {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        check_order("UniPC", self.order)?;
        let joined = grid.steps().windows(2).position(|pair| pair[0].to != pair[1].from);
        if let Some(step) = joined {
            let (solver, what) = ("UniPC", "start a step where the last one did not end");
            return Err(SamplerError::Unsupported { solver, what, step: step + 1 });
        }
        let calls = (0..grid.len()).map(|k| self.call(k, grid.steps(), denoiser)).collect::<Result<Vec<_>, _>>()?;
        Ok(Solution { keeps: self.form.quantity(), ..calls.into() })
    }
}

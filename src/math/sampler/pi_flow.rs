//! pi-Flow: a network whose output in one call is a policy for the whole step.
//!
//! **Theory.** The network answers with `n` velocities `p_j`. Their clean samples `x - sigma*p_j` belong to evenly spaced raw times
//! (times before the shift) over the step, `j = 0` to its end (Chen et al. 2025, arXiv 2510.14974, section 3.2, "DX"). The
//! policy interpolates them linearly, and Euler's method with small sub-steps integrates it without another call:
//! ```text
//! x <- x + (x - D(t))/sigma * (sigma' - sigma)        D(t) = sum of hat functions times x_0 - sigma_0*p_j
//! ```
//! Every sub-step is linear and its weights of `D` sum to 1, so the whole step is `x' = x + sum w_j*p_j`, where the coefficient
//! of `x` is exactly 1.
//!
//! **Practice.** The weights are the [`slices`](StepRow::slices) of a row: one pass over the prediction replaces about a hundred.

use super::call::Call;
use super::denoiser::Denoiser;
use super::grid::{Grid, Scale, Step};
use super::solver::{Solution, Solver};
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;
use crate::table::step::SLICES;

/// The solver of pi-Flow on a rectified flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PiFlow {
    /// The number of velocities in a prediction, 2 to [`StepRow::SLICES`](crate::table::StepRow::SLICES).
    pub slices: usize,
    /// The shift of the training times; the policy's raw time is the time without it.
    pub shift: f64,
    /// The sub-steps per unit of raw time, 1 to 1,000,000. A step has its share of them, rounded, and at least one.
    pub substeps: usize,
    /// The size of the last step in raw time, relative to that of the others; above 0 and at most 1. It places the levels of
    /// the catalogue's sampler; the solver itself does not read it.
    pub last_step: f64,
    /// The raw time at which a step to the clean sample ends, and the least sigma in a denominator; above 0 and at most 1.
    pub least_time: f64,
}

impl Default for PiFlow {
    /// Kandinsky 6's distilled models.
    fn default() -> Self {
        Self { slices: 10, shift: 5.0, substeps: 128, last_step: 0.5, least_time: 1e-6 }
    }
}

/// The most sub-steps per unit of raw time.
const MOST_SUBSTEPS: f64 = 1e6;

impl PiFlow {
    /// The raw time of a time.
    fn raw(&self, time: f64) -> f64 {
        time / (self.shift + (1.0 - self.shift) * time)
    }

    fn shifted(&self, raw: f64) -> f64 {
        self.shift * raw / (1.0 + (self.shift - 1.0) * raw)
    }

    /// The weights of the velocities in the change of the sample over a step.
    fn weights(&self, from: f64, to: f64) -> [f64; SLICES] {
        let start = self.raw(from);
        let end = if to == 0.0 { self.least_time } else { self.raw(to) };
        let whole = start - end;
        let substeps = (whole * self.substeps as f64).round_ties_even().max(1.0);
        let substep = whole / substeps;
        let (mut time, mut sigma, mut weights) = (start, from, [0.0; SLICES]);
        for _ in 0..substeps as usize {
            time = (time - substep).max(0.0);
            let next = self.shifted(time);
            let place = (self.raw(sigma) - end) / whole.max(self.least_time);
            let moved = (next - sigma) / sigma.max(self.least_time);
            let hats = self.hats(place);
            for (weight, hat) in weights.iter_mut().zip(hats) {
                *weight += moved * (*weight + from * hat);
            }
            sigma = next;
        }
        weights
    }

    /// The hat functions at a place in `0..=1` of the step.
    fn hats(&self, place: f64) -> [f64; SLICES] {
        let place = place.clamp(0.0, 1.0) * (self.slices - 1) as f64;
        let left = (place.floor() as usize).min(self.slices - 2);
        let mut hats = [0.0; SLICES];
        (hats[left], hats[left + 1]) = ((left + 1) as f64 - place, place - left as f64);
        hats
    }

    fn call(&self, k: usize, step: &Step, denoiser: &Denoiser) -> Result<Call, SamplerError> {
        let (from, to) = (step.from.sigma(), step.to.sigma());
        if to >= from {
            let (solver, what) = ("pi-Flow", "take a step that does not reduce the noise");
            return Err(SamplerError::Unsupported { solver, what, step: k });
        }
        let mut call = Call::begin(k, step, denoiser, Quantity::X0)?;
        let weights = self.weights(from, to);
        let whole: f64 = weights.iter().sum();
        let row = &mut call.row;
        // The weighted mean of the velocities gives the clean sample that is returned and clipped.
        row.slices = weights.map(|weight| weight / whole);
        (row.x, row.clean) = (1.0 + whole / from, -whole / from);
        Ok(call)
    }

    fn check(&self, grid: &Grid) -> Result<(), SamplerError> {
        if grid.scale() != Scale::Flow {
            let (solver, what) = ("pi-Flow", "visit levels other than a rectified flow's");
            return Err(SamplerError::Unsupported { solver, what, step: 0 });
        }
        let number = |name, expected, found, fits| match fits {
            true => Ok(()),
            false => Err(SamplerError::Parameter { name, expected, found }),
        };
        check::positive("the shift", self.shift)?;
        let slices = self.slices as f64;
        number("the number of velocities in a prediction", "2 to 16", slices, (2.0..=SLICES as f64).contains(&slices))?;
        let substeps = self.substeps as f64;
        number("the sub-steps per unit of time", "1 to 1000000", substeps, (1.0..=MOST_SUBSTEPS).contains(&substeps))?;
        number(
            "the least time",
            "above 0 and at most 1",
            self.least_time,
            self.least_time > 0.0 && self.least_time <= 1.0,
        )
    }
}

impl Solver for PiFlow {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        self.check(grid)?;
        let steps = grid.steps().iter().enumerate();
        Ok(steps.map(|(k, step)| self.call(k, step, denoiser)).collect::<Result<Vec<_>, _>>()?.into())
    }
}

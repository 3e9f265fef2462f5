//! Samplers: host code in f64 that returns one row of coefficients per network call.
//!
//! **Theory.** A sampler visits noise levels from noisy to clean. At each it calls the network, and what it does with the
//! answer is linear in the sample, the prediction, the clean sample that the prediction implies, the clean samples of
//! earlier calls, and noise. So a solver is a function from a list of levels to [`StepRow`]s, and each small file here is
//! one.
//!
//! **Practice.** A [`Sampler`] is built once; its calls carry everything that a loop needs. Nothing is computed while the
//! loop runs.

use super::NoiseLevel;
use crate::table::{Clip, Deviation, StepRow};

/// One call of the network and the step that follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// What the network is told, in the units that it was trained with: usually `0..T`, not always whole.
    pub timestep: f64,
    /// The noise level of the sample that the step starts from, in the sampler's own scale.
    pub level: NoiseLevel,
    /// The network is given `input * x`; 1 unless the sampler's scale is not the network's.
    pub input: f64,
    /// The step.
    pub row: StepRow,
}

/// A whole sampling loop, as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    calls: Vec<Call>,
    /// The sample to start with is this times `x` plus this times `z`, given noise `x` at the first level.
    start: [f64; 2],
    clip: Clip,
    deviation: Deviation,
}

impl Sampler {
    /// The calls in the order in which they are made.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}

//! A call of the network and the step that follows it.

use super::denoiser::Denoiser;
use super::grid::Step;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::quantity::Quantity;
use crate::table::step::StepRow;

/// One call of the network and the step that follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Call {
    /// What the network is told, in the units that it was trained with: usually `0..T`, not always whole.
    pub timestep: f64,
    /// The noise level of the sample that the network is asked about, in the sampler's own scale.
    pub level: NoiseLevel,
    /// The network is given `input * x`; 1 unless the sampler's scale is not the network's.
    pub input: f64,
    /// The step of the grid, from 0, to which the call belongs: most solvers call once a step.
    pub step: usize,
    /// Which noise the row's `z` is, counted from 0 over the whole loop. If the row draws nothing it means nothing.
    pub noise: usize,
    /// The step.
    pub row: StepRow,
}

impl Call {
    /// The first call of step `k` of a grid: a row that only knows how x0 follows from the prediction, or another
    /// quantity that is to be kept in its place. Solvers fill in the rest.
    ///
    /// # Errors
    /// [`SamplerError::Undefined`] where the prediction does not determine it.
    pub fn begin(k: usize, step: &Step, denoiser: &Denoiser, keeps: Quantity) -> Result<Self, SamplerError> {
        let [c_x, c_p] = denoiser.row(keeps, k, step)?;
        let known = [step.to.alpha(), step.to.sigma()];
        let row = StepRow { x0: [c_x, c_p, 0.0], x: 0.0, known, ..StepRow::IDENTITY };
        Ok(Self { timestep: step.timestep, level: step.from, input: step.input, step: k, noise: k, row })
    }

    /// The noise that is added before the next step belongs to that step. Two independent noises are one.
    pub(super) fn churned(&mut self, churn: f64) {
        if churn != 0.0 {
            let [alpha, sigma] = self.row.known;
            self.noise = self.step + 1;
            self.row.z = self.row.z.hypot(churn);
            self.row.known = [alpha, sigma.hypot(churn)];
        }
    }
}

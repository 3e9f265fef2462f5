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
    /// The timestep that the network is given, in the units that it was trained with: usually in `0..T`, not always whole.
    pub timestep: f64,
    /// The second timestep that a flow map is given: that of the level to step to. `None` for other networks. See
    /// [`Model::flow_map`](crate::Model::flow_map).
    pub next_timestep: Option<f64>,
    /// The noise level of the network's input, in the scale of the sampler.
    pub level: NoiseLevel,
    /// The network is given `input * x`; 1 unless the sampler's scale is not the network's.
    pub input: f64,
    /// The step of the grid, counted from 0, to which the call belongs: most solvers call the network once per step.
    pub step: usize,
    /// The index of the row's noise `z`, counted from 0 over the whole loop; unused if the row draws no noise.
    pub noise: usize,
    /// The step.
    pub row: StepRow,
}

impl Call {
    /// Creates the first call of step `k` of a grid. Its row only computes x0, or the quantity `keeps` in its place, from the
    /// prediction. Solvers fill in the rest.
    ///
    /// # Errors
    /// [`SamplerError::Undefined`] where the prediction does not determine that quantity.
    pub fn begin(k: usize, step: &Step, denoiser: &Denoiser, keeps: Quantity) -> Result<Self, SamplerError> {
        let [c_x, c_p] = denoiser.row(keeps, k, step)?;
        let known = [step.to.alpha(), step.to.sigma()];
        let row = StepRow { x0: [c_x, c_p, 0.0], x: 0.0, known, ..StepRow::IDENTITY };
        let (timestep, next_timestep) = (step.timestep, None);
        Ok(Self { timestep, next_timestep, level: step.from, input: step.input, step: k, noise: k, row })
    }

    /// Adds the churn of the next step to the noise of this row: the sum of two independent normals is normal.
    pub(super) fn churned(&mut self, churn: f64) {
        if churn != 0.0 {
            let [alpha, sigma] = self.row.known;
            self.noise = self.step + 1;
            self.row.z = self.row.z.hypot(churn);
            self.row.known = [alpha, sigma.hypot(churn)];
        }
    }
}

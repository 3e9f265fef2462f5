//! Noising, conversions and posterior means of a schedule on the caller's tensors.
//!
//! Each method asks the schedule for a table and makes a [`MapPlan`] of it.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::inputs::{Second, Timesteps};
use crate::gpu::map::{Map, MapPlan};
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;
use crate::table::Table;

/// A tensor and what it means.
pub type Named<'a> = (Quantity, Tensor<'a>);

/// The treatment of timesteps at which a quantity is undefined, such as x0 from epsilon at zero terminal SNR.
///
/// It matters only for [`Timesteps::PerSample`], where the host cannot see which timesteps are used. With one timestep
/// for the batch, recording such a timestep is an error and all others work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holes {
    /// Creating the plan is an error that names the first such timestep.
    #[default]
    Reject,
    /// A sample at such a timestep becomes NaN and is counted in [`MapPlan::status`].
    Nan,
}

/// Noising: the noisy sample, a training target, or both in one dispatch, from the clean sample and noise.
#[derive(Clone, Copy, Debug)]
pub struct Noising<'a> {
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noise: a tensor, or drawn in the kernel.
    pub epsilon: Second<'a>,
    /// The first output, usually [`Quantity::Xt`].
    pub first: Named<'a>,
    /// The second output, usually the training target.
    pub second: Option<Named<'a>>,
}

impl Noising<'_> {
    /// The coefficients on `(x0, epsilon)`: the rows that the plan applies. Results can be compared
    /// with [`reference`](crate::gpu::map::reference).
    ///
    /// # Errors
    /// [`Error::Undefined`] for the score at `sigma = 0`.
    pub fn table(&self, schedule: &Schedule) -> Result<Table, Error> {
        Ok(schedule.rows_of(self.first.0, self.second.map(|second| second.0))?)
    }
}

/// A conversion: from the noisy sample and a prediction of one quantity to one or two others.
#[derive(Clone, Copy, Debug)]
pub struct Conversion<'a> {
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The noisy sample.
    pub x_t: Tensor<'a>,
    /// The network's output and what it predicts.
    pub prediction: Named<'a>,
    /// The first output.
    pub first: Named<'a>,
    /// The second output.
    pub second: Option<Named<'a>>,
    /// The treatment of timesteps at which the prediction does not determine an output.
    pub holes: Holes,
}

impl Conversion<'_> {
    /// The coefficients on `(x_t, prediction)`: the rows that the plan applies.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine what is wanted; see [`Holes`].
    pub fn table(&self, schedule: &Schedule) -> Result<Table, Error> {
        let (given, wanted, second) = (self.prediction.0, self.first.0, self.second.map(|second| second.0));
        Ok(if rejects(self.timesteps, self.holes) {
            schedule.conversion(given, wanted, second)?
        } else {
            schedule.conversion_where_defined(given, wanted, second)
        })
    }
}

/// A posterior mean: from the noisy sample and a prediction to the mean of `q(x_{t-1} | x_t, x0)`.
#[derive(Clone, Copy, Debug)]
pub struct PosteriorMean<'a> {
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The noisy sample.
    pub x_t: Tensor<'a>,
    /// The network's output and what it predicts.
    pub prediction: Named<'a>,
    /// The mean.
    pub mean: Tensor<'a>,
    /// The clean sample that the prediction implies, if it is wanted too.
    pub x0: Option<Tensor<'a>>,
    /// The treatment of timesteps at which the prediction does not determine x0.
    pub holes: Holes,
}

impl PosteriorMean<'_> {
    /// The coefficients on `(x_t, prediction)`: the rows that the plan applies.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine x0, [`Error::Schedule`] where no forward step leads;
    /// see [`Holes`].
    pub fn table(&self, schedule: &Schedule) -> Result<Table, Error> {
        Ok(if rejects(self.timesteps, self.holes) {
            schedule.posterior_mean(self.prediction.0)?
        } else {
            schedule.posterior_mean_where_defined(self.prediction.0)
        })
    }
}

/// A diffusion process: its schedule, applied on the GPU.
///
/// Tensors may share buffers, lie at any offset and stride, and outputs may replace inputs; see [`Tensor`]. Every plan
/// is one dispatch a recording (more only for buffers beyond the device's binding limit) that reads each input once and
/// writes each output once.
#[derive(Clone, Debug, PartialEq)]
pub struct Diffusion {
    schedule: Schedule,
}

impl Diffusion {
    /// Creates the process with this schedule.
    #[must_use]
    pub const fn new(schedule: Schedule) -> Self {
        Self { schedule }
    }

    /// The schedule.
    #[must_use]
    pub const fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// `x_t = alpha x0 + sigma epsilon` (Ho et al. 2020, eq. 4) and targets such as `v = alpha epsilon - sigma x0`.
    ///
    /// # Errors
    /// [`Error::Undefined`] for the score at `sigma = 0`, [`Error::Plan`] for tensors that do not fit.
    pub fn noising(&self, context: &Context, noising: &Noising<'_>) -> Result<MapPlan, Error> {
        let table = noising.table(&self.schedule)?;
        let Noising { shape, timesteps, x0, epsilon, first, second } = *noising;
        let (in0, out1) = (Some(x0), second.map(|second| second.1));
        let map = Map { table: &table, shape, timesteps, in0, in1: epsilon, out0: first.1, out1 };
        Ok(MapPlan::in_roles(context, &map, &["x0", "epsilon", "first", "second", "keep"])?)
    }

    /// Converts a prediction to one or two other quantities; see [`solve`](crate::math::solve) for the algebra.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine what is wanted (see [`Holes`]), [`Error::Plan`] for
    /// tensors that do not fit.
    pub fn conversion(&self, context: &Context, conversion: &Conversion<'_>) -> Result<MapPlan, Error> {
        let table = conversion.table(&self.schedule)?;
        let Conversion { shape, timesteps, x_t, prediction, first, second, .. } = *conversion;
        let (in0, in1, out1) = (Some(x_t), Second::Given(prediction.1), second.map(|second| second.1));
        let map = Map { table: &table, shape, timesteps, in0, in1, out0: first.1, out1 };
        Ok(MapPlan::in_roles(context, &map, &["x_t", "prediction", "first", "second"])?)
    }

    /// The mean of the Gaussian posterior (Ho et al. 2020, eq. 7), from any prediction, without clipping.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine x0, [`Error::Schedule`] where no forward step leads
    /// (see [`Holes`]), [`Error::Plan`] for tensors that do not fit.
    pub fn posterior_mean(&self, context: &Context, posterior: &PosteriorMean<'_>) -> Result<MapPlan, Error> {
        let table = posterior.table(&self.schedule)?;
        let PosteriorMean { shape, timesteps, x_t, prediction, mean, x0, .. } = *posterior;
        let (in0, in1) = (Some(x_t), Second::Given(prediction.1));
        let map = Map { table: &table, shape, timesteps, in0, in1, out0: mean, out1: x0 };
        Ok(MapPlan::in_roles(context, &map, &["x_t", "prediction", "mean", "x0"])?)
    }
}

fn rejects(timesteps: Timesteps<'_>, holes: Holes) -> bool {
    holes == Holes::Reject && matches!(timesteps, Timesteps::PerSample { .. })
}

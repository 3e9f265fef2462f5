//! Noising, conversions and posterior means of a schedule on the caller's tensors.
//!
//! Each request asks the schedule for a table and makes a [`Plan`] of it. For a network whose output is a quantity times a sign or
//! a factor, [`Model::noising`](crate::Model::noising) and its siblings give tables that a [`Map`] applies. Tensors may share
//! buffers and lie at any offset and stride, and outputs may replace inputs; see [`Tensor`]. A recording of any of these plans is
//! one dispatch (more only for buffers beyond the device's binding limit), which reads each input once and writes each output once.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Noise, Timesteps};
use crate::gpu::map::Map;
use crate::gpu::plan::job::Roles;
use crate::gpu::plan::plan::Plan;
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;
use crate::table::Table;

/// The treatment of timesteps at which a quantity is undefined, such as x0 from epsilon at zero terminal SNR.
///
/// It matters only where the GPU reads the timesteps ([`Timesteps::PerSample`], [`Timesteps::PerGroup`] and
/// [`Timesteps::Shared`]), since the host cannot see which are used. With one timestep for the batch, recording such a timestep is
/// an error, and all others work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUndefined {
    /// Making the plan is an error that names the first such timestep.
    #[default]
    Error,
    /// A sample at such a timestep becomes NaN and is counted in [`Plan::status`].
    Nan,
}

/// Noising: the noisy sample, a training target, or both in one dispatch, from the clean sample and noise.
///
/// `x_t = alpha x0 + sigma epsilon` (Ho et al. 2020, arXiv 2006.11239, eq. 4), and targets such as
/// `v = alpha epsilon - sigma x0` (Salimans & Ho 2022, arXiv 2202.00512).
///
/// ```
/// use tweedie::{Context, Noise, NoiseKey, Noising, Quantity, Recording, Schedule, Shape, Tensor, Timesteps, wgpu};
///
/// # fn run(context: &Context, encoder: &mut wgpu::CommandEncoder, [x0, t, x_t, target]: [&wgpu::Buffer; 4])
/// #        -> Result<(), tweedie::Error> {
/// let schedule = Schedule::cosine(1000)?;
/// let pair = Noising {
///     schedule: &schedule,
///     shape: Shape::new(16, 4 * 64 * 64),
///     timesteps: Timesteps::per_sample(t),
///     x0: Tensor::f32(x0),
///     epsilon: Noise::drawn(NoiseKey::seed(42)),
///     outputs: &[(Quantity::Xt, Tensor::f32(x_t)), (Quantity::V, Tensor::f32(target))],
/// };
/// pair.plan(context)?.encode(encoder, Recording::per_sample())?;
/// # Ok(()) }
/// ```
#[doc(alias("add_noise", "q_sample", "forward process"))]
#[derive(Clone, Copy, Debug)]
pub struct Noising<'a> {
    /// The levels, by timestep: a schedule. For a [`Model`](crate::Model) it is given by [`timesteps`](crate::Model::timesteps), or
    /// by [`schedule_of_times`](crate::Model::schedule_of_times) for the times of one batch.
    pub schedule: &'a Schedule,
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noise: a tensor, or drawn in the kernel.
    pub epsilon: Noise<'a>,
    /// One or two outputs, usually [`Quantity::Xt`] and the training target. Their [roles](Plan::roles) are `outputs[0]` and
    /// `outputs[1]`.
    pub outputs: &'a [(Quantity, Tensor<'a>)],
}

impl Noising<'_> {
    /// The coefficients of `(x0, epsilon)`: the rows that the plan applies. Results can be compared
    /// with [`Map::reference`](crate::gpu::Map::reference).
    ///
    /// # Errors
    /// [`Error::Undefined`] for the score at `sigma = 0`, [`Error::Plan`] unless there are one or two outputs.
    pub fn table(&self) -> Result<Table, Error> {
        let (first, second) = outputs(self.outputs)?;
        Ok(self.schedule.rows_of(first.0, second.map(|second| second.0))?)
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// [`Error::Undefined`] for the score at `sigma = 0`, [`Error::Plan`] for tensors that do not fit and for [`Noise::None`].
    pub fn plan(&self, context: &Context) -> Result<Plan, Error> {
        let table = self.table()?;
        if self.epsilon.is_none() {
            return Err(PlanError::Missing { what: "epsilon", row: 0 }.into());
        }
        let (first, second) = outputs(self.outputs)?;
        let outputs = (first.1, second.map(|second| second.1));
        let roles = &["x0", "epsilon", "outputs[0]", "outputs[1]", "keep"];
        map(context, &table, (self.shape, self.timesteps), (self.x0, self.epsilon), outputs, roles)
    }
}

/// A conversion from the noisy sample and a prediction of one quantity to one or two others; see
/// [`solve`](crate::math::solve) for the algebra.
#[doc(alias("predict_start_from_noise", "get_velocity", "pred_original_sample"))]
#[derive(Clone, Copy, Debug)]
pub struct Conversion<'a> {
    /// The levels, by timestep: a schedule. For a [`Model`](crate::Model) it is given by [`timesteps`](crate::Model::timesteps), or
    /// by [`schedule_of_times`](crate::Model::schedule_of_times) for the times of one batch.
    pub schedule: &'a Schedule,
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The noisy sample.
    pub x_t: Tensor<'a>,
    /// The network's output and the quantity that it predicts.
    pub prediction: (Quantity, Tensor<'a>),
    /// One or two outputs. Their [roles](Plan::roles) are `outputs[0]` and `outputs[1]`.
    pub outputs: &'a [(Quantity, Tensor<'a>)],
    /// The treatment of timesteps at which the prediction does not determine an output.
    pub on_undefined: OnUndefined,
}

impl Conversion<'_> {
    /// The coefficients on `(x_t, prediction)`: the rows that the plan applies.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine an output (see [`OnUndefined`]), [`Error::Plan`]
    /// unless there are one or two outputs.
    pub fn table(&self) -> Result<Table, Error> {
        let (first, second) = outputs(self.outputs)?;
        let (given, wanted, second) = (self.prediction.0, first.0, second.map(|second| second.0));
        Ok(if rejects(self.timesteps, self.on_undefined) {
            self.schedule.conversion(given, wanted, second)?
        } else {
            self.schedule.conversion_where_defined(given, wanted, second)
        })
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// As [`table`](Self::table), and [`Error::Plan`] for tensors that do not fit.
    pub fn plan(&self, context: &Context) -> Result<Plan, Error> {
        let table = self.table()?;
        let (first, second) = outputs(self.outputs)?;
        let outputs = (first.1, second.map(|second| second.1));
        let roles = &["x_t", "prediction", "outputs[0]", "outputs[1]"];
        map(context, &table, (self.shape, self.timesteps), (self.x_t, self.prediction.1.into()), outputs, roles)
    }
}

/// A posterior mean: that of `q(x_{t-1} | x_t, x0)`, from the noisy sample and a prediction (Ho et al. 2020, arXiv
/// 2006.11239, eq. 7), without clipping.
#[doc(alias("q_posterior_mean_variance", "p_mean_variance"))]
#[derive(Clone, Copy, Debug)]
pub struct PosteriorMean<'a> {
    /// The levels, by timestep: a schedule. For a [`Model`](crate::Model) it is given by [`timesteps`](crate::Model::timesteps), or
    /// by [`schedule_of_times`](crate::Model::schedule_of_times) for the times of one batch.
    pub schedule: &'a Schedule,
    /// The batch.
    pub shape: Shape,
    /// The timestep of each sample.
    pub timesteps: Timesteps<'a>,
    /// The noisy sample.
    pub x_t: Tensor<'a>,
    /// The network's output and the quantity that it predicts.
    pub prediction: (Quantity, Tensor<'a>),
    /// The mean.
    pub mean: Tensor<'a>,
    /// The clean sample that the prediction implies, if it is wanted too.
    pub x0: Option<Tensor<'a>>,
    /// The treatment of timesteps at which the prediction does not determine x0.
    pub on_undefined: OnUndefined,
}

impl PosteriorMean<'_> {
    /// The coefficients on `(x_t, prediction)`: the rows that the plan applies.
    ///
    /// # Errors
    /// [`Error::Undefined`] where the prediction does not determine x0, [`Error::Schedule`] at a timestep into which no forward
    /// step leads; see [`OnUndefined`].
    pub fn table(&self) -> Result<Table, Error> {
        Ok(if rejects(self.timesteps, self.on_undefined) {
            self.schedule.posterior_mean(self.prediction.0)?
        } else {
            self.schedule.posterior_mean_where_defined(self.prediction.0)
        })
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// As [`table`](Self::table), and [`Error::Plan`] for tensors that do not fit.
    pub fn plan(&self, context: &Context) -> Result<Plan, Error> {
        let table = self.table()?;
        let (inputs, outputs) = ((self.x_t, self.prediction.1.into()), (self.mean, self.x0));
        map(context, &table, (self.shape, self.timesteps), inputs, outputs, &["x_t", "prediction", "mean", "x0"])
    }
}

/// The plan of a table on two inputs and one or two outputs.
fn map(
    context: &Context,
    table: &Table,
    (shape, timesteps): (Shape, Timesteps<'_>),
    (in0, in1): (Tensor<'_>, Noise<'_>),
    (out0, out1): (Tensor<'_>, Option<Tensor<'_>>),
    roles: Roles,
) -> Result<Plan, Error> {
    let map = Map { table, shape, timesteps, in0: Some(in0), in1, out0, out1 };
    Ok(map.in_roles(context, roles, None)?)
}

/// A quantity and its tensor.
type Output<'a> = (Quantity, Tensor<'a>);

/// The first and, if there is one, the second output of a list.
fn outputs<'a>(list: &[Output<'a>]) -> Result<(Output<'a>, Option<Output<'a>>), PlanError> {
    match *list {
        [first] => Ok((first, None)),
        [first, second] => Ok((first, Some(second))),
        _ => Err(PlanError::Outputs { found: list.len() }),
    }
}

fn rejects(timesteps: Timesteps<'_>, on_undefined: OnUndefined) -> bool {
    on_undefined == OnUndefined::Error && !matches!(timesteps, Timesteps::Batch)
}

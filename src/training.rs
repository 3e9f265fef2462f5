//! Training: the work around the network in a training step.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::draw_timesteps::{TimestepDraw, TimestepPlan};
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::{At, Drawn, Of, Second, Timesteps};
use crate::gpu::loss::plan::{Loss, LossPlan};
use crate::gpu::map::{Map, MapPlan};
use crate::gpu::plan::job::Roles;
use crate::gpu::tensor::{Shape, Tensor};
use crate::gpu::vlb::inputs::VlbInputs;
use crate::gpu::vlb::plan::{VlbPlan, VlbTerms};
use crate::math::error::vlb::VlbError;
use crate::math::loss::{LossInputs, Objective};
use crate::math::model_variance::ModelVariance;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;
use crate::math::timestep_density::TimestepDensity;
use crate::math::vlb::Vlb;
use crate::noise::NoiseKey;
use crate::noise::perturb::Perturbation;
use crate::table::Table;
use crate::table::loss::{LossRow, Penalty};

/// The source of a batch's timesteps.
#[derive(Clone, Copy, Debug)]
pub enum TimestepSource<'a> {
    /// The buffer holds them already.
    InBuffer,
    /// Drawn on the GPU in every step.
    Drawn {
        /// The distribution over the schedule's timesteps.
        density: &'a TimestepDensity,
        /// For a stratified draw, the samples of the whole batch, those of all devices together.
        stratified: Option<u32>,
    },
}

/// A variance that the network learns by the variational bound, beside the prediction that it learns by its loss (the
/// hybrid loss of Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 16).
///
/// The bound's term of each sample's timestep has a gradient with respect to the network's second output only: none goes
/// through the mean. x0 is not clipped, as in guided-diffusion's training.
///
/// ```
/// use tweedie::LearnedVariance;
/// use tweedie::Tensor;
/// use tweedie::math::ModelVariance;
///
/// // A network of six channels for three: epsilon, then its variance. The gradient lies as its output does.
/// # fn of<'a>(output: &'a wgpu::Buffer, gradient: &'a wgpu::Buffer, terms: &'a wgpu::Buffer) -> LearnedVariance<'a> {
/// let elements = 3 * 64 * 64;
/// let second = |buffer| Tensor::f32(buffer).at(4 * elements).stride(2 * elements as u32);
/// # let variance =
/// LearnedVariance {
///     variance: ModelVariance::LearnedRange,
///     factor: 1000.0 / 1000.0, // T/1000
///     learned: second(output),
///     gradient: second(gradient),
///     terms,
/// }
/// # ; variance }
/// ```
/// It goes into [`Training::variance`]; [`Training::prediction`] is then the first half, of the same stride.
#[derive(Clone, Copy, Debug)]
pub struct LearnedVariance<'a> {
    /// [`ModelVariance::Learned`] or [`ModelVariance::LearnedRange`].
    pub variance: ModelVariance,
    /// The factor of the term, which is in bits per dimension: `T/1000` in guided-diffusion.
    pub factor: f64,
    /// The network's second output: often the second half of its channels.
    pub learned: Tensor<'a>,
    /// The gradient with respect to it, with the reduction of the loss's gradient. It may overwrite the second output.
    pub gradient: Tensor<'a>,
    /// The term of each sample, one `f32` each, apart from its loss.
    pub terms: &'a wgpu::Buffer,
}

/// The request for a [`TrainingStep`].
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The objective: the prediction, the quantity that the loss measures, and the weight.
    pub objective: &'a Objective,
    /// The cost of an error.
    pub penalty: Penalty,
    /// The batch.
    pub shape: Shape,
    /// Seed, stream and first sample of the noise and the timesteps. Step `k` draws on stream `key.stream + k`.
    pub key: NoiseKey,
    /// The number of steps that may be recorded without setting a key, at least 1.
    pub steps: u32,
    /// Offset noise and input perturbation, and the elements of a channel.
    pub perturbed: Option<(Perturbation, u32)>,
    /// The source of the timesteps.
    pub timestep_source: TimestepSource<'a>,
    /// The timesteps, one `u32` a sample from the beginning of the buffer: the network reads them too.
    pub timesteps: &'a wgpu::Buffer,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noisy sample, which the network reads.
    pub x_t: Tensor<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The gradient of the loss with respect to the prediction, and its reduction. It may be the prediction's
    /// own elements.
    pub gradient: (Tensor<'a>, Of),
    /// The loss of each sample, one `f32` each.
    pub losses: &'a wgpu::Buffer,
    /// The mean loss, one `f32`.
    pub mean: Option<&'a wgpu::Buffer>,
    /// A variance that the network learns too.
    pub variance: Option<LearnedVariance<'a>>,
}

/// The names of the tensors in the plan of the noisy sample.
const NOISING: Roles = &["x0", "noise", "x_t"];
/// Those in the plan of the loss.
const LOSS: Roles = &["prediction", "x0", "noise", "gradient"];
/// Those in the plan of a learned variance.
const VARIANCE: Roles = &["prediction", "variance.learned", "x0", "noise", "", "variance.gradient"];

/// A training step without its network: timesteps, noise and the noisy sample before it, loss and gradient after it.
///
/// The target and the noise are never stored: the loss forms the target in registers and draws the same noise again.
/// The work before the network is one pass over the tensors (1 read, 1 write) and a small dispatch for the timesteps,
/// after it one pass (2 reads, 1 write) and up to three small ones that add up its sums; as much again for a learned
/// variance. A sample's noise, timestep and loss depend on its key and global index alone, so a batch may be split over
/// machines in any way.
///
/// ```
/// use tweedie::gpu::{NoiseKey, Of};
/// use tweedie::math::{Objective, TimestepDensity, Weight};
/// use tweedie::table::Penalty;
/// use tweedie::{Context, Quantity, Schedule, Shape, Tensor, TimestepSource, Training, TrainingStep, wgpu};
///
/// # fn run(context: &Context, encoder: &mut wgpu::CommandEncoder, t: &wgpu::Buffer, x0: &wgpu::Buffer, x_t: &wgpu::Buffer,
/// #        prediction: &wgpu::Buffer, gradient: &wgpu::Buffer, losses: &wgpu::Buffer, network: impl Fn(&mut wgpu::ComputePass<'_>),
/// #        backward: impl Fn(&mut wgpu::ComputePass<'_>)) -> Result<(), tweedie::Error> {
/// let schedule = Schedule::cosine(1000)?;
/// let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
/// let density = TimestepDensity::uniform(1000)?;
/// let step = TrainingStep::new(context, &schedule, &Training {
///     objective: &objective,
///     penalty: Penalty::MSE,
///     shape: Shape::new(64, 3 * 64 * 64),
///     key: NoiseKey::seed(42),
///     steps: 100,
///     perturbed: None,
///     timestep_source: TimestepSource::Drawn { density: &density, stratified: Some(64) },
///     timesteps: t,
///     x0: Tensor::f32(x0),
///     x_t: Tensor::f32(x_t),
///     prediction: Tensor::f32(prediction),
///     gradient: (Tensor::f32(gradient), Of::Mean),
///     losses,
///     mean: None,
///     variance: None,
/// })?;
///
/// let mut pass = encoder.begin_compute_pass(&Default::default());
/// for k in 0..100 {
///     // ... the next batch into x0 ...
///     step.record_before(&mut pass, k)?; // t and x_t
///     network(&mut pass);                // prediction
///     step.record_after(&mut pass, k)?;  // losses and gradient
///     backward(&mut pass);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct TrainingStep {
    draw: Option<TimestepPlan>,
    noising: MapPlan,
    loss: LossPlan,
    vlb: Option<VlbPlan>,
}

impl TrainingStep {
    /// Creates the plans.
    ///
    /// # Errors
    /// [`Error::Loss`] where the objective has no value or no finite weight at a timestep: with drawn timesteps only if
    /// it is ever drawn; [`Error::Vlb`] likewise, and for a variance that is not learned. [`Error::Plan`] for tensors
    /// that do not fit, [`Error::Density`] for a distribution over another number of timesteps.
    pub fn new(context: &Context, schedule: &Schedule, training: &Training<'_>) -> Result<Self, Error> {
        let Training { shape, key, steps, timesteps, perturbed, .. } = *training;
        let per_sample = Timesteps::per_sample(timesteps);
        let noise = |sees_input: bool| {
            let drawn = Drawn::new(key).steps(steps);
            perturbed.map_or(drawn, |(by, channel)| {
                let input = if sees_input { by.input } else { 0.0 };
                drawn.perturbed(Perturbation { input, ..by }, channel)
            })
        };
        let noising = schedule.rows_of(Quantity::Xt, None)?;
        let noising = Map {
            table: &noising,
            shape,
            timesteps: per_sample,
            in0: Some(training.x0),
            in1: Second::Drawn(noise(true)),
            out0: training.x_t,
            out1: None,
        };
        let table = training.table(schedule)?;
        let loss = Loss {
            table: &table,
            penalty: training.penalty,
            shape,
            timesteps: per_sample,
            prediction: training.prediction,
            in0: Some(training.x0),
            in1: Some(Second::Drawn(noise(false))),
            seeds: None,
            losses: (training.losses, 0),
            mean: training.mean.map(|mean| (mean, 0)),
            gradient: Some(training.gradient),
        };
        let draw = match training.timestep_source {
            TimestepSource::InBuffer => None,
            TimestepSource::Drawn { density, stratified } => {
                let (ends, batch, buffer, offset) = (density.ends(), shape.batch, timesteps, 0);
                let draw = TimestepDraw { ends, batch, key, steps, stratified, buffer, offset };
                Some(TimestepPlan::new(context, &draw)?)
            }
        };
        let vlb = training.variance.map(|variance| training.vlb(context, schedule, &variance, noise(true)));
        let (noising, loss) =
            (MapPlan::in_roles(context, &noising, NOISING)?, LossPlan::in_roles(context, &loss, Some(LOSS))?);
        Ok(Self { draw, noising, loss, vlb: vlb.transpose()? })
    }

    /// The same step on other tensors, by their roles: the names of [`Training`]'s fields, and `variance.learned`,
    /// `variance.gradient` and `variance.terms`. It costs bind groups and nothing else; see [`MapPlan::moved`].
    ///
    /// # Errors
    /// [`PlanError::Moved`] names the role and what differs, [`PlanError::Role`] lists the roles; or what else is wrong with
    /// a tensor.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let Self { draw, noising, loss, vlb } = self;
        // Each plan is given the tensors that it has a role for.
        let of = |has_role: &dyn Fn(&str) -> bool| -> Vec<_> {
            tensors.iter().copied().filter(|(role, _)| has_role(role)).collect()
        };
        let draw_has = |role: &str| draw.as_ref().is_some_and(|draw| draw.has_role(role));
        let vlb_has = |role: &str| vlb.as_ref().is_some_and(|vlb| vlb.has_role(role));
        let is_known = |role: &str| noising.has_role(role) || loss.has_role(role) || draw_has(role) || vlb_has(role);
        if let Some((found, _)) = tensors.iter().find(|(role, _)| !is_known(role)) {
            let expected = ["timesteps", "x0", "x_t", "prediction", "gradient", "losses", "mean"].into_iter();
            let variance = ["variance.learned", "variance.gradient", "variance.terms"].into_iter();
            let roles: Vec<&str> = expected.chain(variance).filter(|role| is_known(role)).collect();
            return Err(PlanError::Role { expected: roles.join(", "), found: (*found).to_owned() });
        }
        let draw = draw.as_ref().map(|draw| draw.moved(context, &of(&draw_has))).transpose()?;
        let vlb = vlb.as_ref().map(|vlb| vlb.moved(context, &of(&vlb_has))).transpose()?;
        let noising = noising.moved(context, &of(&|role| noising.has_role(role)))?;
        let loss = loss.moved(context, &of(&|role| loss.has_role(role)))?;
        Ok(Self { draw, noising, loss, vlb })
    }

    /// Records the work before the network into the caller's pass: the timesteps, if they are drawn, and `x_t`.
    ///
    /// # Errors
    /// [`RecordError::Step`]; then nothing has been recorded.
    pub fn record_before(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        if let Some(draw) = &self.draw {
            draw.record(pass, step)?;
        }
        self.noising.record(pass, At::per_sample().step(step))
    }

    /// Records the work after the network: the losses and the gradient, and those of a learned variance.
    ///
    /// # Errors
    /// [`RecordError::Step`]; then nothing has been recorded.
    pub fn record_after(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        self.loss.record(pass, At::per_sample().step(step))?;
        self.vlb.as_ref().map_or(Ok(()), |vlb| vlb.record(pass, At::per_sample().step(step)))
    }

    /// Sets the key of a step, stream included, through the caller's queue. It holds for everything submitted after this
    /// call. Trainings longer than the plan's steps need it.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        if let Some(draw) = &self.draw {
            draw.set_key(queue, step, key)?;
        }
        self.noising.set_key(queue, step, key)?;
        self.loss.set_key(queue, step, key)?;
        self.vlb.as_ref().map_or(Ok(()), |vlb| vlb.set_key(queue, step, key))
    }

    /// Sets the distribution from which timesteps are drawn from now on, through the caller's queue; see
    /// [`LossSecondMoment`](crate::math::LossSecondMoment). Nothing happens where timesteps are given.
    ///
    /// # Errors
    /// [`RecordError::Timesteps`] for a distribution over another number of timesteps.
    pub fn set_density(&self, queue: &wgpu::Queue, density: &TimestepDensity) -> Result<(), RecordError> {
        self.draw.as_ref().map_or(Ok(()), |draw| draw.set_ends(queue, density.ends()))
    }

    /// A buffer whose first `u32` counts the samples whose timestep was out of range or has no loss, over all steps
    /// since it was last cleared; see [`MapPlan::status`].
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.loss.status()
    }
}

impl Training<'_> {
    /// The rows of the loss. A timestep that is never drawn needs none.
    fn table(&self, schedule: &Schedule) -> Result<Table<LossRow>, Error> {
        let table = schedule.loss_where_defined(self.objective, LossInputs::CleanAndNoise)?;
        self.check(&table, |t| schedule.loss_row(t, self.objective, LossInputs::CleanAndNoise).map_err(Error::Loss))
    }

    /// The term of a learned variance. `noise` is that of the noisy sample.
    fn vlb(
        &self,
        context: &Context,
        schedule: &Schedule,
        learned: &LearnedVariance<'_>,
        noise: Drawn<'_>,
    ) -> Result<VlbPlan, Error> {
        let LearnedVariance { variance, factor, learned, gradient, terms } = *learned;
        let vlb = Vlb::new(schedule, self.objective.predicts, variance, None)?;
        if matches!(variance, ModelVariance::FixedSmall | ModelVariance::FixedLarge) {
            return Err(VlbError::Fixed { found: variance }.into());
        }
        let table = vlb.table_where_defined(LossInputs::CleanAndNoise);
        let table = self.check(&table, |t| vlb.row(t, LossInputs::CleanAndNoise).map_err(Error::Vlb))?;
        let inputs = VlbInputs {
            table: &table.map(|row| row.times(factor)),
            clip: None,
            shape: self.shape,
            prediction: self.prediction,
            learned: Some(learned),
            x0: self.x0,
            in1: Some(Second::Drawn(noise)),
            seeds: None,
        };
        let terms = VlbTerms {
            inputs,
            timesteps: Timesteps::per_sample(self.timesteps),
            terms: (terms, 0),
            mean: None,
            gradient: None,
            learned_gradient: Some(gradient),
            of: self.gradient.1,
        };
        Ok(VlbPlan::in_roles(context, &terms, Some(VARIANCE), "variance.terms")?)
    }

    /// The table, if it has a row wherever one is drawn; else what `row` says of the first timestep without one.
    fn check<R: Copy>(&self, table: &Table<R>, row: impl Fn(usize) -> Result<R, Error>) -> Result<Table<R>, Error> {
        let drawn = |t: usize| match self.timestep_source {
            TimestepSource::InBuffer => true,
            TimestepSource::Drawn { density, .. } => density.probability(t) > 0.0,
        };
        if let TimestepSource::Drawn { density, .. } = self.timestep_source
            && density.len() != table.len()
        {
            return Err(Error::Density { expected: table.len(), found: density.len() });
        }
        let missing = (0..table.len()).find(|&t| table.row(t).is_none() && drawn(t));
        missing.map_or(Ok(()), |t| row(t).map(|_| ()))?;
        Ok(table.clone())
    }
}

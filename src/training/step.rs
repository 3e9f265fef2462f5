//! A training step: its plans, and their recording around the network.

use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::draw_timesteps::TimestepDraw;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Drawn, Noise, Perturbed, Recording, Timesteps};
use crate::gpu::loss::plan::Loss;
use crate::gpu::map::Map;
use crate::gpu::plan::job::Roles;
use crate::gpu::plan::keys::{Drawing, Keys, check_not_kept};
use crate::gpu::plan::plan::Plan;
use crate::gpu::record_error::RecordError;
use crate::gpu::tensor::Tensor;
use crate::gpu::vlb::inputs::VlbInputs;
use crate::gpu::vlb::plan::VlbTerms;
use crate::math::error::vlb::VlbError;
use crate::math::loss::LossInputs;
use crate::math::model_variance::ModelVariance;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;
use crate::math::timestep_density::TimestepDensity;
use crate::math::vlb::Vlb;
use crate::noise::NoiseKey;
use crate::noise::perturb::Perturbation;
use crate::table::Table;
use crate::table::loss::LossRow;
use crate::table::vlb::VlbRow;
use crate::training::request::{LearnedVariance, TimestepSource, Training};
use std::sync::Arc;

/// The roles of the tensors in the plan of the noisy sample.
const NOISING: Roles = &["x0", "noise", "x_t"];
/// The roles in the plan of the loss.
const LOSS: Roles = &["prediction", "x0", "noise", "gradient"];
/// The roles in the plan of a learned variance.
const VARIANCE: Roles = &["prediction", "variance.learned", "x0", "noise", "", "variance.gradient"];

/// A training step around a network: timesteps, noise and the noisy sample before it, loss and gradient after it.
///
/// The target and the noise are never stored: the loss forms the target in registers and draws the same noise again.
/// Before the network there is one pass over the tensors (1 read, 1 write) and a small dispatch for the timesteps;
/// after it, one pass (2 reads, 1 write) and up to three small dispatches that add up its sums. A learned variance takes as much
/// again after the network. A sample's noise, timestep and loss depend on its key and global index alone, so a batch may be split
/// over machines in any way.
///
/// ```
/// use tweedie::gpu::Drawn;
/// use tweedie::math::{Objective, TimestepDensity, Weight};
/// use tweedie::table::Penalty;
/// use tweedie::{
///     Context, Gradient, NoiseKey, Quantity, Schedule, Shape, Tensor, TimestepSource, Training, TrainingStep, wgpu,
/// };
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
///     noise: Drawn::new(NoiseKey::seed(42)).steps(100),
///     timestep_source: TimestepSource::Drawn { density: &density, stratified: Some(64) },
///     timesteps: t,
///     groups: None,
///     x0: Tensor::f32(x0),
///     x_t: Tensor::f32(x_t),
///     prediction: Tensor::f32(prediction),
///     gradient: Gradient::mean(Tensor::f32(gradient)),
///     losses,
///     mean: None,
///     variance: None,
/// })?;
///
/// for k in 0..100 {
///     // ... copy the next batch into x0, in the encoder ...
///     let mut pass = encoder.begin_compute_pass(&Default::default());
///     step.record_before(&mut pass, k)?; // t and x_t
///     network(&mut pass);                // prediction
///     step.record_after(&mut pass, k)?;  // losses and gradient
///     backward(&mut pass);
/// }
/// # Ok(()) }
/// ```
#[doc(alias("training_losses", "p_losses"))]
#[derive(Debug)]
pub struct TrainingStep {
    draw: Option<Plan>,
    noising: Plan,
    loss: Plan,
    vlb: Option<Plan>,
}

impl TrainingStep {
    /// Makes the plans.
    ///
    /// # Errors
    /// [`Error::Loss`] if the objective has no value or no finite weight at a timestep that may occur: any timestep, or one that may
    /// be drawn; [`Error::Vlb`] likewise, and for a variance that is not learned; [`Error::Density`] for a distribution over another
    /// number of timesteps than the schedule's; [`Error::Plan`] for tensors that do not fit, noise that is kept, or seeds with a
    /// stratified draw.
    pub fn new(context: &Context, schedule: &Schedule, training: &Training<'_>) -> Result<Self, Error> {
        check_not_kept(&training.noise, "noise of a training step")?;
        // Checked before anything is uploaded.
        let table = training.table(schedule)?;
        let keys = TrainingKeys::new(context, training)?;
        Ok(Self {
            draw: training.draw(context, &keys)?,
            noising: training.noising(context, schedule, &keys)?,
            loss: training.loss(context, &table, &keys)?,
            vlb: training.variance.map(|learned| training.vlb(context, schedule, &learned, &keys)).transpose()?,
        })
    }

    /// The same step on other tensors, by their roles: `x0`, `x_t`, `prediction`, `gradient`, `timesteps`, `losses`, `mean`,
    /// `scale`, `seeds`, `variance.learned`, `variance.gradient` and `variance.terms`, as far as the request has them. It
    /// costs new bind groups and nothing else; see [`Plan::moved`].
    ///
    /// # Errors
    /// [`PlanError::Moved`] for a tensor that lies otherwise than the one before, [`PlanError::Role`] for an unknown role, and the
    /// other errors of a tensor that does not fit.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let mut roles: Vec<&str> = Vec::new();
        for role in self.plans().flat_map(Plan::roles) {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        if let Some((found, _)) = tensors.iter().find(|(role, _)| !roles.contains(role)) {
            return Err(PlanError::Role { expected: roles.join(", "), found: (*found).to_owned() });
        }
        // Each plan is given the tensors for which it has a role.
        let moved = |plan: &Plan| {
            let has_role = |role: &str| plan.roles().any(|own| own == role);
            let own: Vec<_> = tensors.iter().copied().filter(|(role, _)| has_role(role)).collect();
            plan.moved(context, &own)
        };
        Ok(Self {
            draw: self.draw.as_ref().map(moved).transpose()?,
            noising: moved(&self.noising)?,
            loss: moved(&self.loss)?,
            vlb: self.vlb.as_ref().map(moved).transpose()?,
        })
    }

    /// Records the work before the network into the caller's pass: the timesteps, if they are drawn, and `x_t`.
    ///
    /// # Errors
    /// [`RecordError::Step`]; then nothing has been recorded.
    pub fn record_before(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        let at = Recording::per_sample().step(step);
        self.draw.as_ref().map_or(Ok(()), |draw| draw.record(pass, at))?;
        self.noising.record(pass, at)
    }

    /// Records the work after the network: the losses and the gradient, and those of a learned variance.
    ///
    /// # Errors
    /// [`RecordError::Step`]; then nothing has been recorded.
    pub fn record_after(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        let at = Recording::per_sample().step(step);
        self.loss.record(pass, at)?;
        self.vlb.as_ref().map_or(Ok(()), |vlb| vlb.record(pass, at))
    }

    /// Sets the key of a step, stream included, through the caller's queue. It holds for everything submitted after this
    /// call. A training of more than [`Drawn::steps`] steps needs it.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        // Plans that draw the same noise share their keys: each buffer is written once.
        let keys = || self.plans().map(Plan::keys);
        let is_first = |(index, own): &(usize, &Arc<Keys>)| !keys().take(*index).any(|other| Arc::ptr_eq(other, own));
        keys().enumerate().filter(is_first).try_for_each(|(_, keys)| keys.set(queue, step, key))
    }

    /// Sets the distribution from which timesteps are drawn from now on, through the caller's queue, for example that of a
    /// [`LossSecondMoment`](crate::math::LossSecondMoment).
    ///
    /// # Errors
    /// [`RecordError::NoDraw`] if timesteps are not drawn, [`RecordError::Timesteps`] for a distribution over another number of
    /// timesteps; then nothing changes.
    pub fn set_density(&self, queue: &wgpu::Queue, density: &TimestepDensity) -> Result<(), RecordError> {
        self.draw.as_ref().ok_or(RecordError::NoDraw)?.set_ends(queue, density.ends())
    }

    /// A buffer whose first `u32` counts the samples whose timestep was out of range or had no loss, over all steps
    /// since it was last cleared; see [`Plan::status`].
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.loss.status()
    }

    fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.draw.iter().chain([&self.noising, &self.loss]).chain(&self.vlb)
    }
}

/// The keys of a training step, uploaded once where the plans draw the same noise.
struct TrainingKeys {
    timesteps: Arc<Keys>,
    before: Arc<Keys>,
    after: Arc<Keys>,
}

impl TrainingKeys {
    fn new(context: &Context, training: &Training<'_>) -> Result<Self, PlanError> {
        let upload = |drawing| Keys::new(context, "tweedie::Training::keys", Some(drawing)).map(Arc::new);
        let white = upload(Drawing::white(training.noise.key, training.noise.steps))?;
        let of = |noise| match Drawing::of(noise) {
            Drawing { perturbed: None, .. } => Ok(Arc::clone(&white)),
            perturbed => upload(perturbed),
        };
        let (before, after) = (of(training.noise(true))?, of(training.noise(false))?);
        Ok(Self { timesteps: white, before, after })
    }
}

impl Training<'_> {
    /// The noise of the noisy sample, which includes the perturbation of the input, or the noise of the target, which does not.
    fn noise(&self, sees_input: bool) -> Drawn<'_> {
        let of_target = |Perturbed { by, channel }| Perturbed { by: Perturbation { input: 0.0, ..by }, channel };
        let perturbed = self.noise.perturbed;
        Drawn { perturbed: if sees_input { perturbed } else { perturbed.map(of_target) }, ..self.noise }
    }

    /// The timesteps of the samples, or of their groups.
    fn timesteps(&self) -> Timesteps<'_> {
        match self.groups {
            Some(groups) => Timesteps::per_group(self.timesteps, groups),
            None => Timesteps::per_sample(self.timesteps),
        }
    }

    /// The draw of the timesteps, if they are drawn.
    fn draw(&self, context: &Context, keys: &TrainingKeys) -> Result<Option<Plan>, Error> {
        let TimestepSource::Drawn { density, stratified } = self.timestep_source else { return Ok(None) };
        let draw = TimestepDraw {
            ends: density.ends(),
            batch: self.shape.batch,
            groups: self.groups.map_or(1, |groups| groups.count),
            key: self.noise.key,
            steps: self.noise.steps,
            seeds: self.noise.seeds,
            stratified,
            buffer: self.timesteps,
            offset: 0,
        };
        Ok(Some(draw.with_keys(context, Some(&keys.timesteps))?))
    }

    /// The noisy sample.
    fn noising(&self, context: &Context, schedule: &Schedule, keys: &TrainingKeys) -> Result<Plan, Error> {
        let table = schedule.rows_of(Quantity::Xt, None)?;
        let noising = Map {
            table: &table,
            shape: self.shape,
            timesteps: self.timesteps(),
            in0: Some(self.x0),
            in1: self.noise(true).into(),
            out0: self.x_t,
            out1: None,
        };
        Ok(noising.in_roles(context, NOISING, Some(&keys.before))?)
    }

    /// The loss and its gradient.
    fn loss(&self, context: &Context, table: &Table<LossRow>, keys: &TrainingKeys) -> Result<Plan, Error> {
        let loss = Loss {
            table,
            penalty: self.penalty,
            shape: self.shape,
            timesteps: self.timesteps(),
            prediction: self.prediction,
            in0: Some(self.x0),
            in1: self.noise(false).into(),
            losses: (self.losses, 0),
            mean: self.mean.map(|mean| (mean, 0)),
            gradient: Some(self.gradient),
        };
        Ok(loss.in_roles(context, LOSS, Some(&keys.after))?)
    }

    /// The rows of the loss. A timestep that is never drawn needs no row.
    fn table(&self, schedule: &Schedule) -> Result<Table<LossRow>, Error> {
        let table = schedule.loss_where_defined(self.objective, LossInputs::CleanAndNoise)?;
        self.check(&table, |t| schedule.loss_row(t, self.objective, LossInputs::CleanAndNoise).map_err(Error::Loss))
    }

    /// The term of a learned variance, with the noise of the noisy sample.
    fn vlb(
        &self,
        context: &Context,
        schedule: &Schedule,
        learned: &LearnedVariance<'_>,
        keys: &TrainingKeys,
    ) -> Result<Plan, Error> {
        let LearnedVariance { variance, factor, learned, gradient, terms } = *learned;
        let vlb = Vlb::new(schedule, self.objective.predicts, variance, None)?;
        if matches!(variance, ModelVariance::FixedSmall | ModelVariance::FixedLarge) {
            return Err(VlbError::Fixed { found: variance }.into());
        }
        let table = vlb.table_where_defined(LossInputs::CleanAndNoise);
        let table = self.check(&table, |t| vlb.row(t, LossInputs::CleanAndNoise).map_err(Error::Vlb))?;
        let inputs = VlbInputs {
            table: &table.map(|row| VlbRow { prediction: row.prediction * self.objective.factor, ..row.times(factor) }),
            clip: None,
            shape: self.shape,
            prediction: self.prediction,
            learned: Some(learned),
            x0: self.x0,
            in1: Noise::Drawn(self.noise(true)),
        };
        let terms = VlbTerms {
            inputs,
            timesteps: self.timesteps(),
            terms: (terms, 0),
            mean: None,
            gradient: None,
            learned_gradient: Some(gradient),
            reduction: self.gradient.reduction,
            scale: self.gradient.scale,
        };
        Ok(terms.in_roles(context, VARIANCE, "variance.terms", Some(&keys.before))?)
    }

    /// The table, if it has a row for every timestep that may be drawn; else the error of `row` for the first one without a row.
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

//! A training step around a network in Burn: timesteps, noise and noisy samples before it, the loss after it.
//!
//! **Theory.** See [`tweedie::TrainingStep`]. The target is formed in registers and the noise is drawn twice, so neither
//! exists as a tensor: the loss reads the prediction and the clean sample, and writes the gradient in the same pass.
//!
//! **Practice.** The loss is a node of Burn's graph. Its backward step multiplies the gradient, which has been computed already, by
//! the incoming one divided by the number of samples. That gradient is f32 whatever the prediction is, and rounded after the
//! multiplication, so a loss that is scaled up for f16 loses nothing on the way.

use crate::cache::Cache;
use crate::lent::Lent;
use crate::{Bridge, Error};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::FloatTensorOps as _;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, TensorMetadata as _, Wgpu};
use burn::tensor::{DType, FloatDType, Int, Tensor};
use tweedie::gpu::{Gradient, Loss, Map, Noise, NoiseKey, Recording, TimestepDraw, Timesteps};
use tweedie::math::{LossInputs, Objective, TimestepDensity};
use tweedie::table::{LossRow, Penalty, Table};
use tweedie::{Quantity, Schedule};

/// The aim of a training, and its timesteps.
#[derive(Clone, Debug)]
pub struct Goal {
    /// The quantity that the network predicts, the one that the loss measures, and the weight.
    pub objective: Objective,
    /// The loss as a function of the error.
    pub penalty: Penalty,
    /// The distribution of timesteps.
    pub density: TimestepDensity,
    /// For a stratified draw, the number of samples in the whole batch, over all devices.
    pub stratified: Option<u32>,
}

impl Goal {
    /// Creates the goal of a mean squared error at equally likely timesteps, drawn independently; change its fields for others.
    ///
    /// # Errors
    /// [`Error::Tweedie`] for 0 timesteps, or more than can be drawn from.
    pub fn new(objective: Objective, timesteps: usize) -> Result<Self, Error> {
        let density = TimestepDensity::uniform(timesteps).map_err(tweedie::Error::from)?;
        Ok(Self { objective, penalty: Penalty::MSE, density, stratified: None })
    }
}

/// A batch with noise in it.
#[derive(Clone, Debug)]
pub struct Noisy<const D: usize> {
    /// The clean samples.
    pub x0: Tensor<D>,
    /// The timestep of each sample.
    pub t: Tensor<1, Int>,
    /// The noisy samples, which the network is given.
    pub x_t: Tensor<D>,
    /// The key with which the noise was drawn, and is drawn again for the loss.
    pub key: NoiseKey,
}

/// The loss of a batch, in f32.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The mean over the samples, on which `backward()` is called.
    pub mean: Tensor<1>,
    /// The loss of each sample, for logs and for importance sampling; not part of the graph.
    pub samples: Tensor<1>,
}

/// The ops around a network in training, for batches of any shape.
#[derive(Debug)]
pub struct Training {
    bridge: Bridge,
    schedule: Schedule,
    goal: Goal,
    table: Table<LossRow>,
    draws: Cache,
    maps: [Cache; 2],
    losses: Cache,
}

impl Training {
    /// Creates the ops for a schedule and a goal.
    ///
    /// # Errors
    /// [`Error::Tweedie`] if the objective has no value or no finite weight at a timestep that may be drawn, or if the distribution
    /// is over another number of timesteps than the schedule's.
    pub fn new(bridge: &Bridge, schedule: &Schedule, goal: Goal) -> Result<Self, Error> {
        let table = schedule.loss_where_defined(&goal.objective, LossInputs::CleanAndNoise)?;
        let (expected, found) = (schedule.len(), goal.density.len());
        if expected != found {
            return Err(tweedie::Error::Density { expected, found }.into());
        }
        for t in (0..expected).filter(|&t| goal.density.probability(t) > 0.0) {
            schedule.loss_row(t, &goal.objective, LossInputs::CleanAndNoise)?;
        }
        Ok(Self {
            bridge: bridge.clone(),
            schedule: schedule.clone(),
            goal,
            table,
            draws: Cache::default(),
            maps: Default::default(),
            losses: Cache::default(),
        })
    }

    /// The goal of the training.
    #[must_use]
    pub const fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Draws timesteps from another distribution from now on.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn set_density(&mut self, density: TimestepDensity) -> Result<(), Error> {
        let goal = Goal { density, ..self.goal.clone() };
        let Self { schedule, bridge, .. } = self;
        *self = Self::new(bridge, schedule, goal)?;
        Ok(())
    }

    /// Draws a timestep and noise for each sample, and mixes: `x_t = alpha x0 + sigma epsilon`.
    ///
    /// All of this depends on the key and a sample's global index alone: a device that has samples 100 to 199 of a batch uses
    /// `key.first_sample(100)`, and draws what a single device would draw for them.
    ///
    /// # Errors
    /// [`Error`] for tensors of another device or type of element.
    pub fn noise<const D: usize>(&self, x0: Tensor<D>, key: NoiseKey) -> Result<Noisy<D>, Error> {
        let clean = self.bridge.lend("x0", &x0)?;
        let t = self.bridge.empty_words(x0.dims()[0]);
        let words = self.bridge.lend_words_out("timesteps", &t)?;
        let batch = clean.shape().batch;
        let make = || {
            let Goal { density, stratified, .. } = &self.goal;
            let (ends, stratified, steps) = (density.ends(), *stratified, 1);
            let (buffer, offset) = (words.buffer(), words.offset());
            let draw = TimestepDraw { ends, batch, groups: 1, key, steps, seeds: None, stratified, buffer, offset };
            Ok(draw.plan(self.bridge.context())?)
        };
        self.draws.with(
            self.bridge.context(),
            clean.shape(),
            &[("timesteps", Some(words.tensor()))],
            make,
            |plan| {
                plan.set_key(self.bridge.queue(), 0, key)?;
                self.bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::per_sample()))
            },
        )?;
        self.noise_at(x0, t, key)
    }

    /// As [`noise`](Self::noise), at given timesteps: i32 or u32, one per sample. A sample whose timestep is not in the schedule
    /// becomes NaN.
    ///
    /// # Errors
    /// As [`noise`](Self::noise).
    pub fn noise_at<const D: usize>(&self, x0: Tensor<D>, t: Tensor<1, Int>, key: NoiseKey) -> Result<Noisy<D>, Error> {
        let (x_t, _) = self.map(&x0, &t, key, None)?;
        Ok(Noisy { x0, t, x_t, key })
    }

    /// Returns the noisy samples and the quantity that the network predicts, in one pass over the clean samples: for a loss of your
    /// own. Shapes are those of `x0`.
    ///
    /// # Errors
    /// As [`noise`](Self::noise), and for a quantity that does not exist at some timestep of the schedule.
    pub fn noise_and_target<const D: usize>(
        &self,
        x0: &Tensor<D>,
        t: &Tensor<1, Int>,
        key: NoiseKey,
    ) -> Result<[Tensor<D>; 2], Error> {
        let (x_t, target) = self.map(x0, t, key, Some(self.goal.objective.predicts))?;
        Ok([x_t.clone(), target.unwrap_or(x_t)])
    }

    fn map<const D: usize>(
        &self,
        x0: &Tensor<D>,
        t: &Tensor<1, Int>,
        key: NoiseKey,
        target: Option<Quantity>,
    ) -> Result<(Tensor<D>, Option<Tensor<D>>), Error> {
        let empty = |role| self.bridge.empty(role, x0.dims(), x0.dtype());
        let x_t = empty("x_t")?;
        let second = target.map(|_| empty("target")).transpose()?;
        let clean = self.bridge.lend("x0", x0)?;
        let words = self.words(t, clean.shape().batch)?;
        let out0 = self.bridge.lend_out("x_t", &x_t)?;
        let out1 = second.as_ref().map(|second| self.bridge.lend_out("target", second)).transpose()?;
        let roles = [
            ("in0", Some(clean.tensor())),
            ("timesteps", Some(words.tensor())),
            ("out0", Some(out0.tensor())),
            ("out1", out1.as_ref().map(Lent::tensor)),
        ];
        let make = || {
            let table = self.schedule.rows_of(Quantity::Xt, target)?;
            let map = Map {
                table: &table,
                shape: clean.shape(),
                timesteps: per_sample(&words),
                in0: Some(clean.tensor()),
                in1: Noise::drawn(key),
                out0: out0.tensor(),
                out1: out1.as_ref().map(Lent::tensor),
            };
            Ok(map.plan(self.bridge.context())?)
        };
        self.maps[usize::from(target.is_some())].with(self.bridge.context(), clean.shape(), &roles, make, |plan| {
            plan.set_key(self.bridge.queue(), 0, key)?;
            self.bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::per_sample()))
        })?;
        Ok((x_t, second))
    }

    /// Computes the loss of a prediction. If the prediction is tracked by Burn's autodiff, so is the mean, and its gradient with
    /// respect to the prediction is computed in the same pass.
    ///
    /// # Errors
    /// [`Error`] for a prediction of another shape, device or type of element; [`Error::Backend`] for a device with gradient
    /// checkpointing.
    pub fn loss<const D: usize>(&self, noisy: &Noisy<D>, prediction: Tensor<D>) -> Result<Losses, Error> {
        let (expected, found) = (noisy.x0.dims(), prediction.dims());
        if expected != found {
            let [expected, found] = [expected, found].map(|dims| dims.to_vec());
            return Err(Error::Shape { tensor: "prediction", expected, found });
        }
        if !prediction.is_tracked() {
            return Ok(self.measure(noisy, &prediction.without_autodiff(), false)?.0);
        }
        let found = |error| Error::Backend { tensor: "prediction", found: format!("{error:?}") };
        let node = prediction.clone().try_into_primitive::<Autodiff<Wgpu>>().map_err(found)?.node();
        let (losses, gradient) = self.measure(noisy, &prediction.clone().without_autodiff(), true)?;
        let Losses { mean, samples } = losses;
        let mean = mean.try_into_primitive::<Wgpu>().map_err(found)?;
        let gradient = gradient.try_into_primitive::<Wgpu>().map_err(found)?;
        let elements = prediction.dtype();
        let mean = match LossBackward.prepare::<NoCheckpointing>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gradient, elements), mean),
            OpsKind::UnTracked(prep) => prep.finish(mean),
        };
        Ok(Losses { mean: Tensor::from_primitive::<Autodiff<Wgpu>>(mean), samples })
    }

    /// The losses and, if it is `wanted`, the gradient of their sum, which does not depend on the number of samples.
    fn measure<const D: usize>(
        &self,
        noisy: &Noisy<D>,
        prediction: &Tensor<D>,
        wanted: bool,
    ) -> Result<(Losses, Tensor<D>), Error> {
        let dims = prediction.dims();
        let samples: Tensor<1> = self.bridge.empty("losses", [dims[0]], DType::F32)?;
        let mean: Tensor<1> = self.bridge.empty("mean", [1], DType::F32)?;
        // Without a gradient, the prediction takes its place and is not used.
        let slope = if wanted { self.bridge.empty("gradient", dims, DType::F32)? } else { prediction.clone() };
        let clean = self.bridge.lend("x0", &noisy.x0)?;
        let given = self.bridge.lend("prediction", prediction)?;
        let words = self.words(&noisy.t, clean.shape().batch)?;
        let [losses, average] =
            [("losses", &samples), ("mean", &mean)].map(|(role, out)| self.bridge.lend_out(role, out));
        let (losses, average) = (losses?, average?);
        let gradient = wanted.then(|| self.bridge.lend_out("gradient", &slope)).transpose()?;
        let roles = [
            ("in0", Some(clean.tensor())),
            ("prediction", Some(given.tensor())),
            ("timesteps", Some(words.tensor())),
            ("losses", Some(losses.tensor())),
            ("mean", Some(average.tensor())),
            ("gradient", gradient.as_ref().map(Lent::tensor)),
        ];
        let make = || {
            let loss = Loss {
                table: &self.table,
                penalty: self.goal.penalty,
                shape: clean.shape(),
                timesteps: per_sample(&words),
                prediction: given.tensor(),
                in0: Some(clean.tensor()),
                in1: Noise::drawn(noisy.key),
                losses: (losses.buffer(), losses.offset()),
                mean: Some((average.buffer(), average.offset())),
                gradient: gradient.as_ref().map(|gradient| Gradient::sum(gradient.tensor())),
            };
            Ok(loss.plan(self.bridge.context())?)
        };
        self.losses.with(self.bridge.context(), clean.shape(), &roles, make, |plan| {
            plan.set_key(self.bridge.queue(), 0, noisy.key)?;
            self.bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::per_sample()))
        })?;
        Ok((Losses { mean, samples }, slope))
    }

    fn words(&self, t: &Tensor<1, Int>, batch: u32) -> Result<Lent, Error> {
        let words = self.bridge.lend_words("timesteps", t)?;
        let found = t.dims();
        if found[0] != batch as usize {
            return Err(Error::Shape { tensor: "timesteps", expected: vec![batch as usize], found: found.to_vec() });
        }
        Ok(words)
    }

    /// The number of plans that have been made; see "What to know" in the README.
    #[must_use]
    pub fn plans_made(&self) -> u64 {
        self.counts()[0]
    }

    /// The number of times that a plan was moved to other tensors instead.
    #[must_use]
    pub fn plans_moved(&self) -> u64 {
        self.counts()[1]
    }

    fn counts(&self) -> [u64; 2] {
        let all = [&self.draws, &self.maps[0], &self.maps[1], &self.losses].map(Cache::counts);
        [0, 1].map(|kind| all.iter().map(|counts| counts[kind]).sum())
    }
}

fn per_sample(words: &Lent) -> Timesteps<'_> {
    Timesteps::PerSample { buffer: words.buffer(), offset: words.offset() }
}

/// The loss as a node of Burn's graph.
#[derive(Debug)]
struct LossBackward;

impl Backward<Wgpu, 1> for LossBackward {
    /// The gradient of the sum of the losses, and the type of the prediction's elements.
    type State = (FloatTensor<Wgpu>, DType);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (gradient, elements) = ops.state;
        unary::<Wgpu, _>(ops.parents, ops.node, grads, |arriving| {
            let samples = gradient.shape()[0] as f32;
            let arriving = Wgpu::float_div_scalar(arriving, samples.into());
            let arriving = Wgpu::float_reshape(arriving, vec![1; gradient.rank()].into());
            let product = Wgpu::float_mul(gradient, arriving);
            if elements == DType::F32 { product } else { Wgpu::float_cast(product, FloatDType::from(elements)) }
        });
    }
}

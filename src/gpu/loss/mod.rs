//! loss: the weighted loss of each sample, their mean, and the gradient, in one pass over the tensors.
//!
//! **Theory.** [`LossRow`] says what is computed. The target is formed in registers, of the clean sample and the noise, and
//! the noise may be drawn again from its key: a training step reads the prediction and the clean sample, and writes the
//! gradient. Sums are trees of a fixed order, so a loss is the same from run to run, to the bit, and does not depend on the
//! batch that its sample is in.
//!
//! **Practice.** A [`LossPlan`] is made once; recording it is a few calls on the caller's pass: no submit, no poll, no
//! allocation, no upload. After the pass over the tensors a small dispatch adds up samples of more than 4096 elements, and one
//! or two more their mean. The gradient needs a pass of its own only where it is 16-bit and its samples are neither whole
//! lanes of four nor pairs.
//!
//! Host twin of `shaders/op/loss.wgsl`: [`reference()`].

mod reference;

pub use reference::{Batch, Losses, reference};
pub(super) use reference::{mean, scaled};

use super::{Shape, Tensor};
use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::map::{At, Second, Timesteps};
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::sums::Sums;
use crate::gpu::shader::codes::LossCurve;
use crate::gpu::shader::op::{Op, SLOTS, loss as slots};
use crate::table::{Curve, LossRow, Penalty, Table};

/// What the gradient is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Of {
    /// The sum of the samples' losses, each the mean over its elements.
    #[default]
    Sum,
    /// The mean of the samples' losses: the gradient of the sum over the number of samples.
    Mean,
}

impl Of {
    /// What the gradient is multiplied with beside the weight: 1, or 1 over the samples.
    pub(super) fn share(self, shape: Shape) -> f64 {
        match self {
            Of::Sum => 1.0,
            Of::Mean => 1.0 / f64::from(shape.batch.max(1)),
        }
    }
}

/// What a loss or a gradient may be off by, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which
/// allows for four roundings: of a gradient, those of its weight and of two quotients and a root, which WGSL permits to be off
/// by 2.5 and 4.5 ULP; of a loss, one for each doubling of its elements, of which most cancel.
pub const ROUNDINGS: f64 = 5.0;

/// What a [`LossPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Loss<'a> {
    /// A row for each timestep.
    pub table: &'a Table<LossRow>,
    /// What an error costs.
    pub penalty: Penalty,
    /// The batch.
    pub shape: Shape,
    /// Which row each sample uses.
    pub timesteps: Timesteps<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The first of the two other inputs, if a row looks at it: the clean sample, or the noisy one.
    pub in0: Option<Tensor<'a>>,
    /// The second, if a row looks at it: the noise, given or drawn as for the noising, or the target.
    pub in1: Option<Second<'a>>,
    /// A seed and an index for each sample instead of the key's, where noise is drawn: four `u32` a sample, `[seed low, seed
    /// high, sample low, sample high]`, without gaps; and the byte at which they begin, a multiple of the device's
    /// `min_storage_buffer_offset_alignment`.
    pub seeds: Option<(&'a wgpu::Buffer, u64)>,
    /// Where the loss of each sample goes: an `f32` each, from this byte of a buffer with usage STORAGE.
    pub losses: (&'a wgpu::Buffer, u64),
    /// Where their mean goes: one `f32`.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// Where the gradient with respect to the prediction goes, and what it is of. It may be the very same elements as the
    /// prediction.
    pub gradient: Option<(Tensor<'a>, Of)>,
}

/// A loss that is ready to be recorded.
#[derive(Debug)]
pub struct LossPlan {
    plan: Plan,
}

impl LossPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles one to three shaders; every plan uploads 16 bytes a row and allocates, where
    /// samples have more, 4 bytes for each 4096 elements of them, up to 8 MiB.
    ///
    /// # Errors
    /// [`PlanError`] says what is rejected.
    pub fn new(context: &Context, loss: &Loss<'_>) -> Result<Self, PlanError> {
        loss.check()?;
        let table = loss.scaled();
        let rows = table.rounded()?;
        let sums = Sums {
            job: loss.job(&rows),
            factor: 1.0 / loss.share(),
            samples: ("losses", loss.losses),
            mean: loss.mean,
        };
        Ok(Self { plan: sums.plan(context)? })
    }

    /// Records the loss into the caller's pass. Sets the pipeline and bind group 0. No heap allocation, no upload, no submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the loss into a compute pass of its own.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.plan.encode(encoder, at)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches.len()
    }

    /// As [`MapPlan::set_key`](super::MapPlan::set_key).
    ///
    /// # Errors
    /// [`RecordError`] for a plan that draws no noise, and a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }

    /// For timesteps from a buffer: as [`MapPlan::status`](super::MapPlan::status).
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status.as_ref()
    }
}

impl<'a> Loss<'a> {
    fn share(&self) -> f64 {
        self.gradient.map_or(1.0, |(_, of)| of.share(self.shape))
    }

    /// The rows with all that multiplies the gradient in their weight, so that it is rounded once.
    fn scaled(&self) -> Table<LossRow> {
        let factor = self.penalty.scale() * self.share() / f64::from(self.shape.elements.max(1));
        self.table.map(|row| LossRow { weight: row.weight * factor, ..*row })
    }

    fn job<'b>(&self, rows: &'b [Option<[f32; 4]>]) -> Job<'b>
    where
        'a: 'b,
    {
        let (given, drawn) = match self.in1 {
            Some(Second::Given(tensor)) => (Some(tensor), None),
            Some(Second::Drawn(drawn)) => (None, Some(drawn)),
            None => (None, None),
        };
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::IN0] = self.in0;
        tensors[slots::IN1] = given;
        tensors[slots::GRADIENT] = self.gradient.map(|(tensor, _)| tensor);
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        let bend = self.penalty.bend();
        let curve = match self.penalty.curve() {
            Curve::Clamped => LossCurve::Huber,
            Curve::Rooted if bend > 0.0 => LossCurve::PseudoHuber,
            Curve::Rooted => LossCurve::Absolute,
        };
        Job {
            rows: rows.iter().map(|row| row.as_ref().map(<[f32; 4]>::as_slice)).collect(),
            drawn: drawn.map(Drawing::of),
            seeds: drawn.and(self.seeds).map(|(buffer, offset)| Tensor::f32(buffer).at(offset)),
            delta: (bend as f32).min(f32::MAX),
            ..Job::new(Op::Loss { curve }, self.shape, self.timesteps, tensors)
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        let looked_at = |input: usize| {
            let looks = |row: &Option<LossRow>| row.is_some_and(|row| row.inputs[input] != 0.0);
            self.table.rows().iter().position(looks)
        };
        let missing = [("in0", 0, self.in0.is_none()), ("in1", 1, self.in1.is_none())];
        let mut missing = missing.into_iter().filter(|(.., absent)| *absent);
        match missing.find_map(|(what, input, _)| Some((what, looked_at(input)?))) {
            Some((what, row)) => Err(PlanError::Missing { what, row }),
            None => Ok(()),
        }
    }
}

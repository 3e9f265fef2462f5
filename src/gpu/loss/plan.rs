//! The plan of a loss.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::{At, Of, Second, Timesteps};
use crate::gpu::plan::job::{Job, Roles};
use crate::gpu::plan::keys::Drawing;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::sums::Sums;
use crate::gpu::plan::words::SampleWords;
use crate::gpu::shader::codes::LossCurve;
use crate::gpu::shader::op::{Op, SLOTS, loss as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::noise::NoiseKey;
use crate::table::loss::{Curve, LossRow, Penalty};
use crate::table::{RoundedTable, Table};

/// The inputs and outputs of a [`LossPlan`].
#[derive(Clone, Copy, Debug)]
pub struct Loss<'a> {
    /// A row for each timestep.
    pub table: &'a Table<LossRow>,
    /// The cost of an error.
    pub penalty: Penalty,
    /// The batch.
    pub shape: Shape,
    /// The row that each sample uses.
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
    /// The buffer for the loss of each sample: an `f32` each, from this byte of a buffer with usage STORAGE.
    pub losses: (&'a wgpu::Buffer, u64),
    /// The buffer for their mean: one `f32`.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// The tensor for the gradient with respect to the prediction, and the reduction that it belongs to. It may be the very
    /// same elements as the prediction.
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
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn new(context: &Context, loss: &Loss<'_>) -> Result<Self, PlanError> {
        Self::in_roles(context, loss, None)
    }

    /// Makes a plan whose tensors have these names, by slot.
    pub(crate) fn in_roles(context: &Context, loss: &Loss<'_>, roles: Option<Roles>) -> Result<Self, PlanError> {
        loss.check()?;
        let table = loss.scaled();
        let rows = table.rounded()?;
        let job = loss.job(&rows);
        let sums = Sums {
            job: Job { roles: roles.unwrap_or(job.roles), ..job },
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

    /// The same plan on other tensors, by their roles; see [`MapPlan::moved`](crate::gpu::MapPlan::moved).
    ///
    /// # Errors
    /// As there.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        Ok(Self { plan: self.plan.moved(context, tensors)? })
    }

    /// Returns `true` if a tensor of the plan has this role.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.plan.has_role(role)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.plan.dispatches()
    }

    /// Sets a key, as [`MapPlan::set_key`](crate::gpu::MapPlan::set_key) does.
    ///
    /// # Errors
    /// [`RecordError`] for a plan that draws no noise, and a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.plan.set_key(queue, step, key)
    }

    /// The status buffer, for timesteps from a buffer, as [`MapPlan::status`](crate::gpu::MapPlan::status).
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.plan.status()
    }
}

impl<'a> Loss<'a> {
    /// The factor of the gradient beside the weight.
    fn share(&self) -> f64 {
        self.gradient.map_or(1.0, |(_, of)| of.share(self.shape))
    }

    /// The rows with all that multiplies the gradient in their weight, so that it is rounded once.
    fn scaled(&self) -> Table<LossRow> {
        // The kernel computes the gradient with this weight. The sums carry the same factor, and their fold divides by the
        // share again.
        let factor = self.penalty.scale() * self.share() / f64::from(self.shape.elements.max(1));
        self.table.map(|row| LossRow { weight: row.weight * factor, ..*row })
    }

    fn job<'b>(&self, rows: &'b RoundedTable) -> Job<'b>
    where
        'a: 'b,
    {
        let drawn = self.in1.and_then(Second::drawn);
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::IN0] = self.in0;
        tensors[slots::IN1] = self.in1.and_then(Second::tensor);
        tensors[slots::GRADIENT] = self.gradient.map(|(tensor, _)| tensor);
        tensors[slots::NOISE_OUT] = drawn.and_then(|drawn| drawn.keep);
        let delta = self.penalty.delta();
        let curve = match self.penalty.curve() {
            Curve::Huber => LossCurve::Huber,
            Curve::PseudoHuber if delta > 0.0 => LossCurve::PseudoHuber,
            Curve::PseudoHuber => LossCurve::Absolute,
        };
        Job {
            drawn: drawn.map(Drawing::of),
            seeds: drawn.and(self.seeds).map(SampleWords::of_seeds),
            // The squared error never bends: its delta is infinite, which a shader may not hold.
            delta: (delta as f32).min(f32::MAX),
            ..Job::new(Op::Loss { curve }, self.shape, self.timesteps, tensors, rows)
        }
    }

    /// Checks that the inputs are there that a row has a coefficient for.
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

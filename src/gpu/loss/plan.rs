//! The request for a loss, and its plan.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{Gradient, Noise, Timesteps};
use crate::gpu::plan::job::{Job, Roles};
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::rows::{Accepts, check_loss};
use crate::gpu::plan::sums::{Sums, check_scale};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::codes::LossCurve;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::slots::{SLOTS, loss as slots};
use crate::gpu::tensor::{Shape, Tensor};
use crate::table::loss::{Curve, LossRow, Penalty};
use crate::table::{RoundedTable, Table};
use std::sync::Arc;

/// The request for the plan of a loss.
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
    /// The first of the two other inputs, if a row has a coefficient for it: the clean sample, or the noisy one.
    pub in0: Option<Tensor<'a>>,
    /// The second, if a row has a coefficient for it: the noise, given or drawn as for the noising, or the target.
    pub in1: Noise<'a>,
    /// The buffer, with usage STORAGE, for the loss of each sample, an `f32` each, and the byte at which they begin. With
    /// [timesteps per group](Timesteps::PerGroup) each run has a loss, in order: `[batch, groups]` for tokens.
    pub losses: (&'a wgpu::Buffer, u64),
    /// The buffer for the mean of the losses, one `f32`, and the byte at which it begins.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// The gradient with respect to the prediction.
    pub gradient: Option<Gradient<'a>>,
}

impl<'a> Loss<'a> {
    /// Makes the plan.
    ///
    /// Cost: the first plan of a kind compiles one to three shaders; every plan uploads 16 bytes a row. For samples of more than
    /// 4096 elements it allocates 4 bytes for each 4096 elements, at most 8 MiB in all.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        self.in_roles(context, self.op().roles(), None)
    }

    /// Makes a plan whose tensors have these names, by slot, with keys that another plan has uploaded already.
    pub(crate) fn in_roles(
        &self,
        context: &Context,
        roles: Roles,
        keys: Option<&Arc<Keys>>,
    ) -> Result<Plan, PlanError> {
        // With timesteps per group, each run has a loss of its own.
        let (shape, runs) = self.timesteps.runs_of(self.shape)?;
        let inputs = [self.in0.is_some(), !self.in1.is_none()];
        let rows = self.table.rows().iter().enumerate();
        check_loss(rows.filter_map(|(index, row)| Some((index, row.as_ref()?))), inputs)?;
        // All factors of the gradient are multiplied into the weights, so that they are rounded once. The sums have the same
        // factors, and their fold divides by those of the gradient alone again.
        let share = |gradient: Gradient<'_>| gradient.scale.factor() * gradient.reduction.share(shape);
        let of_gradient = self.gradient.map_or(1.0, share);
        let of_element = self.penalty.scale() / f64::from(shape.elements.max(1));
        let weights = self.table.rows().iter().flatten().map(|row| row.weight * of_element);
        self.gradient.map_or(Ok(()), |gradient| check_scale(gradient.scale, of_gradient, weights))?;
        let factor = of_element * of_gradient;
        let rows = self.table.map(|row| LossRow { weight: row.weight * factor, ..*row }).rounded()?;
        let job = Job { roles, keys, runs, accepts: Accepts::Loss { inputs, factor }, ..self.job(shape, &rows) };
        Sums { job, factor: 1.0 / of_gradient, samples: ("losses", self.losses), mean: self.mean }.plan(context)
    }

    /// The op in the kernel.
    fn op(&self) -> Op {
        let curve = match self.penalty.curve() {
            Curve::Huber => LossCurve::Huber,
            Curve::PseudoHuber if self.penalty.delta() > 0.0 => LossCurve::PseudoHuber,
            Curve::PseudoHuber => LossCurve::Absolute,
        };
        Op::Loss { curve, scaled_gradient: self.scaler().is_some() }
    }

    /// The factor of the gradient on the GPU.
    fn scaler(&self) -> Option<WordRange<'a>> {
        self.gradient.and_then(|gradient| WordRange::of_scale(gradient.scale))
    }

    fn job<'b>(&self, shape: Shape, rows: &'b RoundedTable) -> Job<'b>
    where
        'a: 'b,
    {
        let mut tensors = [None; SLOTS];
        tensors[slots::PREDICTION] = Some(self.prediction);
        tensors[slots::IN0] = self.in0;
        tensors[slots::IN1] = self.in1.tensor();
        tensors[slots::GRADIENT] = self.gradient.map(|gradient| gradient.tensor);
        // The squared error is a parabola everywhere: its delta is infinite, which a shader may not hold.
        let delta = (self.penalty.delta() as f32).min(f32::MAX);
        let job = Job::new(self.op(), shape, self.timesteps, tensors, rows);
        Job { delta, scaler: self.scaler(), ..job }.drawing(self.in1, slots::NOISE_OUT)
    }
}

//! The request for a term of the variational bound, and its plan.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::{GradientScale, Reduction, Timesteps};
use crate::gpu::plan::job::Roles;
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::sums::{Sums, check_scale};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::slots::vlb as slots;
use crate::gpu::tensor::Tensor;
use crate::gpu::vlb::inputs::VlbInputs;
use std::sync::Arc;

/// The request for the plan of a term of the variational bound.
#[derive(Clone, Copy, Debug)]
pub struct VlbTerms<'a> {
    /// The inputs of the terms.
    pub inputs: VlbInputs<'a>,
    /// The row that each sample uses.
    pub timesteps: Timesteps<'a>,
    /// The buffer, with usage STORAGE, for the term of each sample, an `f32` each, and the byte at which they begin. With
    /// [timesteps per group](Timesteps::PerGroup) each run has a term, in order.
    pub terms: (&'a wgpu::Buffer, u64),
    /// The buffer for the mean of the terms, one `f32`, and the byte at which it begins.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// The tensor for the gradient with respect to the prediction. It may be the very same elements as the prediction. The
    /// gradient is 0 where x0 is clipped.
    pub gradient: Option<Tensor<'a>>,
    /// The tensor for the gradient with respect to the second output. It may be the very same elements as that output.
    pub learned_gradient: Option<Tensor<'a>>,
    /// The reduction of the samples' terms whose gradients they are.
    pub reduction: Reduction,
    /// A factor of the gradients alone, which leaves the terms as they are.
    pub scale: GradientScale<'a>,
}

impl VlbTerms<'_> {
    /// Makes the plan.
    ///
    /// Cost: the first plan of a kind compiles one to three shaders; every plan uploads 32 bytes a row. For samples of more than
    /// 4096 elements it allocates 4 bytes for each 4096 elements, at most 8 MiB in all.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn plan(&self, context: &Context) -> Result<Plan, PlanError> {
        self.in_roles(context, Op::Vlb { clips: false, scaled_gradient: false }.roles(), "terms", None)
    }

    /// Makes a plan whose tensors have these names, by slot, and whose terms have this one, with keys that another plan has
    /// uploaded already.
    pub(crate) fn in_roles(
        &self,
        context: &Context,
        roles: Roles,
        name: &'static str,
        keys: Option<&Arc<Keys>>,
    ) -> Result<Plan, PlanError> {
        let Self { inputs, timesteps, terms, mean, gradient, learned_gradient, reduction, scale } = *self;
        inputs.check()?;
        let (shape, runs) = timesteps.runs_of(inputs.shape)?;
        let inputs = VlbInputs { shape, ..inputs };
        let share = scale.factor() * reduction.share(inputs.shape);
        check_scale(scale, share, inputs.weights())?;
        let rows = inputs.scaled(share).rounded()?;
        let mut job = inputs.job(timesteps, &rows, share);
        (job.roles, job.keys, job.runs) = (roles, keys, runs);
        job.scaler = WordRange::of_scale(scale).filter(|_| gradient.is_some() || learned_gradient.is_some());
        job.op = Op::Vlb { clips: inputs.clip.is_some(), scaled_gradient: job.scaler.is_some() };
        job.tensors[slots::GRADIENT] = gradient;
        job.tensors[slots::LEARNED_GRADIENT] = learned_gradient;
        Sums { job, factor: 1.0 / share, samples: (name, terms), mean }.plan(context)
    }
}

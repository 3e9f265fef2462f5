//! The plan of a term of the variational bound.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::{At, Of, Timesteps};
use crate::gpu::plan::job::Roles;
use crate::gpu::plan::plan::Plan;
use crate::gpu::plan::sums::Sums;
use crate::gpu::shader::op::vlb as slots;
use crate::gpu::tensor::Tensor;
use crate::gpu::vlb::inputs::VlbInputs;
use crate::noise::NoiseKey;

/// The inputs and outputs of a [`VlbPlan`].
#[derive(Clone, Copy, Debug)]
pub struct VlbTerms<'a> {
    /// The inputs of the terms.
    pub inputs: VlbInputs<'a>,
    /// The row that each sample uses.
    pub timesteps: Timesteps<'a>,
    /// The buffer for the term of each sample: an `f32` each, from this byte of a buffer with usage STORAGE.
    pub terms: (&'a wgpu::Buffer, u64),
    /// The buffer for their mean: one `f32`.
    pub mean: Option<(&'a wgpu::Buffer, u64)>,
    /// The tensor for the gradient with respect to the prediction. It may be the very same elements as the prediction. The
    /// gradient is 0 where x0 is clipped.
    pub gradient: Option<Tensor<'a>>,
    /// The tensor for the gradient with respect to the second output. It may be the very same elements.
    pub learned_gradient: Option<Tensor<'a>>,
    /// The reduction that the gradients belong to.
    pub of: Of,
}

/// A term of the variational bound that is ready to be recorded.
#[derive(Debug)]
pub struct VlbPlan {
    plan: Plan,
}

impl VlbPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles one to three shaders; every plan uploads 32 bytes a row and allocates, where
    /// samples have more, 4 bytes for each 4096 elements of them, up to 8 MiB.
    ///
    /// # Errors
    /// [`PlanError`] lists the inputs that are rejected.
    pub fn new(context: &Context, terms: &VlbTerms<'_>) -> Result<Self, PlanError> {
        Self::in_roles(context, terms, None, "terms")
    }

    /// Makes a plan whose tensors have these names, by slot, and whose terms have this one.
    pub(crate) fn in_roles(
        context: &Context,
        terms: &VlbTerms<'_>,
        roles: Option<Roles>,
        name: &'static str,
    ) -> Result<Self, PlanError> {
        let VlbTerms { inputs, timesteps, terms: results, mean, gradient, learned_gradient, of } = *terms;
        inputs.check()?;
        let share = of.share(inputs.shape);
        let table = inputs.scaled(share);
        let rows = table.rounded()?;
        let mut job = inputs.job(timesteps, &rows);
        job.roles = roles.unwrap_or(job.roles);
        job.tensors[slots::GRADIENT] = gradient;
        job.tensors[slots::LEARNED_GRADIENT] = learned_gradient;
        let sums = Sums { job, factor: 1.0 / share, samples: (name, results), mean };
        Ok(Self { plan: sums.plan(context)? })
    }

    /// Records the term into the caller's pass. Sets the pipeline and bind group 0. No heap allocation, no upload, no submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        self.plan.record(pass, at)
    }

    /// Records the term into a compute pass of its own.
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

//! A single dispatch of a standalone kernel, ready to be recorded.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::pipeline::Pipeline;
use crate::gpu::shader::params::{MAX_GROUPS, SMALL_WORKGROUP};
use std::sync::Arc;

/// A dispatch with its bind group. Recording it allocates nothing.
#[derive(Debug)]
pub(crate) struct StandalonePass {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

/// The workgroups for this many invocations. Workgroups beyond the limit of the first axis go along the second one.
pub(crate) fn workgroups(what: &'static str, invocations: u64) -> Result<[u32; 3], PlanError> {
    let groups = invocations.div_ceil(u64::from(SMALL_WORKGROUP));
    let most = u64::from(MAX_GROUPS);
    check_limit(what, "max_compute_workgroups_per_dimension", most * most, groups)?;
    Ok([groups.min(most) as u32, groups.div_ceil(most) as u32, 1])
}

impl StandalonePass {
    /// Binds these resources, in the order of their binding numbers.
    pub fn new<'a>(
        context: &Context,
        label: &str,
        pipeline: Arc<Pipeline>,
        resources: impl IntoIterator<Item = wgpu::BindingResource<'a>>,
        workgroups: [u32; 3],
    ) -> Self {
        let group = context.bind_group(label, &pipeline, (0..).zip(resources));
        Self { pipeline, group, workgroups }
    }

    /// Records the dispatch into the caller's pass.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(self.pipeline.compiled());
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

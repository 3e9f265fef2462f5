//! Which call a loop is at, kept on the GPU: for loops that are recorded once and replayed, or whose length the GPU decides.

use crate::gpu::context::Pipeline;
use crate::gpu::error::PlanError;
use crate::gpu::map::Timesteps;
use crate::gpu::plan::reduce::Words;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::CounterParams;
use crate::gpu::shader::standalone::advance;
use crate::gpu::{Context, Shape};
use std::sync::Arc;

/// Advances `u32`s that a plan reads its calls from; see [`Timesteps::Shared`] and [`Timesteps::PerSample`].
#[derive(Debug)]
pub struct Counter {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    workgroups: u32,
}

impl Counter {
    /// For the `count` words from byte `offset` of a buffer with usage STORAGE: the same as the plan's.
    ///
    /// # Errors
    /// [`PlanError`] for a buffer that is too small or lacks the usage, an offset that is no multiple of 4, or more words
    /// than 64 times the workgroups of a dispatch.
    pub fn new(context: &Context, buffer: &wgpu::Buffer, offset: u64, count: u32) -> Result<Self, PlanError> {
        let words = Timesteps::PerSample { buffer, offset };
        crate::gpu::plan::job::check_words("counter", words, Shape::new(count, 1))?;
        let workgroups = count.div_ceil(64);
        let allowed = context.limits().max_compute_workgroups_per_dimension;
        if workgroups > allowed {
            let (what, limit) = ("counters", "max_compute_workgroups_per_dimension");
            let (allowed, found) = (u64::from(allowed), u64::from(workgroups));
            return Err(PlanError::DeviceLimit { what, limit, allowed, found });
        }
        let bindings = [entry(0, storage(true), false), entry(1, wgpu::BufferBindingType::Uniform, false)];
        let pipeline = context.small_pipeline("advance", advance, &bindings);
        let words = Words { buffer, offset, bytes: 4 * u64::from(count) };
        words.check("counters", context)?;
        let (counters, first) = words.binding(context);
        let params = CounterParams { count, first, unused: [0; 2] };
        let params = bytemuck::bytes_of(&params);
        let params = context.buffer_with("tweedie::Counter::params", wgpu::BufferUsages::UNIFORM, params)?;
        let group = context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tweedie::Counter::group"),
            layout: &pipeline.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: counters },
                wgpu::BindGroupEntry { binding: 1, resource: params.as_entire_binding() },
            ],
        });
        Ok(Self { pipeline, group, workgroups })
    }

    /// Records the advance into the caller's pass: one small dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

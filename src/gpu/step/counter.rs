//! Which call a loop is at, kept on the GPU: for loops that are recorded once and replayed, or whose length the GPU decides.

use crate::gpu::error::PlanError;
use crate::gpu::map::Timesteps;
use crate::gpu::{Context, Shape};

/// Advances `u32`s that a plan reads its calls from; see [`Timesteps::Shared`] and [`Timesteps::PerSample`].
#[derive(Debug)]
pub struct Counter {
    pipeline: wgpu::ComputePipeline,
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
        crate::gpu::build::check_words("counter", words, Shape::new(count, 1))?;
        let workgroups = count.div_ceil(64);
        let allowed = context.limits().max_compute_workgroups_per_dimension;
        if workgroups > allowed {
            let (what, limit) = ("counters", "max_compute_workgroups_per_dimension");
            let (allowed, found) = (u64::from(allowed), u64::from(workgroups));
            return Err(PlanError::DeviceLimit { what, limit, allowed, found });
        }
        let device = context.device();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("tweedie::Counter::shader"),
            source: wgpu::ShaderSource::Wgsl(include_str!("../../../shaders/counter.wgsl").into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("tweedie::Counter::pipeline"),
            layout: None,
            module: &module,
            entry_point: Some("advance"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        // The whole buffer is bound, so that its offset needs no alignment.
        let first = (offset / 4) as u32;
        let words = bytemuck::cast::<[u32; 4], [u8; 16]>([count, first, 0, 0]);
        let count = context.buffer_with("tweedie::Counter::count", wgpu::BufferUsages::UNIFORM, &words);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tweedie::Counter::group"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: count.as_entire_binding() },
            ],
        });
        Ok(Self { pipeline, group, workgroups })
    }

    /// Records the advance into the caller's pass: one small dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(self.workgroups, 1, 1);
    }
}

//! A counter of a loop's calls on the GPU, for loops that are recorded once and replayed, or whose length the GPU decides.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{CounterParams, SMALL_WORKGROUP};
use crate::gpu::shader::standalone::advance;
use crate::gpu::standalone_pass::StandalonePass;

/// Advances the `u32`s from which a plan reads its calls; see [`Timesteps`](crate::gpu::Timesteps).
#[derive(Debug)]
pub struct Counter(StandalonePass);

impl Counter {
    /// Makes a counter of the `count` words from byte `offset` of a buffer with usage STORAGE: those that the plan reads.
    ///
    /// # Errors
    /// [`PlanError`] for no words, a buffer that is too small or lacks the usage, an offset that is not a multiple of 4, more
    /// words than 64 times the workgroups of a dispatch along one axis, or more than the device binds.
    pub fn new(context: &Context, buffer: &wgpu::Buffer, offset: u64, count: u32) -> Result<Self, PlanError> {
        if count == 0 {
            return Err(PlanError::NoWords);
        }
        let words = WordRange::at((buffer, offset), count);
        words.check("counter")?;
        let workgroups = count.div_ceil(SMALL_WORKGROUP);
        // Counters lie along one axis of the dispatch.
        let (limit, allowed) =
            ("max_compute_workgroups_per_dimension", context.limits().max_compute_workgroups_per_dimension);
        check_limit("counters", limit, u64::from(allowed), u64::from(workgroups))?;
        words.check_binding("counters", context)?;
        let bindings = [entry(0, storage(true), false), entry(1, wgpu::BufferBindingType::Uniform, false)];
        let pipeline = context.small_pipeline("advance", advance, &bindings);
        let (counters, first) = words.binding(context);
        let params = CounterParams { count, first, unused: [0; 2] };
        let params = bytemuck::bytes_of(&params);
        let params = context.buffer_with("tweedie::Counter::params", wgpu::BufferUsages::UNIFORM, params)?;
        let resources = [counters.resource(), params.as_entire_binding()];
        let label = "tweedie::Counter::group";
        Ok(Self(StandalonePass::new(context, label, pipeline, resources, [workgroups, 1, 1])))
    }

    /// Records the advance into the caller's pass: one small dispatch.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        self.0.record(pass);
    }
}

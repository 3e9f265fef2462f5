//! Timesteps drawn on the GPU: one small dispatch that fills the buffer which noising and loss read.
//!
//! **Theory.** A distribution is a division of the 2^32 random words into consecutive ranges; see
//! [`TimestepDensity`](crate::math::TimestepDensity), whose draws these are to the bit.
//!
//! **Practice.** A [`TimestepPlan`] holds the ends of the ranges, which may be replaced between submits (importance
//! sampling), and a key for each recorded step. Host twin of `shaders/standalone/draw_timesteps.wgsl`: the density's `draw`.

use crate::gpu::context::{Context, Pipeline};
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::map::Timesteps;
use crate::gpu::plan::job::check_words;
use crate::gpu::plan::reduce::Words;
use crate::gpu::plan::tables::check;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{MAX_GROUPS, SMALL_WORKGROUP, TimestepParams};
use crate::gpu::shader::standalone;
use crate::gpu::tensor::Shape;
use crate::noise::{NoiseKey, TIMESTEP_BLOCK};
use std::mem::offset_of;
use std::sync::Arc;
use wgpu::BufferUsages;

/// What a [`TimestepPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct TimestepDraw<'a> {
    /// Where the words of each timestep end, rising to 2^32: [`TimestepDensity::ends`](crate::math::TimestepDensity).
    pub ends: &'a [u64],
    /// Samples of the batch.
    pub batch: u32,
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// How many steps may be recorded without setting a key: at least 1.
    pub steps: u32,
    /// For a stratified draw, the samples of the whole batch, those of all devices together.
    pub stratified: Option<u32>,
    /// The buffer for the timesteps, one `u32` a sample, with usage STORAGE.
    pub buffer: &'a wgpu::Buffer,
    /// Bytes before the first timestep: a multiple of 4.
    pub offset: u64,
}

/// A draw that is ready to be recorded.
#[derive(Debug)]
pub struct TimestepPlan {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    workgroups: [u32; 2],
    params: wgpu::Buffer,
    ends: wgpu::Buffer,
    timesteps: usize,
    keys: wgpu::Buffer,
    key_stride: u32,
    steps: u32,
}

impl TimestepPlan {
    /// Makes a plan: compiles a small shader, uploads 4 bytes a timestep and a key a step.
    ///
    /// # Errors
    /// [`PlanError`] for a buffer that does not fit, no samples, no timesteps, no steps, or more than the device binds.
    pub fn new(context: &Context, draw: &TimestepDraw<'_>) -> Result<Self, PlanError> {
        let words = Timesteps::PerSample { buffer: draw.buffer, offset: draw.offset };
        check_words("timesteps", words, Shape::new(draw.batch, 1))?;
        if draw.ends.is_empty() {
            return Err(PlanError::EmptyTable);
        }
        if draw.steps == 0 {
            return Err(PlanError::NoSteps);
        }
        let limits = context.limits();
        let binding = limits.max_storage_buffer_binding_size;
        check("table", "max_storage_buffer_binding_size", binding, draw.ends.len() as u64 * 4)?;
        let out = Words { buffer: draw.buffer, offset: draw.offset, bytes: 4 * u64::from(draw.batch) };
        out.check("timesteps", context)?;
        let key_stride = limits.min_uniform_buffer_offset_alignment.max(32);
        let keys_size = u64::from(key_stride) * u64::from(draw.steps);
        check("noise steps", "max_buffer_size", limits.max_buffer_size.min(u64::from(u32::MAX)), keys_size)?;
        let mut keys = vec![0; keys_size as usize];
        for (slot, step) in keys.chunks_exact_mut(key_stride as usize).zip(0..) {
            let key = draw.key.stream(draw.key.stream.wrapping_add(step));
            slot[..32].copy_from_slice(bytemuck::bytes_of(&key.words()));
        }
        let groups = draw.batch.div_ceil(SMALL_WORKGROUP);
        let workgroups = [groups.min(MAX_GROUPS), groups.div_ceil(MAX_GROUPS)];
        let (ends, count) = inner_ends(draw.ends);
        let (out, first) = out.binding(context);
        let whole = draw.stratified.map_or(0, |whole| whole.max(1));
        let params = TimestepParams {
            batch: draw.batch,
            ends: count,
            first,
            whole,
            groups_x: workgroups[0],
            block: TIMESTEP_BLOCK,
            unused: [0; 2],
        };
        let uniform = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let table = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let params = context.buffer_with("tweedie::Timesteps::params", uniform, bytemuck::bytes_of(&params))?;
        let keys = context.buffer_with("tweedie::Timesteps::keys", uniform, &keys)?;
        let ends = context.buffer_with("tweedie::Timesteps::ends", table, bytemuck::cast_slice(&ends))?;
        let (pipeline, group) = assemble(context, [&params, &keys, &ends], out);
        let (timesteps, steps) = (draw.ends.len(), draw.steps);
        Ok(Self { pipeline, group, workgroups, params, ends, timesteps, keys, key_stride, steps })
    }

    /// Records the draw of a step into the caller's pass: one small dispatch.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) -> Result<(), RecordError> {
        self.check_step(step)?;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, &[step * self.key_stride]);
        let [x, y] = self.workgroups;
        pass.dispatch_workgroups(x, y, 1);
        Ok(())
    }

    /// Gives a step another key through the caller's queue: it holds for whatever is submitted after this call.
    ///
    /// # Errors
    /// [`RecordError::Step`].
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.check_step(step)?;
        let offset = u64::from(step) * u64::from(self.key_stride);
        queue.write_buffer(&self.keys, offset, bytemuck::bytes_of(&key.words()));
        Ok(())
    }

    /// Draws from another distribution over as many timesteps from now on, through the caller's queue.
    ///
    /// # Errors
    /// [`RecordError::Timesteps`] unless there are as many.
    pub fn set_ends(&self, queue: &wgpu::Queue, ends: &[u64]) -> Result<(), RecordError> {
        if ends.len() != self.timesteps {
            return Err(RecordError::Timesteps { expected: self.timesteps, found: ends.len() });
        }
        let (ends, count) = inner_ends(ends);
        queue.write_buffer(&self.ends, 0, bytemuck::cast_slice(&ends));
        queue.write_buffer(&self.params, offset_of!(TimestepParams, ends) as u64, bytemuck::bytes_of(&count));
        Ok(())
    }

    fn check_step(&self, found: u32) -> Result<(), RecordError> {
        if found < self.steps { Ok(()) } else { Err(RecordError::Step { steps: self.steps, found }) }
    }
}

/// The ends that a word can reach, of which the last timestep's 2^32 is none, padded to one for each timestep; and how
/// many they are.
fn inner_ends(ends: &[u64]) -> (Vec<u32>, u32) {
    let inner = ends.iter().map_while(|&end| u32::try_from(end).ok()).take(ends.len() - 1);
    let mut words: Vec<u32> = inner.collect();
    let count = words.len() as u32;
    words.resize(ends.len(), u32::MAX);
    (words, count)
}

fn assemble(
    context: &Context,
    [params, keys, ends]: [&wgpu::Buffer; 3],
    out: wgpu::BindingResource<'_>,
) -> (Arc<Pipeline>, wgpu::BindGroup) {
    let uniform = wgpu::BufferBindingType::Uniform;
    let bindings = [
        entry(0, uniform, false),
        entry(1, uniform, true),
        entry(2, storage(false), false),
        entry(3, storage(true), false),
    ];
    let pipeline = context.small_pipeline("draw_timesteps", standalone::draw_timesteps, &bindings);
    let key = wgpu::BufferBinding { buffer: keys, offset: 0, size: std::num::NonZero::new(32) };
    let bound = |binding, resource| wgpu::BindGroupEntry { binding, resource };
    let group = context.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("tweedie::Timesteps::group"),
        layout: &pipeline.layout,
        entries: &[
            bound(0, params.as_entire_binding()),
            bound(1, wgpu::BindingResource::Buffer(key)),
            bound(2, ends.as_entire_binding()),
            bound(3, out),
        ],
    });
    (pipeline, group)
}

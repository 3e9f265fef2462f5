//! The narrow form of a plan, for devices with few storage buffers.
//!
//! **Theory.** WebGPU gives a kernel 8 storage buffers, older devices 4. A noising has four tensors where noise is given and a
//! target is wanted; its timesteps, a long table and the count of samples without a row would be three more. None of these
//! is large: what belongs to a sample is a row of coefficients and two scales. So a small dispatch lays out the row of each
//! sample, and the kernels read rows and scales through uniform bindings, of which every device has enough.
//!
//! **Practice.** A plan takes this form by itself where the usual one does not fit; its results are the same to the bit. A
//! dispatch then covers as many samples as a uniform binding has room for.
//!
//! Host twin of `shaders/standalone/gather_rows.wgsl` and `shaders/row/per_sample.wgsl`.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::reduce::Words;
use crate::gpu::plan::tables::{RowBuffer, check};
use crate::gpu::plan::window::Window;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{ALIGNMENT, MAX_GROUPS, RowParams, SMALL_WORKGROUP, VECTORS};
use crate::gpu::shader::standalone::gather_rows;
use crate::gpu::shader::variant::Rows;
use wgpu::BufferUsages;

const VECTOR: u64 = 16;
/// Bytes of the factor and the threshold of a sample.
const SCALES: u64 = 8;

/// The part of a uniform binding's buffer that holds these samples' `bytes_each`: where it begins, and its size.
pub(crate) fn bound(first_sample: u32, bytes_each: u64) -> (u64, u64) {
    (u64::from(first_sample) * bytes_each / ALIGNMENT * ALIGNMENT, u64::from(VECTORS) * VECTOR)
}

/// The size of a buffer of which every such part can be bound.
fn size(samples: u64, bytes_each: u64) -> u64 {
    samples * bytes_each + u64::from(VECTORS) * VECTOR
}

/// Of the scales of all samples.
pub(crate) fn scales_size(batch: u32) -> u64 {
    size(u64::from(batch), SCALES)
}

/// The scales of a window.
pub(crate) fn bound_scales(window: &Window) -> (u64, u64) {
    bound(window.first_sample, SCALES)
}

/// How many samples a window of the narrow form has at most.
pub(crate) fn most_samples(job: &Job<'_>) -> u32 {
    let room = |each: u64| ((u64::from(VECTORS) * VECTOR - ALIGNMENT) / each) as u32;
    let rows = if job.timesteps().is_some_and(|timesteps| timesteps.stride.is_none()) {
        room(row_bytes(job))
    } else {
        u32::MAX
    };
    if job.op.scaled() { rows.min(room(SCALES)) } else { rows }
}

fn row_bytes(job: &Job<'_>) -> u64 {
    u64::from(job.op.width()) * VECTOR
}

/// Bytes from one sample's row to the next: none where all share one.
pub(crate) fn row_stride(job: &Job<'_>) -> u64 {
    job.timesteps().map_or(0, |timesteps| u64::from(timesteps.stride.unwrap_or(1)) * row_bytes(job))
}

impl PlanBuilder<'_> {
    /// Adds the dispatch that lays out the rows of a kernel's samples, and has the kernels read them there.
    pub fn gather(&mut self, job: &Job<'_>, status: &wgpu::Buffer) -> Result<(), PlanError> {
        let Some(timesteps) = job.timesteps() else { return Ok(()) };
        let context = self.context;
        let batch = job.shape.batch;
        let (rows, counts) = if timesteps.stride.is_none() { (batch, 1) } else { (1, batch) };
        let size = size(u64::from(rows), row_bytes(job));
        let limits = context.limits();
        let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        check("rows of samples", "max_storage_buffer_binding_size", allowed, size)?;
        let gathered = context.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(&job.label("gathered")),
            size,
            usage: BufferUsages::STORAGE | BufferUsages::UNIFORM,
            mapped_at_creation: false,
        });
        let words = Words { buffer: timesteps.buffer, offset: timesteps.offset, bytes: 4 * u64::from(rows) };
        words.check("timesteps", context)?;
        let (words, first) = words.binding(context);
        let all = rows.div_ceil(SMALL_WORKGROUP);
        let groups = all.min(MAX_GROUPS);
        let numbers = RowParams {
            rows,
            first_timestep: first,
            table_rows: job.rows.len() as u32,
            width: job.op.width(),
            groups_x: groups,
            counts,
            nan_bits: f32::NAN.to_bits(),
            unused: 0,
        };
        let resources = [words, self.rows.buffer.as_entire_binding(), whole(&gathered), whole(status)];
        let dispatch = dispatch(context, numbers, resources, [groups, all.div_ceil(groups), 1])?;
        self.dispatches.push(dispatch);
        self.rows = RowBuffer { rows: Rows::PerSample, buffer: gathered, stride: 0, bound: 0 };
        Ok(())
    }
}

fn whole(buffer: &wgpu::Buffer) -> wgpu::BindingResource<'_> {
    buffer.as_entire_binding()
}

fn dispatch(
    context: &Context,
    numbers: RowParams,
    [timesteps, table, gathered, status]: [wgpu::BindingResource<'_>; 4],
    workgroups: [u32; 3],
) -> Result<Dispatch, PlanError> {
    let bindings = [
        entry(0, wgpu::BufferBindingType::Uniform, false),
        entry(1, storage(false), false),
        entry(2, storage(false), false),
        entry(3, storage(true), false),
        entry(4, storage(true), false),
    ];
    let pipeline = context.small_pipeline("gather_rows", gather_rows, &bindings);
    let bytes = bytemuck::bytes_of(&numbers);
    let params = context.buffer_with("tweedie::gather_rows::params", BufferUsages::UNIFORM, bytes)?;
    let bound = |binding, resource| wgpu::BindGroupEntry { binding, resource };
    let group = context.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("tweedie::gather_rows::group"),
        layout: &pipeline.layout,
        entries: &[
            bound(0, whole(&params)),
            bound(1, timesteps),
            bound(2, table),
            bound(3, gathered),
            bound(4, status),
        ],
    });
    Ok(Dispatch { pipeline, group, workgroups, offsets: Offsets::None })
}

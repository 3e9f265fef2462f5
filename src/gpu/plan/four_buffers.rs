//! The four-buffer form of a plan, for devices with few storage buffers.
//!
//! **Theory.** WebGPU gives a kernel 8 storage buffers, older devices 4. A noising has four tensors where noise is given and a
//! target is wanted; its timesteps, a long table and the count of samples without a row would be three more. None of these
//! is large: a sample needs one row of coefficients and two scales. So a small dispatch copies out the row of each sample, and
//! the kernels read rows and scales through uniform bindings, of which every device has enough.
//!
//! **Practice.** A plan takes this form automatically where the usual one does not fit; its results are the same to the bit. A
//! dispatch then covers at most as many samples as fit a uniform binding.
//!
//! Host twin of `shaders/standalone/gather_rows.wgsl` and `shaders/row/per_sample.wgsl`.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::entry::Part;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::layout::{row_buffer_size, row_bytes};
use crate::gpu::plan::plan::{Dispatch, Offsets};
use crate::gpu::plan::tables::RowBuffer;
use crate::gpu::plan::words::SampleWords;
use crate::gpu::shader::bindings::{entry, storage};
use crate::gpu::shader::params::{MAX_GROUPS, RowParams, SMALL_WORKGROUP};
use crate::gpu::shader::standalone::gather_rows;
use crate::gpu::shader::variant::Rows;
use wgpu::BufferUsages;

/// Makes the dispatch that copies the row of each sample out of the table, and the buffer that the rows are copied to.
///
/// It also counts the samples without a row, so the kernels that follow bind neither timesteps nor status.
pub(crate) fn lay_out_rows(
    context: &Context,
    job: &Job<'_>,
    timesteps: SampleWords<'_>,
    table: &RowBuffer,
    status: &wgpu::Buffer,
) -> Result<(Dispatch, RowBuffer), PlanError> {
    // A row that all samples share is counted once for each of them.
    let batch = job.shape.batch;
    let (rows, counts) = if timesteps.are_shared() { (1, batch) } else { (batch, 1) };
    let buffer = row_buffer(context, job, rows)?;
    // The whole batch is laid out at once: rows are small, and no window splits their buffer.
    let words = timesteps.of_batch(batch);
    words.check_binding(timesteps.name, context)?;
    let (words, first) = words.binding(context);
    let all = rows.div_ceil(SMALL_WORKGROUP);
    let groups_x = all.min(MAX_GROUPS);
    let [runs, groups] = job.runs_and_groups();
    let params = RowParams {
        rows,
        first_timestep: first,
        table_rows: job.rows.len() as u32,
        width: job.op.width(),
        groups_x,
        counts,
        nan_bits: f32::NAN.to_bits(),
        runs,
        groups,
        unused: [0; 3],
    };
    let buffers = [&table.buffer, &buffer, status].map(Part::whole);
    let dispatch = dispatch(context, params, words, buffers, [groups_x, all.div_ceil(groups_x), 1])?;
    Ok((dispatch, RowBuffer { rows: Rows::PerSample, buffer, stride: 0, binding_size: row_bytes(job) }))
}

fn row_buffer(context: &Context, job: &Job<'_>, rows: u32) -> Result<wgpu::Buffer, PlanError> {
    let limits = context.limits();
    let size = row_buffer_size(job, rows);
    let allowed = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    check_limit("rows of samples", "max_storage_buffer_binding_size", allowed, size)?;
    Ok(context.zeroed_buffer(&job.label("gathered"), BufferUsages::STORAGE | BufferUsages::UNIFORM, size))
}

fn dispatch(
    context: &Context,
    params: RowParams,
    timesteps: Part<'_>,
    [table, rows, status]: [Part<'_>; 3],
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
    let bytes = bytemuck::bytes_of(&params);
    let params = context.buffer_with("tweedie::gather_rows::params", BufferUsages::UNIFORM, bytes)?;
    let parts = [Part::whole(&params), timesteps, table, rows, status];
    let entries = (0..).zip(parts).map(|(binding, part)| part.entry(binding)).collect();
    let label = "tweedie::gather_rows::group".to_owned();
    Ok(Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::None })
}

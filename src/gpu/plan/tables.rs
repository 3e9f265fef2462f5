//! The buffers that the dispatches of a plan share: rows of coefficients, and the count of samples without a row.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::Timesteps;
use crate::gpu::plan::job::Job;
use crate::gpu::shader::variant::Rows;
use crate::table::RoundedTable;
use wgpu::BufferUsages;

/// The rows of a plan on the GPU.
pub(crate) struct RowBuffer {
    pub rows: Rows,
    pub buffer: wgpu::Buffer,
    /// Bytes from row to row, for one timestep per batch.
    pub stride: u32,
    /// Bytes of a binding of rows.
    pub binding_size: u64,
}

/// The uploaded rows of a plan, which may be replaced.
#[derive(Debug)]
pub(crate) struct Upload {
    buffer: wgpu::Buffer,
    /// Bytes from row to row.
    pitch: u32,
}

impl Upload {
    /// The rows of a buffer; `row_bytes` is the size of a row where they follow each other without a gap.
    pub fn of(rows: &RowBuffer, row_bytes: u32) -> Self {
        Self { buffer: rows.buffer.clone(), pitch: if rows.stride == 0 { row_bytes } else { rows.stride } }
    }

    /// Writes rows from `first` on, in one write through the caller's queue. They must lie within the table.
    pub fn write(&self, queue: &wgpu::Queue, first: u32, rows: &RoundedTable) {
        if rows.is_empty() {
            return;
        }
        let bytes: &[u8] = bytemuck::cast_slice(rows.values());
        let row_bytes = bytes.len() / rows.len();
        let place = u64::from(first) * u64::from(self.pitch);
        if row_bytes == self.pitch as usize {
            queue.write_buffer(&self.buffer, place, bytes);
        } else {
            queue.write_buffer(&self.buffer, place, &at_pitch(bytes, row_bytes, self.pitch as usize));
        }
    }
}

/// Rows of `row_bytes` each, padded to the pitch.
fn at_pitch(rows: &[u8], row_bytes: usize, pitch: usize) -> Vec<u8> {
    let rows = rows.chunks_exact(row_bytes);
    let mut bytes = vec![0; rows.len() * pitch];
    bytes.chunks_exact_mut(pitch).zip(rows).for_each(|(slot, row)| slot[..row.len()].copy_from_slice(row));
    bytes
}

/// Uploads the rows and the status of a job.
pub(crate) struct Tables<'a> {
    pub context: &'a Context,
    pub job: &'a Job<'a>,
    /// `true` in the four-buffer form: the table is then read by the dispatch that lays out rows, not by the kernels.
    pub four_buffers: bool,
}

impl Tables<'_> {
    fn buffer(&self, role: &str, usage: BufferUsages, bytes: &[u8]) -> Result<wgpu::Buffer, PlanError> {
        self.context.buffer_with(&self.job.label(role), usage, bytes)
    }

    /// The buffer for the count of samples whose timestep has no row; only for timesteps from a buffer.
    pub fn status(&self) -> Result<Option<wgpu::Buffer>, PlanError> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        self.job.timesteps().map(|_| self.buffer("status", usage, &[0; 16])).transpose()
    }

    /// Uploads the rows: one aligned slot each where a recording names a row, a table where kernels look them up.
    pub fn rows(&self) -> Result<RowBuffer, PlanError> {
        match self.job.timesteps {
            Timesteps::Batch => self.aligned_rows(),
            Timesteps::PerSample { .. } | Timesteps::PerGroup { .. } | Timesteps::Shared { .. } => self.table(),
        }
    }

    fn aligned_rows(&self) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let row_bytes = self.job.op.width() * 16;
        let stride = row_bytes.next_multiple_of(limits.min_uniform_buffer_offset_alignment);
        let size = self.job.rows.len() as u64 * u64::from(stride);
        // Dynamic offsets are u32.
        check_limit("table", "max_buffer_size", limits.max_buffer_size.min(u64::from(u32::MAX)), size)?;
        let bytes = at_pitch(bytemuck::cast_slice(self.job.rows.values()), row_bytes as usize, stride as usize);
        let buffer = self.buffer("rows", BufferUsages::UNIFORM | BufferUsages::COPY_DST, &bytes)?;
        Ok(RowBuffer { rows: Rows::Batch, buffer, stride, binding_size: u64::from(row_bytes) })
    }

    fn table(&self) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let width = self.job.op.width();
        // Uniform tables are fast on every device, but have a fixed size in the shader and a small limit.
        let vectors = self.job.rows.len() as u64 * u64::from(width);
        let fits =
            |size: u64| !self.four_buffers && vectors <= size && size * 16 <= limits.max_uniform_buffer_binding_size;
        let mut bytes = bytemuck::cast_slice(self.job.rows.values()).to_vec();
        // There are few sizes, so that plans share pipelines. FXC takes ten seconds to compile rows of several vectors in a
        // block of 64 KiB.
        let sizes: &[u32] = if width == 1 { &[1024, 4096] } else { &[1024] };
        let (rows, usage) = match sizes.iter().copied().find(|&size| fits(u64::from(size))) {
            Some(size) => {
                bytes.resize(size as usize * 16, 0);
                (Rows::Uniform(size), BufferUsages::UNIFORM)
            }
            None => {
                let largest = limits.max_storage_buffer_binding_size;
                check_limit("table", "max_storage_buffer_binding_size", largest, bytes.len() as u64)?;
                (Rows::Storage, BufferUsages::STORAGE)
            }
        };
        let binding_size = bytes.len() as u64;
        Ok(RowBuffer {
            rows,
            buffer: self.buffer("table", usage | BufferUsages::COPY_DST, &bytes)?,
            stride: 0,
            binding_size,
        })
    }
}

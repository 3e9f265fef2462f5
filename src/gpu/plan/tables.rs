//! What the dispatches of a plan share: rows of coefficients, noise keys and the count of samples without a row.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::map::Timesteps;
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::shader::variant::Rows;
use wgpu::BufferUsages;

/// The table of a plan, or its rows one by one.
pub(crate) struct RowBuffer {
    pub rows: Rows,
    pub buffer: wgpu::Buffer,
    /// Bytes from row to row, for one timestep per batch.
    pub stride: u32,
    /// Bytes that are bound.
    pub bound: u64,
}

/// A slot for each noise step, `stride` bytes apart.
pub(crate) struct Keys {
    pub buffer: wgpu::Buffer,
    pub stride: u32,
    pub steps: u32,
}

/// Uploads what a kernel's dispatches share.
pub(crate) struct Tables<'a> {
    pub context: &'a Context,
    pub job: &'a Job<'a>,
    /// Whether rows are gathered from the table, which then is not bound with the tensors.
    pub narrow: bool,
}

impl Tables<'_> {
    fn buffer(&self, role: &str, usage: BufferUsages, bytes: &[u8]) -> Result<wgpu::Buffer, PlanError> {
        self.context.buffer_with(&format!("tweedie::{}::{role}", self.job.op.name()), usage, bytes)
    }

    /// For timesteps from a buffer: the count of those that have no row.
    pub fn status(&self) -> Result<Option<wgpu::Buffer>, PlanError> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        self.job.timesteps().map(|_| self.buffer("status", usage, &[0; 16])).transpose()
    }

    pub fn rows(&self) -> Result<RowBuffer, PlanError> {
        match self.job.timesteps {
            Timesteps::Batch => self.rows_one_by_one(),
            _ => self.table(),
        }
    }

    /// The bytes of each row; a hole is NaN.
    fn row_bytes(&self) -> impl Iterator<Item = Vec<u8>> {
        let hole = vec![f32::NAN; self.job.op.width() as usize * 4];
        let rows = self.job.rows.iter();
        rows.map(move |row| bytemuck::cast_slice::<f32, u8>(row.unwrap_or(&hole)).to_vec())
    }

    fn rows_one_by_one(&self) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let row_bytes = self.job.op.width() * 16;
        let stride = row_bytes.next_multiple_of(limits.min_uniform_buffer_offset_alignment);
        let size = self.job.rows.len() as u64 * u64::from(stride);
        check("table", "max_buffer_size", limits.max_buffer_size.min(u64::from(u32::MAX)), size)?;
        let mut bytes = vec![0; size as usize];
        for (slot, row) in bytes.chunks_exact_mut(stride as usize).zip(self.row_bytes()) {
            slot[..row.len()].copy_from_slice(&row);
        }
        let buffer = self.buffer("rows", BufferUsages::UNIFORM, &bytes)?;
        Ok(RowBuffer { rows: Rows::Batch, buffer, stride, bound: u64::from(row_bytes) })
    }

    fn table(&self) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let width = self.job.op.width();
        let vectors = self.job.rows.len() as u64 * u64::from(width);
        let fits = |size: u64| !self.narrow && vectors <= size && size * 16 <= limits.max_uniform_buffer_binding_size;
        let mut bytes: Vec<u8> = self.row_bytes().flatten().collect();
        // Rows of several vectors in a block of 64 KiB take FXC ten seconds to compile.
        let sizes: &[u32] = if width == 1 { &[1024, 4096] } else { &[1024] };
        let (rows, usage) = match sizes.iter().copied().find(|&size| fits(u64::from(size))) {
            Some(size) => {
                bytes.resize(size as usize * 16, 0);
                (Rows::Uniform(size), BufferUsages::UNIFORM)
            }
            None => {
                let largest = limits.max_storage_buffer_binding_size;
                check("table", "max_storage_buffer_binding_size", largest, bytes.len() as u64)?;
                (Rows::Storage, BufferUsages::STORAGE)
            }
        };
        let bound = bytes.len() as u64;
        Ok(RowBuffer { rows, buffer: self.buffer("table", usage, &bytes)?, stride: 0, bound })
    }

    pub fn keys(&self) -> Result<Keys, PlanError> {
        let limits = self.context.limits();
        let none = Drawing { key: NoiseKey::default(), steps: 1, perturbed: None };
        let drawing = self.job.drawn.unwrap_or(none);
        let (first, steps) = (drawing.key, drawing.steps);
        if steps == 0 {
            return Err(PlanError::NoSteps);
        }
        let stride = limits.min_uniform_buffer_offset_alignment.max(32);
        let size = u64::from(stride) * u64::from(steps);
        check("noise steps", "max_buffer_size", limits.max_buffer_size.min(u64::from(u32::MAX)), size)?;
        let mut bytes = vec![0; size as usize];
        for (slot, step) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
            let key = first.stream(first.stream.wrapping_add(step));
            slot[..32].copy_from_slice(bytemuck::bytes_of(&drawing.words(key)));
        }
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        Ok(Keys { buffer: self.buffer("keys", usage, &bytes)?, stride, steps })
    }
}

/// Whether the device allows this much.
pub(crate) fn check(what: &'static str, limit: &'static str, allowed: u64, found: u64) -> Result<(), PlanError> {
    if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
}

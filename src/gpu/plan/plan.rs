//! A plan that is ready to be recorded: its dispatches, noise keys, rows and status.

use crate::gpu::context::Pipeline;
use crate::gpu::error::RecordError;
use crate::gpu::inputs::At;
use crate::gpu::plan::keys::Keys;
use crate::noise::NoiseKey;
use std::sync::Arc;

/// The plan of any op.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The label of a compute pass of its own.
    pub label: String,
    pub dispatches: Vec<Dispatch>,
    pub keys: Keys,
    /// Bytes from row to row, for one timestep per batch.
    pub row_stride: u32,
    /// For each row, `true` if it is undefined.
    pub undefined: Vec<bool>,
    /// The count of samples without a row: present where timesteps come from a buffer.
    pub status: Option<wgpu::Buffer>,
}

/// One dispatch of a plan.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    pub offsets: Offsets,
}

/// The dynamic offsets that a dispatch takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offsets {
    /// The noise key, and the row where the batch has one.
    KeyAndRow,
    /// The column of the results, which is the timestep's: this many bytes from one to the next, or 0.
    Column(u32),
    /// None.
    None,
}

impl Dispatch {
    /// Records it with these dynamic offsets.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, offsets: &[u32]) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.group, offsets);
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Plan {
    /// See [`MapPlan::record`](crate::gpu::MapPlan::record).
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        let (offsets, count) = self.offsets(at)?;
        for dispatch in &self.dispatches {
            match dispatch.offsets {
                // All offsets are checked by now, so a recording is whole or not begun.
                Offsets::KeyAndRow => dispatch.record(pass, &offsets[..count]),
                Offsets::Column(bytes) => dispatch.record(pass, &[at.timestep.unwrap_or(0) * bytes]),
                Offsets::None => dispatch.record(pass, &[]),
            }
        }
        Ok(())
    }

    /// See [`MapPlan::encode`](crate::gpu::MapPlan::encode).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.offsets(at)?; // no pass is begun that cannot be recorded
        let label = Some(self.label.as_str());
        let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor), at)
    }

    /// See [`MapPlan::set_key`](crate::gpu::MapPlan::set_key).
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.keys.set(queue, step, key)
    }

    /// The dynamic offsets of a recording, and how many of them the bind group takes.
    fn offsets(&self, at: At) -> Result<([u32; 2], usize), RecordError> {
        let key = self.keys.offset(at.step)?;
        let rows = self.undefined.len() as u32;
        match (self.status.is_some(), at.timestep) {
            // Kernels look rows up in a table, which has no dynamic offset.
            (true, None) => Ok(([key, 0], 1)),
            (true, Some(found)) => Err(RecordError::TimestepUnused { found }),
            (false, None) => Err(RecordError::TimestepMissing { rows }),
            (false, Some(found)) => match self.undefined.get(found as usize) {
                None => Err(RecordError::Timestep { rows, found }),
                Some(true) => Err(RecordError::Undefined { found }),
                Some(false) => Ok(([key, found * self.row_stride], 2)),
            },
        }
    }
}

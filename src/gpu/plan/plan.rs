//! What plans of every op have in common once they are made: dispatches, noise keys, rows, status.

use crate::gpu::context::Pipeline;
use crate::gpu::error::RecordError;
use crate::gpu::map::At;
use crate::gpu::noise::NoiseKey;
use crate::gpu::plan::job::Drawing;
use std::sync::Arc;

/// A kernel that is ready to be recorded.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Of a pass of its own.
    pub label: String,
    pub dispatches: Vec<Dispatch>,
    /// A slot for each noise step, `key_stride` bytes apart.
    pub keys: wgpu::Buffer,
    pub key_stride: u32,
    pub steps: u32,
    pub drawn: Option<Drawing>,
    /// Bytes from row to row, for one timestep per batch.
    pub row_stride: u32,
    /// Whether each row is a hole.
    pub holes: Vec<bool>,
    /// Present where timesteps come from a buffer.
    pub status: Option<wgpu::Buffer>,
}

#[derive(Debug)]
pub(crate) struct Dispatch {
    pub pipeline: Arc<Pipeline>,
    pub group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    pub offsets: Offsets,
}

/// What the dynamic offsets of a dispatch choose.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offsets {
    /// The noise key, and the row where the batch has one.
    Plan,
    /// The column of the results, which is the timestep's: so many bytes from one to the next, or 0.
    Column(u32),
    /// Nothing: it has none.
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
    /// See [`MapPlan::record`](super::MapPlan::record).
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        let (offsets, count) = self.offsets(at)?;
        for dispatch in &self.dispatches {
            match dispatch.offsets {
                Offsets::Plan => dispatch.record(pass, &offsets[..count]),
                Offsets::None => dispatch.record(pass, &[]),
                Offsets::Column(bytes) => dispatch.record(pass, &[at.timestep.unwrap_or(0) * bytes]),
            }
        }
        Ok(())
    }

    /// See [`MapPlan::encode`](super::MapPlan::encode).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.offsets(at)?; // nothing is begun that cannot be recorded
        let label = Some(self.label.as_str());
        let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor), at)
    }

    /// See [`MapPlan::set_key`](super::MapPlan::set_key).
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        let drawing = self.drawn.ok_or(RecordError::NoNoise)?;
        self.check_step(step)?;
        let offset = u64::from(step) * u64::from(self.key_stride);
        queue.write_buffer(&self.keys, offset, bytemuck::bytes_of(&drawing.words(key)));
        Ok(())
    }

    fn check_step(&self, found: u32) -> Result<(), RecordError> {
        if found < self.steps { Ok(()) } else { Err(RecordError::Step { steps: self.steps, found }) }
    }

    /// The dynamic offsets of a recording, and how many the bind group takes.
    fn offsets(&self, at: At) -> Result<([u32; 2], usize), RecordError> {
        self.check_step(at.step)?;
        let key = at.step * self.key_stride;
        let rows = self.holes.len() as u32;
        match (self.status.is_some(), at.timestep) {
            (true, None) => Ok(([key, 0], 1)),
            (true, Some(found)) => Err(RecordError::TimestepUnused { found }),
            (false, None) => Err(RecordError::TimestepMissing { rows }),
            (false, Some(found)) => match self.holes.get(found as usize) {
                None => Err(RecordError::Timestep { rows, found }),
                Some(true) => Err(RecordError::Hole { found }),
                Some(false) => Ok(([key, found * self.row_stride], 2)),
            },
        }
    }
}

//! A plan that is ready to be recorded: its dispatches, noise keys, rows and status.

use crate::gpu::context::{Context, Pipeline};
use crate::gpu::error::{PlanError, RecordError};
use crate::gpu::inputs::At;
use crate::gpu::plan::entry::Entry;
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::layout::binding_alignment;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::tables::Upload;
use crate::gpu::tensor::Tensor;
use crate::noise::NoiseKey;
use crate::table::RoundedTable;
use std::sync::Arc;

/// The plan of any op: what it shares with the same plan on other tensors, and its bind groups.
#[derive(Debug)]
pub(crate) struct Plan {
    shared: Arc<Shared>,
    /// One for each dispatch.
    groups: Vec<wgpu::BindGroup>,
    places: Places,
}

/// The part of a plan that does not depend on the place of its tensors.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The label of a compute pass of its own.
    pub label: String,
    pub dispatches: Vec<Dispatch>,
    pub keys: Keys,
    pub upload: Upload,
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
    /// The label of its bind group.
    pub label: String,
    pub entries: Vec<Entry>,
    pub workgroups: [u32; 3],
    pub offsets: Offsets,
}

/// A dispatch with its bind group.
#[derive(Debug)]
pub(crate) struct Bound {
    dispatch: Dispatch,
    group: wgpu::BindGroup,
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
    /// Makes its bind group, with the caller's memory at these places.
    pub fn bind(&self, context: &Context, places: &Places) -> wgpu::BindGroup {
        let entries = self.entries.iter().filter_map(|entry| entry.bound(|role| places.at(role)));
        context.bind_group(&self.label, &self.pipeline, entries)
    }

    /// The dispatch with its bind group.
    pub fn bound(self, context: &Context, places: &Places) -> Bound {
        Bound { group: self.bind(context, places), dispatch: self }
    }

    /// Records it with these dynamic offsets.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, group: &wgpu::BindGroup, offsets: &[u32]) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, group, offsets);
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Bound {
    /// Records it with these dynamic offsets.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, offsets: &[u32]) {
        self.dispatch.record(pass, &self.group, offsets);
    }
}

impl Plan {
    /// The plan with the caller's memory at these places.
    pub fn bound(context: &Context, shared: Arc<Shared>, places: Places) -> Self {
        let groups = shared.dispatches.iter().map(|dispatch| dispatch.bind(context, &places)).collect();
        Self { shared, groups, places }
    }

    /// See [`MapPlan::moved`](crate::gpu::MapPlan::moved).
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let places = self.places.moved(tensors, binding_alignment(context))?;
        Ok(Self::bound(context, Arc::clone(&self.shared), places))
    }

    /// Writes rows anew, from the first on, through the caller's queue; none of them may be undefined.
    pub fn set_rows(&self, queue: &wgpu::Queue, first: u32, rows: &RoundedTable) -> Result<(), PlanError> {
        let (expected, found) = (self.shared.undefined.len() as u64, u64::from(first) + rows.len() as u64);
        if found > expected {
            return Err(PlanError::Rows { expected, found });
        }
        self.shared.upload.write(queue, first, rows);
        Ok(())
    }

    /// Returns `true` if a tensor of the plan has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.places.has_role(role)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.shared.dispatches.len()
    }

    /// The count of samples without a row, where timesteps come from a buffer.
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.shared.status.as_ref()
    }

    /// See [`MapPlan::record`](crate::gpu::MapPlan::record).
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        let (offsets, count) = self.offsets(at)?;
        for (dispatch, group) in self.shared.dispatches.iter().zip(&self.groups) {
            match dispatch.offsets {
                // All offsets are checked by now, so a recording is whole or not begun.
                Offsets::KeyAndRow => dispatch.record(pass, group, &offsets[..count]),
                Offsets::Column(bytes) => dispatch.record(pass, group, &[at.timestep.unwrap_or(0) * bytes]),
                Offsets::None => dispatch.record(pass, group, &[]),
            }
        }
        Ok(())
    }

    /// See [`MapPlan::encode`](crate::gpu::MapPlan::encode).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.offsets(at)?; // no pass is begun that cannot be recorded
        let label = Some(self.shared.label.as_str());
        let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor), at)
    }

    /// See [`MapPlan::set_key`](crate::gpu::MapPlan::set_key).
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.shared.keys.set(queue, step, key)
    }

    /// The dynamic offsets of a recording, and how many of them the bind group takes.
    fn offsets(&self, at: At) -> Result<([u32; 2], usize), RecordError> {
        let Shared { keys, undefined, row_stride, status, .. } = &*self.shared;
        let key = keys.offset(at.step)?;
        let rows = undefined.len() as u32;
        match (status.is_some(), at.timestep) {
            // Kernels look rows up in a table, which has no dynamic offset.
            (true, None) => Ok(([key, 0], 1)),
            (true, Some(found)) => Err(RecordError::TimestepUnused { found }),
            (false, None) => Err(RecordError::TimestepMissing { rows }),
            (false, Some(found)) => match undefined.get(found as usize) {
                None => Err(RecordError::Timestep { rows, found }),
                Some(true) => Err(RecordError::Undefined { found }),
                Some(false) => Ok(([key, found * row_stride], 2)),
            },
        }
    }
}

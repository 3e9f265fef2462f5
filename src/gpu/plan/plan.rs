//! A plan that is ready to be recorded: its dispatches, noise keys, rows and status.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::inputs::Recording;
use crate::gpu::pipeline::Pipeline;
use crate::gpu::plan::ends::Ends;
use crate::gpu::plan::entry::Entry;
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::layout::binding_alignment;
use crate::gpu::plan::place::Places;
use crate::gpu::plan::rows::{Accepts, PlanRow};
use crate::gpu::plan::tables::Upload;
use crate::gpu::record_error::RecordError;
use crate::gpu::tensor::Tensor;
use crate::noise::NoiseKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An op that is ready to be recorded, on the tensors that it was made for.
///
/// A plan is made once for a shape, coefficients and a set of buffers: that compiles (at the first plan of its kind),
/// uploads the coefficients and makes the bind groups. Recording it is a few calls on the caller's pass: no submit, no poll,
/// no allocation, no upload. It holds its buffers alive. One plan may be recorded any number of times.
///
/// Other tensors cost bind groups ([`moved`](Self::moved)), other coefficients and keys a queue write
/// ([`set_rows`](Self::set_rows), [`set_key`](Self::set_key)).
#[derive(Debug)]
pub struct Plan {
    shared: Arc<Shared>,
    /// One for each dispatch.
    groups: Vec<wgpu::BindGroup>,
    places: Places,
}

/// The part of a plan that does not depend on the place of its tensors.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The label of the compute pass that [`Plan::encode`] begins.
    pub label: String,
    pub dispatches: Vec<Dispatch>,
    pub keys: Arc<Keys>,
    /// The uploaded rows; none for a draw of timesteps.
    pub upload: Option<Upload>,
    /// The rows that may replace those.
    pub accepts: Accepts,
    /// Bytes from row to row, for one timestep per batch.
    pub row_stride: u32,
    /// For each row, `true` if it is undefined.
    pub undefined: Vec<AtomicBool>,
    /// `true` if a recording names no timestep.
    pub looks_up: bool,
    /// The count of samples without a row: present where timesteps come from a buffer.
    pub status: Option<wgpu::Buffer>,
    /// The distribution that timesteps are drawn from.
    pub ends: Option<Ends>,
    /// The statistics of a loop's clean samples.
    pub clean_stats: Option<wgpu::Buffer>,
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
    /// The first key and the first row, whatever is recorded.
    First,
    /// The column of the results or parameters for the recorded timestep: this many bytes from one to the next, or 0.
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
        pass.set_pipeline(self.pipeline.compiled());
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
    pub(crate) fn bound(context: &Context, shared: Arc<Shared>, places: Places) -> Self {
        let groups = shared.dispatches.iter().map(|dispatch| dispatch.bind(context, &places)).collect();
        Self { shared, groups, places }
    }

    /// The dispatches of a plan with one row for the batch, as parts of another plan: at the first row, on the tensors that the
    /// plan was made for.
    pub(crate) fn into_parts(self) -> Vec<Dispatch> {
        let places = self.places;
        let fixed = |dispatch: &Dispatch| Dispatch {
            pipeline: Arc::clone(&dispatch.pipeline),
            label: dispatch.label.clone(),
            entries: dispatch
                .entries
                .iter()
                .filter_map(|entry| entry.fixed(|role| places.at(role).map(|(buffer, _)| buffer)))
                .collect(),
            workgroups: dispatch.workgroups,
            offsets: match dispatch.offsets {
                Offsets::KeyAndRow => Offsets::First,
                other => other,
            },
        };
        self.shared.dispatches.iter().map(fixed).collect()
    }

    /// A plan of standalone kernels, without rows of coefficients and noise. It is recorded at one of this many calls or, if
    /// `calls` is `None`, with [`Recording::per_sample`].
    pub(crate) fn standalone(
        context: &Context,
        label: &str,
        dispatches: Vec<Dispatch>,
        places: Places,
        calls: Option<usize>,
    ) -> Result<Self, PlanError> {
        let shared = Shared {
            label: format!("{label}::pass"),
            dispatches,
            keys: Arc::new(Keys::new(context, &format!("{label}::keys"), None)?),
            upload: None,
            accepts: Accepts::Nothing,
            row_stride: 0,
            undefined: (0..calls.unwrap_or(0)).map(|_| AtomicBool::new(false)).collect(),
            looks_up: calls.is_none(),
            status: None,
            ends: None,
            clean_stats: None,
        };
        Ok(Self::bound(context, Arc::new(shared), places))
    }

    /// Records one application of the plan into the caller's pass: one dispatch for a map or a step, and more for sums,
    /// thresholds, or buffers that are larger than the device binds at once (see [`dispatches`](Self::dispatches)). It sets the
    /// pipeline and bind group 0, and does not allocate, upload or submit.
    ///
    /// # Errors
    /// [`RecordError`]; then nothing has been recorded.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: Recording) -> Result<(), RecordError> {
        let (offsets, count) = self.offsets(at)?;
        for (dispatch, group) in self.shared.dispatches.iter().zip(&self.groups) {
            match dispatch.offsets {
                // All offsets have been checked, so a recording is made completely or not at all.
                Offsets::KeyAndRow => dispatch.record(pass, group, &offsets[..count]),
                Offsets::Column(bytes) => dispatch.record(pass, group, &[at.timestep.unwrap_or(0) * bytes]),
                Offsets::First => dispatch.record(pass, group, &[0, 0]),
                Offsets::None => dispatch.record(pass, group, &[]),
            }
        }
        Ok(())
    }

    /// Records the plan into a compute pass of its own.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: Recording) -> Result<(), RecordError> {
        self.offsets(at)?; // before a pass begins, so that none is left empty
        let label = Some(self.shared.label.as_str());
        let descriptor = wgpu::ComputePassDescriptor { label, timestamp_writes: None };
        self.record(&mut encoder.begin_compute_pass(&descriptor), at)
    }

    /// Makes the same plan on other tensors, by their [roles](Self::roles). It costs bind groups and nothing else. Roles that are
    /// not named keep their tensors. Both plans share keys, rows, memory and status.
    ///
    /// A tensor must have the storage and stride of the one before, and an offset that differs by a multiple of the device's
    /// `min_storage_buffer_offset_alignment` (of 16 where that is smaller). Tensors must share a buffer with an output exactly
    /// where they did, and work in place exactly where they did: name both. Words (timesteps, seeds, results) are given as f32
    /// tensors.
    ///
    /// # Errors
    /// [`PlanError::Moved`] for a tensor that differs, which it names, [`PlanError::Role`] for an unknown role, and the errors of
    /// a tensor that does not fit its buffer or overlaps another.
    pub fn moved(&self, context: &Context, tensors: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        let places = self.places.moved(tensors, binding_alignment(context))?;
        Ok(Self::bound(context, Arc::clone(&self.shared), places))
    }

    /// The roles of the tensors and words that may be [moved](Self::moved): those below that the plan's request gives.
    ///
    /// | request | roles |
    /// |---|---|
    /// | [`Map`](crate::gpu::Map), [`Plan::fill`] | `in0`, `in1`, `out0`, `out1` |
    /// | [`Noising`](crate::Noising) | `x0`, `epsilon`, `outputs[0]`, `outputs[1]` |
    /// | [`Conversion`](crate::Conversion) | `x_t`, `prediction`, `outputs[0]`, `outputs[1]` |
    /// | [`PosteriorMean`](crate::PosteriorMean) | `x_t`, `prediction`, `mean`, `x0` |
    /// | [`Guide`](crate::gpu::Guide) | `conditional`, `unconditional`, `third`, `fourth`, `guided`, and both of `momentum`, `next_momentum` |
    /// | [`Loss`](crate::gpu::Loss) | `prediction`, `in0`, `in1`, `gradient`, `losses`, `mean`, `scale` |
    /// | [`VlbTerms`](crate::gpu::VlbTerms) | `prediction`, `learned`, `x0`, `in1`, `gradient`, `learned_gradient`, `terms`, `mean`, `scale` |
    /// | [`Step`](crate::gpu::Step), [`Sampling`](crate::Sampling) | `x`, `prediction`, `unconditional`, `noise`, `learned`, `known.mask`, `known.x0`, `next`, `x0`, `input`, `memory` |
    /// | [`Sampling::start`](crate::Sampling::start), [`start_from`](crate::Sampling::start_from) | `x0`, `noise`, `x`, `input` |
    /// | any of these | timesteps in a buffer: `timesteps`, or `calls` of a step or of guidance; drawn noise: `seeds`, `keep` |
    /// | [`GuideFinish`](crate::gpu::GuideFinish) | `guided` |
    /// | [`TimestepDraw`](crate::gpu::TimestepDraw) | `timesteps`, `seeds` |
    pub fn roles(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.places.names()
    }

    /// Gives a noise step another key, stream included, through the caller's queue; the calls of a loop are all at step 0.
    /// The key holds for everything that is submitted after this call. Recording itself never writes.
    ///
    /// # Errors
    /// [`RecordError::NoNoise`] for a plan that draws none, [`RecordError::Step`] for a step that it does not have.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        self.shared.keys.set(queue, step, key)
    }

    /// Its keys, which other plans may share.
    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.shared.keys
    }

    /// Replaces the rows from `first` on, through the caller's queue: other guidance, steps or samplers, other timesteps, other
    /// weights. They hold for everything that is submitted after this call, also in the plans that were
    /// [moved](Self::moved) from this one.
    ///
    /// A plan binds the tensors that its request gives, and remembers as many calls as its request asks for: new rows may use
    /// all of them. The weights of a loss are multiplied by its reduction and scale, as those of the request were.
    ///
    /// # Errors
    /// [`PlanError::Missing`], [`PlanError::Depth`], [`PlanError::Extended`], [`PlanError::Slices`], [`PlanError::Noise`] and
    /// [`PlanError::FirstRows`] for rows that need more than that, [`PlanError::Clip`] and [`PlanError::Deviation`] for rows with
    /// another clipping or variance, [`PlanError::RowKind`] for rows of another op, [`PlanError::Rows`] for rows beyond the end,
    /// [`PlanError::Table`], [`PlanError::Stream`] and [`PlanError::Rule`] for a number that the rows cannot hold. Nothing is
    /// then written.
    pub fn set_rows<R: PlanRow>(&self, queue: &wgpu::Queue, first: u32, rows: &[R]) -> Result<(), PlanError> {
        let Shared { accepts, undefined, upload, .. } = &*self.shared;
        let rounded = R::rounded(rows, first, accepts)?;
        let (expected, found) = (undefined.len() as u64, u64::from(first) + rows.len() as u64);
        if found > expected {
            return Err(PlanError::Rows { expected, found });
        }
        upload.iter().for_each(|upload| upload.write(queue, first, &rounded));
        // Undefined rows among them are now defined.
        undefined.iter().skip(first as usize).take(rows.len()).for_each(|row| row.store(false, Ordering::Relaxed));
        Ok(())
    }

    /// Replaces the distribution that timesteps are drawn from by another over the same number of timesteps, through the caller's
    /// queue. It holds for everything that is submitted after this call.
    ///
    /// # Errors
    /// [`RecordError::NoDraw`] for a plan that draws no timesteps, [`RecordError::Timesteps`] for another number of them,
    /// [`RecordError::Ends`] for ends that do not rise to 2^32. Nothing then changes.
    pub fn set_ends(&self, queue: &wgpu::Queue, ends: &[u64]) -> Result<(), RecordError> {
        self.shared.ends.as_ref().ok_or(RecordError::NoDraw)?.set(queue, ends)
    }

    /// The number of dispatches of a recording.
    pub fn dispatches(&self) -> usize {
        self.shared.dispatches.len()
    }

    /// The status buffer, for timesteps from a buffer. Its first `u32` counts the samples whose timestep was out of range
    /// or without a row, over all recordings since it was last cleared. The caller's encoder may copy and clear it. Of several
    /// plans that read the same timesteps, it is enough to check one.
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.shared.status.as_ref()
    }

    /// The statistics of a loop's clean samples, if they are kept: [`CleanStats::BYTES`](crate::gpu::CleanStats::BYTES) for
    /// each call, read by [`CleanStats::decode`](crate::gpu::CleanStats::decode). The caller's encoder may copy and clear
    /// them.
    pub fn clean_stats(&self) -> Option<&wgpu::Buffer> {
        self.shared.clean_stats.as_ref()
    }

    /// The dynamic offsets of a recording, and how many of them the bind group takes.
    fn offsets(&self, at: Recording) -> Result<([u32; 2], usize), RecordError> {
        let Shared { keys, undefined, row_stride, looks_up, accepts, .. } = &*self.shared;
        let key = keys.offset(at.step)?;
        let rows = undefined.len() as u32;
        match (looks_up, at.timestep) {
            // Kernels look rows up in a table, which has no dynamic offset.
            (true, None) => Ok(([key, 0], 1)),
            (true, Some(found)) => Err(RecordError::TimestepUnused { found }),
            (false, None) if accepts.is_of_calls() => Err(RecordError::CallMissing { calls: rows }),
            (false, None) => Err(RecordError::TimestepMissing { rows }),
            (false, Some(found)) => match undefined.get(found as usize).map(|row| row.load(Ordering::Relaxed)) {
                None if accepts.is_of_calls() => Err(RecordError::Call { calls: rows, found }),
                None => Err(RecordError::Timestep { rows, found }),
                Some(true) => Err(RecordError::Undefined { found }),
                Some(false) => Ok(([key, found * row_stride], 2)),
            },
        }
    }
}

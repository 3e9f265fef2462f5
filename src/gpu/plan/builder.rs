//! Building a [`Plan`] from [`Job`]s: uploads, windows, bindings. Everything that can be wrong is detected here, before
//! anything is recorded.

use crate::gpu::context::Context;
use crate::gpu::error::PlanError;
use crate::gpu::plan::check::{check, check_bindings};
use crate::gpu::plan::entry::{Entry, Part};
use crate::gpu::plan::four_buffers::lay_out_rows;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::keys::Keys;
use crate::gpu::plan::layout::{Layout, row_bytes, row_range, scale_range};
use crate::gpu::plan::place::Places;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan, Shared};
use crate::gpu::plan::rows::Accepts;
use crate::gpu::plan::tables::{RowBuffer, Tables, Upload};
use crate::gpu::plan::walk::{passes, reducing_walk, streaming_walk, variant};
use crate::gpu::plan::window::Window;
use crate::gpu::shader::bindings::{
    CLEAN_STATS_BINDING, SCALER_BINDING, SCALES_BINDING, SCRATCH_BINDING, SEEDS_BINDING, SLOT_BINDING, STATUS_BINDING,
    TABLE_BINDING, TIMESTEPS_BINDING,
};
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{CHUNK, GRAIN, Params};
use crate::gpu::shader::variant::{Rows, Variant, Walk};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use wgpu::BufferUsages;

/// A plan that is being built: what its dispatches share, and the dispatches so far.
pub(crate) struct PlanBuilder<'a> {
    pub context: &'a Context,
    label: String,
    rows: RowBuffer,
    upload: Upload,
    keys: Arc<Keys>,
    accepts: Accepts,
    clean_stats: Option<wgpu::Buffer>,
    /// The count of samples without a row, for timesteps from a buffer.
    status: Option<wgpu::Buffer>,
    /// For each row, `true` if it is undefined.
    undefined: Vec<AtomicBool>,
    pub dispatches: Vec<Dispatch>,
    /// The places of the caller's tensors and words.
    pub places: Places,
    /// `true` once a dispatch counts samples without a row. Only the first pass over them does.
    counts: bool,
    /// `true` in the four-buffer form; see [`crate::gpu::plan::four_buffers`].
    pub four_buffers: bool,
}

impl<'a> PlanBuilder<'a> {
    /// Checks the job that the plan is for, and uploads what its dispatches share.
    pub fn new(context: &'a Context, job: &Job<'_>, four_buffers: bool) -> Result<Self, PlanError> {
        check(job)?;
        let tables = Tables { context, job, four_buffers };
        let rows = tables.rows()?;
        let mut plan = Self {
            context,
            label: job.label("pass"),
            upload: Upload::of(&rows, row_bytes(job) as u32),
            rows,
            keys: match job.keys {
                Some(keys) => Arc::clone(keys),
                None => Arc::new(Keys::new(context, &job.label("keys"), job.drawn)?),
            },
            accepts: job.accepts,
            clean_stats: job.clean_stats.cloned(),
            status: tables.status()?,
            undefined: job.rows.undefined().iter().map(|&undefined| AtomicBool::new(undefined)).collect(),
            dispatches: Vec::new(),
            places: Places::new(job),
            counts: false,
            four_buffers,
        };
        if let (true, Some(status), Some(timesteps)) = (four_buffers, &plan.status, job.timesteps()) {
            // The kernels read the rows that this dispatch lays out, so it goes first.
            let (dispatch, rows) = lay_out_rows(context, job, timesteps, &plan.rows, status)?;
            plan.dispatches.push(dispatch);
            plan.rows = rows;
        }
        Ok(plan)
    }

    /// Makes a plan in the usual form or, where that takes more storage buffers than the device binds, in the four-buffer
    /// form.
    pub fn plan(
        context: &'a Context,
        job: &Job<'_>,
        build: impl Fn(&mut Self) -> Result<(), PlanError>,
    ) -> Result<Plan, PlanError> {
        let in_form = |four_buffers| {
            let mut plan = Self::new(context, job, four_buffers)?;
            build(&mut plan)?;
            Ok(plan.done())
        };
        // A plan that does not fit is dropped, and the job starts again in the other form.
        match in_form(false) {
            Err(PlanError::Bindings { .. }) => in_form(true),
            made => made,
        }
    }

    /// The layout of a job in this plan.
    pub fn layout<'b>(&self, job: &'b Job<'b>) -> Layout<'b>
    where
        'a: 'b,
    {
        Layout { context: self.context, job, four_buffers: self.four_buffers }
    }

    /// Adds the passes of a kernel over every element, with the batch as one sample where that is possible.
    pub fn stream(&mut self, job: &Job<'_>) -> Result<(), PlanError> {
        let job = job.as_one_sample();
        let passes = passes(&job)?;
        // The outputs of a step and of guidance are computed from each other, so they are written in one pass.
        if let (Op::Step(_) | Op::Guide { .. }, [first, second, ..]) = (job.op, &passes[..]) {
            return Err(PlanError::Halves { first: job.name(first[0]), second: job.name(second[0]) });
        }
        let windows = self.layout(&job).windows(GRAIN);
        for outputs in &passes {
            let walk = streaming_walk(&job, outputs, &windows);
            let variant = self.variant(&job, walk, outputs);
            let counts = self.is_first_to_count(&variant);
            self.dispatch_windows(&job, &variant, &windows, counts)?;
        }
        Ok(())
    }

    /// Returns `true` if dispatches of this kernel are the first of the plan that count the samples without a row.
    pub fn is_first_to_count(&mut self, variant: &Variant) -> bool {
        let counts = variant.counts_undefined() && !self.counts;
        self.counts |= counts;
        counts
    }

    /// The kernel that reduces these windows.
    pub fn reducing_variant(&self, job: &Job<'_>, windows: &[Window]) -> Variant {
        self.variant(job, reducing_walk(job, windows), &job.outputs())
    }

    /// Returns `true` if a reduction can write a job's outputs too.
    ///
    /// It cannot if they are 16-bit and two samples may share a word, nor if they would take too many buffers in the
    /// four-buffer form. A pass over every element then writes them.
    pub fn writes_while_reducing(&self, job: &Job<'_>) -> bool {
        let variant = self.reducing_variant(job, &self.layout(job).windows(CHUNK));
        let mut outputs = job.outputs().into_iter().filter_map(|slot| job.tensors[slot]);
        // A reduction of unaligned chunks may meet a word that it shares with the chunk of another workgroup.
        let owns_words =
            variant.walk != Walk::UnalignedChunks || outputs.all(|output| output.storage.elements_per_word() == 1);
        owns_words && (!self.four_buffers || check_bindings(job, &variant, self.context).is_ok())
    }

    /// Returns `true` if the device binds all storage buffers of a pass over every element.
    pub fn fits(&self, job: &Job<'_>) -> bool {
        let variant = self.variant(job, self.layout(job).walk_of_all(), &job.outputs());
        check_bindings(job, &variant, self.context).is_ok()
    }

    fn variant(&self, job: &Job<'_>, walk: Walk, outputs: &[usize]) -> Variant {
        variant(job, walk, outputs, self.rows.rows, self.four_buffers)
    }

    /// Adds a dispatch for each of these windows; `counts` says whether they count the samples without a row.
    pub fn dispatch_windows(
        &mut self,
        job: &Job<'_>,
        variant: &Variant,
        windows: &[Window],
        counts: bool,
    ) -> Result<(), PlanError> {
        check_bindings(job, variant, self.context)?;
        let layout = self.layout(job);
        windows.iter().try_for_each(|window| layout.check_window(variant, window))?;
        let laid_out: Vec<_> = windows.iter().map(|window| layout.dispatch(variant, window)).collect();
        // The parameters of all windows share a buffer, one aligned slot each.
        let alignment = u64::from(self.context.limits().min_uniform_buffer_offset_alignment);
        let stride = (size_of::<Params>() as u64).next_multiple_of(alignment);
        let mut bytes = Vec::with_capacity(laid_out.len() * stride as usize);
        for (params, ..) in &laid_out {
            bytes.extend_from_slice(bytemuck::bytes_of(&params.reporting(counts)));
            bytes.resize((bytes.len() as u64).next_multiple_of(stride) as usize, 0);
        }
        let params = self.context.buffer_with(&job.label("params"), BufferUsages::UNIFORM, &bytes)?;
        for (index, (window, (_, tile, workgroups))) in windows.iter().zip(laid_out).enumerate() {
            let pipeline = self.context.pipeline(*variant, tile);
            let params = Part::own(&params, index as u64 * stride, size_of::<Params>() as u64);
            let entries = self.entries(job, variant, window, params);
            let label = job.label("group");
            self.dispatches.push(Dispatch { pipeline, label, entries, workgroups, offsets: Offsets::KeyAndRow });
        }
        Ok(())
    }

    /// The entries of a window's dispatch.
    fn entries(&self, job: &Job<'_>, variant: &Variant, window: &Window, params: Part<'_>) -> Vec<Entry> {
        let layout = self.layout(job);
        let (first_row, rows) = match variant.rows {
            Rows::PerSample => row_range(job, window),
            Rows::Batch | Rows::Uniform(_) | Rows::Storage => (0, self.rows.binding_size),
        };
        let table = Part::own(&self.rows.buffer, first_row, rows);
        let mut resources = vec![(0, params), (1, self.keys.binding()), (TABLE_BINDING, table)];
        // In the four-buffer form, rows were looked up and counted by the dispatch that laid them out.
        if let Some(timesteps) = job.timesteps().filter(|_| variant.rows.are_looked_up()) {
            resources.push((TIMESTEPS_BINDING, timesteps.of_window(window).binding(self.context).0));
        }
        if let Some(status) = self.status.as_ref().filter(|_| variant.counts_undefined()) {
            resources.push((STATUS_BINDING, Part::own(status, 0, 16)));
        }
        for (slot, tensor) in job.tensors().filter(|(slot, _)| variant.operand(*slot).has_binding()) {
            let range = layout.binding_range(slot, &tensor, window);
            // The memory of a loop may be the plan's own, which has no role.
            let role = self.places.at(slot).map(|_| slot);
            let part = Part { buffer: tensor.buffer, offset: range.start, size: range.size, role };
            resources.push((SLOT_BINDING + slot as u32, part));
        }
        if let Some(seeds) = job.seeds() {
            resources.push((SEEDS_BINDING, seeds.of_batch(job.shape.batch).binding(self.context).0));
        }
        if let Some(scales) = job.scales {
            let (start, size) = if variant.scales_uniform { scale_range(window) } else { (0, scales.size()) };
            resources.push((SCALES_BINDING, Part::own(scales, start, size)));
        }
        resources.extend(job.scaler.map(|words| (SCALER_BINDING, words.binding(self.context).0)));
        resources.extend(job.clean_stats.map(|stats| (CLEAN_STATS_BINDING, Part::whole(stats))));
        resources.extend(job.partials.map(|partials| (SCRATCH_BINDING, partials.words.binding(self.context).0)));
        resources.into_iter().map(|(binding, part)| part.entry(binding)).collect()
    }

    /// Finishes the plan.
    pub fn done(self) -> Plan {
        let shared = Shared {
            label: self.label,
            dispatches: self.dispatches,
            keys: self.keys,
            upload: Some(self.upload),
            accepts: self.accepts,
            row_stride: self.rows.stride,
            undefined: self.undefined,
            looks_up: self.status.is_some(),
            status: self.status,
            ends: None,
            clean_stats: self.clean_stats,
        };
        Plan::bound(self.context, Arc::new(shared), self.places)
    }
}

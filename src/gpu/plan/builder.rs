//! From [`Job`]s to a [`Plan`]: uploads, windows, bindings. Everything that can be wrong is found here, before anything
//! is recorded. How the tensors are walked is the matter of the module beside this one, `layout`.

use crate::gpu::Tensor;
use crate::gpu::context::{Context, PipelineKey};
use crate::gpu::error::PlanError;
use crate::gpu::plan::job::{Drawing, Job};
use crate::gpu::plan::layout::Span;
use crate::gpu::plan::narrow;
use crate::gpu::plan::plan::{Dispatch, Offsets, Plan};
use crate::gpu::plan::tables::{Keys, RowBuffer, Tables, check};
use crate::gpu::plan::window::Window;
use crate::gpu::shader::bindings::{
    HEALTH_BINDING, SCALES_BINDING, SCRATCH_BINDING, SEEDS_BINDING, SLOT_BINDING, STATUS_BINDING, TIMESTEPS_BINDING,
};
use crate::gpu::shader::op::{Op, Part, SLOTS};
use crate::gpu::shader::params::{CHUNK, GRAIN, Params, WORKGROUP};
use crate::gpu::shader::variant::{Operand, Rows, Variant, Walk};
use wgpu::BufferUsages;

/// A plan in the making: what its dispatches share, and the dispatches so far.
pub(crate) struct PlanBuilder<'a> {
    pub context: &'a Context,
    label: String,
    pub rows: RowBuffer,
    keys: Keys,
    status: Option<wgpu::Buffer>,
    holes: Vec<bool>,
    drawn: Option<Drawing>,
    pub dispatches: Vec<Dispatch>,
    /// Whether samples without a row are counted already: the first dispatches that see them do.
    reported: bool,
    /// Whether the plan takes the form for devices with few storage buffers; see [`crate::gpu::plan::narrow`].
    pub narrow: bool,
}

/// A kernel and the context to place it for.
pub(crate) struct Builder<'a> {
    pub context: &'a Context,
    pub job: &'a Job<'a>,
    pub narrow: bool,
}

impl<'a> PlanBuilder<'a> {
    /// Checks the kernel that the plan is for, and uploads what it shares with those that prepare it or come after it.
    pub fn new(context: &'a Context, job: &Job<'_>, narrow: bool) -> Result<Self, PlanError> {
        job.check()?;
        let uploader = Tables { context, job, narrow };
        let mut draft = Self {
            context,
            label: job.label("pass"),
            rows: uploader.rows()?,
            keys: uploader.keys()?,
            status: uploader.status()?,
            holes: job.rows.iter().map(Option::is_none).collect(),
            drawn: job.drawn,
            dispatches: Vec::new(),
            reported: false,
            narrow,
        };
        if let Some(status) = draft.status.clone().filter(|_| narrow) {
            draft.gather(job, &status)?;
        }
        Ok(draft)
    }

    /// Makes a plan in the usual form or, where that takes more storage buffers than the device has, in the narrow one.
    pub fn plan(
        context: &'a Context,
        job: &Job<'_>,
        build: impl Fn(&mut Self) -> Result<(), PlanError>,
    ) -> Result<Plan, PlanError> {
        let in_form = |narrow| {
            let mut draft = Self::new(context, job, narrow)?;
            build(&mut draft)?;
            Ok(draft.done())
        };
        match in_form(false) {
            Err(PlanError::Bindings { .. }) => in_form(true),
            made => made,
        }
    }

    pub fn builder<'b>(&self, job: &'b Job<'b>) -> Builder<'b>
    where
        'a: 'b,
    {
        Builder { context: self.context, job, narrow: self.narrow }
    }

    /// Adds a kernel that goes over every element, folded where that is possible.
    pub fn stream(&mut self, job: &Job<'_>) -> Result<(), PlanError> {
        let job = job.folded();
        let builder = self.builder(&job);
        let passes = builder.passes()?;
        if let (Op::Step(_), [first, second, ..]) = (job.op, &passes[..]) {
            return Err(PlanError::Halves { first: job.name(first[0]), second: job.name(second[0]) });
        }
        let windows = builder.windows(GRAIN);
        for outputs in &passes {
            let variant = builder.variant(builder.walk(outputs, &windows), outputs, self.rows.rows);
            let reports = self.is_first_to_count(&variant);
            self.place(&job, &variant, &windows, reports)?;
        }
        Ok(())
    }

    /// Whether kernels of this source are the first of the plan that could count the samples without a row.
    pub fn is_first_to_count(&mut self, variant: &Variant) -> bool {
        let reports = variant.counts_undefined() && !self.reported;
        self.reported |= reports;
        reports
    }

    /// Whether a reduction can write a kernel's outputs too: unless they are 16-bit and two samples may share a word, or
    /// would be too many buffers in the narrow form. Then a pass over every element writes them.
    pub fn writes_while_reducing(&self, job: &Job<'_>) -> bool {
        let builder = self.builder(job);
        let (walk, slots) = (builder.reducing_walk(&builder.windows(CHUNK)), builder.outputs());
        let mut outputs = slots.iter().filter_map(|&slot| job.tensors[slot]);
        let whole_words =
            walk != Walk::UnalignedChunks || outputs.all(|output| output.storage.elements_per_word() == 1);
        let variant = builder.variant(walk, &slots, self.rows.rows);
        whole_words && (!self.narrow || builder.check_bindings(&variant).is_ok())
    }

    /// Whether a pass over every element binds no more storage buffers than the device has.
    pub fn fits(&self, job: &Job<'_>) -> bool {
        let builder = self.builder(job);
        let variant = builder.variant(builder.walk_of_all(), &builder.outputs(), self.rows.rows);
        builder.check_bindings(&variant).is_ok()
    }

    /// Adds a dispatch for each of these windows; `reports` says whether they count the samples without a row.
    pub fn place(
        &mut self,
        job: &Job<'_>,
        variant: &Variant,
        windows: &[Window],
        reports: bool,
    ) -> Result<(), PlanError> {
        let builder = self.builder(job);
        builder.check_bindings(variant)?;
        windows.iter().try_for_each(|window| builder.check_window(variant, window))?;
        let plans: Vec<_> = windows.iter().map(|window| builder.place(variant, window)).collect();
        let alignment = u64::from(self.context.limits().min_uniform_buffer_offset_alignment);
        let step = (size_of::<Params>() as u64).next_multiple_of(alignment);
        let mut bytes = Vec::with_capacity(plans.len() * step as usize);
        for (params, ..) in &plans {
            bytes.extend_from_slice(bytemuck::bytes_of(&params.reporting(reports)));
            bytes.resize((bytes.len() as u64).next_multiple_of(step) as usize, 0);
        }
        let params = self.context.buffer_with(&job.label("params"), BufferUsages::UNIFORM, &bytes)?;
        for (index, (window, (_, tile, workgroups))) in windows.iter().zip(plans).enumerate() {
            let pipeline = self.context.pipeline(PipelineKey { variant: *variant, tile });
            let group = self.bind(job, &pipeline.layout, variant, window, (&params, index as u64 * step));
            self.dispatches.push(Dispatch { pipeline, group, workgroups, offsets: Offsets::Plan });
        }
        Ok(())
    }

    fn bind(
        &self,
        job: &Job<'_>,
        layout: &wgpu::BindGroupLayout,
        variant: &Variant,
        window: &Window,
        (params, at): (&wgpu::Buffer, u64),
    ) -> wgpu::BindGroup {
        let builder = self.builder(job);
        let part = |buffer, offset, size| {
            let size = std::num::NonZero::new(size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
        };
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let (first_row, rows) = match variant.rows {
            Rows::PerSample => narrow::bound(window.first_sample, narrow::row_stride(job)),
            _ => (0, self.rows.bound),
        };
        let mut entries = vec![
            entry(0, part(params, at, size_of::<Params>() as u64)),
            entry(1, part(&self.keys.buffer, 0, 32)),
            entry(2, part(&self.rows.buffer, first_row, rows)),
        ];
        if let Some(timesteps) = job.timesteps().filter(|_| variant.rows.are_looked_up()) {
            let (start, size, _) = builder.bound(&timesteps, window, Span::Timestep);
            entries.push(entry(TIMESTEPS_BINDING, part(timesteps.buffer, start, size)));
        }
        if let Some(status) = self.status.as_ref().filter(|_| variant.counts_undefined()) {
            entries.push(entry(STATUS_BINDING, part(status, 0, 16)));
        }
        for (slot, tensor) in job.tensors().filter(|(slot, _)| variant.operand(*slot).has_binding()) {
            let (start, size, _) = builder.bound(&tensor, window, Span::Slot(slot));
            entries.push(entry(SLOT_BINDING + slot as u32, part(tensor.buffer, start, size)));
        }
        if let Some(seeds) = job.seeds {
            let size = 16 * u64::from(job.shape.batch);
            entries.push(entry(SEEDS_BINDING, part(seeds.buffer, seeds.offset, size)));
        }
        if let Some(scales) = job.scales {
            let (start, size) = if variant.scales_uniform { narrow::bound_scales(window) } else { (0, scales.size()) };
            entries.push(entry(SCALES_BINDING, part(scales, start, size)));
        }
        entries.extend(job.health.map(|health| entry(HEALTH_BINDING, health.as_entire_binding())));
        entries.extend(job.scratch.map(|scratch| entry(SCRATCH_BINDING, scratch.words.binding(self.context).0)));
        self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&job.label("group")),
            layout,
            entries: &entries,
        })
    }

    /// The plan.
    pub fn done(self) -> Plan {
        Plan {
            label: self.label,
            dispatches: self.dispatches,
            keys: self.keys.buffer,
            key_stride: self.keys.stride,
            steps: self.keys.steps,
            drawn: self.drawn,
            row_stride: self.rows.stride,
            holes: self.holes,
            status: self.status,
        }
    }
}

impl Builder<'_> {
    pub(crate) fn variant(&self, walk: Walk, outputs: &[usize], rows: Rows) -> Variant {
        let job = self.job;
        let written = |buffer: &wgpu::Buffer| {
            outputs.iter().filter_map(|&slot| job.tensors[slot]).any(|output| output.buffer == buffer)
        };
        let replaced = |tensor: &Tensor<'_>| {
            let mut outputs = outputs.iter().copied();
            outputs.find(|&output| job.tensors[output].is_some_and(|target| target.same(tensor, job.shape)))
        };
        let mut operands = [Operand::Absent; SLOTS];
        for (slot, tensor) in job.tensors() {
            let storage = tensor.storage;
            operands[slot] = match job.op.slots()[slot].part {
                Part::Memory => Operand::Binding { storage, writable: true },
                Part::Output if outputs.contains(&slot) => Operand::Binding { storage, writable: true },
                Part::Output => Operand::Absent,
                Part::Input | Part::OptionalInput(_) => match replaced(&tensor) {
                    Some(output) => Operand::InPlace { storage, output },
                    None => Operand::Binding { storage, writable: written(tensor.buffer) },
                },
            };
        }
        Variant {
            op: job.op,
            walk,
            rows,
            timesteps_writable: rows.are_looked_up()
                && job.timesteps().is_some_and(|timesteps| written(timesteps.buffer)),
            seeds_writable: job.seeds.is_some_and(|seeds| written(seeds.buffer)),
            scales_uniform: self.narrow && job.op.scaled(),
            draw: job.draw(),
            operands,
        }
    }

    /// A window that is as short as windows get may still be too long for a device that binds very little.
    fn check_window(&self, variant: &Variant, window: &Window) -> Result<(), PlanError> {
        let allowed = self.context.limits().max_storage_buffer_binding_size;
        let mut bound = self.job.tensors().filter(|(slot, _)| variant.operand(*slot).has_binding());
        bound.try_for_each(|(slot, tensor)| {
            let (_, size, _) = self.bound(&tensor, window, Span::Slot(slot));
            check(self.job.name(slot), "max_storage_buffer_binding_size", allowed, size)
        })
    }

    fn check_bindings(&self, variant: &Variant) -> Result<(), PlanError> {
        let limits = self.context.limits();
        let allowed = u64::from(limits.max_storage_buffers_per_shader_stage);
        let bindings = variant.storage_bindings();
        let found = bindings.len() as u64;
        if found > allowed {
            let names: Vec<&str> = bindings.iter().map(|binding| binding.name).collect();
            let (op, buffers) = (self.job.op.name(), names.join(", "));
            return Err(PlanError::Bindings { op, buffers, allowed, found });
        }
        if let Some(seeds) = self.job.seeds {
            let alignment = u64::from(limits.min_storage_buffer_offset_alignment);
            if !seeds.offset.is_multiple_of(alignment) {
                let (limit, found) = ("min_storage_buffer_offset_alignment", seeds.offset);
                return Err(PlanError::DeviceLimit { what: "offset of the seeds", limit, allowed: alignment, found });
            }
            let size = 16 * u64::from(self.job.shape.batch);
            check("seeds", "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, size)?;
        }
        let sizes = [
            ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup),
            ("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x),
            ("max_compute_workgroup_size_y", limits.max_compute_workgroup_size_y),
        ];
        sizes.into_iter().try_for_each(|(limit, size)| check("workgroup", limit, u64::from(size), u64::from(WORKGROUP)))
    }
}

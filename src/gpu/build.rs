//! From a [`Kernel`] to a [`Plan`]: checks, uploads, bindings. Everything that can be wrong is found here, before anything
//! is recorded. How the tensors are walked is the matter of the module beside this one, `layout`.

use super::context::{Context, PipelineKey};
use super::error::PlanError;
use super::layout::{Params, Span, WORKGROUP};
use super::map::Timesteps;
use super::noise::NoiseKey;
use super::op::{Op, Part, SLOTS};
use super::plan::{Dispatch, Plan};
use super::source::{
    Draw, HEALTH_BINDING, Operand, Rows, SCALES_BINDING, SEEDS_BINDING, SLOT_BINDING, STATUS_BINDING, Source,
    TIMESTEPS_BINDING, Walk,
};
use super::window::Window;
use super::{Shape, Tensor};
use wgpu::BufferUsages;

/// What a plan is to be made of, for any op.
#[derive(Clone)]
pub(super) struct Kernel<'a> {
    pub op: Op,
    pub shape: Shape,
    pub timesteps: Timesteps<'a>,
    /// By the op's slots.
    pub tensors: [Option<Tensor<'a>>; SLOTS],
    /// Coefficients, rounded; `None` for a hole.
    pub rows: Vec<Option<&'a [f32]>>,
    /// The key of noise that is drawn, and its noise steps.
    pub drawn: Option<(NoiseKey, u32)>,
    /// A seed for each sample.
    pub seeds: Option<Tensor<'a>>,
    /// A factor and a threshold for each sample.
    pub scales: Option<&'a wgpu::Buffer>,
    /// Where clean samples are recorded.
    pub health: Option<&'a wgpu::Buffer>,
    /// What clean samples are clamped to.
    pub range: f32,
}

impl<'a> Kernel<'a> {
    /// Without rows or noise.
    pub fn new(op: Op, shape: Shape, timesteps: Timesteps<'a>, tensors: [Option<Tensor<'a>>; SLOTS]) -> Self {
        let (rows, drawn, seeds, scales, health) = (Vec::new(), None, None, None, None);
        Self { op, shape, timesteps, tensors, rows, drawn, seeds, scales, health, range: f32::MAX }
    }
}

/// A kernel and the context to plan it for.
pub(super) struct Builder<'a> {
    pub context: &'a Context,
    pub kernel: &'a Kernel<'a>,
}

/// The table or row buffer of a plan.
struct RowBuffer {
    rows: Rows,
    buffer: wgpu::Buffer,
    stride: u32,
    bound: u64,
}

/// What all dispatches of a pass share.
struct Shared<'b> {
    rows: &'b RowBuffer,
    keys: &'b wgpu::Buffer,
    status: Option<&'b wgpu::Buffer>,
    /// Whether this pass counts samples without a row: the first one does.
    reports: bool,
}

impl<'a> Kernel<'a> {
    pub fn tensors(&self) -> impl Iterator<Item = (usize, Tensor<'a>)> + '_ {
        self.tensors.iter().enumerate().filter_map(|(slot, tensor)| Some((slot, (*tensor)?)))
    }

    pub fn name(&self, slot: usize) -> &'static str {
        self.op.slots()[slot].name
    }

    pub fn is_output(&self, slot: usize) -> bool {
        self.op.slots()[slot].is_output()
    }

    /// Where the timesteps lie, if on the GPU: with stride 0 if there is only one.
    pub fn timesteps(&self) -> Option<Tensor<'a>> {
        match self.timesteps {
            Timesteps::Batch => None,
            Timesteps::PerSample { buffer, offset } => Some(Tensor::f32(buffer).at(offset)),
            Timesteps::Shared { buffer, offset } => Some(Tensor::f32(buffer).at(offset).stride(0)),
        }
    }

    /// The bytes that an element-wise tensor of this slot has for each sample.
    pub fn span(&self, slot: usize) -> u64 {
        let remembered = matches!(self.op.slots()[slot].part, Part::Memory);
        if remembered {
            u64::from(self.depth()) * u64::from(self.shape.elements)
        } else {
            u64::from(self.shape.elements)
        }
    }

    pub fn depth(&self) -> u32 {
        match self.op {
            Op::Step(variant) => variant.depth,
            Op::Map => 0,
        }
    }

    pub fn draw(&self) -> Draw {
        match (self.drawn, self.seeds) {
            (None, _) => Draw::No,
            (Some(_), None) => Draw::Batch,
            (Some(_), Some(_)) => Draw::PerSample,
        }
    }

    /// The batch as one long sample, where nothing tells its samples apart and they lie without gaps.
    pub fn folded(&self) -> Self {
        let shape = self.shape;
        let gapless = |tensor: &Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
        let alike = matches!(self.timesteps, Timesteps::Batch) && self.drawn.is_none() && self.scales.is_none();
        match u32::try_from(shape.total()) {
            Ok(total) if alike && self.tensors().all(|(_, tensor)| gapless(&tensor)) => {
                let tensors = self.tensors.map(|tensor| tensor.map(|tensor| Tensor { stride: None, ..tensor }));
                Self { shape: Shape::new(1, total), tensors, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// Everything about shapes and tensors that can be wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        let shape = self.shape;
        if shape.batch == 0 || shape.elements == 0 {
            return Err(PlanError::EmptyShape { batch: shape.batch, elements: shape.elements });
        }
        if self.rows.is_empty() {
            return Err(PlanError::EmptyTable);
        }
        for (slot, tensor) in self.tensors() {
            check_tensor(self.name(slot), &tensor, shape, self.op.slots()[slot].is_input())?;
        }
        let (times, seeds) = (Shape::new(shape.batch, 1), Shape::new(shape.batch, 4));
        let words = [("timesteps", self.timesteps(), times), ("seeds", self.seeds, seeds)];
        for (name, tensor, shape) in &words {
            tensor.map_or(Ok(()), |tensor| check_tensor(name, &tensor, *shape, true))?;
        }
        for (slot, output) in self.tensors().filter(|(slot, _)| self.is_output(*slot)) {
            for (other_slot, other) in self.tensors().filter(|(other, _)| *other != slot) {
                let in_place = !self.is_output(other_slot) && output.same(&other, shape);
                if !in_place && output.overlaps(&other, shape) {
                    return Err(PlanError::Overlap { output: self.name(slot), other: self.name(other_slot) });
                }
            }
            for (other, tensor, words) in &words {
                let Some(tensor) = tensor else { continue };
                let (a, b) = (output.bytes(shape), tensor.bytes(*words));
                if output.buffer == tensor.buffer && a.start < b.end && b.start < a.end {
                    return Err(PlanError::Overlap { output: self.name(slot), other });
                }
            }
        }
        Ok(())
    }
}

impl<'a> Builder<'a> {
    /// Folds the kernel where that is possible, checks it and makes the plan.
    pub(super) fn build(&self) -> Result<Plan, PlanError> {
        self.kernel.check()?;
        let folded = self.kernel.folded();
        Builder { context: self.context, kernel: &folded }.plan()
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let kernel = self.kernel;
        let passes = self.passes()?;
        if let (Op::Step(_), [first, second, ..]) = (kernel.op, &passes[..]) {
            return Err(PlanError::Halves { first: kernel.name(first[0]), second: kernel.name(second[0]) });
        }
        let rows = self.upload_rows()?;
        let (keys, key_stride, steps) = self.upload_keys()?;
        let status = kernel.timesteps().map(|_| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            self.buffer("status", usage, &[0; 16])
        });
        let mut dispatches = Vec::new();
        for (pass, outputs) in passes.iter().enumerate() {
            let shared = Shared { rows: &rows, keys: &keys, status: status.as_ref(), reports: pass == 0 };
            self.dispatches(outputs, &shared, &mut dispatches)?;
        }
        Ok(Plan {
            dispatches,
            keys,
            key_stride,
            steps,
            draws: kernel.drawn.is_some(),
            row_stride: rows.stride,
            holes: kernel.rows.iter().map(Option::is_none).collect(),
            status,
        })
    }

    fn buffer(&self, role: &str, usage: BufferUsages, bytes: &[u8]) -> wgpu::Buffer {
        self.context.buffer_with(&self.label(role), usage, bytes)
    }

    fn label(&self, role: &str) -> String {
        format!("tweedie::{}::{role}", self.kernel.op.name())
    }

    fn upload_rows(&self) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let width = self.kernel.op.width();
        let row_bytes = width * 16;
        let hole = vec![f32::NAN; width as usize * 4];
        let row = |row: &Option<&'a [f32]>| bytemuck::cast_slice::<f32, u8>(row.unwrap_or(&hole)).to_vec();
        let count = self.kernel.rows.len() as u64;
        let check = |what, limit, allowed, found| {
            if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
        };
        if matches!(self.kernel.timesteps, Timesteps::Batch) {
            let stride = row_bytes.next_multiple_of(limits.min_uniform_buffer_offset_alignment);
            let largest = limits.max_buffer_size.min(u64::from(u32::MAX));
            check("table", "max_buffer_size", largest, count * u64::from(stride))?;
            let mut bytes = vec![0; self.kernel.rows.len() * stride as usize];
            for (slot, r) in bytes.chunks_exact_mut(stride as usize).zip(&self.kernel.rows) {
                slot[..row_bytes as usize].copy_from_slice(&row(r));
            }
            let buffer = self.buffer("rows", BufferUsages::UNIFORM, &bytes);
            return Ok(RowBuffer { rows: Rows::Batch, buffer, stride, bound: u64::from(row_bytes) });
        }
        let vectors = count * u64::from(width);
        let fits = |size: u64| vectors <= size && size * 16 <= limits.max_uniform_buffer_binding_size;
        let mut bytes: Vec<u8> = self.kernel.rows.iter().flat_map(row).collect();
        let (rows, usage) = match [1024u32, 4096].into_iter().find(|&size| fits(u64::from(size))) {
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
        let buffer = self.buffer("table", usage, &bytes);
        Ok(RowBuffer { rows, buffer, stride: 0, bound })
    }

    fn upload_keys(&self) -> Result<(wgpu::Buffer, u32, u32), PlanError> {
        let limits = self.context.limits();
        let (first, steps) = self.kernel.drawn.unwrap_or((NoiseKey::default(), 1));
        if steps == 0 {
            return Err(PlanError::NoSteps);
        }
        let stride = limits.min_uniform_buffer_offset_alignment.max(32);
        let size = u64::from(stride) * u64::from(steps);
        let allowed = limits.max_buffer_size.min(u64::from(u32::MAX));
        if size > allowed {
            return Err(PlanError::DeviceLimit { what: "noise steps", limit: "max_buffer_size", allowed, found: size });
        }
        let mut bytes = vec![0; size as usize];
        for (slot, step) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
            let key = first.stream(first.stream.wrapping_add(step));
            slot[..32].copy_from_slice(bytemuck::bytes_of(&key.words()));
        }
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        Ok((self.buffer("keys", usage, &bytes), stride, steps))
    }

    fn dispatches(
        &self,
        outputs: &[usize],
        shared: &Shared<'_>,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<(), PlanError> {
        let parts = self.windows();
        let source = self.source(self.walk(outputs, parts.len()), outputs, shared.rows.rows);
        self.check_bindings(&source)?;
        let plans: Vec<_> = parts.iter().map(|window| self.place(&source, outputs, window)).collect();
        let alignment = u64::from(self.context.limits().min_uniform_buffer_offset_alignment);
        let step = (size_of::<Params>() as u64).next_multiple_of(alignment);
        let mut bytes = Vec::with_capacity(plans.len() * step as usize);
        for (params, ..) in &plans {
            bytes.extend_from_slice(bytemuck::bytes_of(&params.reporting(shared.reports)));
            bytes.resize((bytes.len() as u64).next_multiple_of(step) as usize, 0);
        }
        let params = self.buffer("params", BufferUsages::UNIFORM, &bytes);
        for (index, (window, (_, tile, workgroups))) in parts.iter().zip(plans).enumerate() {
            let pipeline = self.context.pipeline(PipelineKey { source, tile });
            let group = self.bind(&pipeline.layout, &source, window, shared, (&params, index as u64 * step));
            dispatches.push(Dispatch { pipeline, group, workgroups });
        }
        Ok(())
    }

    fn bind(
        &self,
        layout: &wgpu::BindGroupLayout,
        source: &Source,
        window: &Window,
        shared: &Shared<'_>,
        (params, at): (&wgpu::Buffer, u64),
    ) -> wgpu::BindGroup {
        let part = |buffer, offset, size| {
            let size = std::num::NonZero::new(size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
        };
        let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let mut entries = vec![
            entry(0, part(params, at, size_of::<Params>() as u64)),
            entry(1, part(shared.keys, 0, 32)),
            entry(2, part(&shared.rows.buffer, 0, shared.rows.bound)),
        ];
        let kernel = self.kernel;
        if let (Some(timesteps), Some(status)) = (kernel.timesteps(), shared.status) {
            let (start, size, _) = self.bound(&timesteps, window, Span::Timestep);
            entries.push(entry(TIMESTEPS_BINDING, part(timesteps.buffer, start, size)));
            entries.push(entry(STATUS_BINDING, part(status, 0, 16)));
        }
        for (slot, tensor) in kernel.tensors().filter(|(slot, _)| source.operand(*slot).is_bound()) {
            let (start, size, _) = self.bound(&tensor, window, Span::Slot(slot));
            entries.push(entry(SLOT_BINDING + slot as u32, part(tensor.buffer, start, size)));
        }
        if let Some(seeds) = kernel.seeds {
            let size = 16 * u64::from(kernel.shape.batch);
            entries.push(entry(SEEDS_BINDING, part(seeds.buffer, seeds.offset, size)));
        }
        entries.extend(kernel.scales.map(|scales| entry(SCALES_BINDING, scales.as_entire_binding())));
        entries.extend(kernel.health.map(|health| entry(HEALTH_BINDING, health.as_entire_binding())));
        self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&self.label("group")),
            layout,
            entries: &entries,
        })
    }

    fn source(&self, walk: Walk, outputs: &[usize], rows: Rows) -> Source {
        let kernel = self.kernel;
        let written = |buffer: &wgpu::Buffer| {
            outputs.iter().filter_map(|&slot| kernel.tensors[slot]).any(|output| output.buffer == buffer)
        };
        let replaced = |tensor: &Tensor<'_>| {
            let mut outputs = outputs.iter().copied();
            outputs.find(|&output| kernel.tensors[output].is_some_and(|target| target.same(tensor, kernel.shape)))
        };
        let mut operands = [Operand::Absent; SLOTS];
        for (slot, tensor) in kernel.tensors() {
            let storage = tensor.storage;
            operands[slot] = match kernel.op.slots()[slot].part {
                Part::Memory => Operand::Bound { storage, writable: true },
                Part::Output if outputs.contains(&slot) => Operand::Bound { storage, writable: true },
                Part::Output => Operand::Absent,
                Part::Input | Part::Needed(_) => match replaced(&tensor) {
                    Some(output) => Operand::InPlace { storage, output },
                    None => Operand::Bound { storage, writable: written(tensor.buffer) },
                },
            };
        }
        Source {
            op: kernel.op,
            walk,
            rows,
            timesteps_writable: kernel.timesteps().is_some_and(|timesteps| written(timesteps.buffer)),
            draw: kernel.draw(),
            operands,
        }
    }

    fn check_bindings(&self, source: &Source) -> Result<(), PlanError> {
        let bound = source.operands.iter().filter(|operand| operand.is_bound()).count();
        let Kernel { seeds, scales, health, .. } = self.kernel;
        let extras = usize::from(seeds.is_some()) + usize::from(scales.is_some()) + usize::from(health.is_some());
        let found = (bound + extras) as u64
            + match source.rows {
                Rows::Batch => 0,
                Rows::Uniform(_) => 2,
                Rows::Storage => 3,
            };
        let limits = self.context.limits();
        let allowed = u64::from(limits.max_storage_buffers_per_shader_stage);
        if found > allowed {
            let limit = "max_storage_buffers_per_shader_stage";
            return Err(PlanError::DeviceLimit { what: "tensors of one plan", limit, allowed, found });
        }
        let allowed = u64::from(limits.max_compute_invocations_per_workgroup);
        if allowed < u64::from(WORKGROUP) {
            let (limit, found) = ("max_compute_invocations_per_workgroup", u64::from(WORKGROUP));
            return Err(PlanError::DeviceLimit { what: "workgroup", limit, allowed, found });
        }
        Ok(())
    }
}

/// Checks words of a buffer as the timesteps of a plan.
pub(super) fn check_words(name: &'static str, words: Timesteps<'_>, shape: Shape) -> Result<(), PlanError> {
    if shape.batch == 0 {
        return Err(PlanError::EmptyShape { batch: 0, elements: shape.elements });
    }
    match words {
        Timesteps::Batch => Ok(()),
        Timesteps::PerSample { buffer, offset } | Timesteps::Shared { buffer, offset } => {
            check_tensor(name, &Tensor::f32(buffer).at(offset), shape, true)
        }
    }
}

fn check_tensor(name: &'static str, tensor: &Tensor<'_>, shape: Shape, input: bool) -> Result<(), PlanError> {
    let usage = tensor.buffer.usage();
    if !usage.contains(BufferUsages::STORAGE) {
        return Err(PlanError::BufferUsage { tensor: name, found: format!("{usage:?}") });
    }
    let bytes = tensor.storage.bytes();
    if !tensor.offset.is_multiple_of(bytes) {
        return Err(PlanError::Offset { tensor: name, storage: tensor.storage, expected: bytes, found: tensor.offset });
    }
    match tensor.stride {
        Some(0) if input => {}
        Some(found) if found < shape.elements => {
            return Err(PlanError::Stride { tensor: name, expected: shape.elements, found });
        }
        _ => {}
    }
    let last = tensor.extent(shape).checked_mul(bytes).and_then(|length| length.checked_add(tensor.offset));
    let expected = last.and_then(|end| end.checked_next_multiple_of(4)).unwrap_or(u64::MAX);
    let found = tensor.buffer.size();
    if expected > found {
        return Err(PlanError::BufferTooSmall { tensor: name, expected, found });
    }
    Ok(())
}

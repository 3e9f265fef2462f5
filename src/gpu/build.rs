//! From a [`Map`] to a [`MapPlan`]: checks, uploads, bindings. Everything that can be wrong is found here, before anything
//! is recorded. How the tensors are walked is the matter of the module beside this one, `layout`.

use super::context::{Context, PipelineKey};
use super::error::PlanError;
use super::layout::{Params, WORKGROUP};
use super::map::{Dispatch, Drawn, Map, MapPlan, Second, Timesteps};
use super::noise::NoiseKey;
use super::source::{MapSource, Operand, Role, Rows, STATUS_BINDING, TIMESTEPS_BINDING, Walk};
use super::window::Window;
use super::{Shape, Tensor};
use wgpu::BufferUsages;

/// A map and the context to plan it for.
pub(super) struct Builder<'a> {
    pub context: &'a Context,
    pub map: &'a Map<'a>,
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

impl<'a> Builder<'a> {
    pub(super) fn build(&self) -> Result<MapPlan, PlanError> {
        let map = self.map;
        self.check()?;
        let passes = self.passes()?;
        let rounded = map.table.rounded()?;
        let holes = rounded.iter().map(Option::is_none).collect();
        let rows = self.upload_rows(&rounded)?;
        let (keys, key_stride, steps) = self.upload_keys()?;
        let per_sample = matches!(map.timesteps, Timesteps::PerSample { .. });
        let status = per_sample.then(|| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            self.context.buffer_with("tweedie::Map::status", usage, &[0; 16])
        });
        let mut dispatches = Vec::new();
        for (pass, outputs) in passes.iter().enumerate() {
            let shared = Shared { rows: &rows, keys: &keys, status: status.as_ref(), reports: pass == 0 };
            self.dispatches(outputs, &shared, &mut dispatches)?;
        }
        Ok(MapPlan {
            dispatches,
            keys,
            key_stride,
            steps,
            draws: matches!(map.in1, Second::Drawn(_)),
            row_stride: rows.stride,
            holes,
            status,
        })
    }

    pub(super) fn tensor(&self, role: Role) -> Option<Tensor<'a>> {
        match (role, self.map.in1) {
            (Role::In0, _) => self.map.in0,
            (Role::In1, Second::Given(tensor)) => Some(tensor),
            (Role::Out0, _) => Some(self.map.out0),
            (Role::Out1, _) => self.map.out1,
            (Role::Noise, Second::Drawn(drawn)) => drawn.keep,
            _ => None,
        }
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = (Role, Tensor<'a>)> + '_ {
        Role::ALL.into_iter().filter_map(|role| Some((role, self.tensor(role)?)))
    }

    pub(super) fn timesteps(&self) -> Option<Tensor<'a>> {
        match self.map.timesteps {
            Timesteps::Batch => None,
            Timesteps::PerSample { buffer, offset } => Some(Tensor::f32(buffer).at(offset)),
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        let shape = self.map.shape;
        if shape.batch == 0 || shape.elements == 0 {
            return Err(PlanError::EmptyShape { batch: shape.batch, elements: shape.elements });
        }
        if self.map.table.is_empty() {
            return Err(PlanError::EmptyTable);
        }
        for (role, tensor) in self.tensors() {
            check_tensor(role.name(), &tensor, shape, !role.is_output())?;
        }
        let times = Shape::new(shape.batch, 1);
        if let Some(timesteps) = self.timesteps() {
            check_tensor("timesteps", &timesteps, times, false)?;
        }
        for (role, output) in self.tensors().filter(|(role, _)| role.is_output()) {
            for (other_role, other) in self.tensors().filter(|(other, _)| *other != role) {
                let in_place = !other_role.is_output() && output.same(&other, shape);
                if !in_place && output.overlaps(&other, shape) {
                    return Err(PlanError::Overlap { output: role.name(), other: other_role.name() });
                }
            }
            if let Some(timesteps) = self.timesteps() {
                let (a, b) = (output.bytes(shape), timesteps.bytes(times));
                if output.buffer == timesteps.buffer && a.start < b.end && b.start < a.end {
                    return Err(PlanError::Overlap { output: role.name(), other: "timesteps" });
                }
            }
        }
        Ok(())
    }

    fn upload_rows(&self, rounded: &[Option<[f32; 4]>]) -> Result<RowBuffer, PlanError> {
        let limits = self.context.limits();
        let hole = [f32::NAN; 4];
        let row = |r: &Option<[f32; 4]>| r.unwrap_or(hole);
        let count = rounded.len() as u64;
        let check = |what, limit, allowed, found| {
            if found <= allowed { Ok(()) } else { Err(PlanError::DeviceLimit { what, limit, allowed, found }) }
        };
        if matches!(self.map.timesteps, Timesteps::Batch) {
            let stride = limits.min_uniform_buffer_offset_alignment.max(16);
            let largest = limits.max_buffer_size.min(u64::from(u32::MAX));
            check("table", "max_buffer_size", largest, count * u64::from(stride))?;
            let mut bytes = vec![0; rounded.len() * stride as usize];
            for (slot, r) in bytes.chunks_exact_mut(stride as usize).zip(rounded) {
                slot[..16].copy_from_slice(bytemuck::bytes_of(&row(r)));
            }
            let buffer = self.context.buffer_with("tweedie::Map::rows", BufferUsages::UNIFORM, &bytes);
            return Ok(RowBuffer { rows: Rows::Batch, buffer, stride, bound: 16 });
        }
        let mut bytes: Vec<u8> = rounded.iter().flat_map(|r| bytemuck::cast::<_, [u8; 16]>(row(r))).collect();
        let fits = |rows: u64| count <= rows && rows * 16 <= limits.max_uniform_buffer_binding_size;
        let (rows, usage) = match [1024u32, 4096].into_iter().find(|&rows| fits(u64::from(rows))) {
            Some(rows) => {
                bytes.resize(rows as usize * 16, 0);
                (Rows::Uniform(rows), BufferUsages::UNIFORM)
            }
            None => {
                let largest = limits.max_storage_buffer_binding_size;
                check("table", "max_storage_buffer_binding_size", largest, bytes.len() as u64)?;
                (Rows::Storage, BufferUsages::STORAGE)
            }
        };
        let bound = bytes.len() as u64;
        let buffer = self.context.buffer_with("tweedie::Map::table", usage, &bytes);
        Ok(RowBuffer { rows, buffer, stride: 0, bound })
    }

    fn upload_keys(&self) -> Result<(wgpu::Buffer, u32, u32), PlanError> {
        let limits = self.context.limits();
        let drawn = match self.map.in1 {
            Second::Drawn(drawn) => drawn,
            Second::Given(_) => Drawn::new(NoiseKey::default()),
        };
        if drawn.steps == 0 {
            return Err(PlanError::NoSteps);
        }
        let stride = limits.min_uniform_buffer_offset_alignment.max(32);
        let size = u64::from(stride) * u64::from(drawn.steps);
        let allowed = limits.max_buffer_size.min(u64::from(u32::MAX));
        if size > allowed {
            return Err(PlanError::DeviceLimit { what: "noise steps", limit: "max_buffer_size", allowed, found: size });
        }
        let mut bytes = vec![0; size as usize];
        for (slot, step) in bytes.chunks_exact_mut(stride as usize).zip(0..) {
            let key = drawn.key.stream(drawn.key.stream.wrapping_add(step));
            slot[..32].copy_from_slice(bytemuck::bytes_of(&key.words()));
        }
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        Ok((self.context.buffer_with("tweedie::Map::keys", usage, &bytes), stride, drawn.steps))
    }

    fn dispatches(
        &self,
        outputs: &[Role],
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
        let params = self.context.buffer_with("tweedie::Map::params", BufferUsages::UNIFORM, &bytes);
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
        source: &MapSource,
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
        if let (Some(timesteps), Some(status)) = (self.timesteps(), shared.status) {
            let (start, size, _) = self.bound(&timesteps, window, true);
            entries.push(entry(TIMESTEPS_BINDING, part(timesteps.buffer, start, size)));
            entries.push(entry(STATUS_BINDING, part(status, 0, 16)));
        }
        for (role, tensor) in self.tensors() {
            if matches!(source.operand(role), Operand::Bound { .. }) {
                let (start, size, _) = self.bound(&tensor, window, false);
                entries.push(entry(role.binding(), part(tensor.buffer, start, size)));
            }
        }
        self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("tweedie::Map::group"),
            layout,
            entries: &entries,
        })
    }

    fn source(&self, walk: Walk, outputs: &[Role], rows: Rows) -> MapSource {
        let written = |buffer: &wgpu::Buffer| {
            outputs.iter().filter_map(|&role| self.tensor(role)).any(|output| output.buffer == buffer)
        };
        let operands = Role::ALL.map(|role| match self.tensor(role) {
            None => Operand::Absent,
            Some(tensor) if role.is_output() => {
                if outputs.contains(&role) {
                    Operand::Bound { storage: tensor.storage, writable: true }
                } else {
                    Operand::Absent
                }
            }
            Some(tensor) => {
                let storage = tensor.storage;
                match outputs
                    .iter()
                    .find(|&&output| self.tensor(output).is_some_and(|target| target.same(&tensor, self.map.shape)))
                {
                    Some(&output) => Operand::InPlace { storage, output },
                    None => Operand::Bound { storage, writable: written(tensor.buffer) },
                }
            }
        });
        MapSource {
            walk,
            rows,
            timesteps_writable: self.timesteps().is_some_and(|timesteps| written(timesteps.buffer)),
            drawn: matches!(self.map.in1, Second::Drawn(_)),
            operands,
        }
    }

    fn check_bindings(&self, source: &MapSource) -> Result<(), PlanError> {
        let bound = Role::ALL.iter().filter(|&&role| matches!(source.operand(role), Operand::Bound { .. })).count();
        let found = bound as u64
            + match source.rows {
                Rows::Batch => 0,
                Rows::Uniform(_) => 2,
                Rows::Storage => 3,
            };
        let limits = self.context.limits();
        let allowed = u64::from(limits.max_storage_buffers_per_shader_stage);
        if found > allowed {
            let limit = "max_storage_buffers_per_shader_stage";
            return Err(PlanError::DeviceLimit { what: "tensors of one map", limit, allowed, found });
        }
        let allowed = u64::from(limits.max_compute_invocations_per_workgroup);
        if allowed < u64::from(WORKGROUP) {
            let (limit, found) = ("max_compute_invocations_per_workgroup", u64::from(WORKGROUP));
            return Err(PlanError::DeviceLimit { what: "workgroup", limit, allowed, found });
        }
        Ok(())
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

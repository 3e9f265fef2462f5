//! From a [`Map`] to a [`MapPlan`]: checks, uploads, and how each window of the tensors is walked.
//!
//! Aligned tensors are walked in lanes of four elements by tiles of a workgroup, tensors without gaps in lanes of the whole
//! batch, all others word by word. Buffers beyond the device's binding limit are covered window by window, and two 16-bit
//! outputs that begin in different halves of a word are written one after the other. Everything that can be wrong is found
//! here, before anything is recorded.

use super::context::{Context, PipelineKey, Tile};
use super::error::PlanError;
use super::map::{Dispatch, Drawn, Map, MapPlan, Second, Timesteps};
use super::noise::NoiseKey;
use super::source::{MapSource, Operand, Role, Rows, STATUS_BINDING, TIMESTEPS_BINDING, Walk};
use super::window::{Extent, Window, windows};
use super::{Shape, Storage, Tensor};
use wgpu::BufferUsages;

/// The uniform block `Params` of `shaders/map.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
struct Params {
    batch: u32,
    elements: u32,
    first_sample: u32,
    first_element: u32,
    rows: u32,
    timesteps: u32,
    nan: u32,
    contiguous: u32,
    span: u32,
    slots: u32,
    groups: u32,
    parity: u32,
    tensors: [[u32; 2]; 5],
    reports: u32,
    unused: u32,
}

const LANE: u64 = 4;
const WORKGROUP: u32 = 256;
const MAX_GROUPS: u32 = 65_535;
/// The largest window in bytes: 65,535 workgroups along a sample are 511 MiB of 16-bit elements, and every index, gaps
/// included, stays inside a u32.
const LARGEST_WINDOW: u64 = 500 << 20;

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

    fn tensor(&self, role: Role) -> Option<Tensor<'a>> {
        match (role, self.map.in1) {
            (Role::In0, _) => self.map.in0,
            (Role::In1, Second::Given(tensor)) => Some(tensor),
            (Role::Out0, _) => Some(self.map.out0),
            (Role::Out1, _) => self.map.out1,
            (Role::Noise, Second::Drawn(drawn)) => drawn.keep,
            _ => None,
        }
    }

    fn tensors(&self) -> impl Iterator<Item = (Role, Tensor<'a>)> + '_ {
        Role::ALL.into_iter().filter_map(|role| Some((role, self.tensor(role)?)))
    }

    fn timesteps(&self) -> Option<Tensor<'a>> {
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

    /// The outputs of each pass over the data: all at once, unless two 16-bit outputs begin in different halves of a
    /// word, so that no walk owns the words of both. An output that replaces an input then goes last.
    fn passes(&self) -> Result<Vec<Vec<Role>>, PlanError> {
        let all: Vec<Role> = self.tensors().map(|(role, _)| role).filter(|role| role.is_output()).collect();
        if self.leader(&all).is_some() || self.aligned(&all) {
            return Ok(vec![all]);
        }
        let (mut last, mut passes): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|&role| self.replaced_by(role).is_some());
        if let [first, second, ..] = last[..] {
            return Err(PlanError::Halves { first: first.name(), second: second.name() });
        }
        passes.append(&mut last);
        Ok(passes.into_iter().map(|role| vec![role]).collect())
    }

    /// The input that this output replaces.
    fn replaced_by(&self, output: Role) -> Option<Role> {
        let target = self.tensor(output)?;
        [Role::In0, Role::In1]
            .into_iter()
            .find(|&input| self.tensor(input).is_some_and(|tensor| tensor.same(&target, self.map.shape)))
    }

    fn takes_part(role: Role, outputs: &[Role]) -> bool {
        !role.is_output() || outputs.contains(&role)
    }

    /// Whether every tensor of a pass consists of whole lanes within each sample.
    fn aligned(&self, outputs: &[Role]) -> bool {
        let shape = self.map.shape;
        let aligned = |tensor: Tensor<'_>| starts_lane(&tensor) && tensor.stride_in(shape).is_multiple_of(LANE);
        let mut parts = self.tensors().filter(|(role, _)| Self::takes_part(*role, outputs));
        u64::from(shape.elements).is_multiple_of(LANE) && parts.all(|(_, tensor)| aligned(tensor))
    }

    /// Whether every tensor of a pass is one run of whole lanes.
    fn flat(&self, outputs: &[Role]) -> bool {
        let shape = self.map.shape;
        let gapless = |tensor: Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
        let mut parts = self.tensors().filter(|(role, _)| Self::takes_part(*role, outputs));
        shape.elements >= 2
            && shape.total().is_multiple_of(LANE)
            && parts.all(|(_, tensor)| starts_lane(&tensor) && gapless(tensor))
    }

    /// How a pass walks over its windows.
    fn walk(&self, outputs: &[Role], windows: usize) -> Walk {
        if self.aligned(outputs) {
            Walk::Lanes
        } else if windows == 1 && self.flat(outputs) {
            Walk::Flat
        } else {
            Walk::Words
        }
    }

    fn windows(&self) -> Vec<Window> {
        let limits = self.context.limits();
        let limit = limits.max_storage_buffer_binding_size.min(LARGEST_WINDOW);
        let shape = self.map.shape;
        let mut extents: Vec<Extent> = self
            .tensors()
            .map(|(_, tensor)| Extent { bytes: tensor.storage.bytes(), stride: tensor.stride_in(shape) })
            .collect();
        extents.extend(self.timesteps().map(|_| Extent { bytes: 4, stride: 1 }));
        windows(shape, &extents, limit, self.alignment(), WORKGROUP * LANE as u32)
    }

    /// What the start of a binding is a multiple of, in bytes: what the device wants, and whole lanes.
    fn alignment(&self) -> u64 {
        u64::from(self.context.limits().min_storage_buffer_offset_alignment).max(LANE * 4)
    }

    /// The output whose words decide the pairs of `map_words`; none if two outputs disagree about them.
    fn leader(&self, outputs: &[Role]) -> Option<Role> {
        let shape = self.map.shape;
        let halves = |role: Role| {
            let tensor = self.tensor(role)?;
            let stride = if shape.batch == 1 { 0 } else { tensor.stride_in(shape) % 2 };
            (tensor.storage != Storage::F32).then_some((tensor.offset / 2 % 2, stride))
        };
        let contiguous =
            |role: &Role| self.tensor(*role).is_some_and(|tensor| tensor.stride_in(shape) == u64::from(shape.elements));
        let packed: Vec<Role> = outputs.iter().copied().filter(|&role| halves(role).is_some()).collect();
        if packed.windows(2).any(|pair| halves(pair[0]) != halves(pair[1])) {
            return None;
        }
        let first = packed.first().or(outputs.first()).copied();
        packed.into_iter().find(|role| contiguous(role)).or(first)
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
            bytes.extend_from_slice(bytemuck::bytes_of(&Params { reports: u32::from(shared.reports), ..*params }));
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

    /// The byte offset and size to bind for a window, and the first element within what is bound.
    fn bound(&self, tensor: &Tensor<'_>, window: &Window, timesteps: bool) -> (u64, u64, u32) {
        let bytes = tensor.storage.bytes();
        let (stride, first_element, elements) = if timesteps {
            (1, 0, 1)
        } else {
            (tensor.stride_in(self.map.shape), window.first_element, window.elements)
        };
        let alignment = self.alignment();
        let start = tensor.offset + (u64::from(window.first_sample) * stride + u64::from(first_element)) * bytes;
        let end = start + (u64::from(window.samples - 1) * stride + u64::from(elements)) * bytes;
        let aligned = start / alignment * alignment;
        (aligned, end.next_multiple_of(4) - aligned, ((start - aligned) / bytes) as u32)
    }

    /// The parameters, tile and workgroups of a window.
    fn place(&self, source: &MapSource, outputs: &[Role], window: &Window) -> (Params, Tile, [u32; 3]) {
        let unit = match source.walk {
            Walk::Lanes | Walk::Flat => LANE as u32,
            Walk::Words => 1,
        };
        let tensors = Role::ALL.map(|role| {
            self.tensor(role).map_or([0, 0], |tensor| {
                let (_, _, first) = self.bound(&tensor, window, false);
                [first / unit, tensor.stride_in(self.map.shape) as u32 / unit]
            })
        });
        let mut params = Params {
            batch: window.samples,
            elements: window.elements,
            first_sample: window.first_sample,
            first_element: window.first_element,
            rows: self.map.table.len() as u32,
            timesteps: self.timesteps().map_or(0, |timesteps| self.bound(&timesteps, window, true).2),
            nan: f32::NAN.to_bits(),
            contiguous: 0,
            span: 4,
            slots: 0,
            groups: 0,
            parity: 0,
            tensors,
            reports: 0,
            unused: 0,
        };
        match source.walk {
            Walk::Lanes => {
                let tile = tile_for(window.elements / LANE as u32);
                let across = (window.elements / LANE as u32).div_ceil(tile.lanes * tile.lanes_each);
                let rows = window.samples.div_ceil(tile.samples);
                params.groups = rows.min(MAX_GROUPS);
                (params, tile, [across, params.groups, rows.div_ceil(params.groups)])
            }
            Walk::Flat => {
                params.slots = window.samples * window.elements;
                let workgroups = line(&mut params);
                (params, LINE, workgroups)
            }
            Walk::Words => {
                self.lay_out_words(outputs, window, &mut params);
                let workgroups = line(&mut params);
                (params, LINE, workgroups)
            }
        }
    }

    fn lay_out_words(&self, outputs: &[Role], window: &Window, params: &mut Params) {
        let leader = self.leader(outputs).unwrap_or(Role::Out0);
        let [first, stride] = params.tensors[leader as usize];
        let packed = u32::from(self.tensor(leader).is_some_and(|tensor| tensor.storage != Storage::F32));
        params.parity = (first & 1) | (stride & 1) << 1 | packed << 2;
        // Where no words are shared, the gaps of the leader need no slots either.
        params.contiguous = u32::from(packed == 0 || window.samples == 1 || stride == window.elements);
        if params.contiguous == 1 {
            params.slots = (window.samples * window.elements + packed * (first & 1)).next_multiple_of(4);
            params.span = params.slots;
        } else {
            params.span = (window.elements + packed).next_multiple_of(4);
            params.slots = window.samples * params.span;
        }
    }
}

/// A workgroup along a line, for walks that do not know samples.
const LINE: Tile = Tile { lanes: WORKGROUP, samples: 1, lanes_each: 1 };

/// The workgroups of a line of `slots`, four to an invocation.
fn line(params: &mut Params) -> [u32; 3] {
    let groups = (params.slots / 4).div_ceil(WORKGROUP);
    params.groups = groups.min(MAX_GROUPS);
    [params.groups, groups.div_ceil(params.groups), 1]
}

/// Whether a tensor begins at a whole lane.
fn starts_lane(tensor: &Tensor<'_>) -> bool {
    tensor.offset.is_multiple_of(LANE * tensor.storage.bytes())
}

/// The tile for samples of this many lanes: a workgroup is filled with short samples, and long samples give each
/// invocation several lanes so that loads overlap.
fn tile_for(lanes: u32) -> Tile {
    let across = lanes.next_power_of_two().min(WORKGROUP);
    let lanes_each = if lanes >= 4 * WORKGROUP { 4 } else { 1 };
    Tile { lanes: across, samples: WORKGROUP / across, lanes_each }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// `tests/shaders.rs` holds the shader's side to the same numbers.
    #[test]
    fn params_lie_as_the_shader_reads_them() {
        assert_eq!(size_of::<Params>(), 96);
        let found = [
            offset_of!(Params, batch),
            offset_of!(Params, elements),
            offset_of!(Params, first_sample),
            offset_of!(Params, first_element),
            offset_of!(Params, rows),
            offset_of!(Params, timesteps),
            offset_of!(Params, nan),
            offset_of!(Params, contiguous),
            offset_of!(Params, span),
            offset_of!(Params, slots),
            offset_of!(Params, groups),
            offset_of!(Params, parity),
            offset_of!(Params, tensors),
            offset_of!(Params, reports),
            offset_of!(Params, unused),
        ];
        assert_eq!(found, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 88, 92]);
    }

    #[test]
    fn a_tile_is_a_whole_workgroup_however_short_the_samples() {
        for lanes in [1, 2, 3, 16, 255, 256, 257, 1024, 1 << 20] {
            let tile = tile_for(lanes);
            assert_eq!(tile.lanes * tile.samples, WORKGROUP, "{lanes} lanes: {tile:?}");
            assert!(tile.lanes >= lanes.min(WORKGROUP), "{lanes} lanes: {tile:?}");
        }
    }
}

//! map: every op that is a 2x2 matrix per timestep, as one streaming kernel.
//!
//! **Theory.** Noising, training targets, conversions between predictions and the posterior mean are all
//!
//! ```text
//! out0 = m[0][0] * in0 + m[0][1] * in1
//! out1 = m[1][0] * in0 + m[1][1] * in1
//! ```
//!
//! with the matrix `m` of each sample's timestep. `in1` may be noise that is drawn in the kernel and never stored, and the
//! second output may be left out. The kernel reads each input once and writes each output once; nothing else moves.
//!
//! **Practice.** A [`MapPlan`] is made once for a shape, a table and a set of buffers: it compiles (at the first plan of
//! its kind), uploads the table and makes the bind groups. Recording it afterwards is a few calls on the caller's pass:
//! no submit, no poll, no allocation, no upload. It holds its buffers alive. One plan may be recorded any number of times.
//!
//! Host twin of `shaders/map*.wgsl`: [`reference`].

use super::compare::Exact;
use super::context::{Context, Pipeline, PipelineKey, Tile};
use super::error::{PlanError, RecordError};
use super::noise::NoiseKey;
use super::source::{MapSource, Operand, Role, Rows, STATUS_BINDING, TIMESTEPS_BINDING, Walk};
use super::window::{Extent, Window, windows};
use super::{Shape, Storage, Tensor};
use crate::table::{Matrix, Table};
use std::sync::Arc;
use wgpu::BufferUsages;

/// Which row of the table each sample uses.
#[derive(Clone, Copy, Debug)]
pub enum Timesteps<'a> {
    /// One for the whole batch, named at each recording by [`At::timestep`].
    Batch,
    /// One `u32` per sample, read from this buffer on the GPU. A value that is not in the table, or names a hole of it,
    /// makes that sample NaN and is counted in [`MapPlan::status`].
    PerSample {
        /// The buffer, with usage STORAGE.
        buffer: &'a wgpu::Buffer,
        /// Bytes before the first timestep: a multiple of 4.
        offset: u64,
    },
}

impl<'a> Timesteps<'a> {
    /// A timestep for each sample, from the beginning of a buffer.
    pub const fn per_sample(buffer: &'a wgpu::Buffer) -> Self {
        Timesteps::PerSample { buffer, offset: 0 }
    }
}

/// The second input of a map.
#[derive(Clone, Copy, Debug)]
pub enum Second<'a> {
    /// A tensor.
    Given(Tensor<'a>),
    /// Standard normal noise, drawn in the kernel.
    Drawn(Drawn<'a>),
}

/// Noise that a kernel draws.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// Seed, stream and first sample. Recording step `k` draws from stream `key.stream + k`.
    pub key: NoiseKey,
    /// How many noise steps may be recorded without setting a key: at least 1.
    pub steps: u32,
    /// Where to write the noise too, if anywhere.
    pub keep: Option<Tensor<'a>>,
}

impl<'a> Drawn<'a> {
    /// Noise of one step, not kept.
    pub const fn new(key: NoiseKey) -> Self {
        Self { key, steps: 1, keep: None }
    }

    /// With this many noise steps, on consecutive streams.
    pub const fn steps(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// And written out.
    pub const fn keep(self, tensor: Tensor<'a>) -> Self {
        Self { keep: Some(tensor), ..self }
    }
}

/// What a [`MapPlan`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// A matrix per timestep.
    pub table: &'a Table,
    /// The batch.
    pub shape: Shape,
    /// Which row each sample uses.
    pub timesteps: Timesteps<'a>,
    /// The first input; `None` reads as zero.
    pub in0: Option<Tensor<'a>>,
    /// The second input.
    pub in1: Second<'a>,
    /// The first output. An output may be the very same elements as an input.
    pub out0: Tensor<'a>,
    /// The second output.
    pub out1: Option<Tensor<'a>>,
}

/// Which timestep and noise step a recording uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The timestep of the whole batch, for [`Timesteps::Batch`]; `None` for [`Timesteps::PerSample`].
    pub timestep: Option<u32>,
    /// The noise step: it draws from the plan's stream plus this. 0 where no noise is drawn.
    pub step: u32,
}

impl At {
    /// This timestep for the whole batch.
    pub const fn timestep(timestep: u32) -> Self {
        Self { timestep: Some(timestep), step: 0 }
    }

    /// Each sample's own timestep.
    pub const fn per_sample() -> Self {
        Self { timestep: None, step: 0 }
    }

    /// The same at this noise step.
    pub const fn step(self, step: u32) -> Self {
        Self { step, ..self }
    }
}

/// A map that is ready to be recorded.
#[derive(Debug)]
pub struct MapPlan {
    dispatches: Vec<Dispatch>,
    keys: wgpu::Buffer,
    key_stride: u32,
    first_key: NoiseKey,
    steps: u32,
    draws: bool,
    row_stride: u32,
    /// For one timestep per batch: whether each row exists.
    rows: u32,
    holes: Vec<bool>,
    per_sample: bool,
    status: Option<wgpu::Buffer>,
}

#[derive(Debug)]
struct Dispatch {
    pipeline: Arc<Pipeline>,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl MapPlan {
    /// Makes a plan.
    ///
    /// Cost: the first plan of a kind compiles a shader (milliseconds to a second, by the driver); every plan uploads 16
    /// bytes a row (one aligned slot a row for one timestep per batch). See [`PlanError`] for what is rejected.
    pub fn new(context: &Context, map: &Map<'_>) -> Result<Self, PlanError> {
        Builder { context, map }.build()
    }

    /// Records the map into the caller's pass: one dispatch, or one for each window of buffers that are larger than the
    /// device binds at once. Sets the pipeline and bind group 0. No heap allocation, no upload, no submit.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, at: At) -> Result<(), RecordError> {
        let (offsets, count) = self.offsets(at)?;
        for dispatch in &self.dispatches {
            let [x, y, z] = dispatch.workgroups;
            pass.set_pipeline(&dispatch.pipeline.pipeline);
            pass.set_bind_group(0, &dispatch.group, &offsets[..count]);
            pass.dispatch_workgroups(x, y, z);
        }
        Ok(())
    }

    /// Records the map into a compute pass of its own.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, at: At) -> Result<(), RecordError> {
        self.offsets(at)?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("tweedie::Map::pass"),
            timestamp_writes: None,
        });
        self.record(&mut pass, at)
    }

    /// Dispatches of one recording.
    pub fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// Gives a noise step another key, through the caller's queue: it holds for whatever is submitted after this call.
    /// For loops longer than the plan's steps. Recording itself never writes.
    pub fn set_key(&self, queue: &wgpu::Queue, step: u32, key: NoiseKey) -> Result<(), RecordError> {
        if !self.draws {
            return Err(RecordError::NoNoise);
        }
        self.check_step(step)?;
        let offset = u64::from(step) * u64::from(self.key_stride);
        queue.write_buffer(&self.keys, offset, bytemuck::bytes_of(&key.words()));
        Ok(())
    }

    /// The key of a noise step as the plan was made.
    pub fn key(&self, step: u32) -> NoiseKey {
        self.first_key.stream(self.first_key.stream.wrapping_add(step))
    }

    /// For timesteps from a buffer: a buffer whose first `u32` counts the samples whose timestep was out of range or at a
    /// hole, over all recordings since it was last cleared. It may be copied from and cleared by the caller's encoder.
    pub fn status(&self) -> Option<&wgpu::Buffer> {
        self.status.as_ref()
    }

    fn check_step(&self, found: u32) -> Result<(), RecordError> {
        if found < self.steps { Ok(()) } else { Err(RecordError::Step { steps: self.steps, found }) }
    }

    fn offsets(&self, at: At) -> Result<([u32; 2], usize), RecordError> {
        self.check_step(at.step)?;
        let key = at.step * self.key_stride;
        match (self.per_sample, at.timestep) {
            (true, None) => Ok(([key, 0], 1)),
            (true, Some(found)) => Err(RecordError::TimestepUnused { found }),
            (false, None) => Err(RecordError::TimestepMissing { rows: self.rows }),
            (false, Some(found)) if found >= self.rows => Err(RecordError::Timestep { rows: self.rows, found }),
            (false, Some(found)) if self.holes[found as usize] => Err(RecordError::Hole { found }),
            (false, Some(found)) => Ok(([key, found * self.row_stride], 2)),
        }
    }
}

/// The uniform block `Params` of `shaders/map.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Params {
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
    unused: [u32; 2],
}

const LANE: u64 = 4;
const WORKGROUP: u32 = 256;
const MAX_GROUPS: u32 = 65_535;
/// Keeps every index of a window, in elements of 2 bytes with their gaps, inside a u32.
const INDEXABLE: u64 = 1 << 31;

struct Builder<'a> {
    context: &'a Context,
    map: &'a Map<'a>,
}

/// The table or row buffer of a plan.
struct RowBuffer {
    rows: Rows,
    buffer: wgpu::Buffer,
    stride: u32,
    bound: u64,
}

impl<'a> Builder<'a> {
    fn build(&self) -> Result<MapPlan, PlanError> {
        let map = self.map;
        self.check()?;
        let rounded = map.table.rounded()?;
        let holes = rounded.iter().map(Option::is_none).collect();
        let rows = self.upload_rows(&rounded)?;
        let (keys, key_stride, drawn) = self.upload_keys()?;
        let per_sample = matches!(map.timesteps, Timesteps::PerSample { .. });
        let status = per_sample.then(|| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            self.context.buffer_with("tweedie::Map::status", usage, &[0; 16])
        });
        let mut dispatches = Vec::new();
        for outputs in self.passes()? {
            self.dispatches(&outputs, &rows, &keys, status.as_ref(), &mut dispatches)?;
        }
        Ok(MapPlan {
            dispatches,
            keys,
            key_stride,
            first_key: drawn.key,
            steps: drawn.steps,
            draws: matches!(map.in1, Second::Drawn(_)),
            row_stride: rows.stride,
            rows: rounded.len() as u32,
            holes,
            per_sample,
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
            None => (Rows::Storage, BufferUsages::STORAGE),
        };
        let bound = bytes.len() as u64;
        check("table", "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, bound)?;
        let buffer = self.context.buffer_with("tweedie::Map::table", usage, &bytes);
        Ok(RowBuffer { rows, buffer, stride: 0, bound })
    }

    fn upload_keys(&self) -> Result<(wgpu::Buffer, u32, Drawn<'a>), PlanError> {
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
        Ok((self.context.buffer_with("tweedie::Map::keys", usage, &bytes), stride, drawn))
    }

    /// The outputs of each pass over the data: all at once, unless two 16-bit outputs begin in different halves of a
    /// word, so that no walk owns the words of both. An output that replaces an input then goes last.
    fn passes(&self) -> Result<Vec<Vec<Role>>, PlanError> {
        let all: Vec<Role> = self.tensors().map(|(role, _)| role).filter(|role| role.is_output()).collect();
        if self.walk(&all) == Walk::Lanes || self.leader(&all).is_some() {
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

    fn walk(&self, outputs: &[Role]) -> Walk {
        let shape = self.map.shape;
        let aligned = |tensor: Tensor<'_>| {
            tensor.offset % (LANE * tensor.storage.bytes()) == 0 && tensor.stride_in(shape) % LANE == 0
        };
        let takes_part = |role: &Role| !role.is_output() || outputs.contains(role);
        let whole = u64::from(shape.elements) % LANE == 0;
        if whole && self.tensors().filter(|(role, _)| takes_part(role)).all(|(_, tensor)| aligned(tensor)) {
            Walk::Lanes
        } else {
            Walk::Words
        }
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
        rows: &RowBuffer,
        keys: &wgpu::Buffer,
        status: Option<&wgpu::Buffer>,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<(), PlanError> {
        let walk = self.walk(outputs);
        let source = self.source(walk, outputs, rows.rows);
        self.check_bindings(&source)?;
        let limits = self.context.limits();
        let slack = u64::from(limits.min_storage_buffer_offset_alignment);
        let limit = limits.max_storage_buffer_binding_size.min(INDEXABLE);
        let mut extents: Vec<Extent> = self
            .tensors()
            .map(|(_, tensor)| Extent { bytes: tensor.storage.bytes(), stride: tensor.stride_in(self.map.shape) })
            .collect();
        extents.extend(self.timesteps().map(|_| Extent { bytes: 4, stride: 1 }));
        let parts = windows(self.map.shape, &extents, limit, slack, WORKGROUP * LANE as u32);
        let step = u64::from(limits.min_uniform_buffer_offset_alignment).max(96);
        let mut params = Vec::with_capacity(parts.len() * step as usize);
        let plans: Vec<_> = parts.iter().map(|window| self.place(&source, outputs, window)).collect();
        for (block, ..) in &plans {
            params.extend_from_slice(bytemuck::bytes_of(block));
            params.resize((params.len() as u64).next_multiple_of(step) as usize, 0);
        }
        let params = self.context.buffer_with("tweedie::Map::params", BufferUsages::UNIFORM, &params);
        for (index, (window, (_, tile, workgroups))) in parts.iter().zip(plans).enumerate() {
            let pipeline = self.context.pipeline(PipelineKey { source, tile });
            let uniform = |buffer, offset, size| {
                wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer,
                    offset,
                    size: std::num::NonZero::new(size),
                })
            };
            let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
            let mut entries = vec![
                entry(0, uniform(&params, index as u64 * step, 96)),
                entry(1, uniform(keys, 0, 32)),
                entry(2, uniform(&rows.buffer, 0, rows.bound)),
            ];
            if let (Some(timesteps), Some(status)) = (self.timesteps(), status) {
                let (start, size, _) = self.bound(&timesteps, window, true);
                entries.push(entry(TIMESTEPS_BINDING, uniform(timesteps.buffer, start, size)));
                entries.push(entry(STATUS_BINDING, uniform(status, 0, 16)));
            }
            for (role, tensor) in self.tensors() {
                if matches!(source.operand(role), Operand::Bound { .. }) {
                    let (start, size, _) = self.bound(&tensor, window, false);
                    entries.push(entry(role.binding(), uniform(tensor.buffer, start, size)));
                }
            }
            let group = self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("tweedie::Map::group"),
                layout: &pipeline.layout,
                entries: &entries,
            });
            dispatches.push(Dispatch { pipeline, group, workgroups });
        }
        Ok(())
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
        let allowed = u64::from(self.context.limits().max_storage_buffers_per_shader_stage);
        if found <= allowed {
            return Ok(());
        }
        let limit = "max_storage_buffers_per_shader_stage";
        Err(PlanError::DeviceLimit { what: "tensors of one map", limit, allowed, found })
    }

    /// The byte offset and size to bind for a window, and the first element within what is bound.
    fn bound(&self, tensor: &Tensor<'_>, window: &Window, timesteps: bool) -> (u64, u64, u32) {
        let bytes = tensor.storage.bytes();
        let (stride, first_element, elements) = if timesteps {
            (1, 0, 1)
        } else {
            (tensor.stride_in(self.map.shape), window.first_element, window.elements)
        };
        let alignment = u64::from(self.context.limits().min_storage_buffer_offset_alignment).max(LANE * 4);
        let start = tensor.offset + (u64::from(window.first_sample) * stride + u64::from(first_element)) * bytes;
        let end = start + (u64::from(window.samples - 1) * stride + u64::from(elements)) * bytes;
        let aligned = start / alignment * alignment;
        (aligned, end.next_multiple_of(4) - aligned, ((start - aligned) / bytes) as u32)
    }

    /// The parameters, tile and workgroups of a window.
    fn place(&self, source: &MapSource, outputs: &[Role], window: &Window) -> (Params, Tile, [u32; 3]) {
        let unit = match source.walk {
            Walk::Lanes => LANE as u32,
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
            unused: [0; 2],
        };
        match source.walk {
            Walk::Lanes => {
                let tile = tile_for(window.elements / LANE as u32);
                let across = (window.elements / LANE as u32).div_ceil(tile.lanes * tile.lanes_each);
                let rows = window.samples.div_ceil(tile.samples);
                params.groups = rows.min(MAX_GROUPS);
                (params, tile, [across, params.groups, rows.div_ceil(params.groups)])
            }
            Walk::Words => {
                self.lay_out_words(outputs, window, &mut params);
                let groups = (params.slots / 4).div_ceil(WORKGROUP);
                params.groups = groups.min(MAX_GROUPS);
                let tile = Tile { lanes: WORKGROUP, samples: 1, lanes_each: 1 };
                (params, tile, [params.groups, groups.div_ceil(params.groups), 1])
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
    if tensor.offset % bytes != 0 {
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

/// One row applied to two numbers in f64: the twin of the kernels' innermost line.
///
/// Each result carries the sum of the magnitudes of its terms, which its error bound scales with (see
/// [`compare`](super::compare)).
pub fn apply(m: &Matrix, in0: f64, in1: f64) -> [Exact; 2] {
    m.map(|[c0, c1]| Exact { value: c0 * in0 + c1 * in1, magnitude: (c0 * in0).abs() + (c1 * in1).abs() })
}

/// What a map must give, in f64: `[out0, out1]`, sample after sample without gaps.
///
/// `timesteps` holds one row index per sample; `in0` and `in1` hold the batch without gaps. A sample whose timestep is
/// out of range or a hole is NaN, as on the GPU. Shorter inputs end the result early.
pub fn reference(table: &Table, timesteps: &[u32], elements: usize, in0: &[f64], in1: &[f64]) -> [Vec<Exact>; 2] {
    let undefined = [Exact { value: f64::NAN, magnitude: f64::NAN }; 2];
    let samples = in0.chunks(elements.max(1)).zip(in1.chunks(elements.max(1))).zip(timesteps);
    samples
        .flat_map(|((in0, in1), &t)| {
            let row = table.row(t as usize);
            in0.iter().zip(in1).map(move |(&a, &b)| row.map_or(undefined, |m| apply(m, a, b)))
        })
        .map(|[first, second]| (first, second))
        .unzip::<_, _, Vec<_>, Vec<_>>()
        .into()
}

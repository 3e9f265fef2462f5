//! How the tensors of a kernel are walked, and what it has to know for that.
//!
//! A pass covers all outputs at once where it can. It walks in lanes of four elements by tiles of a workgroup where every
//! sample consists of whole lanes, in lanes of the whole batch where samples follow each other without a gap, and word by
//! word otherwise. A pass that reduces samples walks over chunks of them, or over pairs of the shortest. Buffers beyond the
//! device's binding limit are covered window by window.

use crate::gpu::context::Tile;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::Builder;
use crate::gpu::plan::narrow::most_samples;
use crate::gpu::plan::reduce::team_of;
use crate::gpu::plan::window::{Extent, Window, windows};
use crate::gpu::shader::op::SLOTS;
use crate::gpu::shader::params::{CHUNK, GRAIN, LANE, MAX_GROUPS, Params, WORKGROUP};
use crate::gpu::shader::variant::{Variant, Walk};
use crate::gpu::{Storage, Tensor};

/// What a window binds of a tensor: a sample's elements, or its timestep.
#[derive(Clone, Copy)]
pub(crate) enum Span {
    Slot(usize),
    Timestep,
}

/// The largest window in bytes: 65,535 workgroups along a sample are 511 MiB of 16-bit elements, and every index, gaps
/// included, stays inside a u32.
const LARGEST_WINDOW: u64 = 500 << 20;

impl Builder<'_> {
    /// The outputs of each pass over the data: all at once, unless two 16-bit outputs begin in different halves of a
    /// word, so that no walk owns the words of both. An output that replaces an input then goes last.
    pub(crate) fn passes(&self) -> Result<Vec<Vec<usize>>, PlanError> {
        let all = self.outputs();
        if self.leader(&all).is_some() || self.aligned(&all) {
            return Ok(vec![all]);
        }
        let (mut last, mut passes): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|&role| self.replaced_by(role).is_some());
        if let [first, second, ..] = last[..] {
            return Err(PlanError::Halves { first: self.job.name(first), second: self.job.name(second) });
        }
        passes.append(&mut last);
        Ok(passes.into_iter().map(|role| vec![role]).collect())
    }

    /// The input that this output replaces.
    fn replaced_by(&self, output: usize) -> Option<usize> {
        let job = self.job;
        let target = job.tensors[output]?;
        let mut inputs = job.tensors().filter(|(slot, _)| job.op.slots()[*slot].is_input());
        inputs.find(|(_, tensor)| tensor.same(&target, job.shape)).map(|(slot, _)| slot)
    }

    /// The tensors that a pass with these outputs reads or writes.
    fn parts(&self, outputs: &[usize]) -> impl Iterator<Item = Tensor<'_>> {
        let job = self.job;
        let takes_part = move |slot: usize| !job.is_output(slot) || outputs.contains(&slot);
        job.tensors().filter(move |(slot, _)| takes_part(*slot)).map(|(_, tensor)| tensor)
    }

    /// Whether every tensor of a pass consists of whole lanes within each sample.
    fn aligned(&self, outputs: &[usize]) -> bool {
        let shape = self.job.shape;
        let aligned = |tensor: Tensor<'_>| starts_lane(&tensor) && tensor.stride_in(shape).is_multiple_of(LANE);
        u64::from(shape.elements).is_multiple_of(LANE) && self.parts(outputs).all(aligned)
    }

    /// Whether every tensor of a pass is one run of whole lanes, and its part in each window is.
    fn flat(&self, outputs: &[usize], windows: &[Window]) -> bool {
        let shape = self.job.shape;
        let gapless = |tensor: Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
        let whole = |window: &Window| {
            let first = u64::from(window.first_sample) * u64::from(shape.elements);
            first.is_multiple_of(LANE) && window.elements == shape.elements
        };
        shape.elements >= 2
            && shape.total().is_multiple_of(LANE)
            && windows.iter().all(whole)
            && self.job.depth() <= 1
            && self.job.health.is_none()
            && self.parts(outputs).all(|tensor| starts_lane(&tensor) && gapless(tensor))
    }

    /// How a pass walks over its windows.
    pub(crate) fn walk(&self, outputs: &[usize], windows: &[Window]) -> Walk {
        if self.aligned(outputs) {
            Walk::Lanes
        } else if self.flat(outputs, windows) {
            Walk::Flat
        } else {
            Walk::Words
        }
    }

    /// How all outputs are walked at once, as far as can be told before the last tensor is there.
    pub(crate) fn walk_of_all(&self) -> Walk {
        self.walk(&self.outputs(), &self.windows(GRAIN))
    }

    /// How samples, or the chunks of them, are walked in these windows.
    pub(crate) fn reducing_walk(&self, windows: &[Window]) -> Walk {
        let (job, outputs) = (self.job, self.outputs());
        if job.op.sums() && job.shape.elements == 2 && self.flat(&outputs, windows) {
            Walk::Pairs
        } else if self.aligned(&outputs) {
            Walk::Chunks
        } else {
            Walk::LooseChunks
        }
    }

    pub(crate) fn outputs(&self) -> Vec<usize> {
        let job = self.job;
        job.tensors().map(|(slot, _)| slot).filter(|&slot| job.is_output(slot)).collect()
    }

    pub(crate) fn windows(&self, grain: u32) -> Vec<Window> {
        let limits = self.context.limits();
        let limit = limits.max_storage_buffer_binding_size.min(LARGEST_WINDOW);
        let job = self.job;
        let shape = job.shape;
        let extent = |(slot, tensor): (usize, Tensor<'_>)| {
            let (bytes, stride) = (tensor.storage.bytes(), tensor.stride_in(shape));
            Extent { bytes, stride, span: job.span(slot) }
        };
        let mut extents: Vec<Extent> = job.tensors().map(extent).collect();
        extents.extend(job.timesteps().map(|_| Extent { bytes: 4, stride: 1, span: 1 }));
        let most = if self.narrow { most_samples(job) } else { u32::MAX };
        let windows = windows(shape, &extents, limit, self.alignment(), grain);
        windows.into_iter().flat_map(|window| window.split(most)).collect()
    }

    /// What the start of a binding is a multiple of, in bytes: what the device wants, and whole lanes.
    fn alignment(&self) -> u64 {
        u64::from(self.context.limits().min_storage_buffer_offset_alignment).max(LANE * 4)
    }

    /// The output whose words decide the pairs of `walk_words`; none if two outputs disagree about them.
    fn leader(&self, outputs: &[usize]) -> Option<usize> {
        let job = self.job;
        let shape = job.shape;
        let halves = |slot: usize| {
            let tensor = job.tensors[slot]?;
            let stride = if shape.batch == 1 { 0 } else { tensor.stride_in(shape) % 2 };
            (tensor.storage != Storage::F32).then_some((tensor.offset / 2 % 2, stride))
        };
        let contiguous = |slot: &usize| {
            job.tensors[*slot].is_some_and(|tensor| tensor.stride_in(shape) == u64::from(shape.elements))
        };
        let packed: Vec<usize> = outputs.iter().copied().filter(|&slot| halves(slot).is_some()).collect();
        if packed.windows(2).any(|pair| halves(pair[0]) != halves(pair[1])) {
            return None;
        }
        let first = packed.first().or(outputs.first()).copied();
        packed.into_iter().find(|slot| contiguous(slot)).or(first)
    }

    /// The byte offset and size to bind for a window, and the first element within what is bound.
    pub(crate) fn bound(&self, tensor: &Tensor<'_>, window: &Window, span: Span) -> (u64, u64, u32) {
        let shape = self.job.shape;
        let bytes = tensor.storage.bytes();
        let (stride, first_element, elements) = match span {
            Span::Timestep => (u64::from(tensor.stride.unwrap_or(1)), 0, 1),
            Span::Slot(slot) if self.job.span(slot) != u64::from(shape.elements) => {
                (tensor.stride_in(shape), 0, self.job.span(slot))
            }
            Span::Slot(_) => (tensor.stride_in(shape), window.first_element, u64::from(window.elements)),
        };
        let alignment = self.alignment();
        let start = tensor.offset + (u64::from(window.first_sample) * stride + u64::from(first_element)) * bytes;
        let end = start + (u64::from(window.samples - 1) * stride + elements) * bytes;
        let aligned = start / alignment * alignment;
        (aligned, end.next_multiple_of(4) - aligned, ((start - aligned) / bytes) as u32)
    }

    /// The parameters, tile and workgroups of a window.
    pub(crate) fn place(&self, variant: &Variant, window: &Window) -> (Params, Tile, [u32; 3]) {
        let job = self.job;
        let unit = variant.walk.unit();
        let mut tensors = [[0; 2]; SLOTS];
        for (slot, tensor) in job.tensors() {
            let (_, _, first) = self.bound(&tensor, window, Span::Slot(slot));
            tensors[slot] = [first / unit, tensor.stride_in(job.shape) as u32 / unit];
        }
        let timesteps = job.timesteps();
        let mut params = Params {
            batch: window.samples,
            elements: window.elements,
            first_sample: window.first_sample,
            first_element: window.first_element,
            rows: job.rows.len() as u32,
            timesteps: timesteps.map_or(0, |timesteps| self.bound(&timesteps, window, Span::Timestep).2),
            timestep_stride: timesteps.map_or(0, |timesteps| timesteps.stride.unwrap_or(1)),
            nan: f32::NAN.to_bits(),
            contiguous: 0,
            span: 4,
            slots: 0,
            groups: 0,
            parity: 0,
            reports: 0,
            pitch: job.shape.elements / unit,
            range: job.range,
            team: 0,
            digit: job.digit,
            sums: job.scratch.map_or(0, |scratch| scratch.first_of(window, self.context)),
            factor: job.scratch.and_then(|scratch| scratch.results).unwrap_or(1.0),
            tensors,
        };
        match variant.walk {
            Walk::Chunks | Walk::LooseChunks => {
                params.team = team_of(job.op, job.shape.elements);
                let teams = window.samples.div_ceil(WORKGROUP / params.team);
                params.groups = teams.min(MAX_GROUPS);
                params.span = job.shape.elements.div_ceil(CHUNK);
                let across = window.elements.div_ceil(CHUNK);
                (params, LINE, [across, params.groups, teams.div_ceil(params.groups)])
            }
            Walk::Lanes => {
                let tile = tile_for(window.elements / LANE as u32);
                let across = (window.elements / LANE as u32).div_ceil(tile.lanes * tile.lanes_each);
                let rows = window.samples.div_ceil(tile.samples);
                params.groups = rows.min(MAX_GROUPS);
                (params, tile, [across, params.groups, rows.div_ceil(params.groups)])
            }
            Walk::Flat | Walk::Pairs => {
                params.slots = window.samples * window.elements;
                let workgroups = line(&mut params);
                (params, LINE, workgroups)
            }
            Walk::Words => {
                self.lay_out_words(&variant.outputs(), window, &mut params);
                let workgroups = line(&mut params);
                (params, LINE, workgroups)
            }
        }
    }

    fn lay_out_words(&self, outputs: &[usize], window: &Window, params: &mut Params) {
        let leader = self.leader(outputs).unwrap_or(outputs[0]);
        let [first, stride] = params.tensors[leader];
        let packed = u32::from(self.job.tensors[leader].is_some_and(|tensor| tensor.storage != Storage::F32));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_a_whole_workgroup_however_short_the_samples() {
        for lanes in [1, 2, 3, 16, 255, 256, 257, 1024, 1 << 20] {
            let tile = tile_for(lanes);
            assert_eq!(tile.lanes * tile.samples, WORKGROUP, "{lanes} lanes: {tile:?}");
            assert!(tile.lanes >= lanes.min(WORKGROUP), "{lanes} lanes: {tile:?}");
        }
    }
}

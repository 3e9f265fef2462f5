//! How the tensors of a kernel are walked, and what it has to know for that.
//!
//! A pass covers all outputs at once where it can. It walks in lanes of four elements by tiles of a workgroup where every
//! sample consists of whole lanes, in lanes of the whole batch where samples follow each other without a gap, and word by
//! word otherwise. A pass that reduces samples walks over chunks of them, or over pairs of the shortest. Buffers beyond the
//! device's binding limit are covered window by window.

use crate::gpu::Tensor;
use crate::gpu::context::Tile;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::Builder;
use crate::gpu::plan::narrow::most_samples;
use crate::gpu::plan::reduce::team_of;
use crate::gpu::plan::window::{Extent, Window, windows};
use crate::gpu::shader::op::SLOTS;
use crate::gpu::shader::params::{
    CHUNK, ChunksParams, FlatParams, GRAIN, LANE, LanesParams, MAX_GROUPS, PairsParams, Params, WORKGROUP, WalkParams,
    WindowParams, WordsParams,
};
use crate::gpu::shader::variant::{Variant, Walk};

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
            Walk::UnalignedChunks
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

    /// The output whose words decide what `shaders/walk/words.wgsl` writes together; none if two outputs disagree about them.
    fn leader(&self, outputs: &[usize]) -> Option<usize> {
        let job = self.job;
        let shape = job.shape;
        // Where the first element lies in its word, and by how much the next sample's lies further.
        let lead = |slot: usize| {
            let tensor = job.tensors[slot]?;
            let in_word = u64::from(tensor.storage.elements_per_word());
            let stride = if shape.batch == 1 { 0 } else { tensor.stride_in(shape) % in_word };
            (in_word > 1).then_some((in_word, tensor.offset / tensor.storage.bytes() % in_word, stride))
        };
        let contiguous = |slot: &usize| {
            job.tensors[*slot].is_some_and(|tensor| tensor.stride_in(shape) == u64::from(shape.elements))
        };
        let packed: Vec<usize> = outputs.iter().copied().filter(|&slot| lead(slot).is_some()).collect();
        if packed.windows(2).any(|pair| lead(pair[0]) != lead(pair[1])) {
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
        let (walk, tile, workgroups) = self.lay_out(variant, window, &tensors);
        let timesteps = job.timesteps();
        let window = WindowParams {
            batch: window.samples,
            elements: window.elements,
            first_sample: window.first_sample,
            first_element: window.first_element,
            rows: job.rows.len() as u32,
            timestep_offset: timesteps.map_or(0, |timesteps| self.bound(&timesteps, window, Span::Timestep).2),
            timestep_stride: timesteps.map_or(0, |timesteps| timesteps.stride.unwrap_or(1)),
            nan_bits: f32::NAN.to_bits(),
            reports: 0,
            pitch: job.shape.elements / unit,
            limit: job.limit,
            delta: job.delta,
        };
        (Params { window, walk, tensors }, tile, workgroups)
    }

    /// The parameters of the walk itself.
    fn lay_out(&self, variant: &Variant, window: &Window, tensors: &[[u32; 2]; SLOTS]) -> (WalkParams, Tile, [u32; 3]) {
        let job = self.job;
        let first_sum = job.scratch.map_or(0, |scratch| scratch.first_of(window, self.context));
        let factor = job.scratch.and_then(|scratch| scratch.results).unwrap_or(1.0);
        match variant.walk {
            Walk::Chunks | Walk::UnalignedChunks => {
                let team = team_of(job.op, job.shape.elements);
                let teams = window.samples.div_ceil(WORKGROUP / team);
                let groups_y = teams.min(MAX_GROUPS);
                let chunks = job.shape.elements.div_ceil(CHUNK);
                let across = window.elements.div_ceil(CHUNK);
                let walk = ChunksParams { groups_y, chunks, team, digit_shift: job.digit, first_sum, factor };
                (walk.into(), LINE, [across, groups_y, teams.div_ceil(groups_y)])
            }
            Walk::Lanes => {
                let tile = tile_for(window.elements / LANE as u32);
                let across = (window.elements / LANE as u32).div_ceil(tile.lanes * tile.lanes_each);
                let rows = window.samples.div_ceil(tile.samples);
                let groups_y = rows.min(MAX_GROUPS);
                (LanesParams { groups_y }.into(), tile, [across, groups_y, rows.div_ceil(groups_y)])
            }
            Walk::Flat => {
                let total = window.samples * window.elements;
                let workgroups = line(total);
                (FlatParams { groups_x: workgroups[0], total }.into(), LINE, workgroups)
            }
            Walk::Pairs => {
                let workgroups = line(window.samples * window.elements);
                (PairsParams { groups_x: workgroups[0], first_sum, factor }.into(), LINE, workgroups)
            }
            Walk::Words => {
                let walk = self.lay_out_words(&variant.outputs(), window, tensors);
                let workgroups = line(walk.slots);
                (WordsParams { groups_x: workgroups[0], ..walk }.into(), LINE, workgroups)
            }
        }
    }

    fn lay_out_words(&self, outputs: &[usize], window: &Window, tensors: &[[u32; 2]; SLOTS]) -> WordsParams {
        let leader = self.leader(outputs).unwrap_or(outputs[0]);
        let [first, stride] = tensors[leader];
        let word_mask = self.job.tensors[leader].map_or(1, |tensor| tensor.storage.elements_per_word()) - 1;
        let (lead, lead_step) = (first & word_mask, stride & word_mask);
        // Where no words are shared, the gaps of the leader need no slots either.
        if word_mask == 0 || window.samples == 1 || stride == window.elements {
            let slots = (window.samples * window.elements + lead).next_multiple_of(4);
            return WordsParams { slots, run: slots, contiguous: 1, lead, lead_step, word_mask, groups_x: 0 };
        }
        // A run has room for the longest lead, so that each begins at a whole word.
        let run = (window.elements + word_mask).next_multiple_of(4);
        let slots = window.samples * run;
        WordsParams { slots, run, contiguous: 0, lead, lead_step, word_mask, groups_x: 0 }
    }
}

/// A workgroup along a line, for walks that do not know samples.
const LINE: Tile = Tile { lanes: WORKGROUP, samples: 1, lanes_each: 1 };

/// The workgroups of a line of `slots`, four to an invocation.
fn line(slots: u32) -> [u32; 3] {
    let groups = (slots / 4).div_ceil(WORKGROUP);
    let groups_x = groups.min(MAX_GROUPS);
    [groups_x, groups.div_ceil(groups_x), 1]
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

//! The layout of a job: windows, bindings, tiles and the parameters of each dispatch.
//!
//! Buffers beyond the device's binding limit are covered window by window.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::pipeline::Tile;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::walk::{leader, streaming_walk};
use crate::gpu::plan::window::{Extent, Window, windows};
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{
    ALIGNMENT, CHUNK, ChunksParams, FlatParams, GRAIN, LANE, LanesParams, MAX_GROUPS, PairsParams, Params, VECTORS,
    WORKGROUP, WalkParams, WindowParams, WordsParams,
};
use crate::gpu::shader::slots::SLOTS;
use crate::gpu::shader::variant::{Variant, Walk};
use crate::gpu::tensor::Tensor;

/// Bytes of a `vec4` of coefficients.
const VECTOR: u64 = 16;

/// Workgroups of a dispatch that keep the largest cards busy. Where there would be fewer, invocations take one lane each, which
/// makes more workgroups.
const BUSY: u64 = 1000;

/// Bytes of the factor and the threshold of a sample.
const SCALES: u64 = 8;

/// The placement of a job's tensors for one device.
pub(crate) struct Layout<'a> {
    pub context: &'a Context,
    pub job: &'a Job<'a>,
    /// `true` in the four-buffer form.
    pub four_buffers: bool,
}

/// The part of a buffer that a dispatch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BindingRange {
    /// The first byte.
    pub start: u64,
    /// The size in bytes.
    pub size: u64,
    /// The index of the window's first element in the binding.
    pub first_element: u32,
}

impl Layout<'_> {
    /// The windows of the job. Their borders within a sample are multiples of `grain` elements.
    pub fn windows(&self, grain: u32) -> Vec<Window> {
        let limit = self.context.largest_window();
        let job = self.job;
        let shape = job.shape;
        let extent = |(slot, tensor): (usize, Tensor<'_>)| {
            let (bytes, stride) = (tensor.storage.bytes(), tensor.stride_in(shape));
            Extent { bytes, stride, span: job.elements_of(slot) }
        };
        let mut extents: Vec<Extent> = job.tensors().map(extent).collect();
        // Timesteps per group are bound as a whole.
        let own = job.timesteps().filter(|_| job.runs.is_none());
        extents.extend(own.map(|_| Extent { bytes: 4, stride: 1, span: 1 }));
        // In the four-buffer form a window has no more samples than a uniform binding has rows.
        let most = if self.four_buffers { most_samples(job) } else { u32::MAX };
        let windows = windows(shape, &extents, limit, self.alignment(), grain);
        windows.into_iter().flat_map(|window| window.split(most)).collect()
    }

    /// The walk of a pass that writes all outputs, as far as it follows from the tensors that the job has so far.
    pub fn walk_of_all(&self) -> Walk {
        streaming_walk(self.job, &self.job.outputs(), &self.windows(GRAIN))
    }

    /// The alignment of the start of a tensor's binding in bytes.
    fn alignment(&self) -> u64 {
        binding_alignment(self.context)
    }

    /// The part of a tensor's buffer that a window binds.
    pub fn binding_range(&self, slot: usize, tensor: &Tensor<'_>, window: &Window) -> BindingRange {
        let (bytes, stride) = (tensor.storage.bytes(), tensor.stride_in(self.job.shape));
        let all = self.job.elements_of(slot);
        // A binding covers all slices or remembered samples, since a window within a sample would need a part of each. The
        // first element of the window then lies behind the beginning of the binding.
        let is_whole = all != u64::from(self.job.shape.elements);
        let first = u64::from(window.first_element);
        let (before, behind, elements) =
            if is_whole { (0, first, all) } else { (first, 0, u64::from(window.elements)) };
        let start = tensor.offset + (u64::from(window.first_sample) * stride + before) * bytes;
        let end = start + (u64::from(window.samples - 1) * stride + elements) * bytes;
        // A binding begins at an aligned byte, up to an alignment before that.
        let aligned = start / self.alignment() * self.alignment();
        let first_element = ((start - aligned) / bytes + behind) as u32;
        BindingRange { start: aligned, size: end.next_multiple_of(4) - aligned, first_element }
    }

    /// Checks that the device can bind a window: even the shortest is too long for a device that binds very little.
    pub fn check_window(&self, variant: &Variant, window: &Window) -> Result<(), PlanError> {
        let allowed = self.context.limits().max_storage_buffer_binding_size;
        let mut tensors = self.job.tensors().filter(|(slot, _)| variant.operand(*slot).has_binding());
        tensors.try_for_each(|(slot, tensor)| {
            let size = self.binding_range(slot, &tensor, window).size;
            check_limit(self.job.name(slot), "max_storage_buffer_binding_size", allowed, size)
        })
    }

    /// The parameters, tile and workgroups of a window's dispatch.
    pub fn dispatch(&self, variant: &Variant, window: &Window) -> (Params, Tile, [u32; 3]) {
        let unit = variant.walk.unit();
        let mut tensors = [[0; 2]; SLOTS];
        for (slot, tensor) in self.job.tensors() {
            let first = self.binding_range(slot, &tensor, window).first_element;
            // Offsets and strides are counted in lanes where a walk loads whole lanes.
            tensors[slot] = [first / unit, tensor.stride_in(self.job.shape) as u32 / unit];
        }
        let (walk, tile, workgroups) = self.walk_params(variant, window, &tensors);
        (Params { window: self.window_params(unit, window), walk, tensors }, tile, workgroups)
    }

    fn window_params(&self, unit: u32, window: &Window) -> WindowParams {
        let job = self.job;
        let timesteps = job.timesteps();
        let [runs, groups] = job.runs_and_groups();
        let first_timestep = |words: WordRange<'_>| words.binding(self.context).1;
        WindowParams {
            batch: window.samples,
            elements: window.elements,
            first_sample: window.first_sample,
            first_element: window.first_element,
            rows: job.rows.len() as u32,
            timestep_offset: timesteps.map_or(0, |words| first_timestep(words.of_window(window))),
            timestep_stride: timesteps.map_or(0, |words| words.stride),
            runs,
            groups,
            run: job.shape.elements,
            unused: 0,
            nan_bits: f32::NAN.to_bits(),
            reports: 0,
            pitch: job.shape.elements / unit,
            limit: job.limit,
            delta: job.delta,
        }
    }

    /// The parameters of the walk itself, its tile and its workgroups.
    fn walk_params(
        &self,
        variant: &Variant,
        window: &Window,
        tensors: &[[u32; 2]; SLOTS],
    ) -> (WalkParams, Tile, [u32; 3]) {
        let job = self.job;
        let first_sum = job.partials.map_or(0, |partials| partials.first_of(window, self.context));
        let factor = job.partials.and_then(|partials| partials.direct).unwrap_or(1.0);
        match variant.walk {
            Walk::Chunks | Walk::UnalignedChunks => {
                // Where samples are short, several teams of invocations, one for each chunk, share a workgroup.
                let team = team_of(job.op, job.shape.elements);
                let teams = window.samples.div_ceil(WORKGROUP / team);
                let groups_y = teams.min(MAX_GROUPS);
                let line = Tile { is_whole: window.elements.is_multiple_of(CHUNK), ..Tile::LINE };
                let tile = if team == WORKGROUP { line } else { Tile::SHARED };
                let digit_shift = job.digit;
                let (all, unused) = (chunks(job.shape.elements), [0; 2]);
                let walk = ChunksParams { groups_y, chunks: all, team, digit_shift, first_sum, factor, unused };
                (walk.into(), tile, [chunks(window.elements), groups_y, teams.div_ceil(groups_y)])
            }
            Walk::Lanes => {
                let lanes = window.elements / LANE as u32;
                // A CPU has few cores, which larger workgroups keep busy.
                let busy = if self.context.native().wide { 0 } else { BUSY };
                let tile = tile_for(lanes, window.samples, busy);
                let rows = window.samples.div_ceil(tile.samples);
                let groups_y = rows.min(MAX_GROUPS);
                let across = lanes.div_ceil(tile.lanes * tile.lanes_each);
                // A dispatch has at most 65,535 workgroups along an axis, so rows beyond them go along z.
                (LanesParams { groups_y, unused: [0; 7] }.into(), tile, [across, groups_y, rows.div_ceil(groups_y)])
            }
            Walk::Flat => {
                let total = window.samples * window.elements;
                let workgroups = line(total);
                let tile = if window.elements == 2 { Tile::SHARED } else { Tile::LINE };
                (FlatParams { groups_x: workgroups[0], total, unused: [0; 6] }.into(), tile, workgroups)
            }
            Walk::Pairs => {
                let workgroups = line(window.samples * window.elements);
                (
                    PairsParams { groups_x: workgroups[0], first_sum, factor, unused: [0; 5] }.into(),
                    Tile::LINE,
                    workgroups,
                )
            }
            Walk::Words => {
                let walk = self.words_params(&variant.outputs(), window, tensors);
                let workgroups = line(walk.slots);
                (WordsParams { groups_x: workgroups[0], ..walk }.into(), Tile::LINE, workgroups)
            }
        }
    }

    /// Lays out the slots of the word walk: runs of elements that begin at a whole word of the leading output.
    fn words_params(&self, outputs: &[usize], window: &Window, tensors: &[[u32; 2]; SLOTS]) -> WordsParams {
        let leader = leader(self.job, outputs).unwrap_or(outputs[0]);
        let [first, stride] = tensors[leader];
        let word_mask = self.job.tensors[leader].map_or(1, |tensor| tensor.storage.elements_per_word()) - 1;
        // The elements of the first word that lie before the leader, and by how much their number grows from sample to sample.
        let (lead, lead_step) = (first & word_mask, stride & word_mask);
        let common = WordsParams { lead, lead_step, word_mask, ..WordsParams::default() };
        // Where no words are shared, the gaps of the leader need no slots either.
        if word_mask == 0 || window.samples == 1 || stride == window.elements {
            let slots = (window.samples * window.elements + lead).next_multiple_of(4);
            return WordsParams { slots, run: slots, contiguous: 1, ..common };
        }
        // A run has room for the longest lead, so that each begins at a whole word.
        let run = (window.elements + word_mask).next_multiple_of(4);
        let slots = window.samples * run;
        WordsParams { slots, run, ..common }
    }
}

/// The alignment of the start of a tensor's binding in bytes: the larger of the device's and that of a lane of f32.
pub(crate) fn binding_alignment(context: &Context) -> u64 {
    u64::from(context.limits().min_storage_buffer_offset_alignment).max(LANE * 4)
}

/// The number of chunks of a sample of this many elements.
pub(crate) fn chunks(elements: u32) -> u32 {
    elements.div_ceil(CHUNK)
}

/// The number of invocations that together sum up this many parts, where each invocation takes `each` parts: a power of two.
pub(crate) fn team(parts: u32, each: u32) -> u32 {
    parts.div_ceil(each).max(1).next_power_of_two().min(WORKGROUP)
}

/// The number of invocations that share a chunk: fewer than a workgroup where samples are short, unless they count digits,
/// for which a workgroup has one set of bins.
fn team_of(op: Op, elements: u32) -> u32 {
    if matches!(op, Op::Histogram { .. }) { WORKGROUP } else { team(elements, CHUNK / WORKGROUP) }
}

/// The workgroups for a line of slots, four to an invocation.
fn line(slots: u32) -> [u32; 3] {
    let groups = (slots / 4).div_ceil(WORKGROUP);
    let groups_x = groups.min(MAX_GROUPS);
    [groups_x, groups.div_ceil(groups_x), 1]
}

/// The tile for this many samples of this many lanes. A workgroup is filled with several short samples. Invocations take four
/// lanes each of long samples, if that leaves at least `busy` workgroups.
fn tile_for(lanes: u32, samples: u32, busy: u64) -> Tile {
    let across = lanes.next_power_of_two().min(WORKGROUP);
    let large = lanes >= 4 * WORKGROUP && u64::from(lanes / (4 * WORKGROUP)) * u64::from(samples) >= busy;
    let is_whole = large && lanes.is_multiple_of(4 * WORKGROUP);
    Tile { lanes: across, samples: WORKGROUP / across, lanes_each: if large { 4 } else { 1 }, is_whole }
}

/// The bytes of a row of coefficients.
pub(crate) fn row_bytes(job: &Job<'_>) -> u64 {
    u64::from(job.op.width()) * VECTOR
}

/// The most samples of a window in the four-buffer form, whose rows and scales lie in uniform bindings.
fn most_samples(job: &Job<'_>) -> u32 {
    // The binding of a window begins at an aligned byte, up to an alignment before its first sample.
    let room = |each: u64| ((u64::from(VECTORS) * VECTOR - ALIGNMENT) / each) as u32;
    let has_own_rows = job.timesteps().is_some_and(|timesteps| !timesteps.are_shared());
    let rows = if has_own_rows { room(row_bytes(job)) } else { u32::MAX };
    if job.op.scales_are_pairs() { rows.min(room(SCALES)) } else { rows }
}

/// The rows of a window in the buffer of the four-buffer form: the first byte and the bytes of a uniform binding.
pub(crate) fn row_range(job: &Job<'_>, window: &Window) -> (u64, u64) {
    let has_own_rows = job.timesteps().is_some_and(|timesteps| !timesteps.are_shared());
    uniform_range(window, if has_own_rows { row_bytes(job) } else { 0 })
}

/// The scales of a window in their buffer: the first byte and the bytes of a uniform binding.
pub(crate) fn scale_range(window: &Window) -> (u64, u64) {
    uniform_range(window, SCALES)
}

fn uniform_range(window: &Window, bytes_each: u64) -> (u64, u64) {
    let start = u64::from(window.first_sample) * bytes_each / ALIGNMENT * ALIGNMENT;
    (start, u64::from(VECTORS) * VECTOR)
}

/// The bytes of a buffer with one row for each of this many samples, large enough for the [ranges](row_range) of all windows.
pub(crate) fn row_buffer_size(job: &Job<'_>, samples: u32) -> u64 {
    uniform_size(samples, row_bytes(job))
}

/// The bytes of a buffer with the scales of a batch, large enough for the [ranges](scale_range) of all windows.
pub(crate) fn scale_buffer_size(batch: u32) -> u64 {
    uniform_size(batch, SCALES)
}

fn uniform_size(samples: u32, bytes_each: u64) -> u64 {
    // Bindings have a fixed size, so the last one reaches beyond the last sample.
    u64::from(samples) * bytes_each + u64::from(VECTORS) * VECTOR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invocations_take_several_lanes_where_the_dispatch_is_large() {
        let each = |lanes, samples| tile_for(lanes, samples, BUSY).lanes_each;
        assert_eq!([each(1 << 20, 1), each(1024, 1000), each(4096, 250)], [4; 3]);
        assert_eq!([each(1024, 999), each(4096, 16), each(1023, 100_000), each(1, 1)], [1; 4]);
    }

    #[test]
    fn tiles_are_whole_where_they_end_with_the_samples() {
        let is_whole = |lanes, samples| tile_for(lanes, samples, 0).is_whole;
        assert!(is_whole(1024, 1) && is_whole(3 * 1024, 7));
        assert!([1023, 1025, 1280, 2047, 256, 1].iter().all(|&lanes| !is_whole(lanes, 7)));
    }

    #[test]
    fn a_tile_is_a_whole_workgroup_however_short_the_samples() {
        for lanes in [1, 2, 3, 16, 255, 256, 257, 1024, 1 << 20] {
            let tile = tile_for(lanes, 7, BUSY);
            assert_eq!(tile.lanes * tile.samples, WORKGROUP, "{lanes} lanes: {tile:?}");
            assert!(tile.lanes >= lanes.min(WORKGROUP), "{lanes} lanes: {tile:?}");
        }
    }
}

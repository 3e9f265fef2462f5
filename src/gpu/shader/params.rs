//! The uniform blocks of kernels, and every number that host and shaders share. [`constants`] writes the shaders' constants;
//! `tests/shaders.rs` checks the shaders' structs against the blocks.

use crate::gpu::shader::slots::SLOTS;
use crate::table::step::SLICES;

/// Elements of a lane.
pub(crate) const LANE: u64 = 4;
/// Invocations of a workgroup.
pub(crate) const WORKGROUP: u32 = 256;
/// Invocations of a workgroup of the standalone kernels.
pub(crate) const SMALL_WORKGROUP: u32 = 64;
/// The most workgroups of a dispatch along one dimension that every WebGPU device allows.
pub(crate) const MAX_GROUPS: u32 = 65_535;
/// Elements of a chunk, which a workgroup of `walk/chunks.wgsl` reduces to one sum.
pub(crate) const CHUNK: u32 = 4096;
/// Windows within a sample begin at a multiple of this many elements.
pub(crate) const GRAIN: u32 = WORKGROUP * LANE as u32;
/// Sums that an invocation adds up in each level of a tree.
pub(crate) const BRANCHES: u32 = 16;

/// `vec4`s of a uniform binding: 16 KiB, which every device offers.
pub(crate) const VECTORS: u32 = 1024;
/// Alignment of the start of a uniform binding in bytes; no device requires more.
pub(crate) const ALIGNMENT: u64 = 256;

/// Bytes of `struct Sum` of `reduce/moments.wgsl`.
pub(crate) const MOMENTS_BYTES: u64 = 24;

/// Bytes of `struct Sum` of `guide/co_moments.wgsl`.
pub(crate) const CO_MOMENTS_BYTES: u64 = 48;

/// Bits of the highest digit of a magnitude, which is counted first, and of each of the two others.
const FIRST_DIGIT_BITS: u32 = 11;
const DIGIT_BITS: u32 = 10;
/// The lowest bits of the three digits, in the order in which they are counted.
pub(crate) const DIGIT_SHIFTS: [u32; 3] = [2 * DIGIT_BITS, DIGIT_BITS, 0];
/// Counts of a sample: one for each value of the first digit, or two lists of counts for a later digit.
const BINS: u32 = 1 << FIRST_DIGIT_BITS;
/// Words before the counts of a sample: two prefixes and two ranks.
const STATE: u32 = 4;
/// Words of scratch memory for a sample.
const TALLY: u32 = STATE + BINS;
/// Bytes of scratch memory for a sample.
pub(crate) const TALLY_BYTES: u64 = 4 * TALLY as u64;

/// The number of units in a table of steps.
pub(crate) use crate::table::UNITS;

/// Words of the state of a sample that chooses its own steps.
pub(crate) const STATE_WORDS: u32 = 8;

/// Writes the constants that shaders share with the host.
pub(crate) fn constants() -> String {
    let shared = [
        ("WORKGROUP", WORKGROUP),
        ("SMALL_WORKGROUP", SMALL_WORKGROUP),
        ("CHUNK", CHUNK),
        ("BRANCHES", BRANCHES),
        ("ALIGNMENT", ALIGNMENT as u32),
        ("FIRST_DIGIT_SHIFT", DIGIT_SHIFTS[0]),
        ("FIRST_DIGIT_BITS", FIRST_DIGIT_BITS),
        ("DIGIT_BITS", DIGIT_BITS),
        ("BINS", BINS),
        ("SLICES", SLICES as u32),
        ("STATE", STATE),
        ("TALLY", TALLY),
        ("UNITS", UNITS),
        ("STATE_WORDS", STATE_WORDS),
    ];
    shared.into_iter().map(|(name, value)| format!("const {name} = {value}u;\n")).collect()
}

/// `struct Params` of a composed kernel: its window, its walk, then an offset and a stride for each slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Params {
    pub window: WindowParams,
    pub walk: WalkParams,
    pub tensors: [[u32; 2]; SLOTS],
}

impl Params {
    /// The same, with `reports`: whether the dispatch counts the samples without a row, or leaves that to another.
    pub(crate) fn reporting(self, reports: bool) -> Self {
        Self { window: WindowParams { reports: u32::from(reports), ..self.window }, ..self }
    }
}

/// `struct WindowParams` of `shaders/walk/window.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct WindowParams {
    pub batch: u32,
    pub elements: u32,
    pub first_sample: u32,
    pub first_element: u32,
    pub rows: u32,
    pub timestep_offset: u32,
    pub timestep_stride: u32,
    pub nan_bits: u32,
    pub reports: u32,
    pub pitch: u32,
    pub limit: f32,
    pub delta: f32,
    pub runs: u32,
    pub groups: u32,
    pub run: u32,
    pub unused: u32,
}

/// Bytes of every walk's parameters. Each struct is padded to them by its own fields: OpenGL's layout ignores an explicit size.
pub(crate) const WALK_BYTES: usize = 32;

/// The parameters of a walk, in the layout of its own struct.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct WalkParams([u32; WALK_BYTES / 4]);

/// Converts the struct of a walk to the parameters of a kernel. A struct of another size does not compile.
macro_rules! is_walk {
    ($($name:ty),*) => {$(
        impl From<$name> for WalkParams {
            fn from(walk: $name) -> Self {
                const { assert!(size_of::<$name>() == WALK_BYTES) }
                bytemuck::cast(walk)
            }
        }
    )*};
}

is_walk!(LanesParams, FlatParams, PairsParams, WordsParams, ChunksParams);

/// `struct LanesParams` of `shaders/walk/lanes.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct LanesParams {
    pub groups_y: u32,
    pub unused: [u32; 7],
}

/// `struct FlatParams` of `shaders/walk/flat.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FlatParams {
    pub groups_x: u32,
    pub total: u32,
    pub unused: [u32; 6],
}

/// `struct PairsParams` of `shaders/walk/pairs.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PairsParams {
    pub groups_x: u32,
    pub first_sum: u32,
    pub factor: f32,
    pub unused: [u32; 5],
}

/// `struct WordsParams` of `shaders/walk/words.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct WordsParams {
    pub groups_x: u32,
    pub slots: u32,
    pub run: u32,
    pub contiguous: u32,
    pub lead: u32,
    pub lead_step: u32,
    pub word_mask: u32,
    pub unused: u32,
}

/// `struct ChunksParams` of `shaders/walk/chunks.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct ChunksParams {
    pub groups_y: u32,
    pub chunks: u32,
    pub team: u32,
    pub digit_shift: u32,
    pub first_sum: u32,
    pub factor: f32,
    pub unused: [u32; 2],
}

/// `struct FoldParams` of `shaders/reduce/fold.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FoldParams {
    pub samples: u32,
    pub first_sample: u32,
    pub groups_x: u32,
    pub nan_bits: u32,
    pub team: u32,
    pub parts: u32,
    pub first_part: u32,
    pub first_result: u32,
    pub pitch: u32,
    pub factor: f32,
    pub rescale: f32,
    pub digit_shift: u32,
    pub rank: u32,
    pub last_rank: u32,
    pub fraction: f32,
    pub least: f32,
    pub most: f32,
    pub unused: [u32; 3],
}

/// `struct RowParams` of `shaders/standalone/gather_rows.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct RowParams {
    pub rows: u32,
    pub first_timestep: u32,
    pub table_rows: u32,
    pub width: u32,
    pub groups_x: u32,
    pub counts: u32,
    pub nan_bits: u32,
    pub runs: u32,
    pub groups: u32,
    pub unused: [u32; 3],
}

/// `struct TimestepParams` of `shaders/standalone/draw_timesteps.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct TimestepParams {
    pub batch: u32,
    pub ends: u32,
    pub first: u32,
    pub whole: u32,
    pub groups_x: u32,
    pub block: u32,
    pub groups: u32,
    pub unused: u32,
}

/// `struct SourceParams` of `shaders/standalone/draw_source.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct SourceParams {
    pub count: u32,
    pub first: u32,
    pub groups_x: u32,
    pub kind: u32,
    pub key: [u32; 2],
    pub call: [u32; 2],
    pub threads: u32,
    pub unused: [u32; 3],
}

/// `struct CounterParams` of `shaders/standalone/advance.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct CounterParams {
    pub count: u32,
    pub first: u32,
    pub unused: [u32; 2],
}

/// `struct PixelParams` of `shaders/standalone/pixels.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PixelParams {
    pub pixels: u32,
    pub total: u32,
    pub float_channels: u32,
    pub float_planar: u32,
    pub pixel_channels: u32,
    pub pixel_planar: u32,
    pub first_float: u32,
    pub first_word: u32,
    pub groups_x: u32,
    pub bits: u32,
    pub rounding: f32,
    pub least: f32,
    pub most: f32,
    pub step: f32,
    pub steps: f32,
    pub width: u32,
}

/// `struct PreviewParams` of `shaders/standalone/latent_preview.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PreviewParams {
    pub width: u32,
    pub height: u32,
    pub channels: u32,
    pub edge: u32,
    pub cells: u32,
    pub row: u32,
    pub first: u32,
    pub first_word: u32,
    pub pitch: u32,
    pub groups_x: u32,
    pub unused: [u32; 6],
}

/// `struct FinishParams` of `shaders/guide/finish.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FinishParams {
    pub count: u32,
    pub length: u32,
    pub inner: u32,
    pub group: u32,
    pub groups_x: u32,
    pub clamped: u32,
    pub factor: f32,
    pub unused: u32,
}

/// `struct PyramidParams` of `shaders/guide/pyramid.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct PyramidParams {
    pub count: u32,
    pub height: u32,
    pub width: u32,
    pub source_height: u32,
    pub source_width: u32,
    pub groups_x: u32,
    pub sign: f32,
    pub unused: u32,
}

/// `struct MaskParams` of `shaders/standalone/differential_mask.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct MaskParams {
    pub elements: u32,
    pub total: u32,
    pub stride: u32,
    pub first: u32,
    pub groups_x: u32,
    pub threshold: f32,
    pub strength: f32,
    pub unused: u32,
}

/// `struct ErrorParams` of `shaders/standalone/step_error.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct ErrorParams {
    pub elements: u32,
    pub chunks: u32,
    pub samples: u32,
    pub groups_x: u32,
    pub rtol: f32,
    pub atol: f32,
    pub unused: [u32; 2],
}

/// `struct ChooseParams` of `shaders/standalone/choose_step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct ChooseParams {
    pub samples: u32,
    pub order: u32,
    pub error_stride: u32,
    pub begins: u32,
    pub powers: [f32; 3],
    pub safety: f32,
    pub first_step: f32,
    pub words: u32,
    pub pitch: u32,
    pub told: u32,
    pub state: u32,
    pub unused: [u32; 3],
}

//! The uniform blocks of kernels, and every number that host and shaders share.

use crate::gpu::shader::op::SLOTS;

pub(crate) const LANE: u64 = 4;
pub(crate) const WORKGROUP: u32 = 256;
/// Elements that a workgroup of `walk_chunks` makes one sum of.
pub(crate) const CHUNK: u32 = 4096;
pub(crate) const MAX_GROUPS: u32 = 65_535;
/// Windows within a sample begin at a multiple of this many elements.
pub(crate) const GRAIN: u32 = WORKGROUP * LANE as u32;
/// `vec4`s of a uniform binding: 16 KiB, which every device offers.
pub(crate) const VECTORS: u32 = 1024;
/// What the start of a uniform binding is a multiple of, in bytes; no device asks for more.
pub(crate) const ALIGNMENT: u64 = 256;
/// Invocations of a workgroup of the kernels that stand alone.
pub(crate) const SMALL_WORKGROUP: u32 = 64;
/// `struct Sum` of `shaders/moments.wgsl`, bytes.
pub(crate) const MOMENTS_BYTES: u64 = 24;
/// `TALLY` of `shaders/digit.wgsl`, bytes: two prefixes, two ranks and 2048 counts.
pub(crate) const TALLY_BYTES: u64 = 4 * (4 + 2048);
/// The lowest bits of the three digits of a magnitude.
pub(crate) const DIGIT_SHIFTS: [u32; 3] = [20, 10, 0];

/// The uniform block `Params`: `struct Window` of `shaders/walk/window.wgsl`, then an offset and a stride for each slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Params {
    pub batch: u32,
    pub elements: u32,
    pub first_sample: u32,
    pub first_element: u32,
    pub rows: u32,
    pub timesteps: u32,
    pub timestep_stride: u32,
    pub nan: u32,
    pub contiguous: u32,
    pub span: u32,
    pub slots: u32,
    pub groups: u32,
    pub parity: u32,
    pub reports: u32,
    pub pitch: u32,
    pub range: f32,
    pub team: u32,
    pub digit: u32,
    pub sums: u32,
    pub factor: f32,
    pub tensors: [[u32; 2]; SLOTS],
}

impl Params {
    /// The same, counting samples without a row or leaving that to another dispatch.
    pub(crate) fn reporting(self, reports: bool) -> Self {
        Self { reports: u32::from(reports), ..self }
    }
}

/// `struct Finish` of `shaders/finish.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct FoldParams {
    pub samples: u32,
    pub first_sample: u32,
    pub groups: u32,
    pub parts: u32,
    pub first: u32,
    pub start: u32,
    pub shift: u32,
    pub rank: u32,
    pub last: u32,
    pub nan: u32,
    pub team: u32,
    pub pitch: u32,
    pub numbers: [f32; 4],
}

/// `struct Gather` of `shaders/standalone/gather_rows.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct RowParams {
    pub rows: u32,
    pub first: u32,
    pub table: u32,
    pub width: u32,
    pub groups: u32,
    pub counts: u32,
    pub nan: u32,
    pub unused: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    /// `tests/shaders.rs` holds the shader's side to the same numbers.
    #[test]
    fn params_lie_as_the_shader_reads_them() {
        assert_eq!(size_of::<Params>(), 80 + 8 * SLOTS);
        let found = [
            offset_of!(Params, batch),
            offset_of!(Params, elements),
            offset_of!(Params, first_sample),
            offset_of!(Params, first_element),
            offset_of!(Params, rows),
            offset_of!(Params, timesteps),
            offset_of!(Params, timestep_stride),
            offset_of!(Params, nan),
            offset_of!(Params, contiguous),
            offset_of!(Params, span),
            offset_of!(Params, slots),
            offset_of!(Params, groups),
            offset_of!(Params, parity),
            offset_of!(Params, reports),
            offset_of!(Params, pitch),
            offset_of!(Params, range),
            offset_of!(Params, team),
            offset_of!(Params, digit),
            offset_of!(Params, sums),
            offset_of!(Params, factor),
            offset_of!(Params, tensors),
        ];
        assert_eq!(found.to_vec(), (0..=20).map(|i| 4 * i).collect::<Vec<_>>());
    }
}

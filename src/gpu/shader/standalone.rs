//! Kernels that are whole files of their own: no op, no tensors, no walk.

use crate::gpu::shader::bindings::declaration;
use crate::gpu::shader::codes::{ChosenWord, Code, SourceKind};
use crate::gpu::shader::op::reduce::{TOTAL, TREE};
use crate::gpu::shader::params;
use crate::gpu::shader::template::{fill, section};
use crate::gpu::storage::Storage;

/// The product of two words, which the generator of random words needs, for any device.
pub(crate) const PRODUCT_WORDS: &str = include_str!("../../../shaders/noise/product_words.wgsl");
pub(crate) const PHILOX: &str = include_str!("../../../shaders/noise/philox.wgsl");

const NORMAL: &str = include_str!("../../../shaders/noise/normal.wgsl");
const LOG1P: &str = include_str!("../../../shaders/noise/log1p.wgsl");

/// Draws the noise of another system.
pub(crate) fn draw_source() -> String {
    let threefry = include_str!("../../../shaders/standalone/threefry.wgsl");
    let draw = include_str!("../../../shaders/standalone/draw_source.wgsl");
    params::constants() + &SourceKind::codes() + &[PRODUCT_WORDS, PHILOX, NORMAL, LOG1P, threefry, draw].concat()
}

/// Adds 1 to the words of a counter.
pub(crate) fn advance() -> String {
    params::constants() + include_str!("../../../shaders/standalone/advance.wgsl")
}

/// Lays out the row of each sample for the four-buffer form.
pub(crate) fn gather_rows() -> String {
    params::constants() + include_str!("../../../shaders/standalone/gather_rows.wgsl")
}

/// The binding of the seeds of a draw of timesteps.
pub(crate) const DRAW_SEEDS_BINDING: u32 = 4;

/// The entry points of a draw of timesteps: under one key, and under a seed for each sample.
pub(crate) const DRAW_TIMESTEPS: [&str; 2] = ["draw_timesteps", "draw_timesteps_seeded"];

/// Draws a timestep for each sample, under one key or a seed for each.
pub(crate) fn draw_timesteps(seeded: bool) -> String {
    let seeds = if seeded {
        declaration(DRAW_SEEDS_BINDING, "storage, read", "seeds", "array<vec4<u32>>")
            + include_str!("../../../shaders/noise/seed_per_sample.wgsl")
    } else {
        include_str!("../../../shaders/noise/seed_batch.wgsl").to_owned()
    };
    // 64-bit integers are not used: a word a sample is little work, and one text serves every device.
    let files = [PRODUCT_WORDS, PHILOX, &seeds, include_str!("../../../shaders/standalone/draw_timesteps.wgsl")];
    params::constants() + &fill(&files.concat(), &[], &[("entry_point", DRAW_TIMESTEPS[usize::from(seeded)])])
}

/// The name of the kernel for the masks of differential diffusion, which is also its entry point.
pub(crate) fn differential_mask_name(storage: Storage) -> &'static str {
    match storage {
        Storage::F32 => "differential_mask_f32",
        Storage::F16 => "differential_mask_f16",
        Storage::Bf16 => "differential_mask_bf16",
    }
}

/// Computes the mask of a call of differential diffusion.
pub(crate) fn differential_mask(storage: Storage) -> String {
    let holes = [("entry_point", differential_mask_name(storage)), ("storage", storage.name())];
    let file = include_str!("../../../shaders/standalone/differential_mask.wgsl");
    params::constants() + storage.wgsl() + &fill(file, &[], &holes)
}

/// Sums the error of a step.
pub(crate) fn step_error() -> String {
    params::constants() + TOTAL + TREE + include_str!("../../../shaders/standalone/step_error.wgsl")
}

/// Accepts or rejects a step, and chooses the next.
pub(crate) fn choose_step() -> String {
    params::constants() + &ChosenWord::codes() + include_str!("../../../shaders/standalone/choose_step.wgsl")
}

/// A kernel that finishes the mixture of a call of guidance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FinishKernel {
    Norm,
    Likeness,
    Mahiro,
}

impl FinishKernel {
    pub const ALL: [Self; 3] = [Self::Norm, Self::Likeness, Self::Mahiro];

    /// The name, which is also the entry point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Norm => "guide_norm",
            Self::Likeness => "guide_likeness",
            Self::Mahiro => "guide_mahiro",
        }
    }

    /// The WGSL.
    pub fn compose(self) -> String {
        let file = include_str!("../../../shaders/guide/finish.wgsl");
        let own = match self {
            Self::Norm => "norm",
            Self::Likeness => "likeness",
            Self::Mahiro => "mixture",
        };
        params::constants() + section(file, "common") + section(file, own)
    }
}

/// A kernel of the planes of a Laplacian pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PyramidKernel {
    Copy,
    Halve,
    Double,
}

impl PyramidKernel {
    pub const ALL: [Self; 3] = [Self::Copy, Self::Halve, Self::Double];

    /// The name, which is also the entry point.
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "pyramid_copy",
            Self::Halve => "pyramid_halve",
            Self::Double => "pyramid_double",
        }
    }

    /// The WGSL.
    pub fn compose(self) -> String {
        let file = include_str!("../../../shaders/guide/pyramid.wgsl");
        let own = match self {
            Self::Copy => "copy",
            Self::Halve => "halve",
            Self::Double => "double",
        };
        params::constants() + section(file, "common") + section(file, own)
    }
}

//! Kernels that are whole files of their own: no op, no tensors, no walk.

use crate::gpu::shader::bindings::declaration;
use crate::gpu::shader::codes::{Code, SourceKind};
use crate::gpu::shader::params;
use crate::gpu::shader::template::fill;

/// The generator of random words, on any device.
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
    // Not with 64-bit integers: a word a sample is little work, and one text serves every device.
    let files = [PRODUCT_WORDS, PHILOX, &seeds, include_str!("../../../shaders/standalone/draw_timesteps.wgsl")];
    params::constants() + &fill(&files.concat(), &[], &[("entry_point", DRAW_TIMESTEPS[usize::from(seeded)])])
}

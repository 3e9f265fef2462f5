//! Kernels that are whole files of their own: no op, no tensors, no walk.

use crate::gpu::shader::params;

/// The generator of random words, on any device.
pub(crate) const PRODUCT_WORDS: &str = include_str!("../../../shaders/noise/product_words.wgsl");
pub(crate) const PHILOX: &str = include_str!("../../../shaders/noise/philox.wgsl");

/// Adds 1 to the words of a counter.
pub(crate) fn advance() -> String {
    params::constants() + include_str!("../../../shaders/standalone/advance.wgsl")
}

/// Lays out the row of each sample for the four-buffer form.
pub(crate) fn gather_rows() -> String {
    params::constants() + include_str!("../../../shaders/standalone/gather_rows.wgsl")
}

/// Draws a timestep for each sample.
pub(crate) fn draw_timesteps() -> String {
    // Not with 64-bit integers: a word a sample is little work, and one text serves every device.
    let files = [PRODUCT_WORDS, PHILOX, include_str!("../../../shaders/standalone/draw_timesteps.wgsl")];
    params::constants() + &files.concat()
}

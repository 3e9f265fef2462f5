//! Kernels that are whole files of their own: no op, no tensors, no walk.

/// What draws random words, on any device.
pub(crate) const PRODUCT_WORDS: &str = include_str!("../../../shaders/noise/product_words.wgsl");
pub(crate) const PHILOX: &str = include_str!("../../../shaders/noise/philox.wgsl");

/// Adds 1 to the words of a counter.
pub(crate) const ADVANCE: &str = include_str!("../../../shaders/counter.wgsl");
/// Lays out the row of each sample for the four-buffer form.
pub(crate) const GATHER_ROWS: &str = include_str!("../../../shaders/standalone/gather_rows.wgsl");

/// Draws a timestep for each sample.
pub(crate) fn draw_timesteps() -> String {
    [PRODUCT_WORDS, PHILOX, include_str!("../../../shaders/standalone/draw_timesteps.wgsl")].concat()
}

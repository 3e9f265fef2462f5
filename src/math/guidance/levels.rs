//! The levels of frequency-decoupled guidance.

use crate::math::guidance::window::Window;

/// The guidance of a level of a Laplacian pyramid (Sadat et al. 2025, arXiv 2506.19713).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrequencyLevel {
    /// The scale of guidance.
    pub scale: f64,
    /// The factor of the part of `c - u` along `c` in this level.
    pub parallel: f64,
    /// The degree of rescaling to the standard deviation of `c` in this level, in `0..=1`.
    pub rescale: f64,
    /// The part of a run in which the level is guided; elsewhere it is the conditional prediction's.
    pub window: Window,
}

impl FrequencyLevel {
    /// Creates a level that is guided with this scale throughout the run.
    #[must_use]
    pub const fn new(scale: f64) -> Self {
        Self { scale, parallel: 1.0, rescale: 0.0, window: Window::WHOLE }
    }
}

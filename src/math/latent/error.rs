//! Errors of latents.

use thiserror::Error;

/// Latents that a format cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LatentError {
    /// A number of elements that is not whole samples of the format's channels.
    #[error("expected a multiple of {channels} channels of {cells} cells each, found {found} elements")]
    Elements {
        /// The channels of the format.
        channels: usize,
        /// The cells of a channel: height x width, or frames x height x width.
        cells: usize,
        /// The elements given.
        found: usize,
    },
    /// A format without a known preview matrix.
    #[error("expected a latent format with a preview matrix, found one without (Stable Audio, SANA, CogVideoX)")]
    NoPreview,
    /// A frame that the latents do not have.
    #[error("expected a frame below {frames}, found {found}")]
    Frame {
        /// The frames of the latents.
        frames: usize,
        /// The frame asked for.
        found: usize,
    },
}

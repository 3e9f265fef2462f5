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
        /// The elements that were given.
        found: usize,
    },
    /// A format of which no preview matrix is known.
    #[error("expected latents with a preview matrix, found some without (a sound, or a video of CogVideoX)")]
    NoPreview,
    /// A frame that the latents do not have.
    #[error("expected a frame below {frames}, found {found}")]
    Frame {
        /// The frames of the latents.
        frames: usize,
        /// The frame that was asked for.
        found: usize,
    },
}

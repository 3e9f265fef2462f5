//! Latents: the formats in which autoencoders and networks exchange pictures, videos and audio.

pub(crate) mod catalogue;
pub(crate) mod error;
pub(crate) mod format;
mod picture_previews;
mod statistics;
mod video_previews;

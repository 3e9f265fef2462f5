//! Latents: what an autoencoder makes of a picture, a video or a sound, and what a network takes.

pub(crate) mod catalogue;
pub(crate) mod error;
pub(crate) mod format;
mod picture_previews;
mod statistics;
mod video_previews;

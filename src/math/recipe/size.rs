//! The size of a picture or a video.

/// The size of a picture or a video, in pixels and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// The pixels of a row.
    pub width: u32,
    /// The rows of pixels.
    pub height: u32,
    /// The frames; 1 for a picture.
    pub frames: u32,
}

impl Size {
    /// Creates the size of a picture, in pixels.
    #[must_use]
    pub const fn picture(width: u32, height: u32) -> Self {
        Self { width, height, frames: 1 }
    }

    /// Creates the size of a video, in pixels and frames.
    #[must_use]
    pub const fn video(width: u32, height: u32, frames: u32) -> Self {
        Self { width, height, frames }
    }

    /// Returns the number of pixels of a frame.
    #[must_use]
    pub fn pixels(self) -> f64 {
        f64::from(self.width) * f64::from(self.height)
    }
}

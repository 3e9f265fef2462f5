//! The size of what is sampled.

/// The size of a picture or a video, in pixels and frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames; 1 for a picture.
    pub frames: u32,
}

impl Size {
    /// A picture.
    #[must_use]
    pub const fn picture(width: u32, height: u32) -> Self {
        Self { width, height, frames: 1 }
    }

    /// A video.
    #[must_use]
    pub const fn video(width: u32, height: u32, frames: u32) -> Self {
        Self { width, height, frames }
    }

    /// The pixels of a frame.
    #[must_use]
    pub fn pixels(self) -> f64 {
        f64::from(self.width) * f64::from(self.height)
    }
}

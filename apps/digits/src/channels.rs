//! Tensors as layers read them.

use tweedie::wgpu::Buffer;

/// Pixels of a word: activations lie in memory as `vec4<f32>`.
pub const WORD: u32 = 4;

/// The channels of a tensor, or of two that are read as one.
#[derive(Clone, Debug)]
pub struct Channels {
    /// A tensor and its number of channels.
    pub first: (Buffer, u32),
    /// The tensor whose channels follow.
    pub second: Option<(Buffer, u32)>,
}

impl Channels {
    /// Those of one tensor.
    pub fn of(buffer: &Buffer, channels: u32) -> Self {
        Self { first: (buffer.clone(), channels), second: None }
    }

    /// The numbers of channels, and the buffers. Without a second tensor, the first is bound again, with 0 channels.
    pub fn parts(&self) -> ([u32; 2], [&Buffer; 2]) {
        let (first, count) = &self.first;
        let (second, more) = self.second.as_ref().map_or((first, 0), |(buffer, channels)| (buffer, *channels));
        ([*count, more], [first, second])
    }

    /// The number of all channels.
    pub fn count(&self) -> u32 {
        self.parts().0.iter().sum()
    }
}

//! Buffers for pictures, all of one kind: kernels write them, the window's render pass reads them.

use tweedie::wgpu::{self, BufferUsages};

/// Creates a storage buffer for this many f32, which may be copied to and from.
pub fn floats(device: &wgpu::Device, label: &str, count: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: count.max(1) * 4,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Creates the same with these numbers in it, from the next submit on.
pub fn uploaded(device: &wgpu::Device, queue: &wgpu::Queue, label: &str, numbers: &[f32]) -> wgpu::Buffer {
    let buffer = floats(device, label, numbers.len() as u64);
    queue.write_buffer(&buffer, 0, bytemuck::cast_slice(numbers));
    buffer
}

/// A picture that a frame wants to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageId {
    /// The clean sample.
    X0,
    /// The noisy sample.
    Xt,
    /// The target of a column.
    Target(usize),
    /// A column's prediction.
    Prediction(usize),
    /// The clean sample that a column's prediction implies.
    Recovered(usize),
    /// A sample before a call: its index, and the call's.
    Sample(u32, usize),
    /// The clean sample that the network predicts in a call: the sample's index, and the call's.
    Preview(u32, usize),
    /// A picture of the set.
    Member(usize),
    /// A digit before a call: its index, and the call's.
    Digit(u32, usize),
    /// The clean digit that the network predicts in a call: the digit's index, and the call's.
    CleanDigit(u32, usize),
    /// The digit that has an erased part.
    Erased,
}

/// A picture that lies in a buffer: planar, `[channels, height, width]`, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSlice {
    /// Buffer that holds the image.
    pub buffer: wgpu::Buffer,
    /// Floats of the buffer before its first one.
    pub offset: u64,
    /// Pixels of a row, and rows.
    pub size: [u32; 2],
    /// 3, or 1 for a grey one.
    pub channels: u32,
}

impl ImageSlice {
    /// Number of its floats.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.channels) * u64::from(self.size[0]) * u64::from(self.size[1])
    }
}

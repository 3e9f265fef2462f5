//! Buffers for pictures, all of one kind: kernels write them, the window's render pass reads them.

use tweedie::wgpu::{self, BufferUsages};

/// A storage buffer for this many f32; it may be copied to and from.
pub fn floats(device: &wgpu::Device, label: &str, count: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: count.max(1) * 4,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// The same with these numbers in it, from the next submit on.
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
    /// A sample before a call.
    Sample(u32, usize),
    /// Clean sample that the network predicts in a call.
    Preview(u32, usize),
    /// A picture of the set.
    Member(usize),
    /// A digit before a call.
    Digit(u32, usize),
    /// Clean digit that the network predicts in a call.
    CleanDigit(u32, usize),
    /// The digit of which a part is erased.
    Erased,
}

/// A picture that lies in a buffer: planar, `[channels, height, width]`, f32.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSlice {
    /// Buffer that holds the image.
    pub buffer: wgpu::Buffer,
    /// Floats before its first one.
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

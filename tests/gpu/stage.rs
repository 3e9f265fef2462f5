//! The tensors of a case in host images of their buffers: where each lies, and a check that nothing else is written.

use crate::harness::Harness;
use tweedie::gpu::{Shape, Storage, Tensor};

/// Where a tensor lies: its storage, the elements before it and the extra elements between samples.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub storage: Storage,
    pub before: u32,
    pub gap: u32,
}

impl Layout {
    pub const fn plain(storage: Storage) -> Self {
        Self { storage, before: 0, gap: 0 }
    }
}

const SENTINEL: u8 = 0xA5;

/// One tensor of a case inside a host image of its buffer.
#[derive(Clone, Copy)]
pub struct Placed {
    pub layout: Layout,
    offset: u64,
    stride: u32,
    buffer: usize,
}

impl Placed {
    fn byte(&self, sample: u32, element: u32) -> usize {
        let index = u64::from(sample) * u64::from(self.stride) + u64::from(element);
        (self.offset + index * self.layout.storage.bytes()) as usize
    }

    pub fn get(&self, image: &[u8], sample: u32, element: u32) -> f32 {
        let at = self.byte(sample, element);
        match self.layout.storage {
            Storage::F32 => f32::from_le_bytes(image[at..at + 4].try_into().expect("four bytes")),
            storage => storage.decode(&image[at..at + 2])[0],
        }
    }

    fn put(&self, image: &mut [u8], sample: u32, element: u32, value: f32) {
        let at = self.byte(sample, element);
        match self.layout.storage {
            Storage::F32 => image[at..at + 4].copy_from_slice(&value.to_le_bytes()),
            storage => image[at..at + 2].copy_from_slice(&storage.encode(&[value])[..2]),
        }
    }
}

/// The tensors of a case in host images of their buffers.
pub struct Stage {
    shape: Shape,
    shared: bool,
    images: Vec<Vec<u8>>,
}

impl Stage {
    /// All tensors in one buffer, or each in its own.
    pub fn new(shape: Shape, shared: bool) -> Self {
        Self { shape, shared, images: Vec::new() }
    }

    pub fn place(&mut self, layout: Layout, broadcast: bool) -> Placed {
        let shape = self.shape;
        let stride = if broadcast { 0 } else { shape.elements + layout.gap };
        if self.images.is_empty() || !self.shared {
            self.images.push(Vec::new());
        }
        let buffer = self.images.len() - 1;
        let image = &mut self.images[buffer];
        let start = if image.is_empty() { 0 } else { image.len().next_multiple_of(32) as u64 };
        let offset = start + u64::from(layout.before) * layout.storage.bytes();
        let extent = u64::from(shape.batch - 1) * u64::from(stride) + u64::from(shape.elements);
        let end = offset + extent * layout.storage.bytes();
        image.resize(end.next_multiple_of(4) as usize + 8, SENTINEL);
        Placed { layout, offset, stride, buffer }
    }

    pub fn fill(&mut self, placed: Placed, mut value: impl FnMut() -> f32) {
        for sample in 0..self.shape.batch {
            for element in 0..self.shape.elements {
                if placed.stride > 0 || sample == 0 {
                    placed.put(&mut self.images[placed.buffer], sample, element, value());
                }
            }
        }
    }

    pub fn upload(&self, harness: &Harness) -> Vec<wgpu::Buffer> {
        self.images.iter().map(|image| harness.gpu.upload("test", image)).collect()
    }

    pub fn tensor<'a>(buffers: &'a [wgpu::Buffer], p: Placed) -> Tensor<'a> {
        Tensor::new(&buffers[p.buffer], p.layout.storage).at(p.offset).stride(p.stride)
    }

    /// The values of a tensor, sample after sample.
    pub fn values(&self, p: Placed) -> Vec<f64> {
        self.values_in(&self.images, p)
    }

    pub fn values_in(&self, images: &[Vec<u8>], p: Placed) -> Vec<f64> {
        let image = &images[p.buffer];
        let samples = 0..self.shape.batch;
        samples
            .flat_map(|sample| (0..self.shape.elements).map(move |element| f64::from(p.get(image, sample, element))))
            .collect()
    }

    /// Fails where a byte outside of these outputs changed.
    pub fn assert_untouched(&self, after: &[Vec<u8>], outputs: &[Placed], case: &dyn std::fmt::Debug) {
        let mut expected = self.images.clone();
        for placed in outputs {
            for sample in 0..self.shape.batch {
                for element in 0..self.shape.elements {
                    let (at, size) = (placed.byte(sample, element), placed.layout.storage.bytes() as usize);
                    expected[placed.buffer][at..at + size].copy_from_slice(&after[placed.buffer][at..at + size]);
                }
            }
        }
        for (kept, after) in expected.iter().zip(after) {
            assert!(kept[..] == after[..kept.len()], "bytes outside the outputs changed: {case:?}");
        }
    }
}

//! Tensors as kernels see them: a slice of the caller's buffer, sample after sample.

use crate::gpu::storage::Storage;

/// The shape of a batch: `batch` samples of `elements` each. The axes of a sample do not matter: every op of this crate
/// works element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of samples, at least 1.
    pub batch: u32,
    /// Elements of a sample, at least 1.
    pub elements: u32,
}

impl Shape {
    /// `batch` samples of `elements` each.
    pub const fn new(batch: u32, elements: u32) -> Self {
        Self { batch, elements }
    }

    /// Elements of the whole batch.
    pub const fn total(self) -> u64 {
        self.batch as u64 * self.elements as u64
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.batch, self.elements)
    }
}

/// A tensor that lies in a buffer of the caller's: sample `i` begins at byte `offset + i * stride * storage.bytes()`.
///
/// The buffer needs `BufferUsages::STORAGE`. Several tensors may lie in one buffer. Offsets and strides may be any whole
/// number of elements. The fast kernels run where they, and the elements of a sample, are multiples of 4, or where the
/// samples of every tensor follow each other without a gap and the whole batch is a multiple of 4.
///
/// Tensors are equal, and hash alike, if all their fields are; a stride of `None` differs from the same stride spelled out. A
/// host may use them as keys of the plans that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tensor<'a> {
    /// The buffer that holds it.
    pub buffer: &'a wgpu::Buffer,
    /// The storage of its elements.
    pub storage: Storage,
    /// Bytes before its first element: a multiple of the element's size.
    pub offset: u64,
    /// Elements from the start of a sample to the start of the next; `None` for samples that follow each other without a
    /// gap. It is larger than a sample for a network that outputs extra channels; 0, which only an input may have, gives every
    /// sample of the batch the same elements.
    pub stride: Option<u32>,
}

impl<'a> Tensor<'a> {
    /// A tensor without gaps at the beginning of a buffer.
    pub const fn new(buffer: &'a wgpu::Buffer, storage: Storage) -> Self {
        Self { buffer, storage, offset: 0, stride: None }
    }

    /// An f32 tensor without gaps at the beginning of a buffer.
    pub const fn f32(buffer: &'a wgpu::Buffer) -> Self {
        Self::new(buffer, Storage::F32)
    }

    /// The same tensor, beginning at this byte of the buffer.
    pub const fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The same tensor with this many elements from sample to sample.
    pub const fn stride(self, elements: u32) -> Self {
        Self { stride: Some(elements), ..self }
    }

    pub(crate) fn stride_in(&self, shape: Shape) -> u64 {
        u64::from(self.stride.unwrap_or(shape.elements))
    }

    /// The number of elements from the first to the last, gaps included.
    pub(crate) fn extent(&self, shape: Shape) -> u64 {
        u64::from(shape.batch - 1) * self.stride_in(shape) + u64::from(shape.elements)
    }

    /// The bytes that the tensor touches, in whole words.
    pub(crate) fn bytes(&self, shape: Shape) -> std::ops::Range<u64> {
        // A 16-bit tensor may begin or end in the middle of a word, whose other half is written back unchanged: it counts as
        // touched.
        let end = self.offset + self.extent(shape) * self.storage.bytes();
        self.offset / 4 * 4..end.next_multiple_of(4)
    }

    /// Returns `true` if both are the very same elements.
    pub(crate) fn same(&self, other: &Tensor<'_>, shape: Shape) -> bool {
        self.buffer == other.buffer
            && self.offset == other.offset
            && self.storage == other.storage
            && self.stride_in(shape) == other.stride_in(shape)
    }

    /// Returns `true` if any word belongs to both.
    pub(crate) fn overlaps(&self, other: &Tensor<'_>, shape: Shape) -> bool {
        if self.buffer != other.buffer {
            return false;
        }
        // The usual case: the two lie apart as a whole, whatever their strides.
        let (a, b) = (self.bytes(shape), other.bytes(shape));
        if a.end <= b.start || b.end <= a.start {
            return false;
        }
        !self.interleaves(other, shape)
    }

    /// Returns `true` if the samples of both alternate with the same stride, as channels of one tensor do, and share no
    /// word.
    fn interleaves(&self, other: &Tensor<'_>, shape: Shape) -> bool {
        let stride = self.stride_in(shape) * self.storage.bytes();
        if stride != other.stride_in(shape) * other.storage.bytes() || stride == 0 || !stride.is_multiple_of(4) {
            return false;
        }
        let one = Shape::new(1, shape.elements);
        let (a, b) = (self.bytes(one), other.bytes(one));
        // Both repeat every `stride` bytes, so it is enough to look at one period: the one that begins first must end before
        // the other begins, and the other before the next period does.
        let (a_start, b_start) = (a.start % stride, b.start % stride);
        let (first, first_length, second, second_length) = if a_start <= b_start {
            (a_start, a.end - a.start, b_start, b.end - b.start)
        } else {
            (b_start, b.end - b.start, a_start, a.end - a.start)
        };
        first + first_length <= second && second + second_length <= first + stride
    }
}

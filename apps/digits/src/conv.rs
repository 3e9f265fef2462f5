//! A convolution of 3 x 3: the host's side of `conv.wgsl`.

use crate::architecture::Size;
use crate::channels::{Channels, WORD};
use crate::kernels::{Dispatch, Kernel, Kernels};
use half::f16;
use tweedie::wgpu::Buffer;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 32;
/// Output channels of an invocation.
const LANES: usize = 8;
/// Output rows of an invocation, which makes a word of each.
const ROWS: u32 = 2;
/// Taps of a kernel.
const TAPS: usize = 9;

/// A convolution and all that it reads and writes.
#[derive(Debug)]
pub struct Conv<'a> {
    /// `[outputs, inputs, 3, 3]`
    pub weights: &'a [f32],
    /// The size of the input.
    pub size: Size,
    /// The input and its number of channels.
    pub input: (Buffer, u32),
    /// The samples of the input: sample `i` of the output reads sample `i` modulo this.
    pub samples: u32,
    /// The output and its number of channels.
    pub output: (Buffer, u32),
    /// Rows and columns of the output.
    pub side: u32,
    /// The numbers that are added to each channel.
    pub offsets: Offsets,
    /// The tensor that is added.
    pub added: Added<'a>,
}

/// The numbers that a convolution adds to each channel.
#[derive(Debug)]
pub struct Offsets {
    /// The buffer that holds them.
    pub buffer: Buffer,
    /// The place of the first.
    pub begin: u32,
    /// Numbers from sample to sample: 0 for a bias.
    pub stride: u32,
}

/// The tensor that a convolution adds.
#[derive(Debug)]
pub enum Added<'a> {
    /// None.
    Nothing,
    /// This one.
    Tensor(Buffer),
    /// The convolution of 1 x 1 of these channels, by weights `[outputs, inputs, 1, 1]`.
    Skip(Channels, &'a [f32]),
}

impl Offsets {
    /// A bias, the same for every sample; with zeros up to what an invocation reads.
    pub fn bias(kernels: &Kernels, mut bias: Vec<f32>) -> Self {
        bias.resize(bias.len().next_multiple_of(LANES), 0.0);
        Self { buffer: kernels.upload("digits::bias", &bias), begin: 0, stride: 0 }
    }
}

impl Conv<'_> {
    /// Uploads the weights and binds everything, for so many samples of the output.
    pub fn dispatch(&self, kernels: &Kernels, samples: u32) -> Dispatch {
        let Self { input, output, side, offsets, .. } = self;
        let weights = kernels.upload("digits::weights", &packed(self.weights, input.1 as usize, TAPS));
        let mut buffers = vec![&input.0, &weights, &offsets.buffer, &output.0];
        let skip_weights = self.added.upload(kernels);
        let [first, second] = match &self.added {
            Added::Nothing => [0, 0],
            Added::Tensor(tensor) => {
                buffers.push(tensor);
                [0, 0]
            }
            Added::Skip(channels, _) => {
                let (counts, tensors) = channels.parts();
                buffers.extend(tensors.into_iter().chain(&skip_weights));
                counts
            }
        };
        let columns = side / WORD;
        let Offsets { begin, stride, .. } = *offsets;
        let block = [samples, self.samples, input.1, output.1, columns, *side, begin, stride, first, second];
        let blocks = samples * columns * side / ROWS;
        let workgroups = [blocks.div_ceil(WORKGROUP), output.1.div_ceil(LANES as u32)];
        let bindings: Vec<_> = buffers.into_iter().map(Buffer::as_entire_binding).collect();
        kernels.bind(self.kernel(), &block, &bindings, workgroups)
    }

    /// Only a convolution of the same size adds a tensor.
    const fn kernel(&self) -> Kernel {
        match (&self.added, self.size) {
            (Added::Tensor(_), _) => Kernel::ConvResidual,
            (Added::Skip(..), _) => Kernel::ConvSkip,
            (Added::Nothing, Size::Same) => Kernel::Conv,
            (Added::Nothing, Size::Halved) => Kernel::ConvHalved,
            (Added::Nothing, Size::Doubled) => Kernel::ConvDoubled,
        }
    }
}

impl Added<'_> {
    fn upload(&self, kernels: &Kernels) -> Option<Buffer> {
        let Self::Skip(channels, weights) = self else { return None };
        Some(kernels.upload("digits::skip", &packed(weights, channels.count() as usize, 1)))
    }
}

/// Weights `[outputs][inputs][taps]` as `[outputs / 8][inputs][taps][8]`, in f16. Outputs that are missing in the last
/// eight are zeros.
fn packed(weights: &[f32], inputs: usize, taps: usize) -> Vec<f16> {
    let of_output = inputs * taps;
    let outputs = weights.len() / of_output;
    let blocks = (0..outputs.div_ceil(LANES)).flat_map(|block| (0..of_output).map(move |i| (block, i)));
    let eight = |(block, i): (usize, usize)| {
        let weight = move |lane| weights.get((block * LANES + lane) * of_output + i);
        (0..LANES).map(move |lane| weight(lane).map_or(f16::ZERO, |&weight| f16::from_f32(weight)))
    };
    blocks.flat_map(eight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shader_has_the_same_workgroup() {
        for kernel in [Kernel::Conv, Kernel::ConvHalved, Kernel::ConvDoubled, Kernel::ConvResidual, Kernel::ConvSkip] {
            assert_eq!(kernel.workgroup_size(), [WORKGROUP, 1, 1], "{kernel:?}");
        }
    }

    #[test]
    fn eight_outputs_lie_side_by_side() {
        // Nine outputs of two inputs and three taps: the number names its place.
        let weights: Vec<f32> = (0..54).map(|i| i as f32).collect();
        let packed: Vec<f32> = packed(&weights, 2, 3).into_iter().map(f16::to_f32).collect();
        assert_eq!(packed.len(), 2 * 2 * 3 * 8);
        assert_eq!(packed[..8], [0.0, 6.0, 12.0, 18.0, 24.0, 30.0, 36.0, 42.0]);
        assert_eq!(packed[40..48], [5.0, 11.0, 17.0, 23.0, 29.0, 35.0, 41.0, 47.0]);
        assert_eq!(packed[48..56], [48.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

//! The numbers that timestep and class add to the channels of each block: the host's side of `embedding.wgsl`.

use crate::architecture::{EMBEDDING, Kind, LAYERS, Layer, NO_CLASS};
use crate::kernels::{Dispatch, Kernel, Kernels};
use crate::network::Times;
use crate::weights::Weights;
use networks::Calls;
use std::num::NonZero;
use tweedie::wgpu::{BindingResource, Buffer, BufferBinding};

/// The embedding of every call and all that it reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct Embedding<'a> {
    /// The class of each prediction.
    pub labels: &'a [u32],
    /// The timesteps of all calls.
    pub times: Times<'a>,
    /// The source of the call's number.
    pub calls: Calls<'a>,
    /// The output: for each prediction, a number for each of [`projected`] channels.
    pub output: &'a Buffer,
}

impl Embedding<'_> {
    /// Uploads what the kernel needs, and binds it for each call, or once if a counter names the call.
    pub fn dispatches(&self, kernels: &Kernels, weights: &Weights) -> Vec<Dispatch> {
        let (numbers, of_call) = self.times.of_call(self.labels.len());
        // A binding begins at a multiple of the alignment, so the timesteps of each call do.
        let alignment = kernels.device().limits().min_storage_buffer_offset_alignment as usize / size_of::<f32>();
        let slot = of_call.next_multiple_of(alignment.max(1));
        let padding = || std::iter::repeat_n(0.0, slot - of_call);
        let spaced: Vec<f32> = numbers.chunks(of_call).flat_map(|call| call.iter().copied().chain(padding())).collect();
        let times = kernels.upload("digits::times", &spaced);
        let zero = kernels.upload("digits::call", &[0_u32]);
        let labels = kernels.upload("digits::labels", self.labels);
        let weights = kernels.upload("digits::embedding", &packed(weights));
        let block = [of_call as u32, slot as u32, NO_CLASS + 1, projected()];
        let (counter, calls) = match self.calls {
            Calls::Counted(counter) => (counter, 1),
            Calls::Recorded => (&zero, numbers.len() / of_call),
        };
        let word = BufferBinding { buffer: counter, offset: 0, size: NonZero::new(4) };
        let bind = |call: usize| {
            let begin = (call * slot * size_of::<f32>()) as u64;
            let of_call = BufferBinding { buffer: &times, offset: begin, size: None };
            let [word, of_call] = [word.clone(), of_call].map(BindingResource::Buffer);
            let others = [&labels, &weights, self.output].map(Buffer::as_entire_binding);
            let bindings: Vec<_> = [word, of_call].into_iter().chain(others).collect();
            kernels.bind(Kernel::Embedding, &block, &bindings, [self.labels.len() as u32, 1])
        };
        (0..calls).map(bind).collect()
    }
}

/// The residual blocks, each with the place of its channels in the output.
fn blocks() -> impl Iterator<Item = (&'static Layer, u32)> {
    let blocks = LAYERS.iter().filter(|layer| layer.kind == Kind::Residual);
    blocks.scan(0, |place, layer| {
        *place += layer.channels;
        Some((layer, *place - layer.channels))
    })
}

/// Channels of all residual blocks.
pub fn projected() -> u32 {
    blocks().map(|(layer, _)| layer.channels).sum()
}

/// The place of a residual block's channels in the output.
pub fn place(name: &str) -> u32 {
    blocks().find(|(block, _)| block.name == name).map_or(0, |(_, place)| place)
}

/// The parameters in the order of the kernel. The bias of a block's first convolution is added to that of its projection.
fn packed(weights: &Weights) -> Vec<f32> {
    let units = EMBEDDING as usize;
    let of_blocks = |part: &'static str| {
        blocks().flat_map(move |(layer, _)| weights.get(&format!("{}.{part}", layer.name)).iter().copied())
    };
    let matrices: Vec<f32> = of_blocks("embed.weight").collect();
    let biases = of_blocks("embed.bias").zip(of_blocks("conv1.bias")).map(|(embed, conv)| embed + conv);
    let parts = [
        transposed(weights.get("time1.weight"), units),
        weights.get("time1.bias").to_vec(),
        transposed(weights.get("time2.weight"), units),
        weights.get("time2.bias").to_vec(),
        weights.get("classes.weight").to_vec(),
        transposed(&matrices, projected() as usize),
        biases.collect(),
    ];
    parts.concat()
}

/// A matrix of so many rows, column after column.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows;
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shader_has_an_invocation_for_each_unit() {
        assert_eq!(Kernel::Embedding.workgroup_size(), [EMBEDDING, 1, 1]);
    }

    #[test]
    fn a_matrix_is_transposed() {
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn blocks_follow_each_other() {
        assert_eq!([place("down1"), place("down2"), place("up1")], [0, 32, projected() - 32]);
    }
}

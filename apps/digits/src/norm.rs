//! Group norm and SiLU: the host's side of `norm.wgsl`.

use crate::architecture::GROUPS;
use crate::channels::{Channels, WORD};
use crate::kernels::{Dispatch, Kernel, Kernels};
use tweedie::wgpu::Buffer;

/// A group norm and all that it reads and writes.
#[derive(Debug)]
pub struct Norm<'a> {
    /// Scale of each channel.
    pub scale: &'a [f32],
    /// Shift of each channel.
    pub shift: &'a [f32],
    /// The input.
    pub input: Channels,
    /// Rows and columns.
    pub side: u32,
    /// The output: all channels in one tensor.
    pub output: &'a Buffer,
}

impl Norm<'_> {
    /// Uploads scales and shifts and binds everything, for so many samples.
    pub fn dispatch(&self, kernels: &Kernels, samples: u32) -> Dispatch {
        let pairs: Vec<[f32; 2]> = self.scale.iter().zip(self.shift).map(|(&scale, &shift)| [scale, shift]).collect();
        let scales = kernels.upload("digits::scales", &pairs);
        let ([first, second], tensors) = self.input.parts();
        let block = [first, second, self.side * self.side / WORD, self.input.count() / GROUPS];
        let bindings = [tensors[0], tensors[1], &scales, self.output].map(Buffer::as_entire_binding);
        kernels.bind(Kernel::Norm, &block, &bindings, [GROUPS, samples])
    }
}

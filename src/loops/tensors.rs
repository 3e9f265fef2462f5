//! What an application gives to a loop: its tensors, a mask, and noise.

use crate::gpu::tensor::{Shape, Tensor};
use crate::loop_error::LoopError;
use crate::math::run::run_noise::RunNoise;
use crate::noise::NoiseKey;

/// The tensors of a loop, each of the loop's shape and in any storage, unless stated otherwise.
///
/// The state of a loop is in `x`, `input`, `memory` and `momentum`; an application that gives all of them can stop, save and resume.
#[derive(Clone, Copy, Debug)]
pub struct LoopTensors<'a> {
    /// The sample in the scale of the sampler; at the end, the result.
    pub x: Tensor<'a>,
    /// The network's input: the sample in the network's scale, with the known region in it. `None` if that is `x` itself, as for flows
    /// without a mask.
    pub input: Option<Tensor<'a>>,
    /// The conditional prediction, the network's raw output.
    pub prediction: Tensor<'a>,
    /// The unconditional prediction, for guidance and for samplers that need it.
    pub unconditional: Option<Tensor<'a>>,
    /// The third prediction, for guiders that ask for one.
    pub third: Option<Tensor<'a>>,
    /// The fourth prediction, for guiders that ask for one.
    pub fourth: Option<Tensor<'a>>,
    /// True if `input` has room for two batches, one after the other, and is to hold the sample in both.
    pub is_twice: bool,
    /// The latent image to start from, which also fills the known region. `None` means zeros.
    pub latent_image: Option<Tensor<'a>>,
    /// The mask of the part that is denoised.
    pub mask: Option<LoopMask<'a>>,
    /// The clean sample of each call, after guidance and before a mask: a preview.
    pub preview: Option<Tensor<'a>>,
    /// The memory of the solver; see [`Step::memory`](crate::gpu::Step::memory). `None` for memory of the loop's own.
    pub memory: Option<Tensor<'a>>,
    /// The momentum of a guider that has some. `None` for a tensor of the loop's own.
    pub momentum: Option<Tensor<'a>>,
    /// The dimensions of the batch, `[batch, ...]`, for guiders that compare channels or positions, or take sums over the batch; for
    /// pyramids `[batch, channels, height, width]`.
    pub dims: Option<&'a [usize]>,
}

impl<'a> LoopTensors<'a> {
    /// Tensors for a network that reads `input` and writes `prediction`, without guidance and mask.
    #[must_use]
    pub const fn new(x: Tensor<'a>, input: Tensor<'a>, prediction: Tensor<'a>) -> Self {
        Self { input: Some(input), ..Self::in_place(x, prediction) }
    }

    /// Tensors for a network that reads `x` itself, as for flows, without guidance and mask.
    #[must_use]
    pub const fn in_place(x: Tensor<'a>, prediction: Tensor<'a>) -> Self {
        Self {
            x,
            input: None,
            prediction,
            unconditional: None,
            third: None,
            fourth: None,
            is_twice: false,
            latent_image: None,
            mask: None,
            preview: None,
            memory: None,
            momentum: None,
            dims: None,
        }
    }

    /// Tensors for a network that makes both predictions in one batch, `[cond | uncond]`: `input` holds the sample twice, and
    /// `predictions` the conditional predictions of the batch, then the unconditional ones, both without gaps.
    #[must_use]
    pub fn in_one_batch(shape: Shape, x: Tensor<'a>, input: Tensor<'a>, predictions: Tensor<'a>) -> Self {
        let second = predictions.at(predictions.offset + shape.total() * predictions.storage.bytes());
        Self { unconditional: Some(second), is_twice: true, ..Self::new(x, input, predictions) }
    }
}

/// The mask of the part of a sample that is denoised, in ComfyUI's convention: 1 there, 0 where the latent image is kept, or anything
/// in between. (The mask of [`Inpainting`](crate::gpu::Inpainting) is the other way round.)
#[derive(Clone, Copy, Debug)]
pub enum LoopMask<'a> {
    /// A tensor on the GPU.
    Tensor(Tensor<'a>),
    /// Numbers on the host, sample after sample, which are uploaded when the loop is made: one mask, or with differential diffusion
    /// one for each call.
    Host(&'a [f64]),
}

/// The noise of a loop.
#[derive(Debug)]
pub enum LoopNoise<'a> {
    /// Drawn in the kernels, with nothing uploaded. Draw `k` is on the key's stream plus `k`, the start on the stream before the
    /// key's. The known region has the noise of the start, or, if the sampler draws it anew, that of the stream before the start's.
    Drawn(NoiseKey),
    /// Noise of the host: what ComfyUI draws from a seed, or what the application has; see
    /// [`RunLoop::noise`](crate::math::run::RunLoop::noise). All of it is uploaded when the loop is made: 4 bytes for each
    /// element of the start, of a known region and of every row that draws, each rounded up to a multiple of 256 bytes.
    Host(RunNoise<'a>),
    /// Tensors that the application fills: `start` and `known` before the loop, `steps` whenever a call
    /// [draws](crate::LoopCall::draw).
    Tensors {
        /// The noise of the start; `None` for a run that adds none.
        start: Option<Tensor<'a>>,
        /// The noise of a known region; `None` for that of the start.
        known: Option<Tensor<'a>>,
        /// The noise of the current draw; `None` for a run that draws none.
        steps: Option<Tensor<'a>>,
    },
    /// No noise, for a run that starts from its latent image and draws nothing.
    None,
}

impl<'a> From<NoiseKey> for LoopNoise<'a> {
    fn from(key: NoiseKey) -> Self {
        Self::Drawn(key)
    }
}

impl<'a> From<RunNoise<'a>> for LoopNoise<'a> {
    fn from(noise: RunNoise<'a>) -> Self {
        Self::Host(noise)
    }
}

/// Checks how many numbers the host gives.
pub(super) fn check_count(what: &'static str, found: usize, shape: Shape) -> Result<(), LoopError> {
    let expected = shape.total();
    if found as u64 == expected { Ok(()) } else { Err(LoopError::Count { what, expected, found }) }
}

//! The sources of noise: one name for each system whose seeds are known here.
//!
//! **Theory.** A seed determines an image only together with the generator, the layout of a draw and the transform from
//! words to normals. A [`Source`] names these, as plain data; [`Source::generator`] starts a generator from a seed.
//!
//! **Practice.** [`Source::CATALOGUE`] lists the sources by name. Those with a state make their draws in order, so the order
//! must be that of the loop to reproduce. [`Source::Brownian`] and [`Source::BrownianPath`] draw between two levels instead;
//! see [`BrownianTree`](super::BrownianTree) and [`BrownianPath`](super::BrownianPath).

use super::dtype::Dtype;
use super::error::NoiseError;
use super::jax::JaxLayout;
use super::torch_cuda::CudaDevice;

/// The system whose noise is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// This library: [`NoiseKey`](super::NoiseKey). The `k`-th draw is stream `k`; dimension 0 is the batch.
    #[default]
    Tweedie,
    /// `torch.randn` on a CPU.
    TorchCpu,
    /// `torch.randn` on a CUDA device.
    TorchCuda(CudaDevice),
    /// The NV source of AUTOMATIC1111's and other web interfaces; see [`Nv`](super::Nv).
    Nv,
    /// `jax.random.normal`. A key has no state, so every draw of a shape gives the same numbers.
    Jax {
        /// The layout of the counters.
        layout: JaxLayout,
        /// JAX's 64-bit mode, in which a seed keeps its high half.
        x64: bool,
    },
    /// `numpy.random.Generator(PCG64(seed)).standard_normal`.
    NumpyPcg64,
    /// `numpy.random.RandomState(seed).randn`.
    NumpyLegacy,
    /// ComfyUI on a CPU: the first draw is the start noise, the following ones are the noise of the steps.
    Comfyui,
    /// The Brownian tree of torchsde: [`BrownianTree`](super::BrownianTree).
    Brownian,
    /// The Brownian path of this library: [`BrownianPath`](super::BrownianPath).
    BrownianPath,
}

impl Source {
    /// The name in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tweedie => "tweedie",
            Self::TorchCpu => "torch-cpu",
            Self::TorchCuda(_) => "torch-cuda",
            Self::Nv => "nv",
            Self::Jax { layout: JaxLayout::Partitionable, .. } => "jax",
            Self::Jax { layout: JaxLayout::Original, .. } => "jax-original",
            Self::NumpyPcg64 => "numpy-pcg64",
            Self::NumpyLegacy => "numpy-legacy",
            Self::Comfyui => "comfyui",
            Self::Brownian => "brownian",
            Self::BrownianPath => "brownian-path",
        }
    }

    /// The types that the source draws, its default first.
    #[must_use]
    pub const fn dtypes(self) -> &'static [Dtype] {
        match self {
            Self::Tweedie | Self::TorchCpu => &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::F64],
            Self::TorchCuda(_) | Self::Nv | Self::Jax { .. } => &[Dtype::F32, Dtype::F16, Dtype::Bf16],
            Self::NumpyPcg64 | Self::NumpyLegacy => &[Dtype::F64, Dtype::F32],
            Self::Comfyui | Self::Brownian => &[Dtype::F32],
            Self::BrownianPath => &[Dtype::F32, Dtype::F64],
        }
    }

    /// Returns `true` if the source draws noise between two levels.
    #[must_use]
    pub const fn is_of_levels(self) -> bool {
        matches!(self, Self::Brownian | Self::BrownianPath)
    }

    /// Checks that the source draws this type.
    ///
    /// # Errors
    /// [`NoiseError::Dtype`] if it does not, with the types that it draws.
    pub fn check(self, dtype: Dtype) -> Result<(), NoiseError> {
        match self.dtypes() {
            drawn if drawn.contains(&dtype) => Ok(()),
            expected => Err(NoiseError::Dtype { by: self.name(), expected, found: dtype }),
        }
    }
}

//! The sources of noise.

use super::entry::{Catalogue, Entry, Make, Values};
use super::parameter::Parameter;
use crate::noise::jax::JaxLayout;
use crate::noise::source::Source;
use crate::noise::torch_cuda::CudaDevice;

impl Source {
    /// Every source of noise.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

/// The size of a CUDA card. The defaults are those of an H100.
const CARD: &[Parameter] = &[
    Parameter::new("multiprocessors", 132.0, [1.0, 65_535.0], "streaming multiprocessors of the card").whole(),
    Parameter::new(
        "threads_per_multiprocessor",
        2048.0,
        [256.0, 65_536.0],
        "largest number of threads on each of them",
    )
    .whole(),
];

const X64: &[Parameter] =
    &[Parameter::new("x64", 0.0, [0.0, 1.0], "64-bit mode: a seed keeps its high half in the key").whole()];

const ENTRIES: &[Entry<Make<Source>>] = &[
    Entry::new("noise source", "tweedie", &[], "Philox4x32-10 keyed by seed, stream, sample and element", &[], |_| {
        Ok(Source::Tweedie)
    }),
    Entry::new("noise source", "torch-cpu", &["torch", "cpu"], "torch.randn on a CPU: MT19937", &[], |_| {
        Ok(Source::TorchCpu)
    }),
    Entry::new(
        "noise source",
        "torch-cuda",
        &["cuda", "gpu"],
        "torch.randn on a CUDA device: Philox in the layout of its multiprocessors",
        CARD,
        |values| {
            Ok(Source::TorchCuda(CudaDevice {
                multiprocessors: values.number("multiprocessors") as u32,
                threads_per_multiprocessor: values.number("threads_per_multiprocessor") as u32,
            }))
        },
    ),
    Entry::new("noise source", "nv", &["a1111-nv"], "the NV source of AUTOMATIC1111's web interface", &[], |_| {
        Ok(Source::Nv)
    }),
    Entry::new(
        "noise source",
        "jax",
        &["threefry", "jax-partitionable"],
        "jax.random.normal in the partitionable layout, JAX's default since 0.5",
        X64,
        |values| Ok(jax(JaxLayout::Partitionable, values)),
    ),
    Entry::new(
        "noise source",
        "jax-original",
        &[],
        "jax.random.normal with jax_threefry_partitionable=False",
        X64,
        |values| Ok(jax(JaxLayout::Original, values)),
    ),
    Entry::new(
        "noise source",
        "numpy-pcg64",
        &["numpy", "pcg64", "default_rng"],
        "numpy.random.default_rng(seed).standard_normal: PCG64 and a ziggurat",
        &[],
        |_| Ok(Source::NumpyPcg64),
    ),
    Entry::new(
        "noise source",
        "numpy-legacy",
        &["RandomState"],
        "numpy.random.RandomState(seed).randn: MT19937 and the polar method",
        &[],
        |_| Ok(Source::NumpyLegacy),
    ),
    Entry::new(
        "noise source",
        "comfyui",
        &["comfy"],
        "ComfyUI on a CPU: start noise of the seed, noise of the steps of seed + 1",
        &[],
        |_| Ok(Source::Comfyui),
    ),
    Entry::new(
        "noise source",
        "brownian",
        &["brownian-tree", "torchsde"],
        "the Brownian tree of torchsde and k-diffusion, between two levels",
        &[],
        |_| Ok(Source::Brownian),
    ),
    Entry::new(
        "noise source",
        "brownian-path",
        &[],
        "a stateless Brownian motion keyed by seed, sample, element and level",
        &[],
        |_| Ok(Source::BrownianPath),
    ),
];

fn jax(layout: JaxLayout, values: &Values) -> Source {
    Source::Jax { layout, x64: values.number("x64") == 1.0 }
}

//! The counters of a draw, from which a kernel can draw it.

/// The position of a counter-based generator before a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counters {
    /// torch on CUDA.
    Cuda {
        /// The key.
        seed: u64,
        /// The first call of each thread.
        call: u64,
        /// The threads of the draw.
        threads: u64,
    },
    /// The NV source.
    Nv {
        /// The key.
        seed: u64,
        /// The number of the draw.
        call: u64,
    },
    /// JAX.
    Jax {
        /// The key.
        key: [u32; 2],
        /// True for the original layout.
        original: bool,
    },
}

//! The counters from which a kernel makes a draw.

/// The state of a counter-based generator before a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counters {
    /// torch on CUDA.
    Cuda {
        /// The key.
        seed: u64,
        /// The index of each thread's first call.
        call: u64,
        /// The number of threads of the draw.
        threads: u64,
    },
    /// The NV source.
    Nv {
        /// The key.
        seed: u64,
        /// The index of the draw.
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

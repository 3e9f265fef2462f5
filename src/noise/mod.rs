//! Drawn noise: Philox4x32-10 and Box-Muller, keyed by (seed, stream, sample, element), and the noise of other systems.
//!
//! **Theory.** A counter-based generator (Salmon et al. 2011) has no state: the key is the 64-bit seed, the counter is
//!
//! ```text
//! (block of 4 elements within the sample, stream, global sample index low, high)
//! ```
//!
//! so the noise of a sample does not depend on the batch it is in, the order of samples, the dispatch shape, the device or
//! the number of machines that share the work. The words are bit-equal on every device. A word `w` becomes the uniform number
//! `u = (w + 1/2) / 2^32` and two words the normals `r sin(2 pi u')`, `r cos(2 pi u')` with `r = sqrt(-2 ln u)`; that is
//! cuRAND's conversion: its Philox sequence of a seed is our batch of samples of four elements. `|z|` is at most 6.77.
//!
//! The two highest bits of the block select the kind of draw. Noise has fewer than 2^30 blocks per sample, so the other
//! draws under the same key are independent of it: the second noise of an input perturbation, the offsets of channels, the
//! timestep, and the Brownian path.
//!
//! **Practice.** These functions are the f64 versions of `philox.wgsl` and `normal.wgsl`, with which the kernels draw noise
//! where they need it. A seed gives the same numbers in every later release; known-answer tests pin them.
//!
//! # The noise of other systems
//!
//! A [`Source`] draws on the host what torch, JAX, numpy, ComfyUI and web interfaces draw from a seed: the random words are
//! equal bit for bit, the normals up to the rounding by which those systems differ from processor to processor.
//!
//! ```text
//! source  generator                                  the sources by name; draws in order
//! torch_cpu  torch_cuda  jax  pcg64  numpy_legacy    one system each
//! comfyui  brownian_tree  slerp                      noise that interfaces derive from them
//! brownian_path                                      our own Brownian motion, without state
//! mt19937  threefry  seed_sequence  ziggurat         the building blocks
//! ```

pub(crate) mod brownian_path;
pub(crate) mod brownian_tree;
pub(crate) mod comfyui;
pub(crate) mod counters;
pub(crate) mod dtype;
pub(crate) mod error;
pub(crate) mod generator;
pub(crate) mod jax;
pub(crate) mod mt19937;
pub(crate) mod numpy_legacy;
pub(crate) mod pcg64;
pub(crate) mod perturb;
mod seed_sequence;
pub(crate) mod slerp;
pub(crate) mod source;
pub(crate) mod threefry;
pub(crate) mod torch_cpu;
pub(crate) mod torch_cuda;
mod ziggurat;

pub use brownian_path::BrownianPath;
pub use brownian_tree::BrownianTree;
pub use comfyui::ComfyNoise;
pub use dtype::{Dtype, UnknownDtype};
pub use error::NoiseError;
pub use generator::{Generator, Words};
pub use jax::{JaxKey, JaxLayout};
pub use mt19937::Mt19937;
pub use numpy_legacy::NumpyLegacy;
pub use pcg64::Pcg64;
pub use perturb::{Perturbation, PerturbedNoise};
pub use slerp::{Angle, slerp};
pub use source::Source;
pub use threefry::threefry2x32_20;
pub use torch_cpu::TorchCpu;
pub use torch_cuda::{CudaDevice, Nv, TorchCuda};

/// The first block of the noise that perturbs an input; see [`Perturbation`].
pub(crate) const PERTURBATION_BLOCK: u32 = 1 << 30;

/// The first block of the offsets of a sample's channels.
pub(crate) const OFFSET_BLOCK: u32 = 2 << 30;

/// The block whose first word decides a sample's timestep.
pub(crate) const TIMESTEP_BLOCK: u32 = 3 << 30;

/// The first block of a [Brownian path](brownian_path), beyond the two that timesteps use.
pub(crate) const PATH_BLOCK: u32 = 7 << 29;

/// Returns the 128-bit block of random words at `counter` under `key`. Counter, key and block have the least significant
/// word first.
///
/// Philox4x32 with 10 rounds, as in Random123 (Salmon et al. 2011), whose published answers it reproduces.
///
/// ```
/// let words = tweedie::gpu::noise::philox4x32_10([0; 4], [0; 2]);
/// assert_eq!(words, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub const fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    let mut round = 0;
    while round < 10 {
        let p = 0xD251_1F53_u64 * c0 as u64;
        let q = 0xCD9E_8D57_u64 * c2 as u64;
        (c0, c1, c2, c3) = ((q >> 32) as u32 ^ c1 ^ k0, q as u32, (p >> 32) as u32 ^ c3 ^ k1, p as u32);
        k0 = k0.wrapping_add(0x9E37_79B9);
        k1 = k1.wrapping_add(0xBB67_AE85);
        round += 1;
    }
    [c0, c1, c2, c3]
}

fn normals_of([a, b, c, d]: [u32; 4]) -> [f64; 4] {
    let [x, y] = NoiseKey::normal_pair(a, b);
    let [z, w] = NoiseKey::normal_pair(c, d);
    [x, y, z, w]
}

/// The key of a recording's noise: seed, stream and first sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseKey {
    /// The seed: Philox's key.
    pub seed: u64,
    /// The stream: one for each training step or sampler step. Streams of a seed are independent.
    pub stream: u32,
    /// The global index of the batch's first sample: 0, or the place where this batch begins in a larger one.
    pub first_sample: u64,
}

impl NoiseKey {
    /// The largest absolute difference between a normal drawn on a GPU and the f64 [`normal4`](Self::normal4) of the same counter.
    ///
    /// The polynomials have a relative error of 1e-7; the rest is the driver's `sqrt`: WGSL permits it a few ULP, which are
    /// 4.8e-7 each at the largest `|z|`, 6.77.
    pub const TOLERANCE: f64 = 2e-6;

    /// Returns the first `elements` standard normals of a sample, in f64: the noise that a kernel draws for it.
    ///
    /// `sample` is the sample's global index: its index in the batch plus the first sample of the [`NoiseKey`].
    pub fn normals(seed: u64, stream: u32, sample: u64, elements: usize) -> Vec<f64> {
        Self { seed, stream, first_sample: 0 }.normals_from(0, sample, elements)
    }

    /// Turns two random words into two standard normals in f64, `[r sin, r cos]`. They are always finite.
    pub fn normal_pair(radius_word: u32, turn_word: u32) -> [f64; 2] {
        const WORD: f64 = 1.0 / (1u64 << 32) as f64;
        let u = (f64::from(radius_word) + 0.5) * WORD;
        let turn = (f64::from(turn_word) + 0.5) * WORD * std::f64::consts::TAU;
        let radius = (-2.0 * u.ln()).sqrt();
        [radius * turn.sin(), radius * turn.cos()]
    }

    /// Returns the four standard normals of a block, in f64: elements `4 * block .. 4 * block + 4` of a sample.
    pub fn normal4(counter: [u32; 4], key: [u32; 2]) -> [f64; 4] {
        normals_of(philox4x32_10(counter, key))
    }

    /// Creates a key on stream 0 with samples counted from 0.
    pub const fn seed(seed: u64) -> Self {
        Self { seed, stream: 0, first_sample: 0 }
    }

    /// Returns the key on another stream.
    pub const fn stream(self, stream: u32) -> Self {
        Self { stream, ..self }
    }

    /// Returns the key for a batch whose first sample has this global index.
    pub const fn first_sample(self, first_sample: u64) -> Self {
        Self { first_sample, ..self }
    }

    /// Returns the random words of a block of a sample, given the sample's global index.
    #[must_use]
    pub const fn words_of(self, block: u32, sample: u64) -> [u32; 4] {
        let [low, high] = split(sample);
        philox4x32_10([block, self.stream, low, high], split(self.seed))
    }

    /// Returns `elements` standard normals of a sample, beginning at block `first`.
    pub(crate) fn normals_from(self, first: u32, sample: u64, elements: usize) -> Vec<f64> {
        let blocks = 0..elements.div_ceil(4);
        let normals = blocks.flat_map(|block| normals_of(self.words_of(first.wrapping_add(block as u32), sample)));
        normals.take(elements).collect()
    }

    /// The words of the uniform block `Key` of the shaders.
    pub(crate) fn words(self) -> [u32; 8] {
        let [seed_low, seed_high] = split(self.seed);
        let [low, high] = split(self.first_sample);
        [seed_low, seed_high, self.stream, 0, low, high, 0, 0]
    }

    /// Returns the f64 normals of a whole batch, sample after sample: the reference for a kernel under this key.
    pub fn reference(self, batch: usize, elements: usize) -> Vec<f64> {
        (0..batch as u64)
            .flat_map(|i| Self::normals(self.seed, self.stream, self.first_sample.wrapping_add(i), elements))
            .collect()
    }
}

const fn split(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_and_smallest_words_give_finite_normals() {
        for radius in [0, 1, u32::MAX - 1, u32::MAX] {
            for turn in [0, 1 << 29, 1 << 30, 1 << 31, u32::MAX] {
                let pair = NoiseKey::normal_pair(radius, turn);
                assert!(pair.iter().all(|z| z.is_finite() && z.abs() < 6.77), "{pair:?}");
            }
        }
    }

    /// At the word of u = e^(-1/2) the radius is 1, up to the rounding of u to a word.
    #[test]
    fn the_radius_is_the_one_of_box_muller() {
        let word = ((-0.5f64).exp() * 2f64.powi(32)) as u32;
        let [sine, cosine] = NoiseKey::normal_pair(word, 1 << 29);
        approx::assert_relative_eq!(sine.hypot(cosine), 1.0, max_relative = 1e-9);
        approx::assert_relative_eq!(sine, cosine, max_relative = 1e-8); // an eighth of a turn, plus half a word
    }

    /// The answers of an independent program. If they change, every recorded seed gives other noise.
    #[test]
    fn known_normals() {
        let found = NoiseKey::normals(0x1_2345_6789, 3, (1 << 32) + 5, 8);
        let expected = [
            -1.2532376096565836,
            -0.9701746362343008,
            -0.2878875079118184,
            0.09067256945494817,
            1.0337009227964915,
            1.4488953897212236,
            -1.2963336202622813,
            -0.5905564677010943,
        ];
        for (found, expected) in found.iter().zip(expected) {
            approx::assert_relative_eq!(*found, expected, max_relative = 1e-14); // the library's sine and logarithm
        }
    }

    #[test]
    fn a_sample_does_not_depend_on_its_batch() {
        let whole = NoiseKey::seed(7).reference(5, 6);
        let part = NoiseKey::seed(7).first_sample(3).reference(2, 6);
        assert_eq!(whole[3 * 6..], part[..]);
        assert_ne!(NoiseKey::seed(7).stream(1).reference(1, 6), whole[..6]);
    }
}

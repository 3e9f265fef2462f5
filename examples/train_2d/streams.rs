//! Streams of random numbers: each use has a stream of its own, so no two uses share a number, and a change in one place does
//! not affect another.

use tweedie::gpu::NoiseKey;

const SEED: u64 = 2015; // the year of Sohl-Dickstein et al., arXiv 1503.03585

pub const TRAINING_SET: NoiseKey = NoiseKey::seed(SEED);
/// The Gaussian that must be told apart from the data.
pub const CONTROL: NoiseKey = NoiseKey::seed(SEED).stream(1);
pub const HELD_OUT: NoiseKey = NoiseKey::seed(SEED).stream(2);
/// The first layer's; each layer has the next.
pub const WEIGHTS: NoiseKey = NoiseKey::seed(SEED).stream(100);
/// The first fresh set's; each set has the next.
pub const FRESH: NoiseKey = NoiseKey::seed(SEED).stream(200);
/// The first training step's timesteps and noise; each step has the next.
pub const TRAINING: NoiseKey = NoiseKey::seed(SEED + 1);
/// A sampler's first step; each step has the next, and the samples to start from the one before.
pub const SAMPLING: NoiseKey = NoiseKey::seed(SEED + 2).stream(1);

/// The stream `i` after this one.
pub const fn next(key: NoiseKey, i: u32) -> NoiseKey {
    key.stream(key.stream.wrapping_add(i))
}

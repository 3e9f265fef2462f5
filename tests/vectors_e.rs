//! Group E: Philox words to the bit, and normals by cuRAND's formula.

use crate::support::{Vectors, assert_within};
use tweedie::NoiseKey;
use tweedie::gpu::noise::philox4x32_10;

/// The largest difference of our normals from those of the vectors in f64: the same formula with another libm, on `|z| < 7`.
const LIBM: f64 = 1e-14;

/// The block at `counter + i`, as a 128-bit number, least significant word first.
fn block_after(counter: &[u32], i: u128, key: [u32; 2]) -> [u32; 4] {
    let number = counter.iter().rev().fold(0u128, |number, &word| (number << 32) | u128::from(word)).wrapping_add(i);
    philox4x32_10([0, 32, 64, 96].map(|shift| (number >> shift) as u32), key)
}

#[test]
fn known_answers() {
    let file = Vectors::load("E_philox4x32_10_kat");
    let [counters, keys, outputs] = ["counter", "key", "output"].map(|name| file.u32(name));
    assert_eq!(counters.len(), 70 * 4);
    for ((counter, key), output) in counters.chunks(4).zip(keys.chunks(2)).zip(outputs.chunks(4)) {
        assert_eq!(block_after(counter, 0, [key[0], key[1]]), output);
        assert_ne!(block_after(counter, 0, [key[0], key[1] ^ 1]), output);
    }
}

#[test]
fn sequences_of_counters() {
    for id in ["E_philox4x32_10_sequence", "E_philox4x32_10_carry", "E_xla_philox"] {
        let file = Vectors::load(id);
        let [counter, key, output] = ["counter", "key", "output"].map(|name| file.u32(name));
        for (i, words) in output.chunks(4).enumerate() {
            assert_eq!(block_after(&counter, i as u128, [key[0], key[1]]), words, "{id}: block {i}");
        }
    }
}

#[test]
fn the_words_and_normals_of_curand() {
    let file = Vectors::load("E_curand_host_seed42");
    let (words, normals) = (file.u32("words"), file.f64("normal_f64_ours"));
    for (i, group) in words.chunks(4).enumerate() {
        assert_eq!(philox4x32_10([0, 0, i as u32, 0], [42, 0]), group, "group {i}");
    }
    for (pair, expected) in words.chunks(2).zip(normals.chunks(2)) {
        for (found, &expected) in NoiseKey::normal_pair(pair[0], pair[1]).into_iter().zip(expected) {
            assert_within(&format!("words {pair:x?}"), found, expected, LIBM);
        }
    }
    // Groups of four are samples of four elements here, so the whole sequence is one batch.
    for (found, expected) in NoiseKey::seed(42).reference(256, 4).into_iter().zip(normals) {
        assert_within("a batch", found, expected, LIBM);
    }
}

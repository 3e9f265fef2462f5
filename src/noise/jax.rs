//! `jax.random.normal`.
//!
//! **Theory.** A key is two words, and a draw is a function of the key alone: threefry2x32 of counters. In the layout
//! that JAX calls partitionable, its default since 0.5, element `i` is the exclusive or of the two words at the counter
//! `(i >> 32, i)`. In the original layout the counters `0 .. m` (padded with a 0 if `m` is odd) are cut into two halves, which
//! are paired, and the halves of the results are joined. A normal is `sqrt(2) erfinv(x)`, `x` uniform in `(-1, 1)`:
//! ```text
//! f32: 23 high bits of a word    f16: 10 bits of 16, so 1024 values    bf16: 7 bits of 8, so 128 values
//! ```
//! The 16 or 8 bits are the low bits of an element's word; in the original layout a word is cut into them from its low end.
//!
//! **Practice.** Keys and random bits equal JAX's exactly. `erfinv` is XLA's polynomial in f32 (Giles 2010), so normals agree
//! up to the rounding of a logarithm, and those in f16 and bf16 exactly.

use super::dtype::Dtype;
use super::split;
use super::threefry::threefry2x32_20;
use half::{bf16, f16};

/// The layout of the counters of a draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum JaxLayout {
    /// `jax_threefry_partitionable=True`.
    #[default]
    Partitionable,
    /// `jax_threefry_partitionable=False`.
    Original,
}

/// A JAX key.
///
/// ```
/// use tweedie::noise::{Dtype, JaxKey, JaxLayout};
///
/// let key = JaxKey::new(42);
/// let noise = key.normals(4, Dtype::F32, JaxLayout::Partitionable); // jax.random.normal(jax.random.key(42), (4,))
/// assert!((noise[0] + 0.0283).abs() < 1e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JaxKey(pub [u32; 2]);

impl JaxKey {
    /// Creates `jax.random.key(seed)`. Without JAX's 64-bit mode a seed is reduced to its low 32 bits.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self([0, seed as u32])
    }

    /// Creates `jax.random.key(seed)` in 64-bit mode (`jax_enable_x64`): the first word is the high half of the seed.
    #[must_use]
    pub const fn of_64_bits(seed: u64) -> Self {
        let [low, high] = split(seed);
        Self([high, low])
    }

    /// Returns `jax.random.fold_in(key, data)`.
    #[must_use]
    pub const fn fold_in(self, data: u32) -> Self {
        Self(threefry2x32_20([0, data], self.0))
    }

    /// Returns the keys of `jax.random.split(key, count)`.
    #[must_use]
    pub fn split(self, count: usize, layout: JaxLayout) -> Vec<Self> {
        match layout {
            JaxLayout::Partitionable => (0..count as u64).map(|i| Self(threefry2x32_20(counter(i), self.0))).collect(),
            JaxLayout::Original => {
                let words = self.original(count.saturating_mul(2));
                words.chunks_exact(2).map(|pair| Self([pair[0], pair[1]])).collect()
            }
        }
    }

    /// Returns the random bits of a draw of `count` numbers in this type: 32 bits each for f32, 16 for f16, 8 for bf16.
    ///
    /// f64 is treated as f32, which JAX draws for it without its 64-bit mode.
    #[must_use]
    pub fn bits(self, count: usize, dtype: Dtype, layout: JaxLayout) -> Vec<u32> {
        let width = width(dtype);
        let mask = u32::MAX >> (32 - width);
        match layout {
            JaxLayout::Partitionable => {
                let word = |i: u64| {
                    let [a, b] = threefry2x32_20(counter(i), self.0);
                    (a ^ b) & mask
                };
                (0..count as u64).map(word).collect()
            }
            JaxLayout::Original => {
                let parts = 32 / width;
                let words = self.original(count.div_ceil(parts as usize));
                let cut = words.into_iter().flat_map(|word| (0..parts).map(move |part| word >> (part * width) & mask));
                cut.take(count).collect()
            }
        }
    }

    /// Returns `jax.random.normal(key, (count,), dtype)`.
    #[must_use]
    pub fn normals(self, count: usize, dtype: Dtype, layout: JaxLayout) -> Vec<f64> {
        self.bits(count, dtype, layout).into_iter().map(|bits| normal(bits, dtype)).collect()
    }

    /// The first `count` words in the original layout.
    fn original(self, count: usize) -> Vec<u32> {
        let half = count.div_ceil(2) as u64;
        let pair = |i: u64| {
            let second = half + i;
            // The counter that pads an odd count is 0.
            threefry2x32_20([i as u32, if second < count as u64 { second as u32 } else { 0 }], self.0)
        };
        let (mut words, seconds): (Vec<u32>, Vec<u32>) = (0..half).map(pair).map(|[a, b]| (a, b)).unzip();
        words.extend(seconds);
        words.truncate(count);
        words
    }
}

/// The number of random bits of an element.
const fn width(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F64 | Dtype::F32 => 32,
        Dtype::F16 => 16,
        Dtype::Bf16 => 8,
    }
}

const fn counter(i: u64) -> [u32; 2] {
    let [low, high] = split(i);
    [high, low]
}

/// The normal of an element's bits.
fn normal(bits: u32, dtype: Dtype) -> f64 {
    const SQRT2: f32 = std::f32::consts::SQRT_2;
    match dtype {
        Dtype::F64 | Dtype::F32 => {
            let low = (-1.0f32).next_up();
            let u = f32::from_bits(bits >> 9 | 1.0f32.to_bits()) - 1.0;
            f64::from(SQRT2 * erf_inv((u * (1.0 - low) + low).max(low)))
        }
        Dtype::F16 => {
            let low = f16::from_bits(f16::NEG_ONE.to_bits() - 1);
            let u = f16::from_bits((bits as u16) >> 6 | f16::ONE.to_bits()) - f16::ONE;
            let x = (u * (f16::ONE - low) + low).max(low);
            f64::from(f16::from_f32(SQRT2) * f16::from_f32(erf_inv(x.to_f32())))
        }
        Dtype::Bf16 => {
            let low = bf16::from_bits(bf16::NEG_ONE.to_bits() - 1);
            let u = bf16::from_bits((bits as u16) >> 1 | bf16::ONE.to_bits()) - bf16::ONE;
            let x = (u * (bf16::ONE - low) + low).max(low);
            f64::from(bf16::from_f32(SQRT2) * bf16::from_f32(erf_inv(x.to_f32())))
        }
    }
}

/// The inverse of the error function in f32: "Approximating the erfinv function" (Giles 2010), as XLA evaluates it.
fn erf_inv(x: f32) -> f32 {
    const NEAR: [f32; 9] = [
        2.810_226_4e-8,
        3.432_739_4e-7,
        -3.523_387_7e-6,
        -4.391_506_5e-6,
        0.000_218_580_87,
        -0.001_253_725,
        -0.004_177_681_6,
        0.246_640_73,
        1.501_409_4,
    ];
    const FAR: [f32; 9] = [
        -0.000_200_214_26,
        0.000_100_950_56,
        0.001_349_343_2,
        -0.003_673_428_4,
        0.005_739_507_7,
        -0.007_622_461_3,
        0.009_438_870_5,
        1.001_674,
        2.832_976_8,
    ];
    let w = -f64::from(-x * x).ln_1p() as f32;
    let (w, coefficients) = if w < 5.0 { (w - 2.5, NEAR) } else { (w.sqrt() - 3.0, FAR) };
    coefficients.into_iter().reduce(|sum, c| sum * w + c).unwrap_or(0.0) * x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitionable_draw_begins_as_a_longer_one() {
        let draw = |count, layout| JaxKey::new(3).bits(count, Dtype::F32, layout);
        assert_eq!(draw(5, JaxLayout::Partitionable), draw(9, JaxLayout::Partitionable)[..5]);
        assert_ne!(draw(5, JaxLayout::Original), draw(9, JaxLayout::Original)[..5]);
    }

    #[test]
    fn every_word_gives_a_finite_normal() {
        for (dtype, most) in [(Dtype::F32, 5.5), (Dtype::F16, 3.5), (Dtype::Bf16, 3.0)] {
            let normals = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, u32::MAX].map(|bits| normal(bits, dtype));
            assert!(normals.iter().all(|z| z.abs() < most), "{dtype}: {normals:?}");
        }
    }

    #[test]
    fn the_seed_keeps_its_high_half_in_64_bit_mode_alone() {
        assert_eq!(JaxKey::new((1 << 32) + 5), JaxKey([0, 5]));
        assert_eq!(JaxKey::of_64_bits((1 << 32) + 5), JaxKey([1, 5]));
        assert_eq!(JaxKey::of_64_bits(5), JaxKey::new(5));
    }
}

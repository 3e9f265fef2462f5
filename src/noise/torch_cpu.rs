//! `torch.randn` on a CPU.
//!
//! **Theory.** A Mersenne Twister seeded with the low 32 bits of the seed gives the words. A draw of 16 or more numbers takes
//! uniform numbers in order, `u = (word mod 2^24)/2^24`, and turns each block of 16 into normals (Box & Muller 1958):
//! ```text
//! r = sqrt(-2 ln(1 - u[j]))    a = 2 pi u[j+8]    z[j] = r cos a    z[j+8] = r sin a    for j < 8
//! ```
//! In f64 a uniform number has 53 bits from two words, the first of which is the high one. Where 16 does not divide the count,
//! the last 16 numbers are drawn again from 16 further uniform numbers. In f32 and f64 those follow the uniform numbers of
//! the whole count, in f16 and bf16 only those of the whole blocks.
//!
//! Fewer than 16 numbers of any type are drawn one by one in f64 from two uniform numbers of 53 bits, as
//! `sqrt(-2 ln(1 - u2)) cos(2 pi u1)`. The sine is kept for the next such number, across calls, types and large draws.
//!
//! **Practice.** The words equal torch's bit for bit. Torch's own logarithms, sines and cosines in f32 differ from processor
//! to processor by about 1e-6, and from the values here by as much. A batch in one draw differs from its samples drawn in
//! turn, unless 16 divides the size of a sample.

use super::dtype::Dtype;
use super::mt19937::Mt19937;
use std::f64::consts::TAU;

/// The number of normals in a block; smaller draws are made one by one.
const BLOCK: usize = 16;

/// torch's CPU generator, as `torch.Generator().manual_seed(seed)` creates it.
///
/// ```
/// use tweedie::noise::{Dtype, TorchCpu};
///
/// let mut generator = TorchCpu::new(42);
/// let first = generator.normals(3, Dtype::F32);
/// assert!((first[0] - 0.3367).abs() < 1e-4); // torch.manual_seed(42); torch.randn(3)
/// ```
#[derive(Clone, Debug)]
pub struct TorchCpu {
    words: Mt19937,
    /// The sine of the last pair of a small draw.
    kept: Option<f64>,
}

impl TorchCpu {
    /// Creates the generator of a seed, of which torch uses the low 32 bits.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { words: Mt19937::new(seed as u32), kept: None }
    }

    /// The number of words drawn so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.words.used()
    }

    /// A copy of the word generator, which yields the words that follow.
    pub(super) fn upcoming(&self) -> Mt19937 {
        self.words.clone()
    }

    /// Draws `count` standard normals in this type: `torch.randn(count, dtype=.., generator=..)`.
    pub fn normals(&mut self, count: usize, dtype: Dtype) -> Vec<f64> {
        if count < BLOCK {
            return (0..count).map(|_| dtype.round(self.one())).collect();
        }
        let whole = count / BLOCK * BLOCK;
        // 16-bit types draw block by block, so they consume no words for the rest.
        let drawn = if matches!(dtype, Dtype::F32 | Dtype::F64) { count } else { whole };
        let mut numbers: Vec<f64> = (0..drawn).map(|_| self.uniform(dtype)).collect();
        numbers.chunks_exact_mut(BLOCK).for_each(|block| transform(block, dtype));
        if whole < count {
            numbers.truncate(count - BLOCK);
            let mut last: Vec<f64> = (0..BLOCK).map(|_| self.uniform(dtype)).collect();
            transform(&mut last, dtype);
            numbers.extend(last);
        }
        numbers
    }

    /// One normal of a small draw.
    fn one(&mut self) -> f64 {
        if let Some(sine) = self.kept.take() {
            return sine;
        }
        let (turn, u) = (self.uniform(Dtype::F64), self.uniform(Dtype::F64));
        let radius = (-2.0 * (-u).ln_1p()).sqrt();
        let (sine, cosine) = (TAU * turn).sin_cos();
        self.kept = Some(radius * sine);
        radius * cosine
    }

    /// A uniform number in `[0, 1)`: 53 bits for f64, 24 bits for all others.
    fn uniform(&mut self, dtype: Dtype) -> f64 {
        match dtype {
            Dtype::F64 => {
                let (high, low) = (u64::from(self.words.word()), u64::from(self.words.word()));
                ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
            }
            _ => f64::from(self.words.word() & 0xFF_FFFF) / f64::from(1 << 24),
        }
    }
}

/// Replaces 16 uniform numbers by normals.
fn transform(block: &mut [f64], dtype: Dtype) {
    let (radii, turns) = block.split_at_mut(BLOCK / 2);
    for (u, v) in radii.iter_mut().zip(turns) {
        let radius = (-2.0 * (-*u).ln_1p()).sqrt();
        let (sine, cosine) = (TAU * *v).sin_cos();
        (*u, *v) = (dtype.round(radius * cosine), dtype.round(radius * sine));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_sixteen_can_be_drawn_in_turn() {
        let whole = TorchCpu::new(7).normals(48, Dtype::F32);
        let mut generator = TorchCpu::new(7);
        let turns: Vec<f64> = (0..3).flat_map(|_| generator.normals(16, Dtype::F32)).collect();
        assert_eq!(whole, turns);
        let mut generator = TorchCpu::new(7);
        let turns: Vec<f64> = (0..3).flat_map(|_| generator.normals(18, Dtype::F32)).collect();
        assert_ne!(TorchCpu::new(7).normals(54, Dtype::F32), turns);
    }

    #[test]
    fn a_rest_costs_sixteen_words_more() {
        let used = |count, dtype| {
            let mut generator = TorchCpu::new(0);
            assert_eq!(generator.normals(count, dtype).len(), count);
            generator.used()
        };
        assert_eq!([15, 16, 17].map(|n| used(n, Dtype::F32)), [32, 16, 33]);
        assert_eq!([16, 17, 33].map(|n| used(n, Dtype::Bf16)), [16, 32, 48]);
        assert_eq!([1, 16, 17].map(|n| used(n, Dtype::F64)), [4, 32, 66]);
    }

    #[test]
    fn the_high_half_of_a_seed_is_not_used() {
        assert_eq!(TorchCpu::new(5).normals(20, Dtype::F32), TorchCpu::new((1 << 32) + 5).normals(20, Dtype::F32));
    }
}

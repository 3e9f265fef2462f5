//! numpy's `Generator(PCG64(seed)).standard_normal`.
//!
//! **Theory.** PCG XSL RR 128/64 (O'Neill 2014): a linear congruential generator of 128 bits, whose output is its folded
//! state, rotated. State and increment come from a `SeedSequence`. Normals are drawn by a [ziggurat](super::ziggurat) of 256
//! layers: they take one 64-bit word in f64 and half a word in f32, or more in about one draw out of a hundred.
//!
//! **Practice.** `numpy.random.default_rng(seed)` is this generator. Words are equal bit for bit, and so are normals, except
//! those of the tail, which take a logarithm.

use super::seed_sequence::SeedSequence;
use super::ziggurat::{INVERSE_TAIL, TAIL, Ziggurat};

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;

/// numpy's `Generator(PCG64(seed))`.
///
/// ```
/// use tweedie::noise::Pcg64;
///
/// let mut generator = Pcg64::new(42);
/// assert_eq!(generator.normal(), 0.30471707975443135); // numpy.random.default_rng(42).standard_normal()
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcg64 {
    state: u128,
    increment: u128,
    /// The high half of a word of which only the low half has been used.
    kept: Option<u32>,
    used: u64,
}

impl Pcg64 {
    /// Creates the generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let sequence = SeedSequence::<4>::new(seed, &[]);
        let mut words = sequence.state();
        // Pairs of words make 64 bits, the low one first; pairs of those make 128, the high one first.
        let mut number = || {
            let [a, b, c, d] = std::array::from_fn(|_| u128::from(words.next().unwrap_or(0)));
            (b << 32 | a) << 64 | (d << 32 | c)
        };
        let (start, stream) = (number(), number());
        let increment = stream << 1 | 1;
        let state = increment.wrapping_add(start).wrapping_mul(MULTIPLIER).wrapping_add(increment);
        Self { state, increment, kept: None, used: 0 }
    }

    /// The state and the increment, as in numpy's `PCG64(seed).state`.
    #[must_use]
    pub const fn state(&self) -> [u128; 2] {
        [self.state, self.increment]
    }

    /// The number of 64-bit words drawn so far.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Draws the next 64-bit word: `random_raw`.
    pub fn word(&mut self) -> u64 {
        self.used = self.used.wrapping_add(1);
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
        ((self.state >> 64) as u64 ^ self.state as u64).rotate_right((self.state >> 122) as u32)
    }

    /// Draws half a word: first the low half, then in the next call the high one.
    fn half(&mut self) -> u32 {
        if let Some(high) = self.kept.take() {
            return high;
        }
        let word = self.word();
        self.kept = Some((word >> 32) as u32);
        word as u32
    }

    fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn uniform_f32(&mut self) -> f32 {
        (self.half() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Draws the next standard normal: `standard_normal()`.
    pub fn normal(&mut self) -> f64 {
        let layers = Ziggurat::of_f64();
        loop {
            let word = self.word();
            let (layer, mantissa) = ((word & 0xFF) as usize, word >> 9 & ((1 << 52) - 1));
            let sign = if word >> 8 & 1 == 1 { -1.0 } else { 1.0 };
            let x = mantissa as f64 * layers.unit[layer];
            if mantissa < layers.sure[layer] {
                return sign * x;
            }
            if layer == 0 {
                let x = self.beyond();
                return if mantissa >> 8 & 1 == 1 { -x } else { x };
            }
            let (above, below) = (layers.height[layer - 1], layers.height[layer]);
            if (above - below) * self.uniform() + below < (-0.5 * x * x).exp() {
                return sign * x;
            }
        }
    }

    /// Draws the next standard normal in f32: `standard_normal(dtype=float32)`.
    pub fn normal_f32(&mut self) -> f32 {
        let layers = Ziggurat::of_f32();
        loop {
            let word = self.half();
            let (layer, mantissa) = ((word & 0xFF) as usize, word >> 9 & 0x7F_FFFF);
            let sign = if word >> 8 & 1 == 1 { -1.0 } else { 1.0 };
            let x = mantissa as f32 * layers.unit[layer] as f32;
            if u64::from(mantissa) < layers.sure[layer] {
                return sign * x;
            }
            if layer == 0 {
                let x = self.beyond_f32();
                return if mantissa >> 8 & 1 == 1 { -x } else { x };
            }
            let (above, below) = (layers.height[layer - 1] as f32, layers.height[layer] as f32);
            if f64::from((above - below) * self.uniform_f32() + below) < (-0.5 * f64::from(x) * f64::from(x)).exp() {
                return sign * x;
            }
        }
    }

    /// Draws a number from the tail (Marsaglia 1964).
    fn beyond(&mut self) -> f64 {
        loop {
            let x = -INVERSE_TAIL * (-self.uniform()).ln_1p();
            let y = -(-self.uniform()).ln_1p();
            if y + y > x * x {
                return TAIL + x;
            }
        }
    }

    fn beyond_f32(&mut self) -> f32 {
        loop {
            let x = -(INVERSE_TAIL as f32) * (-self.uniform_f32()).ln_1p();
            let y = -(-self.uniform_f32()).ln_1p();
            if y + y > x * x {
                return TAIL as f32 + x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_words_wait_for_each_other_past_whole_ones() {
        let mut generator = Pcg64::new(3);
        let first = generator.clone().word();
        assert_eq!(generator.half(), first as u32);
        generator.word();
        assert_eq!(generator.half(), (first >> 32) as u32);
        assert_eq!(generator.used(), 2);
    }

    /// Moments of a hundred thousand numbers, tails included, within five deviations.
    #[test]
    fn moments_are_normal() {
        const COUNT: u32 = 100_000;
        let mut generator = Pcg64::new(1);
        let numbers: Vec<f64> =
            (0..COUNT).map(|i| if i % 2 == 0 { generator.normal() } else { generator.normal_f32().into() }).collect();
        let mean_of = |f: fn(f64) -> f64| numbers.iter().copied().map(f).sum::<f64>() / f64::from(COUNT);
        let deviation = |variance: f64| 5.0 * (variance / f64::from(COUNT)).sqrt();
        assert!(mean_of(|x| x).abs() < deviation(1.0));
        assert!((mean_of(|x| x * x) - 1.0).abs() < deviation(2.0));
        assert!((mean_of(|x| x.powi(4)) - 3.0).abs() < deviation(96.0));
        assert!(numbers.iter().any(|x| x.abs() > TAIL));
    }
}

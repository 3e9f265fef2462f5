//! numpy's `RandomState(seed).randn`.
//!
//! **Theory.** A [Mersenne Twister](super::mt19937) and Marsaglia's polar method (1964): points of the square, each of two
//! uniform numbers of 53 bits, are drawn until one lies within the unit circle, and `f = sqrt(-2 ln(r2)/r2)` scales it.
//! `f x2` comes first; `f x1` is kept for the next number, across calls.
//!
//! **Practice.** `numpy.random.seed(seed)` seeds the same generator. Words are equal bit for bit, normals up to the last digit.

use super::mt19937::Mt19937;

/// numpy's `RandomState(seed)`.
///
/// ```
/// let mut generator = tweedie::noise::NumpyLegacy::new(0);
/// assert!((generator.normal() - 1.764052345967664).abs() < 1e-14); // numpy.random.seed(0); numpy.random.randn()
/// ```
#[derive(Clone, Debug)]
pub struct NumpyLegacy {
    words: Mt19937,
    kept: Option<f64>,
}

impl NumpyLegacy {
    /// Creates the generator of a seed.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        Self { words: Mt19937::new(seed), kept: None }
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

    /// Draws the next standard normal.
    pub fn normal(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        loop {
            let (x1, x2) = (2.0 * self.words.double() - 1.0, 2.0 * self.words.double() - 1.0);
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let stretch = (-2.0 * r2.ln() / r2).sqrt();
                self.kept = Some(stretch * x1);
                return stretch * x2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_a_pair_costs_no_word() {
        let mut generator = NumpyLegacy::new(42);
        generator.normal();
        let used = generator.used();
        generator.normal();
        assert_eq!((generator.used(), used % 4), (used, 0));
    }
}

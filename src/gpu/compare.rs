//! Comparison of a kernel's output with its f64 reference.
//!
//! **Theory.** An output is `sum_i c_i x_i` with coefficients that were rounded once to f32. Its terms may cancel, so a
//! relative tolerance on the result would be wrong; the bound scales with the magnitudes of the terms:
//!
//! ```text
//! |gpu - ref| <= Comparison::ARITHMETIC * 2^-24 * sum_i |c_i x_i|  +  one rounding to the storage
//! ```
//!
//! **Practice.** [`Comparison::add`] takes outputs and references pair by pair; [`Comparison::passes`] is the verdict,
//! [`Comparison::worst_bound`] is the largest error as a share of its bound, [`Comparison::worst_ulps`] the largest in units of
//! the storage's last place.

use crate::gpu::storage::Storage;
use crate::noise::NoiseKey;

/// A reference value in f64 and the sum of the magnitudes of its terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The value.
    pub value: f64,
    /// `sum_i |c_i x_i|`.
    pub magnitude: f64,
}

impl Expected {
    /// The empty sum.
    pub(crate) const ZERO: Self = Self { value: 0.0, magnitude: 0.0 };

    /// The result of a sample without a row.
    pub(crate) const UNDEFINED: Self = Self { value: f64::NAN, magnitude: f64::NAN };

    /// The sum of two values.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { value: self.value + other.value, magnitude: self.magnitude + other.magnitude }
    }

    /// The value times an exact factor.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self { value: factor * self.value, magnitude: factor.abs() * self.magnitude }
    }

    /// The mean of values, summed pairwise so that rounding grows with the logarithm of their number.
    pub(crate) fn mean(values: &[Self]) -> Self {
        Self::sum(values).scaled(1.0 / values.len() as f64)
    }

    fn sum(values: &[Self]) -> Self {
        const FEW: usize = 8;
        if values.len() <= FEW {
            return values.iter().copied().fold(Self::ZERO, Self::plus);
        }
        let (first, second) = values.split_at(values.len() / 2);
        Self::sum(first).plus(Self::sum(second))
    }

    /// A sum of products. A coefficient of 0 hides its factor, even a NaN, as in the kernels.
    pub(crate) fn of_products(terms: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let products = terms.into_iter().filter(|(c, _)| *c != 0.0).map(|(c, x)| c * x);
        products.fold(Self::ZERO, |sum, product| sum.plus(Self { value: product, magnitude: product.abs() }))
    }
}

/// The largest errors of outputs against their references.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    storage: Storage,
    noise: f64,
    /// Elements compared.
    pub count: u64,
    /// The largest error, as a fraction of its bound. At most 1 passes.
    pub worst_bound: f64,
    /// The largest error in units of the last place of the storage, measured at the sum of magnitudes.
    pub worst_ulps: f64,
    /// The largest absolute error.
    pub worst_error: f64,
    /// Elements that are NaN or infinite where the reference is not, or the other way round.
    pub mismatched: u64,
}

impl Comparison {
    /// Below this, f32 results may be flushed to zero: some drivers do not keep subnormal numbers.
    pub const FLUSHED: f64 = 1.2e-38;

    /// Rounding errors of f32 that one output may accumulate, in units of 2^-24 of its summed magnitudes: rounding the
    /// coefficients, the products and their sum adds at most 1 each, 3 in all; a driver may or may not contract to an fma.
    pub const ARITHMETIC: f64 = 4.0;

    /// A comparison of outputs in this storage.
    pub const fn new(storage: Storage) -> Self {
        Self { storage, noise: 0.0, count: 0, worst_bound: 0.0, worst_ulps: 0.0, worst_error: 0.0, mismatched: 0 }
    }

    /// The same for outputs that hold noise drawn on the GPU, times at most this coefficient: a normal drawn there differs
    /// from the f64 one by up to [`NoiseKey::TOLERANCE`].
    pub const fn with_noise(self, largest_coefficient: f64) -> Self {
        Self { noise: NoiseKey::TOLERANCE * largest_coefficient, ..self }
    }

    /// The bound on the error of one element.
    pub fn bound(&self, expected: Expected) -> f64 {
        let arithmetic =
            Self::ARITHMETIC * Storage::F32.unit_roundoff() * expected.magnitude + Self::FLUSHED + self.noise;
        let roundings = self.storage.roundings();
        let largest = expected.value.abs() + arithmetic;
        arithmetic + roundings * (self.storage.unit_roundoff() * largest).max(self.storage.smallest_step())
    }

    /// Compares one output, as it was read back, with its reference.
    pub fn add(&mut self, output: f32, expected: Expected) {
        self.count += 1;
        let output = f64::from(output);
        let nearest = self.storage.round(expected.value);
        if expected.value.is_nan() || output.is_nan() {
            self.mismatched += u64::from(expected.value.is_nan() != output.is_nan());
            return;
        }
        let bound = self.bound(expected);
        if bound.is_nan() {
            self.mismatched += 1; // no error exceeds a bound of NaN
            return;
        }
        if output.is_infinite() || nearest.is_infinite() {
            // Beyond the range infinity is right, and at its edge the largest number and infinity are neighbours.
            let edge = self.storage.round(expected.value.abs() + bound).is_infinite();
            let same_side = (output > 0.0) == (expected.value > 0.0);
            let near = output == nearest
                || (edge && (output.is_infinite() || output.abs() * 1.001 > expected.value.abs() - bound));
            self.mismatched += u64::from(!(same_side && near));
            return;
        }
        let error = (output - expected.value).abs();
        let ulp = 2.0 * self.storage.unit_roundoff() * expected.magnitude.max(f64::MIN_POSITIVE);
        self.worst_error = self.worst_error.max(error);
        self.worst_bound = self.worst_bound.max(error / bound);
        self.worst_ulps = self.worst_ulps.max(error / ulp.max(self.storage.smallest_step()));
    }

    /// Compares outputs with references, pair by pair; each output or reference too many counts as a mismatch.
    pub fn add_all(&mut self, outputs: &[f32], expected: &[Expected]) {
        self.mismatched += outputs.len().abs_diff(expected.len()) as u64;
        for (&output, &expected) in outputs.iter().zip(expected) {
            self.add(output, expected);
        }
    }

    /// Merges another comparison of the same storage into this one.
    pub fn merge(&mut self, other: &Comparison) {
        self.count += other.count;
        self.mismatched += other.mismatched;
        self.worst_bound = self.worst_bound.max(other.worst_bound);
        self.worst_ulps = self.worst_ulps.max(other.worst_ulps);
        self.worst_error = self.worst_error.max(other.worst_error);
    }

    /// Returns `true` if something was compared and every element is inside its bound.
    pub fn passes(&self) -> bool {
        self.count > 0 && self.mismatched == 0 && self.worst_bound <= 1.0
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} elements of {}: {:.3} of the bound, {:.2} ulp, error {:.3e}, {} mismatched",
            self.count, self.storage, self.worst_bound, self.worst_ulps, self.worst_error, self.mismatched
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(value: f64) -> Expected {
        Expected { value, magnitude: value.abs() }
    }

    #[test]
    fn nothing_compared_is_no_pass() {
        assert!(!Comparison::new(Storage::F32).passes());
    }

    #[test]
    fn the_rounded_reference_passes_and_a_neighbour_further_off_does_not() {
        for storage in Storage::ALL {
            let value = 0.7312345678;
            let mut good = Comparison::new(storage);
            good.add(storage.round(value) as f32, exact(value));
            assert!(good.passes(), "{good}");
            let mut bad = Comparison::new(storage);
            bad.add(storage.round(value * (1.0 + 9.0 * storage.unit_roundoff())) as f32, exact(value));
            assert!(!bad.passes(), "{bad}");
        }
    }

    /// Truncated halves are off by up to a whole step, and always towards zero.
    #[test]
    fn truncation_to_sixteen_bits_fails() {
        for (storage, dropped) in [(Storage::F16, 13), (Storage::Bf16, 16)] {
            let mut truncated = Comparison::new(storage);
            for k in 0..1000 {
                let value = 0.1 + f64::from(k) / 777.0;
                let bits = (value as f32).to_bits() >> dropped << dropped;
                truncated.add(f32::from_bits(bits), exact(value));
            }
            assert!(!truncated.passes() && truncated.worst_bound > 1.9, "{truncated}");
        }
    }

    #[test]
    fn a_nan_is_never_inside_a_bound() {
        let mut c = Comparison::new(Storage::F32);
        c.add(f32::NAN, exact(1.0));
        assert!(!c.passes());
        let mut c = Comparison::new(Storage::F32);
        c.add(1.0, exact(f64::NAN));
        assert!(!c.passes());
        let mut c = Comparison::new(Storage::F32);
        c.add(f32::NAN, exact(f64::NAN));
        assert!(c.passes());
    }

    #[test]
    fn a_bound_of_nan_is_no_pass() {
        let mut c = Comparison::new(Storage::F32);
        c.add(1.0, Expected { value: 1.0, magnitude: f64::NAN });
        assert!(!c.passes());
    }

    #[test]
    fn overflow_of_f16_is_infinity_and_nothing_else() {
        let mut c = Comparison::new(Storage::F16);
        c.add(f32::INFINITY, exact(70000.0));
        assert!(c.passes());
        c.add(65504.0, exact(70000.0));
        assert!(!c.passes());
        let mut c = Comparison::new(Storage::F16);
        c.add(f32::INFINITY, exact(100.0));
        assert!(!c.passes());
        let mut c = Comparison::new(Storage::F16);
        c.add(f32::NEG_INFINITY, exact(70000.0));
        assert!(!c.passes());
    }

    #[test]
    fn a_count_that_differs_is_a_mismatch() {
        let mut c = Comparison::new(Storage::F32);
        c.add_all(&[1.0], &[exact(1.0), exact(2.0)]);
        assert!(!c.passes());
    }
}

//! Double-double numbers: an unevaluated sum of two f64, about 32 significant digits.
//!
//! **Theory.** The error of one IEEE addition or multiplication is itself an f64 and can be computed exactly (Dekker
//! 1971, Knuth TAOCP 4.2.2). Keeping it along with the rounded value gives a relative error of about 2^-104 per
//! operation, so that a product of ten thousand factors rounds to the f64 nearest the true product, except for rare ties.
//!
//! **Practice.** Only `+`, `-`, `*` and fused multiply-add are used, which IEEE 754 fixes to the bit: a schedule's
//! tables do not depend on the platform's mathematical library. Below about 1e-290 the low part underflows and the
//! precision falls back to that of an f64.

/// `hi + lo`, with `hi` the f64 nearest the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DoubleDouble {
    hi: f64,
    lo: f64,
}

impl DoubleDouble {
    pub(crate) const ZERO: Self = Self { hi: 0.0, lo: 0.0 };
    pub(crate) const ONE: Self = Self { hi: 1.0, lo: 0.0 };

    /// `a - b` without any error.
    pub(crate) fn difference(a: f64, b: f64) -> Self {
        Self::sum(a, -b)
    }

    /// `a + b` without any error (Knuth's TwoSum; the operands may come in any order).
    fn sum(a: f64, b: f64) -> Self {
        let hi = a + b;
        let from_b = hi - a;
        let lo = (a - (hi - from_b)) + (b - from_b);
        Self { hi, lo }
    }

    /// The nearest f64.
    pub(crate) const fn value(self) -> f64 {
        self.hi
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let high = Self::sum(self.hi, other.hi);
        let low = Self::sum(self.lo, other.lo);
        let middle = Self::sum(high.hi, high.lo + low.hi);
        Self::sum(middle.hi, middle.lo + low.lo)
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(Self { hi: -other.hi, lo: -other.lo })
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let hi = self.hi * other.hi;
        let error = self.hi.mul_add(other.hi, -hi);
        let cross = self.hi.mul_add(other.lo, self.lo * other.hi);
        Self::sum(hi, error + cross)
    }

    pub(crate) fn scaled(self, factor: f64) -> Self {
        self.times(Self { hi: factor, lo: 0.0 })
    }
}

/// `a*b - c*d` to 1.5 ulp, however much of it cancels (Kahan; Jeannerod, Louvet & Muller 2013).
pub(crate) fn difference_of_products(a: f64, b: f64, c: f64, d: f64) -> f64 {
    let product = c * d;
    let error = (-c).mul_add(d, product);
    a.mul_add(b, -product) + error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_term_survives_beside_one() {
        let sum = DoubleDouble::difference(1.0, 1e-25);
        assert_eq!(DoubleDouble::ONE.minus(sum).value(), 1e-25);
    }

    #[test]
    fn a_product_keeps_its_low_part() {
        // (1 + e)(1 - e) = 1 - e^2, whose e^2 no f64 can hold beside 1.
        let e = f64::EPSILON;
        let product = DoubleDouble::difference(1.0, -e).times(DoubleDouble::difference(1.0, e));
        assert_eq!(DoubleDouble::ONE.minus(product).value(), e * e);
    }

    #[test]
    fn equal_products_differ_by_nothing() {
        assert_eq!(difference_of_products(0.1, 0.7, 0.7, 0.1), 0.0);
    }

    #[test]
    fn a_cancelling_determinant_is_exact() {
        // (1 + e)^2 - (1 + 2e) * 1 = e^2
        let e = f64::EPSILON;
        assert_eq!(difference_of_products(1.0 + e, 1.0 + e, 1.0 + 2.0 * e, 1.0), e * e);
    }
}

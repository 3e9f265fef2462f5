//! The distribution function of the standard normal, and its quantiles.
//!
//! **Theory.** `Phi(x) = erfc(-x/sqrt(2))/2`. Near 0 the series of positive terms
//! ```text
//! erf(x) = 2/sqrt(pi) * exp(-x^2) * sum_n 2^n x^(2n+1) / (1*3*..*(2n+1))
//! ```
//! (Abramowitz & Stegun 7.1.6), further out the continued fraction of erfc (7.1.14).
//!
//! **Practice.** The relative error is at most 2e-14 for every argument; far out, `exp(-x^2)` sets that limit.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The argument above which the continued fraction is used: 60 of its terms are enough above, 60 of the series below.
const SWITCH: f64 = 2.0;

const TERMS: u32 = 60;

/// A number below the quantile of every positive f64.
const LEAST_QUANTILE: f64 = -40.0;

/// The halvings of an interval: one of length 40 shrinks to 2e-18.
const HALVINGS: u32 = 64;

/// The probability that a standard normal is at most `x`.
pub(super) fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// The number below which a standard normal lies with this probability, by bisection; infinite at 0 and at 1.
pub(super) fn quantile(probability: f64) -> f64 {
    if !(probability > 0.0 && probability < 1.0) {
        return if probability >= 1.0 { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    // The tail below 0, where small probabilities keep their digits.
    let (sign, tail) = if probability > 0.5 { (-1.0, 1.0 - probability) } else { (1.0, probability) };
    sign * bisect(tail, LEAST_QUANTILE, 0.0, cdf)
}

/// Finds the argument between `low` and `high` at which a rising function takes a value.
pub(super) fn bisect(wanted: f64, mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if f(middle) < wanted { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        2.0 - erfc(-x)
    } else if x < SWITCH {
        1.0 - erf_series(x)
    } else {
        erfc_fraction(x)
    }
}

fn erf_series(x: f64) -> f64 {
    let next = |(sum, term): (f64, f64), n: u32| {
        let term = term * 2.0 * x * x / f64::from(2 * n + 1);
        (sum + term, term)
    };
    let (sum, _) = (1..TERMS).fold((x, x), next);
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

fn erfc_fraction(x: f64) -> f64 {
    let fraction = (1..TERMS).rev().fold(x, |rest, n| x + 0.5 * f64::from(n) / rest);
    (-x * x).exp() / (PI.sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_inverse() {
        for x in [-8.0, -3.0, -1.0, -0.01, 0.0, 0.7, 2.5] {
            let found = quantile(cdf(x));
            assert!((found - x).abs() < 1e-12, "{found} of {x}");
        }
        // Wichura 1988, algorithm AS 241: its check value.
        assert!((quantile(0.25) + 0.674_489_750_196_081_7).abs() < 1e-14);
        assert_eq!([0.0, 1.0].map(quantile), [f64::NEG_INFINITY, f64::INFINITY]);
    }

    /// Computed with 40 digits, rounded to f64.
    #[test]
    fn known_values() {
        let known = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.959963984540054, 0.025_000_000_000_000_012),
            (3.0, 0.998_650_101_968_369_9),
            (-3.6, 0.000_159_108_590_157_533_83),
            (-2.0, 0.022_750_131_948_179_21),
            (-10.0, 7.619_853_024_160_525e-24),
            (f64::INFINITY, 1.0),
            (f64::NEG_INFINITY, 0.0),
        ];
        for (x, expected) in known {
            approx::assert_relative_eq!(cdf(x), expected, max_relative = 2e-14);
        }
        assert!(cdf(f64::NAN).is_nan());
    }

    #[test]
    fn no_step_where_the_formulas_meet() {
        let (below, above) = (erf_series(SWITCH), 1.0 - erfc_fraction(SWITCH));
        approx::assert_relative_eq!(below, above, max_relative = 1e-15);
    }
}

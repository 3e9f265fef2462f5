//! Quantiles of the beta distribution.
//!
//! **Theory.** The distribution function is the regularised incomplete beta function, by its continued fraction (DLMF
//! 8.17.22) where that converges fast, `x < (a+1)/(a+b+2)`, and by `I_x(a, b) = 1 - I_{1-x}(b, a)` elsewhere; the constant
//! is Lanczos' approximation of the gamma function (1964; g = 7). The quantile is its root.
//!
//! **Practice.** The absolute error is within 1e-13 for `a` and `b` within 0.1..=100: that of the distribution function, about
//! 1e-15, divided by its slope.

use std::f64::consts::PI;

/// Lanczos' coefficients for g = 7, nine terms: 15 digits.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// More terms than the fraction needs to converge for any shape that is allowed.
const MOST_TERMS: usize = 300;

/// A bound on the passes, each of which narrows the bracket; most roots take ten.
const MOST_PASSES: usize = 200;

/// `x` with `I_x(a, b) = p`, for `p` in `0..=1`.
pub(super) fn quantile(p: f64, a: f64, b: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 {
        return p.clamp(0.0, 1.0);
    }
    // Closed forms, which root finding would miss in the last bit.
    match (a, b) {
        _ if a == b && p == 0.5 => return 0.5,
        (1.0, 1.0) => return p,
        (_, 1.0) => return p.powf(1.0 / a),
        (1.0, _) => return -((-p).ln_1p() / b).exp_m1(),
        _ => {}
    }
    let scale = ln_beta(a, b);
    let (mut low, mut high, mut x) = (0.0_f64, 1.0_f64, 0.5_f64);
    for _ in 0..MOST_PASSES {
        let excess = distribution(x, a, b, scale) - p;
        if excess > 0.0 {
            high = x
        } else {
            low = x
        }
        let slope = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - scale).exp();
        let newton = x - excess / slope;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - x).abs() <= f64::EPSILON * x {
            return next;
        }
        x = next;
    }
    x
}

/// `I_x(a, b)`, given `ln B(a, b)`.
fn distribution(x: f64, a: f64, b: f64, scale: f64) -> f64 {
    let front = (a * x.ln() + b * (-x).ln_1p() - scale).exp();
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front / a * fraction(x, a, b),
        false => 1.0 - front / b * fraction(1.0 - x, b, a),
    }
}

/// The continued fraction, from the left by the modified Lentz method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let never_zero = |value: f64| if value == 0.0 { f64::MIN_POSITIVE } else { value };
    let (mut c, mut d) = (1.0, 1.0 / never_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut found = d;
    for m in 1..MOST_TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = found;
        for term in [even, odd] {
            d = 1.0 / never_zero(1.0 + term * d);
            c = never_zero(1.0 + term / c);
            found *= c * d;
        }
        if (found - before).abs() <= f64::EPSILON * found.abs() {
            break;
        }
    }
    found
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function, for `x > 0`.
fn ln_gamma(x: f64) -> f64 {
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let series = LANCZOS.iter().skip(1).enumerate().fold(LANCZOS[0], |sum, (i, c)| sum + c / (x + i as f64 + 1.0));
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error of Lanczos' approximation and of the exponential of a logarithm, over a slope of 0.05 (`a = b = 0.1`).
    const TOLERANCE: f64 = 1e-13;

    #[test]
    fn quantiles_in_closed_form() {
        for p in [1e-6_f64, 0.1, 0.3, 0.5, 0.9, 0.999] {
            // Uniform, a power, its mirror, and the arcsine distribution.
            let cases = [
                (1.0, 1.0, p),
                (3.0, 1.0, p.powf(1.0 / 3.0)),
                (1.0, 4.0, 1.0 - (1.0 - p).powf(0.25)),
                (0.5, 0.5, (0.5 * PI * p).sin().powi(2)),
            ];
            for (a, b, expected) in cases {
                let found = quantile(p, a, b);
                assert!((found - expected).abs() <= TOLERANCE, "{p} {a} {b}: {found} {expected}");
            }
        }
        assert_eq!((quantile(0.0, 0.6, 0.6), quantile(1.0, 0.6, 0.6)), (0.0, 1.0));
    }

    #[test]
    fn quantiles_are_roots_and_mirror_each_other() {
        for (a, b) in [(0.6, 0.6), (0.1, 0.1), (0.1, 100.0), (100.0, 100.0), (2.0, 5.0)] {
            for i in 1..50 {
                let p = f64::from(i) / 50.0;
                let (x, mirror) = (quantile(p, a, b), quantile(1.0 - p, b, a));
                assert!((x + mirror - 1.0).abs() <= TOLERANCE, "{a} {b} {p}: {x} {mirror}");
            }
        }
        assert_eq!(quantile(0.5, 0.6, 0.6), 0.5);
    }

    #[test]
    fn quantiles_of_scipy() {
        // scipy.stats.beta.ppf of scipy 1.17.1.
        let cases = [
            (0.9, 0.960_415_594_411_219_2),
            (1.0 / 3.0, 0.275_413_290_777_623_4),
            (0.1, 0.039_584_405_588_780_85),
            (0.02, 0.002_732_982_024_577_027),
        ];
        for (p, expected) in cases {
            assert!((quantile(p, 0.6, 0.6) - expected).abs() <= 4.0 * f64::EPSILON, "{p}");
        }
    }
}

//! The weights of values in the integral of the polynomial through them.

/// The weights of the values at `nodes`, given the integrals of the powers of the variable: one for each node, from power 0.
pub fn weights(nodes: &[f64], integrals: &[f64]) -> Vec<f64> {
    let of = |(j, &node): (usize, &f64)| -> f64 {
        // The coefficients, lowest power first, of the polynomial that is 1 at this node and 0 at the others.
        let mut basis = vec![1.0];
        for (_, &other) in nodes.iter().enumerate().filter(|(k, _)| *k != j) {
            let scale = 1.0 / (node - other);
            let mut raised = vec![0.0; basis.len() + 1];
            for (power, c) in basis.iter().enumerate() {
                raised[power] -= other * scale * c;
                raised[power + 1] += scale * c;
            }
            basis = raised;
        }
        basis.iter().zip(integrals).map(|(c, integral)| c * integral).sum()
    };
    nodes.iter().enumerate().map(of).collect()
}

/// The series is used where `|h|` is below this times the power; above it the recurrence loses at most a few digits.
const SERIES_BELOW: f64 = 1.0;

/// The number of terms of the series: `1/24!` is 2e-24.
const TERMS: usize = 24;

/// `integral_0^1 h*exp(-h*(1 - tau)) tau^i dtau` for `i` below `count`: the integrals of exponential integrators (Lu et al.
/// 2022, arXiv 2211.01095, proposition 4.1).
pub fn exponential_integrals(h: f64, count: usize) -> Vec<f64> {
    let mut found: Vec<f64> = Vec::with_capacity(count);
    for i in 0..count {
        let integral = match found.last() {
            None => -(-h).exp_m1(),
            // M_i = 1 - i*M_{i-1}/h
            Some(last) if h.abs() >= SERIES_BELOW * i as f64 => 1.0 - i as f64 * last / h,
            // h * sum_k (-h)^k * i!/(i + k + 1)!
            Some(_) => {
                let (mut term, mut sum) = (h / (i + 1) as f64, 0.0);
                for k in 0..TERMS {
                    sum += term;
                    term *= -h / (i + k + 2) as f64;
                }
                sum
            }
        };
        found.push(integral);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_polynomial_is_integrated_exactly() {
        let (nodes, m) = ([0.0, -0.7, -1.9, 1.0, -2.5], exponential_integrals(0.8, 5));
        let f = |t: f64| 1.0 - 2.0 * t + 0.5 * t * t + 3.0 * t.powi(3) - 0.25 * t.powi(4);
        let found: f64 = weights(&nodes, &m).iter().zip(nodes).map(|(w, t)| w * f(t)).sum();
        let expected = m[0] - 2.0 * m[1] + 0.5 * m[2] + 3.0 * m[3] - 0.25 * m[4];
        assert!((found - expected).abs() < 1e-13, "{found} {expected}");
    }

    #[test]
    fn the_integrals_agree_with_quadrature() {
        for h in [-3.0, -0.4, 1e-6, 0.3, 1.0, 2.5, 5.9, 8.0] {
            for (i, found) in exponential_integrals(h, 7).into_iter().enumerate() {
                let f = |t: f64| h * (-h * (1.0 - t)).exp() * t.powi(i as i32);
                let n = 20_000;
                let weight = |k: usize| [2.0, 4.0][k % 2] * if k == 0 || k == n { 0.5 } else { 1.0 };
                let expected = (0..=n).map(|k| weight(k) * f(k as f64 / n as f64)).sum::<f64>() / (3 * n) as f64;
                assert!((found - expected).abs() <= 1e-11 * expected.abs(), "h = {h}, i = {i}: {found} {expected}");
            }
        }
    }
}

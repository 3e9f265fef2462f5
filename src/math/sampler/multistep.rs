//! Integrals of the polynomial through known values of x0, the building block of multistep solvers.
//!
//! **Theory.** In `lambda = ln(alpha/sigma)` the probability flow ODE is solved by (Lu et al. 2022, arXiv 2211.01095,
//! proposition 4.1)
//! ```text
//! x' = sigma'/sigma*x + alpha' * integral_0^1 h*exp(-h*(1 - tau)) x0(tau) dtau
//! ```
//! with `x0` as a function of `tau`, the fraction of the step. Replacing it by the polynomial
//! through the x0 of several calls leaves the integrals of the powers of `tau`,
//! ```text
//! M_i = integral_0^1 h*exp(-h*(1 - tau)) tau^i dtau = h*i!*phi_{i+1}(-h)
//! ```
//! with the phi functions of exponential integrators (Hochbruck & Ostermann 2010, eq. 2.11). Solvers differ in the calls
//! that they use and in the simpler numbers by which they replace some `M_i`.
//!
//! The same holds with the roles of signal and noise exchanged, for epsilon and `-h` (Lu et al. 2022, arXiv 2206.00927,
//! proposition 3.1):
//! ```text
//! x' = alpha'/alpha*x + sigma' * sum_i M_i(-h) * (the coefficients of epsilon's polynomial)
//! ```
//!
//! **Practice.** `M_0` is `-expm1(-h)`. The others follow from `M_i = 1 - i*M_{i-1}/h`, which multiplies the error by `i/h`
//! each time, or for small `h` from their power series.

use super::grid::Step;
use super::transition::Transition;
use crate::math::error::sampler::SamplerError;
use crate::math::quantity::Quantity;

/// The quantity that a multistep solver approximates by a polynomial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// The clean sample: the data-prediction form of DPM-Solver++ and UniPC, which works with guidance and clipping.
    #[default]
    X0,
    /// The noise: DPM-Solver, and UniPC with `predict_x0 = false`. Such a sampler remembers epsilon instead of x0.
    Epsilon,
}

impl Form {
    pub(super) const fn quantity(self) -> Quantity {
        match self {
            Self::X0 => Quantity::X0,
            Self::Epsilon => Quantity::Epsilon,
        }
    }

    /// The factor of the sample.
    pub(super) fn ratio(self, step: &Step) -> f64 {
        match self {
            Self::X0 => Transition::of(step).ratio(),
            Self::Epsilon => step.to.alpha() / step.from.alpha(),
        }
    }

    /// The factor of the integrals.
    pub(super) const fn scale(self, step: &Step) -> f64 {
        match self {
            Self::X0 => step.to.alpha(),
            Self::Epsilon => step.to.sigma(),
        }
    }

    /// The step in lambda, with the sign that the integrals need.
    pub(super) fn h(self, step: &Step) -> f64 {
        match self {
            Self::X0 => Transition::of(step).h(),
            Self::Epsilon => -Transition::of(step).h(),
        }
    }

    /// The weight of a single value for the whole step; finite even where `h` is not.
    pub(super) fn constant(self, step: &Step) -> f64 {
        let added = Transition::of(step).added();
        match self {
            Self::X0 => added / step.from.sigma(),
            Self::Epsilon => -added / step.from.alpha(),
        }
    }

    /// The weights of the values at `nodes`; see [`weights`].
    pub(super) fn weights(self, step: &Step, nodes: &[f64], integrals: &[f64; MOST_NODES]) -> [f64; MOST_NODES] {
        match nodes {
            [_] => [self.constant(step), 0.0, 0.0, 0.0],
            _ => weights(nodes, integrals).map(|weight| weight * self.scale(step)),
        }
    }
}

/// The positions of the last `order` calls in units of step `k`, the current one (0) first. Fewer at the start of the loop,
/// and where a call or the end of the step is infinitely far away.
pub(super) fn nodes(steps: &[Step], k: usize, order: usize) -> Vec<f64> {
    let h = Transition::of(&steps[k]).h();
    let back = |j: usize| -Transition { from: steps[k - j].from, to: steps[k].from }.h() / h;
    let mut nodes = vec![0.0];
    for node in (1..order.min(k + 1)).map(back) {
        // A step that kept its level has left two calls at one position.
        if !h.is_finite() || !node.is_finite() || nodes.last().is_some_and(|last| node >= *last) {
            break;
        }
        nodes.push(node);
    }
    nodes
}

/// With fewer steps than this, the last ones are of lower order (Lu et al. 2022, section 4.3; as in diffusers).
pub(super) const FEW_STEPS: usize = 15;

/// The highest order of DPM-Solver++ and UniPC.
const MOST_ORDER: usize = 3;

pub(super) fn check_order(solver: &'static str, found: usize) -> Result<(), SamplerError> {
    match found {
        1..=MOST_ORDER => Ok(()),
        _ => Err(SamplerError::Order { solver, most: MOST_ORDER, found }),
    }
}

/// The most calls that a polynomial goes through: three earlier ones and the current one.
pub(super) const MOST_NODES: usize = 4;

/// Below this `|h|` the series is used: there it converges within [`TERMS`] terms, and above it the recurrence multiplies
/// the error by at most `3!/h^3`.
const SERIES_BELOW: f64 = 1.0;

/// The number of terms of the series: `1/20!` is 4e-19.
const TERMS: usize = 20;

/// `M_0 .. M_3` for a step `h` in lambda, which may be negative or infinite.
pub(super) fn integrals(h: f64) -> [f64; MOST_NODES] {
    let mut found = [-(-h).exp_m1(); MOST_NODES];
    for i in 1..MOST_NODES {
        found[i] = match h.abs() < SERIES_BELOW {
            true => series(h, i),
            false => 1.0 - i as f64 * found[i - 1] / h,
        };
    }
    found
}

/// The power series of `M_i`: `h * sum_k (-h)^k * i!/(i + k + 1)!`.
fn series(h: f64, i: usize) -> f64 {
    let first = h / (i + 1) as f64;
    let next = |term: &f64, k: usize| -term * h / (i + k + 2) as f64;
    let terms = (0..TERMS).scan(first, |term, k| {
        let now = *term;
        *term = next(term, k);
        Some(now)
    });
    terms.sum()
}

/// The weights of the values at `nodes` in the integral of the polynomial through them, given the integrals of the
/// powers of `tau`. Nodes are in units of the step: 0 is where it starts, 1 where it ends. At most four.
pub(super) fn weights(nodes: &[f64], integrals: &[f64; MOST_NODES]) -> [f64; MOST_NODES] {
    let mut found = [0.0; MOST_NODES];
    for (weight, &node) in found.iter_mut().zip(nodes) {
        let others = nodes.iter().copied().filter(|&other| other != node);
        let basis = lagrange(node, others);
        *weight = basis.iter().zip(integrals).map(|(c, m)| c * m).sum();
    }
    found
}

/// The coefficients, lowest power first, of the polynomial that is 1 at `node` and 0 at the others.
fn lagrange(node: f64, others: impl Iterator<Item = f64>) -> [f64; MOST_NODES] {
    let mut basis = [0.0; MOST_NODES];
    basis[0] = 1.0;
    for other in others {
        let scale = 1.0 / (node - other);
        for i in (0..MOST_NODES).rev() {
            let below = if i == 0 { 0.0 } else { basis[i - 1] };
            basis[i] = scale * (below - other * basis[i]);
        }
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simpson's rule with 20,000 intervals is exact to the rounding of a sum of so many terms.
    const SIMPSON: f64 = 2e-13;

    /// A few roundings of numbers below 10.
    const ROUNDINGS: f64 = 1e-14;

    fn numerically(h: f64, i: i32) -> f64 {
        let (n, f) = (20_000, |t: f64| h * (-h * (1.0 - t)).exp() * t.powi(i));
        let weight = |k: usize| {
            if k == 0 || k == n {
                1.0
            } else if k % 2 == 1 {
                4.0
            } else {
                2.0
            }
        };
        (0..=n).map(|k| weight(k) * f(k as f64 / n as f64)).sum::<f64>() / (3 * n) as f64
    }

    #[test]
    fn the_integrals_agree_with_quadrature() {
        for h in [-3.0, -1.0, -0.4, 1e-9, 1e-3, 0.3, 0.999, 1.0, 2.5, 8.0] {
            for (i, found) in integrals(h).into_iter().enumerate() {
                let expected = numerically(h, i as i32);
                assert!((found - expected).abs() <= SIMPSON * expected.abs(), "h = {h}, i = {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_series_and_the_recurrence_meet() {
        for i in 1..MOST_NODES {
            let recurrence = integrals(SERIES_BELOW)[i];
            assert!((series(SERIES_BELOW, i) - recurrence).abs() < ROUNDINGS);
        }
        assert_eq!(integrals(0.0), [0.0; MOST_NODES]);
        assert_eq!(integrals(f64::INFINITY), [1.0; MOST_NODES]);
    }

    #[test]
    fn a_polynomial_is_integrated_exactly() {
        let (nodes, m) = ([0.0, -0.7, -1.9, 1.0], integrals(0.8));
        let cubic = |t: f64| 1.0 - 2.0 * t + 0.5 * t * t + 3.0 * t * t * t;
        let found: f64 = weights(&nodes, &m).iter().zip(nodes).map(|(w, t)| w * cubic(t)).sum();
        let expected = m[0] - 2.0 * m[1] + 0.5 * m[2] + 3.0 * m[3];
        assert!((found - expected).abs() < ROUNDINGS, "{found} {expected}");
    }
}

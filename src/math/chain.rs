//! The variance-preserving Markov chain, in a form without cancellation.
//!
//! **Theory.** With `abar_t = prod_{i<=t} (1 - beta_i)` (Ho et al. 2020, arXiv 2006.11239, eq. 4), everything wanted is a
//! product or a quotient of betas, `abar` and `1 - abar`. Only the last cancels, near the clean end, if it is formed by a
//! subtraction. It has a recurrence of its own, whose terms are all positive:
//! ```text
//! 1 - abar_t = (1 - abar_{t-1}) + beta_t * abar_{t-1}
//! ```
//!
//! **Practice.** Both recurrences run in double-double arithmetic, so `abar` and `1 - abar` are correctly rounded (except
//! for rare ties and underflow) and the same to the bit on every platform. Unlike a running sum of `ln(1 - beta)`, they
//! need no logarithm, are exact at `beta = 1`, and are more accurate at the noisy end, where an ulp of the logarithm is
//! many ulps of its exponential.

use super::double_double::DoubleDouble;
use super::level::{NoiseLevel, log_ratio};
use super::posterior::Posterior;

/// The input from which a chain was built, which it holds exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Betas,
    AlphasCumprod,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chain {
    source: Source,
    betas: Vec<f64>,
    abar: Vec<DoubleDouble>,
    complement: Vec<DoubleDouble>,
}

impl Chain {
    /// Creates the chain from betas in `0..=1`.
    pub(super) fn from_betas(betas: Vec<f64>) -> Self {
        let (mut abar, mut complement) = (Vec::new(), Vec::new());
        let mut state = (DoubleDouble::ONE, DoubleDouble::ZERO);
        for &beta in &betas {
            state = step(state, beta);
            abar.push(state.0);
            complement.push(state.1);
        }
        Self { source: Source::Betas, betas, abar, complement }
    }

    /// Creates the chain from `abar` in `0..=1`, in any order.
    pub(super) fn from_alphas_cumprod(alphas_cumprod: &[f64]) -> Self {
        let previous = std::iter::once(1.0).chain(alphas_cumprod.iter().copied());
        let betas = previous.zip(alphas_cumprod).map(|(p, &a)| lost(p, a));
        Self {
            source: Source::AlphasCumprod,
            betas: betas.collect(),
            abar: exactly(alphas_cumprod, |a| DoubleDouble::difference(a, 0.0)),
            complement: exactly(alphas_cumprod, |a| DoubleDouble::difference(1.0, a)),
        }
    }

    pub(super) fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// Returns true if `abar` was given and betas were derived from it.
    pub(super) fn is_from_alphas_cumprod(&self) -> bool {
        self.source == Source::AlphasCumprod
    }

    pub(super) fn alphas_cumprod(&self) -> Vec<f64> {
        values(&self.abar)
    }

    pub(super) fn one_minus_alphas_cumprod(&self) -> Vec<f64> {
        values(&self.complement)
    }

    pub(super) fn levels(&self) -> Vec<NoiseLevel> {
        let pairs = self.abar.iter().zip(&self.complement);
        pairs.map(|(a, m)| NoiseLevel::raw(a.value().sqrt(), m.value().sqrt())).collect()
    }

    pub(super) fn log_snr(&self) -> Vec<f64> {
        let pairs = self.abar.iter().zip(&self.complement);
        pairs.map(|(a, m)| log_ratio(a.value(), m.value(), a.minus(*m).value())).collect()
    }

    /// `q(x_s | x_t, x0)` for `s < t` within the chain, or for the clean sample where `s` is `None`. `None` where the signal
    /// rises.
    pub(super) fn posterior(&self, t: usize, s: Option<usize>) -> Option<Posterior> {
        let (keep, lost) = self.transition(t, s)?;
        let (abar, noise) = match s {
            Some(s) => (self.abar[s].value(), self.complement[s].value()),
            None => (1.0, 0.0),
        };
        let total = self.complement[t].value();
        Some(Posterior::of_transition(keep, lost, abar, noise, total))
    }

    /// `abar_t/abar_s` and 1 minus it.
    fn transition(&self, t: usize, s: Option<usize>) -> Option<(f64, f64)> {
        let Some(s) = s else {
            return Some((self.abar[t].value(), self.complement[t].value()));
        };
        match self.source {
            Source::Betas => {
                let between = self.betas[s + 1..=t].iter();
                let (keep, lost) = between.fold((DoubleDouble::ONE, DoubleDouble::ZERO), |state, &b| step(state, b));
                Some((keep.value(), lost.value()))
            }
            Source::AlphasCumprod => {
                let (before, now) = (self.abar[s].value(), self.abar[t].value());
                let keep = if now == before { 1.0 } else { now / before };
                (now <= before).then(|| (keep, lost(before, now)))
            }
        }
    }
}

/// One forward step of `(abar, 1 - abar)`.
fn step((abar, complement): (DoubleDouble, DoubleDouble), beta: f64) -> (DoubleDouble, DoubleDouble) {
    let product = abar.times(DoubleDouble::difference(1.0, beta));
    // Among subnormal numbers a product can round back to where it was and never reach 0.
    let next = if product.value() < f64::MIN_POSITIVE { DoubleDouble::ZERO } else { product };
    (next, complement.plus(abar.scaled(beta)))
}

/// `1 - now/before`, by a subtraction that is exact where it cancels. Negative where the signal rises, minus infinity
/// where it rises from 0; 0 where the signal stays 0 (no step changes pure noise, so none is assumed).
fn lost(before: f64, now: f64) -> f64 {
    let change = before - now;
    if change == 0.0 { 0.0 } else { change / before }
}

fn exactly(values: &[f64], form: impl Fn(f64) -> DoubleDouble) -> Vec<DoubleDouble> {
    values.iter().map(|&value| form(value)).collect()
}

fn values(numbers: &[DoubleDouble]) -> Vec<f64> {
    numbers.iter().map(|number| number.value()).collect()
}

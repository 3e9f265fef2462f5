//! Linear combinations of the tensors that a sampler has.
//!
//! **Practice.** A solver of a diffusion ODE or SDE adds multiples of samples, clean samples and noise. Written with
//! [`Linear`], it reads as it does in its paper: `x * (to / from) + d * (1.0 - to / from)`. The coefficients of a
//! [row](crate::table::StepRow) follow from the result; see [`Recorder`](super::recorder::Recorder).

use std::ops::{Add, Mul, Sub};

/// A tensor that a combination may use. The number is the index of a network call, or of a noise in the order of draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// The sample at the start of the loop.
    Start,
    /// The sample at which the network was called.
    Sample(usize),
    /// The clean sample of a call, after guidance.
    Clean(usize),
    /// The clean sample that the unconditional prediction of a call implies.
    Unconditional(usize),
    /// A value that a call was asked to remember: the index of the call, and that of the value.
    Remembered(usize, usize),
    /// Standard normal noise.
    Noise(usize),
}

/// A sum of multiples of tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linear(Vec<(Term, f64)>);

/// A sum below this share of its summands counts as zero: the noise of a stage that cancels in the next.
const CANCELLED: f64 = 16.0 * f64::EPSILON;

impl Linear {
    /// The empty combination.
    pub const ZERO: Self = Self(Vec::new());

    /// Creates the combination that is this tensor alone.
    pub fn of(term: Term) -> Self {
        Self(vec![(term, 1.0)])
    }

    /// The coefficient of a tensor; 0 where it is not in the sum.
    pub fn coefficient(&self, wanted: Term) -> f64 {
        self.0.iter().find(|(term, _)| *term == wanted).map_or(0.0, |(_, c)| *c)
    }

    /// The terms with their coefficients, none of them 0.
    pub fn terms(&self) -> impl Iterator<Item = (Term, f64)> {
        self.0.iter().copied()
    }

    /// Returns the combination without a tensor.
    pub fn without(&self, term: Term) -> Self {
        Self(self.0.iter().filter(|(other, _)| *other != term).copied().collect())
    }

    /// Returns the combination with another one substituted for a tensor.
    pub fn with(&self, term: Term, other: &Self) -> Self {
        match self.coefficient(term) {
            0.0 => self.clone(),
            c => self.without(term) + other * c,
        }
    }

    fn plus(mut self, other: &Self, factor: f64) -> Self {
        for &(term, c) in &other.0 {
            let added = factor * c;
            match self.0.iter_mut().find(|(known, _)| *known == term) {
                Some((_, sum)) => {
                    let size = sum.abs().max(added.abs());
                    *sum += added;
                    if sum.abs() <= CANCELLED * size {
                        *sum = 0.0;
                    }
                }
                None => self.0.push((term, added)),
            }
        }
        self.0.retain(|(_, c)| *c != 0.0);
        self
    }
}

impl Add for Linear {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus(&other, 1.0)
    }
}

impl Sub for Linear {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.plus(&other, -1.0)
    }
}

impl Sub for &Linear {
    type Output = Linear;

    fn sub(self, other: Self) -> Linear {
        self.clone().plus(other, -1.0)
    }
}

impl Mul<f64> for Linear {
    type Output = Self;

    fn mul(mut self, factor: f64) -> Self {
        self.0.iter_mut().for_each(|(_, c)| *c *= factor);
        self.0.retain(|(_, c)| *c != 0.0);
        self
    }
}

impl Mul<f64> for &Linear {
    type Output = Linear;

    fn mul(self, factor: f64) -> Linear {
        self.clone() * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_add_and_cancel() {
        let [x, d] = [Term::Sample(0), Term::Clean(0)].map(Linear::of);
        let sum = &x * 0.3 + &d * 0.7 - &x * 0.1;
        assert!((sum.coefficient(Term::Sample(0)) - 0.2).abs() < 1e-15);
        assert_eq!(sum.coefficient(Term::Noise(3)), 0.0);
        // In floating point 0.1 + 0.2 is not 0.3, but the rest counts as zero.
        let none = &x * 0.1 + &x * 0.2 - &x * 0.3;
        assert_eq!(none, Linear::ZERO);
        assert_eq!((&x - &x).terms().count(), 0);
        let replaced = sum.with(Term::Clean(0), &(&x * 2.0));
        assert!((replaced.coefficient(Term::Sample(0)) - 1.6).abs() < 1e-15);
    }
}

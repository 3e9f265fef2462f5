//! The forward analysis of a run: tensors with the largest errors that their elements may have.

use tweedie::Storage;
use tweedie::gpu::compare::{Comparison, Expected};

/// Roundings of a product in a sum, in units of f32's unit roundoff: of its coefficient, of its factor and of itself. Each term of the
/// sum adds one more.
const ROUNDINGS: f64 = 3.0;

/// A tensor with the largest errors that its elements may have.
#[derive(Clone, Debug, Default)]
pub struct Inexact {
    pub values: Vec<f64>,
    /// Largest absolute errors.
    pub errors: Vec<f64>,
}

impl Inexact {
    /// Exact numbers after this many roundings to f32.
    pub fn rounded(values: Vec<f64>, roundings: f64) -> Self {
        let errors = values.iter().map(|x| roundings * Storage::F32.unit_roundoff() * x.abs()).collect();
        Self { values, errors }
    }

    /// A sum of products in f32.
    pub fn sum(terms: &[(f64, &Self)]) -> Self {
        let terms: Vec<_> = terms.iter().filter(|(c, _)| *c != 0.0).collect();
        let roundings = (ROUNDINGS + terms.len() as f64) * Storage::F32.unit_roundoff();
        let count = terms.iter().map(|(_, it)| it.values.len()).max().unwrap_or(0);
        // A prediction that is not used is empty.
        let at = |list: &[f64], i: usize| list.get(i).copied().unwrap_or(0.0);
        let value = |i: usize| terms.iter().map(|(c, it)| c * at(&it.values, i)).sum();
        let error = |i: usize| {
            let of =
                |(c, it): &&(f64, &Self)| (c * at(&it.errors, i)).abs() + roundings * (c * at(&it.values, i)).abs();
            terms.iter().map(of).sum()
        };
        let errors = (0..count).map(error).collect();
        Self { values: (0..count).map(value).collect(), errors }
    }
}

/// Compares a result of the GPU with a recorded one, where each element may be off by its bound.
pub fn compared(found: &[f32], recorded: &[f64], bounds: &[f64]) -> Comparison {
    let mut comparison = Comparison::new(Storage::F32);
    let unit = Comparison::ARITHMETIC * Storage::F32.unit_roundoff();
    let expected = recorded.iter().zip(bounds).map(|(&value, bound)| Expected { value, magnitude: bound / unit });
    comparison.add_all(found, &expected.collect::<Vec<_>>());
    comparison
}

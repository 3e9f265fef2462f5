//! Errors of noise sources.

use super::dtype::Dtype;
use thiserror::Error;

/// Errors of drawing noise.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A type that the source does not draw.
    #[error("{by} draws {expected}, not {found}", expected = listed(.expected))]
    Dtype {
        /// The source.
        by: &'static str,
        /// The types that it draws.
        expected: &'static [Dtype],
        /// The type that was asked for.
        found: Dtype,
    },
    /// More numbers than a draw may have.
    #[error("expected a draw of at most {most} numbers, found the shape {shape:?}")]
    TooLarge {
        /// The largest number of elements.
        most: usize,
        /// The shape that was asked for.
        shape: Vec<usize>,
    },
    /// A seed beyond what the source takes.
    #[error("{by} takes seeds up to {most}, found {found}")]
    Seed {
        /// The source.
        by: &'static str,
        /// The largest seed.
        most: u64,
        /// The seed given.
        found: u64,
    },
    /// A number outside its range.
    #[error("expected {what} {range}, found {found}")]
    Value {
        /// The number.
        what: &'static str,
        /// The accepted range.
        range: &'static str,
        /// The number given.
        found: f64,
    },
    /// A shape that an operation has no meaning for.
    #[error("expected {expected}, found the shape {shape:?}")]
    Shape {
        /// The shapes that are accepted, in words.
        expected: &'static str,
        /// The shape given.
        shape: Vec<usize>,
    },
    /// A kind of draw that the source does not have: without levels where it draws between two, or from a JAX key.
    #[error("{by} draws {how}")]
    Kind {
        /// The source.
        by: &'static str,
        /// The way in which it draws.
        how: &'static str,
    },
    /// A list whose length is not the batch.
    #[error("expected {expected} {what}, one per sample, found {found}")]
    Count {
        /// The entries of the list.
        what: &'static str,
        /// The samples.
        expected: usize,
        /// The length of the list.
        found: usize,
    },
}

fn listed(dtypes: &[Dtype]) -> String {
    dtypes.iter().map(|dtype| dtype.name()).collect::<Vec<_>>().join(", ")
}

/// The most numbers of a draw: 2 GiB as the doubles that a draw returns.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;

/// The number of elements of a shape, if a draw may have so many.
pub(super) fn check_size(shape: &[usize]) -> Result<usize, NoiseError> {
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let too_large = || NoiseError::TooLarge { most: MAX_ELEMENTS, shape: shape.to_vec() };
    count.filter(|&count| count <= MAX_ELEMENTS).ok_or_else(too_large)
}

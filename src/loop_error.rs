//! Errors of recorded loops.

use thiserror::Error;

/// The reason for which a run cannot be recorded as a loop, or a call of it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LoopError {
    /// A run whose calls cannot be recorded ahead.
    #[error("{what} cannot be recorded ahead: use {instead}")]
    Unsupported {
        /// The part of the run.
        what: &'static str,
        /// The type that does it instead.
        instead: &'static str,
    },
    /// A tensor that the run needs.
    #[error("expected a tensor `{tensor}`: {reason}")]
    Missing {
        /// The field of [`LoopTensors`](crate::LoopTensors), or of [`LoopNoise::Tensors`](crate::LoopNoise::Tensors).
        tensor: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// Numbers of the host that do not fit the shape of the loop.
    #[error("{what}: expected {expected} numbers, as many as the shape has, found {found}")]
    Count {
        /// The numbers.
        what: &'static str,
        /// The elements of the shape.
        expected: u64,
        /// The numbers that were given.
        found: usize,
    },
    /// Dimensions that are not those of the batch.
    #[error("expected dims [batch, ...] of {batch} samples of {elements} elements, found {found:?}")]
    Dims {
        /// The samples of the loop.
        batch: u32,
        /// The elements of each.
        elements: u32,
        /// The dimensions.
        found: Vec<usize>,
    },
    /// Loops of different numbers of calls that were to be recorded together.
    #[error("expected {expected} calls in each of the loops that are recorded together, found {found}")]
    Calls {
        /// The calls of the first loop.
        expected: usize,
        /// The calls of another.
        found: usize,
    },
    /// A call that the loop does not have.
    #[error("expected a call below {calls}, found {found}")]
    Call {
        /// The calls of the loop.
        calls: usize,
        /// The call that was asked for.
        found: usize,
    },
}

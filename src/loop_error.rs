//! Errors of loops around a network.

use thiserror::Error;

/// The reason why a run cannot be recorded as a loop, or a call cannot be made.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LoopError {
    /// Something that this kind of loop cannot record.
    #[error("{what} cannot be recorded in this loop: use {instead}")]
    Unsupported {
        /// The part of the run.
        what: &'static str,
        /// What to use instead: a type, a function or a setting.
        instead: &'static str,
    },
    /// A tensor that the run needs and that is not given.
    #[error("expected `{tensor}`, found none: {reason}")]
    Missing {
        /// The field of [`LoopTensors`](crate::LoopTensors), or of [`LoopNoise::Tensors`](crate::LoopNoise::Tensors).
        tensor: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// Numbers of the host that do not fit the shape of the loop.
    #[error("{what}: expected {expected} numbers for the loop's shape, found {found}")]
    Count {
        /// The meaning of the numbers: `mask`, `noise`, `conditional` ...
        what: &'static str,
        /// The number that fits the shape.
        expected: u64,
        /// The number that was given.
        found: usize,
    },
    /// Dimensions that are not those of the batch.
    #[error("dims: expected [{batch}, ...] with {elements} elements in each sample, found {found:?}")]
    Dims {
        /// The samples of the loop.
        batch: u32,
        /// The elements of each.
        elements: u32,
        /// The dimensions.
        found: Vec<usize>,
    },
    /// Loops with different numbers of calls that were to be recorded together.
    #[error("expected {expected} calls in each of the loops that are recorded together, found {found}")]
    Calls {
        /// The calls of the first loop.
        expected: usize,
        /// The calls of another loop.
        found: usize,
    },
    /// A call that the loop does not have.
    #[error("expected a call below {calls}, found {found}")]
    Call {
        /// The calls of the loop.
        calls: usize,
        /// The requested call.
        found: usize,
    },
}

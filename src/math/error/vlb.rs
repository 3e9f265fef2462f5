//! Errors of the variational bound.

use crate::math::model_variance::ModelVariance;
use crate::math::quantity::Undefined;
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of computing a term of the variational bound.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum VlbError {
    /// The prediction does not determine x0.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// There is no posterior, or no such timestep.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A fixed variance where a learned one is needed.
    #[error("expected a learned variance, found {found:?}")]
    Fixed {
        /// The variance given.
        found: ModelVariance,
    },
    /// Tensors of one sample that differ in size.
    #[error("{name}: expected {expected} elements, as many as x0 has, found {found}")]
    Elements {
        /// The tensor.
        name: &'static str,
        /// The elements of x0.
        expected: usize,
        /// The elements of the tensor.
        found: usize,
    },
}

//! Errors of conversion tables.

use crate::math::quantity::Undefined;
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of building a table of posterior means.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RowError {
    /// The prediction does not determine x0.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// There is no posterior.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

//! Errors of conversion tables.

use super::schedule::ScheduleError;
use crate::math::quantity::Undefined;
use thiserror::Error;

/// Why a posterior table cannot be built.
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

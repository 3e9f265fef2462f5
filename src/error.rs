//! The errors of the library: one type for a whole application, and the errors of the mathematics.

#[cfg(feature = "run-files")]
pub use crate::guider_file::GuiderFileError;
pub use crate::loop_error::LoopError;
pub use crate::math::error::conversion::RowError;
pub use crate::math::error::draw::DrawError;
pub use crate::math::error::guidance::GuidanceError;
pub use crate::math::error::loss::LossError;
pub use crate::math::error::sampler::SamplerError;
pub use crate::math::error::vlb::VlbError;
pub use crate::math::quantity::Undefined;
pub use crate::math::schedule_error::ScheduleError;

use crate::gpu::error::PlanError;
use crate::gpu::record_error::RecordError;
use crate::math::catalog::error::CatalogError;
use crate::math::run::error::RunError;

/// Any error between a schedule and a recording, for applications that want one error type.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The schedule cannot be built or does not have the requested table.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The quantity is not determined at some timestep.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// The sampler cannot be built.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A catalogue has no such entry, or the entry cannot be built.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The predictions do not fit the guidance.
    #[error(transparent)]
    Guidance(#[from] GuidanceError),
    /// The loss has no value.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// The variational bound has no value.
    #[error(transparent)]
    Vlb(#[from] VlbError),
    /// The distribution of timesteps cannot be built.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// The distribution of timesteps and the schedule have different numbers of timesteps.
    #[error("expected a distribution over the schedule's {expected} timesteps, found one over {found}")]
    Density {
        /// The schedule's timesteps.
        expected: usize,
        /// The distribution's timesteps.
        found: usize,
    },
    /// The run cannot be made, or its noise cannot be drawn.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run cannot be recorded as a loop.
    #[error(transparent)]
    Loop(#[from] LoopError),
    /// The plan cannot be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The recording cannot be made.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl From<RowError> for Error {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Undefined(undefined) => Self::Undefined(undefined),
            RowError::Schedule(schedule) => Self::Schedule(schedule),
        }
    }
}

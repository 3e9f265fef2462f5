//! Errors of the mathematics: small enums that say what was expected and what was found.

pub(crate) mod conversion;
pub(crate) mod draw;
pub(crate) mod loss;
pub(crate) mod sampler;
pub(crate) mod vlb;

pub use conversion::RowError;
pub use draw::DrawError;
pub use loss::LossError;
pub use sampler::SamplerError;
pub use vlb::VlbError;

pub use super::quantity::Undefined;
pub use super::schedule_error::ScheduleError;

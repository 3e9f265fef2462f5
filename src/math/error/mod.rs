//! Errors of the mathematics: small enums that say what was expected and what was found.

pub(in crate::math) mod conversion;
pub(in crate::math) mod draw;
pub(in crate::math) mod loss;
pub(in crate::math) mod sampler;
pub(in crate::math) mod vlb;

pub use conversion::RowError;
pub use draw::DrawError;
pub use loss::{LossError, WeightError};
pub use sampler::SamplerError;
pub use vlb::VlbError;

pub use super::quantity::{Undefined, UnknownQuantity};
pub use super::schedule_error::ScheduleError;

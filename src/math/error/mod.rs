//! Errors of the mathematics: small enums that say what was expected and what was found.

pub(crate) mod conversion;
pub(crate) mod draw;
pub(crate) mod guidance;
pub(crate) mod loss;
pub(crate) mod sampler;
pub(crate) mod vlb;

//! From tensors to dispatches: what a plan checks, lays out, uploads and records.

pub(crate) mod builder;
pub(crate) mod job;
pub(crate) mod layout;
pub(crate) mod narrow;
pub(crate) mod plan;
pub(crate) mod reduce;
pub(crate) mod sums;
pub(crate) mod tables;
pub(crate) mod window;

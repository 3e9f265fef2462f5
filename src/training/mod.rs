//! Training: the work around the network in a training step.

pub(crate) mod request;
pub(crate) mod step;

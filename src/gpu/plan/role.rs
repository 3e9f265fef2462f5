//! The roles of the caller's memory in a plan.

use crate::gpu::shader::slots::SLOTS;

/// A role of the caller's memory: a slot of the op, or one of the words below.
pub(crate) type Role = usize;

pub(crate) const TIMESTEPS: Role = SLOTS;
pub(crate) const SEEDS: Role = SLOTS + 1;
/// The results that a plan writes: the sums of samples, the timesteps of a draw, a mask, or a finished mixture.
pub(crate) const RESULTS: Role = SLOTS + 2;
/// The mean of the sums.
pub(crate) const MEAN: Role = SLOTS + 3;
/// The factor of the gradients, and its counts.
pub(crate) const SCALER: Role = SLOTS + 4;
/// The number of roles.
pub(crate) const ROLES: usize = SLOTS + 5;

//! Errors of losses and their weights.

use crate::math::quantity::{Quantity, Undefined};
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Why there is no weight for a loss.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WeightError {
    /// A parameter outside its range.
    #[error("the weight {weight}: {name} must be {range}, found {value}")]
    Parameter {
        /// The weight.
        weight: &'static str,
        /// The parameter.
        name: &'static str,
        /// What is accepted.
        range: &'static str,
        /// What was given.
        value: f64,
    },
    /// A weight that grows beyond all bounds, or does not exist, at a timestep.
    #[error(
        "the weight {weight} of a loss on {on} has no finite value at timestep {timestep}, where alpha = {alpha:e}, \
         sigma = {sigma:e}"
    )]
    Infinite {
        /// The weight.
        weight: &'static str,
        /// What the loss is on.
        on: Quantity,
        /// The timestep.
        timestep: usize,
        /// The signal's coefficient there.
        alpha: f64,
        /// The noise's coefficient there.
        sigma: f64,
    },
    /// A table of weights that is not as long as the schedule.
    #[error("a table of weights needs one for each of {expected} timesteps, found {found}")]
    Length {
        /// The timesteps of the schedule.
        expected: usize,
        /// The weights given.
        found: usize,
    },
    /// An entry of a table of weights that is negative or not finite.
    #[error("a weight must be finite and at least 0, found {value} at timestep {timestep}")]
    Entry {
        /// The timestep.
        timestep: usize,
        /// What stands there.
        value: f64,
    },
    /// A timestep that the schedule does not have.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

/// Why there are no coefficients for a loss.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LossError {
    /// What the network predicts does not determine what the loss is on, or that has no target.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// The weight.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// A loss on the noisy sample.
    #[error("a loss on x_t says nothing about a prediction: the network is given x_t")]
    Observation,
}

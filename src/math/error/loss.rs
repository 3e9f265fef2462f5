//! Errors of losses and their weights.

use crate::few::few;
use crate::math::quantity::{Quantity, Undefined};
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of the coefficients and the weights of a loss.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LossError {
    /// The prediction does not determine the quantity that the loss measures, or that quantity has no target.
    #[error(transparent)]
    Undefined(#[from] Undefined),
    /// A loss on the noisy sample.
    #[error("a loss on x_t does not depend on the prediction: x_t is the input of the network")]
    Observation,
    /// A parameter outside its range.
    #[error("the weight {weight}: {name} must be {range}, found {value}", value = few(.value))]
    Parameter {
        /// The weight.
        weight: &'static str,
        /// The parameter.
        name: &'static str,
        /// The accepted range.
        range: &'static str,
        /// The value given.
        value: f64,
    },
    /// A weight that is infinite or undefined at a timestep.
    #[error("the weight {weight} of a loss on {on} has no finite value at timestep {timestep}, where alpha = {alpha}, \
         sigma = {sigma}", alpha = few(.alpha), sigma = few(.sigma))]
    Infinite {
        /// The weight.
        weight: &'static str,
        /// The quantity that the loss measures.
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
    #[error("a weight must be finite and at least 0, found {value} at timestep {timestep}", value = few(.value))]
    Entry {
        /// The timestep.
        timestep: usize,
        /// The weight at that timestep.
        value: f64,
    },
    /// A timestep that the schedule does not have.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

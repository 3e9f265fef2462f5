//! Errors of timestep distributions.

use crate::few::few;
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of drawing timesteps or noise levels.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A parameter outside its range.
    #[error("{name} must be {range}, found {value}", value = few(.value))]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The accepted range.
        range: &'static str,
        /// The value given.
        value: f64,
    },
    /// A probability that is negative or not finite.
    #[error("a probability must be finite and at least 0, found {value} at timestep {timestep}", value = few(.value))]
    Probability {
        /// The timestep.
        timestep: usize,
        /// The probability at that timestep.
        value: f64,
    },
    /// No timestep has any probability.
    #[error("every timestep has probability 0")]
    Nothing,
    /// Noise levels that do not rise, so that there is no nearest one.
    #[error("the ratio of noise to signal must rise with the timestep, and does not at timestep {timestep}")]
    Order {
        /// The timestep that is not noisier than the one before.
        timestep: usize,
    },
    /// A loss that is not finite.
    #[error("a loss must be finite, found {value} at timestep {timestep}", value = few(.value))]
    Loss {
        /// The timestep.
        timestep: usize,
        /// The value given.
        value: f64,
    },
    /// The number of losses is not the number of timesteps.
    #[error("expected {expected} losses, one for each timestep, found {found}")]
    Losses {
        /// The timesteps given.
        expected: usize,
        /// The losses given.
        found: usize,
    },
    /// The number of timesteps, or a timestep, is out of range.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

//! What can be wrong with a configuration.

use crate::math::error::{SamplerError, ScheduleError};
use thiserror::Error;

/// Why a configuration of diffusers gives no sampler.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or not an object.
    #[error("expected the JSON of a scheduler's options: {reason}")]
    Json {
        /// What the parser said.
        reason: String,
    },
    /// Nothing says which scheduler it is.
    #[error("expected an option `_class_name` that names the scheduler, found none")]
    NoClass,
    /// A scheduler that does not exist here.
    #[error("_class_name: expected one of {expected}, found {found}")]
    Class {
        /// The supported classes, separated by commas.
        expected: String,
        /// The class.
        found: String,
    },
    /// A name that is no option of any scheduler.
    #[error("{class} has no option `{option}`, nor has any other scheduler")]
    UnknownOption {
        /// The class.
        class: String,
        /// What was found.
        option: String,
    },
    /// A value that the option does not have, or that is not supported.
    #[error("{option}: expected {expected}, found {found}")]
    Value {
        /// The option.
        option: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something asked of a run that the scheduler cannot do.
    #[error("{option}: this scheduler has no use for it")]
    Unused {
        /// What was asked for.
        option: &'static str,
    },
    /// Options that exclude each other.
    #[error("{first} and {second} exclude each other")]
    Contradiction {
        /// An option that is on.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// The options describe no schedule.
    #[error("the schedule of the configuration: {0}")]
    Schedule(#[from] ScheduleError),
    /// The options describe no sampler.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

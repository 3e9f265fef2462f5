//! Errors of reading a configuration.

use crate::math::catalog::error::CatalogError;
use crate::math::error::sampler::SamplerError;
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of reading a configuration of diffusers, and of building its sampler.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Not JSON, or not an object.
    #[error("expected the JSON of a scheduler's options: {reason}")]
    Json {
        /// The parser's message.
        reason: String,
    },
    /// The option that names the scheduler is missing.
    #[error("expected an option `_class_name` that names the scheduler, found none")]
    NoClass,
    /// A scheduler class that is not supported.
    #[error("_class_name: expected one of {expected}, found {found}")]
    Class {
        /// The supported classes, separated by commas.
        expected: String,
        /// The class.
        found: String,
    },
    /// A name that is not an option of any scheduler.
    #[error("{class} has no option `{option}`, nor has any other scheduler")]
    UnknownOption {
        /// The class.
        class: String,
        /// The unknown name.
        option: String,
    },
    /// A value that an option cannot have, or that is not supported.
    #[error("{option}: expected {expected}, found {found}")]
    Value {
        /// The option.
        option: String,
        /// The accepted values.
        expected: String,
        /// The value in the file or in the run.
        found: String,
    },
    /// A field of the run that the scheduler does not use.
    #[error("{option}: this scheduler does not use it")]
    Unused {
        /// The field of the run.
        option: &'static str,
    },
    /// Options that exclude each other.
    #[error("{first} and {second} exclude each other")]
    Contradiction {
        /// An option that is on.
        first: &'static str,
        /// Another option that is on.
        second: &'static str,
    },
    /// The options describe no schedule.
    #[error("the schedule of the configuration: {0}")]
    Schedule(#[from] ScheduleError),
    /// The options describe no sampler.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The options contradict each other, or the run does not fit them.
    #[error(transparent)]
    Catalog(CatalogError),
}

impl From<CatalogError> for ConfigError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Schedule(error) => Self::Schedule(error),
            CatalogError::Sampler(error) => Self::Sampler(error),
            error => Self::Catalog(error),
        }
    }
}

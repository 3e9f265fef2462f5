//! Errors of reading a run file.

use crate::guider_file::GuiderFileError;
use crate::math::run::error::RunError;
use thiserror::Error;

/// The reason why a run file cannot be read.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RunFileError {
    /// Not JSON, or not an object.
    #[error("expected the JSON of a run: {reason}")]
    Json {
        /// The parser's message.
        reason: String,
    },
    /// A key that the object does not have.
    #[error("{place} has no key `{key}`; it has {known}")]
    Key {
        /// The object: `a run`, `a model` or `a node`.
        place: &'static str,
        /// The key.
        key: String,
        /// The keys that it can have.
        known: String,
    },
    /// A value of the wrong type, or one that its key cannot have.
    #[error("{key}: expected {expected}, found {found}")]
    Value {
        /// The key.
        key: String,
        /// The values that it can have.
        expected: String,
        /// The value in the file.
        found: String,
    },
    /// Two keys for the same thing.
    #[error("{first} and {second} exclude each other")]
    Contradiction {
        /// A key.
        first: &'static str,
        /// Another key.
        second: &'static str,
    },
    /// Guidance that describes no guider.
    #[error(transparent)]
    Guidance(#[from] GuiderFileError),
    /// A model that does not exist or cannot have these settings.
    #[error("model: {0}")]
    Model(#[source] RunError),
}

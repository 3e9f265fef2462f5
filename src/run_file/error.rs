//! Errors of reading a run file.

use crate::guider_file::GuiderFileError;
use crate::math::run::error::RunError;
use thiserror::Error;

/// The reason for which a run file cannot be read.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RunFileError {
    /// Not JSON, or not an object.
    #[error("expected the JSON of a run: {reason}")]
    Json {
        /// The parser's message.
        reason: String,
    },
    /// A key that no run has.
    #[error("{place} has no key `{key}`; it has {known}")]
    Key {
        /// The object that the key stands in: `a run`.
        place: &'static str,
        /// The key.
        key: String,
        /// The keys that there are.
        known: String,
    },
    /// A value of another kind than its key has.
    #[error("{key}: expected {expected}, found {found}")]
    Value {
        /// The key.
        key: String,
        /// The values that it can have.
        expected: String,
        /// The value in the file.
        found: String,
    },
    /// Keys that say different things about one fact.
    #[error("{first} and {second} exclude each other")]
    Contradiction {
        /// A key.
        first: &'static str,
        /// Another key.
        second: &'static str,
    },
    /// Unknown guidance.
    #[error(transparent)]
    Guidance(#[from] GuiderFileError),
    /// An unknown model.
    #[error("model: {0}")]
    Model(#[source] RunError),
}

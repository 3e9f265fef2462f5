//! Errors of reading a workflow.

use super::error::RunFileError;
use crate::math::run::error::RunError;
use thiserror::Error;

/// The reason for which a workflow of ComfyUI gives no run.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum WorkflowError {
    /// Not JSON.
    #[error("expected the JSON of a workflow: {reason}")]
    Json {
        /// The parser's message.
        reason: String,
    },
    /// JSON without nodes.
    #[error(
        "expected a workflow in its API form, an object of nodes with a class_type each (in ComfyUI: Export (API))"
    )]
    NoWorkflow,
    /// A PNG without a workflow.
    #[error("expected a PNG with a workflow of ComfyUI in it: {reason}")]
    Png {
        /// The fault of it.
        reason: String,
    },
    /// No sampler node.
    #[error("the workflow has no KSampler, KSamplerAdvanced, SamplerCustom or SamplerCustomAdvanced")]
    NoSampler,
    /// Several sampler nodes.
    #[error("the workflow has several sampler nodes: name one of {samplers}")]
    Several {
        /// Their ids.
        samplers: String,
    },
    /// An id of another node.
    #[error("node {id} is no sampler node; these are: {samplers}")]
    NotASampler {
        /// The id that was asked for.
        id: String,
        /// The ids of sampler nodes.
        samplers: String,
    },
    /// A link to a node that is not there.
    #[error("the workflow has no node {id} with a class_type and inputs")]
    Missing {
        /// The id.
        id: String,
    },
    /// Links that come back to where they began.
    #[error("the links of node {id} lead in a circle")]
    Circle {
        /// A node of it.
        id: String,
    },
    /// A node that is not understood.
    #[error("node {id}, {class}, is not known as {expected}")]
    Unknown {
        /// The thing that is looked for.
        expected: &'static str,
        /// The class of the node.
        class: String,
        /// Its id.
        id: String,
    },
    /// An input of another kind.
    #[error("input {input} of node {id}, {class}: expected {expected}, found {found}")]
    Input {
        /// The input.
        input: String,
        /// The class of the node.
        class: String,
        /// Its id.
        id: String,
        /// The values that it can have.
        expected: &'static str,
        /// The value in the workflow.
        found: String,
    },
    /// A checkpoint of an unknown kind.
    #[error("a workflow does not say of what kind a checkpoint is: expected the model of {checkpoint}")]
    Checkpoint {
        /// The name of the checkpoint.
        checkpoint: String,
    },
    /// Two kinds of guidance that exclude each other.
    #[error("the guidance of {first} and that of {second} exclude each other")]
    TwoGuidances {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Settings of a model that it does not have.
    #[error("model: {0}")]
    Model(#[from] RunError),
    /// An option of another kind.
    #[error(transparent)]
    Value(#[from] RunFileError),
}

//! Errors of reading a workflow.

use super::error::RunFileError;
use crate::math::run::error::RunError;
use thiserror::Error;

/// The reason why no run can be read from a workflow of ComfyUI.
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
        /// What is wrong with the file.
        reason: String,
    },
    /// No sampler node.
    #[error("the workflow has no KSampler, KSamplerAdvanced, SamplerCustom or SamplerCustomAdvanced")]
    NoSampler,
    /// Several sampler nodes, and no choice of one.
    #[error("the workflow has several sampler nodes: name one of {samplers}")]
    Several {
        /// Their ids.
        samplers: String,
    },
    /// An id that is not that of a sampler node.
    #[error("node {id} is not a sampler node; the sampler nodes are: {samplers}")]
    NotASampler {
        /// The requested id.
        id: String,
        /// The ids of sampler nodes.
        samplers: String,
    },
    /// A link to a node that does not exist.
    #[error("the workflow has no node {id} with a class_type and inputs")]
    Missing {
        /// The id.
        id: String,
    },
    /// Links that form a cycle, or a chain of too many links.
    #[error("the links of node {id} form a cycle, or too long a chain")]
    Circle {
        /// The node at which following the links began or ended.
        id: String,
    },
    /// A node of a class that is not supported in its place.
    #[error("node {id}: expected {expected}, found {class}, which is not supported there")]
    Unknown {
        /// The kind of node that belongs there.
        expected: &'static str,
        /// The class of the node.
        class: String,
        /// Its id.
        id: String,
    },
    /// An input that is missing or has the wrong type.
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
    /// A checkpoint whose model is not given.
    #[error("a workflow does not say which model a checkpoint holds: expected the model of {checkpoint}, found none")]
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
    /// Settings that the model cannot have.
    #[error("model: {0}")]
    Model(#[from] RunError),
    /// An option of the wrong type.
    #[error(transparent)]
    Value(#[from] RunFileError),
}

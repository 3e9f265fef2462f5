//! The errors of this crate.

use crate::architecture::NO_CLASS;
use tweedie::Quantity;
use tweedie::headless::HeadlessError;

/// Weights that are not those of this network, or a request that it cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigitsError {
    /// Not a safetensors file, or a damaged one.
    #[error("expected weights as safetensors: {reason}")]
    File {
        /// The reader's reason.
        reason: String,
    },
    /// A parameter of the network is not in the file.
    #[error("expected a tensor `{name}` of shape {shape:?}, found none")]
    Missing {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A tensor that the network does not have.
    #[error("expected the parameters of this network alone, found a tensor `{name}`")]
    Unexpected {
        /// The tensor.
        name: String,
    },
    /// A parameter of another shape.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The network's.
        expected: Vec<usize>,
        /// The file's.
        found: Vec<usize>,
    },
    /// A parameter of another type.
    #[error("tensor `{name}`: expected F16, found {found}")]
    Type {
        /// The parameter.
        name: String,
        /// The file's type.
        found: safetensors::Dtype,
    },
    /// A parameter that is infinite or no number.
    #[error("tensor `{name}`: expected finite numbers, found {found} at {index}")]
    NotFinite {
        /// The parameter.
        name: String,
        /// The place in it.
        index: usize,
        /// The number there.
        found: f32,
    },
    /// The file does not say what its network predicts.
    #[error("expected `prediction` in the file's metadata to be v, x0 or epsilon, found {}", .found.as_deref().unwrap_or("none"))]
    Prediction {
        /// The file's own word for it.
        found: Option<String>,
    },
    /// No network was trained for this prediction.
    #[error("expected a prediction that a network was trained for (v, x0 or epsilon), found {found}")]
    Untrained {
        /// The prediction that was asked for.
        found: Quantity,
    },
    /// A label that is no digit.
    #[error("expected labels from 0 to 9, or {NO_CLASS} for none, found {found}")]
    Label {
        /// The label.
        found: u32,
    },
    /// A number of predictions that a device cannot hold, or that is no multiple of the number of samples.
    #[error("expected a label for each of {samples} samples, or a multiple of so many, at most {most}, found {found}")]
    Labels {
        /// The samples.
        samples: u32,
        /// The most predictions that fit.
        most: u64,
        /// The labels.
        found: usize,
    },
    /// A list of timesteps that is empty, or does not have one for each prediction of each call.
    #[error("expected finite timesteps, {expected} for each call, found {found} numbers")]
    Times {
        /// Timesteps of a call.
        expected: usize,
        /// Finite numbers in the list.
        found: usize,
    },
    /// A buffer that is too small.
    #[error("buffer of `{what}`: expected at least {expected} bytes, found {found}")]
    Buffer {
        /// Its content.
        what: &'static str,
        /// Bytes needed.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// A device whose shaders may not have as many storage buffers as a kernel needs.
    #[error("expected a device with {expected} storage buffers per shader stage, found one with {found}")]
    StorageBuffers {
        /// Those of the largest kernel.
        expected: u32,
        /// The device's limit.
        found: u32,
    },
    /// A call that has no timestep.
    #[error("expected a call below {calls}, found {found}")]
    Call {
        /// The calls that have one.
        calls: u32,
        /// The call.
        found: u32,
    },
    /// A sampler that does not lead from noise to pictures within the calls that it may make.
    #[error("expected a sampler that leads from noise to pictures within {calls} calls, found {name}")]
    Sampler {
        /// The sampler.
        name: &'static str,
        /// The calls.
        calls: usize,
    },
    /// The schedule, the sampler or a plan cannot be made.
    #[error(transparent)]
    Tweedie(#[from] tweedie::Error),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] HeadlessError),
}

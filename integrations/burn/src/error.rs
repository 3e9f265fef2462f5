//! Errors between a Burn tensor and a recording.

use burn::tensor::DType;

/// The reason why an operation on Burn tensors cannot be made. Nothing has been recorded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor of another device than the bridge's.
    #[error("{tensor}: expected a tensor on {expected}, found one on {found}")]
    Device {
        /// The tensor's role: `x0`, `prediction` ...
        tensor: &'static str,
        /// The bridge's device.
        expected: String,
        /// The tensor's.
        found: String,
    },
    /// A tensor of a backend that keeps no wgpu buffers.
    #[error("{tensor}: expected a tensor of Burn's wgpu backend: {found}")]
    Backend {
        /// The tensor's role.
        tensor: &'static str,
        /// Burn's description of it.
        found: String,
    },
    /// Elements of a type that tweedie does not read.
    #[error("{tensor}: expected elements of {expected}, found {found:?}")]
    Elements {
        /// The tensor's role.
        tensor: &'static str,
        /// The types that are read.
        expected: &'static str,
        /// The type that was found.
        found: DType,
    },
    /// A tensor whose shape does not fit the others.
    #[error("{tensor}: expected the shape {expected:?}, found {found:?}")]
    Shape {
        /// The tensor's role.
        tensor: &'static str,
        /// The shape that it must have.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// More samples or elements of a sample than a `u32` counts, or none.
    #[error("{tensor}: expected 1 to 2^32 - 1 samples of 1 to 2^32 - 1 elements each, found the shape {found:?}")]
    Extent {
        /// The tensor's role.
        tensor: &'static str,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A tensor to be written that is not contiguous.
    #[error("{tensor}: expected a contiguous tensor, to be written in place, found one that is not contiguous")]
    Gaps {
        /// The tensor's role.
        tensor: &'static str,
    },
    /// Burn has failed to compute the tensor, or has lost its device.
    #[error("{tensor}: Burn has no buffer for it: {reason}")]
    Server {
        /// The tensor's role.
        tensor: &'static str,
        /// Burn's reason.
        reason: String,
    },
    /// A step after the sampler's last.
    #[error("expected at most {calls} steps, one for each call of the sampler, found one more")]
    Finished {
        /// The number of the sampler's network calls.
        calls: usize,
    },
    /// An error of tweedie.
    #[error(transparent)]
    Tweedie(#[from] tweedie::Error),
}

macro_rules! from_tweedie {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Tweedie(error.into())
            }
        }
    )*};
}

from_tweedie!(
    tweedie::gpu::PlanError,
    tweedie::gpu::RecordError,
    tweedie::error::LossError,
    tweedie::error::Undefined,
    tweedie::error::ScheduleError
);

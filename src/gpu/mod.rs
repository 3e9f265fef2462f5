//! The GPU wing: kernels that apply tables of coefficients to buffers.
//!
//! It knows tensors, storage types and tables of rows; it knows no schedule and no name of a prediction. The
//! [front](crate::Diffusion) joins it with the [mathematics](crate::math).

pub mod compare;
mod context;
mod error;
pub mod map;
pub mod noise;
mod source;
mod storage;
mod tensor;
mod window;

pub use context::Context;
pub use error::{PlanError, RecordError};
pub use map::{At, Drawn, Map, MapPlan, Second, Timesteps};
pub use noise::NoiseKey;
pub use storage::{Storage, UnknownStorage};
pub use tensor::{Shape, Tensor};

/// Every WGSL text that a plan can be made of, with a name: for validation and for other compilers, without a GPU.
pub fn every_shader() -> Vec<(String, String)> {
    source::every_source()
        .into_iter()
        .enumerate()
        .map(|(i, source)| (format!("{}_{i:03}", source.walk.entry_point()), source.compose()))
        .collect()
}

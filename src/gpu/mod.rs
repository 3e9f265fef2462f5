//! The GPU wing: kernels that apply tables of coefficients to buffers.
//!
//! It knows tensors, storage types and tables of rows; it knows no schedule and no name of a prediction. The
//! [front](crate::Diffusion) joins it with the [mathematics](crate::math).

mod build;
pub mod compare;
mod context;
mod error;
mod every;
mod finish;
mod gather;
mod glue;
mod kernel;
mod layout;
pub mod loss;
pub mod map;
mod op;
mod plan;
mod reduce;
mod source;
pub mod step;
mod storage;
mod tensor;
mod timesteps;
mod upload;
mod window;

pub use crate::noise;

pub use context::Context;
pub use error::{PlanError, RecordError};
pub use loss::{Loss, LossPlan, Of};
pub use map::{At, Drawn, Map, MapPlan, Perturbed, Second, Timesteps};
pub use noise::NoiseKey;
pub use plan::Recordable;
pub use step::{Counter, DrawnNoise, Health, Known, Noise, Rules, Step, StepPlan};
pub use storage::{Storage, UnknownStorage};
pub use tensor::{Shape, Tensor};
pub use timesteps::{TimestepDraw, TimestepPlan};

/// The WGSL of every kind of plan (walk, kind of rows, storage, inputs given, drawn or in place, outputs), each with its
/// entry point: for validation and for other compilers, without a GPU.
pub fn every_shader() -> Vec<(&'static str, String)> {
    let composed = every::every_source().into_iter().map(|source| (source.walk.entry_point(), source.compose()));
    let small = [
        ("draw_timesteps", timesteps::shader()),
        ("advance", step::Counter::SHADER.to_owned()),
        ("gather_rows", gather::SHADER.to_owned()),
    ];
    let finishes = finish::Finish::ALL.into_iter().map(|finish| (finish.name(), finish.compose()));
    composed.chain(small).chain(finishes).collect()
}

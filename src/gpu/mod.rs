//! The GPU wing: kernels that apply tables of coefficients to buffers.
//!
//! It knows tensors, storage types and tables of rows; it knows no schedule and no name of a prediction. The
//! [front](crate::Diffusion) joins it with the [mathematics](crate::math).

pub mod compare;
mod context;
mod counter;
mod draw_timesteps;
mod error;
pub mod loss;
pub mod map;
mod plan;
mod recordable;
mod shader;
pub mod step;
mod storage;
mod tensor;
pub mod vlb;

pub use crate::noise;

pub use context::Context;
pub use counter::Counter;
pub use draw_timesteps::{TimestepDraw, TimestepPlan};
pub use error::{PlanError, RecordError};
pub use loss::{Loss, LossPlan, Of};
pub use map::{At, Drawn, Map, MapPlan, Perturbed, Second, Timesteps};
pub use noise::NoiseKey;
pub use recordable::Recordable;
pub use shader::catalog::{ComposedShader, every_shader};
pub use step::{DrawnNoise, Health, Known, Noise, Rules, Step, StepPlan};
pub use storage::{Storage, UnknownStorage};
pub use tensor::{Shape, Tensor};
pub use vlb::{ChainPlan, ChainTerms, VlbInputs, VlbPlan, VlbTerms};

//! The GPU half: kernels that apply tables of coefficients to buffers.
//!
//! It works with tensors, storage types and tables of rows, and knows nothing of schedules or of what a prediction means. The
//! [front](crate::Noising) joins it with the [mathematics](crate::math).
//!
//! A plan is made by an op ([`map`], [`loss`], [`vlb`], [`step`], [`guide`]) and recorded into the caller's compute pass. Each op
//! has an f64 reference, and [`compare`] bounds the difference. [`SourceDraw`] fills a buffer with the noise of another system.

pub(crate) mod adaptive;
pub mod compare;
pub(crate) mod context;
pub(crate) mod counter;
pub(crate) mod differential_mask;
pub(crate) mod draw_timesteps;
pub(crate) mod error;
pub mod guide;
pub(crate) mod guide_finish;
pub(crate) mod guide_pyramid;
pub(crate) mod inputs;
pub(crate) mod latent_preview;
pub mod loss;
pub mod map;
pub(crate) mod pipeline;
pub(crate) mod pixels;
pub(crate) mod plan;
pub(crate) mod record_error;
pub(crate) mod shader;
pub(crate) mod source_draw;
pub(crate) mod standalone_pass;
pub mod step;
pub(crate) mod storage;
pub(crate) mod tensor;
pub(crate) mod texture;
pub mod vlb;
pub(crate) mod warm_up;

pub use crate::noise;

pub use context::Context;
pub use counter::Counter;
pub use draw_timesteps::TimestepDraw;
pub use error::PlanError;
#[doc(inline)]
pub use guide::Guide;
pub use guide_finish::GuideFinish;
pub use inputs::{Drawn, Gradient, GradientScale, Groups, Noise, Perturbed, Recording, Reduction, Timesteps};
pub use latent_preview::{LatentPreview, PreviewPlan};
#[doc(inline)]
pub use loss::Loss;
#[doc(inline)]
pub use map::Map;
#[doc(inline)]
pub use noise::NoiseKey;
pub use pixels::{PixelBuffer, PixelConversion, PixelDepth, PixelLayout, PixelPlan, PixelRounding};
pub use plan::plan::Plan;
pub use plan::rows::PlanRow;
pub use record_error::RecordError;
pub use shader::every_shader::{ComposedShader, every_shader};
pub use source_draw::SourceDraw;
#[doc(inline)]
pub use step::{CleanStats, Inpainting, Step, StepOptions};
pub use storage::{Storage, UnknownStorage};
pub use tensor::{Shape, Tensor};
#[doc(inline)]
pub use vlb::{VlbInputs, VlbLoop, VlbLoopTerms, VlbTerms};
pub use warm_up::{WarmUp, WarmUpError};

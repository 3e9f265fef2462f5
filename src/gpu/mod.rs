//! The GPU wing: kernels that apply tables of coefficients to buffers.
//!
//! It knows tensors, storage types and tables of rows; it knows no schedule and no name of a prediction. The
//! [front](crate::Diffusion) joins it with the [mathematics](crate::math).

pub mod bound;
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
mod sums;
mod tensor;
mod timesteps;
mod upload;
mod window;

use source::{Draw, Native, Rows};

pub use crate::noise;

pub use bound::{BoundInputs, BoundPlan, BoundTerms, ChainPlan, ChainTerms};
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

/// A composed shader, as [`every_shader`] lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComposedShader {
    /// Its only entry point.
    pub entry_point: &'static str,
    /// The WGSL.
    pub text: String,
    /// Whether its pipeline asks for cleared workgroup memory.
    pub clears_workgroup_memory: bool,
    /// Whether it is for devices with `SHADER_INT64` alone.
    pub int64: bool,
}

impl ComposedShader {
    /// Its entry point and a hash of its text: what `TWEEDIE_DUMP_WGSL` names its file.
    pub fn name(&self) -> String {
        context::shader_name(self.entry_point, &self.text)
    }
}

/// The shader of every kind of plan (walk, kind of rows, storage, inputs given, drawn or in place, outputs): for validation
/// and for other compilers, without a GPU. Plans of the same kind share a text, so some are listed more than once.
pub fn every_shader() -> Vec<ComposedShader> {
    let composed = every::every_source().into_iter().flat_map(|source| {
        // What 64-bit integers change is the same for every kind of row.
        let (draws, lanes) = (source.draw != Draw::No, source.walk.unit() == 4);
        let one = source.rows == Rows::Batch;
        let variants = [(true, false, false), (one && draws, true, false), (one && lanes, true, true)];
        let variants = variants.into_iter().filter(|(present, ..)| *present);
        variants.map(move |(_, int64, wide)| ComposedShader {
            entry_point: source.walk.entry_point(),
            text: source.compose(Native { int64, wide }),
            clears_workgroup_memory: source.clears_workgroup_memory(),
            int64,
        })
    });
    let small = [
        ("draw_timesteps", timesteps::shader()),
        ("advance", step::Counter::SHADER.to_owned()),
        ("gather_rows", gather::SHADER.to_owned()),
    ];
    let finishes = finish::Finish::ALL.into_iter().map(|finish| (finish.name(), finish.compose()));
    let small = small.into_iter().chain(finishes).map(|(entry_point, text)| ComposedShader {
        entry_point,
        text,
        clears_workgroup_memory: false,
        int64: false,
    });
    composed.chain(small).collect()
}

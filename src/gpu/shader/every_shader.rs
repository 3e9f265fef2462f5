//! Every shader that a plan can ask for, as text: for validation and for other compilers, without a GPU.

use crate::gpu::shader::catalog::every_variant;
use crate::gpu::shader::compose::{Native, shader_name};
use crate::gpu::shader::variant::{Draw, Rows};
use crate::gpu::shader::{fold, standalone};

/// A composed shader, as [`every_shader`] lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComposedShader {
    /// Its only entry point.
    pub entry_point: &'static str,
    /// The WGSL.
    pub text: String,
    /// True if its pipeline asks for cleared workgroup memory.
    pub clears_workgroup_memory: bool,
    /// True if only devices with `SHADER_INT64` can run it.
    pub int64: bool,
}

impl ComposedShader {
    /// Its entry point and a hash of its text: what `TWEEDIE_DUMP_WGSL` names its file.
    pub fn name(&self) -> String {
        shader_name(self.entry_point, &self.text)
    }
}

/// The shader of every kind of plan (walk, kind of rows, storage, inputs given, drawn or in place, outputs): for validation
/// and for other compilers, without a GPU. Plans of the same kind share a text, so some are listed more than once.
pub fn every_shader() -> Vec<ComposedShader> {
    let composed = every_variant().into_iter().flat_map(|variant| {
        // What 64-bit integers change is the same for every kind of row.
        let (draws, lanes) = (variant.draw != Draw::No, variant.walk.unit() == 4);
        let one = variant.rows == Rows::Batch;
        let variants = [(true, false, false), (one && draws, true, false), (one && lanes, true, true)];
        let variants = variants.into_iter().filter(|(present, ..)| *present);
        variants.map(move |(_, int64, wide)| ComposedShader {
            entry_point: variant.walk.entry_point(),
            text: variant.compose(Native { int64, wide }),
            clears_workgroup_memory: variant.clears_workgroup_memory(),
            int64,
        })
    });
    let small = [
        (standalone::DRAW_TIMESTEPS[0], standalone::draw_timesteps(false)),
        (standalone::DRAW_TIMESTEPS[1], standalone::draw_timesteps(true)),
        ("advance", standalone::advance()),
        ("gather_rows", standalone::gather_rows()),
    ];
    let folds = fold::Fold::ALL.into_iter().map(|fold| (fold.name(), fold.compose()));
    let small = small.into_iter().chain(folds).map(|(entry_point, text)| ComposedShader {
        entry_point,
        text,
        clears_workgroup_memory: false,
        int64: false,
    });
    composed.chain(small).collect()
}

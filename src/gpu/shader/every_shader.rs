//! Every shader that a plan can need, as text: for validation and for other compilers, without a GPU.

use crate::gpu::shader::catalog::every_variant;
use crate::gpu::shader::compose::{Native, shader_name};
use crate::gpu::shader::pixels::PixelKernel;
use crate::gpu::shader::standalone::{FinishKernel, PyramidKernel};
use crate::gpu::shader::variant::{Draw, Rows};
use crate::gpu::shader::{fold, standalone};
use crate::gpu::storage::Storage;

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
    /// True if only devices with `SHADER_F16` can run it.
    pub f16: bool,
}

impl ComposedShader {
    /// Its entry point and a hash of its text. `TWEEDIE_DUMP_WGSL` gives its file this name.
    pub fn name(&self) -> String {
        shader_name(self.entry_point, &self.text)
    }
}

/// Composes the shader of every kind of plan (walk, kind of rows, storage, inputs given, drawn or in place, outputs), for
/// validation and for other compilers, without a GPU. Different kinds may share a text, so some are listed more than once.
pub fn every_shader() -> Vec<ComposedShader> {
    let composed = every_variant().into_iter().flat_map(|variant| {
        // 64-bit integers and 16-bit numbers change the same lines for every kind of row.
        let (draws, lanes) = (variant.draw != Draw::No, variant.walk.unit() == 4);
        let one = variant.rows == Rows::Batch;
        let halves = lanes && variant.has_storage(Storage::F16);
        let native = |int64, f16, wide| Native { int64, f16, wide };
        let natives = [
            (true, native(false, false, false)),
            (one && draws, native(true, false, false)),
            (one && (lanes || variant.walk.reduces()), native(true, false, true)),
            (one && halves, native(false, true, false)),
        ];
        let natives = natives.into_iter().filter(|(present, _)| *present);
        natives.map(move |(_, native)| ComposedShader {
            entry_point: variant.walk.entry_point(),
            text: variant.compose(native),
            clears_workgroup_memory: variant.clears_workgroup_memory(),
            int64: native.int64,
            f16: native.f16,
        })
    });
    let small = [
        (standalone::DRAW_TIMESTEPS[0], standalone::draw_timesteps(false)),
        (standalone::DRAW_TIMESTEPS[1], standalone::draw_timesteps(true)),
        ("advance", standalone::advance()),
        ("choose_step", standalone::choose_step()),
        ("draw_source", standalone::draw_source()),
        ("gather_rows", standalone::gather_rows()),
        ("step_error", standalone::step_error()),
    ];
    let folds = fold::Fold::ALL.into_iter().map(|fold| (fold.name(), fold.compose()));
    let finishes = FinishKernel::ALL.into_iter().map(|kernel| (kernel.name(), kernel.compose()));
    let pyramids = PyramidKernel::ALL.into_iter().map(|kernel| (kernel.name(), kernel.compose()));
    let masks = Storage::ALL.map(|it| (standalone::differential_mask_name(it), standalone::differential_mask(it)));
    let small = small.into_iter().chain(folds).chain(finishes).chain(pyramids).chain(masks).chain(PixelKernel::every());
    let small = small.map(|(entry_point, text)| ComposedShader {
        entry_point,
        text,
        clears_workgroup_memory: false,
        int64: false,
        f16: false,
    });
    composed.chain(small).collect()
}

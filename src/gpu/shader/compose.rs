//! Composing the WGSL of a kernel: whole files from `shaders/`, and what differs from plan to plan.
//!
//! The files name no storage type and no access mode. Written here are a plan's bindings, the `load_*` or `store_*`
//! function of each tensor, and how an op's inputs and outputs are read and written through them; see [`crate::gpu::shader::access`].
//! `TWEEDIE_DUMP_WGSL=DIR` makes every composed shader a file in `DIR`.

use crate::gpu::shader::access::Access;
use crate::gpu::shader::bindings::{HEALTH_BINDING, SEEDS_BINDING, TIMESTEPS_BINDING, access};
use crate::gpu::shader::op::{NEEDS_NOISE, Op, StepVariant};
use crate::gpu::shader::params::VECTORS;
use crate::gpu::shader::standalone::{PHILOX, PRODUCT_WORDS};
use crate::gpu::shader::variant::{Draw, Operand, Rows, Variant, Walk};
use crate::gpu::storage::Storage;

/// What shaders use beyond WebGPU where a device has it, as far as it was measured to be faster there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Native {
    /// 64-bit integers (`SHADER_INT64`), for random words.
    pub int64: bool,
    /// These for memory too, 8 bytes at once: software drivers load and store the numbers of a vector one by one.
    pub wide: bool,
}

impl Walk {
    fn text(self) -> &'static str {
        match self {
            Walk::Lanes => include_str!("../../../shaders/walk_lanes.wgsl"),
            Walk::Flat => include_str!("../../../shaders/walk_flat.wgsl"),
            Walk::Words => include_str!("../../../shaders/walk_words.wgsl"),
            Walk::Chunks | Walk::UnalignedChunks => include_str!("../../../shaders/walk_chunks.wgsl"),
            Walk::Pairs => include_str!("../../../shaders/walk_pairs.wgsl"),
        }
    }
}

impl Variant {
    /// The complete WGSL.
    pub fn compose(&self, native: Native) -> String {
        let mut text = String::new();
        // Not every driver converts f16 at all, so what does not need it does not name it.
        for (storage, helpers) in [
            (Storage::F16, include_str!("../../../shaders/storage_f16.wgsl")),
            (Storage::Bf16, include_str!("../../../shaders/storage_bf16.wgsl")),
        ] {
            if self.operands.iter().any(|operand| operand.storage() == Some(storage)) {
                text.push_str(helpers);
            }
        }
        text.push_str(include_str!("../../../shaders/walk/window.wgsl"));
        text.push_str(&format!("const WIDTH = {}u;\nconst NEEDS_NOISE = {NEEDS_NOISE}u;\n", self.op.width()));
        self.write_draw(&mut text, native.int64);
        self.write_rows(&mut text);
        text.push_str(if self.counts_undefined() {
            include_str!("../../../shaders/undefined.wgsl")
        } else {
            "fn report_undefined(sample: u32) {\n}\n"
        });
        let glue = Access { variant: self, wide: native.wide && self.walk.unit() == 4 };
        glue.declarations(&mut text);
        text.push_str(&self.op.text(|slot| self.operand(slot) != Operand::Absent));
        glue.functions(&mut text);
        if self.walk.reduces() {
            text.extend(self.op.reduction(self.walk == Walk::Pairs).iter().copied());
        } else {
            self.write_health(&mut text);
        }
        if matches!(self.walk, Walk::Lanes | Walk::Chunks | Walk::UnalignedChunks) {
            text.push_str(if self.is_heavy() {
                include_str!("../../../shaders/lanes_in_turn.wgsl")
            } else {
                include_str!("../../../shaders/lanes_written_out.wgsl")
            });
        }
        text.push_str(self.walk.text());
        text
    }

    /// Whether much more is done for an element than to read and write it.
    fn is_heavy(&self) -> bool {
        self.draw != Draw::No || self.step().health || matches!(self.op, Op::Vlb { .. })
    }

    fn write_draw(&self, text: &mut String, int64: bool) {
        text.push_str(&format!("const DRAWN = {};\n", self.draw != Draw::No));
        if self.draw != Draw::No || self.op.takes_logarithms() {
            text.push_str(include_str!("../../../shaders/noise/log1p.wgsl"));
        }
        if self.draw != Draw::No {
            text.push_str(if int64 { include_str!("../../../shaders/noise/product_int64.wgsl") } else { PRODUCT_WORDS });
            text.push_str(PHILOX);
            text.push_str(include_str!("../../../shaders/noise/normal.wgsl"));
            text.push_str(match self.draw {
                Draw::Batch { perturbed: true } | Draw::PerSample { perturbed: true } => {
                    include_str!("../../../shaders/drawn_perturbed.wgsl")
                }
                _ => include_str!("../../../shaders/drawn.wgsl"),
            });
        }
        match self.draw {
            Draw::No => text.push_str(
                "fn drawn_block(sample: u32, block: u32, step: u32) -> vec4<f32> { return vec4<f32>(0.0); }\n",
            ),
            Draw::Batch { .. } => text.push_str(include_str!("../../../shaders/seed_batch.wgsl")),
            Draw::PerSample { .. } => text.push_str(&format!(
                "@group(0) @binding({SEEDS_BINDING}) var<storage, {}> seeds: array<vec4<u32>>;\n{}",
                access(self.seeds_writable),
                include_str!("../../../shaders/seed_per_sample.wgsl")
            )),
        }
        if self.walk.crosses_samples() {
            text.push_str(include_str!("../../../shaders/drawn_lane.wgsl"));
        }
    }

    fn write_rows(&self, text: &mut String) {
        let table = match self.rows {
            Rows::Batch => {
                text.push_str(include_str!("../../../shaders/rows_batch.wgsl"));
                return;
            }
            Rows::Uniform(rows) => format!("var<uniform> table: array<vec4<f32>, {rows}>"),
            Rows::Storage => "var<storage, read> table: array<vec4<f32>>".to_owned(),
            Rows::PerSample => {
                let rows = include_str!("../../../shaders/rows_gathered.wgsl");
                text.push_str(&format!(
                    "@group(0) @binding(2) var<uniform> table: array<vec4<f32>, {VECTORS}>;\n{rows}"
                ));
                return;
            }
        };
        let access = access(self.timesteps_writable);
        text.push_str(&format!(
            "@group(0) @binding(2) {table};\n\
             @group(0) @binding({TIMESTEPS_BINDING}) var<storage, {access}> timesteps: array<u32>;\n"
        ));
        text.push_str(include_str!("../../../shaders/rows_per_sample.wgsl"));
    }

    /// What a step looks up for each sample, and what it records.
    fn write_health(&self, text: &mut String) {
        let StepVariant { health, .. } = self.step();
        if health {
            text.push_str(&format!("const HEALTH_IN_GROUP = {};\n", self.rows == Rows::Batch));
            text.push_str(&format!(
                "@group(0) @binding({HEALTH_BINDING}) var<storage, read_write> health: array<atomic<u32>>;\n"
            ));
            text.push_str(include_str!("../../../shaders/health.wgsl"));
        } else {
            text.push_str("fn finish(invocation: u32) {\n}\n");
        }
    }
}

/// Writes a composed shader into the folder that `TWEEDIE_DUMP_WGSL` names, for people and other compilers to read.
pub(crate) fn dump(entry_point: &str, text: &str) {
    let Some(folder) = std::env::var_os("TWEEDIE_DUMP_WGSL") else {
        return;
    };
    let name = format!("{}.wgsl", shader_name(entry_point, text));
    // A debugging aid: a folder that cannot be written must not fail the application.
    let _ = std::fs::write(std::path::Path::new(&folder).join(name), text);
}

/// A name for a file of it.
pub(crate) fn shader_name(entry_point: &str, text: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{entry_point}_{:016x}", hasher.finish())
}

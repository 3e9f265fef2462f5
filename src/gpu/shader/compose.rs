//! Composing the WGSL of a kernel from whole files of `shaders/` and the parts that differ from plan to plan.
//!
//! The files name no storage type and no access mode. The bindings of a plan, the `load_*` or `store_*` function of each
//! tensor, and how an op's inputs and outputs are read and written through them come from templates; see [`Access`].
//! With `TWEEDIE_DUMP_WGSL=DIR` every composed shader is written to a file in `DIR`.

use crate::gpu::shader::access::Access;
use crate::gpu::shader::bindings::{
    CLEAN_STATS_BINDING, SCALER_BINDING, SEEDS_BINDING, TABLE_BINDING, TIMESTEPS_BINDING, access, declaration,
};
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{self, VECTORS};
use crate::gpu::shader::slots::NEEDS_NOISE;
use crate::gpu::shader::standalone::{PHILOX, PRODUCT_WORDS};
use crate::gpu::shader::variant::{Draw, Operand, Rows, Variant, Walk};
use crate::gpu::storage::Storage;

/// Extensions of WGSL that shaders use where a device has them and measurements showed them to be faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Native {
    /// 64-bit integers (`SHADER_INT64`), for random words.
    pub int64: bool,
    /// 16-bit numbers (`SHADER_F16`), for f16 tensors that are read and written in lanes.
    pub f16: bool,
    /// 64-bit integers for loads and stores of 8 bytes at once: software drivers move the elements of a vector one by one.
    pub wide: bool,
}

/// The caller's factor of gradients, and its two counts; see `gpu::GradientScale`.
const SCALER: &str = "struct Scaler {\n    scale: f32,\n    not_finite: atomic<u32>,\n    flushed: atomic<u32>,\n}\n";

/// For kernels whose rows have no second noise.
const NO_SECOND_NOISE: &str = "var<private> second_noise: vec4<f32>;
fn needs_second(row: Row) -> bool {
    return false;
}
fn second_stream_of(row: Row) -> u32 {
    return 0u;
}
";

/// The text of a file of `shaders/`.
macro_rules! file {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/", $path, ".wgsl"))
    };
}

impl Walk {
    fn file(self) -> &'static str {
        match self {
            Walk::Lanes => file!("walk/lanes"),
            Walk::Flat => file!("walk/flat"),
            Walk::Words => file!("walk/words"),
            Walk::Chunks | Walk::UnalignedChunks => file!("walk/chunks"),
            Walk::Pairs => file!("walk/pairs"),
        }
    }
}

impl Variant {
    /// Writes the complete WGSL: those of the parts below whose condition holds.
    pub fn compose(&self, native: Native) -> String {
        let in_lanes = self.walk.unit() == 4;
        let halves = native.f16 && in_lanes && self.has_storage(Storage::F16);
        let access = Access { variant: self, wide: native.wide && in_lanes, halves };
        let four_lanes = matches!(self.walk, Walk::Lanes | Walk::Chunks | Walk::UnalignedChunks);
        let (draws, lanes_of_two) = (self.draw != Draw::No, self.walk.crosses_samples());
        let (streams, clean_stats) = (!self.walk.reduces(), self.step().clean_stats);
        // A directive comes before everything else.
        let directive = if halves { "enable f16;\n" } else { "" };
        let mut text = directive.to_owned() + &params::constants() + &self.constants();
        let mut add = |condition: bool, part: &str| {
            if condition {
                text.push_str(part);
            }
        };
        // Not every driver converts f16 at all, so a kernel that does not need it does not name it.
        for storage in Storage::ALL {
            let text = if halves && storage == Storage::F16 { file!("storage/f16_native") } else { storage.wgsl() };
            add(self.has_storage(storage), text);
        }
        add(true, file!("walk/window"));

        add(self.op.takes_logarithms(), file!("noise/log1p"));
        add(draws && native.int64, file!("noise/product_int64"));
        add(draws && !native.int64, PRODUCT_WORDS);
        add(draws, PHILOX);
        add(draws, file!("noise/normal"));
        add(!draws, "fn draw_block(sample: u32, block: u32, stream: u32) -> vec4<f32> { return vec4<f32>(0.0); }\n");
        add(draws && !self.draw.is_perturbed(), file!("noise/draw_block"));
        add(draws && self.draw.is_perturbed(), file!("noise/draw_block_perturbed"));
        add(true, &self.seeds());
        add(matches!(self.draw, Draw::Batch { .. }), file!("noise/seed_batch"));
        add(matches!(self.draw, Draw::PerSample { .. }), file!("noise/seed_per_sample"));
        // The files above define the normals of a sample; `draw_lane` joins those of two.
        add(draws && !self.grouped, file!("groups/noise_of_sample"));
        add(draws && self.grouped, file!("groups/noise_of_run"));
        add(lanes_of_two, file!("noise/draw_lane"));
        add(!self.op.parts().extended, NO_SECOND_NOISE);

        add(true, &self.table());
        add(self.rows == Rows::Batch, file!("row/batch"));
        add(self.rows.are_looked_up() && !self.grouped, file!("groups/timestep_of_sample"));
        add(self.rows.are_looked_up() && self.grouped, file!("groups/timestep_of_run"));
        add(self.rows.are_looked_up(), file!("row/lookup"));
        add(self.rows == Rows::PerSample, file!("row/per_sample"));
        add(self.counts_undefined(), file!("row/count_undefined"));
        add(!self.counts_undefined(), "fn report_undefined(sample: u32) {\n}\n");

        // The op is written against `Inputs` and `Outputs`, so these come first; its tensors may follow.
        add(true, &access.declarations());
        add(true, &self.op.files().concat());
        add(true, &access.functions());
        add(!streams, &self.op.reduction(self.walk == Walk::Pairs).concat());
        add(
            streams && clean_stats,
            &declaration(CLEAN_STATS_BINDING, "storage, read_write", "clean_stats", "array<atomic<u32>>"),
        );
        add(streams && clean_stats, file!("op/clean_stats"));
        let scales = self.op.scales_gradients();
        add(scales, &declaration(SCALER_BINDING, "storage, read_write", "scaler", "Scaler"));
        add(scales, SCALER);
        add(scales, &access.gradient_scale());
        add(self.op.sums() && !scales, "fn scaled(gradient: vec4<f32>) -> vec4<f32> {\n    return gradient;\n}\n");
        add(!(scales || streams && clean_stats), "fn flush(invocation: u32) {\n}\n");
        // The other walks give an invocation one lane, or loop by themselves.
        add(four_lanes && self.is_heavy(), file!("walk/lanes_loop"));
        add(four_lanes && !self.is_heavy(), file!("walk/lanes_unrolled"));
        let chunks = matches!(self.walk, Walk::Chunks | Walk::UnalignedChunks);
        let rows = native.wide && self.op.adds_up();
        add(chunks && !rows, file!("walk/rows_one"));
        add(chunks && rows, file!("walk/rows_loop"));
        add(true, self.walk.file());
        text
    }

    /// True if a kernel does much more for an element than read and write it.
    fn is_heavy(&self) -> bool {
        self.draw != Draw::No || self.step().clean_stats || matches!(self.op, Op::Vlb { .. })
    }

    /// True if a tensor has this storage.
    pub fn has_storage(&self, storage: Storage) -> bool {
        self.operands.iter().any(|operand| operand.storage() == Some(storage))
    }

    /// Writes the constants by which the files depend on the plan.
    fn constants(&self) -> String {
        let (width, draws, shared) = (self.op.width(), self.draw != Draw::No, self.rows == Rows::Batch);
        let op = self.op.constants(|slot| self.operand(slot) != Operand::Absent);
        let kernel = format!("const WIDTH = {width}u;\nconst NEEDS_NOISE = {NEEDS_NOISE}u;\nconst DRAWN = {draws};\n");
        let clean_stats =
            if self.step().clean_stats { format!("const CLEAN_STATS_IN_GROUP = {shared};\n") } else { String::new() };
        let second = format!("const SECOND_NOISE = {};\n", self.op.parts().extended && draws);
        let chunks = if matches!(self.walk, Walk::Chunks | Walk::UnalignedChunks) {
            format!("const WHOLE_LANES = {};\n", self.walk == Walk::Chunks)
        } else {
            String::new()
        };
        let flat = if self.walk == Walk::Flat {
            format!("const READS_ALL = {};\n", self.op == Op::Map)
        } else {
            String::new()
        };
        kernel + &op + &clean_stats + &second + &chunks + &flat
    }

    /// Declares the seeds of the samples, where each has its own.
    fn seeds(&self) -> String {
        let space = format!("storage, {}", access(self.seeds_writable));
        match self.draw {
            Draw::PerSample { .. } => declaration(SEEDS_BINDING, &space, "seeds", "array<vec4<u32>>"),
            Draw::No | Draw::Batch { .. } => String::new(),
        }
    }

    /// Declares the table, and the timesteps that rows are looked up by; a row for the whole batch declares itself.
    fn table(&self) -> String {
        let uniform = |rows: u32| declaration(TABLE_BINDING, "uniform", "table", &format!("array<vec4<f32>, {rows}>"));
        let mut text = match self.rows {
            Rows::Batch => String::new(),
            Rows::Uniform(rows) => uniform(rows),
            Rows::PerSample => uniform(VECTORS),
            Rows::Storage => declaration(TABLE_BINDING, "storage, read", "table", "array<vec4<f32>>"),
        };
        if self.rows.are_looked_up() {
            let space = format!("storage, {}", access(self.timesteps_writable));
            text.push_str(&declaration(TIMESTEPS_BINDING, &space, "timesteps", "array<u32>"));
        }
        text
    }
}

/// Writes a composed shader to the folder that `TWEEDIE_DUMP_WGSL` names, for people and other compilers to read.
pub(crate) fn dump(entry_point: &str, text: &str) {
    let Some(folder) = std::env::var_os("TWEEDIE_DUMP_WGSL") else {
        return;
    };
    let name = format!("{}.wgsl", shader_name(entry_point, text));
    // A debugging aid: a folder that cannot be written must not fail the application.
    let _ = std::fs::write(std::path::Path::new(&folder).join(name), text);
}

/// A file name for a shader: its entry point and a hash of its text.
pub(crate) fn shader_name(entry_point: &str, text: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("{entry_point}_{:016x}", hasher.finish())
}

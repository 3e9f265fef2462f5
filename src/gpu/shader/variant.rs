//! Composing the WGSL of a kernel: whole files from `shaders/`, and what differs from plan to plan.
//!
//! The files name no storage type and no access mode. Written here are a plan's bindings, the `load_*` or `store_*`
//! function of each tensor, and how an op's inputs and outputs are read and written through them; see [`crate::gpu::shader::access`].
//! `TWEEDIE_DUMP_WGSL=DIR` makes every composed shader a file in `DIR`.

use crate::gpu::Storage;
use crate::gpu::plan::narrow::VECTORS;
use crate::gpu::shader::access::Access;
use crate::gpu::shader::op::{NEEDS_NOISE, Op, SLOTS, StepVariant};

/// The ways to walk over tensors; see the shader of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Walk {
    Lanes,
    Flat,
    Words,
    /// Chunks of samples that consist of whole lanes.
    Chunks,
    /// Chunks of samples of any size, stride and offset.
    LooseChunks,
    /// Samples of two elements without gaps between them, two to a lane.
    Pairs,
}

impl Walk {
    /// The walks that go over every element on its own.
    pub const STREAMING: [Walk; 3] = [Walk::Lanes, Walk::Flat, Walk::Words];
    /// The walks that make something of a whole sample.
    pub const REDUCING: [Walk; 3] = [Walk::Chunks, Walk::LooseChunks, Walk::Pairs];

    pub fn reduces(self) -> bool {
        Self::REDUCING.contains(&self)
    }

    /// Whether a lane may belong to two samples.
    pub fn crosses_samples(self) -> bool {
        matches!(self, Walk::Flat | Walk::Pairs)
    }

    /// Elements of a lane that offsets and strides are counted in.
    pub fn unit(self) -> u32 {
        match self {
            Walk::Lanes | Walk::Flat | Walk::Chunks | Walk::Pairs => 4,
            Walk::Words | Walk::LooseChunks => 1,
        }
    }

    pub fn entry_point(self) -> &'static str {
        match self {
            Walk::Lanes => "lanes",
            Walk::Flat => "flat_lanes",
            Walk::Words => "words",
            Walk::Chunks | Walk::LooseChunks => "chunks",
            Walk::Pairs => "pairs",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Walk::Lanes => include_str!("../../../shaders/walk_lanes.wgsl"),
            Walk::Flat => include_str!("../../../shaders/walk_flat.wgsl"),
            Walk::Words => include_str!("../../../shaders/walk_words.wgsl"),
            Walk::Chunks | Walk::LooseChunks => include_str!("../../../shaders/walk_chunks.wgsl"),
            Walk::Pairs => include_str!("../../../shaders/walk_pairs.wgsl"),
        }
    }
}

/// Where a sample's row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rows {
    /// One row for the batch, chosen by a dynamic offset.
    Batch,
    /// A uniform table of this many `vec4`s, indexed by each sample's timestep.
    Uniform(u32),
    /// A table in a storage buffer, for what no uniform binding holds.
    Storage,
    /// The rows of the samples themselves, laid out by a dispatch before; see [`crate::gpu::plan::narrow`].
    Gathered,
}

impl Rows {
    /// Whether the kernel looks its rows up itself, by timesteps that it reads.
    pub fn are_looked_up(self) -> bool {
        matches!(self, Rows::Uniform(_) | Rows::Storage)
    }
}

/// How a slot is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// No such tensor: it reads as zero, and what is written to it is dropped.
    Absent,
    /// A binding of its own; an input in a buffer that is also written must be bound for writing too.
    Binding { storage: Storage, writable: bool },
    /// An input that is updated in place: it is read through the binding of this output.
    InPlace { storage: Storage, output: usize },
}

impl Operand {
    pub fn storage(self) -> Option<Storage> {
        match self {
            Operand::Absent => None,
            Operand::Binding { storage, .. } | Operand::InPlace { storage, .. } => Some(storage),
        }
    }

    pub fn has_binding(self) -> bool {
        matches!(self, Operand::Binding { .. })
    }
}

/// Noise that a kernel makes itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Draw {
    /// None.
    No,
    /// One seed for the batch.
    Batch { perturbed: bool },
    /// A seed for each sample, from a buffer.
    PerSample { perturbed: bool },
}

/// A storage buffer of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StorageBinding {
    /// What it is to the caller.
    pub name: &'static str,
    pub binding: u32,
    pub writable: bool,
}

/// What shaders use beyond WebGPU where a device has it, as far as it was measured to be faster there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Native {
    /// 64-bit integers (`SHADER_INT64`), for random words.
    pub int64: bool,
    /// These for memory too, 8 bytes at once: software drivers load and store the numbers of a vector one by one.
    pub wide: bool,
}

/// All that decides the text of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub op: Op,
    pub walk: Walk,
    pub rows: Rows,
    pub timesteps_writable: bool,
    pub seeds_writable: bool,
    /// Whether the scales of samples are read through a uniform binding; see [`crate::gpu::plan::narrow`].
    pub scales_uniform: bool,
    pub draw: Draw,
    pub operands: [Operand; SLOTS],
}

pub(crate) const TABLE_BINDING: u32 = 2;
pub(crate) const TIMESTEPS_BINDING: u32 = 3;
pub(crate) const STATUS_BINDING: u32 = 4;
/// Of the first slot; the others follow.
pub(crate) const SLOT_BINDING: u32 = 5;
pub(crate) const SEEDS_BINDING: u32 = SLOT_BINDING + SLOTS as u32;
pub(crate) const SCALES_BINDING: u32 = SEEDS_BINDING + 1;
pub(crate) const HEALTH_BINDING: u32 = SEEDS_BINDING + 2;
pub(crate) const SCRATCH_BINDING: u32 = SEEDS_BINDING + 3;

/// What draws random words, on any device.
pub(crate) const PRODUCT_WORDS: &str = include_str!("../../../shaders/product_words.wgsl");
pub(crate) const PHILOX: &str = include_str!("../../../shaders/philox.wgsl");

impl Variant {
    pub fn operand(&self, slot: usize) -> Operand {
        self.operands[slot]
    }

    pub fn step(&self) -> StepVariant {
        match self.op {
            Op::Step(variant) => variant,
            _ => StepVariant::default(),
        }
    }

    /// The slots that are written.
    pub fn outputs(&self) -> Vec<usize> {
        let slots = self.op.slots().iter().zip(&self.operands).enumerate();
        slots.filter(|(_, (slot, operand))| slot.is_output() && operand.has_binding()).map(|(slot, _)| slot).collect()
    }

    /// The storage buffers that are bound.
    pub fn storage_bindings(&self) -> Vec<StorageBinding> {
        let slots = self.op.slots().iter().zip(self.operands).zip(SLOT_BINDING..);
        let slots = slots.filter_map(|((slot, operand), binding)| match operand {
            Operand::Binding { writable, .. } => Some(StorageBinding { name: slot.name, binding, writable }),
            _ => None,
        });
        let others = [
            (self.rows == Rows::Storage, "table", TABLE_BINDING, false),
            (self.rows.are_looked_up(), "timesteps", TIMESTEPS_BINDING, self.timesteps_writable),
            (self.counts_undefined(), "status", STATUS_BINDING, true),
            (matches!(self.draw, Draw::PerSample { .. }), "seeds", SEEDS_BINDING, self.seeds_writable),
            (self.op.scaled() && !self.scales_uniform, "scales", SCALES_BINDING, false),
            (self.step().health, "health", HEALTH_BINDING, true),
            (self.walk.reduces(), "scratch", SCRATCH_BINDING, true),
        ];
        let others = others.into_iter().filter(|(present, ..)| *present);
        slots.chain(others.map(|(_, name, binding, writable)| StorageBinding { name, binding, writable })).collect()
    }

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
        text.push_str(include_str!("../../../shaders/kernel.wgsl"));
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
        if matches!(self.walk, Walk::Lanes | Walk::Chunks | Walk::LooseChunks) {
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
            text.push_str(include_str!("../../../shaders/log1p.wgsl"));
        }
        if self.draw != Draw::No {
            text.push_str(if int64 { include_str!("../../../shaders/product_int64.wgsl") } else { PRODUCT_WORDS });
            text.push_str(PHILOX);
            text.push_str(include_str!("../../../shaders/normal.wgsl"));
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
            Rows::Gathered => {
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

    /// Whether samples without a row are counted; not by the kernels that only prepare a step, nor where that was done
    /// before.
    pub fn counts_undefined(&self) -> bool {
        self.rows.are_looked_up() && !matches!(self.op, Op::Spread | Op::Digits { .. })
    }

    /// Whether workgroup memory must be cleared. Reductions write theirs before they read it, and to have it cleared for
    /// them costs some compilers (FXC) half a minute.
    pub fn clears_workgroup_memory(&self) -> bool {
        !self.walk.reduces()
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

pub(crate) fn access(writable: bool) -> &'static str {
    if writable { "read_write" } else { "read" }
}

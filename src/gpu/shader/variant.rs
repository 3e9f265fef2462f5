//! The key of a kernel: everything that determines its text.

use crate::gpu::shader::op::{Op, StepVariant};
use crate::gpu::shader::slots::SLOTS;
use crate::gpu::storage::Storage;

/// The ways to walk over tensors. Each is described in the shader of its name in `shaders/walk/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Walk {
    Lanes,
    Flat,
    Words,
    /// Chunks of samples that consist of whole lanes.
    Chunks,
    /// Chunks of samples of any size, stride and offset.
    UnalignedChunks,
    /// Samples of two elements without gaps between them, two to a lane.
    Pairs,
}

impl Walk {
    /// The walks that go over every element on its own.
    pub const STREAMING: [Walk; 3] = [Walk::Lanes, Walk::Flat, Walk::Words];
    /// The walks that reduce whole samples.
    pub const REDUCING: [Walk; 3] = [Walk::Chunks, Walk::UnalignedChunks, Walk::Pairs];

    pub fn reduces(self) -> bool {
        Self::REDUCING.contains(&self)
    }

    /// True if a lane may belong to two samples.
    pub fn crosses_samples(self) -> bool {
        matches!(self, Walk::Flat | Walk::Pairs)
    }

    /// The unit of offsets and strides, in elements: a lane of 4, or 1.
    pub fn unit(self) -> u32 {
        match self {
            Walk::Lanes | Walk::Flat | Walk::Chunks | Walk::Pairs => 4,
            Walk::Words | Walk::UnalignedChunks => 1,
        }
    }

    /// The struct of its parameters.
    pub fn params(self) -> &'static str {
        match self {
            Walk::Lanes => "LanesParams",
            Walk::Flat => "FlatParams",
            Walk::Words => "WordsParams",
            Walk::Chunks | Walk::UnalignedChunks => "ChunksParams",
            Walk::Pairs => "PairsParams",
        }
    }

    /// The name of its entry point, which is also how dumps name a kernel.
    pub fn entry_point(self) -> &'static str {
        match self {
            Walk::Lanes => "lanes",
            Walk::Flat => "flat_lanes",
            Walk::Words => "words",
            Walk::Chunks | Walk::UnalignedChunks => "chunks",
            Walk::Pairs => "pairs",
        }
    }
}

/// The source of a sample's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rows {
    /// One row for the batch, chosen by a dynamic offset.
    Batch,
    /// A uniform table of this many `vec4`s, indexed by each sample's timestep.
    Uniform(u32),
    /// A table in a storage buffer, where a uniform binding is too small.
    Storage,
    /// One row for each sample, laid out by an earlier dispatch: the four-buffer form.
    PerSample,
}

impl Rows {
    /// True if the kernel itself looks its rows up, by timesteps that it reads.
    pub fn are_looked_up(self) -> bool {
        matches!(self, Rows::Uniform(_) | Rows::Storage)
    }
}

/// The binding of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    /// No tensor: reads give zero, and writes are dropped.
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

/// The noise that a kernel draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Draw {
    /// None.
    No,
    /// One seed for the batch.
    Batch { perturbed: bool },
    /// A seed for each sample, from a buffer.
    PerSample { perturbed: bool },
}

impl Draw {
    /// True if an offset or a second noise is added.
    pub fn is_perturbed(self) -> bool {
        matches!(self, Draw::Batch { perturbed: true } | Draw::PerSample { perturbed: true })
    }
}

/// Everything that determines the text of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub op: Op,
    pub walk: Walk,
    pub rows: Rows,
    /// True if each run of a group counts as a sample: with timesteps per group.
    pub grouped: bool,
    pub timesteps_writable: bool,
    pub seeds_writable: bool,
    /// True if the scales of samples are read through a uniform binding, as in the four-buffer form.
    pub scales_uniform: bool,
    pub draw: Draw,
    pub operands: [Operand; SLOTS],
}

impl Variant {
    pub fn operand(&self, slot: usize) -> Operand {
        self.operands[slot]
    }

    pub fn step(&self) -> StepVariant {
        match self.op {
            Op::Step(variant) => variant,
            // The ops that prepare a step take its tensors, but neither clip nor remember.
            _ => StepVariant::default(),
        }
    }

    /// The slots that are written.
    pub fn outputs(&self) -> Vec<usize> {
        let slots = self.op.slots().iter().zip(&self.operands).enumerate();
        slots.filter(|(_, (slot, operand))| slot.is_output() && operand.has_binding()).map(|(slot, _)| slot).collect()
    }

    /// True if samples without a row are counted: not by kernels that only prepare another, nor where an earlier dispatch did.
    pub fn counts_undefined(&self) -> bool {
        // Where an earlier dispatch laid out the rows, it also counted.
        self.rows.are_looked_up() && !matches!(self.op, Op::Spread { .. } | Op::Histogram { .. } | Op::GuideSums)
    }

    /// True if workgroup memory must be cleared. Reductions write theirs before they read it, and clearing it for them takes
    /// some compilers (FXC) half a minute.
    pub fn clears_workgroup_memory(&self) -> bool {
        !self.walk.reduces()
    }
}

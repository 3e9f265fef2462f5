//! The slots of each op: the places of the tensors that it takes.

/// The place of a tensor in an op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Its name in shaders.
    pub name: &'static str,
    pub part: Part,
}

/// The part that a tensor plays in an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Always read.
    Input,
    /// Read where a row needs it: this bit of the shader's `needs`.
    OptionalInput(u32),
    /// Written.
    Output,
    /// Clean samples of earlier steps: read and written.
    Memory,
}

impl Slot {
    pub fn is_output(&self) -> bool {
        matches!(self.part, Part::Output)
    }

    pub fn is_input(&self) -> bool {
        matches!(self.part, Part::Input | Part::OptionalInput(_))
    }
}

const fn slot(name: &'static str, part: Part) -> Slot {
    Slot { name, part }
}

/// The most slots that an op has.
pub(crate) const SLOTS: usize = 12;

/// The bit of `needs` that asks for noise, given or drawn.
pub(crate) const NEEDS_NOISE: u32 = 1;

/// The slots of `Op::Map`.
pub(crate) mod map {
    use super::{Part, Slot, slot};

    pub const IN0: usize = 0;
    pub const IN1: usize = 1;
    pub const OUT0: usize = 2;
    pub const OUT1: usize = 3;
    pub const NOISE_OUT: usize = 4;
    pub const SLOTS: [Slot; 5] = [
        slot("in0", Part::Input),
        slot("in1", Part::Input),
        slot("out0", Part::Output),
        slot("out1", Part::Output),
        slot("noise_out", Part::Output),
    ];
}

/// The slots of `Op::Loss`.
pub(crate) mod loss {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const PREDICTION: usize = 0;
    pub const IN0: usize = 1;
    pub const IN1: usize = 2;
    pub const GRADIENT: usize = 3;
    pub const NOISE_OUT: usize = 4;
    pub const SLOTS: [Slot; 5] = [
        slot("prediction", Part::OptionalInput(4)),
        slot("in0", Part::OptionalInput(2)),
        slot("in1", Part::OptionalInput(NEEDS_NOISE)),
        slot("gradient", Part::Output),
        slot("noise_out", Part::Output),
    ];
}

/// The slots of `Op::Vlb`.
pub(crate) mod vlb {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const PREDICTION: usize = 0;
    pub const LEARNED: usize = 1;
    pub const X0: usize = 2;
    pub const IN1: usize = 3;
    pub const GRADIENT: usize = 4;
    pub const LEARNED_GRADIENT: usize = 5;
    pub const NOISE_OUT: usize = 6;
    pub const SLOTS: [Slot; 7] = [
        slot("prediction", Part::OptionalInput(4)),
        slot("learned", Part::OptionalInput(8)),
        slot("x0", Part::OptionalInput(2)),
        slot("in1", Part::OptionalInput(NEEDS_NOISE)),
        slot("gradient", Part::Output),
        slot("learned_gradient", Part::Output),
        slot("noise_out", Part::Output),
    ];
}

/// The slots of `Op::Step`; the first [`CLEAN`](step::CLEAN) of them are those of `Op::Spread` and `Op::Histogram`.
pub(crate) mod step {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const X: usize = 0;
    pub const CONDITIONAL: usize = 1;
    pub const UNCONDITIONAL: usize = 2;
    pub const NOISE: usize = 3;
    /// The number of slots from which a clean sample is computed.
    pub const CLEAN: usize = 4;
    pub const LEARNED: usize = 4;
    pub const MASK: usize = 5;
    pub const KNOWN: usize = 6;
    pub const NEXT: usize = 7;
    pub const X0: usize = 8;
    pub const INPUT: usize = 9;
    pub const NOISE_OUT: usize = 10;
    pub const HISTORY: usize = 11;
    /// The bit of `needs` that asks for the latest remembered clean sample; the next bits ask for the ones before it.
    pub const FIRST_HISTORY_BIT: u32 = 8;
    pub const ROLES: [&str; 12] = [
        "x",
        "prediction",
        "unconditional",
        "noise",
        "learned",
        "known.mask",
        "known.x0",
        "next",
        "x0",
        "input",
        "keep",
        "memory",
    ];
    pub const SLOTS: [Slot; 12] = [
        slot("x", Part::Input),
        slot("conditional", Part::Input),
        slot("unconditional", Part::OptionalInput(2)),
        slot("noise", Part::OptionalInput(NEEDS_NOISE)),
        slot("learned", Part::OptionalInput(4)),
        slot("mask", Part::Input),
        slot("known", Part::Input),
        slot("next", Part::Output),
        slot("x0", Part::Output),
        slot("input", Part::Output),
        slot("noise_out", Part::Output),
        slot("history", Part::Memory),
    ];
}

/// The slots of `Op::Guide`; the first [`INPUTS`](guide::INPUTS) of them are those of `Op::GuideSums`.
pub(crate) mod guide {
    use super::{Part, Slot, slot};

    pub const CONDITIONAL: usize = 0;
    pub const UNCONDITIONAL: usize = 1;
    pub const THIRD: usize = 2;
    pub const FOURTH: usize = 3;
    pub const MOMENTUM: usize = 4;
    /// The number of slots that are read.
    pub const INPUTS: usize = 5;
    pub const GUIDED: usize = 5;
    pub const NEXT_MOMENTUM: usize = 6;
    pub const ROLES: [&str; 7] =
        ["conditional", "unconditional", "third", "fourth", "momentum", "guided", "next_momentum"];
    pub const SLOTS: [Slot; 7] = [
        slot("conditional", Part::Input),
        slot("unconditional", Part::OptionalInput(2)),
        slot("third", Part::OptionalInput(4)),
        slot("fourth", Part::OptionalInput(8)),
        slot("momentum", Part::OptionalInput(16)),
        slot("guided", Part::Output),
        slot("next_momentum", Part::Output),
    ];
}

//! The ops that kernels are made of, and the tensors that each takes.

use crate::table::vlb::{CUBIC, HALF_BIN, LAST_BIN, LEAST_PROBABILITY};
use std::f64::consts::FRAC_2_PI;

/// A tensor's place in an op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// Its name in shaders and in errors.
    pub name: &'static str,
    pub part: Part,
}

/// What an op does with a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Always read.
    Input,
    /// Read where a row needs it: this bit of the shader's `needs`.
    Needed(u32),
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

/// What is done to each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// `shaders/op/map.wgsl`.
    Map,
    /// `shaders/op/step.wgsl`.
    Step(StepVariant),
    /// `shaders/op/spread.wgsl`: how far the predictions of a step spread.
    Spread,
    /// `shaders/digits.wgsl`: how often each digit occurs among the magnitudes of a step's clean samples.
    Digits {
        /// Whether each sample has its own factor of the prediction.
        scaled: bool,
    },
    /// `shaders/op/loss.wgsl`.
    Loss {
        /// 0: a parabola that turns into lines, 1: a hyperbola, 2: two lines.
        curve: u32,
    },
    /// `shaders/op/vlb.wgsl`.
    Vlb {
        /// Whether clean samples are clamped.
        clips: bool,
    },
}

/// What a step's shader is compiled for, beside its tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct StepVariant {
    /// 0: none, 1: a range, 2: each sample's own threshold.
    pub clip: u32,
    /// 0: fixed, 1: the exponential of a learned logarithm, 2: the root of a learned variance.
    pub deviation: u32,
    /// How many clean samples are remembered.
    pub depth: u32,
    /// Whether each sample has its own factor of the prediction and threshold.
    pub scaled: bool,
    /// Whether a record of the clean samples is kept.
    pub health: bool,
}

/// The slots of [`Op::Map`].
pub(crate) mod map {
    use super::{Part, Slot, slot};

    pub const IN0: usize = 0;
    pub const IN1: usize = 1;
    pub const OUT0: usize = 2;
    pub const OUT1: usize = 3;
    pub const KEPT: usize = 4;
    pub const SLOTS: [Slot; 5] = [
        slot("in0", Part::Input),
        slot("in1", Part::Input),
        slot("out0", Part::Output),
        slot("out1", Part::Output),
        slot("noise", Part::Output),
    ];
}

/// The slots of [`Op::Loss`].
pub(crate) mod loss {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const PREDICTION: usize = 0;
    pub const IN0: usize = 1;
    pub const IN1: usize = 2;
    pub const GRADIENT: usize = 3;
    pub const KEPT: usize = 4;
    pub const SLOTS: [Slot; 5] = [
        slot("prediction", Part::OptionalInput(4)),
        slot("in0", Part::OptionalInput(2)),
        slot("in1", Part::OptionalInput(NEEDS_NOISE)),
        slot("gradient", Part::Output),
        slot("noise", Part::Output),
    ];
}

/// The slots of [`Op::Vlb`].
pub(crate) mod vlb {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const PREDICTION: usize = 0;
    pub const LEARNED: usize = 1;
    pub const X0: usize = 2;
    pub const IN1: usize = 3;
    pub const GRADIENT: usize = 4;
    pub const LEARNED_GRADIENT: usize = 5;
    pub const KEPT: usize = 6;
    pub const SLOTS: [Slot; 7] = [
        slot("prediction", Part::OptionalInput(4)),
        slot("learned", Part::OptionalInput(8)),
        slot("x0", Part::OptionalInput(2)),
        slot("in1", Part::OptionalInput(NEEDS_NOISE)),
        slot("gradient", Part::Output),
        slot("learned_gradient", Part::Output),
        slot("noise", Part::Output),
    ];
}

/// The slots of [`Op::Step`]; the first [`CLEAN`](step::CLEAN) of them are those of [`Op::Spread`] and [`Op::Histogram`].
pub(crate) mod step {
    use super::{NEEDS_NOISE, Part, Slot, slot};

    pub const X: usize = 0;
    pub const CONDITIONAL: usize = 1;
    pub const UNCONDITIONAL: usize = 2;
    pub const NOISE: usize = 3;
    /// What a clean sample is made of.
    pub const CLEAN: usize = 4;
    pub const LEARNED: usize = 4;
    pub const MASK: usize = 5;
    pub const KNOWN: usize = 6;
    pub const NEXT: usize = 7;
    pub const X0: usize = 8;
    pub const INPUT: usize = 9;
    pub const KEPT: usize = 10;
    pub const HISTORY: usize = 11;
    /// The bit of `needs` that asks for the latest remembered clean sample; the next bits ask for the ones before it.
    pub const PAST: u32 = 8;
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
        slot("kept", Part::Output),
        slot("history", Part::Memory),
    ];
}

const STEP_ROW: &str = include_str!("../../../shaders/step_row.wgsl");
const CLAMPED: &str = include_str!("../../../shaders/clamped.wgsl");
const EXPONENTIAL: &str = include_str!("../../../shaders/exponential.wgsl");

/// What the two halves of a reduction have in common: of a chunk, and of the chunks of a sample.
pub(crate) mod text {
    pub const TOTAL: &str = include_str!("../../../shaders/total.wgsl");
    pub const MOMENTS: &str = include_str!("../../../shaders/moments.wgsl");
    pub const TREE: &str = include_str!("../../../shaders/tree.wgsl");
    pub const SUM_CHUNKS: &str = include_str!("../../../shaders/sum_chunks.wgsl");
    pub const LOSS_CHUNKS: &str = include_str!("../../../shaders/loss_chunks.wgsl");
    pub const DIGIT: &str = include_str!("../../../shaders/digit.wgsl");
}

impl Op {
    pub fn slots(self) -> &'static [Slot] {
        match self {
            Op::Map => &map::SLOTS,
            Op::Step(_) => &step::SLOTS,
            Op::Spread | Op::Histogram { .. } => &step::SLOTS[..step::CLEAN],
            Op::Loss { .. } => &loss::SLOTS,
            Op::Vlb { .. } => &vlb::SLOTS,
        }
    }

    /// The input that may be drawn.
    pub fn noise(self) -> usize {
        match self {
            Op::Map => map::IN1,
            Op::Loss { .. } => loss::IN1,
            Op::Vlb { .. } => vlb::IN1,
            Op::Step(_) | Op::Spread | Op::Histogram { .. } => step::NOISE,
        }
    }

    /// For labels: `tweedie::Map::...`.
    pub fn name(self) -> &'static str {
        match self {
            Op::Map => "Map",
            Op::Step(_) => "Step",
            Op::Spread => "Spread",
            Op::Histogram { .. } => "Digits",
            Op::Loss { .. } => "Loss",
            Op::Vlb { .. } => "Vlb",
        }
    }

    /// Whether each sample has numbers of its own that were found before.
    pub fn scaled(self) -> bool {
        match self {
            Op::Step(variant) => variant.scaled,
            Op::Histogram { scaled } => scaled,
            Op::Map | Op::Spread | Op::Loss { .. } | Op::Vlb { .. } => false,
        }
    }

    /// `vec4`s of a row of coefficients.
    pub fn width(self) -> u32 {
        match self {
            Op::Map | Op::Loss { .. } => 1,
            Op::Vlb { .. } => 2,
            Op::Step(_) | Op::Spread | Op::Histogram { .. } => (crate::table::STEP_WIDTH / 4) as u32,
        }
    }

    /// Whether its text takes logarithms.
    pub fn takes_logarithms(self) -> bool {
        matches!(self, Op::Vlb { .. })
    }

    /// Whether it is reduced by adding up its elements.
    pub fn sums(self) -> bool {
        matches!(self, Op::Loss { .. } | Op::Vlb { .. })
    }

    /// How a chunk of it is reduced, or a sample of two elements.
    pub fn reduction(self, pairs: bool) -> &'static [&'static str] {
        match self {
            Op::Loss { .. } | Op::Vlb { .. } if pairs => &[text::TOTAL, text::LOSS_CHUNKS],
            Op::Spread => &[text::MOMENTS, text::TREE, text::SUM_CHUNKS],
            Op::Loss { .. } | Op::Vlb { .. } => &[text::TOTAL, text::TREE, text::SUM_CHUNKS, text::LOSS_CHUNKS],
            Op::Histogram { .. } | Op::Map | Op::Step(_) => &[],
        }
    }

    /// The text of the op itself, and what it must know of the plan: which tensors it `has`.
    pub fn text(self, has: impl Fn(usize) -> bool) -> String {
        match self {
            Op::Map => include_str!("../../../shaders/op/map.wgsl").to_owned(),
            Op::Step(variant) => {
                let StepVariant { clip, deviation, depth, .. } = variant;
                let masked = has(step::MASK);
                format!(
                    "const CLIP = {clip}u;\nconst DEVIATION = {deviation}u;\nconst DEPTH = {depth}u;\n\
                     const MASKED = {masked};\n{STEP_ROW}{CLAMPED}{}",
                    include_str!("../../../shaders/op/step.wgsl")
                )
            }
            Op::Spread => [STEP_ROW, include_str!("../../../shaders/op/spread.wgsl")].concat(),
            Op::Loss { curve } => {
                let kept = has(loss::KEPT);
                let loss = include_str!("../../../shaders/op/loss.wgsl");
                format!("const CURVE = {curve}u;\nconst KEPT = {kept};\n{CLAMPED}{loss}")
            }
            Op::Vlb { clips } => {
                let kept = has(vlb::KEPT);
                let (root, constants) = (FRAC_2_PI.sqrt(), [HALF_BIN, LAST_BIN, LEAST_PROBABILITY, CUBIC]);
                let [half_bin, last_bin, least, cubic] = constants;
                format!(
                    "const CLIPS = {clips};\nconst KEPT = {kept};\nconst ROOT_2_OVER_PI = {root:e};\n\
                     const CUBIC = {cubic:e};\nconst HALF_BIN = {half_bin:e};\nconst LAST_BIN = {last_bin:e};\n\
                     const LEAST = {least:e};\n{CLAMPED}{EXPONENTIAL}{}",
                    include_str!("../../../shaders/op/vlb.wgsl")
                )
            }
            Op::Histogram { .. } => [STEP_ROW, text::DIGIT, include_str!("../../../shaders/digits.wgsl")].concat(),
        }
    }
}

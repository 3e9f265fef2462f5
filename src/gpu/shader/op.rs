//! The ops that kernels are made of.

use crate::gpu::shader::codes::{ClipKind, Code, LossCurve};
use crate::gpu::shader::slots::{SLOTS, Slot, guide, loss, map, step, vlb};
use crate::table::step::{Deviation, RowParts};
use crate::table::vlb::{CUBIC, HALF_BIN, LAST_BIN, LEAST_PROBABILITY, Term};
use std::f64::consts::FRAC_2_PI;
use std::fmt::Write as _;

/// The operation on each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// `shaders/op/map.wgsl`.
    Map,
    /// `shaders/op/step.wgsl`.
    Step(StepVariant),
    /// `shaders/op/spread.wgsl`: the standard deviations of a step's predictions, for guidance rescale.
    Spread { parts: RowParts },
    /// `shaders/op/histogram.wgsl`: counts of each digit among the magnitudes of a step's clean samples.
    Histogram {
        /// True if each sample has its own factor of the prediction.
        scaled: bool,
        parts: RowParts,
    },
    /// `shaders/guide/mixture.wgsl`.
    Guide {
        /// True if each sample has sums from which its weights follow.
        summed: bool,
    },
    /// `shaders/guide/sums.wgsl`: the sums from which the weights of guidance follow.
    GuideSums,
    /// `shaders/op/loss.wgsl`.
    Loss {
        curve: LossCurve,
        /// True if a factor of the gradient lies on the GPU.
        scaled_gradient: bool,
    },
    /// `shaders/op/vlb.wgsl`.
    Vlb {
        /// True if clean samples are clamped.
        clips: bool,
        /// True if a factor of the gradients lies on the GPU.
        scaled_gradient: bool,
    },
}

/// The choices that a step's shader is compiled for, besides its tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct StepVariant {
    pub clip: ClipKind,
    pub deviation: Deviation,
    /// The parts of its rows.
    pub parts: RowParts,
    /// Number of remembered clean samples.
    pub depth: u32,
    /// True if each sample has its own factor of the prediction and threshold.
    pub scaled: bool,
    /// True if statistics of the clean samples are kept.
    pub clean_stats: bool,
}

/// Texts that ops share.
mod shared {
    pub const STEP_EXTENDED: &str = include_str!("../../../shaders/row/step_extended.wgsl");
    pub const STEP_PLAIN: &str = include_str!("../../../shaders/row/step_plain.wgsl");
    pub const STEP_ROW: &str = include_str!("../../../shaders/row/step.wgsl");
    pub const CLAMPED: &str = include_str!("../../../shaders/op/clamped.wgsl");
    pub const GUIDE_ROW: &str = include_str!("../../../shaders/guide/row.wgsl");
    pub const GUIDE_FIXED: &str = include_str!("../../../shaders/guide/fixed.wgsl");
    pub const WEIGHTED_COST: &str = include_str!("../../../shaders/op/weighted_cost.wgsl");
}

/// Texts that the two halves of a reduction share: the half that adds up a chunk, and the half that adds up the chunks of a
/// sample.
pub(crate) mod reduce {
    pub const TOTAL: &str = include_str!("../../../shaders/reduce/total.wgsl");
    pub const MOMENTS: &str = include_str!("../../../shaders/reduce/moments.wgsl");
    pub const CO_MOMENTS: &str = include_str!("../../../shaders/guide/co_moments.wgsl");
    pub const TREE: &str = include_str!("../../../shaders/reduce/tree.wgsl");
    pub const SUM_CHUNKS: &str = include_str!("../../../shaders/reduce/sum_chunks.wgsl");
    pub const RADIX: &str = include_str!("../../../shaders/reduce/radix.wgsl");
}

impl Op {
    pub fn slots(self) -> &'static [Slot] {
        match self {
            Op::Map => &map::SLOTS,
            Op::Step(_) => &step::SLOTS,
            Op::Spread { .. } | Op::Histogram { .. } => &step::SLOTS[..step::CLEAN],
            Op::Guide { .. } => &guide::SLOTS,
            Op::GuideSums => &guide::SLOTS[..guide::INPUTS],
            Op::Loss { .. } => &loss::SLOTS,
            Op::Vlb { .. } => &vlb::SLOTS,
        }
    }

    /// The names of its tensors in requests, by slot: the fields that hold them.
    pub fn roles(self) -> &'static [&'static str] {
        match self {
            Op::Map => &["in0", "in1", "out0", "out1", "keep"],
            Op::Step(_) | Op::Spread { .. } | Op::Histogram { .. } => &step::ROLES,
            Op::Guide { .. } | Op::GuideSums => &guide::ROLES,
            Op::Loss { .. } => &["prediction", "in0", "in1", "gradient", "keep"],
            Op::Vlb { .. } => &["prediction", "learned", "x0", "in1", "gradient", "learned_gradient", "keep"],
        }
    }

    /// The slot of the input that may be drawn; [`SLOTS`], which is no slot, if none may.
    pub fn noise(self) -> usize {
        match self {
            Op::Guide { .. } | Op::GuideSums => SLOTS,
            Op::Map => map::IN1,
            Op::Loss { .. } => loss::IN1,
            Op::Vlb { .. } => vlb::IN1,
            Op::Step(_) | Op::Spread { .. } | Op::Histogram { .. } => step::NOISE,
        }
    }

    /// The slot of the output to which drawn noise is written.
    pub fn noise_out(self) -> Option<usize> {
        match self {
            Op::Map => Some(map::NOISE_OUT),
            Op::Loss { .. } => Some(loss::NOISE_OUT),
            Op::Vlb { .. } => Some(vlb::NOISE_OUT),
            Op::Step(_) => Some(step::NOISE_OUT),
            Op::Spread { .. } | Op::Histogram { .. } | Op::Guide { .. } | Op::GuideSums => None,
        }
    }

    /// The name in labels: `tweedie::Map::...`.
    pub fn name(self) -> &'static str {
        match self {
            Op::Map => "Map",
            Op::Step(_) => "Step",
            Op::Spread { .. } => "Spread",
            Op::Histogram { .. } => "Digits",
            Op::Guide { .. } => "Guide",
            Op::GuideSums => "GuideSums",
            Op::Loss { .. } => "Loss",
            Op::Vlb { .. } => "Vlb",
        }
    }

    /// True if the kernel reads the results of an earlier reduction for each sample.
    pub fn scaled(self) -> bool {
        match self {
            Op::Step(variant) => variant.scaled,
            Op::Histogram { scaled, .. } => scaled,
            Op::Guide { summed } => summed,
            Op::Map | Op::Spread { .. } | Op::GuideSums | Op::Loss { .. } | Op::Vlb { .. } => false,
        }
    }

    /// The parts of a step's rows.
    pub fn parts(self) -> RowParts {
        match self {
            Op::Step(StepVariant { parts, .. }) | Op::Spread { parts } | Op::Histogram { parts, .. } => parts,
            Op::Map | Op::Guide { .. } | Op::GuideSums | Op::Loss { .. } | Op::Vlb { .. } => RowParts::default(),
        }
    }

    /// True if the tensor in a slot has several slices.
    pub fn slices(self, slot: usize) -> bool {
        self.parts().sliced && [step::CONDITIONAL, step::UNCONDITIONAL].contains(&slot)
    }

    /// The number of `vec4`s in a row of coefficients.
    pub fn width(self) -> u32 {
        match self {
            Op::Map | Op::Loss { .. } => 1,
            Op::Vlb { .. } => 2,
            Op::Guide { .. } | Op::GuideSums => 3,
            Op::Step(_) | Op::Spread { .. } | Op::Histogram { .. } => (self.parts().width() / 4) as u32,
        }
    }

    /// True if a factor of its gradients lies on the GPU.
    pub fn scales_gradients(self) -> bool {
        matches!(self, Op::Loss { scaled_gradient: true, .. } | Op::Vlb { scaled_gradient: true, .. })
    }

    /// The same op with no factor of its gradients on the GPU.
    pub fn unscaled(self) -> Self {
        match self {
            Op::Loss { curve, .. } => Op::Loss { curve, scaled_gradient: false },
            Op::Vlb { clips, .. } => Op::Vlb { clips, scaled_gradient: false },
            other => other,
        }
    }

    /// True if its text takes logarithms.
    pub fn takes_logarithms(self) -> bool {
        matches!(self, Op::Vlb { .. })
    }

    /// True if it is reduced by adding up its elements.
    pub fn sums(self) -> bool {
        matches!(self, Op::Loss { .. } | Op::Vlb { .. })
    }

    /// True if each chunk is reduced to a sum, and not to counts.
    pub fn adds_up(self) -> bool {
        self.sums() || matches!(self, Op::Spread { .. } | Op::GuideSums)
    }

    /// True if its row is that of a step.
    pub fn has_step_row(self) -> bool {
        matches!(self, Op::Step(_) | Op::Spread { .. } | Op::Histogram { .. })
    }

    /// True if the reduction's result for each sample is two numbers, which the four-buffer form reads through a uniform binding.
    pub fn scales_are_pairs(self) -> bool {
        self.scaled() && self.has_step_row()
    }

    /// True if its rows belong to calls of a loop, and not to timesteps.
    pub fn has_calls(self) -> bool {
        self.has_step_row() || matches!(self, Op::Guide { .. } | Op::GuideSums)
    }

    /// The files that reduce a chunk or, for `pairs`, a sample of two elements.
    pub fn reduction(self, pairs: bool) -> &'static [&'static str] {
        use {reduce::*, shared::WEIGHTED_COST};
        match self {
            // The invocation that reads a pair sums it, without a tree.
            Op::Loss { .. } | Op::Vlb { .. } if pairs => &[TOTAL, WEIGHTED_COST],
            Op::Loss { .. } | Op::Vlb { .. } => &[TOTAL, TREE, SUM_CHUNKS, WEIGHTED_COST],
            Op::Spread { .. } => &[MOMENTS, TREE, SUM_CHUNKS],
            Op::Histogram { .. } => &[RADIX],
            Op::GuideSums => &[CO_MOMENTS, TREE, SUM_CHUNKS],
            Op::Map | Op::Step(_) | Op::Guide { .. } => &[],
        }
    }

    /// The files of the op itself.
    pub fn files(self) -> &'static [&'static str] {
        use reduce::CO_MOMENTS;
        use shared::{CLAMPED, GUIDE_FIXED, GUIDE_ROW, STEP_EXTENDED, STEP_PLAIN, STEP_ROW};
        match self {
            Op::Map => &[include_str!("../../../shaders/op/map.wgsl")],
            Op::Step(StepVariant { parts: RowParts { extended: true, .. }, .. }) => {
                &[STEP_ROW, STEP_EXTENDED, CLAMPED, include_str!("../../../shaders/op/step.wgsl")]
            }
            Op::Step(_) => &[STEP_ROW, STEP_PLAIN, CLAMPED, include_str!("../../../shaders/op/step.wgsl")],
            Op::Spread { .. } => &[STEP_ROW, include_str!("../../../shaders/op/spread.wgsl")],
            Op::Histogram { .. } => &[STEP_ROW, include_str!("../../../shaders/op/histogram.wgsl")],
            Op::Guide { summed: false } => {
                &[GUIDE_ROW, GUIDE_FIXED, include_str!("../../../shaders/guide/mixture.wgsl")]
            }
            Op::Guide { summed: true } => &[
                CO_MOMENTS,
                GUIDE_ROW,
                include_str!("../../../shaders/guide/weights.wgsl"),
                include_str!("../../../shaders/guide/mixture.wgsl"),
            ],
            Op::GuideSums => &[GUIDE_ROW, GUIDE_FIXED, include_str!("../../../shaders/guide/sums.wgsl")],
            Op::Loss { .. } => &[CLAMPED, include_str!("../../../shaders/op/loss.wgsl")],
            Op::Vlb { .. } => &[
                CLAMPED,
                include_str!("../../../shaders/op/exponential.wgsl"),
                include_str!("../../../shaders/op/vlb.wgsl"),
            ],
        }
    }

    /// Writes the constants by which these files depend on the plan: its choices, and which tensors it `has`.
    pub fn constants(self, has: impl Fn(usize) -> bool) -> String {
        match self {
            Op::Map | Op::Spread { .. } | Op::Histogram { .. } => String::new(),
            Op::GuideSums => "const KEEPS = false;\n".to_owned(),
            Op::Guide { .. } => format!("const KEEPS = {};\n", has(guide::NEXT_MOMENTUM)),
            Op::Step(StepVariant { clip, deviation, depth, parts, .. }) => {
                let (masked, codes) = (has(step::MASK), clip.chosen() + &deviation.chosen());
                let extended = parts.extended;
                format!("{codes}const DEPTH = {depth}u;\nconst MASKED = {masked};\nconst EXTENDED = {extended};\n")
            }
            Op::Loss { curve, .. } => format!("{}const NOISE_OUT = {};\n", curve.chosen(), has(loss::NOISE_OUT)),
            Op::Vlb { clips, .. } => {
                let mut text = Term::codes();
                let _ = write!(text, "const CLIPS = {clips};\nconst NOISE_OUT = {};\n", has(vlb::NOISE_OUT));
                let numbers = [
                    ("ROOT_2_OVER_PI", FRAC_2_PI.sqrt()),
                    ("CUBIC", CUBIC),
                    ("HALF_BIN", HALF_BIN),
                    ("LAST_BIN", LAST_BIN),
                    ("LEAST_PROBABILITY", LEAST_PROBABILITY),
                ];
                // The constants have no type, so that the shader rounds them once, as the host does.
                for (name, value) in numbers {
                    let _ = writeln!(text, "const {name} = {value:e};");
                }
                text
            }
        }
    }
}

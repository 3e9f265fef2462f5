//! Choices that host and shader share: each is an enum here and a set of named constants in WGSL.

use crate::table::step::Deviation;
use crate::table::vlb::Term;

/// A choice that a kernel is compiled for. Its codes reach the shader as named constants, such as `CURVE_HUBER`.
pub(crate) trait Code: Copy + 'static {
    /// The name of the constant that holds the choice.
    const NAME: &'static str;
    /// Every choice, with the suffix of its own constant.
    const ALL: &'static [(Self, &'static str)];

    /// The number that the shader compares with.
    fn code(self) -> u32;

    /// Writes the constants of all choices.
    fn codes() -> String {
        let name = Self::NAME;
        Self::ALL.iter().map(|(choice, of)| format!("const {name}_{of} = {}u;\n", choice.code())).collect()
    }

    /// Writes the constants of all choices, and the one that holds this choice.
    fn chosen(self) -> String {
        format!("{}const {} = {}u;\n", Self::codes(), Self::NAME, self.code())
    }
}

/// The shape of a loss as a function of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LossCurve {
    /// A parabola that turns into lines.
    Huber,
    /// A hyperbola.
    PseudoHuber,
    /// Two lines.
    Absolute,
}

impl Code for LossCurve {
    const NAME: &'static str = "CURVE";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Huber, "HUBER"), (Self::PseudoHuber, "PSEUDO_HUBER"), (Self::Absolute, "ABSOLUTE")];

    fn code(self) -> u32 {
        self as u32
    }
}

/// A source of noise whose elements follow from counters of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SourceKind {
    /// torch on CUDA.
    Cuda,
    /// The NV source of web interfaces.
    Nv,
    /// JAX.
    Jax,
    /// JAX in its original layout.
    JaxOriginal,
}

impl Code for SourceKind {
    const NAME: &'static str = "SOURCE";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Cuda, "CUDA"), (Self::Nv, "NV"), (Self::Jax, "JAX"), (Self::JaxOriginal, "JAX_ORIGINAL")];

    fn code(self) -> u32 {
        self as u32
    }
}

/// The most stages of a step whose size the GPU chooses.
pub(crate) const MOST_STAGES: u32 = 3;

/// A word that the controller of such steps writes for each sample, besides the level of each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ChosenWord {
    /// The units of the table that the solver advances.
    Step,
    /// The number of accepted steps before this one: the stream of its noise.
    Draw,
    /// 0 for a rejected step; otherwise 1 more than the units that the solver goes beyond the step, which noise takes back.
    Choice,
    /// The level that an accepted step has reached.
    Reached,
}

impl Code for ChosenWord {
    const NAME: &'static str = "WORD";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Step, "STEP"), (Self::Draw, "DRAW"), (Self::Choice, "CHOICE"), (Self::Reached, "REACHED")];

    /// The levels of the stages come first.
    fn code(self) -> u32 {
        MOST_STAGES + self as u32
    }
}

/// The treatment of the clean sample in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ClipKind {
    /// It is not clipped.
    #[default]
    None,
    /// It is clamped to a range.
    Range,
    /// Each sample is clamped to its own threshold, and divided by it.
    Quantile,
}

impl Code for ClipKind {
    const NAME: &'static str = "CLIP";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::None, "NONE"), (Self::Range, "RANGE"), (Self::Quantile, "QUANTILE")];

    fn code(self) -> u32 {
        self as u32
    }
}

impl Code for Deviation {
    const NAME: &'static str = "DEVIATION";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Fixed, "FIXED"), (Self::Log, "LOG"), (Self::Variance, "VARIANCE")];

    fn code(self) -> u32 {
        self as u32
    }
}

/// A row holds the code of its term, so one kernel computes all of them.
impl Code for Term {
    const NAME: &'static str = "TERM";
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Divergence, "DIVERGENCE"), (Self::Decoder, "DECODER"), (Self::SquaredError, "SQUARED_ERROR")];

    fn code(self) -> u32 {
        self.number()
    }
}

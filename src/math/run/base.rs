//! The base of a model as a ComfyUI sampler sees it: its table of sigmas, and the number that the network is told at each.

use super::value::Choice;
use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::parameter::{ABOVE_ZERO, FINITE, Parameter};

/// The base of a model: its table of sigmas and the number that its network is told, after ComfyUI's class of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Base {
    /// Betas at whole timesteps (Ho et al. 2020); told the index of the nearest `ln(sigma)`.
    Discrete,
    /// The same table as `Discrete`; told `ln(sigma)/4`.
    DiscreteEdm,
    /// Every `k`-th sigma of the same table, for a network that was distilled on these; told their timesteps.
    Distilled,
    /// A cosine schedule in continuous time; told its time (Stable Cascade).
    Cascade,
    /// A rectified flow with a constant shift; told its shifted time, times the multiplier.
    Flow,
    /// A rectified flow with an exponential shift; told its shifted time.
    Flux,
    /// Any sigma between two ends; told `ln(sigma)/4` (Karras et al. 2022).
    ContinuousEdm,
    /// Any sigma between two ends; told the angle `atan(sigma)*2/pi`.
    ContinuousV,
    /// Any sigma between two ends; told `sigma/(sigma + 1)` (Cosmos).
    Cosmos,
}

/// The most sigmas of a table: a guard against an absurd setting.
const MOST: f64 = 100_000.0;

const TIMESTEPS: Parameter =
    Parameter::new("timesteps", 1000.0, [1.0, MOST], "the number of timesteps of the model").whole();

const FLUX_TIMESTEPS: Parameter =
    Parameter::new("timesteps", 10_000.0, [1.0, MOST], "the number of times in the table").whole();

const SHIFT: Parameter = Parameter::new("shift", 1.0, [ABOVE_ZERO, FINITE], "above 1 shifts times towards noise");

/// The shift is an exponent; the range keeps the table finite and rising in f64.
const FLUX_SHIFT: Parameter =
    Parameter::new("shift", 1.15, [-30.0, 30.0], "above 0 shifts times towards noise, exponentially");

const NOISE_SCALE: Parameter = Parameter::new(
    "noise_scale",
    1.0,
    [ABOVE_ZERO, FINITE],
    "the standard deviation of the noise that the model was trained on",
);

const DISCRETE: &[Parameter] = &[
    Parameter::new("linear_start", 0.000_85, [0.0, 1.0], "the first beta"),
    Parameter::new("linear_end", 0.012, [0.0, 1.0], "the last beta"),
    TIMESTEPS,
    Parameter::new("zsnr", 0.0, [0.0, 1.0], "rescales the table to zero terminal SNR (Lin et al. 2023)").whole(),
    SIGMA_DATA,
];

const DISTILLED: &[Parameter] = &[
    DISCRETE[0],
    DISCRETE[1],
    DISCRETE[2],
    DISCRETE[3],
    SIGMA_DATA,
    Parameter::new("original_timesteps", 50.0, [1.0, MOST], "the number of timesteps of the distillation").whole(),
];

const FLOW: &[Parameter] = &[
    SHIFT,
    Parameter::new("multiplier", 1000.0, [ABOVE_ZERO, FINITE], "the network is told the shifted time times this"),
    TIMESTEPS,
    NOISE_SCALE,
];

const SIGMA_DATA: Parameter =
    Parameter::new("sigma_data", 1.0, [ABOVE_ZERO, FINITE], "the standard deviation of the data");

const CONTINUOUS: &[Parameter] = &[
    Parameter::new("sigma_min", 0.002, [ABOVE_ZERO, FINITE], "the least sigma"),
    Parameter::new("sigma_max", 120.0, [ABOVE_ZERO, FINITE], "the largest sigma"),
    SIGMA_DATA,
];

/// The rules of betas, by the names that ComfyUI and its predecessors gave them.
pub(super) const BETA_SCHEDULE: Choice = Choice {
    name: "beta_schedule",
    words: &["linear", "cosine", "squaredcos_cap_v2", "sqrt_linear", "sqrt"],
    default: Some("linear"),
};

impl Base {
    /// Every base, with its settings.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: BASES };

    /// Its settings that are words.
    pub(super) const fn choices(self) -> &'static [Choice] {
        match self {
            Self::Discrete | Self::DiscreteEdm | Self::Distilled => &[BETA_SCHEDULE],
            _ => &[],
        }
    }

    /// True where sigmas end at 1: a flow.
    pub(super) const fn ends_at_one(self) -> bool {
        matches!(self, Self::Flow | Self::Flux)
    }
}

const BASES: &[Entry<Base>] = &[
    Entry::new("base", "ModelSamplingDiscrete", &[], "betas at whole timesteps", DISCRETE, Base::Discrete),
    Entry::new(
        "base",
        "ModelSamplingDiscreteEDM",
        &[],
        "betas at whole timesteps, told ln(sigma)/4",
        DISCRETE,
        Base::DiscreteEdm,
    ),
    Entry::new(
        "base",
        "ModelSamplingDiscreteDistilled",
        &[],
        "every k-th timestep, for a distilled network",
        DISTILLED,
        Base::Distilled,
    ),
    Entry::new(
        "base",
        "StableCascadeSampling",
        &["ModelSamplingStableCascade"],
        "a cosine schedule in continuous time",
        &[SHIFT],
        Base::Cascade,
    ),
    Entry::new(
        "base",
        "ModelSamplingDiscreteFlow",
        &["ModelSamplingAuraFlow", "ModelSamplingSD3"],
        "a rectified flow with a constant shift",
        FLOW,
        Base::Flow,
    ),
    Entry::new(
        "base",
        "ModelSamplingFlux",
        &[],
        "a rectified flow with an exponential shift",
        &[FLUX_SHIFT, FLUX_TIMESTEPS, NOISE_SCALE],
        Base::Flux,
    ),
    Entry::new(
        "base",
        "ModelSamplingContinuousEDM",
        &[],
        "any sigma, told ln(sigma)/4",
        CONTINUOUS,
        Base::ContinuousEdm,
    ),
    Entry::new("base", "ModelSamplingContinuousV", &[], "any sigma, told an angle", CONTINUOUS, Base::ContinuousV),
    Entry::new("base", "ModelSamplingCosmosRFlow", &[], "any sigma, told sigma/(sigma + 1)", CONTINUOUS, Base::Cosmos),
];

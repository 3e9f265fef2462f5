//! The rules that place the noise levels of a loop, and the scales of its samples.

use super::entry::{Catalogue, Entry, Make};
use super::parameter::{ABOVE_ZERO, FINITE, Parameter};
use super::quantities::SIGMA_DATA;
use crate::math::edm::SigmaData;
use crate::math::placement::Placement;
use crate::math::sampler::grid::Scale;
use crate::math::schedule::MAX_STEPS;
use crate::math::schedule::families::RHO;
use crate::math::spacing::Spacing;

impl Placement {
    /// Every rule that places levels, with the constants of its source.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: PLACEMENTS };
}

pub(in crate::math) const fn rho(default: f64) -> Parameter {
    Parameter::new("rho", default, RHO, "exponent of the spacing")
}

pub(in crate::math) const OFFSET: Parameter =
    Parameter::new("offset", 0.0, [0.0, MAX_STEPS as f64], "added to each timestep; 1 for Stable Diffusion").whole();

/// The shapes of a beta distribution, in the range in which its quantiles are accurate; 0.6 is diffusers' default.
pub(in crate::math) const BETA: &[Parameter] = &[
    Parameter::new("a", 0.6, [0.1, 100.0], "first shape of the distribution"),
    Parameter::new("b", 0.6, [0.1, 100.0], "second shape of the distribution"),
];

/// The constants of k-diffusion's `get_sigmas_vp`.
pub(in crate::math) const VP: &[Parameter] = &[
    Parameter::new("beta_d", 19.9, [ABOVE_ZERO, FINITE], "rise of beta over the whole process"),
    Parameter::new("beta_min", 0.1, [0.0, FINITE], "beta at time 0"),
    Parameter::new("least_time", 1e-3, [ABOVE_ZERO, 1.0], "time of the last level"),
];

/// The shift of a flow's times; 1 changes nothing.
pub(in crate::math) const SHIFT: Parameter =
    Parameter::new("shift", 1.0, [ABOVE_ZERO, FINITE], "above 1 shifts times towards noise");

const PLACEMENTS: &[Entry<Make<Placement>>] = &[
    Entry::new("grid", "leading", &[], "multiples of T/n plus an offset (Ho et al. 2020)", &[OFFSET], |v| {
        Ok(Placement::Timesteps(Spacing::Leading { offset: v.count("offset") }))
    }),
    Entry::new("grid", "trailing", &[], "T, T - T/n, ..: from the noisiest timestep on (Lin et al. 2023)", &[], |_| {
        Ok(Placement::Timesteps(Spacing::Trailing))
    }),
    Entry::new("grid", "linspace", &[], "equal steps from the noisiest timestep to 0", &[], |_| {
        Ok(Placement::Timesteps(Spacing::Linspace))
    }),
    Entry::new("grid", "karras", &[], "equal steps of sigma^(1/rho) (Karras et al. 2022)", &[rho(7.0)], |v| {
        Ok(Placement::Karras { rho: v.number("rho") })
    }),
    Entry::new(
        "grid",
        "exponential",
        &["lu", "lu_lambdas"],
        "equal steps of ln(sigma), as in k-diffusion; diffusers' Lu lambdas",
        &[],
        |_| Ok(Placement::Exponential),
    ),
    Entry::new(
        "grid",
        "polyexponential",
        &[],
        "powers of equal steps of ln(sigma), as in k-diffusion",
        &[rho(1.0)],
        |v| Ok(Placement::Polyexponential { rho: v.number("rho") }),
    ),
    Entry::new("grid", "beta", &[], "quantiles of a beta distribution (Lee et al. 2024)", BETA, |v| {
        Ok(Placement::Beta { a: v.number("a"), b: v.number("b") })
    }),
    Entry::new("grid", "vp", &[], "a continuous variance-preserving process (Song et al. 2021)", VP, |v| {
        let [beta_d, beta_min, least_time] = ["beta_d", "beta_min", "least_time"].map(|name| v.number(name));
        Ok(Placement::Vp { beta_d, beta_min, least_time })
    }),
    Entry::new("grid", "flow-times", &["flow"], "times 1 - i/n of a rectified flow, shifted", &[SHIFT], |v| {
        Ok(Placement::FlowTimes { shift: v.number("shift") })
    }),
    Entry::new(
        "grid",
        "flow-ends",
        &[],
        "times from 1 to 1/T, their ends shifted too: Stable Diffusion 3",
        &[SHIFT],
        |v| Ok(Placement::FlowEnds { shift: v.number("shift") }),
    ),
];

impl Scale {
    /// Every scale of a loop's samples.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: SCALES };
}

const SCALES: &[Entry<Make<Scale>>] = &[
    Entry::new("scale", "vp", &["variance-preserving"], "alpha^2 + sigma^2 = 1: DPM-Solver, UniPC", &[], |_| {
        Ok(Scale::VariancePreserving)
    }),
    Entry::new(
        "scale",
        "ve",
        &["variance-exploding"],
        "alpha = 1, the network's input scaled: Euler, Heun",
        &[],
        |_| Ok(Scale::VarianceExploding),
    ),
    Entry::new(
        "scale",
        "trigflow",
        &["scm"],
        "alpha = cos(t), the network's input over the data's deviation (Lu & Song 2024)",
        &[SIGMA_DATA],
        |v| Ok(Scale::TrigFlow(SigmaData::new(v.number("sigma_data"))?)),
    ),
    Entry::new("scale", "flow", &["rectified-flow"], "alpha = 1 - sigma: rectified flow", &[], |_| Ok(Scale::Flow)),
    Entry::new(
        "scale",
        "denoiser",
        &[],
        "alpha = 1, the network's input not scaled: a denoiser D(x, sigma)",
        &[],
        |_| Ok(Scale::Denoiser),
    ),
    Entry::new(
        "scale",
        "edm",
        &["karras"],
        "alpha = 1, EDM's preconditioning (Karras et al. 2022)",
        &[SIGMA_DATA],
        |v| Ok(Scale::Edm(SigmaData::new(v.number("sigma_data"))?)),
    ),
];

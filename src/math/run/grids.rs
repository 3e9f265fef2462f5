//! The catalogue of grids: the schedulers of ComfyUI by name, and its scheduler nodes.

use super::error::RunError;
use super::placed::placed;
use super::request::{GridRule, MOST_STEPS, Place, Request, last, steps_of_denoise};
use super::value::Choice;
use super::{scheduler_nodes as nodes, schedulers as names, sigma_nodes as changes};
use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::grids::{BETA, OFFSET, SHIFT, VP, rho};
use crate::math::catalog::parameter::{ABOVE_ZERO, FINITE, Parameter};

impl GridRule {
    /// Every scheduler and every scheduler node. A node is found under ComfyUI's name too.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: GRIDS };

    /// The names of schedulers that are not nodes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GRIDS.iter().filter(|entry| !entry.make.is_node).map(|entry| entry.name)
    }
}

const POSITIVE: [f64; 2] = [ABOVE_ZERO, FINITE];
const PART: [f64; 2] = [0.0, 1.0];

const fn steps(default: f64, least: f64) -> Parameter {
    Parameter::new("steps", default, [least, MOST_STEPS as f64], "steps of the network").whole()
}

const STEPS: Parameter = steps(20.0, 1.0);
const DENOISE: Parameter = Parameter::new("denoise", 1.0, PART, "the last part of the steps that is kept");
const SIGMA_MAX: Parameter = Parameter::new("sigma_max", 14.614_642, POSITIVE, "the first sigma");
const SIGMA_MIN: Parameter = Parameter::new("sigma_min", 0.029_167_5, POSITIVE, "the last sigma above 0");
const WIDTH: Parameter = Parameter::new("width", 1024.0, [1.0, 1e6], "pixels").whole();
const HEIGHT: Parameter = Parameter::new("height", 1024.0, [1.0, 1e6], "pixels").whole();

/// The shapes for which the quantiles of a beta distribution are accurate.
const fn shape(name: &'static str) -> Parameter {
    Parameter::new(name, 0.6, [0.1, 100.0], "a shape of the distribution")
}

/// Exponents whose exponential is a number.
const fn shift(name: &'static str, default: f64) -> Parameter {
    Parameter::new(name, default, [-30.0, 30.0], "leads times towards noise, exponentially")
}

const fn rule(make: Place) -> GridRule {
    GridRule { choices: &[], is_node: false, is_free: false, changes_sigmas: false, make }
}

impl GridRule {
    const fn node(self) -> Self {
        Self { is_node: true, ..self }
    }

    const fn free(self) -> Self {
        Self { is_free: true, ..self }
    }

    const fn of_sigmas(self) -> Self {
        Self { is_node: true, is_free: true, changes_sigmas: true, ..self }
    }

    const fn with(self, choices: &'static [Choice]) -> Self {
        Self { choices, ..self }
    }
}

const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    parameters: &'static [Parameter],
    rule: GridRule,
) -> Entry<GridRule> {
    Entry { kind: "grid", name, synonyms, summary, parameters, make: rule }
}

const fn word(name: &'static str, words: &'static [&'static str], default: &'static str) -> Choice {
    Choice { name, words, default: Some(default) }
}

const OUTPUT: Choice = Choice { name: "output", words: changes::HALVES, default: None };

/// Schedulers first, those of ComfyUI in the order of its list, then nodes.
const GRIDS: &[Entry<GridRule>] = &[
    entry("simple", &[], "every so many of the model's sigmas (ComfyUI)", &[], rule(names::simple)),
    entry("sgm_uniform", &[], "equal steps of the timestep, without the last (ComfyUI)", &[], rule(names::sgm_uniform)),
    entry("karras", &[], "equal steps of sigma^(1/rho) (Karras et al. 2022)", &[rho(7.0)], rule(names::karras)),
    entry("exponential", &["lu", "lu_lambdas"], "equal steps of ln(sigma)", &[], rule(names::exponential)),
    entry(
        "ddim_uniform",
        &[],
        "every so many of the model's sigmas from the cleanest up (ComfyUI)",
        &[],
        rule(names::ddim_uniform),
    ),
    entry(
        "beta",
        &[],
        "the model's sigmas at quantiles of a beta distribution (Lee et al. 2024)",
        BETA,
        rule(names::beta),
    ),
    entry("normal", &[], "equal steps of the timestep (ComfyUI)", &[], rule(names::normal)),
    entry(
        "linear_quadratic",
        &[],
        "a line near noise, then a parabola (Polyak et al. 2024)",
        &[],
        rule(names::linear_quadratic),
    ),
    entry("kl_optimal", &[], "equal steps of atan(sigma) (Sabour et al. 2024)", &[], rule(names::kl_optimal)),
    entry("beta57", &[], "beta with the shapes 0.5 and 0.7 (RES4LYF)", &[], rule(names::beta57)),
    entry(
        "bong_tangent",
        &[],
        "two arctangents between 1, 1/2 and 0, for flows (RES4LYF)",
        &[],
        rule(names::bong_tangent).free(),
    ),
    entry(
        "smoothstep",
        &[],
        "the model's sigmas along 3u^2 - 2u^3 (stable-diffusion.cpp)",
        &[],
        rule(names::smoothstep),
    ),
    entry("leading", &[], "multiples of N/n plus an offset (Ho et al. 2020)", &[OFFSET], rule(placed)),
    entry("trailing", &[], "N, N - N/n, ..: from the noisiest timestep on (Lin et al. 2023)", &[], rule(placed)),
    entry("linspace", &[], "equal steps from the noisiest timestep to 0", &[], rule(placed)),
    entry("polyexponential", &[], "powers of equal steps of ln(sigma)", &[rho(1.0)], rule(placed)),
    entry("vp", &[], "a continuous variance-preserving process (Song et al. 2021)", VP, rule(placed)),
    entry("flow-times", &["flow"], "times 1 - i/n of a rectified flow, shifted", &[SHIFT], rule(placed)),
    entry("flow-ends", &[], "times from 1 to 1/N, their ends shifted too", &[SHIFT], rule(placed)),
    entry(
        "basic-scheduler",
        &["BasicScheduler"],
        "a scheduler by name, as a node",
        &[STEPS, DENOISE],
        rule(basic).node().with(SCHEDULER),
    ),
    entry(
        "karras-scheduler",
        &["KarrasScheduler"],
        "equal steps of sigma^(1/rho) between two sigmas (Karras et al. 2022)",
        &[STEPS, SIGMA_MAX, SIGMA_MIN, rho(7.0)],
        rule(nodes::karras).node().free(),
    ),
    entry(
        "exponential-scheduler",
        &["ExponentialScheduler"],
        "equal steps of ln(sigma) between two sigmas",
        &[STEPS, SIGMA_MAX, SIGMA_MIN],
        rule(nodes::exponential).node().free(),
    ),
    entry(
        "polyexponential-scheduler",
        &["PolyexponentialScheduler"],
        "powers of equal steps of ln(sigma) between two sigmas",
        &[STEPS, SIGMA_MAX, SIGMA_MIN, rho(1.0)],
        rule(nodes::polyexponential).node().free(),
    ),
    entry(
        "laplace-scheduler",
        &["LaplaceScheduler", "laplace"],
        "quantiles of a Laplace distribution of ln(sigma), without a 0 at the end (Hang et al. 2024)",
        &[
            STEPS,
            SIGMA_MAX,
            SIGMA_MIN,
            Parameter::new("mu", 0.0, [-30.0, 30.0], "centre of ln(sigma)"),
            Parameter::new("beta", 0.5, [0.0, 30.0], "scale of ln(sigma)"),
        ],
        rule(nodes::laplace).node().free(),
    ),
    entry(
        "vp-scheduler",
        &["VPScheduler"],
        "a continuous variance-preserving process (Song et al. 2021)",
        &[
            STEPS,
            Parameter::new("beta_d", 19.9, [0.0, 1000.0], "rise of beta over the whole process"),
            Parameter::new("beta_min", 0.1, [0.0, 100.0], "beta at time 0"),
            Parameter::new("eps_s", 0.001, PART, "time of the last level"),
        ],
        rule(nodes::variance_preserving).node().free(),
    ),
    entry(
        "sd-turbo-scheduler",
        &["SDTurboScheduler"],
        "the timesteps of SD-Turbo: 999, 899 and so on (Sauer et al. 2023)",
        &[steps(1.0, 1.0), DENOISE],
        rule(nodes::turbo).node(),
    ),
    entry(
        "beta-sampling-scheduler",
        &["BetaSamplingScheduler"],
        "the model's sigmas at quantiles of a beta distribution (Lee et al. 2024)",
        &[STEPS, shape("alpha"), shape("beta")],
        rule(nodes::beta_sampling).node(),
    ),
    entry(
        "align-your-steps-scheduler",
        &["AlignYourStepsScheduler", "align-your-steps", "ays"],
        "optimised tables for SD 1.5, SDXL and SVD (Sabour et al. 2024)",
        &[steps(10.0, 1.0), DENOISE],
        rule(nodes::align_your_steps).node().free().with(&[word("model_type", &["SD1", "SDXL", "SVD"], "SD1")]),
    ),
    entry(
        "gits-scheduler",
        &["GITSScheduler", "gits"],
        "tables along the curvature of trajectories, by a coefficient (Chen et al. 2024)",
        &[Parameter::new("coeff", 1.2, [0.8, 1.5], "the coefficient, in steps of 0.05"), steps(10.0, 2.0), DENOISE],
        rule(nodes::gits).node().free(),
    ),
    entry(
        "optimal-steps-scheduler",
        &["OptimalStepsScheduler", "optimal-steps"],
        "tables for FLUX, Wan and Chroma (Pei et al. 2025)",
        &[STEPS, DENOISE],
        rule(nodes::optimal_steps).node().free().with(&[word("model_type", &["FLUX", "Wan", "Chroma"], "FLUX")]),
    ),
    entry(
        "flux2-scheduler",
        &["Flux2Scheduler"],
        "the shift of FLUX.2, by the image's size and the number of steps",
        &[STEPS, WIDTH, HEIGHT],
        rule(nodes::flux2).node().free(),
    ),
    entry(
        "ltxv-scheduler",
        &["LTXVScheduler"],
        "the shift of LTX-Video, by its tokens, stretched to a terminal sigma",
        &[
            STEPS,
            shift("max_shift", 2.05),
            shift("base_shift", 0.95),
            Parameter::new("stretch", 1.0, PART, "stretches the sigmas to the terminal one").whole(),
            Parameter::new("terminal", 0.1, [0.0, 0.99], "the last sigma above 0"),
            Parameter::new("tokens", nodes::LTXV_DEFAULT_TOKENS, [1.0, 1e9], "tokens of the latent video").whole(),
        ],
        rule(nodes::ltxv).node().free(),
    ),
    entry(
        "ideogram4-scheduler",
        &["Ideogram4Scheduler"],
        "quantiles of a logistic normal distribution, by the image's size (Ideogram 4)",
        &[
            Parameter { max: 10_000.0, ..STEPS },
            WIDTH,
            HEIGHT,
            Parameter::new("mu", 0.0, [-30.0, 30.0], "centre of the logits"),
            Parameter::new("std", 1.75, [0.0, 30.0], "deviation of the logits"),
        ],
        rule(nodes::ideogram).node().free(),
    ),
    entry(
        "manual-sigmas",
        &["ManualSigmas"],
        "sigmas as text: `1.0, 0.5, 0.0`",
        &[],
        rule(changes::manual).of_sigmas(),
    ),
    entry(
        "flip-sigmas",
        &["FlipSigmas"],
        "the sigmas of an input from clean to noisy",
        &[],
        rule(changes::flip).of_sigmas(),
    ),
    entry(
        "split-sigmas",
        &["SplitSigmas"],
        "the sigmas of an input up to a step, or from it on",
        &[Parameter::new("step", 0.0, [0.0, MOST_STEPS as f64], "the step").whole()],
        rule(changes::split).of_sigmas().with(&[OUTPUT]),
    ),
    entry(
        "split-sigmas-denoise",
        &["SplitSigmasDenoise"],
        "the last part of an input's steps, or what is before it",
        &[DENOISE],
        rule(changes::split_denoise).of_sigmas().with(&[OUTPUT]),
    ),
    entry(
        "set-first-sigma",
        &["SetFirstSigma"],
        "the sigmas of an input with another first one",
        &[Parameter::new("sigma", 136.0, [0.0, FINITE], "the first sigma")],
        rule(changes::set_first).of_sigmas(),
    ),
    entry(
        "extend-intermediate-sigmas",
        &["ExtendIntermediateSigmas"],
        "the sigmas of an input, each step between two sigmas in several",
        &[
            Parameter::new("steps", 2.0, [1.0, 100.0], "steps in place of one").whole(),
            Parameter::new(
                "start_at_sigma",
                -1.0,
                [-1.0, FINITE],
                "the largest sigma that a step may start at; -1 for any",
            ),
            Parameter::new("end_at_sigma", 12.0, [0.0, FINITE], "the least sigma that a step may start at"),
        ],
        rule(changes::extend).of_sigmas().with(&[word("spacing", &["linear", "cosine", "sine"], "linear")]),
    ),
];

/// The word of `BasicScheduler`: the names of the schedulers above.
const SCHEDULER: &[Choice] = &[Choice {
    name: "scheduler",
    words: &[
        "simple",
        "sgm_uniform",
        "karras",
        "exponential",
        "ddim_uniform",
        "beta",
        "normal",
        "linear_quadratic",
        "kl_optimal",
        "beta57",
        "bong_tangent",
        "smoothstep",
        "leading",
        "trailing",
        "linspace",
        "polyexponential",
        "vp",
        "flow-times",
        "flow-ends",
    ],
    default: Some("simple"),
}];

/// `BasicScheduler`: a scheduler by name, the last part of its steps.
fn basic(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let denoise = request.number("denoise");
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let scheduler = GridRule::CATALOGUE.find(request.word("scheduler")?)?;
    let all = if denoise < 1.0 { steps_of_denoise(scheduler.name, request.steps, denoise)? } else { request.steps };
    let whole = Request {
        grid: scheduler.name,
        steps: all,
        values: scheduler.values(&[])?,
        choices: &[],
        inputs: &[],
        sigmas: Vec::new(),
        ..*request
    };
    Ok(last((scheduler.make.make)(&whole)?, request.steps + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_scheduler_knows_every_scheduler() {
        let names: Vec<_> = GridRule::names().collect();
        assert_eq!(SCHEDULER[0].words, names);
    }
}

//! The scheduler nodes of ComfyUI, and its nodes that change sigmas.

use super::error::RunError;
use super::named_grids::SCHEDULERS;
use super::request::{GridRule, MOST_STEPS, Request, entry, last, steps_of_denoise};
use super::value::Choice;
use super::{scheduler_nodes as nodes, sigma_nodes as changes};
use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::grids::rho;
use crate::math::catalog::parameter::{ABOVE_ZERO, FINITE, Parameter};

const POSITIVE: [f64; 2] = [ABOVE_ZERO, FINITE];
const PART: [f64; 2] = [0.0, 1.0];

const fn steps(default: f64, least: f64) -> Parameter {
    Parameter::new("steps", default, [least, MOST_STEPS as f64], "number of steps").whole()
}

const STEPS: Parameter = steps(20.0, 1.0);
const DENOISE: Parameter = Parameter::new("denoise", 1.0, PART, "the last part of the steps that is kept");
const SIGMA_MAX: Parameter = Parameter::new("sigma_max", 14.614_642, POSITIVE, "the first sigma");
const SIGMA_MIN: Parameter = Parameter::new("sigma_min", 0.029_167_5, POSITIVE, "the last sigma above 0");
const WIDTH: Parameter = Parameter::new("width", 1024.0, [1.0, 1e6], "width of the image in pixels").whole();
const HEIGHT: Parameter = Parameter::new("height", 1024.0, [1.0, 1e6], "height of the image in pixels").whole();

/// A shape of a beta distribution, in the range in which its quantiles are accurate.
const fn shape(name: &'static str) -> Parameter {
    Parameter::new(name, 0.6, [0.1, 100.0], "shape of the distribution")
}

/// A shift that is an exponent, in a range in which the exponential neither overflows nor vanishes.
const fn shift(name: &'static str, default: f64) -> Parameter {
    Parameter::new(name, default, [-30.0, 30.0], "shifts times towards noise, exponentially")
}

const fn word(name: &'static str, words: &'static [&'static str], default: &'static str) -> Choice {
    Choice { name, words, default: Some(default) }
}

const OUTPUT: Choice = Choice { name: "output", words: changes::HALVES, default: None };

/// The nodes that place sigmas, then those that change them.
pub(super) const NODES: &[Entry<GridRule>] = &[
    entry(
        "basic-scheduler",
        &["BasicScheduler"],
        "a scheduler by name, as a node",
        &[STEPS, DENOISE],
        GridRule::new(basic).node().with(SCHEDULER),
    ),
    entry(
        "karras-scheduler",
        &["KarrasScheduler"],
        "equal steps of sigma^(1/rho) between two sigmas (Karras et al. 2022)",
        &[STEPS, SIGMA_MAX, SIGMA_MIN, rho(7.0)],
        GridRule::new(nodes::karras).node().free(),
    ),
    entry(
        "exponential-scheduler",
        &["ExponentialScheduler"],
        "equal steps of ln(sigma) between two sigmas",
        &[STEPS, SIGMA_MAX, SIGMA_MIN],
        GridRule::new(nodes::exponential).node().free(),
    ),
    entry(
        "polyexponential-scheduler",
        &["PolyexponentialScheduler"],
        "powers of equal steps of ln(sigma) between two sigmas",
        &[STEPS, SIGMA_MAX, SIGMA_MIN, rho(1.0)],
        GridRule::new(nodes::polyexponential).node().free(),
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
        GridRule::new(nodes::laplace).node().free(),
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
        GridRule::new(nodes::variance_preserving).node().free(),
    ),
    entry(
        "sd-turbo-scheduler",
        &["SDTurboScheduler"],
        "the timesteps of SD-Turbo: 999, 899 and so on (Sauer et al. 2023)",
        &[steps(1.0, 1.0), DENOISE],
        GridRule::new(nodes::turbo).node(),
    ),
    entry(
        "beta-sampling-scheduler",
        &["BetaSamplingScheduler"],
        "the model's sigmas at quantiles of a beta distribution (Lee et al. 2024)",
        &[STEPS, shape("alpha"), shape("beta")],
        GridRule::new(nodes::beta_sampling).node(),
    ),
    entry(
        "align-your-steps-scheduler",
        &["AlignYourStepsScheduler", "align-your-steps", "ays"],
        "optimised tables for SD 1.5, SDXL and SVD (Sabour et al. 2024)",
        &[steps(10.0, 1.0), DENOISE],
        GridRule::new(nodes::align_your_steps).node().free().with(&[word(
            "model_type",
            &["SD1", "SDXL", "SVD"],
            "SD1",
        )]),
    ),
    entry(
        "gits-scheduler",
        &["GITSScheduler", "gits"],
        "tables that follow the curvature of trajectories, chosen by a coefficient (Chen et al. 2024)",
        &[Parameter::new("coeff", 1.2, [0.8, 1.5], "coefficient, in steps of 0.05"), steps(10.0, 2.0), DENOISE],
        GridRule::new(nodes::gits).node().free(),
    ),
    entry(
        "optimal-steps-scheduler",
        &["OptimalStepsScheduler", "optimal-steps"],
        "tables for FLUX, Wan and Chroma (Pei et al. 2025)",
        &[STEPS, DENOISE],
        GridRule::new(nodes::optimal_steps).node().free().with(&[word(
            "model_type",
            &["FLUX", "Wan", "Chroma"],
            "FLUX",
        )]),
    ),
    entry(
        "flux2-scheduler",
        &["Flux2Scheduler"],
        "times with the shift of FLUX.2, from the image's size and the number of steps",
        &[STEPS, WIDTH, HEIGHT],
        GridRule::new(nodes::flux2).node().free(),
    ),
    entry(
        "ltxv-scheduler",
        &["LTXVScheduler"],
        "times with the shift of LTX-Video, from its tokens, stretched to a terminal sigma",
        &[
            STEPS,
            shift("max_shift", 2.05),
            shift("base_shift", 0.95),
            Parameter::new("stretch", 1.0, PART, "1 stretches the sigmas to end at the terminal one").whole(),
            Parameter::new("terminal", 0.1, [0.0, 0.99], "the last sigma above 0"),
            Parameter::new("tokens", nodes::LTXV_DEFAULT_TOKENS, [1.0, 1e9], "tokens of the latent video").whole(),
        ],
        GridRule::new(nodes::ltxv).node().free(),
    ),
    entry(
        "ideogram4-scheduler",
        &["Ideogram4Scheduler"],
        "quantiles of a logit-normal distribution, shifted by the image's size (Ideogram 4)",
        &[
            Parameter { max: 10_000.0, ..STEPS },
            WIDTH,
            HEIGHT,
            Parameter::new("mu", 0.0, [-30.0, 30.0], "centre of the logits"),
            Parameter::new("std", 1.75, [0.0, 30.0], "deviation of the logits"),
        ],
        GridRule::new(nodes::ideogram).node().free(),
    ),
    entry(
        "manual-sigmas",
        &["ManualSigmas"],
        "sigmas as text: `1.0, 0.5, 0.0`",
        &[],
        GridRule::new(changes::manual).of_sigmas(),
    ),
    entry(
        "flip-sigmas",
        &["FlipSigmas"],
        "the sigmas of an input from clean to noisy",
        &[],
        GridRule::new(changes::flip).of_sigmas(),
    ),
    entry(
        "split-sigmas",
        &["SplitSigmas"],
        "the sigmas of an input up to a step, or from that step on",
        &[Parameter::new("step", 0.0, [0.0, MOST_STEPS as f64], "the step").whole()],
        GridRule::new(changes::split).of_sigmas().with(&[OUTPUT]),
    ),
    entry(
        "split-sigmas-denoise",
        &["SplitSigmasDenoise"],
        "the last part of an input's steps, or the part before it",
        &[DENOISE],
        GridRule::new(changes::split_denoise).of_sigmas().with(&[OUTPUT]),
    ),
    entry(
        "set-first-sigma",
        &["SetFirstSigma"],
        "the sigmas of an input with another first one",
        &[Parameter::new("sigma", 136.0, [0.0, FINITE], "the first sigma")],
        GridRule::new(changes::set_first).of_sigmas(),
    ),
    entry(
        "extend-intermediate-sigmas",
        &["ExtendIntermediateSigmas"],
        "the sigmas of an input, with each step that starts between two sigmas divided",
        &[
            Parameter::new("steps", 2.0, [1.0, 100.0], "number of steps that replace one").whole(),
            Parameter::new(
                "start_at_sigma",
                -1.0,
                [-1.0, FINITE],
                "the largest sigma that a step may start at; -1 for any",
            ),
            Parameter::new("end_at_sigma", 12.0, [0.0, FINITE], "the least sigma that a step may start at"),
        ],
        GridRule::new(changes::extend).of_sigmas().with(&[word("spacing", &["linear", "cosine", "sine"], "linear")]),
    ),
];

/// The scheduler that `BasicScheduler` takes by name.
const SCHEDULER: &[Choice] = &[Choice { name: "scheduler", words: &NAMES, default: Some("simple") }];

const NAMES: [&str; SCHEDULERS.len()] = {
    let mut names = [""; SCHEDULERS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = SCHEDULERS[i].name;
        i += 1;
    }
    names
};

/// `BasicScheduler`: the last part of the steps of a scheduler that is given by name.
fn basic(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let denoise = request.number("denoise");
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let scheduler = Catalogue { entries: SCHEDULERS }.find(request.word("scheduler")?)?;
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

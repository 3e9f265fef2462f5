//! The noise schedules that are described by numbers.
//!
//! An entry with the parameter `zero_terminal_snr` is variance preserving: it can be rescaled so that its last timestep
//! holds no signal.

use super::entry::{Catalogue, Entry, Make, Values};
use super::error::CatalogError;
use super::parameter::{ABOVE_ZERO, FINITE, Parameter};
use super::quantities::SIGMA_DATA;
use crate::math::edm::SigmaData;
use crate::math::schedule::families::RHO;
use crate::math::schedule::{MAX_STEPS, Schedule};
use crate::math::schedule_error::ScheduleError;

impl Schedule {
    /// Every schedule that is described by numbers, with the defaults of its source.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };
}

/// The number of timesteps; most published models have 1000.
pub(super) const TIMESTEPS: Parameter = Parameter::new(
    "train_timesteps",
    1000.0,
    [1.0, MAX_STEPS as f64],
    "number of noise levels that the model was trained on",
)
.whole();

const ZERO_TERMINAL_SNR: Parameter =
    Parameter::new("zero_terminal_snr", 0.0, [0.0, 1.0], "rescale so that the last timestep is pure noise").whole();

/// The variances that the first and the last timestep add.
const fn betas(start: f64, end: f64) -> [Parameter; 4] {
    let start = Parameter::new("beta_start", start, [0.0, 1.0], "variance that timestep 0 adds");
    let end = Parameter::new("beta_end", end, [0.0, 1.0], "variance that the last timestep adds");
    [TIMESTEPS, start, end, ZERO_TERMINAL_SNR]
}

/// The betas of Ho et al. 2020 (arXiv 2006.11239).
const DDPM_BETAS: &[Parameter] = &betas(1e-4, 0.02);

/// The betas of Stable Diffusion (Rombach et al. 2022, arXiv 2112.10752).
const STABLE_DIFFUSION_BETAS: &[Parameter] = &betas(0.00085, 0.012);

const LENGTH: &[Parameter] = &[TIMESTEPS, ZERO_TERMINAL_SNR];

const CONSTANT: &[Parameter] =
    &[TIMESTEPS, Parameter::new("beta", 0.01, [0.0, 1.0], "variance that each timestep adds"), ZERO_TERMINAL_SNR];

/// The usual values of Jabri et al. 2022 (arXiv 2212.11972), as lucidrains takes them.
const SIGMOID_ABAR: &[Parameter] = &[
    TIMESTEPS,
    Parameter::new("sigmoid_start", -3.0, [-FINITE, FINITE], "place on the sigmoid where the schedule starts"),
    Parameter::new("sigmoid_end", 3.0, [-FINITE, FINITE], "place on the sigmoid where the schedule ends"),
    Parameter::new("sigmoid_tau", 1.0, [ABOVE_ZERO, FINITE], "temperature; smaller is steeper"),
    ZERO_TERMINAL_SNR,
];

/// The values of Karras et al. 2022 (arXiv 2206.00364, table 1).
const EDM: &[Parameter] = &[
    TIMESTEPS,
    Parameter::new("sigma_min", 0.002, [ABOVE_ZERO, FINITE], "sigma of the least noisy timestep"),
    Parameter::new("sigma_max", 80.0, [ABOVE_ZERO, FINITE], "sigma of the noisiest timestep"),
    Parameter::new("rho", 7.0, RHO, "exponent of the spacing; 1 is even"),
];

const ENTRIES: &[Entry<Make<Schedule>>] = &[
    Entry::new("schedule", "linear", &[], "betas in equal steps: DDPM (Ho et al. 2020)", DDPM_BETAS, |v| {
        rescaled(v, Schedule::linear(steps(v), v.number("beta_start"), v.number("beta_end")))
    }),
    Entry::new(
        "schedule",
        "linear-scaled",
        &["linear_scaled_by_T"],
        "linear, its betas multiplied by 1000/T: guided-diffusion (Dhariwal & Nichol 2021)",
        DDPM_BETAS,
        |v| rescaled(v, Schedule::linear_scaled(steps(v), v.number("beta_start"), v.number("beta_end"))),
    ),
    Entry::new(
        "schedule",
        "scaled-linear",
        &["quad", "quadratic"],
        "roots of betas in equal steps: Stable Diffusion (Rombach et al. 2022)",
        STABLE_DIFFUSION_BETAS,
        |v| rescaled(v, Schedule::scaled_linear(steps(v), v.number("beta_start"), v.number("beta_end"))),
    ),
    Entry::new("schedule", "cosine", &["squaredcos_cap_v2"], "improved DDPM (Nichol & Dhariwal 2021)", LENGTH, |v| {
        rescaled(v, Schedule::cosine(steps(v)))
    }),
    Entry::new(
        "schedule",
        "sigmoid",
        &[],
        "betas along a sigmoid: GeoDiff (Xu et al. 2022), as in diffusers",
        DDPM_BETAS,
        |v| rescaled(v, Schedule::sigmoid(steps(v), v.number("beta_start"), v.number("beta_end"))),
    ),
    Entry::new(
        "schedule",
        "sigmoid-abar",
        &["sigmoid_alpha_bar", "sigmoid_jabri", "jabri"],
        "abar along a sigmoid (Jabri et al. 2022)",
        SIGMOID_ABAR,
        sigmoid_abar,
    ),
    Entry::new("schedule", "laplace", &[], "Laplace log SNRs, as diffusers computes them", LENGTH, |v| {
        rescaled(v, Schedule::laplace(steps(v)))
    }),
    Entry::new(
        "schedule",
        "laplace-paper",
        &["laplace (paper)"],
        "Laplace log SNRs, as published (Hang et al. 2024)",
        LENGTH,
        |v| rescaled(v, Schedule::laplace_paper(steps(v))),
    ),
    Entry::new("schedule", "exponential", &["exp"], "abar along a falling exponential, as in diffusers", LENGTH, |v| {
        rescaled(v, Schedule::exponential(steps(v)))
    }),
    Entry::new("schedule", "constant", &["const", "constant_beta"], "the same beta at every timestep", CONSTANT, |v| {
        rescaled(v, Schedule::linear(steps(v), v.number("beta"), v.number("beta")))
    }),
    Entry::new(
        "schedule",
        "variance-exploding",
        &["ve", "edm", "karras"],
        "alpha = 1, sigmas as EDM places them (Karras et al. 2022)",
        EDM,
        |v| Ok(Schedule::edm(steps(v), v.number("sigma_min"), v.number("sigma_max"), v.number("rho"))?),
    ),
    Entry::new(
        "schedule",
        "rectified-flow",
        &["flow"],
        "alpha = 1 - sigma in equal steps (Liu et al. 2022)",
        &[TIMESTEPS],
        |v| Ok(Schedule::rectified_flow(steps(v))?),
    ),
    Entry::new(
        "schedule",
        "trigflow",
        &["scm"],
        "cosine and sine of angles in equal steps (Lu & Song 2024)",
        &[TIMESTEPS, SIGMA_DATA],
        |v| Ok(Schedule::trig_flow(steps(v), SigmaData::new(v.number("sigma_data"))?)?),
    ),
];

fn steps(values: &Values) -> usize {
    values.count("train_timesteps")
}

fn rescaled(values: &Values, schedule: Result<Schedule, ScheduleError>) -> Result<Schedule, CatalogError> {
    let schedule = schedule?;
    Ok(if values.number("zero_terminal_snr") == 1.0 { schedule.zero_terminal_snr()? } else { schedule })
}

fn sigmoid_abar(values: &Values) -> Result<Schedule, CatalogError> {
    let [start, end, tau] = ["sigmoid_start", "sigmoid_end", "sigmoid_tau"].map(|name| values.number(name));
    if start >= end {
        return Err(ScheduleError::Range { name: "sigmoid", start, end }.into());
    }
    rescaled(values, Schedule::sigmoid_abar(steps(values), start, end, tau))
}

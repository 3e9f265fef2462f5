//! Options that the schedulers of diffusers share: training schedule, spacing, prediction, clipping.

use super::error::ConfigError;
use super::options::{Options, refused};
use super::run::{Run, Steps};
use crate::math::quantity::Quantity;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::schedule::{MAX_STEPS, Schedule};
use crate::math::spacing::Spacing;
use crate::table::step::Clip;

/// A named schedule of betas.
#[derive(Clone, Copy)]
pub(super) enum BetaSchedule {
    Linear,
    ScaledLinear,
    Cosine,
    Exponential,
    Laplace,
    Sigmoid,
}

const BETA_SCHEDULES: &[(&str, BetaSchedule)] = &[
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::Cosine),
    ("exp", BetaSchedule::Exponential),
    ("laplace", BetaSchedule::Laplace),
    ("sigmoid", BetaSchedule::Sigmoid),
];

/// The default betas of a class.
pub(super) struct Usual {
    pub(super) beta_schedule: BetaSchedule,
    pub(super) beta_start: f64,
    pub(super) beta_end: f64,
}

impl Usual {
    /// Most classes: Ho et al. 2020 (arXiv 2006.11239).
    pub(super) const DDPM: Self = Self { beta_schedule: BetaSchedule::Linear, beta_start: 1e-4, beta_end: 0.02 };
}

/// The number of timesteps that the network was trained with.
pub(super) fn train_timesteps(options: &mut Options) -> Result<usize, ConfigError> {
    match options.count("num_train_timesteps", 1000)? {
        steps @ 1..=MAX_STEPS => Ok(steps),
        found => Err(refused("num_train_timesteps", format!("1 to {MAX_STEPS}"), found)),
    }
}

/// The schedule that the network was trained with.
pub(super) fn schedule(options: &mut Options, usual: &Usual) -> Result<Schedule, ConfigError> {
    let steps = train_timesteps(options)?;
    let start = options.number("beta_start", usual.beta_start)?;
    let end = options.number("beta_end", usual.beta_end)?;
    let beta_schedule = options.choice("beta_schedule", BETA_SCHEDULES, usual.beta_schedule)?;
    let schedule = match options.numbers("trained_betas")? {
        Some(betas) if betas.len() != steps => {
            let expected = format!("{steps} betas, as many as num_train_timesteps");
            return Err(refused("trained_betas", expected, betas.len()));
        }
        Some(betas) => Schedule::from_betas(&betas),
        None => match beta_schedule {
            BetaSchedule::Linear => Schedule::linear(steps, start, end),
            BetaSchedule::ScaledLinear => Schedule::scaled_linear(steps, start, end),
            BetaSchedule::Cosine => Schedule::cosine(steps),
            BetaSchedule::Exponential => Schedule::exponential(steps),
            BetaSchedule::Laplace => Schedule::laplace(steps),
            BetaSchedule::Sigmoid => Schedule::sigmoid(steps, start, end),
        },
    };
    Ok(schedule?)
}

/// The training schedule, rescaled to zero terminal SNR if the file says so. Not every class reads that option.
pub(super) fn rescaled_schedule(options: &mut Options, usual: &Usual) -> Result<Schedule, ConfigError> {
    let schedule = schedule(options, usual)?;
    let rescaled = options.flag("rescale_betas_zero_snr", false)?;
    Ok(if rescaled { schedule.zero_terminal_snr()? } else { schedule })
}

/// `timestep_spacing` and `steps_offset`.
pub(super) fn spacing(options: &mut Options, usual: Spacing) -> Result<Spacing, ConfigError> {
    let offset = options.count("steps_offset", 0)?;
    let usual = match usual {
        Spacing::Leading { .. } => Spacing::Leading { offset },
        other => other,
    };
    let names =
        [("leading", Spacing::Leading { offset }), ("trailing", Spacing::Trailing), ("linspace", Spacing::Linspace)];
    options.choice("timestep_spacing", &names, usual)
}

/// The timesteps of a class that visits whole ones.
pub(super) fn timesteps(run: &Run, spacing: Spacing, train_timesteps: usize) -> Result<Vec<usize>, ConfigError> {
    match &run.steps {
        Steps::Count(steps) => Ok(spacing.timesteps(train_timesteps, *steps)?),
        Steps::Timesteps(list) => whole_timesteps(list, train_timesteps),
    }
}

/// Converts the caller's list to timesteps of a schedule.
pub(super) fn whole_timesteps(list: &[f64], train_timesteps: usize) -> Result<Vec<usize>, ConfigError> {
    let whole = |&t: &f64| match t >= 0.0 && t.fract() == 0.0 && t < train_timesteps as f64 {
        true => Ok(t as usize),
        false => Err(refused("timesteps", format!("whole numbers in 0..{train_timesteps}"), t)),
    };
    list.iter().map(whole).collect()
}

/// Refuses a list of timesteps if diffusers takes only a number of steps.
pub(super) fn count_only(run: &Run) -> Result<usize, ConfigError> {
    match &run.steps {
        Steps::Count(steps) => Ok(*steps),
        Steps::Timesteps(_) => Err(ConfigError::Unused { option: "timesteps" }),
    }
}

/// Reads the prediction type.
pub(super) fn prediction(options: &mut Options) -> Result<Quantity, ConfigError> {
    let names = [
        ("epsilon", Quantity::Epsilon),
        ("sample", Quantity::X0),
        ("original_sample", Quantity::X0),
        ("v_prediction", Quantity::V),
        ("flow_prediction", Quantity::Flow),
    ];
    options.choice("prediction_type", &names, Quantity::Epsilon)
}

/// The network of a class that thresholds or clips.
pub(super) fn denoiser(
    options: &mut Options,
    run: &Run,
    prediction: Quantity,
    clips: bool,
) -> Result<Denoiser, ConfigError> {
    let clip = clip(options, clips)?;
    let threshold = threshold(options, run)?;
    Ok(Denoiser::new(prediction).clipped(threshold.unwrap_or(clip)))
}

/// `clip_sample`, with the class's usual value.
pub(super) fn clip(options: &mut Options, usual: bool) -> Result<Clip, ConfigError> {
    let range = options.number("clip_sample_range", 1.0)?;
    let on = options.flag("clip_sample", usual)?;
    Ok(if on { Clip::Range(range) } else { Clip::None })
}

/// `thresholding`. diffusers limits `s` to `sample_max_value`, whose default of 1 turns it into a clamp to -1..=1.
pub(super) fn threshold(options: &mut Options, run: &Run) -> Result<Option<Clip>, ConfigError> {
    let ratio = options.number("dynamic_thresholding_ratio", 0.995)?;
    let bound = options.number("sample_max_value", 1.0)?;
    let on = options.flag("thresholding", false)?;
    let (least, most) = match run.is_diffusers() {
        true => (bound.min(1.0), bound),
        false if bound > 1.0 => (1.0, bound),
        false => (1.0, f64::INFINITY),
    };
    Ok(on.then_some(Clip::Quantile { ratio, least, most }))
}

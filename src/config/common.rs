//! Options that the schedulers of diffusers share: training schedule, spacing, placement, prediction, clipping, solvers.

use super::error::ConfigError;
use super::options::{Options, refused};
use crate::math::catalog::entry::{Entry, Make};
use crate::math::catalog::parameter::Parameter;
use crate::math::catalog::sampler_options::{SamplerOptions, SolverKind};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::sampler::dpm::DpmKind;
use crate::math::sampler::multistep::Form;
use crate::math::sampler::unipc::{Corrector, UniPcKind};
use crate::math::schedule::{MAX_STEPS, Schedule};
use crate::math::spacing::Spacing;
use crate::table::step::Clip;

/// diffusers' names of schedules, each known to the catalogue.
const BETA_SCHEDULES: [&str; 6] = ["linear", "scaled_linear", "squaredcos_cap_v2", "exp", "laplace", "sigmoid"];

/// The default betas of a class, by names in the catalogue.
pub(super) struct Usual {
    /// The schedule.
    schedule: &'static str,
    /// The schedule whose default range of betas is used.
    range: &'static str,
}

impl Usual {
    /// Those of most classes.
    pub(super) const DDPM: Self = Self { schedule: "linear", range: "linear" };
    /// Those of Heun, KDPM2 and DPMSolverSDE.
    pub(super) const HEUN: Self = Self { schedule: "linear", range: "scaled_linear" };
    /// Those of latent consistency models and CogVideoX.
    pub(super) const LCM: Self = Self { schedule: "scaled_linear", range: "scaled_linear" };
}

/// The numbers of a schedule: those of the file, or else the defaults of an entry of the catalogue.
pub(super) struct Given(Vec<(&'static str, f64)>);

impl Given {
    /// Reads options that have the names of the entry's parameters.
    pub(super) fn read(
        options: &mut Options,
        defaults: &Entry<Make<Schedule>>,
        names: &[&'static str],
    ) -> Result<Self, ConfigError> {
        let mut read = |name: &'static str| {
            let default = defaults.parameter(name).and_then(|parameter| parameter.default);
            Ok((name, options.number(name, default.unwrap_or(f64::NAN))?))
        };
        Ok(Self(names.iter().map(|name| read(name)).collect::<Result<_, ConfigError>>()?))
    }

    /// Reads options of these names, each with its own default.
    pub(super) fn read_over<const N: usize>(
        options: &mut Options,
        names: &[&'static str; N],
        usual: [f64; N],
    ) -> Result<Self, ConfigError> {
        let pairs = names.iter().zip(usual);
        Ok(Self(
            pairs.map(|(&name, usual)| Ok((name, options.number(name, usual)?))).collect::<Result<_, ConfigError>>()?,
        ))
    }

    /// The number of this name; NaN if it was not read.
    pub(super) fn number(&self, name: &str) -> f64 {
        self.0.iter().find(|(known, _)| *known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// The schedule of this name. Its constructor refuses wrong numbers, under the names of the file.
    pub(super) fn build(&self, name: &str, train_timesteps: usize) -> Result<Schedule, ConfigError> {
        let number = |parameter: &Parameter| match self.0.iter().find(|(known, _)| *known == parameter.name) {
            _ if parameter.name == "train_timesteps" => train_timesteps as f64,
            Some((_, number)) => *number,
            None => parameter.default.unwrap_or(f64::NAN),
        };
        Ok(Schedule::CATALOGUE.find(name)?.build_unchecked(number)?)
    }
}

/// The number of timesteps that the network was trained with.
pub(super) fn train_timesteps(options: &mut Options, usual: usize) -> Result<usize, ConfigError> {
    match options.count("num_train_timesteps", usual)? {
        steps @ 1..=MAX_STEPS => Ok(steps),
        found => Err(refused("num_train_timesteps", format!("1 to {MAX_STEPS}"), found)),
    }
}

/// The schedule that the network was trained with, of a class that does not rescale it.
pub(super) fn schedule(options: &mut Options, usual: &Usual) -> Result<Schedule, ConfigError> {
    let steps = train_timesteps(options, 1000)?;
    let name = options.choice("beta_schedule", &BETA_SCHEDULES.map(|name| (name, name)), usual.schedule)?;
    let range = Given::read(options, Schedule::CATALOGUE.find(usual.range)?, &["beta_start", "beta_end"])?;
    match options.numbers("trained_betas")? {
        Some(betas) if betas.len() != steps => {
            let expected = format!("{steps} betas, one for each of num_train_timesteps");
            Err(refused("trained_betas", expected, betas.len()))
        }
        Some(betas) => Ok(Schedule::from_betas(&betas)?),
        None => range.build(name, steps),
    }
}

/// The training schedule, rescaled to zero terminal SNR if the file says so. Not every class has that option.
pub(super) fn rescaled_schedule(options: &mut Options) -> Result<Schedule, ConfigError> {
    let schedule = schedule(options, &Usual::DDPM)?;
    rescaled(options, schedule)
}

/// The schedule, rescaled if the file says so.
pub(super) fn rescaled(options: &mut Options, schedule: Schedule) -> Result<Schedule, ConfigError> {
    let rescales = options.flag("rescale_betas_zero_snr", false)?;
    Ok(if rescales { schedule.zero_terminal_snr()? } else { schedule })
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

/// `use_lu_lambdas`: the same as exponential.
pub(super) const LU: &str = "use_lu_lambdas";

/// The flags that place sigmas, each with its entry of the catalogue.
const PLACEMENTS: [(&str, &str); 4] = [
    ("use_karras_sigmas", "karras"),
    ("use_exponential_sigmas", "exponential"),
    ("use_beta_sigmas", "beta"),
    (LU, "lu_lambdas"),
];

/// The flag that places sigmas and its rule, if one is on; two are an error. Not every class has Lu's.
pub(super) fn placement(options: &mut Options, lu: bool) -> Result<Option<(&'static str, Placement)>, ConfigError> {
    let mut found: Option<(&'static str, Placement)> = None;
    for (flag, name) in PLACEMENTS.into_iter().filter(|(flag, _)| lu || *flag != LU) {
        if options.flag(flag, false)? {
            if let Some((first, _)) = found {
                return Err(ConfigError::Contradiction { first, second: flag });
            }
            found = Some((flag, Placement::CATALOGUE.find(name)?.build(&[])?));
        }
    }
    Ok(found)
}

/// `prediction_type`.
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

/// `prediction_type`, where a flow goes with flow sigmas only and v with other sigmas only.
pub(super) fn prediction_on(options: &mut Options, flow: bool) -> Result<Quantity, ConfigError> {
    let quantity = prediction(options)?;
    let (expected, unfit) = match flow {
        true => ("flow_prediction, epsilon or sample, since use_flow_sigmas is on", Quantity::V),
        false => ("epsilon, sample or v_prediction, since use_flow_sigmas is off", Quantity::Flow),
    };
    if quantity == unfit { Err(refused("prediction_type", expected, quantity)) } else { Ok(quantity) }
}

/// `clip_sample`, with the class's default.
pub(super) fn clip(options: &mut Options, usual: bool) -> Result<Option<Clip>, ConfigError> {
    let range = options.number("clip_sample_range", 1.0)?;
    Ok(options.flag("clip_sample", usual)?.then_some(Clip::Range(range)))
}

/// `thresholding`: the quantile and `sample_max_value`.
pub(super) fn threshold(options: &mut Options) -> Result<Option<[f64; 2]>, ConfigError> {
    let ratio = options.number("dynamic_thresholding_ratio", 0.995)?;
    let bound = options.number("sample_max_value", 1.0)?;
    Ok(options.flag("thresholding", false)?.then_some([ratio, bound]))
}

/// True if the run ends at the least noise instead of the clean sample (`final_sigmas_type`).
pub(super) fn ends_noisy(options: &mut Options) -> Result<Option<bool>, ConfigError> {
    Ok(Some(options.choice("final_sigmas_type", &[("zero", false), ("sigma_min", true)], false)?))
}

/// The types of DPM-Solver. diffusers reads the names of other solvers' types as the first.
const DPM_TYPES: &[(&str, DpmKind)] = &[
    ("midpoint", DpmKind::Midpoint),
    ("heun", DpmKind::Heun),
    ("logrho", DpmKind::Midpoint),
    ("bh1", DpmKind::Midpoint),
    ("bh2", DpmKind::Midpoint),
];

/// The sampler of `sde-dpmsolver++`.
pub(super) const DPM_SDE: &str = "dpm++-2m-sde";

/// The names of DPM-Solver's variants, each with the sampler and the quantity that it approximates.
const ALGORITHMS: &[(&str, (&str, Form))] = &[
    ("dpmsolver++", ("dpm++", Form::X0)),
    ("sde-dpmsolver++", (DPM_SDE, Form::X0)),
    ("dpmsolver", ("dpm++", Form::Epsilon)),
    ("deis", ("dpm++", Form::X0)),
];

/// The sampler of the DPM-Solver family that the file describes, and its options. Classes differ in the default of
/// `lower_order_final`.
pub(super) fn dpm_solver(
    options: &mut Options,
    lower_order_final: bool,
) -> Result<(&'static str, SamplerOptions), ConfigError> {
    let (sampler, form) = options.choice("algorithm_type", ALGORITHMS, ALGORITHMS[0].1)?;
    let found = SamplerOptions {
        order: Some(options.count("solver_order", 2)?),
        solver_kind: Some(SolverKind::Dpm(options.choice("solver_type", DPM_TYPES, DpmKind::Midpoint)?)),
        form: Some(form),
        lower_order_final: Some(options.flag("lower_order_final", lower_order_final)?),
        euler_at_final: Some(options.flag("euler_at_final", false)?),
        ..SamplerOptions::default()
    };
    Ok((sampler, found))
}

/// The types of UniPC. diffusers reads the names of other solvers' types as `bh2`.
const UNIPC_TYPES: &[(&str, UniPcKind)] = &[
    ("bh1", UniPcKind::Bh1),
    ("bh2", UniPcKind::Bh2),
    ("midpoint", UniPcKind::Bh2),
    ("heun", UniPcKind::Bh2),
    ("logrho", UniPcKind::Bh2),
];

/// The options of UniPC.
pub(super) fn unipc_solver(options: &mut Options) -> Result<SamplerOptions, ConfigError> {
    if options.has("solver_p") {
        return Err(refused("solver_p", "none: the predictor is UniPC's own", "another scheduler"));
    }
    let disabled = options.numbers("disable_corrector")?.unwrap_or_default();
    // A negative number disables no step.
    let disabled = disabled.into_iter().filter(|k| *k >= 0.0).map(|k| k as usize).collect();
    Ok(SamplerOptions {
        order: Some(options.count("solver_order", 2)?),
        solver_kind: Some(SolverKind::UniPc(options.choice("solver_type", UNIPC_TYPES, UniPcKind::Bh2)?)),
        form: Some(if options.flag("predict_x0", true)? { Form::X0 } else { Form::Epsilon }),
        corrector: Some(Corrector::Except(disabled)),
        lower_order_final: Some(options.flag("lower_order_final", true)?),
        ..SamplerOptions::default()
    })
}

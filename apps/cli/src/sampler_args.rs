//! The options that describe a sampler, and the sampler that they add up to.
//!
//! As for schedules, an option that the sampler has no use for is an error: who gives it believes that it does something.

use crate::model_args::{Described, ModelArgs};
use crate::names::{find, flag, in_flags, one_of};
use crate::report::{Failure, Outcome, warn};
use anyhow::{Context, Error, Result, anyhow, bail};
use clap::ValueEnum;
use clap::builder::TypedValueParser;
use tweedie::config::ConfigError;
use tweedie::math::Placement;
use tweedie::math::catalog::{CatalogError, Entry, SamplerOptions, SamplerRecipe, SolverKind};
use tweedie::math::sampler::{Churn, Compat, Corrector, Sampler, Scale, Variance};
use tweedie::math::{Model, Process, Quantity, Sections};
use tweedie::table::Clip;

/// A sampler of the library's catalogue.
pub type SamplerEntry = &'static Entry<SamplerRecipe>;

/// The sampler of this name.
///
/// # Errors
/// Our names.
pub fn sampler_entry(text: &str) -> Result<SamplerEntry, String> {
    find(&Sampler::CATALOGUE, text)
}

/// A system whose numbers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    Diffusers,
}

/// End of the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Final {
    Zero,
    #[value(alias = "sigma_min")]
    SigmaMin,
}

/// The message where nothing says how many steps there are.
const NO_STEPS: &str = "expected --steps N or --timesteps T,..";

/// A rule that places sigmas, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Sigmas {
    Placed(Placement),
    Listed(Vec<f64>),
}

/// Parses either.
fn sigmas() -> impl TypedValueParser<Value = Sigmas> {
    SigmasParser
}

/// See [`sigmas`].
#[derive(Clone)]
struct SigmasParser;

impl TypedValueParser for SigmasParser {
    type Value = Sigmas;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Sigmas, clap::Error> {
        let numbers = value.to_str().map(|text| text.split(',').map(|part| part.trim().parse::<f64>()).collect());
        match numbers {
            Some(Ok(list)) => Ok(Sigmas::Listed(list)),
            _ => one_of(Placement::CATALOGUE, |it| !is_spacing(it))
                .parse_ref(command, argument, value)
                .map(Sigmas::Placed),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        None
    }
}

/// True for a placement by timesteps.
const fn is_spacing(placement: &Placement) -> bool {
    matches!(placement, Placement::Timesteps(_))
}

/// The options that describe a sampler.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampler")]
pub struct SamplerArgs {
    /// Which sampler; each command has an option of its own for it, `--sampler`.
    #[arg(skip)]
    pub sampler: Option<SamplerEntry>,

    /// Compute what this system computes where that is not what the papers say: diffusers
    #[arg(long, value_name = "SYSTEM")]
    pub compat: Option<System>,

    /// Number of steps
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// The timesteps to visit, from noisy to clean, instead of --steps: 999,800,600
    #[arg(long, value_name = "T,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub timesteps: Vec<f64>,

    /// The times of a flow to visit, from noisy to clean, instead of --steps: 1,0.75,0.5,0.25; angles of TrigFlow: 1.5708,1.3
    #[arg(long, value_name = "T,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub times: Vec<f64>,

    /// Take the last steps only, from a noised picture on: this part of them, 0 to 1 (image to image)
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub strength: Option<f64>,

    /// The first step to take, from 0: the input is a sample at its level (`begin_index`)
    #[arg(long, value_name = "N")]
    pub begin_index: Option<usize>,

    /// The step before which the run ends, at its level
    #[arg(long, value_name = "N")]
    pub end_index: Option<usize>,

    /// The timesteps as guided-diffusion chooses them, instead of --steps: so many from each section (10,15,20), or by one
    /// stride (ddim25)
    #[arg(long, value_name = "SECTIONS")]
    pub sections: Option<Sections>,

    /// Spacing of --steps [default: leading for ddpm and ddim, linspace for the others]
    #[arg(long, value_parser = one_of(Placement::CATALOGUE, is_spacing))]
    pub spacing: Option<Placement>,

    /// Leading spacing: what is added to each timestep (`steps_offset`) [default: 0]
    #[arg(long, value_name = "N")]
    pub offset: Option<usize>,

    /// Quantity that the network predicts: epsilon, x0, v, flow, score, or edm:D (the raw output of an EDM network
    /// for data of standard deviation D, 0.5 if not said)
    /// [default: epsilon, or flow for the flow samplers]
    #[arg(long, value_name = "QUANTITY", value_parser = crate::commands::quantity)]
    pub prediction: Option<Quantity>,

    /// Scale of samples: vp (alpha^2 + sigma^2 = 1), ve (alpha = 1) or flow (alpha = 1 - sigma) [default: ve for euler and
    /// heun, flow where the network predicts a flow, vp for the others]
    #[arg(long, value_parser = one_of(Scale::CATALOGUE, |_| true))]
    pub scale: Option<Scale>,

    /// Place the noise levels by sigma = noise/signal (of a flow, by its time) instead of by timestep: a rule, karras, exponential,
    /// polyexponential, beta, vp, flow-times (1 - i/n, shifted) or flow-ends (from 1 to 1/T, the ends shifted too: Stable
    /// Diffusion 3, AuraFlow, HiDream); or the sigmas themselves, from noisy to clean, instead of --steps: 14.6,3,1
    #[arg(long, value_name = "RULE|SIGMA,..", value_parser = sigmas())]
    pub sigmas: Option<Sigmas>,

    /// The least sigma to visit [default: that of the least noisy timestep]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    pub sigma_min: Option<f64>,

    /// The largest sigma to visit [default: that of the noisiest timestep]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true)]
    pub sigma_max: Option<f64>,

    /// karras: the exponent [default: 7]; polyexponential: another [default: 1]
    #[arg(long, value_name = "RHO", allow_negative_numbers = true)]
    pub rho: Option<f64>,

    /// End of the last step: zero (the clean sample) or sigma-min (the least noise that the network knows)
    #[arg(long, value_name = "END")]
    pub r#final: Option<Final>,

    /// ddim and euler-ancestral: how much of the posterior's noise is drawn, 0 to 1 [default: 0; euler-ancestral: 1]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    pub eta: Option<f64>,

    /// ddim: let epsilon follow from the clipped x0, as guided-diffusion does
    #[arg(long)]
    pub rederive_epsilon: bool,

    /// ddpm: the variance of a step [default: fixed-small]
    #[arg(long, value_parser = one_of(Variance::CATALOGUE, |_| true))]
    pub variance: Option<Variance>,

    /// Clamp the clean sample to -R..R in every step
    #[arg(long, value_name = "R", allow_negative_numbers = true, conflicts_with = "threshold")]
    pub clip: Option<f64>,

    /// Dynamic thresholding of the clean sample: the quantile of its absolute values in each sample, 0.995 say
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true)]
    pub threshold: Option<f64>,

    /// The largest threshold [default: none]
    #[arg(long, value_name = "M", allow_negative_numbers = true, requires = "threshold")]
    pub threshold_max: Option<f64>,

    /// dpm++ and unipc: the order, 1 to 3 [default: 2]
    #[arg(long, value_name = "N")]
    pub order: Option<usize>,

    /// dpm++: midpoint or heun; unipc: bh1 or bh2 [default: midpoint, bh2]
    #[arg(long, value_name = "TYPE", value_parser = one_of(SolverKind::CATALOGUE, |_| true))]
    pub solver_type: Option<SolverKind>,

    /// unipc: leave the corrector out
    #[arg(long)]
    pub no_corrector: bool,

    /// lcm: how many steps the model was distilled from [default: 50]
    #[arg(long, value_name = "N")]
    pub original_steps: Option<usize>,

    /// Flow samplers: how far times are shifted towards noise [default: 1, not at all]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub shift: Option<f64>,

    /// Flow samplers: the logarithm of the shift; with --config, what dynamic shifting needs
    #[arg(long, value_name = "MU", allow_negative_numbers = true, conflicts_with = "shift")]
    pub mu: Option<f64>,

    /// Flow models whose shift follows from the size of the picture: its tokens, instead of --mu
    #[arg(long, value_name = "N", conflicts_with_all = ["shift", "mu"])]
    pub tokens: Option<f64>,

    /// euler: noise that is added on the way, spread over the steps (churn of Karras et al.)
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub s_churn: Option<f64>,

    /// No churn below this sigma [default: 0]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true, requires = "s_churn")]
    pub s_tmin: Option<f64>,

    /// No churn above this sigma [default: infinity]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true, requires = "s_churn")]
    pub s_tmax: Option<f64>,

    /// Factor of churned noise [default: 1]
    #[arg(long, value_name = "S", allow_negative_numbers = true, requires = "s_churn")]
    pub s_noise: Option<f64>,
}

impl SamplerArgs {
    /// Name for people.
    pub fn title(&self, model: &ModelArgs) -> String {
        match (&self.sampler, &model.config) {
            (Some(entry), _) => entry.name.to_owned(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => "no sampler".to_owned(),
        }
    }

    /// The sampler that the options add up to, and the model that it samples. Reads the files of `--config` and `--betas`.
    pub fn sampler(&self, model: &ModelArgs) -> Outcome<(Sampler, Model)> {
        Ok(match (self.sampler, &model.config) {
            (None, None) => return Err(Failure::input(anyhow!("expected --sampler NAME or --config FILE"))),
            (Some(entry), _) => self.named(entry, model)?,
            (None, Some(_)) => self.configured(model)?,
        })
    }

    fn named(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<(Sampler, Model)> {
        // A placement by sigmas hides a spacing, which some samplers do not use at all.
        if self.spacing.is_some() && !uses(entry, "spacing") {
            bail!("--spacing means nothing to the {}", entry.title());
        }
        let Described { model, scheduler } = self.described(entry, args)?;
        let options = self.options(&model);
        let sampler = match scheduler {
            Some(scheduler) => scheduler.sampler_instead(entry, &options).map_err(|error| config_refusal(&error))?,
            None => entry.build(&model, &options).map_err(|error| refusal(&error))?,
        };
        Ok((sampler, model))
    }

    /// The model that the options describe, of which a sampler of flows says something too.
    fn described(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<Described> {
        if self.prediction.is_some() && (args.config.is_some() || args.model.is_some()) {
            bail!("--prediction contradicts --config or --model, which says what the network predicts");
        }
        let exploding = self.scale.unwrap_or(entry.make.scale()) == Scale::VarianceExploding;
        let raw = self.prediction.is_some_and(|it| it.sigma_data().is_some());
        let implied = raw && exploding && !args.schedule.names_levels();
        if args.settles_prediction() || implied {
            return args.describe(self.prediction);
        }
        let schedule = args.schedule.build()?;
        let named = schedule.process();
        let model = entry.usual_model(schedule, self.prediction, self.scale);
        if let (Some(option), Process::Flow) = (args.schedule.level_option(), model.process())
            && named != Process::Flow
        {
            bail!("{option} means nothing to a rectified flow, which the sampler, --prediction or --scale asks for");
        }
        Ok(Described { model, scheduler: None })
    }

    /// The process of the model that the options describe.
    pub fn process(&self, entry: SamplerEntry, args: &ModelArgs) -> Result<Process> {
        Ok(self.described(entry, args)?.model.process())
    }

    /// The options as the library's catalogue takes them.
    fn options(&self, model: &Model) -> SamplerOptions {
        let (placed, listed) = match &self.sigmas {
            Some(Sigmas::Placed(placement)) => (Some(of_model(*placement, model)), None),
            Some(Sigmas::Listed(list)) => (None, Some(list.clone())),
            None => (None, None),
        };
        SamplerOptions {
            steps: self.steps,
            timesteps: (!self.timesteps.is_empty()).then(|| self.timesteps.clone()),
            sigma_list: listed,
            times: (!self.times.is_empty()).then(|| self.times.clone()),
            sections: self.sections.clone(),
            strength: self.strength,
            begin_index: self.begin_index,
            end_index: self.end_index,
            placement: placed.or(self.spacing),
            offset: self.offset,
            sigma_min: self.sigma_min,
            sigma_max: self.sigma_max,
            rho: self.rho,
            ends_at_least_sigma: self.r#final.map(|end| end == Final::SigmaMin),
            scale: self.scale,
            clip: self.clip(),
            eta: self.eta,
            rederive_epsilon: self.rederive_epsilon,
            variance: self.variance,
            order: self.order,
            solver_kind: self.solver_type,
            corrector: self.no_corrector.then_some(Corrector::Off),
            original_steps: self.original_steps,
            shift: self.shift,
            mu: self.mu,
            tokens: self.tokens,
            churn: self.churn(),
            compat: self.compat(),
            ..SamplerOptions::default()
        }
    }

    fn clip(&self) -> Option<Clip> {
        let most = self.threshold_max.unwrap_or(f64::INFINITY);
        let threshold = self.threshold.map(|ratio| Clip::Quantile { ratio, least: 1.0, most });
        self.clip.map(Clip::Range).or(threshold)
    }

    fn configured(&self, args: &ModelArgs) -> Result<(Sampler, Model)> {
        let scheduler = args.scheduler()?;
        for note in scheduler.notes() {
            note_of(note);
        }
        let model = scheduler.model().clone();
        if self.prediction.is_some() {
            bail!("--prediction contradicts --config FILE, which says what the network predicts");
        }
        let options = self.options(&model);
        if let Some(option) = options.given().find(|option| !WITH_CONFIG.contains(option)) {
            bail!("{} means nothing to --config FILE", flag(option));
        }
        let listed = !self.timesteps.is_empty() || options.sigma_list.is_some() || options.times.is_some();
        match (self.steps, listed || options.sections.is_some()) {
            (None, false) => bail!(NO_STEPS),
            (Some(_), true) => bail!("--steps contradicts --timesteps, which says how many there are"),
            _ => {}
        }
        let path = || args.config.as_deref().map_or_else(String::new, |path| path.display().to_string());
        let sampler = scheduler.sampler(&options).map_err(|error| config_refusal(&error)).with_context(path)?;
        Ok((sampler, model))
    }

    /// Whose numbers are wanted.
    pub fn compat(&self) -> Compat {
        self.compat.map_or(Compat::Published, |System::Diffusers| Compat::Diffusers)
    }

    /// The churn, if there is any.
    pub fn churn(&self) -> Option<Churn> {
        let usual = Churn::new(self.s_churn?);
        Some(Churn {
            least: self.s_tmin.unwrap_or(usual.least),
            most: self.s_tmax.unwrap_or(usual.most),
            scale: self.s_noise.unwrap_or(usual.scale),
            ..usual
        })
    }
}

/// Options of a sampler that say something about a run, and not about the sampler of a configuration.
const WITH_CONFIG: [&str; 18] = [
    "begin_index",
    "end_index",
    "eta",
    "rederive_epsilon",
    "mu",
    "tokens",
    "shift",
    "s_churn",
    "strength",
    "sections",
    "spacing",
    "offset",
    "sigmas",
    "times",
    "sigma_min",
    "sigma_max",
    "rho",
    "final",
];

/// A rule for the times of a flow, with the shift of the model.
fn of_model(placement: Placement, model: &Model) -> Placement {
    let shift = match model.placement() {
        Some(Placement::FlowTimes { shift } | Placement::FlowEnds { shift }) => shift,
        _ => return placement,
    };
    match placement {
        Placement::FlowTimes { .. } => Placement::FlowTimes { shift },
        Placement::FlowEnds { .. } => Placement::FlowEnds { shift },
        other => other,
    }
}

/// Returns whether a sampler uses an option.
pub fn uses(entry: SamplerEntry, option: &str) -> bool {
    entry.make.options().any(|known| known == option)
}

/// The error in the words of the options.
fn refusal(error: &CatalogError) -> Error {
    match error {
        CatalogError::NoSteps => anyhow!("{NO_STEPS}"),
        error => in_flags(error),
    }
}

/// Tells how an old spelling of a file was read.
fn note_of(note: &str) {
    warn(format_args!("--config: {note}"));
}

/// The same of a configuration.
fn config_refusal(error: &ConfigError) -> Error {
    match error {
        ConfigError::Catalog(error) => refusal(error),
        error => anyhow!("{error}"),
    }
}

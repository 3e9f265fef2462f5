//! The options that describe a sampler, and the sampler that they add up to.
//!
//! As for schedules, an option that the sampler has no use for is an error: who gives it believes that it does something.

use crate::report::{Failure, Outcome};
use crate::sampler_build::build;
use crate::sampler_choices::{Final, Placement, ScaleName, SolverType, SpacingName, System, VarianceName};
use crate::sampler_name::SamplerName;
use crate::schedule_args::ScheduleArgs;
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::path::{Path, PathBuf};
use tweedie::config::{Run, Steps};
use tweedie::math::sampler::{Churn, Compat, Sampler};
use tweedie::math::{Quantity, Sections};

/// The options that describe a sampler.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampler")]
pub struct SamplerArgs {
    /// Which sampler; each command has an option of its own for it, `--sampler`.
    #[arg(skip)]
    pub sampler: Option<SamplerName>,

    /// Instead of --sampler and its options: the scheduler_config.json of a diffusers model
    #[arg(long, value_name = "FILE", conflicts_with = "sampler")]
    pub config: Option<PathBuf>,

    /// Compute what this system computes where that is not what the papers say: diffusers
    #[arg(long, value_name = "SYSTEM")]
    pub compat: Option<System>,

    /// Number of steps
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// The timesteps to visit, from noisy to clean, instead of --steps: 999,800,600
    #[arg(long, value_name = "T,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub timesteps: Vec<f64>,

    /// The timesteps as guided-diffusion chooses them, instead of --steps: so many from each section (10,15,20), or by one
    /// stride (ddim25)
    #[arg(long, value_name = "SECTIONS")]
    pub sections: Option<Sections>,

    /// Spacing of --steps [default: leading for ddpm and ddim, linspace for the others]
    #[arg(long)]
    pub spacing: Option<SpacingName>,

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
    #[arg(long)]
    pub scale: Option<ScaleName>,

    /// Place the noise levels by sigma = noise/signal instead of by timestep
    #[arg(long)]
    pub sigmas: Option<Placement>,

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
    #[arg(long)]
    pub variance: Option<VarianceName>,

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
    #[arg(long, value_name = "TYPE")]
    pub solver_type: Option<SolverType>,

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
    pub fn title(&self) -> String {
        match (&self.sampler, &self.config) {
            (Some(name), _) => name.to_string(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => "no sampler".to_owned(),
        }
    }

    /// The sampler that the options add up to. Reads the files of `--config` and `--betas`.
    pub fn sampler(&self, schedule: &ScheduleArgs) -> Outcome<Sampler> {
        match (self.sampler, &self.config) {
            (Some(name), None) => {
                self.refuse_unused(name)?;
                build(self, name, &schedule.build()?)
            }
            (None, Some(path)) => Ok(self.configured(path, schedule)?),
            _ => Err(Failure::input(anyhow!("expected --sampler NAME or --config FILE"))),
        }
    }

    fn configured(&self, path: &Path, schedule: &ScheduleArgs) -> Result<Sampler> {
        if *schedule != ScheduleArgs::default() {
            bail!("--config FILE brings a schedule of its own, which options contradict");
        }
        self.refuse("--config FILE", |option| option.with_config)?;
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let run = Run {
            steps: self.run_steps()?,
            eta: self.eta.unwrap_or(0.0),
            rederive_epsilon: self.rederive_epsilon,
            mu: self.mu,
            churn: self.churn(),
            compat: self.compat(),
        };
        Sampler::from_diffusers_config(&text, &run).with_context(|| path.display().to_string())
    }

    /// `--steps` or `--timesteps`.
    pub fn run_steps(&self) -> Result<Steps> {
        match (self.steps, &self.timesteps[..]) {
            (Some(steps), []) => Ok(Steps::Count(steps)),
            (None, list @ [_, ..]) => Ok(Steps::Timesteps(list.to_vec())),
            (None, []) => bail!("expected --steps N or --timesteps T,.."),
            (Some(_), _) => bail!("--steps contradicts --timesteps, which says how many there are"),
        }
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

    fn refuse_unused(&self, name: SamplerName) -> Result<()> {
        let euler = matches!(name, SamplerName::Euler | SamplerName::EulerAncestral);
        self.refuse(&format!("the {name} sampler"), |option| match option.used_by {
            UsedBy::All => true,
            UsedBy::Towards => name != SamplerName::DdimInverse,
            UsedBy::Ddpm => name == SamplerName::Ddpm,
            UsedBy::Ddim => name == SamplerName::Ddim,
            UsedBy::Eta => matches!(name, SamplerName::Ddim | SamplerName::EulerAncestral),
            UsedBy::Multistep => name.is_multistep(),
            UsedBy::UniPc => name == SamplerName::UniPc,
            UsedBy::Lcm => name == SamplerName::Lcm,
            UsedBy::Flow => name.is_flow() || self.is_flow(),
            UsedBy::Churn => name == SamplerName::Euler,
            UsedBy::Sigmas => euler || name == SamplerName::Heun || name.is_multistep() || name.is_flow(),
            UsedBy::Discrete => name.is_discrete() || name.is_multistep(),
            UsedBy::Spaced => !name.is_flow() && name != SamplerName::Lcm,
        })
    }

    /// Returns whether the options ask for rectified flow.
    pub fn is_flow(&self) -> bool {
        self.scale == Some(ScaleName::Flow) || self.prediction == Some(Quantity::Flow)
    }

    fn refuse(&self, whom: &str, uses: impl Fn(&Given) -> bool) -> Result<()> {
        match self.given().iter().find(|option| option.given && !uses(option)) {
            Some(option) => bail!("{} means nothing to {whom}", option.name),
            None => Ok(()),
        }
    }

    fn given(&self) -> Vec<Given> {
        let one = |name, given, used_by| Given { name, given, used_by, with_config: false };
        let both = |name, given, used_by| Given { name, given, used_by, with_config: true };
        vec![
            one("--sections", self.sections.is_some(), UsedBy::Discrete),
            one("--spacing", self.spacing.is_some(), UsedBy::Spaced),
            one("--offset", self.offset.is_some(), UsedBy::Spaced),
            one("--prediction", self.prediction.is_some(), UsedBy::All),
            one("--scale", self.scale.is_some(), UsedBy::Sigmas),
            one("--sigmas", self.sigmas.is_some(), UsedBy::Sigmas),
            one("--sigma-min", self.sigma_min.is_some(), UsedBy::Sigmas),
            one("--sigma-max", self.sigma_max.is_some(), UsedBy::Sigmas),
            one("--rho", self.rho.is_some(), UsedBy::Sigmas),
            one("--final", self.r#final.is_some(), UsedBy::Towards),
            both("--eta", self.eta.is_some(), UsedBy::Eta),
            both("--rederive-epsilon", self.rederive_epsilon, UsedBy::Ddim),
            one("--variance", self.variance.is_some(), UsedBy::Ddpm),
            one("--clip", self.clip.is_some(), UsedBy::All),
            one("--threshold", self.threshold.is_some(), UsedBy::All),
            one("--order", self.order.is_some(), UsedBy::Multistep),
            one("--solver-type", self.solver_type.is_some(), UsedBy::Multistep),
            one("--no-corrector", self.no_corrector, UsedBy::UniPc),
            one("--original-steps", self.original_steps.is_some(), UsedBy::Lcm),
            one("--shift", self.shift.is_some(), UsedBy::Flow),
            both("--mu", self.mu.is_some(), UsedBy::Flow),
            both("--s-churn", self.s_churn.is_some(), UsedBy::Churn),
        ]
    }
}

/// An option, and who has a use for it.
struct Given {
    name: &'static str,
    given: bool,
    used_by: UsedBy,
    with_config: bool,
}

/// Which samplers.
enum UsedBy {
    All,
    /// All that end near the clean sample.
    Towards,
    Ddpm,
    Ddim,
    Eta,
    Multistep,
    UniPc,
    Lcm,
    Flow,
    Churn,
    Sigmas,
    Discrete,
    Spaced,
}

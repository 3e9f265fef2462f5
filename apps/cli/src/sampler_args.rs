//! The options that describe a sampler, and the sampler that they add up to.
//!
//! As for schedules, an option that the sampler has no use for is an error: who gives it believes that it does something.

use crate::class_args::ClassArgs;
use crate::model_args::ModelArgs;
use crate::names::{find, joined, one_of};
use crate::sigmas_arg::{Sigmas, SigmasParser, is_spacing};
use clap::ValueEnum;
use tweedie::math::Placement;
use tweedie::math::catalog::{Entry, SamplerRecipe, SolverKind};
use tweedie::math::sampler::{Churn, Compat, Sampler, Scale, Variance};
use tweedie::math::{Quantity, Sections};
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
    /// The papers: the default of all but runs (--run FILE)
    Published,
    /// The classes of diffusers 0.42.1; not in runs
    Diffusers,
    /// ComfyUI: the default of runs, and of runs alone
    #[value(name = "comfyui")]
    ComfyUi,
}

/// End of the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Final {
    Zero,
    #[value(alias = "sigma_min")]
    SigmaMin,
}

/// The options that describe a sampler.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Sampler")]
pub struct SamplerArgs {
    /// Which sampler; each command has an option of its own for it, `--sampler`.
    #[arg(skip)]
    pub sampler: Option<SamplerEntry>,

    /// Compute what this system computes where that is not what the papers say: diffusers; a run (--run FILE) computes what
    /// comfyui does, or with published what the papers say
    #[arg(long, value_name = "SYSTEM")]
    pub compat: Option<System>,

    /// Number of steps; with --compat diffusers it may stand beside a list of as many
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

    /// Quantity that the network predicts
    #[arg(long, value_name = "QUANTITY", value_parser = crate::commands::quantity, help = crate::commands::quantity_help(
        "Quantity that the network predicts", "epsilon, or flow for the flow samplers"))]
    pub prediction: Option<Quantity>,

    /// Scale of samples [default: that of the model, or of the sampler]
    #[arg(long, value_parser = one_of(Scale::CATALOGUE, |_| true))]
    pub scale: Option<Scale>,

    /// Place the noise levels by sigma = noise/signal (of a flow, by its time) instead of by timestep: a rule; or the sigmas
    /// themselves, from noisy to clean, instead of --steps: 14.6,3,1
    #[arg(long, value_name = "RULE|SIGMA,..", value_parser = SigmasParser, allow_negative_numbers = true)]
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

    /// ddim, euler-ancestral and repaint: how much of the posterior's noise is drawn, 0 to 1; tcd: its gamma
    /// [default: 0; euler-ancestral and repaint: 1; tcd: 0.3]
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

    /// dpm++, unipc and deis: the order, 1 to 3 [default: 2]; lms, ipndm and pndm: 1 to 4 [default: 4]
    #[arg(long, value_name = "N")]
    pub order: Option<usize>,

    /// dpm++: midpoint or heun; unipc: bh1 or bh2 [default: midpoint, bh2]
    #[arg(long, value_name = "TYPE", value_parser = one_of(SolverKind::CATALOGUE, |_| true))]
    pub solver_type: Option<SolverKind>,

    /// sa-solver: the clean samples that its corrector uses, 0 (none) to 4 [default: 2]
    #[arg(long, value_name = "N")]
    pub corrector_order: Option<usize>,

    /// sa-solver: its noise between the two ends, 1 for as much as the posterior's [default: 1]
    #[arg(long, value_name = "TAU", allow_negative_numbers = true)]
    pub tau: Option<f64>,

    /// repaint: the steps that a jump goes back [default: 10]
    #[arg(long, value_name = "N")]
    pub jump_length: Option<usize>,

    /// repaint: how often each level is reached from above; 1 for no jumps [default: 10]
    #[arg(long, value_name = "N")]
    pub jump_n_sample: Option<usize>,

    /// unipc: leave the corrector out
    #[arg(long)]
    pub no_corrector: bool,

    /// lcm and tcd: how many steps the model was distilled from [default: 50]
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

    /// Factor of the noise that euler-ancestral draws, and of churned noise [default: 1]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub s_noise: Option<f64>,

    #[command(flatten)]
    pub class: ClassArgs,
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

    pub(crate) fn clip(&self) -> Option<Clip> {
        let most = self.threshold_max.unwrap_or(f64::INFINITY);
        let threshold = self.threshold.map(|ratio| Clip::Quantile { ratio, least: 1.0, most });
        self.clip.map(Clip::Range).or(threshold)
    }

    /// Whose numbers are wanted.
    pub fn compat(&self) -> Compat {
        match self.compat {
            Some(System::Diffusers) => Compat::Diffusers,
            None | Some(System::Published | System::ComfyUi) => Compat::Published,
        }
    }

    /// The factor of noise that is not churned.
    pub fn noise_scale(&self) -> Option<f64> {
        self.s_noise.filter(|_| self.s_churn.is_none())
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

/// Help of `--sampler`.
pub fn samplers_help() -> String {
    format!("The sampler: {}; `tweedie list samplers` describes them", joined(&Sampler::CATALOGUE))
}

/// Returns whether a sampler uses an option.
pub fn uses(entry: SamplerEntry, option: &str) -> bool {
    entry.make.options().any(|known| known == option)
}

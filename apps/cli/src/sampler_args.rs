//! The options that describe a sampler, and the sampler that they add up to.
//!
//! As for schedules, an option that the sampler does not use is an error: whoever gives it believes that it has an effect.

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

/// The system whose results are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// The papers; the default, except for runs
    Published,
    /// The classes of diffusers 0.42.1; not for runs
    Diffusers,
    /// ComfyUI; for runs alone, where it is the default
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
    /// The sampler; each command has its own `--sampler` option.
    #[arg(skip)]
    pub sampler: Option<SamplerEntry>,

    /// Compute what this system computes where it differs from the papers: diffusers; for a run (--run FILE) comfyui, or
    /// published for what the papers say
    #[arg(long, value_name = "SYSTEM")]
    pub compat: Option<System>,

    /// Number of steps; with --compat diffusers, also next to a list of that many timesteps or sigmas
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,

    /// The timesteps to visit, from noisy to clean, instead of --steps: 999,800,600
    #[arg(long, value_name = "T,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub timesteps: Vec<f64>,

    /// The times of a flow to visit, from noisy to clean, instead of --steps: 1,0.75,0.5,0.25; angles of TrigFlow: 1.5708,1.3
    #[arg(long, value_name = "T,..", value_delimiter = ',', allow_negative_numbers = true)]
    pub times: Vec<f64>,

    /// Image to image: take only this last part of the steps, 0 to 1, starting from a noised picture
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub strength: Option<f64>,

    /// The first step to take, from 0; the run starts from a sample at the level of that step
    #[arg(long, value_name = "N")]
    pub begin_index: Option<usize>,

    /// The step to stop before, from 0; the run ends at the level of that step
    #[arg(long, value_name = "N")]
    pub end_index: Option<usize>,

    /// The timesteps as guided-diffusion chooses them, instead of --steps: a number from each section (10,15,20), or at
    /// one stride (ddim25)
    #[arg(long, value_name = "SECTIONS")]
    pub sections: Option<Sections>,

    /// Spacing of --steps [default: leading for ddpm and ddim, linspace for the others]
    #[arg(long, value_parser = one_of(Placement::CATALOGUE, is_spacing))]
    pub spacing: Option<Placement>,

    /// Leading spacing: a number to add to each timestep (`steps_offset`) [default: 0]
    #[arg(long, value_name = "N")]
    pub offset: Option<usize>,

    /// Quantity that the network predicts
    #[arg(long, value_name = "QUANTITY", value_parser = crate::commands::quantity, help = crate::commands::quantity_help(
        "Quantity that the network predicts", "epsilon, or flow for the flow samplers"))]
    pub prediction: Option<Quantity>,

    /// Scale of the samples [default: that of the model, or of the sampler]
    #[arg(long, value_parser = one_of(Scale::CATALOGUE, |_| true))]
    pub scale: Option<Scale>,

    /// Place the noise levels by sigma = noise/signal (for a flow, by its time) instead of by timestep: a rule, or, instead of
    /// --steps, the sigmas themselves, from noisy to clean: 14.6,3,1
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

    /// The part of the posterior's noise that is drawn, 0 to 1: ddim, dpm++-2s [default: 0], dpm++-sde, euler-ancestral,
    /// dpm2-ancestral, repaint [default: 1]; tcd: its gamma [default: 0.3]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    pub eta: Option<f64>,

    /// ddim: compute epsilon again from the clipped x0, as guided-diffusion does
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

    /// The order, 1 to 3: unipc, deis and all dpm++ except dpm++-sde [default: 2; dpm++-3m: 3]; 1 to 4: lms, ipndm, pndm, f-pndm
    /// [default: 4] and sa-solver [default: 2]
    #[arg(long, value_name = "N")]
    pub order: Option<usize>,

    /// dpm++: midpoint or heun; unipc: bh1 or bh2 [default: midpoint, bh2]
    #[arg(long, value_name = "TYPE", value_parser = one_of(SolverKind::CATALOGUE, |_| true))]
    pub solver_type: Option<SolverKind>,

    /// sa-solver: the number of clean samples that its corrector uses, 0 (no corrector) to 4 [default: 2]
    #[arg(long, value_name = "N")]
    pub corrector_order: Option<usize>,

    /// sa-solver: the noise that is added in the middle of a run, timesteps 200 to 800 of 1000; 1 is the posterior's [default: 1]
    #[arg(long, value_name = "TAU", allow_negative_numbers = true)]
    pub tau: Option<f64>,

    /// repaint: the number of steps that a jump goes back [default: 10]
    #[arg(long, value_name = "N")]
    pub jump_length: Option<usize>,

    /// repaint: how many times each level is reached from above; 1 for no jumps [default: 10]
    #[arg(long, value_name = "N")]
    pub jump_n_sample: Option<usize>,

    /// unipc: leave the corrector out
    #[arg(long)]
    pub no_corrector: bool,

    /// lcm and tcd: the number of steps that the model was distilled from [default: 50]
    #[arg(long, value_name = "N")]
    pub original_steps: Option<usize>,

    /// Flow samplers: the shift of times towards noise; 1 is none [default: that of the model, else 1; pi-flow: 5]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub shift: Option<f64>,

    /// Flow samplers: the logarithm of the shift, which the dynamic shifting of a --config needs
    #[arg(long, value_name = "MU", allow_negative_numbers = true, conflicts_with = "shift")]
    pub mu: Option<f64>,

    /// Flow models whose shift follows from the size of the picture: its number of tokens, instead of --mu
    #[arg(long, value_name = "N", conflicts_with_all = ["shift", "mu"])]
    pub tokens: Option<f64>,

    /// euler: the churn of Karras et al.: noise that is added on the way, spread over the steps
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub s_churn: Option<f64>,

    /// No churn below this sigma [default: 0]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true, requires = "s_churn")]
    pub s_tmin: Option<f64>,

    /// No churn above this sigma [default: infinity]
    #[arg(long, value_name = "SIGMA", allow_negative_numbers = true, requires = "s_churn")]
    pub s_tmax: Option<f64>,

    /// Factor of the noise that euler-ancestral and consistency draw, and of the noise of --s-churn [default: 1]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub s_noise: Option<f64>,

    #[command(flatten)]
    pub class: ClassArgs,
}

impl SamplerArgs {
    /// The sampler's name, for people.
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

    /// The system whose results are computed.
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

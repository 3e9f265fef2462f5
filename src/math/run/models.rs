//! Models of ComfyUI by name.

use super::error::RunError;
use super::model::RunModel;
use super::value::RunValue;
use crate::math::catalog::entry::{Catalogue, Entry};

/// A model by name: its base, its parameterisation and its settings.
#[derive(Clone, Copy, Debug)]
pub struct NamedModel {
    base: &'static str,
    parameterisation: &'static str,
    settings: &'static [(&'static str, f64)],
    /// The rule of its betas, where it differs from the base's default.
    beta_schedule: Option<&'static str>,
}

impl RunModel {
    /// Every model that has a name.
    pub const CATALOGUE: Catalogue<NamedModel> = Catalogue { entries: MODELS };

    /// Creates the model of this name or synonym.
    ///
    /// # Errors
    /// [`RunError::Catalog`], which lists the names that are accepted.
    pub fn named(name: &str) -> Result<Self, RunError> {
        let NamedModel { base, parameterisation, settings, beta_schedule } = Self::CATALOGUE.find(name)?.make;
        let numbers = settings.iter().map(|(name, number)| ((*name).to_owned(), RunValue::Number(*number)));
        let words = beta_schedule.map(|word| ("beta_schedule".to_owned(), RunValue::from(word)));
        let settings: Vec<_> = numbers.chain(words).collect();
        Self::new(base, parameterisation, &settings)
    }
}

type Settings = &'static [(&'static str, f64)];

const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    [base, parameterisation]: [&'static str; 2],
    settings: Settings,
) -> Entry<NamedModel> {
    let make = NamedModel { base, parameterisation, settings, beta_schedule: None };
    Entry { kind: "model of a run", name, synonyms, summary, parameters: &[], make }
}

/// The same entry with another rule of its betas.
const fn with_betas(entry: Entry<NamedModel>, beta_schedule: &'static str) -> Entry<NamedModel> {
    Entry { make: NamedModel { beta_schedule: Some(beta_schedule), ..entry.make }, ..entry }
}

const EPS: [&str; 2] = ["ModelSamplingDiscrete", "EPS"];
const V: [&str; 2] = ["ModelSamplingDiscrete", "V_PREDICTION"];
const FLOW: [&str; 2] = ["ModelSamplingDiscreteFlow", "CONST"];
const FLUX: [&str; 2] = ["ModelSamplingFlux", "CONST"];
const EDM: &str = "ModelSamplingContinuousEDM";
const CONTINUOUS_V: [&str; 2] = ["ModelSamplingContinuousV", "V_PREDICTION"];
const LINEAR_BETAS: Settings = &[("linear_start", 1e-4), ("linear_end", 0.02)];

const MODELS: &[Entry<NamedModel>] = &[
    entry("sd15", &["sd1", "stable-diffusion-v1-5", "sd-1.5"], "Stable Diffusion 1.4 and 1.5", EPS, &[]),
    entry("sd2", &["stable-diffusion-2-1-base", "sd-2.1-base"], "Stable Diffusion 2, 512 pixels", EPS, &[]),
    entry(
        "sd2v",
        &["sd2-v", "stable-diffusion-2-1", "sd-2.1", "sd21"],
        "Stable Diffusion 2, 768 pixels, which predicts v",
        V,
        &[],
    ),
    entry("sdxl", &["stable-diffusion-xl-base-1.0"], "Stable Diffusion XL", EPS, &[]),
    entry("zsnrv", &["sd2v-zsnr", "sdxl-zsnrv"], "v with zero terminal SNR (Lin et al. 2023)", V, &[("zsnr", 1.0)]),
    entry(
        "x0",
        &[],
        "a network that predicts the clean sample, on the betas of Stable Diffusion",
        ["ModelSamplingDiscrete", "X0"],
        &[],
    ),
    entry(
        "lcm50",
        &["lcm"],
        "a latent consistency model of 50 timesteps",
        ["ModelSamplingDiscreteDistilled", "LCM"],
        &[],
    ),
    entry("hydit", &["hunyuan-dit"], "Hunyuan-DiT", V, &[("linear_start", 0.000_85), ("linear_end", 0.03)]),
    with_betas(entry("ddpm", &["ddpm-cifar10-32"], "DDPM in pixels", EPS, LINEAR_BETAS), "sqrt_linear"),
    with_betas(entry("adm", &["guided-diffusion"], "ADM in pixels", EPS, LINEAR_BETAS), "sqrt_linear"),
    with_betas(entry("dit", &["dit-xl-2"], "DiT in latents of Stable Diffusion", EPS, LINEAR_BETAS), "sqrt_linear"),
    with_betas(
        entry("improved-ddpm", &["iddpm"], "improved DDPM, 4000 timesteps", EPS, &[("timesteps", 4000.0)]),
        "cosine",
    ),
    entry("cascade", &["stable-cascade"], "Stable Cascade", ["StableCascadeSampling", "EPS"], &[]),
    entry("flow1", &["flow"], "a rectified flow without a shift", FLOW, &[("shift", 1.0)]),
    entry("flow3", &[], "a rectified flow of shift 3", FLOW, &[("shift", 3.0)]),
    entry(
        "sd3",
        &["stable-diffusion-3-medium", "sd35", "sd3.5"],
        "Stable Diffusion 3, a rectified flow",
        FLOW,
        &[("shift", 3.0)],
    ),
    entry(
        "flow3n8",
        &[],
        "a rectified flow of shift 3 on noise of deviation 8",
        FLOW,
        &[("shift", 3.0), ("noise_scale", 8.0)],
    ),
    entry("flowtiny", &[], "a rectified flow of shift 0.004", FLOW, &[("shift", 0.004)]),
    entry("aura", &["auraflow"], "AuraFlow, told the time itself", FLOW, &[("shift", 1.73), ("multiplier", 1.0)]),
    entry("flux", &["flux.1-dev", "flux-dev"], "FLUX.1 dev at its largest shift", FLUX, &[("shift", 1.15)]),
    entry(
        "edm",
        &["karras"],
        "EDM in pixels (Karras et al. 2022)",
        [EDM, "EDM"],
        &[("sigma_data", 0.5), ("sigma_max", 80.0), ("sigma_min", 0.002)],
    ),
    entry(
        "svd",
        &["stable-video-diffusion"],
        "Stable Video Diffusion",
        [EDM, "V_PREDICTION"],
        &[("sigma_max", 700.0), ("sigma_min", 0.002)],
    ),
    entry(
        "contv",
        &["stable-audio"],
        "v at any sigma (Stable Audio)",
        CONTINUOUS_V,
        &[("sigma_max", 500.0), ("sigma_min", 0.03)],
    ),
    entry(
        "cosmosrf",
        &["cosmos"],
        "Cosmos, a rectified flow in variance-exploding coordinates",
        ["ModelSamplingCosmosRFlow", "COSMOS_RFLOW"],
        &[("sigma_data", 1.0), ("sigma_max", 80.0), ("sigma_min", 0.002)],
    ),
];

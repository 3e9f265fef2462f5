//! Recipes of networks that predict noise, v or EDM's output.

use super::facts::{Facts, Recipe, UsualGuidance};
use super::grid::{GridRule, Shift};
use super::make::{Made, cogvideox, edm, entry, model, recipe, scaled_linear, to_least_noise};
use crate::math::catalog::entry::{Entry, Values};
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::cosine_clock::CosineClock;
use crate::math::edm::SigmaData;
use crate::math::error::sampler::SamplerError;
use crate::math::latent::format::LatentFormat;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::sampler::ddpm::Variance;
use crate::math::schedule::Schedule;
use crate::math::spacing::Spacing;
use crate::table::step::Clip;
use UsualGuidance::{Embedded, Off, OverFrames, Scale};

const LEADING: GridRule = GridRule::Placed(Placement::Timesteps(Spacing::Leading { offset: 0 }));
/// Stable Diffusion's spacing, in which every timestep is one later.
const LEADING_1: GridRule = GridRule::Placed(Placement::Timesteps(Spacing::Leading { offset: 1 }));
const TRAILING: GridRule = GridRule::Placed(Placement::Timesteps(Spacing::Trailing));
const LINSPACE: GridRule = GridRule::Placed(Placement::Timesteps(Spacing::Linspace));
const USUAL: GridRule = GridRule::Usual;
/// Equal steps of time on a continuous clock.
const CLOCK: GridRule = GridRule::even(Shift::Fixed(1.0));

/// PNDM as used for Stable Diffusion: the last step leads to the least noise of training (`set_alpha_to_one` false).
const PNDM: Facts = Facts::new("pndm", LEADING_1).run(50, Scale(7.5)).latent(LatentFormat::SD15).with(to_least_noise);

fn with_variance(options: SamplerOptions, variance: Variance, bound: f64) -> SamplerOptions {
    SamplerOptions { variance: Some(variance), clip: Some(Clip::Range(bound)), ..options }
}

/// Würstchen's network on a continuous cosine schedule; its list of levels has 1000.
fn cascade() -> Made {
    let clock = CosineClock::new(0.008, 1.0)?;
    let abar = |i: u32| Ok(clock.level(f64::from(i) / 1000.0)?.alpha_bar());
    let abar = (1..=1000).map(abar).collect::<Result<Vec<f64>, SamplerError>>()?;
    let schedule = Schedule::from_alphas_cumprod(&abar)?;
    Ok(Model::new(schedule, Quantity::Epsilon).told_as(Told::CosineTime(clock)))
}

fn edm_v(sigma_data: f64, ends: [f64; 2]) -> Made {
    Ok(edm(sigma_data, ends)?.negated())
}

pub(super) const DENOISERS: &[Entry<Recipe>] = &[
    recipe!(
        "ddpm",
        ["ddpm-cifar10-32"],
        "DDPM in pixels (Ho et al. 2020)",
        model("linear", &[], Quantity::Epsilon),
        Facts::new("ddpm", LEADING)
            .run(1000, Off)
            .with(|options| with_variance(options, Variance::FixedLarge, 1.0))
    ),
    recipe!(
        "improved-ddpm",
        ["iddpm"],
        "improved DDPM in pixels, 4000 timesteps (Nichol & Dhariwal 2021)",
        model("cosine", &[("train_timesteps", 4000.0)], Quantity::Epsilon),
        Facts::new("ddpm", LEADING).unsure(&["sampler", "grid"])
    ),
    recipe!(
        "adm",
        ["guided-diffusion"],
        "ADM in pixels (Dhariwal & Nichol 2021)",
        model("linear-scaled", &[], Quantity::Epsilon),
        Facts::new("ddpm", LEADING).unsure(&["sampler", "grid"])
    ),
    recipe!(
        "edm",
        ["karras"],
        "EDM in pixels (Karras et al. 2022)",
        edm(SigmaData::KARRAS.value(), [0.002, 80.0]),
        Facts::new("heun", USUAL).run(18, Off).unsure(&["sampler", "steps"])
    ),
    recipe!(
        "dit",
        ["dit-xl-2"],
        "DiT in latents of Stable Diffusion (Peebles & Xie 2023)",
        model("linear", &[], Quantity::Epsilon),
        Facts::new("ddim", LEADING).run(50, Scale(4.0)).latent(LatentFormat::SD15)
    ),
    recipe!(
        "sd15",
        ["stable-diffusion-v1-5", "sd-1.5", "sd-1.4", "stable-diffusion-v1-4"],
        "Stable Diffusion 1.4 and 1.5 (Rombach et al. 2022)",
        scaled_linear(Quantity::Epsilon),
        PNDM
    ),
    recipe!(
        "sd2",
        ["stable-diffusion-2-1-base", "sd-2.1-base"],
        "Stable Diffusion 2 and 2.1, 512 pixels (Rombach et al. 2022)",
        scaled_linear(Quantity::Epsilon),
        PNDM.unsure(&["sampler", "grid", "steps", "guidance"])
    ),
    recipe!(
        "sd2-v",
        ["stable-diffusion-2-1", "sd-2.1", "sd21"],
        "Stable Diffusion 2 and 2.1, 768 pixels, which predict v (Rombach et al. 2022)",
        scaled_linear(Quantity::V),
        Facts::new("ddim", LEADING).run(50, Scale(7.5)).latent(LatentFormat::SD15).unsure(&["grid"])
    ),
    recipe!(
        "sdxl",
        ["stable-diffusion-xl-base-1.0"],
        "Stable Diffusion XL (Podell et al. 2023)",
        scaled_linear(Quantity::Epsilon),
        Facts::new("euler", LEADING_1).run(50, Scale(5.0)).latent(LatentFormat::SDXL)
    ),
    recipe!(
        "sdxl-turbo",
        [],
        "SDXL Turbo, distilled to 1 to 4 steps (Sauer et al. 2023)",
        scaled_linear(Quantity::Epsilon),
        Facts::new("euler-ancestral", TRAILING).run(1, Off).latent(LatentFormat::SDXL)
    ),
    recipe!(
        "sdxl-lightning",
        [],
        "SDXL Lightning, distilled to 2, 4 or 8 steps (Lin et al. 2024)",
        scaled_linear(Quantity::Epsilon),
        Facts::new("euler", TRAILING)
            .run(4, Off)
            .latent(LatentFormat::SDXL)
            .unsure(&["sampler", "grid", "guidance", "prediction"])
            .note("The one-step model predicts the clean sample, as far as is known")
    ),
    recipe!(
        "lcm",
        ["lcm-dreamshaper-v7"],
        "a latent consistency model of Stable Diffusion 1.5 (Luo et al. 2023)",
        scaled_linear(Quantity::Epsilon),
        Facts::new("lcm", USUAL)
            .run(4, Embedded(8.5))
            .latent(LatentFormat::SD15)
            .note("Latents are those of the model that was distilled")
            .with(|options| SamplerOptions {
                original_steps: Some(50),
                timestep_scaling: Some(10.0),
                ..to_least_noise(options)
            })
    ),
    recipe!(
        "hyper-sd",
        ["hyper-sd-tcd"],
        "Hyper-SD, sampled by trajectory consistency (Ren et al. 2024)",
        scaled_linear(Quantity::Epsilon),
        Facts::new("tcd", USUAL)
            .latent(LatentFormat::SD15)
            .note("Latents are those of the model that was distilled")
            .with(|options| SamplerOptions { original_steps: Some(50), eta: Some(0.3), ..options })
    ),
    recipe!(
        "playground-2-5",
        ["playground-2.5", "playground-v2.5-1024px-aesthetic"],
        "Playground 2.5, EDM in latents whose channels are normalized (Li et al. 2024)",
        edm(0.5, [0.002, 80.0]),
        Facts::new("dpm++", USUAL).latent(LatentFormat::PLAYGROUND).unsure(&["sampler"])
    ),
    recipe!(
        "svd",
        ["stable-video-diffusion"],
        "Stable Video Diffusion, v in EDM's form (Blattmann et al. 2023)",
        edm_v(1.0, [0.002, 700.0]),
        Facts::new("euler", USUAL).run(25, OverFrames([1.0, 3.0])).latent(LatentFormat::SD15)
    ),
    recipe!(
        "kolors",
        [],
        "Kolors, 1100 timesteps (Kuaishou 2024)",
        model("scaled-linear", &[("train_timesteps", 1100.0), ("beta_end", 0.014)], Quantity::Epsilon),
        Facts::new("euler", LEADING_1).run(50, Scale(5.0)).latent(LatentFormat::SDXL).unsure(&["latent"])
    ),
    recipe!(
        "pixart-alpha",
        [],
        "PixArt-alpha; its learned variance is not used (Chen et al. 2023)",
        model("linear", &[], Quantity::Epsilon),
        Facts::new("dpm++", USUAL).run(20, Scale(4.5)).latent(LatentFormat::SD15)
    ),
    recipe!(
        "pixart-sigma",
        [],
        "PixArt-sigma; its learned variance is not used (Chen et al. 2024)",
        model("linear", &[], Quantity::Epsilon),
        Facts::new("dpm++", USUAL).run(20, Scale(4.5)).latent(LatentFormat::SDXL)
    ),
    recipe!(
        "cogvideox-2b",
        [],
        "CogVideoX 2B, v with zero terminal SNR (Yang et al. 2024)",
        cogvideox(3.0),
        Facts::new("ddim", TRAILING)
            .run(50, Scale(6.0))
            .latent(LatentFormat::COGVIDEOX)
            .patched()
            .unsure(&["sampler"])
    ),
    recipe!(
        "cogvideox-5b",
        ["cogvideox-1.5-5b"],
        "CogVideoX 5B and 1.5, v with zero terminal SNR (Yang et al. 2024)",
        cogvideox(1.0),
        Facts::new("dpm++-2m-sde", TRAILING).run(50, Scale(6.0)).latent(LatentFormat::COGVIDEOX15).patched()
    ),
    recipe!(
        "stable-audio",
        ["stable-audio-open-1.0"],
        "Stable Audio, v in EDM's form (Evans et al. 2024)",
        Ok(edm_v(1.0, [0.3, 500.0])?.told_as(Told::QuarterTurns).placed(Placement::Exponential)),
        Facts::new("dpm++-2m-sde", USUAL)
            .run(100, Scale(7.0))
            .latent(LatentFormat::STABLE_AUDIO)
            .note("ComfyUI samples it down to a sigma of 0.03")
    ),
    recipe!(
        "stable-cascade",
        ["stable-cascade-prior", "wuerstchen"],
        "Stable Cascade's prior, on a continuous cosine schedule (Pernias et al. 2023)",
        cascade(),
        Facts::new("ddpm", CLOCK).run(20, Scale(4.0)).latent(LatentFormat::SC_PRIOR)
    ),
    recipe!(
        "stable-cascade-decoder",
        [],
        "Stable Cascade's decoder, on a continuous cosine schedule (Pernias et al. 2023)",
        cascade(),
        Facts::new("ddpm", CLOCK).run(10, Off).latent(LatentFormat::SC_B)
    ),
    recipe!(
        "karlo-prior",
        [],
        "Karlo's prior of embeddings (Ramesh et al. 2022, unCLIP)",
        model("cosine", &[], Quantity::X0),
        Facts::new("ddpm", LINSPACE)
            .run(25, Scale(4.0))
            .note("Its samples are embeddings of 768 numbers")
            .with(|options| with_variance(options, Variance::FixedSmall, 5.0))
    ),
    recipe!(
        "karlo-decoder",
        ["karlo"],
        "Karlo's decoder in pixels, with a learned variance (Ramesh et al. 2022, unCLIP)",
        model("cosine", &[], Quantity::Epsilon),
        Facts::new("ddpm", LINSPACE)
            .run(25, Scale(8.0))
            .with(|options| with_variance(options, Variance::LearnedRange, 1.0))
    ),
    recipe!(
        "karlo-super-resolution",
        [],
        "Karlo's super-resolution network, the last one (Ramesh et al. 2022, unCLIP)",
        model("cosine", &[], Quantity::Epsilon),
        Facts::new("ddpm", LINSPACE)
            .run(7, Off)
            .unsure(&["guidance"])
            .with(|options| with_variance(options, Variance::FixedSmall, 1.0))
    ),
    recipe!(
        "cosmos-1",
        ["cosmos-1.0"],
        "Cosmos 1, EDM in normalized latents (NVIDIA 2025)",
        edm(0.5, [0.002, 80.0]),
        Facts::new("euler", USUAL)
            .run(36, Scale(7.0))
            .latent(LatentFormat::COSMOS1)
            .note("The mean and the deviation of its latents are in the file of the autoencoder, and are multiplied by 0.5")
            .with(to_least_noise)
    ),
];

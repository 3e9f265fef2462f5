//! Recipes of flows that make pictures or audio.

use super::facts::{Facts, Recipe, UsualGuidance};
use super::grid::{GridRule, Shift, TimeList};
use super::make::{Made, entry, euler, flow, recipe, rising_flow};
use crate::math::catalog::entry::{Entry, Values};
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::edm::SigmaData;
use crate::math::latent::format::LatentFormat;
use crate::math::model::{Model, Told};
use UsualGuidance::{Between, Embedded, Normed, Off, Scale, Terms};

/// The angles of SANA-Sprint's two steps, to the digits of its pipeline.
#[expect(clippy::approx_constant, reason = "the pipeline has five digits of pi/2")]
const SPRINT_ANGLES: &[f64] = &[1.5708, 1.3];

/// The time as given to networks that multiply it themselves.
const TIME: Told = Told::Time(1.0);
const RISING_TIME: Told = Told::RisingTime(1.0);

/// FLUX.1's line of the logarithm of the shift over the number of tokens.
const FLUX_LINE: Shift = Shift::Line([(256.0, 0.5), (4096.0, 1.15)]);

const fn shifted(shift: f64) -> Facts {
    euler(GridRule::even(Shift::Fixed(shift)))
}

/// A flow on FLUX.1's latents in patches of 2x2 cells, whose shift follows FLUX.1's line.
const FLUX: Facts = euler(GridRule::even(FLUX_LINE)).latent(LatentFormat::FLUX).patched().told(TIME);

const SD3: Facts = euler(GridRule::ends(3.0)).latent(LatentFormat::SD3).patched();

pub(super) const PICTURES: &[Entry<Recipe>] = &[
    recipe!(
        "sd3",
        ["stable-diffusion-3-medium"],
        "Stable Diffusion 3, a rectified flow (Esser et al. 2024)",
        flow(),
        SD3.run(28, Scale(7.0))
    ),
    recipe!(
        "sd35",
        ["sd3.5", "stable-diffusion-3.5-large", "stable-diffusion-3.5-medium"],
        "Stable Diffusion 3.5, a rectified flow (Stability AI 2024)",
        flow(),
        SD3.run(28, Between([3.5, 4.5])).unsure(&["guidance"])
    ),
    recipe!(
        "flux",
        ["flux-dev", "flux.1-dev"],
        "FLUX.1 dev, a rectified flow whose shift follows the image's size (Black Forest Labs 2024)",
        flow(),
        FLUX.run(28, Embedded(3.5))
    ),
    recipe!(
        "flux-schnell",
        ["flux.1-schnell"],
        "FLUX.1 schnell, distilled to few steps (Black Forest Labs 2024)",
        flow(),
        shifted(1.0).run(4, Off).latent(LatentFormat::FLUX).patched().told(TIME).unsure(&["steps"])
    ),
    recipe!(
        "flux2",
        ["flux.2-dev"],
        "FLUX.2 dev, whose shift follows the tokens and the steps (Black Forest Labs 2025)",
        flow(),
        euler(GridRule::even(Shift::Empirical))
            .run(50, Embedded(4.0))
            .latent(LatentFormat::FLUX2)
            .told(TIME)
            .note("The mean and the variance of its latents are in the file of the autoencoder")
    ),
    recipe!(
        "flux3",
        ["flux.3"],
        "FLUX.3 (Black Forest Labs)",
        flow(),
        shifted(6.93).run(50, Scale(3.5)).told(TIME).unsure(&["latent"])
    ),
    recipe!(
        "flux3-distilled",
        ["flux.3-distilled"],
        "FLUX.3 distilled, a flow map (Black Forest Labs)",
        Ok(flow()?.flow_map()),
        shifted(6.93)
            .run(16, Off)
            .told(TIME)
            .unsure(&["latent"])
            .note("Its network is given the times of both the start and the end of a step")
    ),
    recipe!(
        "qwen-image",
        [],
        "Qwen-Image (Wu et al. 2025)",
        flow(),
        euler(GridRule::Times {
            list: TimeList::Even,
            shift: Shift::Line([(256.0, 0.5), (8192.0, 0.9)]),
            terminal: Some(0.02)
        })
        .run(50, Normed(4.0))
        .latent(LatentFormat::WAN21)
        .patched()
        .told(TIME)
    ),
    recipe!(
        "chroma",
        ["chroma1-hd"],
        "Chroma, after FLUX.1 schnell (Lodestone Rock 2025)",
        flow(),
        FLUX.run(35, Scale(5.0))
            .unsure(&["grid"])
            .note("The shift follows the line if the scheduler's file makes it dynamic; otherwise there is none")
    ),
    recipe!(
        "auraflow",
        [],
        "AuraFlow (fal 2024)",
        flow(),
        euler(GridRule::ends(1.73)).run(50, Scale(3.5)).latent(LatentFormat::SDXL).patched().told(TIME)
    ),
    recipe!(
        "lumina2",
        ["lumina-image-2.0"],
        "Lumina-Image 2.0, which predicts clean minus noise (Qin et al. 2025)",
        rising_flow(),
        shifted(6.0).run(30, Normed(4.0)).latent(LatentFormat::FLUX).patched().told(RISING_TIME)
    ),
    recipe!(
        "z-image",
        [],
        "Z-Image, which predicts clean minus noise (Alibaba 2025)",
        rising_flow(),
        shifted(3.0).run(50, Scale(5.0)).latent(LatentFormat::FLUX).patched().told(RISING_TIME)
    ),
    recipe!(
        "z-image-turbo",
        [],
        "Z-Image Turbo, distilled (Alibaba 2025)",
        rising_flow(),
        shifted(3.0).run(8, Off).latent(LatentFormat::FLUX).patched().told(RISING_TIME)
    ),
    recipe!(
        "hidream-i1",
        ["hidream-i1-full"],
        "HiDream I1, which predicts clean minus noise and is told 1000 times the share of noise (HiDream 2025)",
        Ok(rising_flow()?.told_as(Told::Time(1000.0))),
        euler(GridRule::ends(3.0)).run(50, Scale(5.0)).latent(LatentFormat::FLUX).patched()
    ),
    recipe!(
        "krea2",
        [],
        "Krea 2 (Krea 2026)",
        flow(),
        euler(GridRule::even(Shift::Line([(256.0, 0.5), (6400.0, 1.15)])))
            .run(28, Scale(4.5))
            .latent(LatentFormat::WAN21)
            .patched()
            .told(TIME)
            .note("The distilled model has a shift of exp(1.15) at every size")
    ),
    recipe!(
        "omnigen2",
        [],
        "OmniGen 2 (Wu et al. 2025)",
        flow(),
        shifted(2.6).latent(LatentFormat::FLUX).patched().note("The shift is ComfyUI's")
    ),
    recipe!(
        "ideogram-4",
        [],
        "Ideogram 4, sampled at quantiles of a normal distribution",
        rising_flow(),
        euler(GridRule::Normal { deviation: 1.5, log_snr: [-15.0, 18.0] })
            .run(48, Terms(&[("guidance", 7.0), ("last steps", 3.0)]))
            .told(RISING_TIME)
            .unsure(&["prediction", "grid", "latent"])
            .note(
                "Deviations of 1.5 to 1.75 are in use; its latents are normalized by a batch norm, as far as is known"
            )
    ),
    recipe!(
        "cogview4",
        [],
        "CogView 4 (Zhipu 2025)",
        flow(),
        euler(GridRule::Times { list: TimeList::Thousandths, shift: Shift::Root, terminal: None })
            .run(50, Scale(5.0))
            .patch_of_pixels(16)
            .unsure(&["latent"])
    ),
    recipe!(
        "sana",
        [],
        "SANA (Xie et al. 2024)",
        flow(),
        Facts::new("dpm++", GridRule::from_data(Shift::Fixed(3.0))).run(20, Scale(4.5)).latent(LatentFormat::SANA)
    ),
    recipe!(
        "sana-sprint",
        [],
        "SANA-Sprint, TrigFlow distilled to two steps (Chen et al. 2025)",
        Ok(Model::trig_flow(1000, SigmaData::KARRAS)?),
        euler(GridRule::Listed(SPRINT_ANGLES))
            .run(2, Embedded(4.5))
            .latent(LatentFormat::SANA)
            .with(|options| SamplerOptions { stochastic: true, ..options })
    ),
    recipe!(
        "ace-step",
        [],
        "ACE-Step, for audio (Gong et al. 2025)",
        flow(),
        shifted(3.0).run(8, Scale(7.0)).told(TIME).unsure(&["latent"]).note("Shifts of 1 and 2 are in use as well")
    ),
];

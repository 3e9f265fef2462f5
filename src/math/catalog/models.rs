//! Published models.

use super::entry::{Catalogue, Entry, Make};
use super::error::CatalogError;
use crate::math::edm::SigmaData;
use crate::math::model::Model;
use crate::math::placement::Placement;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

impl Model {
    /// Published models that are often sampled or trained anew.
    pub const CATALOGUE: Catalogue<Make<Self>> = Catalogue { entries: ENTRIES };

    /// The published model of this name or synonym.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`], which lists the names that are accepted.
    pub fn named(name: &str) -> Result<Self, CatalogError> {
        Self::CATALOGUE.find(name)?.build(&[])
    }
}

fn model(schedule: &str, given: &[(&str, f64)], prediction: Quantity) -> Result<Model, CatalogError> {
    Ok(Model::new(Schedule::CATALOGUE.find(schedule)?.build(given)?, prediction))
}

/// The latent scale of Stable Diffusion's first autoencoder (Rombach et al. 2022, `scaling_factor` of its configuration).
const SD_LATENTS: f64 = 0.18215;

const ENTRIES: &[Entry<Make<Model>>] = &[
    Entry::new("model", "ddpm", &["ddpm-cifar10-32"], "DDPM in pixels (Ho et al. 2020)", &[], |_| {
        model("linear", &[], Quantity::Epsilon)
    }),
    Entry::new(
        "model",
        "improved-ddpm",
        &["iddpm"],
        "improved DDPM in pixels, 4000 timesteps (Nichol & Dhariwal 2021)",
        &[],
        |_| model("cosine", &[("train_timesteps", 4000.0)], Quantity::Epsilon),
    ),
    Entry::new("model", "adm", &["guided-diffusion"], "ADM in pixels (Dhariwal & Nichol 2021)", &[], |_| {
        model("linear-scaled", &[], Quantity::Epsilon)
    }),
    Entry::new("model", "edm", &["karras"], "EDM in pixels (Karras et al. 2022)", &[], |_| {
        model("variance-exploding", &[], Quantity::Edm(SigmaData::KARRAS))
    }),
    Entry::new("model", "dit", &["dit-xl-2"], "DiT in latents of Stable Diffusion (Peebles & Xie 2023)", &[], |_| {
        Ok(model("linear", &[], Quantity::Epsilon)?.in_latents(SD_LATENTS, 0.0))
    }),
    Entry::new(
        "model",
        "sd15",
        &["stable-diffusion-v1-5", "sd-1.5", "sd-1.4", "stable-diffusion-v1-4"],
        "Stable Diffusion 1.4 and 1.5 (Rombach et al. 2022)",
        &[],
        |_| Ok(model("scaled-linear", &[], Quantity::Epsilon)?.in_latents(SD_LATENTS, 0.0)),
    ),
    Entry::new(
        "model",
        "sd2",
        &["stable-diffusion-2-1-base", "sd-2.1-base"],
        "Stable Diffusion 2 and 2.1, 512 pixels (Rombach et al. 2022)",
        &[],
        |_| Ok(model("scaled-linear", &[], Quantity::Epsilon)?.in_latents(SD_LATENTS, 0.0)),
    ),
    Entry::new(
        "model",
        "sd2-v",
        &["stable-diffusion-2-1", "sd-2.1", "sd21"],
        "Stable Diffusion 2 and 2.1, 768 pixels, which predict v (Rombach et al. 2022)",
        &[],
        |_| Ok(model("scaled-linear", &[], Quantity::V)?.in_latents(SD_LATENTS, 0.0)),
    ),
    Entry::new(
        "model",
        "sdxl",
        &["stable-diffusion-xl-base-1.0"],
        "Stable Diffusion XL (Podell et al. 2023)",
        &[],
        |_| Ok(model("scaled-linear", &[], Quantity::Epsilon)?.in_latents(0.13025, 0.0)),
    ),
    Entry::new(
        "model",
        "sd3",
        &["stable-diffusion-3-medium"],
        "Stable Diffusion 3, a rectified flow (Esser et al. 2024)",
        &[],
        |_| {
            Ok(model("rectified-flow", &[], Quantity::Flow)?
                .placed(Placement::FlowEnds { shift: 3.0 })
                .in_latents(1.5305, 0.0609))
        },
    ),
    Entry::new(
        "model",
        "flux",
        &["flux.1-dev"],
        "FLUX.1 dev, a rectified flow whose shift follows the image's size (Black Forest Labs 2024)",
        &[],
        |_| {
            Ok(model("rectified-flow", &[], Quantity::Flow)?
                .shifted_by_tokens((256.0, 0.5), (4096.0, 1.15))
                .in_latents(0.3611, 0.1159))
        },
    ),
];

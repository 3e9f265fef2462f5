//! The facts of published models that sampling and training need.

use super::entry::{Catalogue, Entry};
use super::error::CatalogError;
use crate::math::edm::SigmaData;
use crate::math::quantity::Quantity;
use crate::math::schedule::Schedule;

/// The schedule, the prediction and the latent scale of a published model.
///
/// ```
/// use tweedie::Quantity;
/// use tweedie::math::catalog::ModelCard;
///
/// let card = ModelCard::CATALOGUE.find("SDXL")?.make;
/// assert_eq!(card.predicts, Quantity::Epsilon);
/// assert_eq!(card.schedule()?.len(), 1000);
/// # Ok::<(), tweedie::math::catalog::CatalogError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelCard {
    /// The name of its schedule in [`Schedule::CATALOGUE`].
    pub schedule: &'static str,
    /// The parameters of the schedule that differ from its defaults.
    pub parameters: &'static [(&'static str, f64)],
    /// The quantity that the network predicts.
    pub predicts: Quantity,
    /// The network works on `latent_scale*(latent - latent_shift)`; 1 in the space of pixels.
    pub latent_scale: f64,
    /// See [`latent_scale`](Self::latent_scale); 0 for most.
    pub latent_shift: f64,
    /// The shift of a flow's times towards noise; 1 is none.
    pub flow_shift: f64,
}

impl ModelCard {
    /// Published models that are often sampled or trained anew.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: ENTRIES };

    /// The schedule on which the model was trained.
    ///
    /// # Errors
    /// [`CatalogError`] where the card names a schedule or a parameter that does not exist.
    pub fn schedule(&self) -> Result<Schedule, CatalogError> {
        Schedule::CATALOGUE.find(self.schedule)?.build(self.parameters)
    }

    const fn pixels(schedule: &'static str, predicts: Quantity) -> Self {
        Self { schedule, parameters: &[], predicts, latent_scale: 1.0, latent_shift: 0.0, flow_shift: 1.0 }
    }

    const fn latents(schedule: &'static str, predicts: Quantity, latent_scale: f64) -> Self {
        Self { latent_scale, ..Self::pixels(schedule, predicts) }
    }
}

/// The latent scale of Stable Diffusion's first autoencoder (Rombach et al. 2022, `scaling_factor` of its configuration).
const SD_LATENTS: f64 = 0.18215;

const ENTRIES: &[Entry<ModelCard>] = &[
    Entry::new(
        "model",
        "ddpm",
        &["ddpm-cifar10-32"],
        "DDPM in pixels (Ho et al. 2020)",
        &[],
        ModelCard::pixels("linear", Quantity::Epsilon),
    ),
    Entry::new(
        "model",
        "improved-ddpm",
        &["iddpm"],
        "improved DDPM in pixels, 4000 timesteps (Nichol & Dhariwal 2021)",
        &[],
        ModelCard { parameters: &[("train_timesteps", 4000.0)], ..ModelCard::pixels("cosine", Quantity::Epsilon) },
    ),
    Entry::new(
        "model",
        "adm",
        &["guided-diffusion"],
        "ADM in pixels (Dhariwal & Nichol 2021)",
        &[],
        ModelCard::pixels("linear-scaled", Quantity::Epsilon),
    ),
    Entry::new(
        "model",
        "edm",
        &["karras"],
        "EDM in pixels (Karras et al. 2022)",
        &[],
        ModelCard::pixels("variance-exploding", Quantity::Edm(SigmaData::KARRAS)),
    ),
    Entry::new(
        "model",
        "dit",
        &["dit-xl-2"],
        "DiT in latents of Stable Diffusion (Peebles & Xie 2023)",
        &[],
        ModelCard::latents("linear", Quantity::Epsilon, SD_LATENTS),
    ),
    Entry::new(
        "model",
        "sd15",
        &["stable-diffusion-v1-5", "sd-1.5", "sd-1.4", "stable-diffusion-v1-4"],
        "Stable Diffusion 1.4 and 1.5 (Rombach et al. 2022)",
        &[],
        ModelCard::latents("scaled-linear", Quantity::Epsilon, SD_LATENTS),
    ),
    Entry::new(
        "model",
        "sd2",
        &["stable-diffusion-2-1-base", "sd-2.1-base"],
        "Stable Diffusion 2 and 2.1, 512 pixels (Rombach et al. 2022)",
        &[],
        ModelCard::latents("scaled-linear", Quantity::Epsilon, SD_LATENTS),
    ),
    Entry::new(
        "model",
        "sd2-v",
        &["stable-diffusion-2-1", "sd-2.1", "sd21"],
        "Stable Diffusion 2 and 2.1, 768 pixels, which predict v (Rombach et al. 2022)",
        &[],
        ModelCard::latents("scaled-linear", Quantity::V, SD_LATENTS),
    ),
    Entry::new(
        "model",
        "sdxl",
        &["stable-diffusion-xl-base-1.0"],
        "Stable Diffusion XL (Podell et al. 2023)",
        &[],
        ModelCard::latents("scaled-linear", Quantity::Epsilon, 0.13025),
    ),
    Entry::new(
        "model",
        "sd3",
        &["stable-diffusion-3-medium"],
        "Stable Diffusion 3, a rectified flow (Esser et al. 2024)",
        &[],
        ModelCard {
            latent_shift: 0.0609,
            flow_shift: 3.0,
            ..ModelCard::latents("rectified-flow", Quantity::Flow, 1.5305)
        },
    ),
    Entry::new(
        "model",
        "flux",
        &["flux.1-dev"],
        "FLUX.1 dev, a rectified flow whose shift follows the image's size (Black Forest Labs 2024)",
        &[],
        ModelCard { latent_shift: 0.1159, ..ModelCard::latents("rectified-flow", Quantity::Flow, 0.3611) },
    ),
];

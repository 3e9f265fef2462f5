//! The facts of a recipe.

use super::grid::GridRule;
use crate::math::catalog::entry::Make;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::latent::format::LatentFormat;
use crate::math::model::{Model, Told};

/// A published model and its default run.
///
/// ```
/// use tweedie::math::{Recipe, Size};
///
/// let flux = Recipe::named("flux-dev")?;
/// let sampler = flux.sampler(Some(Size::picture(1024, 1024)), None)?;
/// assert_eq!(sampler.calls().len(), 28);
/// assert_eq!(flux.facts.latent.map(|latent| latent.channels), Some(16));
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub(super) make: Make<Model>,
    /// The facts of its run and of its latents.
    pub facts: Facts,
}

/// The known facts of the default run of a model, and of its latents. Some are the values of its authors, others of diffusers
/// or of ComfyUI.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The name of the sampler in [`Sampler::CATALOGUE`](crate::Sampler::CATALOGUE).
    pub sampler: &'static str,
    /// The rule that places the steps.
    pub grid: GridRule,
    /// The number of steps; `None` where none is known.
    pub steps: Option<usize>,
    /// The guidance.
    pub guidance: UsualGuidance,
    /// The latents that the autoencoder makes; `None` for models without one, of pixels or embeddings, and where nothing is known.
    pub latent: Option<LatentFormat>,
    /// Cells of the latent that make one token of the network: frames, and along an edge of the picture.
    pub patch: [usize; 2],
    /// The number that the network itself is told, where that is another than the timestep of the model's scheduler.
    pub told: Option<Told>,
    /// The time, as a part of 1, below which a second network takes over.
    pub second_network_below: Option<f64>,
    /// The names of the fields, or `prediction`, that could not be verified.
    pub uncertain: &'static [&'static str],
    /// Advice for a run: empty, or a sentence without its full stop.
    pub note: &'static str,
    pub(super) adjust: fn(SamplerOptions) -> SamplerOptions,
}

/// The usual guidance of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum UsualGuidance {
    /// Not known.
    Unknown,
    /// One prediction, as it is.
    Off,
    /// Classifier-free guidance of this scale: `u + w*(c - u)`.
    Scale(f64),
    /// Classifier-free guidance of this scale, brought to the norm of the conditional prediction (true CFG of Qwen-Image,
    /// Lumina 2).
    Normed(f64),
    /// A number that the network is told; one prediction.
    Embedded(f64),
    /// A scale that rises from one end of these to the other over the frames of a video.
    OverFrames([f64; 2]),
    /// Classifier-free guidance of a scale between these.
    Between([f64; 2]),
    /// Several scales, by name.
    Terms(&'static [(&'static str, f64)]),
}

impl Facts {
    /// The facts of a run of this sampler at these levels; all others are unknown or the usual ones.
    pub(super) const fn new(sampler: &'static str, grid: GridRule) -> Self {
        Self {
            sampler,
            grid,
            steps: None,
            guidance: UsualGuidance::Unknown,
            latent: None,
            patch: [1, 1],
            told: None,
            second_network_below: None,
            uncertain: &[],
            note: "",
            adjust: |options| options,
        }
    }

    pub(super) const fn run(self, steps: usize, guidance: UsualGuidance) -> Self {
        Self { steps: Some(steps), guidance, ..self }
    }

    pub(super) const fn latent(self, latent: LatentFormat) -> Self {
        Self { latent: Some(latent), ..self }
    }

    /// Sets patches of 2x2 cells of the latent.
    pub(super) const fn patched(self) -> Self {
        Self { patch: [1, 2], ..self }
    }

    /// Sets tokens of this many pixels along an edge, where the latent is not known.
    pub(super) const fn patch_of_pixels(self, edge: usize) -> Self {
        Self { patch: [1, edge], ..self }
    }

    pub(super) const fn told(self, told: Told) -> Self {
        Self { told: Some(told), ..self }
    }

    pub(super) const fn second_network_below(self, time: f64) -> Self {
        Self { second_network_below: Some(time), ..self }
    }

    pub(super) const fn unsure(self, uncertain: &'static [&'static str]) -> Self {
        Self { uncertain, ..self }
    }

    pub(super) const fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    pub(super) const fn with(self, adjust: fn(SamplerOptions) -> SamplerOptions) -> Self {
        Self { adjust, ..self }
    }
}

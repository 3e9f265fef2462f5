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
    /// The facts of the default run and of the latents.
    pub facts: Facts,
}

/// The known facts of a model's default run and of its latents. Some are its authors' values, others those of diffusers or
/// ComfyUI.
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
    /// The latents of the autoencoder; `None` for models of pixels or embeddings, which have none, and where nothing is known.
    pub latent: Option<LatentFormat>,
    /// The cells of the latent that make one token of the network: along the frames, and along an edge of the picture.
    pub patch: [usize; 2],
    /// The number that the network itself is given, where it is not the timestep of the model's scheduler.
    pub told: Option<Told>,
    /// The time, in `0..=1`, below which a second network takes over.
    pub second_network_below: Option<f64>,
    /// The names of the fields that could not be verified, or `prediction` for that of the model.
    pub uncertain: &'static [&'static str],
    /// Advice for a run: empty, or sentences without the last full stop.
    pub note: &'static str,
    pub(super) adjust: fn(SamplerOptions) -> SamplerOptions,
}

/// The usual guidance of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum UsualGuidance {
    /// Not known.
    Unknown,
    /// No guidance: one prediction, used as it is.
    Off,
    /// Classifier-free guidance of this scale: `u + w*(c - u)`.
    Scale(f64),
    /// Classifier-free guidance of this scale, rescaled to the norm of the conditional prediction (the true CFG of Qwen-Image;
    /// Lumina 2).
    Normed(f64),
    /// A scale that is an input of the network; one prediction.
    Embedded(f64),
    /// A scale that goes from the first of these to the second over the frames of a video.
    OverFrames([f64; 2]),
    /// Classifier-free guidance of a scale between these.
    Between([f64; 2]),
    /// Several scales, by name.
    Terms(&'static [(&'static str, f64)]),
}

impl Facts {
    /// The facts of a run of this sampler on this grid; all others are unknown or the defaults.
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

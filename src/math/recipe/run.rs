//! The default run of a recipe.

use super::facts::Recipe;
use super::grid::GridRule;
use super::size::Size;
use crate::math::catalog::entry::Values;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::model::Model;
use crate::math::sampler::Sampler;

impl Recipe {
    /// Returns the model of this name or synonym with its default run.
    ///
    /// # Errors
    /// [`CatalogError::Unknown`], which lists the names that are accepted.
    pub fn named(name: &str) -> Result<Self, CatalogError> {
        Ok(Self::CATALOGUE.find(name)?.make)
    }

    /// Returns the model, with the number that the network itself is given. [`Model::named`] returns the same model with the
    /// timestep of its scheduler in diffusers, from which a pipeline computes that number.
    ///
    /// # Errors
    /// [`CatalogError`] if the facts of an entry contradict each other, which none of the catalogue's do.
    pub fn model(&self) -> Result<Model, CatalogError> {
        let model = (self.make)(&Values::default())?;
        Ok(match self.facts.told {
            Some(told) => model.told_as(told),
            None => model,
        })
    }

    /// Returns the number of tokens of a picture or a video of this size: whole patches of cells of its latent, or of pixels.
    #[must_use]
    pub fn tokens(&self, size: Size) -> f64 {
        let latent = self.facts.latent;
        let [spatial, temporal] = latent.map_or([1, 1], |latent| [latent.spatial, latent.temporal]);
        let [patch_frames, patch_edge] = self.facts.patch;
        let edge = |pixels: u32| u64::from(pixels) / spatial.saturating_mul(patch_edge).max(1) as u64;
        // The first frame of a video is a cell of its own.
        let frames = u64::from(size.frames.saturating_sub(1)) / temporal.max(1) as u64 + 1;
        edge(size.width) as f64 * edge(size.height) as f64 * (frames / patch_frames.max(1) as u64).max(1) as f64
    }

    /// Returns the options of the default run, with this many steps or the usual number, for a picture or a video of this size.
    /// They may be changed before a sampler is built from them.
    ///
    /// # Errors
    /// [`CatalogError::NoSteps`] if neither the recipe nor the caller gives a number of steps, and the errors of
    /// [`GridRule::times`].
    pub fn options(&self, size: Option<Size>, steps: Option<usize>) -> Result<SamplerOptions, CatalogError> {
        let facts = &self.facts;
        let steps = steps.or(facts.steps).ok_or(CatalogError::NoSteps)?;
        let tokens = size.map(|size| self.tokens(size));
        let options = match (facts.grid, facts.grid.times(steps, size, tokens)?) {
            (_, Some(times)) => {
                // The time of such a network runs from noise to data.
                let rises = self.model()?.rises();
                let times = times.into_iter().map(|time| if rises { 1.0 - time } else { time }).collect();
                SamplerOptions { times: Some(times), ..SamplerOptions::default() }
            }
            (GridRule::Placed(placement), None) => {
                SamplerOptions { placement: Some(placement), ..SamplerOptions::steps(steps) }
            }
            (_, None) => SamplerOptions::steps(steps),
        };
        Ok((facts.adjust)(options))
    }

    /// Returns the default run: its sampler on its levels.
    ///
    /// # Errors
    /// As [`options`](Self::options), and [`CatalogError`] for a number of steps that the sampler does not accept.
    pub fn sampler(&self, size: Option<Size>, steps: Option<usize>) -> Result<Sampler, CatalogError> {
        let options = self.options(size, steps)?;
        Sampler::CATALOGUE.find(self.facts.sampler)?.build(&self.model()?, &options)
    }
}

//! From a named sampler and its options to its calls.

use super::entry::Entry;
use super::error::CatalogError;
use super::sampler_grid::GridBuilder;
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::SamplerRecipe;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::denoiser::Denoiser;
use crate::math::sampler::grid::Grid;
use crate::math::sampler::solver::Solver;
use crate::math::schedule::Schedule;
use crate::table::step::Clip;

/// A solver and the grid that it solves on.
type SamplerParts = (Box<dyn Solver>, Grid);

/// Options that every sampler uses.
const EVERYWHERE: [&str; 3] = ["prediction", "clip", "threshold"];

impl Entry<SamplerRecipe> {
    /// The sampler that the options describe on a schedule.
    ///
    /// # Errors
    /// [`CatalogError::Unused`] for an option that this sampler does not use, options that contradict each other, and
    /// [`CatalogError::Sampler`] for numbers that a grid or a solver refuses.
    pub fn build(&self, schedule: &Schedule, options: &SamplerOptions) -> Result<Sampler, CatalogError> {
        let (solver, grid) = self.parts(schedule, options)?;
        let denoiser = Denoiser::new(self.prediction(options)).clipped(options.clip.unwrap_or(Clip::None));
        Ok(Sampler::new(&*solver, &grid, &denoiser)?)
    }

    /// The solver and the grid that the options describe, for a denoiser of one's own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn parts(&self, schedule: &Schedule, options: &SamplerOptions) -> Result<SamplerParts, CatalogError> {
        self.refuse_unused(options)?;
        let solver = (self.make.solver)(&self.filled(options))?;
        let builder = GridBuilder { recipe: &self.make, options, schedule };
        Ok((solver, builder.churned_grid(self.prediction(options))?))
    }

    /// The quantity that the network predicts: as the options say, or a flow for samplers of rectified flow, or epsilon.
    #[must_use]
    pub fn prediction(&self, options: &SamplerOptions) -> Quantity {
        let flow = self.make.is_flow() || options.is_flow();
        options.prediction.unwrap_or(if flow { Quantity::Flow } else { Quantity::Epsilon })
    }

    fn refuse_unused(&self, options: &SamplerOptions) -> Result<(), CatalogError> {
        // Any sampler of levels becomes one of rectified flow when its samples or its predictions are a flow's.
        let of_flow: &[&str] = if options.is_flow() { &["shift", "mu"] } else { &[] };
        let used = self.make.options().chain(EVERYWHERE).chain(of_flow.iter().copied());
        match options.given().find(|option| used.clone().all(|known| known != *option)) {
            Some(option) => Err(CatalogError::Unused { option: option.to_owned(), by: self.title() }),
            None => Ok(()),
        }
    }

    /// The options with the defaults of the entry's parameters.
    fn filled(&self, options: &SamplerOptions) -> SamplerOptions {
        let mut filled = options.clone();
        let missing = |name: &str| options.given().all(|given| given != name);
        for parameter in self.parameters.iter().filter(|parameter| missing(parameter.name)) {
            if let Some(default) = parameter.default {
                filled.set(parameter.name, default);
            }
        }
        filled
    }
}

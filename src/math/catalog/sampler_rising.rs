//! Grids from clean to noisy, for multistep solvers.
//!
//! **Practice.** Such a solver is called at the level of each step, and cannot start at a clean sample, which in lambda is infinitely
//! far from any noise. So a run starts at the least noise of training.

use super::error::CatalogError;
use super::sampler_grid::{GridBuilder, Steps};
use super::sampler_rules::Whole;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::spacing::Spacing;

impl GridBuilder<'_> {
    /// A grid reversed: from the least noise of training, or from the least level if a rule has placed it, to the noisiest level.
    pub(super) fn risen(&self, grid: &Grid) -> Result<Grid, CatalogError> {
        let mut visited: Vec<(NoiseLevel, f64)> = grid.steps().iter().map(|step| (step.from, step.timestep)).collect();
        let least = match self.model.process() {
            Process::VariancePreserving | Process::Levels if grid.scale() == Scale::VariancePreserving => {
                self.model.schedule().level(0).map_err(SamplerError::from)?
            }
            _ => grid.scale().level(self.trained()[0])?,
        };
        let cleaner = visited.last().is_some_and(|(last, _)| least.noise_added_by(*last) > 0.0);
        if cleaner && !self.places_least() {
            visited.push((least, self.model.told(least)));
        }
        visited.reverse();
        let (levels, told): (Vec<NoiseLevel>, Vec<f64>) = visited.into_iter().unzip();
        let (from, to) = (&levels[..levels.len() - 1], levels.iter().skip(1).copied());
        Ok(Grid::of_levels(grid.scale(), from, to, &told)?)
    }

    /// True if a rule places the sigma at which a run starts.
    pub(super) fn places_least(&self) -> bool {
        self.placement().is_some_and(|placement| {
            !matches!(placement, Placement::FlowTimes { .. } | Placement::FlowEnds { .. }) && !self.is_listed()
        })
    }

    /// The grid of a class of diffusers on timesteps: it ends at the noisiest one, whether the network is called there or not.
    pub(super) fn rising_timesteps(&self, scale: Scale) -> Result<Grid, CatalogError> {
        let all = self.model.schedule().len();
        let Steps::Count(steps) = self.steps()? else {
            return self.risen(&self.timestep_grid(scale)?);
        };
        let mut list = self.before_zero(all, steps)?;
        list.reverse();
        if self.spacing() != Spacing::Trailing {
            // The list starts one gap too late.
            let least = if let Spacing::Leading { offset } = self.spacing() { offset } else { 0 };
            list.insert(0, least);
            list.pop();
        }
        let told: Vec<f64> = list.iter().map(|&t| t as f64).collect();
        let noisiest = self.rules.usable.unwrap_or(all).saturating_sub(1);
        let sigma_at = |&t: &f64| self.model.sigma_at(t);
        let sigmas = told.iter().map(sigma_at).collect::<Result<Vec<_>, SamplerError>>()?;
        Ok(Grid::of_sigmas(scale, &sigmas, &told, sigma_at(&(noisiest as f64))?)?)
    }

    /// The grid of a class of diffusers on placed sigmas: up to the largest, at which the last step stays. Equal timesteps in a row are
    /// visited once, and the sigmas are then the first of the list.
    pub(super) fn rising_sigmas(&self, scale: Scale, mut sigmas: Vec<f64>) -> Result<Grid, SamplerError> {
        sigmas.reverse();
        if let [only] = &mut sigmas[..] {
            *only = self.ends()[0];
        }
        let mut told = self.told(scale, &sigmas)?;
        if self.rules.whole == Some(Whole::Nearest) {
            told.dedup();
        }
        let end = sigmas.get(told.len()).or(sigmas.last()).copied().unwrap_or(0.0);
        Grid::of_sigmas(scale, &sigmas[..told.len()], &told, end)
    }
}

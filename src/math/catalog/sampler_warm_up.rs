//! The changes of a grid for the first steps of PNDM: half steps, and the level from which the first step is taken again.

use super::error::CatalogError;
use super::sampler_grid::GridBuilder;
use super::sampler_recipe::Walk;
use super::sampler_ways::Way;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::process::Process;
use crate::math::sampler::adams_bashforth::RUNGE_KUTTA_STEPS;
use crate::math::sampler::grid::{Grid, Scale, Step};

impl GridBuilder<'_> {
    /// The grid as the first steps of the solver need it.
    pub(super) fn warmed_up(&self, way: &Way, grid: Grid) -> Result<Grid, CatalogError> {
        let strides = self.is_diffusers() && *way == Way::Schedule;
        match self.recipe.walk {
            Walk::Twice if strides => self.again(grid),
            Walk::Halved if strides => self.halved_by_stride(grid),
            Walk::Halved => self.halved(way, grid),
            _ => Ok(grid),
        }
    }

    /// The grid of diffusers, which takes the first step again from a stride above the second timestep, wherever the first one is.
    fn again(&self, grid: Grid) -> Result<Grid, CatalogError> {
        let Some(second) = grid.steps().get(1) else { return Ok(grid) };
        let stride = self.stride(self.timesteps()?.len());
        let level = self.model.schedule().level(second.timestep as usize + stride).map_err(SamplerError::from)?;
        Ok(grid.again_from(level))
    }

    /// The grid with its first steps in halves as in diffusers: the first half ends half a stride below its timestep, the second starts
    /// half a stride above the next timestep.
    fn halved_by_stride(&self, grid: Grid) -> Result<Grid, CatalogError> {
        if grid.len() <= RUNGE_KUTTA_STEPS {
            let expected = format!("at least {}", RUNGE_KUTTA_STEPS + 1);
            return Err(CatalogError::Value { option: "steps", expected, found: grid.len().to_string() });
        }
        let (schedule, scale) = (self.model.schedule(), grid.scale());
        let half = self.stride(self.timesteps()?.len()) / 2;
        let level = |t: usize| schedule.level(t).map_err(SamplerError::from);
        let mut steps = Vec::new();
        for pair in grid.steps()[..=RUNGE_KUTTA_STEPS].windows(2) {
            let [now, next] = [pair[0].timestep as usize, pair[1].timestep as usize];
            let (first, second) = (level(now.saturating_sub(half))?, level(next + half)?);
            let told = (next + half) as f64;
            let input = scale.input(second);
            steps.push(Step { to: first, to_timestep: None, ..pair[0] });
            let (from, to, to_timestep) = (second, pair[1].from, Some(pair[1].timestep));
            steps.push(Step { timestep: told, from, to, to_timestep, input, churn: 0.0 });
        }
        steps.extend(&grid.steps()[RUNGE_KUTTA_STEPS..]);
        Ok(Grid::new(steps, scale)?)
    }

    /// The grid with its first steps in halves: at the timestep halfway, or in the middle of the two levels where there are no such
    /// timesteps.
    fn halved(&self, way: &Way, grid: Grid) -> Result<Grid, CatalogError> {
        let found = self.model.process();
        if found == Process::Levels {
            return Err(CatalogError::Process { expected: Process::VariancePreserving, found });
        }
        let scale = grid.scale();
        let whole = matches!(way, Way::Schedule | Way::Timesteps) && self.model.tells_timesteps();
        let mut steps = Vec::new();
        for (k, step) in grid.steps().iter().enumerate() {
            // The last step may stay at its level.
            if k >= RUNGE_KUTTA_STEPS || step.to == step.from {
                steps.push(*step);
                continue;
            }
            let next = step.to_timestep.filter(|_| whole && step.from.alpha() > 0.0);
            let (middle, told) = match next {
                Some(next) => {
                    let timestep = 0.5 * (step.timestep + next);
                    (scale.level(self.model.sigma_at(timestep)?)?, timestep)
                }
                None => {
                    let middle = middle(scale, step);
                    (middle, self.model.told(middle))
                }
            };
            steps.push(Step { to: middle, to_timestep: Some(told), ..*step });
            steps.push(Step { timestep: told, from: middle, input: scale.input(middle), churn: 0.0, ..*step });
        }
        Ok(Grid::new(steps, scale)?)
    }
}

/// The level on the curve of the scale in the direction of the mean of a step's two levels.
fn middle(scale: Scale, step: &Step) -> NoiseLevel {
    let alpha = 0.5 * (step.from.alpha() + step.to.alpha());
    let sigma = 0.5 * (step.from.sigma() + step.to.sigma());
    let length = match scale {
        Scale::VariancePreserving | Scale::VariancePreservingEdm(_) => alpha.hypot(sigma),
        Scale::TrigFlow(data) => alpha.hypot(sigma / data.value()),
        Scale::VarianceExploding | Scale::Denoiser | Scale::Edm(_) | Scale::Flow => 1.0,
    };
    NoiseLevel::raw(alpha / length, sigma / length)
}

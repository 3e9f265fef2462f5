//! The grid of a named sampler.
//!
//! **Practice.** Options override the recipe. A grid takes one of four ways: levels of the schedule at whole timesteps,
//! sigmas of timesteps, sigmas between ends, or times of a flow.

use super::error::CatalogError;
use super::grids::Placement;
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::{ORIGINAL_STEPS, SamplerRecipe, Walk};
use crate::math::error::sampler::SamplerError;
use crate::math::flow;
use crate::math::level::NoiseLevel;
use crate::math::model::Model;
use crate::math::process::Process;
use crate::math::quantity::Quantity;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::solver::Compat;
use crate::math::spacing::{Spacing, consistency_timesteps};

/// The number of steps, or where they are.
enum Steps<'a> {
    Count(usize),
    Timesteps(&'a [f64]),
}

/// The facts from which a grid is built.
pub(super) struct GridBuilder<'a> {
    pub(super) recipe: &'a SamplerRecipe,
    pub(super) options: &'a SamplerOptions,
    pub(super) model: &'a Model,
}

impl GridBuilder<'_> {
    /// The grid, with the noise that the network is to see. diffusers adds it behind the network's back, in its solver.
    pub(super) fn churned_grid(&self) -> Result<Grid, CatalogError> {
        let grid = self.grid()?;
        match &self.options.churn {
            Some(churn) if !self.is_diffusers() => {
                Ok(grid.churned(churn, |sigma| self.model.told(NoiseLevel::raw(1.0, sigma)))?)
            }
            _ => Ok(grid),
        }
    }

    fn grid(&self) -> Result<Grid, CatalogError> {
        let scale = self.scale()?;
        let grid = match (scale, self.placement()?) {
            (Scale::Flow, None | Some(Placement::FlowTimes { .. })) => self.flow_grid()?,
            (_, Some(Placement::FlowTimes { .. })) => return Err(needs("sigmas", "flow-times", "scale", "flow")),
            (Scale::VariancePreserving, None) => return self.schedule_grid(),
            (scale, None) => self.timestep_grid(scale)?,
            (scale, Some(placement)) => self.sigma_grid(scale, placement.with_rho(self.options.rho))?,
        };
        Ok(if self.recipe.inverts() { grid.reversed()? } else { grid })
    }

    /// The rule that places sigmas; `None` where timesteps are visited.
    fn placement(&self) -> Result<Option<Placement>, CatalogError> {
        let SamplerOptions { placement, timesteps, sigma_min, sigma_max, rho, .. } = self.options;
        let preconditioned = matches!(self.model.scale(), Scale::Edm(_)) && timesteps.is_none();
        let sigmas = match placement {
            None if preconditioned => Some(Placement::KARRAS),
            _ => placement.filter(|placement| !matches!(placement, Placement::Timesteps(_))),
        };
        if sigmas.is_none() && [sigma_min, sigma_max, rho].into_iter().any(Option::is_some) {
            return Err(CatalogError::NoSigmas);
        }
        Ok(sigmas)
    }

    /// The scale that the options, the model or the recipe ask for.
    fn scale(&self) -> Result<Scale, CatalogError> {
        let (process, own) = (self.model.process(), self.model.scale());
        let usual = if own == Scale::VariancePreserving { self.recipe.scale } else { own };
        let scale = self.options.scale.unwrap_or(usual);
        match (scale, self.model.prediction()) {
            (Scale::Flow, _) if process == Process::Flow => Ok(scale),
            (Scale::Flow, _) => Err(CatalogError::Process { expected: Process::Flow, found: process }),
            (Scale::VarianceExploding | Scale::Denoiser | Scale::Edm(_), _)
                if matches!(process, Process::Flow | Process::Levels) =>
            {
                Err(CatalogError::Process { expected: Process::VarianceExploding, found: process })
            }
            (Scale::VariancePreserving, _) if matches!(process, Process::Flow | Process::VarianceExploding) => {
                Err(CatalogError::Process { expected: Process::VariancePreserving, found: process })
            }
            (Scale::VarianceExploding, Quantity::Edm(sigma_data)) => Ok(Scale::Edm(sigma_data)),
            (Scale::Edm(data), Quantity::Edm(sigma_data)) if data == sigma_data => Ok(Scale::Edm(data)),
            (_, Quantity::Edm(_)) => Err(needs("prediction", "edm", "scale", "ve")),
            (Scale::Edm(_), _) => Err(needs("scale", "edm", "prediction", "edm")),
            (scale, _) => Ok(scale),
        }
    }

    fn is_diffusers(&self) -> bool {
        self.options.compat == Compat::Diffusers
    }

    fn steps(&self) -> Result<Steps<'_>, CatalogError> {
        match (self.options.steps, &self.options.timesteps) {
            (Some(steps), None) => Ok(Steps::Count(steps)),
            (None, Some(list)) => Ok(Steps::Timesteps(list)),
            (None, None) => Err(CatalogError::NoSteps),
            (Some(_), Some(_)) => Err(contradiction("steps", "timesteps", "says how many there are")),
        }
    }

    fn spacing(&self) -> Spacing {
        let usual = match self.recipe.placement {
            Placement::Timesteps(spacing) => spacing,
            _ => Spacing::Linspace,
        };
        match (self.options.placement, self.options.offset) {
            (Some(Placement::Timesteps(Spacing::Leading { .. })), Some(offset)) => Spacing::Leading { offset },
            (Some(Placement::Timesteps(spacing)), _) => spacing,
            (_, Some(offset)) if matches!(usual, Spacing::Leading { .. }) => Spacing::Leading { offset },
            _ => usual,
        }
    }

    /// The timesteps to visit, from noisy to clean.
    fn timesteps(&self) -> Result<Vec<usize>, CatalogError> {
        let all = self.model.schedule().len();
        if let Some(sections) = &self.options.sections {
            for (option, given) in
                [("steps", self.options.steps.is_some()), ("timesteps", self.options.timesteps.is_some())]
            {
                if given {
                    return Err(contradiction("sections", option, "says how many there are"));
                }
            }
            return Ok(sections.timesteps(all)?);
        }
        let steps = match self.steps()? {
            Steps::Timesteps(list) => return whole(list, all),
            Steps::Count(steps) => steps,
        };
        Ok(match self.recipe.walk {
            Walk::Distilled => {
                let original = self.options.original_steps.unwrap_or(ORIGINAL_STEPS);
                consistency_timesteps(all, original, 1.0, steps)?
            }
            Walk::BeforeZero => self.spacing().timesteps_before_zero(all, steps)?,
            Walk::Plain | Walk::Strided | Walk::Inverse => self.spacing().timesteps(all, steps)?,
        })
    }

    /// The levels of the schedule at whole timesteps.
    fn schedule_grid(&self) -> Result<Grid, CatalogError> {
        let (schedule, mut timesteps) = (self.model.schedule(), self.timesteps()?);
        let end = if self.ends_at_least_sigma() { schedule.level(0)? } else { NoiseLevel::CLEAN };
        if self.is_diffusers() && matches!(self.recipe.walk, Walk::Strided | Walk::Inverse) {
            let stride = schedule.len() / timesteps.len().max(1);
            let grid = Grid::with_stride(schedule, &timesteps, stride, end)?;
            return Ok(if self.recipe.inverts() { grid.reversed()? } else { grid });
        }
        let end = if self.recipe.inverts() {
            // Each level is asked about at its own timestep, and the last step leads to noise, as in guided-diffusion.
            timesteps.reverse();
            NoiseLevel::new(0.0, 1.0)?
        } else {
            end
        };
        Ok(match self.options.sections {
            Some(_) => Grid::respaced(schedule, &timesteps, end)?,
            None => Grid::of_schedule(schedule, &timesteps, end)?,
        })
    }

    /// The sigmas of timesteps, which need not be whole.
    fn timestep_grid(&self, scale: Scale) -> Result<Grid, CatalogError> {
        let model = self.model;
        let visited: Vec<f64> = match self.steps()? {
            Steps::Timesteps(list) => list.to_vec(),
            Steps::Count(_) if self.recipe.walk == Walk::BeforeZero => {
                self.timesteps()?.iter().map(|&t| t as f64).collect()
            }
            Steps::Count(steps) => self.spacing().positions(model.schedule().len(), steps)?,
        };
        let sigmas = visited.iter().map(|&t| model.sigma_at(t)).collect::<Result<Vec<_>, _>>()?;
        let told = sigmas.iter().zip(&visited).map(|(&sigma, &t)| Ok(model.told_at(t, scale.level(sigma)?)));
        let told = told.collect::<Result<Vec<_>, SamplerError>>()?;
        Ok(Grid::of_sigmas(scale, &sigmas, &told, self.last_sigma(model.table().sigmas()[0]))?)
    }

    /// Sigmas between ends, and what the network is told there.
    fn sigma_grid(&self, scale: Scale, placement: Placement) -> Result<Grid, CatalogError> {
        let Steps::Count(steps) = self.steps()? else {
            return Err(contradiction("timesteps", "sigmas", "places the levels"));
        };
        let [least, most] = self.ends();
        let sigmas = placement.sigmas(self.model.schedule(), steps, [least, most])?;
        Ok(Grid::of_sigmas(scale, &sigmas, &self.told(scale, &sigmas)?, self.last_sigma(least))?)
    }

    /// The least and the largest sigma: the given ones, or those of training.
    fn ends(&self) -> [f64; 2] {
        let known = self.model.table().sigmas();
        let [least, most] = match self.model.process() {
            Process::Flow => [1.0 / known.len() as f64, 1.0],
            _ => [known[0], known[known.len() - 1]],
        };
        [self.options.sigma_min.unwrap_or(least), self.options.sigma_max.unwrap_or(most)]
    }

    fn told(&self, scale: Scale, sigmas: &[f64]) -> Result<Vec<f64>, SamplerError> {
        sigmas.iter().map(|&sigma| Ok(self.model.told(scale.level(sigma)?))).collect()
    }

    /// Times of a rectified flow, shifted; diffusers shifts the ends of the list before it shifts the list.
    fn flow_grid(&self) -> Result<Grid, CatalogError> {
        let (train, shift) = (self.model.schedule().len() as f64, self.shift());
        let twice = self.is_diffusers() && self.options.mu.is_none();
        let end = |time: f64| if twice { flow::shifted(time, shift) } else { Ok(time) };
        let times = match self.steps()? {
            Steps::Timesteps(list) => list.iter().map(|&t| self.model.sigma_at(t)).collect::<Result<Vec<_>, _>>()?,
            Steps::Count(steps) => {
                let even = flow::times(steps, end(1.0)?, end(1.0 / train)?)?;
                even.into_iter().map(|time| flow::shifted(time, shift)).collect::<Result<Vec<_>, _>>()?
            }
        };
        Ok(Grid::of_sigmas(Scale::Flow, &times, &self.told(Scale::Flow, &times)?, self.last_sigma(1.0 / train))?)
    }

    fn shift(&self) -> f64 {
        let placed = match self.options.placement {
            Some(Placement::FlowTimes { shift }) => Some(shift),
            _ => None,
        };
        self.options.mu.map(f64::exp).or(self.options.shift).or(placed).unwrap_or(self.model.shift())
    }

    fn ends_at_least_sigma(&self) -> bool {
        self.options.ends_at_least_sigma == Some(true)
    }

    fn last_sigma(&self, least: f64) -> f64 {
        if self.ends_at_least_sigma() { least } else { 0.0 }
    }
}

const fn contradiction(first: &'static str, second: &'static str, because: &'static str) -> CatalogError {
    CatalogError::Contradiction { first, second, because }
}

const fn needs(option: &'static str, value: &'static str, other: &'static str, needed: &'static str) -> CatalogError {
    CatalogError::Needs { option, value, other, needed }
}

fn whole(list: &[f64], timesteps: usize) -> Result<Vec<usize>, CatalogError> {
    let whole = |&t: &f64| match t >= 0.0 && t.fract() == 0.0 && t < timesteps as f64 {
        true => Ok(t as usize),
        false => Err(CatalogError::Value {
            option: "timesteps",
            expected: format!("whole numbers in 0..{timesteps}"),
            found: t.to_string(),
        }),
    };
    list.iter().map(whole).collect()
}

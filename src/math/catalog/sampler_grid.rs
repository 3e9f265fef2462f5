//! The grid of a named sampler.
//!
//! **Practice.** Options override the recipe. A grid finds its levels in one [`Way`](super::sampler_ways::Way), which determines
//! the options that are read.

use super::error::CatalogError;
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::{ORIGINAL_STEPS, SamplerRecipe, Walk};
use super::sampler_rules::GridRules;
use crate::math::level::NoiseLevel;
use crate::math::model::{Model, Told};
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::quantity::Quantity;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::solver::Compat;
use crate::math::spacing::Spacing;

/// The number of steps, or a list of their levels.
pub(super) enum Steps<'a> {
    Count(usize),
    Timesteps(&'a [f64]),
    Sigmas(&'a [f64]),
}

/// The facts from which a grid is built.
pub(super) struct GridBuilder<'a> {
    pub(super) recipe: &'a SamplerRecipe,
    pub(super) options: &'a SamplerOptions,
    /// Those of the options that the caller gave; the others are from a file.
    pub(super) asked: &'a SamplerOptions,
    pub(super) model: &'a Model,
    pub(super) rules: &'a GridRules,
}

impl GridBuilder<'_> {
    /// The rule that places sigmas; `None` where timesteps are visited.
    pub(super) fn placement(&self) -> Option<Placement> {
        let SamplerOptions { placement, timesteps, .. } = self.options;
        let usual = self.model.placement().filter(|_| timesteps.is_none());
        placement.or(usual).filter(|placement| !matches!(placement, Placement::Timesteps(_)))
    }

    /// The scale of the samples: that of the options, of the model or of the recipe, in this order.
    pub(super) fn scale(&self) -> Result<Scale, CatalogError> {
        let (process, own) = (self.model.process(), self.model.scale());
        let usual = if own == Scale::VariancePreserving { self.recipe.scale } else { own };
        let scale = self.options.scale.unwrap_or(usual);
        match (scale, self.model.prediction()) {
            (Scale::Flow, _) if process == Process::Flow => Ok(scale),
            (Scale::Flow, _) => Err(CatalogError::Process { expected: Process::Flow, found: process }),
            (Scale::TrigFlow(data), _) if process == Process::TrigFlow(data) => Ok(scale),
            (Scale::TrigFlow(data), _) => {
                Err(CatalogError::Process { expected: Process::TrigFlow(data), found: process })
            }
            (Scale::VarianceExploding | Scale::Denoiser | Scale::Edm(_), _)
                if matches!(process, Process::Flow | Process::TrigFlow(_) | Process::Levels) =>
            {
                Err(CatalogError::Process { expected: Process::VarianceExploding, found: process })
            }
            (Scale::VariancePreserving | Scale::VariancePreservingEdm(_), _)
                if matches!(process, Process::Flow | Process::TrigFlow(_) | Process::VarianceExploding) =>
            {
                Err(CatalogError::Process { expected: Process::VariancePreserving, found: process })
            }
            (Scale::VarianceExploding, Quantity::Edm(data) | Quantity::TrigFlow(data)) => Ok(Scale::Edm(data)),
            (Scale::Edm(data), prediction) if prediction.sigma_data() == Some(data) => Ok(scale),
            (Scale::VariancePreserving, Quantity::Edm(data) | Quantity::TrigFlow(data))
                if self.model.told_number() == Told::Timestep =>
            {
                Ok(Scale::VariancePreservingEdm(data))
            }
            (Scale::VariancePreservingEdm(data), prediction) if prediction.sigma_data() == Some(data) => Ok(scale),
            (_, Quantity::Edm(_) | Quantity::TrigFlow(_)) => Err(needs("prediction", "edm", "scale", "ve")),
            (Scale::Edm(_) | Scale::VariancePreservingEdm(_), _) => Err(needs("scale", "edm", "prediction", "edm")),
            (scale, _) => Ok(scale),
        }
    }

    /// The walk through the timesteps: the class's, or else the sampler's.
    pub(super) fn walk(&self) -> Walk {
        if self.rules.strided { Walk::Strided } else { self.recipe.walk }
    }

    pub(super) fn is_diffusers(&self) -> bool {
        self.options.compat == Compat::Diffusers
    }

    pub(super) fn steps(&self) -> Result<Steps<'_>, CatalogError> {
        let SamplerOptions { steps, timesteps, sigma_list, .. } = self.options;
        let lists = [(timesteps, "timesteps"), (sigma_list, "sigmas"), (&self.options.times, "times")];
        let mut given = lists.iter().filter(|(list, _)| list.is_some()).map(|(_, name)| *name);
        match (given.next(), given.next()) {
            (Some(list), _) if steps.is_some() => return Err(contradiction("steps", list, "says how many there are")),
            (Some(_), Some(_)) if self.told_list().is_some() => {}
            (Some(first), Some(second)) => return Err(contradiction(first, second, "places the levels")),
            _ => {}
        }
        match (steps, timesteps, sigma_list) {
            (Some(steps), ..) => Ok(Steps::Count(*steps)),
            (.., Some(list)) if self.told_list().is_some() => Ok(Steps::Sigmas(list)),
            (_, Some(list), _) => Ok(Steps::Timesteps(list)),
            (.., Some(list)) => Ok(Steps::Sigmas(list)),
            _ => Err(CatalogError::NoSteps),
        }
    }

    /// The numbers that the network is told at a list of sigmas, for a class that takes a list of timesteps along with it.
    pub(super) fn told_list(&self) -> Option<&[f64]> {
        let SamplerOptions { timesteps, sigma_list, times, .. } = self.options;
        let both = self.rules.told_listed && sigma_list.is_some() && times.is_none();
        timesteps.as_deref().filter(|_| both)
    }

    /// True if the run ends at the last entry of a list.
    pub(super) fn ends_listed(&self) -> bool {
        self.rules.ends_listed && self.is_diffusers()
    }

    /// True if the class shifts a list of times.
    pub(super) fn shifts_lists(&self) -> bool {
        self.is_diffusers() && self.rules.between_listed && !self.rules.ends_listed
    }

    /// True if the options list sigmas or times.
    pub(super) fn is_listed(&self) -> bool {
        self.options.sigma_list.is_some() || self.options.times.is_some()
    }

    pub(super) fn spacing(&self) -> Spacing {
        let usual = match self.recipe.placement {
            Placement::Timesteps(spacing) => spacing,
            _ => Spacing::Linspace,
        };
        if let Some(spacing) = self.rules.spacing {
            return spacing;
        }
        match (self.options.placement, self.options.offset) {
            (Some(Placement::Timesteps(Spacing::Leading { .. })), Some(offset)) => Spacing::Leading { offset },
            (Some(Placement::Timesteps(spacing)), _) => spacing,
            (_, Some(offset)) if matches!(usual, Spacing::Leading { .. }) => Spacing::Leading { offset },
            _ => usual,
        }
    }

    /// The timesteps to visit, from noisy to clean.
    pub(super) fn timesteps(&self) -> Result<Vec<usize>, CatalogError> {
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
            Steps::Sigmas(_) => return Err(CatalogError::NoSteps),
            Steps::Count(steps) => steps,
        };
        Ok(match self.walk() {
            Walk::Distilled => {
                let original = self.options.original_steps.unwrap_or(ORIGINAL_STEPS);
                Spacing::distilled(all, original, self.options.strength.unwrap_or(1.0), steps)?
            }
            Walk::BeforeZero | Walk::Rising => self.before_zero(all, steps)?,
            Walk::Plain
            | Walk::Strided
            | Walk::Twice
            | Walk::Halved
            | Walk::ShortLast
            | Walk::Inverse
            | Walk::Reverse => match self.single(all, steps) {
                Some(noisiest) => vec![noisiest],
                None => self.spacing().timesteps(all, steps)?,
            },
        })
    }

    /// The timestep of a run of a single step with linspace spacing: the noisiest one. diffusers takes the other end, 0.
    pub(super) fn single(&self, all: usize, steps: usize) -> Option<usize> {
        (steps == 1 && self.spacing() == Spacing::Linspace && !self.is_diffusers()).then(|| all - 1)
    }

    /// The timesteps to visit, without 0 and without those that may not be visited. In trailing spacing diffusers keeps the gaps of
    /// the whole schedule, and so visits fewer.
    pub(super) fn before_zero(&self, all: usize, steps: usize) -> Result<Vec<usize>, CatalogError> {
        let usable = self.rules.usable.unwrap_or(all);
        if self.spacing() == Spacing::Trailing && self.is_diffusers() && usable < all {
            self.spacing().timesteps(all, steps)?; // refuses an impossible number of steps
            let gap = all as f64 / steps as f64;
            let places = (0..steps).map(|i| usable as f64 - i as f64 * gap).take_while(|place| *place > 0.0);
            return Ok(places.map(|place| (place.round_ties_even() as usize).saturating_sub(1)).collect());
        }
        Ok(self.spacing().timesteps_before_zero(usable, steps)?)
    }

    /// The levels of the schedule at whole timesteps.
    pub(super) fn schedule_grid(&self, scale: Scale) -> Result<Grid, CatalogError> {
        let grid = self.timesteps_of_schedule()?.scaled(scale)?;
        // The levels are those of timesteps, but not every network is told timesteps.
        match self.model.told_number() {
            Told::Timestep => Ok(grid),
            _ => Ok(grid.told(|level| self.model.told(level))?),
        }
    }

    fn timesteps_of_schedule(&self) -> Result<Grid, CatalogError> {
        let (schedule, mut timesteps) = (self.model.schedule(), self.timesteps()?);
        let end = if self.ends_at_least_sigma() { schedule.level(0)? } else { NoiseLevel::CLEAN };
        let strides = matches!(self.walk(), Walk::Strided | Walk::Twice | Walk::Halved | Walk::Inverse);
        if self.is_diffusers() && strides {
            let stride = self.stride(timesteps.len());
            return self.backwards(Grid::with_stride(schedule, &timesteps, stride, end)?);
        }
        // From the cleanest level of the schedule to pure noise: a schedule has no timestep for the clean sample.
        let reverse = self.recipe.walk == Walk::Reverse;
        let end = if reverse { NoiseLevel::new(0.0, 1.0)? } else { end };
        if reverse {
            timesteps.reverse();
        }
        let grid = match self.options.sections {
            Some(_) => Grid::respaced(schedule, &timesteps, end)?,
            None => Grid::of_schedule(schedule, &timesteps, end)?,
        };
        if reverse { Ok(grid) } else { self.backwards(grid) }
    }

    /// The grid in the direction of the sampler's walk, from one that goes from noisy to clean.
    pub(super) fn backwards(&self, grid: Grid) -> Result<Grid, CatalogError> {
        Ok(match self.walk() {
            Walk::Inverse => grid.reversed()?,
            Walk::Reverse => grid.reversed()?.told(|level| self.model.told(level))?,
            Walk::Rising => self.risen(&grid)?,
            Walk::Plain
            | Walk::Strided
            | Walk::Twice
            | Walk::Halved
            | Walk::ShortLast
            | Walk::BeforeZero
            | Walk::Distilled => grid,
        })
    }

    /// The stride between visited timesteps, a whole number, as diffusers computes it.
    pub(super) fn stride(&self, visited: usize) -> usize {
        self.model.schedule().len() / visited.max(1)
    }

    pub(super) fn ends_at_least_sigma(&self) -> bool {
        self.options.ends_at_least_sigma == Some(true)
    }
}

pub(super) const fn contradiction(first: &'static str, second: &'static str, because: &'static str) -> CatalogError {
    CatalogError::Contradiction { first, second, because }
}

pub(super) const fn needs(
    option: &'static str,
    value: &'static str,
    other: &'static str,
    needed: &'static str,
) -> CatalogError {
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

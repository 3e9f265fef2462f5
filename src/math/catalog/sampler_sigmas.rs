//! Grids of sigmas: at timesteps, placed between ends, and at the times of a flow.

use super::error::CatalogError;
use super::sampler_grid::{GridBuilder, Steps, contradiction};
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::Walk;
use super::sampler_rules::{Last, Times, Whole};
use super::sampler_ways::Way;
use crate::math::check;
use crate::math::error::sampler::SamplerError;
use crate::math::flow;
use crate::math::level::NoiseLevel;
use crate::math::placement::Placement;
use crate::math::process::Process;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::sampler::pi_flow::PiFlow;
use crate::math::sigmas;

/// The distance from 1 that diffusers keeps the first time of a flow for UniPC, whose logarithms are infinite at 1.
const BELOW_ONE: f64 = 1e-6;

impl GridBuilder<'_> {
    /// The grid, with its churn. diffusers adds churn in the solver, after the network was called.
    pub(super) fn churned_grid(&self) -> Result<Grid, CatalogError> {
        let scale = self.scale()?;
        let way = self.way(scale)?;
        self.refuse_idle(scale, &way)?;
        let grid = self.warmed_up(&way, self.window(self.taken(&way, self.grid(scale, &way)?)?)?)?;
        let grid = match &self.options.churn {
            Some(churn) if !self.is_diffusers() => {
                grid.churned(churn, |sigma| self.model.told(NoiseLevel::raw(1.0, sigma)))?
            }
            _ => grid,
        };
        // Such a process has no levels between those of its list.
        if self.model.process() == Process::Levels {
            return Ok(grid);
        }
        let model = self.model.clone();
        Ok(grid.with_clock(move |level| model.told(level)))
    }

    /// The steps that the strength keeps: those next to the clean sample.
    fn taken(&self, way: &Way, grid: Grid) -> Result<Grid, CatalogError> {
        match self.options.strength {
            Some(strength) if !self.strength_distils(way) => {
                check::fraction("strength", strength)?;
                let steps = (grid.len() as f64 * strength) as usize;
                Ok(if self.recipe.inverts() { grid.first_steps(steps) } else { grid.last_steps(steps) }?)
            }
            _ => Ok(grid),
        }
    }

    /// The steps from `begin_index` up to `end_index`.
    fn window(&self, grid: Grid) -> Result<Grid, CatalogError> {
        let SamplerOptions { begin_index, end_index, .. } = self.options;
        let begin = begin_index.unwrap_or(0);
        let grid = match end_index {
            Some(end) => grid.first_steps(*end)?,
            None => grid,
        };
        let left = grid.len().saturating_sub(begin);
        Ok(grid.last_steps(left)?)
    }

    fn grid(&self, scale: Scale, way: &Way) -> Result<Grid, CatalogError> {
        let rising = self.is_diffusers() && self.walk() == Walk::Rising && self.rules.finite;
        match way {
            Way::Timesteps if rising => self.rising_timesteps(scale),
            // Here the class goes towards the clean sample, and stays at the last of its levels.
            Way::Flow if rising => self.flow_grid(),
            Way::Sigmas(placement) if rising => self.sigma_grid(scale, *placement),
            Way::Listed(levels) => self.level_grid(scale, levels),
            Way::Schedule => self.schedule_grid(scale),
            Way::Angles => self.angle_grid(scale),
            Way::Timesteps => self.backwards(self.timestep_grid(scale)?),
            Way::Sigmas(placement) => self.backwards(self.sigma_grid(scale, *placement)?),
            Way::Flow => self.backwards(self.flow_grid()?),
        }
    }

    /// The grid of timesteps, which need not be whole, by their sigmas.
    pub(super) fn timestep_grid(&self, scale: Scale) -> Result<Grid, CatalogError> {
        let visited = self.visited()?;
        if self.rules.one_too_many && self.is_diffusers() {
            return self.one_too_many(scale, &visited);
        }
        let sigmas = self.sigmas_at(&visited)?;
        Ok(Grid::of_sigmas(scale, &sigmas, &self.told_at(scale, &visited, &sigmas)?, self.last_sigma(&sigmas))?)
    }

    /// The grid of diffusers' `log_linear` sigmas: the one too many is the end of the run, unless the network is told sigmas.
    fn one_too_many(&self, scale: Scale, visited: &[f64]) -> Result<Grid, CatalogError> {
        let most = visited.len().saturating_add(1);
        let mut sigmas = Placement::Exponential.sigmas(self.model.schedule(), most, self.ends())?;
        if !self.model.tells_timesteps() {
            return Ok(Grid::of_sigmas(scale, &sigmas, &self.told(scale, &sigmas)?, self.last_sigma(&sigmas))?);
        }
        let end = sigmas.pop().ok_or(SamplerError::NoSteps)?;
        Ok(Grid::of_sigmas(scale, &sigmas, visited, end)?)
    }

    /// The timesteps to visit, whole or not.
    fn visited(&self) -> Result<Vec<f64>, CatalogError> {
        match self.steps()? {
            _ if matches!(self.walk(), Walk::BeforeZero | Walk::Rising) => {
                Ok(self.timesteps()?.iter().map(|&t| t as f64).collect())
            }
            Steps::Timesteps(list) => Ok(list.to_vec()),
            Steps::Sigmas(_) => Err(CatalogError::NoSteps),
            Steps::Count(steps) => {
                let all = self.model.schedule().len();
                Ok(self
                    .single(all, steps)
                    .map_or_else(|| self.spacing().positions(all, steps), |t| Ok(vec![t as f64]))?)
            }
        }
    }

    fn sigmas_at(&self, timesteps: &[f64]) -> Result<Vec<f64>, SamplerError> {
        timesteps.iter().map(|&t| self.model.sigma_at(t)).collect()
    }

    /// The grid of sigmas that are placed between ends, and what the network is told there.
    fn sigma_grid(&self, scale: Scale, placement: Placement) -> Result<Grid, CatalogError> {
        let steps = match self.steps()? {
            Steps::Count(steps) => steps,
            // Flows of diffusers place a given list anew, and tell the network the given numbers.
            Steps::Timesteps(list) | Steps::Sigmas(list) if self.is_diffusers() && scale == Scale::Flow => list.len(),
            Steps::Timesteps(_) | Steps::Sigmas(_) => {
                return Err(contradiction("timesteps", "sigmas", "places the levels"));
            }
        };
        // A run towards noise starts at the least sigma, which is not the end of a step.
        let rising = self.walk() == Walk::Rising;
        let steps = if rising && !self.is_diffusers() { steps.saturating_add(1) } else { steps };
        if let Some(grid) = self.beta_grid(scale, placement, steps)? {
            return Ok(grid);
        }
        let sigmas = match self.placement_ends(scale)? {
            Some(ends) => placement.sigmas(self.model.schedule(), steps, ends)?,
            None => return Err(SamplerError::NoSteps.into()),
        };
        if rising && self.is_diffusers() && self.rules.finite {
            return Ok(self.rising_sigmas(scale, sigmas)?);
        }
        let ratio_to_time = |sigma: f64| if self.rules.ratios { sigma / (1.0 + sigma) } else { sigma };
        let sigmas: Vec<f64> = sigmas.into_iter().map(ratio_to_time).collect();
        let told = self.told_by_list(scale, &sigmas)?;
        Ok(Grid::of_sigmas(scale, &sigmas, &told, self.last_sigma(&sigmas))?)
    }

    /// The grid at quantiles of timesteps, as published, if the model has timesteps; diffusers takes quantiles of sigmas.
    fn beta_grid(&self, scale: Scale, placement: Placement, steps: usize) -> Result<Option<Grid>, CatalogError> {
        let Placement::Beta { a, b } = placement else { return Ok(None) };
        if !self.places_timesteps() {
            return Ok(None);
        }
        let Some(ends) = self.placement_ends(scale)? else { return Ok(None) };
        let ends = ends.map(|sigma| self.model.schedule().timestep_of(sigma));
        let timesteps = sigmas::beta_timesteps(steps, ends, a, b)?;
        let sigmas = self.sigmas_at(&timesteps)?;
        let told = self.told_at(scale, &timesteps, &sigmas)?;
        Ok(Some(Grid::of_sigmas(scale, &sigmas, &told, self.last_sigma(&sigmas))?))
    }

    /// True if the quantiles of a beta placement are those of timesteps.
    pub(super) fn places_timesteps(&self) -> bool {
        !self.is_diffusers() && self.model.process() == Process::VariancePreserving
    }

    /// The ends between which sigmas are placed; `None` for an empty list of timesteps.
    pub(super) fn placement_ends(&self, scale: Scale) -> Result<Option<[f64; 2]>, CatalogError> {
        if !self.rules.between_listed {
            return Ok(Some(self.ends()));
        }
        let listed = if scale == Scale::Flow { self.flow_times()? } else { self.sigmas_at(&self.visited()?)? };
        let ends = listed.last().zip(listed.first());
        let SamplerOptions { sigma_min, sigma_max, .. } = self.options;
        Ok(ends.map(|(least, most)| [sigma_min.unwrap_or(*least), sigma_max.unwrap_or(*most)]))
    }

    /// The least and the largest sigma: those of the options, or those of training.
    pub(super) fn ends(&self) -> [f64; 2] {
        let [least, most] = self.trained();
        [self.options.sigma_min.unwrap_or(least), self.options.sigma_max.unwrap_or(most)]
    }

    pub(super) fn trained(&self) -> [f64; 2] {
        match self.model.process() {
            Process::Flow => [1.0 / self.model.schedule().len() as f64, 1.0],
            _ => self.model.schedule().sigma_ends(),
        }
    }

    pub(super) fn told(&self, scale: Scale, sigmas: &[f64]) -> Result<Vec<f64>, SamplerError> {
        let whole = self.rules.whole.filter(|_| self.is_diffusers());
        let most = self.trained()[1];
        let told = |&sigma: &f64| {
            let told = self.model.told(scale.level(sigma)?);
            Ok(match whole {
                // diffusers rounds its logarithms to f32, to just below that of the largest sigma.
                Some(Whole::Down) if scale != Scale::Flow && sigma == most => (told - 1.0).max(0.0).trunc(),
                Some(whole) => whole.of(told),
                None => told,
            })
        };
        sigmas.iter().map(told).collect()
    }

    fn told_at(&self, scale: Scale, timesteps: &[f64], sigmas: &[f64]) -> Result<Vec<f64>, SamplerError> {
        let pairs = timesteps.iter().zip(sigmas);
        pairs.map(|(&timestep, &sigma)| Ok(self.model.told_at(timestep, scale.level(sigma)?))).collect()
    }

    /// The numbers that the network is told at these sigmas: those of a list, or the model's.
    fn told_by_list(&self, scale: Scale, sigmas: &[f64]) -> Result<Vec<f64>, CatalogError> {
        if let Some(list) = self.told_list() {
            let levels = sigmas.iter().map(|&sigma| scale.level(sigma)).collect::<Result<Vec<_>, _>>()?;
            return Ok(self.told_as_listed(list, &levels)?);
        }
        Ok(match self.steps()? {
            Steps::Timesteps(list) => self.told_at(scale, list, sigmas)?,
            Steps::Count(_) | Steps::Sigmas(_) => self.told(scale, sigmas)?,
        })
    }

    /// The grid of shifted times of a rectified flow.
    fn flow_grid(&self) -> Result<Grid, CatalogError> {
        let times = self.flow_times()?;
        let told = self.told_by_list(Scale::Flow, &times)?;
        Ok(Grid::of_sigmas(Scale::Flow, &times, &told, self.last_sigma(&times))?)
    }

    /// The times of a flow: a list as it is given, others shifted. In diffusers a class may shift a list too.
    fn flow_times(&self) -> Result<Vec<f64>, CatalogError> {
        let times = match self.steps()? {
            // The class counts all times from data, and reverses those of a network that counts from noise at the end.
            Steps::Timesteps(list) if self.shifts_lists() => {
                let all = self.model.schedule().len() as f64;
                list.iter().map(|t| t / all).collect()
            }
            Steps::Timesteps(list) => return Ok(self.sigmas_at(list)?),
            Steps::Sigmas(list) => list.to_vec(),
            Steps::Count(steps) => self.even_times(steps)?,
        };
        let shift = self.shift()?;
        let shifted = times.into_iter().map(|time| flow::shifted(time, shift));
        let mut times = shifted.collect::<Result<Vec<_>, SamplerError>>()?;
        // A single step from pure noise cannot be stretched.
        let last = times.last().copied().unwrap_or(1.0);
        if let Some(terminal) = self.rules.terminal.filter(|_| last < 1.0) {
            times = flow::stretched(&times, terminal)?;
        }
        let infinite = self.is_diffusers() && self.rules.times == Times::BeforeLast;
        if let Some(first) = times.first_mut().filter(|first| infinite && 1.0 - **first < BELOW_ONE) {
            *first -= BELOW_ONE;
        }
        Ok(times)
    }

    /// The times before they are shifted: `1 - i/n`, or from 1 to `1/T` as in diffusers, which shifts both ends before the list.
    fn even_times(&self, steps: usize) -> Result<Vec<f64>, CatalogError> {
        let least = 1.0 / self.model.schedule().len() as f64;
        let one_more = || flow::times(steps.saturating_add(1), 1.0, least);
        Ok(match self.rules.times {
            _ if self.has_short_last() => {
                let last = self.options.pi_flow.unwrap_or_default().last_step;
                flow::even_but_last(steps, last)?
            }
            Times::Even => flow::even(steps)?,
            Times::Usual if self.times_are_even() => flow::even(steps)?,
            Times::Usual if self.is_sized() => flow::times(steps, 1.0, least)?,
            Times::Usual => {
                let shift = self.shift()?;
                flow::times(steps, flow::shifted(1.0, shift)?, flow::shifted(least, shift)?)?
            }
            Times::BeforeLast => one_more()?[..steps].to_vec(),
            // In the order of the class, so that whole timesteps stay whole.
            Times::FromData => one_more()?[1..].iter().rev().map(|signal| 1.0 - signal).collect(),
        })
    }

    /// True for the steps of pi-Flow, of which the last is shorter.
    pub(super) fn has_short_last(&self) -> bool {
        self.recipe.walk == Walk::ShortLast && self.options.placement.is_none()
    }

    /// True for the times `1 - i/n`, where the class has no rule of its own for times.
    pub(super) fn times_are_even(&self) -> bool {
        let placed = self.options.placement.or(self.model.placement());
        !matches!(placed, Some(Placement::FlowEnds { .. })) && !self.is_diffusers()
    }

    /// True if the shift follows from the size of the image: the ends of the list are then not shifted before it.
    pub(super) fn is_sized(&self) -> bool {
        self.options.mu.is_some() || self.options.tokens.is_some() || self.rules.dynamic
    }

    /// The shift: that of the options, from the size of the image, or the model's.
    pub(super) fn shift(&self) -> Result<f64, CatalogError> {
        let SamplerOptions { placement, shift, mu, tokens, .. } = self.options;
        let given = mu.map(f64::exp).or(*shift);
        match (given, tokens, self.model.token_line()) {
            (Some(shift), ..) => Ok(shift),
            (None, Some(tokens), Some([base, most])) => Ok(flow::dynamic_mu(*tokens, base, most)?.exp()),
            (None, Some(tokens), None) => Err(CatalogError::Value {
                option: "tokens",
                expected: "a model whose shift follows from the size of the image".to_owned(),
                found: tokens.to_string(),
            }),
            (None, None, Some(_)) => Err(CatalogError::NoSize),
            (None, None, None) => {
                let own = self.model.placement().and_then(Placement::shift);
                let usual = if self.recipe.walk == Walk::ShortLast { PiFlow::default().shift } else { 1.0 };
                Ok(placement.and_then(Placement::shift).or(own).unwrap_or(usual))
            }
        }
    }

    fn last_sigma(&self, sigmas: &[f64]) -> f64 {
        match self.rules.last {
            Last::Twice if self.is_diffusers() => sigmas.last().copied().unwrap_or(0.0),
            _ if !self.ends_at_least_sigma() => 0.0,
            Last::Least | Last::Twice => self.ends()[0],
            Last::Listed => sigmas.last().copied().unwrap_or(0.0),
            Last::At(sigma) => sigma,
        }
    }
}

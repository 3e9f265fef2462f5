//! Grids of levels that the options list.

use super::error::CatalogError;
use super::sampler_grid::{GridBuilder, Steps, contradiction};
use super::sampler_options::SamplerOptions;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::model::Told;
use crate::math::sampler::grid::{Grid, Scale};
use crate::math::schedule::MAX_STEPS;
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::FRAC_PI_2;

impl GridBuilder<'_> {
    /// The levels of a list of sigmas or times, without a clean one at its end; `None` without such a list, and for lists that a
    /// class of diffusers shifts.
    pub(super) fn listed_levels(&self, scale: Scale) -> Result<Option<Vec<NoiseLevel>>, CatalogError> {
        let SamplerOptions { sigma_list, times, .. } = self.options;
        let shifts = self.shifts_lists() && scale == Scale::Flow;
        let levels: Result<Vec<_>, SamplerError> = match (sigma_list, times) {
            (None, Some(times)) => times.iter().map(|&time| self.model.level_of_time(time)).collect(),
            (Some(sigmas), None) if !shifts => sigmas.iter().map(|&sigma| scale.level(sigma)).collect(),
            _ => return Ok(None),
        };
        // The list determines the number of steps, and no other option may.
        if times.is_some() && (self.options.steps.is_some() || self.options.timesteps.is_some()) {
            return Err(contradiction("steps", "times", "says how many there are"));
        }
        if sigma_list.is_some() {
            self.steps()?;
        }
        let mut levels = levels?;
        let ends_at_zero = times.as_ref().is_some_and(|times| times.last() == Some(&0.0));
        let clock = matches!(self.model.told_number(), Told::CosineTime(_));
        if !self.ends_listed() && levels.last().is_some_and(|last| last.sigma() == 0.0 || (clock && ends_at_zero)) {
            levels.pop();
        }
        Ok(Some(levels))
    }

    /// The grid of these levels, with what the network is told at each.
    pub(super) fn level_grid(&self, scale: Scale, levels: &[NoiseLevel]) -> Result<Grid, CatalogError> {
        let (levels, end) = match levels.split_last() {
            Some((last, visited)) if self.ends_listed() => (visited, *last),
            Some((last, _)) if self.ends_at_least_sigma() => (levels, *last),
            _ => (levels, self.least_level()?),
        };
        let own = |(k, &level): (usize, &NoiseLevel)| self.listed_angle(k).unwrap_or_else(|| self.model.told(level));
        let told = match self.told_list() {
            Some(list) => self.told_as_listed(list, levels)?,
            None => levels.iter().enumerate().map(own).collect(),
        };
        let targets = levels.iter().skip(1).copied().chain([end]);
        let grid = Grid::of_levels(scale, levels, targets, &told)?;
        self.backwards(grid)
    }

    /// The level at which a run ends: the clean sample, or time 0 of a clock, which need not be clean.
    fn least_level(&self) -> Result<NoiseLevel, SamplerError> {
        match self.model.told_number() {
            Told::CosineTime(clock) => clock.level(0.0),
            _ => Ok(NoiseLevel::CLEAN),
        }
    }

    /// The numbers of a list, one for each level. A network whose time rises from noise to data is told its own time instead.
    pub(super) fn told_as_listed(&self, list: &[f64], levels: &[NoiseLevel]) -> Result<Vec<f64>, SamplerError> {
        let (expected, found) = (levels.len(), list.len());
        if found != expected {
            return Err(SamplerError::Lengths { what: "timesteps", expected, found });
        }
        let told = |(&listed, &level)| if self.model.rises() { self.model.told(level) } else { listed };
        Ok(list.iter().zip(levels).map(told).collect())
    }

    /// The listed time of a network that is told angles or the times of a clock: it is told unchanged, even where rounding has moved an
    /// angle beyond `pi/2`.
    fn listed_angle(&self, k: usize) -> Option<f64> {
        let angles = self
            .options
            .times
            .as_ref()
            .filter(|_| matches!(self.model.told_number(), Told::Angle(_) | Told::CosineTime(_)));
        angles.and_then(|angles| angles.get(k)).copied()
    }

    /// TrigFlow's angles: as they are listed, or in equal steps from a right angle.
    pub(super) fn angle_grid(&self, scale: Scale) -> Result<Grid, CatalogError> {
        let angles: Vec<f64> = match self.steps()? {
            Steps::Count(steps) if steps > MAX_STEPS => return Err(SamplerError::from(too_long(steps)).into()),
            Steps::Count(steps) => (0..steps).map(|i| FRAC_PI_2 * (1.0 - i as f64 / steps as f64)).collect(),
            Steps::Timesteps(list) | Steps::Sigmas(list) => list.to_vec(),
        };
        let levels: Result<Vec<_>, SamplerError> = angles.iter().map(|&t| self.model.level_of_time(t)).collect();
        self.level_grid(scale, &levels?)
    }
}

const fn too_long(found: usize) -> ScheduleError {
    ScheduleError::TooLong { found, limit: MAX_STEPS }
}

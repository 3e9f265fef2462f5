//! The timesteps that a network is given at levels between those of a grid.

use crate::math::level::NoiseLevel;
use crate::math::process::Process;
use crate::math::schedule::Schedule;
use std::fmt;
use std::sync::Arc;

/// A function from a level to the timestep that a network is given there.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn(NoiseLevel) -> f64 + Send + Sync>);

impl Clock {
    pub(super) fn new(told: impl Fn(NoiseLevel) -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }

    /// The timesteps of a variance-preserving schedule, interpolated between whole ones; `None` for other schedules.
    pub(super) fn of_schedule(schedule: &Schedule) -> Option<Self> {
        let schedule = schedule.clone();
        let between = schedule.process() == Process::VariancePreserving;
        between.then(|| Self::new(move |level| schedule.timestep_of(level.sigma() / level.alpha())))
    }

    pub(super) fn told(&self, level: NoiseLevel) -> f64 {
        (self.0)(level)
    }
}

/// Always equal, so that grids are compared by their steps.
impl PartialEq for Clock {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

//! The part of a run in which a guider acts.

use crate::math::error::guidance::GuidanceError;

/// A part of a run in fractions of its `n` steps: `int(start*n) <= step < int(stop*n)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The fraction of the steps before it, in `0..1`.
    pub start: f64,
    /// The fraction of the steps up to its end, in `start..=1`.
    pub stop: f64,
}

impl Window {
    /// The whole run.
    pub const WHOLE: Self = Self { start: 0.0, stop: 1.0 };

    /// Returns the window if `start` is below 1 and `stop` between it and 1; an error calls them by these names.
    ///
    /// # Errors
    /// [`GuidanceError::Window`].
    pub(crate) fn checked(self, [start, stop]: [&'static str; 2]) -> Result<Self, GuidanceError> {
        let is_one = self.start < 1.0 && self.start <= self.stop && self.stop <= 1.0;
        is_one.then_some(self).ok_or(GuidanceError::Window { start, stop, from: self.start, found: self.stop })
    }

    /// Returns true for a step inside the window, and where the step or the number of steps is not known.
    #[must_use]
    pub fn holds(self, step: Option<usize>, steps: Option<usize>) -> bool {
        self.ends(step, steps).is_none_or(|[step, first, end]| first <= step && step < end)
    }

    /// As [`holds`](Self::holds), but false for the first step of the window.
    #[must_use]
    pub fn holds_after_start(self, step: Option<usize>, steps: Option<usize>) -> bool {
        self.ends(step, steps).is_none_or(|[step, first, end]| first < step && step < end)
    }

    /// The step, the first one inside the window and the first one after it.
    fn ends(self, step: Option<usize>, steps: Option<usize>) -> Option<[usize; 3]> {
        let (step, steps) = (step?, steps?);
        Some([step, (self.start * steps as f64) as usize, (self.stop * steps as f64) as usize])
    }
}

//! The times of RFD4-Proteina, from noise to data.
//!
//! **Theory.** Times are squares of equal steps (`power`), or lie at equal steps of the logarithm of the noise's share (`log`),
//! and the last steps are finer by a whole factor. They start at about 0.001, where a score is defined.

use super::check;
use super::schedule::check_steps;
use crate::math::error::sampler::SamplerError;

/// The time at which a run starts.
const START: f64 = 1e-3;

/// A time at most this far below the requested start counts as the start.
const NEAR: f64 = 1e-6;

/// The steps among which a later start is located: at least the first number, and the second for each step of the run.
const DENSE: [usize; 2] = [1000, 100];

/// The most finer steps, and the largest factor.
const MOST: usize = 1 << 20;

/// The rule that places the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProteinTimes {
    /// True for equal steps of the logarithm, false for squares.
    pub(crate) logarithmic: bool,
    /// The number of finer steps at the end.
    pub(crate) tail_steps: usize,
    /// The factor by which they are finer, at least 2.
    pub(crate) tail_multiplier: usize,
}

impl ProteinTimes {
    /// Returns the `steps + 1` times of this many steps from the first time to 1, both of which are included.
    ///
    /// # Errors
    /// [`SamplerError::Schedule`] for the count, [`SamplerError::Parameter`] for a factor out of range or more finer steps
    /// than fit.
    pub(crate) fn times(&self, steps: usize) -> Result<Vec<f64>, SamplerError> {
        check_steps(steps)?;
        if self.tail_steps == 0 {
            return Ok(self.even(steps));
        }
        let number = |name, expected, found| SamplerError::Parameter { name, expected, found };
        if !(2..=MOST).contains(&self.tail_multiplier) {
            let found = self.tail_multiplier as f64;
            return Err(number("tail_step_multiplier", "a whole number from 2 to 1048576", found));
        }
        if self.tail_steps > MOST {
            return Err(number("tail_steps", "a whole number from 0 to 1048576", self.tail_steps as f64));
        }
        let finer = (self.tail_multiplier - 1).saturating_mul(self.tail_steps);
        let base = steps.checked_sub(finer).filter(|base| *base >= self.tail_steps);
        let base =
            base.ok_or_else(|| number("steps", "at least tail_steps times tail_step_multiplier", steps as f64))?;
        let fine = base.saturating_mul(self.tail_multiplier);
        check_steps(fine)?;
        let tail = (base - self.tail_steps) * self.tail_multiplier;
        let kept = |i: &usize| *i >= tail || i.is_multiple_of(self.tail_multiplier);
        let all = self.even(fine);
        Ok((0..all.len()).filter(kept).map(|i| all[i]).collect())
    }

    /// Returns the times of this many steps from about this time on: the last ones of a run of more steps.
    ///
    /// # Errors
    /// As [`times`](Self::times); [`SamplerError::Parameter`] for a time that is not in `0..1`.
    pub(crate) fn times_from(&self, steps: usize, start: f64) -> Result<Vec<f64>, SamplerError> {
        check::fraction("start_time", start)?;
        check::positive("1 - start_time", 1.0 - start)?;
        check_steps(steps)?;
        let dense = DENSE[0].max(steps.saturating_mul(DENSE[1]));
        let before = self.times(dense)?.iter().position(|&time| time >= start - NEAR).unwrap_or(dense);
        let above = dense.saturating_sub(before).max(1);
        let whole = ((steps as f64 * dense as f64) / above as f64).round_ties_even() as usize;
        let times = self.times(whole)?;
        let skipped = times.len().saturating_sub(steps + 1);
        Ok(times[skipped..].to_vec())
    }

    fn even(&self, steps: usize) -> Vec<f64> {
        let part = |i: usize| i as f64 / steps as f64;
        if !self.logarithmic {
            let first = START.sqrt();
            return (0..=steps).map(|i| (first + part(i) * (1.0 - first)).powi(2)).collect();
        }
        // The noise's share falls from 10^START to 10^-2. The times are moved so that the first is START, then divided by the last.
        let share = |i: usize| 10f64.powf(-2.0 + (START + 2.0) * (1.0 - part(i)));
        let moved = |i: usize| (1.0 - share(i)) - (1.0 - share(0)) + START;
        (0..=steps).map(|i| moved(i) / moved(steps)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_steps_are_finer() {
        let rule = ProteinTimes { logarithmic: false, tail_steps: 2, tail_multiplier: 3 };
        let times = rule.times(8).unwrap();
        let roots: Vec<f64> = times.iter().map(|time| (time.sqrt() - START.sqrt()) / (1.0 - START.sqrt())).collect();
        let expected = [0.0, 3.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0].map(|i| i / 12.0);
        assert!(roots.iter().zip(expected).all(|(root, expected)| (root - expected).abs() < 1e-12), "{roots:?}");
        assert!(rule.times(5).is_err() && rule.times(6).is_ok());
        assert!(ProteinTimes { tail_multiplier: 1, ..rule }.times(8).is_err());
    }

    #[test]
    fn a_later_start_takes_the_last_steps() {
        for logarithmic in [true, false] {
            let rule = ProteinTimes { logarithmic, tail_steps: 0, tail_multiplier: 2 };
            let times = rule.times_from(20, 0.5).unwrap();
            // Within a step of it, because the longer run has a whole number of steps.
            let apart = (times[0] - 0.5).abs();
            assert!(times.len() == 21 && apart < times[1] - times[0] && times[20] == 1.0, "{times:?}");
            assert_eq!(rule.times_from(4, 0.0).unwrap(), rule.times(4).unwrap());
        }
        let rule = ProteinTimes { logarithmic: true, tail_steps: 0, tail_multiplier: 2 };
        assert!(rule.times_from(4, 1.0).is_err() && rule.times_from(usize::MAX, 0.5).is_err());
    }
}

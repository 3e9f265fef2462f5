//! The delta of a Huber-like loss by timestep.
//!
//! **Theory.** Outliers weigh less where the noise is large and more where it is small, or the other way round: the delta at
//! which the parabola turns into a line follows the noise level (Khrapov et al. 2024, arXiv 2403.16728, and trainers after it).
//!
//! **Practice.** [`Schedule::deltas`] gives a delta for each timestep; [`LossRow::under`](crate::table::LossRow::under) puts it
//! into a row, so that one kernel and one penalty serve all timesteps.

use super::level::NoiseLevel;
use super::process::Process;
use super::schedule::Schedule;
use crate::table::loss::PenaltyError;

/// A rule for the delta of a loss by timestep.
#[doc(alias = "huber_schedule")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeltaSchedule {
    /// The same at every timestep.
    #[default]
    Constant,
    /// `delta^(t/T)`: 1 at timestep 0, and nearly delta at the last.
    Exponential,
    /// `(1 - delta)/(1 + sigma)^2 + delta`, where `sigma` is the ratio of noise to signal: 1 without noise, delta in pure noise.
    Snr,
}

impl DeltaSchedule {
    /// Returns the delta at a level; `share` is `t/T`, the timestep as a fraction of all.
    #[must_use]
    pub fn at(self, delta: f64, level: NoiseLevel, share: f64) -> f64 {
        match self {
            Self::Constant => delta,
            Self::Exponential => delta.powf(share),
            Self::Snr => {
                let signal = level.alpha() / (level.alpha() + level.sigma()); // 1/(1 + sigma)
                (1.0 - delta).mul_add(signal * signal, delta)
            }
        }
    }
}

impl Schedule {
    /// Returns the delta of a loss at every timestep. On a rectified flow, `t/T` is the time.
    ///
    /// ```
    /// use tweedie::Schedule;
    /// use tweedie::math::{DeltaSchedule, LossInputs, Objective, Quantity};
    /// use tweedie::table::{Penalty, Table};
    ///
    /// let schedule = Schedule::cosine(1000)?;
    /// let deltas = schedule.deltas(DeltaSchedule::Snr, 0.1)?;
    /// let table = schedule.loss(&Objective::of(Quantity::Epsilon), LossInputs::CleanAndNoise)?;
    /// let shared = Penalty::huber(1.0)?;
    /// let rows = table.rows().iter().zip(deltas).map(|(row, delta)| (*row)?.under(Penalty::huber(delta).ok()?, shared));
    /// assert_eq!(Table::with_undefined(rows).first_undefined(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PenaltyError`] unless `delta` is finite and above 0.
    pub fn deltas(&self, rule: DeltaSchedule, delta: f64) -> Result<Vec<f64>, PenaltyError> {
        if !(delta.is_finite() && delta > 0.0) {
            return Err(PenaltyError { name: "delta", least: "above 0", value: delta });
        }
        let share = |t: usize, level: NoiseLevel| match self.process() {
            Process::Flow => level.sigma() / (level.alpha() + level.sigma()),
            _ => t as f64 / self.len() as f64,
        };
        let levels = self.levels().iter().enumerate();
        Ok(levels.map(|(t, &level)| rule.at(delta, level, share(t, level))).collect())
    }
}

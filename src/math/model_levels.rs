//! The levels of a model, from a timestep, a sigma or a time.
//!
//! **Theory.** A timestep is what most networks are given; a sigma is the ratio of noise to signal or, on a rectified flow, the
//! share of the noise; a time is that of a flow. Each process has its own map from these to `(alpha, sigma)`.
//!
//! **Practice.** [`Model::timesteps`] is a schedule with a row for each whole timestep, [`Model::schedule_of`] one with a row
//! for each level of a batch: noising, conversion and losses take either.

use super::check;
use super::error::sampler::SamplerError;
use super::level::NoiseLevel;
use super::model::{Model, Told};
use super::process::Process;
use super::schedule::Schedule;
use crate::math::schedule_error::ScheduleError;

impl Model {
    /// Returns the level at which the network is given this timestep, which need not be whole: on a rectified flow that of the
    /// time `t/T`, or `1 - t/T` if the network's time runs from noise to data; on other processes the schedule's level.
    ///
    /// # Errors
    /// As [`sigma_at`](Self::sigma_at).
    pub fn level_at(&self, timestep: f64) -> Result<NoiseLevel, SamplerError> {
        let schedule = self.schedule();
        let sigma = self.sigma_at(timestep)?;
        match self.process() {
            // These levels are stored and need not be computed from a ratio.
            Process::VariancePreserving | Process::VarianceExploding | Process::Levels if timestep.fract() == 0.0 => {
                Ok(schedule.level(timestep as usize)?)
            }
            _ => self.level_of_sigma(sigma),
        }
    }

    /// Returns the level of a sigma, in the sense of [`scale`](Self::scale).
    ///
    /// # Errors
    /// [`SamplerError::Schedule`] for a sigma that the process does not have, [`SamplerError::Parameter`] for
    /// [`Process::Levels`].
    pub fn level_of_sigma(&self, sigma: f64) -> Result<NoiseLevel, SamplerError> {
        match self.process() {
            Process::Levels => {
                let (name, expected) = ("a sigma", "a timestep: the model's levels lie on no curve");
                Err(SamplerError::Parameter { name, expected, found: sigma })
            }
            _ => self.scale().level(sigma),
        }
    }

    /// Returns the level of a time: `t` in `0..=1` of a rectified flow, in the direction of the model's time; TrigFlow's angle;
    /// the time of a continuous cosine schedule ([`Told::CosineTime`]).
    ///
    /// # Errors
    /// [`SamplerError::Schedule`] for an angle out of range, [`SamplerError::Parameter`] for any other time out of range and for
    /// a model without a time.
    pub fn level_of_time(&self, time: f64) -> Result<NoiseLevel, SamplerError> {
        match self.process() {
            Process::TrigFlow(sigma_data) => Ok(NoiseLevel::trig_flow(time, sigma_data)?),
            Process::Flow => {
                check::fraction("a rectified flow's time", time)?;
                Ok(NoiseLevel::rectified_flow(if self.rises() { 1.0 - time } else { time })?)
            }
            _ => match self.told_number() {
                Told::CosineTime(clock) => clock.level(time),
                _ => {
                    let (name, expected) = ("a time", "a timestep or a sigma: this model has no time");
                    Err(SamplerError::Parameter { name, expected, found: time })
                }
            },
        }
    }

    /// Returns the levels of the whole timesteps that the network can be given, timestep 0 first. A flow of `T` timesteps has
    /// `T + 1` rows, because its network is given 0 at one end and `T` at the other.
    ///
    /// # Errors
    /// [`ScheduleError::TooLong`].
    pub fn timesteps(&self) -> Result<Schedule, ScheduleError> {
        let all = self.schedule().len();
        if self.process() != Process::Flow {
            return Ok(self.schedule().clone());
        }
        let mut times: Vec<f64> = (0..=all).map(|t| t as f64 / all as f64).collect();
        if self.rises() {
            times.iter_mut().for_each(|time| *time = 1.0 - *time);
        }
        Schedule::rectified_flow_times(&times)
    }

    /// Returns a schedule with a row for each of these sigmas, in the sense of [`level_of_sigma`](Self::level_of_sigma): for a
    /// batch whose levels are continuous.
    ///
    /// # Errors
    /// As `level_of_sigma`; [`SamplerError::Schedule`] for no sigmas or too many.
    pub fn schedule_of_sigmas(&self, sigmas: &[f64]) -> Result<Schedule, SamplerError> {
        let levels = sigmas.iter().map(|&sigma| self.level_of_sigma(sigma)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.schedule_of(&levels)?)
    }

    /// Returns a schedule with a row for each of these times, in the sense of [`level_of_time`](Self::level_of_time).
    ///
    /// ```
    /// use tweedie::{Model, Quantity};
    ///
    /// let model = Model::named("sd3")?;
    /// let batch = model.schedule_of_times(&[0.25, 0.9, 0.031])?;
    /// // Rows 0, 1 and 2, for `Noising`, `Conversion`, `PosteriorMean` and the losses.
    /// assert_eq!(batch.noising(Some(Quantity::Flow))?.row(1).map(|row| row[1]), Some([-1.0, 1.0]));
    /// # Ok::<(), tweedie::Error>(())
    /// ```
    ///
    /// # Errors
    /// As `level_of_time`; [`SamplerError::Schedule`] for no times or too many.
    pub fn schedule_of_times(&self, times: &[f64]) -> Result<Schedule, SamplerError> {
        let levels = times.iter().map(|&time| self.level_of_time(time)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.schedule_of(&levels)?)
    }

    /// Returns a schedule with a row for each of these levels, on the process of the model.
    ///
    /// # Errors
    /// [`ScheduleError::Empty`], [`ScheduleError::TooLong`].
    pub fn schedule_of(&self, levels: &[NoiseLevel]) -> Result<Schedule, ScheduleError> {
        Schedule::on(self.process(), levels.to_vec())
    }

    /// Returns true if the network's time runs from noise to data.
    pub(in crate::math) const fn rises(&self) -> bool {
        matches!(self.told_number(), Told::RisingTime(_))
    }
}

//! Importance sampling of timesteps by the second moment of their losses.
//!
//! **Theory.** The variance of a loss estimate is least where a timestep's probability is proportional to
//! `sqrt(E[loss^2])` (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 18). The expectation is taken over the last losses
//! seen; until every timestep has been seen often enough, the distribution is uniform. A small uniform part keeps each
//! timestep reachable:
//! ```text
//! p_t = (1 - u)*w_t/sum(w) + u/T        w_t = sqrt(mean(loss_t^2))
//! ```
//! A sample's loss is then weighted with `1/(T*p_t)`: [`TimestepDensity::importance`].
//!
//! **Practice.** The state lives on the host and takes the losses of a whole batch in the order of its samples.
//! Machines that share a batch exchange their losses, so that their states stay bitwise equal.

use super::schedule::check_steps;
use super::timestep_density::TimestepDensity;
use crate::math::error::draw::DrawError;
use crate::math::schedule_error::ScheduleError;
use std::collections::VecDeque;

/// The number of losses that guided-diffusion remembers for each timestep.
const REMEMBERED: usize = 10;

/// The part of the probability that guided-diffusion leaves uniform.
const UNIFORM: f64 = 0.001;

/// The losses of the last training samples at each timestep (guided-diffusion's `LossSecondMomentResampler`).
#[derive(Clone, Debug, PartialEq)]
pub struct LossSecondMoment {
    losses: Vec<VecDeque<f64>>,
    remembered: usize,
    uniform: f64,
}

impl LossSecondMoment {
    /// Creates the state for `steps` timesteps, with guided-diffusion's 10 losses per timestep and a uniform part of 0.001.
    ///
    /// # Errors
    /// [`DrawError::Schedule`] for no timestep or too many.
    pub fn new(steps: usize) -> Result<Self, DrawError> {
        check_steps(steps)?;
        Ok(Self { losses: vec![VecDeque::new(); steps], remembered: REMEMBERED, uniform: UNIFORM })
    }

    /// Returns the state with other parameters: how many losses to remember for each timestep (0 counts as 1), and the
    /// uniform part of the probability.
    ///
    /// # Errors
    /// [`DrawError::Parameter`] unless `uniform` is within `0..=1`.
    pub fn with(self, remembered: usize, uniform: f64) -> Result<Self, DrawError> {
        if !(0.0..=1.0).contains(&uniform) {
            return Err(DrawError::Parameter { name: "uniform", range: "within 0..=1", value: uniform });
        }
        let mut changed = Self { remembered: remembered.max(1), uniform, ..self };
        changed.losses.iter_mut().for_each(|losses| forget(losses, remembered.max(1)));
        Ok(changed)
    }

    /// Adds the losses of a batch, before any weight; the oldest are dropped.
    ///
    /// # Errors
    /// [`DrawError::Losses`] for lists of different lengths, [`DrawError::Loss`] for a loss that is not finite,
    /// [`DrawError::Schedule`] for a timestep out of range. The state is then unchanged.
    pub fn update(&mut self, timesteps: &[u32], losses: &[f64]) -> Result<(), DrawError> {
        if timesteps.len() != losses.len() {
            return Err(DrawError::Losses { expected: timesteps.len(), found: losses.len() });
        }
        let steps = self.losses.len();
        for (&t, &value) in timesteps.iter().zip(losses) {
            let timestep = t as usize;
            if timestep >= steps {
                return Err(ScheduleError::Timestep { found: timestep, steps }.into());
            }
            if !value.is_finite() {
                return Err(DrawError::Loss { timestep, value });
            }
        }
        for (&t, &loss) in timesteps.iter().zip(losses) {
            let history = &mut self.losses[t as usize];
            history.push_back(loss);
            forget(history, self.remembered);
        }
        Ok(())
    }

    /// Returns true once every timestep has as many losses as are remembered.
    #[must_use]
    pub fn is_warmed_up(&self) -> bool {
        self.losses.iter().all(|losses| losses.len() == self.remembered)
    }

    /// Returns the distribution of the next timesteps: uniform until [warmed up](Self::is_warmed_up), or if all losses are 0.
    ///
    /// # Errors
    /// Only errors that `new` would have returned.
    pub fn density(&self) -> Result<TimestepDensity, DrawError> {
        let steps = self.losses.len();
        let largest = self.losses.iter().flatten().fold(0.0, |largest: f64, loss| largest.max(loss.abs()));
        if !self.is_warmed_up() || largest == 0.0 {
            return TimestepDensity::uniform(steps);
        }
        let moment = |losses: &VecDeque<f64>| {
            let squares: f64 = losses.iter().map(|loss| (loss / largest) * (loss / largest)).sum();
            (squares / losses.len() as f64).sqrt()
        };
        let moments: Vec<f64> = self.losses.iter().map(moment).collect();
        let total: f64 = moments.iter().sum();
        let mix = |moment: &f64| (1.0 - self.uniform) * moment / total + self.uniform / steps as f64;
        TimestepDensity::from_probabilities(&moments.iter().map(mix).collect::<Vec<_>>())
    }
}

fn forget(losses: &mut VecDeque<f64>, remembered: usize) {
    let excess = losses.len().saturating_sub(remembered);
    losses.drain(..excess);
}

//! All that was measured for some data under a schedule, and the questions that are asked about it.

use super::data::Data;
use super::measure::Moment;
use super::measurement::Measurement;
use super::storage_loss::{HALVES, Part, Recovered};
use tweedie::math::Weight;
use tweedie::{Quantity, Schedule, Storage};

/// The measurements of a study, by timestep.
pub struct Results<'a> {
    pub data: &'a Data,
    pub schedule: &'a Schedule,
    /// In the order of their timesteps: a spread of the schedule's, and all that sampling visits.
    pub moments: Vec<Moment>,
    /// Timesteps that sampling visits, from noisy to clean.
    pub visited: Vec<usize>,
    /// Errors of 16-bit storage, for each of [`HALVES`] and each moment.
    pub halves: [Vec<Recovered>; 2],
}

/// A number and the timestep at which it was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    pub value: f64,
    pub t: usize,
}

impl Results<'_> {
    /// Moments that sampling visits.
    pub fn visits(&self) -> impl Iterator<Item = &Moment> {
        self.moments.iter().filter(|moment| self.visited.contains(&moment.t))
    }

    /// The least and the largest of the values that exist, over all moments.
    pub fn extremes(&self, value: impl Fn(&Moment) -> Option<f64>) -> Option<[At; 2]> {
        let values = self.moments.iter().filter_map(|moment| Some(At { value: value(moment)?, t: moment.t }));
        values.map(|at| [at, at]).reduce(|[low, high], [at, _]| {
            [if at.value < low.value { at } else { low }, if at.value > high.value { at } else { high }]
        })
    }

    /// Returns whether the last timestep holds no signal.
    pub fn ends_in_pure_noise(&self) -> bool {
        self.schedule.levels().last().is_some_and(|level| level.alpha() == 0.0)
    }

    /// Weight of the squared errors of x0 at a moment.
    pub fn weight(&self, moment: &Moment, weight: &Weight) -> Option<f64> {
        self.schedule.loss_weight(moment.t, weight, Quantity::X0).ok()
    }

    /// The measured timesteps at which a storage loses this part.
    pub fn lost(&self, storage: Storage, part: Part) -> Vec<usize> {
        let of_storage = HALVES.iter().zip(&self.halves).filter(|(half, _)| **half == storage);
        let found = of_storage.flat_map(|(_, recovered)| recovered.iter().zip(&self.moments));
        found.filter(|(recovered, _)| recovered.is_lost(part)).map(|(_, moment)| moment.t).collect()
    }
}

/// The fraction of an amplification that may be rounding; above it, the amplification says nothing about a weight.
const MOSTLY_ROUNDING: f64 = 0.5;

impl Moment {
    /// Weight that a plain loss on a quantity gives to squared errors of x0: the inverse square of its measured amplification.
    pub fn plain_weight(&self, on: Quantity) -> Option<f64> {
        inverse_square(self.of(on)?.into_x0)
    }

    /// The same for the squared errors of epsilon.
    pub fn plain_weight_of_epsilon(&self, on: Quantity) -> Option<f64> {
        inverse_square(self.of(on)?.into_epsilon)
    }
}

fn inverse_square(amplification: Measurement) -> Option<f64> {
    let Measurement { measured, tolerance, .. } = amplification;
    (tolerance <= MOSTLY_ROUNDING * measured).then(|| measured.powi(-2))
}

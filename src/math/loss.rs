//! Loss rows of a schedule, for any loss and any prediction.
//!
//! **Theory.** Let the network predict `P`, whose exact value is the row `(a, b)` on `(x0, epsilon)`, and let the loss be
//! on `Q = c0*x_t + c1*P`. The estimate and the truth share the same `x_t`, so the error is
//! ```text
//! Q_hat - Q = c1*(p - a*x0 - b*epsilon)
//! ```
//! and nothing cancels. It is an error of `P` times a number: with squared errors, a loss on another quantity is a weight
//! (see [`Weight`]), and epsilon networks are trained on an x0 loss by one coefficient.
//!
//! **Practice.** If the target is given, the error takes the form `c1*p + c0*x_t - target`. Where nothing is determined (an
//! x0 loss for an epsilon network at zero terminal SNR) or the weight has no finite value, there is no row.

use super::quantity::{Quantity, finite, solve, undefined};
use super::schedule::Schedule;
use super::weight::Weight;
use crate::math::error::loss::LossError;
use crate::table::Table;
use crate::table::loss::LossRow;

/// The inputs of a loss besides the prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LossInputs {
    /// The clean sample and the noise, from which the kernel forms the target.
    #[default]
    CleanAndNoise,
    /// The noisy sample and the target. If the loss is on the prediction itself, the target is in the units of the network's
    /// output, and the noisy sample is not read.
    NoisyAndTarget,
}

/// The training objective of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The quantity that the network predicts.
    pub predicts: Quantity,
    /// The quantity whose error the loss measures, usually the same.
    pub on: Quantity,
    /// The weight of each timestep's loss.
    pub weight: Weight,
    /// The factor by which the network's output is multiplied to give the quantity that it predicts; 1 for most networks.
    /// See [`Model::objective`](crate::Model::objective).
    pub factor: f64,
}

impl Objective {
    /// Creates the unweighted loss on the prediction itself.
    #[must_use]
    pub const fn of(predicts: Quantity) -> Self {
        Self { predicts, on: predicts, weight: Weight::None, factor: 1.0 }
    }

    /// Returns the objective with a loss on another quantity.
    #[must_use]
    pub fn on(self, on: Quantity) -> Self {
        Self { on, ..self }
    }

    /// Returns the objective with a weight.
    #[must_use]
    pub fn weighted(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }
}

impl Schedule {
    /// Returns the coefficients of a loss at one timestep.
    ///
    /// # Errors
    /// [`LossError::Undefined`] where the prediction does not determine what the loss is on, or the target does not exist,
    /// the errors of [`loss_weight`](Self::loss_weight), and [`LossError::Observation`] for a loss on `x_t` or a prediction
    /// of it.
    pub fn loss_row(&self, timestep: usize, objective: &Objective, given: LossInputs) -> Result<LossRow, LossError> {
        let Objective { predicts, on, ref weight, factor } = *objective;
        if predicts == Quantity::Xt || on == Quantity::Xt {
            return Err(LossError::Observation);
        }
        let weight = self.loss_weight(timestep, weight, on)?;
        let level = self.levels()[timestep];
        let [c0, c1] = solve(level, predicts, on).map_err(|error| error.at(timestep))?;
        let inputs = match given {
            LossInputs::NoisyAndTarget => [c0, -1.0],
            LossInputs::CleanAndNoise => predicts.row(level).map_err(|error| error.at(timestep))?.map(|c| 0.0 - c1 * c),
        };
        let inputs = finite(inputs).ok_or_else(|| undefined(level, Some(predicts), on).at(timestep))?;
        let as_it_is = given == LossInputs::NoisyAndTarget && predicts == on;
        Ok(LossRow { prediction: if as_it_is { c1 } else { c1 * factor }, inputs, weight })
    }

    /// Returns the coefficients of a loss at every timestep.
    ///
    /// # Errors
    /// As [`loss_row`](Self::loss_row), for the first timestep without one.
    pub fn loss(&self, objective: &Objective, given: LossInputs) -> Result<Table<LossRow>, LossError> {
        let rows = (0..self.len()).map(|t| self.loss_row(t, objective, given));
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// As [`loss`](Self::loss), with an undefined row at every timestep at which the prediction determines nothing or
    /// the weight has no finite value.
    ///
    /// # Errors
    /// [`LossError::Parameter`], [`LossError::Length`] and [`LossError::Entry`] of the weight, [`LossError::Observation`].
    pub fn loss_where_defined(&self, objective: &Objective, given: LossInputs) -> Result<Table<LossRow>, LossError> {
        let rows = (0..self.len()).map(|t| match self.loss_row(t, objective, given) {
            Err(LossError::Undefined(_) | LossError::Infinite { .. }) => Ok(None),
            row => row.map(Some),
        });
        Ok(Table::with_undefined(rows.collect::<Result<Vec<_>, _>>()?))
    }
}

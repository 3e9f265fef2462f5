//! From a schedule to tables of matrices: noising, targets, conversions, posterior means.
//!
//! **Theory.** Each is a pair of rows of the plane (see [`math`](crate::math)), so each is one matrix per timestep. The
//! posterior mean from any prediction is a composition, done here in f64:
//! ```text
//! x0   = c0*x_t + c1*prediction
//! mean = coef_x0*x0 + coef_xt*x_t = (coef_x0*c0 + coef_xt)*x_t + coef_x0*c1*prediction
//! ```
//! Neither term of the first coefficient is negative, whatever the prediction, so it does not cancel.
//!
//! **Practice.** The plain methods fail at the first timestep without a value; those named `_where_defined` put
//! undefined rows there. An absent second output is a row of zeros.

use super::level::NoiseLevel;
use super::posterior::Posterior;
use super::quantity::{Quantity, finite, solve, undefined};
use super::schedule::Schedule;
use crate::math::error::conversion::RowError;
use crate::math::quantity::Undefined;
use crate::table::{Matrix, Table};

const NOTHING: [f64; 2] = [0.0, 0.0];

/// `in0 = x_t`, `in1` = the prediction, `out0 = wanted`, `out1 = second` or 0.
fn conversion_row(
    level: NoiseLevel,
    given: Quantity,
    wanted: Quantity,
    second: Option<Quantity>,
) -> Result<Matrix, Undefined> {
    let second = second.map_or(Ok(NOTHING), |second| solve(level, given, second))?;
    Ok([solve(level, given, wanted)?, second])
}

impl Schedule {
    /// Returns the matrices of noising: `in0 = x0`, `in1 = epsilon`; `out0 = x_t`, `out1` = the training target, or 0.
    ///
    /// # Errors
    /// [`Undefined`] if the target is the score and some `sigma` is 0.
    pub fn noising(&self, target: Option<Quantity>) -> Result<Table, Undefined> {
        self.rows_of(Quantity::Xt, target)
    }

    /// Returns the matrices of any two quantities from the clean sample and the noise: `in0 = x0`, `in1 = epsilon`;
    /// `out0 = first`, `out1 = second`, or 0.
    ///
    /// # Errors
    /// [`Undefined`] for a score at the first timestep whose `sigma` is 0.
    pub fn rows_of(&self, first: Quantity, second: Option<Quantity>) -> Result<Table, Undefined> {
        let rows = self.levels().iter().enumerate().map(|(t, &level)| {
            let row = |quantity: Quantity| quantity.row(level).map_err(|error| error.at(t));
            Ok([row(first)?, second.map_or(Ok(NOTHING), row)?])
        });
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// Returns the matrices that convert a prediction: `in0 = x_t`, `in1` = a prediction of `given`; `out0 = wanted`,
    /// `out1 = second`, or 0.
    ///
    /// # Errors
    /// [`Undefined`] for the first timestep at which one of the two is not determined.
    pub fn conversion(&self, given: Quantity, wanted: Quantity, second: Option<Quantity>) -> Result<Table, Undefined> {
        let rows = self.conversion_rows(given, wanted, second);
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// As [`conversion`](Self::conversion), with an undefined row at every timestep that has no value.
    #[must_use]
    pub fn conversion_where_defined(&self, given: Quantity, wanted: Quantity, second: Option<Quantity>) -> Table {
        Table::with_undefined(self.conversion_rows(given, wanted, second).map(Result::ok))
    }

    /// Returns the matrices of the posterior mean: `in0 = x_t`, `in1` = a prediction of `given`; `out0` = the mean of
    /// `q(x_{t-1} | x_t, x0)`, `out1 = x0`.
    ///
    /// # Errors
    /// [`RowError::Undefined`] for the first timestep at which the prediction does not determine x0,
    /// [`RowError::Schedule`] for the first one to which no forward step leads.
    pub fn posterior_mean(&self, given: Quantity) -> Result<Table, RowError> {
        let rows = self.posterior_rows(given);
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// As [`posterior_mean`](Self::posterior_mean), with an undefined row at every timestep that has no value.
    #[must_use]
    pub fn posterior_mean_where_defined(&self, given: Quantity) -> Table {
        Table::with_undefined(self.posterior_rows(given).map(Result::ok))
    }

    fn conversion_rows(
        &self,
        given: Quantity,
        wanted: Quantity,
        second: Option<Quantity>,
    ) -> impl Iterator<Item = Result<Matrix, Undefined>> {
        let levels = self.levels().iter().enumerate();
        levels.map(move |(t, &level)| conversion_row(level, given, wanted, second).map_err(|error| error.at(t)))
    }

    fn posterior_rows(&self, given: Quantity) -> impl Iterator<Item = Result<Matrix, RowError>> {
        let levels = self.levels().iter().enumerate();
        levels.map(move |(t, &level)| {
            let x0 = solve(level, given, Quantity::X0).map_err(|error| error.at(t))?;
            let posterior = self.posterior(t, t.checked_sub(1))?;
            let mean =
                finite(posterior.mean_of(x0)).ok_or_else(|| undefined(level, Some(given), Quantity::X0).at(t))?;
            Ok([mean, x0])
        })
    }
}

impl Posterior {
    /// Returns the mean as a row on `(x_t, prediction)`, given the row of x0 on the same two.
    #[must_use]
    pub fn mean_of(&self, x0: [f64; 2]) -> [f64; 2] {
        [self.coef_x0.mul_add(x0[0], self.coef_xt), self.coef_x0 * x0[1]]
    }
}

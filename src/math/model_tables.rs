//! Tables of a model: noising, conversion, posterior means and losses, in terms of its network's output.
//!
//! **Theory.** A network's output is its [prediction](Model::prediction) divided by a [factor](Model::output_factor): a sign, or
//! the standard deviation of the data. Rows on the prediction become rows on the output by one product.
//!
//! **Practice.** Each method takes the levels as a schedule: the model's [`timesteps`](Model::timesteps), or one with a row for
//! each sample of a batch from [`schedule_of_times`](Model::schedule_of_times) and similar methods. A [`Map`](crate::gpu::Map)
//! applies the table.

use super::level::NoiseLevel;
use super::loss::Objective;
use super::model::Model;
use super::quantity::{Quantity, Undefined};
use super::schedule::Schedule;
use crate::math::error::conversion::RowError;
use crate::table::{Matrix, Table};

impl Model {
    /// Returns the model with this quantity as its prediction, without a factor.
    #[must_use]
    pub fn predicting(self, quantity: Quantity) -> Self {
        self.with_prediction(quantity)
    }

    /// Returns the matrices of noising: `in0 = x0`, `in1 = epsilon`; `out0 = x_t`, `out1` = the output that the network should
    /// learn.
    ///
    /// ```
    /// use tweedie::gpu::Map;
    /// use tweedie::{Model, Quantity};
    ///
    /// for (name, sigmas) in [("flux", [0.25, 0.9]), ("edm", [0.3, 14.0])] {
    ///     let model = Model::named(name)?;
    ///     let levels = model.schedule_of_sigmas(&sigmas)?;
    ///     // Two samples of three elements, at rows 0 and 1; on a GPU, `Map { table: &noising, .. }.plan(context)`.
    ///     let (x0, noise) = ([0.1, -0.4, 0.8, 0.5, -1.0, 0.2], [0.7, 1.3, -0.2, -0.6, 0.1, 2.0]);
    ///     let values = |exact: Vec<tweedie::gpu::compare::Expected>| exact.iter().map(|it| it.value).collect::<Vec<f64>>();
    ///     let [x_t, target] = Map::reference(&model.noising(&levels)?, &[0, 1], 3, &x0, &noise).map(values);
    ///     let back = model.conversion(&levels, Quantity::X0, None)?;
    ///     let [found, _] = Map::reference(&back, &[0, 1], 3, &x_t, &target).map(values);
    ///     assert!(found.iter().zip(x0).all(|(found, x0)| (found - x0).abs() < 1e-12));
    /// }
    /// # Ok::<(), tweedie::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Undefined`] for a score at the first row whose `sigma` is 0.
    pub fn noising(&self, levels: &Schedule) -> Result<Table, Undefined> {
        let rows = levels.levels().iter().enumerate();
        let rows = rows.map(|(t, &level)| self.noising_row(level).map_err(|error| error.at(t)));
        Ok(Table::new(rows.collect::<Result<Vec<_>, _>>()?))
    }

    /// Returns the row of [`noising`](Self::noising) at a level.
    ///
    /// # Errors
    /// [`Undefined`] for a score where `sigma` is 0.
    pub fn noising_row(&self, level: NoiseLevel) -> Result<Matrix, Undefined> {
        let target = self.prediction().row(level)?;
        Ok([Quantity::Xt.row(level)?, target.map(|coefficient| coefficient / self.output_factor())])
    }

    /// Returns the matrices that convert the output: `in0 = x_t`, `in1` = the network's output; `out0 = wanted`,
    /// `out1 = second`, or 0.
    ///
    /// # Errors
    /// [`Undefined`] for the first row at which one of the two is not determined.
    pub fn conversion(
        &self,
        levels: &Schedule,
        wanted: Quantity,
        second: Option<Quantity>,
    ) -> Result<Table, Undefined> {
        Ok(self.on_output(&levels.conversion(self.prediction(), wanted, second)?))
    }

    /// As [`conversion`](Self::conversion), with an undefined row at every level that has no value.
    #[must_use]
    pub fn conversion_where_defined(&self, levels: &Schedule, wanted: Quantity, second: Option<Quantity>) -> Table {
        self.on_output(&levels.conversion_where_defined(self.prediction(), wanted, second))
    }

    /// Returns the matrices of the posterior mean: `in0 = x_t`, `in1` = the network's output; `out0` = the mean of
    /// `q(x_{t-1} | x_t, x0)`, where `t-1` is the row before, `out1 = x0`.
    ///
    /// # Errors
    /// [`RowError::Undefined`] for the first row at which the output does not determine x0, [`RowError::Schedule`] for the first
    /// one to which no forward step leads.
    pub fn posterior_mean(&self, levels: &Schedule) -> Result<Table, RowError> {
        Ok(self.on_output(&levels.posterior_mean(self.prediction())?))
    }

    /// As [`posterior_mean`](Self::posterior_mean), with an undefined row at every level that has no value.
    #[must_use]
    pub fn posterior_mean_where_defined(&self, levels: &Schedule) -> Table {
        self.on_output(&levels.posterior_mean_where_defined(self.prediction()))
    }

    /// Returns the unweighted loss on the prediction, for [`Schedule::loss`] and [`Training`](crate::Training).
    #[must_use]
    pub fn objective(&self) -> Objective {
        Objective { factor: self.output_factor(), ..Objective::of(self.prediction()) }
    }

    /// Converts a table on `(x_t, prediction)` into one on `(x_t, output)`.
    #[must_use]
    pub fn on_output(&self, table: &Table) -> Table {
        let factor = self.output_factor();
        table.map(|rows| rows.map(|[x, prediction]| [x, prediction * factor]))
    }
}

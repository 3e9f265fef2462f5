//! Tables of coefficients, one row per timestep: the interface between `math` and `gpu`.
//!
//! **Theory.** Most operations on a sample at a timestep are a 2x2 matrix that maps two inputs to two outputs,
//! elementwise:
//! ```text
//! out0 = m[0][0]*in0 + m[0][1]*in1
//! out1 = m[1][0]*in0 + m[1][1]*in1
//! ```
//! Losses, terms of the variational bound and sampler steps have rows of their own.
//!
//! **Practice.** `math` composes rows in f64; [`Table::rounded`] is the only place that rounds them to f32. A row may be
//! undefined: no value exists at that timestep (x0 from epsilon at zero terminal SNR). Kernels write NaN there, never the
//! result of a neighbouring timestep.

pub(crate) mod finish;
pub mod guide;
pub mod loss;
pub(crate) mod pyramid;
pub mod step;
pub mod vlb;

pub use finish::Finish;
pub use guide::{GuideRow, Products, Weights};
pub use loss::{Curve, LossRow, Penalty, PenaltyError};
pub use pyramid::{Pyramid, PyramidLevel};
pub use step::{Clip, Deviation, StepRow};
pub use vlb::{Term, VlbRow};

use thiserror::Error;

/// The number of units into which a run is divided for samplers that choose their own steps, evenly in `-ln(sigma)`; a step is
/// a whole number of units.
///
/// A run from 14.6 to 0.03 has units of 0.0015, so the usual first step of 0.05 is rounded by at most 2 %. The coefficients are
/// those of the rounded step, so rounding adds no error to the step itself.
pub(crate) const UNITS: u32 = 4096;

/// A 2x2 matrix, row by row: `[[m00, m01], [m10, m11]]`. The output is `matrix * input`.
pub type Matrix = [[f64; 2]; 2];

/// A row of a table: `N` numbers per timestep, a whole number of `vec4`s on the GPU.
pub trait Row<const N: usize = 4> {
    /// The numbers in the order in which a kernel reads them.
    fn numbers(&self) -> [f64; N];
}

/// `[m00, m01, m10, m11]`.
impl Row for Matrix {
    fn numbers(&self) -> [f64; 4] {
        let [[m00, m01], [m10, m11]] = *self;
        [m00, m01, m10, m11]
    }
}

/// A table of rows, one per timestep, index 0 first. Rows may be undefined.
#[derive(Clone, Debug, PartialEq)]
pub struct Table<R = Matrix> {
    rows: Vec<Option<R>>,
}

/// Errors of rounding a table to f32.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TableError {
    /// A coefficient that is infinite, NaN or beyond the range of f32.
    #[error("the coefficient {value:e} in row {index} does not fit f32")]
    NotFinite {
        /// The row.
        index: usize,
        /// The f64 coefficient.
        value: f64,
    },
}

impl<R> Table<R> {
    /// Creates a table in which every row is defined.
    pub fn new(rows: impl IntoIterator<Item = R>) -> Self {
        Self::with_undefined(rows.into_iter().map(Some))
    }

    /// Creates a table in which `None` is an undefined row.
    pub fn with_undefined(rows: impl IntoIterator<Item = Option<R>>) -> Self {
        Self { rows: rows.into_iter().collect() }
    }

    /// The number of rows, undefined ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns true if the table has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at `index`; `None` if it is undefined or beyond the end.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&R> {
        self.rows.get(index)?.as_ref()
    }

    /// All rows in order.
    #[must_use]
    pub fn rows(&self) -> &[Option<R>] {
        &self.rows
    }

    /// The index of the first undefined row.
    #[must_use]
    pub fn first_undefined(&self) -> Option<usize> {
        self.rows.iter().position(Option::is_none)
    }

    /// Returns the table with `change` applied to every row. Undefined rows stay undefined.
    #[must_use]
    pub fn map<S>(&self, change: impl Fn(&R) -> S) -> Table<S> {
        Table::with_undefined(self.rows.iter().map(|row| row.as_ref().map(&change)))
    }

    /// Returns the table with the rows that f32 cannot hold made undefined: the part of a table of f64 that a GPU can use.
    #[must_use]
    pub fn within_f32<const N: usize>(&self) -> Self
    where
        R: Row<N> + Clone,
    {
        let fits = |row: &&R| row.numbers().iter().all(|number| (*number as f32).is_finite());
        Self::with_undefined(self.rows.iter().map(|row| row.as_ref().filter(fits).cloned()))
    }

    /// Rounds the [numbers](Row::numbers) of every row once to f32; undefined rows are NaN.
    ///
    /// A coefficient too small for f32's normal numbers rounds to a subnormal or to zero.
    ///
    /// # Errors
    /// [`TableError::NotFinite`] for the first coefficient that f32 cannot hold.
    pub fn rounded<const N: usize>(&self) -> Result<RoundedTable, TableError>
    where
        R: Row<N>,
    {
        RoundedTable::new(N, self.rows.iter().map(|row| row.as_ref().map(Row::numbers)))
    }
}

/// The rows of a [`Table`] in f32, one after another, as a plan uploads them.
#[derive(Clone, Debug)]
pub struct RoundedTable {
    width: usize,
    values: Vec<f32>,
    undefined: Vec<bool>,
}

impl RoundedTable {
    /// Rounds rows of `width` numbers; `None` is an undefined row, whose numbers are NaN.
    pub(crate) fn new<R: AsRef<[f64]>>(
        width: usize,
        rows: impl IntoIterator<Item = Option<R>>,
    ) -> Result<Self, TableError> {
        let rows = rows.into_iter();
        let least = rows.size_hint().0;
        let values = Vec::with_capacity(least.saturating_mul(width));
        let mut table = Self { width, values, undefined: Vec::with_capacity(least) };
        for (index, row) in rows.enumerate() {
            let numbers = row.as_ref().map(AsRef::as_ref);
            if let Some(&value) = numbers.unwrap_or_default().iter().find(|value| !(**value as f32).is_finite()) {
                return Err(TableError::NotFinite { index, value });
            }
            table.undefined.push(row.is_none());
            match numbers {
                Some(numbers) => table.values.extend(numbers.iter().map(|&value| value as f32)),
                None => table.values.resize(table.values.len() + width, f32::NAN),
            }
        }
        Ok(table)
    }

    /// The number of rows, undefined ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.undefined.len()
    }

    /// Returns true if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.undefined.is_empty()
    }

    /// The numbers of a row; `None` for an undefined row and beyond the end.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let defined = !*self.undefined.get(index)?;
        self.values.chunks_exact(self.width).nth(index).filter(|_| defined)
    }

    /// All numbers, row after row; NaN in undefined rows.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    /// For each row, `true` if it is undefined.
    pub(crate) fn undefined(&self) -> &[bool] {
        &self.undefined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Matrix = [[1.0, 2.0], [3.0, 0.1]];

    #[test]
    fn rounds_once_and_keeps_undefined_rows() {
        let table = Table::with_undefined([Some(ROW), None]);
        let rounded = table.rounded().unwrap();
        assert_eq!((rounded.len(), rounded.is_empty(), rounded.undefined()), (2, false, &[false, true][..]));
        assert_eq!((rounded.row(0), rounded.row(1)), (Some(&[1.0, 2.0, 3.0, 0.1_f32][..]), None));
        assert!(rounded.values()[4..].iter().all(|x| x.is_nan()) && rounded.row(2).is_none());
        assert_eq!((table.len(), table.is_empty(), table.first_undefined()), (2, false, Some(1)));
        assert_eq!((table.row(0), table.row(1), table.row(2)), (Some(&ROW), None, None));
        assert_eq!(table.rows().len(), 2);
        let doubled = table.map(|row| row.map(|outputs| outputs.map(|c| 2.0 * c)));
        assert_eq!(doubled.rows(), [Some([[2.0, 4.0], [6.0, 0.2]]), None]);
    }

    #[test]
    fn names_the_row_that_does_not_fit() {
        let table = Table::new([ROW, [[1.0, 0.0], [1e39, 0.0]]]);
        let error = table.rounded().unwrap_err();
        assert_eq!(error, TableError::NotFinite { index: 1, value: 1e39 });
        assert_eq!(error.to_string(), "the coefficient 1e39 in row 1 does not fit f32");
        assert!(Table::new([ROW]).rounded().is_ok());
    }
}

//! Rows that are written into a plan in place of its own, and the check that the plan can apply them.

use crate::gpu::error::PlanError;
use crate::table::loss::LossRow;
use crate::table::step::{STREAMS, StepRow};
use crate::table::vlb::{Term, VlbRow};
use crate::table::{Matrix, RoundedTable, Row};

/// A row of coefficients that [`Plan::set_rows`](crate::gpu::Plan::set_rows) takes: a [`Matrix`] for a map, a [`LossRow`], a
/// [`VlbRow`] or a [`StepRow`].
pub trait PlanRow: Sized {
    /// The numbers of rows from the first on, as the plan applies them.
    #[doc(hidden)]
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError>;
}

/// The rows that a plan can apply: those that ask for no input which it does not bind.
#[derive(Clone, Copy, Debug)]
pub enum Accepts {
    /// None: the plan has no rows.
    Nothing,
    /// Matrices. A missing input reads as zero.
    Map,
    /// Rows of a loss.
    Loss {
        /// The inputs that are bound.
        inputs: [bool; 2],
        /// The factor of the weights.
        factor: f64,
    },
    /// Rows of a term of the variational bound.
    Vlb {
        /// `true` if the second input is bound.
        in1: bool,
        /// `true` if the network's second output is.
        learned: bool,
        /// The factor of the weights.
        factor: f64,
    },
    /// Rows of a step.
    Step(StepBounds),
}

/// The inputs that a plan of steps reads, by what a row may ask for.
#[derive(Clone, Copy, Debug)]
pub struct StepBounds {
    /// Noise.
    pub noise: bool,
    /// Noise within the clean sample.
    pub noisy_clean: bool,
    /// Noise beside the clean sample, of the plan's deviation.
    pub deviation: bool,
    /// A second prediction.
    pub unconditional: bool,
    /// A known region.
    pub masked: bool,
    /// Clean samples of earlier calls.
    pub depth: usize,
}

impl Accepts {
    /// The error of rows of another op.
    fn wrong(&self, found: &'static str) -> PlanError {
        let expected = match self {
            Self::Nothing => "none",
            Self::Map => "matrices",
            Self::Loss { .. } => "rows of a loss",
            Self::Vlb { .. } => "rows of a variational bound",
            Self::Step(_) => "rows of a step",
        };
        PlanError::RowKind { expected, found }
    }
}

/// Numbers of `N` rows, of which the first has this index.
fn round<const N: usize>(rows: impl Iterator<Item = [f64; N]>) -> Result<RoundedTable, PlanError> {
    Ok(RoundedTable::new(rows.map(Some))?)
}

fn missing(what: &'static str, row: usize) -> PlanError {
    PlanError::Missing { what, row }
}

impl PlanRow for Matrix {
    fn rounded(rows: &[Self], _: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        match accepts {
            Accepts::Map => round(rows.iter().map(Row::numbers)),
            _ => Err(accepts.wrong("matrices")),
        }
    }
}

impl PlanRow for LossRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Loss { inputs, factor } = *accepts else { return Err(accepts.wrong("rows of a loss")) };
        check_loss((first as usize..).zip(rows), inputs)?;
        round(rows.iter().map(|row| LossRow { weight: row.weight * factor, ..*row }.numbers()))
    }
}

impl PlanRow for VlbRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Vlb { in1, learned, factor } = *accepts else {
            return Err(accepts.wrong("rows of a variational bound"));
        };
        check_vlb((first as usize..).zip(rows), in1, learned)?;
        round(rows.iter().map(|row| row.times(factor).numbers()))
    }
}

impl PlanRow for StepRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Step(bounds) = accepts else { return Err(accepts.wrong("rows of a step")) };
        (first as usize..).zip(rows).try_for_each(|(index, row)| bounds.check(index, row))?;
        round((first as usize..).zip(rows).map(|(index, row)| row.numbers(index)))
    }
}

/// Checks that the inputs are there that rows of a loss have a coefficient for.
pub(crate) fn check_loss<'r>(
    rows: impl Iterator<Item = (usize, &'r LossRow)> + Clone,
    inputs: [bool; 2],
) -> Result<(), PlanError> {
    for (input, what) in ["in0", "in1"].into_iter().enumerate().filter(|(input, _)| !inputs[*input]) {
        let mut asks = rows.clone().filter(|(_, row)| row.inputs[input] != 0.0);
        asks.next().map_or(Ok(()), |(index, _)| Err(missing(what, index)))?;
    }
    Ok(())
}

/// Checks that the inputs are there that rows of a variational bound have a coefficient for.
pub(crate) fn check_vlb<'r>(
    rows: impl Iterator<Item = (usize, &'r VlbRow)>,
    in1: bool,
    learned: bool,
) -> Result<(), PlanError> {
    for (index, row) in rows {
        if !in1 && row.inputs[1] != 0.0 {
            return Err(missing("in1", index));
        }
        if !learned && row.log_ratio[1] != 0.0 && row.term != Term::SquaredError {
            return Err(missing("learned", index));
        }
    }
    Ok(())
}

impl StepBounds {
    /// Checks the row of a call.
    fn check(&self, call: usize, row: &StepRow) -> Result<(), PlanError> {
        if row.stream.is_some_and(|stream| stream >= STREAMS) {
            return Err(PlanError::Stream { row: call, streams: STREAMS });
        }
        if row.draws(self.masked) && !self.noise || row.x0[2] != 0.0 && !self.noisy_clean {
            return Err(missing("noise", call));
        }
        if row.z != 0.0 && !self.deviation {
            return Err(missing("learned", call));
        }
        if row.guidance != [1.0, 0.0] && !self.unconditional {
            return Err(missing("unconditional", call));
        }
        let (expected, found) = (self.depth, row.depth());
        if found > expected { Err(PlanError::Depth { row: call, expected, found }) } else { Ok(()) }
    }
}

//! Rows that are written into a plan in place of its own, and the check that the plan can apply them.

use crate::gpu::error::PlanError;
use crate::table::guide::GuideRow;
use crate::table::loss::LossRow;
use crate::table::step::{Clip, Deviation, RowParts, STREAMS, StepRow};
use crate::table::vlb::{Term, VlbRow};
use crate::table::{Matrix, RoundedTable, Row, TableError};

/// A row of coefficients that [`Plan::set_rows`](crate::gpu::Plan::set_rows) takes: a [`Matrix`] for a map, a [`LossRow`], a
/// [`VlbRow`], a [`StepRow`] or a [`GuideRow`].
pub trait PlanRow: Sized {
    /// Rounds rows that replace those from `first` on, as the plan applies them.
    #[doc(hidden)]
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError>;
}

/// The rows that a plan can apply: those that need no input that it does not bind.
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
        /// `true` if the network's second output is bound.
        learned: bool,
        /// The factor of the weights.
        factor: f64,
    },
    /// Rows of a step.
    Step(StepBounds),
    /// Rows of guidance.
    Guide(GuideBounds),
}

/// The rows of guidance that a plan can apply.
#[derive(Clone, Copy, Debug)]
pub struct GuideBounds {
    /// `true` for each of the unconditional, the third and the fourth prediction that is bound.
    pub predictions: [bool; 3],
    /// `true` if the plan binds momentum, in which the first vector is remembered.
    pub momentum: bool,
    /// `true` if the plan computes the sums of samples.
    pub sums: bool,
}

/// The rows that a plan of steps can apply, by what it binds and what its kernels do.
#[derive(Clone, Copy, Debug)]
pub struct StepBounds {
    /// `true` if noise is given or drawn.
    pub noise: bool,
    /// `true` unless the noise is a tensor, which holds only one noise.
    pub second_noise: bool,
    /// `true` if rows may have noise within the clean sample, which a reduction to a threshold must see too.
    pub noisy_clean: bool,
    /// The kind of the noise's deviation.
    pub deviation: Deviation,
    /// `true` if the network's second output is bound.
    pub learned: bool,
    /// `true` if the unconditional prediction is bound.
    pub unconditional: bool,
    /// `true` if rows may be guided: if the plan rescales guided predictions, or its options ask for no rescaling.
    pub guided: bool,
    /// `true` if there is a known region.
    pub masked: bool,
    /// `true` if there is a tensor for the network's input, or the rows of the request leave its scale to the host.
    pub input: bool,
    /// The number of earlier calls whose clean samples are remembered.
    pub depth: usize,
    /// The parts that rows have room for.
    pub(crate) parts: RowParts,
    /// The number of slices of a prediction.
    pub slices: usize,
    /// The treatment of clean samples.
    pub clip: Clip,
}

impl Accepts {
    /// True if there is a row for each call of a loop, not for each timestep.
    pub const fn is_of_calls(&self) -> bool {
        matches!(self, Self::Step(_) | Self::Guide(_))
    }

    /// The error of rows of another op.
    fn wrong(&self, found: &'static str) -> PlanError {
        let expected = match self {
            Self::Nothing => "none",
            Self::Map => "matrices",
            Self::Loss { .. } => "rows of a loss",
            Self::Vlb { .. } => "rows of a variational bound",
            Self::Step(_) => "rows of a step",
            Self::Guide(_) => "rows of guidance",
        };
        PlanError::RowKind { expected, found }
    }
}

/// Rounds rows of `width` numbers. An error names a row by its index in the plan, where they begin at `first`.
fn round<R: AsRef<[f64]>>(
    width: usize,
    first: usize,
    rows: impl Iterator<Item = R>,
) -> Result<RoundedTable, PlanError> {
    let in_plan = |TableError::NotFinite { index, value }| TableError::NotFinite { index: first + index, value };
    Ok(RoundedTable::new(width, rows.map(Some)).map_err(in_plan)?)
}

fn missing(what: &'static str, row: usize) -> PlanError {
    PlanError::Missing { what, row }
}

impl PlanRow for Matrix {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        match accepts {
            Accepts::Map => round(4, first as usize, rows.iter().map(Row::numbers)),
            _ => Err(accepts.wrong("matrices")),
        }
    }
}

impl PlanRow for LossRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Loss { inputs, factor } = *accepts else { return Err(accepts.wrong("rows of a loss")) };
        check_loss((first as usize..).zip(rows), inputs)?;
        round(4, first as usize, rows.iter().map(|row| LossRow { weight: row.weight * factor, ..*row }.numbers()))
    }
}

impl PlanRow for VlbRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Vlb { in1, learned, factor } = *accepts else {
            return Err(accepts.wrong("rows of a variational bound"));
        };
        check_vlb((first as usize..).zip(rows), in1, learned)?;
        round(8, first as usize, rows.iter().map(|row| row.times(factor).numbers()))
    }
}

impl PlanRow for StepRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Step(bounds) = accepts else { return Err(accepts.wrong("rows of a step")) };
        bounds.rounded(first, rows)
    }
}

impl PlanRow for GuideRow {
    fn rounded(rows: &[Self], first: u32, accepts: &Accepts) -> Result<RoundedTable, PlanError> {
        let Accepts::Guide(bounds) = accepts else { return Err(accepts.wrong("rows of guidance")) };
        bounds.rounded(first, rows)
    }
}

impl GuideBounds {
    /// Rounds rows that begin at `first`, if the plan can apply them.
    pub(crate) fn rounded(&self, first: u32, rows: &[GuideRow]) -> Result<RoundedTable, PlanError> {
        let names = ["unconditional", "third", "fourth"];
        for (call, row) in (first as usize..).zip(rows) {
            let reads = row.reads().into_iter().zip(self.predictions).zip(names);
            let mut absent = reads.filter(|((reads, bound), _)| *reads && !bound);
            absent.next().map_or(Ok(()), |(_, what)| Err(missing(what, call)))?;
            if row.momentum != 0.0 && !self.momentum {
                return Err(missing("momentum", call));
            }
            if row.sums() && !self.sums {
                return Err(PlanError::FirstRows { row: call, what: "has weights that follow from sums" });
            }
        }
        round(12, first as usize, rows.iter().map(Row::numbers))
    }
}

/// Checks that a plan has the inputs that rows of a loss have coefficients for.
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

/// Checks that a plan has the inputs that rows of a variational bound have coefficients for.
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
    /// Rounds rows that begin at `first`, if the plan can apply them: those of the request, and those that are written later.
    pub(crate) fn rounded(&self, first: u32, rows: &[StepRow]) -> Result<RoundedTable, PlanError> {
        let first = first as usize;
        let mut calls = (first..).zip(rows);
        calls.clone().try_for_each(|(call, row)| self.check(call, row))?;
        let numbers = calls.by_ref().map(|(call, row)| row.numbers(call, self.parts, self.clip));
        round(self.parts.width(), first, numbers)
    }

    /// Checks the row of a call.
    fn check(&self, call: usize, row: &StepRow) -> Result<(), PlanError> {
        self.check_numbers(call, row)?;
        self.check_noise(call, row)?;
        if row.needs_unconditional() && !self.unconditional {
            return Err(missing("unconditional", call));
        }
        if row.is_guided() && !self.guided {
            return Err(PlanError::FirstRows { row: call, what: "is guided" });
        }
        if row.input != 1.0 && !self.input {
            return Err(missing("input", call));
        }
        if row.is_extended() && !self.parts.extended {
            return Err(PlanError::Extended { row: call });
        }
        let (expected, found) = (self.depth, row.depth());
        if found > expected { Err(PlanError::Depth { row: call, expected, found }) } else { Ok(()) }
    }

    /// Checks that the plan has the noise that a row uses, with the row's kind of deviation.
    fn check_noise(&self, call: usize, row: &StepRow) -> Result<(), PlanError> {
        if row.draws(false) && !self.noise {
            return Err(missing("noise", call));
        }
        if row.draws(self.masked) && !self.noise {
            return Err(missing("noise (for the known region)", call));
        }
        if row.second_z.0 != 0.0 && !self.second_noise {
            let (what, expected) = ("noise of a loop", "noise drawn in the kernel for a second noise");
            return Err(PlanError::Noise { what, expected, found: "a tensor" });
        }
        if row.x0[2] != 0.0 && !self.noisy_clean {
            return Err(PlanError::FirstRows { row: call, what: "has noise within its clean sample" });
        }
        let (expected, found) = (self.deviation, row.deviation.unwrap_or(self.deviation));
        let beside = found == Deviation::Fixed && expected == Deviation::Log && row.learned == [0.0; 2];
        match row.z {
            0.0 => Ok(()),
            _ if found != expected && !beside => Err(PlanError::Deviation { row: call, expected, found }),
            _ if found != Deviation::Fixed && !self.learned => Err(missing("learned", call)),
            _ => Ok(()),
        }
    }

    /// Checks the numbers of a row that are not coefficients: streams, slices and the range of a clip.
    fn check_numbers(&self, call: usize, row: &StepRow) -> Result<(), PlanError> {
        if let Some(found) = row.stream.into_iter().chain([row.second_z.1]).find(|stream| *stream >= STREAMS) {
            return Err(PlanError::Stream { row: call, streams: STREAMS, found });
        }
        let expected = self.slices;
        let found = row.slices.iter().rposition(|&weight| weight != 0.0).map_or(1, |last| last + 1);
        if found > expected || expected == 1 && row.slices[0] != 1.0 {
            return Err(PlanError::Slices { row: call, expected, found });
        }
        match (row.clip, self.clip) {
            (Some(Clip::Range(found)), _) if !(found > 0.0 && (found as f32).is_normal() || found == f64::INFINITY) => {
                Err(PlanError::Rule { what: "clip range", expected: "above 0", found })
            }
            (None | Some(Clip::None | Clip::Range(_)), Clip::Range(_)) | (None, _) => Ok(()),
            (Some(found), expected) if found == expected => Ok(()),
            _ => Err(PlanError::Clip { row: call }),
        }
    }
}

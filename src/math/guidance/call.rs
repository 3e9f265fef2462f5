//! One call of a guider.

use crate::table::finish::Finish;
use crate::table::guide::GuideRow;

/// One call of a [`Guider`](super::Guider): its row, and the parts of a method that rows do not have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuiderCall {
    /// The mixture of the predictions.
    pub row: GuideRow,
    /// True for each of the unconditional, the third and the fourth prediction that the call asks for.
    pub asks: [bool; 3],
    /// The elements over which sums run.
    pub over: Over,
    /// The change of the mixture at each position, for the methods that compare lengths or directions there.
    pub finish: Option<Finish>,
}

/// The elements over which the sums of a call run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Those of a sample.
    Sample,
    /// Those of the last three axes: of a video, a channel of a sample (ComfyUI).
    LastThreeAxes,
    /// Those of all samples (ComfyUI): a result depends on the batch.
    Batch,
}

/// The number of last axes over which sums of [`Over::LastThreeAxes`] run.
const LAST_AXES: usize = 3;

impl Over {
    /// The number of elements that share sums, of predictions of this shape, `[batch, ...]`.
    #[must_use]
    pub fn elements(self, shape: &[usize]) -> usize {
        let first = match self {
            Self::Sample => 1,
            Self::LastThreeAxes => shape.len().saturating_sub(LAST_AXES).max(1),
            Self::Batch => 0,
        };
        shape.iter().skip(first).product()
    }
}

impl GuiderCall {
    /// The call whose result is the conditional prediction.
    pub const CONDITIONAL: Self =
        Self { row: GuideRow::CONDITIONAL, asks: [false; 3], over: Over::Sample, finish: None };

    /// A call that asks for what its row reads.
    #[must_use]
    pub fn of(row: GuideRow) -> Self {
        Self { row, asks: row.reads(), over: Over::Sample, finish: None }
    }

    /// The number of predictions that the call asks for, the conditional one included.
    #[must_use]
    pub fn predictions(&self) -> usize {
        1 + self.asks.iter().filter(|asked| **asked).count()
    }
}

//! One call of a guider.

use crate::table::finish::Finish;
use crate::table::guide::GuideRow;

/// One call of a [`Guider`](super::Guider): its row, and what a method needs beyond a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuiderCall {
    /// The mixture of the predictions.
    pub row: GuideRow,
    /// Whether the call asks for the unconditional, the third and the fourth prediction.
    pub asks: [bool; 3],
    /// The elements over which sums run.
    pub over: Over,
    /// The change of the mixture at each position, for the methods that compare lengths or directions there.
    pub finish: Option<Finish>,
}

/// The elements over which the sums of a call run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The elements of a sample.
    Sample,
    /// The elements of the last three axes (ComfyUI): a sample of a batch of pictures, one channel of a sample of a video.
    LastThreeAxes,
    /// The elements of all samples (ComfyUI): a result depends on the batch.
    Batch,
}

/// The number of last axes over which sums of [`Over::LastThreeAxes`] run.
const LAST_AXES: usize = 3;

impl Over {
    /// Returns the number of elements that share sums, in predictions of this shape, `[batch, ...]`.
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

    /// Creates a call that asks for what its row reads.
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

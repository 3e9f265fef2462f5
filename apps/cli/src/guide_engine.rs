//! Guides predictions on an adapter.

use crate::engine::{Adapter, Values, narrow, plan_failure};
use crate::guide_run::RecordedPredictions;
use crate::progress::Progress;
use crate::report::{Failure, Outcome};
use crate::windows::{Cut, windows};
use anyhow::anyhow;
use files::Array;
use tweedie::Shape;
use tweedie::gpu::{Guide, Recording};
use tweedie::math::guidance::Over;
use tweedie::table::GuideRow;

impl Adapter {
    /// The guided predictions of all calls.
    pub fn guide(&self, recorded: &RecordedPredictions) -> Outcome<Values> {
        if recorded.calls.iter().any(|call| call.finish.is_some()) {
            return Err(Failure::input(anyhow!(
                "a guidance that compares channels at each position is computed in f64: expected --on cpu"
            )));
        }
        // Calls without guidance have no sums.
        let over = recorded.calls.iter().map(|call| call.over).find(|over| *over != Over::Sample);
        let group = over.unwrap_or(Over::Sample).elements(&recorded.shape);
        let total: usize = recorded.shape.iter().product();
        let batch = total / group;
        let elements = self.elements(batch, group)?;
        let arrays = std::iter::once(Some(&recorded.conditional)).chain(recorded.others.iter().map(Option::as_ref));
        arrays.flatten().try_for_each(|array| self.require_fit(&array.header, 0, &array.data))?;
        let rows: Vec<GuideRow> = recorded.calls.iter().map(|call| call.row).collect();
        let mut guided = vec![Vec::new(); rows.len()];
        let mut progress = Progress::new("guiding", batch as u64);
        for window in windows(batch, elements as usize, Cut::BetweenSamples) {
            let shape = window.shape().ok_or_else(|| window.too_large())?;
            let piece = Piece { recorded, rows: &rows, shape, first: window.range().start, entry: total };
            self.guide_piece(&piece, &mut guided)?;
            progress.advance(u64::from(shape.batch));
        }
        Ok(Values::Stored(self.storage, guided.concat()))
    }

    /// Guides some samples through all calls, and appends their results to each call's.
    fn guide_piece(&self, piece: &Piece<'_>, guided: &mut [Vec<u8>]) -> Outcome {
        let total = piece.shape.total();
        let buffer = |label: &str| self.buffer(&format!("tweedie-cli::{label}"), total);
        let conditional = buffer("conditional");
        let others = ["unconditional", "third", "fourth"].map(buffer);
        let momentum = buffer("momentum");
        let given = |i: usize| piece.recorded.others[i].as_ref().map(|_| self.tensor(&others[i]));
        let plan = Guide {
            unconditional: given(0),
            third: given(1),
            fourth: given(2),
            momentum: piece.rows.iter().any(|row| row.momentum != 0.0).then(|| self.tensor(&momentum)),
            ..Guide::in_place(piece.rows, piece.shape, self.tensor(&conditional))
        };
        let plan = plan.plan(&self.context).map_err(plan_failure)?;
        for (k, guided) in guided.iter_mut().enumerate() {
            self.refill(&conditional, &piece.of(&piece.recorded.conditional, k));
            for (array, buffer) in piece.recorded.others.iter().zip(&others) {
                if let Some(array) = array {
                    self.refill(buffer, &piece.of(array, k));
                }
            }
            self.run(&plan, Recording::call(k as u32))?;
            guided.extend(self.download(&conditional, total)?);
        }
        Ok(())
    }
}

/// Some samples of a run.
struct Piece<'a> {
    recorded: &'a RecordedPredictions,
    rows: &'a [GuideRow],
    shape: Shape,
    /// The first element in an entry.
    first: usize,
    /// Elements of an entry.
    entry: usize,
}

impl Piece<'_> {
    /// The part of a tensor's entry.
    fn of(&self, array: &Array, entry: usize) -> Vec<f32> {
        let first = entry * self.entry + self.first;
        narrow(array.data.get(first..first + self.shape.total() as usize).unwrap_or_default())
    }
}

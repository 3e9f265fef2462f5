//! Guidance in f64: the reference of the kernels.

use crate::math::error::guidance::GuidanceError;
use crate::math::guidance::call::GuiderCall;
use crate::math::guidance::finish::finish;
use crate::math::guidance::mixture::{Predictions, along, mixed, rescale};
use crate::table::finish::Finish;

/// The guidance of a run in f64, with the momentum between its calls.
///
/// ```
/// use tweedie::math::guidance::{GuidanceLoop, Predictions};
/// use tweedie::math::Guider;
///
/// let mut guidance = GuidanceLoop::new(&[1, 2])?;
/// let (conditional, unconditional) = ([1.0, 2.0], [0.5, 1.0]);
/// let predictions = Predictions { unconditional: &unconditional, ..Predictions::of(&conditional) };
/// let guided = guidance.call(&Guider::linear(3.0).call(0, 1)?, predictions)?;
/// assert_eq!(guided, [2.0, 4.0]);
/// # Ok::<(), tweedie::error::GuidanceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GuidanceLoop {
    shape: Vec<usize>,
    momentum: Vec<f64>,
    calls: usize,
}

/// The names of the predictions that a call may ask for.
const NAMES: [&str; 3] = ["pred_uncond", "pred_third", "pred_fourth"];

impl GuidanceLoop {
    /// Creates the guidance for predictions of this shape, `[batch, ...]`.
    ///
    /// # Errors
    /// [`GuidanceError::Shape`] for a shape without elements or with more than a `usize` counts.
    pub fn new(shape: &[usize]) -> Result<Self, GuidanceError> {
        match shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) {
            Some(elements) if elements > 0 && !shape.is_empty() => {
                Ok(Self { shape: shape.to_vec(), momentum: Vec::new(), calls: 0 })
            }
            _ => Err(GuidanceError::Shape { found: shape.to_vec() }),
        }
    }

    /// The first vector of the last call that had one (see [`GuideRow`](crate::table::GuideRow)): with momentum, the running sum
    /// of differences. Empty before the first such call.
    #[must_use]
    pub fn momentum(&self) -> &[f64] {
        &self.momentum
    }

    /// Returns the guided prediction of the next call.
    ///
    /// # Errors
    /// [`GuidanceError`] for predictions that are missing or of another size, and for a shape without the axis or the levels that
    /// the call's [finish](GuiderCall::finish) needs.
    pub fn call(&mut self, call: &GuiderCall, predictions: Predictions<'_>) -> Result<Vec<f64>, GuidanceError> {
        self.check(call, &predictions)?;
        let row = &call.row;
        let c = predictions.conditional;
        let [mut v1, v2] = [row.first, row.second].map(|weights| along(weights, &predictions));
        if row.momentum != 0.0 {
            v1.iter_mut().zip(&self.momentum).for_each(|(new, old)| *new += row.momentum * old);
        }
        let mut guided = Vec::with_capacity(c.len());
        let (group, sample) = (call.over.elements(&self.shape).max(1), self.sample());
        for first in (0..c.len()).step_by(group) {
            let part = first..(first + group).min(c.len());
            guided.extend(mixed(row, [&c[part.clone()], &v1[part.clone()], &v2[part]]));
        }
        if row.rescale != 0.0 {
            let samples = guided.chunks_mut(sample).zip(c.chunks(sample));
            samples.for_each(|(guided, c)| rescale(guided, c, row.rescale));
        }
        if let Some(how) = call.finish {
            finish(how, &self.shape, &mut guided, c, predictions.unconditional)?;
        }
        if row.keeps() {
            self.momentum = v1;
        }
        self.calls += 1;
        Ok(guided)
    }

    fn check(&self, call: &GuiderCall, predictions: &Predictions<'_>) -> Result<(), GuidanceError> {
        let expected = self.shape.iter().product();
        let length = |what, found: usize| match found == expected {
            true => Ok(()),
            false => Err(GuidanceError::Length { what, expected, found }),
        };
        length("pred_cond", predictions.conditional.len())?;
        let reads = call.row.reads();
        let compares = call.finish.is_some_and(Finish::reads_unconditional);
        for (i, (what, found)) in NAMES.into_iter().zip(predictions.others()).enumerate() {
            if !(reads[i] || compares && i == 0) {
                continue;
            }
            if found.is_empty() {
                return Err(GuidanceError::Missing { what, call: self.calls });
            }
            length(what, found.len())?;
        }
        Ok(())
    }

    /// The elements of a sample.
    fn sample(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

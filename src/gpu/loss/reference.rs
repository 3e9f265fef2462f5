//! The f64 reference of a loss, written to be read, not to be fast.

use crate::gpu::compare::{Comparison, Expected};
use crate::gpu::inputs::Reduction;
use crate::gpu::loss::plan::Loss;
use crate::gpu::storage::Storage;
use crate::table::Table;
use crate::table::loss::{LossRow, Penalty};

/// The tensors of a batch in f64, sample after sample. A tensor is not read where a row has no coefficient for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// The row of each sample.
    pub timesteps: &'a [u32],
    /// The elements of a sample.
    pub elements: usize,
    /// The network's output.
    pub prediction: &'a [f64],
    /// The two other inputs.
    pub inputs: [&'a [f64]; 2],
}

/// The losses of a batch in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// The weighted mean over the elements of each sample.
    pub samples: Vec<Expected>,
    /// The mean of those over the batch.
    pub mean: Expected,
    /// The gradient with respect to the prediction.
    pub gradient: Vec<Expected>,
}

impl Loss<'_> {
    /// The allowance for a loss or a gradient, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which
    /// allows for four roundings. A gradient has the roundings of its weight, of two quotients and of a root, which WGSL permits
    /// to be off by 2.5 and 4.5 ULP; a loss has one rounding for each doubling of its elements, most of which cancel.
    pub const ROUNDINGS: f64 = 5.0;

    /// Computes the losses and gradients of a batch: the twin of the kernel. A sample at an undefined row, or at a timestep that
    /// the table does not have, is NaN.
    ///
    /// The magnitudes allow for rounding: a loss moves with the summed magnitudes of the error, times the penalty's slope, and a
    /// gradient by as much as the slope changes within the bound of the error, also at a kink (`L1` at 0).
    #[must_use]
    pub fn reference(table: &Table<LossRow>, penalty: Penalty, batch: &Batch<'_>, reduction: Reduction) -> Losses {
        let Batch { timesteps, elements, .. } = *batch;
        let share = reduction.share_of(timesteps.len() as f64);
        let (mut samples, mut gradient) = (Vec::new(), Vec::new());
        for (i, &t) in timesteps.iter().enumerate() {
            let range = i * elements..(i + 1) * elements;
            let Some(row) = table.row(t as usize) else {
                samples.push(Expected::UNDEFINED);
                gradient.extend(range.map(|_| Expected::UNDEFINED));
                continue;
            };
            let errors = range.map(|i| error(row, batch, i)).collect::<Vec<_>>();
            let costs = errors.iter().map(|d| Expected {
                value: penalty.cost(d.value),
                magnitude: penalty.cost(d.value) + penalty.slope(d.value).abs() * d.magnitude,
            });
            samples.push(Expected::mean(&costs.collect::<Vec<_>>()).scaled(row.weight));
            // The chain rule: the error moves with the prediction by `row.prediction`.
            let factor = share * row.weight * row.prediction / elements as f64;
            gradient.extend(errors.iter().map(|d| {
                let value = penalty.slope(d.value);
                Expected { value, magnitude: value.abs() + slope_within(penalty, d) / BOUND }.scaled(factor)
            }));
        }
        Losses { mean: Expected::mean(&samples), samples, gradient }
    }
}

/// An element's bound in f32, relative to its magnitude.
const BOUND: f64 = Comparison::ARITHMETIC * Storage::F32.unit_roundoff();

/// The largest change of the slope at `d` within the error's bound.
fn slope_within(penalty: Penalty, d: &Expected) -> f64 {
    let off = BOUND * d.magnitude;
    // A slope is monotonic in the error, so its extremes lie at the ends of the interval.
    let [below, here, above] = [d.value - off, d.value, d.value + off].map(|d| penalty.slope(d));
    (above - here).max(here - below)
}

/// The error of an element.
fn error(row: &LossRow, Batch { prediction, inputs, .. }: &Batch<'_>, i: usize) -> Expected {
    let terms = [(row.prediction, *prediction), (row.inputs[0], inputs[0]), (row.inputs[1], inputs[1])];
    Expected::of_products(terms.map(|(c, tensor)| (c, tensor.get(i).copied().unwrap_or(f64::NAN))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient's bound where the error is `1 - target`.
    fn gradient(penalty: Penalty, target: f64) -> [f64; 2] {
        let table = Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }]);
        let batch = Batch { timesteps: &[0], elements: 1, prediction: &[1.0], inputs: [&[], &[target]] };
        let Expected { value, magnitude } = Loss::reference(&table, penalty, &batch, Reduction::Sum).gradient[0];
        [value, BOUND * magnitude]
    }

    #[test]
    fn an_error_that_may_be_rounded_away_may_turn_the_gradient_round() {
        let [value, bound] = gradient(Penalty::L1, 1.0 - 0.1 * BOUND);
        assert!(value == 1.0 && bound >= 2.0, "{bound}");
        let [value, bound] = gradient(Penalty::L1, 1.0 - 3.0 * BOUND);
        assert!(value == 1.0 && bound < 1.01 * BOUND, "{bound}");
    }

    #[test]
    fn where_a_parabola_ends_it_is_told_of_on_both_sides() {
        let huber = Penalty::huber(0.01).expect("delta");
        for past in [-0.1, 0.1] {
            let [_, bound] = gradient(huber, 0.99 - past * BOUND);
            assert!(bound >= BOUND, "{past}: {bound}");
        }
    }
}

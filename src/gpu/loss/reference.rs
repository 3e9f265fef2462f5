//! What a loss must give, in f64: written to be read, not to be fast.

use super::Of;
use crate::gpu::Storage;
use crate::gpu::compare::{ARITHMETIC, Exact};
use crate::table::{LossRow, Penalty, Table};

/// The tensors of a batch in f64, sample after sample. What a row has no coefficient for is not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// The row of each sample.
    pub timesteps: &'a [u32],
    /// The elements of a sample.
    pub elements: usize,
    /// The network's output.
    pub prediction: &'a [f64],
    /// The two others.
    pub inputs: [&'a [f64]; 2],
}

/// What a loss must give for a batch, in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// The weighted mean over the elements of each sample.
    pub samples: Vec<Exact>,
    /// The mean of those over the batch.
    pub mean: Exact,
    /// With respect to the prediction.
    pub gradient: Vec<Exact>,
}

/// The loss of a batch: the twin of the kernel. A sample at a hole, or at a timestep that the table does not have, is NaN.
///
/// The magnitudes say what rounding may do: a loss moves with the summed magnitudes of the error as the penalty's slope says,
/// and a gradient by as much as the slope changes within the error's own bound, at a kink (`L1` at 0) too.
#[must_use]
pub fn reference(table: &Table<LossRow>, penalty: Penalty, batch: &Batch<'_>, of: Of) -> Losses {
    let Batch { timesteps, elements, .. } = *batch;
    let share = match of {
        Of::Sum => 1.0,
        Of::Mean => 1.0 / timesteps.len() as f64,
    };
    let (mut samples, mut gradient) = (Vec::new(), Vec::new());
    for (i, &t) in timesteps.iter().enumerate() {
        let range = i * elements..(i + 1) * elements;
        let Some(row) = table.row(t as usize) else {
            samples.push(UNDEFINED);
            gradient.extend(range.map(|_| UNDEFINED));
            continue;
        };
        let errors = range.map(|i| error(row, batch, i)).collect::<Vec<_>>();
        let costs = errors.iter().map(|d| Exact {
            value: penalty.cost(d.value),
            magnitude: penalty.cost(d.value) + penalty.slope(d.value).abs() * d.magnitude,
        });
        samples.push(scaled(mean(&costs.collect::<Vec<_>>()), row.weight));
        let factor = share * row.weight * row.prediction / elements as f64;
        gradient.extend(errors.iter().map(|d| {
            let value = penalty.slope(d.value);
            scaled(Exact { value, magnitude: value.abs() + slope_within(penalty, d) / BOUND }, factor)
        }));
    }
    Losses { mean: mean(&samples), samples, gradient }
}

/// An element's bound in f32, relative to its magnitude.
const BOUND: f64 = ARITHMETIC * Storage::F32.unit_roundoff();

/// How far the slope is from that at `d` where the error is off by its bound.
fn slope_within(penalty: Penalty, d: &Exact) -> f64 {
    let off = BOUND * d.magnitude;
    let [below, here, above] = [d.value - off, d.value, d.value + off].map(|d| penalty.slope(d));
    (above - here).max(here - below)
}

const UNDEFINED: Exact = Exact { value: f64::NAN, magnitude: f64::NAN };

fn error(row: &LossRow, Batch { prediction, inputs, .. }: &Batch<'_>, i: usize) -> Exact {
    let terms = [(row.prediction, *prediction), (row.inputs[0], inputs[0]), (row.inputs[1], inputs[1])];
    let used = terms.into_iter().filter(|(c, _)| *c != 0.0);
    let products = used.map(|(c, tensor)| c * tensor.get(i).copied().unwrap_or(f64::NAN));
    products.fold(Exact { value: 0.0, magnitude: 0.0 }, |sum, product| Exact {
        value: sum.value + product,
        magnitude: sum.magnitude + product.abs(),
    })
}

pub(in crate::gpu) fn scaled(x: Exact, factor: f64) -> Exact {
    Exact { value: factor * x.value, magnitude: factor.abs() * x.magnitude }
}

pub(in crate::gpu) fn mean(values: &[Exact]) -> Exact {
    scaled(sum(values), 1.0 / values.len() as f64)
}

/// Halves first, so that the rounding grows with the logarithm of the count.
fn sum(values: &[Exact]) -> Exact {
    const FEW: usize = 8;
    let add = |a: Exact, b: Exact| Exact { value: a.value + b.value, magnitude: a.magnitude + b.magnitude };
    if values.len() <= FEW {
        return values.iter().copied().fold(Exact { value: 0.0, magnitude: 0.0 }, add);
    }
    let (first, second) = values.split_at(values.len() / 2);
    add(sum(first), sum(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient's bound where the error is `1 - target`.
    fn gradient(penalty: Penalty, target: f64) -> [f64; 2] {
        let table = Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }]);
        let batch = Batch { timesteps: &[0], elements: 1, prediction: &[1.0], inputs: [&[], &[target]] };
        let Exact { value, magnitude } = reference(&table, penalty, &batch, Of::Sum).gradient[0];
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

//! The f64 reference of a term of the variational bound, written to be read, not to be fast.

use crate::gpu::compare::{Comparison, Expected};
use crate::gpu::inputs::Reduction;
use crate::gpu::storage::Storage;
use crate::gpu::vlb::plan::VlbTerms;
use crate::table::Table;
use crate::table::vlb::{CUBIC, HALF_BIN, LAST_BIN, LEAST_PROBABILITY, Term, VlbRow};
use std::f64::consts::FRAC_2_PI;

/// The tensors of a batch in f64, sample after sample. A tensor is not read where a row has no coefficient for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// The row of each sample.
    pub timesteps: &'a [u32],
    /// The elements of a sample.
    pub elements: usize,
    /// The network's output.
    pub prediction: &'a [f64],
    /// Its second output.
    pub learned: &'a [f64],
    /// The clean sample.
    pub x0: &'a [f64],
    /// The noise or the noisy sample.
    pub in1: &'a [f64],
}

/// The terms of a batch in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The weighted mean over the elements of each sample.
    pub samples: Vec<Expected>,
    /// The mean of those over the batch.
    pub mean: Expected,
    /// The gradient with respect to the prediction.
    pub gradient: Vec<Expected>,
    /// The gradient with respect to the second output.
    pub learned_gradient: Vec<Expected>,
}

impl VlbTerms<'_> {
    /// The allowance for a term or a gradient, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which
    /// allows for four roundings. A gradient has the roundings of one of our exponentials or logarithms, and of products and two
    /// quotients around it, which WGSL permits to be off by 2.5 ULP; a term has one rounding for each doubling of its elements,
    /// most of which cancel.
    pub const ROUNDINGS: f64 = 2.0;

    /// Computes the terms and gradients of a batch: the twin of the kernel. A sample at an undefined row, or at a timestep that
    /// the table does not have, is NaN.
    ///
    /// The magnitudes allow for rounding: by how much an element changes when the error of x0 and the log ratio move by their own
    /// bounds, also at the edge of the clip and of the least probability.
    #[must_use]
    pub fn reference(table: &Table<VlbRow>, clip: Option<f64>, batch: &Batch<'_>, reduction: Reduction) -> Terms {
        let Batch { timesteps, elements, .. } = *batch;
        let share = reduction.share_of(timesteps.len() as f64);
        let (mut samples, mut gradient, mut learned_gradient) = (Vec::new(), Vec::new(), Vec::new());
        for (i, &t) in timesteps.iter().enumerate() {
            let range = i * elements..(i + 1) * elements;
            let Some(row) = table.row(t as usize) else {
                samples.push(Expected::UNDEFINED);
                gradient.extend(range.clone().map(|_| Expected::UNDEFINED));
                learned_gradient.extend(range.map(|_| Expected::UNDEFINED));
                continue;
            };
            let costs: Vec<[Expected; 3]> = range.map(|i| element(row, clip, batch, i)).collect();
            let of_sample: Vec<Expected> = costs.iter().map(|cost| cost[0]).collect();
            samples.push(Expected::mean(&of_sample).scaled(row.weight));
            let factor = share * row.weight / elements as f64;
            gradient.extend(costs.iter().map(|cost| cost[1].scaled(factor * row.prediction)));
            learned_gradient.extend(costs.iter().map(|cost| cost[2].scaled(factor * row.log_ratio[1])));
        }
        Terms { mean: Expected::mean(&samples), samples, gradient, learned_gradient }
    }
}

/// The bound of a sum of terms in f32, relative to its magnitude.
const BOUND: f64 = Comparison::ARITHMETIC * Storage::F32.unit_roundoff();

/// The error of an exponential that is 0 in f32, in units of the bound.
const VANISHED: f64 = f32::MIN_POSITIVE as f64 * 4.0 / BOUND;

/// The cost of an element, its derivative with respect to the error of x0 (0 where that is clipped), and its derivative with
/// respect to the log ratio.
fn element(row: &VlbRow, clip: Option<f64>, batch: &Batch<'_>, i: usize) -> [Expected; 3] {
    let at = |tensor: &[f64]| tensor.get(i).copied().unwrap_or(f64::NAN);
    let Batch { prediction, x0, in1, .. } = *batch;
    let terms = [(row.prediction, at(prediction)), (row.inputs[0], at(x0)), (row.inputs[1], at(in1))];
    let raw = Expected::of_products(terms);
    let of_learned = if row.term == Term::SquaredError { 0.0 } else { row.log_ratio[1] };
    let ratio = Expected::of_products([(1.0, row.log_ratio[0]), (of_learned, at(batch.learned))]);
    let looks = row.term == Term::Decoder || clip.is_some();
    let x0 = if looks { at(x0) } else { 0.0 };
    let clipped = |raw: f64| match clip {
        Some(clip) if raw <= clip - x0 && raw >= -clip - x0 => (raw, 1.0),
        Some(clip) => ((x0 + raw).clamp(-clip, clip) - x0, 0.0),
        None => (raw, 1.0),
    };
    let cost = |raw: f64, by: f64, ratio: f64| {
        let (d, moves) = clipped(raw);
        let [cost, to_d, to_ratio] = costs(row, x0, d + by, ratio);
        [cost, to_d.scaled(moves), to_ratio]
    };
    // A clipped error is a difference of x0 and the clip. Deviations are products with a root, which adds two roundings.
    let off = BOUND * raw.magnitude;
    let off_d =
        BOUND * (HALF_BIN + clip.map_or(0.0, |clip| if clipped(raw.value).1 == 0.0 { clip + x0.abs() } else { 0.0 }));
    let off_ratio = BOUND * (ratio.magnitude + 2.0);
    let mut exact = cost(raw.value, 0.0, ratio.value);
    for sign in [1.0, -1.0] {
        for [raw_by, by, ratio_by] in [[off, 0.0, 0.0], [0.0, off_d, 0.0], [0.0, 0.0, off_ratio]] {
            let moved = cost(raw.value + sign * raw_by, sign * by, ratio.value + sign * ratio_by);
            for (exact, moved) in exact.iter_mut().zip(moved) {
                exact.magnitude += (moved.value - exact.value).abs() / BOUND;
            }
        }
    }
    exact
}

/// The three numbers of [`element`] at this error and log ratio, each with the summed magnitudes of its terms.
fn costs(row: &VlbRow, x0: f64, d: f64, ratio: f64) -> [Expected; 3] {
    let exact = |value: f64| Expected { value, magnitude: value.abs() };
    let per_deviation = row.inverse_deviation * (0.5 * ratio).exp();
    let z = per_deviation * d;
    match row.term {
        Term::SquaredError => [exact(d * d), exact(2.0 * d), exact(0.0)],
        Term::Divergence => {
            let excess = ratio.exp_m1() - ratio;
            // Below 1 it is computed without cancellation, above as the sum of its three terms.
            let terms = if ratio.abs() < 1.0 { excess } else { ratio.exp() + 1.0 + ratio.abs() };
            let cost = Expected { value: 0.5 * (excess + z * z), magnitude: 0.5 * (terms + z * z) };
            let slope = 0.5 * (ratio.exp_m1() + z * z);
            [cost, exact(per_deviation * z), Expected { value: slope, magnitude: 0.5 * (terms + ratio.abs() + z * z) }]
        }
        Term::Decoder => decoder(x0, d, per_deviation),
    }
}

/// `F(upper) - F(lower) = gap/((1 + above)*(1 + below))` with `above = e^(-2a)`, `below = e^(2b)` and `gap = 1 - e^(-2(a - b))`
/// for the arguments `a` and `b` of tanh at the edges of the bin. An open edge has nothing beyond it: its exponential is 0.
fn decoder(x0: f64, d: f64, per_deviation: f64) -> [Expected; 3] {
    if x0.is_nan() || d.is_nan() || per_deviation.is_nan() {
        return [Expected::UNDEFINED; 3];
    }
    let root = FRAC_2_PI.sqrt();
    // Beyond 30 deviations F is 0 or 1.
    let edge = |half: f64| (per_deviation * (half - d)).clamp(-30.0, 30.0);
    let (upper, lower) = (edge(HALF_BIN), edge(-HALF_BIN));
    let argument = |z: f64| root * (z + CUBIC * z * z * z);
    let slope = |z: f64| root * (1.0 + 3.0 * CUBIC * z * z);
    let open = [x0 > LAST_BIN, x0 < -LAST_BIN];
    let above = if open[0] { 0.0 } else { (-2.0 * argument(upper)).exp() };
    let below = if open[1] { 0.0 } else { (2.0 * argument(lower)).exp() };
    let width = (2.0 * HALF_BIN * per_deviation).min(60.0);
    let squares = upper * upper + upper * lower + lower * lower;
    let apart = root * width * (1.0 + CUBIC * squares);
    let (gap, of_gap) = match open {
        [false, false] => (-(-2.0 * apart).exp_m1(), 2.0 * root * width / (2.0 * apart).exp_m1()),
        _ => (1.0, 0.0),
    };
    let probability = gap / ((1.0 + above) * (1.0 + below));
    let nats = -probability.max(LEAST_PROBABILITY).ln();
    let (a, b) = (2.0 / (1.0 + 1.0 / above), 2.0 / (1.0 + 1.0 / below));
    // The exponentials carry the rounding of their arguments.
    let carried = a * argument(upper).abs() + b * argument(lower).abs();
    let cost = Expected { value: nats, magnitude: nats + 1.0 + carried };
    if probability < LEAST_PROBABILITY {
        return [cost, Expected::ZERO, Expected::ZERO];
    }
    let (to_a, to_b) = (a * slope(upper), b * slope(lower));
    let carried = to_a * (1.0 + argument(upper).abs()) + to_b * (1.0 + argument(lower).abs());
    let carried = carried + VANISHED * (slope(upper) + slope(lower));
    let bent = of_gap * 3.0 * CUBIC;
    let to_d = Expected {
        value: per_deviation * (to_a - to_b + bent * (upper + lower)),
        magnitude: per_deviation * (carried + bent * (upper.abs() + lower.abs())),
    };
    let (far, of_gap) = (upper.abs().max(lower.abs()), of_gap + bent * squares);
    let to_ratio =
        Expected { value: -0.5 * (to_a * upper - to_b * lower + of_gap), magnitude: 0.5 * (carried * far + of_gap) };
    [cost, to_d, to_ratio]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: VlbRow = VlbRow {
        prediction: 1.0,
        inputs: [-1.0, 0.0],
        inverse_deviation: 90.0,
        log_ratio: [0.1, -0.4],
        weight: 1.0,
        term: Term::Divergence,
    };

    fn of(row: VlbRow, clip: Option<f64>, prediction: f64, learned: f64, x0: f64) -> Terms {
        let batch =
            Batch { timesteps: &[0], elements: 1, prediction: &[prediction], learned: &[learned], x0: &[x0], in1: &[] };
        VlbTerms::reference(&Table::new([row]), clip, &batch, Reduction::Sum)
    }

    /// Gradients against differences of costs, inside and outside the clip.
    #[test]
    fn gradients_are_the_differences_of_costs() {
        const STEP: f64 = 1e-6;
        const CLOSE: f64 = 1e-6;
        for term in [Term::Divergence, Term::Decoder, Term::SquaredError] {
            let row = VlbRow { term, ..ROW };
            for x0 in [-1.0, -0.2, 0.5, 1.0] {
                for error in [-0.03, -0.004, 0.0, 0.007, 0.05] {
                    for learned in [-1.0, 0.2, 1.0] {
                        let at = |p: f64, l: f64| of(row, Some(0.9), p, l, x0);
                        let (p, here) = (x0 + error, at(x0 + error, learned));
                        let cost = |p: f64, l: f64| at(p, l).samples[0].value;
                        let by_p = (cost(p + STEP, learned) - cost(p - STEP, learned)) / (2.0 * STEP);
                        let by_l = (cost(p, learned + STEP) - cost(p, learned - STEP)) / (2.0 * STEP);
                        for (found, expected) in [(here.gradient[0], by_p), (here.learned_gradient[0], by_l)] {
                            let error = (found.value - expected).abs();
                            assert!(
                                error <= CLOSE * (1.0 + expected.abs()),
                                "{term:?}, {x0}, {p}: {expected}, {found:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn at_the_edge_of_the_clip_both_gradients_are_within_the_bound() {
        let near = of(ROW, Some(0.5), 0.5 * (1.0 + BOUND), 0.0, 0.4).gradient[0];
        let inside = of(ROW, Some(0.5), 0.499, 0.0, 0.4).gradient[0];
        assert!(near.value == 0.0 && BOUND * near.magnitude >= inside.value, "{near:?}");
        assert!(BOUND * inside.magnitude < 1e-3 * inside.value, "{inside:?}");
    }
}

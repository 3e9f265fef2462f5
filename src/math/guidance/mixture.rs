//! The mixture of the predictions of a sample by a row.

use crate::table::guide::{GuideRow, Products};

/// The predictions of a call, `[batch, ...]` in row-major order. One that the call does not read may be empty.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// The prediction with the condition.
    pub conditional: &'a [f64],
    /// The prediction without the condition, or of a weaker network.
    pub unconditional: &'a [f64],
    /// The third prediction: see the table of [methods](super).
    pub third: &'a [f64],
    /// The fourth prediction: see the table of [methods](super); for methods of ComfyUI that compare noises, the noisy sample.
    pub fourth: &'a [f64],
}

impl<'a> Predictions<'a> {
    /// Creates the predictions of a call that reads the conditional one alone.
    #[must_use]
    pub const fn of(conditional: &'a [f64]) -> Self {
        Self { conditional, unconditional: &[], third: &[], fourth: &[] }
    }

    pub(super) fn others(&self) -> [&'a [f64]; 3] {
        [self.unconditional, self.third, self.fourth]
    }
}

/// The mixture of one sample, without momentum.
pub(super) fn of_sample(row: &GuideRow, predictions: &Predictions<'_>) -> Vec<f64> {
    let c = predictions.conditional;
    let [v1, v2] = [row.first, row.second].map(|weights| along(weights, predictions));
    let mut guided: Vec<f64> = mixed(row, [c, &v1, &v2]).collect();
    if row.rescale != 0.0 {
        rescale(&mut guided, c, row.rescale);
    }
    guided
}

/// The weighted sum of the differences between the conditional prediction and the others. One of weight 0 is not read.
pub(super) fn along(weights: [f64; 3], predictions: &Predictions<'_>) -> Vec<f64> {
    let c = predictions.conditional;
    let mut sum = vec![0.0; c.len()];
    for (weight, other) in weights.into_iter().zip(predictions.others()) {
        if weight != 0.0 {
            sum.iter_mut().zip(c.iter().zip(other)).for_each(|(sum, (c, other))| *sum += weight * (c - other));
        }
    }
    sum
}

/// The mixture of a group of elements that share sums.
pub(super) fn mixed<'a>(row: &GuideRow, [c, v1, v2]: [&'a [f64]; 3]) -> impl Iterator<Item = f64> + use<'a> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let products = Products {
        cc: dot(c, c),
        c1: dot(c, v1),
        c2: dot(c, v2),
        v11: dot(v1, v1),
        v12: dot(v1, v2),
        v22: dot(v2, v2),
    };
    let [of_c, of_v1, of_v2] = row.weights.of(&products);
    c.iter().zip(v1.iter().zip(v2)).map(move |(c, (v1, v2))| of_c * c + of_v1 * v1 + of_v2 * v2)
}

/// Rescales a sample to the standard deviation of its conditional prediction, to this degree. Nothing changes if either
/// deviation is not finite or the sample's is 0.
pub(super) fn rescale(guided: &mut [f64], c: &[f64], degree: f64) {
    let spread = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt()
    };
    // The divisor of both, the count less 1, cancels.
    let ratio = spread(c) / spread(guided);
    if ratio.is_finite() {
        guided.iter_mut().for_each(|x| *x *= degree * ratio + 1.0 - degree);
    }
}

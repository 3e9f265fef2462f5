//! The f64 reference of a step, written to be read, not to be fast.

use crate::gpu::compare::Expected;
use crate::gpu::step::inputs::Step;
use crate::gpu::step::options::StepOptions;
use crate::table::step::{Clip, Deviation, HISTORY, StepRow};

/// The tensors of one sample, in f64. A tensor is not read where a row has no coefficient for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample<'a> {
    /// The sample that the step starts from.
    pub x: &'a [f64],
    /// The network's outputs with and without the condition, each of as many slices as the row has weights for.
    pub predictions: [&'a [f64]; 2],
    /// The clean samples that the last steps remembered, latest first.
    pub history: [&'a [f64]; HISTORY],
    /// Standard normal noise.
    pub noise: &'a [f64],
    /// The second noise.
    pub second_noise: &'a [f64],
    /// The network's second output, for a learned deviation.
    pub learned: &'a [f64],
    /// The mask, 1 where the sample is known and 0 where it is not, and the known clean sample.
    pub known: Option<[&'a [f64]; 2]>,
}

/// The outputs of a step for one sample, in f64.
#[derive(Clone, Debug, Default)]
pub struct Stepped {
    /// The next sample.
    pub next: Vec<Expected>,
    /// The clean sample, after clipping.
    pub x0: Vec<Expected>,
    /// The next sample as the network's input.
    pub input: Vec<Expected>,
    /// What later steps look back to.
    pub remembered: Vec<Expected>,
}

/// A sum of products with the sum of the magnitudes of its terms.
fn sum(terms: &[(f64, Expected)]) -> Expected {
    let used = terms.iter().filter(|(c, _)| *c != 0.0);
    used.fold(Expected::ZERO, |sum, (c, x)| sum.plus(x.scaled(*c)))
}

fn at(tensor: &[f64], i: usize) -> Expected {
    let value = tensor.get(i).copied().unwrap_or(f64::NAN);
    Expected { value, magnitude: value.abs() }
}

impl Step<'_> {
    /// The allowance for a step's output, in units of the bound of a [`Comparison`](crate::gpu::compare::Comparison), which
    /// allows for one sum of two products. A step is three sums: the mixture of predictions, the clean sample made of it, and the
    /// next sample made of that, which has up to seven terms, or eighteen where the row has further parts.
    pub const ROUNDINGS: f64 = 2.5;

    /// Computes one step of one sample: the twin of the kernel.
    pub fn reference(row: &StepRow, options: &StepOptions, sample: &Sample<'_>) -> Stepped {
        let elements = 0..sample.x.len();
        let [conditional, unconditional] = sample.predictions;
        // The sum of a prediction's slices by their weights.
        let size = sample.x.len();
        let sliced = |prediction: &[f64], i: usize| {
            let slices = row.slices.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
            let slices: Vec<_> = slices.map(|(slice, &weight)| (weight, at(prediction, slice * size + i))).collect();
            sum(&slices)
        };
        let mixed: Vec<Expected> = elements
            .clone()
            .map(|i| sum(&[(row.guidance[0], sliced(conditional, i)), (row.guidance[1], sliced(unconditional, i))]))
            .collect();
        // The order of a step: guidance, rescale, clean sample, clip, next sample, known region, scale of the network's input.
        // The sum of slices is rounded; a prediction of one is not.
        let is_summed = row.slices != StepRow::IDENTITY.slices;
        let rounded = |sum: Expected| Expected { magnitude: if is_summed { sum.magnitude } else { 0.0 }, ..sum };
        let wanted: Vec<Expected> = elements.clone().map(|i| rounded(sliced(conditional, i))).collect();
        let factor = rescale_factor(&wanted, &mixed, options.rescale);
        let p = |i: usize| Expected {
            value: mixed[i].value * factor.value,
            magnitude: mixed[i].magnitude * factor.value + mixed[i].value.abs() * factor.magnitude,
        };
        let raw: Vec<Expected> = elements
            .clone()
            .map(|i| sum(&[(row.x0[0], at(sample.x, i)), (row.x0[1], p(i)), (row.x0[2], at(sample.noise, i))]))
            .collect();
        let x0 = clipped(&raw, row.clip.unwrap_or(options.clip));
        let alone: Vec<Expected> = elements
            .clone()
            .map(|i| {
                let [x, u, z] = [at(sample.x, i), sliced(unconditional, i), at(sample.noise, i)];
                sum(&[(row.x0[0], x), (row.x0[1], u), (row.x0[2], z)])
            })
            .collect();
        let next: Vec<Expected> = elements
            .map(|i| {
                let z = at(sample.noise, i);
                let s = match options.deviation {
                    Deviation::Fixed => 1.0,
                    Deviation::Log if row.learned[1] == 0.0 => row.learned[0].exp(),
                    Deviation::Log => (row.learned[0] + row.learned[1] * at(sample.learned, i).value).exp(),
                    Deviation::Variance => at(sample.learned, i).value.max(0.0).sqrt(),
                };
                // Without noise a learned deviation is ignored, even if it is infinite.
                let z_coefficient = if row.z == 0.0 { 0.0 } else { row.z * s };
                let now = [
                    (row.x, at(sample.x, i)),
                    (row.p, p(i)),
                    (row.clean, x0[i]),
                    (row.unconditional_clean, alone[i]),
                    (z_coefficient, z),
                    (row.second_z.0, at(sample.second_noise, i)),
                ];
                let past = row.history.iter().zip(sample.history).map(|(&c, past)| (c, at(past, i)));
                let next = sum(&now.into_iter().chain(past).collect::<Vec<_>>());
                let Some([mask, known]) = sample.known else { return next };
                let m = at(mask, i).value;
                let target = sum(&[(row.known[0], at(known, i)), (row.known[1], z)]);
                sum(&[(m, target), (1.0 - m, next)])
            })
            .collect();
        let input = next.iter().map(|&x| sum(&[(row.input, x)])).collect();
        let [of_x, of_clean, of_unconditional] = row.kept;
        let kept = |(i, (&clean, &alone)): (usize, (&Expected, &Expected))| {
            sum(&[(of_x, at(sample.x, i)), (of_clean, clean), (of_unconditional, alone)])
        };
        let remembered = x0.iter().zip(&alone).enumerate().map(kept).collect();
        Stepped { next, x0, input, remembered }
    }
}

/// `rescale * std(conditional)/std(mixed) + 1 - rescale`, of predictions whose slices are summed; 1 where the mixture's deviation
/// is 0, or one of the two is not finite.
fn rescale_factor(conditional: &[Expected], mixed: &[Expected], rescale: f64) -> Expected {
    let (wanted, found) = (deviation(conditional), deviation(mixed));
    let defined = found.value > 0.0 && found.value.is_finite() && wanted.value.is_finite();
    if rescale == 0.0 || !defined {
        return Expected { value: 1.0, magnitude: 0.0 };
    }
    let ratio = wanted.value / found.value;
    // A quotient moves by the errors of both its parts.
    let moved = wanted.magnitude / found.value + ratio * found.magnitude / found.value;
    Expected { value: rescale * ratio + 1.0 - rescale, magnitude: rescale * moved + 1.0 - rescale }
}

/// The standard deviation over `n - 1`, as torch computes it. Its magnitude includes the change that rounding of the values may
/// cause.
fn deviation(values: &[Expected]) -> Expected {
    let n = values.len() as f64;
    let root = |squares: f64| if n < 2.0 { 0.0 } else { (squares / (n - 1.0)).sqrt() };
    let mean = values.iter().map(|x| x.value).sum::<f64>() / n;
    let deviation = root(values.iter().map(|x| (x.value - mean) * (x.value - mean)).sum());
    let moved = root(values.iter().map(|x| x.magnitude * x.magnitude).sum());
    Expected { value: deviation, magnitude: deviation + moved }
}

fn clipped(x0: &[Expected], clip: Clip) -> Vec<Expected> {
    let clamp = |x: &Expected, range: f64, scale: f64| Expected {
        value: if x.value.is_nan() || range.is_nan() { f64::NAN } else { x.value.min(range).max(-range) / scale },
        magnitude: x.magnitude / scale,
    };
    match clip {
        Clip::None => x0.to_vec(),
        Clip::Range(range) => x0.iter().map(|x| clamp(x, range, 1.0)).collect(),
        Clip::Quantile { ratio, least, most } => {
            let magnitudes: Vec<f64> = x0.iter().map(|x| x.value.abs()).collect();
            let quantile = Step::quantile(&magnitudes, ratio);
            // `max` and `min` would hide a NaN.
            let s = if quantile.is_nan() { quantile } else { quantile.max(least).min(most) };
            x0.iter().map(|x| clamp(x, s, s)).collect()
        }
    }
}

impl Step<'_> {
    /// Computes the quantile of a sample with linear interpolation between its elements, the default of torch.quantile; NaN if
    /// any element is NaN. Where it falls on an element it is that element, even if it is infinite.
    pub fn quantile(values: &[f64], ratio: f64) -> f64 {
        if values.iter().any(|x| x.is_nan()) {
            return f64::NAN;
        }
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = ratio.clamp(0.0, 1.0) * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[(place.floor() as usize + 1).min(last)]);
        if above > below && place.fract() > 0.0 { below + (above - below) * place.fract() } else { below }
    }
}

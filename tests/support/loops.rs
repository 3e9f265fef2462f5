//! Running a sampler in f64: the rows of a loop, applied by the reference of the step kernel, and networks whose data is known.

use super::largest;
use tweedie::gpu::Step;
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::math::run::RunModel;
use tweedie::math::{Call, Sampler};
use tweedie::table::StepRow;

/// The inputs of a loop. Tensors of a call are the samples of the batch, one after the other.
#[derive(Default)]
pub struct Inputs {
    pub batch: usize,
    /// The sample to start with.
    pub initial: Vec<f64>,
    /// The noises, by [`Call::noise`](tweedie::math::Call::noise).
    pub noises: Vec<Vec<f64>>,
    /// The network's second outputs, by call.
    pub learned: Vec<Vec<f64>>,
    /// A factor for each element after every call: 1, or 0 to clear it; empty for 1 everywhere.
    pub kept: Vec<f64>,
}

/// The results of a loop.
pub struct Run {
    /// The sample before the first call and after each.
    pub samples: Vec<Vec<f64>>,
    /// The clean sample of each call.
    pub x0: Vec<Vec<f64>>,
    /// What each call remembered.
    pub remembered: Vec<Vec<f64>>,
}

impl Run {
    pub fn last(&self) -> &[f64] {
        self.samples.last().unwrap()
    }
}

const NOTHING: &[f64] = &[];

/// Runs the loop, with `network(k, x)` as the answer to call `k` about the sample `x` (before its scaling for the network).
pub fn run(sampler: &Sampler, inputs: &Inputs, mut network: impl FnMut(usize, &[f64]) -> Vec<f64>) -> Run {
    let rules = StepOptions { clip: sampler.clip(), deviation: sampler.deviation(), rescale: 0.0 };
    let start = sampler.start();
    let noise = |i: usize| inputs.noises.get(i).map_or(NOTHING, Vec::as_slice);
    let first = inputs.initial.iter().enumerate().map(|(i, x)| match start[1] {
        0.0 => start[0] * x,
        churn => start[0] * x + churn * noise(0)[i],
    });
    let mut run = Run { samples: vec![first.collect()], x0: Vec::new(), remembered: Vec::new() };
    for (k, call) in sampler.calls().iter().enumerate() {
        let x = run.samples[k].clone();
        let answer = network(k, &x);
        let learned = inputs.learned.get(k).map_or(NOTHING, Vec::as_slice);
        let history = std::array::from_fn(|i| i + 1)
            .map(|back: usize| k.checked_sub(back).map_or(NOTHING, |j| run.remembered[j].as_slice()));
        let second = noise(call.row.second_z.1 as usize);
        let tensors = [&x, &answer, noise(call.noise), second, learned];
        let [next, x0, remembered] = step(&call.row, &rules, inputs.batch, tensors, history);
        let left = |(i, x): (usize, f64)| x * inputs.kept.get(i).unwrap_or(&1.0);
        run.samples.push(next.into_iter().enumerate().map(left).collect());
        run.x0.push(x0);
        run.remembered.push(remembered);
    }
    run
}

/// The sample after a single call, which need not be one of the sampler's own.
pub fn stepped(sampler: &Sampler, call: &Call, batch: usize, [x, answer, noise]: [&[f64]; 3]) -> Vec<f64> {
    let rules = StepOptions { clip: sampler.clip(), deviation: sampler.deviation(), rescale: 0.0 };
    let [next, ..] = step(&call.row, &rules, batch, [x, answer, noise, NOTHING, NOTHING], [NOTHING; StepRow::HISTORY]);
    next
}

/// One call, sample by sample, so that thresholds see only their own sample.
fn step(
    row: &StepRow,
    rules: &StepOptions,
    batch: usize,
    [x, answer, noise, second, learned]: [&[f64]; 5],
    history: [&[f64]; StepRow::HISTORY],
) -> [Vec<f64>; 3] {
    let elements = x.len() / batch;
    let [mut next, mut x0, mut remembered] = [const { Vec::new() }; 3];
    for b in 0..batch {
        let part = |tensor: &'_ [f64]| -> Vec<f64> {
            tensor.get(b * elements..(b + 1) * elements).map_or(Vec::new(), <[f64]>::to_vec)
        };
        let mut parts = [x, answer, noise, second, learned].map(part);
        let size = answer.len() / batch;
        parts[1] = answer[b * size..(b + 1) * size].to_vec();
        let earlier = history.map(part);
        let sample = Sample {
            x: &parts[0],
            predictions: [&parts[1], NOTHING],
            history: earlier.each_ref().map(Vec::as_slice),
            noise: &parts[2],
            second_noise: &parts[3],
            learned: &parts[4],
            ..Sample::default()
        };
        let stepped = Step::reference(row, rules, &sample);
        next.extend(stepped.next.iter().map(|exact| exact.value));
        x0.extend(stepped.x0.iter().map(|exact| exact.value));
        remembered.extend(stepped.remembered.iter().map(|exact| exact.value));
    }
    [next, x0, remembered]
}

/// The largest absolute deviation; NaN if one of the numbers is NaN.
pub fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    largest(found.iter().zip(expected).map(|(f, e)| (f - e).abs()))
}

/// The exact clean sample of normal data of these means and deviations, as a raw output of a run's network. The lists repeat.
pub fn gaussian_output(model: &RunModel, sigma: f64, x: &[f64], [mean, deviation]: [&[f64]; 2]) -> Vec<f64> {
    let alpha = model.alpha(sigma);
    let [of_x, of_output] = model.denoised(sigma);
    let at = |(i, x): (usize, &f64)| {
        let (mean, variance) = (mean[i % mean.len()], deviation[i % deviation.len()].powi(2));
        let clean = (sigma * sigma * mean + alpha * variance * x) / (alpha * alpha * variance + sigma * sigma);
        (clean - of_x * x) / of_output
    };
    x.iter().enumerate().map(at).collect()
}

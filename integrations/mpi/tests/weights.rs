//! The sum of the gradients, and the weights that result: those of a single process, except for the order of a sum.

use crate::Test;
use crate::stage::{Finished, STEPS, Stage};
use anyhow::{Result, ensure};

pub const TESTS: &[Test] = &[
    ("weights::are_those_of_one_process_but_for_the_sum", are_those_of_one),
    ("weights::a_gradient_that_is_left_out_is_noticed", left_out),
];

/// Allowed difference of the first gradient of the weights, relative to its largest element. It is a sum of 256 terms in f32,
/// which is accurate to `256 * 2^-24 = 1.5e-5` of their magnitudes in any order, and usually to the square root of that many roundings.
const GRADIENT: f64 = 1.5e-5;

/// Allowed difference of the weights after 40 steps, relative to the distance that they have moved, both as root mean squares. Each
/// update is off by as much as its gradient, and by more where that is near 0, since Adam divides it by its own size: ten times what is
/// allowed for one gradient.
const WEIGHTS: f64 = 1.5e-4;

fn root_mean_square(numbers: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = numbers.len() as f64;
    (numbers.map(|x| x * x).sum::<f64>() / count).sqrt()
}

/// The difference of the first gradient from that of one process.
fn of_gradient(one: &Finished, other: &Finished) -> Result<f64> {
    let [one, other] = [one.weight_gradient(0)?, other.weight_gradient(0)?];
    ensure!(one.len() == other.len());
    let largest = one.iter().fold(0.0, |most: f64, x| x.abs().max(most));
    ensure!(largest > 0.0, "a gradient of zeros shows nothing");
    Ok(one.iter().zip(&other).fold(0.0, |most: f64, (a, b)| (a - b).abs().max(most)) / largest)
}

/// The difference of the last weights from those of one process. `start` has those after one step, which are near the first.
fn of_weights(start: &Finished, one: &Finished, other: &Finished) -> Result<f64> {
    let [start, one, other] = [start.weights()?, one.weights()?, other.weights()?];
    ensure!(start.len() == one.len() && one.len() == other.len());
    let way = root_mean_square(one.iter().zip(&start).map(|(a, b)| a - b));
    ensure!(way > 1e-3, "weights that have moved by {way:.1e} show nothing");
    Ok(root_mean_square(other.iter().zip(&one).map(|(a, b)| a - b)) / way)
}

fn are_those_of_one(stage: &Stage) -> Result<()> {
    let [one, others @ ..] = stage.whole()?;
    let start = stage.run("start", 1, &["--until", "1"])?;
    for other in &others {
        let (gradient, weights) = (of_gradient(&one, other)?, of_weights(&start, &one, other)?);
        let processes = other.processes;
        stage.measured(&format!("gradient_difference_of_{processes}"), gradient);
        stage.measured(&format!("weights_difference_of_{processes}_after_{STEPS}_steps"), weights);
        ensure!(
            gradient < GRADIENT,
            "{processes} processes: expected a gradient within {GRADIENT}, found {gradient:.1e}"
        );
        ensure!(weights < WEIGHTS, "{processes} processes: expected weights within {WEIGHTS}, found {weights:.1e}");
    }
    Ok(())
}

fn left_out(stage: &Stage) -> Result<()> {
    let [one, ..] = stage.whole()?;
    let start = stage.run("start_of_left_out", 1, &["--until", "1"])?;
    let faulty = stage.run("left_out", 4, &["--fault", "sum"])?;
    let (gradient, weights) = (of_gradient(&one, &faulty)?, of_weights(&start, &one, &faulty)?);
    stage.measured("gradient_difference_of_4_with_one_left_out", gradient);
    stage.measured("weights_difference_of_4_with_one_left_out", weights);
    ensure!(gradient > GRADIENT && weights > WEIGHTS, "the fault is not noticed: {gradient:.1e}, {weights:.1e}");
    Ok(())
}

//! The accuracy of a run, without drawing a sample.
//!
//! **Theory.** For data `N(mean, s^2)` the answer of a perfect network is affine in the noisy sample, and so is a whole run in its
//! start and its noises: the result is `m + sum_k c_k*z_k`, which is `N(m, sum_k c_k^2)`. Its Wasserstein-2 distance from the data is
//! `sqrt((m - mean)^2 + (sqrt(sum_k c_k^2) - s)^2)`, exactly.
//!
//! **Practice.** One run of several samples finds all coefficients: one sample has no noise, each of the others a unit of one noise.
//! It starts from the marginal at the first sigma, so that the error is the sampler's own, and is made for data of several
//! deviations, which stand for the coarse and the fine detail of pictures.

use anyhow::Result;
use tweedie::math::run::{RunError, RunInputs, RunLoop, RunModel};

/// The mean of the data.
const MEAN: f64 = 0.5;

/// The deviations of the data, from fine to coarse detail.
const DEVIATIONS: [f64; 7] = [0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0];

/// The accuracy of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The calls of the network.
    pub calls: usize,
    /// The root mean square, over the deviations, of the distance of the results from the data.
    pub distance: f64,
}

/// Measures a run. A sampler whose draws depend on its results is refused.
pub fn accuracy(run: &RunLoop) -> Result<Accuracy> {
    // For each deviation: a sample without noise, one with the start's, one with each draw's.
    let (draws, kinds) = (run.draws(), run.draws() + 2);
    let place = |deviation: usize, kind: usize| deviation * kinds + kind;
    let (model, first) = (run.model(), run.sigmas().first().copied().unwrap_or(0.0));
    let alpha = model.alpha(first);
    let mut initial = vec![alpha * MEAN; DEVIATIONS.len() * kinds];
    let mut noises = vec![0.0; draws * initial.len()];
    for (i, deviation) in DEVIATIONS.into_iter().enumerate() {
        initial[place(i, 1)] += (alpha * deviation).hypot(first);
        for draw in 0..draws {
            noises[draw * initial.len() + place(i, draw + 2)] = 1.0;
        }
    }
    let inputs = RunInputs { initial: Some(&initial), noises: &noises, ..RunInputs::default() };
    let record = run.drive::<RunError>(&inputs, |ask| {
        let output = ask.x.iter().enumerate().map(|(i, x)| answer(model, ask.sigma, DEVIATIONS[i / kinds], *x));
        let output: Vec<f64> = output.collect();
        Ok([output.clone(), output, Vec::new(), Vec::new()])
    })?;
    let square = |(i, deviation): (usize, f64)| {
        let of = |kind: usize| record.output[place(i, kind)];
        let spread = (1..kinds).map(|kind| (of(kind) - of(0)).powi(2)).sum::<f64>().sqrt();
        (of(0) - MEAN).powi(2) + (spread - deviation).powi(2)
    };
    let mean = DEVIATIONS.into_iter().enumerate().map(square).sum::<f64>() / DEVIATIONS.len() as f64;
    Ok(Accuracy { calls: record.call_x.len(), distance: mean.sqrt() })
}

/// The raw output of the best network for data of this deviation.
fn answer(model: &RunModel, sigma: f64, deviation: f64, x: f64) -> f64 {
    let (alpha, variance) = (model.alpha(sigma), deviation * deviation);
    let [of_x, of_output] = model.denoised(sigma);
    let clean = (sigma * sigma * MEAN + alpha * variance * x) / (alpha * alpha * variance + sigma * sigma);
    (clean - of_x * x) / of_output
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::math::run::{Node, Run, RunGrid};

    fn planned(sampler: &str, steps: usize) -> RunLoop {
        let run = Run {
            model: Some(RunModel::named("sd15").unwrap()),
            sampler: Some(sampler.to_owned()),
            grid: Some(RunGrid::Scheduler(Node::named("karras"))),
            steps: Some(steps),
            ..Run::default()
        };
        run.plan().unwrap()
    }

    #[test]
    fn steps_and_orders_lower_the_distance() {
        let of = |sampler: &str, steps: usize| accuracy(&planned(sampler, steps)).unwrap();
        for (sampler, order) in [("euler", 1), ("heun", 2), ("euler_ancestral", 1)] {
            let [coarse, fine] = [10, 20].map(|steps| of(sampler, steps).distance);
            assert!(fine < coarse / (0.8 * 2f64.powi(order)), "{sampler}: {coarse} {fine}");
        }
        assert_eq!((of("euler", 7).calls, of("heun", 7).calls), (7, 13));
    }

    #[test]
    fn a_wrong_coefficient_is_seen() {
        let mut wrong = planned("heun", 80);
        let right = accuracy(&wrong).unwrap().distance;
        wrong.calls_mut().last_mut().unwrap().row.clean *= 1.05;
        assert!(accuracy(&wrong).unwrap().distance > 5.0 * right);
    }
}

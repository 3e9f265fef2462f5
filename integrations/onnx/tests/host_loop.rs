//! The loop around a network in an engine, against the same loop around the network's formula.

use anyhow::Result;
use tweedie::math::run::{Node, Run, RunError, RunGrid, RunGuidance, RunInputs, RunModel};
use tweedie_onnx::{DEVIATION, FLOW, MEANS, Network, sample};

const SHAPE: [usize; 3] = [4, 3, 5];
const POSITIONS: usize = SHAPE[1] * SHAPE[2];

fn run(sampler: &str, guidance: f64) -> Result<Run> {
    Ok(Run {
        model: Some(RunModel::named("flow3")?),
        sampler: Some(sampler.to_owned()),
        grid: Some(RunGrid::Scheduler(Node::named("beta"))),
        steps: Some(8),
        guidance: Some(RunGuidance::Scale(guidance)),
        seed: Some(7),
        ..Run::default()
    })
}

/// The prediction of the network's formula, in f64.
fn formula(x: &[f64], s: f64, means: [f64; 4]) -> Vec<f64> {
    let (a, variance) = (1.0 - s, DEVIATION * DEVIATION);
    let at = |(i, x): (usize, &f64)| {
        let mean = means[i / POSITIONS % 4];
        (s * (x - mean) - a * variance * x) / (a * a * variance + s * s)
    };
    x.iter().enumerate().map(at).collect()
}

/// The allowed difference: rounding to f32 in each call, about 1e-7, for samples of up to 4 and a guidance of 3.
const F32: f64 = 1e-5;

#[test]
fn an_engine_and_a_formula_give_the_same_latent() -> Result<()> {
    let network = Network::read(FLOW)?;
    for (sampler, guidance) in [("euler", 1.0), ("dpmpp_2m_sde", 3.0), ("euler_cfg_pp", 1.0), ("dpm_adaptive", 1.0)] {
        let run = run(sampler, guidance)?;
        let found = sample(&network, &run, SHAPE)?;
        let shape = [1, SHAPE[0], SHAPE[1], SHAPE[2]];
        let inputs = RunInputs { shape: &shape, ..RunInputs::default() };
        let exact = run.plan()?.drive::<RunError>(&inputs, |ask| {
            let [other, own] = MEANS.map(|means| formula(ask.x, ask.sigma, means));
            Ok([own, other, Vec::new(), Vec::new()])
        })?;
        assert_eq!(found.len(), exact.output.len(), "{sampler}");
        let near = |(a, b): &(&f64, &f64)| (*a - *b).abs() < F32;
        let far = found.iter().zip(&exact.output).find(|pair| !near(pair));
        assert_eq!(far, None, "{sampler}");
        let other = sample(&network, &Run { seed: Some(8), ..run }, SHAPE)?;
        assert!(other.iter().zip(&found).any(|(a, b)| (a - b).abs() > 0.1), "{sampler}: another seed is not seen");
    }
    Ok(())
}

#[test]
fn a_batch_that_does_not_fit_is_refused() -> Result<()> {
    let error = Network::read(FLOW)?.answer(&[0.0; 60], SHAPE, 500.0, &[1, 0]).unwrap_err();
    assert_eq!(error.to_string(), "expected [2, 4, 3, 5], found 60");
    Ok(())
}

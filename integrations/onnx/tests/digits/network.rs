//! The network in the engine, against PyTorch's results for two inputs.

use crate::changes::{WEIGHTS, place, scaled};
use anyhow::{Context, Result, ensure};
use digits::{NO_CLASS, SamplerRequest};
use safetensors::SafeTensors;
use tweedie::HostSampling;
use tweedie::{NoiseKey, Quantity, Sampler};
use tweedie_onnx::{DIGITS, Network, write_digits};

/// A test that needs no adapter.
type Test = (&'static str, fn() -> Result<()>);

pub const TESTS: &[Test] = &[
    ("network::agrees_with_pytorch", agrees),
    ("network::a_changed_parameter_is_noticed", changed),
    ("network::the_file_has_the_weights_of_the_repository", has_the_weights),
    ("network::a_wrong_request_is_refused", refused),
];

const RECORDED: &[u8] = include_bytes!("../../../../apps/digits/weights/activations.safetensors");

/// Allowed difference, relative to the root mean square of the prediction: that of `apps/digits` from the same record, sums of some
/// thousand products in f32 through up to 24 convolutions.
const TOLERANCE: f64 = 2e-5;

fn words(name: &str) -> Result<Vec<[u8; 4]>> {
    let file = SafeTensors::deserialize(RECORDED)?;
    Ok(file.tensor(name)?.data().as_chunks::<4>().0.to_vec())
}

/// The largest difference from PyTorch, relative to the root mean square of the prediction.
fn difference(file: &[u8]) -> Result<f64> {
    let floats = |name| Ok::<_, anyhow::Error>(words(name)?.into_iter().map(f32::from_le_bytes).collect::<Vec<_>>());
    let integers = |name| Ok::<_, anyhow::Error>(words(name)?.into_iter().map(i32::from_le_bytes).collect::<Vec<_>>());
    let (x, expected, labels) = (floats("x")?, floats("output")?, integers("labels")?);
    let timesteps: Vec<f32> = integers("t")?.into_iter().map(|t| t as f32).collect();
    let found = Network::read(file)?.answer_each(&x, [1, 32, 32], &timesteps, &labels)?;
    ensure!(found.len() == expected.len(), "expected {} numbers, found {}", expected.len(), found.len());
    let size = |x: &f32| f64::from(*x) * f64::from(*x);
    let scale = (expected.iter().map(size).sum::<f64>() / expected.len() as f64).sqrt();
    ensure!(scale > 0.1, "predictions of {scale} show nothing");
    let apart = found.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs() / scale);
    apart.max_by(f64::total_cmp).context("a prediction")
}

fn agrees() -> Result<()> {
    let found = difference(DIGITS)?;
    println!("{:.2} of what is allowed", found / TOLERANCE);
    ensure!(found < TOLERANCE, "expected at most {TOLERANCE}, found {found:.1e}");
    Ok(())
}

fn changed() -> Result<()> {
    for name in ["time1.weight", "classes.weight", "down1.norm1.bias", "middle1.embed.weight", "up2.skip.weight"] {
        let found = difference(&scaled(name, 1.01)?)?;
        ensure!(found > TOLERANCE, "`{name}` times 1.01: expected more than {TOLERANCE}, found {found:.1e}");
    }
    Ok(())
}

fn has_the_weights() -> Result<()> {
    let weights = SafeTensors::deserialize(WEIGHTS)?;
    ensure!(weights.len() == digits::architecture::parameters().len());
    weights.names().into_iter().try_for_each(|name| place(name).map(|_| ()))
}

fn refused() -> Result<()> {
    let error = |result: Result<Vec<f64>>| result.err().map(|error| error.to_string()).context("a refusal");
    let network = Network::read(DIGITS)?;
    let sampler = Sampler::dpm_solver_pp(&digits::model(Quantity::V)?, 2)?;
    let key = NoiseKey::seed(0);
    let request = SamplerRequest { labels: &[3, NO_CLASS + 1], sampler: &sampler, guidance: 1.0, key };
    let found = error(write_digits(&network, &request))?;
    ensure!(found == "expected labels of 0 to 10, found 11", "{found}");
    ensure!(Network::read(&DIGITS[..1000]).is_err(), "a truncated file was accepted");
    let mut host = HostSampling::new(&sampler, tweedie::Shape::new(1, 4), key).guided(2.0);
    let found = host.give(&[0.0; 4], &[]).err().map(|error| error.to_string());
    ensure!(found.as_deref() == Some("unconditional: expected 4 numbers for the loop's shape, found 0"), "{found:?}");
    host.give(&[0.0; 4], &[0.0; 4])?;
    host.give(&[0.0; 4], &[0.0; 4])?;
    let found = host.give(&[0.0; 4], &[0.0; 4]).err().map(|error| error.to_string());
    ensure!(found.as_deref() == Some("expected a call below 2, found 2"), "{found:?}");
    Ok(())
}

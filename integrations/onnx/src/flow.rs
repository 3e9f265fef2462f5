//! A run of ComfyUI around the network of `network/make.py`.

use crate::network::Network;
use anyhow::{Context, Result};
use tweedie::math::run::{HostLoop, Run, RunInputs};

/// The file of the best network for a rectified flow of normal data, with two labels.
pub const FLOW: &[u8] = include_bytes!("../network/flow.onnx");

/// The standard deviation of the network's data.
pub const DEVIATION: f64 = 0.5;

/// The means of the network's data for each channel: without the condition (label 0), and with it (label 1).
pub const MEANS: [[f64; 4]; 2] = [[0.0; 4], [0.8, -0.4, 0.2, -0.9]];

/// Runs a loop around the network and returns the latent. If guidance needs both predictions, they are made in one batch.
///
/// # Errors
/// Those of the run and of the network.
pub fn sample(network: &Network, run: &Run, shape: [usize; 3]) -> Result<Vec<f64>> {
    let [channels, height, width] = shape;
    let planned = run.plan()?;
    let inputs = RunInputs { shape: &[1, channels, height, width], ..RunInputs::default() };
    let mut host = HostLoop::new(&planned, inputs)?;
    while let Some(call) = host.call() {
        let mut samples: Vec<f32> = call.network_input().collect();
        let count = samples.len();
        let labels: &[i32] = if call.asks[0] { &[1, 0] } else { &[1] };
        if call.asks[0] {
            samples.extend_from_within(..);
        }
        let outputs = network.answer(&samples, shape, call.told, labels)?;
        let predictions: Vec<&[f32]> = outputs.chunks(count).collect();
        host.give(&predictions)?;
    }
    Ok(host.result().context("a result")?.to_vec())
}

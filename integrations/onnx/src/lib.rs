//! tweedie's loop on the host around an ONNX network on the CPU.
//!
//! [`Network`] is what an application has of its own: a network in an engine that knows no wgpu. [`sample`] is the loop around it.
//! Everything elementwise happens on the host in f64; the network is given and gives slices of f32.

use anyhow::{Context, Result, ensure};
use rten::{Model, ValueOrView};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use tweedie::math::run::{HostLoop, Run, RunInputs};

/// The network of `network/make.py`: the best one for a rectified flow of normal data with two labels.
#[derive(Debug)]
pub struct Network {
    model: Model,
}

/// The deviation of its data.
pub const DEVIATION: f64 = 0.5;

/// The means of its data: without a condition, and with it.
pub const MEANS: [[f64; 4]; 2] = [[0.0; 4], [0.8, -0.4, 0.2, -0.9]];

impl Network {
    /// Reads the network.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn load() -> Result<Self> {
        Ok(Self { model: Model::load_static_slice(include_bytes!("../network/flow.onnx"))? })
    }

    /// The predictions for a batch of samples of this shape, one after the other, with a timestep and a label for each.
    ///
    /// # Errors
    /// Those of the engine, and a batch of another size than the labels.
    pub fn answer(
        &self,
        samples: &[f32],
        [channels, height, width]: [usize; 3],
        timestep: f64,
        labels: &[i32],
    ) -> Result<Vec<f32>> {
        let shape = [labels.len(), channels, height, width];
        ensure!(samples.len() == shape.iter().product::<usize>(), "expected {shape:?}, found {}", samples.len());
        let samples = NdTensor::from_data(shape, samples.to_vec());
        let timesteps = NdTensor::from_data([labels.len()], vec![timestep as f32; labels.len()]);
        let labels = NdTensor::from_data([labels.len()], labels.to_vec());
        let id = |name: &str| self.model.node_id(name);
        let inputs: Vec<(_, ValueOrView<'_>)> = vec![
            (id("sample")?, samples.view().into()),
            (id("timestep")?, timesteps.view().into()),
            (id("label")?, labels.view().into()),
        ];
        let [output] = self.model.run_n(inputs, [id("prediction")?], None)?;
        let output: NdTensor<f32, 4> = output.try_into()?;
        Ok(output.to_vec())
    }
}

/// Runs a loop around the network and returns the latent: with both predictions in one batch where guidance asks for them.
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

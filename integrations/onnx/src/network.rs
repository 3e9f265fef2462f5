//! A network in an engine without wgpu.

use anyhow::{Result, ensure};
use rten::{Model, ValueOrView};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

/// A network in rten that is given a timestep and a label for each sample: one from `network/make.py` or `network/digits.py`.
#[derive(Debug)]
pub struct Network {
    model: Model,
}

impl Network {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// Errors of the engine, and a file that lacks an input or the output.
    pub fn read(file: &[u8]) -> Result<Self> {
        let model = Model::load(file.to_vec())?;
        for name in ["sample", "timestep", "label", "prediction"] {
            ensure!(model.find_node(name).is_some(), "expected a network with `{name}`, found none");
        }
        Ok(Self { model })
    }

    /// Returns the predictions for a batch of samples of this shape, one after the other, with a timestep for all and a label for each.
    ///
    /// # Errors
    /// Errors of the engine, and another number of samples than labels.
    pub fn answer(&self, samples: &[f32], shape: [usize; 3], timestep: f64, labels: &[i32]) -> Result<Vec<f32>> {
        self.answer_each(samples, shape, &vec![timestep as f32; labels.len()], labels)
    }

    /// Returns the predictions for a batch of samples of this shape, one after the other, with a timestep and a label for each.
    ///
    /// # Errors
    /// As [`answer`](Self::answer), and another number of timesteps than labels.
    pub fn answer_each(
        &self,
        samples: &[f32],
        [channels, height, width]: [usize; 3],
        timesteps: &[f32],
        labels: &[i32],
    ) -> Result<Vec<f32>> {
        let shape = [labels.len(), channels, height, width];
        ensure!(samples.len() == shape.iter().product::<usize>(), "expected {shape:?}, found {}", samples.len());
        ensure!(timesteps.len() == labels.len(), "expected {} timesteps, found {}", labels.len(), timesteps.len());
        let samples = NdTensor::from_data(shape, samples.to_vec());
        let timesteps = NdTensor::from_data([labels.len()], timesteps.to_vec());
        let labels = NdTensor::from_data([labels.len()], labels.to_vec());
        let id = |name: &str| self.model.node_id(name);
        let inputs: Vec<(_, ValueOrView<'_>)> = vec![
            (id("sample")?, samples.view().into()),
            (id("timestep")?, timesteps.view().into()),
            (id("label")?, labels.view().into()),
        ];
        let [output] = self.model.run_n(inputs, [id("prediction")?], None)?;
        let output: NdTensor<f32, 4> = output.try_into()?;
        ensure!(output.shape() == shape, "expected predictions of {shape:?}, found {:?}", output.shape());
        Ok(output.to_vec())
    }
}

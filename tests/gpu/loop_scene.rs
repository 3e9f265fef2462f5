//! A run on buffers of its own, with a network for normally distributed data.

use crate::gaussian::{Gaussian, Output};
use crate::harness::Harness;
use crate::support::loops::gaussian_output;
use tweedie::math::run::{Node, Run, RunError, RunGrid, RunInputs, RunLoop, RunModel};
use tweedie::{Error, Loop, LoopCall, LoopNoise, LoopTensors, Shape, Storage, Tensor};

/// The mean and the deviation of each element of the data, for both predictions of the network.
pub struct Data {
    pub conditional: [Vec<f64>; 2],
    pub unconditional: [Vec<f64>; 2],
}

/// A run on its buffers.
pub struct Scene<'a> {
    pub harness: &'a Harness,
    pub run: &'a RunLoop,
    pub shape: Shape,
    pub data: &'a Data,
    pub x: wgpu::Buffer,
    pub input: wgpu::Buffer,
    pub outputs: wgpu::Buffer,
}

impl<'a> Scene<'a> {
    pub fn new(harness: &'a Harness, run: &'a RunLoop, shape: Shape, data: &'a Data) -> Self {
        let bytes = 4 * shape.total();
        let buffer = |name: &str, bytes: u64| harness.gpu.buffer(name, bytes);
        let (x, input, outputs) = (buffer("x", bytes), buffer("input", 2 * bytes), buffer("outputs", 512 + 2 * bytes));
        Self { harness, run, shape, data, x, input, outputs }
    }

    /// The byte offset of the second prediction where the two lie apart.
    pub fn apart(&self) -> u64 {
        (4 * self.shape.total()).next_multiple_of(256)
    }

    pub fn tensors(&self) -> LoopTensors<'_> {
        let [x, input, outputs] = [&self.x, &self.input, &self.outputs].map(Tensor::f32);
        LoopTensors { unconditional: Some(outputs.at(self.apart())), ..LoopTensors::new(x, input, outputs) }
    }

    pub fn recorded<'t>(&self, tensors: &LoopTensors<'t>, noise: impl Into<LoopNoise<'t>>) -> Loop {
        Loop::new(&self.harness.context, self.run, self.shape, tensors, noise).expect("a loop")
    }

    /// A network for each prediction.
    pub fn networks(&self, recorded: &Loop, second: u64) -> [Gaussian; 2] {
        let calls: Vec<LoopCall<'_>> = (0..recorded.calls()).filter_map(|k| recorded.call(k)).collect();
        let bytes = 4 * self.shape.total();
        [(0, &self.data.conditional), (second, &self.data.unconditional)].map(|(offset, [mean, deviation])| {
            let output = Output { buffer: &self.outputs, offset, bytes };
            Gaussian::new(self.harness, self.run, &calls, &self.input, &output, [mean, deviation])
        })
    }

    /// Runs a loop in one submit, and returns the result.
    pub fn run(&self, recorded: &Loop) -> Vec<f64> {
        let networks = self.networks(recorded, self.apart());
        let record = |encoder: &mut wgpu::CommandEncoder| {
            recorded.record(encoder, |encoder, call| -> Result<(), Error> {
                networks.iter().for_each(|network| network.record(encoder, call.index));
                Ok(())
            })
        };
        self.harness.gpu.submit(record).expect("device").expect("a recording");
        self.read(&self.x)
    }

    pub fn read(&self, buffer: &wgpu::Buffer) -> Vec<f64> {
        let all = Storage::F32.decode(&self.harness.read(buffer));
        all.into_iter().take(self.shape.total() as usize).map(f64::from).collect()
    }

    /// The same in f64 on the host.
    pub fn on_host(&self, inputs: &RunInputs<'_>) -> Vec<f64> {
        let record = self.run.drive::<RunError>(inputs, |ask| {
            let of = |[mean, deviation]: &[Vec<f64>; 2]| {
                gaussian_output(self.run.model(), ask.sigma, ask.x, [mean, deviation])
            };
            Ok([of(&self.data.conditional), of(&self.data.unconditional), Vec::new(), Vec::new()])
        });
        record.expect("a run").output
    }
}

pub fn upload(harness: &Harness, values: &[f64]) -> wgpu::Buffer {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    harness.gpu.upload("values", bytemuck::cast_slice(&values))
}

pub fn small_run(sampler: &str) -> Run {
    Run {
        model: Some(RunModel::named("sd15").expect("a model")),
        sampler: Some(sampler.to_owned()),
        grid: Some(RunGrid::Scheduler(Node::named("karras"))),
        steps: Some(6),
        seed: Some(9),
        ..Run::default()
    }
}

pub fn small_data() -> Data {
    Data { conditional: [vec![0.3, -0.4], vec![0.6, 0.8]], unconditional: [vec![0.0, 0.2], vec![1.0, 0.9]] }
}

pub const SMALL: Shape = Shape::new(2, 20);

pub fn small_inputs() -> RunInputs<'static> {
    RunInputs { shape: &[2, 20], ..RunInputs::default() }
}

//! One sample at many noise levels at once: noised, predicted with an error, and recovered. The batch has a sample for each
//! level.

use crate::engine::{Adapter, front_failure, plan_failure};
use crate::report::{Failure, Outcome};
use crate::study::measurement::root_mean_square;
use anyhow::anyhow;
use tweedie::gpu::{Drawn, Map, Noise, NoiseKey, Plan, Recording, Timesteps};
use tweedie::math::NoiseLevel;
use tweedie::table::Table;
use tweedie::{Conversion, Noising, OnUndefined, Quantity, Schedule, Shape, Storage, Tensor};

/// A batch on the GPU, in the storage of the adapter.
pub struct Batch<'a> {
    pub adapter: &'a Adapter,
    pub shape: Shape,
    /// The levels as a schedule of their own, so that a quantity need exist at these levels only.
    pub schedule: Schedule,
    pub key: NoiseKey,
    /// 0, 1, 2, ..: the level of each sample.
    pub levels: Vec<u32>,
    rows: wgpu::Buffer,
    /// One sample, which every sample of the batch reads.
    x0: wgpu::Buffer,
    pub x_t: wgpu::Buffer,
}

/// A quantity and the buffer that holds it.
pub type Held<'b> = (Quantity, &'b wgpu::Buffer);

impl<'a> Batch<'a> {
    pub fn new(adapter: &'a Adapter, x0: &[f32], levels: &[NoiseLevel], key: NoiseKey) -> Outcome<Self> {
        let schedule = Schedule::from_levels(levels).map_err(|error| Failure::input(anyhow!(error)))?;
        let shape = Shape::new(levels.len() as u32, x0.len() as u32);
        let levels: Vec<u32> = (0..shape.batch).collect();
        Ok(Self {
            adapter,
            shape,
            schedule,
            key,
            rows: adapter.gpu.upload("tweedie-cli::rows", bytemuck::cast_slice(&levels)),
            levels,
            x0: adapter.upload("tweedie-cli::x0", x0),
            x_t: adapter.buffer("tweedie-cli::x_t", shape.total()),
        })
    }

    /// Writes x_t, and returns the noise that is in it.
    pub fn draw(&self) -> Outcome<Vec<f32>> {
        let noise = self.adapter.gpu.buffer("tweedie-cli::noise", self.shape.total() * Storage::F32.bytes());
        if let Some(plan) = self.noising(Some(Tensor::f32(&noise)), None)? {
            self.run(&plan)?;
        }
        Ok(Storage::F32.decode(&self.adapter.download_as(Storage::F32, &noise, self.shape.total())?))
    }

    /// A plan that writes x_t and perhaps a target, from noise drawn in the kernel and perhaps kept. None where the target
    /// does not exist at every level.
    pub fn noising(&self, keep: Option<Tensor<'_>>, target: Option<Held<'_>>) -> Outcome<Option<Plan>> {
        let x_t = (Quantity::Xt, self.adapter.tensor(&self.x_t));
        let outputs: Vec<_> = std::iter::once(x_t).chain(target.map(|target| self.held(target))).collect();
        let noising = Noising {
            schedule: &self.schedule,
            shape: self.shape,
            timesteps: Timesteps::per_sample(&self.rows),
            x0: self.adapter.tensor(&self.x0).stride(0),
            epsilon: Noise::Drawn(Drawn { keep, ..Drawn::new(self.key) }),
            outputs: &outputs,
        };
        match noising.plan(&self.adapter.context) {
            Ok(plan) => Ok(Some(plan)),
            Err(tweedie::Error::Undefined(_)) => Ok(None),
            Err(error) => Err(front_failure(error)),
        }
    }

    /// Writes a prediction: the target, whose values are `clean`, plus noise of `error` times the root mean square of each sample.
    /// This is a map with the row `(1, size)` for each sample.
    pub fn predict(
        &self,
        error: f64,
        clean: &[f32],
        [target, prediction]: [&wgpu::Buffer; 2],
        key: NoiseKey,
    ) -> Outcome {
        let size = |sample: &[f32]| error * root_mean_square(sample.iter().map(|&value| f64::from(value)));
        let samples = clean.chunks(self.shape.elements as usize);
        let table = Table::new(samples.map(|sample| [[1.0, size(sample)], [0.0, 0.0]]));
        let map = Map {
            table: &table,
            shape: self.shape,
            timesteps: Timesteps::per_sample(&self.rows),
            in0: Some(self.adapter.tensor(target)),
            in1: Noise::Drawn(Drawn::new(key)),
            out0: self.adapter.tensor(prediction),
            out1: None,
        };
        self.run(&map.plan(&self.adapter.context).map_err(plan_failure)?)
    }

    /// A plan that converts a prediction to one or two quantities; NaN where the prediction does not determine them.
    pub fn conversion(&self, prediction: Held<'_>, outputs: &[Held<'_>]) -> Outcome<Plan> {
        let outputs: Vec<_> = outputs.iter().map(|&output| self.held(output)).collect();
        let conversion = Conversion {
            schedule: &self.schedule,
            shape: self.shape,
            timesteps: Timesteps::per_sample(&self.rows),
            x_t: self.adapter.tensor(&self.x_t),
            prediction: self.held(prediction),
            outputs: &outputs,
            on_undefined: OnUndefined::Nan,
        };
        conversion.plan(&self.adapter.context).map_err(front_failure)
    }

    fn held<'b>(&self, (quantity, buffer): Held<'b>) -> (Quantity, Tensor<'b>) {
        (quantity, self.adapter.tensor(buffer))
    }

    pub fn run(&self, plan: &Plan) -> Outcome {
        self.adapter.run(plan, Recording::per_sample())
    }

    pub fn buffer(&self, label: &str) -> wgpu::Buffer {
        self.adapter.buffer(label, self.shape.total())
    }

    /// The elements of every sample, one after the other.
    pub fn read(&self, buffer: &wgpu::Buffer) -> Outcome<Vec<f32>> {
        let mut values = self.adapter.storage.decode(&self.adapter.download(buffer, self.shape.total())?);
        values.truncate(self.shape.total() as usize);
        Ok(values)
    }

    /// One sample of what was read.
    pub fn sample<'v>(&self, values: &'v [f32], index: usize) -> &'v [f32] {
        let elements = self.shape.elements as usize;
        &values[index * elements..(index + 1) * elements]
    }
}

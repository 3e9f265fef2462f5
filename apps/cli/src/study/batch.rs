//! The data at many noise levels at once: a sample of the batch for each level.

use super::data::Data;
use crate::engine::{Adapter, front_failure, gpu_failure};
use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use tweedie::gpu::{At, Drawn, MapPlan, NoiseKey, Second, Timesteps};
use tweedie::math::NoiseLevel;
use tweedie::{Diffusion, Named, Noising, Quantity, Schedule, Shape, Storage, Tensor};

/// The levels of a batch: as many as keep its tensors at some tens of megabytes.
pub const LEVELS: usize = 32;

/// On the GPU, in the storage of the adapter.
pub struct Batch<'a> {
    pub adapter: &'a Adapter,
    pub shape: Shape,
    /// The levels as a schedule of their own: what is not measured need not exist.
    pub diffusion: Diffusion,
    pub key: NoiseKey,
    /// 0, 1, 2, ..: the level of each sample.
    pub rows: wgpu::Buffer,
    /// One sample, which every sample of the batch reads.
    x0: wgpu::Buffer,
    pub x_t: wgpu::Buffer,
}

impl<'a> Batch<'a> {
    pub fn new(adapter: &'a Adapter, data: &Data, levels: &[NoiseLevel], key: NoiseKey) -> Outcome<Self> {
        let schedule = Schedule::from_levels(levels).map_err(|error| Failure::input(anyhow!(error)))?;
        let shape = Shape::new(levels.len() as u32, data.chosen.len() as u32);
        let rows: Vec<u32> = (0..shape.batch).collect();
        Ok(Self {
            adapter,
            shape,
            diffusion: Diffusion::new(schedule),
            key,
            rows: adapter.gpu.upload("study::rows", bytemuck::cast_slice(&rows)),
            x0: adapter.upload("study::x0", &data.chosen),
            x_t: adapter.buffer("study::x_t", shape.total()),
        })
    }

    /// Writes x_t, and returns the noise that is in it.
    pub fn draw(&self) -> Outcome<Vec<f32>> {
        let noise = self.adapter.gpu.buffer("study::noise", self.shape.total() * Storage::F32.bytes());
        self.noise(Some(Tensor::f32(&noise)), None)?;
        let bytes = pollster::block_on(self.adapter.gpu.download(&noise, 0..noise.size())).map_err(gpu_failure)?;
        Ok(Storage::F32.decode(&bytes))
    }

    /// Writes x_t and a target, from the same noise. Returns whether the target exists at every level.
    pub fn target(&self, quantity: Quantity, buffer: &wgpu::Buffer) -> Outcome<bool> {
        self.noise(None, Some((quantity, self.adapter.tensor(buffer))))
    }

    fn noise(&self, keep: Option<Tensor<'_>>, second: Option<Named<'_>>) -> Outcome<bool> {
        let drawn = Drawn { keep, ..Drawn::new(self.key) };
        let noising = Noising {
            shape: self.shape,
            timesteps: Timesteps::per_sample(&self.rows),
            x0: self.adapter.tensor(&self.x0).stride(0),
            epsilon: Second::Drawn(drawn),
            first: (Quantity::Xt, self.adapter.tensor(&self.x_t)),
            second,
        };
        match self.diffusion.noising(&self.adapter.context, &noising) {
            Ok(plan) => self.run(&plan).map(|()| true),
            Err(tweedie::Error::Undefined(_)) => Ok(false),
            Err(error) => Err(front_failure(error)),
        }
    }

    pub fn run(&self, plan: &MapPlan) -> Outcome {
        self.adapter.run(plan, At::per_sample())
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

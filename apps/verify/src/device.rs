//! A device as the checks use it: it uploads tensors in one storage, and reads them back.

use crate::Outcome;
use tweedie::gpu::Plan;
use tweedie::gpu::Recording;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::headless::Gpu;
use tweedie::{Context, Storage, Tensor, wgpu};

/// A tensor that was computed, and how large its errors may be.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    pub storage: Storage,
    pub buffer: &'a wgpu::Buffer,
    /// Roundings, in units of those of a sum of two products.
    pub roundings: f64,
    /// The largest coefficient of drawn noise; 0 without any.
    pub noise: f64,
}

/// A device and the storage to use on it.
#[derive(Clone, Copy)]
pub struct Device<'a> {
    pub gpu: &'a Gpu,
    pub context: &'a Context,
    pub storage: Storage,
}

impl Device<'_> {
    pub fn upload(&self, label: &str, values: &[f32]) -> wgpu::Buffer {
        self.gpu.upload(label, &self.storage.encode(values))
    }

    pub fn buffer(&self, label: &str, elements: u64) -> wgpu::Buffer {
        self.gpu.buffer(label, elements * self.storage.bytes())
    }

    pub fn tensor<'a>(&self, buffer: &'a wgpu::Buffer) -> Tensor<'a> {
        Tensor::new(buffer, self.storage)
    }

    /// Reads the numbers of a tensor, once all submitted work is done.
    pub async fn read(&self, storage: Storage, buffer: &wgpu::Buffer, elements: u64) -> Outcome<Vec<f32>> {
        let length = elements * storage.bytes();
        let mut bytes = self.gpu.download(buffer, 0..length.next_multiple_of(4)).await?;
        bytes.truncate(length as usize); // without the padding of its buffer
        Ok(storage.decode(&bytes))
    }

    /// Compares a tensor with what is expected of it.
    pub async fn compare(&self, found: Found<'_>, exact: &[Expected]) -> Outcome<Comparison> {
        let Found { storage, buffer, roundings, noise } = found;
        let allowed = |exact: &Expected| Expected { magnitude: roundings * exact.magnitude, ..*exact };
        let mut comparison = Comparison::new(storage).with_noise(noise);
        let found = self.read(storage, buffer, exact.len() as u64).await?;
        comparison.add_all(&found, &exact.iter().map(allowed).collect::<Vec<_>>());
        Ok(comparison)
    }

    pub fn run(&self, plan: &Plan, at: Recording) -> Outcome {
        let record = |encoder: &mut wgpu::CommandEncoder| {
            plan.record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()), at)
        };
        Ok(self.gpu.submit(record)??)
    }
}

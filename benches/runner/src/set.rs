//! The buffers of a row, several sets of them.
//!
//! What was just read or written lies in a cache, so every run takes the next set. The sets together exceed any cache, unless
//! there is too little memory.

use crate::ops::Op;
use crate::units;
use anyhow::Result;
use tweedie::gpu::{Context, Drawn, Noise, NoiseKey, Plan, Recording, Timesteps};
use tweedie::headless::Gpu;
use tweedie::{Shape, Storage, Tensor};

/// Bytes that all sets together should exceed: more than the last-level cache of today's processors and GPUs.
const BEYOND_CACHES: u64 = 256 << 20;
/// Bytes that the sets of one row may take.
const MOST_MEMORY: u64 = 4 << 30;
/// The most sets, of small tensors. More would take long to make.
const MOST_SETS: u64 = 512;
/// Bytes of a set for each sample besides the tensors: its timestep and its loss.
pub const PER_SAMPLE: u64 = 8;
/// Steps of the schedule. Timesteps are drawn from `1..STEPS`, as in the PyTorch script.
pub const STEPS: u32 = 1000;

/// The tensors of one run of an op.
#[derive(Debug)]
pub struct Set {
    /// The batch that each tensor holds.
    pub shape: Shape,
    /// Room for an f32 for each sample.
    pub losses: wgpu::Buffer,
    storage: Storage,
    timesteps: wgpu::Buffer,
    inputs: Vec<wgpu::Buffer>,
    outputs: Vec<wgpu::Buffer>,
}

impl Set {
    /// Makes inputs of standard normal numbers, outputs, and a timestep for each sample.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn new(gpu: &Gpu, context: &Context, op: &Op, shape: Shape, storage: Storage, seed: u64) -> Result<Self> {
        let set = Self::empty(&gpu.device, op, shape, storage);
        gpu.queue.write_buffer(&set.timesteps, 0, bytemuck::cast_slice(&timesteps(shape.batch, seed)));
        gpu.check()?;
        for (stream, input) in (0..).zip(&set.inputs) {
            let noise = Drawn::new(NoiseKey::seed(seed).stream(stream));
            let fill = Plan::fill(context, shape, noise, Tensor::new(input, storage))?;
            gpu.submit(|encoder| fill.encode(encoder, Recording::timestep(0)))??;
        }
        Ok(set)
    }

    /// Makes the buffers alone, with nothing in them.
    pub fn empty(device: &wgpu::Device, op: &Op, shape: Shape, storage: Storage) -> Self {
        let buffer = |label: &str, bytes: u64| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            let size = bytes.next_multiple_of(4).max(4);
            device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
        };
        let bytes = shape.total() * storage.bytes();
        let per_sample = Storage::F32.bytes() * u64::from(shape.batch);
        let tensors = |label: &str, count: usize| (0..count).map(|_| buffer(label, bytes)).collect();
        Self {
            shape,
            storage,
            timesteps: buffer("tweedie-bench::timesteps", per_sample),
            losses: buffer("tweedie-bench::losses", per_sample),
            inputs: tensors("tweedie-bench::input", op.reads),
            outputs: tensors("tweedie-bench::output", op.writes),
        }
    }

    /// A tensor that the op reads.
    pub fn input(&self, index: usize) -> Tensor<'_> {
        Tensor::new(&self.inputs[index], self.storage)
    }

    /// A tensor that the op writes.
    pub fn output(&self, index: usize) -> Tensor<'_> {
        Tensor::new(&self.outputs[index], self.storage)
    }

    /// An input that is noise.
    pub fn noise(&self, index: usize) -> Noise<'_> {
        Noise::Tensor(self.input(index))
    }

    /// The buffer of the timesteps, one `u32` a sample.
    pub fn timestep_buffer(&self) -> &wgpu::Buffer {
        &self.timesteps
    }

    /// The timestep of each sample.
    pub fn timesteps(&self) -> Timesteps<'_> {
        Timesteps::per_sample(&self.timesteps)
    }
}

/// Draws a timestep for each sample, in 1..STEPS.
fn timesteps(batch: u32, seed: u64) -> Vec<u32> {
    let key = NoiseKey::seed(seed);
    (0..batch).map(|sample| 1 + key.words_of(0, sample.into())[0] % (STEPS - 1)).collect()
}

/// Returns how many sets of this many bytes to make: the `wanted` number or the usual one, as far as they fit into memory.
///
/// # Errors
/// The reason why none fits, in words.
pub fn count(bytes: u64, memory: u64, wanted: Option<u64>) -> Result<u64, String> {
    let fit = memory / bytes.max(1);
    if fit == 0 {
        return Err(format!("takes {} of buffers, and {} is the limit", units::bytes(bytes), units::bytes(memory)));
    }
    Ok(wanted.unwrap_or((BEYOND_CACHES / bytes.max(1) + 1).clamp(2, MOST_SETS)).min(fit))
}

/// Returns the number of bytes that the buffers of one row may take.
///
/// wgpu does not report how much memory a GPU has. A software driver uses the system's, of which half is left alone.
pub fn memory(info: &wgpu::AdapterInfo) -> u64 {
    let software = info.device_type == wgpu::DeviceType::Cpu;
    let free = if software { std::fs::read_to_string("/proc/meminfo").ok() } else { None };
    free.and_then(|text| available(&text)).map_or(MOST_MEMORY, |bytes| MOST_MEMORY.min(bytes / 2))
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_exceed_caches_and_fit_memory() {
        let memory = 4 << 30;
        let of = |bytes| count(bytes, memory, None);
        assert_eq!(of(100 << 10), Ok(512));
        assert_eq!(of(6 << 20), Ok(43));
        assert_eq!(of(300 << 20), Ok(2));
        assert_eq!(of(3 << 30), Ok(1));
        assert_eq!(of(5 << 30).unwrap_err(), "takes 5 GiB of buffers, and 4 GiB is the limit");
        assert_eq!(count(6 << 20, memory, Some(1)), Ok(1));
        assert_eq!(count(1 << 30, memory, Some(7)), Ok(4));
    }

    #[test]
    fn timesteps_are_in_range_and_differ() {
        let drawn = timesteps(10_000, 7);
        assert!(drawn.iter().all(|t| (1..STEPS).contains(t)));
        assert!((1..STEPS).filter(|t| drawn.contains(t)).count() > 950);
        assert_ne!(drawn, timesteps(10_000, 8));
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available("MemFree: 1 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemAvailable: x"), None);
    }
}

//! The buffers of a row, several sets of them.
//!
//! What was just read or written lies in a cache, so every run takes the next set. There are enough sets to exceed any
//! cache, and fewer where memory does not suffice.

use super::ops::Op;
use crate::engine::gpu_failure;
use crate::report::{Failure, Outcome};
use anyhow::anyhow;
use tweedie::gpu::{At, Context, Drawn, MapPlan, NoiseKey};
use tweedie::headless::Gpu;
use tweedie::{Shape, Storage, Tensor};

/// Bytes that all sets together should exceed: more than the last cache of today's processors and GPUs.
const BEYOND_CACHES: u64 = 256 << 20;
/// Buffers of one run, all sets together.
const MOST_MEMORY: u64 = 4 << 30;
/// Sets of small tensors: so many that making them stays short.
const MOST_SETS: u64 = 512;
/// Bytes of a set for each sample beside the tensors: its timestep and its loss.
pub const PER_SAMPLE: u64 = 8;
/// Steps of the schedule; timesteps are drawn from 1 to this, as the PyTorch script does.
pub const STEPS: u32 = 1000;

/// The tensors of one run of an op.
#[derive(Debug)]
pub struct Set {
    pub shape: Shape,
    pub storage: Storage,
    pub timesteps: wgpu::Buffer,
    /// Room for an f32 of each sample.
    pub losses: wgpu::Buffer,
    inputs: Vec<wgpu::Buffer>,
    outputs: Vec<wgpu::Buffer>,
}

impl Set {
    /// Inputs of standard normal numbers, outputs, and a timestep for each sample.
    pub fn new(gpu: &Gpu, context: &Context, op: &Op, shape: Shape, storage: Storage, seed: u64) -> Outcome<Self> {
        let bytes = shape.total() * storage.bytes();
        let buffers =
            |label: &str, count: usize| (0..count).map(|_| gpu.buffer(label, bytes)).collect::<Vec<wgpu::Buffer>>();
        let timesteps = timesteps(shape.batch, seed);
        let set = Self {
            shape,
            storage,
            timesteps: gpu.upload("tweedie-cli::timesteps", bytemuck::cast_slice(&timesteps)),
            losses: gpu.buffer("tweedie-cli::losses", Storage::F32.bytes() * u64::from(shape.batch)),
            inputs: buffers("tweedie-cli::input", op.reads),
            outputs: buffers("tweedie-cli::output", op.writes),
        };
        gpu.check().map_err(gpu_failure)?;
        for (stream, input) in (0..).zip(&set.inputs) {
            let noise = Drawn::new(NoiseKey::seed(seed).stream(stream));
            let fill = MapPlan::fill(context, shape, noise, Tensor::new(input, storage));
            let fill = fill.map_err(|error| Failure::gpu(anyhow!(error)))?;
            let filled = gpu.submit(|encoder| fill.encode(encoder, At::timestep(0))).map_err(gpu_failure)?;
            filled.map_err(|error| Failure::gpu(anyhow!(error)))?;
        }
        Ok(set)
    }

    pub fn input(&self, index: usize) -> Tensor<'_> {
        Tensor::new(&self.inputs[index], self.storage)
    }

    pub fn output(&self, index: usize) -> Tensor<'_> {
        Tensor::new(&self.outputs[index], self.storage)
    }
}

/// A timestep for each sample, in 1..STEPS.
fn timesteps(batch: u32, seed: u64) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        1 + (state >> 33) as u32 % (STEPS - 1)
    };
    (0..batch).map(|_| next()).collect()
}

/// How many sets of so many bytes to make, if no number is `wanted`; or why none fits.
pub fn sets(bytes: u64, memory: u64, wanted: Option<u64>) -> Result<u64, String> {
    let fit = memory / bytes.max(1);
    if fit == 0 {
        return Err(format!("takes {} of buffers, and {} is the limit", mebibytes(bytes), mebibytes(memory)));
    }
    Ok(wanted.unwrap_or((BEYOND_CACHES / bytes.max(1) + 1).clamp(2, MOST_SETS)).min(fit))
}

/// Bytes that the buffers of one row may take.
///
/// wgpu does not tell how much memory a GPU has; a software driver has what the system has, of which half is left alone.
pub fn memory(info: &wgpu::AdapterInfo) -> u64 {
    let software = info.device_type == wgpu::DeviceType::Cpu;
    let free = if software { std::fs::read_to_string("/proc/meminfo").ok() } else { None };
    free.and_then(|text| available(&text)).map_or(MOST_MEMORY, |bytes| MOST_MEMORY.min(bytes / 2))
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// For people.
pub fn mebibytes(bytes: u64) -> String {
    let unit = if bytes >= 1 << 20 { 20 } else { 10 };
    let number = bytes as f64 / f64::from(1 << unit);
    let decimals = if number < 10.0 && number.fract() > 0.01 { 1 } else { 0 };
    format!("{number:.decimals$} {}", if unit == 20 { "MiB" } else { "KiB" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_exceed_caches_and_fit_memory() {
        let memory = 4 << 30;
        let of = |bytes| sets(bytes, memory, None);
        assert_eq!(of(100 << 10), Ok(512));
        assert_eq!(of(6 << 20), Ok(43));
        assert_eq!(of(300 << 20), Ok(2));
        assert_eq!(of(3 << 30), Ok(1));
        assert!(of(5 << 30).unwrap_err().contains("5120 MiB"));
        assert_eq!(sets(6 << 20, memory, Some(1)), Ok(1));
        assert_eq!(sets(1 << 30, memory, Some(7)), Ok(4));
    }

    #[test]
    fn timesteps_are_in_range_and_differ() {
        let drawn = timesteps(10_000, 7);
        assert!(drawn.iter().all(|t| (1..STEPS).contains(t)));
        assert!((1..STEPS).filter(|t| drawn.contains(t)).count() > 950);
        assert_ne!(drawn, timesteps(10_000, 8));
    }

    #[test]
    fn bytes_are_told_in_few_digits() {
        let told = [192 << 10, 3 << 19, 3 << 20, 5 << 30].map(mebibytes);
        assert_eq!(told, ["192 KiB", "1.5 MiB", "3 MiB", "5120 MiB"]);
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available("MemFree: 1 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemAvailable: x"), None);
    }
}

//! The batches, losses and norms of a run in PyTorch, as written by `continue.py` in this folder.

use anyhow::{Context as _, Result, ensure};
use bytemuck::{Pod, pod_collect_to_vec};
use digits::architecture::PIXELS;
use safetensors::{Dtype, SafeTensors};

/// The norm of all gradients above which `train.py` scales them down; the training in Burn does not.
const LIMIT: f32 = 1.0;

/// The inputs of each step of a training, and its losses and norms.
#[derive(Clone, Debug)]
pub struct Batches {
    /// Pictures of a step.
    pub size: usize,
    /// The seed of the noise; each step has a stream of it.
    pub seed: u64,
    /// Clean pictures, all steps in one.
    x0: Vec<f32>,
    timesteps: Vec<i32>,
    labels: Vec<i32>,
    /// The learning rate of each step.
    pub rates: Vec<f64>,
    /// PyTorch's loss of each step.
    pub losses: Vec<f32>,
    /// PyTorch's norm of all gradients together, of each step.
    pub norms: Vec<f32>,
    /// PyTorch's version.
    pub torch: String,
    /// PyTorch's mean seconds of a step.
    pub seconds: f64,
}

/// The inputs of one step.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    pub x0: &'a [f32],
    pub timesteps: &'a [i32],
    /// The digits, or no class for those that were dropped.
    pub labels: &'a [i32],
    pub rate: f64,
}

impl Batches {
    /// Reads a file written by `continue.py`.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes)?;
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let about = header.metadata().clone().unwrap_or_default();
        let word =
            |name: &str| about.get(name).with_context(|| format!("expected `{name}` in the metadata, found none"));
        let [steps, size] = file.tensor("t")?.shape()[..] else {
            anyhow::bail!("t: expected a shape of steps and pictures, found {:?}", file.tensor("t")?.shape())
        };
        let norms: Vec<f32> = numbers(&file, "norms", Dtype::F32, steps)?;
        let largest = norms.iter().copied().fold(0.0, f32::max);
        ensure!(largest <= LIMIT, "expected gradients that PyTorch did not scale down, found a norm of {largest}");
        Ok(Self {
            size,
            seed: word("seed")?.parse()?,
            x0: numbers(&file, "x0", Dtype::F32, steps * size * PIXELS as usize)?,
            timesteps: numbers(&file, "t", Dtype::I32, steps * size)?,
            labels: numbers(&file, "labels", Dtype::I32, steps * size)?,
            rates: numbers(&file, "rates", Dtype::F64, steps)?,
            losses: numbers(&file, "losses", Dtype::F32, steps)?,
            norms,
            torch: word("torch")?.clone(),
            seconds: word("seconds")?.parse()?,
        })
    }

    /// The number of steps.
    pub const fn steps(&self) -> usize {
        self.rates.len()
    }

    /// The batch of a step below [`steps`](Self::steps).
    pub fn at(&self, step: usize) -> Batch<'_> {
        let (pictures, pixels) = (self.size, self.size * PIXELS as usize);
        Batch {
            x0: &self.x0[step * pixels..][..pixels],
            timesteps: &self.timesteps[step * pictures..][..pictures],
            labels: &self.labels[step * pictures..][..pictures],
            rate: self.rates[step],
        }
    }
}

fn numbers<T: Pod>(file: &SafeTensors<'_>, name: &str, dtype: Dtype, count: usize) -> Result<Vec<T>> {
    let view = file.tensor(name).with_context(|| name.to_owned())?;
    ensure!(view.dtype() == dtype, "{name}: expected {dtype}, found {}", view.dtype());
    let found = view.shape().iter().product::<usize>();
    ensure!(found == count, "{name}: expected {count} numbers, found the shape {:?}", view.shape());
    Ok(pod_collect_to_vec(view.data()))
}

//! The numbers that are drawn and computed in a step, in a file for each step and process.

use crate::share::Share;
use crate::trainer::{Drawings, Trainer};
use anyhow::{Context as _, Result};
use files::TensorWriter;
use safetensors::Dtype;
use std::path::Path;

/// Writes the numbers of this process's samples in step `k`, and the summed gradient, which all processes have.
pub fn write(folder: &Path, trainer: &Trainer, share: Share, k: u32, gradient: &[f32]) -> Result<()> {
    let Drawings { timesteps, noise, x_t, losses, loss_gradient } = trainer.drawings(k)?;
    let samples = share.count as usize;
    let mut file = TensorWriter::new();
    file.raw("timesteps", Dtype::U32, &[samples], timesteps.iter().flat_map(|t| t.to_le_bytes()).collect())?;
    let mut floats = |name, shape: &[usize], numbers: &[f32]| {
        file.raw(name, Dtype::F32, shape, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    };
    floats("noise", &[samples, 2], &noise)?;
    floats("x_t", &[samples, 2], &x_t)?;
    floats("losses", &[samples], &losses)?;
    floats("loss_gradient", &[samples, 2], &loss_gradient)?;
    floats("weight_gradient", &[gradient.len()], gradient)?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    file.save(&folder.join(format!("step{k:05}_sample{:05}.safetensors", share.first)))
}

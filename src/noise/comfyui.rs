//! The noise of a ComfyUI run: the start noise, and the noise of the steps.
//!
//! **Theory.** The start noise is one f32 draw of torch's [CPU generator](super::torch_cpu) for the whole latent. Where the
//! latent has a batch index, samples are drawn one at a time up to the largest index, and those that the index names are
//! kept. Samplers that draw noise in each step have a generator of their own, on the device of the latent. On a CPU its seed is
//! that of the run plus 1, and each request is one draw for the whole batch.
//!
//! **Practice.** SDE samplers use the [Brownian tree](super::brownian_tree) instead. Churn and `heunpp2` continue with the
//! generator of the start noise: [`ComfyNoise::global`].

use super::dtype::Dtype;
use super::error::{NoiseError, check_size};
use super::torch_cpu::TorchCpu;

/// The two random generators of a ComfyUI run: one for the start noise, one for the steps.
///
/// ```
/// use tweedie::noise::ComfyNoise;
///
/// let mut noise = ComfyNoise::new(42);
/// let start = noise.start(&[1, 4, 8, 8])?;
/// let step = noise.step(&[1, 4, 8, 8])?; // the first request of an ancestral sampler
/// assert_ne!(start, step);
/// # Ok::<(), tweedie::noise::NoiseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ComfyNoise {
    start: TorchCpu,
    steps: TorchCpu,
}

impl ComfyNoise {
    /// Creates the generators of a seed, for a latent on the CPU.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { start: TorchCpu::new(seed), steps: TorchCpu::new(seed.wrapping_add(1)) }
    }

    /// Draws the start noise of a latent.
    ///
    /// # Errors
    /// [`NoiseError::TooLarge`] for a shape of more elements than a draw may have.
    pub fn start(&mut self, shape: &[usize]) -> Result<Vec<f64>, NoiseError> {
        Ok(self.start.normals(check_size(shape)?, Dtype::F32))
    }

    /// Draws the start noise of a latent whose samples have these indices in a larger batch.
    ///
    /// # Errors
    /// [`NoiseError::Count`] unless there is one index per sample; [`NoiseError::TooLarge`], which also counts the samples that
    /// are drawn and discarded.
    pub fn start_at(&mut self, shape: &[usize], batch_index: &[usize]) -> Result<Vec<f64>, NoiseError> {
        check_size(shape)?;
        let (batch, sample) = shape.split_first().map_or((1, shape), |(&batch, sample)| (batch, sample));
        if batch_index.len() != batch {
            return Err(NoiseError::Count { what: "batch indices", expected: batch, found: batch_index.len() });
        }
        let elements = check_size(sample)?;
        let drawn = batch_index.iter().max().map_or(0, |last| last.saturating_add(1));
        check_size(&[drawn, elements.max(1)])?;
        let all: Vec<f64> = (0..drawn).flat_map(|_| self.start.normals(elements, Dtype::F32)).collect();
        let sample = |&index: &usize| all.chunks_exact(elements.max(1)).nth(index);
        Ok(batch_index.iter().filter_map(sample).flatten().copied().collect())
    }

    /// Draws the next noise that a sampler asks for between two steps.
    ///
    /// # Errors
    /// [`NoiseError::TooLarge`] for a shape of more elements than a draw may have.
    pub fn step(&mut self, shape: &[usize]) -> Result<Vec<f64>, NoiseError> {
        Ok(self.steps.normals(check_size(shape)?, Dtype::F32))
    }

    /// Both generators: that of the start noise and that of the steps.
    pub(super) const fn generators(&self) -> [&TorchCpu; 2] {
        [&self.start, &self.steps]
    }

    /// The generator of the start noise, with which churn and `heunpp2` continue.
    pub const fn global(&mut self) -> &mut TorchCpu {
        &mut self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_index_skips_samples() {
        let whole = ComfyNoise::new(1).start(&[4, 16]).unwrap();
        let part = ComfyNoise::new(1).start_at(&[3, 16], &[3, 1, 3]).unwrap();
        assert_eq!(part, [&whole[48..], &whole[16..32], &whole[48..]].concat());
    }

    #[test]
    fn steps_have_the_next_seed() {
        let steps = ComfyNoise::new(u64::MAX).step(&[20]).unwrap();
        assert_eq!(steps, TorchCpu::new(0).normals(20, Dtype::F32));
    }

    #[test]
    fn bad_indices_are_refused() {
        let refused =
            |shape: &[usize], index: &[usize]| ComfyNoise::new(0).start_at(shape, index).unwrap_err().to_string();
        assert_eq!(refused(&[2, 4], &[0]), "expected 2 batch indices, one per sample, found 1");
        assert!(refused(&[1, 4], &[usize::MAX]).contains("at most"));
        assert!(refused(&[usize::MAX, 4], &[0]).contains("at most"));
        assert!(ComfyNoise::new(0).start_at(&[0, 4], &[]).unwrap().is_empty());
        assert!(ComfyNoise::new(0).start_at(&[1, 0], &[1 << 20]).unwrap().is_empty());
    }
}

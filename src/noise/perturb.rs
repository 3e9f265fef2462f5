//! Offset noise and input perturbation.
//!
//! **Theory.** Both are drawn in addition to the noise `eps` of a training sample, and both change the target:
//! ```text
//! eps' = eps + offset*o        o: one normal for each channel of a sample
//! x_t  = alpha*x0 + sigma*(eps' + input*xi)
//! ```
//! *Offset noise* (Guttenberg 2023, "Diffusion with offset noise"; `offset` about 0.1): the target is made of `eps'`,
//! whose covariance within a channel is `1 + offset^2` on the diagonal and `offset^2` off it. The network learns to
//! predict that noise, which lets it move the mean of an image; `-eps'/sigma` is no longer the score of white noise.
//!
//! *Input perturbation* (Ning et al. 2023, arXiv 2301.11706, section 4; `input` about 0.1): the target does not contain
//! `xi`, only `x_t` does. It trains the network on inputs with errors like those of its own samples. Given this `x_t`,
//! an exact epsilon no longer gives the exact x0; the difference is `sigma*input*xi/alpha`.
//!
//! **Practice.** [`PerturbedNoise`] holds both noises: `target` for the target, `input` for `x_t`. A loss row against
//! `(x0, epsilon)` takes the first: it compares the prediction with the target and does not read `x_t`.

use super::{NoiseKey, OFFSET_BLOCK, PERTURBATION_BLOCK};

/// Noise that is added to the noise of a training sample, in units of its standard deviation; 0 adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Perturbation {
    /// The factor of one normal per channel (offset noise), which is part of the target too.
    pub offset: f64,
    /// The factor of a second noise (input perturbation), which is part of the network's input only.
    pub input: f64,
}

/// The noise of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PerturbedNoise {
    /// The noise of the target.
    pub target: Vec<f64>,
    /// The noise of `x_t`.
    pub input: Vec<f64>,
}

impl Perturbation {
    /// Returns the noise of a sample of `channels` times `size` elements, channel after channel, given its global index.
    #[must_use]
    pub fn noise(self, key: NoiseKey, sample: u64, channels: usize, size: usize) -> PerturbedNoise {
        let elements = channels.saturating_mul(size);
        let white = key.normals_from(0, sample, elements);
        let offsets = key.normals_from(OFFSET_BLOCK, sample, channels);
        let extra = key.normals_from(PERTURBATION_BLOCK, sample, elements);
        let shifted = white.iter().enumerate().map(|(i, eps)| eps + self.offset * offsets[i / size]);
        let target: Vec<f64> = shifted.collect();
        let input = target.iter().zip(extra).map(|(eps, xi)| eps + self.input * xi).collect();
        PerturbedNoise { target, input }
    }
}

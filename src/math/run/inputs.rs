//! The tensors that a run is given.

use super::error::RunError;

/// The tensors of a run, sample after sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunInputs<'a> {
    /// The shape of each of them, `[batch, ...]`, which guidance with statistics needs, and a run that draws its start from a
    /// seed; empty for one sample of the tensors' length.
    pub shape: &'a [usize],
    /// The noise of the start; that of the run's seed where there is none.
    pub noise: Option<&'a [f64]>,
    /// The first sample itself, in the place of noise and latent image.
    pub initial: Option<&'a [f64]>,
    /// The latent image; zeros where there is none.
    pub latent_image: Option<&'a [f64]>,
    /// 1 where the sample is written, 0 where the latent image is known, as ComfyUI's masks.
    pub mask: Option<&'a [f64]>,
    /// The noise of the known region. Where there is none it is that of the start; a sampler that
    /// [draws it anew](super::RunLoop::redraws_known_noise) takes it from the run's seed.
    pub inpaint_noise: Option<&'a [f64]>,
    /// The noises in the order of draws, one after the other; those of the run's seed where there are none.
    pub noises: &'a [f64],
}

impl RunInputs<'_> {
    /// The elements of each tensor.
    pub(super) fn count(&self) -> Result<usize, RunError> {
        let tensors = [
            ("initial", self.initial),
            ("noise", self.noise),
            ("latent_image", self.latent_image),
            ("mask", self.mask),
            ("inpaint_noise", self.inpaint_noise),
        ];
        let of_shape = match self.shape {
            [] => None,
            shape => shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)),
        };
        let starts = tensors[..3].iter().filter_map(|(_, tensor)| tensor.map(<[f64]>::len));
        let missing = RunError::Missing { expected: "noise, an initial sample, a latent image, or a shape" };
        let count = starts.chain(of_shape).next().ok_or(missing)?;
        for (name, tensor) in tensors {
            length(name, tensor.map_or(count, <[f64]>::len), count)?;
        }
        length("shape", of_shape.unwrap_or(count), count)?;
        Ok(count)
    }

    /// The latent image at an element; 0 where there is none.
    pub(super) fn latent_at(&self, i: usize) -> f64 {
        self.latent_image.and_then(|image| image.get(i)).copied().unwrap_or(0.0)
    }
}

/// Checks the elements of a tensor.
pub(super) fn length(name: &str, found: usize, expected: usize) -> Result<(), RunError> {
    if found == expected {
        return Ok(());
    }
    let (name, expected) = (name.to_owned(), format!("{expected} elements"));
    Err(RunError::Value { name, expected, found: found.to_string() })
}

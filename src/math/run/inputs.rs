//! The input tensors of a run.

use super::error::RunError;

/// The input tensors of a run, each sample after sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunInputs<'a> {
    /// The shape of each of them, `[batch, ...]`; empty for one sample of the tensors' length. It is needed by guidance that takes
    /// statistics over samples or axes, and where no tensor gives the number of elements (a start that is drawn from a seed).
    pub shape: &'a [usize],
    /// The start noise; if `None`, it is drawn from the run's seed.
    pub noise: Option<&'a [f64]>,
    /// The first sample itself, instead of noise and latent image.
    pub initial: Option<&'a [f64]>,
    /// The latent image; zeros if `None`.
    pub latent_image: Option<&'a [f64]>,
    /// The mask, as in ComfyUI: 1 where the sample is denoised, 0 where the latent image is kept.
    pub mask: Option<&'a [f64]>,
    /// The noise of the known region; if `None`, the start noise, or for a sampler that
    /// [draws new noise](super::RunLoop::redraws_known_noise), a draw from the run's seed.
    pub inpaint_noise: Option<&'a [f64]>,
    /// The noises of the draws after the start, in order, one after the other; if empty, they are drawn from the run's seed.
    pub noises: &'a [f64],
}

impl RunInputs<'_> {
    /// The number of elements of each tensor.
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
            shape => Some(elements("shape", shape)?),
        };
        let starts = tensors[..3].iter().filter_map(|(_, tensor)| tensor.map(<[f64]>::len));
        let missing = RunError::Missing { expected: "noise, an initial sample, a latent image, or a shape" };
        let count = of_shape.into_iter().chain(starts).next().ok_or(missing)?;
        for (name, tensor) in tensors {
            length(name, tensor.map_or(count, <[f64]>::len), count)?;
        }
        Ok(count)
    }

    /// An element of the latent image; 0 without a latent image.
    pub(super) fn latent_at(&self, i: usize) -> f64 {
        self.latent_image.and_then(|image| image.get(i)).copied().unwrap_or(0.0)
    }
}

/// Spreads a mask over a larger shape by repeating each of its elements along every axis. A mask may have one channel, one
/// sample, or a resolution that divides that of the latent.
///
/// ```
/// let mask = tweedie::math::run::spread_mask(&[1.0, 0.0], &[1, 1, 1, 2], &[1, 2, 1, 4])?;
/// assert_eq!(mask, [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), tweedie::math::run::RunError>(())
/// ```
///
/// # Errors
/// [`RunError::Value`] for another number of axes, an axis that does not divide the shape's, a mask whose length is not that of
/// its shape `from`, and a shape `to` whose number of elements overflows `usize`.
pub fn spread_mask(mask: &[f64], from: &[usize], to: &[usize]) -> Result<Vec<f64>, RunError> {
    let divides = |(from, to): (&usize, &usize)| to.checked_rem(*from) == Some(0);
    if from.len() != to.len() || !from.iter().zip(to).all(divides) {
        let expected = format!("axes that divide those of {to:?}");
        return Err(RunError::Value { name: "mask".to_owned(), expected, found: format!("{from:?}") });
    }
    elements("mask", to)?;
    length("mask", mask.len(), elements("mask", from)?)?;
    let mut spread = mask.to_vec();
    // From the last axis to the first, so that the axes within an element of an axis are already spread.
    let mut inner = 1;
    for (from, to) in from.iter().zip(to).rev() {
        let (each, times) = (inner.max(1), to / from);
        spread = spread.chunks(each).flat_map(|part| std::iter::repeat_n(part, times)).flatten().copied().collect();
        inner = each * to;
    }
    Ok(spread)
}

/// Returns the number of elements of a shape.
fn elements(name: &str, shape: &[usize]) -> Result<usize, RunError> {
    let found = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    found.ok_or_else(|| {
        let expected = "a shape whose number of elements fits an address".to_owned();
        RunError::Value { name: name.to_owned(), expected, found: format!("{shape:?}") }
    })
}

/// Checks the number of elements of a tensor.
pub(super) fn length(name: &str, found: usize, expected: usize) -> Result<(), RunError> {
    if found == expected {
        return Ok(());
    }
    let (name, expected) = (name.to_owned(), format!("{expected} elements"));
    Err(RunError::Value { name, expected, found: found.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_spread_along_every_axis() {
        let mask: Vec<f64> = (0..12).map(f64::from).collect();
        let (from, to) = ([2, 1, 3, 2], [4, 2, 6, 6]);
        let spread = spread_mask(&mask, &from, &to).unwrap();
        assert_eq!(spread.len(), 4 * 2 * 6 * 6);
        let mut at = spread.iter();
        for (b, c, y, x) in indices(to) {
            let expected = mask[((b / 2) * 3 + y / 2) * 2 + x / 3];
            assert_eq!(at.next(), Some(&expected), "{b} {c} {y} {x}");
        }
        assert_eq!(spread_mask(&mask, &from, &from).unwrap(), mask);
    }

    /// The indices of a shape in order.
    fn indices([b, c, h, w]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        (0..b * c * h * w).map(move |i| (i / (c * h * w), i / (h * w) % c, i / w % h, i % w))
    }

    #[test]
    fn a_mask_that_does_not_fit_is_refused() {
        let refused =
            |count: usize, from: &[usize]| spread_mask(&vec![1.0; count], from, &[2, 4, 6]).unwrap_err().to_string();
        assert_eq!(refused(8, &[2, 1, 4]), "mask: expected axes that divide those of [2, 4, 6], found [2, 1, 4]");
        assert_eq!(refused(6, &[1, 6]), "mask: expected axes that divide those of [2, 4, 6], found [1, 6]");
        assert_eq!(refused(0, &[0, 4, 6]), "mask: expected axes that divide those of [2, 4, 6], found [0, 4, 6]");
        assert_eq!(refused(5, &[1, 1, 6]), "mask: expected 6 elements, found 5");
        assert!(spread_mask(&[1.0], &[1, 1], &[usize::MAX, 2]).is_err(), "more than there is room for");
    }
}

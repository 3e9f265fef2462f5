//! Variation seeds: the noise of one seed, turned towards that of another.
//!
//! **Theory.** Spherical interpolation (Shoemake 1985) preserves the norm of noise, which a weighted mean would shrink:
//! ```text
//! sin((1 - k) angle)/sin(angle) noise + sin(k angle)/sin(angle) other
//! ```
//! The code of AUTOMATIC1111's web interface takes the angle over dimension 1 of a sample `[C, H, W]`: one angle for each
//! channel and column. Where the mean of all cosines is above 0.9995, it returns `k noise + (1 - k) other`.
//!
//! **Practice.** [`Angle::Columns`] is the rule of that interface; [`Angle::Whole`] takes one angle for the whole sample.

use super::error::NoiseError;

/// The mean cosine above which the web interface takes a weighted mean.
const PARALLEL: f64 = 0.9995;

/// The vectors whose angle is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Angle {
    /// The columns of each channel, as in AUTOMATIC1111's web interface.
    #[default]
    Columns,
    /// The whole sample.
    Whole,
}

/// Turns the noise of a sample `[C, H, W]` towards other noise of the same shape by `strength`, from 0 (`noise`) to 1 (`other`).
///
/// # Errors
/// [`NoiseError::Value`] for a strength out of range; [`NoiseError::Shape`] where the shape is not that of both tensors, or
/// where columns have a single element and so no angle.
pub fn slerp(
    noise: &[f64],
    other: &[f64],
    shape: [usize; 3],
    strength: f64,
    angle: Angle,
) -> Result<Vec<f64>, NoiseError> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(NoiseError::Value { what: "a variation strength", range: "between 0 and 1", found: strength });
    }
    let expected_shape = |expected| NoiseError::Shape { expected, shape: shape.to_vec() };
    let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if elements != Some(noise.len()) || noise.len() != other.len() {
        return Err(expected_shape("the shape of both tensors"));
    }
    let [_, height, width] = match angle {
        Angle::Columns if shape[1] == 1 => return Err(expected_shape("columns of more than one element")),
        Angle::Columns => shape,
        Angle::Whole => [1, noise.len(), 1],
    };
    if noise.is_empty() {
        return Ok(Vec::new());
    }
    let channels = || noise.chunks(height * width).zip(other.chunks(height * width));
    let cosines: Vec<f64> = channels().flat_map(|(a, b)| (0..width).map(|x| cosine(a, b, x, width))).collect();
    if cosines.iter().sum::<f64>() / cosines.len() as f64 > PARALLEL {
        let mean = |(a, b): (&f64, &f64)| a * strength + b * (1.0 - strength);
        return Ok(noise.iter().zip(other).map(mean).collect());
    }
    let weights: Vec<[f64; 2]> = cosines.into_iter().map(|cosine| turn(cosine, strength)).collect();
    let mut turned = Vec::with_capacity(noise.len());
    for ((a, b), weights) in channels().zip(weights.chunks(width)) {
        let columns = weights.iter().cycle();
        turned.extend(a.iter().zip(b).zip(columns).map(|((a, b), [here, there])| here * a + there * b));
    }
    Ok(turned)
}

/// The cosine of the angle between two columns.
fn cosine(a: &[f64], b: &[f64], x: usize, width: usize) -> f64 {
    let column = |values: &[f64]| values.iter().skip(x).step_by(width).copied().collect::<Vec<_>>();
    let (a, b) = (column(a), column(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

/// The weights of two vectors whose angle has this cosine.
fn turn(cosine: f64, strength: f64) -> [f64; 2] {
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let sine = angle.sin();
    if sine == 0.0 || sine.is_nan() {
        return [1.0 - strength, strength]; // the limit of a small angle
    }
    [((1.0 - strength) * angle).sin() / sine, (strength * angle).sin() / sine]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [2, 3, 2];

    fn noises() -> [Vec<f64>; 2] {
        [1, 2].map(|seed| super::super::NoiseKey::normals(seed, 0, 0, 12))
    }

    #[test]
    fn the_ends_are_the_two_noises() {
        let [a, b] = noises();
        for angle in [Angle::Columns, Angle::Whole] {
            for (strength, expected) in [(0.0, &a), (1.0, &b)] {
                let found = slerp(&a, &b, SHAPE, strength, angle).unwrap();
                found.iter().zip(expected).for_each(|(x, y)| assert!((x - y).abs() < 1e-14, "{angle:?}"));
            }
        }
    }

    #[test]
    fn parallel_noise_is_mixed_the_other_way_round() {
        let [a, _] = noises();
        let other: Vec<f64> = a.iter().map(|x| 2.0 * x).collect();
        let found = slerp(&a, &other, SHAPE, 0.25, Angle::Columns).unwrap();
        found.iter().zip(&a).for_each(|(x, y)| assert!((x - 1.75 * y).abs() < 1e-14));
    }

    #[test]
    fn bad_input_is_refused() {
        let [a, b] = noises();
        assert!(slerp(&a, &b, SHAPE, 1.5, Angle::Whole).is_err());
        assert!(slerp(&a, &b, SHAPE, f64::NAN, Angle::Whole).is_err());
        assert!(slerp(&a, &b, [3, 3, 2], 0.5, Angle::Whole).is_err());
        assert!(slerp(&a, &b, [usize::MAX, 3, 2], 0.5, Angle::Whole).is_err());
        assert!(slerp(&a, &b, [6, 1, 2], 0.5, Angle::Columns).unwrap_err().to_string().contains("columns of more"));
        assert_eq!(slerp(&[], &[], [0, 3, 2], 0.5, Angle::Columns), Ok(vec![]));
        let zeros = [0.0; 12];
        assert!(slerp(&zeros, &b, SHAPE, 0.5, Angle::Columns).unwrap().iter().all(|x| x.is_finite()));
    }
}

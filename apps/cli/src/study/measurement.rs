//! A number that was measured, what its formula says, and by how much the two may differ.

use serde::Serialize;

/// A measurement. In `measured` and `expected`, NaN stands for a value that does not exist.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measurement {
    pub measured: f64,
    pub expected: f64,
    /// The largest difference that roundings and the sampling of the noise explain.
    pub tolerance: f64,
}

impl Measurement {
    /// The difference as a part of the tolerance: at most 1 agrees. Infinite where only one of the two exists.
    pub fn of_tolerance(&self) -> f64 {
        let Self { measured, expected, tolerance } = *self;
        match (measured.is_finite(), expected.is_finite()) {
            (true, true) => (measured - expected).abs() / tolerance,
            (false, false) => 0.0,
            _ => f64::INFINITY,
        }
    }

    /// The measured number, if it exists.
    pub fn value(&self) -> Option<f64> {
        Some(self.measured).filter(|value| value.is_finite())
    }
}

/// The variance of values, in f64 and in two passes.
pub fn variance(values: &[f32]) -> f64 {
    let mean = mean(values.iter().map(|&value| f64::from(value)));
    mean_square(values.iter().map(|&value| f64::from(value) - mean))
}

/// Root mean square of the values themselves, not about their mean.
pub fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    mean_square(values).sqrt()
}

pub fn mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    mean(values.map(|value| value * value))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// `a - b`, element by element.
pub fn differences(a: &[f32], b: &[f32]) -> impl ExactSizeIterator<Item = f64> {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_a_part_of_the_tolerance() {
        let part = |measured, expected| Measurement { measured, expected, tolerance: 0.5 }.of_tolerance();
        assert_eq!((part(2.0, 1.0), part(1.0, 1.0)), (2.0, 0.0));
        assert_eq!(part(f64::NAN, f64::NAN), 0.0);
        for (measured, expected) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            assert_eq!(part(measured, expected), f64::INFINITY);
        }
    }

    #[test]
    fn moments_by_hand() {
        assert_eq!(variance(&[1.0, 3.0]), 1.0);
        assert_eq!(root_mean_square([3.0, -3.0].into_iter()), 3.0);
        assert_eq!(differences(&[1.0, 2.0], &[0.5, 4.0]).collect::<Vec<_>>(), [0.5, -2.0]);
    }
}

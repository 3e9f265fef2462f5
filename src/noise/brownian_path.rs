//! A Brownian motion over noise levels, without state: our own noise for SDE samplers.
//!
//! **Theory.** Each octave `[2^o, 2^(o+1))` of levels has an increment of its own, `2^(o/2) z`. The f32 levels within it are
//! the leaves of a binary tree of 23 halvings, each a Brownian bridge:
//! ```text
//! left = W/2 + sqrt(length/4) z    right = W - left
//! ```
//! Every `z` is a [Philox](super::philox4x32_10) normal keyed by (seed, node, sample, element). So the motion is a function
//! of seed, sample, element and level: the same for 10 or 40 steps, for any batch and on any device.
//!
//! **Practice.** [`BrownianPath::noise`] gives the standard normals of a step. Levels are rounded to f32; the motion begins at
//! 2^-40, below which it is 0 and which is far below any level that a sampler visits, and ends at 2^40.

use super::error::{NoiseError, check_size};
use super::{NoiseKey, PATH_BLOCK};

/// The octave in which the motion begins.
const FIRST: i32 = -40;

/// The halvings of an octave: the bits of an f32's mantissa.
const HALVINGS: u32 = 23;

/// The Brownian motion of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrownianPath {
    /// The seed.
    pub seed: u64,
    /// The global index of the sample.
    pub sample: u64,
}

impl BrownianPath {
    /// The upper bound of levels, itself excluded: 2^40.
    pub const MAX_SIGMA: f64 = (1u64 << 40) as f64;

    /// Returns the standard normals of a step between two levels: `(W(to) - W(from))/sqrt(|to - from|)`, for each element.
    ///
    /// # Errors
    /// [`NoiseError::Value`] for a level that is negative or at least [`MAX_SIGMA`](Self::MAX_SIGMA), and for levels that are
    /// equal in f32; [`NoiseError::TooLarge`] for more elements than a draw may have.
    pub fn noise(self, elements: usize, from: f64, to: f64) -> Result<Vec<f64>, NoiseError> {
        check_size(&[elements])?;
        let (start, end) = (level(from)?, level(to)?);
        if start == end {
            let (what, range) = ("the level after a step", "other than the one before it");
            return Err(NoiseError::Value { what, range, found: to });
        }
        let scale = (f64::from(end) - f64::from(start)).abs().sqrt().recip();
        let (before, after) = (self.motion(elements, start), self.motion(elements, end));
        Ok(after.into_iter().zip(before).map(|(after, before)| (after - before) * scale).collect())
    }

    /// The motion from the first level to this one.
    fn motion(self, elements: usize, level: f32) -> Vec<f64> {
        let mut sum = vec![0.0; elements];
        let octave = (level.to_bits() >> HALVINGS) as i32 - 127;
        let mut add = |values: &[f64]| sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        for below in FIRST..octave {
            add(&self.octave(elements, below));
        }
        if octave < FIRST {
            return sum;
        }
        let mut rest = level.to_bits() << (32 - HALVINGS);
        let (mut motion, mut node, mut length) = (self.octave(elements, octave), 1, f64::from(octave).exp2());
        while rest != 0 {
            let deviation = (length / 4.0).sqrt();
            let z = self.normals(elements, octave, node);
            let left: Vec<f64> = motion.iter().zip(z).map(|(w, z)| w / 2.0 + deviation * z).collect();
            let right = rest >> 31;
            if right == 1 {
                add(&left);
                motion.iter_mut().zip(left).for_each(|(w, left)| *w -= left);
            } else {
                motion = left;
            }
            (rest, node, length) = (rest << 1, node << 1 | right, length / 2.0);
        }
        sum
    }

    /// The motion over a whole octave.
    fn octave(self, elements: usize, octave: i32) -> Vec<f64> {
        let deviation = f64::from(octave).exp2().sqrt();
        self.normals(elements, octave, 0).into_iter().map(|z| deviation * z).collect()
    }

    /// The normals of a node of an octave's tree. The root is node 1; node 0 is the octave's own increment.
    fn normals(self, elements: usize, octave: i32, node: u32) -> Vec<f64> {
        let stream = ((octave - FIRST) as u32) << HALVINGS | node;
        NoiseKey::seed(self.seed).stream(stream).normals_from(PATH_BLOCK, self.sample, elements)
    }
}

fn level(sigma: f64) -> Result<f32, NoiseError> {
    if (0.0..BrownianPath::MAX_SIGMA).contains(&sigma) && f64::from(sigma as f32) < BrownianPath::MAX_SIGMA {
        return Ok(sigma.abs() as f32);
    }
    Err(NoiseError::Value { what: "a level", range: "between 0 and 2^40", found: sigma })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: BrownianPath = BrownianPath { seed: 5, sample: 2 };

    #[test]
    fn a_step_is_the_sum_of_its_parts() {
        let noise = |from, to| PATH.noise(6, from, to).unwrap();
        let parts = noise(14.6, 3.3).into_iter().zip(noise(3.3, 0.7));
        for ((first, second), whole) in parts.zip(noise(14.6, 0.7)) {
            let length = |from: f64, to: f64| f64::from(from as f32) - f64::from(to as f32);
            let sum = first * length(14.6, 3.3).sqrt() + second * length(3.3, 0.7).sqrt();
            approx::assert_relative_eq!(sum / length(14.6, 0.7).sqrt(), whole, epsilon = 1e-12);
        }
    }

    #[test]
    fn elements_do_not_depend_on_their_number_nor_samples_on_each_other() {
        let noise = |sample, elements| BrownianPath { sample, ..PATH }.noise(elements, 2.0, 1.0).unwrap();
        assert_eq!(noise(2, 9)[..5], noise(2, 5));
        assert_ne!(noise(2, 5), noise(3, 5));
    }

    /// Mean and variance of steps of any size are those of a standard normal, and steps that do not overlap are independent.
    #[test]
    fn steps_are_standard_and_independent() {
        const COUNT: usize = 20_000;
        let noise = |from, to| PATH.noise(COUNT, from, to).unwrap();
        let steps = [noise(80.0, 7.1), noise(7.1, 7.0999), noise(7.0999, 0.3), noise(0.3, 0.0)];
        let mean = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / COUNT as f64;
        let spread = 5.0 / (COUNT as f64).sqrt();
        for (i, a) in steps.iter().enumerate() {
            assert!(mean(a, &[1.0; COUNT]).abs() < spread);
            assert!((mean(a, a) - 1.0).abs() < spread * 2f64.sqrt(), "{i}: {}", mean(a, a));
            assert!(steps.iter().skip(i + 1).all(|b| mean(a, b).abs() < spread));
        }
    }

    /// If these numbers change, every recorded seed gives other noise.
    #[test]
    fn known_normals() {
        let noise = BrownianPath { seed: 42, sample: 0 }.noise(3, 14.614643, 7.5).unwrap();
        for (found, expected) in noise.into_iter().zip(KNOWN) {
            approx::assert_relative_eq!(found, expected, max_relative = 1e-12);
        }
    }

    const KNOWN: [f64; 3] = [-0.391_728_562_186_465_7, -0.922_121_441_682_473_9, -1.362_391_109_784_166];

    #[test]
    fn levels_are_checked() {
        for bad in [-1.0, f64::NAN, 2f64.powi(40), f64::INFINITY] {
            assert!(PATH.noise(1, 1.0, bad).unwrap_err().to_string().contains("between 0 and 2^40"), "{bad}");
        }
        assert!(PATH.noise(1, 1.0, 1.0 + 1e-12).is_err());
        assert!(PATH.noise(usize::MAX, 1.0, 2.0).unwrap_err().to_string().contains("at most"));
        assert!(PATH.noise(2, 1e12, 0.0).unwrap().iter().all(|z| z.is_finite()));
    }
}

//! The Brownian tree of torchsde, from which k-diffusion, diffusers and ComfyUI draw the noise of SDE samplers.
//!
//! **Theory.** A Brownian motion `W` over the levels `[sigma_min, sigma_max]`. Its increment over the whole range is
//! `sqrt(range) z`. A node `[s, e]` is split at its middle `m` by a Brownian bridge,
//! ```text
//! left = W (m - s)/(e - s) + sqrt((m - s)(e - m)/(e - s)) z    right = W - left
//! ```
//! and so on until the wanted level is an edge. Ends, middles and levels are rounded to six decimals. Each `z` is one draw
//! of [`TorchCpu`] for the whole shape, seeded by a word of numpy's `SeedSequence` of the seed and the node's path. The noise
//! of a step from `a` to `b` is `(W(b) - W(a))/sqrt(|b - a|)`, so it does not depend on the other steps.
//!
//! **Practice.** Levels are first rounded to f32, as tensors hold them. The last bit of a level may move a query by up to 1e-6,
//! and so its noise by the square root of 1e-6 over the length of the step. Sums are in f64 here and in f32 in torchsde.

use super::dtype::Dtype;
use super::error::NoiseError;
use super::seed_sequence::SeedSequence;
use super::torch_cpu::TorchCpu;

/// The largest depth of a node: 64 halvings give more parts than there are levels of six decimals.
const DEEPEST: u64 = 64;

/// torchsde's `BrownianTree` of one seed, for one shape.
///
/// ```
/// let mut tree = tweedie::noise::BrownianTree::new(42, 16, 0.0291675, 14.614642)?;
/// let noise = tree.noise(14.614642, 7.5)?; // BrownianTreeNoiseSampler(x, 0.0291675, 14.614642, seed=42)(14.614642, 7.5)
/// assert_eq!(noise.len(), 16);
/// # Ok::<(), tweedie::noise::NoiseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrownianTree {
    seed: u64,
    elements: usize,
    range: [f64; 2],
    /// The motion over the whole range.
    whole: Vec<f64>,
    /// The level at which the last step ended, and the motion up to there: the next step usually begins there.
    last: (f64, Vec<f64>),
}

impl BrownianTree {
    /// The largest level: about 2^50 levels of six decimals lie below it.
    pub const MAX_SIGMA: f64 = 1e9;

    /// Creates the tree of a seed over a range of levels, for a sample or a batch of this many elements.
    ///
    /// # Errors
    /// [`NoiseError::Value`] for levels that are negative or above [`MAX_SIGMA`](Self::MAX_SIGMA), or for a `sigma_max` that
    /// is not above `sigma_min`; [`NoiseError::TooLarge`] for more elements than a draw may have.
    pub fn new(seed: u64, elements: usize, sigma_min: f64, sigma_max: f64) -> Result<Self, NoiseError> {
        super::error::check_size(&[elements])?;
        let (min, max) = (rounded(sigma_min)?, rounded(sigma_max)?);
        if max <= min {
            let range = "above sigma_min after both are rounded to six decimals";
            return Err(NoiseError::Value { what: "sigma_max", range, found: sigma_max });
        }
        let root = normals(SeedSequence::new(seed, &[]), elements);
        let whole = root.into_iter().map(|z| (max - min).sqrt() * z).collect();
        Ok(Self { seed, elements, range: [min, max], whole, last: (min, vec![0.0; elements]) })
    }

    /// Returns the standard normals of a step between two levels: `(W(to) - W(from))/sqrt(|to - from|)`. Beyond the tree's
    /// range the motion is constant, as in torchsde.
    ///
    /// # Errors
    /// [`NoiseError::Value`] for a level that is negative or above [`MAX_SIGMA`](Self::MAX_SIGMA), and for levels that are
    /// equal in f32.
    pub fn noise(&mut self, from: f64, to: f64) -> Result<Vec<f64>, NoiseError> {
        let (start, end) = (rounded(from)?, rounded(to)?);
        let length = (f64::from(to as f32) - f64::from(from as f32)).abs();
        if length == 0.0 {
            let (what, range) = ("the level after a step", "other than the one before it");
            return Err(NoiseError::Value { what, range, found: to });
        }
        let before = self.motion(start);
        let after = self.motion(end);
        let noise = after.iter().zip(before).map(|(after, before)| (after - before) / length.sqrt()).collect();
        self.last = (end, after);
        Ok(noise)
    }

    /// The motion from the least level to this one.
    fn motion(&self, level: f64) -> Vec<f64> {
        let [mut start, mut end] = self.range;
        if level <= start {
            return vec![0.0; self.elements];
        }
        if level == self.last.0 {
            return self.last.1.clone();
        }
        let (mut node, mut sum) = (self.whole.clone(), vec![0.0; self.elements]);
        let mut key = 0u64;
        for depth in 0..DEEPEST {
            if level >= end {
                break;
            }
            let middle = six_decimals((start + end) / 2.0);
            let z = normals(SeedSequence::new(self.seed, &[key, depth]), self.elements);
            let (share, spread) = bridge(start, middle, end);
            let left: Vec<f64> = node.iter().zip(z).map(|(w, z)| share * w + spread * z).collect();
            if level <= middle {
                node = left;
                (end, key) = (middle, key.wrapping_mul(2));
            } else {
                for ((node, sum), left) in node.iter_mut().zip(&mut sum).zip(left) {
                    *node -= left;
                    *sum += left;
                }
                (start, key) = (middle, key.wrapping_mul(2).wrapping_add(1));
            }
            if level <= start {
                return sum;
            }
        }
        sum.iter_mut().zip(node).for_each(|(sum, w)| *sum += w);
        sum
    }
}

/// The mean share of a node's motion that falls on its left part, and the standard deviation around it.
fn bridge(start: f64, middle: f64, end: f64) -> (f64, f64) {
    let (left, right, whole) = (middle - start, end - middle, end - start);
    (left / whole, (left * right / whole).sqrt())
}

/// The normals that torch draws from the first word of a seed sequence.
fn normals(seeds: SeedSequence<24>, elements: usize) -> Vec<f64> {
    TorchCpu::new(seeds.first().into()).normals(elements, Dtype::F32)
}

/// A level rounded to f32, then to six decimals.
fn rounded(level: f64) -> Result<f64, NoiseError> {
    if (0.0..=BrownianTree::MAX_SIGMA).contains(&level) {
        return Ok(six_decimals(f64::from(level as f32)));
    }
    Err(NoiseError::Value { what: "a level", range: "between 0 and 1e9", found: level })
}

/// Python's `round(x, 6)`: the decimal nearest to the exact binary value, ties to even.
fn six_decimals(x: f64) -> f64 {
    format!("{x:.6}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1/128 and 3/128 lie exactly between two numbers of six decimals.
    #[test]
    fn decimals_are_rounded_from_the_exact_value() {
        let rounded = [1.0 / 128.0, 3.0 / 128.0, 0.0000005, 2.5e-6, 14.6146425].map(six_decimals);
        assert_eq!(rounded, [0.007812, 0.023438, 0.0, 0.000003, 14.614643]);
    }

    #[test]
    fn a_step_is_the_sum_of_its_parts() {
        let tree = || BrownianTree::new(3, 5, 0.1, 12.0).unwrap();
        let mut parts = tree();
        let (first, second) = (parts.noise(9.0, 4.0).unwrap(), parts.noise(4.0, 1.0).unwrap());
        let whole = tree().noise(9.0, 1.0).unwrap();
        for ((first, second), whole) in first.iter().zip(second).zip(whole) {
            let sum = (first * 5f64.sqrt() + second * 3f64.sqrt()) / 8f64.sqrt();
            approx::assert_relative_eq!(sum, whole, epsilon = 1e-12);
        }
        let back = tree().noise(1.0, 9.0).unwrap();
        assert_eq!(back, tree().noise(9.0, 1.0).unwrap().iter().map(|z| -z).collect::<Vec<_>>());
    }

    #[test]
    fn the_motion_stands_still_beyond_its_range() {
        let mut tree = BrownianTree::new(0, 4, 1.0, 2.0).unwrap();
        let inside = tree.noise(2.0, 1.0).unwrap();
        let beyond = tree.noise(3.0, 0.0).unwrap();
        for (inside, beyond) in inside.iter().zip(beyond) {
            approx::assert_relative_eq!(*inside, beyond * 3f64.sqrt(), max_relative = 1e-12);
        }
    }

    #[test]
    fn levels_are_checked() {
        let text = |min, max| BrownianTree::new(0, 4, min, max).unwrap_err().to_string();
        assert!(text(1.0, 1.0).contains("expected sigma_max above sigma_min"));
        for level in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(text(0.0, level).contains("between 0 and 1e9"), "{level}");
        }
        let mut tree = BrownianTree::new(0, 4, 0.0, 1e9).unwrap();
        assert!(tree.noise(0.5, 0.5).unwrap_err().to_string().contains("other than the one before it"));
        assert!(tree.noise(1e-6, 123_456_789.123).unwrap().iter().all(|z| z.is_finite()));
    }
}

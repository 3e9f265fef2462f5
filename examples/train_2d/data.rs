//! The three data sets, drawn in f64 from the same keyed generator as tweedie's noise: a point depends on (seed, stream,
//! index) alone, so sets of different streams are independent and each is the same on every machine.

use std::f64::consts::{PI, TAU};
use tweedie::gpu::NoiseKey;

/// A point of the plane.
pub type Point = [f32; 2];

/// A distribution on the plane, with a standard deviation near 1 in each direction, as diffusion models need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Two interleaved half circles.
    Moons,
    /// A spiral of one and a half turns, uniform in the angle.
    SwissRoll,
    /// The dark squares of a board of 4 x 4.
    Checkerboard,
}

impl Data {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Moons, Self::SwissRoll, Self::Checkerboard];

    /// Its name for display.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moons => "two moons",
            Self::SwissRoll => "swiss roll",
            Self::Checkerboard => "checkerboard",
        }
    }

    /// Draws this many independent points.
    pub fn points(self, key: NoiseKey, count: usize) -> Vec<Point> {
        (0..count as u64).map(|i| self.point(key.words_of(0, i))).collect()
    }

    fn point(self, words: [u32; 4]) -> Point {
        let [u, v, ..] = words.map(fraction);
        let jitter = NoiseKey::normal_pair(words[2], words[3]).map(|z| 0.05 * z);
        let [x, y] = match self {
            Self::Moons => {
                let (sine, cosine) = (PI * u).sin_cos();
                let [x, y] = if v < 0.5 { [cosine, sine - 0.25] } else { [1.0 - cosine, 0.25 - sine] };
                [1.3 * (x - 0.5) + jitter[0], 1.3 * y + jitter[1]]
            }
            Self::SwissRoll => {
                let turns = 0.5 + 1.5 * u;
                let (sine, cosine) = (TAU * turns).sin_cos();
                [turns * cosine + jitter[0], turns * sine + jitter[1]]
            }
            Self::Checkerboard => {
                let column = (4.0 * u).floor();
                let row = 2.0 * (2.0 * v).floor() + column % 2.0;
                let within = (2.0 * v).fract();
                [0.9 * (4.0 * u - 2.0), 0.9 * (row + within - 2.0)]
            }
        };
        [x as f32, y as f32]
    }
}

/// Points of the Gaussian with the mean and the covariance of these points: what a model that learned no more would draw.
pub fn gaussian_like(points: &[Point], key: NoiseKey) -> Vec<Point> {
    let count = points.len() as f64;
    let mean = |f: &dyn Fn([f64; 2]) -> f64| points.iter().map(|p| f(p.map(f64::from))).sum::<f64>() / count;
    let [x, y] = [mean(&|p| p[0]), mean(&|p| p[1])];
    let xx = mean(&|p| (p[0] - x).powi(2));
    let xy = mean(&|p| (p[0] - x) * (p[1] - y));
    let yy = mean(&|p| (p[1] - y).powi(2));
    // The Cholesky factor of the covariance.
    let (a, b) = (xx.sqrt(), xy / xx.sqrt());
    let c = (yy - b * b).max(0.0).sqrt();
    let normals = key.reference(points.len(), 2);
    normals.chunks_exact(2).map(|z| [(x + a * z[0]) as f32, (y + b * z[0] + c * z[1]) as f32]).collect()
}

/// The word as a number between 0 and 1, both excluded.
fn fraction(word: u32) -> f64 {
    (f64::from(word) + 0.5) / 2f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_the_scale_that_diffusion_wants() {
        for data in Data::ALL {
            let points = data.points(NoiseKey::seed(3), 20_000);
            for axis in 0..2 {
                let values: Vec<f64> = points.iter().map(|point| f64::from(point[axis])).collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
                assert!(mean.abs() < 0.3 && (0.3..1.5).contains(&variance), "{data:?}: {mean} {variance}");
            }
        }
    }
}

//! Distances between two sets of features.
//!
//! The energy distance `2 E|X - Y| - E|X - X'| - E|Y - Y'|` is 0 only for equal distributions (Szekely & Rizzo 2013). The Frechet
//! distance `|m - n|^2 + tr(C + D - 2 (C D)^(1/2))` is that of two normal distributions with these means and covariances (Heusel
//! et al. 2017, arXiv 1706.08500). Both are positive between finite sets of one distribution, so they are meaningful only in
//! comparison with a floor: the distance between real sets of the same sizes.

use crate::classifier::FEATURES;
use std::array::from_fn;

type Point = [f64; FEATURES];
type Matrix = [[f64; FEATURES]; FEATURES];

/// Sweeps of Jacobi's method; ten reach f64 from any matrix of this size.
const SWEEPS: usize = 20;

/// The set from which distances are measured.
#[derive(Debug)]
pub struct Reference {
    points: Vec<Point>,
    within: f64,
    mean: Point,
    covariance: Matrix,
}

/// A mean, and the standard deviation of the values.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Self { mean, deviation: (squares / (count - 1.0)).sqrt() }
    }
}

impl Reference {
    /// Prepares a set.
    pub fn new(points: Vec<Point>) -> Self {
        let (mean, covariance) = moments(&points);
        Self { within: mean_distance(&points, &points), mean, covariance, points }
    }

    /// The energy distance of a set from this one, over all pairs, a point with itself included.
    pub fn energy(&self, points: &[Point]) -> f64 {
        2.0 * mean_distance(&self.points, points) - self.within - mean_distance(points, points)
    }

    /// The Frechet distance of a set from this one. With `C = L L'`, the eigenvalues of `C D` are those of `L' D L`.
    pub fn frechet(&self, points: &[Point]) -> f64 {
        let (mean, covariance) = moments(points);
        let lower = cholesky(&self.covariance);
        let between = eigenvalues(product(&product(&transposed(&lower), &covariance), &lower));
        let roots: f64 = between.iter().map(|value| value.max(0.0).sqrt()).sum();
        let means: f64 = mean.iter().zip(&self.mean).map(|(a, b)| (a - b).powi(2)).sum();
        means + trace(&self.covariance) + trace(&covariance) - 2.0 * roots
    }
}

fn mean_distance(a: &[Point], b: &[Point]) -> f64 {
    let distance = |p: &Point, q: &Point| p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
    let sum: f64 = a.iter().map(|p| b.iter().map(|q| distance(p, q)).sum::<f64>()).sum();
    sum / (a.len() * b.len()) as f64
}

/// The mean and the unbiased covariance.
fn moments(points: &[Point]) -> (Point, Matrix) {
    let count = points.len() as f64;
    let mean: Point = from_fn(|i| points.iter().map(|point| point[i]).sum::<f64>() / count);
    let product = |i: usize, j: usize| points.iter().map(|it| (it[i] - mean[i]) * (it[j] - mean[j])).sum::<f64>();
    (mean, from_fn(|i| from_fn(|j| product(i, j) / (count - 1.0))))
}

fn trace(matrix: &Matrix) -> f64 {
    (0..FEATURES).map(|i| matrix[i][i]).sum()
}

fn transposed(matrix: &Matrix) -> Matrix {
    from_fn(|i| from_fn(|j| matrix[j][i]))
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    from_fn(|i| from_fn(|j| (0..FEATURES).map(|k| a[i][k] * b[k][j]).sum()))
}

/// The lower triangle `L` of a covariance `L L'`. A direction in which nothing varies has a column of zeros.
fn cholesky(matrix: &Matrix) -> Matrix {
    let mut lower = [[0.0; FEATURES]; FEATURES];
    for j in 0..FEATURES {
        let rest = |lower: &Matrix, i: usize| matrix[i][j] - (0..j).map(|k| lower[i][k] * lower[j][k]).sum::<f64>();
        let pivot = rest(&lower, j).max(0.0).sqrt();
        if pivot > matrix[j][j].sqrt() * f64::EPSILON.sqrt() {
            for i in j..FEATURES {
                lower[i][j] = rest(&lower, i) / pivot;
            }
        }
    }
    lower
}

/// The eigenvalues of a symmetric matrix, by Jacobi's rotations (Golub & Van Loan, "Matrix Computations", section 8.5).
fn eigenvalues(mut matrix: Matrix) -> Point {
    for _ in 0..SWEEPS {
        for (p, q) in (0..FEATURES).flat_map(|p| (p + 1..FEATURES).map(move |q| (p, q))) {
            if matrix[p][q] == 0.0 {
                continue;
            }
            let slope = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
            let tangent = slope.signum() / (slope.abs() + slope.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            let turned = |a: f64, b: f64| (cosine * (a - tangent * b), cosine * (b + tangent * a));
            for row in &mut matrix {
                (row[p], row[q]) = turned(row[p], row[q]);
            }
            for (column, (first, second)) in matrix[p].into_iter().zip(matrix[q]).enumerate() {
                (matrix[p][column], matrix[q][column]) = turned(first, second);
            }
        }
    }
    from_fn(|i| matrix[i][i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tweedie::NoiseKey;

    /// Sums of some 10,000 roundings of f64 on numbers of up to 100.
    const F64: f64 = 1e-9;

    /// Normal points with a deviation for each feature, shifted in the first.
    fn points(stream: u32, count: u64, shift: f64, deviation: impl Fn(usize) -> f64) -> Vec<Point> {
        let normal = |sample| NoiseKey::normals(1, stream, sample, FEATURES);
        let point = |sample| {
            let normal = normal(sample);
            std::array::from_fn(|i| deviation(i) * normal[i] + if i == 0 { shift } else { 0.0 })
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn a_set_has_no_distance_from_itself() {
        let points = points(0, 100, 0.0, |i| 1.0 + i as f64);
        let reference = Reference::new(points.clone());
        assert!(reference.energy(&points).abs() < F64 && reference.frechet(&points).abs() < F64);
    }

    #[test]
    fn a_shift_is_a_squared_frechet_distance() {
        let one = points(0, 100, 0.0, |_| 1.0);
        let shifted = points(0, 100, 3.0, |_| 1.0);
        assert!((Reference::new(one.clone()).frechet(&shifted) - 9.0).abs() < F64);
        assert!(Reference::new(one).energy(&shifted) > 0.5);
    }

    #[test]
    fn another_deviation_is_the_square_of_the_difference() {
        let one = points(0, 100, 0.0, |_| 1.0);
        let trace = trace(&moments(&one).1);
        let wide: Vec<Point> = one.iter().map(|point| point.map(|x| 3.0 * x)).collect();
        let mean: f64 = moments(&one).0.iter().map(|x| x * x).sum();
        // Every mean and every root of an eigenvalue is three times as large.
        let expected = 4.0 * (mean + trace);
        let found = Reference::new(one).frechet(&wide);
        assert!((found - expected).abs() < F64 * expected, "{found} {expected}");
    }

    #[test]
    fn two_points_are_twice_their_distance_apart() {
        let at = |x: f64| vec![std::array::from_fn(|i| if i < 2 { x } else { 0.0 }); 2];
        assert!((Reference::new(at(0.0)).energy(&at(1.0)) - 2.0 * 2f64.sqrt()).abs() < F64);
    }

    /// The products of a rotated diagonal keep its sum and the sum of its squares.
    #[test]
    fn eigenvalues_are_those_of_any_basis() {
        let covariance = moments(&points(0, 100, 0.0, |i| 1.0 + i as f64)).1;
        let found = eigenvalues(covariance);
        let squares = trace(&product(&covariance, &covariance));
        let sums = [found.iter().sum::<f64>(), found.iter().map(|value| value * value).sum()];
        assert!((sums[0] - trace(&covariance)).abs() < F64 * sums[0] && (sums[1] - squares).abs() < F64 * sums[1]);
        let lower = cholesky(&covariance);
        let again = product(&lower, &transposed(&lower));
        assert!(
            (0..FEATURES).all(|i| (0..FEATURES).all(|j| (again[i][j] - covariance[i][j]).abs() < F64 * squares.sqrt()))
        );
    }

    #[test]
    fn few_points_have_a_root_too() {
        let few = points(0, 5, 0.0, |_| 1.0);
        assert!(Reference::new(points(1, 100, 0.0, |_| 1.0)).frechet(&few).is_finite());
    }
}

//! The energy distance between two sets of points, and how large it is between sets of one distribution.
//!
//! **Theory.** `D(X, Y) = 2 E|X - Y| - E|X - X'| - E|Y - Y'|` is 0 if and only if both distributions are the same (Szekely &
//! Rizzo 2013, "Energy statistics"). The expectations are taken over all pairs of the two sets, a point with itself
//! included (the V-statistic), so D is never negative, and between two sets of `n` points of one distribution its mean is
//! `2 E|X - X'| / n`, not 0. A model is judged against that value.
//!
//! **Practice.** [`Yardstick`] measures this value with fresh sets, and [`Yardstick::multiples`] gives distances in units of
//! it: 1 is a perfect model.

use crate::data::Point;

/// The mean distance between a point of `a` and a point of `b`.
fn mean_distance(a: &[Point], b: &[Point]) -> f64 {
    let wide = |p: &Point| p.map(f64::from);
    let b: Vec<[f64; 2]> = b.iter().map(wide).collect();
    let distance = |p: [f64; 2], q: [f64; 2]| ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)).sqrt();
    let to_all = |p: [f64; 2]| b.iter().map(|&q| distance(p, q)).sum::<f64>();
    a.iter().map(wide).map(to_all).sum::<f64>() / (a.len() * b.len()) as f64
}

/// Held-out points, and how far from them other points of the same distribution are.
#[derive(Debug)]
pub struct Yardstick {
    held_out: Vec<Point>,
    within: f64,
    /// The mean energy distance of fresh sets from the held-out one.
    pub mean: f64,
    /// The standard deviation of these distances.
    pub spread: f64,
}

impl Yardstick {
    /// Creates it from a held-out set and at least two fresh ones of the same size.
    pub fn new(held_out: Vec<Point>, fresh: &[Vec<Point>]) -> Self {
        let within = mean_distance(&held_out, &held_out);
        let mut yardstick = Self { held_out, within, mean: 0.0, spread: 0.0 };
        let distances: Vec<f64> = fresh.iter().map(|set| yardstick.distance(set)).collect();
        let count = distances.len() as f64;
        yardstick.mean = distances.iter().sum::<f64>() / count;
        let squares: f64 = distances.iter().map(|d| (d - yardstick.mean).powi(2)).sum();
        yardstick.spread = (squares / (count - 1.0)).sqrt();
        yardstick
    }

    /// The held-out points.
    pub fn held_out(&self) -> &[Point] {
        &self.held_out
    }

    /// The energy distance of a set from the held-out one; NaN if the set contains a NaN.
    pub fn distance(&self, points: &[Point]) -> f64 {
        2.0 * mean_distance(&self.held_out, points) - self.within - mean_distance(points, points)
    }

    /// The same, as a multiple of the mean distance of a fresh set.
    pub fn multiples(&self, points: &[Point]) -> f64 {
        self.distance(points) / self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use tweedie::gpu::NoiseKey;

    fn sets(count: u32) -> Vec<Vec<Point>> {
        (1..=count).map(|stream| Data::Moons.points(NoiseKey::seed(1).stream(stream), 256)).collect()
    }

    #[test]
    fn a_set_has_no_distance_from_itself() {
        let held_out = Data::Moons.points(NoiseKey::seed(1), 256);
        assert!(Yardstick::new(held_out.clone(), &sets(2)).distance(&held_out).abs() < 1e-12);
    }

    /// For two single points, D is twice their distance.
    #[test]
    fn two_points_are_twice_their_distance_apart() {
        let yardstick = Yardstick::new(vec![[0.0, 0.0]], &[vec![[3.0, 4.0]], vec![[3.0, 4.0]]]);
        assert_eq!((yardstick.mean, yardstick.spread), (10.0, 0.0));
    }

    #[test]
    fn the_noise_is_what_theory_says() {
        let held_out = Data::Moons.points(NoiseKey::seed(1), 256);
        let expected = 2.0 * mean_distance(&held_out, &held_out) / 256.0;
        let yardstick = Yardstick::new(held_out, &sets(32));
        // The mean of 32 distances scatters by spread/sqrt(32), and all of them share the held-out set.
        assert!((yardstick.mean - expected).abs() < yardstick.spread, "{} {expected}", yardstick.mean);
    }

    #[test]
    fn other_data_are_far_away() {
        let points = |data: Data, stream| data.points(NoiseKey::seed(1).stream(stream), 1024);
        let fresh: Vec<_> = (1..=4).map(|stream| points(Data::Moons, stream)).collect();
        let yardstick = Yardstick::new(points(Data::Moons, 0), &fresh);
        let (same, other) = (points(Data::Moons, 5), points(Data::Checkerboard, 0));
        assert!(yardstick.multiples(&same) < 3.0, "{}", yardstick.multiples(&same));
        assert!(yardstick.multiples(&other) > 6.0, "{}", yardstick.multiples(&other));
    }
}

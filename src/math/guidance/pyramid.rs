//! The Laplacian pyramids of predictions, as kornia builds them, and the sum of their mixed levels.
//!
//! A level of the Gaussian pyramid is the one before, blurred and halved: the mean of two neighbours, along both axes. A level of
//! the Laplacian pyramid is the Gaussian level minus the next one, doubled (by linear interpolation) and blurred. Its last level is
//! the Gaussian level itself. Halving and doubling work along one axis and are applied to the rows and the columns of a plane.

use crate::math::guidance::mixture::{Predictions, of_sample, rescale};
use crate::table::pyramid::{Pyramid, PyramidSizes};

/// The weights of the blur: binomial, over 16.
const BLUR: [f64; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// The weights of the nearer and the farther element in the interpolation that doubles a line.
const NEAR: f64 = 0.75;
const FAR: f64 = 0.25;

/// Writes the sum of the mixed levels of each sample.
pub(super) fn sum_of_levels(pyramid: &Pyramid, sizes: &PyramidSizes, guided: &mut [f64], c: &[f64], u: &[f64]) {
    let sample = (guided.len() / sizes.batch.max(1)).max(1);
    for ((guided, c), u) in guided.chunks_mut(sample).zip(c.chunks(sample)).zip(u.chunks(sample)) {
        let [of_c, of_u] = [c, u].map(|values| levels(values, sizes));
        let each = pyramid.rows().zip(of_c.iter().zip(&of_u));
        let mixed: Vec<Vec<f64>> = each
            .map(|(row, (c, u))| of_sample(&row, &Predictions { unconditional: u, ..Predictions::of(c) }))
            .collect();
        write_sum(&mixed, sizes, guided);
        if pyramid.rescale() != 0.0 {
            rescale(guided, c, pyramid.rescale());
        }
    }
}

/// The Laplacian levels of a sample, each with all channels.
fn levels(sample: &[f64], sizes: &PyramidSizes) -> Vec<Vec<f64>> {
    let mut levels = vec![Vec::new(); sizes.levels.len()];
    let [height, width] = sizes.given;
    for channel in sample.chunks((height * width).max(1)) {
        let mut plane = Plane { width, values: channel.to_vec() };
        if let Some(&[height, width]) = sizes.levels.first() {
            plane = plane.rows(|row| filled(row, width)).columns(|column| filled(column, height));
        }
        for (k, level) in levels.iter_mut().enumerate() {
            if k + 1 < sizes.levels.len() {
                let next = plane.rows(halved).columns(halved);
                level.extend(plane.plus(&next.doubled(), -1.0).values);
                plane = next;
            } else {
                level.extend_from_slice(&plane.values);
            }
        }
    }
    levels
}

/// Writes the sum of the levels, cut to the size of the predictions.
fn write_sum(levels: &[Vec<f64>], sizes: &PyramidSizes, guided: &mut [f64]) {
    let [height, width] = sizes.given;
    for (i, channel) in guided.chunks_mut((height * width).max(1)).enumerate() {
        let mut each = levels.iter().zip(&sizes.levels).rev().map(|(level, &[height, width])| Plane {
            width,
            values: level.iter().skip(i * height * width).take(height * width).copied().collect(),
        });
        let Some(coarsest) = each.next() else { continue };
        let sum = each.fold(coarsest, |sum, level| level.plus(&sum.doubled(), 1.0));
        for (row, of_sum) in channel.chunks_mut(width.max(1)).zip(sum.values.chunks(sum.width.max(1))) {
            row.copy_from_slice(&of_sum[..row.len()]);
        }
    }
}

/// A plane of one channel, row by row.
struct Plane {
    width: usize,
    values: Vec<f64>,
}

impl Plane {
    /// Applies a function to each row.
    fn rows(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let rows: Vec<Vec<f64>> = self.values.chunks(self.width.max(1)).map(of).collect();
        Self { width: rows.first().map_or(0, Vec::len), values: rows.concat() }
    }

    /// Applies a function to each column.
    fn columns(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        self.transposed().rows(of).transposed()
    }

    fn transposed(&self) -> Self {
        let columns = (0..self.width).flat_map(|x| self.values.iter().skip(x).step_by(self.width.max(1))).copied();
        Self { width: self.values.len() / self.width.max(1), values: columns.collect() }
    }

    fn doubled(&self) -> Self {
        self.rows(doubled).columns(doubled)
    }

    fn plus(&self, other: &Self, factor: f64) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(own, other)| own + factor * other);
        Self { width: self.width, values: values.collect() }
    }
}

/// The index of `count` elements onto which `index - before` is reflected at the first and the last.
fn reflected(index: usize, before: usize, count: usize) -> usize {
    let distance = index.abs_diff(before);
    if distance < count { distance } else { 2 * (count - 1) - distance }
}

/// Extends a line to this length by reflection.
fn filled(line: &[f64], length: usize) -> Vec<f64> {
    (0..length).map(|i| line[reflected(i, 0, line.len())]).collect()
}

fn blurred(line: &[f64]) -> Vec<f64> {
    let at = |i: usize| BLUR.iter().enumerate().map(|(k, weight)| weight * line[reflected(i + k, 2, line.len())]).sum();
    (0..line.len()).map(at).collect()
}

/// Blurs and halves a line of even length.
fn halved(line: &[f64]) -> Vec<f64> {
    blurred(line).chunks_exact(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect()
}

/// Doubles and blurs a line.
fn doubled(line: &[f64]) -> Vec<f64> {
    let last = line.len().saturating_sub(1);
    let between = |i: usize| [i.saturating_sub(1), (i + 1).min(last)].map(|far| NEAR * line[i] + FAR * line[far]);
    blurred(&(0..line.len()).flat_map(between).collect::<Vec<_>>())
}

//! Windows of a batch: the whole samples that are computed at once, or a part of a sample that is larger than a window.
//!
//! A command reads, computes and writes one window after the other, so that its memory does not grow with its file. Results are
//! those of the whole batch; only the loss of a sample that is cut is summed in another order.

use crate::report::Failure;
use anyhow::anyhow;
use std::ops::Range;
use tweedie::Shape;

/// Elements of a window: 8 MiB of f32, a few milliseconds of work on a CPU, next to which the cost of a submit is small.
const ELEMENTS: usize = 2 << 20;

/// Consecutive elements of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub samples: Range<usize>,
    /// The elements of each sample; all of them where there are several samples.
    pub elements: Range<usize>,
    /// Elements of a whole sample.
    pub per_sample: usize,
}

/// Places where a window may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Between samples.
    BetweenSamples,
    /// Also within a sample that is larger than a window.
    WithinSamples,
}

impl Window {
    /// A whole batch.
    pub fn all(batch: usize, per_sample: usize) -> Self {
        Self { samples: 0..batch, elements: 0..per_sample, per_sample }
    }

    /// Its range of elements in the whole tensor.
    pub fn range(&self) -> Range<usize> {
        let start = self.samples.start * self.per_sample + self.elements.start;
        start..start + self.samples.len() * self.elements.len()
    }

    /// The entries of its samples in a list with one for each sample of the batch.
    pub fn entries<'a, T>(&self, list: &'a [T]) -> &'a [T] {
        list.get(self.samples.clone()).unwrap_or_default()
    }

    /// Its window in a tensor with one number for each sample.
    pub fn of_samples(&self) -> Self {
        Self { samples: self.samples.clone(), elements: 0..1, per_sample: 1 }
    }

    /// The fraction of a sample that it holds: 1 for whole samples.
    pub fn part(&self) -> f64 {
        self.elements.len() as f64 / self.per_sample as f64
    }

    /// True if its samples end in it.
    pub fn is_last_of_samples(&self) -> bool {
        self.elements.end == self.per_sample
    }

    /// The error for a window that has no shape.
    pub fn too_large(&self) -> Failure {
        Failure::input(anyhow!("expected at most {} elements in a sample, found {}", u32::MAX, self.per_sample))
    }

    /// Its shape; `None` if it is too large for one.
    pub fn shape(&self) -> Option<Shape> {
        let [samples, elements] = [self.samples.len(), self.elements.len()].map(u32::try_from);
        Some(Shape::new(samples.ok()?, elements.ok()?))
    }
}

/// The windows of a batch, in order.
pub fn windows(batch: usize, per_sample: usize, cut: Cut) -> impl Iterator<Item = Window> {
    of_at_most(ELEMENTS, batch, per_sample, cut)
}

fn of_at_most(most: usize, batch: usize, per_sample: usize, cut: Cut) -> impl Iterator<Item = Window> {
    let samples = (most / per_sample.max(1)).max(1);
    let elements = if cut == Cut::WithinSamples { most.min(per_sample) } else { per_sample }.max(1);
    (0..batch).step_by(samples).flat_map(move |sample| {
        (0..per_sample).step_by(elements).map(move |element| Window {
            samples: sample..batch.min(sample + samples),
            elements: element..per_sample.min(element + elements),
            per_sample,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_each_other_and_leave_nothing_out() {
        for (batch, per_sample) in [(1, 1), (7, 3), (3, 7), (5, 24), (2, 25), (1, 100), (100, 1), (4, 12)] {
            for cut in [Cut::BetweenSamples, Cut::WithinSamples] {
                let mut next = 0;
                for window in of_at_most(24, batch, per_sample, cut) {
                    let range = window.range();
                    assert_eq!(range.start, next, "{window:?}");
                    assert!(!range.is_empty() && (range.len() <= 24 || cut == Cut::BetweenSamples), "{window:?}");
                    assert!(window.samples.len() == 1 || window.part() == 1.0, "{window:?}");
                    assert_eq!(window.is_last_of_samples(), range.end % per_sample == 0, "{window:?}");
                    next = range.end;
                }
                assert_eq!(next, batch * per_sample, "{batch} x {per_sample}");
            }
        }
    }

    #[test]
    fn a_large_sample_is_cut_only_where_it_may_be() {
        let of = |cut| of_at_most(24, 2, 50, cut).map(|window| window.range()).collect::<Vec<_>>();
        assert_eq!(of(Cut::BetweenSamples), [0..50, 50..100]);
        assert_eq!(of(Cut::WithinSamples), [0..24, 24..48, 48..50, 50..74, 74..98, 98..100]);
    }
}

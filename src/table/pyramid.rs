//! The mixtures of the levels of two predictions' Laplacian pyramids.

use super::guide::{GuideRow, Weights};

/// The mixtures of the levels of a Laplacian pyramid (frequency-decoupled guidance, Sadat et al. 2025, arXiv 2506.19713).
///
/// The pyramids of the conditional and the unconditional prediction, `[batch, channels, height, width]`, are those of kornia's
/// `build_laplacian_pyramid`: a level halves the edges of the one before. Both edges are padded to powers of two by reflection
/// where neither is a power of two, or where one cannot be halved once for each level after the first. The sum of the levels is
/// then cropped to the size of the predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pyramid {
    levels: [PyramidLevel; Self::MOST],
    count: usize,
    original: bool,
    rescale: f64,
}

/// The mixture of a level: `u + scale*d`, or `c + scale*d` in the original formulation, where `d` is `c - u` with its part along
/// `c` multiplied by `parallel`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PyramidLevel {
    /// The scale of guidance.
    pub scale: f64,
    /// The factor of the part of `c - u` along `c`.
    pub parallel: f64,
    /// The degree of rescaling to the standard deviation of `c` in this level, in `0..=1`.
    pub rescale: f64,
}

/// The sizes of a pyramid of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PyramidSizes {
    pub batch: usize,
    pub channels: usize,
    /// Height and width of the predictions.
    pub given: [usize; 2],
    /// Height and width of each level, the finest one first.
    pub levels: Vec<[usize; 2]>,
}

impl PyramidLevel {
    /// Returns the mixture whose result is the level of the conditional prediction.
    #[must_use]
    pub const fn conditional(original: bool) -> Self {
        Self { scale: if original { 0.0 } else { 1.0 }, parallel: 1.0, rescale: 0.0 }
    }
}

impl Pyramid {
    /// The most levels of a pyramid.
    pub const MOST: usize = 8;

    /// Creates the mixtures of levels, the finest one first, with the degree to which their sum is rescaled; `original` chooses
    /// the original formulation of guidance. `None` for no levels, or for more than [`MOST`](Self::MOST).
    #[must_use]
    pub fn new(levels: &[PyramidLevel], original: bool, rescale: f64) -> Option<Self> {
        let mut all = [PyramidLevel::default(); Self::MOST];
        all.get_mut(..levels.len()).filter(|_| !levels.is_empty())?.copy_from_slice(levels);
        Some(Self { levels: all, count: levels.len(), original, rescale })
    }

    /// The levels, the finest one first.
    #[must_use]
    pub fn levels(&self) -> &[PyramidLevel] {
        &self.levels[..self.count]
    }

    /// The degree to which the sum of the levels is rescaled to the conditional prediction's standard deviation, in `0..=1`.
    #[must_use]
    pub const fn rescale(&self) -> f64 {
        self.rescale
    }

    /// The rows that mix the two predictions in each level, the finest one first.
    pub fn rows(&self) -> impl Iterator<Item = GuideRow> + use<'_> {
        self.levels().iter().map(|level| level.row(self.original))
    }

    /// The sizes of the levels in a batch of this shape; `None` if it has too few: every level but the last needs even edges of
    /// at least 4.
    pub(crate) fn sizes(&self, shape: &[usize]) -> Option<PyramidSizes> {
        let &[batch, channels, height, width] = shape else { return None };
        let given = [height, width];
        let halves = 1 << (self.count - 1);
        let fills =
            given.iter().all(|edge| !edge.is_power_of_two()) || given.iter().any(|edge| !edge.is_multiple_of(halves));
        let mut edges = given;
        if fills {
            edges = [height.checked_next_power_of_two()?, width.checked_next_power_of_two()?];
        }
        let is_deep = |edge: &usize| self.count == 1 || edge.is_multiple_of(halves) && *edge >= 2 * halves;
        let levels = (0..self.count).map(|level| edges.map(|edge| edge >> level)).collect();
        edges.iter().all(is_deep).then_some(PyramidSizes { batch, channels, given, levels })
    }
}

impl PyramidLevel {
    fn row(self, original: bool) -> GuideRow {
        if self == Self::conditional(original) {
            return GuideRow::CONDITIONAL;
        }
        let Self { scale, parallel, rescale } = self;
        let plain = parallel == 1.0;
        let along = if original { scale } else { scale - 1.0 };
        GuideRow {
            first: [if plain { along } else { 1.0 }, 0.0, 0.0],
            second: [if plain || original { 0.0 } else { 1.0 }, 0.0, 0.0],
            weights: match plain {
                true => Weights::Fixed([1.0, 1.0, 0.0]),
                false => Weights::Projected { scale, threshold: 0.0, eta: parallel },
            },
            rescale,
            ..GuideRow::CONDITIONAL
        }
    }
}

//! The end of a guidance call: a change of its mixture at each position.

use super::pyramid::Pyramid;

/// The change of a mixture `g` at each position, from norms or cosines along an axis, or from the positions around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finish {
    /// `g * strength * |c|/|g|` with norms along an axis at each position; if `clamped`, `g * strength * min(|c|/(|g| + 1e-8), 1)`.
    Norm {
        /// The axis of the norms: 1 and up, or negative from -1, the last one. It cannot be the batch, axis 0.
        axis: i64,
        /// The factor of the result.
        strength: f64,
        /// Only shortens `g`: a result shorter than the conditional prediction is not lengthened.
        clamped: bool,
    },
    /// `((k + 1)*g + (1 - k)*w*c)/2`, where `k` is the mean over positions of the cosine, over axis 1, of the signed square
    /// roots of `w*u` and of `(w*c + g)/2`.
    Mahiro {
        /// The scale `w`.
        scale: f64,
        /// Takes the mean over the whole batch instead of each sample.
        over_batch: bool,
    },
    /// The sum of the levels of a Laplacian pyramid, each mixed by its own row. It replaces `g`.
    Pyramid(Pyramid),
}

/// The axis of Mahiro's cosine: channels.
const CHANNELS: i64 = 1;

/// The elements along an axis of a batch: `length` at each position, `inner` elements apart.
pub(crate) struct Axis {
    pub length: usize,
    pub inner: usize,
}

impl Finish {
    /// Returns true if the change reads the unconditional prediction.
    #[must_use]
    pub const fn reads_unconditional(self) -> bool {
        matches!(self, Self::Mahiro { .. } | Self::Pyramid(_))
    }

    /// The axis of the norms or cosines in a batch of this shape; `None` if there is none.
    pub(crate) fn axis(self, shape: &[usize]) -> Option<Axis> {
        match self {
            Self::Norm { axis, .. } => Axis::of(shape, axis),
            Self::Mahiro { .. } => Axis::of(shape, CHANNELS),
            Self::Pyramid(_) => None,
        }
    }
}

impl Axis {
    fn of(shape: &[usize], axis: i64) -> Option<Self> {
        let rank = i64::try_from(shape.len()).ok()?;
        let at = usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok()?;
        let length = *shape.get(at).filter(|_| at > 0)?;
        Some(Self { length, inner: shape[at + 1..].iter().product() })
    }

    /// The index of the first element of each position in a batch of this many elements.
    pub fn positions(&self, elements: usize) -> impl Iterator<Item = usize> + use<> {
        let (inner, block) = (self.inner, self.length * self.inner);
        (0..elements).step_by(block.max(1)).flat_map(move |first| first..first + inner)
    }

    /// The indices of the elements of the position whose first element is `first`.
    pub fn elements(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        (first..).step_by(self.inner.max(1)).take(self.length)
    }

    /// The sum of a function of the element indices of a position.
    pub fn sum(&self, first: usize, of: impl Fn(usize) -> f64) -> f64 {
        self.elements(first).map(of).sum()
    }
}

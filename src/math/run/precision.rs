//! The precision in which sigmas are computed: f64, or f32 as in a program that computes in f32.

/// The precision of a computation. Each operation is computed in f64; in single precision its result is then rounded to f32.
///
/// For `+ - * /` and the square root that is the result of f32 arithmetic, because f64 has more than twice the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Double,
    Single,
}

impl Precision {
    /// Rounds the result of one operation.
    pub(super) fn round(self, value: f64) -> f64 {
        match self {
            Self::Double => value,
            Self::Single => f64::from(value as f32),
        }
    }

    /// A number divided by an element of a tensor: torch multiplies by the reciprocal, which makes a difference in f32.
    pub(super) fn over(self, number: f64, element: f64) -> f64 {
        match self {
            Self::Double => number / element,
            Self::Single => self.round(self.round(1.0 / element) * number),
        }
    }

    /// `count` numbers in equal steps between the ends, both of them exact, as torch computes them: each from the nearer end, with
    /// a fused multiply-add.
    pub(super) fn linspace(self, start: f64, end: f64, count: usize) -> impl Iterator<Item = f64> + Clone {
        let [start, end] = [start, end].map(|value| self.round(value));
        let last = count.saturating_sub(1);
        let step = self.round(self.round(end - start) / last.max(1) as f64);
        (0..count).map(move |i| match i < count / 2 || last == 0 {
            true => self.round(step.mul_add(i as f64, start)),
            false => self.round(step.mul_add(-((last - i) as f64), end)),
        })
    }
}

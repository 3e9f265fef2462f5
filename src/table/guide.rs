//! Rows of guidance: the mixture of several predictions of one call.
//!
//! **Theory.** Guidance starts from the conditional prediction and moves along differences of predictions:
//! ```text
//! v1 = first . (c - u, c - p3, c - p4)  + momentum * (v1 of the call before)
//! v2 = second . (c - u, c - p3, c - p4)
//! g  = w[0]*c + w[1]*v1 + w[2]*v2
//! g  = g * (rescale*std(c)/std(g) + 1 - rescale)
//! ```
//! where `c` and `u` are the conditional and the unconditional prediction, `p3` and `p4` further ones. In most methods the
//! three weights are fixed for a call. In the others they follow from sums over a sample: of `c`, `v1`, `v2` and of
//! their products, nine in all. The sums are over differences, not over predictions: where `u` is close to `c`, a difference
//! of two sums of squares would keep few correct digits.
//!
//! **Practice.** A [`GuideRow`] is three `vec4`s per call. A prediction whose coefficients are 0 is not read: it may be missing,
//! or have any content.

use super::Row;

/// The summand in the denominator of the scale of CFG-Zero*.
const ZERO_STAR_EPSILON: f64 = 1e-8;

/// The least norm by which a vector is divided to normalize it.
const LEAST_NORM: f64 = 1e-12;

/// The coefficients of one call; see the [module](self) for what each multiplies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuideRow {
    /// The coefficients of `c - u`, `c - p3` and `c - p4` in the first vector.
    pub first: [f64; 3],
    /// The coefficients of the same differences in the second vector.
    pub second: [f64; 3],
    /// The coefficient of the previous call's first vector in this call's.
    pub momentum: f64,
    /// The weights of the conditional prediction and the two vectors.
    pub weights: Weights,
    /// The degree to which the result is rescaled to the conditional prediction's standard deviation, in `0..=1` (Lin et
    /// al. 2023, arXiv 2305.08891, section 3.4).
    pub rescale: f64,
}

/// The rule that gives the weights of a [`GuideRow`], fixed or from the sums over a sample.
///
/// In the formulas, `u` stands for `c - v1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weights {
    /// The weights themselves.
    Fixed([f64; 3]),
    /// `scale*c + (1 - scale)*a*u` with `a = <c,u>/(<u,u> + 1e-8)` (CFG-Zero*, Fan et al. 2025, arXiv 2503.18886).
    ZeroStar {
        /// The scale of guidance.
        scale: f64,
    },
    /// [`ZeroStar`](Self::ZeroStar) with `a` computed from noises: `v2` in place of `c`, `v1 + v2` in place of `u` (ComfyUI).
    ZeroStarOfNoise {
        /// The scale of guidance.
        scale: f64,
    },
    /// `c + scale*d - v2`, where `d` is `v1`, shortened to `threshold` if it is longer, with its part along `c` multiplied by
    /// `eta` (adaptive projected guidance, Sadat et al. 2024, arXiv 2410.02416).
    Projected {
        /// The factor of `d`.
        scale: f64,
        /// The largest norm of `v1` before scaling; 0 for no limit.
        threshold: f64,
        /// The factor of the part along `c`.
        eta: f64,
    },
    /// `scale*c + (1 - scale)*u'`, where `u'` is `u` projected onto the first right singular vector of the rows `c` and `u`
    /// (tangential damping, Kwon et al. 2025, arXiv 2503.18137).
    Tangential {
        /// The scale of guidance.
        scale: f64,
    },
    /// [`Tangential`](Self::Tangential) with noises: `v2` in place of `c`, `v1 + v2` in place of `u`; the result is the sample
    /// minus the noise (ComfyUI).
    TangentialOfNoise {
        /// The scale of guidance.
        scale: f64,
    },
    /// `c + (scale - 1)*exp(-alpha*|v1|/|u|)*v1` (MAMBO-G, arXiv 2508.03442).
    Magnitude {
        /// The scale of guidance.
        scale: f64,
        /// The decay.
        alpha: f64,
    },
    /// `u + scale*(v1 - negative*p)`, where `p` is the part of `v2` that is orthogonal to `v1` (Armandpour et al. 2023, arXiv
    /// 2304.04968).
    Perpendicular {
        /// The scale of guidance.
        scale: f64,
        /// The factor of the part that is subtracted.
        negative: f64,
    },
}

/// The sums over a sample from which weights follow: those of the products of `c`, `v1` and `v2`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Products {
    /// `<c,c>`.
    pub cc: f64,
    /// `<c,v1>`.
    pub c1: f64,
    /// `<c,v2>`.
    pub c2: f64,
    /// `<v1,v1>`.
    pub v11: f64,
    /// `<v1,v2>`.
    pub v12: f64,
    /// `<v2,v2>`.
    pub v22: f64,
}

impl GuideRow {
    /// The row whose result is the conditional prediction.
    pub const CONDITIONAL: Self = Self {
        first: [0.0; 3],
        second: [0.0; 3],
        momentum: 0.0,
        weights: Weights::Fixed([1.0, 0.0, 0.0]),
        rescale: 0.0,
    };

    /// Whether the unconditional, the third and the fourth prediction are read.
    #[must_use]
    pub fn reads(&self) -> [bool; 3] {
        std::array::from_fn(|i| self.first[i] != 0.0 || self.second[i] != 0.0)
    }

    /// Returns true if the first vector is remembered for the next call: where a prediction contributes to it.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.first != [0.0; 3]
    }

    /// Returns true if the result depends on sums over a sample.
    #[must_use]
    pub fn sums(&self) -> bool {
        self.rescale != 0.0 || !matches!(self.weights, Weights::Fixed(_))
    }
}

impl Weights {
    /// Returns the weights of `c`, `v1` and `v2`.
    #[must_use]
    pub fn of(&self, sums: &Products) -> [f64; 3] {
        let Products { cc, c1, v11, v12, v22, .. } = *sums;
        match *self {
            Self::Fixed(weights) => weights,
            Self::ZeroStar { scale } => {
                let damped = (1.0 - scale) * optimal(cc - c1, cc - 2.0 * c1 + v11);
                [scale + damped, -damped, 0.0]
            }
            Self::ZeroStarOfNoise { scale } => {
                let damped = (1.0 - scale) * optimal(v12 + v22, v11 + 2.0 * v12 + v22);
                [scale + damped, -damped, 0.0]
            }
            Self::Projected { scale, threshold, eta } => {
                let norm = v11.sqrt();
                let shortened = if threshold > 0.0 && norm > threshold { threshold / norm } else { 1.0 };
                let along = c1 / cc.max(LEAST_NORM * LEAST_NORM);
                [1.0 - scale * (1.0 - eta) * shortened * along, scale * shortened, -1.0]
            }
            Self::Tangential { scale } => {
                let [c, u] = tangent(2.0 * (cc - c1), 2.0 * c1 - v11).map(|share| (1.0 - scale) * share);
                [scale + c + u, -u, 0.0]
            }
            Self::TangentialOfNoise { scale } => {
                let [c, u] = tangent(2.0 * (v22 + v12), -(v11 + 2.0 * v12));
                let rest = 1.0 - scale;
                [1.0, -rest * u, rest * (1.0 - c - u)]
            }
            Self::Magnitude { scale, alpha } => {
                let ratio = (v11 / (cc - 2.0 * c1 + v11).max(0.0)).sqrt();
                let decay = if alpha == 0.0 || v11 == 0.0 { 1.0 } else { (-alpha * ratio).exp() };
                [1.0, (scale - 1.0) * decay, 0.0]
            }
            Self::Perpendicular { scale, negative } => {
                let along = if v11 > 0.0 { v12 / v11 } else { 0.0 };
                [1.0, -1.0 + scale * (1.0 + negative * along), -scale * negative]
            }
        }
    }

    /// The code of the rule in the kernel, and its parameters.
    fn numbers(&self) -> (u32, [f64; 3]) {
        match *self {
            Self::Fixed(weights) => (0, weights),
            Self::ZeroStar { scale } => (1, [scale, 0.0, 0.0]),
            Self::ZeroStarOfNoise { scale } => (2, [scale, 0.0, 0.0]),
            Self::Projected { scale, threshold, eta } => (3, [scale, threshold, eta]),
            Self::Tangential { scale } => (4, [scale, 0.0, 0.0]),
            Self::TangentialOfNoise { scale } => (5, [scale, 0.0, 0.0]),
            Self::Magnitude { scale, alpha } => (6, [scale, alpha, 0.0]),
            Self::Perpendicular { scale, negative } => (7, [scale, negative, 0.0]),
        }
    }
}

/// The factor with which the unconditional prediction comes closest to the conditional one.
fn optimal(cu: f64, uu: f64) -> f64 {
    cu / (uu + ZERO_STAR_EPSILON)
}

/// The shares of `c` and `u` in the projection of `u` onto the first right singular vector of both, from `2<c,u>` and
/// `<c,c> - <u,u>`.
///
/// With the eigenvector `e` of the larger eigenvalue of their products, the projection is `e1*(e0*c + e1*u)`.
fn tangent(twice_cu: f64, gap: f64) -> [f64; 2] {
    let length = gap.hypot(twice_cu);
    // If no direction dominates, the first singular vector is c.
    if length > 0.0 { [twice_cu / length / 2.0, (1.0 - gap / length) / 2.0] } else { [0.0, 0.0] }
}

/// `[first, momentum]`, `[second, rescale]`, `[rule, parameters of the rule]`.
impl Row<12> for GuideRow {
    fn numbers(&self) -> [f64; 12] {
        let Self { first: [a0, a1, a2], second: [b0, b1, b2], momentum, rescale, .. } = *self;
        let (rule, [n0, n1, n2]) = self.weights.numbers();
        [a0, a1, a2, momentum, b0, b1, b2, rescale, f64::from(rule), n0, n1, n2]
    }
}

//! The points of the plane, their names, and the one solve between them.
//!
//! **Theory.** A quantity is a row `(a, b)` that stands for `a*x0 + b*epsilon`. With the rows of the noisy sample `x_t`
//! and of a prediction `p` as a basis, a wanted row `w` has coordinates `(c0, c1)`:
//! ```text
//! w   = c0*x_t + c1*p
//! det = x_t[0]*p[1] - x_t[1]*p[0]
//! c0  = (w[0]*p[1] - w[1]*p[0]) / det
//! c1  = (x_t[0]*w[1] - x_t[1]*w[0]) / det
//! ```
//! The determinants are `-sigma` for x0, `alpha` for epsilon, `-alpha/sigma` for the score, `alpha + sigma` for flow and
//! `alpha^2 + sigma^2` for v, which is therefore never singular; nor is EDM's network output, which is a rotation like v. The
//! hand-written conversions of Ho et al. 2020 (eq. 9 and 15), Salimans & Ho 2022 (appendix D) and Lipman et al. 2023 are
//! all instances.
//!
//! **Practice.** [`solve`] is the only conversion in this library. Differences of products are formed with fused
//! multiply-adds, so a coefficient that crosses zero keeps its relative precision.

use super::double_double::difference_of_products;
use super::edm::SigmaData;
use super::level::NoiseLevel;
use crate::few::few;
use std::fmt;
use thiserror::Error;

/// The meaning of a tensor: a row `(a, b)` that stands for `a*x0 + b*epsilon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// The noisy sample `alpha*x0 + sigma*epsilon`: the observation.
    Xt,
    /// The clean sample.
    X0,
    /// The noise, of unit variance.
    Epsilon,
    /// `alpha*epsilon - sigma*x0` (Salimans & Ho 2022, arXiv 2202.00512).
    V,
    /// The gradient of the log density of `x_t` given `x0`, `-epsilon/sigma` (Song et al. 2021, arXiv 2011.13456).
    Score,
    /// The velocity `epsilon - x0` of rectified flow, in the sign of Stable Diffusion 3 (arXiv 2403.03206).
    Flow,
    /// The output of a preconditioned network, `(x0 - c_skip*x_t)/c_out` (Karras et al. 2022, arXiv 2206.00364, eq. 7).
    Edm(SigmaData),
    /// The velocity `x0 - epsilon` of a flow whose time runs from noise to data (Liu et al. 2022, arXiv 2209.03003).
    RisingFlow,
    /// `(cos(t)*z - sin(t)*x0)/sigma_data`, where the noise `z` has the standard deviation `sigma_data` of the data: the output of
    /// TrigFlow (Lu & Song 2024, arXiv 2410.11081, section 3). It is [`Edm`](Self::Edm) with the opposite sign, and the
    /// `v_prediction` of diffusers' EDM schedulers.
    TrigFlow(SigmaData),
}

impl Quantity {
    /// All quantities; EDM's and TrigFlow's with a `sigma_data` of 0.5, that of EDM's paper.
    pub const ALL: [Self; 9] = [
        Self::Xt,
        Self::X0,
        Self::Epsilon,
        Self::V,
        Self::Score,
        Self::Flow,
        Self::Edm(SigmaData::KARRAS),
        Self::RisingFlow,
        Self::TrigFlow(SigmaData::KARRAS),
    ];

    /// The name in the [catalogue](Self::CATALOGUE): the usual one in the field, where there is one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xt => "x_t",
            Self::X0 => "x0",
            Self::Epsilon => "epsilon",
            Self::V => "v",
            Self::Score => "score",
            Self::Flow => "flow",
            Self::Edm(_) => "edm",
            Self::RisingFlow => "rising-flow",
            Self::TrigFlow(_) => "trigflow",
        }
    }

    /// The same quantity of the opposite sign, if it has a name.
    #[must_use]
    pub const fn negated(self) -> Option<Self> {
        match self {
            Self::Flow => Some(Self::RisingFlow),
            Self::RisingFlow => Some(Self::Flow),
            Self::Edm(sigma_data) => Some(Self::TrigFlow(sigma_data)),
            Self::TrigFlow(sigma_data) => Some(Self::Edm(sigma_data)),
            _ => None,
        }
    }

    /// The standard deviation of the data with which EDM's or TrigFlow's output is defined; `None` for other quantities.
    #[must_use]
    pub const fn sigma_data(self) -> Option<SigmaData> {
        match self {
            Self::Edm(sigma_data) | Self::TrigFlow(sigma_data) => Some(sigma_data),
            _ => None,
        }
    }

    /// Returns true for the velocity of rectified flow, of either sign.
    #[must_use]
    pub const fn is_flow(self) -> bool {
        matches!(self, Self::Flow | Self::RisingFlow)
    }

    /// Returns the coefficients `(a, b)` of `a*x0 + b*epsilon` at a noise level.
    ///
    /// # Errors
    /// [`Undefined`] for the score at `sigma = 0`, or so near it that `1/sigma` is beyond the range of f64.
    pub fn row(self, level: NoiseLevel) -> Result<[f64; 2], Undefined> {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let row = match self {
            Self::Xt => [alpha, sigma],
            Self::X0 => [1.0, 0.0],
            Self::Epsilon => [0.0, 1.0],
            Self::V => [0.0 - sigma, alpha],
            Self::Score => [0.0, -1.0 / sigma],
            Self::Flow => [-1.0, 1.0],
            Self::Edm(sigma_data) => sigma_data.row(level),
            Self::RisingFlow => [1.0, -1.0],
            Self::TrigFlow(sigma_data) => sigma_data.row(level).map(|coefficient| 0.0 - coefficient),
        };
        finite(row).ok_or_else(|| undefined(level, None, self))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns `(c0, c1)` with `wanted = c0*x_t + c1*given` at a noise level: every conversion is such a pair.
///
/// Special cases, at every level: `(0, 1)` where `wanted` is `given`, and `(1, 0)` for any other `given` where `wanted` is the
/// noisy sample. Where `given` and `x_t` are parallel, a wanted row that is parallel to them is still determined (score and
/// epsilon at `alpha = 0`), from the prediction if possible.
///
/// # Errors
/// [`Undefined`] if the two do not determine `wanted`: epsilon to x0 at `alpha = 0`, x0 to epsilon at `sigma = 0`, the
/// noisy sample alone to anything else, a score at `sigma = 0`; or if a coefficient is beyond the range of f64.
///
/// ```
/// use tweedie::math::{NoiseLevel, Quantity, solve};
///
/// let level = NoiseLevel::new(0.8, 0.6)?;
/// let [c0, c1] = solve(level, Quantity::V, Quantity::X0)?;
/// assert!((c0 - 0.8).abs() < 1e-15 && (c1 + 0.6).abs() < 1e-15); // x0 = alpha*x_t - sigma*v
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn solve(level: NoiseLevel, given: Quantity, wanted: Quantity) -> Result<[f64; 2], Undefined> {
    if given == wanted {
        return Ok([0.0, 1.0]);
    }
    if wanted == Quantity::Xt {
        return Ok([1.0, 0.0]);
    }
    coordinates(level, given, wanted).ok_or_else(|| undefined(level, Some(given), wanted))
}

fn coordinates(level: NoiseLevel, given: Quantity, wanted: Quantity) -> Option<[f64; 2]> {
    let (x, of_x) = unit([level.alpha(), level.sigma()]);
    let (p, of_p) = unit(given.row(level).ok()?);
    let (w, of_w) = unit(wanted.row(level).ok()?);
    let det = cross(x, p);
    let [c0, c1] = if det != 0.0 {
        [cross(w, p) / det, cross(x, w) / det]
    } else {
        let from_given = multiple(w, p).map(|k| [0.0, k]);
        from_given.or_else(|| multiple(w, x).map(|k| [k, 0.0]))?
    };
    finite([times_power(c0, of_w - of_x), times_power(c1, of_w - of_p)])
}

/// The row divided by the power of two of its larger number, and the exponent. Products then stay within the range of f64, and
/// the division is usually exact.
fn unit(row: [f64; 2]) -> ([f64; 2], i32) {
    let larger = row[0].abs().max(row[1].abs());
    let exponent = (larger.to_bits() >> 52) as i32 - 1023;
    (row.map(|number| times_power(number, -exponent)), exponent)
}

/// `number * 2^exponent`, where the power alone may be beyond the range of f64.
fn times_power(number: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    number * 2f64.powi(half) * 2f64.powi(exponent - half)
}

/// `a[0]*b[1] - a[1]*b[0]`.
fn cross(a: [f64; 2], b: [f64; 2]) -> f64 {
    difference_of_products(a[0], b[1], a[1], b[0])
}

/// The number `k` with `row = k*base`, if there is one.
fn multiple(row: [f64; 2], base: [f64; 2]) -> Option<f64> {
    let longer = usize::from(base[1].abs() > base[0].abs());
    (base[longer] != 0.0 && cross(row, base) == 0.0).then(|| row[longer] / base[longer])
}

/// The row without negative zeros, if it is finite.
pub(super) fn finite(row: [f64; 2]) -> Option<[f64; 2]> {
    row.iter().all(|c| c.is_finite()).then(|| row.map(|c| c + 0.0))
}

pub(super) fn undefined(level: NoiseLevel, given: Option<Quantity>, wanted: Quantity) -> Undefined {
    Undefined { wanted, given, alpha: level.alpha(), sigma: level.sigma(), timestep: None }
}

/// A quantity that is not determined at a noise level.
///
/// At `alpha = 0` (zero terminal SNR) the noisy sample is pure noise: epsilon says nothing about x0. At `sigma = 0` it is
/// a multiple of the clean sample: x0 says nothing about epsilon. The same error reports coefficients beyond the range of f64.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", self.message())]
pub struct Undefined {
    /// The quantity asked for.
    pub wanted: Quantity,
    /// The prediction that is known besides the noisy sample; `None` if x0 and epsilon are known.
    pub given: Option<Quantity>,
    /// The signal's coefficient there.
    pub alpha: f64,
    /// The noise's coefficient there.
    pub sigma: f64,
    /// The first timestep of a table at which this happens; `None` for a single noise level.
    pub timestep: Option<usize>,
}

impl Undefined {
    /// Returns the error with the timestep at which it happens.
    #[must_use]
    pub fn at(self, timestep: usize) -> Self {
        Self { timestep: Some(timestep), ..self }
    }

    fn message(&self) -> String {
        let wanted = self.wanted;
        let what = match self.given {
            Some(given) => format!("{given} does not determine {wanted}"),
            None => format!("{wanted} does not exist"),
        };
        let place = match self.timestep {
            Some(timestep) => format!(" at timestep {timestep},"),
            None => String::new(),
        };
        format!("{what}{place} where {}", self.reason())
    }

    fn reason(&self) -> String {
        let Self { alpha, sigma, .. } = self;
        if *alpha == 0.0 {
            "alpha = 0 (zero terminal SNR)".to_owned()
        } else if *sigma == 0.0 {
            "sigma = 0 (no noise)".to_owned()
        } else {
            format!("alpha = {}, sigma = {}", few(alpha), few(sigma))
        }
    }
}

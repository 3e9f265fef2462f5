//! Rows of a loss, and the functions of the error.
//!
//! **Theory.** Whatever a network predicts and whatever quantity the loss compares, the error of an element is linear in the
//! inputs of the kernel, and the loss of a sample is the weighted mean of one function of it. The target is never stored.
//! Two such functions give five losses (MSE, L1, Huber, smooth L1 and pseudo-Huber): the parabola of the squared error, bent
//! into straight lines by a clamp or by a square root.
//!
//! **Practice.** A [`LossRow`] is one `vec4` per timestep; a [`Penalty`] holds for the whole table.

use super::Row;
use crate::few::few;
use thiserror::Error;

/// The coefficients of one timestep:
/// ```text
/// d    = prediction*p + inputs[0]*in0 + inputs[1]*in1
/// loss = weight * sum(rho(d)) / elements
/// grad = weight * prediction * rho'(d) / elements         d(loss)/d(p)
/// ```
/// where `p` is the network's output and `in0`, `in1` are the clean sample and the noise, or the noisy sample and a given
/// target. An input whose coefficient is 0 is not read: it may be missing, or have any content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossRow {
    /// The coefficient of the network's output in the error.
    pub prediction: f64,
    /// The coefficients of the two other inputs in the error.
    pub inputs: [f64; 2],
    /// The weight of the sample's loss and its gradient.
    pub weight: f64,
}

/// `[prediction, in0, in1, weight]`.
impl Row for LossRow {
    fn numbers(&self) -> [f64; 4] {
        [self.prediction, self.inputs[0], self.inputs[1], self.weight]
    }
}

/// The shape of a loss as a function of the error: `delta` is where the parabola turns into a line.
/// ```text
/// Huber        c = clamp(d, -delta, delta)   rho = scale*c*(d - c/2)      rho' = scale*c
/// PseudoHuber  r = sqrt(d^2 + delta^2)       rho = scale*d^2/(r + delta)  rho' = scale*d/r   0 at d = 0
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// A parabola up to `delta`, then straight lines.
    Huber,
    /// A hyperbola; two straight lines if `delta` is 0.
    PseudoHuber,
}

/// The cost of an error: a [`Curve`], its delta and its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    curve: Curve,
    delta: f64,
    scale: f64,
}

/// An invalid loss parameter.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("{name} must be finite and {least}, found {value}", value = few(.value))]
pub struct PenaltyError {
    /// `delta`, `beta` or `c`.
    pub name: &'static str,
    /// `above 0` or `at least 0`.
    pub least: &'static str,
    /// The value given.
    pub value: f64,
}

impl LossRow {
    /// Returns the row whose loss under the table's penalty `shared` equals the loss of this row under a penalty of its own, so
    /// that delta can depend on the timestep. `None` for penalties of different curves, or without a finite delta above 0.
    ///
    /// ```
    /// use tweedie::table::{LossRow, Penalty};
    ///
    /// let (own, shared) = (Penalty::huber(0.1)?, Penalty::huber(1.0)?);
    /// let row = LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 };
    /// let bent = row.under(own, shared).expect("the same curve");
    /// let error = 0.3;
    /// assert!((bent.weight * shared.cost(bent.prediction * error) - own.cost(error)).abs() < 1e-15);
    /// # Ok::<(), tweedie::table::PenaltyError>(())
    /// ```
    #[must_use]
    pub fn under(self, own: Penalty, shared: Penalty) -> Option<Self> {
        let ratio = own.delta / shared.delta;
        let valid = own.curve == shared.curve && ratio.is_finite() && ratio > 0.0;
        let of_curve = match own.curve {
            Curve::Huber => ratio * ratio,
            Curve::PseudoHuber => ratio,
        };
        valid.then(|| Self {
            prediction: self.prediction / ratio,
            inputs: self.inputs.map(|coefficient| coefficient / ratio),
            weight: self.weight * of_curve * (own.scale / shared.scale),
        })
    }
}

impl Penalty {
    /// `d^2`.
    pub const MSE: Self = Self { curve: Curve::Huber, delta: f64::INFINITY, scale: 2.0 };

    /// `|d|`; the gradient at `d = 0` is 0, as torch's.
    pub const L1: Self = Self { curve: Curve::PseudoHuber, delta: 0.0, scale: 1.0 };

    /// `d^2/2` up to `|d| = delta`, then `delta*(|d| - delta/2)` (Huber 1964; torch's `huber_loss`).
    ///
    /// # Errors
    /// [`PenaltyError`] unless `delta` is finite and above 0.
    pub fn huber(delta: f64) -> Result<Self, PenaltyError> {
        let delta = checked("delta", "above 0", delta)?;
        Ok(Self { curve: Curve::Huber, delta, scale: 1.0 })
    }

    /// `d^2/(2*beta)` up to `|d| = beta`, then `|d| - beta/2` (torch's `smooth_l1_loss`): the Huber loss over `beta`. At
    /// `beta = 0`, and for any `beta` below f32's normal numbers (1.2e-38), where no error could show the difference, it is
    /// [`L1`](Self::L1).
    ///
    /// # Errors
    /// [`PenaltyError`] unless `beta` is finite and at least 0.
    pub fn smooth_l1(beta: f64) -> Result<Self, PenaltyError> {
        if is_straight(beta) {
            return Ok(Self::L1);
        }
        let delta = checked("beta", "at least 0", beta)?;
        Ok(Self { curve: Curve::Huber, delta, scale: 1.0 / beta })
    }

    /// `sqrt(d^2 + c^2) - c` element by element, the form of latent consistency models (Luo et al. 2023, arXiv
    /// 2310.04378, its published code). Song & Dhariwal (2023, arXiv 2310.14189) take the norm of a whole sample
    /// for `d`. At `c = 0`, and for any `c` below f32's normal numbers (1.2e-38), it is [`L1`](Self::L1).
    ///
    /// # Errors
    /// [`PenaltyError`] unless `c` is finite and at least 0.
    pub fn pseudo_huber(c: f64) -> Result<Self, PenaltyError> {
        if is_straight(c) {
            return Ok(Self::L1);
        }
        Ok(Self { curve: Curve::PseudoHuber, delta: checked("c", "at least 0", c)?, scale: 1.0 })
    }

    /// The curve.
    #[must_use]
    pub const fn curve(self) -> Curve {
        self.curve
    }

    /// The error at which the parabola turns into a line; infinite for [`MSE`](Self::MSE).
    #[must_use]
    pub const fn delta(self) -> f64 {
        self.delta
    }

    /// The factor of the curve.
    #[must_use]
    pub const fn scale(self) -> f64 {
        self.scale
    }

    /// The cost `rho(d)` of an error: at least 0, and NaN for NaN.
    #[must_use]
    pub fn cost(self, d: f64) -> f64 {
        let rho = match self.curve {
            _ if d.is_infinite() => f64::INFINITY,
            Curve::Huber => {
                let c = d.clamp(-self.delta, self.delta);
                c * (d - 0.5 * c)
            }
            Curve::PseudoHuber if d == 0.0 => 0.0,
            Curve::PseudoHuber => {
                let r = d.hypot(self.delta);
                d * (d / (r + self.delta))
            }
        };
        self.scale * rho
    }

    /// The derivative `rho'(d)` of the cost.
    #[must_use]
    pub fn slope(self, d: f64) -> f64 {
        let slope = match self.curve {
            Curve::Huber => d.clamp(-self.delta, self.delta),
            Curve::PseudoHuber if d == 0.0 => 0.0,
            Curve::PseudoHuber if d.is_infinite() => d.signum(),
            Curve::PseudoHuber => d / d.hypot(self.delta),
        };
        self.scale * slope
    }
}

/// Returns true for a delta too small for f32 to resolve.
fn is_straight(delta: f64) -> bool {
    (0.0..f64::from(f32::MIN_POSITIVE)).contains(&delta)
}

fn checked(name: &'static str, least: &'static str, value: f64) -> Result<f64, PenaltyError> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(PenaltyError { name, least, value }) }
}

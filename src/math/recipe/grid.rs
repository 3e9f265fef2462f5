//! The rules that place the steps of a model's default run.
//!
//! **Theory.** A rectified flow is sampled at a list of times from 1 down, which a shift moves towards noise. Models differ in the
//! list, in how the shift follows from the size of the picture, and in whether the end is stretched.
//!
//! **Practice.** [`GridRule::times`] gives the times from noisy to clean, without a last 0.

use super::size::Size;
use crate::math::catalog::error::CatalogError;
use crate::math::error::sampler::SamplerError;
use crate::math::normal;
use crate::math::placement::Placement;
use crate::math::{flow, sigmas};

/// A rule that places the steps of a default run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GridRule {
    /// The default of the model or the sampler.
    Usual,
    /// A rule of [`Placement::CATALOGUE`].
    Placed(Placement),
    /// Times of a flow: a list, shifted, and stretched so that the last becomes the terminal one.
    Times {
        /// The list.
        list: TimeList,
        /// The shift.
        shift: Shift,
        /// The last time after the shift, if it is stretched (`shift_terminal`).
        terminal: Option<f64>,
    },
    /// These times of a flow, or angles of TrigFlow.
    Listed(&'static [f64]),
    /// Times of a flow of which the first half falls in equal steps from 1 by the threshold, and the rest along a parabola to 0
    /// (Polyak et al. 2024, arXiv 2410.13720, section 3.4).
    LinearQuadratic {
        /// The share of the time that the first half covers, in `0..=1`.
        threshold: f64,
    },
    /// Quantiles of a normal distribution of `ln(sigma/(1 - sigma))`, whose mean is `ln(pixels/512^2)/2`, within bounds of the
    /// logarithm of the signal-to-noise ratio.
    Normal {
        /// The standard deviation of that distribution.
        deviation: f64,
        /// The bounds, the least first.
        log_snr: [f64; 2],
    },
    /// Karras sigmas with exponent 7 of a variance-exploding process, at which a flow's network is called: the time is
    /// `sigma/(1 + sigma)`.
    Exploding {
        /// The least and the largest sigma.
        sigmas: [f64; 2],
    },
}

/// A list of `n` times before its shift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeList {
    /// `1 - i/n`.
    Even,
    /// From 1 to the shifted 0.001, in equal steps: diffusers' `FlowMatchEulerDiscreteScheduler`, and Stable Diffusion 3.
    Ends,
    /// The first `n` of `n + 1` times from 1 to 0.001: flows in diffusers' UniPC.
    BeforeLast,
    /// The first `n` of `n + 1` times from 0.999 to 0: flows in diffusers' DPM-Solver++.
    FromData,
    /// Equal steps from 1 to 0.001, cut to whole thousandths: CogView 4.
    Thousandths,
    /// `n` points from 1 to 0, both included; the 0 is not visited: MiniMax H3.
    Points,
}

/// The shift of a flow's times towards noise: `k*t/(1 + (k - 1)*t)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Shift {
    /// This `k`; 1 changes nothing.
    Fixed(f64),
    /// `ln(k)` follows the straight line through two points `(tokens, ln(k))`, also beyond them.
    Line([(f64, f64); 2]),
    /// FLUX.2: `ln(k)` has a line over the tokens for 10 steps and one for 200 steps, and is linear in the steps through both;
    /// above 4300 tokens it is the line for 200 steps.
    Empirical,
    /// `k = 0.75*sqrt(tokens/256) + 0.25`: CogView 4.
    Root,
    /// `k` is the first up to 832x480 pixels, the second above.
    ByArea([f64; 2]),
}

/// The largest number of pixels of a frame that counts as 480p.
const SMALL_AREA: f64 = 832.0 * 480.0;

/// The number of timesteps with which flows are trained.
const TRAINED: f64 = 1000.0;

impl GridRule {
    /// `1 - i/n`, shifted.
    pub(super) const fn even(shift: Shift) -> Self {
        Self::Times { list: TimeList::Even, shift, terminal: None }
    }

    /// The list of diffusers' `FlowMatchEulerDiscreteScheduler`.
    pub(super) const fn ends(shift: f64) -> Self {
        Self::Times { list: TimeList::Ends, shift: Shift::Fixed(shift), terminal: None }
    }

    /// The list of flows in diffusers' UniPC.
    pub(super) const fn before_last(shift: Shift) -> Self {
        Self::Times { list: TimeList::BeforeLast, shift, terminal: None }
    }

    /// The list of flows in diffusers' DPM-Solver++.
    pub(super) const fn from_data(shift: Shift) -> Self {
        Self::Times { list: TimeList::FromData, shift, terminal: None }
    }

    /// Returns the times of this many steps, from noisy to clean, without a last 0; `None` for a rule that leaves them to the
    /// sampler.
    ///
    /// # Errors
    /// [`CatalogError::NoSize`] where the times depend on the size or the tokens and these are not given;
    /// [`CatalogError::Sampler`] for a number of steps that is not possible and for parameters out of range;
    /// [`CatalogError::Value`] for a number of steps other than the length of a list, and for bounds out of order.
    pub fn times(
        self,
        steps: usize,
        size: Option<Size>,
        tokens: Option<f64>,
    ) -> Result<Option<Vec<f64>>, CatalogError> {
        let times = match self {
            Self::Usual | Self::Placed(_) => return Ok(None),
            Self::Listed(list) if list.len() == steps => list.to_vec(),
            Self::Listed(list) => {
                let expected = format!("{}, the length of the model's list", list.len());
                return Err(CatalogError::Value { option: "steps", expected, found: steps.to_string() });
            }
            Self::Times { list, shift, terminal } => {
                let shift = shift.factor(steps, size, tokens)?;
                let shifted = list.times(steps, shift)?.into_iter().map(|time| flow::shifted(time, shift));
                let times = shifted.collect::<Result<Vec<_>, SamplerError>>()?;
                match terminal {
                    // One step from pure noise cannot be stretched.
                    Some(terminal) if steps > 1 => flow::stretched(&times, terminal)?,
                    _ => times,
                }
            }
            Self::LinearQuadratic { threshold } => flow::linear_quadratic(steps, threshold)?,
            Self::Normal { deviation, log_snr: [least, most] } if least <= most => {
                let mean = 0.5 * (size.ok_or(CatalogError::NoSize)?.pixels() / (512.0 * 512.0)).ln();
                let log_odds = |time: f64| (mean + deviation * normal::quantile(time)).clamp(-0.5 * most, -0.5 * least);
                flow::even(steps)?.into_iter().map(|time| 1.0 / (1.0 + (-log_odds(time)).exp())).collect()
            }
            Self::Normal { log_snr: [least, most], .. } => {
                let (expected, found) = ("bounds in order".to_owned(), format!("{least}..{most}"));
                return Err(CatalogError::Value { option: "log_snr", expected, found });
            }
            Self::Exploding { sigmas: [least, most] } => {
                let sigmas = sigmas::karras(steps, least, most, 7.0)?;
                sigmas.into_iter().map(|sigma| sigma / (1.0 + sigma)).collect()
            }
        };
        Ok(Some(times))
    }
}

impl TimeList {
    fn times(self, steps: usize, shift: f64) -> Result<Vec<f64>, SamplerError> {
        let least = 1.0 / TRAINED;
        Ok(match self {
            Self::Even => flow::even(steps)?,
            Self::Ends => flow::times(steps, 1.0, flow::shifted(least, shift)?)?,
            Self::BeforeLast => {
                let mut times = flow::times(steps.saturating_add(1), 1.0, least)?;
                times.truncate(steps);
                times
            }
            Self::FromData => {
                let signals = flow::times(steps.saturating_add(1), 1.0, least)?;
                signals.iter().skip(1).rev().map(|signal| 1.0 - signal).collect()
            }
            Self::Thousandths => {
                let times = flow::times(steps, 1.0, least)?;
                times.into_iter().map(|time| (time * TRAINED).trunc() / TRAINED).collect()
            }
            // Its last point is the clean sample, which is not visited.
            Self::Points => {
                let points = flow::times(steps, 1.0, 0.0)?;
                points.into_iter().filter(|time| *time > 0.0).collect()
            }
        })
    }
}

impl Shift {
    /// The `k` of a run.
    fn factor(self, steps: usize, size: Option<Size>, tokens: Option<f64>) -> Result<f64, CatalogError> {
        let tokens = || tokens.ok_or(CatalogError::NoSize);
        Ok(match self {
            Self::Fixed(shift) => shift,
            Self::Line([base, most]) => flow::dynamic_mu(tokens()?, base, most)?.exp(),
            Self::Empirical => {
                let tokens = tokens()?;
                let [few, many] = [8.73809524e-5 * tokens + 1.89833333, 1.6927e-4 * tokens + 0.45666666];
                let between = few + (many - few) * (steps as f64 - 10.0) / 190.0;
                if tokens > 4300.0 { many.exp() } else { between.exp() }
            }
            Self::Root => 0.75 * (tokens()? / 256.0).sqrt() + 0.25,
            Self::ByArea([small, large]) => {
                let size = size.ok_or(CatalogError::NoSize)?;
                if size.pixels() <= SMALL_AREA { small } else { large }
            }
        })
    }
}

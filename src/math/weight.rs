//! Loss weights by timestep.
//!
//! **Theory.** At a noise level, the squared errors of all quantities are multiples of each other: an error of `q` is
//! `c1` times that in another, where `c1` is the prediction's coefficient in [`solve`]. Published weights are stated for
//! one prediction or another; for a loss on `q` they are functions of two numbers,
//! ```text
//! e = c1(q to epsilon)^2       e = snr on x0,   1 on epsilon,       snr/(snr+1) on v
//! x = c1(q to x0)^2            x = 1 on x0,     1/snr on epsilon,   1/(snr+1)   on v
//! ```
//! that are homogeneous, `w(k*e, k*x) = k*w(e, x)`: the same weight whatever the loss is on. `e` itself is the uniform loss
//! on epsilon, `x` that on x0, `e + x` that on v: an epsilon loss is `snr` times an x0 loss, a v loss `snr + 1` times.
//!
//! **Practice.** In this form no weight divides 0 by 0 at either end of the signal-to-noise ratio: a finite limit is
//! returned, and an infinite one is an error that names the timestep. A weight multiplies any penalty; the equivalences
//! hold for squared errors.

use super::edm::SigmaData;
use super::level::NoiseLevel;
use super::quantity::{Quantity, solve};
use super::schedule::Schedule;
use crate::math::error::loss::LossError;
use crate::math::schedule_error::ScheduleError;
use std::f64::consts::FRAC_2_PI;

/// A weight for each timestep, by its published name.
///
/// With `e = snr, 1, snr/(snr+1)` and `x = 1, 1/snr, 1/(snr+1)` for a loss on x0, epsilon and v:
///
/// | weight | w | on x0 | on epsilon | on v |
/// |---|---|---|---|---|
/// | snr | `e` | `snr` | 1 | `snr/(snr+1)` |
/// | min-snr | `min(e, gamma*x)` | `min(snr, gamma)` | `min(snr, gamma)/snr` | `min(snr, gamma)/(snr+1)` |
/// | soft-min-snr | `1/(1/e + 1/(gamma*x))` | `snr*gamma/(snr+gamma)` | `gamma/(snr+gamma)` | .. |
/// | max-snr | `max(e, gamma*x)` | `max(snr, gamma)` | `max(1, gamma/snr)` | .. |
/// | p2 | `e*(k + e/x)^-gamma` | `snr/(k+snr)^gamma` | `1/(k+snr)^gamma` | .. |
/// | edm | `e + x/sigma_data^2` | `snr + 1/sigma_data^2` | .. | .. |
///
/// For squared errors, these weights make the same loss whichever quantity it is on. `none`, `cosmap`, `sigma-sqrt` and a table
/// do not: they multiply the loss as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[doc(alias("snr_gamma", "min_snr", "loss_weighting"))]
pub enum Weight {
    /// 1 for a loss on any quantity.
    #[default]
    None,
    /// A uniform loss on epsilon, `snr` on x0 (Salimans & Ho 2022, arXiv 2202.00512, section 4).
    Snr,
    /// `min(snr, gamma)` on x0 (Hang et al. 2023, arXiv 2303.09556); `gamma = 5` there.
    ///
    /// At zero terminal SNR it is 0 on x0 and on v, 1 on epsilon. The authors' code takes 1 there whatever the loss is on.
    MinSnr {
        /// The signal-to-noise ratio at which the weight is cut off, above 0.
        gamma: f64,
    },
    /// `snr*gamma/(snr + gamma)` on x0 (Crowson et al. 2024, arXiv 2401.11605): min-SNR without the kink;
    /// `gamma = 1/sigma_data^2 = 4` there.
    SoftMinSnr {
        /// The limit of the weight on x0 at high signal-to-noise ratios, above 0.
        gamma: f64,
    },
    /// `max(snr, gamma)` on x0; truncated SNR at `gamma = 1` (Salimans & Ho 2022, section 4). Infinite on epsilon at zero
    /// terminal SNR.
    MaxSnr {
        /// The least weight on x0, above 0.
        gamma: f64,
    },
    /// `1/(k + snr)^gamma` on epsilon (Choi et al. 2022, arXiv 2204.00227).
    P2 {
        /// At least 0: 1 in the paper.
        k: f64,
        /// At least 0: 0.5 or 1 in the paper.
        gamma: f64,
    },
    /// `snr + 1/sigma_data^2` on x0 (Karras et al. 2022, arXiv 2206.00364, table 1): 1 on EDM's network output, and on v
    /// at `sigma_data = 1`.
    Edm(SigmaData),
    /// `sigmoid(bias - ln(snr))` on epsilon (Kingma & Gao 2023, arXiv 2303.00848): soft-min-SNR with
    /// `gamma = exp(bias)`.
    Sigmoid {
        /// In `-700..=700`; a higher one gives more weight to fine detail.
        bias: f64,
    },
    /// The loss of SiD2 (Hoogeboom et al. 2024, arXiv 2410.19324): [`Sigmoid`](Self::Sigmoid) as a weight over log SNRs,
    /// therefore multiplied by the [speed](Schedule::log_snr_speed) at which timesteps pass through them.
    Sid2 {
        /// As in [`Sigmoid`](Self::Sigmoid).
        bias: f64,
    },
    /// `2/(pi*(1 - 2t + 2t^2))` at the time `t = sigma/(alpha + sigma)` of a flow, for the loss as it is: the density of times whose
    /// log SNR follows that of the cosine schedule (Esser et al. 2024, arXiv 2403.03206, section 3.1).
    Cosmap,
    /// `t^-2` at that time, for the loss as it is: `sigma_sqrt` in diffusers. On x0, where Stable Diffusion 3's own training uses
    /// it, it is a uniform loss on the velocity. Infinite without noise.
    SigmaSqrt,
    /// A weight for each timestep, for the loss as it is.
    Table(Vec<f64>),
}

impl Weight {
    /// The weight's name in the catalogue.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snr => "snr",
            Self::MinSnr { .. } => "min-snr",
            Self::SoftMinSnr { .. } => "soft-min-snr",
            Self::MaxSnr { .. } => "max-snr",
            Self::P2 { .. } => "p2",
            Self::Edm(_) => "edm",
            Self::Sigmoid { .. } => "sigmoid",
            Self::Sid2 { .. } => "sid2",
            Self::Cosmap => "cosmap",
            Self::SigmaSqrt => "sigma-sqrt",
            Self::Table(_) => "table",
        }
    }

    /// The weight, if it is a function of a flow's time for the loss as it is.
    fn of_time(&self, level: NoiseLevel) -> Option<f64> {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let time = sigma / (alpha + sigma);
        match self {
            Self::Cosmap => Some(FRAC_2_PI / (time * time + (1.0 - time) * (1.0 - time))),
            Self::SigmaSqrt => Some(1.0 / (time * time)),
            _ => None,
        }
    }

    /// The weight in terms of `e` and `x`, without SiD2's speed; 1 for the weights of the loss as it is.
    fn of([e, x]: [f64; 2], weight: &Self) -> f64 {
        let soft_min = |gamma: f64| 1.0 / (1.0 / e + 1.0 / (gamma * x));
        match *weight {
            Self::None | Self::Cosmap | Self::SigmaSqrt | Self::Table(_) => 1.0,
            Self::Snr => e,
            Self::MinSnr { gamma } => e.min(gamma * x),
            Self::SoftMinSnr { gamma } => soft_min(gamma),
            Self::MaxSnr { gamma } => e.max(gamma * x),
            Self::P2 { k, gamma } => p2(e, x, k, gamma),
            Self::Edm(sigma_data) => e + x / sigma_data.value() / sigma_data.value(),
            Self::Sigmoid { bias } | Self::Sid2 { bias } => soft_min(bias.exp()),
        }
    }

    fn check(&self, steps: usize) -> Result<(), LossError> {
        let weight = self.name();
        let require = |holds: bool, name, range, value| match holds {
            true => Ok(()),
            false => Err(LossError::Parameter { weight, name, range, value }),
        };
        match *self {
            Self::None | Self::Snr | Self::Edm(_) | Self::Cosmap | Self::SigmaSqrt => Ok(()),
            Self::MinSnr { gamma } | Self::SoftMinSnr { gamma } | Self::MaxSnr { gamma } => {
                require(gamma.is_finite() && gamma > 0.0, "gamma", "finite and above 0", gamma)
            }
            Self::P2 { k, gamma } => {
                require(k.is_finite() && k >= 0.0, "k", "finite and at least 0", k)?;
                require(gamma.is_finite() && gamma >= 0.0, "gamma", "finite and at least 0", gamma)
            }
            Self::Sigmoid { bias } | Self::Sid2 { bias } => {
                require(bias.abs() <= 700.0, "bias", "within -700..=700", bias)
            }
            Self::Table(ref table) if table.len() != steps => {
                Err(LossError::Length { expected: steps, found: table.len() })
            }
            Self::Table(_) => Ok(()),
        }
    }
}

/// `e*(k + e/x)^-gamma`, arranged so that 0 is not multiplied by infinity at either end.
fn p2(e: f64, x: f64, k: f64, gamma: f64) -> f64 {
    let snr = e / x;
    if snr <= 1.0 && k > 0.0 {
        return e * (k + snr).powf(-gamma);
    }
    let offset = if k > 0.0 { (1.0 + k / snr).powf(-gamma) } else { 1.0 };
    e.powf(1.0 - gamma) * x.powf(gamma) * offset
}

/// `(e, x)` of a loss on a quantity; infinite where an error in it says nothing about epsilon or x0.
fn ratios(level: NoiseLevel, on: Quantity) -> [f64; 2] {
    [Quantity::Epsilon, Quantity::X0].map(|wanted| match solve(level, on, wanted) {
        Ok([_, c1]) => c1 * c1,
        Err(_) => f64::INFINITY,
    })
}

impl Schedule {
    /// Returns the weight of a loss on a quantity at a timestep.
    ///
    /// # Errors
    /// [`LossError`] for a parameter outside its range, a weight without a finite value there, a table of another length or
    /// with a negative or infinite entry there, or a timestep out of range.
    pub fn loss_weight(&self, timestep: usize, weight: &Weight, on: Quantity) -> Result<f64, LossError> {
        weight.check(self.len())?;
        let level = self.level(timestep)?;
        if let Weight::Table(table) = weight {
            let value = table[timestep];
            let holds = value.is_finite() && value >= 0.0;
            return if holds { Ok(value) } else { Err(LossError::Entry { timestep, value }) };
        }
        let plain = weight.of_time(level).unwrap_or_else(|| Weight::of(ratios(level, on), weight));
        // alpha is differentiable in time, so that snr*speed falls to 0 with snr.
        let speed = match weight {
            Weight::Sid2 { .. } if plain != 0.0 => self.log_snr_speed(timestep)?,
            _ => 1.0,
        };
        let value = plain * speed;
        if value.is_finite() && value >= 0.0 {
            return Ok(value);
        }
        let (alpha, sigma) = (level.alpha(), level.sigma());
        Err(LossError::Infinite { weight: weight.name(), on, timestep, alpha, sigma })
    }

    /// Returns the weight of a loss on a quantity at every timestep.
    ///
    /// # Errors
    /// As [`loss_weight`](Self::loss_weight), for the first timestep that has an error.
    pub fn loss_weights(&self, weight: &Weight, on: Quantity) -> Result<Vec<f64>, LossError> {
        (0..self.len()).map(|t| self.loss_weight(t, weight, on)).collect()
    }

    /// Returns `|d(ln snr)/d(t/T)|` from differences between neighbouring timesteps: the speed of log SNR in time, whichever way
    /// it runs. A loss that is multiplied by it weighs log SNRs instead of timesteps (Kingma et al. 2021, arXiv 2107.00630, eq. 17).
    ///
    /// Infinite where the log SNR is. A neighbour without a finite log SNR is left out; without any neighbour the speed is 0.
    ///
    /// # Errors
    /// [`ScheduleError::Timestep`] for a timestep out of range.
    pub fn log_snr_speed(&self, timestep: usize) -> Result<f64, ScheduleError> {
        let here = self.level(timestep)?.log_snr();
        if here.is_infinite() {
            return Ok(f64::INFINITY);
        }
        let neighbour = |t: Option<usize>| t.and_then(|t| self.level(t).ok()).map(NoiseLevel::log_snr);
        let [before, after] = [timestep.checked_sub(1), timestep.checked_add(1)]
            .map(|t| neighbour(t).filter(|log_snr| log_snr.is_finite()));
        let steps = f64::from(u8::from(before.is_some()) + u8::from(after.is_some()));
        let fall = before.unwrap_or(here) - after.unwrap_or(here);
        Ok(if steps == 0.0 { 0.0 } else { fall.abs() / steps * self.len() as f64 })
    }
}

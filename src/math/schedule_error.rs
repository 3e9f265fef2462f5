//! Errors of schedules and noise levels.

use crate::few::few;
use thiserror::Error;

/// Errors of building a schedule, or a table from one.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A schedule needs at least one timestep.
    #[error("a schedule needs at least 1 timestep, found 0")]
    Empty,
    /// More timesteps than [`Schedule::MAX_STEPS`](crate::Schedule::MAX_STEPS).
    #[error("a schedule has at most {limit} timesteps, found {found}")]
    TooLong {
        /// The timesteps asked for.
        found: usize,
        /// The most that are accepted.
        limit: usize,
    },
    /// A beta that is not the variance of a forward step.
    #[error("beta must be within 0..=1, found {value} at timestep {index}", value = few(.value))]
    Beta {
        /// The timestep.
        index: usize,
        /// The beta at that timestep, given or computed.
        value: f64,
    },
    /// An `alphas_cumprod` outside `0..=1`.
    #[error("alphas_cumprod must be within 0..=1, found {value} at timestep {index}", value = few(.value))]
    AlphasCumprod {
        /// The timestep.
        index: usize,
        /// The value at that timestep.
        value: f64,
    },
    /// An end of the beta range that is not a variance.
    #[error("{name} must be within 0..=1, found {value}", value = few(.value))]
    Endpoint {
        /// `beta_start` or `beta_end`.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A parameter that has to be finite and above zero.
    #[error("{name} must be finite and above 0, found {value}", value = few(.value))]
    ParamNotPositive {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: f64,
    },
    /// A parameter outside its range.
    #[error("{name} must be {expected}, found {found}", found = few(.found))]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The accepted range.
        expected: &'static str,
        /// The value given.
        found: f64,
    },
    /// The ends of a range that is empty or not finite.
    #[error("{name} needs a finite range with two different ends in order, found {start} to {end}", start = few(.start), end = few(.end))]
    Range {
        /// The quantity that has this range.
        name: &'static str,
        /// Its first end.
        start: f64,
        /// Its last end.
        end: f64,
    },
    /// A pair that is not a noise level.
    #[error("a noise level needs finite alpha >= 0 and sigma >= 0, not both 0; found alpha = {alpha}, sigma = {sigma}", alpha = few(.alpha), sigma = few(.sigma))]
    Level {
        /// The signal's coefficient.
        alpha: f64,
        /// The noise's coefficient.
        sigma: f64,
    },
    /// A rectified flow's time outside its range.
    #[error("a rectified flow's time must be within 0..=1, found {value}", value = few(.value))]
    Time {
        /// The value given.
        value: f64,
    },
    /// An angle of TrigFlow outside its range.
    #[error("TrigFlow's time is an angle within 0..=pi/2, found {value}", value = few(.value))]
    Angle {
        /// The value given.
        value: f64,
    },
    /// A timestep that the schedule does not have.
    #[error("timestep {found} is out of range: the schedule has {steps}, numbered from 0")]
    Timestep {
        /// The timestep asked for.
        found: usize,
        /// The number of timesteps.
        steps: usize,
    },
    /// A posterior from a timestep to the same or a later one.
    #[error("a posterior leads to an earlier timestep; found one from {from} to {to}")]
    Order {
        /// The timestep of the observation.
        from: usize,
        /// The timestep asked for.
        to: usize,
    },
    /// A posterior at a timestep where the signal rises, so that no forward step leads there, or where levels are so
    /// extreme that its coefficients leave the range of f64.
    #[error("no forward step leads to timestep {timestep}: the signal rises there, or its levels are too extreme")]
    NotMarkov {
        /// The noisier timestep.
        timestep: usize,
    },
    /// A schedule without a zero-terminal-SNR rescale: `sqrt(abar_0) - sqrt(abar_{T-1})`, by which it divides, is not above 0,
    /// or some timestep has less signal than the last.
    #[error("no zero-terminal-SNR rescale: sqrt(alphas_cumprod) must fall to its least value at the end, found {first} to {last}", first = few(.first), last = few(.last))]
    NoRescale {
        /// `sqrt(abar_0)`.
        first: f64,
        /// `sqrt(abar_{T-1})`.
        last: f64,
    },
    /// The betas of a schedule that was not built from betas or `alphas_cumprod` (variance exploding, rectified flow, TrigFlow,
    /// plain levels).
    #[error("this schedule has no betas: it was not built from betas or alphas_cumprod")]
    NoBetas,
}

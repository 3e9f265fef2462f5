//! Errors of guidance.

use thiserror::Error;

/// Errors of a guider, and of predictions that do not fit it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GuidanceError {
    /// A prediction that a call needs.
    #[error("expected {what}: the guidance of call {call} needs it")]
    Missing {
        /// The prediction.
        what: &'static str,
        /// The call, from 0.
        call: usize,
    },
    /// A prediction of another size than the conditional one.
    #[error("expected {expected} elements of {what}, found {found}")]
    Length {
        /// The prediction.
        what: &'static str,
        /// The elements of the conditional prediction.
        expected: usize,
        /// The elements found.
        found: usize,
    },
    /// A shape without elements, or with more than an address counts.
    #[error(
        "expected a shape [batch, ...] of at least one element and no more than an address counts, found {found:?}"
    )]
    Shape {
        /// The shape.
        found: Vec<usize>,
    },
    /// An axis that a sample does not have.
    #[error(
        "norm_axis: expected an axis of a prediction of {rank} axes other than the first, which is the batch, found {found}"
    )]
    Axis {
        /// The axes of the prediction, the batch included.
        rank: usize,
        /// The axis.
        found: i64,
    },
    /// A sample of too few axes.
    #[error("expected predictions [batch, channels, ...], found {rank} axes")]
    Channels {
        /// The axes of the prediction, the batch included.
        rank: usize,
    },
    /// Predictions that have no pyramid of so many levels.
    #[error(
        "expected predictions [batch, channels, height, width] whose edges are even and at least 4 in all but the last of \
         {levels} levels (filled up to powers of two where they must be), found {found:?}"
    )]
    Pyramid {
        /// The levels.
        levels: usize,
        /// The shape of the predictions, the batch included.
        found: Vec<usize>,
    },
    /// No levels of a pyramid, or too many.
    #[error("guidance_scales: expected scales of 1 to {most} levels, found {found}")]
    Levels {
        /// The most levels.
        most: usize,
        /// The levels.
        found: usize,
    },
    /// Numbers for another number of levels than there are.
    #[error("{option}: expected a number, or one for each of {expected} levels, found {found}")]
    LevelNumbers {
        /// The option.
        option: &'static str,
        /// The levels.
        expected: usize,
        /// The numbers.
        found: usize,
    },
    /// Fractions of a run that do not follow each other.
    #[error("{start} must be below 1, and {stop} between it and 1, found {from} and {found}")]
    Window {
        /// The option of the start.
        start: &'static str,
        /// The option of the stop.
        stop: &'static str,
        /// The start.
        from: f64,
        /// The stop.
        found: f64,
    },
    /// Scales for another number of calls than there are.
    #[error("guidance_scale: expected a number, or one for each of {expected} steps, found {found}")]
    Scales {
        /// The steps.
        expected: usize,
        /// The scales.
        found: usize,
    },
    /// A call that the run does not have.
    #[error("expected a step below {steps}, found {step}")]
    Step {
        /// The calls of the run.
        steps: usize,
        /// The call, from 0.
        step: usize,
    },
}

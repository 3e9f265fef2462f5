//! Errors of guidance.

use thiserror::Error;

/// Errors of a guider, and of predictions that do not fit it.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GuidanceError {
    /// A call without a prediction that it needs.
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
    /// A shape without elements, or with more than a `usize` counts.
    #[error("expected a shape [batch, ...] of at least one element and no more than memory can hold, found {found:?}")]
    Shape {
        /// The shape.
        found: Vec<usize>,
    },
    /// An axis that the predictions do not have, or the batch.
    #[error(
        "norm_axis: expected one of the {rank} axes of the predictions, but not the first, which is the batch; found {found}"
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
    /// Predictions that have no pyramid of this many levels.
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
    /// A list that does not have one number for each level.
    #[error("{option}: expected a number, or one for each of {expected} levels, found {found}")]
    LevelNumbers {
        /// The option.
        option: &'static str,
        /// The levels.
        expected: usize,
        /// The numbers.
        found: usize,
    },
    /// Fractions of a run that are out of range or order.
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
    /// A list that does not have one scale for each step.
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
        /// The steps of the run.
        steps: usize,
        /// The call, from 0.
        step: usize,
    },
}

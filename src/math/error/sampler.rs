//! Errors of timestep lists, grids and samplers.

use crate::few::few;
use crate::math::quantity::Undefined;
use crate::math::schedule_error::ScheduleError;
use thiserror::Error;

/// Errors of building a list of timesteps or sigmas, a grid or a sampler.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A loop of no steps.
    #[error("a sampler needs at least 1 step, found 0")]
    NoSteps,
    /// More steps than there are timesteps to visit.
    #[error("expected at most {available} steps, as many as there are timesteps to visit; found {found}")]
    TooManySteps {
        /// The steps asked for.
        found: usize,
        /// The timesteps that there are.
        available: usize,
    },
    /// A list of timesteps of another length than asked for.
    #[error("expected {expected} timesteps, found {found}: this spacing cannot give that many")]
    Spacing {
        /// The timesteps asked for.
        expected: usize,
        /// How many timesteps of the schedule the rule gives.
        found: usize,
    },
    /// Two lists that belong together but differ in length.
    #[error("expected as many {what} as sigmas, {expected}; found {found}")]
    Lengths {
        /// The other list.
        what: &'static str,
        /// The sigmas.
        expected: usize,
        /// The length of the other list.
        found: usize,
    },
    /// A list that does not have one guidance scale for each call.
    #[error("expected a guidance scale for each of {expected} calls, found {found}")]
    GuidanceScales {
        /// The calls of the sampler.
        expected: usize,
        /// The scales given.
        found: usize,
    },
    /// A timestep that appears in the list twice.
    #[error("timestep {timestep} appears twice in the list")]
    Duplicate {
        /// The timestep.
        timestep: usize,
    },
    /// A step from a level without noise, in a solver that divides by the noise.
    #[error("step {step} has nothing to do: its timestep is already clean")]
    Clean {
        /// The call, from 0.
        step: usize,
    },
    /// Levels whose noise does not change in one direction throughout.
    #[error("the noise must fall from step to step (or rise throughout, to invert); it does not at step {step}")]
    Direction {
        /// The first step, from 0, at which the noise stays or turns.
        step: usize,
    },
    /// A number outside its range.
    #[error("{name} must be {expected}, found {found}", found = few(.found))]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The accepted range.
        expected: &'static str,
        /// The value given.
        found: f64,
    },
    /// An order that the solver does not have.
    #[error("{solver} has orders 1 to {most}, found {found}")]
    Order {
        /// The solver.
        solver: &'static str,
        /// Its highest order.
        most: usize,
        /// The value given.
        found: usize,
    },
    /// A combination that a solver does not support.
    #[error("step {step} needs {solver} to {what}, which it cannot do")]
    Unsupported {
        /// The solver.
        solver: &'static str,
        /// The unsupported operation, as an infinitive.
        what: &'static str,
        /// The first step that needs it.
        step: usize,
    },
    /// Sections of a respacing that do not fit.
    #[error("expected sections as \"10,15,20\" or \"ddim25\" that fit {timesteps} timesteps, found {found:?}")]
    Sections {
        /// The value given.
        found: String,
        /// The timesteps to choose from.
        timesteps: usize,
    },
    /// A text that is not sections of a respacing.
    #[error("expected sections as \"10,15,20\" or \"ddim25\", found {found:?}")]
    SectionsText {
        /// The text given.
        found: String,
    },
    /// A coefficient beyond the range of f64.
    #[error("step {step} has the coefficient {value}: its levels are too extreme for this solver", value = few(.value))]
    NotFinite {
        /// The call, from 0.
        step: usize,
        /// The coefficient.
        value: f64,
    },
    /// The network's prediction does not determine what the solver needs.
    #[error("step {step}: {source}")]
    Undefined {
        /// The first step, from 0, at which this happens.
        step: usize,
        /// The undefined quantity.
        source: Undefined,
    },
    /// A level or a schedule that does not exist.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

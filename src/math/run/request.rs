//! The request to a grid: steps, inputs and the model.

use super::compat::RunCompat;
use super::error::RunError;
use super::model::RunModel;
use super::precision::Precision;
use super::value::{Choice, RunValues};
use crate::few::few;
use crate::math::catalog::entry::{Entry, Values};
use crate::math::catalog::parameter::Parameter;

/// The largest number of steps of a grid, including those that `denoise` cuts off: a guard against an absurd argument.
pub(super) const MOST_STEPS: usize = 100_000;

/// The rule of a grid: its inputs that are words, and how it places sigmas.
#[derive(Clone, Copy, Debug)]
pub struct GridRule {
    /// Its inputs that are words.
    pub choices: &'static [Choice],
    /// True for a node, whose inputs are its own fields; the rule of some samplers to drop a sigma does not apply to it.
    pub is_node: bool,
    /// True if it does not need a model.
    pub is_free: bool,
    /// True for a node that changes the sigmas of its input `sigmas`: a list, a list as text, or another node.
    pub changes_sigmas: bool,
    pub(super) make: Place,
    /// The published rule, where ComfyUI's differs.
    published: Option<Place>,
}

impl GridRule {
    /// The rule of a scheduler that is chosen by name and takes its sigmas from a model.
    pub(super) const fn new(make: Place) -> Self {
        Self { choices: &[], is_node: false, is_free: false, changes_sigmas: false, make, published: None }
    }

    /// The same with a published rule that differs from ComfyUI's.
    pub(super) const fn unlike(self, published: Place) -> Self {
        Self { published: Some(published), ..self }
    }

    /// ComfyUI's rule or the published one.
    pub(super) fn place(&self, compat: RunCompat) -> Place {
        if compat == RunCompat::Published { self.published.unwrap_or(self.make) } else { self.make }
    }

    pub(super) const fn node(self) -> Self {
        Self { is_node: true, ..self }
    }

    pub(super) const fn free(self) -> Self {
        Self { is_free: true, ..self }
    }

    pub(super) const fn of_sigmas(self) -> Self {
        Self { is_node: true, is_free: true, changes_sigmas: true, ..self }
    }

    pub(super) const fn with(self, choices: &'static [Choice]) -> Self {
        Self { choices, ..self }
    }
}

/// An entry of the catalogue of grids.
pub(super) const fn entry(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    parameters: &'static [Parameter],
    rule: GridRule,
) -> Entry<GridRule> {
    Entry { kind: "grid", name, synonyms, summary, parameters, make: rule }
}

/// A function that places the sigmas of a request.
pub(super) type Place = fn(&Request<'_>) -> Result<Vec<f64>, RunError>;

/// The request to a rule.
pub(super) struct Request<'a> {
    /// The name of the entry.
    pub(super) grid: &'static str,
    pub(super) model: Option<&'a RunModel>,
    pub(super) steps: usize,
    pub(super) values: Values,
    pub(super) choices: &'static [Choice],
    pub(super) inputs: &'a RunValues,
    pub(super) precision: Precision,
    /// The input sigmas of a rule that changes sigmas; empty for others.
    pub(super) sigmas: Vec<f64>,
}

impl Request<'_> {
    pub(super) fn number(&self, name: &str) -> f64 {
        self.values.number(name)
    }

    pub(super) fn round(&self, value: f64) -> f64 {
        self.precision.round(value)
    }

    pub(super) fn model(&self) -> Result<&RunModel, RunError> {
        self.model.ok_or(RunError::Missing { expected: "a model: this grid takes its sigmas from one" })
    }

    /// The word that was chosen for an input, or its default.
    pub(super) fn word(&self, name: &'static str) -> Result<&'static str, RunError> {
        let choice = self.choices.iter().find(|choice| choice.name == name);
        choice.ok_or(RunError::Missing { expected: "a word of the catalogue" })?.of(self.inputs)
    }

    /// The error for a number of steps that the rule does not support.
    pub(super) fn steps_error(&self, expected: &str) -> RunError {
        RunError::Steps { grid: self.grid, expected: expected.to_owned(), found: few(&(self.steps as f64)) }
    }
}

/// The number of steps of the whole grid of which the last `steps` are run: `trunc(steps/denoise)`.
pub(super) fn steps_of_denoise(grid: &'static str, steps: usize, denoise: f64) -> Result<usize, RunError> {
    let all = (steps as f64 / denoise).trunc();
    if (1.0..=MOST_STEPS as f64).contains(&all) {
        return Ok(all as usize);
    }
    Err(RunError::Steps { grid, expected: format!("1 to {MOST_STEPS}"), found: few(&all) })
}

/// The last `count` entries of a list, or all of them if there are fewer.
pub(super) fn last(mut sigmas: Vec<f64>, count: usize) -> Vec<f64> {
    sigmas.split_off(sigmas.len().saturating_sub(count))
}

/// Python's `round`: half to even.
pub(super) fn rounded(value: f64) -> usize {
    value.round_ties_even().max(0.0) as usize
}

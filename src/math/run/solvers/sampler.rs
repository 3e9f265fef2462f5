//! A sampler of the catalogue: its formulas, and the facts about it that a run and its nodes need.

use super::course::{Course, Walked};
use crate::math::catalog::entry::Entry;
use crate::math::error::sampler::SamplerError;
use crate::math::run::compat::RunCompat;
use crate::math::run::error::RunError;
use crate::math::run::model::RunModel;
use crate::math::run::value::{Choice, RunValues, numbers};
use crate::math::sampler::linear::Linear;

/// The generator from which a sampler draws its noise after the start noise, as in ComfyUI for a latent on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepNoise {
    /// Its own generator, seeded with the run's seed plus 1.
    NextSeed,
    /// The generator of the start noise, continued.
    OfStart,
    /// The Brownian tree of the run's seed, between the two sigmas of each noise.
    Brownian,
}

/// A sampler of ComfyUI or RES4LYF.
#[derive(Clone, Copy, Debug)]
pub struct RunSampler {
    /// Its options that are words.
    pub choices: &'static [Choice],
    /// The node of ComfyUI that builds it with its options; `None` for a sampler that is only chosen by name.
    pub node: Option<&'static str>,
    /// True if it uses the unconditional prediction whatever the guidance.
    pub needs_unconditional: bool,
    /// True if ComfyUI's sampler nodes take one step more from the scheduler for it, and drop the last sigma but one.
    pub drops_a_sigma: bool,
    /// True if it draws new noise for a known region: one draw, with the run's seed plus 1.
    pub redraws_known: bool,
    /// The generator of its noise after the start.
    pub noise: StepNoise,
    rule: Option<Rule>,
    /// The formulas of the published method, where ComfyUI's differ.
    published: Option<Rule>,
}

/// The formulas of a solver.
type Rule = fn(&mut Course<'_>) -> Result<Linear, SamplerError>;

/// The largest number of steps whose rows are planned: a guard against an absurd argument.
const MOST_PLANNED: usize = 10_000;

impl RunSampler {
    /// A sampler that chooses its own steps; see [`is_adaptive`](Self::is_adaptive).
    pub(super) const ADAPTIVE: Self = Self {
        choices: &[],
        node: None,
        needs_unconditional: false,
        drops_a_sigma: false,
        redraws_known: false,
        noise: StepNoise::NextSeed,
        rule: None,
        published: None,
    };

    pub(super) const fn new(rule: Rule) -> Self {
        Self { rule: Some(rule), ..Self::ADAPTIVE }
    }

    /// The same with a published method that differs from ComfyUI's.
    pub(super) const fn unlike(self, published: Rule) -> Self {
        Self { published: Some(published), ..self }
    }

    pub(super) const fn choosing(self, choices: &'static [Choice]) -> Self {
        Self { choices, ..self }
    }

    pub(super) const fn of_node(self, node: &'static str) -> Self {
        Self { node: Some(node), ..self }
    }

    pub(super) const fn unconditional(self) -> Self {
        Self { needs_unconditional: true, ..self }
    }

    pub(super) const fn dropping(self) -> Self {
        Self { drops_a_sigma: true, ..self }
    }

    pub(super) const fn redrawing(self) -> Self {
        Self { redraws_known: true, ..self }
    }

    pub(super) const fn drawing(self, noise: StepNoise) -> Self {
        Self { noise, ..self }
    }

    /// The sampler that a node of ComfyUI builds.
    #[must_use]
    pub fn of_class(class: &str) -> Option<&'static Entry<Self>> {
        Self::CATALOGUE.entries.iter().find(|entry| entry.make.node == Some(class))
    }

    /// True if ComfyUI's formulas differ from the published method's: a run's [`compat`](super::super::Run::compat) chooses.
    #[must_use]
    pub const fn differs(&self) -> bool {
        self.published.is_some()
    }

    /// True for `dpm_adaptive`, which chooses its own steps.
    #[must_use]
    pub const fn is_adaptive(&self) -> bool {
        self.rule.is_none()
    }
}

impl Entry<RunSampler> {
    /// Records the loop of this sampler along the sigmas of a run, one more than steps.
    ///
    /// # Errors
    /// [`RunError`] for options that it does not have or that are out of range, and where its formulas have no value.
    pub(in crate::math::run) fn walk(
        &'static self,
        model: &RunModel,
        sigmas: &[f64],
        options: &RunValues,
        compat: RunCompat,
    ) -> Result<Walked, RunError> {
        let RunSampler { choices, rule, published, .. } = self.make;
        let rule = if compat == RunCompat::Published { published.or(rule) } else { rule };
        let values = numbers(self, choices, options)?;
        let words = choices.iter().map(|choice| choice.of(options)).collect::<Result<Vec<_>, _>>()?;
        let rule = rule.ok_or(RunError::Missing { expected: "a sampler that takes its steps from the grid" })?;
        if sigmas.len() > MOST_PLANNED + 1 {
            let expected = format!("at most {MOST_PLANNED}");
            return Err(RunError::Steps { grid: self.name, expected, found: (sigmas.len() - 1).to_string() });
        }
        let mut course = Course::new(self.name, model, sigmas, values, words);
        let result = if sigmas.len() < 2 { course.start() } else { rule(&mut course)? };
        Ok(course.finish(&result)?)
    }
}

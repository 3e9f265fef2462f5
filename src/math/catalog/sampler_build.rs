//! Builds a named sampler from a model and options.

use super::entry::Entry;
use super::error::CatalogError;
use super::sampler_grid::GridBuilder;
use super::sampler_options::SamplerOptions;
use super::sampler_recipe::{SamplerRecipe, Walk};
use super::sampler_rules::GridRules;
use crate::math::level::NoiseLevel;
use crate::math::model::{Model, Told};
use crate::math::process::Process;
use crate::math::quantity::Quantity;
use crate::math::sampler::Sampler;
use crate::math::sampler::grid::{Grid, Scale, Step};
use crate::math::sampler::solver::{Interval, Solver};
use crate::math::schedule::Schedule;
use crate::table::step::Clip;

/// A solver and the grid that it steps along.
type SamplerParts = (Box<dyn Solver>, Grid);

/// The options that every sampler uses, besides the number of steps.
const EVERYWHERE: [&str; 5] = ["clip", "threshold", "strength", "begin_index", "end_index"];

/// Sets the time to which each call of a flow map leads.
fn tell_the_next(sampler: &mut Sampler, grid: &Grid, interval: Interval, model: &Model) {
    for call in sampler.calls_mut() {
        let step = grid.steps().get(call.step);
        let reached = |step: &Step| step.to_timestep.unwrap_or_else(|| model.told(step.to));
        call.next_timestep = match interval {
            Interval::Point => Some(call.timestep),
            Interval::Step => step.map(reached),
            Interval::Rest => Some(model.told(NoiseLevel::CLEAN)),
        };
    }
}

impl Entry<SamplerRecipe> {
    /// Builds the sampler that the options describe, for a model.
    ///
    /// # Errors
    /// [`CatalogError::Unused`] for an option that this sampler does not use, [`CatalogError::Process`] for a model that it
    /// cannot sample, [`CatalogError::Contradiction`] and [`CatalogError::Needs`] for options that do not go together, and
    /// [`CatalogError::Sampler`] for numbers that a grid or a solver refuses.
    pub fn build(&self, model: &Model, options: &SamplerOptions) -> Result<Sampler, CatalogError> {
        self.refuse_unused(model, options)?;
        self.build_by(&GridRules::default(), model, options, options)
    }

    /// Builds the solver and the grid that the options describe, for a denoiser of your own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn parts(&self, model: &Model, options: &SamplerOptions) -> Result<SamplerParts, CatalogError> {
        self.refuse_unused(model, options)?;
        self.parts_by(&GridRules::default(), model, options, options)
    }

    /// [`parts`](Self::parts) by the rules of a class of diffusers, whose reader has already refused unused options.
    fn parts_by(
        &self,
        rules: &GridRules,
        model: &Model,
        options: &SamplerOptions,
        asked: &SamplerOptions,
    ) -> Result<SamplerParts, CatalogError> {
        let builder = self.builder(rules, model, options, asked);
        let mut filled = self.filled(options);
        if self.make.walk == Walk::ShortLast {
            filled.shift = Some(builder.shift()?); // the policy's shift is that of the times, wherever it was given
        }
        let solver = self.make.solver(&filled, model)?;
        Ok((solver, builder.churned_grid()?))
    }

    fn builder<'a>(
        &'a self,
        rules: &'a GridRules,
        model: &'a Model,
        options: &'a SamplerOptions,
        asked: &'a SamplerOptions,
    ) -> GridBuilder<'a> {
        GridBuilder { recipe: &self.make, options, asked, model, rules }
    }

    /// [`build`](Self::build) by the rules of a class; `asked` are the options that the caller gave, without those of the file.
    pub(crate) fn build_by(
        &self,
        rules: &GridRules,
        model: &Model,
        options: &SamplerOptions,
        asked: &SamplerOptions,
    ) -> Result<Sampler, CatalogError> {
        let (solver, grid) = self.parts_by(rules, model, options, asked)?;
        let denoiser = model.denoiser().clipped(options.clip.unwrap_or(Clip::None));
        let words = self.builder(rules, model, options, asked).described()?;
        let mut sampler = Sampler::new(&*solver, &grid, &denoiser)?.on_grid(words);
        if model.is_flow_map() {
            tell_the_next(&mut sampler, &grid, solver.interval(), model);
        }
        Ok(sampler)
    }

    /// [`build`](Self::build) by some rules of a class that has another sampler.
    #[cfg(feature = "diffusers-config")]
    pub(crate) fn build_instead(
        &self,
        rules: &GridRules,
        model: &Model,
        options: &SamplerOptions,
    ) -> Result<Sampler, CatalogError> {
        self.refuse_unused(model, options)?;
        let spacing = rules.spacing.filter(|_| self.make.options().any(|known| known == "spacing"));
        self.build_by(&GridRules { spacing, ..*rules }, model, options, options)
    }

    /// The model that is meant by this sampler with a schedule, and perhaps a prediction and a scale. If the scale is that of a flow,
    /// or without a scale the prediction or the sampler is, it is a rectified flow with as many timesteps as the schedule; else it
    /// is a network at the schedule's levels. By default it predicts the velocity of a flow for samplers of flows, else epsilon.
    #[must_use]
    pub fn usual_model(&self, schedule: Schedule, prediction: Option<Quantity>, scale: Option<Scale>) -> Model {
        let flows = prediction.is_some_and(Quantity::is_flow) || self.make.is_flow();
        if scale.map_or(flows, |scale| scale == Scale::Flow) {
            let schedule = Schedule::rectified_flow(schedule.len()).unwrap_or(schedule);
            return Model::new(schedule, prediction.unwrap_or(Quantity::Flow));
        }
        Model::new(schedule, prediction.unwrap_or(if flows { Quantity::Flow } else { Quantity::Epsilon }))
    }

    fn refuse_unused(&self, model: &Model, options: &SamplerOptions) -> Result<(), CatalogError> {
        // With a model of rectified flow, any sampler takes the options of a flow.
        let of_flow: &[&str] = match model.process() {
            Process::Flow => &["shift", "mu", "tokens", "times"],
            Process::TrigFlow(_) => &["times"],
            _ if matches!(model.told_number(), Told::CosineTime(_)) => &["times"],
            _ => &[],
        };
        let used = self.make.options().chain(EVERYWHERE).chain(of_flow.iter().copied());
        match options.given().find(|option| used.clone().all(|known| known != *option)) {
            Some(option) => Err(CatalogError::Unused { option: option.to_owned(), by: self.title() }),
            None => Ok(()),
        }
    }

    /// The options, completed with the defaults of the entry's parameters.
    fn filled(&self, options: &SamplerOptions) -> SamplerOptions {
        let mut filled = options.clone();
        let missing = |name: &str| options.given().all(|given| given != name);
        for parameter in self.parameters.iter().filter(|parameter| missing(parameter.name)) {
            if let Some(default) = parameter.default {
                filled.set(parameter.name, default);
            }
        }
        filled
    }
}

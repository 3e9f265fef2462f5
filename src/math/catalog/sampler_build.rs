//! From a named sampler and its options to its calls.

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

/// A solver and the grid that it solves on.
type SamplerParts = (Box<dyn Solver>, Grid);

/// Options that every sampler uses.
const EVERYWHERE: [&str; 5] = ["clip", "threshold", "strength", "begin_index", "end_index"];

/// Tells a flow map where it is to lead.
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
    /// The sampler that the options describe for a model.
    ///
    /// # Errors
    /// [`CatalogError::Unused`] for an option that this sampler does not use, [`CatalogError::Process`] for a model that it
    /// cannot sample, options that contradict each other, and [`CatalogError::Sampler`] for numbers that a grid or a solver
    /// refuses.
    pub fn build(&self, model: &Model, options: &SamplerOptions) -> Result<Sampler, CatalogError> {
        self.refuse_unused(model, options)?;
        self.build_by(&GridRules::default(), model, options, options)
    }

    /// The solver and the grid that the options describe, for a denoiser of one's own.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn parts(&self, model: &Model, options: &SamplerOptions) -> Result<SamplerParts, CatalogError> {
        self.refuse_unused(model, options)?;
        self.parts_by(&GridRules::default(), model, options, options)
    }

    /// The same by the rules of a class of diffusers, whose reader has refused what the class does not use.
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
            filled.shift = Some(builder.shift()?); // that of the times, whoever says so
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

    /// [`build`](Self::build) by the rules of a class; `asked` are those of the options that are not the file's.
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

    /// [`build`](Self::build) by some rules of a class, of which this is not the sampler.
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

    /// The model that somebody means who names this sampler, a schedule, and perhaps a prediction and a scale: a rectified
    /// flow with as many timesteps where one of them is a flow's, else a network that predicts epsilon at the schedule's
    /// levels.
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
        // Any sampler becomes one of rectified flow with a model of that process.
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

    /// The options with the defaults of the entry's parameters.
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

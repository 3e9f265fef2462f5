//! The samplers of the menu: those of the library's catalogue that lead from noise to pictures, and those of ComfyUI's runs.
//!
//! Each begins where its network was trained to begin and ends at the clean sample. The command line tool has options for
//! everything else that a sampler can be given.

use crate::course::{Course, RunChoice};
use crate::schedules::ScheduleChoice;
use std::sync::LazyLock;
use tweedie::math::Placement;
use tweedie::math::catalog::{CatalogError, Entry, SamplerOptions, SamplerRecipe};
use tweedie::math::run::RunSampler;
use tweedie::math::sampler::{Denoiser, Scale};
use tweedie::math::{Sampler, Spacing};
use tweedie::{Error, Quantity, Schedule};

/// The most steps of the slider.
pub const MOST_STEPS: usize = 200;

/// The largest churn of the slider; Karras et al. use up to 80 for 256 steps.
const MOST_CHURN: f64 = 40.0;

/// The parameters that say how much noise is drawn.
const STOCHASTICITY: [&str; 2] = ["eta", "s_churn"];

/// The names of ComfyUI's samplers in the menu, with a prefix, since some of the library's have the same name.
static COMFYUI: LazyLock<Vec<String>> =
    LazyLock::new(|| RunSampler::CATALOGUE.entries.iter().map(|entry| format!("ComfyUI {}", entry.name)).collect());

/// A sampler of the menu.
#[derive(Clone, Copy, Debug)]
pub struct Solver(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Library(&'static Entry<SamplerRecipe>),
    Run(&'static Entry<RunSampler>),
}

impl PartialEq for Solver {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Default for Solver {
    fn default() -> Self {
        const DDIM: &Entry<SamplerRecipe> = &Sampler::CATALOGUE.entries[1];
        Self(Kind::Library(DDIM))
    }
}

impl Solver {
    /// Returns all samplers, in the order of the menu.
    pub fn all() -> impl Iterator<Item = Self> {
        // The calls of one that chooses its own steps are not known ahead.
        let planned = RunSampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.is_adaptive());
        Self::of_library().chain(planned.map(|entry| Self(Kind::Run(entry))))
    }

    /// Returns those of the library's catalogue that lead from noise to pictures.
    pub fn of_library() -> impl Iterator<Item = Self> {
        let leading = |entry: &&Entry<SamplerRecipe>| !entry.make.inverts() && !entry.make.is_sliced();
        Sampler::CATALOGUE.entries.iter().filter(leading).map(|entry| Self(Kind::Library(entry)))
    }

    /// Finds the sampler of this name or synonym; the names of ComfyUI's begin with `ComfyUI`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        if let Ok(entry) = Sampler::CATALOGUE.find(name) {
            return Self::of_library().find(|known| known.name() == entry.name);
        }
        Self::all().find(|known| known.name() == name)
    }

    /// Name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Library(entry) => entry.name,
            Kind::Run(entry) => {
                let place = RunSampler::CATALOGUE.entries.iter().position(|known| known.name == entry.name);
                place.and_then(|place| COMFYUI.get(place)).map_or(entry.name, String::as_str)
            }
        }
    }

    /// Description.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self.0 {
            Kind::Library(entry) => entry.summary,
            Kind::Run(entry) => entry.summary,
        }
    }

    /// The scale of its samples; `None` for one of ComfyUI's, whose scale is the model's.
    #[must_use]
    pub fn scale(self) -> Option<Scale> {
        match self.0 {
            Kind::Library(entry) => Some(entry.make.scale()),
            Kind::Run(_) => None,
        }
    }

    /// The name and the largest value of the option for drawn noise, if the solver has one.
    #[must_use]
    pub fn stochasticity(self) -> Option<(&'static str, f64)> {
        match self.0 {
            Kind::Library(entry) => {
                let parameter = STOCHASTICITY.into_iter().find_map(|name| entry.parameter(name));
                parameter.map(|it| (it.name, it.max.min(MOST_CHURN)))
            }
            Kind::Run(entry) => {
                let name = STOCHASTICITY.into_iter().find(|name| entry.parameter(name).is_some())?;
                Some((name, if name == "eta" { 1.0 } else { MOST_CHURN }))
            }
        }
    }

    /// Makes the loop; with a strength below 1, of the last part of the steps. Whatever is predicted, the process is that of the
    /// schedule, or a flow for the samplers of rectified flow and for runs of ComfyUI that predict its velocity.
    ///
    /// # Errors
    /// The sampler does not exist with these choices: epsilon predicted at zero terminal SNR, more steps than timesteps, a
    /// schedule that ComfyUI does not have.
    pub fn course(
        self,
        schedule: ScheduleChoice,
        steps: usize,
        stochasticity: f64,
        strength: f64,
        predicts: Quantity,
    ) -> Result<Course, Error> {
        let Kind::Run(sampler) = self.0 else {
            let schedule = schedule.schedule()?;
            return Ok(self.sampler(&schedule, steps, stochasticity, strength, predicts)?.into());
        };
        let stochasticity = self.stochasticity().map(|(name, _)| (name, stochasticity));
        Ok(RunChoice { sampler, schedule, steps, stochasticity, strength, predicts }.plan()?.into())
    }

    /// Makes the sampler of the loop; with a strength below 1, of the last part of the steps. Whatever is predicted, the process
    /// is that of the schedule, or a flow for the samplers of rectified flow.
    ///
    /// # Errors
    /// The sampler does not exist with these choices: epsilon predicted at zero terminal SNR, more steps than timesteps; or it is
    /// one of ComfyUI's.
    pub fn sampler(
        self,
        schedule: &Schedule,
        steps: usize,
        stochasticity: f64,
        strength: f64,
        predicts: Quantity,
    ) -> Result<Sampler, CatalogError> {
        let entry = match self.0 {
            Kind::Library(entry) => entry,
            Kind::Run(_) => Sampler::CATALOGUE.find(self.name())?,
        };
        let recipe = entry.make;
        let preconditioned = recipe.scale() == Scale::VarianceExploding && matches!(predicts, Quantity::Edm(_));
        let spaced = recipe.options().any(|option| option == "spacing");
        let mut options = SamplerOptions {
            placement: spaced.then_some(Placement::Timesteps(Spacing::Trailing)),
            strength: (strength < 1.0).then_some(strength),
            ..SamplerOptions::steps(steps)
        };
        if let Some((name, _)) = self.stochasticity() {
            options.set(name, stochasticity);
        }
        let model = entry.usual_model(schedule.clone(), preconditioned.then_some(predicts), None);
        let (solver, grid) = entry.parts(&model, &options)?;
        Ok(Sampler::new(&*solver, &grid, &Denoiser::new(predicts))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedules::recipe;
    use tweedie::math::SigmaData;

    #[test]
    fn every_solver_has_a_loop_for_every_prediction() {
        let schedule = ScheduleChoice::default();
        for solver in Solver::all() {
            let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
            for (stochasticity, predicts) in [
                (0.0, Quantity::V),
                (most, Quantity::V),
                (0.0, Quantity::Flow),
                (most, Quantity::Edm(SigmaData::KARRAS)),
            ] {
                let course = solver.course(schedule, 12, stochasticity, 1.0, predicts).unwrap();
                assert!(course.calls().len() >= 12, "{}", solver.name());
                let [before, end] = [0, course.calls().len()].map(|call| course.level(call)[1]);
                let leaves_noise =
                    ["ComfyUI dpm_fast", "ComfyUI uni_pc", "ComfyUI uni_pc_bh2"].contains(&solver.name());
                assert!(before > 0.5 && (end > 0.0) == leaves_noise, "{}: {before} to {end}", solver.name());
            }
        }
    }

    #[test]
    fn a_strength_takes_the_last_steps() {
        for name in ["ddim", "ComfyUI euler"] {
            let solver = Solver::find(name).unwrap();
            let of = |strength| solver.course(ScheduleChoice::default(), 20, 0.0, strength, Quantity::V).unwrap();
            let (whole, half) = (of(1.0), of(0.5));
            assert_eq!((whole.calls().len(), half.calls().len()), (20, 10));
            assert_eq!(whole.calls()[10].timestep, half.calls()[0].timestep);
        }
    }

    #[test]
    fn names_and_synonyms_are_found() {
        assert_eq!(Solver::default().name(), "ddim");
        assert_eq!(Solver::find("DPM-Solver++ 2M SDE").map(Solver::name), Some("dpm++-2m-sde"));
        assert_eq!(Solver::find("ddim-inverse"), None);
        assert_eq!(Solver::find("euler").and_then(Solver::stochasticity), Some(("s_churn", MOST_CHURN)));
        assert_eq!(Solver::find("heun").and_then(Solver::stochasticity), None);
        assert_eq!(Solver::find("ComfyUI euler_ancestral").and_then(Solver::stochasticity), Some(("eta", 1.0)));
        assert_eq!(Solver::find("ComfyUI dpm_adaptive"), None);
        let all: Vec<&str> = Solver::all().map(Solver::name).collect();
        assert!(all.iter().all(|name| Solver::find(name).map(Solver::name) == Some(name)), "{all:?}");
    }

    #[test]
    fn runs_need_what_comfyui_has() {
        let euler = Solver::find("ComfyUI euler").unwrap();
        let why = |schedule: &str, predicts| {
            let schedule = ScheduleChoice { recipe: recipe(schedule).unwrap(), zero_terminal_snr: false };
            euler.course(schedule, 10, 0.0, 1.0, predicts).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!([why("scaled-linear", Quantity::V), why("cosine", Quantity::X0)], [const { Ok(()) }; 2]);
        assert!(why("sigmoid", Quantity::V).is_err_and(|why| why.contains("scaled-linear") && why.contains("sigmoid")));
        assert!(why("linear", Quantity::Score).is_err_and(|why| why.contains("epsilon") && why.contains("score")));
        assert!(euler.sampler(&ScheduleChoice::default().schedule().unwrap(), 10, 0.0, 1.0, Quantity::V).is_err());
    }

    /// The sigmas of a run are those of the schedule of the menu.
    #[test]
    fn runs_have_the_schedule_of_the_menu() {
        let euler = Solver::find("ComfyUI euler").unwrap();
        for name in ["linear", "scaled-linear", "cosine"] {
            let schedule = ScheduleChoice { recipe: recipe(name).unwrap(), zero_terminal_snr: false };
            let levels = schedule.schedule().unwrap();
            for call in euler.course(schedule, 10, 0.0, 1.0, Quantity::Epsilon).unwrap().calls() {
                let level = levels.level(call.timestep as usize).unwrap();
                let expected = level.sigma() / level.alpha();
                assert!((call.level.sigma() / call.level.alpha() / expected - 1.0).abs() < 1e-9, "{name}: {call:?}");
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_an_error_in_words() {
        let zero = ScheduleChoice { zero_terminal_snr: true, ..ScheduleChoice::default() }.schedule().unwrap();
        let text = Solver::default().sampler(&zero, 10, 0.0, 1.0, Quantity::Epsilon).unwrap_err().to_string();
        assert!(text.contains("epsilon"), "{text}");
        let text = Solver::find("lcm").unwrap().sampler(&zero, 51, 0.0, 1.0, Quantity::V).unwrap_err().to_string();
        assert!(text.contains("51"), "{text}");
    }
}

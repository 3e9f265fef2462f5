//! The samplers of the menu: those of the library's catalogue that lead from noise to pictures.
//!
//! Each begins where its network was trained to begin and ends at the clean sample; what else a sampler can be told, the
//! command line tool has options for.

use tweedie::math::Placement;
use tweedie::math::catalog::{CatalogError, Entry, SamplerOptions, SamplerRecipe};
use tweedie::math::sampler::{Denoiser, Scale};
use tweedie::math::{Sampler, Spacing};
use tweedie::{Quantity, Schedule};

/// The most steps of the slider.
pub const MOST_STEPS: usize = 200;

/// The largest churn of the slider; Karras et al. use up to 80 for 256 steps.
const MOST_CHURN: f64 = 40.0;

/// The parameters that say how much noise is drawn.
const STOCHASTICITY: [&str; 2] = ["eta", "s_churn"];

/// A sampler of the menu.
#[derive(Clone, Copy, Debug)]
pub struct Solver(&'static Entry<SamplerRecipe>);

impl PartialEq for Solver {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Default for Solver {
    fn default() -> Self {
        const DDIM: &Entry<SamplerRecipe> = &Sampler::CATALOGUE.entries[1];
        Self(DDIM)
    }
}

impl Solver {
    /// All of them, as in the menu.
    pub fn all() -> impl Iterator<Item = Self> {
        Sampler::CATALOGUE.entries.iter().map(Self).filter(Self::leads_to_pictures)
    }

    /// The sampler of this name or synonym.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Sampler::CATALOGUE.find(name).ok().map(Self).filter(Self::leads_to_pictures)
    }

    /// True for a sampler from noise, of networks with one answer.
    fn leads_to_pictures(&self) -> bool {
        !self.0.make.inverts() && !self.0.make.is_sliced()
    }

    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Description.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.0.summary
    }

    /// The scale of its samples.
    #[must_use]
    pub fn scale(self) -> Scale {
        self.0.make.scale()
    }

    /// Name and largest value of the option for drawn noise, if the solver has one.
    #[must_use]
    pub fn stochasticity(self) -> Option<(&'static str, f64)> {
        let parameter = STOCHASTICITY.into_iter().find_map(|name| self.0.parameter(name));
        parameter.map(|it| (it.name, it.max.min(MOST_CHURN)))
    }

    /// The rows of the loop: of the last part of the steps where the strength is below 1. Whatever is predicted, the process is that of the schedule, or a flow for the samplers of
    /// rectified flow.
    ///
    /// # Errors
    /// The sampler does not exist: epsilon predicted at zero terminal SNR, more steps than there are.
    pub fn sampler(
        self,
        schedule: &Schedule,
        steps: usize,
        stochasticity: f64,
        strength: f64,
        predicts: Quantity,
    ) -> Result<Sampler, CatalogError> {
        let recipe = self.0.make;
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
        let model = self.0.usual_model(schedule.clone(), preconditioned.then_some(predicts), None);
        let (solver, grid) = self.0.parts(&model, &options)?;
        Ok(Sampler::new(&*solver, &grid, &Denoiser::new(predicts))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedules::ScheduleChoice;
    use tweedie::math::SigmaData;

    #[test]
    fn every_solver_has_a_loop_for_every_prediction() {
        let schedule = ScheduleChoice::default().schedule().unwrap();
        for solver in Solver::all() {
            let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
            for (stochasticity, predicts) in [
                (0.0, Quantity::V),
                (most, Quantity::V),
                (0.0, Quantity::Flow),
                (most, Quantity::Edm(SigmaData::KARRAS)),
            ] {
                let sampler = solver.sampler(&schedule, 12, stochasticity, 1.0, predicts).unwrap();
                assert!(sampler.calls().len() >= 12, "{}", solver.name());
                let end = sampler.calls().last().unwrap().row.known;
                assert_eq!(end[1], 0.0, "{} ends at the clean sample", solver.name());
            }
        }
    }

    #[test]
    fn a_strength_takes_the_last_steps() {
        let schedule = ScheduleChoice::default().schedule().unwrap();
        let of = |strength| Solver::default().sampler(&schedule, 20, 0.0, strength, Quantity::V).unwrap();
        let (whole, half) = (of(1.0), of(0.5));
        assert_eq!((whole.calls().len(), half.calls().len()), (20, 10));
        assert_eq!(whole.calls()[10].timestep, half.calls()[0].timestep);
    }

    #[test]
    fn names_and_synonyms_are_found() {
        assert_eq!(Solver::default().name(), "ddim");
        assert_eq!(Solver::find("DPM-Solver++ 2M SDE").map(Solver::name), Some("dpm++-2m-sde"));
        assert_eq!(Solver::find("ddim-inverse"), None);
        assert_eq!(Solver::find("euler").and_then(Solver::stochasticity), Some(("s_churn", MOST_CHURN)));
        assert_eq!(Solver::find("heun").and_then(Solver::stochasticity), None);
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

//! The schedules of the menu: those of the library's catalogue.

use tweedie::Schedule;
use tweedie::math::catalog::{CatalogError, Entry, Make};

/// The number of training timesteps of every schedule here, that of every published DDPM.
pub const TIMESTEPS: u32 = 1000;

/// A schedule of the menu.
pub type Recipe = Entry<Make<Schedule>>;

/// All of them.
pub const RECIPES: &[Recipe] = Schedule::CATALOGUE.entries;

/// Returns the index of a schedule in [`RECIPES`], by any of its names.
#[must_use]
pub fn recipe(name: &str) -> Option<usize> {
    RECIPES.iter().position(|entry| Schedule::CATALOGUE.find(name).is_ok_and(|found| found.name == entry.name))
}

/// Returns whether a schedule is variance preserving, and so can be rescaled to zero terminal SNR.
#[must_use]
pub fn can_be_rescaled(recipe: &Recipe) -> bool {
    recipe.parameter("zero_terminal_snr").is_some()
}

/// A choice in the menu.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleChoice {
    /// An index into [`RECIPES`].
    pub recipe: usize,
    /// True if it is rescaled, so that no signal is left at the last timestep.
    pub zero_terminal_snr: bool,
}

impl ScheduleChoice {
    /// Returns the recipe of the menu.
    #[must_use]
    pub fn recipe(self) -> &'static Recipe {
        &RECIPES[self.recipe.min(RECIPES.len() - 1)]
    }

    /// Makes the schedule.
    ///
    /// # Errors
    /// The recipe refuses its parameters; those of the menu do not.
    pub fn schedule(self) -> Result<Schedule, CatalogError> {
        let recipe = self.recipe();
        let length = ("train_timesteps", f64::from(TIMESTEPS));
        match self.zero_terminal_snr && can_be_rescaled(recipe) {
            true => recipe.build(&[length, ("zero_terminal_snr", 1.0)]),
            false => recipe.build(&[length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_exists_and_ends_in_noise() {
        for (index, known) in RECIPES.iter().enumerate() {
            assert_eq!(recipe(known.name), Some(index));
            for zero_terminal_snr in [false, true] {
                let schedule = ScheduleChoice { recipe: index, zero_terminal_snr }.schedule().unwrap();
                assert_eq!(schedule.len(), TIMESTEPS as usize, "{}", known.name);
                let levels = schedule.levels();
                assert!(levels[0].snr() > levels[levels.len() - 1].snr(), "{}", known.name);
                if zero_terminal_snr && can_be_rescaled(known) {
                    assert_eq!(levels[levels.len() - 1].alpha(), 0.0, "{}", known.name);
                }
            }
        }
    }
}

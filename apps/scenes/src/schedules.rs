//! The schedules of the menu.

use tweedie::Schedule;
use tweedie::error::ScheduleError;
use tweedie::math::edm_sigmas;

/// The training timesteps of every schedule here; every published DDPM uses as many.
pub const TIMESTEPS: u32 = 1000;

/// A schedule of the menu.
pub struct Recipe {
    /// Name for people.
    pub name: &'static str,
    /// Source, in a line.
    pub about: &'static str,
    /// True if it is variance preserving, and so can be rescaled to zero terminal SNR.
    pub preserving: bool,
    make: fn(usize) -> Result<Schedule, ScheduleError>,
}

/// All of them.
pub const RECIPES: [Recipe; 11] = [
    preserving("linear", "DDPM: betas from 0.0001 to 0.02 (Ho et al. 2020)", |t| Schedule::linear(t, 1e-4, 0.02)),
    preserving("scaled linear", "Stable Diffusion: roots of betas in equal steps", |t| {
        Schedule::scaled_linear(t, 0.00085, 0.012)
    }),
    preserving("cosine", "Improved DDPM (Nichol & Dhariwal 2021)", Schedule::cosine),
    preserving("sigmoid", "A sigmoid of betas, as in GeoDiff and diffusers", |t| Schedule::sigmoid(t, 1e-4, 0.02)),
    preserving("sigmoid abar", "A sigmoid of abar (Jabri et al. 2022)", |t| Schedule::sigmoid_abar(t, -3.0, 3.0, 1.0)),
    preserving("laplace", "Laplace, as diffusers computes it", Schedule::laplace),
    preserving("laplace (paper)", "Laplace, as its paper defines it (Hang et al. 2024)", Schedule::laplace_paper),
    preserving("exponential", "A falling exponential of abar, as in diffusers", Schedule::exponential),
    preserving("constant beta", "Every step adds the same noise, beta = 0.01", |t| Schedule::linear(t, 0.01, 0.01)),
    Recipe {
        name: "variance exploding",
        about: "alpha = 1, sigma from 0.002 to 80 as EDM places them (Karras et al. 2022)",
        preserving: false,
        make: |t| {
            let mut sigmas = edm_sigmas(t, 0.002, 80.0, 7.0)?;
            sigmas.retain(|&sigma| sigma > 0.0);
            sigmas.sort_by(f64::total_cmp);
            Schedule::variance_exploding(&sigmas)
        },
    },
    Recipe {
        name: "rectified flow",
        about: "alpha = 1 - sigma, in equal steps (Liu et al. 2022)",
        preserving: false,
        make: Schedule::rectified_flow,
    },
];

const fn preserving(
    name: &'static str,
    about: &'static str,
    make: fn(usize) -> Result<Schedule, ScheduleError>,
) -> Recipe {
    Recipe { name, about, preserving: true, make }
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

    /// The schedule.
    ///
    /// # Errors
    /// Whatever the recipe finds; none of those of the menu does.
    pub fn schedule(self) -> Result<Schedule, ScheduleError> {
        let recipe = self.recipe();
        let schedule = (recipe.make)(TIMESTEPS as usize)?;
        if self.zero_terminal_snr && recipe.preserving { schedule.zero_terminal_snr() } else { Ok(schedule) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_exists_and_ends_in_noise() {
        for (recipe, known) in RECIPES.iter().enumerate() {
            for zero_terminal_snr in [false, true] {
                let schedule = ScheduleChoice { recipe, zero_terminal_snr }.schedule().unwrap();
                assert_eq!(schedule.len(), TIMESTEPS as usize, "{}", known.name);
                let levels = schedule.levels();
                assert!(levels[0].snr() > levels[levels.len() - 1].snr(), "{}", known.name);
                if zero_terminal_snr && known.preserving {
                    assert_eq!(levels[levels.len() - 1].alpha(), 0.0, "{}", known.name);
                }
            }
        }
    }
}

//! The samplers of the menu.
//!
//! Each begins where its network was trained to begin and ends at the clean sample; what else a sampler can be told, the
//! command line tool has options for.

use crate::schedules::TIMESTEPS;
use tweedie::error::SamplerError;
use tweedie::math::sampler::{
    Churn, Consistency, Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Heun, Scale, Solver as Solves, UniPc, Variance,
};
use tweedie::math::{NoiseLevel, Sampler, Spacing, consistency_timesteps, flow};
use tweedie::{Error, Quantity, Schedule};

/// Steps that latent consistency models are distilled from, and so the most that they take.
const ORIGINAL_STEPS: usize = 50;

/// The most steps of the slider.
pub const MOST_STEPS: usize = 200;

/// A sampler of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    /// Ho et al. 2020.
    Ddpm,
    /// Song et al. 2021.
    Ddim,
    /// First order, of the probability flow.
    Euler,
    /// With noise replaced on the way.
    EulerAncestral,
    /// Karras et al. 2022, algorithm 2, in first order.
    EulerChurn,
    /// Second order (Karras et al. 2022).
    Heun,
    /// DPM-Solver++ 2M.
    Dpm2M,
    /// DPM-Solver++ 3M.
    Dpm3M,
    /// DPM-Solver++ 2M as an SDE.
    DpmSde,
    /// Zhao et al. 2023.
    UniPc,
    /// Luo et al. 2023.
    Lcm,
    /// Rectified flow.
    FlowEuler,
    /// Rectified flow, second order.
    FlowHeun,
}

impl Solver {
    /// All of them, as in the menu.
    pub const ALL: [Self; 13] = [
        Self::Ddpm,
        Self::Ddim,
        Self::Euler,
        Self::EulerAncestral,
        Self::EulerChurn,
        Self::Heun,
        Self::Dpm2M,
        Self::Dpm3M,
        Self::DpmSde,
        Self::UniPc,
        Self::Lcm,
        Self::FlowEuler,
        Self::FlowHeun,
    ];

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Ddpm => ("DDPM", "The posterior's mean and noise (Ho et al. 2020)"),
            Self::Ddim => ("DDIM", "From deterministic (eta 0) to DDPM's noise (eta 1) (Song et al. 2021)"),
            Self::Euler => ("Euler", "The probability flow, first order, in sigma"),
            Self::EulerAncestral => ("Euler ancestral", "Down further than needed, then noise (eta of it)"),
            Self::EulerChurn => ("Euler with churn", "Noise is added before each step (Karras et al. 2022)"),
            Self::Heun => ("Heun", "Second order, two network calls a step (Karras et al. 2022)"),
            Self::Dpm2M => ("DPM-Solver++ 2M", "Second order from the call before (Lu et al. 2022)"),
            Self::Dpm3M => ("DPM-Solver++ 3M", "Third order from two calls before (Lu et al. 2022)"),
            Self::DpmSde => ("DPM-Solver++ 2M SDE", "The same with fresh noise in every step"),
            Self::UniPc => ("UniPC", "Predictor and corrector of one call (Zhao et al. 2023)"),
            Self::Lcm => ("LCM", "Latent consistency: x0, and noise again (Luo et al. 2023)"),
            Self::FlowEuler => ("Flow Euler", "Rectified flow; the schedule is alpha = 1 - sigma"),
            Self::FlowHeun => ("Flow Heun", "The same in second order"),
        }
    }

    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.texts().0
    }

    /// Description.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.texts().1
    }

    /// Name and largest value of the option for drawn noise, if the solver has one.
    #[must_use]
    pub const fn stochasticity(self) -> Option<(&'static str, f64)> {
        match self {
            Self::Ddim | Self::EulerAncestral => Some(("eta", 1.0)),
            Self::EulerChurn => Some(("churn", MOST_CHURN)),
            _ => None,
        }
    }

    /// The rows of the whole loop.
    ///
    /// # Errors
    /// The sampler does not exist: epsilon predicted at zero terminal SNR, more steps than there are.
    pub fn sampler(
        self,
        schedule: &Schedule,
        steps: usize,
        stochasticity: f64,
        predicts: Quantity,
    ) -> Result<Sampler, Error> {
        let train = schedule.len();
        let denoiser = Denoiser::new(predicts);
        let of = |solver: &dyn Solves, grid: Grid| Ok(Sampler::new(solver, &grid, &denoiser)?);
        let whole = || Ok::<_, Error>(of_schedule(schedule, &Spacing::Trailing.timesteps(train, steps)?)?);
        let before_zero =
            || Ok::<_, Error>(of_schedule(schedule, &Spacing::Trailing.timesteps_before_zero(train, steps)?)?);
        let exploding = || of_sigmas(schedule, steps, predicts);
        match self {
            Self::Ddpm => of(&Ddpm::new(Variance::FixedSmall), whole()?),
            Self::Ddim => of(&FirstOrder::ddim(stochasticity), whole()?),
            Self::Euler => of(&FirstOrder::euler(), exploding()?),
            Self::EulerAncestral => of(&FirstOrder::ancestral(stochasticity), exploding()?),
            Self::EulerChurn => {
                let table = schedule.sigma_table();
                let grid = exploding()?.churned(&Churn::new(stochasticity), |sigma| table.timestep(sigma))?;
                of(&FirstOrder::euler(), grid)
            }
            Self::Heun => of(&Heun, exploding()?),
            Self::Dpm2M => of(&DpmSolver::new(2), before_zero()?),
            Self::Dpm3M => of(&DpmSolver::new(3), before_zero()?),
            Self::DpmSde => of(&DpmSolver::sde(2), before_zero()?),
            Self::UniPc => of(&UniPc::new(2), before_zero()?),
            Self::Lcm => {
                let timesteps = consistency_timesteps(train, ORIGINAL_STEPS, 1.0, steps)?;
                of(&Consistency::lcm(), of_schedule(schedule, &timesteps)?)
            }
            Self::FlowEuler => of(&FirstOrder::euler(), of_flow(steps)?),
            Self::FlowHeun => of(&Heun, of_flow(steps)?),
        }
    }
}

/// The largest churn of the slider; Karras et al. use up to 80 for 256 steps.
const MOST_CHURN: f64 = 40.0;

fn of_schedule(schedule: &Schedule, timesteps: &[usize]) -> Result<Grid, SamplerError> {
    Grid::of_schedule(schedule, timesteps, NoiseLevel::CLEAN)
}

/// Sigmas at timesteps in equal steps: the schedule as variance exploding, which the network sees scaled back.
fn of_sigmas(schedule: &Schedule, steps: usize, predicts: Quantity) -> Result<Grid, SamplerError> {
    let table = schedule.sigma_table();
    let told = Spacing::Trailing.positions(schedule.len(), steps)?;
    let sigmas: Vec<f64> = told.iter().map(|&t| table.at(t)).collect();
    let scale = match predicts {
        Quantity::Edm(data) => Scale::Edm(data),
        _ => Scale::VarianceExploding,
    };
    Grid::of_sigmas(scale, &sigmas, &told, 0.0)
}

fn of_flow(steps: usize) -> Result<Grid, SamplerError> {
    let train = f64::from(TIMESTEPS);
    let times = flow::times(steps, 1.0, 1.0 / train)?;
    let told: Vec<f64> = times.iter().map(|t| train * t).collect();
    Grid::of_sigmas(Scale::Flow, &times, &told, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedules::ScheduleChoice;

    #[test]
    fn every_solver_has_a_loop_for_v() {
        let schedule = ScheduleChoice::default().schedule().unwrap();
        for solver in Solver::ALL {
            let most = solver.stochasticity().map_or(0.0, |(_, most)| most);
            for stochasticity in [0.0, most] {
                let sampler = solver.sampler(&schedule, 12, stochasticity, Quantity::V).unwrap();
                assert!(sampler.calls().len() >= 12, "{}", solver.name());
                let end = sampler.calls().last().unwrap().row.known;
                assert_eq!(end[1], 0.0, "{} ends at the clean sample", solver.name());
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_an_error_in_words() {
        let zero = ScheduleChoice { zero_terminal_snr: true, ..ScheduleChoice::default() }.schedule().unwrap();
        let text = Solver::Ddim.sampler(&zero, 10, 0.0, Quantity::Epsilon).unwrap_err().to_string();
        assert!(text.contains("epsilon"), "{text}");
        let text = Solver::Lcm.sampler(&zero, 51, 0.0, Quantity::V).unwrap_err().to_string();
        assert!(text.contains("51"), "{text}");
    }
}

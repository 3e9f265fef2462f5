//! Every solver where people use it, as a value: what is run end to end.

use tweedie::error::SamplerError;

use tweedie::math::sampler::{
    Consistency, Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Heun, Sampler, Scale, Solution, Solver, UniPc, Variance,
};
use tweedie::math::{NoiseLevel, SigmaData, Spacing, flow, sigmas};
use tweedie::{Quantity, Schedule};

/// Where a solver goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// Timesteps of a schedule, variance preserving.
    Preserving,
    /// Their sigmas, variance exploding.
    Exploding,
    /// The sigmas and the preconditioned network of Karras et al. 2022.
    Edm,
    /// Times of a flow.
    Flow,
}

impl Course {
    /// What networks predict there.
    pub const fn predictions(self) -> &'static [Quantity] {
        match self {
            Self::Preserving | Self::Exploding => &[Quantity::V, Quantity::Epsilon, Quantity::X0],
            Self::Edm => &[Quantity::Edm(SigmaData::KARRAS)],
            Self::Flow => &[Quantity::Flow],
        }
    }

    /// So many steps, from a schedule if it has timesteps.
    pub fn grid(self, schedule: &Schedule, steps: usize) -> Grid {
        let timesteps = || Spacing::Trailing.timesteps(schedule.len(), steps).expect("timesteps");
        let grid = match self {
            Self::Preserving => Grid::of_schedule(schedule, &timesteps(), NoiseLevel::CLEAN),
            Self::Exploding => {
                let (table, told) = (schedule.sigma_table(), timesteps().iter().map(|&t| t as f64).collect::<Vec<_>>());
                let sigmas: Vec<f64> = told.iter().map(|&t| table.at(t)).collect();
                Grid::of_sigmas(Scale::VarianceExploding, &sigmas, &told, 0.0)
            }
            Self::Edm => {
                let sigmas = sigmas::karras(steps, 0.002, 80.0, 7.0).expect("sigmas");
                let told: Vec<f64> = sigmas.iter().map(|sigma| sigma.ln() / 4.0).collect();
                Grid::of_sigmas(Scale::Edm(SigmaData::KARRAS), &sigmas, &told, 0.0)
            }
            Self::Flow => {
                let times = flow::times(steps, 1.0, 1.0 / steps as f64).expect("times");
                let told: Vec<f64> = times.iter().map(|time| 1000.0 * time).collect();
                Grid::of_sigmas(Scale::Flow, &times, &told, 0.0)
            }
        };
        grid.expect("a grid")
    }
}

/// Any solver.
#[derive(Clone, Debug)]
pub enum Any {
    First(FirstOrder),
    Ddpm(Ddpm),
    Heun(Heun),
    Dpm(DpmSolver),
    UniPc(UniPc),
    Consistency(Consistency),
}

impl Solver for Any {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        match self {
            Self::First(solver) => solver.solve(grid, denoiser),
            Self::Ddpm(solver) => solver.solve(grid, denoiser),
            Self::Heun(solver) => solver.solve(grid, denoiser),
            Self::Dpm(solver) => solver.solve(grid, denoiser),
            Self::UniPc(solver) => solver.solve(grid, denoiser),
            Self::Consistency(solver) => solver.solve(grid, denoiser),
        }
    }
}

/// A solver and where it goes.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    pub course: Course,
    pub solver: Any,
}

impl Case {
    /// Whether it draws noise on the way.
    pub fn draws(&self) -> bool {
        match &self.solver {
            Any::First(first) => first.eta > 0.0,
            Any::Dpm(dpm) => dpm.eta > 0.0,
            Any::Ddpm(_) | Any::Consistency(_) => true,
            Any::Heun(_) | Any::UniPc(_) => false,
        }
    }

    /// Whether it is for networks that know where the differential equation ends. With one that knows expectations its
    /// samples vary too little.
    pub fn wants_consistency(&self) -> bool {
        matches!(self.solver, Any::Consistency(_))
    }

    /// Whether its error falls no faster than its steps.
    pub fn first_order(&self) -> bool {
        match &self.solver {
            Any::First(_) | Any::Ddpm(_) | Any::Consistency(_) => true,
            Any::Dpm(dpm) => dpm.order == 1,
            Any::Heun(_) | Any::UniPc(_) => false,
        }
    }

    pub fn sampler(&self, schedule: &Schedule, predicts: Quantity, steps: usize) -> Sampler {
        let grid = self.course.grid(schedule, steps);
        Sampler::new(&self.solver, &grid, &Denoiser::new(predicts)).expect("a sampler")
    }
}

/// That of DDPM, whose last level has next to no signal: what starts from pure noise starts right.
pub fn schedule() -> Schedule {
    Schedule::linear(1000, 1e-4, 0.02).expect("a schedule")
}

/// All solvers.
pub fn cases() -> Vec<Case> {
    let case = |course, name, solver| Case { name, course, solver };
    let first = |eta| Any::First(FirstOrder::ddim(eta));
    let ancestral = || Any::First(FirstOrder::ancestral(1.0));
    let euler = || Any::First(FirstOrder::euler());
    vec![
        case(Course::Preserving, "DDIM", first(0.0)),
        case(Course::Preserving, "DDIM, eta 0.5", first(0.5)),
        case(Course::Preserving, "DDIM, eta 1", first(1.0)),
        case(Course::Preserving, "DDPM, small variance", Any::Ddpm(Ddpm::new(Variance::FixedSmall))),
        case(Course::Preserving, "DDPM, large variance", Any::Ddpm(Ddpm::new(Variance::FixedLarge))),
        case(Course::Preserving, "DPM-Solver++ 1", Any::Dpm(DpmSolver::new(1))),
        case(Course::Preserving, "DPM-Solver++ 2M", Any::Dpm(DpmSolver::new(2))),
        case(Course::Preserving, "DPM-Solver++ 3M", Any::Dpm(DpmSolver::new(3))),
        case(Course::Preserving, "DPM-Solver++ 2M SDE", Any::Dpm(DpmSolver::sde(2))),
        case(Course::Preserving, "UniPC 2", Any::UniPc(UniPc::new(2))),
        case(Course::Preserving, "UniPC 3", Any::UniPc(UniPc::new(3))),
        case(Course::Preserving, "LCM", Any::Consistency(Consistency::lcm())),
        case(Course::Exploding, "Euler", euler()),
        case(Course::Exploding, "Euler ancestral", ancestral()),
        case(Course::Exploding, "Heun", Any::Heun(Heun)),
        case(Course::Edm, "EDM Heun", Any::Heun(Heun)),
        case(Course::Edm, "EDM DPM-Solver++ 2M", Any::Dpm(DpmSolver::new(2))),
        case(Course::Flow, "flow Euler", euler()),
        case(Course::Flow, "flow Euler ancestral", ancestral()),
        case(Course::Flow, "flow Heun", Any::Heun(Heun)),
        case(Course::Flow, "flow DPM-Solver++ 2M", Any::Dpm(DpmSolver::new(2))),
    ]
}

/// A solver that is wrong in one number: what `change` makes of the coefficients of a call.
pub struct Wrong<'a, F> {
    pub solver: &'a Any,
    pub call: usize,
    pub change: F,
}

impl<F: Fn(&mut tweedie::table::StepRow)> Solver for Wrong<'_, F> {
    fn solve(&self, grid: &Grid, denoiser: &Denoiser) -> Result<Solution, SamplerError> {
        let mut solution = self.solver.solve(grid, denoiser)?;
        (self.change)(&mut solution.calls[self.call].row);
        Ok(solution)
    }
}

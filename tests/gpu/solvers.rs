//! The cases that are run end to end: every solver, on the noise levels that it is used with.

use tweedie::error::SamplerError;

use crate::support::sigmas;
use tweedie::math::catalog::{Entry, SamplerOptions, SamplerRecipe};
use tweedie::math::sampler::{
    Ancestral, Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Heun, Sampler, Scale, Solution, Solver, UniPc, Variance,
};
use tweedie::math::{NoiseLevel, SigmaData, Spacing};
use tweedie::{Quantity, Schedule};

/// The kind of noise levels that a solver goes through.
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

    /// Makes a grid of so many steps, from the schedule where the course has timesteps.
    pub fn grid(self, schedule: &Schedule, steps: usize) -> Grid {
        let timesteps = || Spacing::Trailing.timesteps(schedule.len(), steps).expect("timesteps");
        let grid = match self {
            Self::Preserving => Grid::of_schedule(schedule, &timesteps(), NoiseLevel::CLEAN),
            Self::Exploding => {
                let told: Vec<f64> = timesteps().iter().map(|&t| t as f64).collect();
                let sigmas: Vec<f64> = told.iter().map(|&t| schedule.sigma_at(t)).collect();
                let clock = schedule.clone();
                let between = move |level: NoiseLevel| clock.timestep_of(level.sigma() / level.alpha());
                Grid::of_sigmas(Scale::VarianceExploding, &sigmas, &told, 0.0).map(|grid| grid.with_clock(between))
            }
            Self::Edm => {
                let sigmas = sigmas::karras(steps, 0.002, 80.0, 7.0).expect("sigmas");
                let told: Vec<f64> = sigmas.iter().map(|sigma| sigma.ln() / 4.0).collect();
                Grid::of_sigmas(Scale::Edm(SigmaData::KARRAS), &sigmas, &told, 0.0)
            }
            Self::Flow => {
                let times = sigmas::times(steps, 1.0, 1.0 / steps as f64);
                let told: Vec<f64> = times.iter().map(|time| 1000.0 * time).collect();
                Grid::of_sigmas(Scale::Flow, &times, &told, 0.0)
            }
        };
        grid.expect("a grid")
    }
}

/// A solver and its course.
pub struct Case {
    pub name: &'static str,
    pub course: Course,
    pub solver: Box<dyn Solver>,
    /// The order at which its error falls with the number of steps; 1 where nothing more is known.
    order: u32,
}

impl Case {
    fn new(course: Course, name: &'static str, order: u32, solver: impl Solver + 'static) -> Self {
        Self { name, course, solver: Box::new(solver), order }
    }

    /// A sampler of the library's catalogue with its defaults, on the grid of its course.
    fn named(entry: &'static Entry<SamplerRecipe>) -> Self {
        let course = match entry.make.scale() {
            Scale::Flow => Course::Flow,
            Scale::VarianceExploding => Course::Exploding,
            _ => Course::Preserving,
        };
        let (solver, _) =
            entry.parts(&entry.usual_model(schedule(), None, None), &SamplerOptions::steps(10)).expect(entry.name);
        let declared = entry.parameter("order").and_then(|order| order.default);
        let order = match entry.name {
            "heun" | "flow-heun" | "dpm2" => 2.0,
            // One step of the solver takes two of the grid, so that its error is four times that of a second order: tested as the first.
            "dpm++-2s" => 1.0,
            _ => declared.unwrap_or(1.0),
        } as u32;
        Self { name: entry.name, course, solver, order }
    }

    /// Whether it draws noise between its steps.
    pub fn draws(&self) -> bool {
        self.sampler(&schedule(), self.course.predictions()[0], 10).noises() > 0
    }

    /// Whether it is for networks that predict the end of the differential equation. With a network that predicts expectations, its
    /// samples vary too little.
    pub fn wants_consistency(&self) -> bool {
        matches!(self.name, "lcm" | "tcd" | "consistency")
    }

    /// Whether its last step mixes slopes of earlier calls, and so does not end at the last call's clean sample: Adams-Bashforth methods
    /// without lower orders at the end.
    pub fn mixes_at_the_end(&self) -> bool {
        matches!(self.name, "pndm" | "f-pndm" | "lms" | "ipndm")
    }

    /// How many times a step's error of the variance counts: RePaint's jumps come back to most levels, and each time noise as small as
    /// the posterior's is too little.
    pub fn repeats(&self) -> f64 {
        if self.name == "repaint" { 3.0 } else { 1.0 }
    }

    /// The call, of so many, whose mistakes reach the end. Usually it is the one in the middle; but jumps forget what was before them, and
    /// the weights of a slope in later calls have both signs, so that an early mistake nearly cancels.
    pub fn telling_call(&self, calls: usize) -> usize {
        if self.name == "repaint" || self.mixes_at_the_end() { calls.saturating_sub(2) } else { calls / 2 }
    }

    /// Whether its error falls no faster than the size of its steps.
    pub fn first_order(&self) -> bool {
        self.order == 1
    }

    pub fn sampler(&self, schedule: &Schedule, predicts: Quantity, steps: usize) -> Sampler {
        let grid = self.course.grid(schedule, steps);
        Sampler::new(&*self.solver, &grid, &Denoiser::new(predicts)).expect("a sampler")
    }
}

/// The schedule of DDPM, whose last level has next to no signal, so that a start from pure noise is nearly right.
pub fn schedule() -> Schedule {
    Schedule::linear(1000, 1e-4, 0.02).expect("a schedule")
}

/// Every sampler of the catalogue that neither inverts nor takes sliced predictions, and variants that its defaults leave out.
pub fn cases() -> Vec<Case> {
    let towards = Sampler::CATALOGUE.entries.iter().filter(|entry| !entry.make.inverts() && !entry.make.is_sliced());
    let variants = [
        Case::new(Course::Preserving, "DDIM, eta 0.5", 1, FirstOrder::ddim(0.5)),
        Case::new(Course::Preserving, "DDIM, eta 1", 1, FirstOrder::ddim(1.0)),
        Case::new(Course::Preserving, "DDPM, large variance", 1, Ddpm::new(Variance::FixedLarge)),
        Case::new(Course::Preserving, "DPM-Solver++ 1", 1, DpmSolver::new(1)),
        Case::new(Course::Preserving, "UniPC 3", 3, UniPc::new(3)),
        Case::new(Course::Edm, "EDM Heun", 2, Heun),
        Case::new(Course::Edm, "EDM DPM-Solver++ 2M", 2, DpmSolver::new(2)),
        Case::new(Course::Flow, "flow Euler ancestral", 1, Ancestral::new(1.0)),
        Case::new(Course::Flow, "flow DPM-Solver++ 2M", 2, DpmSolver::new(2)),
    ];
    towards.map(Case::named).chain(variants).collect()
}

/// A solver that is wrong in one call, whose coefficients `change` changes.
pub struct Wrong<'a, F> {
    pub solver: &'a dyn Solver,
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

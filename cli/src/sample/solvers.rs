//! The solvers that can be asked for, by name.

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use std::fmt;
use tweedie::math::sampler::{
    Consistency, Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Heun, Sampler, Scale, UniPc, Variance,
};
use tweedie::math::{NoiseLevel, Spacing, flow};
use tweedie::{Quantity, Schedule};

/// Where a solver goes and what it asks.
pub struct Course<'a> {
    pub schedule: &'a Schedule,
    pub spacing: Spacing,
    pub steps: usize,
    pub prediction: Quantity,
    pub eta: f64,
}

/// A solver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    Ddim,
    Ddpm,
    Euler,
    EulerAncestral,
    Heun,
    #[value(name = "dpm++")]
    Dpm,
    #[value(name = "dpm++-sde")]
    DpmSde,
    Unipc,
    Lcm,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Name {
    /// The names in a list, in its order; `all` stands for all.
    pub fn list(names: &[String]) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for name in names {
            let more = match name.as_str() {
                "all" => Self::value_variants().to_vec(),
                name => vec![Self::from_str(name, true).map_err(|_| unknown(name))?],
            };
            for name in more {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    /// As people write it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::Ddpm => "DDPM",
            Self::Euler => "Euler",
            Self::EulerAncestral => "Euler ancestral",
            Self::Heun => "Heun",
            Self::Dpm => "DPM-Solver++",
            Self::DpmSde => "DPM-Solver++ SDE",
            Self::Unipc => "UniPC",
            Self::Lcm => "LCM",
        }
    }

    /// The solver on a course.
    pub fn sampler(self, course: &Course<'_>) -> Result<Sampler> {
        let grid = self.grid(course)?;
        let denoiser = Denoiser::new(course.prediction);
        let sampler = match self {
            Self::Ddim => Sampler::new(&FirstOrder::ddim(course.eta), &grid, &denoiser),
            Self::Ddpm => Sampler::new(&Ddpm::new(Variance::FixedSmall), &grid, &denoiser),
            Self::Euler => Sampler::new(&FirstOrder::euler(), &grid, &denoiser),
            Self::EulerAncestral => Sampler::new(&FirstOrder::ancestral(1.0), &grid, &denoiser),
            Self::Heun => Sampler::new(&Heun, &grid, &denoiser),
            Self::Dpm => Sampler::new(&DpmSolver::new(2), &grid, &denoiser),
            Self::DpmSde => Sampler::new(&DpmSolver::sde(2), &grid, &denoiser),
            Self::Unipc => Sampler::new(&UniPc::new(2), &grid, &denoiser),
            Self::Lcm => Sampler::new(&Consistency::lcm(), &grid, &denoiser),
        };
        sampler.map_err(|error| anyhow!("{}: {error}", self.title()))
    }

    fn grid(self, course: &Course<'_>) -> Result<Grid> {
        let &Course { schedule, spacing, steps, prediction, .. } = course;
        if prediction == Quantity::Flow {
            let last = schedule.len() as f64;
            let times = flow::times(steps, 1.0, 1.0 / last)?;
            let told: Vec<f64> = times.iter().map(|time| time * last).collect();
            return Ok(Grid::of_sigmas(Scale::Flow, &times, &told, 0.0)?);
        }
        let timesteps = spacing.timesteps(schedule.len(), steps)?;
        if matches!(self, Self::Euler | Self::EulerAncestral | Self::Heun) {
            let table = schedule.sigma_table();
            let told: Vec<f64> = timesteps.iter().map(|&t| t as f64).collect();
            let sigmas: Vec<f64> = told.iter().map(|&t| table.at(t)).collect();
            return Ok(Grid::of_sigmas(Scale::VarianceExploding, &sigmas, &told, 0.0)?);
        }
        Ok(Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN)?)
    }
}

fn unknown(name: &str) -> anyhow::Error {
    let known: Vec<String> = Name::value_variants().iter().map(Name::to_string).collect();
    anyhow!("--sampler: expected all or some of {}, found `{name}`", known.join(", "))
}

//! From the options of a named sampler to its grid and its solver.

use crate::report::{Failure, Outcome};
use crate::sampler_args::SamplerArgs;
use crate::sampler_choices::{Final, Placement, ScaleName, SolverType, SpacingName, VarianceName};
use crate::sampler_name::SamplerName as Name;
use anyhow::{Result, anyhow, bail};
use tweedie::config::Steps;
use tweedie::error::SamplerError;
use tweedie::math::sampler::{
    Compat, Consistency, Corrector, Ddpm, Denoiser, DpmKind, DpmSolver, Estimate, FirstOrder, Grid, Heun, Sampler,
    Scale, Solver, UniPc, UniPcKind, UnseenChurn, Variance,
};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing, consistency_timesteps, flow, sigmas};
use tweedie::table::Clip;

/// The exponent of Karras et al. 2022.
const KARRAS_RHO: f64 = 7.0;

/// The shape of the beta distribution in diffusers.
const BETA_SHAPE: f64 = 0.6;

/// Steps that latent consistency models are distilled from.
const ORIGINAL_STEPS: usize = 50;

/// The sampler that the options describe.
pub fn build(arguments: &SamplerArgs, name: Name, schedule: &Schedule) -> Outcome<Sampler> {
    let plan = Plan { arguments, name, schedule };
    plan.sampler().map_err(Failure::input)
}

/// Returns the quantity that the network predicts by these options.
pub fn prediction(arguments: &SamplerArgs, name: Name) -> Quantity {
    let usual = if name.is_flow() || arguments.is_flow() { Quantity::Flow } else { Quantity::Epsilon };
    arguments.prediction.unwrap_or(usual)
}

/// Options, with the defaults of the sampler that was named.
struct Plan<'a> {
    arguments: &'a SamplerArgs,
    name: Name,
    schedule: &'a Schedule,
}

impl Plan<'_> {
    fn sampler(&self) -> Result<Sampler> {
        let (arguments, compat) = (self.arguments, self.arguments.compat());
        let eta = |usual: f64| arguments.eta.unwrap_or(usual);
        match self.name {
            Name::Ddpm => self.of(&Ddpm { variance: self.variance(), compat }),
            Name::Ddim => {
                let estimate = if arguments.rederive_epsilon { Estimate::Rederived } else { Estimate::Kept };
                self.of(&FirstOrder { estimate, ..FirstOrder::ddim(eta(0.0)) })
            }
            Name::DdimInverse => self.of(&FirstOrder::ddim(0.0)),
            Name::Euler => self.euler(),
            Name::FlowEuler => self.of(&FirstOrder::euler()),
            Name::EulerAncestral => self.of(&FirstOrder::ancestral(eta(1.0))),
            Name::Heun | Name::FlowHeun => self.of(&Heun),
            Name::Dpm => self.of(&self.dpm(DpmSolver::new(2))?),
            Name::DpmSde => self.of(&self.dpm(DpmSolver::sde(2))?),
            Name::UniPc => self.of(&self.unipc()?),
            Name::Lcm => self.of(&Consistency::lcm()),
        }
    }

    fn of(&self, solver: &impl Solver) -> Result<Sampler> {
        Ok(Sampler::new(solver, &self.grid()?, &self.denoiser()?)?)
    }

    fn euler(&self) -> Result<Sampler> {
        let Some(churn) = self.arguments.churn() else { return self.of(&FirstOrder::euler()) };
        if self.arguments.compat() == Compat::Diffusers {
            return self.of(&UnseenChurn(churn));
        }
        let table = self.schedule.sigma_table();
        let grid = self.grid()?.churned(&churn, |sigma| table.timestep(sigma))?;
        Ok(Sampler::new(&FirstOrder::euler(), &grid, &self.denoiser()?)?)
    }

    fn variance(&self) -> Variance {
        match self.arguments.variance.unwrap_or(VarianceName::FixedSmall) {
            VarianceName::FixedSmall => Variance::FixedSmall,
            VarianceName::FixedLarge => Variance::FixedLarge,
            VarianceName::Learned => Variance::Learned,
            VarianceName::LearnedLog => Variance::LearnedLog,
            VarianceName::LearnedRange => Variance::LearnedRange,
        }
    }

    fn dpm(&self, usual: DpmSolver) -> Result<DpmSolver> {
        let kind = match self.arguments.solver_type.unwrap_or(SolverType::Midpoint) {
            SolverType::Midpoint => DpmKind::Midpoint,
            SolverType::Heun => DpmKind::Heun,
            SolverType::Exact => DpmKind::Exact,
            SolverType::Bh1 | SolverType::Bh2 => bail!("--solver-type: {} is midpoint, heun or exact", self.name),
        };
        let order = self.arguments.order.unwrap_or(usual.order);
        Ok(DpmSolver { order, kind, compat: self.arguments.compat(), ..usual })
    }

    fn unipc(&self) -> Result<UniPc> {
        let kind = match self.arguments.solver_type.unwrap_or(SolverType::Bh2) {
            SolverType::Bh1 => UniPcKind::Bh1,
            SolverType::Bh2 => UniPcKind::Bh2,
            _ => bail!("--solver-type: unipc is bh1 or bh2"),
        };
        let corrector = if self.arguments.no_corrector { Corrector::Off } else { Corrector::On };
        Ok(UniPc { kind, corrector, ..UniPc::new(self.arguments.order.unwrap_or(2)) })
    }

    fn prediction(&self) -> Quantity {
        prediction(self.arguments, self.name)
    }

    fn denoiser(&self) -> Result<Denoiser> {
        let arguments = self.arguments;
        let most = arguments.threshold_max.unwrap_or(f64::INFINITY);
        let clip = match (arguments.clip, arguments.threshold) {
            (Some(range), _) => Clip::Range(range),
            (None, Some(ratio)) => Clip::Quantile { ratio, least: 1.0, most },
            (None, None) => Clip::None,
        };
        Ok(Denoiser::new(self.prediction()).clipped(clip))
    }

    fn is_flow(&self) -> bool {
        self.name.is_flow() || self.arguments.is_flow()
    }

    fn scale(&self) -> Result<Scale> {
        let usual = match self.name {
            _ if self.is_flow() => ScaleName::Flow,
            Name::Euler | Name::EulerAncestral | Name::Heun => ScaleName::Ve,
            _ => ScaleName::Vp,
        };
        Ok(match (self.arguments.scale.unwrap_or(usual), self.prediction()) {
            (ScaleName::Vp | ScaleName::Flow, Quantity::Edm(_)) => bail!("--prediction edm needs --scale ve"),
            (ScaleName::Ve, Quantity::Edm(sigma_data)) => Scale::Edm(sigma_data),
            (ScaleName::Ve, _) => Scale::VarianceExploding,
            (ScaleName::Vp, _) => Scale::VariancePreserving,
            (ScaleName::Flow, _) => Scale::Flow,
        })
    }

    fn grid(&self) -> Result<Grid> {
        let [sigma_min, sigma_max, rho] = [self.arguments.sigma_min, self.arguments.sigma_max, self.arguments.rho];
        if self.arguments.sigmas.is_none() && [sigma_min, sigma_max, rho].iter().any(Option::is_some) {
            bail!("--sigma-min, --sigma-max and --rho mean something to --sigmas alone");
        }
        match (self.scale()?, self.arguments.sigmas) {
            (Scale::Flow, None) => self.flow_grid(),
            (Scale::VariancePreserving, None) => self.discrete_grid(),
            (scale, placement) => self.sigma_grid(scale, placement),
        }
    }

    fn spacing(&self) -> Spacing {
        let usual = match self.name {
            Name::Ddpm | Name::Ddim | Name::DdimInverse => SpacingName::Leading,
            _ => SpacingName::Linspace,
        };
        match self.arguments.spacing.unwrap_or(usual) {
            SpacingName::Leading => Spacing::Leading { offset: self.arguments.offset.unwrap_or(0) },
            SpacingName::Trailing => Spacing::Trailing,
            SpacingName::Linspace => Spacing::Linspace,
        }
    }

    /// The timesteps to visit, from noisy to clean.
    fn timesteps(&self) -> Result<Vec<usize>> {
        let all = self.schedule.len();
        if let Some(sections) = &self.arguments.sections {
            if self.arguments.steps.is_some() || !self.arguments.timesteps.is_empty() {
                bail!("--sections contradicts --steps and --timesteps: it says how many there are");
            }
            return Ok(sections.timesteps(all)?);
        }
        Ok(match self.arguments.run_steps()? {
            Steps::Timesteps(list) => whole(&list, all)?,
            Steps::Count(steps) if self.name == Name::Lcm => {
                consistency_timesteps(all, self.arguments.original_steps.unwrap_or(ORIGINAL_STEPS), 1.0, steps)?
            }
            Steps::Count(steps) if self.name.is_multistep() => self.spacing().timesteps_before_zero(all, steps)?,
            Steps::Count(steps) => self.spacing().timesteps(all, steps)?,
        })
    }

    /// The levels of the schedule at timesteps.
    fn discrete_grid(&self) -> Result<Grid> {
        let (schedule, mut timesteps) = (self.schedule, self.timesteps()?);
        let end = match self.arguments.r#final {
            Some(Final::SigmaMin) => schedule.level(0)?,
            Some(Final::Zero) | None => NoiseLevel::CLEAN,
        };
        if self.arguments.compat() == Compat::Diffusers && self.name.is_ddim() {
            let stride = schedule.len() / timesteps.len().max(1);
            let grid = Grid::with_stride(schedule, &timesteps, stride, end)?;
            return Ok(if self.name == Name::DdimInverse { grid.reversed()? } else { grid });
        }
        let end = match self.name {
            // Each level is asked about at its own timestep, and the last step leads to noise, as in guided-diffusion.
            Name::DdimInverse => {
                timesteps.reverse();
                NoiseLevel::new(0.0, 1.0)?
            }
            _ => end,
        };
        Ok(match self.arguments.sections {
            Some(_) => Grid::respaced(schedule, &timesteps, end)?,
            None => Grid::of_schedule(schedule, &timesteps, end)?,
        })
    }

    /// Levels by sigma: between ends, or those of timesteps.
    fn sigma_grid(&self, scale: Scale, placement: Option<Placement>) -> Result<Grid> {
        let table = self.schedule.sigma_table();
        let known = table.sigmas();
        let least = self.arguments.sigma_min.unwrap_or(known[0]);
        let most = self.arguments.sigma_max.unwrap_or(known[known.len() - 1]);
        let list = match placement {
            None => self.positions()?.iter().map(|&t| table.at(t)).collect(),
            Some(placement) => self.placed(placement, self.count()?, [least, most])?,
        };
        let told: Vec<f64> = match placement {
            None => self.positions()?,
            Some(_) => list.iter().map(|&sigma| table.timestep(sigma)).collect(),
        };
        let end = if self.arguments.r#final == Some(Final::SigmaMin) { least } else { 0.0 };
        Ok(Grid::of_sigmas(scale, &list, &told, end)?)
    }

    fn positions(&self) -> Result<Vec<f64>> {
        Ok(match self.arguments.run_steps()? {
            Steps::Timesteps(list) => list,
            Steps::Count(_) if self.name.is_multistep() => self.timesteps()?.iter().map(|&t| t as f64).collect(),
            Steps::Count(steps) => self.spacing().positions(self.schedule.len(), steps)?,
        })
    }

    fn placed(&self, placement: Placement, n: usize, [least, most]: [f64; 2]) -> Result<Vec<f64>, SamplerError> {
        let rho = |usual: f64| self.arguments.rho.unwrap_or(usual);
        match placement {
            Placement::Karras => sigmas::karras(n, least, most, rho(KARRAS_RHO)),
            Placement::Exponential => sigmas::exponential(n, least, most),
            Placement::Polyexponential => sigmas::polyexponential(n, least, most, rho(1.0)),
            Placement::Beta => sigmas::beta(n, least, most, BETA_SHAPE, BETA_SHAPE),
            Placement::Vp => sigmas::variance_preserving(n, 19.9, 0.1, 1e-3),
        }
    }

    fn count(&self) -> Result<usize> {
        match self.arguments.run_steps()? {
            Steps::Count(steps) => Ok(steps),
            Steps::Timesteps(_) => bail!("--timesteps contradicts --sigmas, which places the levels; give --steps"),
        }
    }

    /// Times of rectified flow, shifted; diffusers shifts the ends of the list before it shifts the list.
    fn flow_grid(&self) -> Result<Grid> {
        let train = self.schedule.len() as f64;
        let shift = self.arguments.mu.map(f64::exp).or(self.arguments.shift).unwrap_or(1.0);
        let twice = self.arguments.compat() == Compat::Diffusers && self.arguments.mu.is_none();
        let end = |t: f64| if twice { flow::shifted(t, shift) } else { Ok(t) };
        let list = match self.arguments.run_steps()? {
            Steps::Timesteps(list) => list.iter().map(|t| t / train).collect(),
            Steps::Count(steps) => {
                let even = flow::times(steps, end(1.0)?, end(1.0 / train)?)?;
                even.into_iter().map(|t| flow::shifted(t, shift)).collect::<Result<Vec<_>, _>>()?
            }
        };
        let told: Vec<f64> = list.iter().map(|t| train * t).collect();
        let end = if self.arguments.r#final == Some(Final::SigmaMin) { 1.0 / train } else { 0.0 };
        Ok(Grid::of_sigmas(Scale::Flow, &list, &told, end)?)
    }
}

fn whole(list: &[f64], timesteps: usize) -> Result<Vec<usize>> {
    let whole = |&t: &f64| {
        let valid = t >= 0.0 && t.fract() == 0.0 && t < timesteps as f64;
        valid
            .then_some(t as usize)
            .ok_or_else(|| anyhow!("--timesteps: expected whole numbers in 0..{timesteps}, found {t}"))
    };
    list.iter().map(whole).collect()
}

//! The noise levels that a sampler visits.
//!
//! **Theory.** Timesteps, sigmas and times of samplers are lists of [`NoiseLevel`]s, noisy to clean. Each entry has the
//! timestep that the network is given and the scale of its input. DDIM on variance-preserving levels and Euler on
//! variance-exploding ones are the same step on different lists (Song et al. 2021, arXiv 2010.02502, section 4.3; Karras
//! et al. 2022, arXiv 2206.00364, appendix B).
//!
//! **Practice.** A [`Grid`] is checked when it is built: every step goes towards clean (or, for inversion, towards noise).

use super::clock::Clock;
use crate::math::check;
use crate::math::edm::SigmaData;
use crate::math::error::sampler::SamplerError;
use crate::math::level::NoiseLevel;
use crate::math::schedule::Schedule;

/// One step of a grid, independent of the solver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The timestep that the network is given: usually in `0..T`, not always whole.
    pub timestep: f64,
    /// The level at which the network is called.
    pub from: NoiseLevel,
    /// The level to which the step leads.
    pub to: NoiseLevel,
    /// The timestep that the network is given at `to`; `None` if it cannot be called there.
    pub to_timestep: Option<f64>,
    /// The network is given `input * x`.
    pub input: f64,
    /// The standard deviation of the noise that was added to reach `from`; see [`Churn`](super::Churn).
    pub churn: f64,
}

/// The convention by which a "sigma" (a noise-to-signal ratio, or the time of a flow) scales the sample and the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// `alpha = 1/sqrt(1 + sigma^2)`; the network takes the sample as it is (DPM-Solver, UniPC).
    VariancePreserving,
    /// `alpha = 1`; the network was trained on variance-preserving samples and is given `x/sqrt(1 + sigma^2)` (Euler and
    /// Heun of diffusers, the CompVis denoisers of k-diffusion).
    VarianceExploding,
    /// `alpha = 1`; the network takes the sample as it is: a denoiser `D(x, sigma)`.
    Denoiser,
    /// `alpha = 1`; the network is given `x/sqrt(sigma^2 + sigma_data^2)` (Karras et al. 2022, table 1).
    Edm(SigmaData),
    /// `alpha = 1/sqrt(1 + sigma^2)`; the network is given `x/sqrt((alpha*sigma_data)^2 + sigma^2)`, where `sigma` is that of
    /// the level: EDM's preconditioning on variance-preserving samples (the consistency decoder of DALL-E 3).
    VariancePreservingEdm(SigmaData),
    /// `alpha = 1 - sigma` for `sigma` in `0..=1`: rectified flow.
    Flow,
    /// `alpha = cos(t)` with `tan(t) = sigma/sigma_data`; the network is given `x/sigma_data`: TrigFlow.
    TrigFlow(SigmaData),
}

impl Scale {
    /// Returns the level of this sigma.
    ///
    /// # Errors
    /// [`SamplerError::Schedule`] for a sigma that is negative, not finite, or above 1 for a flow.
    pub fn level(self, sigma: f64) -> Result<NoiseLevel, SamplerError> {
        Ok(match self {
            Self::VariancePreserving | Self::VariancePreservingEdm(_) => {
                let checked = NoiseLevel::variance_exploding(sigma)?;
                let alpha = 1.0 / 1f64.hypot(checked.sigma());
                NoiseLevel::new(alpha, checked.sigma() * alpha)?
            }
            Self::Flow => NoiseLevel::rectified_flow(sigma)?,
            Self::TrigFlow(sigma_data) => {
                let checked = NoiseLevel::variance_exploding(sigma)?.sigma();
                NoiseLevel::trig_flow(checked.atan2(sigma_data.value()), sigma_data)?
            }
            Self::VarianceExploding | Self::Denoiser | Self::Edm(_) => NoiseLevel::variance_exploding(sigma)?,
        })
    }

    /// The scale of the network's input at a level.
    #[must_use]
    pub fn input(self, level: NoiseLevel) -> f64 {
        match self {
            Self::VarianceExploding => 1.0 / level.alpha().hypot(level.sigma()),
            Self::Edm(sigma_data) | Self::VariancePreservingEdm(sigma_data) => sigma_data.c_in(level),
            Self::TrigFlow(sigma_data) => 1.0 / sigma_data.value(),
            Self::VariancePreserving | Self::Denoiser | Self::Flow => 1.0,
        }
    }
}

/// A list of steps in one direction, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    steps: Vec<Step>,
    scale: Scale,
    /// The level from which a solver that takes the first step twice starts the second time; `None` for the step's own.
    again: Option<NoiseLevel>,
    clock: Option<Clock>,
    /// The number of steps of the whole run before the first step of the grid and after its last.
    around: [usize; 2],
}

impl Grid {
    /// Creates a grid from steps; `scale` gives the scale of the network's input where levels are changed later.
    ///
    /// # Errors
    /// [`SamplerError::NoSteps`]; [`SamplerError::Parameter`] for a timestep that is not finite, an input scale that is not
    /// above 0 or churn below 0; [`SamplerError::Direction`] unless the noise-to-signal ratio falls in every step and from
    /// step to step, or rises in all of them. Only the step at the clean end and the last step may keep their level.
    pub fn new(steps: Vec<Step>, scale: Scale) -> Result<Self, SamplerError> {
        let [first, .., last] = &steps[..] else {
            let only = steps.first().ok_or(SamplerError::NoSteps)?;
            check_numbers(only)?;
            return Ok(Self { steps, scale, again: None, clock: None, around: [0; 2] });
        };
        let rising = last.to.noise_added_by(first.from) < 0.0;
        let cleanest = if rising { 0 } else { steps.len() - 1 };
        let idle = |k: usize| k == cleanest || k + 1 == steps.len();
        for (k, step) in steps.iter().enumerate() {
            check_numbers(step)?;
            let falls = |from: NoiseLevel, to: NoiseLevel| match rising {
                false => to.noise_added_by(from),
                true => from.noise_added_by(to),
            };
            let unchurned = steps.get(k + 1).filter(|next| next.churn == 0.0);
            let onward = unchurned.map_or(f64::INFINITY, |next| falls(step.from, next.from));
            let least = onward.min(falls(step.from, step.to));
            if least < 0.0 || (least == 0.0 && !idle(k)) {
                return Err(SamplerError::Direction { step: k });
            }
        }
        Ok(Self { steps, scale, again: None, clock: None, around: [0; 2] })
    }

    /// Returns the grid with a clock: a function from any level to the timestep that the network is given there. Solvers that
    /// call the network between the levels of the grid need one. Grids of a variance-preserving schedule already have one.
    #[must_use]
    pub fn with_clock(self, told: impl Fn(NoiseLevel) -> f64 + Send + Sync + 'static) -> Self {
        Self { clock: Some(Clock::new(told)), ..self }
    }

    /// Creates a grid from the levels of a schedule at these timesteps, followed by `end`: usually [`NoiseLevel::CLEAN`], or the
    /// schedule's least noisy level (`set_alpha_to_one = false`). Rising timesteps and a noisy end make a grid for
    /// inversion.
    ///
    /// # Errors
    /// [`SamplerError::Duplicate`] for a timestep that is repeated; [`SamplerError::Schedule`] for one that the schedule does
    /// not have; those of [`Grid::new`].
    pub fn of_schedule(schedule: &Schedule, timesteps: &[usize], end: NoiseLevel) -> Result<Self, SamplerError> {
        let levels = levels_at(schedule, timesteps)?;
        let targets = levels.iter().skip(1).copied().chain([end]);
        Self::of_levels(Scale::VariancePreserving, &levels, targets, &as_told(timesteps))
            .map(|grid| grid.clocked(schedule))
    }

    /// Creates a grid like [`of_schedule`](Self::of_schedule), from the levels of the respaced betas `1 - abar_t/abar_s` in
    /// f64, as guided-diffusion computes them (Nichol & Dhariwal 2021, arXiv 2102.09672, section 4).
    ///
    /// The levels are the same except for a rounding of 1e-16 in `abar_t/abar_s`. That matters where `abar` falls by
    /// orders of magnitude in one step: the last `alpha` of 10 steps of the cosine schedule is off by a relative 1e-9.
    ///
    /// # Errors
    /// As `of_schedule`.
    pub fn respaced(schedule: &Schedule, timesteps: &[usize], end: NoiseLevel) -> Result<Self, SamplerError> {
        levels_at(schedule, timesteps)?;
        let rises = timesteps.first() < timesteps.last();
        let all = schedule.alphas_cumprod();
        let abar = timesteps.iter().map(|&t| all[t]);
        let abar: Vec<f64> = if rises { abar.collect() } else { abar.rev().collect() };
        let before = [1.0].into_iter().chain(abar.iter().copied());
        let betas: Vec<f64> = before.zip(&abar).map(|(before, now)| 1.0 - now / before).collect();
        let mut levels = Schedule::from_betas(&betas)?.levels().to_vec();
        if !rises {
            levels.reverse();
        }
        let targets = levels.iter().skip(1).copied().chain([end]);
        Self::of_levels(Scale::VariancePreserving, &levels, targets, &as_told(timesteps))
            .map(|grid| grid.clocked(schedule))
    }

    /// Creates a grid like [`of_schedule`](Self::of_schedule) in which every step leads to the level `stride` timesteps
    /// earlier, whether or not that is the next in the list, and to `end` where there is none: diffusers' DDIM, with
    /// `stride = T/n` rounded down.
    ///
    /// The result is wrong wherever the list has other gaps (linspace, or trailing where n does not divide T), but those
    /// pipelines compute it so.
    ///
    /// # Errors
    /// As `of_schedule`.
    pub fn with_stride(
        schedule: &Schedule,
        timesteps: &[usize],
        stride: usize,
        end: NoiseLevel,
    ) -> Result<Self, SamplerError> {
        let levels = levels_at(schedule, timesteps)?;
        let earlier = |&t: &usize| t.checked_sub(stride).map_or(Ok(end), |t| schedule.level(t));
        let targets = timesteps.iter().map(earlier).collect::<Result<Vec<_>, _>>()?;
        Self::of_levels(Scale::VariancePreserving, &levels, targets.into_iter(), &as_told(timesteps))
            .map(|grid| grid.clocked(schedule))
    }

    /// Creates a grid from falling sigmas, the timestep that the network is given at each, and the last sigma, usually 0.
    ///
    /// # Errors
    /// [`SamplerError::Lengths`] unless there is a timestep for each sigma; [`SamplerError::Schedule`] for a sigma out of
    /// range; those of [`Grid::new`].
    pub fn of_sigmas(scale: Scale, sigmas: &[f64], timesteps: &[f64], end: f64) -> Result<Self, SamplerError> {
        if timesteps.len() != sigmas.len() {
            let (expected, found) = (sigmas.len(), timesteps.len());
            return Err(SamplerError::Lengths { what: "timesteps", expected, found });
        }
        let levels = sigmas.iter().map(|&sigma| scale.level(sigma)).collect::<Result<Vec<_>, _>>()?;
        let targets = levels.iter().skip(1).copied().chain([scale.level(end)?]);
        Self::of_levels(scale, &levels, targets, timesteps)
    }

    /// Creates a grid from levels, the level to which each step leads, and the timestep that the network is given at each.
    pub(in crate::math) fn of_levels(
        scale: Scale,
        levels: &[NoiseLevel],
        targets: impl Iterator<Item = NoiseLevel>,
        timesteps: &[f64],
    ) -> Result<Self, SamplerError> {
        let steps = levels.iter().zip(targets).zip(timesteps).enumerate().map(|(k, ((&from, to), &timestep))| {
            let next = levels.get(k + 1).zip(timesteps.get(k + 1));
            let to_timestep = next.filter(|(level, _)| **level == to).map(|(_, &timestep)| timestep);
            Step { timestep, from, to, to_timestep, input: scale.input(from), churn: 0.0 }
        });
        Self::new(steps.collect(), scale)
    }

    /// Returns the grid with its steps reversed, from the last level to the first, for inversion. Each step calls the network
    /// at the cleaner level with the timestep of the noisier one, as diffusers' `DDIMInverseScheduler` does.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn reversed(&self) -> Result<Self, SamplerError> {
        let back = |step: &Step| {
            let (from, to) = (step.to, step.from);
            Step { from, to, to_timestep: Some(step.timestep), input: self.scale.input(from), churn: 0.0, ..*step }
        };
        Self::new(self.steps.iter().rev().map(back).collect(), self.scale)
            .map(|grid| Self { clock: self.clock.clone(), ..grid })
    }

    /// Returns the grid with these steps in place of its own: as many, at the same places in the run.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub(super) fn with_steps(&self, steps: Vec<Step>) -> Result<Self, SamplerError> {
        let grid = Self::new(steps, self.scale)?;
        Ok(Self { again: self.again, clock: self.clock.clone(), around: self.around, ..grid })
    }

    /// Returns the same steps with the network's input scaled by this convention.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a scale that is not finite.
    pub(in crate::math) fn scaled(self, scale: Scale) -> Result<Self, SamplerError> {
        let input = |step: Step| Step { input: scale.input(step.from), ..step };
        Self::new(self.steps.into_iter().map(input).collect(), scale)
    }

    /// Returns the same steps with the timestep of each computed from the level at which the network is called.
    ///
    /// # Errors
    /// [`SamplerError::Parameter`] for a timestep that is not finite.
    pub(in crate::math) fn told(mut self, told: impl Fn(NoiseLevel) -> f64) -> Result<Self, SamplerError> {
        for step in &mut self.steps {
            step.timestep = told(step.from);
            step.to_timestep = Some(told(step.to)).filter(|told| told.is_finite());
        }
        let clock = self.clock;
        Self::new(self.steps, self.scale).map(|grid| Self { clock, ..grid })
    }

    /// Returns the grid of the last `steps` steps, for a loop that begins with a noised image instead of noise.
    ///
    /// # Errors
    /// [`SamplerError::NoSteps`] for 0 steps, [`SamplerError::TooManySteps`] for more than the grid has.
    #[doc(alias = "img2img")]
    pub fn last_steps(mut self, steps: usize) -> Result<Self, SamplerError> {
        match self.len().checked_sub(steps) {
            _ if steps == 0 => Err(SamplerError::NoSteps),
            Some(skipped) => {
                self.steps.drain(..skipped);
                self.around[0] += skipped;
                Ok(self)
            }
            None => Err(SamplerError::TooManySteps { found: steps, available: self.len() }),
        }
    }

    /// Returns the grid of the first `steps` steps, for a loop that ends before the clean sample.
    ///
    /// # Errors
    /// [`SamplerError::NoSteps`] for 0 steps, [`SamplerError::TooManySteps`] for more than the grid has.
    pub fn first_steps(mut self, steps: usize) -> Result<Self, SamplerError> {
        match steps {
            0 => Err(SamplerError::NoSteps),
            _ if steps > self.len() => Err(SamplerError::TooManySteps { found: steps, available: self.len() }),
            _ => {
                self.around[1] += self.len() - steps;
                self.steps.truncate(steps);
                Ok(self)
            }
        }
    }

    /// Returns the grid with another level from which the first step is repeated, as diffusers' PNDM does.
    #[must_use]
    pub(in crate::math) fn again_from(self, level: NoiseLevel) -> Self {
        Self { again: Some(level), ..self }
    }

    /// See [`again_from`](Self::again_from).
    pub(super) const fn again(&self) -> Option<NoiseLevel> {
        self.again
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The number of steps, at least 1.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// The index of step `k` in the whole run and the number of steps of that run, counting those that
    /// [`last_steps`](Self::last_steps) and [`first_steps`](Self::first_steps) left out.
    pub(super) fn place(&self, k: usize) -> (usize, usize) {
        let [before, after] = self.around;
        (before + k, before + self.len() + after)
    }

    /// Always false: a grid has at least one step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn clocked(self, schedule: &Schedule) -> Self {
        Self { clock: Clock::of_schedule(schedule), ..self }
    }

    /// The part of step `k` from a level between its ends to `to`.
    pub(super) fn between(
        &self,
        k: usize,
        level: NoiseLevel,
        to: NoiseLevel,
        solver: &'static str,
    ) -> Result<Step, SamplerError> {
        let what = "call the network between the levels of a grid that has no clock (see `Grid::with_clock`)";
        let clock = self.clock.as_ref().ok_or(SamplerError::Unsupported { solver, what, step: k })?;
        let (timestep, input) = (clock.told(level), self.scale.input(level));
        Ok(Step { timestep, from: level, to, to_timestep: None, input, churn: 0.0 })
    }

    /// The convention by which sigmas scale the sample and the network's input.
    #[must_use]
    pub const fn scale(&self) -> Scale {
        self.scale
    }
}

fn as_told(timesteps: &[usize]) -> Vec<f64> {
    timesteps.iter().map(|&t| t as f64).collect()
}

fn levels_at(schedule: &Schedule, timesteps: &[usize]) -> Result<Vec<NoiseLevel>, SamplerError> {
    if let Some(pair) = timesteps.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(SamplerError::Duplicate { timestep: pair[0] });
    }
    Ok(timesteps.iter().map(|&t| schedule.level(t)).collect::<Result<Vec<_>, _>>()?)
}

fn check_numbers(step: &Step) -> Result<(), SamplerError> {
    check::finite("a timestep", step.timestep)?;
    check::positive("the scale of the network's input", step.input)?;
    check::not_negative("churn", step.churn)
}

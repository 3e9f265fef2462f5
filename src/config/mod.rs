//! Samplers from the `scheduler_config.json` of diffusers.
//!
//! **Theory.** A model that is published for diffusers comes with a file that names its scheduler class and the options of that
//! class. Each class is a sampler of the [catalogue](Sampler::CATALOGUE) here, with options.
//!
//! **Practice.** [`Scheduler::parse`] reads the text into a [`Model`](crate::Model) and the defaults of its runs. The
//! [options](SamplerOptions) of a run are what the file does not have, such as the number of steps.
//! [`Sampler::from_diffusers_config`] does both at once. Option names, values and defaults are those of diffusers 0.42.1. By default
//! the result is what the papers say; [`Compat::Diffusers`](crate::math::sampler::Compat) follows diffusers where it differs:
//!
//! | what | by default | in diffusers |
//! |---|---|---|
//! | the previous timestep of DDIM and CogVideoX's DPM | the next in the list | `t - T/n`, rounded down |
//! | the previous timestep of PNDM | the next in the list | `t - T/n`, and half of that in its Runge-Kutta steps |
//! | PNDM's mixture for a network that predicts v | of epsilons | of the predictions, read as one at the start of the step |
//! | PNDM with three steps or fewer | Runge-Kutta, a last step to the end in two halves | an error, unless `skip_prk_steps` |
//! | IPNDM's step from pure noise | x0 as the network predicts it | x0 = 0 |
//! | the last step of DEIS at karras, exponential, beta and flow sigmas | to the clean sample | none: the last sigma twice |
//! | DDPM's noise after the last step | none | drawn, unless that step starts at timestep 0 |
//! | `thresholding` | `s = max(quantile, 1)`, capped by a `sample_max_value` above 1 | capped by 1 where none is given |
//! | times of a flow | `1 - i/n`, shifted once | from 1 to `1/T`, shifted, and the ends before that |
//! | explicit timesteps of a flow | as given | `t/T`, shifted |
//! | churn | the network is called on the churned sample | it is called before the churn |
//! | timesteps at sigmas of DPM-Solver++, UniPC and DEIS | where the sigma lies | whole ones |
//! | `log_linear` sigmas of Euler | one per step, at their own timesteps | one too many, at timesteps of other sigmas |
//! | timesteps at Karras's sigmas of KDPM2 | where the sigma lies | whole ones, except in the middle of a step |
//! | the third order of `sde-dpmsolver++` | as published | one coefficient is 1 too low |
//! | noises of singlestep `sde-dpmsolver++` | of one path in each group of calls | drawn anew in each call |
//! | noises of `DPMSolverSDEScheduler` | a fresh one in each call | increments of a path in sigma, of which the second holds the first |
//! | the inversion by `DPMSolverMultistepInverseScheduler` | each step to the next level | a jump to the noisiest at leading spacing, a last step that leads nowhere at trailing spacing and placed sigmas, towards clean on a flow |
//! | lower orders of DPM-Solver++ in a part of a run | of that part | of the whole run |
//! | zero terminal SNR in DPM-Solver++ and UniPC | pure noise | `abar = 2^-24` |
//! | one exponential step of an EDM scheduler | from `sigma_max` | from `sigma_min` |
//! | `beta` sigmas | quantiles of timesteps | quantiles of sigmas |
//! | one linspace step | from the noisiest timestep | from the cleanest |
//! | jumps of RePaint | as in the authors' code, by the betas below the level reached | one step later, by those above it |
//! | `original_steps` of TCD, as an argument | the steps of the distillation | all timesteps are among them |
//! | timesteps of a consistency model | places counted from the noisiest level, in any order | must fall |
//! | the consistency decoder | any number of steps, clamped to -1..=1 | two steps, not clamped |
//! | a list of times for Würstchen | each is visited | the last one is where the run ends |
//! | SA-Solver's noise on a flow | at times 0.2 to 0.8 | where the network's timestep is 200 to 800 |
//! | more steps of RePaint than timesteps | refused | all timesteps |
//! | one step of UnCLIP | from the noisiest timestep | a division by 0: refused |
//! | SCM's angle 1.5708 | taken as a right angle | slightly more than a right angle |
//! | sigmas and timesteps of a flow, both listed | refused | the levels, and the timesteps to pass to the network there |
//! | `sigmas` of EDM's Euler | levels | places in `0..=1` of its formula |
//! | timesteps of a flow map | as given | shifted, and passed to the network shifted |
//! | a list for LTX | ends at the clean sample | ends at its last level, which is not visited |
//! | `timesteps` of LTX | timesteps | sigmas |
//! | `s_noise: 0` of LTX | the signal is scaled | it is not |
//! | the time passed to a score network | its sigma, as its pipeline does | the time in `0..=1` |
//! | the last step of a score network | the mean | with noise |
//! | the last step of a protein's flow | without noise | with it, where it starts before `t_lim_ode` |
//! | one step of a score network | from `sigma_max` | from `sigma_min` |
//!
//! For `MiniMaxH3Scheduler`, `steps` counts points, of which the clean sample is one, as its authors do: `n` points are `n - 1` calls.
//!
//! Some configurations are refused although diffusers computes something: an epsilon network at zero terminal SNR, v on
//! flow sigmas and a flow on others, `sde-dpmsolver`, orders above 3 (4 in SA-Solver), `invert_sigmas` with `stochastic_sampling`,
//! flow sigmas with other rules that place them, and a `sigma_min` that lies above the last sigma.
//!
//! ```
//! use tweedie::math::Sampler;
//! use tweedie::math::catalog::SamplerOptions;
//!
//! let json = r#"{"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
//!     "beta_end": 0.012, "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1}"#;
//! let sampler = Sampler::from_diffusers_config(json, &SamplerOptions::steps(50))?;
//! assert_eq!(sampler.calls()[0].timestep, 981.0);
//! # Ok::<(), tweedie::config::ConfigError>(())
//! ```

mod classes;
mod common;
mod error;
mod lists;
mod options;
mod scheduler;
mod sine_squared;

pub use error::ConfigError;
pub use options::{ClassOption, OptionKind};
pub use scheduler::Scheduler;

use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::sampler::Sampler;
use classes::classes;
use options::Options;

impl Scheduler {
    /// Returns the names of the classes of diffusers that are supported.
    pub fn classes() -> impl Iterator<Item = &'static str> {
        classes().map(|(class, _)| *class)
    }

    /// Creates the scheduler of a class with the defaults of its arguments, as Python's `DDIMScheduler()` does.
    ///
    /// ```
    /// let scheduler = tweedie::config::Scheduler::of_class("DDIMScheduler")?;
    /// assert_eq!((scheduler.entry().name, scheduler.model().schedule().len()), ("ddim", 1000));
    /// # Ok::<(), tweedie::config::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Class`] for a class that is not supported, [`ConfigError::Value`] for one with an argument that has no default.
    pub fn of_class(class: &str) -> Result<Self, ConfigError> {
        Self::read(&mut Options::of_class(class))
    }

    /// Returns the options of a class, with their defaults: first those that it reads by default, then those that it reads only with
    /// another value of an option.
    ///
    /// # Errors
    /// [`ConfigError::Class`] for a class that is not supported.
    pub fn class_options(class: &str) -> Result<Vec<ClassOption>, ConfigError> {
        let asked = |mut options: Options| {
            // Options that are read before an error count too.
            let _ = Self::read(&mut options);
            options.asked().to_vec()
        };
        if Self::classes().all(|known| known != class) {
            return Self::of_class(class).map(|_| Vec::new());
        }
        let mut all = asked(Options::of_class(class));
        let mut next = 0;
        while let Some(ClassOption { name, kind }) = all.get(next).cloned() {
            let others = match kind {
                OptionKind::Flag { default } => asked(Options::of_class(class).told(&name, !default)),
                OptionKind::Word { words, .. } => {
                    words.into_iter().flat_map(|word| asked(Options::of_class(class).told(&name, word))).collect()
                }
                OptionKind::Number { .. } | OptionKind::Numbers => Vec::new(),
            };
            for other in others {
                if all.iter().all(|known| known.name != other.name) {
                    all.push(other);
                }
            }
            next += 1;
        }
        Ok(all)
    }

    /// Reads a `scheduler_config.json` of diffusers.
    ///
    /// Options of other schedulers have no effect, as in diffusers, and a [note](Self::notes) names them. A name that no scheduler has
    /// is an error.
    ///
    /// # Errors
    /// [`ConfigError`] for text that is not such a file, and for a class, an option or a value that is not supported.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        let mut options = Options::parse(json)?;
        let scheduler = Self::read(&mut options)?;
        Ok(Self { notes: options.finish()?, ..scheduler })
    }

    fn read(options: &mut Options) -> Result<Self, ConfigError> {
        let known = classes().find(|(class, _)| *class == options.class());
        let Some((_, read)) = known else {
            let expected = Self::classes().collect::<Vec<_>>().join(", ");
            return Err(ConfigError::Class { expected, found: options.shown_class() });
        };
        read(options)
    }
}

impl Sampler {
    /// Creates the sampler that a `scheduler_config.json` of diffusers describes, for one run: [`Scheduler::parse`], then
    /// [`Scheduler::sampler`].
    ///
    /// # Errors
    /// As these two.
    pub fn from_diffusers_config(json: &str, run: &SamplerOptions) -> Result<Self, ConfigError> {
        Scheduler::parse(json)?.sampler(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use options::ALL_NAMES;

    #[test]
    fn what_classes_ask_for_is_known() {
        let known: Vec<&str> = ALL_NAMES.split(' ').collect();
        for class in Scheduler::classes() {
            let options = Scheduler::class_options(class).unwrap();
            let unknown: Vec<_> = options.iter().filter(|option| !known.contains(&&*option.name)).collect();
            assert!(unknown.is_empty(), "{class}: {unknown:?}");
        }
        let dpm = Scheduler::class_options("DPMSolverMultistepScheduler").unwrap();
        let kind = |name: &str| dpm.iter().find(|option| option.name == name).map(|option| option.kind.clone());
        assert_eq!(kind("solver_order"), Some(OptionKind::Number { default: Some(2.0), is_whole: true }));
        assert_eq!(kind("flow_shift"), Some(OptionKind::Number { default: Some(1.0), is_whole: false }));
        assert_eq!(kind("use_lu_lambdas"), Some(OptionKind::Flag { default: false }));
        assert!(Scheduler::class_options("X").is_err() && Scheduler::of_class("X").is_err());
    }
}

//! Samplers from the `scheduler_config.json` of diffusers.
//!
//! **Theory.** A model that is published for diffusers carries a file that says which scheduler it is sampled with, and
//! its options. Each class is a sampler of our [catalogue](Sampler::CATALOGUE) with options.
//!
//! **Practice.** [`Scheduler::parse`] reads the text into a [`Model`](crate::Model) and the defaults of its runs; a run's
//! [options](SamplerOptions) are what the file does not have. [`Sampler::from_diffusers_config`] does both at once. Option names, values and defaults are those of diffusers 0.42.1. By default the result is what the papers say;
//! [`Compat::Diffusers`](crate::math::sampler::Compat) follows diffusers where it differs:
//!
//! | what | by default | in diffusers |
//! |---|---|---|
//! | the previous timestep of DDIM | the next of the list | `t - T/n`, rounded down |
//! | DDPM's noise after the last step | none | drawn, unless that step starts at timestep 0 |
//! | `thresholding` | `s = max(quantile, 1)`, capped by a `sample_max_value` above 1 | capped by 1 where none is given |
//! | times of a flow | `1 - i/n`, shifted once | from 1 to `1/T`, shifted, and the ends before that |
//! | explicit timesteps of a flow | as given | `t/T`, shifted |
//! | churn | the network is called on the churned sample | it is called before |
//! | timesteps at sigmas of DPM-Solver++ and UniPC | where the sigma lies | whole ones |
//! | `log_linear` sigmas of Euler | one per step, at their own timesteps | one too many, at timesteps of other sigmas |
//! | the third order of `sde-dpmsolver++` | as published | one coefficient is 1 too low |
//! | zero terminal SNR in DPM-Solver++ and UniPC | pure noise | `abar = 2^-24` |
//! | one exponential step of an EDM scheduler | from `sigma_max` | from `sigma_min` |
//! | `beta` sigmas | quantiles of timesteps | quantiles of sigmas |
//! | one linspace step | from the noisiest timestep | from the cleanest |
//! | 1.5708 of SCM | a right angle | beyond one |
//!
//! Some configurations are refused although diffusers computes something: an epsilon network at zero terminal SNR, v on
//! flow sigmas and a flow on others, `sde-dpmsolver`, orders above 3, `invert_sigmas` with `stochastic_sampling`, flow sigmas
//! with other rules that place them, and a `sigma_min` end that lies above the last sigma.
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
mod nearest;
mod options;
mod scheduler;

pub use error::ConfigError;
pub use scheduler::Scheduler;

use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::sampler::Sampler;
use classes::classes;
use nearest::{nearest, sampler_of};
use options::Options;

impl Scheduler {
    /// The names of the classes of diffusers that are supported.
    pub fn classes() -> impl Iterator<Item = &'static str> {
        classes().map(|(class, _)| *class)
    }

    /// Reads a `scheduler_config.json` of diffusers.
    ///
    /// Options of other schedulers act on nothing, as in diffusers, and a [note](Self::notes) names them; misspelled ones are an
    /// error.
    ///
    /// # Errors
    /// [`ConfigError`]: text that is not such a file, a scheduler or a value that is not supported.
    pub fn parse(json: &str) -> Result<Self, ConfigError> {
        Self::read(Options::parse(json)?)
    }

    /// Reads the model of a file whose class is not supported, as that of the nearest class that is: for noising, conversion,
    /// losses, and [`sampler_instead`](Self::sampler_instead).
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`ConfigError::Class`] for a class that is near to none.
    pub fn parse_model(json: &str) -> Result<Self, ConfigError> {
        let options = Options::parse(json)?;
        match nearest(options.class()) {
            Some(nearest) => Self::read(options.as_class(nearest)),
            None => Self::read(options),
        }
    }

    fn read(mut options: Options) -> Result<Self, ConfigError> {
        let known = classes().find(|(class, _)| *class == options.class());
        let Some((_, read)) = known else { return Err(Self::unsupported(&options)) };
        let scheduler = read(&mut options)?;
        Ok(Self { notes: options.finish()?, ..scheduler })
    }

    /// The error for a class that is not supported, which names what is nearest to it.
    fn unsupported(options: &Options) -> ConfigError {
        let supported = Self::classes().collect::<Vec<_>>().join(", ");
        let found = options.shown_class();
        let Some(class) = nearest(options.class()) else { return ConfigError::Class { expected: supported, found } };
        match Self::read(options.as_class(class)) {
            Ok(read) => {
                let sampler = sampler_of(options.class()).unwrap_or(read.entry().name);
                ConfigError::Unsupported { found, class, sampler, supported }
            }
            // The file cannot be read as one of that class either.
            Err(error) => error,
        }
    }
}

impl Sampler {
    /// The sampler that a `scheduler_config.json` of diffusers describes, for one run: [`Scheduler::parse`] and
    /// [`Scheduler::sampler`].
    ///
    /// # Errors
    /// Those of the two.
    pub fn from_diffusers_config(json: &str, run: &SamplerOptions) -> Result<Self, ConfigError> {
        Scheduler::parse(json)?.sampler(run)
    }
}

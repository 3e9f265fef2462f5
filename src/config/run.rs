//! Options of one run, which a configuration does not contain.

use super::error::ConfigError;
use crate::math::sampler::churn::Churn;
use crate::math::sampler::solver::Compat;

/// The timesteps of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// This many timesteps, placed as the configuration says.
    Count(usize),
    /// These timesteps, from noisy to clean.
    Timesteps(Vec<f64>),
}

/// The arguments of `set_timesteps` and `step` in diffusers.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The timesteps at which the network is called.
    pub steps: Steps,
    /// DDIM: the share of the posterior's noise that is drawn, in `0..=1`; 0 elsewhere.
    pub eta: f64,
    /// DDIM: derive epsilon from the clipped x0 (`use_clipped_model_output`).
    pub rederive_epsilon: bool,
    /// Flow matching with dynamic shifting: the `mu` of this image's size.
    pub mu: Option<f64>,
    /// Euler and EDM Euler: noise that is added on the way.
    pub churn: Option<Churn>,
    /// The formulas to follow: as published, or as in diffusers.
    pub compat: Compat,
}

impl Run {
    /// Creates a run of this many steps with default options.
    #[must_use]
    pub const fn steps(steps: usize) -> Self {
        Self::at(Steps::Count(steps))
    }

    /// Creates a run at these timesteps, from noisy to clean, with default options.
    #[must_use]
    pub const fn timesteps(timesteps: Vec<f64>) -> Self {
        Self::at(Steps::Timesteps(timesteps))
    }

    const fn at(steps: Steps) -> Self {
        let compat = Compat::Published;
        Self { steps, eta: 0.0, rederive_epsilon: false, mu: None, churn: None, compat }
    }

    /// Returns the run with the formulas of diffusers.
    #[must_use]
    pub fn as_diffusers(self) -> Self {
        Self { compat: Compat::Diffusers, ..self }
    }

    pub(super) fn is_diffusers(&self) -> bool {
        self.compat == Compat::Diffusers
    }

    /// Refuses options that the class does not use: ignoring them silently would mislead the caller.
    pub(super) fn only(&self, used: &[&str]) -> Result<(), ConfigError> {
        let given = [
            ("eta", self.eta != 0.0),
            ("rederive_epsilon", self.rederive_epsilon),
            ("mu", self.mu.is_some()),
            ("churn", self.churn.is_some()),
            ("timesteps", matches!(self.steps, Steps::Timesteps(_))),
        ];
        match given.into_iter().find(|(name, given)| *given && !used.contains(name)) {
            Some((option, _)) => Err(ConfigError::Unused { option }),
            None => Ok(()),
        }
    }
}

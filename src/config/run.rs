//! What a configuration leaves to the caller.

use super::error::ConfigError;
use crate::math::sampler::{Churn, Compat, Estimate};

/// Where a run asks the network.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// At so many timesteps, placed as the configuration says.
    Count(usize),
    /// At these timesteps, from noisy to clean.
    Timesteps(Vec<f64>),
}

/// What diffusers takes in `set_timesteps` and `step`.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Where the network is asked.
    pub steps: Steps,
    /// DDIM: how much of the posterior's noise is drawn, in `0..=1`; 0 elsewhere.
    pub eta: f64,
    /// DDIM: whether epsilon follows from the clipped x0 (`use_clipped_model_output`).
    pub rederive_epsilon: bool,
    /// Flow matching with dynamic shifting: the `mu` of this image's size.
    pub mu: Option<f64>,
    /// Euler and EDM Euler: noise that is added on the way.
    pub churn: Option<Churn>,
    /// Whose numbers.
    pub compat: Compat,
}

impl Run {
    /// So many steps, nothing else.
    #[must_use]
    pub const fn steps(steps: usize) -> Self {
        Self::at(Steps::Count(steps))
    }

    /// At these timesteps, from noisy to clean, nothing else.
    #[must_use]
    pub const fn timesteps(timesteps: Vec<f64>) -> Self {
        Self::at(Steps::Timesteps(timesteps))
    }

    const fn at(steps: Steps) -> Self {
        let compat = Compat::Published;
        Self { steps, eta: 0.0, rederive_epsilon: false, mu: None, churn: None, compat }
    }

    /// The same as diffusers computes it.
    #[must_use]
    pub fn as_diffusers(self) -> Self {
        Self { compat: Compat::Diffusers, ..self }
    }

    pub(super) fn is_diffusers(&self) -> bool {
        self.compat == Compat::Diffusers
    }

    pub(super) fn estimate(&self) -> Estimate {
        if self.rederive_epsilon { Estimate::Rederived } else { Estimate::Kept }
    }

    /// Refuses what the class has no use for: whoever asks for it would believe that it had happened.
    pub(super) fn only(&self, used: &[&str]) -> Result<(), ConfigError> {
        let given = [
            ("eta", self.eta != 0.0),
            ("rederive_epsilon", self.rederive_epsilon),
            ("mu", self.mu.is_some()),
            ("churn", self.churn.is_some()),
        ];
        match given.into_iter().find(|(name, given)| *given && !used.contains(name)) {
            Some((option, _)) => Err(ConfigError::Unused { option }),
            None => Ok(()),
        }
    }
}

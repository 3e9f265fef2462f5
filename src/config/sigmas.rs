//! The options that place sigmas: `use_karras_sigmas` and its like.

use super::error::ConfigError;
use super::options::Options;
use super::run::Run;
use crate::math::error::sampler::SamplerError;
use crate::math::sigmas::{self, SigmaTable};

/// The exponent of Karras et al. 2022, which the file cannot change.
const RHO: f64 = 7.0;

/// The shape of the beta distribution in diffusers.
const BETA_SHAPE: f64 = 0.6;

/// Placement of sigmas between their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// At the timesteps.
    Timesteps,
    Karras,
    Exponential,
    Beta,
    /// `use_lu_lambdas`: the same as exponential.
    Lu,
}

impl Placement {
    /// Reads the flags; `lu` says whether the class knows that one. Two of them contradict each other.
    pub(super) fn read(options: &mut Options, lu: bool) -> Result<Self, ConfigError> {
        let known = [Self::Karras, Self::Exponential, Self::Beta, Self::Lu];
        let mut found = Self::Timesteps;
        for placement in known.into_iter().filter(|placement| lu || *placement != Self::Lu) {
            if options.flag(placement.name(), false)? {
                if found != Self::Timesteps {
                    return Err(ConfigError::Contradiction { first: found.name(), second: placement.name() });
                }
                found = placement;
            }
        }
        Ok(found)
    }

    /// The flag.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Timesteps => "timestep_spacing",
            Self::Karras => "use_karras_sigmas",
            Self::Exponential => "use_exponential_sigmas",
            Self::Beta => "use_beta_sigmas",
            Self::Lu => "use_lu_lambdas",
        }
    }

    /// `n` sigmas, falling from one end to the other; `None` if they lie where the timesteps do.
    pub(super) fn sigmas(self, n: usize, [least, most]: [f64; 2]) -> Result<Option<Vec<f64>>, SamplerError> {
        Ok(Some(match self {
            Self::Timesteps => return Ok(None),
            Self::Karras => sigmas::karras(n, least, most, RHO)?,
            Self::Exponential | Self::Lu => sigmas::exponential(n, least, most)?,
            Self::Beta => sigmas::beta(n, least, most, BETA_SHAPE, BETA_SHAPE)?,
        }))
    }
}

/// `sigma_min` and `sigma_max`, with the values to take where the file says nothing.
pub(super) fn range(options: &mut Options, [least, most]: [f64; 2]) -> Result<[f64; 2], ConfigError> {
    Ok([options.number("sigma_min", least)?, options.number("sigma_max", most)?])
}

/// The least and the largest sigma of a schedule.
pub(super) fn ends(table: &SigmaTable) -> [f64; 2] {
    let sigmas = table.sigmas();
    [sigmas[0], sigmas[sigmas.len() - 1]]
}

/// `final_sigmas_type`: 0, or the least sigma.
pub(super) fn last(options: &mut Options, least: f64) -> Result<f64, ConfigError> {
    options.choice("final_sigmas_type", &[("zero", 0.0), ("sigma_min", least)], 0.0)
}

/// The timestep that the network is told at each sigma: by the formula of the class, or rounded as in diffusers.
pub(super) fn told(run: &Run, sigmas: &[f64], clock: impl Fn(f64) -> f64, whole: fn(f64) -> f64) -> Vec<f64> {
    let told = |&sigma: &f64| match run.is_diffusers() {
        true => whole(clock(sigma)),
        false => clock(sigma),
    };
    sigmas.iter().map(told).collect()
}

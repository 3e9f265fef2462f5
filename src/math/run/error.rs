//! Errors of runs and of what they name: models, grids, windows.

use crate::few::few;
use crate::math::catalog::error::CatalogError;
use crate::math::error::guidance::GuidanceError;
use crate::math::error::sampler::SamplerError;
use crate::noise::error::NoiseError;
use thiserror::Error;

/// The reason for which a run, its model or its grid does not exist.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A name that no catalogue has, a setting that its entry does not use, a number out of its range.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A sampler whose formulas have no value.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// Guidance that these predictions cannot have.
    #[error(transparent)]
    Guidance(#[from] GuidanceError),
    /// Noise that the seed does not give.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A value of another kind.
    #[error("{name}: expected {expected}, found {found}")]
    Value {
        /// The key, the setting or the option.
        name: String,
        /// The values that it can have.
        expected: String,
        /// The value that was given.
        found: String,
    },
    /// A number outside its range.
    #[error("{name} must be {expected}, found {found}", found = few(.found))]
    Number {
        /// The key, the setting or the option.
        name: &'static str,
        /// The accepted range.
        expected: &'static str,
        /// The number that was given.
        found: f64,
    },
    /// Settings of a model whose sigmas fall, or are not finite and above 0.
    #[error("the sigmas of {base} must be above 0 and must not fall; these settings give {found} at index {index}", found = few(.found))]
    Sigmas {
        /// The base.
        base: &'static str,
        /// The first place at which they do not.
        index: usize,
        /// The sigma there.
        found: f64,
    },
    /// A parameterisation that has no meaning on this base.
    #[error("the parameterisation {parameterisation} needs sigmas of at most 1, which {base} does not have")]
    Parameterisation {
        /// The parameterisation.
        parameterisation: &'static str,
        /// The base.
        base: &'static str,
    },
    /// A rule that has nothing to say about so few steps, or about so many.
    #[error("{grid} needs {expected} steps, found {found}")]
    Steps {
        /// The rule.
        grid: &'static str,
        /// The numbers of steps that it has.
        expected: String,
        /// The number that was asked for.
        found: String,
    },
    /// A rule whose sigmas are not all finite and at least 0.
    #[error("{grid} gives the sigma {found} at place {index}: its inputs are too extreme", found = few(.found))]
    Grid {
        /// The rule.
        grid: &'static str,
        /// The place, from 0.
        index: usize,
        /// The sigma.
        found: f64,
    },
    /// A run that does not say what it must.
    #[error("expected {expected}")]
    Missing {
        /// The key or keys, in words.
        expected: &'static str,
    },
    /// An option that cannot act beside another.
    #[error("{option} means nothing beside {beside}")]
    Unused {
        /// The option.
        option: &'static str,
        /// The other one.
        beside: &'static str,
    },
}

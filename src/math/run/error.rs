//! Errors of runs and of what they name: models, grids, windows.

use crate::few::few;
use crate::math::catalog::error::CatalogError;
use crate::math::error::guidance::GuidanceError;
use crate::math::error::sampler::SamplerError;
use crate::noise::error::NoiseError;
use thiserror::Error;

/// The reason why a run, its model or its grid cannot be made.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A name that no catalogue has, a setting that its entry does not use, a number out of its range.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A sampler whose formulas have no value at these sigmas.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// Guidance that does not fit the predictions or their shape.
    #[error(transparent)]
    Guidance(#[from] GuidanceError),
    /// Noise that cannot be drawn from the seed.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// A value that is not accepted here, or of another type.
    #[error("{name}: expected {expected}, found {found}")]
    Value {
        /// The key, the setting or the option.
        name: String,
        /// The accepted values.
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
        /// The index of the first such sigma.
        index: usize,
        /// The sigma there.
        found: f64,
    },
    /// A parameterisation that does not fit this base.
    #[error("the parameterisation {parameterisation} needs sigmas of at most 1, which {base} does not have")]
    Parameterisation {
        /// The parameterisation.
        parameterisation: &'static str,
        /// The base.
        base: &'static str,
    },
    /// A number of steps that a grid or a sampler does not support.
    #[error("the number of steps of {grid} must be {expected}, found {found}")]
    Steps {
        /// The grid or the sampler.
        grid: &'static str,
        /// The accepted numbers of steps.
        expected: String,
        /// The number that was asked for.
        found: String,
    },
    /// A grid whose sigmas are not all finite and at least 0.
    #[error("{grid} gives the sigma {found} at index {index}: its inputs are too extreme", found = few(.found))]
    Grid {
        /// The grid.
        grid: &'static str,
        /// The index of the first such sigma.
        index: usize,
        /// The sigma.
        found: f64,
    },
    /// A run without something that it needs.
    #[error("expected {expected}")]
    Missing {
        /// What is missing, in words.
        expected: &'static str,
    },
    /// An option that has no effect together with another.
    #[error("{option} cannot be combined with {beside}")]
    Unused {
        /// The option.
        option: &'static str,
        /// The other one.
        beside: &'static str,
    },
}

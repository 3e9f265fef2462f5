//! The mathematics of diffusion in f64, without a GPU. Its results are [tables](crate::table::Table) of coefficients.
//!
//! **Theory.** Every tensor that diffusion code handles is a point `(a, b)` of one plane, the value `a*x0 + b*epsilon`.
//! At a [`NoiseLevel`] with signal `alpha` and noise `sigma`:
//! ```text
//! x_t     = (alpha, sigma)        the observation
//! x0      = (1, 0)                the clean sample
//! epsilon = (0, 1)                the noise
//! v       = (-sigma, alpha)       Salimans & Ho 2022
//! score   = (0, -1/sigma)         gradient of the log density
//! flow    = (-1, 1)               velocity of rectified flow
//! edm     = SigmaData::row        output of a preconditioned network
//! ```
//! Given `x_t` and one prediction, any [`Quantity`] follows from one 2x2 solve: [`solve`].
//!
//! **Practice.** A [`Schedule`] is a list of noise levels, index 0 the least noisy. Its derived tables are computed without
//! cancellation; its methods `noising`, `conversion` and `posterior_mean` return the tables of matrices that kernels apply.
//! Timesteps are indices from 0: the clean sample is "before timestep 0".

pub(crate) mod beta_distribution;
pub mod catalog;
pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod conversion_tables;
pub(crate) mod cosine_clock;
pub(crate) mod delta_schedule;
pub(crate) mod double_double;
pub(crate) mod edm;
pub(crate) mod error;
pub mod flow;
pub mod guidance;
pub(crate) mod importance;
pub(crate) mod latent;
pub(crate) mod level;
pub(crate) mod likelihood;
pub(crate) mod loss;
pub(crate) mod model;
mod model_levels;
pub(crate) mod model_tables;
pub(crate) mod model_variance;
pub(crate) mod normal;
mod own_levels;
pub(crate) mod placement;
pub(crate) mod posterior;
pub(crate) mod process;
#[cfg(feature = "diffusers-config")]
pub(crate) mod protein_times;
pub(crate) mod quantity;
pub(crate) mod recipe;
pub mod run;
pub mod sampler;
pub(crate) mod schedule;
pub(crate) mod schedule_error;
pub(crate) mod sigmas;
pub(crate) mod spacing;
pub(crate) mod stages;
pub(crate) mod timestep_density;
pub(crate) mod vlb;
pub(crate) mod weight;

pub use cosine_clock::CosineClock;
pub use delta_schedule::DeltaSchedule;
pub use edm::SigmaData;
pub use guidance::Guider;
pub use importance::LossSecondMoment;
pub use latent::error::LatentError;
pub use latent::format::{LatentFormat, Preview, Statistics};
pub use level::NoiseLevel;
pub use likelihood::Gaussian;
pub use loss::{LossInputs, Objective};
pub use model::{Model, Told};
pub use model_variance::ModelVariance;
pub use placement::Placement;
pub use posterior::Posterior;
pub use process::Process;
pub use quantity::{Quantity, solve};
pub use recipe::facts::{Facts, Recipe, UsualGuidance};
pub use recipe::grid::{GridRule, Shift, TimeList};
pub use recipe::size::Size;
pub use sampler::{Call, Sampler};
pub use schedule::Schedule;
pub use spacing::{Sections, Spacing};
pub use stages::Stages;
pub use timestep_density::{Density, TimestepDensity};
pub use vlb::{ChainVlb, Vlb, VlbTerm};
pub use weight::Weight;

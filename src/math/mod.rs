//! The mathematics: pure f64, knows no GPU, ends in a [`Table`](crate::table::Table) of coefficient rows.
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
//! Knowing `x_t` and one prediction, any [`Quantity`] is one 2x2 solve away: [`solve`].
//!
//! **Practice.** A [`Schedule`] is a list of noise levels, index 0 the least noisy, built once by a recipe. Its derived
//! tables are computed without cancellation; its methods `noising`, `conversion` and `posterior_mean` return the
//! tables of matrices that kernels apply. Timesteps are indices from 0: the clean sample is "before timestep 0".

mod beta_distribution;
mod bound;
pub mod catalog;
mod chain;
mod dd;
mod draw;
mod edm;
pub mod flow;
mod importance;
mod level;
mod likelihood;
mod loss;
mod normal;
mod posterior;
mod quantity;
mod recipe;
mod rows;
pub mod sampler;
mod schedule;
pub mod sigmas;
mod spacing;
mod weight;

pub use bound::{Bound, BoundTerm, ChainBound, ModelVariance};
pub use draw::{Density, TimestepDensity};
pub use edm::SigmaData;
pub use importance::LossSecondMoment;
pub use level::NoiseLevel;
pub use likelihood::{Gaussian, bits, discretized_gaussian_log_likelihood, normal_kl, tanh_normal_cdf};
pub use loss::{Given, Objective};
pub use posterior::Posterior;
pub use quantity::{Quantity, solve};
pub use recipe::edm_sigmas;
pub use rows::conversion_row;
pub use sampler::{Call, Sampler};
pub use schedule::{MAX_STEPS, Schedule};
pub use sigmas::SigmaTable;
pub use spacing::{Sections, Spacing, consistency_timesteps};
pub use weight::Weight;

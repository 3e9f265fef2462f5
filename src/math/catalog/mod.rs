//! The catalogues: every schedule, sampler, grid, guider, quantity, weight, penalty, density, model and noise source, by
//! name.
//!
//! **Theory.** A program that lets its user choose a schedule needs its name, the names that other libraries use, a line
//! about it, its parameters with their defaults, and a way to build it. Each of these facts is written here once. A command
//! line, a menu, a test or a fuzzer iterates over a [`Catalogue`] and so includes each new entry.
//!
//! | catalogue | builds | from |
//! |---|---|---|
//! | [`Schedule::CATALOGUE`](crate::math::Schedule::CATALOGUE) | a schedule | numbers |
//! | [`Sampler::CATALOGUE`](crate::math::Sampler::CATALOGUE) | a whole sampling loop | a model and [`SamplerOptions`] |
//! | [`Placement::CATALOGUE`](crate::math::Placement::CATALOGUE) | a rule for the noise levels of a loop | numbers |
//! | [`Scale::CATALOGUE`](crate::math::sampler::Scale::CATALOGUE) | the scale of a loop's samples | numbers |
//! | [`Variance::CATALOGUE`](crate::math::sampler::Variance::CATALOGUE) | the variance of a DDPM step | nothing |
//! | [`SolverKind::CATALOGUE`] | a variant of a multistep solver | nothing |
//! | [`Quantity::CATALOGUE`](crate::math::Quantity::CATALOGUE) | a quantity | numbers |
//! | [`Weight::CATALOGUE`](crate::math::Weight::CATALOGUE) | a loss weight | numbers |
//! | [`Penalty::CATALOGUE`](crate::table::Penalty::CATALOGUE) | the shape of a loss | numbers |
//! | [`DeltaSchedule::CATALOGUE`](crate::math::DeltaSchedule::CATALOGUE) | how the delta of a loss depends on the timestep | nothing |
//! | [`Guider::CATALOGUE`](crate::math::Guider::CATALOGUE) | a guider | numbers |
//! | [`Density::CATALOGUE`](crate::math::Density::CATALOGUE) | a density of timesteps | numbers |
//! | [`Model::CATALOGUE`](crate::math::Model::CATALOGUE) | a published model | nothing |
//! | [`Recipe::CATALOGUE`](crate::math::Recipe::CATALOGUE) | its default run | a size and a number of steps |
//! | [`LatentFormat::CATALOGUE`](crate::math::LatentFormat::CATALOGUE) | a format of latents | nothing |
//! | [`Source::CATALOGUE`](crate::noise::Source::CATALOGUE) | a source of noise | numbers |
//! | [`Model::PROCESSES`](crate::math::Model::PROCESSES) | a model of a process | a number of timesteps |
//!
//! | [`RunModel::CATALOGUE`](crate::math::run::RunModel::CATALOGUE) | a model of a run of ComfyUI | nothing |
//! | [`RunSampler::CATALOGUE`](crate::math::run::RunSampler::CATALOGUE) | a sampler of ComfyUI | options of a run |
//! | [`GridRule::CATALOGUE`](crate::math::run::GridRule::CATALOGUE) | a scheduler of ComfyUI, or a node that makes or changes sigmas | inputs of the node |
//!
//! `tweedie list` prints most of them; [`Catalogue::accepted`] returns all names of one.
//!
//! **Practice.** [`Catalogue::find`] takes the name of an entry or a synonym in any spelling: upper and lower case, `-`, `_` and
//! spaces make no difference. [`Entry::build`] takes numbers by name, fills in the defaults, and refuses names that the entry does
//! not have and numbers out of range. Catalogues hold only what numbers describe; a list of your own, such as the betas of a
//! schedule, goes to a constructor such as [`Schedule::from_betas`](crate::math::Schedule::from_betas).
//!
//! ```
//! use tweedie::math::catalog::SamplerOptions;
//! use tweedie::math::{Model, Quantity, Sampler, Schedule};
//!
//! let schedule = Schedule::CATALOGUE.find("SCALED_LINEAR")?.build(&[("beta_end", 0.013)])?;
//! let model = Model::new(schedule, Quantity::Epsilon);
//! let options = SamplerOptions { eta: Some(0.5), ..SamplerOptions::steps(20) };
//! let sampler = Sampler::CATALOGUE.find("ddim")?.build(&model, &options)?;
//! assert_eq!(sampler.calls().len(), 20);
//!
//! for entry in Schedule::CATALOGUE.entries {
//!     println!("{:<20} {}", entry.name, entry.summary);
//! }
//! # Ok::<(), tweedie::math::catalog::CatalogError>(())
//! ```

mod densities;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod grids;
mod guiders;
mod losses;
mod noise_sources;
pub(crate) mod parameter;
mod processes;
mod quantities;
mod sampler_build;
mod sampler_grid;
mod sampler_lists;
pub(crate) mod sampler_options;
pub(crate) mod sampler_recipe;
mod sampler_rising;
#[cfg_attr(
    not(feature = "diffusers-config"),
    expect(dead_code, reason = "the reader of configurations sets what named samplers leave at its default")
)]
pub(crate) mod sampler_rules;
mod sampler_sigmas;
mod sampler_warm_up;
mod sampler_ways;
mod sampler_words;
mod samplers;
mod schedules;

pub use entry::{Catalogue, Entry, Make, Values};
pub use error::CatalogError;
pub use parameter::Parameter;
pub use sampler_options::{ClassArguments, SamplerOptions, SolverKind};
pub use sampler_recipe::SamplerRecipe;

//! Runs of ComfyUI as data: models, grids and windows by name.
//!
//! **Theory.** A run in ComfyUI is a model, a grid of sigmas, a window of that grid and a sampler. What its numbers are follows
//! from the names.
//!
//! **Practice.** Everything is f64 and knows no GPU. [`RunModel`] is a model by name or by its settings.

pub(crate) mod base;
pub(crate) mod error;
pub(crate) mod model;
mod model_table;
mod models;
pub(crate) mod parameterisation;
mod precision;
pub(crate) mod solvers;
pub(crate) mod value;

pub use base::Base;
pub use error::RunError;
pub use model::RunModel;
pub use models::NamedModel;
pub use parameterisation::Parameterisation;
pub use solvers::RunSampler;
pub use value::{Choice, RunValue, RunValues};

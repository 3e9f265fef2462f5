//! Runs of ComfyUI as data: models, grids and windows by name.
//!
//! **Theory.** A run of ComfyUI is a model, a scheduler that places sigmas, a window of them, and a sampler. Its numbers follow
//! from these names alone.
//!
//! **Practice.** A [`Run`] holds what the nodes are told; [`Run::sigmas`] are the sigmas that reach its sampler, in f64 or as a
//! program computes them in f32. [`RunModel`] is a model by name or by its settings, [`GridRule::CATALOGUE`] lists the
//! schedulers and the nodes. Nothing here knows a GPU.

mod adaptive;
pub(crate) mod base;
mod drive;
pub(crate) mod error;
mod gits;
mod grid;
mod grids;
pub(crate) mod model;
mod model_table;
mod models;
pub(crate) mod parameterisation;
mod placed;
mod precision;
pub(crate) mod request;
#[expect(clippy::module_inception, reason = "the run is what the folder is about")]
pub(crate) mod run;
mod run_loop;
mod scheduler_nodes;
mod schedulers;
mod sigma_nodes;
pub(crate) mod solvers;
mod tables;
pub(crate) mod value;
pub(crate) mod window;

pub use adaptive::Attempt;
pub use base::Base;
pub use drive::{RunAsk, RunInputs, RunRecord};
pub use error::RunError;
pub use model::RunModel;
pub use models::NamedModel;
pub use parameterisation::Parameterisation;
pub use request::GridRule;
pub use run::{Run, RunCompat, RunGrid, RunGuidance};
pub use run_loop::RunLoop;
pub use solvers::RunSampler;
pub use value::{Choice, Node, RunValue, RunValues};
pub use window::FIRST_FLOW_PERCENT;

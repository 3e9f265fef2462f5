//! Runs of ComfyUI as data: models, grids and windows by name.
//!
//! **Theory.** A run of ComfyUI is a model, a scheduler that places sigmas, a window of them, and a sampler. Its numbers follow
//! from these names alone.
//!
//! **Practice.** A [`Run`] holds what the nodes are told; [`Run::sigmas`] are the sigmas that reach its sampler, in f64 or as a
//! program computes them in f32. [`RunModel`] is a model by name or by its settings, [`GridRule::CATALOGUE`] lists the
//! schedulers and the nodes, [`RunSampler::CATALOGUE`] the samplers. [`Run::plan`] gives the [`RunLoop`]: its rows, and what
//! it draws from a seed ([`RunNoise`]). [`HostLoop`] runs it on the host call by call, [`RunLoop::drive`] as a whole. Nothing here
//! knows a GPU.
//!
//! # Names that mean different things
//!
//! In a run a name is ComfyUI's, and so are its numbers, unless its [`compat`](Run::compat) is [`RunCompat::Published`]. There, in
//! [`Sampler::CATALOGUE`](crate::math::Sampler::CATALOGUE) and in [`Placement::CATALOGUE`](crate::math::Placement::CATALOGUE) it
//! is the published method; names that do not stand here have the same numbers in both:
//!
//! | name | of ComfyUI | published |
//! |---|---|---|
//! | `dpmpp_2m` | integrates in `-ln(sigma)` on every model | in `ln(alpha/sigma)`, which differs on flows |
//! | `dpmpp_sde` | two stages, each with noise from the start of the step | `dpm++-sde`: the noise of the middle goes on |
//! | `ddpm` | Euler ancestral on sigmas | the posterior of the levels that are visited, which differs on flows |
//! | `ddim` | Euler's method on sigmas; draws the noise of a known region anew | a run: the same; a [`Sampler`](crate::math::Sampler): Song et al. 2021 on timesteps |
//! | `lcm` | the clean sample and noise, which may be clipped and scaled | with the boundary of Luo et al. 2023 |
//! | `deis` | order 3 in the time of a VP process, sums of 10,000 points | order 2 in `ln(sigma)`, exact |
//! | `ipndm_v` | orders 3 and 4 are not those of Adams and Bashforth on uneven steps | those of Adams and Bashforth |
//! | `uni_pc` | in `-ln(sigma)` on every model, ends at 0.001 in the place of 0 | `unipc`: ends at the clean sample |
//! | `beta` | entries of the model's sigmas, equal ones once | quantiles between the sigmas |

pub(crate) mod adaptive;
pub(crate) mod applied;
pub(crate) mod base;
pub(crate) mod compat;
mod drive;
pub(crate) mod error;
mod gits;
mod grid;
mod grids;
mod host_loop;
mod inputs;
pub(crate) mod model;
mod model_table;
mod models;
mod named_grids;
mod node_grids;
pub(crate) mod parameterisation;
mod placed;
mod precision;
pub(crate) mod request;
#[expect(clippy::module_inception, reason = "the run is what the folder is about")]
pub(crate) mod run;
pub(crate) mod run_loop;
pub(crate) mod run_noise;
mod scheduler_nodes;
mod schedulers;
mod sigma_nodes;
pub(crate) mod solvers;
mod tables;
pub(crate) mod value;
pub(crate) mod window;

pub use adaptive::Attempt;
pub use base::Base;
pub use compat::RunCompat;
pub use drive::RunRecord;
pub use error::RunError;
pub use host_loop::{HostLoop, RunAsk};
pub use inputs::{RunInputs, spread_mask};
pub use model::RunModel;
pub use models::NamedModel;
pub use parameterisation::Parameterisation;
pub use request::GridRule;
pub use run::{Run, RunGrid, RunGuidance};
pub use run_loop::RunLoop;
pub use run_noise::RunNoise;
pub use solvers::{RunSampler, StepNoise};
pub use value::{Choice, Node, RunValue, RunValues};
pub use window::FIRST_FLOW_PERCENT;

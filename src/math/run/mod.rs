//! Runs of ComfyUI as data: models, grids and windows by name.
//!
//! **Theory.** A run of ComfyUI is a model, a scheduler that places sigmas, a window of them, and a sampler. These names and
//! their settings determine every coefficient.
//!
//! **Practice.** A [`Run`] holds the settings of the nodes; [`Run::sigmas`] returns the sigmas that reach the sampler, in f64 or
//! as a program computes them in f32. [`RunModel`] is a model by name or by its settings, [`GridRule::CATALOGUE`] lists the
//! schedulers and their nodes, [`RunSampler::CATALOGUE`] the samplers. [`Run::plan`] makes the [`RunLoop`]: its rows, and the
//! noise that it draws from a seed ([`RunNoise`]). [`HostLoop`] runs it on the host call by call, [`RunLoop::drive`] as a whole.
//! Nothing here uses a GPU.
//!
//! # Names that mean different things
//!
//! In a run, a name has ComfyUI's meaning unless the run's [`compat`](Run::compat) is [`RunCompat::Published`]. Then it is the
//! published method, as in [`Sampler::CATALOGUE`](crate::math::Sampler::CATALOGUE) and in
//! [`Placement::CATALOGUE`](crate::math::Placement::CATALOGUE). `compat` changes nothing about names that are not in this table:
//!
//! | name | ComfyUI | published |
//! |---|---|---|
//! | `dpmpp_2m` | integrates in `-ln(sigma)` on every model | in `ln(alpha/sigma)`, which differs on flows |
//! | `dpmpp_sde` | two stages, each with noise from the start of the step | `dpm++-sde`: the middle stage's noise carries on |
//! | `ddpm` | Euler ancestral on sigmas | the posterior of the visited levels, which differs on flows |
//! | `ddim` | Euler's method on sigmas; draws new noise for a known region | a run: the same; a `Sampler`: Song et al. 2021 on timesteps |
//! | `lcm` | the clean sample and noise, which may be clipped and scaled | with the boundary of Luo et al. 2023 |
//! | `deis` | order 3 in the time of a VP process, sums of 10,000 points | in `ln(sigma)`, exact; a run: order 3, a `Sampler`: 2 |
//! | `ipndm_v` | orders 3 and 4 differ from Adams-Bashforth on uneven steps | the Adams-Bashforth weights of every order |
//! | `uni_pc`, `uni_pc_bh2` | in `-ln(sigma)` on every model, ends at 0.001, not 0 | `unipc`: in `ln(alpha/sigma)`, ends at 0 |
//! | `beta` | entries of the model's table at quantiles, without repeats | the quantiles themselves, between the table's ends |

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

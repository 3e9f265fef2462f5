//! Runs as files: JSON with the names that ComfyUI's nodes have.
//!
//! **Theory.** A run is data, see [`Run`](crate::math::run::Run); a file of it is what a program saves, sends and compares.
//!
//! **Practice.** [`Run::from_json`](crate::math::run::Run::from_json) reads an object with the keys
//!
//! | key | value | where it is missing |
//! |---|---|---|
//! | `model` | a name of [`RunModel::CATALOGUE`](crate::math::run::RunModel::CATALOGUE), or `{base, parameterisation, settings, name}` | none |
//! | `sampler` | ComfyUI's name | none |
//! | `node` | `{name: {input: value}}` or `{node, inputs}`: the node that builds the sampler | none |
//! | `scheduler` | a name of [`GridRule::CATALOGUE`](crate::math::run::GridRule::CATALOGUE), or `{node, inputs}` | none |
//! | `sigmas` | a list, in place of a scheduler | none |
//! | `steps`, `start_step`, `last_step` | whole numbers | all steps |
//! | `denoise` | 0 to 1: the last steps of a grid of `trunc(steps/denoise)` | 1 |
//! | `strength` | 0 to 1: the last `trunc(steps*strength)` steps of the grid, as diffusers counts | 1 |
//! | `force_full_denoise`, `flip_sigmas`, `float32` | yes or no | no |
//! | `add_noise` | yes or no | yes |
//! | `options` | `{name: value}`: the arguments of the sampler | its defaults |
//! | `guidance` | a scale, or `{kind, option: value}` | none |
//! | `differential_diffusion_strength` | a number | none |
//! | `seed` | a whole number | none |
//! | `compat` | `comfyui` or `published` | `comfyui` |
//! | `version` | 1 | 1 |
//!
//! `null` is a key that is missing. Keys that describe a recorded run and change nothing in it are ignored; any other key is
//! an error. [`Run::to_json`](crate::math::run::Run::to_json) writes what `from_json` reads back.

mod error;
mod object;
mod png_text;
mod read;
mod workflow;
mod workflow_error;
mod workflow_model;
mod workflow_nodes;
mod write;

pub use error::RunFileError;
pub use read::is_key;
pub use workflow_error::WorkflowError;

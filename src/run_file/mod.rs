//! Runs as files: JSON with the names that ComfyUI's nodes have.
//!
//! **Theory.** A run is data, see [`Run`](crate::math::run::Run); programs save, send and compare it as a file.
//!
//! **Practice.** [`Run::from_json`](crate::math::run::Run::from_json) reads an object with these keys:
//!
//! | key | value | default |
//! |---|---|---|
//! | `model` | a name of [`RunModel::CATALOGUE`](crate::math::run::RunModel::CATALOGUE), or `{base, parameterisation, settings, name}` | none |
//! | `sampler` | ComfyUI's name | none |
//! | `node` | `{name: {input: value}}` or `{node, inputs}`: the node that builds the sampler | none |
//! | `scheduler` | a name of [`GridRule::CATALOGUE`](crate::math::run::GridRule::CATALOGUE), or `{node, inputs}` | none |
//! | `sigmas` | a list, in place of a scheduler | none |
//! | `steps` | a whole number | none |
//! | `start_step`, `last_step` | whole numbers | all steps |
//! | `denoise` | 0 to 1: the last `steps` steps of a grid of `trunc(steps/denoise)` | 1 |
//! | `strength` | 0 to 1: the last `trunc(steps*strength)` steps of the grid, as diffusers counts | 1 |
//! | `force_full_denoise`, `flip_sigmas`, `float32` | `true` or `false` | `false` |
//! | `add_noise` | `true` or `false` | `true` |
//! | `options` | `{name: value}`: the arguments of the sampler | the sampler's defaults |
//! | `guidance` | a scale, or `{kind, option: value}` | none |
//! | `differential_diffusion_strength` | 0 to 1 | none |
//! | `seed` | a whole number | none |
//! | `compat` | `comfyui` or `published` | `comfyui` |
//! | `version` | 1 | 1 |
//!
//! A key whose value is `null` counts as missing. Keys that describe a recorded run and change nothing in it are ignored; any other
//! key is an error. [`Run::to_json`](crate::math::run::Run::to_json) writes what `from_json` reads back.

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

//! The samplers of ComfyUI and of RES4LYF by name.
//!
//! **Theory.** Each is an algorithm over samples, answers of the network and noise, written as it is published. ComfyUI's
//! numbers differ from the published ones in places; the documents of the solvers say where.
//!
//! **Practice.** [`RunSampler::CATALOGUE`] lists them: name, options under ComfyUI's names, and the formulas. What a run needs of
//! them, the rows of a loop, follows from the formulas; see [`recorder`](crate::math::sampler::recorder).

pub(super) mod ancestral;
mod catalogue;
mod cfg_pp;
pub(super) mod course;
mod dpmpp;
mod er_sde;
mod exponential;
mod in_sigma;
mod polynomial;
mod published;
mod res_multistep;
mod sa_solver;
pub(crate) mod sampler;
mod seeds;
mod slopes;
mod uni_pc;

pub use sampler::{RunSampler, StepNoise};

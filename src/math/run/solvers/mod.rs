//! The samplers of ComfyUI and of RES4LYF by name.
//!
//! **Theory.** Each is an algorithm over samples, answers of the network and noise, written the way ComfyUI computes it. Where the
//! published method differs, it is in `published.rs` or next to ComfyUI's, and the docs of the solver say so.
//!
//! **Practice.** [`RunSampler::CATALOGUE`] lists them: their names, their options under ComfyUI's names, and their formulas. The rows
//! of a run's loop follow from the formulas; see [`recorder`](crate::math::sampler::recorder).

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

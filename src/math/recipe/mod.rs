//! Recipes: published models by name, each with the run by which it is usually sampled.
//!
//! **Theory.** Besides a network's weights, a loop needs about a dozen facts: what the network predicts, the levels at which it
//! is sampled and how they depend on the size of the picture, a sampler, steps and guidance, and the scale of the latents.
//!
//! **Practice.** [`Recipe::CATALOGUE`] holds these facts in one place; [`Model::CATALOGUE`](crate::Model::CATALOGUE) has the
//! models of its recipes. [`Recipe::sampler`] gives the rows of the default run. Facts that could not be verified are included,
//! and [`Facts::uncertain`] names them.

pub(crate) mod catalogue;
mod denoisers;
pub(crate) mod facts;
mod flow_pictures;
mod flow_videos;
pub(crate) mod grid;
mod make;
mod run;
pub(crate) mod size;
mod words;

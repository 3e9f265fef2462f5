//! Recipes: published models by name, with the run that they are usually sampled by.
//!
//! **Theory.** What a loop around a network needs beyond its weights are a dozen facts: what it predicts, the levels that it
//! is sampled at and how they follow from the size of the picture, a sampler, steps and guidance, and the scale of its latents.
//!
//! **Practice.** [`Recipe::CATALOGUE`] holds these facts once; [`Model::CATALOGUE`](crate::Model::CATALOGUE) is its models.
//! [`Recipe::sampler`] gives the rows of the default run. A fact that could not be verified is there too, and
//! [`Facts::uncertain`] names it.

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

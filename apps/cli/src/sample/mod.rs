//! The parts of `tweedie sample`: the samplers that take part, the pictures of the set, the loop on the GPU, and the drawings.

pub mod drawing;
pub mod generate;
pub mod sampler_list;

pub use pictures::set;

//! The parts of `tweedie sample`: the pictures of the set, the loop on the GPU, and what is drawn of it.

pub mod drawing;
pub mod motifs;
pub mod set;
pub mod solvers;
pub mod studio;

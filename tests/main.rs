//! The test binary of the mathematics.

mod embedding;
mod identities;
mod schedules;
mod shaders;
mod support;
mod vectors_a;
mod vectors_b;

//! The test binary of the mathematics.

mod identities;
mod schedules;
mod support;
mod vectors_a;
mod vectors_b;

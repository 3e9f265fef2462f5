//! Everything that needs no adapter.

mod catalog;
#[cfg(feature = "diffusers-config")]
mod configs;
mod embedding;
mod floors;
mod identities;
mod pipeline_cache;
mod pointers;
mod recording;
mod samplers;
mod schedules;
mod shader_catalog;
mod shaders;
mod support;
mod timesteps;
mod training;
mod vectors_a;
mod vectors_b;
mod vectors_c;
mod vectors_d;
mod vectors_e;

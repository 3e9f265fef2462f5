//! Everything that needs no adapter.

mod catalog;
mod catalog_ways;
#[cfg(feature = "diffusers-config")]
mod config_consistency;
#[cfg(feature = "diffusers-config")]
mod config_keys;
#[cfg(feature = "diffusers-config")]
mod config_models;
#[cfg(feature = "diffusers-config")]
mod config_runs;
#[cfg(feature = "diffusers-config")]
mod config_slopes;
#[cfg(feature = "diffusers-config")]
mod config_solvers;
#[cfg(feature = "diffusers-config")]
mod configs;
mod embedding;
mod extremes;
mod floors;
#[cfg(feature = "diffusers-config")]
mod grid_words;
mod host_sampling;
mod identities;
mod loss_rules;
mod model_tables;
mod models;
mod models_page;
#[cfg(feature = "diffusers-config")]
mod parallel_classes;
mod pipeline_cache;
mod pointers;
mod public_api;
mod readme;
mod recipes;
mod recording;
#[cfg(feature = "diffusers-config")]
mod repaint;
#[cfg(feature = "run-files")]
mod run_files;
mod runs;
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
#[cfg(feature = "run-files")]
mod vectors_g;
#[cfg(feature = "run-files")]
mod vectors_k_grids;
mod vectors_k_latent;
#[cfg(feature = "run-files")]
mod vectors_k_runs;
#[cfg(feature = "run-files")]
mod vectors_k_seeds;
mod vectors_n;
#[cfg(feature = "diffusers-config")]
mod vectors_p;

//! The entries of flows with their own solvers, and of score models.

use super::options::{FINAL, FLOW_TIMES, LINSPACE, SIGMAS, SPACED};
use crate::math::catalog::entry::Entry;
use crate::math::catalog::parameter::{ABOVE_ZERO, FINITE, Parameter};
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::sampler::ddpm::{Ddpm, Variance};
use crate::math::sampler::grid::Scale;
use crate::math::sampler::pi_flow::PiFlow;
use crate::math::sampler::score_rescaling::ScoreRescaling;
use crate::table::step::SLICES;

const N_GRID: Parameter =
    Parameter::new("n_grid", 10.0, [2.0, SLICES as f64], "number of velocities in a prediction, at places of the step")
        .whole();

const TSR_K: Parameter =
    Parameter::new("tsr_k", 1.0, [ABOVE_ZERO, FINITE], "inverse temperature; 1 for that of the data");

pub(super) const PI_FLOW: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "pi-flow",
    &["pi flow policy"],
    "a policy for the whole step in one output (Chen et al. 2025)",
    &[N_GRID],
    SamplerRecipe::new(Scale::Flow, FLOW_TIMES, &[SIGMAS, FINAL, &["shift", "mu", "tokens", "n_grid"]], |options| {
        let usual = options.pi_flow.unwrap_or_default();
        Ok(Box::new(PiFlow { shift: options.shift.unwrap_or(usual.shift), ..usual }))
    })
    .walks(Walk::ShortLast),
);

pub(super) const PROTEINA: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "proteina",
    &["rfd4-proteina", "temporal-score-rescaling"],
    "a flow at a chosen temperature, with noise, for proteins",
    &[TSR_K],
    SamplerRecipe::new(Scale::Flow, FLOW_TIMES, &[SIGMAS, FINAL, &["shift", "mu", "tokens", "tsr_k"]], |options| {
        let rescaling = options.score_rescaling.unwrap_or_default();
        Ok(Box::new(ScoreRescaling { compat: options.compat, ..rescaling }))
    }),
);

pub(super) const REVERSE_DIFFUSION: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "reverse-diffusion",
    &["score-sde-ve", "sde-ve"],
    "the posterior's mean with the forward step's noise (Song et al. 2021)",
    &[],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL], |options| {
        Ok(Box::new(Ddpm { compat: options.compat, ..Ddpm::new(Variance::FixedLarge) }))
    }),
);

//! Samplers with noise of their own choice.

use super::options::{FINAL, LINSPACE, SECTIONS, SIGMAS, SPACED};
use crate::math::catalog::entry::Entry;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::parameter::Parameter;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::model::{Model, Told};
use crate::math::sampler::grid::Scale;
use crate::math::sampler::sa_solver::{SaSolver, Tau};
use crate::math::sampler::solver::{Compat, Solver};

pub(super) const SA_SOLVER: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "sa-solver",
    &[],
    "stochastic Adams predictor and corrector of one call (Xue et al. 2023)",
    &[
        Parameter::new("order", 2.0, [1.0, 4.0], "clean samples that the predictor uses").whole(),
        Parameter::new("corrector_order", 2.0, [0.0, 4.0], "clean samples that the corrector uses; 0 for none").whole(),
        Parameter::new("tau", 1.0, [0.0, f64::INFINITY], "noise between the two ends; 1 for the posterior's"),
    ],
    SamplerRecipe::of_model(
        Scale::VariancePreserving,
        LINSPACE,
        &[SECTIONS, SPACED, SIGMAS, FINAL, &["order", "corrector_order", "tau", "form", "lower_order_final"]],
        sa_solver,
    )
    .walks(Walk::BeforeZero),
);

fn sa_solver(options: &SamplerOptions, model: &Model) -> Result<Box<dyn Solver>, CatalogError> {
    let usual = SaSolver::new(options.order.unwrap_or(2), options.corrector_order.unwrap_or(2));
    let tau = options.tau.unwrap_or(1.0);
    Ok(Box::new(SaSolver {
        form: options.form.unwrap_or(usual.form),
        tau: if model.told_number() == Told::Timestep || options.compat == Compat::Diffusers {
            Tau::AtTimesteps(tau)
        } else {
            Tau::AtTimes(tau)
        },
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        ..usual
    }))
}

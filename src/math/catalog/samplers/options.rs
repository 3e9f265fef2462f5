//! The options and parameters that entries share.

use crate::math::catalog::error::CatalogError;
use crate::math::catalog::parameter::Parameter;
use crate::math::catalog::sampler_options::{SamplerOptions, SolverKind};
use crate::math::catalog::sampler_recipe::{ORIGINAL_STEPS, SamplerRecipe, Walk};
use crate::math::placement::Placement;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::solver::Solver;
use crate::math::schedule::MAX_STEPS;
use crate::math::spacing::Spacing;

pub(super) const LEADING: Placement = Placement::Timesteps(Spacing::Leading { offset: 0 });
pub(super) const LINSPACE: Placement = Placement::Timesteps(Spacing::Linspace);
pub(super) const FLOW_TIMES: Placement = Placement::FlowTimes { shift: 1.0 };

/// Options of samplers that visit whole timesteps.
pub(super) const SECTIONS: &[&str] = &["sections"];

/// Options of samplers whose steps a spacing places.
pub(super) const SPACED: &[&str] = &["spacing", "offset"];

/// Options of samplers that can be placed by sigma.
pub(super) const SIGMAS: &[&str] = &["scale", "sigmas", "sigma_min", "sigma_max", "rho"];

/// Options of samplers that end near the clean sample.
pub(super) const FINAL: &[&str] = &["final"];

pub(super) const MULTISTEP: &[&str] = &["order", "solver_type", "form", "lower_order_final"];

pub(super) const DPM: &[&str] = &["euler_at_final"];

pub(super) const fn eta(default: f64) -> Parameter {
    Parameter::new("eta", default, [0.0, 1.0], "part of the posterior's noise that is drawn")
}

pub(super) const fn order(default: f64) -> Parameter {
    Parameter::new("order", default, [1.0, 3.0], "clean samples that a step uses").whole()
}

pub(super) const CHURN: Parameter =
    Parameter::new("s_churn", 0.0, [0.0, f64::INFINITY], "noise that is added on the way, spread over the steps")
        .without_default();

pub(super) const DISTILLED: Parameter = Parameter::new(
    "original_steps",
    ORIGINAL_STEPS as f64,
    [1.0, MAX_STEPS as f64],
    "steps from which the model was distilled",
)
.whole();

/// Multistep solvers never ask the network at timestep 0.
pub(super) const fn multistep(
    options: &'static [&'static [&'static str]],
    solver: fn(&SamplerOptions) -> Result<Box<dyn Solver>, CatalogError>,
) -> SamplerRecipe {
    SamplerRecipe::new(Scale::VariancePreserving, LINSPACE, options, solver).walks(Walk::BeforeZero)
}

pub(super) fn wrong_kind(expected: &str, found: SolverKind) -> CatalogError {
    CatalogError::Value { option: "solver_type", expected: expected.to_owned(), found: found.name().to_owned() }
}

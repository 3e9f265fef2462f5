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

/// The options of samplers that visit whole timesteps.
pub(super) const SECTIONS: &[&str] = &["sections"];

/// The options of samplers whose steps can be placed by a spacing.
pub(super) const SPACED: &[&str] = &["spacing", "offset"];

/// The options of samplers whose steps can be placed by sigma.
pub(super) const SIGMAS: &[&str] = &["scale", "sigmas", "sigma_min", "sigma_max", "rho"];

/// The options of samplers that go towards the clean sample.
pub(super) const FINAL: &[&str] = &["final"];

pub(super) const MULTISTEP: &[&str] = &["order", "solver_type", "form", "lower_order_final"];

pub(super) const DPM: &[&str] = &["euler_at_final"];

pub(super) const fn eta(default: f64) -> Parameter {
    Parameter::new("eta", default, [0.0, 1.0], "share of the posterior's noise that is drawn")
}

pub(super) const fn order(default: f64) -> Parameter {
    Parameter::new("order", default, [1.0, 3.0], "number of clean samples that a step uses").whole()
}

pub(super) const CHURN: Parameter =
    Parameter::new("s_churn", 0.0, [0.0, f64::INFINITY], "churn: noise that is added before steps, spread over them")
        .without_default();

pub(super) const DISTILLED: Parameter = Parameter::new(
    "original_steps",
    ORIGINAL_STEPS as f64,
    [1.0, MAX_STEPS as f64],
    "number of steps from which the model was distilled",
)
.whole();

/// The recipe of a multistep solver, which never calls the network at timestep 0.
pub(super) const fn multistep(
    options: &'static [&'static [&'static str]],
    solver: fn(&SamplerOptions) -> Result<Box<dyn Solver>, CatalogError>,
) -> SamplerRecipe {
    SamplerRecipe::new(Scale::VariancePreserving, LINSPACE, options, solver).walks(Walk::BeforeZero)
}

pub(super) fn wrong_kind(expected: &str, found: SolverKind) -> CatalogError {
    CatalogError::Value { option: "solver_type", expected: expected.to_owned(), found: found.name().to_owned() }
}

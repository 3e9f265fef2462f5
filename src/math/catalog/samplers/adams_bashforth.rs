//! The entries of the Adams-Bashforth family.

use super::options::{FINAL, LEADING, LINSPACE, SECTIONS, SIGMAS, SPACED, order};
use crate::math::catalog::entry::Entry;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::parameter::Parameter;
use crate::math::catalog::sampler_options::SamplerOptions;
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::sampler::adams_bashforth::{AdamsBashforth, WarmUp};
use crate::math::sampler::grid::Scale;
use crate::math::sampler::solver::Solver;

type MadeSolver = Result<Box<dyn Solver>, CatalogError>;

const SLOPES: Parameter = Parameter::new("order", 4.0, [1.0, 4.0], "number of slopes that a step uses").whole();

const ORDER: &[&str] = &["order"];

const LOWER: &[&str] = &["lower_order_final"];

pub(super) const PNDM: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "pndm",
    &["plms", "pndm-plms"],
    "fixed weights of the last four slopes, the first step taken twice (Liu et al. 2022)",
    &[SLOPES],
    SamplerRecipe::new(Scale::VariancePreserving, LEADING, &[SECTIONS, SPACED, SIGMAS, FINAL, ORDER], |options| {
        made(options, AdamsBashforth::pndm())
    })
    .walks(Walk::Twice),
);

pub(super) const F_PNDM: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "f-pndm",
    &["pndm-prk"],
    "PNDM with three Runge-Kutta steps first, four network calls each (Liu et al. 2022)",
    &[SLOPES],
    SamplerRecipe::new(Scale::VariancePreserving, LEADING, &[SECTIONS, SPACED, SIGMAS, FINAL, ORDER], |options| {
        made(options, AdamsBashforth { warm_up: WarmUp::RungeKutta, ..AdamsBashforth::pndm() })
    })
    .walks(Walk::Halved),
);

pub(super) const LMS: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "lms",
    &["k-lms"],
    "linear multistep: the last slopes as a polynomial in sigma, as in k-diffusion",
    &[SLOPES],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, ORDER], |options| {
        made(options, AdamsBashforth::lms(4))
    }),
);

pub(super) const IPNDM: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "ipndm",
    &[],
    "fixed weights of the last four slopes from the first step on (Zhang & Chen 2023)",
    &[SLOPES],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, ORDER], |options| {
        made(options, AdamsBashforth::ipndm(4))
    }),
);

pub(super) const DEIS: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "deis",
    &["deis-multistep"],
    "the last epsilons as a polynomial in ln(sigma), integrated exactly (Zhang & Chen 2023)",
    &[order(2.0)],
    SamplerRecipe::new(
        Scale::VariancePreserving,
        LINSPACE,
        &[SECTIONS, SPACED, SIGMAS, FINAL, ORDER, LOWER],
        |options| made(options, AdamsBashforth::deis(2)),
    )
    .walks(Walk::BeforeZero),
);

fn made(options: &SamplerOptions, usual: AdamsBashforth) -> MadeSolver {
    Ok(Box::new(AdamsBashforth {
        order: options.order.unwrap_or(usual.order),
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        compat: options.compat,
        ..usual
    }))
}

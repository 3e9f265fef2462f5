//! The DPM-Solver family, and the two-call methods of k-diffusion.

use super::options::{DPM, FINAL, LINSPACE, MULTISTEP, SECTIONS, SIGMAS, SPACED, eta, multistep, order, wrong_kind};
use crate::math::catalog::entry::Entry;
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::sampler_options::{SamplerOptions, SolverKind};
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::sampler::dpm::{DpmKind, DpmSolver};
use crate::math::sampler::dpm_sde::DpmSde;
use crate::math::sampler::dpm2::Dpm2;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::singlestep::Singlestep;
use crate::math::sampler::solver::Solver;

pub(super) const DPM_PP: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++",
    &["dpmpp", "dpmsolver++", "dpm++-2m", "dpmpp-2m", "dpm-solver++ 2m"],
    "DPM-Solver++ 2M: second order from the previous call (Lu et al. 2022)",
    &[order(2.0)],
    multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::new(2))),
);

pub(super) const DPM_PP_3M: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++-3m",
    &["dpmpp-3m", "dpm-solver++ 3m"],
    "DPM-Solver++ 3M: third order from the two previous calls (Lu et al. 2022)",
    &[order(3.0)],
    multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::new(3))),
);

pub(super) const DPM_PP_2M_SDE: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++-2m-sde",
    &["dpmpp-2m-sde", "sde-dpmsolver++", "dpm-solver++ 2m sde"],
    "DPM-Solver++ 2M with fresh noise in every step (Lu et al. 2022)",
    &[order(2.0)],
    multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::sde(2))),
);

pub(super) const DPM_PP_SDE: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++-sde",
    &["dpmpp-sde", "dpm-solver++ sde"],
    "DPM-Solver++ SDE: two network calls per step, noise in both, as in k-diffusion",
    &[eta(1.0)],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, &["eta"]], |options| {
        Ok(Box::new(DpmSde { compat: options.compat, ..DpmSde::new(options.eta.unwrap_or(1.0)) }))
    }),
);

pub(super) const DPM_PP_2S: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++-2s",
    &["dpmpp-2s", "dpm-singlestep", "dpm-solver++ 2s"],
    "DPM-Solver++ singlestep: steps from one sample, with as many calls as the order (Lu et al. 2022)",
    &[order(2.0), eta(0.0)],
    multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, &["eta"]], singlestep),
);

pub(super) const DPM_PP_INVERSE: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm++-inverse",
    &["dpmpp-inverse", "dpm++-2m-inverse", "dpmpp-2m-inverse"],
    "DPM-Solver++ 2M from a picture to its noise, told the timestep of each level",
    &[order(2.0)],
    multistep(&[SECTIONS, SPACED, SIGMAS, MULTISTEP, DPM], |options| dpm(options, DpmSolver::new(2)))
        .walks(Walk::Rising),
);

pub(super) const DPM2: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm2",
    &["kdpm2"],
    "the midpoint method, two network calls per step, as in k-diffusion",
    &[],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL], |_| Ok(Box::new(Dpm2::new()))),
);

pub(super) const DPM2_ANCESTRAL: Entry<SamplerRecipe> = Entry::new(
    "sampler",
    "dpm2-ancestral",
    &["dpm2-a", "kdpm2-ancestral", "kdpm2-a"],
    "DPM2 below the next level, then noise, as in k-diffusion",
    &[eta(1.0)],
    SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, &["eta"]], |options| {
        Ok(Box::new(Dpm2::ancestral(options.eta.unwrap_or(1.0))))
    }),
);

fn kind(options: &SamplerOptions) -> Result<DpmKind, CatalogError> {
    match options.solver_kind {
        None => Ok(DpmKind::Midpoint),
        Some(SolverKind::Dpm(kind)) => Ok(kind),
        Some(other) => Err(wrong_kind("midpoint, heun or exact", other)),
    }
}

fn dpm(options: &SamplerOptions, usual: DpmSolver) -> Result<Box<dyn Solver>, CatalogError> {
    Ok(Box::new(DpmSolver {
        order: options.order.unwrap_or(usual.order),
        kind: kind(options)?,
        form: options.form.unwrap_or(usual.form),
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        euler_at_final: options.euler_at_final.unwrap_or(usual.euler_at_final),
        compat: options.compat,
        ..usual
    }))
}

fn singlestep(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    let usual = Singlestep::new(options.order.unwrap_or(2));
    Ok(Box::new(Singlestep {
        kind: kind(options)?,
        form: options.form.unwrap_or(usual.form),
        eta: options.eta.unwrap_or(usual.eta),
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        compat: options.compat,
        ..usual
    }))
}

//! The samplers: a solver on a grid, by name.

mod flows;
mod options;

use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::grids::SHIFT;
use crate::math::catalog::sampler_options::{SamplerOptions, SolverKind};
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::model::Model;
use crate::math::sampler::Sampler;
use crate::math::sampler::ancestral::Ancestral;
use crate::math::sampler::consistency::Consistency;
use crate::math::sampler::ddpm::Ddpm;
use crate::math::sampler::dpm::{DpmKind, DpmSolver};
use crate::math::sampler::first_order::FirstOrder;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::heun::Heun;
use crate::math::sampler::solver::{Compat, Solver};
use crate::math::sampler::unipc::{Corrector, UniPc, UniPcKind};
use flows::{PI_FLOW, PROTEINA, REVERSE_DIFFUSION};
use options::{
    CHURN, DISTILLED, DPM, FINAL, FLOW_TIMES, LEADING, LINSPACE, MULTISTEP, SECTIONS, SIGMAS, SPACED, eta, order,
};

impl Sampler {
    /// Every sampler that has a name.
    pub const CATALOGUE: Catalogue<SamplerRecipe> = Catalogue { entries: ENTRIES };
}

/// A constructor for each sampler, by the name of its entry.
macro_rules! constructors {
    ($($name:ident: $entry:literal, $doc:literal;)*) => {
        impl Sampler {
            $(
                #[doc = $doc]
                ///
                /// # Errors
                /// [`CatalogError::Process`] for a model of another process, [`CatalogError::Sampler`] for a number of steps that
                /// is not possible and for a prediction that does not determine what the solver needs.
                pub fn $name(model: &Model, steps: usize) -> Result<Self, CatalogError> {
                    Self::CATALOGUE.find($entry)?.build(model, &SamplerOptions::steps(steps))
                }
            )*

            /// The constructors, by the names of their entries.
            #[cfg(test)]
            const CONSTRUCTORS: &[(&str, fn(&Model, usize) -> Result<Self, CatalogError>)] = &[$(($entry, Self::$name)),*];
        }
    };
}

constructors! {
    ddpm: "ddpm", "DDPM: the posterior's mean and noise (Ho et al. 2020, arXiv 2006.11239).";
    ddim: "ddim", "DDIM, deterministic (Song et al. 2021, arXiv 2010.02502).";
    ddim_inverse: "ddim-inverse", "DDIM from a picture to its noise, told the noisier timestep of each step: it comes back nearest.";
    ddim_reverse: "ddim-reverse", "DDIM from a picture to its noise, told each level's timestep (Dhariwal & Nichol 2021, arXiv 2105.05233).";
    euler: "euler", "Euler's method on the probability flow (Karras et al. 2022, arXiv 2206.00364), and on rectified flows.";
    euler_ancestral: "euler-ancestral", "Euler further down than needed, then noise, as k-diffusion.";
    heun: "heun", "Heun's method, two network calls a step (Karras et al. 2022, arXiv 2206.00364).";
    dpm_solver_pp: "dpm++", "DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_3m: "dpm++-3m", "DPM-Solver++ 3M (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_sde: "dpm++-sde", "DPM-Solver++ 2M with fresh noise in every step (Lu et al. 2022, arXiv 2211.01095).";
    unipc: "unipc", "UniPC: predictor and corrector of one call (Zhao et al. 2023, arXiv 2302.04867).";
    lcm: "lcm", "Latent consistency: the clean sample, and noise again (Luo et al. 2023, arXiv 2310.04378).";
    flow_euler: "flow-euler", "Euler's method on a rectified flow (Esser et al. 2024, arXiv 2403.03206).";
    flow_heun: "flow-heun", "Heun's method on a rectified flow (Karras et al. 2022, arXiv 2206.00364).";
    pi_flow: "pi-flow", "A policy for the whole step in one output (Chen et al. 2025, arXiv 2510.14974).";
    proteina: "proteina", "A rectified flow with the noise of RFD4-Proteina, at the data's temperature unless told otherwise.";
    reverse_diffusion: "reverse-diffusion", "The posterior's mean and the forward step's noise (Song et al. 2021, arXiv 2011.13456).";
}

const ENTRIES: &[Entry<SamplerRecipe>] = &[
    Entry::new(
        "sampler",
        "ddpm",
        &["ancestral"],
        "the posterior's mean and noise (Ho et al. 2020)",
        &[],
        SamplerRecipe::new(Scale::VariancePreserving, LEADING, &[SECTIONS, SPACED, FINAL, &["variance"]], |options| {
            let variance = options.variance.unwrap_or_default();
            Ok(Box::new(Ddpm { variance, compat: options.compat }))
        }),
    ),
    Entry::new(
        "sampler",
        "ddim",
        &[],
        "deterministic at eta 0, DDPM's noise at eta 1 (Song et al. 2021)",
        &[eta(0.0)],
        SamplerRecipe::new(
            Scale::VariancePreserving,
            LEADING,
            &[SECTIONS, SPACED, FINAL, &["eta", "rederive_epsilon"]],
            ddim,
        )
        .walks(Walk::Strided),
    ),
    Entry::new(
        "sampler",
        "ddim-inverse",
        &[],
        "DDIM from a picture to its noise, told the noisier timestep of a step, as diffusers",
        &[],
        SamplerRecipe::new(Scale::VariancePreserving, LEADING, &[SECTIONS, SPACED, FINAL], ddim).walks(Walk::Inverse),
    ),
    Entry::new(
        "sampler",
        "ddim-reverse",
        &[],
        "DDIM from a picture to its noise, told the timestep of each level (Dhariwal & Nichol 2021)",
        &[],
        SamplerRecipe::new(Scale::VariancePreserving, LEADING, &[SECTIONS, SPACED], ddim).walks(Walk::Reverse),
    ),
    Entry::new(
        "sampler",
        "euler",
        &["euler with churn", "euler-churn"],
        "the probability flow in sigma, with churn if wanted (Karras et al. 2022)",
        &[CHURN],
        SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, &["s_churn"]], euler),
    ),
    Entry::new(
        "sampler",
        "euler-ancestral",
        &["euler-a"],
        "further down than needed, then noise, as k-diffusion",
        &[eta(1.0)],
        SamplerRecipe::new(
            Scale::VarianceExploding,
            LINSPACE,
            &[SPACED, SIGMAS, FINAL, &["eta", "s_noise"]],
            |options| {
                let usual = Ancestral::new(options.eta.unwrap_or(1.0));
                let noise_scale = options.noise_scale.unwrap_or(usual.noise_scale);
                Ok(Box::new(Ancestral { noise_scale, compat: options.compat, ..usual }))
            },
        ),
    ),
    Entry::new(
        "sampler",
        "heun",
        &[],
        "second order, two network calls a step (Karras et al. 2022)",
        &[],
        SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL], heun),
    ),
    Entry::new(
        "sampler",
        "dpm++",
        &["dpmpp", "dpmsolver++", "dpm++-2m", "dpmpp-2m", "dpm-solver++ 2m"],
        "DPM-Solver++ 2M: second order from the call before (Lu et al. 2022)",
        &[order(2.0)],
        multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::new(2))),
    ),
    Entry::new(
        "sampler",
        "dpm++-3m",
        &["dpmpp-3m", "dpm-solver++ 3m"],
        "DPM-Solver++ 3M: from two calls before (Lu et al. 2022)",
        &[order(3.0)],
        multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::new(3))),
    ),
    Entry::new(
        "sampler",
        "dpm++-sde",
        &["dpmpp-sde", "sde-dpmsolver++", "dpm++-2m-sde", "dpmpp-2m-sde", "dpm-solver++ 2m sde"],
        "DPM-Solver++ 2M with fresh noise in every step (Lu et al. 2022)",
        &[order(2.0)],
        multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, DPM], |options| dpm(options, DpmSolver::sde(2))),
    ),
    Entry::new(
        "sampler",
        "unipc",
        &[],
        "predictor and corrector of one call (Zhao et al. 2023)",
        &[order(2.0)],
        multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, &["corrector"]], unipc),
    ),
    Entry::new(
        "sampler",
        "lcm",
        &[],
        "latent consistency: x0, and noise again (Luo et al. 2023)",
        &[DISTILLED],
        SamplerRecipe::new(
            Scale::VariancePreserving,
            LINSPACE,
            &[SECTIONS, FINAL, &["original_steps", "timestep_scaling"]],
            lcm,
        )
        .walks(Walk::Distilled),
    ),
    Entry::new(
        "sampler",
        "flow-euler",
        &["flow-match-euler"],
        "rectified flow, first order (Esser et al. 2024)",
        &[SHIFT],
        SamplerRecipe::new(
            Scale::Flow,
            FLOW_TIMES,
            &[SIGMAS, FINAL, &["shift", "mu", "tokens", "stochastic"]],
            |options| {
                Ok(if options.stochastic {
                    Box::new(Consistency { timestep_scaling: None })
                } else {
                    Box::new(FirstOrder::euler())
                })
            },
        ),
    ),
    Entry::new(
        "sampler",
        "flow-heun",
        &["flow-match-heun"],
        "rectified flow, second order (Karras et al. 2022)",
        &[SHIFT],
        SamplerRecipe::new(Scale::Flow, FLOW_TIMES, &[SIGMAS, FINAL, &["shift", "mu", "tokens"]], heun),
    ),
    PI_FLOW,
    PROTEINA,
    REVERSE_DIFFUSION,
];

/// Multistep solvers never ask the network at timestep 0.
const fn multistep(
    options: &'static [&'static [&'static str]],
    solver: fn(&SamplerOptions) -> Result<Box<dyn Solver>, CatalogError>,
) -> SamplerRecipe {
    SamplerRecipe::new(Scale::VariancePreserving, LINSPACE, options, solver).walks(Walk::BeforeZero)
}

fn ddim(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    Ok(Box::new(FirstOrder { rederived: options.rederive_epsilon, ..FirstOrder::ddim(options.eta.unwrap_or(0.0)) }))
}

/// diffusers adds churn after the network has been asked, which only a solver of its own can do.
fn euler(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    Ok(match options.churn {
        Some(churn) if options.compat == Compat::Diffusers => Box::new(churn.unseen()),
        _ => Box::new(FirstOrder::euler()),
    })
}

fn heun(_: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    Ok(Box::new(Heun))
}

fn lcm(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    let usual = Consistency::lcm();
    Ok(Box::new(Consistency { timestep_scaling: options.timestep_scaling.or(usual.timestep_scaling) }))
}

fn dpm(options: &SamplerOptions, usual: DpmSolver) -> Result<Box<dyn Solver>, CatalogError> {
    let kind = match options.solver_kind {
        None => DpmKind::Midpoint,
        Some(SolverKind::Dpm(kind)) => kind,
        Some(other) => return Err(wrong_kind("midpoint, heun or exact", other)),
    };
    Ok(Box::new(DpmSolver {
        order: options.order.unwrap_or(usual.order),
        kind,
        form: options.form.unwrap_or(usual.form),
        lower_order_final: options.lower_order_final.unwrap_or(usual.lower_order_final),
        euler_at_final: options.euler_at_final.unwrap_or(usual.euler_at_final),
        compat: options.compat,
        ..usual
    }))
}

fn unipc(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    let kind = match options.solver_kind {
        None => UniPcKind::Bh2,
        Some(SolverKind::UniPc(kind)) => kind,
        Some(other) => return Err(wrong_kind("bh1 or bh2", other)),
    };
    let corrector = options.corrector.clone().unwrap_or(Corrector::On);
    let usual = UniPc::new(options.order.unwrap_or(2));
    let form = options.form.unwrap_or(usual.form);
    let lower_order_final = options.lower_order_final.unwrap_or(usual.lower_order_final);
    Ok(Box::new(UniPc { kind, corrector, form, lower_order_final, ..usual }))
}

fn wrong_kind(expected: &str, found: SolverKind) -> CatalogError {
    CatalogError::Value { option: "solver_type", expected: expected.to_owned(), found: found.name().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_entry_has_a_constructor() {
        let names = ENTRIES.iter().map(|entry| entry.name);
        assert!(names.eq(Sampler::CONSTRUCTORS.iter().map(|(name, _)| *name)));
        let [sdxl, sd3] = ["sdxl", "sd3"].map(|name| Model::named(name).unwrap());
        for (name, construct) in Sampler::CONSTRUCTORS {
            let entry = Sampler::CATALOGUE.find(name).unwrap();
            let model = if entry.make.is_flow() { &sd3 } else { &sdxl };
            let named = entry.build(model, &SamplerOptions::steps(8));
            assert_eq!(construct(model, 8), named, "{name}");
        }
    }
}

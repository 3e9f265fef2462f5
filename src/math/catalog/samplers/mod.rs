//! The samplers: a solver on a grid, by name.

mod adams_bashforth;
mod dpm;
mod flows;
mod options;
mod stochastic;

use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::error::CatalogError;
use crate::math::catalog::grids::SHIFT;
use crate::math::catalog::sampler_options::{SamplerOptions, SolverKind};
use crate::math::catalog::sampler_recipe::{SamplerRecipe, Walk};
use crate::math::model::{Model, Told};
use crate::math::sampler::Sampler;
use crate::math::sampler::ancestral::Ancestral;
use crate::math::sampler::consistency::Consistency;
use crate::math::sampler::ddpm::Ddpm;
use crate::math::sampler::first_order::FirstOrder;
use crate::math::sampler::grid::Scale;
use crate::math::sampler::heun::Heun;
use crate::math::sampler::solver::{Compat, Solver};
use crate::math::sampler::unipc::{Corrector, UniPc, UniPcKind};
use flows::{PI_FLOW, PROTEINA, REVERSE_DIFFUSION};
use options::{
    CHURN, DISTILLED, FINAL, FLOW_TIMES, LEADING, LINSPACE, MULTISTEP, SECTIONS, SIGMAS, SPACED, eta, multistep, order,
    wrong_kind,
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
                #[doc = concat!("This is `", $entry, "` of [`Sampler::CATALOGUE`], on the sampler's own levels.")]
                ///
                /// # Errors
                /// [`CatalogError::Process`] for a model of another process, [`CatalogError::Sampler`] for an impossible number of
                /// steps and for a prediction that does not determine what the solver needs, [`CatalogError::NoSize`] for a flow
                /// whose shift follows from the size of the image.
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
    ddim_inverse: "ddim-inverse", "DDIM from a picture to its noise, told the noisier timestep of each step, as in diffusers.";
    ddim_reverse: "ddim-reverse", "DDIM from a picture to its noise, told each level's timestep (Dhariwal & Nichol 2021, arXiv 2105.05233).";
    euler: "euler", "Euler's method on the probability flow (Karras et al. 2022, arXiv 2206.00364), and on rectified flows.";
    euler_ancestral: "euler-ancestral", "Euler below the next level, then noise, as in k-diffusion.";
    heun: "heun", "Heun's method, two network calls per step (Karras et al. 2022, arXiv 2206.00364).";
    dpm2: "dpm2", "DPM2 of k-diffusion: the midpoint method, two network calls per step.";
    dpm2_ancestral: "dpm2-ancestral", "DPM2 below the next level, then noise, as in k-diffusion.";
    dpm_solver_pp: "dpm++", "DPM-Solver++ 2M (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_3m: "dpm++-3m", "DPM-Solver++ 3M (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_2m_sde: "dpm++-2m-sde", "DPM-Solver++ 2M with fresh noise in every step (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_sde: "dpm++-sde", "DPM-Solver++ SDE of k-diffusion: two network calls per step, with fresh noise in both.";
    dpm_solver_pp_2s: "dpm++-2s", "DPM-Solver++ 2S, singlestep: pairs of calls from one sample (Lu et al. 2022, arXiv 2211.01095).";
    dpm_solver_pp_inverse: "dpm++-inverse", "DPM-Solver++ 2M from a picture to its noise (Lu et al. 2022, arXiv 2211.01095).";
    unipc: "unipc", "UniPC: a predictor and a corrector with one call a step (Zhao et al. 2023, arXiv 2302.04867).";
    pndm: "pndm", "PNDM without Runge-Kutta steps (PLMS): the first step is taken twice (Liu et al. 2022, arXiv 2202.09778).";
    f_pndm: "f-pndm", "PNDM: three steps of Runge-Kutta, four network calls each, then the last four slopes (Liu et al. 2022, arXiv 2202.09778).";
    lms: "lms", "The linear multistep method in sigma, as in k-diffusion.";
    ipndm: "ipndm", "iPNDM: fixed weights of the last four slopes (Zhang & Chen 2023, arXiv 2204.13902).";
    deis: "deis", "DEIS of second order in ln(sigma) (Zhang & Chen 2023, arXiv 2204.13902).";
    sa_solver: "sa-solver", "SA-Solver: a stochastic Adams predictor and corrector with one call a step (Xue et al. 2023, arXiv 2309.05019).";
    lcm: "lcm", "Latent consistency: the clean sample, noised again (Luo et al. 2023, arXiv 2310.04378).";
    tcd: "tcd", "TCD: trajectory consistency, with `eta` 0.3 (Zheng et al. 2024, arXiv 2402.19159).";
    consistency: "consistency", "A consistency model on sigmas: the clean sample, noised again (Song et al. 2023, arXiv 2303.01469).";
    repaint: "repaint", "RePaint with jumps of 10 steps, each of their levels reached 10 times (Lugmayr et al. 2022, arXiv 2201.09865).";
    flow_euler: "flow-euler", "Euler's method on a rectified flow (Esser et al. 2024, arXiv 2403.03206). On a flow, [`euler`](Self::euler) has the same rows.";
    flow_heun: "flow-heun", "Heun's method on a rectified flow (Karras et al. 2022, arXiv 2206.00364).";
    pi_flow: "pi-flow", "pi-Flow: one output of the network is a policy for the whole step (Chen et al. 2025, arXiv 2510.14974).";
    proteina: "proteina", "A rectified flow with the noise of RFD4-Proteina, at the temperature of the data.";
    reverse_diffusion: "reverse-diffusion", "The posterior's mean and the forward step's noise (Song et al. 2021, arXiv 2011.13456).";
}

const ENTRIES: &[Entry<SamplerRecipe>] = &[
    Entry::new(
        "sampler",
        "ddpm",
        &["ancestral"],
        "the posterior's mean and noise (Ho et al. 2020)",
        &[],
        SamplerRecipe::of_model(
            Scale::VariancePreserving,
            LEADING,
            &[SECTIONS, SPACED, FINAL, &["variance"]],
            |options, model| {
                let variance = options.variance.unwrap_or_default();
                let ends_in_mean = matches!(model.told_number(), Told::CosineTime(_));
                Ok(Box::new(Ddpm { variance, compat: options.compat, ends_in_mean }))
            },
        ),
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
        "DDIM from a picture to its noise, told the noisier timestep of a step, as in diffusers",
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
        "Euler's method in sigma, with optional churn (Karras et al. 2022)",
        &[CHURN],
        SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL, &["s_churn"]], euler),
    ),
    Entry::new(
        "sampler",
        "euler-ancestral",
        &["euler-a"],
        "Euler below the next level, then noise, as in k-diffusion",
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
        "Heun's method: second order, two network calls per step (Karras et al. 2022)",
        &[],
        SamplerRecipe::new(Scale::VarianceExploding, LINSPACE, &[SPACED, SIGMAS, FINAL], heun),
    ),
    dpm::DPM2,
    dpm::DPM2_ANCESTRAL,
    dpm::DPM_PP,
    dpm::DPM_PP_3M,
    dpm::DPM_PP_2M_SDE,
    dpm::DPM_PP_SDE,
    dpm::DPM_PP_2S,
    dpm::DPM_PP_INVERSE,
    Entry::new(
        "sampler",
        "unipc",
        &[],
        "a predictor and a corrector with one call a step (Zhao et al. 2023)",
        &[order(2.0)],
        multistep(&[SECTIONS, SPACED, SIGMAS, FINAL, MULTISTEP, &["corrector"]], unipc),
    ),
    adams_bashforth::PNDM,
    adams_bashforth::F_PNDM,
    adams_bashforth::LMS,
    adams_bashforth::IPNDM,
    adams_bashforth::DEIS,
    stochastic::SA_SOLVER,
    Entry::new(
        "sampler",
        "lcm",
        &[],
        "latent consistency: x0, noised again (Luo et al. 2023)",
        &[DISTILLED],
        SamplerRecipe::new(
            Scale::VariancePreserving,
            LINSPACE,
            &[SECTIONS, FINAL, &["original_steps", "timestep_scaling"]],
            lcm,
        )
        .walks(Walk::Distilled),
    ),
    stochastic::TCD,
    stochastic::CONSISTENCY,
    stochastic::REPAINT,
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

fn ddim(options: &SamplerOptions) -> Result<Box<dyn Solver>, CatalogError> {
    Ok(Box::new(FirstOrder { rederived: options.rederive_epsilon, ..FirstOrder::ddim(options.eta.unwrap_or(0.0)) }))
}

/// diffusers adds churn after the network was called, which takes another solver.
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

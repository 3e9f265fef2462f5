//! The catalogue of samplers: their names, their options under ComfyUI's names, and their formulas.

use super::sampler::{RunSampler, StepNoise};
use super::{
    ancestral, cfg_pp, dpmpp, er_sde, exponential, in_sigma, published, res_multistep, sa_solver, seeds, slopes, uni_pc,
};
use crate::math::catalog::entry::{Catalogue, Entry};
use crate::math::catalog::parameter::{ABOVE_ZERO, FINITE, Parameter};
use crate::math::run::value::Choice;

impl RunSampler {
    /// Every sampler of ComfyUI, and `res_2m`, `res_3m`, `res_2s` and `res_3s` of RES4LYF.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: ENTRIES };
}

const S_CHURN: Parameter = Parameter::new("s_churn", 0.0, [0.0, FINITE], "churn in total, spread over the steps");
const S_TMIN: Parameter = Parameter::new("s_tmin", 0.0, [0.0, FINITE], "the least sigma at which churn is added");
const S_TMAX: Parameter =
    Parameter::new("s_tmax", f64::INFINITY, [0.0, f64::INFINITY], "the largest sigma at which churn is added");
const S_NOISE: Parameter = Parameter::new("s_noise", 1.0, [0.0, FINITE], "the factor of the noise");
const ETA: Parameter =
    Parameter::new("eta", 1.0, [0.0, FINITE], "the share of fresh noise: 0 for none, 1 for that of the SDE");
const NO_ETA: Parameter = Parameter { default: Some(0.0), ..ETA };
const R: Parameter = Parameter::new("r", 0.5, [ABOVE_ZERO, 1.0], "the place of the second stage in the step");
const GAMMA: Parameter =
    Parameter::new("ge_gamma", 2.0, [-FINITE, FINITE], "1 plus the share of the slope's change that is added");
const MAX_ORDER: Parameter = Parameter::new("max_order", 4.0, [1.0, 4.0], "the largest number of slopes").whole();

const CHURN: &[Parameter] = &[S_CHURN, S_TMIN, S_TMAX, S_NOISE];
const STOCHASTIC: &[Parameter] = &[ETA, S_NOISE];
const DETERMINISTIC: &[Parameter] = &[NO_ETA, S_NOISE];
const ESTIMATED: &[Parameter] = &[GAMMA];
const SLOPES: &[Parameter] = &[MAX_ORDER];

const SDE_KIND: Choice = Choice { name: "solver_type", words: &["midpoint", "heun"], default: Some("midpoint") };
const SDE_HEUN: Choice = Choice { default: Some("heun"), ..SDE_KIND };
const PHI: Choice = Choice { name: "solver_type", words: &["phi_1", "phi_2"], default: Some("phi_1") };
const PHI_2: Choice = Choice { default: Some("phi_2"), ..PHI };
const ER_KIND: Choice =
    Choice { name: "solver_type", words: &["ER-SDE", "Reverse-time SDE", "ODE"], default: Some("ER-SDE") };
const BH1: Choice = Choice { name: "variant", words: &["bh1", "bh2"], default: Some("bh1") };
const BH2: Choice = Choice { default: Some("bh2"), ..BH1 };

const SA_SOLVER: &[Parameter] = &[
    ETA,
    S_NOISE,
    Parameter::new("sde_start_percent", 0.2, [0.0, 1.0], "the fraction of the schedule at which noise begins"),
    Parameter::new("sde_end_percent", 0.8, [0.0, 1.0], "the fraction of the schedule at which noise ends"),
    Parameter::new("predictor_order", 3.0, [1.0, 6.0], "the order of the predictor").whole(),
    Parameter::new("corrector_order", 4.0, [0.0, 6.0], "the order of the corrector; 0 for none").whole(),
    Parameter::new("use_pece", 0.0, [0.0, 1.0], "1 calls the network again at the corrected sample").whole(),
    Parameter::new("simple_order_2", 0.0, [0.0, 1.0], "1 takes simpler weights at order 2").whole(),
];
const SA_SOLVER_PECE: &[Parameter] = &[
    SA_SOLVER[0],
    SA_SOLVER[1],
    SA_SOLVER[2],
    SA_SOLVER[3],
    SA_SOLVER[4],
    SA_SOLVER[5],
    Parameter { default: Some(1.0), ..SA_SOLVER[6] },
    SA_SOLVER[7],
];

/// An entry of the catalogue.
const fn named(
    name: &'static str,
    synonyms: &'static [&'static str],
    summary: &'static str,
    parameters: &'static [Parameter],
    make: RunSampler,
) -> Entry<RunSampler> {
    Entry::new("sampler", name, synonyms, summary, parameters, make)
}

const ENTRIES: &[Entry<RunSampler>] = &[
    named(
        "euler",
        &["sample_euler"],
        "Euler's method (Karras et al. 2022)",
        CHURN,
        RunSampler::new(in_sigma::euler).drawing(StepNoise::OfStart),
    ),
    named(
        "euler_cfg_pp",
        &[],
        "Euler with the noise of the unconditional prediction (CFG++)",
        DETERMINISTIC,
        RunSampler::new(cfg_pp::euler_cfg_pp).unconditional(),
    ),
    named(
        "euler_ancestral",
        &["sample_euler_ancestral", "euler_a"],
        "Euler below the next sigma, then noise",
        STOCHASTIC,
        RunSampler::new(ancestral::euler_ancestral).of_node("SamplerEulerAncestral"),
    ),
    named(
        "euler_ancestral_cfg_pp",
        &[],
        "Euler ancestral with the noise of the unconditional prediction (CFG++)",
        STOCHASTIC,
        RunSampler::new(cfg_pp::euler_cfg_pp).unconditional().of_node("SamplerEulerAncestralCFGPP"),
    ),
    named(
        "heun",
        &["sample_heun"],
        "Heun's method, two calls per step",
        CHURN,
        RunSampler::new(in_sigma::heun).drawing(StepNoise::OfStart),
    ),
    named(
        "heunpp2",
        &[],
        "Heun's method with up to three slopes",
        CHURN,
        RunSampler::new(in_sigma::heunpp2).drawing(StepNoise::OfStart),
    ),
    named(
        "exp_heun_2_x0",
        &[],
        "exponential Heun on the clean sample, two calls per step",
        &[NO_ETA, S_NOISE, Parameter { default: Some(1.0), ..R }],
        RunSampler::new(seeds::seeds_2).choosing(&[PHI_2]),
    ),
    named(
        "exp_heun_2_x0_sde",
        &[],
        "exponential Heun on the clean sample, with fresh noise",
        &[ETA, S_NOISE, Parameter { default: Some(1.0), ..R }],
        RunSampler::new(seeds::seeds_2).choosing(&[PHI_2]),
    ),
    named(
        "dpm_2",
        &["sample_dpm_2"],
        "the midpoint method, two calls per step",
        CHURN,
        RunSampler::new(in_sigma::dpm_2).dropping().drawing(StepNoise::OfStart),
    ),
    named(
        "dpm_2_ancestral",
        &["sample_dpm_2_ancestral"],
        "the midpoint method below the next sigma, then noise",
        STOCHASTIC,
        RunSampler::new(ancestral::dpm_2_ancestral).dropping(),
    ),
    named(
        "lms",
        &["sample_lms"],
        "the linear multistep method in sigma",
        &[Parameter::new("order", 4.0, [1.0, 4.0], "the largest number of slopes").whole()],
        RunSampler::new(slopes::lms).of_node("SamplerLMS"),
    ),
    named(
        "dpm_fast",
        &["sample_dpm_fast"],
        "DPM-Solver of orders up to 3, as many calls as steps",
        DETERMINISTIC,
        RunSampler::new(in_sigma::dpm_fast),
    ),
    named(
        "dpm_adaptive",
        &["sample_dpm_adaptive"],
        "DPM-Solver of order 2 or 3 that chooses its own steps",
        &[
            Parameter::new("order", 3.0, [2.0, 3.0], "the order").whole(),
            Parameter::new("rtol", 0.05, [0.0, FINITE], "relative tolerance of a step"),
            Parameter::new("atol", 0.0078, [0.0, FINITE], "absolute tolerance of a step"),
            Parameter::new("h_init", 0.05, [ABOVE_ZERO, FINITE], "the first step in -ln(sigma)"),
            Parameter::new(
                "pcoeff",
                0.0,
                [-FINITE, FINITE],
                "the proportional coefficient of the step size controller",
            ),
            Parameter::new("icoeff", 1.0, [-FINITE, FINITE], "the integral coefficient of the step size controller"),
            Parameter::new("dcoeff", 0.0, [-FINITE, FINITE], "the derivative coefficient of the step size controller"),
            Parameter::new(
                "accept_safety",
                0.81,
                [0.0, FINITE],
                "the least step size factor at which a step is accepted",
            ),
            NO_ETA,
            S_NOISE,
        ],
        RunSampler::ADAPTIVE.of_node("SamplerDPMAdaptative"),
    ),
    named(
        "dpmpp_2s_ancestral",
        &["sample_dpmpp_2s_ancestral"],
        "DPM-Solver++ 2S below the next sigma, then noise",
        STOCHASTIC,
        RunSampler::new(ancestral::dpmpp_2s_ancestral).of_node("SamplerDPMPP_2S_Ancestral"),
    ),
    named(
        "dpmpp_2s_ancestral_cfg_pp",
        &[],
        "DPM-Solver++ 2S ancestral with the slope of the unconditional prediction (CFG++)",
        STOCHASTIC,
        RunSampler::new(ancestral::dpmpp_2s_ancestral_cfg_pp).unconditional(),
    ),
    named(
        "dpmpp_sde",
        &["dpmpp_sde_gpu", "sample_dpmpp_sde"],
        "DPM-Solver++ SDE of two stages",
        &[ETA, S_NOISE, R],
        RunSampler::new(dpmpp::dpmpp_sde)
            .unlike(published::dpmpp_sde)
            .drawing(StepNoise::Brownian)
            .of_node("SamplerDPMPP_SDE"),
    ),
    named(
        "dpmpp_2m",
        &["sample_dpmpp_2m"],
        "DPM-Solver++ 2M in -ln(sigma)",
        &[],
        RunSampler::new(dpmpp::dpmpp_2m).unlike(dpmpp::published_2m),
    ),
    named(
        "dpmpp_2m_cfg_pp",
        &[],
        "DPM-Solver++ 2M with the slope of the unconditional prediction (CFG++)",
        &[],
        RunSampler::new(dpmpp::dpmpp_2m_cfg_pp).unconditional(),
    ),
    named(
        "dpmpp_2m_sde",
        &["dpmpp_2m_sde_gpu", "sample_dpmpp_2m_sde"],
        "DPM-Solver++ 2M with fresh noise",
        STOCHASTIC,
        RunSampler::new(dpmpp::dpmpp_2m_sde)
            .drawing(StepNoise::Brownian)
            .choosing(&[SDE_KIND])
            .of_node("SamplerDPMPP_2M_SDE"),
    ),
    named(
        "dpmpp_2m_sde_heun",
        &["dpmpp_2m_sde_heun_gpu"],
        "DPM-Solver++ 2M with fresh noise and Heun's weights",
        STOCHASTIC,
        RunSampler::new(dpmpp::dpmpp_2m_sde).drawing(StepNoise::Brownian).choosing(&[SDE_HEUN]),
    ),
    named(
        "dpmpp_3m_sde",
        &["dpmpp_3m_sde_gpu", "sample_dpmpp_3m_sde"],
        "DPM-Solver++ 3M with fresh noise",
        STOCHASTIC,
        RunSampler::new(dpmpp::dpmpp_3m_sde).drawing(StepNoise::Brownian).of_node("SamplerDPMPP_3M_SDE"),
    ),
    named("ddpm", &[], "the step of DDPM on sigmas", &[], RunSampler::new(ancestral::ddpm).unlike(published::ddpm)),
    named(
        "lcm",
        &[],
        "latent consistency: the clean sample, noised again",
        &[
            S_NOISE,
            Parameter::new(
                "s_noise_end",
                dpmpp::SAME,
                [-1.0, FINITE],
                "the factor of the noise at the end; -1 for s_noise",
            ),
            Parameter::new(
                "noise_clip_std",
                0.0,
                [0.0, FINITE],
                "clips noise at this many standard deviations; 0 for no clipping",
            ),
        ],
        RunSampler::new(dpmpp::lcm).unlike(published::lcm).of_node("SamplerLCM"),
    ),
    named("ipndm", &[], "iPNDM: fixed weights of the last slopes", SLOPES, RunSampler::new(slopes::ipndm)),
    named(
        "ipndm_v",
        &[],
        "iPNDM with weights of uneven steps",
        SLOPES,
        RunSampler::new(slopes::ipndm_v).unlike(published::ipndm_v),
    ),
    named(
        "deis",
        &[],
        "DEIS: polynomials in the time of a VP process",
        &[Parameter { default: Some(3.0), ..MAX_ORDER }],
        RunSampler::new(slopes::deis).unlike(published::deis),
    ),
    named(
        "res_multistep",
        &[],
        "RES of second order, multistep",
        &[S_NOISE, NO_ETA],
        RunSampler::new(res_multistep::res_multistep),
    ),
    named(
        "res_multistep_cfg_pp",
        &[],
        "RES of second order, multistep, with the unconditional prediction (CFG++)",
        &[S_NOISE, NO_ETA],
        RunSampler::new(res_multistep::res_multistep_cfg_pp).unconditional(),
    ),
    named(
        "res_multistep_ancestral",
        &[],
        "RES of second order with fresh noise",
        STOCHASTIC,
        RunSampler::new(res_multistep::res_multistep),
    ),
    named(
        "res_multistep_ancestral_cfg_pp",
        &[],
        "RES of second order with fresh noise and the unconditional prediction (CFG++)",
        STOCHASTIC,
        RunSampler::new(res_multistep::res_multistep_cfg_pp).unconditional(),
    ),
    named(
        "gradient_estimation",
        &[],
        "Euler plus a share of the slope's change (Permenter & Yuan 2023)",
        ESTIMATED,
        RunSampler::new(slopes::gradient_estimation),
    ),
    named(
        "gradient_estimation_cfg_pp",
        &[],
        "gradient estimation with the slope of the unconditional prediction (CFG++)",
        ESTIMATED,
        RunSampler::new(slopes::gradient_estimation_cfg_pp).unconditional(),
    ),
    named(
        "er_sde",
        &[],
        "ER-SDE in up to three stages (Cui et al. 2023)",
        &[
            ETA,
            S_NOISE,
            Parameter::new("max_stage", 3.0, [1.0, 3.0], "the largest number of clean samples in a step").whole(),
        ],
        RunSampler::new(er_sde::er_sde).choosing(&[ER_KIND]).of_node("SamplerER_SDE"),
    ),
    named(
        "seeds_2",
        &[],
        "SEEDS of two stages (Gonzalez et al. 2023)",
        &[ETA, S_NOISE, R],
        RunSampler::new(seeds::seeds_2).choosing(&[PHI]).of_node("SamplerSEEDS2"),
    ),
    named(
        "seeds_3",
        &[],
        "SEEDS of three stages",
        &[
            ETA,
            S_NOISE,
            Parameter { name: "r_1", default: Some(1.0 / 3.0), ..R },
            Parameter { name: "r_2", default: Some(2.0 / 3.0), about: "the place of the third stage", ..R },
        ],
        RunSampler::new(seeds::seeds_3),
    ),
    named(
        "sa_solver",
        &[],
        "SA-Solver: predictor and corrector with one call a step (Xue et al. 2023)",
        SA_SOLVER,
        RunSampler::new(sa_solver::sa_solver).of_node("SamplerSASolver"),
    ),
    named(
        "sa_solver_pece",
        &[],
        "SA-Solver that calls the network again at the corrected sample",
        SA_SOLVER_PECE,
        RunSampler::new(sa_solver::sa_solver).of_node("SamplerSASolver"),
    ),
    named("ddim", &[], "DDIM, which is Euler's method on sigmas", CHURN, RunSampler::new(in_sigma::euler).redrawing()),
    named(
        "uni_pc",
        &[],
        "UniPC with B(h) = h (Zhao et al. 2023)",
        &[],
        RunSampler::new(uni_pc::uni_pc).unlike(uni_pc::published).dropping().choosing(&[BH1]),
    ),
    named(
        "uni_pc_bh2",
        &[],
        "UniPC with B(h) = exp(h) - 1",
        &[],
        RunSampler::new(uni_pc::uni_pc).unlike(uni_pc::published).dropping().choosing(&[BH2]),
    ),
    named(
        "cfgpp_ud10_ab",
        &[],
        "CFG++ with extrapolated noise, Euler blended with Adams-Bashforth",
        &[],
        RunSampler::new(cfg_pp::cfgpp_ud10_ab),
    ),
    named(
        "res_2m",
        &[],
        "RES of second order, multistep on half the log SNR (RES4LYF)",
        &[],
        RunSampler::new(exponential::res_2m),
    ),
    named(
        "res_3m",
        &[],
        "RES of third order, multistep on half the log SNR (RES4LYF)",
        &[],
        RunSampler::new(exponential::res_3m),
    ),
    named("res_2s", &[], "RES of two stages (RES4LYF)", &[], RunSampler::new(exponential::res_2s)),
    named("res_3s", &[], "RES of three stages (RES4LYF)", &[], RunSampler::new(exponential::res_3s)),
];

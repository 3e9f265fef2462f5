//! From the configuration of a diffusers scheduler, as the manifest holds it, to the sampler that computes the same.

use crate::support::sigmas;
use serde_json::Value;
use tweedie::math::sampler::{
    Churn, Compat, Ddpm, Denoiser, DpmKind, DpmSolver, FirstOrder, Grid, Heun, Sampler, Scale, UniPc, UniPcKind,
    Variance,
};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Spacing, flow};
use tweedie::table::Clip;

pub fn number(value: &Value, default: f64) -> f64 {
    value.as_f64().unwrap_or(default)
}

pub fn truth(value: &Value, default: bool) -> bool {
    value.as_bool().unwrap_or(default)
}

pub fn count(value: &Value, default: usize) -> usize {
    value.as_u64().map_or(default, |n| n as usize)
}

pub fn name<'a>(value: &'a Value, default: &'a str) -> &'a str {
    value.as_str().unwrap_or(default)
}

pub fn schedule(options: &Value) -> Schedule {
    let steps = count(&options["num_train_timesteps"], 1000);
    let (start, end) = (number(&options["beta_start"], 1e-4), number(&options["beta_end"], 0.02));
    let plain = match name(&options["beta_schedule"], "linear") {
        "linear" => Schedule::linear(steps, start, end),
        "scaled_linear" => Schedule::scaled_linear(steps, start, end),
        "squaredcos_cap_v2" => Schedule::cosine(steps),
        other => panic!("{other}"),
    };
    let zero_snr = truth(&options["rescale_betas_zero_snr"], false);
    if zero_snr { plain.unwrap().zero_terminal_snr().unwrap() } else { plain.unwrap() }
}

pub fn denoiser(case: &Value, clips: bool) -> Denoiser {
    let options = &case["config"]["kwargs"];
    let quantity = match name(&case["config"]["prediction"], "") {
        "epsilon" => Quantity::Epsilon,
        "sample" => Quantity::X0,
        "v_prediction" => Quantity::V,
        "flow" => Quantity::Flow,
        other => panic!("{other}"),
    };
    let clip = if truth(&options["thresholding"], false) {
        let ratio = number(&options["dynamic_thresholding_ratio"], 0.995);
        Clip::Quantile { ratio, least: 1.0, most: number(&options["sample_max_value"], 1.0) }
    } else if clips && truth(&options["clip_sample"], true) {
        Clip::Range(number(&options["clip_sample_range"], 1.0))
    } else {
        Clip::None
    };
    Denoiser::new(quantity).clipped(clip)
}

pub fn spacing(options: &Value, default: &str) -> Spacing {
    match name(&options["timestep_spacing"], default) {
        "leading" => Spacing::Leading { offset: count(&options["steps_offset"], 0) },
        "trailing" => Spacing::Trailing,
        "linspace" => Spacing::Linspace,
        other => panic!("{other}"),
    }
}

/// The number of steps that a case takes.
pub fn steps(case: &Value) -> usize {
    count(&case["config"]["set_timesteps"]["num_inference_steps"], 0)
}

pub fn sampler(case: &Value) -> Sampler {
    match name(&case["config"]["scheduler"], "") {
        "DDPMScheduler" => ddpm(case),
        "DDIMScheduler" => ddim(case),
        "DPMSolverMultistepScheduler" => dpm_solver(case),
        "UniPCMultistepScheduler" => unipc(case),
        "EulerDiscreteScheduler" => euler(case),
        "EulerAncestralDiscreteScheduler" => {
            Sampler::new(&FirstOrder::ancestral(1.0), &exploding(case), &denoiser(case, false)).unwrap()
        }
        "HeunDiscreteScheduler" => Sampler::new(&Heun, &exploding(case), &denoiser(case, false)).unwrap(),
        "FlowMatchEulerDiscreteScheduler" => flow_euler(case),
        other => panic!("{other}"),
    }
}

pub fn ddpm(case: &Value) -> Sampler {
    let options = &case["config"]["kwargs"];
    let schedule = schedule(options);
    let timesteps = spacing(options, "leading").timesteps(schedule.len(), steps(case)).unwrap();
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN).unwrap();
    let variance = match name(&options["variance_type"], "fixed_small") {
        "fixed_small" => Variance::FixedSmall,
        "fixed_large" => Variance::FixedLarge,
        "learned_range" => Variance::LearnedRange,
        other => panic!("{other}"),
    };
    Sampler::new(&Ddpm { compat: Compat::Diffusers, ..Ddpm::new(variance) }, &grid, &denoiser(case, true)).unwrap()
}

pub fn ddim(case: &Value) -> Sampler {
    let options = &case["config"]["kwargs"];
    let schedule = schedule(options);
    let timesteps = spacing(options, "leading").timesteps(schedule.len(), steps(case)).unwrap();
    let to_one = truth(&options["set_alpha_to_one"], true);
    let end = if to_one { NoiseLevel::CLEAN } else { schedule.level(0).unwrap() };
    let grid = Grid::with_stride(&schedule, &timesteps, schedule.len() / steps(case), end).unwrap();
    let step = &case["config"]["step_kwargs"];
    let rederived = truth(&step["use_clipped_model_output"], false);
    let solver = FirstOrder { rederived, ..FirstOrder::ddim(number(&step["eta"], 0.0)) };
    Sampler::new(&solver, &grid, &denoiser(case, true)).unwrap()
}

/// The grid of DPM-Solver++ and UniPC: their sigmas and timesteps, and the last sigma.
pub fn preserving(case: &Value) -> Grid {
    let options = &case["config"]["kwargs"];
    let schedule = schedule(options);
    let (all, n) = (schedule.sigmas(), steps(case));
    let end = if name(&options["final_sigmas_type"], "zero") == "zero" { 0.0 } else { all[0] };
    if truth(&options["use_karras_sigmas"], false) {
        let list = sigmas::karras(n, all[0], all[all.len() - 1], 7.0).unwrap();
        let told: Vec<f64> = list.iter().map(|&s| schedule.timestep_of(s).round_ties_even()).collect();
        return Grid::of_sigmas(Scale::VariancePreserving, &list, &told, end).unwrap();
    }
    let timesteps = spacing(options, "linspace").timesteps_before_zero(schedule.len(), n).unwrap();
    let end = Scale::VariancePreserving.level(end).unwrap();
    Grid::of_schedule(&schedule, &timesteps, end).unwrap()
}

pub fn dpm_solver(case: &Value) -> Sampler {
    let options = &case["config"]["kwargs"];
    let solver = DpmSolver {
        kind: if name(&options["solver_type"], "midpoint") == "heun" { DpmKind::Heun } else { DpmKind::Midpoint },
        eta: if name(&options["algorithm_type"], "") == "sde-dpmsolver++" { 1.0 } else { 0.0 },
        ..DpmSolver::new(count(&options["solver_order"], 2))
    };
    Sampler::new(&solver, &preserving(case), &denoiser(case, false)).unwrap()
}

pub fn unipc(case: &Value) -> Sampler {
    let options = &case["config"]["kwargs"];
    let kind = if name(&options["solver_type"], "bh2") == "bh1" { UniPcKind::Bh1 } else { UniPcKind::Bh2 };
    let solver = UniPc { kind, ..UniPc::new(count(&options["solver_order"], 2)) };
    Sampler::new(&solver, &preserving(case), &denoiser(case, false)).unwrap()
}

/// The grid of diffusers' Euler and Heun.
pub fn exploding(case: &Value) -> Grid {
    let options = &case["config"]["kwargs"];
    let schedule = schedule(options);
    let positions = spacing(options, "linspace").positions(schedule.len(), steps(case)).unwrap();
    let plain: Vec<f64> = positions.iter().map(|&t| schedule.sigma_at(t)).collect();
    if truth(&options["use_karras_sigmas"], false) {
        let list = sigmas::karras(plain.len(), plain[plain.len() - 1], plain[0], 7.0).unwrap();
        return Grid::of_sigmas(Scale::VarianceExploding, &list, &told(&schedule, &list), 0.0).unwrap();
    }
    Grid::of_sigmas(Scale::VarianceExploding, &plain, &positions, 0.0).unwrap()
}

pub fn told(schedule: &Schedule, sigmas: &[f64]) -> Vec<f64> {
    sigmas.iter().map(|&sigma| schedule.timestep_of(sigma)).collect()
}

pub fn churn(options: &Value) -> Churn {
    Churn {
        least: number(&options["s_tmin"], 0.0),
        most: number(&options["s_tmax"], f64::INFINITY),
        scale: number(&options["s_noise"], 1.0),
        ..Churn::new(number(&options["s_churn"], 0.0))
    }
}

pub fn euler(case: &Value) -> Sampler {
    let (grid, denoiser, options) = (exploding(case), denoiser(case, false), &case["config"]["step_kwargs"]);
    match options["s_churn"].is_null() {
        true => Sampler::new(&FirstOrder::euler(), &grid, &denoiser).unwrap(),
        false => Sampler::new(&churn(options).unseen(), &grid, &denoiser).unwrap(),
    }
}

/// Euler on a flow, whose last time is shifted twice by a fixed shift, as in diffusers.
pub fn flow_euler(case: &Value) -> Sampler {
    let options = &case["config"]["kwargs"];
    let (train, n) = (number(&options["num_train_timesteps"], 1000.0), steps(case));
    let dynamic = truth(&options["use_dynamic_shifting"], false);
    let mu = number(&case["config"]["set_timesteps"]["mu"], 0.0);
    let fixed = number(&options["shift"], 1.0);
    let shift = if dynamic { mu.exp() } else { fixed };
    let least = if dynamic { 1.0 / train } else { flow::shifted(1.0 / train, fixed).unwrap() };
    let times = sigmas::times(n, 1.0, least);
    let times: Vec<f64> = times.iter().map(|&t| flow::shifted(t, shift).unwrap()).collect();
    let told: Vec<f64> = times.iter().map(|t| t * train).collect();
    let grid = Grid::of_sigmas(Scale::Flow, &times, &told, 0.0).unwrap();
    Sampler::new(&FirstOrder::euler(), &grid, &denoiser(case, false)).unwrap()
}

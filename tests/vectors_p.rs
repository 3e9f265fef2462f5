//! Group P: whole loops of the classes of diffusers, from a class's own options alone, replayed in f64.

use crate::support::loops::{Inputs, Run, deviation, run};
use crate::support::{Vectors, id};
use serde_json::{Value, json};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions;

/// Cases that are not runs of one sampler on one sample; each has a test of its own, or none yet.
const APART: &[&str] = &[
    "P_flow_per_token_N4",
    "P_sde_ve_corrector_N4",
    "P_repaint_eta0_N6",
    "P_ddim_parallel_scaled_v_N7",
    "P_ddpm_parallel_linear_eps_N7",
    "P_helios_grid",
];

/// Classes that are not read yet.
const PENDING: &[&str] = &[
    "P_flow_map",
    "P_ltx_rf",
    "P_minimax_h3",
    "P_piflow",
    "P_flow_sigmas_and_timesteps",
    "P_edm_euler_ramp",
    "P_sde_ve_predictor",
    "P_proteina",
];

pub fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/P.json")).unwrap()
}

/// A tensor of a case; empty without one.
pub fn tensor(file: &Vectors, case: &Value, name: &str) -> Vec<f64> {
    match case["tensors"][name].is_null() {
        true => Vec::new(),
        false => file.numbers(&format!("{}/{name}", id(case).trim_start_matches("P_"))),
    }
}

/// Equal parts of a tensor whose first axis is the call.
pub fn parts(file: &Vectors, case: &Value, name: &str) -> Vec<Vec<f64>> {
    let tensor = tensor(file, case, name);
    let calls = case["tensors"][name][0].as_u64().unwrap_or(1) as usize;
    if tensor.is_empty() { Vec::new() } else { tensor.chunks(tensor.len() / calls).map(<[f64]>::to_vec).collect() }
}

pub fn scheduler(case: &Value) -> Result<Scheduler, ConfigError> {
    let mut file = case["config"]["kwargs"].clone();
    file["_class_name"] = case["source"].clone();
    Scheduler::parse(&file.to_string())
}

/// The arguments of `set_timesteps` and `step`, as the options of their names.
pub fn arguments(case: &Value) -> SamplerOptions {
    let config = &case["config"];
    let list = |value: &Value| {
        let numbers = value.as_array()?.iter().map(|number| number.as_f64().unwrap());
        Some(numbers.collect::<Vec<f64>>())
    };
    let (set, step) = (&config["set_timesteps"], &config["step_kwargs"]);
    let count = |value: &Value| value.as_u64().map(|count| count as usize);
    SamplerOptions {
        steps: count(&set["num_inference_steps"]),
        timesteps: list(&set["timesteps"]),
        sigma_list: list(&set["sigmas"]),
        mu: set["mu"].as_f64(),
        original_steps: count(&set["original_inference_steps"]),
        jump_length: count(&set["jump_length"]),
        jump_n_sample: count(&set["jump_n_sample"]),
        eta: step["eta"].as_f64(),
        order: count(&step["order"]),
        begin_index: count(&config["begin_index"]),
        ..SamplerOptions::default()
    }
    .as_diffusers()
}

pub fn sampler(case: &Value) -> Result<Sampler, ConfigError> {
    scheduler(case)?.sampler(&arguments(case))
}

pub fn replay(file: &Vectors, case: &Value, sampler: &Sampler) -> Run {
    let samples = parts(file, case, "samples");
    let inputs = Inputs {
        batch: case["tensors"]["samples"][1].as_u64().unwrap() as usize,
        initial: samples[0].clone(),
        noises: parts(file, case, "noises"),
        learned: parts(file, case, "var_values"),
    };
    let answers = parts(file, case, "model_outputs");
    assert_eq!(sampler.calls().len(), answers.len(), "{}", id(case));
    run(sampler, &inputs, |k, _| answers[k].clone())
}

/// The largest deviation of a run from its record, as a part of the manifest's tolerance.
pub fn worst(file: &Vectors, case: &Value, run: &Run) -> f64 {
    let expected = parts(file, case, "samples");
    let apart = run.samples.iter().zip(&expected).map(|(found, expected)| deviation(found, expected));
    apart.fold(0.0, f64::max) / case["tolerance"].as_f64().unwrap()
}

fn runs() -> impl Iterator<Item = Value> {
    cases().into_iter().filter(|case| !APART.contains(&id(case)))
}

/// A part of what the network was told by which it may be told otherwise: f32 holds 24 bits.
const F32_TIMESTEPS: f64 = 1.0 / (1 << 22) as f64;

/// What is wrong with a case, if anything.
fn fault(file: &Vectors, case: &Value) -> Option<String> {
    let sampler = match sampler(case) {
        Ok(sampler) => sampler,
        Err(error) => return Some(error.to_string()),
    };
    let told = tensor(file, case, "timesteps");
    let calls = sampler.calls();
    if calls.len() != parts(file, case, "model_outputs").len() {
        return Some(format!(
            "{} calls: {:?}, expected {told:?}",
            calls.len(),
            sampler.timesteps().collect::<Vec<_>>()
        ));
    }
    let apart = worst(file, case, &replay(file, case, &sampler));
    if apart > 1.0 {
        return Some(format!("{apart:e} of its tolerance"));
    }
    // A list of sigmas may have one timestep more than calls.
    let close = |(found, expected): (f64, &f64)| (found - expected).abs() <= F32_TIMESTEPS * expected.abs().max(1.0);
    let all = sampler.timesteps().zip(&told).all(close);
    (!all).then(|| format!("told {:?}, expected {told:?}", sampler.timesteps().collect::<Vec<_>>()))
}

#[test]
fn the_classes_of_diffusers() {
    let file = Vectors::load("P");
    let mut wrong = Vec::new();
    for case in runs() {
        let pending = PENDING.iter().any(|id_| id(&case).starts_with(id_));
        match (fault(&file, &case), pending) {
            (Some(fault), false) => wrong.push(format!("{}: {fault}", id(&case))),
            (None, true) => wrong.push(format!("{} passes: it is not pending", id(&case))),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every run notices a coefficient that is a thousandth wrong.
#[test]
fn a_wrong_coefficient_fails() {
    let file = Vectors::load("P");
    for case in runs().filter(|case| !PENDING.iter().any(|id_| id(case).starts_with(id_))) {
        let mut sampler = sampler(&case).unwrap();
        for call in sampler.calls_mut() {
            (call.row.x, call.row.clean, call.row.p) = (call.row.x * 1.001, call.row.clean * 1.001, call.row.p * 1.001);
        }
        assert!(worst(&file, &case, &replay(&file, &case, &sampler)) > 1.0, "{}", id(&case));
    }
}

#[test]
fn every_case_is_read_or_named() {
    let named = APART.iter().all(|apart| cases().iter().any(|case| id(case) == *apart));
    assert!(named && cases().len() == 80);
    assert_eq!(json!(arguments(&cases()[0]).steps), json!(1));
}

//! Group P: whole loops of the classes of diffusers, from a class's own options alone, replayed in f64.

use crate::support::loops::{Inputs, Run, deviation, run, stepped};
use crate::support::{Vectors, id, largest};
use serde_json::{Value, json};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::catalog::{ClassArguments, SamplerOptions};
use tweedie::math::sampler::Langevin;
use tweedie::math::{Sampler, Stages};

/// Cases that are not runs of one sampler on one sample; each has a test of its own.
const APART: &[&str] = &[
    "P_flow_per_token_N4",
    "P_sde_ve_corrector_N4",
    "P_repaint_eta0_N6",
    "P_ddim_parallel_scaled_v_N7",
    "P_ddpm_parallel_linear_eps_N7",
    "P_helios_grid",
];

/// Classes that are not read yet.
const PENDING: &[&str] = &[];

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
        class: class(set),
        ..SamplerOptions::default()
    }
    .as_diffusers()
}

/// Arguments of single classes; `null` is Python's `None`, here no second angle.
fn class(set: &Value) -> ClassArguments {
    let second = set.get("intermediate_timesteps").map(|second| second.as_f64().unwrap_or(0.0));
    ClassArguments {
        max_timesteps: set["max_timesteps"].as_f64(),
        intermediate_timesteps: second,
        stage_index: set["stage_index"].as_u64().map(|stage| stage as usize),
        amplify_first_chunk: set["is_amplify_first_chunk"].as_bool().unwrap_or(false),
        start_time: set["start_time"].as_f64(),
        sampling_eps: set["sampling_eps"].as_f64(),
    }
}

pub fn sampler(case: &Value) -> Result<Sampler, ConfigError> {
    scheduler(case)?.sampler(&arguments(case))
}

pub fn replay(file: &Vectors, case: &Value, sampler: &Sampler) -> Run {
    let samples = parts(file, case, "samples");
    let sample = &case["tensors"]["samples"];
    let width = sample.as_array().and_then(|shape| shape.last()?.as_u64()).unwrap_or(1) as usize;
    let inputs = Inputs {
        batch: case["tensors"]["samples"][1].as_u64().unwrap() as usize,
        initial: samples[0].clone(),
        noises: parts(file, case, "noises"),
        learned: parts(file, case, "var_values"),
        kept: kept(file, case),
    };
    let answers = parts(file, case, "model_outputs");
    assert_eq!(sampler.calls().len(), answers.len(), "{}", id(case));
    run(sampler, &inputs, |k, _| in_slices(&answers[k], inputs.batch, width, sampler.slices()))
}

/// A prediction whose slices lie on its last axis, as rows have them: those of a sample one after the other.
fn in_slices(answer: &[f64], batch: usize, width: usize, slices: usize) -> Vec<f64> {
    let of_sample = |part: &[f64]| -> Vec<f64> {
        let rows = |slice: usize| part.chunks(slices * width).flat_map(move |row| &row[slice * width..][..width]);
        (0..slices).flat_map(rows).copied().collect()
    };
    answer.chunks(answer.len() / batch).flat_map(of_sample).collect()
}

/// The elements that a run changes, where others stay 0.
fn kept(file: &Vectors, case: &Value) -> Vec<f64> {
    let mask = tensor(file, case, "emit_mask");
    let elements = parts(file, case, "samples")[0].len();
    mask.iter().flat_map(|&kept| std::iter::repeat_n(kept, elements / mask.len())).collect()
}

/// The largest deviation of a run from its record, as a part of the manifest's tolerance.
pub fn worst(file: &Vectors, case: &Value, run: &Run) -> f64 {
    let expected = parts(file, case, "samples");
    assert_eq!(run.samples.len(), expected.len(), "{}", id(case));
    let apart = run.samples.iter().zip(&expected).map(|(found, expected)| deviation(found, expected));
    largest(apart) / case["tolerance"].as_f64().unwrap()
}

fn runs() -> impl Iterator<Item = Value> {
    cases().into_iter().filter(|case| !APART.contains(&id(case)))
}

/// The largest relative difference of a timestep: a few roundings of f32, which holds 24 bits.
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
        return Some(format!("off by {apart:e} times its tolerance"));
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

/// Every run notices coefficients that are a thousandth too large.
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

/// The grids of Helios: the levels of each stage, what the network is told, and the levels between which stages lie.
#[test]
fn stages_of_helios() {
    let file = Vectors::load("P");
    let all = cases();
    let case = all.iter().find(|case| id(case) == "P_helios_grid").unwrap();
    let most = case["tolerances"]["float64"].as_f64().unwrap();
    let scheduler = scheduler(case).unwrap();
    for set in case["config"]["set_timesteps"].as_array().unwrap() {
        let (steps, stage) = (set["num_inference_steps"].as_u64().unwrap(), set["stage_index"].as_u64().unwrap());
        let run = SamplerOptions { class: class(set), ..SamplerOptions::steps(steps as usize) };
        let sampler = scheduler.sampler(&run).unwrap();
        let sigmas: Vec<f64> = sampler.calls().iter().map(|call| call.level.sigma()).chain([0.0]).collect();
        let expected = |name: &str| tensor(&file, case, &format!("{name}_stage{stage}_n{steps}"));
        assert!(deviation(&sigmas, &expected("sigmas")) < most, "{sigmas:?}");
        let told: Vec<f64> = sampler.timesteps().collect();
        assert!(deviation(&told, &expected("timesteps")) < most, "{told:?}");
    }
    let stages = Stages::new(1000, 1.0, &[0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0], 1.0 / 3.0).unwrap();
    let of = |level: &dyn Fn(usize) -> Option<f64>| (0..3).map(|i| level(i).unwrap()).collect::<Vec<_>>();
    assert!(deviation(&of(&|i| stages.start(i)), &tensor(&file, case, "start_sigmas")) < most);
    assert!(deviation(&of(&|i| stages.end(i)), &tensor(&file, case, "end_sigmas")) < most);
    assert!(scheduler.sampler(&SamplerOptions::steps(4)).is_err(), "a run without a stage is accepted");
}

/// The corrector of a score network: its rows depend on the network's answers, so they are computed within the loop.
#[test]
fn langevin_corrects_between_predictions() {
    let file = Vectors::load("P");
    let all = cases();
    let case = all.iter().find(|case| id(case) == "P_sde_ve_corrector_N4").unwrap();
    let read = scheduler(case).unwrap();
    assert!(read.notes().iter().any(|note| note.starts_with("correct_steps")));
    let predictor = read.sampler(&arguments(case)).unwrap();
    let [samples, answers, noises] = ["samples", "model_outputs", "noises"].map(|name| parts(&file, case, name));
    let batch = case["tensors"]["samples"][1].as_u64().unwrap() as usize;
    let mut calls = Vec::new();
    for (k, call) in predictor.calls().iter().enumerate() {
        let mean = |tensor: &[f64]| {
            let norm = |sample: &[f64]| sample.iter().map(|x| x * x).sum::<f64>().sqrt();
            tensor.chunks(tensor.len() / batch).map(norm).sum::<f64>() / batch as f64
        };
        let norms = [mean(&noises[2 * k]), mean(&answers[2 * k])];
        let corrector = Langevin { snr: 0.15 }.call(call, &read.model().denoiser(), norms).unwrap();
        calls.extend([corrector, *call]);
    }
    let inputs = Inputs { batch, initial: samples[0].clone(), noises, ..Inputs::default() };
    let mut x = inputs.initial.clone();
    let mut worst = 0.0f64;
    for (k, call) in calls.iter().enumerate() {
        x = stepped(&predictor, call, batch, [&x, &answers[k], &inputs.noises[k]]);
        worst = worst.max(deviation(&x, &samples[k + 1]));
    }
    assert!(worst < case["tolerance"].as_f64().unwrap(), "{worst:e}");
}

/// Tokens at levels of their own: each takes Euler's step to the next cleaner level of the loop, or stays as it is.
#[test]
fn tokens_at_levels_of_their_own() {
    let file = Vectors::load("P");
    let all = cases();
    let case = all.iter().find(|case| id(case) == "P_flow_per_token_N4").unwrap();
    let read = scheduler(case).unwrap();
    let sampler = read.sampler(&arguments(case)).unwrap();
    let [samples, velocities, told, moves] =
        ["samples", "model_outputs", "token_timesteps", "moves"].map(|name| parts(&file, case, name));
    let channels = samples[0].len() / told[0].len();
    let run = |factor: f64| {
        let mut x = samples[0].clone();
        let mut worst = 0.0f64;
        for (k, after) in samples[1..].iter().enumerate() {
            for (token, x) in x.chunks_mut(channels).enumerate().filter(|(token, _)| moves[k][*token] != 0.0) {
                let level = read.model().level_at(told[k][token]).unwrap();
                let to = sampler.level_below(level).unwrap();
                let row = read.model().euler_step(level, to).unwrap();
                for (x, u) in x.iter_mut().zip(&velocities[k][token * channels..]) {
                    let clean = row.x0[0] * *x + row.x0[1] * u;
                    *x = row.x * *x + factor * row.clean * clean;
                }
            }
            worst = worst.max(deviation(&x, after));
        }
        worst
    };
    let most = case["tolerance"].as_f64().unwrap();
    assert!(run(1.0) < most, "{} is above {most}", run(1.0));
    assert!(run(1.001) > most, "a coefficient that is a thousandth wrong passes");
}

#[test]
fn every_case_is_read_or_named() {
    let named = APART.iter().all(|apart| cases().iter().any(|case| id(case) == *apart));
    assert!(named && cases().len() == 80);
    assert_eq!(json!(arguments(&cases()[0]).steps), json!(1));
}

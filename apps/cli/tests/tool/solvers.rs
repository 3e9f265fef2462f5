//! Recorded runs of the classes of DPM-Solver and of k-diffusion's two-call methods.

use crate::models::assert_near;
use crate::support::{Folder, OUT, id, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use serde_json::Value;
use std::fs;

pub const TESTS: &[Test] = &[
    ("runs_of_dpm_solvers", Needs::Nothing, || RUNS.iter().for_each(|run| recorded(run, None))),
    ("two_noises_of_one_call", Needs::Adapter, || recorded("P_dpmpp_sde", Some(ROUNDINGS))),
];

/// The runs, by the beginnings of their names.
const RUNS: [&str; 6] =
    ["P_kdpm2", "P_dpmpp_sde", "P_singlestep", "P_dpmpp2m_inverse", "P_cogvideox_dpm", "P_cosine_dpm"];

/// The bound on the GPU, relative to the largest number of a run: some hundred roundings of f32.
const ROUNDINGS: f64 = 1e-5;

fn recorded(run: &str, on_gpu: Option<f64>) {
    let text = fs::read_to_string(vectors("P.json")).expect("the cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let all = Tensors::load(&vectors("P.safetensors"));
    let of_run: Vec<&Value> = cases.iter().filter(|case| id(case).starts_with(run)).collect();
    assert!(!of_run.is_empty(), "{run}");
    for case in of_run {
        let name = id(case).trim_start_matches("P_");
        let names = ["samples", "model_outputs", "noises"].map(|tensor| (format!("{name}/{tensor}"), tensor));
        let tape = all.renamed(&names.each_ref().map(|(long, short)| (long.as_str(), *short)));
        let folder = Folder::with(&tape);
        let mut config = case["config"]["kwargs"].clone();
        config["_class_name"] = case["source"].clone();
        folder.write("class.json", config.to_string().as_bytes());
        let steps = &case["config"]["set_timesteps"]["num_inference_steps"];
        let on = if on_gpu.is_some() { "gpu" } else { "cpu" };
        let line = format!("replay in.safetensors --config class.json --compat diffusers --steps {steps} --on {on}");
        let found = folder.noted_output(&format!("{line} --out {OUT}")).values("samples");
        let expected = tape.values("samples");
        let largest = expected.iter().fold(0.0, |most, x| f64::max(most, x.abs()));
        let bound = on_gpu.map_or(case["tolerance"].as_f64().expect("a tolerance"), |part| part * largest);
        assert_near(id(case), &found, &expected, bound);
    }
}

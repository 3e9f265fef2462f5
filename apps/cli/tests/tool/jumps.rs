//! Recorded runs of stochastic classes of diffusers, and of RePaint with its mask and its jumps.

use crate::models::assert_near;
use crate::support::{Folder, OUT, id, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use serde_json::Value;
use std::fs;

pub const TESTS: &[Test] = &[
    ("stochastic_classes", Needs::Nothing, classes),
    ("jumps_around_a_known_region", Needs::Nothing, || jumps("--on cpu", 1.0)),
    ("jumps_on_the_gpu", Needs::Adapter, || jumps("--on gpu", SINGLE)),
    ("masks_that_fit_nothing", Needs::Nothing, misfits),
];

/// The bound in f32, as a multiple of the tolerance in f64. The samples are of the order of a few units.
const SINGLE: f64 = 1e6;

/// The runs, by the beginnings of their names.
const RUNS: [&str; 5] = ["P_sasolver", "P_tcd", "P_cm", "P_unclip", "P_wuerstchen"];

fn cases(of: &[&str]) -> Vec<Value> {
    let text = fs::read_to_string(vectors("P.json")).expect("the cases");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    all.into_iter().filter(|case| of.iter().any(|run| id(case).starts_with(run))).collect()
}

/// A folder with the tensors of a run and the file of its class, and the command line.
fn replay(case: &Value, names: &[&str]) -> (Folder, String) {
    let name = id(case).trim_start_matches("P_").to_owned();
    let names: Vec<(String, &str)> = names.iter().map(|tensor| (format!("{name}/{tensor}"), *tensor)).collect();
    let renamed: Vec<(&str, &str)> = names.iter().map(|(long, short)| (long.as_str(), *short)).collect();
    let folder = Folder::with(&Tensors::load(&vectors("P.safetensors")).renamed(&renamed));
    let mut config = case["config"]["kwargs"].clone();
    config["_class_name"] = case["source"].clone();
    folder.write("class.json", config.to_string().as_bytes());
    let mut line = format!("replay in.safetensors --config class.json --compat diffusers --out {OUT}");
    for arguments in [&case["config"]["set_timesteps"], &case["config"]["step_kwargs"]] {
        for (name, value) in arguments.as_object().into_iter().flatten() {
            let option = if name == "num_inference_steps" { "steps".to_owned() } else { name.replace('_', "-") };
            line += &format!(" --{option} {}", value.to_string().trim_matches(['[', ']']));
        }
    }
    (folder, line)
}

fn classes() {
    let cases = cases(&RUNS);
    assert_eq!(cases.len(), 16);
    for case in cases {
        let (folder, line) = replay(&case, &["samples", "model_outputs", "noises", "var_values"]);
        let found = folder.noted_output(&format!("{line} --on cpu")).values("samples");
        let expected = Tensors::load(&folder.path("in.safetensors")).values("samples");
        assert_near(id(&case), &found, &expected, case["tolerance"].as_f64().expect("a tolerance"));
    }
}

const REPAINT: [&str; 6] = ["samples", "model_outputs", "noises", "mask", "original", "kind"];

fn jumps(on: &str, most: f64) {
    let case = &cases(&["P_repaint"])[0];
    let (folder, line) = replay(case, &REPAINT);
    let found = folder.noted_output(&format!("{line} {on}")).values("samples");
    let recorded = Tensors::load(&folder.path("in.safetensors"));
    let (all, kind) = (recorded.values("samples"), recorded.values("kind"));
    // The tool writes the sample before each call of the network, and the last one; the network does not see the samples between.
    let seen = kind.iter().map(|kind| *kind == 0.0).chain([true]);
    let elements = all.len() / (kind.len() + 1);
    let expected: Vec<f64> =
        all.chunks(elements).zip(seen).filter(|(_, seen)| *seen).flat_map(|(entry, _)| entry.to_vec()).collect();
    assert_near("repaint", &found, &expected, most * case["tolerance"].as_f64().expect("a tolerance"));
}

fn misfits() {
    let case = &cases(&["P_repaint"])[0];
    let (folder, line) = replay(case, &["samples", "model_outputs", "noises", "mask", "kind"]);
    folder.refuses(&format!("{line} --on cpu"), &["original"]);
    let (folder, line) = replay(case, &["samples", "model_outputs", "noises"]);
    folder.refuses(&format!("{line} --on cpu"), &["model_outputs", "10 network outputs", "found 14"]);
    folder.refuses(&format!("{line} --on cpu --jump-length 0"), &["jump"]);
}

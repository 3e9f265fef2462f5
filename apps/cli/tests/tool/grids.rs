//! `tweedie grid` and run files.

use crate::support::{Folder, OUT, id, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use serde_json::{Value, json};
use std::fs;

pub const TESTS: &[Test] = &[
    ("recorded_grids", Needs::Nothing, recorded_grids),
    ("options_in_place_of_a_file", Needs::Nothing, options_in_place_of_a_file),
    ("every_listed_grid_has_numbers", Needs::Nothing, every_listed_grid_has_numbers),
    ("runs_with_nothing_to_do", Needs::Nothing, runs_with_nothing_to_do),
    ("wrong_runs", Needs::Nothing, wrong_runs),
];

/// The tolerance of the recorded grids.
const TOLERANCE: f64 = 2e-12;

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= TOLERANCE * expected.abs(), "{what}: {found} {expected}");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

/// Every ninth recorded window of a scheduler's grid, through a run file, as JSON and as a file of tensors.
fn recorded_grids() {
    let cases: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(vectors("K_grids.json")).expect("the cases")).expect("JSON");
    let all = Tensors::load(&vectors("K_grids.safetensors"));
    let case = cases.iter().find(|case| id(case) == "K_windows_public").expect("the windows");
    let mut seen = 0;
    for row in case["config"]["rows"].as_array().expect("rows").iter().step_by(9) {
        let Some(tensor) = row["tensor"].as_str() else { continue };
        let mut run = row.clone();
        run.as_object_mut().expect("an object").remove("tensor");
        run["model"] = case["config"]["models"][row["model"].as_str().expect("a model")].clone();
        let folder = Folder::new();
        folder.write("run.json", run.to_string().as_bytes());
        let expected = all.values(&format!("windows_public/{tensor}"));
        let found = &folder.objects("grid --run run.json --json")[0];
        assert_close(tensor, &numbers(&found["sigmas"]), &expected);
        assert_eq!(numbers(&found["timesteps"]).len(), expected.len() - 1, "{tensor}");
        let file = folder.output(&format!("grid --run run.json --out {OUT}"));
        assert_eq!(file.values("sigmas"), numbers(&found["sigmas"]), "{tensor}");
        assert_eq!(file.values("timesteps"), numbers(&found["timesteps"]), "{tensor}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

fn options_in_place_of_a_file() {
    let folder = Folder::new();
    let found = &folder.objects("grid --model flow3 --scheduler simple --steps 4 --json")[0];
    assert_eq!(numbers(&found["sigmas"])[4], 0.0);
    assert_close("simple", &numbers(&found["sigmas"]), &[1.0, 0.9, 0.75, 0.5, 0.0]);
    assert_close("told", &numbers(&found["timesteps"]), &[1000.0, 900.0, 750.0, 500.0]);
    let dropped = &folder.objects("grid --model flow3 --scheduler simple --steps 3 --sampler dpm_2 --json")[0];
    assert_close("dropped", &numbers(&dropped["sigmas"]), &[1.0, 0.9, 0.75, 0.0]);
    let text = folder.succeeds("grid --model flow3 --scheduler simple --steps 1");
    assert_eq!(text, "  step  sigma                   told\n     0  1                       1000\n     1  0\n");
}

fn every_listed_grid_has_numbers() {
    let folder = Folder::new();
    let listed = &folder.objects("list grids --json")[0];
    for entry in listed.as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        if name == "manual-sigmas" {
            continue;
        }
        let found = &folder.objects(&format!("grid --model sd15 --scheduler {name} --steps 3 --json"))[0];
        assert!(numbers(&found["sigmas"]).len() >= 3, "{name}");
    }
}

fn runs_with_nothing_to_do() {
    let folder = Folder::new();
    for (key, value) in [("denoise", json!(0)), ("start_step", json!(5))] {
        let mut run = json!({ "model": "sd15", "scheduler": "karras", "steps": 5 });
        run[key] = value;
        folder.write("run.json", run.to_string().as_bytes());
        assert_eq!(folder.succeeds("grid --run run.json --json"), "{\"sigmas\":[],\"timesteps\":[]}\n");
    }
}

fn wrong_runs() {
    let folder = Folder::new();
    let base = json!({ "model": "sd15", "scheduler": "karras", "steps": 5 });
    let wrong: &[(&str, Value, &[&str])] = &[
        (
            "scheduler",
            json!("karas"),
            &["expected simple, sgm_uniform, karras", "no grid is called `karas`; did you mean `karras`?"],
        ),
        ("sheduler", json!("karras"), &["a run has no key `sheduler`; it has version, model"]),
        ("steps", json!(-1), &["steps: expected a whole number, at least 0, found -1"]),
        ("steps", json!(0), &["the number of steps of karras must be at least 1, found 0"]),
        ("steps", json!(1_000_000_000), &["the number of steps of karras must be 1 to 100000, found 1000000000"]),
        ("denoise", json!(1.5), &["denoise must be between 0 and 1, found 1.5"]),
        ("denoise", json!(1e-300), &["the number of steps of karras must be 1 to 100000"]),
        ("model", json!("sd16"), &["expected sd15 (or sd1", "is called `sd16`"]),
        (
            "model",
            json!({ "base": "ModelSamplingDiscrete", "parameterisation": "EPS", "settings": { "shift": 3 } }),
            &["shift does not apply to the ModelSamplingDiscrete base"],
        ),
        ("sigmas", json!([1, 0]), &["scheduler and sigmas exclude each other"]),
        ("version", json!(2), &["version: expected 1, found 2"]),
    ];
    for (key, value, words) in wrong {
        let mut run = base.clone();
        run[*key] = value.clone();
        folder.write("run.json", run.to_string().as_bytes());
        folder.refuses(&format!("grid --run run.json --out {OUT}"), words);
    }
    folder.write("run.json", b"{");
    folder.refuses(&format!("grid --run run.json --out {OUT}"), &["--run run.json: expected the JSON of a run"]);
    folder.refuses(&format!("grid --run none.json --out {OUT}"), &["--run none.json"]);
    folder.refuses(&format!("grid --out {OUT}"), &["expected --run FILE, or --scheduler NAME"]);
    folder.refuses(&format!("grid --run run.json --steps 3 --out {OUT}"), &["--steps"]);
}

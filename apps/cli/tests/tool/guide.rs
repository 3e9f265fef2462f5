//! `guide` on recorded predictions, and on run files that cannot be used.

use crate::models::assert_near;
use crate::support::{Folder, OUT, id, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::fs;

pub const TESTS: &[Test] = &[
    ("recorded_guiders", Needs::Nothing, || recorded("--on cpu", "tolerance")),
    ("recorded_guiders_on_the_gpu", Needs::Adapter, || recorded("--on gpu", "float32")),
    ("positions_are_compared_in_every_storage", Needs::Adapter, positions),
    ("a_call_by_itself", Needs::Nothing, alone),
    ("run_files_that_cannot_be_used", Needs::Nothing, misfits),
    ("every_listed_guider_guides", Needs::Nothing, listed),
];

/// The formulas that no class of diffusers has: the tensor of each, which is also a name of its guider, and its options.
fn formulas(config: &Value) -> Vec<(String, Value)> {
    let options: [(&str, &[&str]); 9] = [
        ("image_cfg", &["text_scale", "image_scale"]),
        ("cfg_norm", &["scale", "norm_axis", "strength"]),
        ("cfg_norm_clamped", &["scale", "norm_axis", "strength"]),
        ("perp_neg", &["scale", "neg_scale"]),
        ("perp_neg_batch", &["scale", "neg_scale"]),
        ("mahiro_per_sample", &["scale"]),
        ("mahiro_batch", &["scale"]),
        ("apg_comfy", &["scale", "norm_threshold", "eta"]),
        ("zero_star_comfy", &["scale"]),
    ];
    let each = options.into_iter().map(|(name, options)| {
        let mut guidance = json!({ "kind": name });
        options.iter().for_each(|option| guidance[*option] = config[*option].clone());
        (name.to_owned(), guidance)
    });
    each.collect()
}

/// Each recorded result of a case, with the `guidance` that computes it.
fn results(case: &Value) -> Vec<(String, Value)> {
    let named = |options: &Value| {
        let mut guidance = options.clone();
        guidance["kind"] = case["source"].clone();
        guidance
    };
    match &case["config"]["options"] {
        Value::Array(list) => list.iter().enumerate().map(|(i, it)| (format!("out_{i}"), named(it))).collect(),
        Value::Null => formulas(&case["config"]),
        options => vec![("out".to_owned(), named(options))],
    }
}

/// Runs every recorded configuration as a run file, unchanged.
fn recorded(on: &str, tolerance: &str) {
    assert_eq!(["G", "G_fdg_levels"].map(|file| recorded_in(file, on, tolerance)), [45, 22]);
}

/// Checks every result of a file of cases, and returns how many there are.
fn recorded_in(file: &str, on: &str, tolerance: &str) -> usize {
    let text = fs::read_to_string(vectors(&format!("{file}.json"))).expect("the cases");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let all = Tensors::load(&vectors(&format!("{file}.safetensors")));
    let mut count = 0;
    for case in &cases {
        let name = id(case).trim_start_matches("G_");
        let names = ["pred_cond", "pred_uncond", "pred_third", "pred_fourth"];
        let long = names.map(|tensor| format!("{name}/{tensor}"));
        let renamed: Vec<(&str, &str)> = long.iter().map(String::as_str).zip(names).collect();
        let folder = Folder::with(&all.renamed(&renamed));
        for (tensor, guidance) in results(case) {
            let mut run = case["config"].clone();
            run["guidance"] = guidance;
            folder.write("run.json", run.to_string().as_bytes());
            let found = folder.output(&format!("guide in.safetensors --run run.json --out {OUT} {on}"));
            let expected = all.values(&format!("{name}/{tensor}"));
            let tolerance = case[tolerance].as_f64().expect("a tolerance");
            assert_near(&format!("{name}/{tensor}"), &found.values("out"), &expected, tolerance);
            let asked = format!("{name}/num_conditions");
            if all.names().contains(&asked.as_str()) {
                assert_eq!(found.values("num_conditions"), all.values(&asked), "{name}");
            }
            count += 1;
        }
    }
    count
}

/// Two samples of two channels and two positions.
fn small() -> Folder {
    of_shape(&[2, 2, 2])
}

/// Two samples of two channels of four rows and six columns.
fn pictures() -> Folder {
    of_shape(&[2, 2, 4, 6])
}

fn of_shape(shape: &[usize]) -> Folder {
    let count = shape.iter().product::<usize>() as u32;
    let values = |shift: f64| -> Vec<f64> { (0..count).map(|i| (f64::from(i) * 0.7 + shift).sin()).collect() };
    let names = ["pred_cond", "pred_uncond", "pred_third", "pred_fourth"];
    let tensors = names.into_iter().zip([0.0, 0.3, 0.9, 2.0]);
    Folder::with(
        &tensors.fold(Tensors::default(), |all, (name, shift)| all.with(name, Dtype::F32, shape, &values(shift))),
    )
}

const GUIDE: &str = "guide in.safetensors --run run.json --out out.safetensors";

fn positions() {
    let of_positions = ["mahiro", "mahiro-batch", "cfg-norm", "cfg-norm-clamped"];
    of_positions.into_iter().for_each(|kind| in_every_storage(&small(), &json!(kind)));
    let levels = json!({"kind": "fdg", "w_high": 2.5, "w_low": 1.5, "parallel_weights": 0.5});
    in_every_storage(&pictures(), &levels);
}

fn in_every_storage(folder: &Folder, kind: &Value) {
    let inputs = Tensors::load(&folder.path("in.safetensors"));
    folder.write("run.json", json!({ "guidance": kind }).to_string().as_bytes());
    // About one step of f16 and of bf16, and four of f32, for results up to 4.
    for (dtype, tolerance) in [(Dtype::F32, 1e-6), (Dtype::F16, 2e-3), (Dtype::BF16, 2e-2)] {
        let stored = inputs.stored(dtype);
        folder.write("in.safetensors", &stored.bytes());
        let exact = folder.output(&format!("{GUIDE} --on cpu")).values("out");
        let found = folder.output(&format!("{GUIDE} --on gpu"));
        assert_near(&format!("{kind} in {dtype:?}"), &found.values("out"), &exact, tolerance);
    }
}

fn alone() {
    let folder = small();
    let out = |run: &str| {
        folder.write("run.json", run.as_bytes());
        folder.output(&format!("{GUIDE} --on cpu")).values("out")
    };
    let zero_star = r#"{"guidance": {"kind": "cfg-zero-star", "guidance_scale": 3}"#;
    assert_eq!(out(&format!(r#"{zero_star}, "step": 0, "steps": 9}}"#)), [0.0; 8]);
    assert!(out(&format!("{zero_star}}}")).iter().all(|x| *x != 0.0));
    // A number is the scale of plain guidance.
    assert_eq!(out(r#"{"guidance": 2.5}"#), out(r#"{"guidance": {"kind": "cfg", "cfg": 2.5}}"#));
    // In ComfyUI some names mean other formulas.
    let perp = |compat: &str| out(&format!(r#"{{"guidance": "perp-neg", "compat": "{compat}"}}"#));
    assert_eq!(perp("comfyui"), out(r#"{"guidance": "perp-neg-batch"}"#));
    assert_ne!(perp("comfyui"), perp("published"));
}

fn misfits() {
    let folder = small();
    let refused = |run: &str, words: &[&str]| {
        folder.write("run.json", run.as_bytes());
        folder.refuses(&format!("{GUIDE} --on cpu"), words);
    };
    refused("[]", &["run.json", "a JSON object"]);
    refused("{", &["run.json", "EOF"]);
    refused("{}", &["run.json", "expected `guidance`"]);
    refused(r#"{"guidance": 2, "guidanse": 1}"#, &["guidance, steps, step, compat", "found `guidanse`"]);
    refused(r#"{"guidance": {"kind": "cfgg"}}"#, &["guidance: no guidance is called `cfgg`; did you mean `cfg`?"]);
    refused(r#"{"guidance": {"kind": "cfg", "eta": 1}}"#, &["eta does not apply to the cfg guidance"]);
    refused(r#"{"guidance": "fdg"}"#, &["[batch, channels, height, width]", "2 levels", "found [2, 2, 2]"]);
    refused(r#"{"guidance": {"kind": "fdg", "start": [0, 0.5, 1]}}"#, &["one for each of 2 levels, found 3"]);
    refused(r#"{"guidance": 2, "steps": 3}"#, &["pred_cond", "expected 3 entries", "found 2"]);
    refused(r#"{"guidance": 2, "steps": -3}"#, &["steps: expected a whole number", "-3"]);
    refused(r#"{"guidance": 2, "step": 3, "steps": 3}"#, &["expected a step below 3, found 3"]);
    refused(r#"{"guidance": {"kind": "cfg", "cfg": [1, 2, 3]}, "steps": 2}"#, &["one for each of 2 steps, found 3"]);
    refused(r#"{"guidance": 2, "compat": "a1111"}"#, &["compat", "a1111"]);
    refused(r#"{"guidance": {"kind": "cfg-norm", "norm_axis": 5}}"#, &["norm_axis", "found 5"]);
    fs::remove_file(folder.path("run.json")).expect("a file");
    folder.refuses(&format!("{GUIDE} --on cpu"), &["run.json"]);
    let alone = Tensors::load(&folder.path("in.safetensors")).without("pred_uncond");
    folder.write("run.json", br#"{"guidance": 2}"#);
    folder.refuses_input(&alone, &format!("{GUIDE} --on cpu"), &["expected a tensor `pred_uncond`"]);
}

/// Every listed guider gives finite results, under each of its names.
fn listed() {
    let folder = pictures();
    let entries = folder.objects("list guidance --json").remove(0);
    let entries = entries.as_array().expect("a list");
    assert!(entries.len() > 10, "{entries:?}");
    for entry in entries {
        let synonyms = entry["synonyms"].as_array().expect("a list");
        for name in synonyms.iter().chain([&entry["name"]]) {
            folder.write("run.json", json!({ "guidance": name }).to_string().as_bytes());
            let found = folder.output(&format!("{GUIDE} --on cpu"));
            assert!(found.values("out").iter().all(|x| x.is_finite()), "{name}");
        }
    }
}

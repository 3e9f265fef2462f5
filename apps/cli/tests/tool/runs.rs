//! `replay --run`: recorded runs of ComfyUI from run files and workflows, on the CPU and on an adapter.

use crate::support::{Folder, OUT, id, largest_difference, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use serde_json::{Value, json};
use std::fs;

pub const TESTS: &[Test] = &[
    ("recorded_runs", Needs::Nothing, || recorded("--on cpu", "tolerance", 1.0, 1)),
    ("recorded_runs_on_an_adapter", Needs::Adapter, || recorded("", "tolerance_f32", STORED, 9)),
    ("noise_of_the_seed_where_the_tape_has_none", Needs::Nothing, || seeded("--on cpu", 1.0)),
    ("noise_of_the_seed_on_an_adapter", Needs::Adapter, || seeded("", STORED)),
    ("a_workflow_of_comfyui", Needs::Nothing, workflow),
    ("a_published_run", Needs::Nothing, published),
    ("a_guider_in_a_run", Needs::Nothing, || guided("--on cpu", 1e-12)),
    ("a_guider_in_a_run_on_an_adapter", Needs::Adapter, || guided("", 2e-6)),
    ("tapes_and_options_that_do_not_fit", Needs::Nothing, misfits),
];

/// The tolerances are for runs in which only the network's outputs are rounded to f32. An adapter also stores the sample, the noise and
/// the remembered samples in f32, and each step rounds its sums: four times as many roundings of that size.
const STORED: f64 = 4.0;

fn cases() -> Vec<Value> {
    let text = fs::read_to_string(vectors("K.json")).expect("the cases");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    all.into_iter().filter(|case| case["config"]["sampler"].is_string()).collect()
}

/// The tensors of a recorded run that a replay reads.
fn tape(all: &Tensors, case: &Value) -> Tensors {
    let names = ["noise", "latent_image", "mask", "inpaint_noise", "noises", "call_output", "call_output_uncond"];
    let mut tape = Tensors::default();
    for name in case["tensors"].as_array().expect("names").iter().filter_map(Value::as_str) {
        if names.contains(&name) {
            tape = tape.with_tensor(name, all.tensor(&stored_name(case, name)).clone());
        }
    }
    tape
}

fn stored_name(case: &Value, name: &str) -> String {
    format!("{}/{name}", id(case).trim_start_matches("K_"))
}

/// A folder with the tape and the run file of a case.
fn folder(all: &Tensors, case: &Value) -> Folder {
    let folder = Folder::with(&tape(all, case));
    folder.write("run.json", case["config"].to_string().as_bytes());
    folder
}

/// Replays one in `every` recorded runs.
fn recorded(on: &str, tolerance: &str, factor: f64, every: usize) {
    let all = Tensors::load(&vectors("K.safetensors"));
    for case in cases().iter().step_by(every) {
        let found = folder(&all, case).output(&format!("replay in.safetensors --run run.json {on} --out {OUT}"));
        let tolerances = case[tolerance].as_array().expect("tolerances").iter().filter_map(Value::as_f64);
        let tolerances: Vec<f64> = tolerances.map(|it| factor * it).collect();
        for name in ["samples", "call_sigma", "attempt_error"] {
            let recorded = case["tensors"].as_array().expect("names").iter().any(|it| it == name);
            if !recorded {
                continue;
            }
            let (found, expected) = (found.values(name), all.values(&stored_name(case, name)));
            assert_eq!(found.len(), expected.len(), "{} {name}", id(case));
            let entries = if name == "samples" { tolerances.len() } else { 1 };
            let size = expected.len() / entries;
            for (k, (found, expected)) in found.chunks(size).zip(expected.chunks(size)).enumerate() {
                let allowed = match name {
                    "samples" => tolerances[k],
                    "call_sigma" => 1e-11 * expected[0],
                    _ => 1e-7,
                };
                let worst = largest_difference(found, expected);
                assert!(worst <= allowed, "{} {name} {k}: off by {worst:.1e}, allowed {allowed:.1e}", id(case));
            }
        }
    }
}

/// Runs that draw their noise from the seed; the file has only the network's outputs. Since these are recorded, the network does not
/// correct a difference of the noise, which is a rounding to f32 at the largest sigma: the tolerance of the first sample is used for all.
fn seeded(on: &str, factor: f64) {
    let all = Tensors::load(&vectors("K.safetensors"));
    let from_seed = |case: &Value| {
        let has = |name: &str| case["tensors"].as_array().expect("names").iter().any(|it| it == name);
        case["config"]["seed"].is_u64() && has("noises")
    };
    let cases = cases();
    let seeded: Vec<&Value> = cases.iter().filter(|case| from_seed(case)).collect();
    assert_eq!(seeded.len(), 5);
    for case in seeded {
        let folder = folder(&all, case);
        tape(&all, case).without("noise").without("noises").save(&folder.path("in.safetensors"));
        let line = format!("replay in.safetensors --run run.json {on} --out {OUT}");
        let found = folder.output(&line);
        let bound = factor * case["tolerance_f32"][0].as_f64().expect("a tolerance");
        let worst = largest_difference(&found.values("samples"), &all.values(&stored_name(case, "samples")));
        assert!(worst <= bound, "{}: off by {worst:.1e}, allowed {bound:.1e}", id(case));
        let mut config = case["config"].clone();
        config.as_object_mut().expect("an object").remove("seed");
        folder.write("run.json", config.to_string().as_bytes());
        folder.refuses(&line, &["`noise`, `initial` or `latent_image`", "or a seed"]);
    }
}

/// A workflow gives the same output as the run file of the same run.
fn workflow() {
    let all = Tensors::load(&vectors("K.safetensors"));
    let case = cases().into_iter().find(|case| id(case) == "K_dpmpp_2m_sde_sd15_karras_n6_seed42").expect("the run");
    let folder = folder(&all, &case);
    let nodes = json!({
        "1": { "class_type": "CheckpointLoaderSimple", "inputs": { "ckpt_name": "a.safetensors" } },
        "2": { "class_type": "KSampler", "inputs": { "seed": 42, "steps": 6, "cfg": 1.0, "sampler_name": "dpmpp_2m_sde",
            "scheduler": "karras", "denoise": 1.0, "model": ["1", 0] } },
    });
    folder.write("workflow.json", nodes.to_string().as_bytes());
    let of_run = folder.output(&format!("replay in.safetensors --run run.json --on cpu --out {OUT}")).values("output");
    let line = |more: &str| format!("replay in.safetensors --run workflow.json {more} --on cpu --out {OUT}");
    assert_eq!(folder.output(&line("--model sd15")).values("output"), of_run);
    folder.refuses(&line(""), &["a.safetensors"]);
    folder.refuses(&line("--model sd15 --node 1"), &["not a sampler node"]);
    // A model that only runs have.
    assert!(largest_difference(&folder.output(&line("--model lcm50")).values("sigmas"), &[0.0; 7]) > 0.0);
    let without = "replay in.safetensors --sampler ddim --steps 6 --model lcm50 --out out.safetensors";
    folder.refuses(without, &["only a run (--run FILE) has this model"]);
}

/// A sampler whose published method differs from ComfyUI's: the run file and the option select the published one.
fn published() {
    let all = Tensors::load(&vectors("K.safetensors"));
    let case = cases().into_iter().find(|case| case["config"]["sampler"] == "deis").expect("a run of deis");
    let folder = folder(&all, &case);
    let line = |more: &str| format!("replay in.safetensors --run run.json {more} --on cpu --out {OUT}");
    let comfyui = folder.output(&line("")).values("output");
    assert_eq!(folder.output(&line("--compat comfyui")).values("output"), comfyui);
    let by_option = folder.output(&line("--compat published")).values("output");
    assert!(largest_difference(&by_option, &comfyui) > 1e-6);
    let mut config = case["config"].clone();
    config["compat"] = "published".into();
    folder.write("run.json", config.to_string().as_bytes());
    assert_eq!(folder.output(&line("")).values("output"), by_option);
    folder
        .refuses(&line("--compat comfyui"), &["--compat comfyui contradicts the run file, whose compat is published"]);
}

/// A guider whose weights are those of a scale gives what the scale gives. Its rescale changes the result, on CPU and adapter alike.
fn guided(on: &str, bound: f64) {
    let all = Tensors::load(&vectors("K.safetensors"));
    let case = cases().into_iter().find(|case| id(case) == "K_dpmpp_2m_sd15_karras_n6_cfg7").expect("the run");
    let folder = folder(&all, &case);
    let line = format!("replay in.safetensors --run run.json {on} --out {OUT}");
    let by_scale = folder.output(&line);
    let mut config = case["config"].clone();
    config["guidance"] = json!({ "kind": "ClassifierFreeGuidance", "guidance_scale": 7.0 });
    folder.write("run.json", config.to_string().as_bytes());
    let by_kind = folder.output(&line);
    let size = by_scale.values("samples").iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for name in ["samples", "pred_x0", "output"] {
        assert!(largest_difference(&by_kind.values(name), &by_scale.values(name)) <= bound * size, "{name}");
    }
    config["guidance"]["guidance_rescale"] = 0.5.into();
    folder.write("run.json", config.to_string().as_bytes());
    let rescaled = folder.output(&line).values("output");
    assert!(largest_difference(&rescaled, &by_scale.values("output")) > 1e-3);
    let on_cpu = folder.output(&format!("replay in.safetensors --run run.json --on cpu --out {OUT}")).values("output");
    assert!(largest_difference(&rescaled, &on_cpu) <= bound * size);
    // An output that the guider needs and the file lacks is named. The guider's default window, 0.01 to 0.2, contains none of the six
    // steps, so it is widened.
    config["guidance"] = json!({ "kind": "PerturbedAttentionGuidance", "perturbed_guidance_stop": 1.0 });
    folder.write("run.json", config.to_string().as_bytes());
    folder.refuses(&line, &["third_outputs"]);
}

fn misfits() {
    let all = Tensors::load(&vectors("K.safetensors"));
    let case = cases().into_iter().find(|case| id(case) == "K_euler_ancestral_sd15_normal_n7").expect("the run");
    let folder = folder(&all, &case);
    let line = |more: &str| format!("replay in.safetensors --run run.json --on cpu --out {OUT} {more}");
    folder.refuses(&line("--sampler euler"), &["--sampler"]);
    folder.refuses(&line("--steps 5"), &["--steps"]);
    folder.refuses(&line("--schedule cosine"), &["--schedule"]);
    folder.refuses(&line("--model sd15"), &["contradicts the model of the run file"]);
    folder.refuses(&line("--node 3"), &["--node does not apply to a run file"]);
    let whole = tape(&all, &case);
    folder.refuses_input(
        &whole.clone().without("noises"),
        &line(""),
        &["noises", "at least 1 draws", "or none and a seed"],
    );
    folder.refuses_input(&whole.clone().without("noise"), &line(""), &["`noise`, `initial` or `latent_image`"]);
    folder.refuses_input(&whole.clone().without("call_output"), &line(""), &["model_outputs"]);
    whole.save(&folder.path("in.safetensors"));
    let config = case["config"].clone();
    let with = |key: &str, value: Value, words: &[&str]| {
        let mut changed = config.clone();
        changed[key] = value;
        folder.write("run.json", changed.to_string().as_bytes());
        folder.refuses(&line(""), words);
    };
    with("sampler", "eulr".into(), &["eulr"]);
    with("node", json!({ "SamplerLMS": { "order": 2 } }), &["node: expected SamplerEulerAncestral, found SamplerLMS"]);
    with("options", json!({ "r": 0.5 }), &["r does not apply to the euler_ancestral sampler"]);
    with("steps", 5.into(), &["expected 5 outputs"]);
    with("guidance", json!({ "kind": "magic" }), &["magic"]);
    with("gidance", 3.into(), &["gidance"]);
    with("compat", "a1111".into(), &["compat: expected comfyui or published"]);
    folder.write("run.json", config.to_string().as_bytes());
    folder.refuses(&line("--compat diffusers"), &["expected comfyui or published for a run"]);
    let plain = "replay in.safetensors --sampler ddim --steps 4 --compat comfyui --out out.safetensors";
    folder.refuses(plain, &["--compat comfyui is for runs alone (--run FILE)"]);
}

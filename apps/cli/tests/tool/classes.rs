//! Recorded runs of diffusers' classes, replayed whole: the arguments of `set_timesteps` and `step` are options or tensors.

use crate::models::assert_near;
use crate::support::{Folder, OUT, id, vectors};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;
use std::fs;

pub const TESTS: &[Test] = &[
    ("recorded_runs", Needs::Nothing, || recorded("--on cpu", 1.0)),
    ("recorded_runs_on_the_gpu", Needs::Adapter, || recorded("--on gpu", SINGLE)),
    ("where_a_flow_map_leads", Needs::Nothing, flow_map),
    ("angles", Needs::Nothing, angles),
    ("tokens_at_levels_of_their_own", Needs::Nothing, || tokens("--on cpu", 1.0)),
    ("tokens_on_the_gpu", Needs::Adapter, || tokens("--on gpu", SINGLE)),
    ("tokens_that_cannot_be", Needs::Nothing, tokens_that_cannot_be),
    ("arguments_that_cannot_act", Needs::Nothing, idle),
    ("classes_are_listed", Needs::Nothing, listed),
    ("a_class_by_name_has_its_defaults", Needs::Adapter, by_name),
];

/// The bound in f32, as a multiple of 1e-11. The samples of these runs stay below 10.
const SINGLE: f64 = 1e7;

/// The runs, by the beginnings of their names.
const RUNS: [&str; 9] = [
    "P_scm",
    "P_flow_lcm",
    "P_flow_map",
    "P_ltx_rf",
    "P_minimax_h3",
    "P_piflow",
    "P_flow_sigmas_and_timesteps",
    "P_edm_euler_ramp",
    "P_proteina",
];

fn cases() -> Vec<Value> {
    let text = fs::read_to_string(vectors("P.json")).expect("the cases");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let found: Vec<Value> = all.into_iter().filter(|case| RUNS.iter().any(|run| id(case).starts_with(run))).collect();
    for run in RUNS {
        assert!(found.iter().any(|case| id(case).starts_with(run)), "{run}");
    }
    found
}

/// The options for the arguments of `set_timesteps`.
fn arguments(set: &Value) -> String {
    let mut line = String::new();
    let numbers = |value: &Value| value.as_array().expect("a list").iter().map(Value::to_string).collect::<Vec<_>>();
    for (name, value) in set.as_object().expect("arguments") {
        let option = if name == "num_inference_steps" { "steps".to_owned() } else { name.replace('_', "-") };
        let value = match value {
            Value::Array(_) => numbers(value).join(","),
            Value::Null => "0".to_owned(),
            value => value.to_string(),
        };
        line += &format!(" --{option} {value}");
    }
    line
}

/// A folder with the tensors and the configuration of a run.
fn folder(case: &Value) -> Folder {
    let name = id(case).trim_start_matches("P_").to_owned();
    let all = Tensors::load(&vectors("P.safetensors"));
    let names = ["samples", "model_outputs", "noises", "emit_mask"].map(|tensor| (format!("{name}/{tensor}"), tensor));
    let folder = Folder::with(&all.renamed(&names.each_ref().map(|(long, short)| (long.as_str(), *short))));
    let mut config = case["config"]["kwargs"].clone();
    config["_class_name"] = case["source"].clone();
    folder.write("class.json", config.to_string().as_bytes());
    folder
}

fn recorded(on: &str, most: f64) {
    for case in cases() {
        let single = on == "--on gpu";
        if single && id(&case).starts_with("P_edm") {
            continue; // its first samples are above 100
        }
        let folder = folder(&case);
        let expected = Tensors::load(&folder.path("in.safetensors")).values("samples");
        let arguments = arguments(&case["config"]["set_timesteps"]);
        let line = "replay in.safetensors --config class.json --compat diffusers";
        let found = folder.noted_output(&format!("{line}{arguments} {on} --out {OUT}"));
        let tolerance = case["tolerance"].as_f64().expect("a tolerance");
        let bound = if single { most * 1e-11 } else { most * tolerance };
        assert_near(id(&case), &found.values("samples"), &expected, bound);
    }
}

fn flow_map() {
    let all = cases();
    let case = all.iter().find(|case| id(case).starts_with("P_flow_map")).expect("the case");
    let folder = folder(case);
    let found = folder.output(&format!("replay in.safetensors --config class.json --steps 4 --on cpu --out {OUT}"));
    let expected = Tensors::load(&vectors("P.safetensors")).values("flow_map_shift5_N4/next_timesteps");
    assert_near("next", &found.values("next_timesteps"), &expected, 1e-9);
    // Another sampler needs the velocity at its own level.
    let named = "replay in.safetensors --config class.json --sampler dpm++ --steps 4 --on cpu";
    let found = folder.output(&format!("{named} --out {OUT}"));
    assert_eq!(found.values("next_timesteps"), found.values("timesteps"));
}

fn angles() {
    let all = cases();
    let case = all.iter().find(|case| id(case).starts_with("P_scm_sana")).expect("the case");
    let folder = folder(case);
    let told = |arguments: &str| {
        let line = format!("replay in.safetensors --config class.json --compat diffusers {arguments} --on cpu");
        folder.output(&format!("{line} --out {OUT}")).values("timesteps")
    };
    assert_eq!(told("--steps 2 --max-timesteps 1.5 --intermediate-timesteps 1.1"), [1.5, 1.1]);
    assert_eq!(told("--steps 2 --max-timesteps 1.5 --intermediate-timesteps 0"), [1.5, 0.75]);
    assert_eq!(told("--steps 2 --timesteps 1.5,1.2,0"), [1.5, 1.2]);
    assert_eq!(told("--steps 2"), ["1.5708", "1.3"].map(|angle| angle.parse::<f64>().expect("an angle")));
}

/// The run of diffusers with a level for each token: its folder with these tensors, the tensors, and the tolerance.
fn of_tokens(names: &[&str]) -> (Folder, Tensors, f64) {
    let text = fs::read_to_string(vectors("P.json")).expect("the cases");
    let all: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let case = all.iter().find(|case| id(case) == "P_flow_per_token_N4").expect("the case");
    let long: Vec<String> = names.iter().map(|name| format!("flow_per_token_N4/{name}")).collect();
    let pairs: Vec<(&str, &str)> = long.iter().map(String::as_str).zip(names.iter().copied()).collect();
    let tensors = Tensors::load(&vectors("P.safetensors")).renamed(&pairs);
    assert_eq!(tensors.names().len(), names.len());
    let folder = folder(case);
    tensors.save(&folder.path("in.safetensors"));
    (folder, tensors, case["tolerance"].as_f64().expect("a tolerance"))
}

const TOKENS: &str = "replay in.safetensors --config class.json --compat diffusers --sigmas 1,0.75,0.5,0.25";

/// From the timesteps of the tokens, and from the conditioning that implies them; with the tokens on the first axis of a sample, and
/// on the last.
fn tokens(on: &str, most: f64) {
    let told = ["samples", "model_outputs", "token_timesteps", "moves"];
    let (folder, tensors, tolerance) = of_tokens(&told);
    let expected = tensors.values("samples");
    let bound = if on == "--on gpu" { most * 1e-11 } else { most * tolerance };
    let line = format!("{TOKENS} {on} --out {OUT}");
    let found = folder.noted_output(&line);
    assert_near("told", &found.values("samples"), &expected, bound);
    assert_eq!(found.tensor("samples").shape, [5, 2, 5, 3]);
    assert_eq!(found.values("timesteps"), [1000.0, 750.0, 500.0, 250.0]);

    let (folder, tensors, _) = of_tokens(&["samples", "model_outputs", "conditioning"]);
    assert_near("conditioned", &folder.noted_output(&line).values("samples"), &expected, bound);

    // [batch, tokens, channels] as [batch, channels, tokens]: the layout does not change the result of a token.
    let swapped = |values: &[f64]| -> Vec<f64> {
        let sample = |sample: &[f64]| (0..15).map(|i| sample[i % 5 * 3 + i / 5]).collect::<Vec<_>>();
        values.chunks(15).flat_map(sample).collect()
    };
    let conditioning = tensors.values("conditioning");
    let turned = Tensors::default()
        .with("initial", Dtype::F64, &[2, 3, 5], &swapped(&expected[..30]))
        .with("model_outputs", Dtype::F64, &[4, 2, 3, 5], &swapped(&tensors.values("model_outputs")))
        .with("conditioning", Dtype::F64, &[2, 1, 5], &conditioning);
    turned.save(&folder.path("in.safetensors"));
    assert_near("turned", &folder.noted_output(&line).values("samples"), &swapped(&expected), bound);
}

fn tokens_that_cannot_be() {
    let told = ["samples", "model_outputs", "token_timesteps", "moves"];
    let (folder, tensors, _) = of_tokens(&told);
    let line = format!("{TOKENS} --on cpu --out {OUT}");
    let zeros = |shape: &[usize]| (shape.to_vec(), vec![0.0; shape.iter().product()]);
    let with = |name: &str, (shape, values): (Vec<usize>, Vec<f64>)| {
        let rest = if tensors.names().contains(&name) { tensors.clone().without(name) } else { tensors.clone() };
        rest.with(name, Dtype::F64, &shape, &values)
    };
    folder.refuses_input(
        &with("token_timesteps", zeros(&[4, 2, 4])),
        &line,
        &["token_timesteps", "[4, 2, 5]", "[4, 2, 4]"],
    );
    folder.refuses_input(&with("moves", zeros(&[4, 2])), &line, &["moves", "[4, 2, 5]"]);
    let beyond = (vec![4, 2, 5], vec![1001.0; 40]);
    folder.refuses_input(&with("token_timesteps", beyond), &line, &["in.safetensors", "token_timesteps", "1.001"]);
    let known = (vec![2, 5], vec![1.5; 10]);
    let conditioned = with("conditioning", known).without("token_timesteps");
    folder.refuses_input(&conditioned, &line, &["conditioning", "0..=1"]);
    tensors.save(&folder.path("in.safetensors"));
    let line = "replay in.safetensors --config class.json --sampler dpm++ --steps 4 --on cpu --out out.safetensors";
    folder.refuses(line, &["token_timesteps", "Euler's method on a flow"]);
}

fn idle() {
    let all = cases();
    let scm = all.iter().find(|case| id(case).starts_with("P_scm_sana")).expect("the case");
    let line = "replay in.safetensors --config class.json --on cpu --out out.safetensors";
    let refuses = |case: &Value, rest: &str, words: &[&str]| folder(case).refuses(&format!("{line} {rest}"), words);
    refuses(scm, "--steps 4 --intermediate-timesteps 1.1", &["intermediate", "2 steps"]);
    refuses(scm, "--timesteps 1.5,1.2 --max-timesteps 1.5", &["max", "timesteps"]);
    refuses(scm, "--steps 2 --stage-index 1", &["stage"]);
    let both = all.iter().find(|case| id(case).starts_with("P_flow_sigmas_and")).expect("the case");
    refuses(both, "--sigmas 1,0.8,0.5,0.2 --timesteps 1000,900,600,300", &["--sigmas", "--timesteps"]);
    refuses(both, "--compat diffusers --steps 5 --sigmas 1,0.8,0.5,0.2", &["steps", "4"]);
    let pi_flow = all.iter().find(|case| id(case).starts_with("P_piflow")).expect("the case");
    folder(pi_flow)
        .refuses(&line.replace("--config class.json", "--sampler pi-flow --steps 2 --n-grid 3"), &["slices"]);
}

/// Every class has a known sampler; some of its defaults are those of diffusers 0.42.1, also where another option enables them.
fn listed() {
    let folder = Folder::new();
    let classes = folder.objects("list classes --json").remove(0);
    let classes = classes.as_array().expect("an array");
    let samplers = folder.objects("list samplers --json").remove(0);
    let names: Vec<&Value> = samplers.as_array().expect("an array").iter().map(|sampler| &sampler["name"]).collect();
    // One class has a default that is refused.
    let known = |class: &Value| names.contains(&&class["sampler"]) || class["name"] == "RFD4ProteinaScheduler";
    let strange: Vec<&Value> = classes.iter().filter(|class| !known(class)).map(|class| &class["name"]).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let class = |name: &str| classes.iter().find(|class| class["name"] == name).expect(name);
    let find = |class: &Value, list: &str, name: &str| {
        let found = class[list].as_array().expect("a list").iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("{name} of {class}")).clone()
    };
    let ddim = class("DDIMScheduler");
    assert_eq!(ddim["sampler"], "ddim");
    assert_eq!(find(ddim, "parameters", "num_train_timesteps")["default"], 1000.0);
    assert_eq!(find(ddim, "parameters", "beta_end")["default"], 0.02);
    assert_eq!(find(ddim, "parameters", "clip_sample")["default"], 1);
    assert_eq!(find(ddim, "choices", "timestep_spacing")["default"], "leading");
    assert!(find(ddim, "choices", "beta_schedule")["words"].as_array().is_some_and(|it| it.contains(&"linear".into())));
    assert!(ddim["lists"].as_array().is_some_and(|it| it.contains(&"trained_betas".into())));
    let dpm = class("DPMSolverMultistepScheduler");
    assert_eq!(find(dpm, "parameters", "solver_order")["default"], 2.0);
    // Only with use_flow_sigmas.
    assert_eq!(find(dpm, "parameters", "flow_shift")["default"], 1.0);
    let text = folder.run("list classes").stdout;
    assert!(text.contains("FlowMatchEulerDiscreteScheduler") && text.contains("shift = 1"), "{text}");
}

fn by_name() {
    let folder = Folder::new();
    fs::write(folder.path("ddim.json"), r#"{"_class_name": "DDIMScheduler"}"#).expect("a file");
    let rows = |config: &str| folder.objects(&format!("sample --config {config} --size 16 --count 1 --json")).remove(0);
    let strip = |mut row: Value| {
        row["ms"] = Value::Null;
        row
    };
    assert_eq!(strip(rows("DDIMScheduler")), strip(rows("ddim.json")));
    folder.refuses(
        "sample --config NoSuchScheduler",
        &["NoSuchScheduler: expected a scheduler_config.json, or a class", "found no such file"],
    );
}

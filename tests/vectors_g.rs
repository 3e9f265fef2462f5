//! Group G: the guiders of diffusers, and formulas of other programs, in f64.

use crate::support::{Vectors, id};
use serde_json::{Value, json};
use tweedie::math::guidance::{GuidanceLoop, Guider, GuiderCall, Predictions};

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/G.json")).unwrap()
}

fn tensor(file: &Vectors, case: &Value, name: &str) -> Vec<f64> {
    match case["tensors"][name].is_null() {
        true => Vec::new(),
        false => file.numbers(&format!("{}/{name}", id(case).trim_start_matches("G_"))),
    }
}

fn shape(case: &Value, name: &str) -> Vec<usize> {
    case["tensors"][name].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect()
}

/// The kinds and options of the formulas, with the tensor that each computes.
fn formulas(config: &Value) -> Vec<(&'static str, Value)> {
    let (scale, axis) = (&config["scale"], &config["norm_axis"]);
    let image = json!({"kind": "image_cfg", "text_scale": config["text_scale"], "image_scale": config["image_scale"]});
    let norm = |kind: &str| json!({"kind": kind, "scale": scale, "norm_axis": axis, "strength": config["strength"]});
    let perp = |kind: &str| json!({"kind": kind, "scale": scale, "neg_scale": config["neg_scale"]});
    let apg = json!({"kind": "apg_comfy", "scale": scale, "norm_threshold": config["norm_threshold"],
        "eta": config["eta"]});
    let of = |kind: &str| json!({"kind": kind, "scale": scale});
    vec![
        ("image_cfg", image),
        ("cfg_norm", norm("cfg_norm")),
        ("cfg_norm_clamped", norm("cfg_norm_clamped")),
        ("perp_neg", perp("perp_neg")),
        ("perp_neg_batch", perp("perp_neg_batch")),
        ("mahiro_per_sample", of("mahiro_per_sample")),
        ("mahiro_batch", of("mahiro_batch")),
        ("apg_comfy", apg),
        ("zero_star_comfy", of("zero_star_comfy")),
    ]
}

/// The tensors that a case records, each with the `guidance` of a run file that computes it.
fn recorded(case: &Value) -> Vec<(String, Value)> {
    let (config, class) = (&case["config"], &case["source"]);
    let named = |options: &Value| {
        let mut guidance = options.clone();
        guidance["kind"] = class.clone();
        guidance
    };
    match &config["options"] {
        Value::Array(list) => {
            list.iter().enumerate().map(|(i, options)| (format!("out_{i}"), named(options))).collect()
        }
        Value::Null => formulas(config).into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
        options => vec![("out".to_owned(), named(options))],
    }
}

/// The calls of a case: those of a run, or one that is no part of any.
fn calls(case: &Value, guider: &Guider) -> Vec<GuiderCall> {
    match case["config"]["steps"].as_u64() {
        Some(steps) => guider.calls(steps as usize).unwrap().collect(),
        None => vec![guider.alone(None).unwrap()],
    }
}

/// The guided predictions of all calls, and the momentum after each.
fn guided(file: &Vectors, case: &Value, calls: &[GuiderCall]) -> [Vec<f64>; 2] {
    let mut sample = shape(case, "pred_cond");
    if !case["config"]["steps"].is_null() {
        sample.remove(0);
    }
    let elements: usize = sample.iter().product();
    let of = |name: &str| tensor(file, case, name);
    let [c, u, third, fourth] = ["pred_cond", "pred_uncond", "pred_third", "pred_fourth"].map(of);
    let part = |all: &[f64], k: usize| all.get(k * elements..(k + 1) * elements).unwrap_or_default().to_vec();
    let mut guidance = GuidanceLoop::new(&sample).unwrap();
    let [mut results, mut momentum] = [const { Vec::new() }; 2];
    for (k, call) in calls.iter().enumerate() {
        let [conditional, unconditional, third, fourth] = [&c, &u, &third, &fourth].map(|all| part(all, k));
        let predictions =
            Predictions { conditional: &conditional, unconditional: &unconditional, third: &third, fourth: &fourth };
        results.extend(guidance.call(call, predictions).unwrap());
        momentum.extend(guidance.momentum());
    }
    [results, momentum]
}

fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    apart.map(|apart| if apart.is_nan() { f64::INFINITY } else { apart }).fold(0.0, f64::max)
}

fn tolerance(case: &Value) -> f64 {
    case["tolerance"].as_f64().unwrap()
}

fn read(guidance: &Value) -> Guider {
    Guider::from_json(guidance, false).unwrap()
}

#[test]
fn every_result() {
    let file = Vectors::load("G");
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases() {
        for (name, guidance) in recorded(&case) {
            let [found, _] = guided(&file, &case, &calls(&case, &read(&guidance)));
            let apart = deviation(&found, &tensor(&file, &case, &name));
            if apart > tolerance(&case) {
                wrong.push(format!("{}/{name}: {apart:e} {guidance}", id(&case)));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!((cases().len(), count), (17, 45));
}

/// Each result notices a scale that is a thousandth wrong.
#[test]
fn a_wrong_scale_fails() {
    let file = Vectors::load("G");
    for case in cases() {
        for (name, guidance) in recorded(&case) {
            let mut guider = read(&guidance);
            guider.scale += 0.001 * guider.scale.abs().max(1.0);
            let [found, _] = guided(&file, &case, &calls(&case, &guider));
            assert!(deviation(&found, &tensor(&file, &case, &name)) > 1e3 * tolerance(&case), "{}/{name}", id(&case));
        }
    }
}

/// Options that act in some case.
const OPTIONS: &[&str] = &[
    "guidance_rescale",
    "eta",
    "rescale",
    "adaptive_projected_guidance_momentum",
    "adaptive_projected_guidance_rescale",
    "adaptive_projected_guidance_scale",
    "adaptive_projected_guidance_start_step",
    "alpha",
    "zero_init_steps",
    "stop",
    "start",
    "skip_layer_guidance_scale",
    "skip_layer_guidance_stop",
    "perturbed_guidance_scale",
    "stg_scale",
    "modality_scale",
    "image_scale",
    "neg_scale",
    "strength",
    "norm_threshold",
    "use_original_formulation",
];

/// Each option that a case names matters to its result.
#[test]
fn a_wrong_option_fails() {
    let file = Vectors::load("G");
    let all = cases();
    for option in OPTIONS {
        let acts = |case: &Value| {
            recorded(case).into_iter().any(|(name, mut guidance)| {
                let other = match &guidance[*option] {
                    Value::Null => return false,
                    Value::Bool(on) => json!(!on),
                    number if number.is_u64() && option.contains("step") => json!(number.as_u64().unwrap() + 1),
                    number => {
                        json!(number.as_f64().unwrap() * 0.5 + if *option == "start" { 0.25 } else { 0.0 } + 0.01)
                    }
                };
                guidance[*option] = other;
                let [found, _] = guided(&file, case, &calls(case, &read(&guidance)));
                deviation(&found, &tensor(&file, case, &name)) > 1e3 * tolerance(case)
            })
        };
        assert!(all.iter().any(acts), "{option}");
    }
}

#[test]
fn what_each_call_asks_for() {
    let file = Vectors::load("G");
    for case in cases().iter().filter(|case| case["config"]["options"].is_object()) {
        let calls = calls(case, &read(&recorded(case)[0].1));
        let numbers = tensor(&file, case, "num_conditions");
        let found: Vec<f64> = calls.iter().map(|call| call.predictions() as f64).collect();
        assert!(numbers.is_empty() || found == numbers, "{}: {found:?}, expected {numbers:?}", id(case));
        let active = tensor(&file, case, "active");
        let found: Vec<f64> = calls.iter().flat_map(|call| [call.asks[0], call.asks[1]].map(f64::from)).collect();
        assert!(active.is_empty() || found == active, "{}: {found:?}, expected {active:?}", id(case));
    }
}

#[test]
fn momentum_is_kept_as_it_is_before_it_is_shortened() {
    let file = Vectors::load("G");
    let mut seen = 0;
    for case in cases().iter().filter(|case| !case["tensors"]["momentum"].is_null()) {
        let [_, found] = guided(&file, case, &calls(case, &read(&recorded(case)[0].1)));
        assert!(deviation(&found, &tensor(&file, case, "momentum")) <= tolerance(case), "{}", id(case));
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// The first steps of CFG-Zero* are zeros, also where they are to be rescaled.
#[test]
fn zeros_first() {
    let file = Vectors::load("G");
    let all = cases();
    let case = all.iter().find(|case| id(case) == "G_zero_star_4d").unwrap();
    for (_, guidance) in recorded(case) {
        let [found, _] = guided(&file, case, &[read(&guidance).alone(Some(0)).unwrap()]);
        assert_eq!(found, tensor(&file, case, "out_first"));
    }
}

/// A result is that of the sample alone, but for the two that follow ComfyUI.
#[test]
fn a_sample_does_not_know_its_batch() {
    let file = Vectors::load("G");
    let all = cases();
    let case = all.iter().find(|case| id(case) == "G_formulas_4d").unwrap();
    let tensors = ["pred_cond", "pred_uncond", "pred_third", "pred_fourth"].map(|name| tensor(&file, case, name));
    let shape = shape(case, "pred_cond");
    let sample: usize = shape[1..].iter().product();
    for entry in Guider::CATALOGUE.entries {
        let call = entry.build(&[]).unwrap().alone(None).unwrap();
        let run = |shape: &[usize], range: std::ops::Range<usize>| {
            let [conditional, unconditional, third, fourth] = [0, 1, 2, 3].map(|i| &tensors[i][range.clone()]);
            let predictions = Predictions { conditional, unconditional, third, fourth };
            GuidanceLoop::new(shape).unwrap().call(&call, predictions).unwrap()
        };
        let together = run(&shape, 0..3 * sample);
        let alone = run(&[&[1], &shape[1..]].concat(), sample..2 * sample);
        let of_batch = entry.name.ends_with("-batch");
        assert_eq!(together[sample..2 * sample] != alone[..], of_batch, "{}", entry.name);
    }
}

#[test]
fn predictions_that_do_not_fit_are_named() {
    let call = Guider::linear(3.0).alone(None).unwrap();
    let mut guidance = GuidanceLoop::new(&[2, 2]).unwrap();
    let mut refusal = |predictions| guidance.call(&call, predictions).unwrap_err().to_string();
    assert_eq!(refusal(Predictions::of(&[0.0; 3])), "expected 4 elements of pred_cond, found 3");
    assert_eq!(refusal(Predictions::of(&[0.0; 4])), "expected pred_uncond: the guidance of call 0 needs it");
    let short = Predictions { unconditional: &[0.0; 5], ..Predictions::of(&[0.0; 4]) };
    assert_eq!(refusal(short), "expected 4 elements of pred_uncond, found 5");
    assert!(
        GuidanceLoop::new(&[usize::MAX, 3]).is_err()
            && GuidanceLoop::new(&[]).is_err()
            && GuidanceLoop::new(&[0]).is_err()
    );
    let norm = Guider::CATALOGUE.find("cfg-norm").unwrap().build(&[("norm_axis", 2.0)]).unwrap();
    let both = Predictions { unconditional: &[0.5; 4], ..Predictions::of(&[0.0; 4]) };
    let error = guidance.call(&norm.alone(None).unwrap(), both).unwrap_err().to_string();
    assert!(error.ends_with("other than the first, which is the batch, found 2"), "{error}");
    let listed = Guider { scales: Some(vec![1.0, 2.0]), ..Guider::linear(1.0) };
    assert!(listed.calls(3).is_err() && listed.calls(2).is_ok() && listed.alone(None).is_err());
}

//! Group G: the guiders of diffusers, and formulas of other programs, in f64.

use crate::support::{Vectors, id, largest};
use serde_json::{Value, json};
use tweedie::error::GuidanceError;
use tweedie::math::guidance::{FrequencyLevel, GuidanceLoop, Guider, GuiderCall, Method, Predictions};

/// The cases of each file.
const FILES: [(&str, &str); 2] = [
    ("G", include_str!("vectors/G.json")),
    // Frequency-decoupled guidance, whose pyramids are kornia's.
    ("G_fdg_levels", include_str!("vectors/G_fdg_levels.json")),
];

fn cases() -> Vec<Value> {
    FILES.iter().flat_map(|(_, text)| -> Vec<Value> { serde_json::from_str(text).unwrap() }).collect()
}

/// The tensors of all files.
fn tensors() -> [Vectors; 2] {
    FILES.map(|(name, _)| Vectors::load(name))
}

fn tensor([common, levels]: &[Vectors; 2], case: &Value, name: &str) -> Vec<f64> {
    let file = if id(case).starts_with("G_fdg_") { levels } else { common };
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

/// The calls of a case: those of a run, or a single call outside of any run.
fn calls(case: &Value, guider: &Guider) -> Vec<GuiderCall> {
    match case["config"]["steps"].as_u64() {
        Some(steps) => guider.calls(steps as usize).unwrap().collect(),
        None => vec![guider.alone(None).unwrap()],
    }
}

/// The guided predictions of all calls, and the momentum after each.
fn guided(file: &[Vectors; 2], case: &Value, calls: &[GuiderCall]) -> [Vec<f64>; 2] {
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
    largest(found.iter().zip(expected).map(|(a, b)| (a - b).abs()))
}

fn tolerance(case: &Value) -> f64 {
    case["tolerance"].as_f64().unwrap()
}

fn read(guidance: &Value) -> Guider {
    Guider::from_json(guidance, false).unwrap()
}

#[test]
fn every_result() {
    let file = tensors();
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
    assert_eq!((cases().len(), count), (25, 67));
}

/// Each result notices a scale that is a thousandth wrong.
#[test]
fn a_wrong_scale_fails() {
    let file = tensors();
    for case in cases() {
        for (name, guidance) in recorded(&case) {
            let mut guider = read(&guidance);
            let off = |scale: f64| scale + 0.001 * scale.abs().max(1.0);
            guider.scale = off(guider.scale);
            if let Method::Frequencies { levels } = &mut guider.method {
                levels.iter_mut().for_each(|level| level.scale = off(level.scale));
            }
            let [found, _] = guided(&file, &case, &calls(&case, &guider));
            assert!(deviation(&found, &tensor(&file, &case, &name)) > 1e3 * tolerance(&case), "{}/{name}", id(&case));
        }
    }
}

/// Options that change the result of some case.
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

/// Each of these options matters to the result of at least one case.
#[test]
fn a_wrong_option_fails() {
    let file = tensors();
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

/// Each scale of each level matters, and so do its other numbers where the scale guides: one that is a hundredth wrong is noticed.
#[test]
fn a_wrong_level_fails() {
    let file = tensors();
    let all = cases();
    let mut least = f64::INFINITY;
    for case in all.iter().filter(|case| id(case).starts_with("G_fdg_")) {
        for (name, guidance) in recorded(case) {
            let guider = read(&guidance);
            let apart = |guider: &Guider| {
                let [found, _] = guided(&file, case, &calls(case, guider));
                deviation(&found, &tensor(&file, case, &name))
            };
            let Method::Frequencies { levels } = &guider.method else { panic!("{guidance}") };
            let neutral = if guider.original { 0.0 } else { 1.0 };
            for (k, level) in levels.iter().enumerate() {
                let FrequencyLevel { scale, parallel, rescale, .. } = *level;
                let mut wrong = vec![FrequencyLevel { scale: scale + 0.01 * scale.max(1.0), ..*level }];
                if scale != neutral {
                    wrong.push(FrequencyLevel { parallel: parallel + 0.01, ..*level });
                    wrong.push(FrequencyLevel { rescale: (rescale - 0.01).abs(), ..*level });
                }
                for level in wrong {
                    let mut levels = levels.clone();
                    levels[k] = level;
                    let wrong = Guider { method: Method::Frequencies { levels }, ..guider.clone() };
                    least = least.min(apart(&wrong) / tolerance(case));
                }
            }
        }
    }
    println!("the least deviation of a wrong number is {least:.1e} tolerances");
    assert!(least > 1e3);
}

/// Predictions whose shape does not allow a guider's pyramid are refused, with the levels and the shape in the error.
#[test]
fn predictions_without_the_levels_are_named() {
    let call = |levels: usize| {
        let guidance = json!({"kind": "fdg", "guidance_scales": vec![3.0; levels]});
        read(&guidance).alone(None).unwrap()
    };
    let run = |levels: usize, shape: &[usize]| {
        let values = vec![0.5; shape.iter().product()];
        let predictions = Predictions { unconditional: &values, ..Predictions::of(&values) };
        GuidanceLoop::new(shape).unwrap().call(&call(levels), predictions)
    };
    let refused = [
        (2, &[2, 4][..]),
        (2, &[16]),
        (1, &[1, 4, 4]),
        (2, &[1, 1, 4, 4, 4]),
        (2, &[1, 1, 2, 8]),
        (2, &[1, 1, 8, 1]),
        (3, &[2, 3, 4, 64]),
        (8, &[1, 1, 128, 128]),
    ];
    for (levels, found) in refused {
        let expected = GuidanceError::Pyramid { levels, found: found.to_vec() };
        assert_eq!(run(levels, found), Err(expected));
    }
    for shape in [[1, 2, 1, 1], [1, 1, 3, 5], [2, 1, 1, 3]] {
        assert!(run(1, &shape).is_ok(), "{shape:?}");
    }
    assert!(run(2, &[1, 1, 3, 3]).is_ok() && run(3, &[1, 1, 8, 5]).is_ok() && run(8, &[1, 1, 256, 256]).is_ok());
    let text = run(3, &[2, 3, 4, 64]).unwrap_err().to_string();
    assert!(text.contains("all but the last of 3 levels") && text.ends_with("found [2, 3, 4, 64]"), "{text}");
    // Without guidance there is no pyramid.
    let off = read(&json!({"kind": "fdg", "enabled": false})).alone(None).unwrap();
    assert_eq!(GuidanceLoop::new(&[2]).unwrap().call(&off, Predictions::of(&[1.0, 2.0])), Ok(vec![1.0, 2.0]));
    // A guider that is built by hand can hold any number of levels, and is refused when its calls are made.
    for count in [0, 9] {
        let levels = vec![FrequencyLevel::new(2.0); count];
        let guider = Guider { method: Method::Frequencies { levels }, ..Guider::linear(1.0) };
        assert_eq!(guider.alone(None), Err(GuidanceError::Levels { most: 8, found: count }));
        assert!(guider.calls(3).is_err() && guider.call(0, 3).is_err());
    }
}

#[test]
fn what_each_call_asks_for() {
    let file = tensors();
    let mut seen = 0;
    for case in cases().iter().filter(|case| case["config"]["options"].is_object()) {
        let calls = calls(case, &read(&recorded(case)[0].1));
        let numbers = tensor(&file, case, "num_conditions");
        let found: Vec<f64> = calls.iter().map(|call| call.predictions() as f64).collect();
        assert!(numbers.is_empty() || found == numbers, "{}: {found:?}, expected {numbers:?}", id(case));
        let active = tensor(&file, case, "active");
        let found: Vec<f64> = calls.iter().flat_map(|call| [call.asks[0], call.asks[1]].map(f64::from)).collect();
        assert!(active.is_empty() || found == active, "{}: {found:?}, expected {active:?}", id(case));
        seen += usize::from(!numbers.is_empty() || !active.is_empty());
    }
    assert_eq!(seen, 6);
}

#[test]
fn momentum_is_kept_as_it_is_before_it_is_shortened() {
    let file = tensors();
    let mut seen = 0;
    for case in cases().iter().filter(|case| !case["tensors"]["momentum"].is_null()) {
        let [_, found] = guided(&file, case, &calls(case, &read(&recorded(case)[0].1)));
        assert!(deviation(&found, &tensor(&file, case, "momentum")) <= tolerance(case), "{}", id(case));
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// The first steps of CFG-Zero* are zeros, even with a rescale.
#[test]
fn zeros_first() {
    let file = tensors();
    let all = cases();
    let case = all.iter().find(|case| id(case) == "G_zero_star_4d").unwrap();
    for (_, guidance) in recorded(case) {
        let [found, _] = guided(&file, case, &[read(&guidance).alone(Some(0)).unwrap()]);
        assert_eq!(found, tensor(&file, case, "out_first"));
    }
}

/// A sample's result does not depend on the rest of its batch, except with the guiders of a whole batch, which follow ComfyUI.
#[test]
fn a_sample_does_not_know_its_batch() {
    let file = tensors();
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
    assert!(error.ends_with("but not the first, which is the batch; found 2"), "{error}");
    let listed = Guider { scales: Some(vec![1.0, 2.0]), ..Guider::linear(1.0) };
    assert!(listed.calls(3).is_err() && listed.calls(2).is_ok() && listed.alone(None).is_err());
}

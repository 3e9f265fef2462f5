//! Run files: what they can say, and what is refused.

use serde_json::{Value, json};
use tweedie::math::run::{GridRule, Run, RunModel};

fn read(value: &Value) -> Run {
    Run::from_json(&value.to_string()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn fault(value: &Value) -> String {
    Run::from_json(&value.to_string()).expect_err("a fault").to_string()
}

/// Reads a file, which may be refused, and places its sigmas: they are finite and not negative, and the run is written as it was
/// read.
fn survives(value: &Value) {
    let Ok(run) = Run::from_json(&value.to_string()) else { return };
    if let Ok(sigmas) = run.sigmas() {
        assert!(sigmas.iter().all(|sigma| sigma.is_finite() && *sigma >= 0.0), "{value}: {sigmas:?}");
    }
    let _ = run.timesteps();
    assert_eq!(Run::from_json(&run.to_json()), Ok(run), "{value}");
}

/// A run with every key but `sigmas` and `strength`, which contradict others.
fn whole() -> Value {
    json!({
        "version": 1,
        "model": { "name": "mine", "base": "ModelSamplingDiscreteFlow", "parameterisation": "CONST",
            "settings": { "shift": 3.5, "noise_scale": 2 } },
        "sampler": "er_sde",
        "node": { "SamplerER_SDE": { "solver_type": "ODE", "max_stage": 2, "eta": 0.5 } },
        "scheduler": { "node": "BasicScheduler", "inputs": { "scheduler": "beta57", "steps": 9, "denoise": 0.5 } },
        "steps": 9, "denoise": 0.5, "start_step": 1, "last_step": 6,
        "force_full_denoise": true, "add_noise": false, "flip_sigmas": true, "float32": true,
        "options": { "eta": 0.5, "solver_type": "heun", "use": true },
        "guidance": { "kind": "apg", "guidance_scale": [1, 2.5] },
        "differential_diffusion_strength": 0.5, "seed": u64::MAX, "compat": "published",
    })
}

#[test]
fn every_key_is_written_as_it_is_read() {
    let run = read(&whole());
    assert_eq!(Run::from_json(&run.to_json()), Ok(run.clone()));
    assert_eq!((run.seed, run.sigmas().map(|sigmas| sigmas.len())), (Some(u64::MAX), Ok(6)));
    for entry in RunModel::CATALOGUE.entries {
        let run = read(&json!({ "model": entry.name }));
        assert_eq!(Run::from_json(&run.to_json()), Ok(run), "{}", entry.name);
    }
}

/// diffusers' `get_timesteps` of image to image: `t_start = n - min(int(n*strength), n)`.
#[test]
fn strength_takes_the_last_steps_of_the_grid() {
    let of = |more: Value| {
        let mut run = json!({ "model": "sd15", "scheduler": "karras", "steps": 10 });
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&run)
    };
    let whole = of(json!({})).sigmas().unwrap();
    for (strength, steps) in [(0.75, 7), (1.0, 10), (0.05, 0), (0.0, 0), (0.3, 3)] {
        let run = of(json!({ "strength": strength }));
        let expected = if steps == 0 { &[][..] } else { &whole[10 - steps..] };
        assert_eq!(run.sigmas().unwrap(), expected, "{strength}");
        assert_eq!(Run::from_json(&run.to_json()), Ok(run));
    }
    assert_ne!(of(json!({ "denoise": 0.7 })).sigmas().unwrap(), &whole[3..]);
    let refused = |more: Value| of(more).sigmas().unwrap_err().to_string();
    assert_eq!(refused(json!({ "strength": 0.5, "start_step": 2 })), "strength cannot be combined with start_step");
    assert_eq!(refused(json!({ "strength": 0.5, "denoise": 0.5 })), "strength cannot be combined with denoise");
    assert!(refused(json!({ "strength": 1.5 })).contains("strength must be between 0 and 1, found 1.5"));
}

#[test]
fn faults_name_the_key() {
    let unknown = fault(&json!({ "schedule": "karras" }));
    assert!(unknown.starts_with("a run has no key `schedule`; it has version, model, sampler, node"), "{unknown}");
    let cases = [
        (json!({ "steps": "20" }), "steps: expected a whole number, at least 0, found \"20\""),
        (json!({ "steps": 1.5 }), "steps: expected a whole number, at least 0, found 1.5"),
        (json!({ "add_noise": "enable" }), "add_noise: expected true or false, found \"enable\""),
        (json!({ "sigmas": "karras" }), "sigmas: expected a list of numbers, found \"karras\""),
        (json!({ "compat": "a1111" }), "compat: expected comfyui or published, found \"a1111\""),
        (json!({ "guidance": "high" }), "guidance: expected a scale, or {kind, ..}, found \"high\""),
        (json!({ "scheduler": { "node": "x", "input": {} } }), "a node has no key `input`; it has node, inputs"),
        (
            json!({ "model": { "base": "ModelSamplingFlux" } }),
            "model: expected a name, or {base, parameterisation, settings}",
        ),
        (
            json!({ "model": { "base": "ModelSamplingDiscrete", "parameterisation": "CONST" } }),
            "model: the parameterisation CONST needs sigmas of at most 1, which ModelSamplingDiscrete does not have",
        ),
    ];
    for (value, message) in cases {
        assert!(fault(&value).starts_with(message), "{}", fault(&value));
    }
}

#[test]
fn options_that_cannot_act_are_refused() {
    let fault = |value: Value| read(&value).sigmas().expect_err("a fault").to_string();
    let list = json!({ "sigmas": [2, 1, 0], "denoise": 0.5 });
    assert_eq!(fault(list), "denoise cannot be combined with a list of sigmas");
    let node = json!({ "scheduler": { "node": "KarrasScheduler", "inputs": { "steps": 4 } }, "denoise": 0.5 });
    assert_eq!(fault(node), "denoise cannot be combined with karras-scheduler");
    let steps = json!({ "scheduler": { "node": "KarrasScheduler", "inputs": { "steps": 4 } }, "steps": 5 });
    assert_eq!(fault(steps), "steps of karras-scheduler: expected 5 as in the run, found 4");
    let free = json!({ "scheduler": "karras", "steps": 5 });
    assert_eq!(fault(free), "expected a model: this grid takes its sigmas from one");
}

#[test]
fn no_value_of_a_key_panics() {
    let values = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(1e-320),
        json!(1e308),
        json!(u64::MAX),
        json!(true),
        json!(""),
        json!("simple"),
        json!("dpm_2"),
        json!([]),
        json!([1e308, 0]),
        json!({}),
        json!({ "node": "FlipSigmas", "inputs": { "sigmas": [] } }),
    ];
    let plain = json!({ "model": "flow3", "scheduler": "normal", "steps": 3 });
    let drops =
        json!({ "model": "lcm50", "scheduler": "ddim_uniform", "steps": 3, "sampler": "uni_pc", "denoise": 0.5 });
    for base in [plain, drops, whole()] {
        for key in whole().as_object().unwrap().keys().chain([&"sigmas".to_owned()]) {
            for value in &values {
                let mut run = base.clone();
                run[key] = value.clone();
                survives(&run);
            }
        }
    }
}

#[test]
fn no_input_of_a_grid_panics() {
    let numbers = [f64::MIN_POSITIVE, -1.0, 0.0, 0.5, 1.0, 2.0, 1e6, 1e308];
    for grid in GridRule::CATALOGUE.entries {
        for parameter in grid.parameters {
            let most = if parameter.name == "steps" { 1000.0 } else { parameter.max };
            for number in numbers.into_iter().chain([parameter.min, most]) {
                let mut inputs = json!({ parameter.name: number, "sigmas": "3, 2 1 0" });
                for choice in grid.make.choices {
                    inputs[choice.name] = json!(choice.words[0]);
                }
                if !grid.make.changes_sigmas {
                    inputs.as_object_mut().unwrap().remove("sigmas");
                }
                let node = json!({ "node": grid.name, "inputs": inputs });
                survives(&json!({ "model": "svd", "scheduler": node.clone() }));
                survives(&json!({ "model": "sd15", "scheduler": node, "steps": 2, "float32": true }));
            }
        }
    }
}

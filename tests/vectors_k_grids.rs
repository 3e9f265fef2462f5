//! Group K, grids: the sigmas of ComfyUI's schedulers, windows and nodes, and its models, in f64 and as it computes them in
//! f32.

use crate::support::{Vectors, id, largest};
use serde_json::{Value, json};
use tweedie::math::catalog::Entry;
use tweedie::math::run::{GridRule, Run, RunModel};

/// The relative deviation of sigmas in f32 that is due to torch's own logarithms, exponentials and tangents: up to three units in
/// the last place, 2.6e-7 at worst in these records; most sigmas have the same bits.
const FLOAT32: f64 = 4e-7;

/// A relative change that every comparison here must notice.
const WRONG: f64 = 1e-8;

fn cases(prefix: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(include_str!("vectors/K_grids.json")).unwrap();
    let cases: Vec<Value> = all.into_iter().filter(|case| id(case).starts_with(prefix)).collect();
    assert!(!cases.is_empty(), "{prefix}");
    cases
}

fn vectors() -> Vectors {
    Vectors::load("K_grids")
}

fn tensor(file: &Vectors, case: &Value, name: &str) -> Vec<f64> {
    file.numbers(&format!("{}/{name}", id(case).trim_start_matches("K_")))
}

fn tolerance(case: &Value) -> f64 {
    case["tolerance"]["float64"].as_f64().unwrap()
}

/// The names of the tensors of a case in f64.
fn names(case: &Value) -> Vec<String> {
    let tensors = case["tensors"].as_object().unwrap();
    tensors.keys().filter(|name| !name.ends_with("__f32")).cloned().collect()
}

/// The largest relative deviation of two lists; infinite for lists of different lengths.
fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let apart = |(found, expected): (&f64, &f64)| match expected {
        0.0 if found.abs() <= 1e-15 => 0.0,
        _ => ((found - expected) / expected).abs(),
    };
    largest(found.iter().zip(expected).map(apart))
}

/// Checks the sigmas of a run in f64 against the record, and returns the deviation of those in f32.
fn check(file: &Vectors, case: &Value, name: &str, run: &Value) -> f64 {
    let sigmas = |float32: bool| {
        let mut run = run.clone();
        run["float32"] = float32.into();
        Run::from_json(&run.to_string()).unwrap().sigmas().unwrap_or_else(|error| panic!("{name} {run}: {error}"))
    };
    let (mut found, expected) = (sigmas(false), tensor(file, case, name));
    let apart = deviation(&found, &expected);
    assert!(apart <= tolerance(case), "{} {name}: {apart:e}\n{found:?}\n{expected:?}", id(case));
    if let Some(first) = found.iter_mut().find(|sigma| **sigma != 0.0) {
        *first *= 1.0 + WRONG;
        assert!(deviation(&found, &expected) > tolerance(case), "{name}: a wrong sigma passes");
    }
    let single = sigmas(true);
    assert!(single.iter().all(|sigma| f64::from(*sigma as f32) == *sigma), "{name}: beyond f32");
    deviation(&single, &tensor(file, case, &format!("{name}__f32")))
}

#[test]
fn schedulers_of_every_model() {
    let file = vectors();
    for case in cases("K_grid_") {
        for name in names(&case) {
            let (scheduler, steps) = name.rsplit_once("_n").unwrap();
            let steps: usize = steps.parse().unwrap();
            let run = json!({ "model": case["config"]["model"], "scheduler": scheduler, "steps": steps });
            if scheduler == "kl_optimal" && steps == 1 {
                assert!(tensor(&file, &case, &name)[0].is_nan());
                let error = Run::from_json(&run.to_string()).unwrap().sigmas().unwrap_err();
                assert_eq!(error.to_string(), "the number of steps of kl_optimal must be at least 2, found 1");
                continue;
            }
            let single = check(&file, &case, &name, &run);
            println!("{} {name}: f32 {single:.1e}", id(&case));
            assert!(single <= FLOAT32, "{} {name}: {single:e}", id(&case));
        }
    }
}

#[test]
fn windows() {
    let file = vectors();
    for case in cases("K_windows") {
        for row in case["config"]["rows"].as_array().unwrap() {
            let mut run = row.clone();
            let keys = run.as_object_mut().unwrap();
            let (name, result) = (keys.remove("tensor"), keys.remove("result"));
            keys.insert("model".to_owned(), case["config"]["models"][row["model"].as_str().unwrap()].clone());
            match name {
                Some(name) => {
                    let single = check(&file, &case, name.as_str().unwrap(), &run);
                    println!("{row}: f32 {single:.1e}");
                    assert!(single <= FLOAT32, "{row}: {single:e}");
                }
                None => {
                    assert!(result.is_some(), "{row}");
                    assert_eq!(Run::from_json(&run.to_string()).unwrap().sigmas(), Ok(vec![]), "{row}");
                }
            }
        }
    }
}

#[test]
fn nodes() {
    let file = vectors();
    for case in cases("K_nodes") {
        for row in case["config"]["rows"].as_array().unwrap() {
            let mut inputs = row["inputs"].clone();
            let model = row["model"].as_str().map_or("sd15", |name| name);
            if inputs["sigmas"].is_string() {
                let basic = json!({ "scheduler": "karras", "steps": 6 });
                inputs["sigmas"] = json!({ "node": "BasicScheduler", "inputs": basic });
            }
            let outputs = row["tensors"].as_array().unwrap();
            for (output, name) in ["high_sigmas", "low_sigmas"].iter().zip(outputs) {
                if outputs.len() == 2 {
                    inputs["output"] = json!(output);
                }
                let run = json!({ "model": model, "scheduler": { "node": row["node"], "inputs": inputs } });
                let single = check(&file, &case, name.as_str().unwrap(), &run);
                println!("{row}: f32 {single:.1e}");
                assert!(single <= FLOAT32, "{row}: {single:e}");
            }
        }
    }
}

/// The tables are those of the program, digit for digit: with as many steps as a table holds, it is taken unchanged.
#[test]
fn tables_of_nodes() {
    let (file, case) = (vectors(), &cases("K_node_tables")[0]);
    for name in names(case) {
        let table = tensor(&file, case, &name);
        let (kind, of) = name.split_once('_').unwrap();
        let runs = match kind {
            "gits" => (2..=20).map(|n| (n, table[(n - 2) * 21..][..n + 1].to_vec())).collect(),
            _ => vec![(table.len() - 1, table)],
        };
        for (steps, mut expected) in runs {
            let inputs = match kind {
                "gits" => json!({ "coeff": of.parse::<f64>().unwrap(), "steps": steps }),
                _ => json!({ "model_type": of, "steps": steps }),
            };
            let node = match kind {
                "gits" => "GITSScheduler",
                "ays" => "AlignYourStepsScheduler",
                _ => "OptimalStepsScheduler",
            };
            let run = json!({ "scheduler": { "node": node, "inputs": inputs } });
            *expected.last_mut().unwrap() = 0.0;
            assert_eq!(Run::from_json(&run.to_string()).unwrap().sigmas(), Ok(expected), "{name} {steps}");
        }
    }
}

/// The largest deviation of rows, relative to the largest element of each expected row. Expected infinities and NaNs must be
/// found.
fn row_deviation(found: &[f64], expected: &[f64], rows: usize) -> f64 {
    assert_eq!(found.len(), expected.len());
    let width = expected.len() / rows;
    let row = |(found, expected): (&[f64], &[f64])| {
        let finite = expected.iter().filter(|value| value.is_finite());
        let scale = finite.fold(0.0, |most: f64, value| most.max(value.abs()));
        let apart = |(found, expected): (&f64, &f64)| match expected.is_finite() {
            true => (found - expected).abs() / scale.max(f64::MIN_POSITIVE),
            false if found.is_nan() == expected.is_nan() && (found == expected || expected.is_nan()) => 0.0,
            false => f64::INFINITY,
        };
        largest(found.iter().zip(expected).map(apart))
    };
    largest(found.chunks(width).zip(expected.chunks(width)).map(row))
}

#[test]
fn models() {
    let file = vectors();
    for case in cases("K_model") {
        let read = |name: &str| tensor(&file, &case, name);
        let run = Run::from_json(&json!({ "model": case["config"]["model"] }).to_string()).unwrap();
        let model = run.model().unwrap();
        let each = |inputs: &str, of: &dyn Fn(f64) -> f64| -> Vec<f64> { read(inputs).into_iter().map(of).collect() };
        let indices = read("table_index");
        let table = |model: &RunModel| -> Vec<f64> { indices.iter().map(|i| model.sigmas()[*i as usize]).collect() };
        let compare = |name: &str, mut found: Vec<f64>, rows: usize| {
            let expected = read(name);
            let apart = row_deviation(&found, &expected, rows);
            assert!(apart <= tolerance(&case), "{} {name}: {apart:e}\n{found:?}\n{expected:?}", id(&case));
            let place = (0..found.len()).find(|i| found[*i].is_finite() && found[*i] != 0.0).unwrap();
            found[place] += WRONG * found.iter().filter(|x| x.is_finite()).fold(0.0, |most: f64, x| most.max(x.abs()));
            assert!(row_deviation(&found, &expected, rows) > tolerance(&case), "{name}: a wrong number passes");
        };
        compare("sigma_min_max", vec![model.sigma_min(), model.sigma_max()], 2);
        compare("table_sigmas", table(&model), indices.len());
        let percents = read("percents").len();
        compare("percent_to_sigma", each("percents", &|percent| model.percent_to_sigma(percent)), percents);
        compare("timestep_of_sigma", each("query_sigmas", &|sigma| model.told(sigma)), 26);
        compare("sigma_of_timestep", each("query_timesteps", &|timestep| model.sigma_at(timestep)), 18);

        let sigmas = read("scale_sigmas");
        let [noise, latent, output, x] = ["noise", "latent_image", "model_output", "x"].map(read);
        let mix = |factors: &dyn Fn(f64) -> [f64; 2], [a, b]: [&[f64]; 2]| -> Vec<f64> {
            let row = |sigma: &f64| {
                let [c, d] = factors(*sigma);
                a.iter().zip(b).map(move |(a, b)| c * a + d * b).collect::<Vec<f64>>()
            };
            sigmas.iter().flat_map(row).collect()
        };
        let rows = sigmas.len();
        compare("noise_scaling", mix(&|sigma| model.start(sigma, false), [&latent, &noise]), rows);
        compare("noise_scaling_max_denoise", mix(&|sigma| model.start(sigma, true), [&latent, &noise]), rows);
        let scaled = |factor: &dyn Fn(f64) -> f64| -> Vec<f64> {
            sigmas.iter().flat_map(|sigma| x.iter().map(|x| factor(*sigma) * x).collect::<Vec<f64>>()).collect()
        };
        compare("inverse_noise_scaling", scaled(&|sigma| model.end(sigma)), rows);
        compare("calculate_input", scaled(&|sigma| model.input(sigma)), rows);
        compare("calculate_denoised", mix(&|sigma| model.denoised(sigma), [&x, &output]), rows);

        let single = model.in_float32().unwrap();
        let apart = deviation(&table(&single), &read("table_sigmas__f32"));
        println!("{}: table in f32 {apart:.1e}", id(&case));
        assert!(apart <= FLOAT32, "{}: {apart:e}", id(&case));
        let percents: Vec<f64> = read("percents").into_iter().map(|part| single.percent_to_sigma(part)).collect();
        let apart = deviation(&percents, &read("percent_to_sigma__f32"));
        assert!(apart <= FLOAT32, "{}: {apart:e}", id(&case));
    }
}

/// A run of a grid without a model.
fn described(grid: &Entry<GridRule>) -> Value {
    let mut inputs = json!({});
    if grid.make.changes_sigmas {
        inputs["sigmas"] = json!([3.0, 2.0, 1.0, 0.0]);
    }
    for choice in grid.make.choices {
        inputs[choice.name] = json!(choice.words[0]);
    }
    let mut run = json!({ "scheduler": { "node": grid.name, "inputs": inputs } });
    if !grid.make.is_node {
        run["steps"] = 7.into();
    }
    run
}

#[test]
fn free_grids_need_no_model() {
    for grid in GridRule::CATALOGUE.entries {
        let sigmas = Run::from_json(&described(grid).to_string()).unwrap().sigmas();
        assert_eq!(sigmas.is_ok(), grid.make.is_free, "{}: {sigmas:?}", grid.name);
    }
}

#[test]
fn every_grid_has_sigmas_on_every_model() {
    for model in RunModel::CATALOGUE.entries {
        for grid in GridRule::CATALOGUE.entries {
            let mut run = described(grid);
            run["model"] = model.name.into();
            let sigmas = Run::from_json(&run.to_string()).unwrap().sigmas();
            if grid.name == "sd-turbo-scheduler" && sigmas.is_err() {
                // Timesteps up to 999 are out of range for a network that is told no timesteps.
                assert!(RunModel::named(model.name).unwrap().sigma_at(999.0).is_infinite(), "{run}");
                continue;
            }
            assert!(sigmas.as_ref().is_ok_and(|sigmas| !sigmas.is_empty()), "{run}: {sigmas:?}");
        }
    }
}

/// Numbers of grids and models that the records do not have, from their published formulas, evaluated in Python.
#[test]
fn grids_and_models_of_other_programs() {
    let sigmas = |model: &str, scheduler: &str, steps: usize| {
        let run = json!({ "model": model, "scheduler": scheduler, "steps": steps });
        Run::from_json(&run.to_string()).unwrap().sigmas().unwrap()
    };
    let bong = [1.0, 0.932_035_576_216_471_2, 0.804_306_272_728_967_2, 0.5, 0.132_261_434_613_385_05, 0.0];
    for model in ["sd15", "flow3"] {
        assert!(deviation(&sigmas(model, "bong_tangent", 5), &bong) <= 1e-14, "{model}");
    }
    // 3u^2 - 2u^3 at 1, 3/4, 1/2, 1/4 is 1, 27/32, 1/2, 5/32; flow1 has i/1000 at i - 1.
    assert!(deviation(&sigmas("flow1", "smoothstep", 4), &[1.0, 0.844, 0.501, 0.157, 0.0]) <= 1e-14);
    let beta = json!({ "scheduler": { "node": "BetaSamplingScheduler", "inputs": { "alpha": 0.5, "beta": 0.7 } },
        "model": "sd15", "steps": 7 });
    let beta = Run::from_json(&beta.to_string()).unwrap().sigmas().unwrap();
    assert_eq!(sigmas("sd15", "beta57", 7), beta);
    let settings = [("shift".to_owned(), 2.0.into())];
    let cascade = RunModel::new("StableCascadeSampling", "EPS", &settings).unwrap();
    let found = [0.25, 0.5, 0.999].map(|time| cascade.sigma_at(time));
    let expected = [0.849_989_630_013_889_4, 2.024_779_127_896_008, 99.994_999_874_993_75];
    assert!(deviation(&found, &expected) <= 1e-12, "{found:?}");
    // Without a shift the network is told the time itself.
    let plain = RunModel::named("cascade").unwrap();
    let told = [0.25, 0.5, 0.75].map(|time| plain.told(plain.sigma_at(time)));
    assert!(deviation(&told, &[0.25, 0.5, 0.75]) <= 1e-12, "{told:?}");
}

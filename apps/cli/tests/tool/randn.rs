//! The noise of other systems from the command line: the cases of group N and the noise of group K.

use crate::support::{Folder, vectors};
use crate::tensors::{Tensor, Tensors};
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;

pub const TESTS: &[Test] = &[
    ("torch_cpu", Needs::Nothing, torch_cpu),
    ("torch_cpu_in_turn", Needs::Nothing, torch_cpu_in_turn),
    ("torch_cuda_and_nv", Needs::Nothing, torch_cuda),
    ("jax", Needs::Nothing, jax),
    ("numpy", Needs::Nothing, numpy),
    ("comfyui", Needs::Nothing, comfyui),
    ("brownian", Needs::Nothing, brownian),
    ("variation", Needs::Nothing, variation),
];

/// A case and the tensors of its group.
struct Case {
    config: Value,
    tolerance: Value,
    file: Tensors,
    id: String,
}

impl Case {
    fn named(id: &str) -> Self {
        let text = std::fs::read_to_string(vectors("N.json")).expect("the cases");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let case = cases.into_iter().find(|case| case["id"] == id).expect("the case");
        let (config, tolerance) = (case["config"].clone(), case["tolerance"].clone());
        Self { config, tolerance, file: Tensors::load(&vectors("N.safetensors")), id: id.to_owned() }
    }

    #[track_caller]
    fn tensor(&self, name: &str) -> &Tensor {
        self.file.tensor(&format!("{}/{name}", self.id))
    }

    /// Reads the values of a tensor. bfloat16 is stored as its bits, in U16.
    #[track_caller]
    fn values(&self, name: &str) -> Vec<f64> {
        let tensor = self.tensor(name);
        match tensor.dtype {
            Dtype::U16 => Tensor { dtype: Dtype::BF16, ..tensor.clone() }.values(),
            _ => tensor.values(),
        }
    }

    fn seeds(&self) -> Vec<String> {
        let seeds = self.config["seeds"].as_array().expect("seeds");
        seeds.iter().map(|seed| seed.as_str().expect("a seed").to_owned()).collect()
    }

    /// The difference that the case allows from a value in this type.
    fn bound(&self, dtype: &str) -> impl Fn(f64) -> f64 {
        let named = |key: &str| self.tolerance[key].as_f64().expect("a tolerance");
        let (relative, least) = match dtype {
            "f64" => (0.0, named("float64")),
            "f32" => (0.0, named("float32")),
            // One unit in the last place.
            "f16" => (1.0 / 1024.0, 2f64.powi(-24)),
            _ => (1.0 / 128.0, 0.0),
        };
        move |x| (relative * x.abs()).max(least)
    }
}

/// Runs `randn` and reads its file.
#[track_caller]
pub fn randn(line: &str) -> Tensors {
    Folder::new().output(&format!("randn {line} --out out.safetensors"))
}

/// Fails unless each number agrees to the `bound` at its expected value.
#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: &[f64], bound: impl Fn(f64) -> f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= bound(expected), "{what}: element {i}: {found}, expected {expected}");
    }
}

fn stored(dtype: &str) -> Dtype {
    match dtype {
        "f64" => Dtype::F64,
        "f16" => Dtype::F16,
        "bf16" => Dtype::BF16,
        _ => Dtype::F32,
    }
}

fn torch_cpu() {
    for dtype in ["f32", "f16", "bf16", "f64"] {
        let case = Case::named(&format!("N_torch_cpu_{dtype}_sizes"));
        for seed in case.seeds() {
            let out = randn(&format!("--source torch-cpu --seed {seed} --shape 1000 --dtype {dtype} --words"));
            assert_eq!(out.tensor("noise").dtype, stored(dtype));
            let expected = case.values(&format!("seed{seed}_n1000"));
            assert_close(&case.id, &out.values("noise"), &expected, case.bound(dtype));
            let first = &out.tensor("words").bytes[..64 * 4];
            assert_eq!(first, case.tensor(&format!("seed{seed}_words")).bytes);
            let small = case.values(&format!("seed{seed}_n1to40"));
            for n in [1, 15, 16, 17, 40] {
                let begin = n * (n - 1) / 2;
                let found = randn(&format!("--source torch-cpu --seed {seed} --shape {n} --dtype {dtype}"));
                assert_close(&case.id, &found.values("noise"), &small[begin..begin + n], case.bound(dtype));
            }
        }
    }
    for id in ["N_torch_cpu_f32_4x64x64", "N_torch_cpu_bf16_4x64x64"] {
        let case = Case::named(id);
        let (dtype, seed) =
            (case.config["dtype"].as_str().unwrap_or("f32"), case.config["seed"].as_str().unwrap_or(""));
        let out = randn(&format!("--source torch-cpu --seed {seed} --shape 4,64,64 --dtype {dtype}"));
        assert_eq!(out.tensor("noise").shape, [4, 64, 64]);
        assert_close(id, &out.values("noise"), &case.values("values"), case.bound(dtype));
    }
}

fn torch_cpu_in_turn() {
    for id in ["N_torch_cpu_sequence", "N_torch_cpu_sequence_types"] {
        let case = Case::named(id);
        let calls = case.config["calls"].as_array().expect("calls");
        let dtypes: Vec<&str> = calls.iter().map(|call| call["dtype"].as_str().expect("a type")).collect();
        let shapes: String = calls.iter().map(|call| format!(" --shape {}", call["shape"][0])).collect();
        let seed = case.config["seed"].as_str().expect("a seed");
        let line = format!("--source torch-cpu --seed {seed}{shapes} --dtype {} --words", dtypes.join(","));
        let out = randn(&line);
        for (k, dtype) in dtypes.iter().enumerate() {
            let name = format!("call{k}");
            assert_close(&name, &out.values(&name), &case.values(&name), case.bound(dtype));
        }
        assert_eq!(out.tensor("words").shape[0] as f64, case.values("words_used")[0]);
    }
    for (id, shape) in [("36", "4,3,3"), ("64", "4,4,4"), ("10", "2,5")] {
        let case = Case::named(&format!("N_torch_cpu_batches_{id}"));
        for seed in case.seeds() {
            let batch = randn(&format!("--source torch-cpu --seed {seed} --shape 3,{shape}"));
            assert_close(id, &batch.values("noise"), &case.values(&format!("seed{seed}_batch")), case.bound("f32"));
            let turns =
                randn(&format!("--source torch-cpu --seed {seed} --shape {shape} --shape {shape} --shape {shape}"));
            let found: Vec<f64> = (0..3).flat_map(|k| turns.values(&format!("call{k}"))).collect();
            assert_close(id, &found, &case.values(&format!("seed{seed}_in_turn")), case.bound("f32"));
        }
        let first: u64 = case.seeds()[0].parse().expect("a seed");
        let seeds = [0, 1, 2].map(|more| (first + more).to_string()).join(",");
        let apart = randn(&format!("--source torch-cpu --seeds {seeds} --shape 3,{shape}"));
        assert_close(id, &apart.values("noise"), &case.values("generator_per_sample"), case.bound("f32"));
    }
}

fn torch_cuda() {
    for id in ["N_cuda_small", "N_cuda_t4", "N_cuda_h100_a100"] {
        let case = Case::named(id);
        let draws = case.config["draws"].as_array().expect("draws").clone();
        // A single draw of nine million numbers is enough.
        for (k, draw) in draws.iter().enumerate().filter(|(k, draw)| *k == 0 || draw["n"].as_u64() < Some(9_000_000)) {
            let seed = draw["seed"].as_str().expect("a seed");
            let line = format!(
                "--seed {seed} --shape {} --multiprocessors {} --threads-per-multiprocessor {} --words",
                draw["n"], draw["multiprocessors"], draw["max_threads_per_multiprocessor"]
            );
            let out = randn(&format!("--source torch-cuda {line}"));
            let index = case.tensor(&format!("index_{k}")).values();
            let (values, words) = (out.values("noise"), out.tensor("words"));
            let found: Vec<f64> = index.iter().map(|&i| values[i as usize]).collect();
            assert_close(id, &found, &case.values(&format!("values_{k}")), case.bound("f32"));
            let found: Vec<u8> = index.iter().flat_map(|&i| words.bytes[8 * i as usize..][..8].to_vec()).collect();
            assert_eq!(found, case.tensor(&format!("words_{k}")).bytes, "{id} {k}");
            assert_eq!(words.shape, [values.len(), 2]);
            if case.file.0.contains_key(&format!("{id}/nv_{k}")) {
                let values = randn(&format!("--source nv --seed {seed} --shape {}", draw["n"])).values("noise");
                let found: Vec<f64> = index.iter().map(|&i| values[i as usize]).collect();
                assert_close(id, &found, &case.values(&format!("nv_{k}")), case.bound("f32"));
            }
        }
    }
    let case = Case::named("N_cuda_sequence");
    let calls = case.config["calls"].as_array().expect("calls");
    let shapes: String = calls.iter().map(|count| format!(" --shape {count}")).collect();
    let card = "--multiprocessors 40 --threads-per-multiprocessor 1024";
    let out = randn(&format!("--source torch-cuda --seed 42 {card}{shapes}"));
    for k in 0..calls.len() {
        let values = out.values(&format!("call{k}"));
        let index = case.values(&format!("index_{k}"));
        let found: Vec<f64> = index.into_iter().map(|i| values[i as usize]).collect();
        assert_close(&format!("call {k}"), &found, &case.values(&format!("values_{k}")), case.bound("f32"));
    }
}

fn jax() {
    for (id, source) in [("N_jax_partitionable", "jax"), ("N_jax_original", "jax-original")] {
        let case = Case::named(id);
        for seed in case.seeds() {
            let tensor = |name: &str| case.tensor(&format!("seed{seed}_{name}"));
            let sizes = "--shape 1 --shape 2 --shape 3 --shape 7 --shape 16 --shape 33 --shape 108";
            for (bits, dtype) in [("bits", "f32"), ("bits16", "f16"), ("bits8", "bf16")] {
                let out = randn(&format!("--source {source} --seed {seed} {sizes} --dtype {dtype} --words"));
                let found: Vec<f64> = (0..7).flat_map(|k| out.values(&format!("call{k}"))).collect();
                let expected = case.values(&format!("seed{seed}_{dtype}"));
                // The 16-bit types are read from tables of erfinv's results, and are exact.
                let bound = |x| if dtype == "f32" { case.bound(dtype)(x) } else { 0.0 };
                assert_close(id, &found, &expected, bound);
                let width = tensor(bits).bytes.len() / 170;
                let words = out.tensor("words").bytes.chunks(4);
                let found: Vec<u8> = words.flat_map(|word| word[..width].to_vec()).collect();
                assert_eq!(found, tensor(bits).bytes, "{id} {bits}");
                assert_eq!(out.tensor("key").bytes, tensor("key").bytes);
            }
            let split = randn(&format!("--source {source} --seed {seed} --shape 3,4,3,3 --split --words"));
            assert_close(id, &split.values("noise"), &tensor("batch").values(), case.bound("f32"));
            assert_eq!(split.tensor("key").bytes, tensor("split3").bytes);
            let whole = randn(&format!("--source {source} --seed {seed} --shape 3,4,3,3"));
            assert_close(id, &whole.values("noise"), &tensor("shape").values(), case.bound("f32"));
            let folded = randn(&format!("--source {source} --seed {seed} --shape 1 --fold-in 7 --words"));
            assert_eq!(folded.tensor("key").bytes, tensor("fold_in").bytes[16..]);
        }
    }
    let wide = |more: &str| randn(&format!("--source jax --seed 4294967301 --shape 2 --words{more}"));
    assert_eq!(wide("").tensor("key").bytes, [0, 0, 0, 0, 5, 0, 0, 0]);
    assert_eq!(wide(" --x64").tensor("key").bytes, [1, 0, 0, 0, 5, 0, 0, 0]);
}

fn numpy() {
    let case = Case::named("N_numpy");
    let relative = |x: f64| case.bound("f64")(x) * x.abs();
    for seed in case.seeds() {
        for dtype in ["f64", "f32"] {
            let out = randn(&format!("--source numpy-pcg64 --seed {seed} --shape 200 --dtype {dtype} --words"));
            assert_close(dtype, &out.values("noise"), &case.values(&format!("pcg64_{seed}_{dtype}")), relative);
            assert_eq!(out.tensor("words").bytes[..256], case.tensor(&format!("pcg64_{seed}_raw")).bytes);
            assert_eq!(out.tensor("state").bytes, case.tensor(&format!("pcg64_{seed}_state")).bytes);
        }
        let out = randn(&format!("--source numpy-legacy --seed {seed} --shape 201"));
        assert_eq!(out.tensor("noise").dtype, Dtype::F64);
        assert_close("randn", &out.values("noise"), &case.values(&format!("mt19937_{seed}_randn")), relative);
        let calls =
            randn(&format!("--source numpy-legacy --seed {seed} --shape 1 --shape 2 --shape 3 --shape 4 --shape 5"));
        let found: Vec<f64> = (0..5).flat_map(|k| calls.values(&format!("call{k}"))).collect();
        assert_close("calls", &found, &case.values(&format!("mt19937_{seed}_randn_calls")), relative);
    }
}

/// A list of sizes or indices as an option takes it.
fn list(value: &Value) -> String {
    let numbers = value.as_array().expect("a list").iter().map(Value::to_string);
    numbers.collect::<Vec<_>>().join(",")
}

fn comfyui() {
    let case = Case::named("K_noise_torch_public");
    for row in case.config["rows"].as_array().expect("rows") {
        let tensor = row["tensor"].as_str().expect("a name");
        let seed = row["seed"].as_u64().expect("a seed");
        let found = if let Some(draws) = row["draws"].as_u64() {
            let shape = list(&row["shape"]);
            let shapes = format!(" --shape {shape}").repeat(draws as usize + 1);
            let out = randn(&format!("--source comfyui --seed {seed}{shapes}"));
            (1..=draws).flat_map(|k| out.values(&format!("call{k}"))).collect()
        } else {
            let index = match &row["batch_index"] {
                Value::Null => String::new(),
                index => format!(" --batch-index {}", list(index)),
            };
            randn(&format!("--source comfyui --seed {seed} --shape {}{index}", list(&row["latent_shape"])))
                .values("noise")
        };
        assert_close(tensor, &found, &case.values(tensor), case.bound("f32"));
    }
}

/// The tolerance of the Brownian tree, whose values are f32 sums of bridges. It grows with the root of the range over the step.
const TREE: f64 = 2e-5;

fn brownian() {
    let joined = |levels: Vec<f64>| levels.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let check = |out: &Tensors, expected: &[f64], steps: &[f64], most: f64| {
        let found = out.values("noise");
        let size = expected.len() / (steps.len() - 1);
        for (k, pair) in steps.windows(2).enumerate() {
            let bound = TREE * (most / (pair[0] - pair[1]).abs()).sqrt();
            assert_close("a step", &found[k * size..][..size], &expected[k * size..][..size], |_| bound);
        }
    };
    let case = Case::named("N_brownian_karras_sd");
    let sigmas = case.values("sigmas");
    for seed in case.seeds() {
        let range = "--sigma-min 0.0291675 --sigma-max 14.614642";
        let line =
            format!("--source brownian --seed {seed} --shape 1,4,2,2 --sigmas {} {range}", joined(sigmas.clone()));
        let out = randn(&line);
        assert_eq!(out.tensor("noise").shape, [6, 1, 4, 2, 2]);
        check(&out, &case.values(&format!("seed{seed}")), &sigmas, 14.614642);
    }
    let case = Case::named("N_brownian_batched");
    let sigmas = case.values("sigmas");
    let range = "--sigma-min 0.05 --sigma-max 10";
    let out =
        randn(&format!("--source brownian --seeds 11,12 --shape 2,3,2 --sigmas {} {range}", joined(sigmas.clone())));
    check(&out, &case.values("increments"), &sigmas, 10.0);
    let case = Case::named("K_noise_brownian_public");
    for row in case.config["rows"].as_array().expect("rows") {
        let name = |k: usize| row["tensors"][k].as_str().expect("a name");
        let pairs = case.values(name(0));
        let pairs: Vec<String> = pairs.chunks(2).map(|pair| format!("{}:{}", pair[0], pair[1])).collect();
        let (seed, shape, sigmas) = (&row["seed"], list(&row["shape"]), pairs.join(","));
        let range = format!("--sigma-min {} --sigma-max {}", row["sigma_min"], row["sigma_max"]);
        let out = randn(&format!("--source brownian --seed {seed} --shape {shape} --sigmas {sigmas} {range}"));
        assert_close(name(1), &out.values("noise"), &case.values(name(1)), case.bound("f32"));
    }
}

fn variation() {
    let case = Case::named("N_slerp_variation");
    let seeds = "--source torch-cpu --seed 42 --shape 4,6,5 --variation-seed 1000";
    for strength in ["0.0", "0.25", "0.5", "1.0"] {
        for (name, more) in [("strength", ""), ("whole", " --variation-whole")] {
            let out = randn(&format!("{seeds} --variation-strength {strength}{more}"));
            assert_close(name, &out.values("noise"), &case.values(&format!("{name}_{strength}")), case.bound("f32"));
        }
    }
    // Each sample of a batch is interpolated by itself, with one generator for the batch or one for each sample.
    let apart = "--source torch-cpu --seeds 42,43 --shape 2,4,6,5 --variation-seed 1000,1001 --variation-strength 0.25";
    let first = randn(&format!("{seeds} --variation-strength 0.25")).values("noise");
    assert_eq!(randn(apart).values("noise")[..120], first);
    let together = "--source nv --shape 2,4,6,5 --variation-seed 3 --variation-strength 0";
    let alone = randn("--source nv --shape 2,4,6,5").values("noise");
    assert_close("strength 0", &randn(together).values("noise"), &alone, case.bound("f32"));
}

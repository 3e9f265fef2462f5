//! The noise of other systems from the command line: every case of group N and the noise of group K.

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
    ("own_noise", Needs::Nothing, own),
    ("bad_options", Needs::Nothing, bad_options),
    ("json", Needs::Nothing, json),
];

/// A case and its tensors.
struct Case {
    config: Value,
    file: Tensors,
    id: String,
}

impl Case {
    fn named(id: &str) -> Self {
        let text = std::fs::read_to_string(vectors("N.json")).expect("the cases");
        let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        let case = cases.into_iter().find(|case| case["id"] == id).expect("the case");
        Self { config: case["config"].clone(), file: Tensors::load(&vectors("N.safetensors")), id: id.to_owned() }
    }

    #[track_caller]
    fn tensor(&self, name: &str) -> &Tensor {
        self.file.tensor(&format!("{}/{name}", self.id))
    }

    /// bfloat16 is stored as its bits.
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
}

/// Runs `randn` and reads its file.
#[track_caller]
fn randn(line: &str) -> Tensors {
    Folder::new().output(&format!("randn {line} --out out.safetensors"))
}

/// Fails unless all numbers agree to `bound`, the numbers of another seed among them.
#[track_caller]
fn assert_close(what: &str, found: &[f64], expected: &[f64], bound: impl Fn(f64) -> f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= bound(expected), "{what}: element {i}: {found}, expected {expected}");
    }
}

/// What torch's f32 differs by between processors.
const TORCH: f64 = 4e-6;

/// The tolerance of torch's normals in a type.
fn torch_bound(dtype: &str) -> fn(f64) -> f64 {
    match dtype {
        "f64" => |_| 1e-13,
        "f16" => |x| (x.abs() / 1024.0).max(2f64.powi(-24)),
        "bf16" => |x| x.abs() / 128.0,
        _ => |_| TORCH,
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
            assert_close(&case.id, &out.values("noise"), &expected, torch_bound(dtype));
            let first = &out.tensor("words").bytes[..64 * 4];
            assert_eq!(first, case.tensor(&format!("seed{seed}_words")).bytes);
            let small = case.values(&format!("seed{seed}_n1to40"));
            for n in [1, 15, 16, 17, 40] {
                let begin = n * (n - 1) / 2;
                let found = randn(&format!("--source torch-cpu --seed {seed} --shape {n} --dtype {dtype}"));
                assert_close(&case.id, &found.values("noise"), &small[begin..begin + n], torch_bound(dtype));
            }
        }
    }
    for id in ["N_torch_cpu_f32_4x64x64", "N_torch_cpu_bf16_4x64x64"] {
        let case = Case::named(id);
        let (dtype, seed) =
            (case.config["dtype"].as_str().unwrap_or("f32"), case.config["seed"].as_str().unwrap_or(""));
        let out = randn(&format!("--source torch-cpu --seed {seed} --shape 4,64,64 --dtype {dtype}"));
        assert_eq!(out.tensor("noise").shape, [4, 64, 64]);
        assert_close(id, &out.values("noise"), &case.values("values"), torch_bound(dtype));
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
            assert_close(&name, &out.values(&name), &case.values(&name), torch_bound(dtype));
        }
        assert_eq!(out.tensor("words").shape[0] as f64, case.values("words_used")[0]);
    }
    for (id, shape) in [("36", "4,3,3"), ("64", "4,4,4"), ("10", "2,5")] {
        let case = Case::named(&format!("N_torch_cpu_batches_{id}"));
        for seed in case.seeds() {
            let batch = randn(&format!("--source torch-cpu --seed {seed} --shape 3,{shape}"));
            assert_close(id, &batch.values("noise"), &case.values(&format!("seed{seed}_batch")), |_| TORCH);
            let turns =
                randn(&format!("--source torch-cpu --seed {seed} --shape {shape} --shape {shape} --shape {shape}"));
            let found: Vec<f64> = (0..3).flat_map(|k| turns.values(&format!("call{k}"))).collect();
            assert_close(id, &found, &case.values(&format!("seed{seed}_in_turn")), |_| TORCH);
        }
        let first: u64 = case.seeds()[0].parse().expect("a seed");
        let seeds = [0, 1, 2].map(|more| (first + more).to_string()).join(",");
        let apart = randn(&format!("--source torch-cpu --seeds {seeds} --shape 3,{shape}"));
        assert_close(id, &apart.values("noise"), &case.values("generator_per_sample"), |_| TORCH);
    }
}

fn torch_cuda() {
    for id in ["N_cuda_small", "N_cuda_t4", "N_cuda_h100_a100"] {
        let case = Case::named(id);
        let draws = case.config["draws"].as_array().expect("draws").clone();
        // One draw of nine million numbers is enough.
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
            assert_close(id, &found, &case.values(&format!("values_{k}")), |_| 2e-5);
            let found: Vec<u8> = index.iter().flat_map(|&i| words.bytes[8 * i as usize..][..8].to_vec()).collect();
            assert_eq!(found, case.tensor(&format!("words_{k}")).bytes, "{id} {k}");
            assert_eq!(words.shape, [values.len(), 2]);
            if case.file.0.contains_key(&format!("{id}/nv_{k}")) {
                let values = randn(&format!("--source nv --seed {seed} --shape {}", draw["n"])).values("noise");
                let found: Vec<f64> = index.iter().map(|&i| values[i as usize]).collect();
                assert_close(id, &found, &case.values(&format!("nv_{k}")), |_| 2e-5);
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
        assert_close(&format!("call {k}"), &found, &case.values(&format!("values_{k}")), |_| 2e-5);
    }
}

fn jax() {
    for (id, source) in [("N_jax_partitionable", "jax"), ("N_jax_original", "jax-original")] {
        let case = Case::named(id);
        for seed in case.seeds() {
            let tensor = |name: &str| case.tensor(&format!("seed{seed}_{name}"));
            let sizes = "--shape 1 --shape 2 --shape 3 --shape 7 --shape 16 --shape 33 --shape 108";
            for (bits, dtype, bound) in [("bits", "f32", 5e-6), ("bits16", "f16", 0.0), ("bits8", "bf16", 0.0)] {
                let out = randn(&format!("--source {source} --seed {seed} {sizes} --dtype {dtype} --words"));
                let found: Vec<f64> = (0..7).flat_map(|k| out.values(&format!("call{k}"))).collect();
                let expected = case.values(&format!("seed{seed}_{dtype}"));
                assert_close(id, &found, &expected, |_| bound);
                let width = tensor(bits).bytes.len() / 170;
                let words = out.tensor("words").bytes.chunks(4);
                let found: Vec<u8> = words.flat_map(|word| word[..width].to_vec()).collect();
                assert_eq!(found, tensor(bits).bytes, "{id} {bits}");
                assert_eq!(out.tensor("key").bytes, tensor("key").bytes);
            }
            let split = randn(&format!("--source {source} --seed {seed} --shape 3,4,3,3 --split --words"));
            assert_close(id, &split.values("noise"), &tensor("batch").values(), |_| 5e-6);
            assert_eq!(split.tensor("key").bytes, tensor("split3").bytes);
            let whole = randn(&format!("--source {source} --seed {seed} --shape 3,4,3,3"));
            assert_close(id, &whole.values("noise"), &tensor("shape").values(), |_| 5e-6);
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
    let relative = |x: f64| 4e-16 * x.abs();
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
        assert_close(tensor, &found, &case.values(tensor), |_| 2e-6);
    }
}

fn brownian() {
    let joined = |levels: Vec<f64>| levels.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    let check = |out: &Tensors, expected: &[f64], steps: &[f64], most: f64| {
        let found = out.values("noise");
        let size = expected.len() / (steps.len() - 1);
        for (k, pair) in steps.windows(2).enumerate() {
            let bound = 2e-5 * (most / (pair[0] - pair[1]).abs()).sqrt();
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
        assert_close(name(1), &out.values("noise"), &case.values(name(1)), |_| 1e-4);
    }
}

fn variation() {
    let case = Case::named("N_slerp_variation");
    let seeds = "--source torch-cpu --seed 42 --shape 4,6,5 --variation-seed 1000";
    for strength in ["0.0", "0.25", "0.5", "1.0"] {
        for (name, more) in [("strength", ""), ("whole", " --variation-whole")] {
            let out = randn(&format!("{seeds} --variation-strength {strength}{more}"));
            assert_close(name, &out.values("noise"), &case.values(&format!("{name}_{strength}")), |_| 5e-6);
        }
    }
    // A batch is turned sample by sample, whether its generator is one or one for each.
    let apart = "--source torch-cpu --seeds 42,43 --shape 2,4,6,5 --variation-seed 1000,1001 --variation-strength 0.25";
    let first = randn(&format!("{seeds} --variation-strength 0.25")).values("noise");
    assert_eq!(randn(apart).values("noise")[..120], first);
    let together = "--source nv --shape 2,4,6,5 --variation-seed 3 --variation-strength 0";
    assert_close("0", &randn(together).values("noise"), &randn("--source nv --shape 2,4,6,5").values("noise"), |_| {
        1e-6
    });
}

/// Our own noise is that of every command, and our path does not depend on its steps.
fn own() {
    let out = randn("--seed 7 --shape 3,5 --shape 3,5 --dtype f64");
    for stream in 0..2 {
        let expected = tweedie::NoiseKey::seed(7).stream(stream).reference(3, 5);
        assert_eq!(out.values(&format!("call{stream}")), expected);
    }
    let path = |more: &str| randn(&format!("--source brownian-path --shape 2,3 --dtype f64 {more}")).values("noise");
    let (fine, coarse) = (path("--seed 5 --sigmas 9,4,1"), path("--seed 5 --sigmas 9,1"));
    for i in 0..6 {
        let sum = (fine[i] * 5f64.sqrt() + fine[6 + i] * 3f64.sqrt()) / 8f64.sqrt();
        assert!((sum - coarse[i]).abs() < 1e-12);
    }
    assert_eq!(path("--seeds 5,6 --sigmas 9,1")[..3], coarse[..3]);
}

fn bad_options() {
    let folder = Folder::new();
    let refuses = |line: &str, words: &[&str]| folder.refuses(&format!("randn {line} --out out.safetensors"), words);
    refuses("--source tweedie --shape 4 --multiprocessors 4", &["--multiprocessors means nothing to the tweedie"]);
    refuses("--source nv --shape 4 --threads-per-multiprocessor 512", &["--threads-per-multiprocessor means nothing"]);
    refuses("--source torch-cuda --shape 4 --multiprocessors 0", &["multiprocessors", "between 1 and 65535"]);
    refuses("--source torch-cuda --shape 4 --threads-per-multiprocessor 255", &["between 256 and"]);
    refuses("--source torch-cuda --shape 4 --dtype f64", &["torch-cuda draws f32, f16, bf16, not f64"]);
    refuses("--source torch-cpu --shape 4 --x64", &["--x64 means nothing to the torch-cpu"]);
    refuses("--source torch-cpu --shape 4 --split", &["--split means nothing"]);
    refuses("--source torch-cpu --shape 4 --fold-in 1", &["--fold-in means nothing"]);
    refuses("--source torch-cpu --shape 4 --sigmas 1,2", &["--sigmas means nothing"]);
    refuses("--source torch-cpu --shape 4 --batch-index 1", &["--batch-index means nothing"]);
    refuses("--source comfyui --shape 2,4 --batch-index 1", &["expected 2 batch indices, one a sample, found 1"]);
    refuses("--source comfyui --shape 1,4 --batch-index 99999999999", &["at most"]);
    refuses("--source comfyui --shape 1,4 --seeds 1", &["--seeds means nothing"]);
    refuses("--source numpy-legacy --shape 4 --seed 4294967296", &["numpy-legacy takes seeds up to 4294967295"]);
    refuses("--source torch-cpu --shape 2,4 --seeds 1,2,3", &["expected 2 seeds, one a sample, found 3"]);
    refuses("--source brownian --shape 4", &["needs --sigmas"]);
    refuses("--source brownian --shape 4 --sigmas 1", &["two levels or more"]);
    refuses("--source brownian --shape 4 --sigmas 1,x", &["expected a finite number, found `x`"]);
    refuses("--source brownian --shape 4 --sigmas 1:2,3", &["pairs FROM:TO throughout, found `3`"]);
    refuses("--source brownian --shape 4 --sigmas 2,nan", &["expected a finite number, found `nan`"]);
    refuses("--source brownian --shape 4 --sigmas 2,2", &["sigma_max"]);
    refuses("--source brownian --shape 4 --sigmas 2,1 --words", &["--words means nothing"]);
    refuses("--source brownian --shape 4 --shape 4 --sigmas 2,1", &["second --shape"]);
    refuses("--source brownian-path --shape 4 --sigmas 2,1 --sigma-max 3", &["--sigma-max means nothing"]);
    refuses("--shape 4,x", &["expected sizes"]);
    refuses("--shape 4 --source perlin", &["expected tweedie, torch-cpu"]);
    refuses("--shape 4 --dtype f8", &["expected f64, f32, f16 or bf16"]);
    refuses("--shape 4 --dtype f32,f16", &["expected one --dtype, or one for each of 1 draws, found 2"]);
    refuses("--shape 1,2,3 --variation-seed 1", &["--variation-strength"]);
    refuses("--shape 2,3,4 --variation-seed 1 --variation-strength 2", &["between 0 and 1"]);
    refuses("--shape 12 --variation-seed 1 --variation-strength 0.5", &["samples [C, H, W]"]);
    for shape in ["1048576,1048576", "18446744073709551615,2", "0,18446744073709551615,18446744073709551615"] {
        refuses(&format!("--shape {shape}"), &["at most", "numbers"]);
        refuses(&format!("--source torch-cuda --shape {shape}"), &["at most"]);
        refuses(&format!("--source brownian --sigmas 2,1 --shape {shape}"), &["at most"]);
    }
}

fn json() {
    let folder = Folder::new();
    let said = folder.objects("randn --source nv --seed 3 --shape 2,3 --out out.safetensors --json");
    assert_eq!(said[0]["source"], "nv");
    assert_eq!(said[0]["shapes"], serde_json::json!([[2, 3]]));
    let listed = folder.objects("list noise-sources --json");
    assert!(listed[0].as_array().expect("a list").iter().any(|entry| entry["name"] == "torch-cuda"));
}

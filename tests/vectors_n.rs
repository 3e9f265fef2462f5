//! Group N and the noise of group K: what torch, JAX, numpy, ComfyUI and torchsde draw.
//!
//! Words are compared to the bit. Comparisons within a tolerance are made twice: with the seed of the case, and with the next
//! one, which must fail.

use crate::support::{Vectors, id};
use serde_json::Value;
use tweedie::noise::{
    Angle, BrownianTree, ComfyNoise, CudaDevice, Dtype, JaxKey, JaxLayout, Mt19937, NumpyLegacy, Nv, Pcg64, TorchCpu,
    TorchCuda, slerp,
};

/// One case, and the file of all cases.
struct Case {
    file: Vectors,
    case: Value,
}

impl Case {
    fn named(name: &str) -> Self {
        let cases: Vec<Value> = serde_json::from_str(include_str!("vectors/N.json")).unwrap();
        let case = cases.into_iter().find(|case| id(case) == name).unwrap();
        Self { file: Vectors::load("N"), case }
    }

    fn key(&self, tensor: &str) -> String {
        format!("{}/{tensor}", id(&self.case))
    }

    fn numbers(&self, tensor: &str) -> Vec<f64> {
        // bfloat16 is stored as its bits.
        if self.case["tensors"][tensor][0] == "U16" {
            return self.file.bf16(&self.key(tensor));
        }
        self.file.numbers(&self.key(tensor))
    }

    fn bits(&self, tensor: &str) -> Vec<u64> {
        self.file.bits(&self.key(tensor)).collect()
    }

    fn has(&self, tensor: &str) -> bool {
        !self.case["tensors"][tensor].is_null()
    }

    /// The seeds of its config.
    fn seeds(&self) -> Vec<u64> {
        self.case["config"]["seeds"].as_array().unwrap().iter().map(number).collect()
    }

    /// The difference that the case allows at a value in this type.
    fn tolerance(&self, dtype: Dtype, value: f64) -> f64 {
        let named = |key: &str| self.case["tolerance"][key].as_f64();
        match dtype {
            Dtype::F64 => named("float64").unwrap(),
            Dtype::F32 => named("float32").unwrap(),
            // One unit in the last place.
            Dtype::F16 => (value.abs() / 1024.0).max(2f64.powi(-24)),
            Dtype::Bf16 => value.abs() / 128.0,
        }
    }

    /// Compares draws of a seed, and shows that those of the next seed would not pass.
    fn check(&self, tensor: &str, dtype: Dtype, found: impl Fn(u64) -> Vec<f64>) {
        self.check_each(tensor, |_, expected| self.tolerance(dtype, expected), found);
    }

    /// The same, where each element of the tensor, by its place and its value, has a tolerance of its own.
    fn check_each(&self, tensor: &str, tolerance: impl Fn(usize, f64) -> f64, found: impl Fn(u64) -> Vec<f64>) {
        let expected = self.numbers(tensor);
        let within = |found: Vec<f64>| {
            assert_eq!(found.len(), expected.len(), "{tensor}");
            found.iter().zip(&expected).enumerate().all(|(i, (f, &e))| (f - e).abs() <= tolerance(i, e))
        };
        assert!(within(found(0)), "{}: {tensor}", id(&self.case));
        assert!(!within(found(1)), "{}: {tensor}: another seed passes", id(&self.case));
    }
}

/// A whole number, which the manifest writes as text where it may exceed 2^53.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn words(bits: impl IntoIterator<Item = u32>) -> Vec<u64> {
    bits.into_iter().map(u64::from).collect()
}

#[test]
fn torch_on_a_cpu() {
    for dtype in Dtype::ALL {
        let case = Case::named(&format!("N_torch_cpu_{dtype}_sizes"));
        for seed in case.seeds() {
            case.check(&format!("seed{seed}_n1to40"), dtype, |more| {
                (1..=40).flat_map(|n| TorchCpu::new(seed + more).normals(n, dtype)).collect()
            });
            case.check(&format!("seed{seed}_n1000"), dtype, |more| TorchCpu::new(seed + more).normals(1000, dtype));
            let first = Mt19937::new(seed as u32).take(64);
            assert_eq!(words(first), case.bits(&format!("seed{seed}_words")));
        }
    }
    for (name, seed, dtype) in [("f32", 42, Dtype::F32), ("bf16", 0, Dtype::Bf16)] {
        let case = Case::named(&format!("N_torch_cpu_{name}_4x64x64"));
        case.check("values", dtype, |more| TorchCpu::new(seed + more).normals(4 * 64 * 64, dtype));
    }
}

#[test]
fn torch_draws_in_turn() {
    for name in ["N_torch_cpu_sequence", "N_torch_cpu_sequence_types"] {
        let case = Case::named(name);
        let seed = number(&case.case["config"]["seed"]);
        let calls = case.case["config"]["calls"].as_array().unwrap();
        let mut generators = [seed, seed + 1].map(TorchCpu::new);
        for (k, call) in calls.iter().enumerate() {
            let dtype: Dtype = call["dtype"].as_str().unwrap().parse().unwrap();
            let count = call["shape"][0].as_u64().unwrap() as usize;
            let [right, wrong] = generators.each_mut().map(|generator| generator.normals(count, dtype));
            case.check(&format!("call{k}"), dtype, |more| if more == 0 { right.clone() } else { wrong.clone() });
        }
        assert_eq!(vec![generators[0].used()], case.bits("words_used"));
    }
}

#[test]
fn torch_draws_batches() {
    for (name, sample) in [("10", 10), ("36", 36), ("64", 64)] {
        let case = Case::named(&format!("N_torch_cpu_batches_{name}"));
        for seed in case.seeds() {
            let one = |seed| TorchCpu::new(seed).normals(3 * sample, Dtype::F32);
            case.check(&format!("seed{seed}_batch"), Dtype::F32, |more| one(seed + more));
            case.check(&format!("seed{seed}_in_turn"), Dtype::F32, |more| {
                let mut generator = TorchCpu::new(seed + more);
                (0..3).flat_map(|_| generator.normals(sample, Dtype::F32)).collect()
            });
        }
        let seed = case.seeds()[0];
        case.check("generator_per_sample", Dtype::F32, |more| {
            (0..3).flat_map(|i| TorchCpu::new(seed + i + more).normals(sample, Dtype::F32)).collect()
        });
    }
}

fn at(values: &[f64], index: &[u64]) -> Vec<f64> {
    index.iter().map(|&i| values[i as usize]).collect()
}

#[test]
fn torch_on_a_card() {
    for name in ["N_cuda_small", "N_cuda_t4", "N_cuda_h100_a100"] {
        let case = Case::named(name);
        for (k, draw) in case.case["config"]["draws"].as_array().unwrap().iter().enumerate() {
            let size = |key: &str| draw[key].as_u64().unwrap() as u32;
            let device = CudaDevice {
                multiprocessors: size("multiprocessors"),
                threads_per_multiprocessor: size("max_threads_per_multiprocessor"),
            };
            let (seed, count) = (number(&draw["seed"]), draw["n"].as_u64().unwrap() as usize);
            let index = case.bits(&format!("index_{k}"));
            let element = |more, i| TorchCuda::new(seed + more, device).element(i, count);
            let found = index.iter().flat_map(|&i| element(0, i).0);
            assert_eq!(words(found), case.bits(&format!("words_{k}")), "{name} {k}");
            case.check(&format!("values_{k}"), Dtype::F32, |more| index.iter().map(|&i| element(more, i).1).collect());
            // The largest draws have nine million numbers, of which the elements above are enough.
            if count < 1_000_000 {
                let mut generator = TorchCuda::new(seed, device);
                let (all, values) = (generator.words(count), generator.normals(count));
                assert!(index.iter().all(|&i| values[i as usize] == element(0, i).1));
                assert!(index.iter().all(|&i| all[2 * i as usize..][..2] == element(0, i).0));
                assert_eq!(Some(generator.offset()), draw["offset_after"].as_u64());
            }
            let nv = format!("nv_{k}");
            if case.has(&nv) {
                case.check(&nv, Dtype::F32, |more| at(&Nv::new(seed + more).normals(count), &index));
            }
        }
    }
}

#[test]
fn torch_draws_in_turn_on_a_card() {
    let case = Case::named("N_cuda_sequence");
    let device = CudaDevice { multiprocessors: 40, threads_per_multiprocessor: 1024 };
    let mut generator = TorchCuda::new(42, device);
    let mut offsets = vec![0];
    for (k, count) in case.case["config"]["calls"].as_array().unwrap().iter().enumerate() {
        let index = case.bits(&format!("index_{k}"));
        let count = count.as_u64().unwrap() as usize;
        let right = at(&generator.normals(count), &index);
        // The next draw starts at another offset.
        let wrong = at(&generator.clone().normals(count), &index);
        case.check(&format!("values_{k}"), Dtype::F32, |more| if more == 0 { right.clone() } else { wrong.clone() });
        offsets.push(generator.offset());
    }
    assert_eq!(offsets, case.bits("offsets"));
}

#[test]
fn jax() {
    for (name, layout) in [("N_jax_partitionable", JaxLayout::Partitionable), ("N_jax_original", JaxLayout::Original)] {
        let case = Case::named(name);
        let sizes: Vec<usize> = serde_json::from_value(case.case["config"]["sizes"].clone()).unwrap();
        for seed in case.seeds() {
            let tensor = |name: &str| format!("seed{seed}_{name}");
            let key = |more| JaxKey::new(seed + more);
            assert_eq!(words(key(0).0), case.bits(&tensor("key")));
            for (bits, normals, dtype) in
                [("bits", "f32", Dtype::F32), ("bits16", "f16", Dtype::F16), ("bits8", "bf16", Dtype::Bf16)]
            {
                let found = |more| -> Vec<u64> { words(sizes.iter().flat_map(|&n| key(more).bits(n, dtype, layout))) };
                assert_eq!(found(0), case.bits(&tensor(bits)), "{name} {bits}");
                assert_ne!(found(1), case.bits(&tensor(bits)), "{name} {bits}");
                let values: Vec<f64> = sizes.iter().flat_map(|&n| key(0).normals(n, dtype, layout)).collect();
                if dtype != Dtype::F32 {
                    assert_eq!(values, case.numbers(&tensor(normals)), "{name} {normals}");
                }
            }
            case.check(&tensor("f32"), Dtype::F32, |more| {
                sizes.iter().flat_map(|&n| key(more).normals(n, Dtype::F32, layout)).collect()
            });
            let split = key(0).split(3, layout);
            assert_eq!(words(split.iter().flat_map(|key| key.0)), case.bits(&tensor("split3")));
            let folded = [0, 1, 7].into_iter().flat_map(|data| key(0).fold_in(data).0);
            assert_eq!(words(folded), case.bits(&tensor("fold_in")));
            case.check(&tensor("batch"), Dtype::F32, |more| {
                key(more).split(3, layout).iter().flat_map(|key| key.normals(36, Dtype::F32, layout)).collect()
            });
            case.check(&tensor("shape"), Dtype::F32, |more| key(more).normals(108, Dtype::F32, layout));
        }
    }
}

#[test]
fn numpy() {
    let case = Case::named("N_numpy");
    let check = |tensor: &str, found: &dyn Fn(u64) -> Vec<f64>| {
        // The case's tolerance is a relative one.
        case.check_each(tensor, |_, expected| case.tolerance(Dtype::F64, expected) * expected.abs(), found);
    };
    for seed in case.seeds() {
        let generator = |more| Pcg64::new(seed + more);
        let state = generator(0).state().into_iter().flat_map(|state| [state as u64, (state >> 64) as u64]);
        assert_eq!(state.collect::<Vec<_>>(), case.bits(&format!("pcg64_{seed}_state")));
        let mut raw = generator(0);
        let raw: Vec<u64> = (0..32).map(|_| raw.word()).collect();
        assert_eq!(raw, case.bits(&format!("pcg64_{seed}_raw")));
        check(&format!("pcg64_{seed}_f64"), &|more| {
            let mut generator = generator(more);
            (0..200).map(|_| generator.normal()).collect()
        });
        check(&format!("pcg64_{seed}_f32"), &|more| {
            let mut generator = generator(more);
            (0..200).map(|_| f64::from(generator.normal_f32())).collect()
        });
        for (name, count) in [("randn", 201), ("randn_calls", 15)] {
            check(&format!("mt19937_{seed}_{name}"), &|more| {
                let mut generator = NumpyLegacy::new((seed + more) as u32);
                (0..count).map(|_| generator.normal()).collect()
            });
        }
    }
}

/// The levels before and after a step.
type Step = [f64; 2];

/// The noise of a tree for each step, or of several trees, one for each sample.
fn increments(seeds: &[u64], elements: usize, range: [f64; 2], steps: &[Step]) -> Vec<f64> {
    let tree = |&seed: &u64| BrownianTree::new(seed, elements, range[0], range[1]).unwrap();
    let mut trees: Vec<BrownianTree> = seeds.iter().map(tree).collect();
    let step =
        |[from, to]: &Step| -> Vec<f64> { trees.iter_mut().flat_map(|tree| tree.noise(*from, *to).unwrap()).collect() };
    steps.iter().flat_map(step).collect()
}

/// The tolerance of a step of the Brownian tree: float32 sums of bridges as long as the whole range, over a short step.
fn brownian_tolerance(sigma_max: f64, [from, to]: Step) -> f64 {
    2e-5 * (sigma_max / (from - to).abs()).sqrt()
}

#[test]
fn brownian_trees() {
    let check = |case: &Case, tensor: &str, range: [f64; 2], found: &dyn Fn(u64, &[Step]) -> Vec<f64>| {
        let steps: Vec<Step> = case.numbers("sigmas").windows(2).map(|pair| [pair[0], pair[1]]).collect();
        let size = case.numbers(tensor).len() / steps.len();
        let tolerance = |i: usize, _| brownian_tolerance(range[1], steps[i / size]);
        case.check_each(tensor, tolerance, |more| found(more, &steps));
    };
    let case = Case::named("N_brownian_karras_sd");
    let range = [0.0291675, 14.614642];
    for seed in case.seeds() {
        check(&case, &format!("seed{seed}"), range, &|more, steps| increments(&[seed + more], 16, range, steps));
    }
    let (case, range) = (Case::named("N_brownian_batched"), [0.05, 10.0]);
    check(&case, "increments", range, &|more, steps| increments(&[11, 12 + more], 6, range, steps));
}

#[test]
fn brownian_trees_of_comfyui() {
    let case = Case::named("K_noise_brownian_public");
    for row in case.case["config"]["rows"].as_array().unwrap() {
        let name = |k: usize| row["tensors"][k].as_str().unwrap();
        let steps: Vec<Step> = case.numbers(name(0)).chunks(2).map(|pair| [pair[0], pair[1]]).collect();
        let shape: Vec<usize> = serde_json::from_value(row["shape"].clone()).unwrap();
        let range = ["sigma_min", "sigma_max"].map(|key| row[key].as_f64().unwrap());
        case.check(name(1), Dtype::F32, |more| {
            increments(&[number(&row["seed"]) + more], shape.iter().product(), range, &steps)
        });
    }
}

#[test]
fn start_and_steps_of_comfyui() {
    let case = Case::named("K_noise_torch_public");
    for row in case.case["config"]["rows"].as_array().unwrap() {
        let tensor = row["tensor"].as_str().unwrap();
        let sizes = |key: &str| serde_json::from_value::<Option<Vec<usize>>>(row[key].clone()).unwrap();
        case.check(tensor, Dtype::F32, |more| {
            let mut noise = ComfyNoise::new(number(&row["seed"]) + more);
            match (sizes("latent_shape"), sizes("batch_index")) {
                (Some(shape), None) => noise.start(&shape).unwrap(),
                (Some(shape), Some(index)) => noise.start_at(&shape, &index).unwrap(),
                (None, _) => {
                    let (shape, draws) = (sizes("shape").unwrap(), row["draws"].as_u64().unwrap());
                    (0..draws).flat_map(|_| noise.step(&shape).unwrap()).collect()
                }
            }
        });
    }
}

#[test]
fn variation_seeds() {
    let case = Case::named("N_slerp_variation");
    let (noise, other) = (case.numbers("noise"), case.numbers("subnoise"));
    for strength in ["0.0", "0.25", "0.5", "1.0"] {
        for (name, angle) in [("strength", Angle::Columns), ("whole", Angle::Whole)] {
            // A wrong strength must not pass.
            case.check(&format!("{name}_{strength}"), Dtype::F64, |more| {
                let strength = (strength.parse::<f64>().unwrap() - 1e-3 * more as f64).abs();
                slerp(&noise, &other, [4, 6, 5], strength, angle).unwrap()
            });
        }
    }
}

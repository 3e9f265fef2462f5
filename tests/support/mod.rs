//! Test vectors and comparisons.

pub mod loops;
pub mod sigmas;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use tweedie::math::Schedule;

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")).join(name)
}

/// One file of vectors.
pub struct Vectors {
    bytes: Vec<u8>,
    /// Kind and place of each tensor: reading the header again for every tensor of a large file takes minutes.
    tensors: HashMap<String, (Dtype, Range<usize>)>,
}

impl Vectors {
    pub fn load(id: &str) -> Self {
        let bytes = std::fs::read(path(&format!("{id}.safetensors"))).unwrap();
        let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let data = size_of::<u64>() + header;
        let place = |(begin, end): (usize, usize)| data + begin..data + end;
        let tensors = metadata.tensors().into_iter();
        let tensors = tensors.map(|(name, info)| (name, (info.dtype, place(info.data_offsets)))).collect();
        Self { bytes, tensors }
    }

    /// A tensor of F64 or F32 numbers, widened.
    pub fn f64(&self, name: &str) -> Vec<f64> {
        let (dtype, data) = self.tensor(name);
        match dtype {
            Dtype::F64 => words(&data).map(f64::from_le_bytes).collect(),
            Dtype::F32 => words(&data).map(|w| f64::from(f32::from_le_bytes(w))).collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    /// A tensor of I64 indices.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        let (dtype, data) = self.tensor(name);
        assert_eq!(dtype, Dtype::I64);
        words(&data).map(|word| usize::try_from(i64::from_le_bytes(word)).unwrap()).collect()
    }

    /// A tensor of any kind of numbers, widened.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        match self.tensor(name).0 {
            Dtype::I64 => self.indices(name).into_iter().map(|i| i as f64).collect(),
            Dtype::F16 => self.bits(name).map(|w| half::f16::from_bits(w as u16).to_f64()).collect(),
            _ => self.f64(name),
        }
    }

    /// The numbers of bfloat16 patterns, which are stored as U16.
    pub fn bf16(&self, name: &str) -> Vec<f64> {
        self.bits(name).map(|w| half::bf16::from_bits(w as u16).to_f64()).collect()
    }

    /// The bits of a tensor's elements.
    pub fn bits(&self, name: &str) -> impl Iterator<Item = u64> {
        let (dtype, data) = self.tensor(name);
        let size = dtype.bitsize() / 8;
        let word = move |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
        data.chunks_exact(size).map(word).collect::<Vec<_>>().into_iter()
    }

    /// A tensor of U32 words.
    pub fn u32(&self, name: &str) -> Vec<u32> {
        let (dtype, data) = self.tensor(name);
        assert_eq!(dtype, Dtype::U32);
        words(&data).map(u32::from_le_bytes).collect()
    }

    /// A tensor of U8 bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let (dtype, data) = self.tensor(name);
        assert_eq!(dtype, Dtype::U8);
        data
    }

    fn tensor(&self, name: &str) -> (Dtype, Vec<u8>) {
        let (dtype, place) = self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
        (*dtype, self.bytes[place.clone()].to_vec())
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.chunks_exact(N).map(|word| word.try_into().unwrap())
}

/// The cases of a group (`A` to `F`) as the manifest lists them; empty if it lists none.
pub fn cases(group: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let cases = manifest["cases"].as_array().unwrap().clone();
    cases.into_iter().filter(|case| case["category"] == group).collect()
}

pub fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap()
}

/// The recipe that a case's `config` names; `None` if the betas are the input.
pub fn recipe(case: &Value) -> Option<Schedule> {
    let config = &case["config"];
    let steps = usize::try_from(config["T"].as_u64().unwrap()).unwrap();
    let number = |key: &str, default| config[key].as_f64().unwrap_or(default);
    let (start, end) = match config["diffusers_f32_kwargs"]["beta_start"].as_f64() {
        Some(start) => (start, config["diffusers_f32_kwargs"]["beta_end"].as_f64().unwrap()),
        None => (number("beta_start", 1e-4), number("beta_end", 0.02)),
    };
    let schedule = match config["schedule"].as_str().unwrap() {
        "linear" => Schedule::linear(steps, start, end),
        "linear_scaled_by_T" => Schedule::linear_scaled(steps, 1e-4, 0.02),
        "scaled_linear" => Schedule::scaled_linear(steps, start, end),
        "cosine" => Schedule::cosine(steps),
        "sigmoid" => Schedule::sigmoid(steps, start, end),
        "sigmoid_alpha_bar (Jabri et al. 2212.11972)" => {
            let (start, end) = (number("start", f64::NAN), number("end", f64::NAN));
            Schedule::sigmoid_abar(steps, start, end, number("tau", f64::NAN))
        }
        "zero_snr(linear)" => Schedule::linear(steps, start, end).and_then(|s| s.zero_terminal_snr()),
        "zero_snr(scaled_linear)" => Schedule::scaled_linear(steps, start, end).and_then(|s| s.zero_terminal_snr()),
        "custom betas (stored)" => return None,
        other => panic!("no recipe for {other}"),
    };
    Some(schedule.unwrap())
}

/// `|found - expected| / |expected|`; 0 if both are equal (infinities and zeros too), infinite if only one is finite or one is NaN.
pub fn relative(found: f64, expected: f64) -> f64 {
    if found == expected {
        return 0.0;
    }
    let deviation = ((found - expected) / expected).abs();
    if deviation.is_nan() { f64::INFINITY } else { deviation }
}

/// The largest relative deviation and where it is.
pub fn worst(found: &[f64], expected: &[f64]) -> (f64, usize) {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected).enumerate();
    pairs.map(|(i, (&f, &e))| (relative(f, e), i)).fold((0.0, 0), |a, b| if a.0.is_nan() || b.0 <= a.0 { a } else { b })
}

/// The largest of these deviations; NaN if one of them is NaN, so that it is within no bound.
pub fn largest(deviations: impl IntoIterator<Item = f64>) -> f64 {
    deviations.into_iter().fold(0.0, |most: f64, it| if most.is_nan() || it <= most { most } else { it })
}

#[track_caller]
pub fn assert_relative(what: &str, found: &[f64], expected: &[f64], limit: f64) {
    let (deviation, i) = worst(found, expected);
    assert!(
        deviation <= limit,
        "{what}: entry {i} is {:e}, expected {:e}, relative deviation {deviation:e} above {limit:e}",
        found[i],
        expected[i]
    );
}

/// Fails unless `|found - expected| <= bound`; NaN always fails.
#[track_caller]
pub fn assert_within(what: &str, found: f64, expected: f64, bound: f64) {
    let deviation = (found - expected).abs();
    assert!(deviation <= bound, "{what}: {found:e}, expected {expected:e}, deviation {deviation:e} above {bound:e}");
}

pub fn pick(table: &[f64], index: &[usize]) -> Vec<f64> {
    index.iter().map(|&i| table[i]).collect()
}

#[test]
fn the_comparisons_can_fail() {
    assert_eq!(worst(&[1.0, 2.0], &[1.0, 2.0]), (0.0, 0));
    assert_eq!(worst(&[1.0, 3.0], &[1.0, 2.0]), (0.5, 1));
    assert_eq!(relative(f64::NAN, 1.0), f64::INFINITY);
    assert_eq!(relative(1.0, f64::NAN), f64::INFINITY);
    assert_eq!(relative(f64::INFINITY, 1.0), f64::INFINITY);
    assert_eq!(relative(f64::NEG_INFINITY, f64::NEG_INFINITY), 0.0);
    let fails = |f: fn()| std::panic::catch_unwind(f).is_err();
    assert!(fails(|| assert_relative("x", &[1.0], &[1.1], 1e-2)));
    assert!(fails(|| assert_relative("x", &[f64::NAN], &[1.1], 1e-2)));
    assert!(fails(|| assert_within("x", 1.0, 1.1, 0.09)));
    assert!(fails(|| assert_within("x", f64::NAN, 1.0, 0.1)));
    assert!(!fails(|| assert_within("x", 1.0, 1.1, 0.11)));
}

//! Tensors that `examples/digits/train.py` recorded.

use half::f16;
use safetensors::{Dtype, SafeTensors};

pub const ACTIVATIONS: &[u8] = include_bytes!("../../weights/activations.safetensors");
pub const BATCH: &[u8] = include_bytes!("../../weights/batch.safetensors");

/// A recorded tensor, widened.
pub struct Recorded {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Recorded {
    pub fn read(file: &[u8], name: &str) -> Self {
        let file = SafeTensors::deserialize(file).expect("a safetensors file");
        let view = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F16 => words(bytes).map(|word| f16::from_le_bytes(word).to_f64()).collect(),
            Dtype::F32 => words(bytes).map(|word| f64::from(f32::from_le_bytes(word))).collect(),
            Dtype::I32 => words(bytes).map(|word| f64::from(i32::from_le_bytes(word))).collect(),
            Dtype::I64 => words(bytes).map(|word| i64::from_le_bytes(word) as f64).collect(),
            other => panic!("{name}: {other}"),
        };
        Self { shape: view.shape().to_vec(), data }
    }

    pub fn f32(file: &[u8], name: &str) -> Vec<f32> {
        Self::read(file, name).data.iter().map(|&number| number as f32).collect()
    }

    pub fn u32(file: &[u8], name: &str) -> Vec<u32> {
        Self::read(file, name).data.iter().map(|&number| number as u32).collect()
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

//! safetensors files as the tests write and read them, independent of the tool's own code.

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// A tensor as it lies in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// Rounds each value once to `dtype`; for integer types, values are truncated.
    pub fn new(dtype: Dtype, shape: &[usize], values: &[f64]) -> Self {
        let bytes = match dtype {
            Dtype::F64 => bytemuck::cast_slice(values).to_vec(),
            Dtype::F32 => each(values, |x| (x as f32).to_le_bytes()),
            Dtype::F16 => each(values, |x| f16::from_f64(x).to_le_bytes()),
            Dtype::BF16 => each(values, |x| bf16::from_f64(x).to_le_bytes()),
            Dtype::I64 => each(values, |x| (x as i64).to_le_bytes()),
            Dtype::I32 => each(values, |x| (x as i32).to_le_bytes()),
            Dtype::U32 => each(values, |x| (x as u32).to_le_bytes()),
            other => panic!("no test writes {other:?}"),
        };
        Self { dtype, shape: shape.to_vec(), bytes }
    }

    /// The values, widened exactly.
    pub fn values(&self) -> Vec<f64> {
        match self.dtype {
            Dtype::F64 => words(&self.bytes, f64::from_le_bytes),
            Dtype::F32 => words(&self.bytes, |word| f64::from(f32::from_le_bytes(word))),
            Dtype::F16 => words(&self.bytes, |word| f16::from_le_bytes(word).to_f64()),
            Dtype::BF16 => words(&self.bytes, |word| bf16::from_le_bytes(word).to_f64()),
            Dtype::I64 => words(&self.bytes, |word| i64::from_le_bytes(word) as f64),
            other => panic!("no test reads {other:?}"),
        }
    }
}

fn each<const N: usize>(values: &[f64], encode: impl Fn(f64) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| encode(value)).collect()
}

fn words<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    let (words, rest) = bytes.as_chunks::<N>();
    assert!(rest.is_empty());
    words.iter().map(|&word| decode(word)).collect()
}

/// The tensors of one file, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(pub BTreeMap<String, Tensor>);

impl Tensors {
    /// Adds a tensor, or replaces the one of this name.
    pub fn with(self, name: &str, dtype: Dtype, shape: &[usize], values: &[f64]) -> Self {
        self.with_tensor(name, Tensor::new(dtype, shape, values))
    }

    pub fn with_tensor(mut self, name: &str, tensor: Tensor) -> Self {
        self.0.insert(name.to_owned(), tensor);
        self
    }

    /// Some of the tensors under other names, from pairs of the old and the new name. Old names that do not exist are skipped.
    pub fn renamed(&self, names: &[(&str, &str)]) -> Self {
        let found = names.iter().filter_map(|(old, new)| Some(((*new).to_owned(), self.0.get(*old)?.clone())));
        Self(found.collect())
    }

    /// The same values in another type; each is rounded once.
    pub fn stored(&self, dtype: Dtype) -> Self {
        let stored = |tensor: &Tensor| Tensor::new(dtype, &tensor.shape, &tensor.values());
        Self(self.0.iter().map(|(name, tensor)| (name.clone(), stored(tensor))).collect())
    }

    pub fn without(mut self, name: &str) -> Self {
        assert!(self.0.remove(name).is_some(), "no tensor {name}");
        self
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    #[track_caller]
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no tensor `{name}` in {:?}", self.names()))
    }

    #[track_caller]
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.tensor(name).values()
    }

    /// A tensor of I64 indices.
    #[track_caller]
    pub fn indices(&self, name: &str) -> Vec<usize> {
        assert_eq!(self.tensor(name).dtype, Dtype::I64);
        self.values(name).into_iter().map(|i| i as usize).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let views = self.0.iter().map(|(name, Tensor { dtype, shape, bytes })| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor whose bytes fit its shape"))
        });
        safetensors::serialize(views, None).expect("tensors that can be written")
    }

    pub fn save(&self, path: &Path) {
        std::fs::write(path, self.bytes()).expect("a file that can be written");
    }

    #[track_caller]
    pub fn load(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let tensors = file.iter().map(|(name, view)| {
            let tensor = Tensor { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            (name.to_owned(), tensor)
        });
        Self(tensors.collect())
    }
}

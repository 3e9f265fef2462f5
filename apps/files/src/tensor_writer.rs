//! Writing safetensors files, whole or not at all.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::atomic;

/// Collects tensors, then saves them in one atomic step.
#[derive(Debug, Default)]
pub struct TensorWriter {
    tensors: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl TensorWriter {
    /// Without any tensor yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds f64 values, stored as they are.
    pub fn doubles(&mut self, name: &str, shape: &[usize], values: &[f64]) -> Result<()> {
        self.raw(name, Dtype::F64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds little-endian bytes as they are, such as those that the GPU wrote.
    pub fn raw(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Result<()> {
        if self.tensors.iter().any(|tensor| tensor.name == name) {
            bail!("tensor `{name}` was added twice");
        }
        let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let expected = elements.and_then(|elements| elements.checked_mul(dtype.bitsize())).map(|bits| bits / 8);
        if expected != Some(bytes.len()) {
            bail!("tensor `{name}`: expected the bytes of {dtype} {shape:?}, found {} bytes", bytes.len());
        }
        self.tensors.push(Entry { name: name.into(), dtype, shape: shape.to_vec(), bytes });
        Ok(())
    }

    /// Writes the file. Whatever fails, an existing file keeps its content.
    pub fn save(&self, path: &Path) -> Result<()> {
        atomic::write(path, &self.serialize().with_context(|| path.display().to_string())?)
    }

    fn serialize(&self) -> Result<Vec<u8>> {
        let mut views = Vec::with_capacity(self.tensors.len());
        for tensor in &self.tensors {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)
                .map_err(|error| anyhow!("tensor `{}`: {error}", tensor.name))?;
            views.push((&tensor.name, view));
        }
        Ok(safetensors::serialize(views, None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_file::TensorFile;

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let values = [0.1, -2.5, 1e5, f64::MIN_POSITIVE];
        let mut writer = TensorWriter::new();
        writer.doubles("f64", &[4], &values).unwrap();
        let halves = [0.1f32, -2.5].iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
        writer.raw("f16", Dtype::F16, &[2, 1], halves).unwrap();
        writer.save(&path).unwrap();
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.floats("f64").unwrap().data, values);
        let halves = file.floats("f16").unwrap();
        assert_eq!((halves.data, halves.shape), (vec![0.0999755859375, -2.5], vec![2, 1]));
    }

    #[test]
    fn refuses_a_wrong_size_and_a_second_tensor_of_one_name() {
        let mut writer = TensorWriter::new();
        let text = writer.doubles("a", &[2, 2], &[0.0; 3]).unwrap_err().to_string();
        assert_eq!(text, "tensor `a`: expected the bytes of F64 [2, 2], found 24 bytes");
        assert!(writer.raw("a", Dtype::U8, &[usize::MAX, 2], vec![]).is_err());
        writer.doubles("a", &[1], &[0.0]).unwrap();
        assert!(writer.doubles("a", &[1], &[0.0]).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_failed_save_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.safetensors");
        let mut writer = TensorWriter::new();
        writer.doubles("a", &[1], &[1.0]).unwrap();
        writer.save(&path).unwrap();
        assert!(writer.save(&path.join("below")).is_err());
        assert!(writer.save(folder.path()).is_err());
        assert_eq!(TensorFile::open(&path).unwrap().names(), ["a"]);
    }
}

//! Writing safetensors files, whole or not at all.

use std::path::Path;

use anyhow::{Result, bail};
use safetensors::Dtype;

use crate::tensor_stream::{Announced, TensorStream, length};

/// Collects tensors, then saves them in one atomic step.
#[derive(Debug, Default)]
pub struct TensorWriter {
    tensors: Vec<(Announced, Vec<u8>)>,
}

impl TensorWriter {
    /// Creates a writer without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds f64 values, stored as they are.
    pub fn doubles(&mut self, name: &str, shape: &[usize], values: &[f64]) -> Result<()> {
        self.raw(name, Dtype::F64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds little-endian bytes as they are, such as those that the GPU wrote.
    pub fn raw(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Result<()> {
        if self.tensors.iter().any(|(tensor, _)| tensor.name == name) {
            bail!("tensor `{name}` was added twice");
        }
        if length(dtype, shape) != Some(bytes.len()) {
            bail!("tensor `{name}`: expected the bytes of {dtype} {shape:?}, found {} bytes", bytes.len());
        }
        self.tensors.push((Announced::new(name, dtype, shape), bytes));
        Ok(())
    }

    /// Writes the file. Whatever fails, an existing file keeps its content.
    pub fn save(&self, path: &Path) -> Result<()> {
        let announced = self.tensors.iter().map(|(tensor, _)| tensor.clone()).collect();
        let mut stream = TensorStream::create(path, announced)?;
        for (tensor, bytes) in &self.tensors {
            stream.append(&tensor.name, bytes)?;
        }
        stream.finish()
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
        assert_eq!(halves.shape, [2, 1]);
        assert_eq!(halves.data, [0.0999755859375, -2.5]);
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

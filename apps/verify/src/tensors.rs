//! The tensors of recorded runs.

use crate::{Error, Outcome};
use safetensors::{Dtype, SafeTensors};
use std::sync::OnceLock;

/// A safetensors file that is built into the program.
pub struct Tensors {
    bytes: &'static [u8],
    read: OnceLock<Result<SafeTensors<'static>, String>>,
}

impl Tensors {
    pub const fn new(bytes: &'static [u8]) -> Self {
        Self { bytes, read: OnceLock::new() }
    }

    /// Reads a tensor, widened to f64.
    pub fn numbers(&'static self, name: &str) -> Outcome<Vec<f64>> {
        let file = self.read.get_or_init(|| SafeTensors::deserialize(self.bytes).map_err(|error| error.to_string()));
        let view = file.as_ref().map_err(Error::of_record)?.tensor(name).map_err(Error::of_record)?;
        match view.dtype() {
            Dtype::F64 => Ok(words(view.data()).map(f64::from_le_bytes).collect()),
            Dtype::F32 => Ok(words(view.data()).map(|word| f64::from(f32::from_le_bytes(word))).collect()),
            other => Err(Error::of_record(format!("{name}: expected F32 or F64, found {other:?}"))),
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

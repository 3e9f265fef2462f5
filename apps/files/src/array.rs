//! A tensor in memory: f64 values, a shape, and how the file stored them.

use anyhow::{Result, bail};
use half::{bf16, f16};
use safetensors::Dtype;

/// Values read from a file. Dimension 0 is the batch; every dimension is at least 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The tensor's name, for messages about it.
    pub name: String,
    /// At least one dimension.
    pub shape: Vec<usize>,
    /// In row-major order; every storage type widens to f64 without loss.
    pub data: Vec<f64>,
    /// Element type in the file.
    pub dtype: Dtype,
}

impl Array {
    /// Samples: the first dimension.
    pub fn batch(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Elements in each sample.
    pub fn per_sample(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Refuses NaN and infinities, saying where the first one is.
    pub fn require_finite(&self) -> Result<()> {
        let Some(flat) = self.data.iter().position(|value| !value.is_finite()) else {
            return Ok(());
        };
        let what = if self.data[flat].is_nan() { "NaN" } else { "an infinity" };
        let (sample, element) = (flat / self.per_sample(), flat % self.per_sample());
        bail!("tensor `{}` holds {what} at sample {sample}, element {element} (flat index {flat})", self.name)
    }

    /// Refuses a shape that differs from `like`'s.
    pub fn require_shape_of(&self, like: &Array) -> Result<()> {
        if self.shape == like.shape {
            return Ok(());
        }
        bail!("tensor `{}`: expected shape {:?} like `{}`, found {:?}", self.name, like.shape, like.name, self.shape)
    }
}

/// Widens the bytes of a floating point tensor; `None` where `dtype` is not one that the tool reads.
pub fn widen(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |raw| f64::from(f32::from_le_bytes(raw))),
        Dtype::F16 => each(bytes, |raw| f16::from_le_bytes(raw).to_f64()),
        Dtype::BF16 => each(bytes, |raw| bf16::from_le_bytes(raw).to_f64()),
        _ => return None,
    })
}

/// Widens the bytes of an integer tensor; `None` where `dtype` is not one that timesteps come in.
pub fn integers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<i64>> {
    Some(match dtype {
        Dtype::I64 => each(bytes, i64::from_le_bytes),
        Dtype::I32 => each(bytes, |raw| i64::from(i32::from_le_bytes(raw))),
        Dtype::U32 => each(bytes, |raw| i64::from(u32::from_le_bytes(raw))),
        _ => return None,
    })
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (items, _) = bytes.as_chunks::<N>();
    items.iter().map(|item| read(*item)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, shape: &[usize]) -> Array {
        let data = vec![0.5; shape.iter().product()];
        Array { name: name.into(), shape: shape.to_vec(), data, dtype: Dtype::F64 }
    }

    #[test]
    fn names_the_first_value_that_is_not_finite() {
        let mut x0 = array("x0", &[4, 20]);
        x0.require_finite().unwrap();
        x0.data[57] = f64::NAN;
        let text = x0.require_finite().unwrap_err().to_string();
        assert_eq!(text, "tensor `x0` holds NaN at sample 2, element 17 (flat index 57)");
        x0.data[3] = f64::NEG_INFINITY;
        assert!(x0.require_finite().unwrap_err().to_string().contains("an infinity at sample 0, element 3"));
    }

    #[test]
    fn names_both_shapes() {
        let (x0, eps) = (array("x0", &[5, 3]), array("eps", &[5, 4]));
        let text = eps.require_shape_of(&x0).unwrap_err().to_string();
        assert_eq!(text, "tensor `eps`: expected shape [5, 3] like `x0`, found [5, 4]");
        x0.require_shape_of(&x0).unwrap();
    }

    #[test]
    fn a_vector_has_one_element_a_sample() {
        let betas = array("betas", &[7]);
        assert_eq!((betas.batch(), betas.per_sample()), (7, 1));
    }

    #[test]
    fn widening_is_exact() {
        assert_eq!(widen(Dtype::F16, &f16::from_f64(0.1).to_le_bytes()).unwrap(), [0.0999755859375]);
        assert_eq!(widen(Dtype::BF16, &bf16::from_f64(0.1).to_le_bytes()).unwrap(), [0.10009765625]);
        assert_eq!(widen(Dtype::F32, &0.1f32.to_le_bytes()).unwrap(), [f64::from(0.1f32)]);
        assert_eq!(widen(Dtype::F64, &0.1f64.to_le_bytes()).unwrap(), [0.1]);
        assert!(widen(Dtype::I64, &[0; 8]).is_none());
        assert_eq!(integers(Dtype::I32, &(-3i32).to_le_bytes()).unwrap(), [-3]);
        assert_eq!(integers(Dtype::U32, &u32::MAX.to_le_bytes()).unwrap(), [4_294_967_295]);
        assert!(integers(Dtype::F32, &[0; 4]).is_none());
    }
}

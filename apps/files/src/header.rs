//! The header of a tensor: its name, its shape and its type, as a file states them.

use anyhow::{Result, bail};
use safetensors::Dtype;

/// Name, shape and element type of a tensor. Dimension 0 is the batch; every dimension is at least 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tensor's name, for messages about it.
    pub name: String,
    /// At least one dimension.
    pub shape: Vec<usize>,
    /// Element type in the file.
    pub dtype: Dtype,
}

impl Header {
    /// The number of samples: the first dimension.
    pub fn batch(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The number of elements in each sample.
    pub fn per_sample(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Refuses a shape that differs from `like`'s.
    pub fn require_shape_of(&self, like: &Header) -> Result<()> {
        if self.shape == like.shape {
            return Ok(());
        }
        bail!("tensor `{}`: expected shape {:?} like `{}`, found {:?}", self.name, like.shape, like.name, self.shape)
    }

    /// Refuses NaN and infinities among values that begin at this element of the tensor, saying where the first one is.
    pub fn require_finite(&self, first: usize, values: &[f64]) -> Result<()> {
        match values.iter().position(|value| !value.is_finite()) {
            Some(place) => self.refuse_not_finite(first + place, values[place]),
            None => Ok(()),
        }
    }

    /// The error of a value at this element that is not finite.
    pub(crate) fn refuse_not_finite(&self, flat: usize, value: f64) -> Result<()> {
        let what = if value.is_nan() { "NaN" } else { "an infinity" };
        let [sample, element] = self.place(flat);
        bail!("tensor `{}` holds {what} at sample {sample}, element {element} (flat index {flat})", self.name)
    }

    /// The sample of an element, and its index in that sample.
    pub fn place(&self, flat: usize) -> [usize; 2] {
        let elements = self.per_sample().max(1);
        [flat / elements, flat % elements]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, shape: &[usize]) -> Header {
        Header { name: name.into(), shape: shape.to_vec(), dtype: Dtype::F64 }
    }

    #[test]
    fn names_the_first_value_that_is_not_finite() {
        let x0 = header("x0", &[4, 20]);
        let mut data = vec![0.5; 80];
        x0.require_finite(0, &data).unwrap();
        data[57] = f64::NAN;
        for first in [0, 40, 57] {
            let text = x0.require_finite(first, &data[first..]).unwrap_err().to_string();
            assert_eq!(text, "tensor `x0` holds NaN at sample 2, element 17 (flat index 57)");
        }
        data[3] = f64::NEG_INFINITY;
        let text = x0.require_finite(0, &data).unwrap_err().to_string();
        assert!(text.contains("an infinity at sample 0, element 3"), "{text}");
    }

    #[test]
    fn names_both_shapes() {
        let (x0, eps) = (header("x0", &[5, 3]), header("eps", &[5, 4]));
        let text = eps.require_shape_of(&x0).unwrap_err().to_string();
        assert_eq!(text, "tensor `eps`: expected shape [5, 3] like `x0`, found [5, 4]");
        x0.require_shape_of(&x0).unwrap();
    }

    #[test]
    fn a_vector_has_one_element_a_sample() {
        let betas = header("betas", &[7]);
        assert_eq!((betas.batch(), betas.per_sample()), (7, 1));
    }
}

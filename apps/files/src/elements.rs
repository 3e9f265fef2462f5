//! The elements of a tensor as a file holds them: little-endian numbers.

use half::{bf16, f16};
use safetensors::Dtype;

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

/// The size of a number in bytes, for the types that [`widen`] takes; `None` for other types.
pub fn float_bytes(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F64 => Some(8),
        Dtype::F32 => Some(4),
        Dtype::F16 | Dtype::BF16 => Some(2),
        _ => None,
    }
}

/// The index of the first number that is not finite; `None` for types other than those that [`widen`] takes.
pub fn first_not_finite(dtype: Dtype, bytes: &[u8]) -> Option<usize> {
    match dtype {
        Dtype::F64 => first(bytes, |raw| f64::from_le_bytes(raw).is_finite()),
        Dtype::F32 => first(bytes, |raw| f32::from_le_bytes(raw).is_finite()),
        Dtype::F16 => first(bytes, |raw| f16::from_le_bytes(raw).is_finite()),
        Dtype::BF16 => first(bytes, |raw| bf16::from_le_bytes(raw).is_finite()),
        _ => None,
    }
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

fn first<const N: usize>(bytes: &[u8], finite: impl Fn([u8; N]) -> bool) -> Option<usize> {
    let (items, _) = bytes.as_chunks::<N>();
    items.iter().position(|item| !finite(*item))
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_number_that_is_not_finite_is_found_in_every_type() {
        let numbers = [1.0, -2.0, f64::INFINITY, f64::NAN];
        let encoded: [(Dtype, Vec<u8>); 4] = [
            (Dtype::F64, numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
            (Dtype::F32, numbers.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()),
            (Dtype::F16, numbers.iter().flat_map(|&x| f16::from_f64(x).to_le_bytes()).collect()),
            (Dtype::BF16, numbers.iter().flat_map(|&x| bf16::from_f64(x).to_le_bytes()).collect()),
        ];
        for (dtype, bytes) in encoded {
            let size = float_bytes(dtype).unwrap();
            assert_eq!(bytes.len(), numbers.len() * size);
            assert_eq!(first_not_finite(dtype, &bytes), Some(2), "{dtype}");
            assert_eq!(first_not_finite(dtype, &bytes[..2 * size]), None, "{dtype}");
        }
        assert_eq!(first_not_finite(Dtype::I64, &[255; 8]), None);
    }
}

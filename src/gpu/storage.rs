//! Storage types: how an element lies in a buffer. All arithmetic is f32, whatever the storage.
//!
//! Host twin of the files of `shaders/storage/`.

use half::{bf16, f16};

/// How the elements of a tensor are stored.
///
/// f16 and bf16 lie two to a 32-bit word, the lower element in the lower half, which is the plain little-endian layout of
/// an array; neither needs a feature of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16: 11 significant bits, at most 65504.
    F16,
    /// bfloat16: 8 significant bits, the range of f32.
    Bf16,
}

impl Storage {
    /// Every storage type.
    pub const ALL: [Storage; 3] = [Storage::F32, Storage::F16, Storage::Bf16];

    /// Bytes of an element: 4 or 2.
    pub const fn bytes(self) -> u64 {
        match self {
            Storage::F32 => 4,
            Storage::F16 | Storage::Bf16 => 2,
        }
    }

    /// Elements that a 32-bit word holds.
    pub(crate) const fn elements_per_word(self) -> u32 {
        (4 / self.bytes()) as u32
    }

    /// The WGSL that packs its elements.
    pub(crate) const fn wgsl(self) -> &'static str {
        match self {
            Storage::F32 => include_str!("../../shaders/storage/f32.wgsl"),
            Storage::F16 => include_str!("../../shaders/storage/f16.wgsl"),
            Storage::Bf16 => include_str!("../../shaders/storage/bf16.wgsl"),
        }
    }

    /// `f32`, `f16` or `bf16`.
    pub const fn name(self) -> &'static str {
        match self {
            Storage::F32 => "f32",
            Storage::F16 => "f16",
            Storage::Bf16 => "bf16",
        }
    }

    /// The unit roundoff: half the distance from 1 to the next number, the largest relative error of one rounding.
    pub const fn unit_roundoff(self) -> f64 {
        match self {
            Storage::F32 => 1.0 / (1u64 << 24) as f64,
            Storage::F16 => 1.0 / (1u64 << 11) as f64,
            Storage::Bf16 => 1.0 / (1u64 << 8) as f64,
        }
    }

    /// The number of roundings by which a shader's store may be off: 16-bit elements are rounded to nearest even on every device.
    pub(crate) const fn roundings(self) -> f64 {
        match self {
            Storage::F32 => 0.0,
            Storage::F16 | Storage::Bf16 => 1.0,
        }
    }

    /// The distance between neighbouring subnormal numbers of this storage: the smallest absolute step.
    pub fn smallest_step(self) -> f64 {
        match self {
            Storage::F32 => 2f64.powi(-149),
            Storage::F16 => 2f64.powi(-24),
            Storage::Bf16 => 2f64.powi(-133),
        }
    }

    /// The bits of the least f32 magnitude that is stored as infinity: for 16 bits, half a step beyond the largest number.
    pub(crate) const fn infinite_from(self) -> u32 {
        match self {
            Storage::F32 => 0x7f80_0000,
            Storage::F16 => 0x477f_f000,
            Storage::Bf16 => 0x7f7f_8000,
        }
    }

    /// The bits of the largest f32 magnitude that is stored as 0: half the smallest step, which ties to even.
    pub(crate) const fn zero_up_to(self) -> u32 {
        match self {
            Storage::F32 => 0,
            Storage::F16 => 0x3300_0000,
            Storage::Bf16 => 0x0000_8000,
        }
    }

    /// The nearest number of this storage, ties to even; beyond its range, infinity.
    pub fn round(self, x: f64) -> f64 {
        match self {
            Storage::F32 => f64::from(x as f32),
            Storage::F16 => f16::from_f64(x).to_f64(),
            Storage::Bf16 => bf16::from_f64(x).to_f64(),
        }
    }

    /// Converts elements to the bytes of a buffer: little-endian, padded to whole 4-byte words.
    pub fn encode(self, values: &[f32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self {
            Storage::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Storage::F16 => values.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
            Storage::Bf16 => values.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
        };
        // Buffers and copies are whole words.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Converts bytes to elements, exactly. A last incomplete element is ignored.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Storage::F32 => bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Storage::F16 => bytes.as_chunks::<2>().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Storage::Bf16 => bytes.as_chunks::<2>().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        }
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a storage type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a storage type f32, f16 or bf16, found `{found}`")]
pub struct UnknownStorage {
    /// The name that was given.
    pub found: String,
}

impl std::str::FromStr for Storage {
    type Err = UnknownStorage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "f32" | "float32" | "float" => Ok(Storage::F32),
            "f16" | "float16" | "half" => Ok(Storage::F16),
            "bf16" | "bfloat16" => Ok(Storage::Bf16),
            _ => Err(UnknownStorage { found: name.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_and_decode_are_inverse_on_representable_numbers() {
        let values = [0.0, -1.5, 2.0, 0.25, -65504.0, 1.0];
        for storage in [Storage::F32, Storage::F16] {
            assert_eq!(storage.decode(&storage.encode(&values)), values);
        }
        assert_eq!(Storage::Bf16.decode(&Storage::Bf16.encode(&[1.0, -2.5, 3e38]))[..2], [1.0, -2.5]);
    }

    #[test]
    fn a_padded_word_decodes_to_one_more_zero() {
        assert_eq!(Storage::F16.encode(&[1.0, 2.0, 3.0]).len(), 8);
    }

    #[test]
    fn unit_roundoff_is_the_error_of_one_rounding() {
        for storage in Storage::ALL {
            let u = storage.unit_roundoff();
            assert_eq!(storage.round(1.0 + u), 1.0, "{storage}: a tie goes to even");
            assert_eq!(storage.round(1.0 + 1.01 * u), 1.0 + 2.0 * u, "{storage}");
        }
    }

    #[test]
    fn host_and_shader_agree_how_many_elements_a_word_holds() {
        for storage in Storage::ALL {
            let line = format!("const ELEMENTS_PER_WORD_{storage} = {}u;", storage.elements_per_word());
            assert!(storage.wgsl().contains(&line), "{storage}: expected `{line}`");
        }
    }

    #[test]
    fn the_ends_of_a_range_are_where_rounding_says() {
        for storage in Storage::ALL {
            let stored = |bits: u32| storage.decode(&storage.encode(&[f32::from_bits(bits)]))[0];
            let (top, bottom) = (storage.infinite_from(), storage.zero_up_to());
            assert!(stored(top).is_infinite() && stored(top - 1).is_finite(), "{storage}");
            assert!(stored(bottom) == 0.0 && stored(bottom + 1) > 0.0, "{storage}");
        }
    }

    #[test]
    fn names_parse_and_print() {
        for storage in Storage::ALL {
            assert_eq!(storage.name().parse::<Storage>().as_ref(), Ok(&storage));
        }
        assert!("f64".parse::<Storage>().is_err());
    }
}

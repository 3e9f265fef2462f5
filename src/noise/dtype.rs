//! The type of the numbers that a source draws.

use half::{bf16, f16};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The type in which a source of noise draws. In another type, several sources draw different numbers, not just rounded ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE binary64.
    F64,
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
}

/// An unknown name of a type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected f64, f32, f16 or bf16, found `{0}`")]
pub struct UnknownDtype(pub String);

impl Dtype {
    /// All types.
    pub const ALL: [Self; 4] = [Self::F64, Self::F32, Self::F16, Self::Bf16];

    /// The name: `f64`, `f32`, `f16` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Rounds a number to this type: to the nearest value, ties to even. The 16-bit types round to f32 first, as programs that
    /// compute in f32 do.
    #[must_use]
    pub fn round(self, x: f64) -> f64 {
        match self {
            Self::F64 => x,
            Self::F32 => f64::from(x as f32),
            Self::F16 => f64::from(f16::from_f32(x as f32)),
            Self::Bf16 => f64::from(bf16::from_f32(x as f32)),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dtype {
    type Err = UnknownDtype;

    fn from_str(text: &str) -> Result<Self, UnknownDtype> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == text).ok_or_else(|| UnknownDtype(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_once() {
        let rounded = Dtype::ALL.map(|dtype| dtype.round(1.0 + 1.0 / 3.0));
        assert_eq!(rounded, [1.3333333333333333, 1.3333333730697632, 1.3330078125, 1.3359375]);
    }

    #[test]
    fn names_are_read_back() {
        assert!(Dtype::ALL.into_iter().all(|dtype| dtype.name().parse() == Ok(dtype)));
        assert_eq!("f8".parse::<Dtype>().unwrap_err().to_string(), "expected f64, f32, f16 or bf16, found `f8`");
    }
}

//! Numbers that break things: ordinary ones often, the ends of every range sometimes.

use arbitrary::{Arbitrary, Result, Unstructured};

/// A number as a user might give it.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

const ODD: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN_POSITIVE,
    5e-324,
    f64::MAX,
    f64::EPSILON,
    1e-20,
    1e20,
    1e300,
    1.0 - f64::EPSILON,
];

impl<'a> Arbitrary<'a> for Number {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let fraction = |u: &mut Unstructured<'a>| Ok(f64::from(u16::arbitrary(u)?) / 65535.0);
        Ok(Self(match u8::arbitrary(u)? {
            0..=15 => *u.choose(&ODD)?,
            16..=31 => f64::arbitrary(u)?,
            32..=95 => f64::from(i16::arbitrary(u)?) / 64.0,
            96..=127 => f64::from(u8::arbitrary(u)?),
            _ => fraction(u)?,
        }))
    }
}

/// A count as a user might give it: small, or beyond all bounds.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub usize);

impl<'a> Arbitrary<'a> for Count {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match u8::arbitrary(u)? {
            0..=7 => *u.choose(&[usize::MAX, usize::MAX - 1, u32::MAX as usize, 1 << 31, 1 << 40])?,
            8..=15 => 1000,
            byte => usize::from(byte - 16) / 4,
        }))
    }
}

/// A list of at most so many numbers.
pub fn list(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<f64>> {
    let length = u.int_in_range(0..=most)?;
    (0..length).map(|_| Ok(Number::arbitrary(u)?.0)).collect()
}

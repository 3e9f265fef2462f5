//! Checks of numeric parameters.

use crate::math::error::sampler::SamplerError;

fn require(valid: bool, name: &'static str, expected: &'static str, found: f64) -> Result<(), SamplerError> {
    if valid { Ok(()) } else { Err(SamplerError::Parameter { name, expected, found }) }
}

pub(super) fn finite(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require(value.is_finite(), name, "finite", value)
}

pub(super) fn positive(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require(value.is_finite() && value > 0.0, name, "finite and above 0", value)
}

pub(super) fn not_negative(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require(value.is_finite() && value >= 0.0, name, "finite and at least 0", value)
}

pub(super) fn fraction(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require((0.0..=1.0).contains(&value), name, "within 0..=1", value)
}

/// Accepts a shape of a beta distribution for which its quantiles are accurate.
pub(super) fn shape(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require((0.1..=100.0).contains(&value), name, "within 0.1..=100", value)
}

pub(super) fn not_nan(name: &'static str, value: f64) -> Result<(), SamplerError> {
    require(!value.is_nan(), name, "a number", value)
}

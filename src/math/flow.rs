//! The times of flow matching: shifts towards the noisy end.
//!
//! **Theory.** An image of more pixels needs more noise to lose as much of its signal, so its times are shifted (Esser
//! et al. 2024, arXiv 2403.03206, eq. 23):
//! ```text
//! t' = k*t/(1 + (k - 1)*t)
//! ```
//! The "exponential" shift of Flux is the same with `k = exp(mu)`, the "linear" one with `k = mu`.
//!
//! **Practice.** Times run from noisy (1) to clean and do not include the final 0; the network is told `T*t`.

use super::check;
use super::schedule::check_steps;
use crate::math::error::sampler::SamplerError;

/// The `n` times `1 - i/n`, as most models are sampled.
///
/// # Errors
/// [`SamplerError::Schedule`] for the count.
pub(super) fn even(n: usize) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    Ok((0..n).map(|i| 1.0 - i as f64 / n as f64).collect())
}

/// The `n` times of equal steps down to 0, except that the last step is `last` times as long as the others (pi-Flow).
///
/// # Errors
/// [`SamplerError::Schedule`] for the count, [`SamplerError::Parameter`] for a `last` that is not above 0 and at most 1.
pub(super) fn even_but_last(n: usize, last: f64) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    check::fraction("the part of the last step", last)?;
    check::positive("the part of the last step", last)?;
    let whole = n as f64 - (1.0 - last);
    Ok((0..n).map(|i| 1.0 - i as f64 / whole).collect())
}

/// `n` times in equal steps from `most` to `least`: from 1 to `1/T` for a network with `T` timesteps. A single time is `most`.
///
/// # Errors
/// [`SamplerError::Parameter`] unless both are within `0..=1`; [`SamplerError::Schedule`] for the count.
pub(crate) fn times(n: usize, most: f64, least: f64) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    check::fraction("the largest time", most)?;
    check::fraction("the least time", least)?;
    let step = (least - most) / n.saturating_sub(1).max(1) as f64;
    let time = |i: usize| if i > 0 && i + 1 == n { least } else { most + i as f64 * step };
    Ok((0..n).map(time).collect())
}

/// `n` times of which the first half falls in equal steps from 1 by `threshold`, and the rest along a parabola to 0 (Polyak et
/// al. 2024, arXiv 2410.13720, section 3.4; Mochi).
///
/// # Errors
/// [`SamplerError::Schedule`] for the count, [`SamplerError::Parameter`] for a threshold outside `0..=1`.
pub(super) fn linear_quadratic(n: usize, threshold: f64) -> Result<Vec<f64>, SamplerError> {
    check_steps(n)?;
    check::fraction("the threshold", threshold)?;
    let (all, linear) = (n as f64, (n / 2) as f64);
    let slope = if linear > 0.0 { threshold / linear } else { 0.0 };
    let rest = all - linear;
    // The parabola continues the line with the same slope and reaches 1 at `n`.
    let excess = (1.0 - slope * all) / (rest * rest);
    let signal = |i: f64| slope * i + if i > linear { excess * (i - linear).powi(2) } else { 0.0 };
    Ok((0..n).map(|i| 1.0 - signal(i as f64)).collect())
}

/// Shifts a time in `0..=1`: `k*t/(1 + (k - 1)*t)`. A shift of 1 changes nothing, a larger one moves times towards noise.
///
/// # Errors
/// [`SamplerError::Parameter`] for a shift that is not above 0 or a time out of range.
pub fn shifted(t: f64, shift: f64) -> Result<f64, SamplerError> {
    check::positive("shift", shift)?;
    check::fraction("a time", t)?;
    Ok(if shift == 1.0 { t } else { (shift * t / (1.0 - t + shift * t)).min(1.0) })
}

/// Returns `mu` of Flux's dynamic shift, whose shift is `exp(mu)`: the value at `length` tokens of the straight line through
/// the points `(tokens, mu)` given by `base` and `most`, usually (256, 0.5) and (4096, 1.15).
///
/// # Errors
/// [`SamplerError::Parameter`] unless all numbers are finite and `most` has more tokens than `base`.
pub fn dynamic_mu(length: f64, base: (f64, f64), most: (f64, f64)) -> Result<f64, SamplerError> {
    for value in [length, base.0, base.1, most.0, most.1] {
        check::finite("a number of tokens or a mu", value)?;
    }
    check::positive("the difference in tokens of the two points", most.0 - base.0)?;
    let slope = (most.1 - base.1) / (most.0 - base.0);
    let mu = base.1 + slope * (length - base.0);
    check::finite("mu", mu)?;
    Ok(mu)
}

/// Stretches the times, as distances from 1, so that the last becomes `terminal` (`shift_terminal`, LTX-Video).
///
/// # Errors
/// [`SamplerError::Parameter`] unless the terminal time is within `0..1`, the times are within `0..=1` and the last of them
/// is below 1; [`SamplerError::NoSteps`] for an empty list.
pub(super) fn stretched(times: &[f64], terminal: f64) -> Result<Vec<f64>, SamplerError> {
    check::fraction("the terminal time", terminal)?;
    let last = *times.last().ok_or(SamplerError::NoSteps)?;
    times.iter().try_for_each(|&t| check::fraction("a time", t))?;
    check::positive("1 - the terminal time", 1.0 - terminal)?;
    check::positive("1 - the last time", 1.0 - last)?;
    let scale = (1.0 - last) / (1.0 - terminal);
    Ok(times.iter().map(|t| 1.0 - (1.0 - t) / scale).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_equal_steps_and_stretched_to_their_end() {
        let even = times(5, 1.0, 0.2).unwrap();
        assert_eq!((even.len(), even[0], even[4]), (5, 1.0, 0.2));
        let list = stretched(&even, 0.1).unwrap();
        assert!((list[0] - 1.0).abs() < 1e-15 && (list[4] - 0.1).abs() < 1e-15);
        assert!(times(usize::MAX, 1.0, 0.0).is_err() && times(3, f64::NAN, 0.0).is_err());
        assert!(stretched(&[f64::NAN, 0.5], 0.1).is_err() && stretched(&[1.0], 0.1).is_err());
    }
}

//! The nodes of ComfyUI that change a list of sigmas.

use super::error::RunError;
use super::precision::Precision;
use super::request::{MOST_STEPS, Request, last, rounded};
use crate::few::few;
use std::f64::consts::FRAC_PI_2;

/// The sigma that replaces a first sigma of 0 when a list is reversed.
const FLIPPED_CLEAN: f64 = 1e-4;

/// The names of the two outputs of a node that splits a list.
pub(super) const HALVES: &[&str] = &["high_sigmas", "low_sigmas"];

/// The reversed list, from clean to noisy; a first sigma of 0 becomes a little larger.
pub(super) fn flipped(mut sigmas: Vec<f64>, precision: Precision) -> Vec<f64> {
    sigmas.reverse();
    if let Some(first) = sigmas.first_mut().filter(|first| **first == 0.0) {
        *first = precision.round(FLIPPED_CLEAN);
    }
    sigmas
}

/// `FlipSigmas`.
pub(super) fn flip(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(flipped(request.sigmas.clone(), request.precision))
}

/// `SplitSigmas`: the sigmas up to a step, or from that step on.
pub(super) fn split(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let (sigmas, step) = (&request.sigmas, request.values.count("step"));
    Ok(match is_high(request)? {
        true => sigmas.iter().take(step.saturating_add(1)).copied().collect(),
        false => sigmas.iter().skip(step).copied().collect(),
    })
}

/// `SplitSigmasDenoise`: the last part of the steps, or the part before it.
pub(super) fn split_denoise(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let sigmas = request.sigmas.clone();
    let steps = rounded(sigmas.len().saturating_sub(1) as f64 * request.number("denoise"));
    Ok(match is_high(request)? {
        // Python's `[:-0]` is empty.
        true if steps == 0 => Vec::new(),
        true => sigmas.get(..sigmas.len().saturating_sub(steps)).unwrap_or_default().to_vec(),
        false => last(sigmas, steps + 1),
    })
}

fn is_high(request: &Request<'_>) -> Result<bool, RunError> {
    let output = request.word("output")?;
    Ok(HALVES.first().is_some_and(|high| *high == output))
}

/// `SetFirstSigma`.
pub(super) fn set_first(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let mut sigmas = request.sigmas.clone();
    if let Some(first) = sigmas.first_mut() {
        *first = request.round(request.number("sigma"));
    }
    Ok(sigmas)
}

/// `ExtendIntermediateSigmas`: each step that starts between two sigmas becomes several.
pub(super) fn extend(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    let round = |value| request.round(value);
    let (sigmas, parts) = (&request.sigmas, request.values.count("steps"));
    let [start, end] = ["start_at_sigma", "end_at_sigma"].map(|name| request.number(name));
    let start = if start < 0.0 { f64::INFINITY } else { start };
    let curve: fn(f64) -> f64 = match request.word("spacing")? {
        "cosine" => |x| (x * FRAC_PI_2).sin(),
        "sine" => |x| 1.0 - (x * FRAC_PI_2).cos(),
        _ => |x| x,
    };
    let count = sigmas.len().saturating_mul(parts);
    if count > MOST_STEPS {
        let expected = format!("1 to {MOST_STEPS}");
        return Err(RunError::Steps { grid: request.grid, expected, found: few(&(count as f64)) });
    }
    let ramp = request.precision.linspace(0.0, 1.0, parts + 1);
    let between: Vec<f64> = ramp.skip(1).take(parts.saturating_sub(1)).map(|x| round(curve(x))).collect();
    let mut extended = Vec::new();
    for pair in sigmas.windows(2) {
        let [from, to] = *pair else { continue };
        extended.push(from);
        if (end..=start).contains(&from) {
            extended.extend(between.iter().map(|part| round(round(part * round(to - from)) + from)));
        }
    }
    extended.extend(sigmas.last());
    Ok(extended)
}

/// `ManualSigmas`: the list itself.
pub(super) fn manual(request: &Request<'_>) -> Result<Vec<f64>, RunError> {
    Ok(request.sigmas.clone())
}

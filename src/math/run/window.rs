//! The window of a run: what ComfyUI's sampler nodes do to a scheduler's sigmas.

use super::error::RunError;
use super::request::{MOST_STEPS, last, steps_of_denoise};
use crate::few::few;

/// The percent of the schedule (see [`RunModel::percent_to_sigma`](super::RunModel::percent_to_sigma)) whose sigma replaces a
/// first sigma of 1 or more on a flow, in samplers that step in half the log SNR, which is infinite at 1.
pub const FIRST_FLOW_PERCENT: f64 = 1e-4;

/// The `denoise` above which a sampler node takes all steps.
const WHOLE: f64 = 0.9999;

/// The part of a scheduler's steps that a sampler node runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) start_step: Option<usize>,
    pub(super) last_step: Option<usize>,
    pub(super) force_full_denoise: bool,
}

impl Window {
    /// The sigmas of the window; empty where no step is left, and the latent image comes back untouched.
    pub(super) fn cut(self, mut sigmas: Vec<f64>) -> Vec<f64> {
        let steps = sigmas.len().saturating_sub(1);
        if let Some(last) = self.last_step.filter(|last| *last < steps) {
            sigmas.truncate(last + 1);
            if let Some(end) = sigmas.last_mut().filter(|_| self.force_full_denoise) {
                *end = 0.0;
            }
        }
        match self.start_step {
            None => sigmas,
            Some(start) if start < sigmas.len().saturating_sub(1) => sigmas.split_off(start),
            Some(_) => Vec::new(),
        }
    }
}

/// The sigmas that a sampler node takes from a scheduler; `sigmas` computes those of a number of steps. For a sampler that
/// `drops_a_sigma`, the scheduler makes one step more, and the last sigma but one is dropped.
pub(super) fn of_scheduler(
    scheduler: &'static str,
    steps: usize,
    denoise: f64,
    drops_a_sigma: bool,
    sigmas: impl Fn(usize) -> Result<Vec<f64>, RunError>,
) -> Result<Vec<f64>, RunError> {
    if denoise <= 0.0 {
        return Ok(Vec::new());
    }
    let all = if denoise > WHOLE { steps } else { steps_of_denoise(scheduler, steps, denoise)? };
    if all >= MOST_STEPS + usize::from(!drops_a_sigma) {
        let expected = format!("1 to {MOST_STEPS}");
        return Err(RunError::Steps { grid: scheduler, expected, found: few(&(all as f64)) });
    }
    let mut list = sigmas(all + usize::from(drops_a_sigma))?;
    if drops_a_sigma && list.len() > 1 {
        list.remove(list.len() - 2);
    }
    Ok(if denoise > WHOLE { list } else { last(list, steps + 1) })
}

//! The calls of the network in a run, as they are known ahead.

use super::call::Facts;
use super::tensors::LoopTensors;
use crate::error::Error;
use crate::loop_error::LoopError;
use crate::math::guidance::call::{GuiderCall, Over};
use crate::math::run::applied::Space;
use crate::math::run::run_loop::RunLoop;
use std::ops::Range;

/// A call of the network, with the rows that follow it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub facts: Facts,
    /// The coefficients of the sample and of the output in the clean sample.
    pub x0: [f64; 2],
    /// The quantity that guidance mixes.
    pub space: Space,
    /// The call of the guider.
    pub guide: GuiderCall,
    pub rows: Range<usize>,
}

/// The calls of a run. What no plan can do is refused.
pub(super) fn asked(run: &RunLoop) -> Result<Vec<Asked>, Error> {
    if run.is_adaptive() {
        let what = "dpm_adaptive, whose steps follow from errors that the host must see,";
        return Err(LoopError::Unsupported { what, instead: HOST }.into());
    }
    if !run.end().is_finite() {
        let what = "a flow that ends at pure noise";
        return Err(LoopError::Unsupported { what, instead: "a last sigma below 1" }.into());
    }
    let mut asked = Vec::<Asked>::new();
    for (k, (call, asks)) in run.calls().iter().zip(run.asks()).enumerate() {
        if !*asks {
            asked.last_mut().into_iter().for_each(|asked| asked.rows.end = k + 1);
            continue;
        }
        let guide = run.guider_call(call.step)?.unwrap_or(GuiderCall::CONDITIONAL);
        if guide.finish.is_some() || guide.over != Over::Sample {
            let what = "a guider that compares channels or samples";
            return Err(LoopError::Unsupported { what, instead: HOST }.into());
        }
        let sigma = run.call_sigmas().get(asked.len()).copied().unwrap_or(f64::NAN);
        let space = run.guided_space(sigma);
        if space != Space::CLEAN && run.needs_unconditional() {
            let what = "a guider that rescales, around a sampler that needs the unconditional clean sample,";
            return Err(LoopError::Unsupported { what, instead: HOST }.into());
        }
        let mut asks = guide.asks;
        asks[0] |= run.needs_unconditional();
        let facts = Facts { step: call.step, sigma, told: call.timestep, input: call.input, asks, draw: None };
        let [of_x, of_output, _] = call.row.x0;
        asked.push(Asked { facts, x0: [of_x, of_output], space, guide, rows: k..k + 1 });
    }
    Ok(asked)
}

const HOST: &str = "math::run::HostLoop";

/// Checks that there are the tensors that the calls need.
pub(super) fn check(asked: &[Asked], tensors: &LoopTensors<'_>) -> Result<(), LoopError> {
    let is_scaled = asked.iter().any(|asked| asked.facts.input != 1.0);
    let uses = [
        (is_scaled, "the network is given the sample in another scale"),
        (tensors.mask.is_some(), "the network is shown the known region"),
        (tensors.is_twice, "the network is given the sample twice"),
    ];
    if let Some((_, reason)) = uses.into_iter().find(|(uses, _)| *uses && tensors.input.is_none()) {
        return Err(LoopError::Missing { tensor: "input", reason });
    }
    let others = [("unconditional", tensors.unconditional), ("third", tensors.third), ("fourth", tensors.fourth)];
    for (i, (tensor, found)) in others.into_iter().enumerate() {
        if found.is_none() && asked.iter().any(|asked| asked.facts.asks[i]) {
            return Err(LoopError::Missing { tensor, reason: "the guidance or the sampler of the run asks for it" });
        }
    }
    Ok(())
}

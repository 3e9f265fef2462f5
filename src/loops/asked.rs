//! The calls of the network in a run, as far as they are known in advance.

use super::call::Facts;
use super::tensors::LoopTensors;
use crate::error::Error;
use crate::gpu::inputs::{Recording, Timesteps};
use crate::gpu::tensor::Shape;
use crate::loop_error::LoopError;
use crate::math::guidance::call::{GuiderCall, Over};
use crate::math::run::applied::Space;
use crate::math::run::run_loop::RunLoop;
use std::ops::Range;

/// The levels at which the network is called, for plans with a row for each level.
#[derive(Clone, Copy)]
pub(super) struct Levels<'a> {
    /// A level for each row. With [`Timesteps::Batch`], row `k` is the level of call `k`.
    pub rows: &'a [Asked],
    /// The row of each sample.
    pub at: Timesteps<'a>,
}

impl Levels<'_> {
    /// The recording of a call in a plan with these rows.
    pub fn recording(&self, call: usize) -> Recording {
        match self.at {
            Timesteps::Batch => Recording::call(call as u32),
            _ => Recording::per_sample(),
        }
    }
}

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

/// The calls of a run. Runs that no plan can do are refused.
pub(super) fn asked(run: &RunLoop) -> Result<Vec<Asked>, Error> {
    if run.is_adaptive() {
        let what = "dpm_adaptive, whose steps follow from its errors,";
        return Err(LoopError::Unsupported { what, instead: "Loop::adaptive or math::run::HostLoop" }.into());
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
        let sigma = run.call_sigmas().get(asked.len()).copied().unwrap_or(f64::NAN);
        let (step, told, input, place) = (call.step, call.timestep, call.input, asked.len());
        let facts = Facts { step, sigma, told, input, asks: [false; 3], draw: None, place };
        let [of_x, of_output, _] = call.row.x0;
        asked.push(Asked { rows: k..k + 1, ..level(run, facts, [of_x, of_output])? });
    }
    Ok(asked)
}

/// A call at a level; `x0` has the coefficients of the sample and of the output in the clean sample.
pub(super) fn level(run: &RunLoop, facts: Facts, x0: [f64; 2]) -> Result<Asked, Error> {
    let guide = run.guider_call(facts.step)?.unwrap_or(GuiderCall::CONDITIONAL);
    let space = run.guided_space(facts.sigma);
    if space != Space::CLEAN && run.needs_unconditional() {
        let what = "a guider that rescales, with a sampler that needs the unconditional clean sample,";
        return Err(LoopError::Unsupported { what, instead: HOST }.into());
    }
    let mut asks = guide.asks;
    asks[0] |= run.needs_unconditional();
    Ok(Asked { facts: Facts { asks, ..facts }, x0, space, guide, rows: 0..0 })
}

const HOST: &str = "math::run::HostLoop";

/// Checks that all tensors that the calls need are given.
pub(super) fn check(asked: &[Asked], shape: Shape, tensors: &LoopTensors<'_>) -> Result<(), LoopError> {
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
            return Err(LoopError::Missing { tensor, reason: "the guidance or the sampler of the run needs it" });
        }
    }
    let compares = |asked: &Asked| asked.guide.finish.is_some() || asked.guide.over != Over::Sample;
    match tensors.dims {
        None if asked.iter().any(compares) => {
            Err(LoopError::Missing { tensor: "dims", reason: "the guider compares channels, positions or samples" })
        }
        Some(dims) => check_dims(dims, shape),
        None => Ok(()),
    }
}

/// Checks that dimensions are those of the batch.
fn check_dims(dims: &[usize], shape: Shape) -> Result<(), LoopError> {
    let total = dims.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64));
    let is_batch = dims.first().is_some_and(|&batch| batch as u64 == u64::from(shape.batch));
    match is_batch && total == Some(shape.total()) {
        true => Ok(()),
        false => Err(LoopError::Dims { batch: shape.batch, elements: shape.elements, found: dims.to_vec() }),
    }
}

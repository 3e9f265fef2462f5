//! The two numbers that a step reads for each sample: the factor of its guided prediction, and the threshold of its clean
//! sample.
//!
//! Both are computed by reductions that run before the step itself, over the same tensors and rows.
//!
//! Host twin of `shaders/op/spread.wgsl`, `shaders/op/histogram.wgsl` and their folds:
//! [`Step::reference`](super::Step::reference).

use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::layout::{chunks, scale_buffer_size};
use crate::gpu::plan::reduce::ReductionPass;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::op::Op;
use crate::gpu::shader::params::{DIGIT_SHIFTS, FoldParams, MOMENTS_BYTES, TALLY_BYTES};
use crate::gpu::shader::slots::{SLOTS, step as slots};
use crate::gpu::step::options::StepOptions;
use crate::table::step::{Clip, StepRow};
use wgpu::BufferUsages;

/// Adds the reductions that the options need ahead of the step, and returns the buffer of their results; `None` if the options
/// need no reduction.
pub(super) fn plan(
    plan: &mut PlanBuilder<'_>,
    job: &Job<'_>,
    options: &StepOptions,
    rows: &[StepRow],
) -> Result<Option<wgpu::Buffer>, PlanError> {
    let rescales = options.rescales(rows);
    let quantile = matches!(options.clip, Clip::Quantile { .. });
    if !rescales && !quantile {
        return Ok(None);
    }
    let limits = plan.context.limits();
    let bytes = 8 * u64::from(job.shape.batch);
    check_limit("samples", "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, bytes)?;
    // The factor stays 1 where nothing is rescaled.
    let mut neutral = [1.0f32, 1.0].repeat(job.shape.batch as usize);
    let mut usage = BufferUsages::STORAGE;
    if plan.four_buffers {
        neutral.resize(scale_buffer_size(job.shape.batch) as usize / 4, 1.0);
        usage |= BufferUsages::UNIFORM;
    }
    let scales = plan.context.buffer_with("tweedie::Step::scales", usage, bytemuck::cast_slice(&neutral))?;
    if rescales {
        spread(job, options.rescale, &scales).add_to(plan)?;
    }
    if let Clip::Quantile { ratio, least, most } = options.clip {
        let noisy = rows.iter().any(|row| row.x0[2] != 0.0);
        // The threshold belongs to the clean sample of the rescaled prediction.
        let factors = rescales.then_some(&scales);
        threshold(job, noisy, factors, [ratio, least, most], &scales).add_to(plan)?;
    }
    Ok(Some(scales))
}

/// The reduction to the factor of the guided prediction.
fn spread<'a>(job: &Job<'a>, rescale: f64, scales: &'a wgpu::Buffer) -> ReductionPass<'a> {
    let parts = chunks(job.shape.elements);
    let mut tensors = [None; SLOTS];
    tensors[slots::CONDITIONAL] = job.tensors[slots::CONDITIONAL];
    tensors[slots::UNCONDITIONAL] = job.tensors[slots::UNCONDITIONAL];
    ReductionPass {
        job: Job {
            op: Op::Spread { parts: job.op.parts() },
            tensors,
            drawn: None,
            seeds: None,
            clean_stats: None,
            ..job.clone()
        },
        partial_bytes: MOMENTS_BYTES * u64::from(parts),
        digits: &[0],
        fold: Fold::Spread,
        params: FoldParams { parts, rescale: rescale as f32, ..FoldParams::default() },
        output: WordRange::of(scales),
        mean: None,
    }
}

/// The reduction to the threshold: a selection of the quantile, digit by digit.
fn threshold<'a>(
    job: &Job<'a>,
    noisy: bool,
    factors: Option<&'a wgpu::Buffer>,
    [ratio, least, most]: [f64; 3],
    scales: &'a wgpu::Buffer,
) -> ReductionPass<'a> {
    let last = job.shape.elements - 1;
    // The quantile lies between two elements of the sorted sample: their rank, and the share of the second.
    let rank = ratio * f64::from(last);
    let mut tensors = job.tensors;
    tensors[slots::CLEAN..].fill(None);
    if !noisy {
        tensors[slots::NOISE] = None;
    }
    let (drawn, seeds) = if noisy { (job.drawn, job.seeds) } else { (None, None) };
    let op = Op::Histogram { scaled: factors.is_some(), parts: job.op.parts() };
    ReductionPass {
        job: Job { op, tensors, drawn, seeds, scales: factors, clean_stats: None, ..job.clone() },
        partial_bytes: TALLY_BYTES,
        digits: &DIGIT_SHIFTS,
        fold: Fold::Histogram,
        params: FoldParams {
            rank: rank.floor() as u32,
            last_rank: last,
            fraction: rank.fract() as f32,
            least: least as f32,
            most: most as f32,
            ..FoldParams::default()
        },
        output: WordRange::of(scales),
        mean: None,
    }
}

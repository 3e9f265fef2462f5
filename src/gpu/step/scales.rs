//! What a step looks up for each sample: the factor of its guided prediction, and the threshold of its clean sample.
//!
//! Both are found by reductions that run before the step itself, over the same tensors and rows.
//!
//! Twin of `shaders/op/spread.wgsl`, `shaders/op/histogram.wgsl` and their ends: [`reference()`](super::reference()).

use super::Rules;
use crate::gpu::error::PlanError;
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::narrow::scales_size;
use crate::gpu::plan::reduce::{Reduction, Words, chunks};
use crate::gpu::plan::tables::check;
use crate::gpu::shader::fold::Fold;
use crate::gpu::shader::op::{Op, SLOTS, step as slots};
use crate::gpu::shader::params::{DIGIT_SHIFTS, FoldParams, MOMENTS_BYTES, TALLY_BYTES};
use crate::table::{Clip, StepRow};
use wgpu::BufferUsages;

/// Plans what the rules ask for, ahead of the step. `None` if nothing differs from sample to sample.
pub(super) fn plan(
    draft: &mut PlanBuilder<'_>,
    job: &Job<'_>,
    rules: &Rules,
    rows: &[StepRow],
) -> Result<Option<wgpu::Buffer>, PlanError> {
    let rescales = rescales(rules, rows);
    let quantile = matches!(rules.clip, Clip::Quantile { .. });
    if !rescales && !quantile {
        return Ok(None);
    }
    let limits = draft.context.limits();
    let bytes = 8 * u64::from(job.shape.batch);
    check("samples", "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, bytes)?;
    let mut neutral = [1.0f32, 1.0].repeat(job.shape.batch as usize);
    let mut usage = BufferUsages::STORAGE;
    if draft.narrow {
        neutral.resize(scales_size(job.shape.batch) as usize / 4, 1.0);
        usage |= BufferUsages::UNIFORM;
    }
    let scales = draft.context.buffer_with("tweedie::Step::scales", usage, bytemuck::cast_slice(&neutral))?;
    if rescales {
        draft.reduce(&spread(job, rules.rescale, &scales))?;
    }
    if let Clip::Quantile { ratio, least, most } = rules.clip {
        let noisy = rows.iter().any(|row| row.x0[2] != 0.0);
        draft.reduce(&threshold(job, noisy, rescales.then_some(&scales), [ratio, least, most], &scales))?;
    }
    Ok(Some(scales))
}

/// Whether any prediction may be rescaled: where guidance changes nothing, neither does the factor.
pub(super) fn rescales(rules: &Rules, rows: &[StepRow]) -> bool {
    rules.rescale > 0.0 && rows.iter().any(|row| row.guidance != [1.0, 0.0])
}

fn spread<'a>(job: &Job<'a>, rescale: f64, scales: &'a wgpu::Buffer) -> Reduction<'a> {
    let parts = chunks(job.shape.elements);
    let mut tensors = [None; SLOTS];
    tensors[slots::CONDITIONAL] = job.tensors[slots::CONDITIONAL];
    tensors[slots::UNCONDITIONAL] = job.tensors[slots::UNCONDITIONAL];
    Reduction {
        job: Job { op: Op::Spread, tensors, drawn: None, seeds: None, health: None, ..job.clone() },
        bytes: MOMENTS_BYTES * u64::from(parts),
        digits: &[0],
        finish: Fold::Spread,
        numbers: FoldParams { parts, rescale: rescale as f32, ..FoldParams::default() },
        output: Words::of(scales),
        mean: None,
    }
}

fn threshold<'a>(
    job: &Job<'a>,
    noisy: bool,
    factors: Option<&'a wgpu::Buffer>,
    [ratio, least, most]: [f64; 3],
    scales: &'a wgpu::Buffer,
) -> Reduction<'a> {
    let last = job.shape.elements - 1;
    let place = ratio * f64::from(last);
    let mut tensors = job.tensors;
    tensors[slots::CLEAN..].fill(None);
    if !noisy {
        tensors[slots::NOISE] = None;
    }
    let (drawn, seeds) = if noisy { (job.drawn, job.seeds) } else { (None, None) };
    let op = Op::Histogram { scaled: factors.is_some() };
    Reduction {
        job: Job { op, tensors, drawn, seeds, scales: factors, health: None, ..job.clone() },
        bytes: TALLY_BYTES,
        digits: &DIGIT_SHIFTS,
        finish: Fold::Histogram,
        numbers: FoldParams {
            rank: place.floor() as u32,
            last_rank: last,
            fraction: place.fract() as f32,
            least: least as f32,
            most: most as f32,
            ..FoldParams::default()
        },
        output: Words::of(scales),
        mean: None,
    }
}

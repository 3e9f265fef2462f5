//! What a step looks up for each sample: the factor of its guided prediction, and the threshold of its clean sample.
//!
//! Both are found by reductions that run before the step itself, over the same tensors and rows.
//!
//! Twin of `shaders/spread.wgsl`, `shaders/digits.wgsl` and their ends: [`reference()`](super::reference()).

use super::Rules;
use crate::gpu::build::Draft;
use crate::gpu::error::PlanError;
use crate::gpu::finish::{Finish, Numbers};
use crate::gpu::gather::scales_size;
use crate::gpu::kernel::Kernel;
use crate::gpu::op::{Op, SLOTS, step as slots};
use crate::gpu::reduce::{Reduction, Words, chunks};
use crate::gpu::upload::check;
use crate::table::{Clip, StepRow};
use wgpu::BufferUsages;

/// `struct Sum` of `shaders/moments.wgsl`, bytes.
const MOMENTS: u64 = 24;
/// `TALLY` of `shaders/digit.wgsl`, bytes: two prefixes, two ranks and 2048 counts.
const TALLY: u64 = 4 * (4 + 2048);
/// The lowest bits of the three digits of a magnitude.
const DIGITS: [u32; 3] = [20, 10, 0];

/// Plans what the rules ask for, ahead of the step. `None` if nothing differs from sample to sample.
pub(super) fn plan(
    draft: &mut Draft<'_>,
    kernel: &Kernel<'_>,
    rules: &Rules,
    rows: &[StepRow],
) -> Result<Option<wgpu::Buffer>, PlanError> {
    let rescales = rescales(rules, rows);
    let quantile = matches!(rules.clip, Clip::Quantile { .. });
    if !rescales && !quantile {
        return Ok(None);
    }
    let limits = draft.context.limits();
    let bytes = 8 * u64::from(kernel.shape.batch);
    check("samples", "max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size, bytes)?;
    let mut neutral = [1.0f32, 1.0].repeat(kernel.shape.batch as usize);
    let mut usage = BufferUsages::STORAGE;
    if draft.narrow {
        neutral.resize(scales_size(kernel.shape.batch) as usize / 4, 1.0);
        usage |= BufferUsages::UNIFORM;
    }
    let scales = draft.context.buffer_with("tweedie::Step::scales", usage, bytemuck::cast_slice(&neutral))?;
    if rescales {
        draft.reduce(&spread(kernel, rules.rescale, &scales))?;
    }
    if let Clip::Quantile { ratio, least, most } = rules.clip {
        let noisy = rows.iter().any(|row| row.x0[2] != 0.0);
        draft.reduce(&threshold(kernel, noisy, rescales.then_some(&scales), [ratio, least, most], &scales))?;
    }
    Ok(Some(scales))
}

/// Whether any prediction may be rescaled: where guidance changes nothing, neither does the factor.
pub(super) fn rescales(rules: &Rules, rows: &[StepRow]) -> bool {
    rules.rescale > 0.0 && rows.iter().any(|row| row.guidance != [1.0, 0.0])
}

fn spread<'a>(kernel: &Kernel<'a>, rescale: f64, scales: &'a wgpu::Buffer) -> Reduction<'a> {
    let parts = chunks(kernel.shape.elements);
    let mut tensors = [None; SLOTS];
    tensors[slots::CONDITIONAL] = kernel.tensors[slots::CONDITIONAL];
    tensors[slots::UNCONDITIONAL] = kernel.tensors[slots::UNCONDITIONAL];
    Reduction {
        kernel: Kernel { op: Op::Spread, tensors, drawn: None, seeds: None, health: None, ..kernel.clone() },
        bytes: MOMENTS * u64::from(parts),
        digits: &[0],
        finish: Finish::Spread,
        numbers: Numbers { parts, numbers: [rescale as f32, 0.0, 0.0, 0.0], ..Numbers::default() },
        output: Words::of(scales),
        mean: None,
    }
}

fn threshold<'a>(
    kernel: &Kernel<'a>,
    noisy: bool,
    factors: Option<&'a wgpu::Buffer>,
    [ratio, least, most]: [f64; 3],
    scales: &'a wgpu::Buffer,
) -> Reduction<'a> {
    let last = kernel.shape.elements - 1;
    let place = ratio * f64::from(last);
    let mut tensors = kernel.tensors;
    tensors[slots::CLEAN..].fill(None);
    if !noisy {
        tensors[slots::NOISE] = None;
    }
    let (drawn, seeds) = if noisy { (kernel.drawn, kernel.seeds) } else { (None, None) };
    let op = Op::Digits { scaled: factors.is_some() };
    Reduction {
        kernel: Kernel { op, tensors, drawn, seeds, scales: factors, health: None, ..kernel.clone() },
        bytes: TALLY,
        digits: &DIGITS,
        finish: Finish::Digits,
        numbers: Numbers {
            rank: place.floor() as u32,
            last,
            numbers: [place.fract() as f32, least as f32, most as f32, 0.0],
            ..Numbers::default()
        },
        output: Words::of(scales),
        mean: None,
    }
}

//! The validation of a job: its shapes, tensors and words.

use crate::gpu::context::Context;
use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::inputs::Perturbed;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::words::WordRange;
use crate::gpu::shader::bindings::{SEEDS_BINDING, SLOT_BINDING, StorageBinding};
use crate::gpu::shader::params::WORKGROUP;
use crate::gpu::shader::variant::Variant;
use crate::gpu::tensor::{Shape, Tensor};
use std::ops::Range;
use wgpu::BufferUsages;

/// Checks what does not depend on the device.
pub(crate) fn check(job: &Job<'_>) -> Result<(), PlanError> {
    let shape = job.shape;
    if shape.batch == 0 || shape.elements == 0 {
        return Err(PlanError::EmptyShape { batch: shape.batch, elements: shape.elements });
    }
    if job.rows.is_empty() {
        return Err(PlanError::EmptyTable);
    }
    for (slot, tensor) in job.tensors() {
        // A run begins where the one before it ends, whichever sample that belongs to.
        let is_gapless = tensor.stride_in(shape) == job.elements_of(slot);
        if let (Some(_), Some(found), false) = (job.runs, tensor.stride, is_gapless) {
            return Err(PlanError::GroupStride { tensor: job.name(slot), found });
        }
        check_tensor(job.name(slot), &tensor, job.shape_of(slot), job.op.slots()[slot].is_input())?;
    }
    let perturbed = job.drawn.and_then(|drawing| drawing.perturbed);
    perturbed.map_or(Ok(()), |perturbed| check_perturbed(perturbed, job.samples()))?;
    job.sample_words().try_for_each(|words| words.of_batch(shape.batch).check(words.name))?;
    job.scaler.map_or(Ok(()), |words| check_results(job, "scale", &words))?;
    let mut written = job.written().into_iter();
    written.try_for_each(|slot| check_output(job, slot))
}

/// Checks results, which are written besides the tensors.
pub(crate) fn check_results(job: &Job<'_>, name: &'static str, results: &WordRange<'_>) -> Result<(), PlanError> {
    results.check(name)?;
    let mut tensors = job.tensors();
    if let Some((slot, _)) =
        tensors.find(|(slot, tensor)| results.overlaps(tensor.buffer, &tensor.bytes(job.shape_of(*slot))))
    {
        return Err(PlanError::Overlap { output: name, other: job.name(slot) });
    }
    let batch = job.shape.batch;
    let read = |range: WordRange<'_>| results.overlaps(range.buffer, &range.bytes());
    match job.sample_words().find(|words| read(words.of_batch(batch))) {
        Some(words) => Err(PlanError::Overlap { output: name, other: words.name }),
        None => Ok(()),
    }
}

/// Checks that a kernel binds and dispatches no more than the device allows.
pub(crate) fn check_bindings(job: &Job<'_>, variant: &Variant, context: &Context) -> Result<(), PlanError> {
    let limits = context.limits();
    let allowed = u64::from(limits.max_storage_buffers_per_shader_stage);
    let bindings = variant.storage_bindings();
    let found = bindings.len() as u64;
    if found > allowed {
        let names: Vec<&str> = bindings.iter().map(|binding| role(job, binding)).collect();
        let (op, buffers) = (job.op.name(), names.join(", "));
        return Err(PlanError::Bindings { op, buffers, allowed, found });
    }
    // The bindings of seeds and of the scale begin at their first word.
    let seeds = job.seeds().map(|seeds| seeds.of_batch(job.shape.batch));
    seeds.map_or(Ok(()), |seeds| seeds.check_whole("seeds", "offset of the seeds", context))?;
    let grouped = job.timesteps().filter(|_| job.runs.is_some());
    grouped.map_or(Ok(()), |words| words.of_batch(job.shape.batch).check_binding(words.name, context))?;
    job.scaler.map_or(Ok(()), |words| words.check_whole("scale", "offset of the scale", context))?;
    let sizes = [
        ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup),
        ("max_compute_workgroup_size_x", limits.max_compute_workgroup_size_x),
        ("max_compute_workgroup_size_y", limits.max_compute_workgroup_size_y),
    ];
    let mut sizes = sizes.into_iter();
    sizes.try_for_each(|(limit, size)| check_limit("workgroup", limit, u64::from(size), u64::from(WORKGROUP)))
}

/// The caller's name of a bound tensor, or the plan's own name of another buffer.
fn role(job: &Job<'_>, binding: &StorageBinding) -> &'static str {
    match binding.binding.checked_sub(SLOT_BINDING) {
        Some(slot) if slot < SEEDS_BINDING - SLOT_BINDING => job.name(slot as usize),
        _ => binding.name,
    }
}

fn check_perturbed(Perturbed { by, channel }: Perturbed, shape: Shape) -> Result<(), PlanError> {
    for (what, found) in [("offset", by.offset), ("input perturbation", by.input)] {
        if !(found as f32).is_finite() {
            return Err(PlanError::Rule { what, expected: "finite", found });
        }
    }
    if channel == 0 || !shape.elements.is_multiple_of(channel) {
        return Err(PlanError::Channel { elements: shape.elements, found: channel });
    }
    Ok(())
}

/// Checks that an output shares words with nothing else, unless it replaces an input.
fn check_output(job: &Job<'_>, slot: usize) -> Result<(), PlanError> {
    let shape = job.shape;
    let Some(output) = job.tensors[slot] else { return Ok(()) };
    for (other_slot, other) in job.tensors().filter(|(other, _)| *other != slot) {
        // An invocation reads an element before it writes the same one. Any other overlap is a race.
        let in_place = job.op.slots()[other_slot].is_input() && output.same(&other, shape);
        // Memory and sliced predictions are larger than the other tensors, so their whole ranges of bytes are compared.
        let of_one_shape = job.shape_of(slot) == job.shape_of(other_slot);
        let bytes = |slot: usize, tensor: &Tensor<'_>| tensor.bytes(job.shape_of(slot));
        let overlaps = if of_one_shape {
            output.overlaps(&other, shape)
        } else {
            output.buffer == other.buffer && meet(&bytes(slot, &output), &bytes(other_slot, &other))
        };
        if !in_place && overlaps {
            return Err(PlanError::Overlap { output: job.name(slot), other: job.name(other_slot) });
        }
    }
    let bytes = output.bytes(job.shape_of(slot));
    match job.sample_words().find(|words| words.of_batch(shape.batch).overlaps(output.buffer, &bytes)) {
        Some(words) => Err(PlanError::Overlap { output: job.name(slot), other: words.name }),
        None => Ok(()),
    }
}

/// Returns `true` if two ranges of bytes share any.
fn meet(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Checks that a tensor lies in its buffer.
pub(crate) fn check_tensor(
    name: &'static str,
    tensor: &Tensor<'_>,
    shape: Shape,
    is_input: bool,
) -> Result<(), PlanError> {
    let usage = tensor.buffer.usage();
    if !usage.contains(BufferUsages::STORAGE) {
        return Err(PlanError::BufferUsage { tensor: name, found: format!("{usage:?}") });
    }
    let bytes = tensor.storage.bytes();
    if !tensor.offset.is_multiple_of(bytes) {
        return Err(PlanError::Offset { tensor: name, storage: tensor.storage, expected: bytes, found: tensor.offset });
    }
    match tensor.stride {
        // A broadcast input: every sample reads the same elements.
        Some(0) if is_input => {}
        Some(found) if found < shape.elements => {
            return Err(PlanError::Stride { tensor: name, expected: shape.elements, found });
        }
        _ => {}
    }
    // A stride may be anything below 2^32, so the end may overflow.
    let last = tensor.extent(shape).checked_mul(bytes).and_then(|length| length.checked_add(tensor.offset));
    let expected = last.and_then(|end| end.checked_next_multiple_of(4)).unwrap_or(u64::MAX);
    let found = tensor.buffer.size();
    if expected > found {
        return Err(PlanError::BufferTooSmall { tensor: name, expected, found });
    }
    Ok(())
}

//! The choice of a walk: which outputs a pass writes, how it goes over the elements, and the kernel that does so.
//!
//! A pass covers all outputs at once where it can. It goes over tiles of lanes of four elements where every sample consists of
//! whole lanes, over the lanes of the whole batch where samples follow each other without a gap, and word by word otherwise. A
//! pass that reduces samples walks over chunks of them, or over pairs of samples of two elements.

use crate::gpu::error::PlanError;
use crate::gpu::plan::job::Job;
use crate::gpu::plan::window::Window;
use crate::gpu::shader::params::LANE;
use crate::gpu::shader::slots::{Part, SLOTS};
use crate::gpu::shader::variant::{Operand, Rows, Variant, Walk};
use crate::gpu::tensor::Tensor;

/// The outputs of each pass over the data: all at once, unless two 16-bit outputs begin in different halves of a word.
///
/// No walk could then write whole words of both, so each output has a pass of its own. A pass that replaces an input goes last,
/// since the others still read that input.
pub(crate) fn passes(job: &Job<'_>) -> Result<Vec<Vec<usize>>, PlanError> {
    let all = job.outputs();
    if leader(job, &all).is_some() || is_aligned(job, &all) {
        return Ok(vec![all]);
    }
    let (mut last, mut passes): (Vec<_>, Vec<_>) = all.into_iter().partition(|&output| replaces_input(job, output));
    // Of two passes that replace inputs, either would destroy what the other reads.
    if let [first, second, ..] = last[..] {
        return Err(PlanError::Halves { first: job.name(first), second: job.name(second) });
    }
    passes.append(&mut last);
    Ok(passes.into_iter().map(|output| vec![output]).collect())
}

/// The walk of a pass that goes over every element.
pub(crate) fn streaming_walk(job: &Job<'_>, outputs: &[usize], windows: &[Window]) -> Walk {
    if is_aligned(job, outputs) {
        Walk::Lanes
    } else if is_flat(job, outputs, windows) {
        Walk::Flat
    } else {
        Walk::Words
    }
}

/// The walk of a pass that reduces samples.
pub(crate) fn reducing_walk(job: &Job<'_>, windows: &[Window]) -> Walk {
    let outputs = job.outputs();
    // A sample of two elements is half a lane. Walked as chunks, half of each load would be wasted.
    if job.op.sums() && job.shape.elements == 2 && is_flat(job, &outputs, windows) {
        Walk::Pairs
    } else if is_aligned(job, &outputs) {
        Walk::Chunks
    } else {
        Walk::UnalignedChunks
    }
}

/// The kernel of a pass. `four_buffers` says that scales are read through a uniform binding.
pub(crate) fn variant(job: &Job<'_>, walk: Walk, outputs: &[usize], rows: Rows, four_buffers: bool) -> Variant {
    // WebGPU forbids a dispatch that binds one buffer as `read` and as `read_write`, so the binding of an input is writable if an
    // output lies in the same buffer.
    let is_written = |buffer: &wgpu::Buffer| {
        if job.scaler.is_some_and(|words| words.buffer == buffer) {
            return true;
        }
        let mut written = job.written().into_iter().filter(|slot| outputs.contains(slot) || !job.is_output(*slot));
        written.any(|slot| job.tensors[slot].is_some_and(|tensor| tensor.buffer == buffer))
    };
    let mut operands = [Operand::Absent; SLOTS];
    for (slot, tensor) in job.tensors() {
        let storage = tensor.storage;
        operands[slot] = match job.op.slots()[slot].part {
            Part::Memory => Operand::Binding { storage, writable: true },
            Part::Output if outputs.contains(&slot) => Operand::Binding { storage, writable: true },
            Part::Output => Operand::Absent,
            Part::Input | Part::OptionalInput(_) => match replaced_by(job, outputs, &tensor) {
                // An input that is replaced is read through the binding of the output that replaces it.
                Some(output) => Operand::InPlace { storage, output },
                None => Operand::Binding { storage, writable: is_written(tensor.buffer) },
            },
        };
    }
    Variant {
        op: job.op,
        walk,
        rows,
        grouped: job.runs.is_some(),
        timesteps_writable: rows.are_looked_up() && job.timesteps().is_some_and(|words| is_written(words.buffer)),
        seeds_writable: job.seeds.is_some_and(|seeds| is_written(seeds.buffer)),
        scales_uniform: four_buffers && job.op.scales_are_pairs(),
        draw: job.draw(),
        operands,
    }
}

/// The output whose words decide which elements the word walk writes together; `None` if two outputs disagree about them.
///
/// A packed output may begin inside a word. An invocation must own whole words, or two invocations would write the same word, so
/// it takes the elements that share a word of the leader.
pub(crate) fn leader(job: &Job<'_>, outputs: &[usize]) -> Option<usize> {
    let shape = job.shape;
    // The place of a packed output's first element in its word, and how that changes from sample to sample.
    let lead = |slot: usize| {
        let tensor = job.tensors[slot]?;
        let in_word = u64::from(tensor.storage.elements_per_word());
        let stride = if shape.batch == 1 { 0 } else { tensor.stride_in(shape) % in_word };
        (in_word > 1).then_some((in_word, tensor.offset / tensor.storage.bytes() % in_word, stride))
    };
    let is_gapless =
        |slot: &usize| job.tensors[*slot].is_some_and(|tensor| tensor.stride_in(shape) == u64::from(shape.elements));
    let packed: Vec<usize> = outputs.iter().copied().filter(|&slot| lead(slot).is_some()).collect();
    if packed.windows(2).any(|pair| lead(pair[0]) != lead(pair[1])) {
        return None;
    }
    let first = packed.first().or(outputs.first()).copied();
    // Without gaps, words may belong to two samples. Only a walk over the whole batch, which a leader without gaps causes, owns
    // such words.
    packed.into_iter().find(is_gapless).or(first)
}

/// Returns `true` if a tensor begins at a whole lane.
fn starts_lane(tensor: &Tensor<'_>) -> bool {
    tensor.offset.is_multiple_of(LANE * tensor.storage.bytes())
}

/// Returns `true` if every tensor of a pass consists of whole lanes within each sample.
fn is_aligned(job: &Job<'_>, outputs: &[usize]) -> bool {
    let shape = job.shape;
    let whole = |tensor: Tensor<'_>| starts_lane(&tensor) && tensor.stride_in(shape).is_multiple_of(LANE);
    u64::from(shape.elements).is_multiple_of(LANE) && tensors_of(job, outputs).all(whole)
}

/// Returns `true` if every tensor of a pass is one run of whole lanes, and so is its part in each window.
fn is_flat(job: &Job<'_>, outputs: &[usize], windows: &[Window]) -> bool {
    let shape = job.shape;
    let is_gapless = |tensor: Tensor<'_>| tensor.stride_in(shape) == u64::from(shape.elements);
    let is_whole = |window: &Window| {
        let first = u64::from(window.first_sample) * u64::from(shape.elements);
        first.is_multiple_of(LANE) && window.elements == shape.elements
    };
    // A lane of samples of one element would belong to four samples; the kernel handles two. Memory of several clean samples
    // has gaps between those of one call, and statistics belong to the call of one sample.
    shape.elements >= 2
        && shape.total().is_multiple_of(LANE)
        && windows.iter().all(is_whole)
        && job.depth() <= 1
        && job.clean_stats.is_none()
        && tensors_of(job, outputs).all(|tensor| starts_lane(&tensor) && is_gapless(tensor))
}

/// The tensors that a pass with these outputs reads or writes.
fn tensors_of<'a>(job: &'a Job<'a>, outputs: &'a [usize]) -> impl Iterator<Item = Tensor<'a>> {
    let takes_part = move |slot: usize| !job.is_output(slot) || outputs.contains(&slot);
    job.tensors().filter(move |(slot, _)| takes_part(*slot)).map(|(_, tensor)| tensor)
}

/// The output that replaces this input.
fn replaced_by(job: &Job<'_>, outputs: &[usize], input: &Tensor<'_>) -> Option<usize> {
    let is_same = |&output: &usize| job.tensors[output].is_some_and(|target| target.same(input, job.shape));
    outputs.iter().copied().find(is_same)
}

/// Returns `true` if this output replaces an input.
fn replaces_input(job: &Job<'_>, output: usize) -> bool {
    let mut inputs = job.tensors().filter(|(slot, _)| job.op.slots()[*slot].is_input());
    inputs.any(|(_, input)| replaced_by(job, &[output], &input).is_some())
}

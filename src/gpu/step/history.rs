//! The clean samples of earlier calls that a multistep solver looks back to.

use crate::gpu::error::{PlanError, check_limit};
use crate::gpu::plan::builder::PlanBuilder;
use crate::gpu::plan::job::Job;
use crate::gpu::shader::slots::step as slots;
use crate::gpu::shader::variant::Walk;
use crate::gpu::storage::Storage;
use crate::gpu::tensor::Tensor;

/// The most bytes by which a binding may begin before its tensor, since its start is aligned.
const SLACK: u64 = 256;

/// The memory of a loop, if it belongs to the plan.
#[derive(Clone, Debug)]
pub(super) struct History {
    buffer: wgpu::Buffer,
    storage: Storage,
}

impl History {
    /// Allocates memory for as many clean samples as the rows look back to. `None` if they look back to none, or if the caller
    /// gives the memory, which is checked.
    ///
    /// It has the storage of the next sample, or f32 where tensors are walked word by word, so that no two remembered samples
    /// share a word.
    pub fn new(plan: &PlanBuilder<'_>, job: &Job<'_>) -> Result<Option<Self>, PlanError> {
        let depth = u64::from(job.depth());
        let Some(next) = job.tensors[slots::NEXT].filter(|_| depth > 0) else { return Ok(None) };
        let walk = plan.layout(job).walk_of_all();
        let fitting = if walk == Walk::Words { Storage::F32 } else { next.storage };
        let storage = match job.tensors[slots::HISTORY].map(|memory| memory.storage) {
            // The caller's memory may always be f32, since the walk depends on the number of samples.
            Some(Storage::F32) => Storage::F32,
            Some(found) if found != fitting => return Err(PlanError::Memory { expected: fitting, found }),
            _ => fitting,
        };
        let sample = depth * u64::from(job.shape.elements) * storage.bytes();
        let size = (u64::from(job.shape.batch) * sample).next_multiple_of(4);
        check(plan.context.limits(), depth, sample, size)?;
        if job.tensors[slots::HISTORY].is_some() {
            return Ok(None);
        }
        let buffer = plan.context.zeroed_buffer("tweedie::Step::memory", wgpu::BufferUsages::STORAGE, size);
        Ok(Some(Self { buffer, storage }))
    }

    /// The tensor in which a job remembers: sample after sample, with the clean samples of each together.
    pub fn tensor(&self, job: &Job<'_>) -> Tensor<'_> {
        Tensor::new(&self.buffer, self.storage).stride(job.depth() * job.shape.elements)
    }
}

fn check(limits: &wgpu::Limits, depth: u64, sample: u64, size: u64) -> Result<(), PlanError> {
    let what = "clean samples of earlier steps";
    check_limit(what, "max_buffer_size", limits.max_buffer_size, size)?;
    if depth > 1 {
        // A binding covers the clean samples of all calls, whatever the window.
        let allowed = limits.max_storage_buffer_binding_size.saturating_sub(SLACK);
        check_limit(what, "max_storage_buffer_binding_size", allowed, sample)?;
    }
    Ok(())
}

//! Compiling pipelines ahead of their first use, away from the thread that will need them.

use crate::gpu::pipeline::Pipeline;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Errors of a [`WarmUp`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarmUpError {
    /// A thread stopped before its pipelines were compiled: the device's error handler panicked there, as wgpu's own does.
    /// A pipeline that is missing is compiled by the first recording that needs it.
    #[error("expected {expected} compiled pipelines, found {found}: a compiling thread has panicked")]
    Stopped {
        /// The pipelines of the warm-up.
        expected: usize,
        /// The pipelines of it that were compiled.
        found: usize,
    },
}

/// Pipelines that are being compiled in the background; see [`Context::warm_up`](crate::Context::warm_up).
///
/// Dropping it stops nothing: the threads finish their work.
#[derive(Debug)]
#[must_use = "the pipelines are compiled in the background: poll `is_done` or `wait`"]
pub struct WarmUp {
    work: Arc<Work>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Work {
    pipelines: Vec<Arc<Pipeline>>,
    /// The next one that no thread has begun.
    next: AtomicUsize,
}

impl Work {
    /// Compiles pipelines until all have been begun.
    fn run(&self) {
        while let Some(pipeline) = self.pipelines.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            pipeline.compiled();
        }
    }
}

impl WarmUp {
    /// Begins to compile these pipelines, the first of them first.
    pub(crate) fn begin(pipelines: Vec<Arc<Pipeline>>) -> Self {
        let work = Arc::new(Work { pipelines, next: AtomicUsize::new(0) });
        let threads = spawn(&work);
        // A platform without threads, or without one to spare, compiles here.
        if threads.is_empty() {
            work.run();
        }
        Self { work, threads }
    }

    /// The number of pipelines that were not compiled when the warm-up began.
    pub fn pipelines(&self) -> usize {
        self.work.pipelines.len()
    }

    /// The number of [these](Self::pipelines) that are compiled by now.
    pub fn compiled(&self) -> usize {
        self.work.pipelines.iter().filter(|pipeline| pipeline.is_compiled()).count()
    }

    /// Returns `true` if nothing is being compiled any more. Never blocks.
    pub fn is_done(&self) -> bool {
        self.compiled() == self.pipelines() || self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Blocks until all pipelines are compiled.
    ///
    /// # Errors
    /// [`WarmUpError::Stopped`] if a thread stopped before its pipelines were compiled.
    pub fn wait(self) -> Result<(), WarmUpError> {
        let Self { work, threads } = self;
        // The message of a panic has been printed; the pipelines show which were compiled.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        let (expected, found) = (work.pipelines.len(), work.pipelines.iter().filter(|it| it.is_compiled()).count());
        if found == expected { Ok(()) } else { Err(WarmUpError::Stopped { expected, found }) }
    }
}

/// Spawns threads that share the work: as many as run at once, and no more than there are pipelines.
#[cfg(not(target_arch = "wasm32"))]
fn spawn(work: &Arc<Work>) -> Vec<JoinHandle<()>> {
    let most = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let spawned = (0..most.min(work.pipelines.len())).map_while(|_| {
        let work = Arc::clone(work);
        std::thread::Builder::new().name("tweedie::WarmUp".into()).spawn(move || work.run()).ok()
    });
    spawned.collect()
}

/// No threads: wgpu's objects stay on the thread of a page, and a browser compiles in processes of its own.
#[cfg(target_arch = "wasm32")]
fn spawn(_: &Arc<Work>) -> Vec<JoinHandle<()>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::pipeline::Compiler;

    #[test]
    fn a_thread_that_panics_is_an_error() {
        // The queue must be kept: without it the device is lost. The device's error handler is wgpu's own, which panics.
        let (device, _queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let compiler = Arc::new(Compiler { device, native: Default::default(), cache: None });
        let good = "@compute @workgroup_size(1) fn good() {}".to_owned();
        let pipelines = [("bad", "nonsense".to_owned()), ("good", good)];
        let pipelines = pipelines.map(|(name, text)| Arc::new(Pipeline::alone(&compiler, name, text, &[])));
        let warm_up = WarmUp::begin(pipelines.to_vec());
        while !warm_up.is_done() {
            std::thread::yield_now();
        }
        let found = warm_up.compiled();
        assert!(found < 2, "the bad one cannot be compiled");
        assert_eq!(warm_up.wait(), Err(WarmUpError::Stopped { expected: 2, found }));
    }
}

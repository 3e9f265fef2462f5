//! The device: its limits, the pipelines compiled for it, and the buffers and bind groups of plans.

use crate::gpu::error::PlanError;
use crate::gpu::pipeline::{Compiler, Pipeline, PipelineKey, Tile};
use crate::gpu::shader::compose::Native;
use crate::gpu::shader::variant::Variant;
use crate::gpu::warm_up::WarmUp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest window in bytes: 65,535 workgroups along a sample cover 511 MiB of 16-bit elements, and every index, gaps
/// included, fits a u32.
const LARGEST_WINDOW: u64 = 500 << 20;

/// The pipelines that the plans of a warm-up need, until it begins.
type Deferred = Option<Vec<Arc<Pipeline>>>;

/// A device as this crate uses it, with the pipelines that were compiled for it.
///
/// Cheap to clone; clones share the pipelines. Make one per [`wgpu::Device`] and keep it: a pipeline is compiled by the
/// first plan that needs it, or ahead of it by a [warm-up](Self::warm_up). Threads that need the same pipeline compile it
/// once; different pipelines are compiled in parallel. Nothing here submits, polls, maps or writes through a queue.
#[derive(Clone, Debug)]
pub struct Context {
    inner: Arc<Inner>,
    /// Present in the context of a warm-up, whose plans do not compile until it begins.
    deferred: Option<Arc<Mutex<Deferred>>>,
    largest_window: u64,
}

#[derive(Debug)]
struct Inner {
    compiler: Arc<Compiler>,
    limits: wgpu::Limits,
    pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
}

impl Context {
    /// A context for the host application's own device. Costs nothing: shaders are compiled when a plan needs them.
    pub fn new(device: &wgpu::Device) -> Self {
        Self::with_cache(device, None)
    }

    /// A context that creates its pipelines with a pipeline cache, which the application fills from an earlier run and
    /// stores after this one.
    ///
    /// The cache saves the driver's share of the first compilation. It needs the feature [`PIPELINE_CACHE`](wgpu::Features),
    /// which wgpu has on Vulkan alone: pass `None` where the device lacks it. Most desktop drivers keep a cache of their
    /// own; those of Android leave it to the application. [`wgpu::util::pipeline_cache_key`] names the file for an adapter.
    ///
    /// ```no_run
    /// use tweedie::{Context, wgpu};
    ///
    /// /// A context, and the cache whose `get_data()` is to be stored once the plans are made.
    /// fn open(device: &wgpu::Device, stored: Option<&[u8]>) -> (Context, Option<wgpu::PipelineCache>) {
    ///     let cache = device.features().contains(wgpu::Features::PIPELINE_CACHE).then(|| {
    ///         let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: stored, fallback: true };
    ///         // SAFETY: the data was written by `get_data` in an earlier run, and nobody else writes that file.
    ///         unsafe { device.create_pipeline_cache(&descriptor) }
    ///     });
    ///     (Context::with_cache(device, cache.as_ref()), cache)
    /// }
    ///
    /// fn store(cache: &wgpu::PipelineCache, path: &std::path::Path) -> std::io::Result<()> {
    ///     let Some(data) = cache.get_data() else { return Ok(()) };
    ///     let new = path.with_extension("new");
    ///     std::fs::write(&new, data)?;
    ///     std::fs::rename(new, path)
    /// }
    /// ```
    pub fn with_cache(device: &wgpu::Device, cache: Option<&wgpu::PipelineCache>) -> Self {
        let compiler = Compiler { device: device.clone(), native: native_of(device), cache: cache.cloned() };
        let inner = Inner { compiler: Arc::new(compiler), limits: device.limits(), pipelines: Mutex::default() };
        Self { inner: Arc::new(inner), deferred: None, largest_window: LARGEST_WINDOW }
    }

    /// The same context, whose dispatches cover at most this many bytes of a tensor, for tests with tensors that take several.
    #[doc(hidden)]
    #[must_use]
    pub fn with_largest_window(&self, bytes: u64) -> Self {
        Self { largest_window: bytes.min(LARGEST_WINDOW), ..self.clone() }
    }

    /// The most bytes of a tensor that a dispatch covers.
    pub(crate) fn largest_window(&self) -> u64 {
        self.limits().max_storage_buffer_binding_size.min(self.largest_window)
    }

    /// The device that this context was made for.
    pub fn device(&self) -> &wgpu::Device {
        &self.inner.compiler.device
    }

    /// The features beyond WebGPU that shaders use.
    pub(crate) fn native(&self) -> Native {
        self.inner.compiler.native
    }

    pub(crate) fn limits(&self) -> &wgpu::Limits {
        &self.inner.limits
    }

    /// The number of pipelines compiled so far: plans that share one do not add to it.
    pub fn compiled_pipelines(&self) -> usize {
        lock(&self.inner.pipelines).values().filter(|pipeline| pipeline.is_compiled()).count()
    }

    /// Makes plans without compiling, and then compiles the pipelines that they lack on other threads.
    ///
    /// The plans that `plans` makes with the context it is given are complete: keep and record them. A recording that needs a
    /// pipeline before it is compiled compiles it, or waits for the thread that does. Later plans of the same kinds, on other
    /// tensors, find their pipelines compiled; the plans and buffers of the warm-up may be dropped. A clone of the given context
    /// may be kept: once `plans` has returned, it compiles like any other.
    ///
    /// The call costs what making the plans costs, without compilation. Afterwards as many threads as the machine runs at once
    /// are busy until the work is done. In a browser, pipelines are created on the calling thread, and the browser compiles by
    /// itself: the warm-up is then done at once, and the first submit may still wait. Errors of the device go to its handler,
    /// not to an error scope of this thread.
    ///
    /// ```no_run
    /// use tweedie::gpu::Drawn;
    /// use tweedie::{Context, Error, NoiseKey, Plan, Sampling, Shape, Tensor};
    ///
    /// /// While the application loads. `WarmUp::is_done` tells when its first frame will be as fast as the others.
    /// fn load(context: &Context, sampling: &Sampling<'_>, x: Tensor<'_>) -> Result<[Plan; 2], Error> {
    ///     let (plans, warm_up) = context.warm_up(|context| -> Result<_, Error> {
    ///         let start = Plan::fill(context, sampling.shape, Drawn::new(NoiseKey::seed(1)), x)?;
    ///         Ok([start, sampling.plan(context)?])
    ///     });
    ///     // ... read files, build the network ...
    ///     if let Err(error) = warm_up.wait() {
    ///         eprintln!("{error}");
    ///     }
    ///     plans
    /// }
    /// ```
    pub fn warm_up<T>(&self, plans: impl FnOnce(&Context) -> T) -> (T, WarmUp) {
        let deferred = Arc::new(Mutex::new(Some(Vec::new())));
        let made = plans(&Self { deferred: Some(Arc::clone(&deferred)), ..self.clone() });
        // From here on, plans of a context that was kept compile at once.
        let pipelines = lock(&deferred).take().unwrap_or_default();
        (made, WarmUp::begin(pipelines))
    }

    pub(crate) fn pipeline(&self, variant: Variant, tile: Tile) -> Arc<Pipeline> {
        self.pipeline_of(PipelineKey::Op(variant, tile), |compiler| Pipeline::of_op(compiler, variant, tile))
    }

    /// The pipeline of a kernel that stands alone. Its name is also its entry point; its workgroup memory is not cleared.
    pub(crate) fn small_pipeline(
        &self,
        name: &'static str,
        text: impl FnOnce() -> String,
        bindings: &[wgpu::BindGroupLayoutEntry],
    ) -> Arc<Pipeline> {
        self.pipeline_of(PipelineKey::Alone(name), |compiler| Pipeline::alone(compiler, name, text(), bindings))
    }

    /// The pipeline with this key, compiled unless a warm-up defers that.
    fn pipeline_of(&self, key: PipelineKey, make: impl FnOnce(&Arc<Compiler>) -> Pipeline) -> Arc<Pipeline> {
        let pipeline = {
            let mut pipelines = lock(&self.inner.pipelines);
            let entry = pipelines.entry(key).or_insert_with(|| Arc::new(make(&self.inner.compiler)));
            Arc::clone(entry)
        };
        // The map is unlocked again: other threads can find and compile theirs in the meantime.
        if !self.defers(&pipeline) {
            pipeline.compiled();
        }
        pipeline
    }

    /// Leaves a pipeline to the warm-up; returns `false` if there is no warm-up, or it has begun.
    fn defers(&self, pipeline: &Arc<Pipeline>) -> bool {
        let Some(deferred) = &self.deferred else { return false };
        let mut deferred = lock(deferred);
        let Some(pipelines) = &mut *deferred else { return false };
        if !pipeline.is_compiled() && !pipelines.iter().any(|known| Arc::ptr_eq(known, pipeline)) {
            pipelines.push(Arc::clone(pipeline));
        }
        true
    }

    /// A buffer with these bytes in it, padded to whole words.
    pub(crate) fn buffer_with(
        &self,
        label: &str,
        usage: wgpu::BufferUsages,
        bytes: &[u8],
    ) -> Result<wgpu::Buffer, PlanError> {
        let buffer = self.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: (bytes.len() as u64).next_multiple_of(4).max(4),
            usage,
            mapped_at_creation: true,
        });
        // Mapping fails only if the device is lost or out of memory.
        match buffer.slice(..).get_mapped_range_mut() {
            Ok(mut view) => view.slice(..bytes.len()).copy_from_slice(bytes),
            Err(_) => return Err(PlanError::Device { buffer: label.to_owned(), bytes: buffer.size() }),
        }
        buffer.unmap();
        Ok(buffer)
    }

    /// A buffer that only the GPU writes; wgpu clears it before its first use.
    pub(crate) fn zeroed_buffer(&self, label: &str, usage: wgpu::BufferUsages, size: u64) -> wgpu::Buffer {
        let (label, mapped_at_creation) = (Some(label), false);
        self.device().create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation })
    }

    /// A bind group of a pipeline, from binding numbers and what they bind.
    pub(crate) fn bind_group<'a>(
        &self,
        label: &str,
        pipeline: &Pipeline,
        resources: impl IntoIterator<Item = (u32, wgpu::BindingResource<'a>)>,
    ) -> wgpu::BindGroup {
        let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
        let entries: Vec<_> = resources.into_iter().map(entry).collect();
        let (label, layout) = (Some(label), &pipeline.layout);
        self.device().create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
    }
}

/// Locks a collection whose entries are added whole: a panic under the lock cannot leave it half changed.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The features beyond WebGPU that shaders use on a device.
fn native_of(device: &wgpu::Device) -> Native {
    let features = device.features();
    let int64 = features.contains(wgpu::Features::SHADER_INT64);
    let f16 = features.contains(wgpu::Features::SHADER_F16);
    let info = device.adapter_info();
    // Wide loads were measured to be faster on Mesa's lavapipe, and on nothing else; 16-bit numbers were slower there.
    let software = info.device_type == wgpu::DeviceType::Cpu && info.backend == wgpu::Backend::Vulkan;
    Native { int64, f16: f16 && !software, wide: int64 && software }
}

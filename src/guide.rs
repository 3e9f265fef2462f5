//! Guide: tweedie inside an application that has its own device, buffers and loop.
//!
//! # Your device
//!
//! tweedie asks for no feature, and for no limit above WebGPU's defaults. It uses nothing optional: no native f16 arithmetic, no
//! subgroups, no immediates; f16 and bf16 tensors are unpacked by integer code (on the oldest devices f16 tensors need the
//! downlevel flag `SHADER_F16_IN_F32`, which every WebGPU device has). Ask for more where your tensors are large: a tensor beyond
//! `max_storage_buffer_binding_size` is covered window by window, one dispatch each, and a larger binding spares those.
//!
//! ```no_run
//! use tweedie::wgpu;
//!
//! async fn open(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue), wgpu::RequestDeviceError> {
//!     let best = adapter.limits();
//!     adapter
//!         .request_device(&wgpu::DeviceDescriptor {
//!             required_limits: wgpu::Limits {
//!                 max_buffer_size: best.max_buffer_size,
//!                 max_storage_buffer_binding_size: best.max_storage_buffer_binding_size,
//!                 ..wgpu::Limits::default()
//!             },
//!             ..Default::default()
//!         })
//!         .await
//! }
//! ```
//!
//! One [`Context`](crate::Context) per device, made once and cloned freely: it holds the compiled pipelines. Several devices have a context
//! each; a batch may be split between them in any way, since noise and timesteps depend on the global index of a sample
//! ([`NoiseKey::first_sample`](crate::gpu::NoiseKey)), and results do not change.
//!
//! # What is recorded, and in which order
//!
//! A plan is made once and recorded many times. Recording sets a pipeline and bind group 0 in your pass and dispatches; set
//! your own again afterwards. It does not submit, poll, map, upload or allocate.
//!
//! | recording | dispatches |
//! |---|---|
//! | map: noising, conversion, posterior mean, fill | 1 |
//! | step of a sampler | 1; 2 more for guidance rescale, 6 for a threshold |
//! | loss or term of the bound, with gradients | 1; 2 of samples of more than 4096 elements, or where results lie in a tensor's buffer |
//! | its mean | 1 more; 2 of more than 4096 samples, or where it lies in the same buffer as what it is of |
//! | its 16-bit gradient, of samples that are not whole lanes of four, unless they are pairs | 1 more |
//! | timesteps, counter | 1 |
//! | two 16-bit outputs that begin in different halves of a word | 1 more |
//! | tensors beyond a binding | as many as there are windows |
//!
//! - Dispatches of a pass, passes of an encoder and command buffers of a submit run in the order in which they were recorded, and
//!   see what those before them wrote: wgpu puts the barriers. Your network stands between ours without more.
//! - A plan keeps its buffers alive, and a finished command buffer keeps the plan's: drop a plan as soon as it is recorded for the
//!   last time.
//! - What goes through the queue (`write_buffer`, [`set_key`](crate::gpu::MapPlan::set_key)) happens before the next submit, for
//!   all that is in it. So two recordings of one submit that need different keys need two of the plan's noise steps.
//! - An output may be the very same elements as an input (in place). Anything else that overlaps is an error.
//! - A multistep sampler remembers what its plan recorded before: its calls are recorded in order, and two loops at once are two
//!   plans.
//!
//! ```no_run
//! use tweedie::gpu::{At, MapPlan, NoiseKey, StepPlan};
//! use tweedie::{Error, wgpu};
//!
//! /// A frame: as many calls of the loop as fit its time, around the application's own network.
//! fn frame(
//!     (device, queue): (&wgpu::Device, &wgpu::Queue),
//!     steps: &StepPlan,
//!     calls: std::ops::Range<u32>,
//!     mut network: impl FnMut(&mut wgpu::ComputePass<'_>, u32),
//! ) -> Result<(), Error> {
//!     let mut encoder = device.create_command_encoder(&Default::default());
//!     {
//!         let mut pass = encoder.begin_compute_pass(&Default::default());
//!         for call in calls {
//!             network(&mut pass, call);                // reads x, writes prediction
//!             steps.record(&mut pass, At::call(call))?; // x is one step cleaner
//!         }
//!     }
//!     queue.submit([encoder.finish()]); // yours: when, and with what else
//!     Ok(())
//! }
//!
//! /// A loop without end draws new noise in every submit.
//! fn next_epoch(queue: &wgpu::Queue, noising: &MapPlan, epoch: u32) -> Result<(), Error> {
//!     Ok(noising.set_key(queue, 0, NoiseKey::seed(42).stream(epoch))?)
//! }
//! ```
//!
//! # First use
//!
//! The first plan of a kind compiles a shader, in milliseconds or, with some drivers, up to a second: make plans while the
//! application loads, one for each kind that it will need. What decides the kind are storage types, in place or not, aligned or
//! not, and the options of a step; not the shape, the schedule or the buffers.
//! [`compiled_pipelines`](crate::Context::compiled_pipelines) tells when something new was compiled. `TWEEDIE_DUMP_WGSL=DIR`
//! writes each composed shader into a folder.
//!
//! # In an egui application
//!
//! eframe and egui-wgpu hand their device out (`CreationContext::wgpu_render_state`) and give a paint callback an encoder before
//! they draw (`CallbackTrait::prepare`): that is where to record. The tensor that a step has written is a storage buffer that your
//! fragment shader reads in the same frame; nothing goes through the host. egui-wgpu asks for WebGPU's default limits unless told
//! otherwise (`WgpuSetupCreateNew::device_descriptor`). The device is used by egui too, so neither destroy it nor replace its
//! callbacks.
//!
//! ```no_run
//! use tweedie::gpu::{At, StepPlan};
//! use tweedie::wgpu;
//!
//! struct Loop {
//!     steps: StepPlan,
//!     call: u32,
//!     calls: u32,
//! }
//!
//! impl Loop {
//!     /// Called from `CallbackTrait::prepare`, with the encoder that egui passes.
//!     fn prepare(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), tweedie::Error> {
//!         if self.call < self.calls {
//!             // ... the network ...
//!             self.steps.encode(encoder, At::call(self.call))?;
//!             self.call += 1;
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # In a browser
//!
//! Your code stays as it is: compiled for `wasm32-unknown-unknown` with wgpu's feature `webgpu`, plans are made and recorded as
//! elsewhere, and nothing of that waits. What waits must be awaited, since a page may not block: the adapter, the device, and what
//! is read back. `Device::poll` does nothing there; [`Gpu::download`](crate::headless::Gpu::download) is `async` everywhere. A
//! browser compiles and complains in its own time: an error reaches your handler some frames later, and a plan that is made on
//! a lost device is not refused, so listen to the callback. The crate `web` of the repository is a page with all of that.
//!
//! # Errors
//!
//! All that the host can know is a typed error when a plan is made ([`PlanError`](crate::gpu::PlanError)) or recorded
//! ([`RecordError`](crate::gpu::RecordError)), in your words: which tensor, what was expected, what was found. Nothing has been
//! recorded then. What only wgpu knows it reports itself, to your error scope or handler, and names the object: ours are called
//! `tweedie::Map::group`, `tweedie::Step::history` and so on, yours as you labelled them. These are
//!
//! - a buffer that was destroyed, or is mapped, when its work is submitted;
//! - a buffer of another device of the same instance, when the plan is made. What another *instance* made must not be given at all:
//!   wgpu cannot tell;
//! - memory that gave out while a plan was made. Where it is the plan's own, a table or a key, the plan is
//!   [`PlanError::Device`](crate::gpu::PlanError::Device).
//!
//! Timesteps that lie in a GPU buffer are checked there: out of range, a sample becomes NaN and is counted in the plan's
//! [`status`](crate::gpu::MapPlan::status), which costs nothing to look at some frames later.
//!
//! # When the device is lost
//!
//! Drivers are updated, laptops dock, GPUs hang. wgpu then calls the callback that you set (`Device::set_device_lost_callback`; it
//! is yours, tweedie sets none), and what is submitted afterwards does nothing. A plan that is made on a lost device is
//! [`PlanError::Device`](crate::gpu::PlanError::Device); recording goes on without an error, since the host cannot know. Open a new
//! device, make a new context, buffers and plans, and go on: nothing of tweedie's outlives its context, and a seed gives the same
//! noise on the new device.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use tweedie::{Context, wgpu};
//!
//! /// All that belongs to a device: it comes and goes as a whole.
//! struct OnDevice {
//!     device: wgpu::Device,
//!     queue: wgpu::Queue,
//!     context: Context,
//!     lost: Arc<AtomicBool>,
//!     // ... buffers and plans ...
//! }
//!
//! impl OnDevice {
//!     async fn open(adapter: &wgpu::Adapter) -> Result<Self, wgpu::RequestDeviceError> {
//!         let (device, queue) = adapter.request_device(&Default::default()).await?;
//!         let lost = Arc::new(AtomicBool::new(false));
//!         let flag = Arc::clone(&lost);
//!         device.set_device_lost_callback(move |_, _| flag.store(true, Ordering::Relaxed));
//!         let context = Context::new(&device);
//!         Ok(Self { device, queue, context, lost })
//!     }
//! }
//!
//! async fn frame(adapter: &wgpu::Adapter, gpu: &mut OnDevice) -> Result<(), wgpu::RequestDeviceError> {
//!     if gpu.lost.load(Ordering::Relaxed) {
//!         *gpu = OnDevice::open(adapter).await?; // where this fails, ask the instance for an adapter again
//!     }
//!     // ... record and submit ...
//!     Ok(())
//! }
//! ```
//!
//! # Devices with four storage buffers
//!
//! WebGPU gives a dispatch 8 storage buffers; OpenGL ES and other old devices (`wgpu::Limits::downlevel_defaults()`) 4, and 16 KiB
//! of uniforms. Where a plan's usual form does not fit, it takes a narrow one by itself: a small dispatch lays out the row of each
//! sample, which the kernels then read, like the scales of guidance and threshold, through uniform bindings. The results are the
//! same to the bit; a dispatch covers about a thousand samples (two hundred of a step).
//!
//! | plan | with 4 storage buffers |
//! |---|---|
//! | every map, with noise given, drawn or kept, and any table | fits; timesteps from a buffer take 1 dispatch more |
//! | every loss, and a whole training step | fits; where five tensors are bound, the gradient takes a pass of its own |
//! | a term of the variational bound | prediction, x0, and either the learned variance or given noise; gradients in place, in a pass of their own |
//! | timesteps, counters | fit |
//! | a step | `x`, `next` (none if in place), the prediction, and what there is room for: the unconditional prediction, given noise, the learned variance, mask and known sample (2), remembered samples, the network's input, kept noise, seeds, health |
//! | a step's preview, guidance rescale, a threshold | fit beside what is read: each is found in dispatches of its own |
//!
//! So DPM-Solver++ 2M or SDE in place, with guidance, rescale, a threshold and a preview, fits: `x`, two predictions and one
//! remembered sample. What does not fit is [`PlanError::Bindings`](crate::gpu::PlanError::Bindings), which lists the buffers.
//!
//! # Tests without a GPU
//!
//! Mesa's software drivers run everything: lavapipe (`mesa-vulkan-drivers`) for Vulkan, llvmpipe for OpenGL; that is how this
//! library is tested in CI. wgpu's `noop` backend checks plans and recordings, under any limits, with no driver at all. Every op has
//! an f64 reference beside it ([`map::reference`](crate::gpu::map::reference()), [`step::reference`](crate::gpu::step::reference()),
//! [`loss::reference`](crate::gpu::loss::reference())) and [`compare`](crate::gpu::compare) says what an element may be off by.
//! [`headless`](crate::headless) opens a device and reads buffers back.

//! Guide: tweedie inside an application that has its own device, buffers and loop.
//!
//! # Your device
//!
//! tweedie requires no feature, and no limit above WebGPU's defaults. It uses nothing optional: no native f16
//! arithmetic, no subgroups, no immediates. f16 and bf16 tensors are unpacked by integer code. (On the oldest devices
//! f16 tensors need the downlevel flag `SHADER_F16_IN_F32`, which every WebGPU device has.) Request larger limits for
//! large tensors: a tensor beyond `max_storage_buffer_binding_size` is processed in windows, one dispatch each, and a
//! larger limit saves dispatches.
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
//! Create one [`Context`](crate::Context) per device and clone it freely: it holds the compiled pipelines. A batch may
//! be split between several devices in any way. Noise and timesteps depend on the global index of a sample
//! ([`NoiseKey::first_sample`](crate::gpu::NoiseKey)), so the results do not change.
//!
//! # Recording and its order
//!
//! A plan is created once and recorded many times. Recording sets a pipeline and bind group 0 in your pass and
//! dispatches; set your own again afterwards. It does not submit, poll, map, upload or allocate.
//!
//! | recording | dispatches |
//! |---|---|
//! | map: noising, conversion, posterior mean, fill | 1 |
//! | step of a sampler | 1; 2 more for guidance rescale, 6 for a threshold |
//! | guidance by itself ([`Guide`](crate::gpu::Guide)) | 1; 3 where its weights follow from sums over a sample |
//! | loss or term of the variational bound, with gradients | 1; 2 of samples of more than 4096 elements, or where results lie in a tensor's buffer |
//! | its mean | 1 more; 2 of more than 4096 samples, or if it lies in the same buffer as the values that it averages |
//! | its 16-bit gradient, of samples that are not whole lanes of four, unless they are pairs | 1 more |
//! | timesteps, counter, noise of another system, preview, pixels | 1 |
//! | two 16-bit outputs that begin in different halves of a word | 1 more |
//! | tensors beyond a binding | as many as there are windows |
//!
//! - Dispatches of a pass, passes of an encoder and command buffers of a submit run in the order in which they were recorded, and
//!   see the results of earlier ones: wgpu inserts the barriers. Your network needs no barrier of its own.
//! - A plan keeps its buffers alive, and a finished command buffer keeps the plan's: you may drop a plan right after its
//!   last recording.
//! - Queue writes (`write_buffer`, [`set_key`](crate::gpu::Plan::set_key)) take effect before the next submit, for
//!   everything in it. Two recordings of one submit that need different keys therefore need two of the plan's noise steps.
//! - An output may overwrite an input (in place). Any other overlap is an error.
//! - The plan of a multistep sampler remembers clean samples of earlier calls: record its calls in order, and make two plans
//!   for two loops at once. [`Step::memory`](crate::gpu::Step::memory) lets a host keep that memory itself, to stop a loop and go
//!   on with it elsewhere.
//!
//! ```no_run
//! use tweedie::{Error, NoiseKey, Plan, Recording, wgpu};
//!
//! /// A frame: as many calls of the loop as fit its time, around the application's own network.
//! fn frame(
//!     (device, queue): (&wgpu::Device, &wgpu::Queue),
//!     steps: &Plan,
//!     calls: std::ops::Range<u32>,
//!     mut network: impl FnMut(&mut wgpu::ComputePass<'_>, u32),
//! ) -> Result<(), Error> {
//!     let mut encoder = device.create_command_encoder(&Default::default());
//!     {
//!         let mut pass = encoder.begin_compute_pass(&Default::default());
//!         for call in calls {
//!             network(&mut pass, call);                // reads x, writes prediction
//!             // x is one step cleaner afterwards
//!             steps.record(&mut pass, Recording::call(call))?;
//!         }
//!     }
//!     queue.submit([encoder.finish()]); // yours: when, and with what else
//!     Ok(())
//! }
//!
//! /// A loop without end draws new noise in every submit.
//! fn next_epoch(queue: &wgpu::Queue, noising: &Plan, epoch: u32) -> Result<(), Error> {
//!     Ok(noising.set_key(queue, 0, NoiseKey::seed(42).stream(epoch))?)
//! }
//! ```
//!
//! # Tensors that move, rows that change
//!
//! A plan has three parts with three lifetimes. Pipelines belong to the device. Rows of coefficients and noise keys belong to a
//! run. Bind groups belong to the tensors. Each can change without the others:
//!
//! | change | call | cost |
//! |---|---|---|
//! | other tensors | [`moved`](crate::gpu::Plan::moved), by the names of the request's fields | bind groups: no upload, no compilation |
//! | other rows: the steps, guidance or solver of a loop, the weights of a loss | [`set_rows`](crate::gpu::Plan::set_rows) | a queue write |
//! | another seed | [`set_key`](crate::gpu::Plan::set_key) | a queue write |
//!
//! A move takes 1.3 to 3 microseconds for a plan of one dispatch, of which wgpu's own bind groups are all but 0.3 to 0.7, and a
//! training step's three dispatches 6.7 (4.9); a key takes 0.9, twenty rows 1.2, a thousand 4.8 (lavapipe, 2026-11-29,
//! `tweedie bench --host`).
//!
//! A moved plan shares keys, rows, status and the memory of a loop with the plan that it came from. Its tensors must have the same
//! storage and stride, and offsets that differ by whole binding alignments. [`Tensor`](crate::Tensor) is `Eq` and `Hash`, so a host
//! whose allocator hands out the same memory again can keep its moved plans by place.
//!
//! ```no_run
//! use tweedie::table::StepRow;
//! use tweedie::{Context, Error, Plan, Recording, Tensor, wgpu};
//!
//! /// One call of a loop whose network put its output somewhere else this time.
//! fn call(
//!     context: &Context,
//!     encoder: &mut wgpu::CommandEncoder,
//!     steps: &Plan,
//!     prediction: Tensor<'_>,
//!     call: u32,
//! ) -> Result<(), Error> {
//!     steps.moved(context, &[("prediction", prediction)])?.encode(encoder, Recording::call(call))?;
//!     Ok(())
//! }
//!
//! /// Guidance inside an interval of calls only: rows outside of it mix nothing in.
//! fn guide_between(queue: &wgpu::Queue, steps: &Plan, rows: &[StepRow], calls: std::ops::Range<usize>) -> Result<(), Error> {
//!     let rows: Vec<StepRow> = (0..)
//!         .zip(rows)
//!         .map(|(call, row)| if calls.contains(&call) { *row } else { row.guided([1.0, 0.0]) })
//!         .collect();
//!     Ok(steps.set_rows(queue, 0, &rows)?)
//! }
//! ```
//!
#![doc = include_str!("guide/recorded_loop.md")]
//!
#![doc = include_str!("guide/many_requests.md")]
//!
#![doc = include_str!("guide/image_to_image.md")]
//!
#![doc = include_str!("guide/levels_within_a_sample.md")]
//!
#![doc = include_str!("guide/mixed_precision.md")]
//!
//! # First use
//!
//! The first plan of a kind compiles a pipeline, in ten milliseconds or more: create plans while the application loads, one
//! of each kind that it will need. The kind depends on the op, storage types, in place or not, aligned or not, and the options
//! of a step. The shape decides the walk and the tile, and the number of rows where the table lies: make the plans of a
//! warm-up for the shapes to come. The schedule and the buffers do not matter.
//! [`compiled_pipelines`](crate::Context::compiled_pipelines) shows when a new pipeline was compiled.
//!
//! - [`Context::warm_up`](crate::Context::warm_up) makes plans without compiling, and compiles on threads of its own. It
//!   returns at once, with plans to keep and a [`WarmUp`](crate::gpu::WarmUp) to poll or to wait for. Different pipelines
//!   are compiled at the same time.
//! - [`Context::with_cache`](crate::Context::with_cache) takes wgpu's pipeline cache: the driver's part of compiling is
//!   then done once an installation, where the driver leaves its results to the application (Android).
//! - Some drivers compile again, or only then, at a pipeline's first dispatch. No call but a submit reaches that: record the
//!   plans once into a submit of their own while the application loads. Mesa's drivers keep this part on disk
//!   (`MESA_SHADER_CACHE_DIR`).
//!
//! Seven pipelines, of a map, a loss, a term of the variational bound, a step, a draw of timesteps and a training step, on Mesa
//! 22.3.6 lavapipe, two cores under other load, 2026-11-29 (`tweedie bench --host`, medians):
//!
//! | | milliseconds |
//! |---|---|
//! | plans that compile as they are made | 145 |
//! | the same with a pipeline cache of an earlier run, in which this driver keeps nothing | 149 |
//! | the same in a warm-up: the calling thread | 2.1 |
//! | until that warm-up is done | 146 |
//! | their first submit, Mesa's cache on disk empty | 740 |
//! | each later submit | 3.2 |
//!
//! `TWEEDIE_DUMP_WGSL=DIR` writes each composed shader into a folder.
//!
//! # In an egui application
//!
//! eframe and egui-wgpu hand their device out (`CreationContext::wgpu_render_state`) and give a paint callback an
//! encoder before they draw (`CallbackTrait::prepare`): record there. The output of a step is a storage buffer that
//! your fragment shader can read in the same frame; no data passes through the host. egui-wgpu asks for WebGPU's
//! default limits unless told otherwise (`WgpuSetupCreateNew::device_descriptor`). egui uses the device too, so do not
//! destroy it or replace its callbacks.
//!
//! ```no_run
//! use tweedie::gpu::{Recording, Plan};
//! use tweedie::wgpu;
//!
//! struct Loop {
//!     steps: Plan,
//!     call: u32,
//!     calls: u32,
//! }
//!
//! impl Loop {
//!     /// Called from `CallbackTrait::prepare`, with the encoder that egui passes.
//!     fn prepare(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), tweedie::Error> {
//!         if self.call < self.calls {
//!             // ... the network ...
//!             self.steps.encode(encoder, Recording::call(self.call))?;
//!             self.call += 1;
//!         }
//!         Ok(())
//!     }
//! }
//! ```
//!
//! # In a browser
//!
//! Your code does not change. Compiled for `wasm32-unknown-unknown` with wgpu's feature `webgpu`, plans are created and
//! recorded as elsewhere, and none of that waits. A page may not block, so the adapter, the device and every readback
//! must be awaited. `Device::poll` does nothing there; [`Gpu::download`](crate::headless::Gpu::download) is `async`
//! everywhere. A browser compiles and reports errors asynchronously: an error reaches your handler some frames later,
//! and creating a plan on a lost device succeeds, so use the device-lost callback. The crate `apps/web` of the
//! repository is such a page.
//!
//! # Errors
//!
//! Mistakes that the host can see are typed errors when a plan is created ([`PlanError`](crate::gpu::PlanError)) or
//! recorded ([`RecordError`](crate::gpu::RecordError)). They name the tensor, the expected value and the found one, and
//! nothing has been recorded. wgpu reports other errors itself, to your error scope or handler, with the label of the
//! object: ours are called `tweedie::Map::group`, `tweedie::Step::history` and so on, yours have your labels. These
//! errors are
//!
//! - a buffer that was destroyed, or is mapped, when its work is submitted;
//! - a buffer of another device of the same instance, when the plan is created. Never use objects of another *instance*:
//!   wgpu cannot detect that;
//! - out of memory while a plan is created. If it is the plan's own memory, a table or a key, creating the plan returns
//!   [`PlanError::Device`](crate::gpu::PlanError::Device).
//!
//! Timesteps that lie in a GPU buffer are checked there: a sample whose timestep is out of range becomes NaN and is
//! counted in the plan's [`status`](crate::gpu::Plan::status), which you can read some frames later without a stall.
//!
//! # When the device is lost
//!
//! Drivers are updated, laptops dock, GPUs hang. wgpu then calls your callback (`Device::set_device_lost_callback`;
//! tweedie sets none), and later submits do nothing. Creating a plan on a lost device returns
//! [`PlanError::Device`](crate::gpu::PlanError::Device); recording continues without an error, since the host cannot
//! know. Open a new device, create a new context, buffers and plans, and continue. A seed gives the same noise on the
//! new device.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use tweedie::{Context, wgpu};
//!
//! /// Everything that belongs to a device, created and dropped together.
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
//!         *gpu = OnDevice::open(adapter).await?; // if this fails, request an adapter from the instance again
//!     }
//!     // ... record and submit ...
//!     Ok(())
//! }
//! ```
//!
//! # Devices with four storage buffers
//!
//! WebGPU gives a dispatch 8 storage buffers; OpenGL ES and other old devices (`wgpu::Limits::downlevel_defaults()`)
//! give 4, and 16 KiB of uniforms. On such devices plans switch to a four-buffer form by themselves: a small dispatch
//! writes the row of each sample, and the kernels read the rows, and the scales of guidance and threshold, through
//! uniform bindings. The results are bit-identical. A dispatch then covers about a thousand samples (two hundred of a
//! step).
//!
//! | plan | with 4 storage buffers |
//! |---|---|
//! | every map, with any table, and noise from a tensor, drawn, or drawn and written out | fits; timesteps from a buffer take 1 dispatch more |
//! | every loss, and a whole training step | fits; with five tensors, the gradient takes a pass of its own |
//! | a term of the variational bound | prediction, x0, and either the learned variance or given noise; gradients in place, in a pass of their own |
//! | timesteps, counters | fit |
//! | a step | `x`, `next` (none if in place), the prediction, and any of these that fit: the unconditional prediction, given noise, the learned variance, mask and known sample (2), remembered samples, the network's input, kept noise, seeds, statistics of clean samples |
//! | a step's preview, guidance rescale, a threshold | fit beside what is read: each is found in dispatches of its own |
//!
//! For example, DPM-Solver++ 2M or SDE in place fits with guidance, rescale, a threshold and a preview: it reads `x`, two
//! predictions and one remembered sample. A plan that does not fit is a
//! [`PlanError::Bindings`](crate::gpu::PlanError::Bindings), which lists the buffers.
//!
//! # Tests without a GPU
//!
//! Mesa's software drivers run everything: lavapipe (`mesa-vulkan-drivers`) for Vulkan, llvmpipe for OpenGL. CI tests
//! this library with them. wgpu's `noop` backend checks plans and recordings, under any limits, without a driver. Every
//! op has an f64 reference ([`Map::reference`](crate::gpu::Map::reference),
//! [`Step::reference`](crate::gpu::Step::reference), [`Loss::reference`](crate::gpu::Loss::reference)) and
//! [`compare`](crate::gpu::compare) checks results against it with an error bound per element.
//! [`headless`](crate::headless) opens a device and reads buffers back.

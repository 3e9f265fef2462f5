//! tweedie's ops on Burn tensors, on Burn's wgpu device and without a copy.
//!
//! Burn keeps its tensors in `wgpu::Buffer`s; tweedie records its kernels on whatever buffers it is given. So Burn's tensors are
//! lent to tweedie in place ([`Lent`]), tweedie's passes go to Burn's own queue, and results are Burn tensors:
//!
//! - [`Bridge`]: tweedie on a Burn device, one that Burn made or one that the application made.
//! - [`Training`]: timesteps, noise and noisy samples before the network, and a loss after it that is a node of Burn's
//!   autodiff graph.
//! - [`Sampling`]: any sampler, with classifier-free guidance.
//!
//! # What happens in a call
//!
//! Burn queues operations, and fuses them if the feature `fusion` is on. Lending a tensor makes Burn record and submit what
//! the tensor depends on; then tweedie's dispatches are submitted, and whatever Burn computes from the results follows on the
//! same queue. Nothing waits for the GPU. Burn does not fuse across an operation of tweedie.
//!
//! Burn hands out parts of large pages, so a plan's tensors often share one buffer, which tweedie's kernels support. Plans are
//! kept by the places of their tensors, since Burn often hands out the same places in every step of a training.
//!
//! # Devices
//!
//! ```no_run
//! use burn::tensor::Device;
//! use tweedie_burn::Bridge;
//!
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! // A device that Burn makes, before its first tensor:
//! let (device, setup) = Device::wgpu_options().init_with_setup()?;
//! let bridge = Bridge::new(&device, &setup);
//! # Ok(()) }
//! ```
//!
//! For a device of the application, make a `WgpuSetup` of it, register it once with
//! `Device::wgpu_options().setup(setup.clone()).init()` and give both to [`Bridge::new`]. Burn replaces the device's callbacks
//! for errors and device loss: set the application's own afterwards.

mod bridge;
mod cache;
mod error;
mod lent;
mod sampling;
mod training;

pub use bridge::Bridge;
pub use error::Error;
pub use lent::Lent;
pub use sampling::{Guide, Run, Sampling};
pub use training::{Goal, Losses, Noisy, Training};
pub use tweedie;

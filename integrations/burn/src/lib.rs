//! tweedie's ops on Burn tensors, on Burn's wgpu device and without a copy.
//!
//! Burn keeps its tensors in `wgpu::Buffer`s; tweedie records its kernels on whatever buffers it is given. So a Burn tensor is
//! lent to tweedie where it lies ([`Lent`]), tweedie's passes go to Burn's own queue, and results are Burn tensors:
//!
//! - [`Bridge`]: tweedie on a Burn device, one that Burn made or one that the application made.
//! - [`Training`]: timesteps, noise and noisy samples before the network, and a loss after it that is a node of Burn's
//!   autodiff graph.
//! - [`Sampling`]: any sampler, with classifier-free guidance.
//!
//! # What happens in a call
//!
//! Burn queues operations, and fuses them if the feature `fusion` is on. Lending a tensor makes Burn record and submit what
//! the tensor depends on; then tweedie's dispatches are submitted behind it, and whatever Burn computes of the results comes
//! later on the same queue. Nothing waits for the GPU. An operation of tweedie's is thus a border that Burn does not fuse
//! across.
//!
//! Burn hands out parts of large pages, so a plan's tensors often share one buffer; tweedie's kernels take that as they take
//! separate buffers. Plans are kept by place, for Burn hands out the same places in every step of a training.
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
//! For a device that the application has, make the `WgpuSetup` of it, register it once with
//! `Device::wgpu_options().setup(setup.clone()).init()` and give both to [`Bridge::new`]. Burn replaces the device's callbacks
//! for errors and loss: set the application's own afterwards.

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

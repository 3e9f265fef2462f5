//! A trained network in plain WGSL: a U-Net that generates handwritten digits, recorded between tweedie's steps.
//!
//! ```text
//! generation                       a whole loop: noise, calls with guidance, steps
//! network                          a call, recorded into the application's pass
//! builder                          from layers to dispatches
//! embedding  norm  conv            the host's side of the shaders of these names
//! kernels  channels                WGSL, compiled and bound; tensors as layers read them
//! architecture  weights  error     the layers, as data; f16 parameters from safetensors
//! ```
//!
//! **Theory.** The network is given a timestep of the cosine schedule and a class, and predicts v, x0 or epsilon. With the class
//! [`NO_CLASS`] it predicts without one, so that guidance can take the difference.
//!
//! **Practice.** [`Kernels`] are compiled once for a device. A [`Network`] binds them to an application's buffers;
//! [`Network::record`] neither submits nor allocates. [`Generation`] is the usual loop around it. Nothing beyond WebGPU's default
//! limits is needed; a prediction takes about 1.2 MB.

pub mod architecture;
mod builder;
mod channels;
mod conv;
mod embedding;
mod error;
mod generation;
mod kernels;
mod network;
mod norm;
mod weights;

pub use architecture::NO_CLASS;
pub use error::DigitsError;
pub use generation::{Generation, Request, SamplerRequest, model, sampler};
pub use kernels::Kernels;
pub use network::{Network, Tensors, Times};
pub use networks::Calls;
pub use weights::{PREDICTIONS, Weights};

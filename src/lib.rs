//! The mathematics around a diffusion network, on the GPU, inside your own wgpu application.
//!
//! # The plane
//!
//! Every tensor that diffusion code handles is `a * x0 + b * epsilon`, a row `(a, b)`. At a noise level with signal
//! `alpha` and noise `sigma` (variance preserving: `alpha = sqrt(abar)`, `sigma = sqrt(1 - abar)`):
//!
//! | quantity | row | given x_t, it is |
//! |---|---|---|
//! | `x_t`, the noisy sample | `(alpha, sigma)` | the observation itself |
//! | `x0`, the clean sample | `(1, 0)` | singular at `sigma = 0` |
//! | `epsilon`, the noise | `(0, 1)` | singular at `alpha = 0` (zero terminal SNR) |
//! | `v` (Salimans & Ho 2022) | `(-sigma, alpha)` | never singular: a rotation |
//! | score | `(0, -1/sigma)` | singular at `alpha = 0` |
//! | flow velocity `epsilon - x0` | `(-1, 1)` | never singular |
//! | EDM's network output (Karras et al. 2022) | see [`math::SigmaData`] | never singular |
//!
//! Noising is a row applied to `(x0, epsilon)`, a training target is another. Knowing `x_t` and one prediction, any
//! quantity is one 2x2 solve away. So all of it is a 2x2 matrix per timestep, and one streaming kernel.
//!
//! # The parts
//!
//! - [`math`]: schedules, quantities, posteriors in f64. Knows no GPU. Ends in a [`Table`](table::Table) of matrices.
//! - [`noise`]: the numbers that a seed gives, on the host; both wings know them.
//! - [`gpu`]: applies tables to buffers. Knows no schedule. Each kernel has an f64 twin beside it.
//! - [`Diffusion`], [`Sampling`], [`TrainingStep`] and [`LikelihoodLoop`]: join both for the common jobs.
//! - [`headless`]: a device of one's own and readback, for tools and tests. An application does not need it.
//! - [`guide`]: how to build all this into an application: devices, order, lifetimes, egui, device loss, small devices.
//!
//! # Conventions
//!
//! - Timesteps are indices from 0, the least noisy, to `T - 1`; `abar` of a timestep includes its own beta.
//! - A batch is `batch` samples of `elements` each; which axes a sample has does not matter.
//! - Coefficients are computed in f64 and rounded to f32 once. Storage is f32, f16 or bf16; arithmetic is f32.
//! - Noise depends on (seed, stream, sample, element) alone; see [`noise`].
//! - Recording never submits, polls, maps, allocates GPU memory or writes buffers. Plans do what must be done before.
//! - wgpu is re-exported as [`wgpu`](mod@wgpu): an application must use the same major version.
//!
//! # Example
//!
//! A training pair in one dispatch: the noisy sample and the v target, with noise that is drawn in the kernel.
//!
//! ```
//! use tweedie::{Diffusion, Noising, Quantity, wgpu};
//! use tweedie::gpu::{At, Context, Drawn, NoiseKey, Second, Shape, Tensor, Timesteps};
//! use tweedie::math::Schedule;
//!
//! # fn run(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x0: &wgpu::Buffer, t: &wgpu::Buffer,
//! #        x_t: &wgpu::Buffer, target: &wgpu::Buffer) -> Result<(), tweedie::Error> {
//! let context = Context::new(device); // your device; once
//! let diffusion = Diffusion::new(Schedule::scaled_linear(1000, 0.00085, 0.012)?);
//! let pair = diffusion.noising(&context, &Noising {
//!     shape: Shape::new(16, 4 * 64 * 64),
//!     timesteps: Timesteps::per_sample(t),              // u32 for each sample, on the GPU
//!     x0: Tensor::f32(x0),
//!     epsilon: Second::Drawn(Drawn::new(NoiseKey::seed(42))),
//!     first: (Quantity::Xt, Tensor::f32(x_t)),
//!     second: Some((Quantity::V, Tensor::f32(target))),
//! })?;
//!
//! let mut pass = encoder.begin_compute_pass(&Default::default()); // your encoder
//! pair.record(&mut pass, At::per_sample())?;            // one dispatch; your submit
//! # Ok(()) }
//! ```
//!
//! # Not here
//!
//! Networks, autodiff, data loading, model files. tweedie is what stands around the network.

#[cfg(feature = "diffusers-config")]
pub mod config;
mod diffusion;
pub mod error;
pub mod gpu;
pub mod headless;
mod likelihood;
pub mod math;
pub mod noise;
mod sampling;
pub mod table;
mod training;

pub use diffusion::{Conversion, Diffusion, Holes, Named, Noising, PosteriorMean};
pub use error::Error;
pub use gpu::{Context, Shape, Storage, Tensor};
pub use likelihood::{Likelihood, LikelihoodLoop};
pub use math::{Quantity, Schedule};
pub use noise::philox4x32_10;
pub use sampling::{Guidance, GuidanceScale, Sampling};
pub use training::{LearnedVariance, TimestepSource, Training, TrainingStep};
pub use wgpu;

#[cfg(any(doc, doctest))]
pub mod guide;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

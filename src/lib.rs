//! The mathematics around a diffusion network, on the GPU, inside your own wgpu application.
//!
//! The network of a diffusion model is surrounded by elementwise math: noising, training targets, conversions between
//! predictions, sampler steps, losses and likelihoods. tweedie does this math in WGSL compute shaders, on buffers of
//! your [`wgpu`](mod@wgpu) device and inside your command encoder. Coefficients are computed in f64 and rounded to f32
//! once. Every kernel is tested against an f64 reference on the CPU.
//!
//! # The plane
//!
//! Every tensor that diffusion code handles has the form `a * x0 + b * epsilon`: it is a row `(a, b)`. At a noise level
//! with signal `alpha` and noise `sigma` (variance preserving: `alpha = sqrt(abar)`, `sigma = sqrt(1 - abar)`):
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
//! Noising applies one row to `(x0, epsilon)`, a training target applies another. Given `x_t` and one prediction, any
//! other quantity follows from a 2x2 solve. All of these operations are therefore one 2x2 matrix per timestep, and one
//! streaming kernel applies it.
//!
//! # Modules
//!
//! - [`math`]: schedules, quantities, posteriors and samplers in f64. It does not know the GPU, and its results are
//!   [tables](table::Table) of coefficients.
//! - [`noise`]: the random numbers of a seed, on the CPU. Both halves use them.
//! - [`gpu`]: kernels that apply tables to buffers. It does not know schedules. Each kernel comes with an f64 reference.
//! - [`Noising`], [`Conversion`], [`Sampling`], [`Loop`], [`TrainingStep`] and [`LikelihoodLoop`]: both halves joined for the common
//!   jobs.
//! - [`headless`]: a device, uploads and readback for tools and tests. Applications do not need it.
//! - [`guide`]: [concepts](guide::concepts), [embedding](guide::embedding), [sampling](guide::sampling), [training](guide::training),
//!   [many requests](guide::many_requests), [precision](guide::precision), [porting](guide::porting) from diffusers and ComfyUI,
//!   [troubleshooting](guide::troubleshooting), a [glossary](guide::glossary).
//!
//! # Features
//!
//! | feature | adds | dependency |
//! |---|---|---|
//! | none | everything but files | |
//! | `diffusers-config` | the module `config`: samplers from a `scheduler_config.json` of diffusers | serde_json |
//! | `run-files` | the module `run_file`: run files, workflows and PNGs of ComfyUI, guidance from files | serde_json |
//!
//! The graphics APIs are wgpu's features, and your application chooses them.
//!
//! # Conventions
//!
//! - Timesteps are indices from 0, the least noisy, to `T - 1`. The `abar` of a timestep includes its own beta.
//! - A batch has `batch` samples of `elements` elements each. The axes of a sample do not matter.
//! - Tensors are stored as f32, f16 or bf16. Arithmetic is f32.
//! - Noise depends only on (seed, stream, sample, element); see [`noise`].
//! - Creating a plan validates its inputs, compiles shaders and uploads coefficients. Recording a plan never submits,
//!   polls, maps, allocates GPU memory or writes buffers.
//! - wgpu is re-exported as [`wgpu`](mod@wgpu). An application must use the same major version.
//!
//! # Example
//!
//! This plan writes a training pair in one dispatch: the noisy sample and the v target. The kernel draws the noise.
//!
//! ```
//! use tweedie::{Context, Noise, NoiseKey, Noising, Quantity, Recording, Schedule, Shape, Tensor, Timesteps, wgpu};
//!
//! # fn run(device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder, x0: &wgpu::Buffer, t: &wgpu::Buffer,
//! #        x_t: &wgpu::Buffer, target: &wgpu::Buffer) -> Result<(), tweedie::Error> {
//! let context = Context::new(device); // your device; once
//! let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
//! let noising = Noising {
//!     schedule: &schedule,
//!     shape: Shape::new(16, 4 * 64 * 64),
//!     timesteps: Timesteps::per_sample(t),              // u32 for each sample, on the GPU
//!     x0: Tensor::f32(x0),
//!     epsilon: Noise::drawn(NoiseKey::seed(42)),        // drawn in the kernel, never stored
//!     outputs: &[(Quantity::Xt, Tensor::f32(x_t)), (Quantity::V, Tensor::f32(target))],
//! };
//! let pair = noising.plan(&context)?;
//!
//! let mut pass = encoder.begin_compute_pass(&Default::default()); // your encoder
//! pair.record(&mut pass, Recording::per_sample())?;     // one dispatch; your submit
//! # Ok(()) }
//! ```
//!
//! # Out of scope
//!
//! Networks, autodiff, data loading and model files. tweedie is the math around the network.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "diffusers-config")]
pub mod config;
mod diffusion;
pub mod error;
mod few;
pub mod gpu;
#[cfg(feature = "run-files")]
mod guider_file;
pub mod headless;
mod likelihood;
mod loop_error;
mod loops;
pub mod math;
pub mod noise;
#[cfg(feature = "run-files")]
pub mod run_file;
mod sampling;
pub mod table;
mod training;

pub use diffusion::{Conversion, Noising, OnUndefined, PosteriorMean};
#[doc(inline)]
pub use error::Error;
#[doc(inline)]
pub use gpu::{Context, Gradient, Groups, Noise, NoiseKey, Plan, Recording, Shape, Storage, Tensor, Timesteps};
pub use likelihood::{Likelihood, LikelihoodLoop};
pub use loops::{ErrorOver, HostCall, HostSampling, Loop, LoopCall, LoopMask, LoopNoise, LoopTensors};
#[doc(inline)]
pub use math::{Model, Quantity, Sampler, Schedule};
pub use noise::philox4x32_10;
pub use sampling::{Guidance, GuidanceScale, Sampling};
pub use training::request::{LearnedVariance, TimestepSource, Training};
pub use training::step::TrainingStep;
pub use wgpu;

#[cfg(any(doc, doctest))]
pub mod guide;

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The mathematics around a diffusion network, on the GPU, inside your own wgpu application.
//!
//! The network of a diffusion model is surrounded by elementwise math: noising, training targets, conversions between
//! predictions, guidance, sampler steps, losses and likelihoods. tweedie does this math in WGSL compute shaders, on buffers of
//! your [`wgpu`](mod@wgpu) device and inside your command encoder. It only records: you submit, and no sample passes through
//! the CPU. Coefficients are computed in f64 and rounded to f32 once. Every kernel is tested against an f64 reference on the
//! CPU.
//!
//! The network itself is yours, in WGSL or any other form; see [Out of scope](#out-of-scope).
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
//! let context = Context::new(device); // one for each device
//! let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
//! let noising = Noising {
//!     schedule: &schedule,
//!     shape: Shape::new(16, 4 * 64 * 64),
//!     timesteps: Timesteps::per_sample(t),              // a u32 for each sample, on the GPU
//!     x0: Tensor::f32(x0),
//!     epsilon: Noise::drawn(NoiseKey::seed(42)),        // drawn in the kernel, never stored
//!     outputs: &[(Quantity::Xt, Tensor::f32(x_t)), (Quantity::V, Tensor::f32(target))],
//! };
//! let pair = noising.plan(&context)?;
//!
//! let mut pass = encoder.begin_compute_pass(&Default::default()); // your encoder
//! pair.record(&mut pass, Recording::per_sample())?;     // one dispatch; you submit it
//! # Ok(()) }
//! ```
//!
//! A sampling loop is shown at [`Sampling`], a training step at [`TrainingStep`], and a whole run around a network at [`Loop`].
//!
//! # The plane
//!
//! Every tensor that diffusion code handles has the form `a * x0 + b * epsilon`. It is a point of a plane, given by its row
//! `(a, b)`. At a noise level with signal `alpha` and noise `sigma` (variance preserving: `alpha = sqrt(abar)`,
//! `sigma = sqrt(1 - abar)`):
//!
//! | quantity | row | a prediction of it and `x_t` determine all others |
//! |---|---|---|
//! | `x_t`, the noisy sample | `(alpha, sigma)` | never: it is `x_t` itself |
//! | `x0`, the clean sample | `(1, 0)` | except at `sigma = 0` |
//! | `epsilon`, the noise | `(0, 1)` | except at `alpha = 0` (zero terminal SNR) |
//! | `v` (Salimans & Ho 2022) | `(-sigma, alpha)` | always |
//! | score | `(0, -1/sigma)` | except at `alpha = 0`; it does not exist at `sigma = 0` |
//! | flow velocity `epsilon - x0` | `(-1, 1)` | always |
//! | EDM's network output (Karras et al. 2022) | see [`math::SigmaData`] | always |
//!
//! Noising applies one row to `(x0, epsilon)`, and a training target is another row. Given `x_t` and one prediction, any
//! other quantity follows from a 2x2 solve ([`math::solve`]). Each of these operations is therefore one 2x2 matrix per
//! timestep, and one streaming kernel applies it.
//!
//! # Modules
//!
//! - [`math`]: schedules, models, quantities, posteriors, samplers and guidance in f64. It knows nothing of the GPU, and its
//!   results are [tables](table::Table) of coefficients.
//! - [`table`]: the rows of these tables, the interface between `math` and `gpu`.
//! - [`noise`]: the random numbers of a seed, on the CPU. Both `math` and `gpu` use them.
//! - [`gpu`]: kernels that apply tables to buffers. It knows nothing of schedules. Each kernel comes with an f64 reference.
//! - [`Noising`], [`Conversion`], [`PosteriorMean`], [`Sampling`], [`Loop`], [`TrainingStep`] and [`LikelihoodLoop`]: `math` and
//!   `gpu` joined for the common jobs. [`HostSampling`] is a sampling loop on the CPU, for networks that do not run on wgpu.
//! - [`error`]: one [`Error`] for a whole application, and the errors of `math`.
//! - [`headless`]: a device, uploads and readback for tools and tests. Applications do not need it.
//! - [`guide`]: the guide, by chapters; see [Where to go next](#where-to-go-next).
//!
//! # Features
//!
//! None is enabled by default.
//!
//! | feature | adds | dependency |
//! |---|---|---|
//! | `diffusers-config` | the module `config`: models and samplers from a `scheduler_config.json` of diffusers | serde_json |
//! | `run-files` | the module `run_file`: run files, workflows and PNGs of ComfyUI, guidance from files | serde_json |
//!
//! The graphics APIs are features of wgpu: your application enables them in its own dependency on wgpu.
//!
//! # Conventions
//!
//! - Timesteps are indices from 0, the least noisy, to `T - 1`. The `abar` of a timestep includes its own beta.
//! - A batch has `batch` samples of `elements` elements each ([`Shape`]). Ops work element by element, so the axes of a sample do
//!   not matter, except where you give groups, channels or dimensions.
//! - Tensors are stored as f32, f16 or bf16 ([`Tensor`]). Offsets count bytes, strides count elements. Arithmetic is f32.
//! - Noise depends only on (seed, stream, sample, element); see [`noise`].
//! - Creating a plan validates its inputs, compiles shaders and uploads coefficients. Recording a plan never submits,
//!   polls, maps, allocates GPU memory or uploads.
//! - What the host can check is an [`Error`] before anything is recorded. It cannot see timesteps in a buffer: one that is out of
//!   range makes its sample NaN and is counted in [`Plan::status`].
//! - wgpu is re-exported as [`wgpu`](mod@wgpu). An application must use the same major version.
//!
//! # Out of scope
//!
//! Networks, autodiff, data loading and model files. tweedie is the math around the network.
//!
//! # Where to go next
//!
//! | for | read |
//! |---|---|
//! | the ideas and the terms | [concepts](guide::concepts), [glossary](guide::glossary) |
//! | an application with a device of its own | [embedding](guide::embedding), [small devices](guide::small_devices) |
//! | sampling | [sampling](guide::sampling), [image to image](guide::image_to_image), [whole runs](guide::recorded_loop), [many requests](guide::many_requests) |
//! | training | [training](guide::training), [levels within a sample](guide::levels_within_a_sample), [precision](guide::precision) |
//! | code that uses diffusers or ComfyUI now | [porting](guide::porting) |
//! | wrong pictures, NaN, errors | [troubleshooting](guide::troubleshooting) |
//!
//! The examples `first` and `embed` in the repository are complete programs.

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

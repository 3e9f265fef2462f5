//! Networks whose best answer is known in closed form: sampling can be shown, and proved, without trained weights.
//!
//! **Theory.** A perfectly trained network answers with an expectation under the data. For a mixture of isotropic
//! Gaussians it can be written down; with `x = alpha*x0 + sigma*epsilon` and `spread = alpha^2*s^2 + sigma^2`,
//! ```text
//! share_k            ~ weight_k * exp(-|x - alpha*mean_k|^2/(2*spread)),  sum_k share_k = 1
//! E[x0 | x]          = sum_k share_k * (mean_k + alpha*s^2/spread*(x - alpha*mean_k))
//! E[epsilon | x]     = sum_k share_k * sigma/spread*(x - alpha*mean_k)
//! ```
//! One component is a Gaussian, `s = 0` is a set of pictures (the ideal denoiser of Karras et al. 2022, arXiv 2206.00364,
//! appendix B.3): three networks in one.
//!
//! **Practice.** A [`Mixture`] is the data, with the answers in f64; a [`Network`] gives the same answers with compute shaders,
//! as an application would have them: with pipelines and bindings of its own. Everything that differs from call to call ([`Ask`])
//! is uploaded once, and a call is chosen by a dynamic offset or read from a counter on the GPU, so that a whole loop can be
//! recorded ahead.

mod ask;
mod mixture;
mod network;

pub use ask::{Ask, asks, run_asks};
pub use mixture::Mixture;
pub use network::{Calls, Network, Tensors};

//! Recorded loops: a whole run around the application's network, on its tensors.
//!
//! **Theory.** A run is a list of rows, each applied to the sample, the network's predictions and noise. Where nothing is masked and
//! guidance is a scale, a row is one dispatch. Otherwise a call takes several: they make the sample that the network is shown, turn
//! each prediction into a clean sample, mix these, insert the known region, and apply the row to the result.
//!
//! **Practice.** [`Loop::new`] makes all plans of a run of ComfyUI, [`Loop::of_sampling`] those of a sampler. They upload all noise that
//! the host draws and all numbers that a network may read.
//! [`Loop::record`] records start, calls and end around a function that records the network. It does not submit, poll, map,
//! upload or wait.

mod adaptive;
mod answers;
mod asked;
mod attempts;
mod builder;
mod call;
mod host_sampling;
mod recorded;
mod sampled;
mod source;
mod steps;
mod tensors;

pub use attempts::ErrorOver;
pub use call::LoopCall;
pub use host_sampling::{HostCall, HostSampling};
pub use recorded::Loop;
pub use tensors::{LoopMask, LoopNoise, LoopTensors};

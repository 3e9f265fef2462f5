//! step: one step of any sampler, from guidance to the next sample, as one streaming kernel.
//!
//! **Theory.** [`StepRow`](crate::table::StepRow) has the formula. The kernel reads the sample, the predictions and all other
//! tensors that a row needs once. It writes the next sample once, and the clean sample and the network's next input if they
//! are wanted.
//!
//! **Practice.** A [`StepPlan`] is made once for a whole loop: it holds the rows of all calls and the memory between them,
//! and draws call `k`'s noise on stream `key.stream + k`. Recording a call is a few calls on the caller's pass: no submit,
//! no poll, no allocation, no upload; so a whole loop may be recorded ahead around the network. The host names the call at
//! each recording ([`At::call`](crate::gpu::At::call)), or the GPU reads it from a buffer: one for every sample, so that
//! requests at different points of their loops share a batch, or one for all, which a [`Counter`](crate::gpu::Counter)
//! advances.
//!
//! Calls are to be recorded in order: a multistep solver looks back at the calls before, of the same plan or of one made
//! [`beside`](StepPlan::beside) it.
//!
//! Host twin of `shaders/op/step.wgsl`: [`reference()`].

pub(crate) mod bounds;
pub(crate) mod clean_stats;
pub(crate) mod history;
pub(crate) mod inputs;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod reference;
pub(crate) mod scales;

pub use crate::gpu::inputs::{DrawnNoise, Noise};
pub use clean_stats::CleanStats;
pub use inputs::{Inpainting, Step};
pub use options::Rules;
pub use plan::StepPlan;
pub use reference::{ROUNDINGS, Sample, Stepped, quantile, reference};

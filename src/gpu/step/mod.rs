//! step: one step of any sampler, from guidance to the next sample, as one streaming kernel.
//!
//! **Theory.** [`StepRow`](crate::table::StepRow) has the formula. The kernel reads the sample, the predictions and all other
//! tensors that a row needs once. It writes the next sample once, and the clean sample and the network's next input if
//! requested.
//!
//! **Practice.** [`Step::plan`] makes a [`Plan`](crate::gpu::Plan) for a whole loop: it holds the rows of all calls and the
//! memory between them, and a call draws its noise on the stream of its row. Recording a call does not submit, poll, allocate or
//! upload, so a whole loop may be recorded in advance, around the network. The host names the call at each recording
//! ([`Recording::call`](crate::gpu::Recording::call)), or the GPU reads it from a buffer: one for each sample, so that requests
//! at different points of their loops share a batch, or one for all, which a [`Counter`](crate::gpu::Counter) advances.
//!
//! Calls must be recorded in order: a multistep solver looks back at earlier calls of the same plan, of a plan that was
//! [moved](crate::gpu::Plan::moved) from it, or of one with the same [`memory`](Step::memory).
//!
//! Host twin of `shaders/op/step.wgsl`: [`Step::reference`].

pub(crate) mod clean_stats;
pub(crate) mod history;
pub(crate) mod inputs;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod reference;
pub(crate) mod scales;

pub use clean_stats::CleanStats;
pub use inputs::{Inpainting, Step};
pub use options::StepOptions;
pub use reference::{Sample, Stepped};

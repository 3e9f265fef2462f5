//! vlb: a term of the variational bound for each sample, their mean, and the gradients, in one pass over the tensors.
//!
//! **Theory.** [`VlbRow`](crate::table::VlbRow) has the formula: a divergence, a decoder's likelihood or a squared error,
//! for any prediction and variance. Only the difference between the posterior's mean and the model's is computed, so nothing
//! cancels. The kernel computes exponentials and logarithms with polynomials of its own. Reductions run in a fixed order, as for
//! a [loss](super::loss).
//!
//! **Practice.** [`VlbTerms::plan`] makes a plan that is recorded like that of a loss, each sample at its own timestep; a
//! [`VlbLoop`] keeps the terms of all timesteps and adds them up. The gradients are the full gradients of the term, with respect
//! to the prediction and to the learned variance. A hybrid loss stops the gradient at the prediction: leave that one out.
//!
//! Host twin of `shaders/op/vlb.wgsl`: [`VlbTerms::reference`].

pub(crate) mod chain;
pub(crate) mod inputs;
pub(crate) mod plan;
pub(crate) mod reference;

pub use chain::{VlbLoop, VlbLoopTerms};
pub use inputs::VlbInputs;
pub use plan::VlbTerms;
pub use reference::{Batch, Terms};

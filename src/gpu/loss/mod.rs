//! loss: the weighted loss of each sample, their mean, and the gradient, in one pass over the tensors.
//!
//! **Theory.** [`LossRow`](crate::table::LossRow) has the formula. The target is computed in registers from the clean sample
//! and the noise, and the noise may be drawn again from its key: a training step reads the prediction and the clean sample,
//! and writes the gradient. Reductions run in a fixed order, so a loss is bitwise reproducible across runs and batch sizes.
//!
//! **Practice.** [`Loss::plan`] makes a plan, which is recorded into the caller's pass. After the pass over the tensors, a small
//! dispatch adds up the chunks of samples of more than 4096 elements, and one or two more compute the mean. The gradient needs a
//! pass of its own only where it is 16-bit and its samples are neither whole lanes of four nor pairs.
//!
//! Host twin of `shaders/op/loss.wgsl`: [`Loss::reference`].

pub(crate) mod plan;
pub(crate) mod reference;

pub use plan::Loss;
pub use reference::{Batch, Losses};

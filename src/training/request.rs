//! The request for a training step.

use crate::gpu::inputs::{Drawn, Gradient, Groups};
use crate::gpu::tensor::{Shape, Tensor};
use crate::math::loss::Objective;
use crate::math::model_variance::ModelVariance;
use crate::math::timestep_density::TimestepDensity;
use crate::table::loss::Penalty;

/// The source of a batch's timesteps.
#[derive(Clone, Copy, Debug)]
pub enum TimestepSource<'a> {
    /// The application writes them into the buffer `timesteps` of the request.
    InBuffer,
    /// They are drawn on the GPU in every step.
    Drawn {
        /// The distribution over the schedule's timesteps.
        density: &'a TimestepDensity,
        /// For a stratified draw, the number of samples in the whole batch, over all devices. The samples share the strata of one
        /// key, so [`Drawn::seeds`] must be `None`.
        stratified: Option<u32>,
    },
}

/// A variance that the network learns by the variational bound, in addition to the prediction that it learns by its loss (the
/// hybrid loss of Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 16).
///
/// The bound's term at each sample's timestep has a gradient with respect to the network's second output only; none goes
/// through the mean. As in guided-diffusion's training, x0 is not clipped.
///
/// ```
/// use tweedie::LearnedVariance;
/// use tweedie::Tensor;
/// use tweedie::math::ModelVariance;
///
/// // A network with six output channels for three: epsilon, then its variance. The gradient has the layout of the output.
/// # fn of<'a>(output: &'a wgpu::Buffer, gradient: &'a wgpu::Buffer, terms: &'a wgpu::Buffer) -> LearnedVariance<'a> {
/// let elements = 3 * 64 * 64;
/// let second = |buffer| Tensor::f32(buffer).at(4 * elements).stride(2 * elements as u32);
/// # let variance =
/// LearnedVariance {
///     variance: ModelVariance::LearnedRange,
///     factor: 1000.0 / 1000.0, // T/1000
///     learned: second(output),
///     gradient: second(gradient),
///     terms,
/// }
/// # ; variance }
/// ```
/// Give it as [`Training::variance`]; [`Training::prediction`] is then the first half, with the same stride.
#[derive(Clone, Copy, Debug)]
pub struct LearnedVariance<'a> {
    /// [`ModelVariance::Learned`] or [`ModelVariance::LearnedRange`].
    pub variance: ModelVariance,
    /// The factor of the term, which is in bits per dimension: `T/1000` in guided-diffusion.
    pub factor: f64,
    /// The network's second output: often the second half of its channels.
    pub learned: Tensor<'a>,
    /// The gradient with respect to `learned`, with the reduction and the scale of the loss's gradient. It may overwrite `learned`.
    pub gradient: Tensor<'a>,
    /// The term of each sample, one `f32` per sample, not part of its loss.
    pub terms: &'a wgpu::Buffer,
}

/// The request for a [`TrainingStep`](crate::TrainingStep).
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// The objective: the prediction, the quantity that the loss measures, and the weight.
    pub objective: &'a Objective,
    /// The loss as a function of the error: squared, absolute, Huber ...
    pub penalty: Penalty,
    /// The batch.
    pub shape: Shape,
    /// The noise, and the source of drawn timesteps: step `k` draws both on stream `key.stream + k`.
    ///
    /// [`Drawn::steps`] is the number of steps that may be recorded without setting a key. [`Drawn::seeds`] gives each sample
    /// a key of its own, but not with stratified timesteps. Of a perturbation, the loss leaves out [`Perturbed::by`]'s `input`. The
    /// noise is drawn again after the network, so it may not be [kept](Drawn::keep).
    ///
    /// [`Perturbed::by`]: crate::gpu::Perturbed::by
    pub noise: Drawn<'a>,
    /// The source of the timesteps.
    pub timestep_source: TimestepSource<'a>,
    /// The timesteps, one `u32` per sample or per group of a sample, from the beginning of the buffer. The network reads them too.
    pub timesteps: &'a wgpu::Buffer,
    /// The groups of a sample that have timesteps of their own (diffusion forcing, Chen et al. 2024, arXiv 2407.01392); `None` for
    /// one timestep per sample. With groups, each run of a group has a loss; see [`Loss::losses`](crate::gpu::Loss::losses).
    pub groups: Option<Groups>,
    /// The clean sample.
    pub x0: Tensor<'a>,
    /// The noisy sample, which the network reads.
    pub x_t: Tensor<'a>,
    /// The network's output.
    pub prediction: Tensor<'a>,
    /// The gradient of the loss with respect to the prediction, its reduction and its scale.
    pub gradient: Gradient<'a>,
    /// The loss of each sample, one `f32` per sample, or per run with `groups`.
    pub losses: &'a wgpu::Buffer,
    /// The mean loss, one `f32`, if it is wanted.
    pub mean: Option<&'a wgpu::Buffer>,
    /// A variance that the network learns too.
    pub variance: Option<LearnedVariance<'a>>,
}

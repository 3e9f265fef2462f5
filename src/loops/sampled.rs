//! The loop of a sampler: of a published model's usual run, or of a class of diffusers.

use super::builder::{Around, Work};
use super::call::Facts;
use super::recorded::{Loop, Whole};
use crate::error::Error;
use crate::gpu::context::Context;
use crate::gpu::inputs::{Drawn, Recording, Timesteps};
use crate::gpu::tensor::Tensor;
use crate::loop_error::LoopError;
use crate::sampling::Sampling;

impl Loop {
    /// Makes the loop of a sampler, with everything in its request: guidance, a known region, a preview, memory. It begins with noise,
    /// or with the clean sample `x0` noised to the level of the first call.
    ///
    /// ```
    /// use tweedie::math::Recipe;
    /// use tweedie::{Context, Error, Loop, LoopCall, Noise, NoiseKey, Sampling, Shape, Tensor, wgpu};
    ///
    /// /// The usual run of SDXL, as diffusers has it, in eight steps.
    /// fn record(
    ///     context: &Context,
    ///     encoder: &mut wgpu::CommandEncoder,
    ///     [x, input, prediction]: [Tensor<'_>; 3],
    ///     network: impl FnMut(&mut wgpu::CommandEncoder, LoopCall<'_>) -> Result<(), Error>,
    /// ) -> Result<(), Error> {
    ///     let sampler = Recipe::named("sdxl")?.sampler(None, Some(8))?;
    ///     let sampling = Sampling::in_place(&sampler, Shape::new(1, 4 * 128 * 128), x, prediction, Noise::None);
    ///     let sampling = Sampling { input: Some(input), ..sampling };
    ///     Loop::of_sampling(context, &sampling, NoiseKey::seed(42), None)?.record(encoder, network)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LoopError::Unsupported`] unless [`Sampling::calls`] is [`Timesteps::Batch`]; those of [`Sampling::start`],
    /// [`Sampling::start_from`] and [`Sampling::plan`].
    pub fn of_sampling<'a>(
        context: &Context,
        sampling: &Sampling<'_>,
        noise: impl Into<Drawn<'a>>,
        x0: Option<Tensor<'a>>,
    ) -> Result<Self, Error> {
        if !matches!(sampling.calls, Timesteps::Batch) {
            let what = "a batch whose samples are at different calls";
            return Err(LoopError::Unsupported { what, instead: "Sampling::plan" }.into());
        }
        let steps = sampling.plan(context)?;
        let start = match x0 {
            Some(x0) => sampling.start_from(context, noise, x0)?,
            None => sampling.start(context, noise)?,
        };
        let at = |plan: usize, row: usize| Work { plan, at: Recording::call(row as u32) };
        let (mut facts, mut around) = (Vec::new(), Vec::new());
        for (k, call) in sampling.sampler.calls().iter().enumerate() {
            let asks = [sampling.guidance.is_some(), false, false];
            let draws = sampling.noise.tensor().is_some() && call.row.draws(sampling.known.is_some());
            facts.push(Facts {
                step: call.step,
                sigma: call.level.sigma(),
                told: call.timestep,
                input: call.input,
                asks,
                draw: draws.then_some(call.noise),
                place: k,
            });
            around.push(Around { before: Vec::new(), after: vec![at(1, k)] });
        }
        let whole = Whole { start: vec![at(0, 0)], around, end: None };
        Self::made(context, sampling.shape, vec![start, steps], facts, whole)
    }
}

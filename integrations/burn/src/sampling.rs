//! Sampling with a network in Burn: any of tweedie's samplers, a step at a time.

use crate::cache::Cache;
use crate::lent::Lent;
use crate::{Bridge, Error};
use burn::tensor::{DType, Tensor};
use tweedie::gpu::{Noise, NoiseKey, PlanError, Recording, Timesteps};
use tweedie::math::sampler::{Call, Sampler};
use tweedie::{Guidance, GuidanceScale, Shape};

/// Classifier-free guidance; see [`tweedie::Guidance`].
#[derive(Clone, Debug, PartialEq)]
pub struct Guide {
    /// `w` of every call, if `scales` is empty.
    pub scale: f64,
    /// `w` of each call, one for each of the sampler's calls: a guidance schedule.
    pub scales: Vec<f64>,
    /// The convention of `w`.
    pub counts: GuidanceScale,
    /// The degree to which the mixture is rescaled to the conditional prediction's standard deviation, in `0..=1`.
    pub rescale: f64,
}

impl Guide {
    /// Guidance by `u + scale*(c - u)`, without rescaling.
    #[must_use]
    pub const fn new(scale: f64) -> Self {
        Self { scale, scales: Vec::new(), counts: GuidanceScale::FromUnconditional, rescale: 0.0 }
    }
}

/// A sampler for a network in Burn.
///
/// ```
/// use burn::tensor::{DType, Tensor};
/// use tweedie::gpu::NoiseKey;
/// use tweedie::math::sampler::Sampler;
/// use tweedie_burn::{Bridge, Error, Sampling};
///
/// # fn run(bridge: &Bridge, sampler: Sampler, network: impl Fn(Tensor<4>, f64) -> Tensor<4>) -> Result<Tensor<4>, Error> {
/// let sampling = Sampling::new(bridge, sampler);
/// let mut run = sampling.start([8, 3, 16, 16], DType::F32, NoiseKey::seed(1))?;
/// while let Some(call) = run.call() {
///     let prediction = network(run.input(), call.timestep);
///     run.step(prediction)?;
/// }
/// Ok(run.finish())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sampling {
    bridge: Bridge,
    sampler: Sampler,
    guide: Option<Guide>,
}

impl Sampling {
    /// Creates it for this sampler.
    #[must_use]
    pub fn new(bridge: &Bridge, sampler: Sampler) -> Self {
        Self { bridge: bridge.clone(), sampler, guide: None }
    }

    /// Adds guidance: the network's output then has twice the samples, first those with their condition, then the same ones
    /// without. They are read from this one tensor, without a copy.
    #[must_use]
    pub fn guided(self, guide: Guide) -> Self {
        Self { guide: Some(guide), ..self }
    }

    /// The sampler.
    #[must_use]
    pub const fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// Begins a run with the noise of this key. `shape` is that of the samples, the batch first.
    ///
    /// # Errors
    /// [`Error`] for a shape without elements and for elements other than f32, f16 and bf16.
    pub fn start<const D: usize>(
        &self,
        shape: [usize; D],
        elements: DType,
        key: NoiseKey,
    ) -> Result<Run<'_, D>, Error> {
        let x = self.bridge.empty("x", shape, elements)?;
        let scaled = self.sampler.calls().iter().any(|call| call.input != 1.0);
        let input = scaled.then(|| self.bridge.empty("input", shape, elements)).transpose()?;
        let lent = self.bridge.lend_out("x", &x)?;
        let out = input.as_ref().map(|input| self.bridge.lend_out("input", input)).transpose()?;
        let (prediction, next) = (&lent, &lent);
        let view = View { sampling: self, x: &lent, prediction, next, input: out.as_ref(), memory: None, key };
        let plan = view.of_tweedie(None).start(self.bridge.context(), key)?;
        self.bridge.submit(plan.dispatches(), |pass| plan.record(pass, Recording::timestep(0)))?;
        Ok(Run { sampling: self, key, next: 0, x, input, memory: None, plans: Cache::default() })
    }
}

/// A batch on its way from noise to samples.
#[derive(Debug)]
pub struct Run<'a, const D: usize> {
    sampling: &'a Sampling,
    key: NoiseKey,
    next: usize,
    x: Tensor<D>,
    input: Option<Tensor<D>>,
    /// The memory of all plans.
    memory: Option<Tensor<2>>,
    plans: Cache,
}

impl<const D: usize> Run<'_, D> {
    /// The next call of the network; `None` when the samples are done.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        self.sampling.sampler.calls().get(self.next)
    }

    /// The network's input.
    #[must_use]
    pub fn input(&self) -> Tensor<D> {
        self.input.as_ref().unwrap_or(&self.x).clone()
    }

    /// Makes the step of the current call from the network's output, in one dispatch (more with rescaled guidance or a threshold).
    /// The result is a new tensor; the old one is left unchanged.
    ///
    /// # Errors
    /// [`Error::Shape`] for an output of another shape, [`Error::Finished`] after the last step, and the other errors of a tensor
    /// that cannot be lent.
    pub fn step(&mut self, prediction: Tensor<D>) -> Result<(), Error> {
        let Self { sampling, key, next, x, input, memory, plans } = self;
        let Sampling { bridge, sampler, guide } = *sampling;
        if *next >= sampler.calls().len() {
            return Err(Error::Finished { calls: sampler.calls().len() });
        }
        let mut expected = x.dims();
        expected[0] *= if guide.is_some() { 2 } else { 1 };
        if prediction.dims() != expected {
            let (expected, found) = (expected.to_vec(), prediction.dims().to_vec());
            return Err(Error::Shape { tensor: "prediction", expected, found });
        }
        let result = x.empty_like();
        let scaled = input.as_ref().map(Tensor::empty_like);
        let prediction = bridge.lend("prediction", &prediction)?;
        let (from, to) = (bridge.lend("x", x)?, bridge.lend_out("next", &result)?);
        let out = scaled.as_ref().map(|scaled| bridge.lend_out("input", scaled)).transpose()?;
        let call = Recording::call(*next as u32);
        let step = |memory: &Option<Tensor<2>>| {
            let memory = memory.as_ref().map(|memory| bridge.lend_out("memory", memory)).transpose()?;
            let (next, input, memory) = (&to, out.as_ref(), memory.as_ref());
            let view = View { sampling, x: &from, prediction: &prediction, next, input, memory, key: *key };
            let request = view.of_tweedie(guide.as_ref());
            let roles = [
                ("x", Some(request.x)),
                ("prediction", Some(request.prediction)),
                ("unconditional", request.guidance.map(|guidance| guidance.unconditional)),
                ("next", Some(request.next)),
                ("input", request.input),
                ("memory", request.memory),
            ];
            plans.with(
                bridge.context(),
                from.shape(),
                &roles,
                || Ok(request.plan(bridge.context())?),
                |plan| bridge.submit(plan.dispatches(), |pass| plan.record(pass, call)),
            )
        };
        // A loop that looks back has a tensor for its memory, which every plan is given.
        if memory.is_none() && sampler.depth() > 0 {
            *memory = Some(remembered(bridge, sampler, from.shape(), x.dtype())?);
        }
        match step(memory) {
            // The memory of 16-bit samples that are not whole lanes is f32.
            Err(Error::Tweedie(tweedie::Error::Plan(PlanError::Memory { .. }))) => {
                *memory = Some(remembered(bridge, sampler, from.shape(), DType::F32)?);
                step(memory)?;
            }
            stepped => stepped?,
        }
        (*x, *input, *next) = (result, scaled, *next + 1);
        Ok(())
    }

    /// Ends the run and returns the samples as they are now.
    #[must_use]
    pub fn finish(self) -> Tensor<D> {
        self.x
    }
}

/// Memory for the clean samples that the sampler looks back to.
fn remembered(bridge: &Bridge, sampler: &Sampler, shape: Shape, elements: DType) -> Result<Tensor<2>, Error> {
    bridge.empty("memory", [shape.batch as usize, sampler.depth() * shape.elements as usize], elements)
}

/// Lent tensors in their roles.
struct View<'a> {
    sampling: &'a Sampling,
    x: &'a Lent,
    prediction: &'a Lent,
    next: &'a Lent,
    input: Option<&'a Lent>,
    memory: Option<&'a Lent>,
    key: NoiseKey,
}

impl<'a> View<'a> {
    fn of_tweedie(&self, guide: Option<&'a Guide>) -> tweedie::Sampling<'a> {
        let Self { sampling, x, prediction, next, input, memory, key } = *self;
        let shape = x.shape();
        let conditional = prediction.tensor();
        let half = shape.total() * conditional.storage.bytes();
        let guidance = guide.map(|guide| Guidance {
            unconditional: conditional.at(prediction.offset() + half),
            scale: guide.scale,
            scales: (!guide.scales.is_empty()).then_some(&guide.scales[..]),
            counts: guide.counts,
            rescale: guide.rescale,
        });
        tweedie::Sampling {
            calls: Timesteps::Batch,
            guidance,
            next: next.tensor(),
            input: input.map(Lent::tensor),
            memory: memory.map(Lent::tensor),
            ..tweedie::Sampling::in_place(&sampling.sampler, shape, x.tensor(), conditional, Noise::drawn(key))
        }
    }
}

//! Generation: a whole sampling loop around the network.

use crate::architecture::{NO_CLASS, PIXELS, TIMESTEPS};
use crate::error::DigitsError;
use crate::kernels::Kernels;
use crate::network::{Network, Tensors, Times, check_labels};
use crate::weights::Weights;
use networks::Calls;
use tweedie::gpu::{Drawn, Plan};
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::{Placement, Spacing};
use tweedie::wgpu::{self, BufferUsages};
use tweedie::{
    Context, Guidance, Model, Noise, NoiseKey, Quantity, Recording, Sampler, Sampling, Schedule, Shape, Tensor,
};

/// The digits to generate with DPM-Solver++ 2M.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The class of each picture: 0 to 9, or [`NO_CLASS`].
    pub labels: &'a [u32],
    /// Calls of the network, which are the steps of DPM-Solver++ 2M.
    pub calls: usize,
    /// The scale of classifier-free guidance: 1 is none.
    pub guidance: f64,
    /// The noise to begin with: picture `i` takes that of sample `i`.
    pub key: NoiseKey,
}

/// The digits to generate with a sampler of the caller's.
#[derive(Clone, Copy, Debug)]
pub struct SamplerRequest<'a> {
    /// The class of each picture: 0 to 9, or [`NO_CLASS`].
    pub labels: &'a [u32],
    /// The sampler, for the [`model`] of the network.
    pub sampler: &'a Sampler,
    /// The scale of classifier-free guidance: 1 is none.
    pub guidance: f64,
    /// The noise to begin with, and that of the steps: picture `i` takes that of sample `i`.
    pub key: NoiseKey,
}

/// A sampling loop that is ready to be recorded.
#[derive(Debug)]
pub struct Generation {
    network: Network,
    start: Plan,
    steps: Plan,
    calls: u32,
    predictions: u32,
    x: wgpu::Buffer,
}

/// The facts of a network that predicts this quantity.
///
/// # Errors
/// Those of a schedule; this one is valid.
pub fn model(prediction: Quantity) -> Result<Model, DigitsError> {
    let schedule = Schedule::cosine(TIMESTEPS).map_err(tweedie::Error::from)?;
    Ok(Model::new(schedule, prediction))
}

/// Makes a sampler of tweedie's catalogue for this model: as many steps as fit into the calls, from the last timestep on (trailing
/// spacing), so that all samplers with one call a step visit the same noise levels. Its clean samples are not clipped.
///
/// # Errors
/// [`DigitsError::Tweedie`] for a name that the catalogue does not have and for a sampler that cannot be placed this way;
/// [`DigitsError::Sampler`] for one that does not lead from noise to pictures within the calls.
pub fn sampler(model: &Model, name: &str, calls: usize) -> Result<Sampler, DigitsError> {
    let entry = Sampler::CATALOGUE.find(name).map_err(tweedie::Error::from)?;
    let trailing = Some(Placement::Timesteps(Spacing::Trailing));
    if !entry.make.inverts() {
        for steps in (1..=calls).rev() {
            let options = SamplerOptions { placement: trailing, ..SamplerOptions::steps(steps) };
            let sampler = entry.build(model, &options).map_err(tweedie::Error::from)?;
            if sampler.calls().len() <= calls {
                return Ok(sampler);
            }
        }
    }
    Err(DigitsError::Sampler { name: entry.name, calls })
}

impl Generation {
    /// Makes the plans and the network of DPM-Solver++ 2M. Clean samples are clamped to `-1..=1` in each call.
    ///
    /// # Errors
    /// [`DigitsError::Label`] and [`DigitsError::Labels`] for labels that the network cannot take; [`DigitsError::Tweedie`]
    /// for a number of calls that the sampler cannot make, and for guidance that is not finite.
    pub fn new(
        context: &Context,
        kernels: &Kernels,
        weights: &Weights,
        request: &Request<'_>,
    ) -> Result<Self, DigitsError> {
        let Request { labels, calls, guidance, key } = *request;
        let model = model(weights.prediction())?;
        let sampler = Sampler::dpm_solver_pp(&model, calls).map_err(tweedie::Error::from)?;
        let sampler = &sampler.clipped(1.0).map_err(tweedie::Error::from)?;
        Self::of_sampler(context, kernels, weights, &SamplerRequest { labels, sampler, guidance, key })
    }

    /// Makes the plans and the network of a sampler. Without guidance (a scale of 1) a call predicts once for each picture, with it
    /// twice.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`DigitsError::Times`] for a sampler without calls.
    pub fn of_sampler(
        context: &Context,
        kernels: &Kernels,
        weights: &Weights,
        request: &SamplerRequest<'_>,
    ) -> Result<Self, DigitsError> {
        let SamplerRequest { labels, sampler, guidance, key } = *request;
        let device = context.device();
        let is_guided = guidance != 1.0;
        let unconditional = if is_guided { labels.len() } else { 0 };
        let asked: Vec<u32> = labels.iter().copied().chain(std::iter::repeat_n(NO_CLASS, unconditional)).collect();
        check_labels(device, labels.len() as u32, &asked)?;
        let shape = Shape::new(labels.len() as u32, PIXELS);
        let bytes = shape.total() * 4;
        let predictions = (asked.len() / labels.len()) as u32;
        let buffer = |label, size: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let (x, prediction) =
            (buffer("digits::x", bytes), buffer("digits::prediction", u64::from(predictions) * bytes));
        let is_scaled = sampler.calls().iter().any(|call| call.input != 1.0);
        let input = is_scaled.then(|| buffer("digits::input", bytes));

        let times: Vec<f32> = sampler.calls().iter().map(|call| call.timestep as f32).collect();
        let read = input.as_ref().unwrap_or(&x);
        let tensors = Tensors { x: read, samples: shape.batch, labels: &asked, prediction: &prediction };
        let network = Network::new(kernels, weights, tensors, Times::Shared(&times), Calls::Recorded)?;

        let predicted = Tensor::f32(&prediction);
        let noise = if sampler.noises() > 0 { Noise::Drawn(Drawn::new(key)) } else { Noise::None };
        let sampling = Sampling {
            guidance: is_guided.then(|| Guidance::new(predicted.at(bytes), guidance)),
            input: input.as_ref().map(Tensor::f32),
            ..Sampling::in_place(sampler, shape, Tensor::f32(&x), predicted, noise)
        };
        let (start, steps) = (sampling.start(context, key)?, sampling.plan(context)?);
        Ok(Self { network, start, steps, calls: times.len() as u32, predictions, x })
    }

    /// Predictions of each picture in a call: one, or two with guidance.
    #[must_use]
    pub const fn predictions(&self) -> u32 {
        self.predictions
    }

    /// Calls of the network.
    #[must_use]
    pub const fn calls(&self) -> u32 {
        self.calls
    }

    /// Records the whole loop.
    ///
    /// # Errors
    /// Those of recording a plan; the plans have a row for every call.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) -> Result<(), DigitsError> {
        self.record_start(pass)?;
        (0..self.calls).try_for_each(|call| self.record_call(pass, call))
    }

    /// Records the noise to begin with.
    ///
    /// # Errors
    /// Those of recording a plan; this one has the row.
    pub fn record_start(&self, pass: &mut wgpu::ComputePass<'_>) -> Result<(), DigitsError> {
        Ok(self.start.record(pass, Recording::timestep(0)).map_err(tweedie::Error::from)?)
    }

    /// Records a call of the network and the step that follows it.
    ///
    /// # Errors
    /// [`DigitsError::Call`] for a call that is not below [`calls`](Self::calls).
    pub fn record_call(&self, pass: &mut wgpu::ComputePass<'_>, call: u32) -> Result<(), DigitsError> {
        self.network.record(pass, call)?;
        Ok(self.steps.record(pass, Recording::call(call)).map_err(tweedie::Error::from)?)
    }

    /// The pictures, `[labels, 1, 32, 32]` in f32: noise at first, and -1 for black to 1 for white at the end.
    #[must_use]
    pub const fn pictures(&self) -> &wgpu::Buffer {
        &self.x
    }
}

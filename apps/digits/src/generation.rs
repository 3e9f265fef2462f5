//! Generation: a whole sampling loop around the network.

use crate::architecture::{NO_CLASS, PIXELS, TIMESTEPS};
use crate::error::DigitsError;
use crate::kernels::Kernels;
use crate::network::{Network, Tensors, Times, check_labels};
use crate::weights::Weights;
use networks::Calls;
use tweedie::gpu::Plan;
use tweedie::wgpu::{self, BufferUsages};
use tweedie::{
    Context, Guidance, Model, Noise, NoiseKey, Quantity, Recording, Sampler, Sampling, Schedule, Shape, Tensor,
};

/// The digits that are wanted, and the way to them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The class of each picture: 0 to 9, or [`NO_CLASS`].
    pub labels: &'a [u32],
    /// Calls of DPM-Solver++ 2M; each makes two predictions of each picture.
    pub calls: usize,
    /// The scale of classifier-free guidance: 1 is none.
    pub guidance: f64,
    /// The noise to begin with: picture `i` takes that of sample `i`.
    pub key: NoiseKey,
}

/// A sampling loop that is ready to be recorded.
#[derive(Debug)]
pub struct Generation {
    network: Network,
    start: Plan,
    steps: Plan,
    calls: u32,
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

impl Generation {
    /// Makes the plans and the network. Clean samples are clamped to `-1..=1` in each call.
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
        let device = context.device();
        let unconditional = std::iter::repeat_n(NO_CLASS, labels.len());
        let both: Vec<u32> = labels.iter().copied().chain(unconditional).collect();
        check_labels(device, labels.len() as u32, &both)?;
        let model = model(weights.prediction())?;
        let sampler = Sampler::dpm_solver_pp(&model, calls).map_err(tweedie::Error::from)?;
        let sampler = sampler.clipped(1.0).map_err(tweedie::Error::from)?;
        let shape = Shape::new(labels.len() as u32, PIXELS);
        let bytes = shape.total() * 4;
        let buffer = |label, size: u64| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let (x, prediction) = (buffer("digits::x", bytes), buffer("digits::prediction", 2 * bytes));

        let times: Vec<f32> = sampler.calls().iter().map(|call| call.timestep as f32).collect();
        let tensors = Tensors { x: &x, samples: shape.batch, labels: &both, prediction: &prediction };
        let network = Network::new(kernels, weights, tensors, Times::Shared(&times), Calls::Recorded)?;

        let predicted = Tensor::f32(&prediction);
        let sampling = Sampling {
            guidance: Some(Guidance::new(predicted.at(bytes), guidance)),
            ..Sampling::in_place(&sampler, shape, Tensor::f32(&x), predicted, Noise::None)
        };
        let (start, steps) = (sampling.start(context, key)?, sampling.plan(context)?);
        Ok(Self { network, start, steps, calls: times.len() as u32, x })
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

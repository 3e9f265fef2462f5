//! The network on the GPU: its layers as dispatches, recorded into the application's pass.

use crate::architecture::{LAYERS, NO_CLASS, PIXELS, widest};
use crate::builder::Builder;
use crate::error::DigitsError;
use crate::kernels::{Dispatch, Kernels};
use crate::weights::Weights;
use networks::Calls;
use std::collections::HashMap;
use tweedie::wgpu;

/// The tensors that the network reads and writes: f32, sample after sample without gaps, usage STORAGE.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// The noisy pictures, `[samples, 1, 32, 32]`.
    pub x: &'a wgpu::Buffer,
    /// Number of pictures.
    pub samples: u32,
    /// The class of each prediction: 0 to 9, or [`NO_CLASS`]. Prediction `i` is of sample `i % samples`, so that labels followed
    /// by the same number of [`NO_CLASS`] give all conditional predictions and then all unconditional ones.
    pub labels: &'a [u32],
    /// The predictions, `[labels, 1, 32, 32]`.
    pub prediction: &'a wgpu::Buffer,
}

/// The timesteps of all calls, in `0..1000`, not necessarily whole.
#[derive(Clone, Copy, Debug)]
pub enum Times<'a> {
    /// One for each call.
    Shared(&'a [f32]),
    /// One for each prediction of each call, call after call.
    Each(&'a [f32]),
}

/// A network that is ready to be recorded.
#[derive(Debug)]
pub struct Network {
    /// One for each call, or one that reads a counter.
    embedding: Vec<Dispatch>,
    layers: Vec<Dispatch>,
    outputs: HashMap<String, wgpu::Buffer>,
    counted: bool,
}

impl Network {
    /// Allocates the output of every layer (about 1.2 MB a prediction), and uploads weights, labels and timesteps.
    ///
    /// # Errors
    /// [`DigitsError::Label`], [`DigitsError::Labels`], [`DigitsError::Times`] and [`DigitsError::Buffer`], before anything
    /// is created.
    pub fn new(
        kernels: &Kernels,
        weights: &Weights,
        tensors: Tensors<'_>,
        times: Times<'_>,
        calls: Calls<'_>,
    ) -> Result<Self, DigitsError> {
        check(kernels.device(), tensors, times)?;
        let mut builder = Builder::new(kernels, weights, tensors);
        let embedding = builder.embedding(times, calls);
        LAYERS.iter().for_each(|layer| builder.layer(layer));
        let (layers, outputs) = builder.finish();
        Ok(Self { embedding, layers, outputs, counted: matches!(calls, Calls::Counted(_)) })
    }

    /// Dispatches of one recording.
    #[must_use]
    pub fn dispatches(&self) -> usize {
        1 + self.layers.len()
    }

    /// Records a call of the network into the caller's pass. A network with [`Calls::Counted`] ignores `call`.
    ///
    /// # Errors
    /// [`DigitsError::Call`] for a call without a timestep.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, call: u32) -> Result<(), DigitsError> {
        let place = if self.counted { 0 } else { call as usize };
        let calls = self.embedding.len() as u32;
        let embedding = self.embedding.get(place).ok_or(DigitsError::Call { calls, found: call })?;
        std::iter::once(embedding).chain(&self.layers).for_each(|dispatch| dispatch.record(pass));
        Ok(())
    }

    /// The output of a layer, `[labels, channels, side, side]`; `None` for the last, which is the prediction, and for names
    /// that no layer has.
    #[must_use]
    pub fn output(&self, layer: &str) -> Option<&wgpu::Buffer> {
        self.outputs.get(layer)
    }
}

/// The most predictions whose largest tensor can be bound, and for each of which a dispatch can have a workgroup.
fn most_predictions(limits: &wgpu::Limits) -> u64 {
    let bytes = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    (bytes / (u64::from(widest()) * 4)).min(limits.max_compute_workgroups_per_dimension.into())
}

/// Checks that a device can hold so many predictions, and that their labels are known.
pub(crate) fn check_labels(device: &wgpu::Device, samples: u32, labels: &[u32]) -> Result<(), DigitsError> {
    let most = most_predictions(&device.limits());
    if labels.is_empty() || !labels.len().is_multiple_of(samples as usize) || labels.len() as u64 > most {
        return Err(DigitsError::Labels { samples, most, found: labels.len() });
    }
    if let Some(&found) = labels.iter().find(|label| **label > NO_CLASS) {
        return Err(DigitsError::Label { found });
    }
    Ok(())
}

fn check(device: &wgpu::Device, tensors: Tensors<'_>, times: Times<'_>) -> Result<(), DigitsError> {
    let Tensors { x, samples, labels, prediction } = tensors;
    check_labels(device, samples, labels)?;
    let (numbers, expected) = times.of_call(labels.len());
    let found = numbers.iter().filter(|time| time.is_finite()).count();
    if found == 0 || found != numbers.len() || found % expected != 0 {
        return Err(DigitsError::Times { expected, found });
    }
    for (what, buffer, count) in [("x", x, samples as usize), ("prediction", prediction, labels.len())] {
        let expected = count as u64 * u64::from(PIXELS) * 4;
        if buffer.size() < expected {
            return Err(DigitsError::Buffer { what, expected, found: buffer.size() });
        }
    }
    Ok(())
}

impl<'a> Times<'a> {
    /// All numbers, and how many a call has.
    pub(crate) fn of_call(self, predictions: usize) -> (&'a [f32], usize) {
        match self {
            Self::Shared(times) => (times, 1),
            Self::Each(times) => (times, predictions),
        }
    }
}

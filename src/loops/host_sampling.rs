//! The loop of a sampler on the host, call by call, for networks that do not run on wgpu.

use crate::gpu::step::inputs::Step;
use crate::gpu::step::options::StepOptions;
use crate::gpu::step::reference::Sample;
use crate::gpu::tensor::Shape;
use crate::loop_error::LoopError;
use crate::math::sampler::Sampler;
use crate::noise::NoiseKey;
use crate::table::step::{Deviation, StepRow};
use std::collections::VecDeque;

/// A call of the network in a [`HostSampling`].
#[derive(Clone, Debug, PartialEq)]
pub struct HostCall {
    /// The samples in the network's scale, `[batch, elements]`.
    pub input: Vec<f32>,
    /// The timestep to pass to the network, in the units that it was trained with.
    pub timestep: f64,
}

/// A loop of a sampler on the host around a network of any kind: [`call`](Self::call) gives the network's inputs, and
/// [`give`](Self::give) takes its predictions. For runs of ComfyUI see [`HostLoop`](crate::math::run::HostLoop).
///
/// The rows are those that [`Sampling`](crate::Sampling) uploads. They are applied in f64 by the formula that the kernels are tested
/// against, with the noise that a kernel draws under the same key. Nothing blocks between the two calls, so a network may answer
/// from another thread or in a later frame. A clone continues independently.
///
/// ```
/// use tweedie::math::Recipe;
/// use tweedie::{HostSampling, NoiseKey, Shape};
///
/// let sampler = Recipe::named("sdxl")?.sampler(None, Some(8))?;
/// let mut host = HostSampling::new(&sampler, Shape::new(1, 4 * 8 * 8), NoiseKey::seed(42)).guided(5.0);
/// while let Some(call) = host.call() {
///     let [conditional, unconditional] = [&call.input, &call.input]; // what the network makes of it and of call.timestep
///     host.give(conditional, unconditional)?;
/// }
/// assert_eq!(host.samples().len(), 4 * 8 * 8);
/// # Ok::<(), tweedie::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostSampling<'a> {
    sampler: &'a Sampler,
    elements: usize,
    guidance: f64,
    key: NoiseKey,
    calls: usize,
    x: Vec<f64>,
    remembered: VecDeque<Vec<f64>>,
}

impl<'a> HostSampling<'a> {
    /// Begins a loop with the noise that [`Sampling::start`](crate::Sampling::start) draws under this key.
    #[must_use]
    pub fn new(sampler: &'a Sampler, shape: Shape, key: NoiseKey) -> Self {
        let [[_, scale], _] = sampler.start_row();
        let mut it = Self::begun(sampler, shape, key);
        it.x.iter_mut().for_each(|z| *z *= scale);
        it
    }

    /// Begins a loop from a clean sample that is noised to the level of the first call, as
    /// [`Sampling::start_from`](crate::Sampling::start_from) does.
    ///
    /// # Errors
    /// [`LoopError::Count`] unless `x0` has one number for each element of the shape.
    pub fn from_clean(sampler: &'a Sampler, shape: Shape, key: NoiseKey, x0: &[f64]) -> Result<Self, LoopError> {
        let [[of_x0, of_z], _] = sampler.start_from_row();
        let mut it = Self::begun(sampler, shape, key);
        check("x0", x0.len(), it.x.len())?;
        it.x.iter_mut().zip(x0).for_each(|(z, x0)| *z = of_x0 * x0 + of_z * *z);
        Ok(it)
    }

    /// A loop whose samples are the noise of the start.
    fn begun(sampler: &'a Sampler, shape: Shape, key: NoiseKey) -> Self {
        let elements = shape.elements.max(1) as usize;
        let noise = |_| key.stream(key.stream.wrapping_sub(1)).reference(shape.batch as usize, elements);
        let x = (shape.total() > 0).then_some(()).map(noise).unwrap_or_default();
        Self { sampler, elements, guidance: 1.0, key, calls: 0, x, remembered: VecDeque::new() }
    }

    /// The same loop with classifier-free guidance of this scale, `u + scale*(c - u)`; 1 means no guidance. A row of the sampler that
    /// has its own guidance keeps it.
    #[must_use]
    pub fn guided(self, scale: f64) -> Self {
        Self { guidance: scale, ..self }
    }

    /// The call whose predictions are awaited; `None` at the end.
    #[must_use]
    pub fn call(&self) -> Option<HostCall> {
        let call = self.sampler.calls().get(self.calls)?;
        let input = self.x.iter().map(|x| (call.input * x) as f32).collect();
        Some(HostCall { input, timestep: call.timestep })
    }

    /// True if each call needs a second prediction, made without the condition.
    #[must_use]
    pub fn is_guided(&self) -> bool {
        self.guidance != 1.0 || self.sampler.calls().iter().any(|call| call.row.is_guided())
    }

    /// Takes the network's predictions with the condition and without it, each `[batch, slices, elements]`, makes the step and goes
    /// on to the next call. Without guidance the second is not read. Most samplers have one [slice](Sampler::slices).
    ///
    /// # Errors
    /// [`LoopError::Call`] after the end, [`LoopError::Count`] for predictions of another size, [`LoopError::Missing`] if the
    /// variance is learned; then nothing has changed.
    pub fn give(&mut self, conditional: &[f32], unconditional: &[f32]) -> Result<(), LoopError> {
        self.give_with_variance(conditional, unconditional, &[])
    }

    /// As [`give`](Self::give), with the network's second output, `[batch, elements]`, which determines a learned variance.
    ///
    /// # Errors
    /// As [`give`](Self::give).
    pub fn give_with_variance(
        &mut self,
        conditional: &[f32],
        unconditional: &[f32],
        learned: &[f32],
    ) -> Result<(), LoopError> {
        let beyond = LoopError::Call { calls: self.sampler.calls().len(), found: self.calls };
        let call = self.sampler.calls().get(self.calls).ok_or(beyond)?;
        let slices = self.sampler.slices();
        check("conditional", conditional.len(), slices * self.x.len())?;
        if self.is_guided() {
            check("unconditional", unconditional.len(), slices * self.x.len())?;
        }
        if self.sampler.deviation() != Deviation::Fixed && call.row.z != 0.0 {
            let reason = "the variance of the sampler is learned: HostSampling::give_with_variance takes it";
            if learned.is_empty() {
                return Err(LoopError::Missing { tensor: "learned", reason });
            }
            check("learned", learned.len(), self.x.len())?;
        }
        let row = call.row.guided_by_default([self.guidance, 1.0 - self.guidance]);
        let outputs = [conditional, unconditional, learned].map(|given| given.iter().copied().map(f64::from).collect());
        let (next, remembered) = self.stepped(&row, &outputs, slices);
        self.x = next;
        self.remembered.push_front(remembered);
        self.remembered.truncate(StepRow::HISTORY);
        self.calls += 1;
        Ok(())
    }

    /// The number of calls that have been answered.
    #[must_use]
    pub const fn calls(&self) -> usize {
        self.calls
    }

    /// The samples, `[batch, elements]`: the start at first, the result at the end.
    #[must_use]
    pub fn samples(&self) -> &[f64] {
        &self.x
    }

    /// The next samples, and the numbers that later steps look back to.
    fn stepped(&self, row: &StepRow, outputs: &[Vec<f64>; 3], slices: usize) -> (Vec<f64>, Vec<f64>) {
        let options = StepOptions { clip: self.sampler.clip(), deviation: self.sampler.deviation(), rescale: 0.0 };
        let first = self.drawn(row.draws(false), row.stream.unwrap_or(self.calls as u32));
        let second = self.drawn(row.second_z.0 != 0.0, row.second_z.1);
        let (mut next, mut remembered) = (Vec::new(), Vec::new());
        for sample in 0..self.x.len() / self.elements {
            // Empty if there is none: a tensor with coefficient 0 is not read.
            let part =
                |all: &'_ [f64], each: usize| all.get(sample * each..(sample + 1) * each).unwrap_or_default().to_vec();
            let of = |all: &'_ [f64]| part(all, self.elements);
            let [conditional, unconditional, learned] = outputs;
            let [conditional, unconditional] =
                [conditional, unconditional].map(|all| part(all, slices * self.elements));
            let past: Vec<Vec<f64>> = self.remembered.iter().map(|all| of(all)).collect();
            let inputs = Sample {
                x: &of(&self.x),
                predictions: [&conditional, &unconditional],
                history: std::array::from_fn(|k| past.get(k).map_or(&[][..], Vec::as_slice)),
                noise: &of(&first),
                second_noise: &of(&second),
                learned: &of(learned),
                ..Sample::default()
            };
            let stepped = Step::reference(row, &options, &inputs);
            next.extend(stepped.next.iter().map(|exact| exact.value));
            remembered.extend(stepped.remembered.iter().map(|exact| exact.value));
        }
        (next, remembered)
    }

    /// The noise of a stream, counted from that of the key, where it is needed.
    fn drawn(&self, is_needed: bool, stream: u32) -> Vec<f64> {
        if !is_needed {
            return Vec::new();
        }
        let key = self.key.stream(self.key.stream.wrapping_add(stream));
        key.reference(self.x.len() / self.elements, self.elements)
    }
}

/// Checks how many numbers a network gives.
fn check(what: &'static str, found: usize, expected: usize) -> Result<(), LoopError> {
    if found == expected { Ok(()) } else { Err(LoopError::Count { what, expected: expected as u64, found }) }
}

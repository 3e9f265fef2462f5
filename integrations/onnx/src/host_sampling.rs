//! The loop of a sampler on the host, call by call.
//!
//! **Theory.** [`Sampling`](tweedie::Sampling) uploads the rows of a sampler and applies one in each call. Here the same rows are
//! applied in f64, by the formula that the kernels are tested against, and the noise is that which a kernel draws under the same
//! key.
//!
//! **Practice.** [`HostSampling::call`] says what the network is asked, [`HostSampling::give`] takes its answer.

use anyhow::{Result, ensure};
use std::collections::VecDeque;
use tweedie::gpu::step::Sample;
use tweedie::gpu::{Step, StepOptions};
use tweedie::table::StepRow;
use tweedie::{NoiseKey, Sampler, Shape};

/// A question to the network.
#[derive(Clone, Debug, PartialEq)]
pub struct HostCall {
    /// The samples in the network's own scale.
    pub input: Vec<f32>,
    /// The timestep that it is told.
    pub timestep: f64,
}

/// A loop of a sampler on the host that waits for its network.
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
    /// Begins a loop with the noise that [`Sampling::start`](tweedie::Sampling::start) draws under this key; a guidance of 1 is none.
    #[must_use]
    pub fn new(sampler: &'a Sampler, shape: Shape, guidance: f64, key: NoiseKey) -> Self {
        let elements = shape.elements.max(1) as usize;
        let [[_, scale], _] = sampler.start_row();
        let noise = key.stream(key.stream.wrapping_sub(1)).reference(shape.batch as usize, elements);
        let x = noise.into_iter().map(|z| scale * z).collect();
        Self { sampler, elements, guidance, key, calls: 0, x, remembered: VecDeque::new() }
    }

    /// The question that waits for an answer; `None` at the end.
    #[must_use]
    pub fn call(&self) -> Option<HostCall> {
        let call = self.sampler.calls().get(self.calls)?;
        let input = self.x.iter().map(|x| (call.input * x) as f32).collect();
        Some(HostCall { input, timestep: call.timestep })
    }

    /// True if each call asks for a second prediction, without the condition.
    #[must_use]
    pub fn is_guided(&self) -> bool {
        self.guidance != 1.0
    }

    /// Takes the network's predictions, with the condition and without it, and goes on to the next call. Without guidance the second
    /// is not read.
    ///
    /// # Errors
    /// An answer after the end, and predictions of another number of elements than the samples.
    pub fn give(&mut self, conditional: &[f32], unconditional: &[f32]) -> Result<()> {
        let call = self.sampler.calls().get(self.calls);
        let Some(call) = call else { anyhow::bail!("expected no answer after {} calls, found one", self.calls) };
        let needed: &[_] = if self.is_guided() { &[conditional, unconditional] } else { &[conditional] };
        for given in needed {
            ensure!(given.len() == self.x.len(), "expected a prediction of {}, found {}", self.x.len(), given.len());
        }
        let row = StepRow { guidance: [self.guidance, 1.0 - self.guidance], ..call.row };
        let predictions = [conditional, unconditional].map(|given| given.iter().copied().map(f64::from).collect());
        let (next, remembered) = self.stepped(&row, &predictions);
        self.x = next;
        self.remembered.push_front(remembered);
        self.remembered.truncate(StepRow::HISTORY);
        self.calls += 1;
        Ok(())
    }

    /// The samples: noise at first, the result at the end.
    #[must_use]
    pub fn samples(&self) -> &[f64] {
        &self.x
    }

    /// The next samples, and the numbers that later steps look back to.
    fn stepped(&self, row: &StepRow, predictions: &[Vec<f64>; 2]) -> (Vec<f64>, Vec<f64>) {
        let options = StepOptions { clip: self.sampler.clip(), deviation: self.sampler.deviation(), rescale: 0.0 };
        let first = self.drawn(row.draws(false), row.stream.unwrap_or(self.calls as u32));
        let second = self.drawn(row.second_z.0 != 0.0, row.second_z.1);
        let (mut next, mut remembered) = (Vec::new(), Vec::new());
        for begin in (0..self.x.len()).step_by(self.elements) {
            // Empty where there is none: a tensor is not looked at where its coefficient is 0.
            let of = |all: &'_ [f64]| all.get(begin..begin + self.elements).unwrap_or_default().to_vec();
            let [conditional, unconditional] = predictions.each_ref().map(|all| of(all));
            let past: Vec<Vec<f64>> = self.remembered.iter().map(|all| of(all)).collect();
            let sample = Sample {
                x: &of(&self.x),
                predictions: [&conditional, &unconditional],
                history: std::array::from_fn(|k| past.get(k).map_or(&[][..], Vec::as_slice)),
                noise: &of(&first),
                second_noise: &of(&second),
                ..Sample::default()
            };
            let stepped = Step::reference(row, &options, &sample);
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

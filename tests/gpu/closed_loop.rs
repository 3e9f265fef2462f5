//! A loop that runs by itself from drawn noise to a sample: on the GPU, in f64, and as a distribution.

use crate::harness::Harness;
use crate::support::loops::{Inputs, run};
use networks::{Ask, Calls, Mixture, Network, Tensors, asks};
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::gpu::{Noise, NoiseKey, RecordError, Recording, Step};
use tweedie::math::sampler::Sampler;
use tweedie::table::StepRow;
use tweedie::{Quantity, Sampling, Shape, Tensor};

/// A sampler and the network that it calls.
#[derive(Clone, Copy)]
pub struct Loop<'a> {
    pub sampler: &'a Sampler,
    pub mixture: &'a Mixture,
    pub predicts: Quantity,
    pub batch: u32,
    pub key: NoiseKey,
}

impl Loop<'_> {
    /// The last samples, on the GPU: everything in one submit.
    pub fn on_gpu(&self, harness: &Harness) -> Vec<f64> {
        let shape = Shape::new(self.batch, self.mixture.elements() as u32);
        let buffer = |label| harness.gpu.buffer(label, shape.total() * 4);
        let [x, input, prediction] = ["x", "input", "prediction"].map(buffer);
        let tensors = Tensors { batch: self.batch, x: &input, prediction: &prediction };
        let network = Network::new(&harness.gpu.device, self.mixture, &self.asks(), tensors, Calls::Recorded);
        let [of_x, of_prediction] = [&x, &prediction].map(Tensor::f32);
        let sampling = Sampling {
            input: Some(Tensor::f32(&input)),
            ..Sampling::in_place(self.sampler, shape, of_x, of_prediction, Noise::drawn(self.key))
        };
        let start = sampling.start(&harness.context, self.key).expect("a start");
        let steps = sampling.plan(&harness.context).expect("a plan");
        let recorded = harness.gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            start.record(&mut pass, Recording::timestep(0))?;
            for call in 0..self.sampler.calls().len() as u32 {
                network.record(&mut pass, call);
                steps.record(&mut pass, Recording::call(call))?;
            }
            Ok::<_, RecordError>(())
        });
        recorded.expect("device").expect("recording");
        bytemuck::pod_collect_to_vec::<u8, f32>(&harness.read(&x)).into_iter().map(f64::from).collect()
    }

    fn asks(&self) -> Vec<Ask> {
        asks(self.sampler, self.predicts)
    }

    /// The noise of a call. That of the start is on the stream before the first call's, call -1.
    fn noise(&self, call: i32) -> Vec<f64> {
        let key = self.key.stream(self.key.stream.wrapping_add_signed(call));
        key.reference(self.batch as usize, self.mixture.elements())
    }

    /// The first samples in f64.
    pub fn start(&self) -> Vec<f64> {
        let scale = self.sampler.noise_scale();
        self.noise(-1).into_iter().map(|z| scale * z).collect()
    }

    /// The last samples in f64, from the same noise.
    pub fn in_f64(&self) -> Vec<f64> {
        let (calls, asks) = (self.sampler.calls(), self.asks());
        let mut noises = vec![Vec::new(); self.sampler.noises()];
        for (k, call) in (0..).zip(calls).filter(|(_, call)| call.row.draws(false)) {
            noises[call.noise] = self.noise(k);
        }
        let inputs = Inputs { batch: self.batch as usize, initial: self.start(), noises, ..Inputs::default() };
        let network = |k: usize, x: &[f64]| {
            let seen: Vec<f64> = x.iter().map(|x| calls[k].input * x).collect();
            seen.chunks(self.mixture.elements()).flat_map(|sample| self.mixture.answer(&asks[k], sample)).collect()
        };
        run(self.sampler, &inputs, network).last().to_vec()
    }

    /// Mean and variance that an element of the last sample has, exactly, for a mixture of one component in one dimension.
    ///
    /// Network and rows are affine then, so the sample and its history stay Gaussian; their mean and covariance are carried
    /// through the loop.
    pub fn law(&self) -> [f64; 2] {
        let scale = self.sampler.noise_scale();
        let mut mean = [0.0; STATE];
        let mut covariance = [[0.0; STATE]; STATE];
        covariance[0][0] = scale * scale;
        for (call, ask) in self.sampler.calls().iter().zip(self.asks()) {
            let step = |state: [f64; STATE], z: f64| {
                let answer = self.mixture.answer(&ask, &[call.input * state[0]]);
                let mut history = [&[][..]; StepRow::HISTORY];
                history.iter_mut().zip(&state[1..]).for_each(|(slot, past)| *slot = std::slice::from_ref(past));
                let sample =
                    Sample { x: &state[..1], predictions: [&answer, &[]], history, noise: &[z], ..Sample::default() };
                let stepped = Step::reference(&call.row, &StepOptions::default(), &sample);
                let mut after = state;
                after.rotate_right(1);
                (after[0], after[1]) = (stepped.next[0].value, stepped.remembered[0].value);
                after
            };
            let origin = step([0.0; STATE], 0.0);
            let from_origin = |end: [f64; STATE]| -> [f64; STATE] { std::array::from_fn(|i| end[i] - origin[i]) };
            let axis = |j: usize| from_origin(step(std::array::from_fn(|i| f64::from(u8::from(i == j))), 0.0));
            let columns: [[f64; STATE]; STATE] = std::array::from_fn(axis);
            let noise = from_origin(step([0.0; STATE], 1.0));
            mean = std::array::from_fn(|i| origin[i] + sum(|j| columns[j][i] * mean[j]));
            let spread = |i: usize, k: usize| sum(|j| columns[j][i] * sum(|l| covariance[j][l] * columns[l][k]));
            covariance = std::array::from_fn(|i| std::array::from_fn(|k| spread(i, k) + noise[i] * noise[k]));
        }
        [mean[0], covariance[0][0]]
    }
}

/// The numbers of a state: a sample and what earlier calls remembered.
const STATE: usize = 1 + StepRow::HISTORY;

fn sum(term: impl Fn(usize) -> f64) -> f64 {
    (0..STATE).map(term).sum()
}

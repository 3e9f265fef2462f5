//! The loop on the GPU: the ideal denoiser of a set of pictures, and a sampler's steps.

use super::sampler_list::Entry;
use super::set::Set;
use crate::engine::{Adapter, front_failure, gpu_failure};
use crate::progress::Progress;
use crate::report::Outcome;
use networks::{Calls, Mixture, Network, Tensors, asks};
use std::time::Instant;
use tweedie::gpu::{Noise, NoiseKey, Recording};
use tweedie::{Sampling, Shape, Tensor};

/// Calls in a submit: few enough that no submit takes long, and that progress is seen.
const CALLS: usize = 8;

/// Settings that all samplers share.
pub struct Generator<'a> {
    pub adapter: &'a Adapter,
    pub set: &'a Set,
    pub count: u32,
    pub seed: u64,
}

/// Output of a sampler.
pub struct Generated {
    /// The generated pictures.
    pub samples: Vec<Vec<f32>>,
    /// Frames of the first one's trajectory.
    pub frames: Vec<Frame>,
    pub dispatches: usize,
    pub seconds: f64,
}

/// A sample before a call, and the clean picture that the network predicts from it.
pub struct Frame {
    pub call: usize,
    pub x: Vec<f32>,
    pub x0: Vec<f32>,
}

impl Generator<'_> {
    /// Runs a sampler, and keeps a frame of the first sample at each of these calls.
    pub fn generate(&self, entry: &Entry, looks: &[usize]) -> Outcome<Generated> {
        let Entry { name, sampler, predicts } = entry;
        let Adapter { gpu, context, .. } = self.adapter;
        let elements = self.set.elements();
        let shape = Shape::new(self.count, elements as u32);
        let picture = elements as u64 * 4;
        let buffer = |label| gpu.buffer(label, shape.total() * 4);
        let [x, input, prediction, x0] = ["sample::x", "sample::input", "sample::prediction", "sample::x0"].map(buffer);
        let [seen, previews] =
            ["sample::seen", "sample::previews"].map(|label| gpu.buffer(label, picture * looks.len() as u64));

        let mixture = Mixture::pictures(elements, &self.set.numbers());
        let tensors = Tensors { batch: self.count, x: &input, prediction: &prediction };
        let asks = asks(sampler, *predicts);
        let network = Network::new(&gpu.device, &mixture, &asks, tensors, Calls::Recorded);
        let key = NoiseKey::seed(self.seed);
        let [x_tensor, predicted] = [&x, &prediction].map(Tensor::f32);
        let sampling = Sampling {
            x0: Some(Tensor::f32(&x0)),
            input: Some(Tensor::f32(&input)),
            ..Sampling::in_place(sampler, shape, x_tensor, predicted, Noise::drawn(key))
        };
        let start = sampling.start(context, key).map_err(front_failure)?;
        let steps = sampling.plan(context).map_err(front_failure)?;

        let begun = Instant::now();
        let count = sampler.calls().len();
        let mut progress = Progress::new(name.to_string(), count as u64);
        for first in (0..count).step_by(CALLS) {
            let calls = first..count.min(first + CALLS);
            self.adapter.submit(|encoder| {
                if first == 0 {
                    start.encode(encoder, Recording::timestep(0))?;
                }
                for call in calls.clone() {
                    let look = looks.iter().position(|&look| look == call).map(|look| look as u64 * picture);
                    if let Some(place) = look {
                        encoder.copy_buffer_to_buffer(&x, 0, &seen, place, picture);
                    }
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                    network.record(&mut pass, call as u32);
                    steps.record(&mut pass, Recording::call(call as u32))?;
                    drop(pass);
                    if let Some(place) = look {
                        encoder.copy_buffer_to_buffer(&x0, 0, &previews, place, picture);
                    }
                }
                Ok(())
            })?;
            progress.advance(calls.len() as u64);
        }
        let seconds = begun.elapsed().as_secs_f64();

        let read = |buffer: &wgpu::Buffer| self.pictures(buffer);
        let frames = looks.iter().zip(read(&seen)?.into_iter().zip(read(&previews)?));
        Ok(Generated {
            samples: read(&x)?,
            frames: frames.map(|(&call, (x, x0))| Frame { call, x, x0 }).collect(),
            dispatches: start.dispatches() + count * (network.dispatches() + steps.dispatches()),
            seconds,
        })
    }

    /// Reads a buffer, picture by picture.
    fn pictures(&self, buffer: &wgpu::Buffer) -> Outcome<Vec<Vec<f32>>> {
        let bytes = pollster::block_on(self.adapter.gpu.download(buffer, 0..buffer.size())).map_err(gpu_failure)?;
        let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        Ok(numbers.chunks_exact(self.set.elements()).map(<[f32]>::to_vec).collect())
    }
}

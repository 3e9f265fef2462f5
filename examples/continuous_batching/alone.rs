//! The same request alone: a loop of its own, as in the README.

use super::server::{BYTES, DEPTH, ELEMENTS, Network, Request};
use tweedie::headless::Gpu;
use tweedie::{Context, Guidance, Noise, NoiseKey, Recording, Sampling, Shape, Tensor};

/// The sample of a request that runs alone.
pub fn alone(gpu: &Gpu, context: &Context, request: &Request) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let [x, input] = ["x", "input"].map(|label| gpu.buffer(label, BYTES));
    let predictions = gpu.buffer("predictions", 2 * BYTES);
    let level = gpu.buffer("level", 8);
    let network = Network::new(&gpu.device, 1, [&input, &level, &predictions]);

    let (shape, key) = (Shape::new(1, ELEMENTS), NoiseKey::seed(request.seed));
    let (sample, prediction) = (Tensor::f32(&x), Tensor::f32(&predictions));
    let sampling = Sampling {
        guidance: Some(Guidance::new(prediction.at(BYTES), request.guidance)),
        input: Some(Tensor::f32(&input)),
        least_depth: DEPTH, // the same kernel as the server's, and so the same rounding
        ..Sampling::in_place(&request.sampler, shape, sample, prediction, Noise::drawn(key))
    };
    let (start, steps) = (sampling.start(context, key)?, sampling.plan(context)?);
    gpu.submit(|encoder| start.encode(encoder, Recording::timestep(0)))??;
    for (call, seen) in (0..).zip(request.levels()) {
        gpu.queue.write_buffer(&level, 0, bytemuck::bytes_of(seen));
        gpu.submit(|encoder| {
            network.record(encoder);
            steps.encode(encoder, Recording::call(call))
        })??;
    }
    Ok(pollster::block_on(gpu.download(&x, 0..BYTES))?)
}

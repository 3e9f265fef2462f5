//! A training pair and a sampling loop of eight steps, checked. Exit code 0: both right, 1: one was not, or no adapter.
//!
//! The data are one picture, all of whose pixels are `PIXEL`. The best network answers with that picture at every call, so
//! its prediction is written once and the loop must end there.

use tweedie::headless::Gpu;
use tweedie::{
    Context, Model, Noise, NoiseKey, Noising, Quantity, Recording, Sampler, Sampling, Schedule, Shape, Tensor,
    Timesteps,
};

const PIXEL: f32 = 0.25;
const SHAPE: Shape = Shape::new(2, 3 * 32 * 32);
/// Timesteps of the two samples of the training pair.
const TIMESTEPS: [u32; 2] = [100, 900];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An application brings its own device, buffers and encoder.
    let gpu = pollster::block_on(Gpu::open(None))?;
    let context = Context::new(&gpu.device);
    let bytes = SHAPE.total() * 4;
    let picture = gpu.upload("picture", bytemuck::cast_slice(&vec![PIXEL; SHAPE.total() as usize]));
    let timesteps = gpu.upload("timesteps", bytemuck::cast_slice(&TIMESTEPS));
    let [x_t, target, x] = ["x_t", "target", "x"].map(|label| gpu.buffer(label, bytes));

    let schedule = Schedule::cosine(1000)?;
    let pair = Noising {
        schedule: &schedule,
        shape: SHAPE,
        timesteps: Timesteps::per_sample(&timesteps),
        x0: Tensor::f32(&picture),
        epsilon: Noise::drawn(NoiseKey::seed(42)),
        outputs: &[(Quantity::Xt, Tensor::f32(&x_t)), (Quantity::V, Tensor::f32(&target))],
    };
    let pair = pair.plan(&context)?;

    let sampler = Sampler::dpm_solver_pp(&Model::new(schedule.clone(), Quantity::X0), 8)?;
    let sampling = Sampling::in_place(&sampler, SHAPE, Tensor::f32(&x), Tensor::f32(&picture), Noise::None);
    let (start, steps) = (sampling.start(&context, NoiseKey::seed(7))?, sampling.plan(&context)?);

    gpu.submit(|encoder| {
        pair.encode(encoder, Recording::per_sample())?;
        start.encode(encoder, Recording::timestep(0))?; // x is noise
        // A network would read x and write its prediction before each step.
        (0..8).try_for_each(|call| steps.encode(encoder, Recording::call(call)))
    })??;

    let read = |buffer| pollster::block_on(gpu.download(buffer, 0..bytes));
    let floats = |buffer| read(buffer).map(|bytes| bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
    let [x_t, v, x] = [floats(&x_t)?, floats(&target)?, floats(&x)?];
    // x0 = alpha x_t - sigma v, whatever the noise was.
    let level = schedule.level(TIMESTEPS[1] as usize)?;
    let x0 =
        level.alpha() * f64::from(x_t[SHAPE.elements as usize]) - level.sigma() * f64::from(v[SHAPE.elements as usize]);
    println!("the pair gives {x0:.6} and the loop {:.6} for {PIXEL}", x[0]);
    let close = |found: f64| (found - f64::from(PIXEL)).abs() < 1e-5; // a few roundings of f32
    if close(x0) && x.iter().all(|&x| close(x.into())) { Ok(()) } else { Err("expected the picture".into()) }
}

//! A whole sampling loop, recorded ahead around an application's own network.
//!
//! ```text
//! tweedie   start        noise is drawn                   -> x
//! for each call:
//!   yours   the network  x                                -> prediction
//!   tweedie step         x, prediction, x0 of the calls before, noise  -> x
//! ```
//!
//! All of it is one command buffer and one submit. Nothing is uploaded on the way: the rows of all calls lie on the GPU, and
//! a dynamic offset picks one. Then the same loop is driven the other way: one step is recorded again and again, and a counter
//! on the GPU holds the number of the call.
//!
//! The network is the ideal denoiser of four little pictures (the crate `networks`), so every sample must end as one of
//! them, and both runs must agree to the bit. Exit code 0: all good, 1: a check failed, 3: no adapter.

use networks::{Calls, Mixture, Network, Tensors, asks};
use std::error::Error;
use std::process::ExitCode;
use tweedie::gpu::{CleanStats, Context, Counter, Noise, NoiseKey, Recording, Shape, Tensor, Timesteps};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::sampler::{Denoiser, DpmSolver, Grid, Sampler};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::wgpu;
use tweedie::{Quantity, Sampling, Schedule};

/// The side of a picture, in pixels.
const SIDE: usize = 12;
const SHAPE: Shape = Shape::new(6, (SIDE * SIDE) as u32);
const BYTES: u64 = SHAPE.total() * 4;
const STEPS: usize = 20;
const SEED: NoiseKey = NoiseKey::seed(8);
/// Quantity that the network was trained to predict.
const PREDICTS: Quantity = Quantity::V;
/// Allowed error of a pixel of a generated picture: the last call sees so little noise that only the
/// rounding of f32 is left.
const LANDED: f32 = 1e-5;

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sampling_loop: {error}");
            ExitCode::from(if error.is::<HeadlessError>() { 3 } else { 1 })
        }
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    // A device for a program without a window. The example `embed` opens one itself.
    let gpu = Gpu::open(None).await?;
    let (device, queue) = (&gpu.device, &gpu.queue);
    println!("adapter: {}", gpu.info.name);

    // The solver, in f64 on the host: a row of coefficients for each call, and nothing that depends on a device.
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
    let timesteps = Spacing::Trailing.timesteps(schedule.len(), STEPS)?;
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
    let sampler = Sampler::new(&DpmSolver::sde(2), &grid, &Denoiser::new(PREDICTS))?;
    let calls = sampler.calls().len() as u32;

    // The application's own buffers and network. What a network must know of a call (its level, or its timestep) is
    // uploaded here, for all calls.
    let [x, prediction] = ["x", "prediction"].map(|label| gpu.buffer(label, BYTES));
    let counter = gpu.buffer("counter", 4);
    let pictures = pictures();
    let mixture = Mixture::pictures(SIDE * SIDE, &pictures.concat());
    let asks = asks(&sampler, PREDICTS);
    let tensors = Tensors { batch: SHAPE.batch, x: &x, prediction: &prediction };
    let network = |calls| Network::new(device, &mixture, &asks, tensors, calls);

    // tweedie's plans: made once. A plan keeps its buffers alive and may be recorded any number of times.
    let context = Context::new(device);
    let sampling = Sampling {
        clean_stats: true, // keep statistics of each call's clean samples, to be read later
        ..Sampling::in_place(&sampler, SHAPE, Tensor::f32(&x), Tensor::f32(&prediction), Noise::drawn(SEED))
    };
    let start = sampling.start(&context, SEED)?;
    let steps = sampling.plan(&context)?;
    let clean_stats = steps.clean_stats().ok_or("a plan that was asked for one has a record")?;

    // One command buffer for everything. wgpu orders dispatches that touch the same buffers, so they share a pass; each
    // recording sets its pipeline and bind groups, so neither side has to restore them for the other.
    let host = network(Calls::Recorded);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        start.record(&mut pass, Recording::timestep(0))?;
        for call in 0..calls {
            host.record(&mut pass, call);
            steps.record(&mut pass, Recording::call(call))?;
        }
    }
    queue.submit([encoder.finish()]); // the only submit of the loop
    let first = gpu.download(&x, 0..BYTES).await?;
    let clean_stats = CleanStats::decode(&gpu.download(clean_stats, 0..clean_stats.size()).await?);
    println!("{calls} calls of the network and {calls} steps in one command buffer");

    // The other way: the GPU counts. Each step is recorded without its number, here in a submit of its own, as in an
    // application that draws a frame between two steps. The plan reads the counter, and so does the network.
    let counted = Sampling { calls: Timesteps::Shared { buffer: &counter, offset: 0 }, ..sampling }.plan(&context)?;
    let counting = network(Calls::Counted(&counter));
    let advance = Counter::new(&context, &counter, 0, 1)?;
    for frame in 0..calls {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        if frame == 0 {
            encoder.clear_buffer(&counter, 0, None);
            start.encode(&mut encoder, Recording::timestep(0))?;
        }
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            counting.record(&mut pass, 0); // it ignores the number
            counted.record(&mut pass, Recording::per_sample())?;
            advance.record(&mut pass);
        }
        queue.submit([encoder.finish()]);
    }
    let second = gpu.download(&x, 0..BYTES).await?;
    println!("the same step {calls} times, counted on the GPU");

    let samples: Vec<f32> = bytemuck::pod_collect_to_vec(&first);
    print(&samples);
    let checks = [
        ("every sample is one of the pictures", landed(&samples, &pictures)),
        ("both runs agree to the bit", first == second),
        ("every call's clean samples were finite", clean_stats.iter().all(|call| call.not_finite == 0)),
        ("the last call's were within the pictures' range", clean_stats.last().is_some_and(in_range)),
    ];
    for (what, holds) in checks {
        println!("{} {what}", if holds { "ok    " } else { "FAILED" });
    }
    Ok(checks.iter().all(|(_, holds)| *holds))
}

/// A disc, a ring, a cross and stripes: 1 inside, -1 outside.
fn pictures() -> [Vec<f32>; 4] {
    let shapes: [fn(f32, f32) -> bool; 4] = [
        |x, y| x.hypot(y) < 0.75,
        |x, y| (0.5..0.95).contains(&x.hypot(y)),
        |x, y| x.abs().min(y.abs()) < 0.2,
        |x, y| ((x + y) * 2.0).rem_euclid(2.0) < 1.0,
    ];
    let place = |i: usize| (i as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0;
    shapes.map(|inside| {
        let pixel = |i| if inside(place(i % SIDE), place(i / SIDE)) { 1.0 } else { -1.0 };
        (0..SIDE * SIDE).map(pixel).collect()
    })
}

fn landed(samples: &[f32], pictures: &[Vec<f32>]) -> bool {
    let is = |sample: &[f32], picture: &Vec<f32>| sample.iter().zip(picture).all(|(a, b)| (a - b).abs() < LANDED);
    samples.chunks(SIDE * SIDE).all(|sample| pictures.iter().any(|picture| is(sample, picture)))
}

fn in_range(call: &CleanStats) -> bool {
    call.range.is_some_and(|[least, most]| least > -1.0 - LANDED && most < 1.0 + LANDED)
}

/// The samples side by side, two letters a pixel.
fn print(samples: &[f32]) {
    for row in 0..SIDE {
        let line = samples.chunks(SIDE * SIDE).map(|sample| {
            let pixels = sample[row * SIDE..(row + 1) * SIDE].iter();
            pixels.map(|&value| if value > 0.0 { "##" } else { ".." }).collect::<String>()
        });
        println!("{}", line.collect::<Vec<_>>().join("   "));
    }
}

//! A whole sampling loop, recorded ahead around an application's own network.
//!
//! ```text
//! tweedie   start        noise is drawn                   -> x
//! for each call:
//!   yours   the network  x                                -> prediction
//!   tweedie step         x, prediction, x0 of the calls before, noise  -> x
//! yours     copy into a buffer that can be mapped
//! ```
//!
//! All of it is one command buffer: one submit, and one readback at the end. Nothing is uploaded on the way: the rows of
//! all calls lie on the GPU, and a dynamic offset picks one. Then the same loop once more, in the other way to drive it:
//! one step, recorded again and again without saying which it is, because a counter on the GPU knows.
//!
//! The network is the ideal denoiser of four little pictures (the crate `networks`), so every sample must end as one of
//! them, and both runs must agree to the bit. Exit code 0: all good, 1: a check failed, 3: no adapter.

use networks::{Calls, Mixture, Network, Tensors, asks};
use std::error::Error;
use std::process::ExitCode;
use tweedie::gpu::{At, Context, Counter, Health, Noise, NoiseKey, Shape, Tensor, Timesteps};
use tweedie::math::sampler::{Denoiser, DpmSolver, Grid, Sampler};
use tweedie::math::{NoiseLevel, Spacing};
use tweedie::wgpu::{self, BufferUsages}; // the very wgpu that tweedie uses: its types must be the same
use tweedie::{Quantity, Sampling, Schedule};

/// The side of a picture, in pixels.
const SIDE: usize = 12;
const SHAPE: Shape = Shape::new(6, (SIDE * SIDE) as u32);
const BYTES: u64 = SHAPE.total() * 4;
const STEPS: usize = 20;
const SEED: NoiseKey = NoiseKey::seed(8);
/// What the network was trained to predict.
const PREDICTS: Quantity = Quantity::V;
/// How far a pixel of a generated picture may be from the picture's: the last call sees so little noise that only the
/// rounding of f32 is left.
const LANDED: f32 = 1e-5;

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sampling_loop: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    // The application's own device. Nothing beyond WebGPU's default limits and features is needed.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let adapter = match instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await {
        Ok(adapter) => adapter,
        Err(error) => {
            eprintln!("sampling_loop: this example needs a GPU adapter, a software driver is enough: {error}");
            return Ok(ExitCode::from(3));
        }
    };
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
    println!("adapter: {}", adapter.get_info().name);

    // The solver, in f64 on the host: a row of coefficients for each call, and nothing that depends on a device.
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
    let timesteps = Spacing::Trailing.timesteps(schedule.len(), STEPS)?;
    let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
    let sampler = Sampler::new(&DpmSolver::sde(2), &grid, &Denoiser::new(PREDICTS))?;
    let calls = sampler.calls().len() as u32;

    // The application's own buffers and network. What a network must know of a call (its level, or its timestep) is
    // uploaded here, for all calls.
    let buffer = |label, size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    };
    let x = buffer("x", BYTES, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let prediction = buffer("prediction", BYTES, BufferUsages::STORAGE);
    let counter = buffer("counter", 4, BufferUsages::STORAGE | BufferUsages::COPY_DST);
    let staging = buffer("staging", BYTES, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let pictures = pictures();
    let mixture = Mixture::pictures(SIDE * SIDE, &pictures.concat());
    let asks = asks(&sampler, PREDICTS);
    let tensors = Tensors { batch: SHAPE.batch, x: &x, prediction: &prediction };
    let network = |calls| Network::new(&device, &mixture, &asks, tensors, calls);

    // tweedie's plans: made once. A plan keeps the buffers that it names alive and may be recorded any number of times.
    let context = Context::new(&device);
    let sampling = Sampling {
        health: true, // keep a record of what the clean samples looked like, to be read frames later
        ..Sampling::in_place(&sampler, SHAPE, Tensor::f32(&x), Tensor::f32(&prediction), Noise::drawn(SEED))
    };
    let start = sampling.start(&context, SEED)?;
    let steps = sampling.plan(&context)?;
    let health = steps.health().ok_or("a plan that was asked for one has a record")?;
    let record = buffer("record", health.size(), BufferUsages::MAP_READ | BufferUsages::COPY_DST);

    // One command buffer for everything. wgpu orders dispatches that touch the same buffers, so they share a pass;
    // whoever records sets pipeline and bind groups, so nobody has to restore them for the other.
    let host = network(Calls::Recorded);
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        start.record(&mut pass, At::timestep(0))?;
        for call in 0..calls {
            host.record(&mut pass, call);
            steps.record(&mut pass, At::call(call))?;
        }
    }
    encoder.copy_buffer_to_buffer(&x, 0, &staging, 0, BYTES);
    encoder.copy_buffer_to_buffer(health, 0, &record, 0, health.size());
    queue.submit([encoder.finish()]); // the only submit
    let first = read_back(&device, &staging)?;
    println!("{calls} calls of the network and {calls} steps in one command buffer, one readback");

    // The other way: the GPU counts. Each step is recorded without saying which it is, here in a submit of its own, as
    // in an application that draws a frame between two steps. A plan reads the counter, and so does the network.
    let counted = Sampling { calls: Timesteps::Shared { buffer: &counter, offset: 0 }, ..sampling }.plan(&context)?;
    let gpu = network(Calls::Counted(&counter));
    let advance = Counter::new(&context, &counter, 0, 1)?;
    for frame in 0..calls {
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        if frame == 0 {
            encoder.clear_buffer(&counter, 0, None);
            start.encode(&mut encoder, At::timestep(0))?;
        }
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            gpu.record(&mut pass, 0); // it does not look at the number
            counted.record(&mut pass, At::per_sample())?;
            advance.record(&mut pass);
        }
        queue.submit([encoder.finish()]);
    }
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_buffer_to_buffer(&x, 0, &staging, 0, BYTES);
    queue.submit([encoder.finish()]);
    let second = read_back(&device, &staging)?;
    println!("the same step {calls} times, counted on the GPU");

    print(&first);
    let health = Health::decode(bytemuck::cast_slice(&read_back(&device, &record)?));
    let checks = [
        ("every sample is one of the pictures", landed(&first, &pictures)),
        ("both runs agree to the bit", first == second),
        ("every call's clean samples were finite", health.iter().all(|call| call.not_finite == 0)),
        ("the last call's were within the pictures' range", health.last().is_some_and(in_range)),
    ];
    for (what, holds) in checks {
        println!("{} {what}", if holds { "ok    " } else { "FAILED" });
    }
    Ok(if checks.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

fn in_range(call: &Health) -> bool {
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

/// Waits for the submitted work and reads a buffer: the application's own way, which tweedie never enters.
fn read_back(device: &wgpu::Device, staging: &wgpu::Buffer) -> Result<Vec<f32>, Box<dyn Error>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    staging.map_async(wgpu::MapMode::Read, .., move |result| {
        let _ = sender.send(result); // the receiver is gone only if this function returned early
    });
    device.poll(wgpu::PollType::wait_indefinitely())?;
    receiver.recv()??;
    let words = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
    staging.unmap();
    Ok(words)
}

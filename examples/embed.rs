//! tweedie inside an application that already has everything: a device and queue, buffers, a network written in WGSL.
//!
//! One training step is one encoder and one submit:
//!
//! ```text
//! tweedie   noise is drawn      x0, t        -> x_t, v         (the training pair)
//! yours     the network         x_t, t       -> prediction of v
//! tweedie   conversion          x_t, v       -> x0, epsilon
//! tweedie   posterior mean      x_t, v       -> mean of x_{t-1}
//! yours     copy into a buffer that can be mapped
//! ```
//!
//! The data are Gaussian, `x0 ~ N(MU, S^2)`, so the best prediction of v is known in closed form and the "network" is
//! three lines. Everything is checked: tweedie's outputs against its f64 references, and the error of the network's clean
//! samples against what theory predicts. Exit code 0: all good, 1: a check failed, 3: no adapter.

use std::error::Error;
use std::process::ExitCode;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{Context, Drawn, Map, Noise, NoiseKey, Recording, Shape, Storage, Tensor, Timesteps};
use tweedie::table::Table;
use tweedie::wgpu::{self, BufferUsages}; // the very wgpu that tweedie uses: its types must be the same
use tweedie::{Conversion, Noising, OnUndefined, PosteriorMean, Quantity, Schedule};

const TIMESTEPS: [u32; 8] = [0, 50, 150, 300, 500, 700, 900, 999];
const SHAPE: Shape = Shape::new(TIMESTEPS.len() as u32, 4 * 32 * 32);
const BYTES: u64 = SHAPE.total() * 4;
const MU: f32 = 0.5;
const S: f32 = 0.8;
const SEED: NoiseKey = NoiseKey::seed(42);
/// Noise steps for which the plan has keys, and training steps: one more, to show what a longer loop does.
const NOISE_STEPS: u32 = 2;
const TRAINING_STEPS: u32 = 3;

/// The application's network: E[v | x_t] for Gaussian data, with bindings and workgroups of its own.
const NETWORK: &str = "
@group(0) @binding(0) var<storage, read> x_t: array<f32>;
@group(0) @binding(1) var<storage, read> timesteps: array<u32>;
@group(0) @binding(2) var<storage, read> levels: array<vec2<f32>>; // (alpha, sigma) of each timestep
@group(0) @binding(3) var<storage, read_write> prediction: array<f32>;
override elements: u32;
override mu: f32;
override s: f32;

@compute @workgroup_size(64)
fn network(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= elements) { return; }
    let i = id.y * elements + id.x;
    let alpha = levels[timesteps[id.y]].x;
    let sigma = levels[timesteps[id.y]].y;
    let surprise = (x_t[i] - alpha * mu) / (alpha * alpha * s * s + sigma * sigma);
    let epsilon = sigma * surprise;
    let x0 = mu + alpha * s * s * surprise;
    prediction[i] = alpha * epsilon - sigma * x0;
}";

fn main() -> ExitCode {
    match pollster::block_on(run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("embed: {error}");
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
            eprintln!("embed: this example needs a GPU adapter, a software driver is enough: {error}");
            return Ok(ExitCode::from(3));
        }
    };
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
    println!("adapter: {}", adapter.get_info().name);

    // The application's own buffers. tweedie needs the usage STORAGE and nothing else. A real application takes tensors
    // from its own allocator, with `Tensor::at` and `Tensor::stride` where several share a buffer.
    let buffer = |label, size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
    };
    let tensor = |label| buffer(label, BYTES, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
    let [x_t, target, prediction, x0_hat, epsilon_hat, mean] =
        ["x_t", "target", "prediction", "x0_hat", "epsilon_hat", "mean"].map(tensor);
    let upload = |label, bytes: &[u8]| {
        let uploaded = buffer(label, bytes.len() as u64, BufferUsages::STORAGE | BufferUsages::COPY_DST);
        queue.write_buffer(&uploaded, 0, bytes);
        uploaded
    };
    let (batch, elements) = (SHAPE.batch as usize, SHAPE.elements as usize);
    let data = NoiseKey::seed(1).reference(batch, elements);
    let data: Vec<f32> = data.into_iter().map(|z| MU + S * z as f32).collect();
    let x0 = upload("x0", bytemuck::cast_slice(&data));
    let timesteps = upload("timesteps", bytemuck::cast_slice(&TIMESTEPS));

    // Plans: made once, before the loop. This compiles shaders, uploads tables and checks everything that can be checked.
    // A plan keeps its buffers alive, and needs no context, table or schedule afterwards.
    let context = Context::new(&device);
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?;
    let per_sample = Timesteps::per_sample(&timesteps);
    let pair = Noising {
        schedule: &schedule,
        shape: SHAPE,
        timesteps: per_sample,
        x0: Tensor::f32(&x0),
        epsilon: Noise::Drawn(Drawn::new(SEED).steps(NOISE_STEPS)), // never stored, and the same on every device
        outputs: &[(Quantity::Xt, Tensor::f32(&x_t)), (Quantity::V, Tensor::f32(&target))],
    }
    .plan(&context)?;
    let predicted = (Quantity::V, Tensor::f32(&prediction));
    let convert = Conversion {
        schedule: &schedule,
        shape: SHAPE,
        timesteps: per_sample,
        x_t: Tensor::f32(&x_t),
        prediction: predicted,
        // The first could be `prediction` itself: outputs may replace inputs.
        outputs: &[(Quantity::X0, Tensor::f32(&x0_hat)), (Quantity::Epsilon, Tensor::f32(&epsilon_hat))],
        on_undefined: OnUndefined::Error,
    }
    .plan(&context)?;
    let posterior = PosteriorMean {
        schedule: &schedule,
        shape: SHAPE,
        timesteps: per_sample,
        x_t: Tensor::f32(&x_t),
        prediction: predicted,
        mean: Tensor::f32(&mean),
        x0: None,
        on_undefined: OnUndefined::Error,
    }
    .plan(&context)?;
    // Counts the samples whose timestep was not in the table; the host cannot see them. Look at it now and then.
    let status = pair.status().ok_or("a plan with a timestep for each sample has a status buffer")?;

    // The application's own pipeline.
    let levels: Vec<_> = schedule.levels().iter().map(|l| [l.alpha() as f32, l.sigma() as f32]).collect();
    let levels = upload("levels", bytemuck::cast_slice(&levels));
    let (network, bindings) = network(&device, [&x_t, &timesteps, &levels, &prediction]);
    let read = [&x_t, &target, &prediction, &x0_hat, &epsilon_hat, &mean];
    let staging = buffer("staging", BYTES * read.len() as u64 + 4, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let mut good = true;

    for step in 0..TRAINING_STEPS {
        // Within the plan's noise steps nothing needs to be written: step k draws from stream k of the seed. Beyond
        // them, give a noise step its next key. That is a write through the queue, which takes effect before ALL work
        // submitted after it: call it once for each noise step and submit, not twice between recordings of one submit.
        if step >= NOISE_STEPS {
            pair.set_key(&queue, step % NOISE_STEPS, SEED.stream(step))?;
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            // Everything may share one pass: wgpu orders dispatches that touch the same buffers. tweedie sets the
            // pipeline and bind group 0, so set your own again before each dispatch of yours.
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pair.record(&mut pass, Recording::per_sample().step(step % NOISE_STEPS))?;
            pass.set_pipeline(&network);
            pass.set_bind_group(0, &bindings, &[]);
            pass.dispatch_workgroups(SHAPE.elements.div_ceil(64), SHAPE.batch, 1);
            convert.record(&mut pass, Recording::per_sample())?;
            posterior.record(&mut pass, Recording::per_sample())?;
        }
        for (i, buffer) in (0..).zip(read) {
            encoder.copy_buffer_to_buffer(buffer, 0, &staging, i * BYTES, BYTES);
        }
        encoder.copy_buffer_to_buffer(status, 0, &staging, read.len() as u64 * BYTES, 4);
        queue.submit([encoder.finish()]); // the only submit

        good &= check(&schedule, step, &data, &read_back(&device, &staging)?)?;
    }
    println!("\n{}", if good { "all checks passed" } else { "a CHECK FAILED" });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The network's pipeline and what it is bound to.
fn network(device: &wgpu::Device, buffers: [&wgpu::Buffer; 4]) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
    let constants = [("elements", f64::from(SHAPE.elements)), ("mu", f64::from(MU)), ("s", f64::from(S))];
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("network"),
        layout: None,
        module: &device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("network"),
            source: wgpu::ShaderSource::Wgsl(NETWORK.into()),
        }),
        entry_point: Some("network"),
        compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
        cache: None,
    });
    let entries: Vec<_> = (0..)
        .zip(buffers)
        .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("network"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    (pipeline, bindings)
}

/// Checks what one training step left in the staging buffer. An application does not do this; it shows what to expect.
fn check(schedule: &Schedule, step: u32, data: &[f32], words: &[f32]) -> Result<bool, Box<dyn Error>> {
    let tensors: Vec<&[f32]> = words.chunks(SHAPE.total() as usize).collect();
    let [x_t, target, prediction, x0_hat, epsilon_hat, mean, out_of_range] = tensors[..] else {
        return Err("the staging buffer holds something else".into());
    };
    let (batch, elements) = (SHAPE.batch as usize, SHAPE.elements as usize);
    let expect = |table: &Table, in0: &[f32], in1: &[f64]| {
        let in0: Vec<f64> = in0.iter().copied().map(f64::from).collect();
        Map::reference(table, &TIMESTEPS, elements, &in0, in1)
    };
    let noise = SEED.stream(step).reference(batch, elements);
    let predicted: Vec<f64> = prediction.iter().copied().map(f64::from).collect();
    let [exact_x_t, exact_v] = expect(&schedule.rows_of(Quantity::Xt, Some(Quantity::V))?, data, &noise);
    let to_both = schedule.conversion(Quantity::V, Quantity::X0, Some(Quantity::Epsilon))?;
    let [exact_x0, exact_epsilon] = expect(&to_both, x_t, &predicted);
    let [exact_mean, _] = expect(&schedule.posterior_mean(Quantity::V)?, x_t, &predicted);

    println!("\nstep {step}                of the bound    error");
    let plain = Comparison::new(Storage::F32);
    let drawn = plain.with_noise(1.0); // the noise's coefficients, sigma and alpha, are at most 1
    let mut good = out_of_range[0].to_bits() == 0; // the status is a u32
    good &= compare("x_t", drawn, x_t, &exact_x_t);
    good &= compare("v target", drawn, target, &exact_v);
    good &= compare("v to x0", plain, x0_hat, &exact_x0);
    good &= compare("v to epsilon", plain, epsilon_hat, &exact_epsilon);
    good &= compare("posterior mean", plain, mean, &exact_mean);

    println!("timestep  alpha   E[(x0 - x0_hat)^2]: found  theory");
    for (i, &t) in TIMESTEPS.iter().enumerate() {
        let level = schedule.level(t as usize)?;
        let (alpha, sigma, s) = (level.alpha(), level.sigma(), f64::from(S));
        let sample = i * elements..(i + 1) * elements;
        let squares = data[sample.clone()].iter().zip(&x0_hat[sample]).map(|(a, b)| f64::from(a - b).powi(2));
        let found = squares.sum::<f64>() / elements as f64;
        let theory = (s * sigma).powi(2) / ((alpha * s).powi(2) + sigma.powi(2));
        // The mean of n squares of a Gaussian has a relative deviation of sqrt(2 / n); five times that practically never occurs.
        good &= (found / theory - 1.0).abs() < 5.0 * (2.0 / elements as f64).sqrt();
        println!("{t:8}  {alpha:.4}  {found:25.6}  {theory:.6}");
    }
    Ok(good)
}

/// Prints a line of the table and says whether every element is inside its bound.
fn compare(name: &str, mut comparison: Comparison, found: &[f32], exact: &[Expected]) -> bool {
    comparison.add_all(found, exact);
    println!("  {name:<20} {:10.3} {:12.2e}", comparison.worst_bound, comparison.worst_error);
    comparison.passes()
}

/// Waits for the submitted work and reads a buffer: the application's own code, in which tweedie has no part.
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

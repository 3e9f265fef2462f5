//! Training in f16 as a host does it: micro-batches under a scale on the GPU, and a restart that gives the same bits.

use crate::harness::Harness;
use tweedie::gpu::{Drawn, GradientScale};
use tweedie::math::{Objective, TimestepDensity, Weight};
use tweedie::table::Penalty;
use tweedie::{
    Gradient, NoiseKey, Quantity, Schedule, Shape, Storage, Tensor, TimestepSource, Training, TrainingStep, wgpu,
};

pub const TESTS: &[crate::Test] =
    &[("restart::f16_training_goes_on_where_it_stopped", f16_training_goes_on_where_it_stopped)];

const ELEMENTS: usize = 64;
const BATCH: usize = 32;
const MICRO: usize = 4;
/// The noise steps that a plan holds; the runs are longer.
const SLOTS: u32 = 3;
const TIMESTEPS: usize = 1000;
const HUBER: f64 = 0.1;
const SCALE: f32 = 1024.0;
const TENSOR: u64 = (BATCH * ELEMENTS * 2) as u64;
/// Half the distance between neighbours in f16: relative, and absolute below its normal range.
const ROUNDING: [f64; 2] = [1.0 / 2048.0, 1.0 / (1 << 25) as f64];
/// The error of the target, from the drawn normal and from f32.
const TARGET: f64 = 4e-6;

/// A linear network: `y = W x` in f16, its weights and their gradient in f32.
const NETWORK: &str = "
const D = 64u; const B = 32u;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<storage, read> g: array<u32>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;
@group(0) @binding(5) var<storage, read> scale: f32;
fn at(i: u32) -> f32 { return unpack2x16float(x[i / 2u])[i % 2u]; }
fn row(b: u32, o: u32) -> f32 {
    var sum = 0.0;
    for (var j = 0u; j < D; j++) { sum += w[o * D + j] * at(b * D + j); }
    return sum;
}
@compute @workgroup_size(64) fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let b = id.x / (D / 2u);
    let o = id.x % (D / 2u) * 2u;
    y[id.x] = pack2x16float(vec2(row(b, o), row(b, o + 1u)));
}
@compute @workgroup_size(64) fn backward(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum = 0.0;
    for (var b = 0u; b < B; b++) {
        let i = b * D + id.x / D;
        sum += unpack2x16float(g[i / 2u])[i % 2u] * at(b * D + id.x % D);
    }
    dw[id.x] += sum;
}
@compute @workgroup_size(64) fn descend(@builtin(global_invocation_id) id: vec3<u32>) {
    w[id.x] -= 0.3 * dw[id.x] / scale;
    dw[id.x] = 0.0;
}";

/// A kernel of the network, the buffers that it uses, and its number of workgroups.
struct Kernel(wgpu::ComputePipeline, wgpu::BindGroup, u32);

impl Kernel {
    fn new(device: &wgpu::Device, entry: &str, bindings: &[u32], buffers: [&wgpu::Buffer; 6], threads: usize) -> Self {
        let source = wgpu::ShaderSource::Wgsl(NETWORK.into());
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module: &device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(entry), source }),
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let bound =
            |&binding: &u32| wgpu::BindGroupEntry { binding, resource: buffers[binding as usize].as_entire_binding() };
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(entry),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &bindings.iter().map(bound).collect::<Vec<_>>(),
        });
        Self(pipeline, group, threads as u32 / 64)
    }

    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.0);
        pass.set_bind_group(0, &self.1, &[]);
        pass.dispatch_workgroups(self.2, 1, 1);
    }
}

/// The weights after a run, the buffers as its last micro-batch left them, and the scale with its counts.
struct Outcome {
    weights: Vec<u8>,
    timesteps: Vec<u32>,
    prediction: Vec<f32>,
    gradient: Vec<f32>,
    scale: [u32; 3],
    out_of_range: u32,
}

fn data(i: usize) -> f32 {
    half(((i as f32 * 0.37).sin() + (i as f32 / 64.0).cos()) * 0.7)
}

/// The nearest f16.
fn half(x: f32) -> f32 {
    Storage::F16.decode(&Storage::F16.encode(&[x, 0.0]))[0]
}

fn key(step: u32, micro: usize) -> NoiseKey {
    NoiseKey::seed(42).stream(step).first_sample((micro * BATCH) as u64)
}

fn train(harness: &Harness, steps: std::ops::Range<u32>, weights: &[u8]) -> Outcome {
    let gpu = &harness.gpu;
    let values: Vec<f32> = (0..MICRO * BATCH * ELEMENTS).map(data).collect();
    let x0 = gpu.upload("x0", &Storage::F16.encode(&values));
    let [x_t, y, g] = ["x_t", "y", "g"].map(|label| gpu.buffer(label, TENSOR));
    let [timesteps, losses] = ["timesteps", "losses"].map(|label| gpu.buffer(label, 4 * BATCH as u64));
    let (w, dw) = (gpu.upload("w", weights), gpu.buffer("dw", weights.len() as u64));
    let scale = gpu.upload("scale", bytemuck::cast_slice(&[SCALE.to_bits(), 0, 0]));
    let schedule = Schedule::cosine(TIMESTEPS).expect("a schedule");
    let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
    let density = TimestepDensity::uniform(TIMESTEPS).expect("a density");
    let f16 = |buffer| Tensor::new(buffer, Storage::F16);
    let micro: Vec<TrainingStep> = (0..MICRO)
        .map(|m| {
            let training = Training {
                objective: &objective,
                penalty: Penalty::huber(HUBER).expect("a bend"),
                shape: Shape::new(BATCH as u32, ELEMENTS as u32),
                noise: Drawn::new(key(steps.start, m)).steps(SLOTS),
                timestep_source: TimestepSource::Drawn { density: &density, stratified: Some((MICRO * BATCH) as u32) },
                timesteps: &timesteps,
                groups: None,
                x0: f16(&x0).at(m as u64 * TENSOR),
                x_t: f16(&x_t),
                prediction: f16(&y),
                gradient: Gradient::sum(f16(&g)).scaled(GradientScale::Buffer(&scale, 0)),
                losses: &losses,
                mean: None,
                variance: None,
            };
            TrainingStep::new(&harness.context, &schedule, &training).expect("a step")
        })
        .collect();
    let buffers = [&x_t, &w, &y, &g, &dw, &scale];
    let kernel = |entry, bindings: &[u32], threads| Kernel::new(&gpu.device, entry, bindings, buffers, threads);
    let forward = kernel("forward", &[0, 1, 2], BATCH * ELEMENTS / 2);
    let backward = kernel("backward", &[0, 3, 4], ELEMENTS * ELEMENTS);
    let descend = kernel("descend", &[1, 4, 5], ELEMENTS * ELEMENTS);
    for step in steps.clone() {
        let slot = (step - steps.start) % SLOTS;
        for (m, plan) in micro.iter().enumerate() {
            plan.set_key(&gpu.queue, slot, key(step, m)).expect("a key");
        }
        let recorded = gpu.submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for plan in &micro {
                plan.record_before(&mut pass, slot)?;
                forward.record(&mut pass);
                plan.record_after(&mut pass, slot)?;
                backward.record(&mut pass);
            }
            descend.record(&mut pass);
            Ok::<_, tweedie::gpu::RecordError>(())
        });
        recorded.expect("device").expect("recording");
    }
    let words = |buffer| bytemuck::pod_collect_to_vec::<u8, u32>(&harness.read(buffer));
    Outcome {
        weights: harness.read(&w),
        timesteps: words(&timesteps),
        prediction: Storage::F16.decode(&harness.read(&y)),
        gradient: Storage::F16.decode(&harness.read(&g)),
        scale: words(&scale)[..3].try_into().expect("three words"),
        out_of_range: micro.iter().filter_map(TrainingStep::status).map(|status| words(status)[0]).sum(),
    }
}

fn f16_training_goes_on_where_it_stopped(harness: &Harness) {
    let first: Vec<f32> = (0..ELEMENTS * ELEMENTS).map(|i| (i as f32 * 1.7).sin() * 0.02).collect();
    let first = bytemuck::cast_slice(&first);
    let whole = train(harness, 0..8, first);
    let stopped = train(harness, 0..5, first);
    let resumed = train(harness, 5..8, &stopped.weights);
    assert!(whole.weights == resumed.weights && whole.weights != stopped.weights && stopped.weights != first);
    assert!(train(harness, 4..7, &stopped.weights).weights != whole.weights, "the step decides the noise");
    assert_eq!((whole.out_of_range, whole.scale[0], whole.scale[1]), (0, SCALE.to_bits(), 0));
    let worst = worst_gradient(&whole, 7, f64::from(SCALE));
    println!("worst gradient: {worst:.2} of its bound; {} flushed", whole.scale[2]);
    assert!(worst < 1.0, "{worst}");
    assert!(worst_gradient(&whole, 7, 2.0 * f64::from(SCALE)) > 1.0 && worst_gradient(&whole, 6, SCALE.into()) > 1.0);
}

/// The largest error of the last micro-batch's gradient, relative to what f16 and the drawn noise allow. The exact gradient is in f64,
/// written from the papers.
fn worst_gradient(found: &Outcome, step: u32, scale: f64) -> f64 {
    let curve = |t: f64| ((t / TIMESTEPS as f64 + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let keep = |i: usize| 1.0 - (1.0 - curve(i as f64 + 1.0) / curve(i as f64)).min(0.999);
    let noise = NoiseKey::seed(42).stream(step).first_sample(((MICRO - 1) * BATCH) as u64).reference(BATCH, ELEMENTS);
    let mut worst = 0.0f64;
    for (i, (&g, z)) in found.gradient.iter().zip(noise).enumerate() {
        let abar: f64 = (0..=found.timesteps[i / ELEMENTS] as usize).map(keep).product();
        let snr = abar / (1.0 - abar);
        let weight = snr.min(5.0) / (snr + 1.0);
        let x0 = f64::from(data((MICRO - 1) * BATCH * ELEMENTS + i));
        let error = f64::from(found.prediction[i]) - (abar.sqrt() * z - (1.0 - abar).sqrt() * x0);
        let factor = weight / ELEMENTS as f64 * scale;
        let exact = factor * error.clamp(-HUBER, HUBER);
        let allowed = ROUNDING[0] * exact.abs() + ROUNDING[1] + factor * TARGET;
        worst = worst.max((f64::from(g) - exact).abs() / allowed);
    }
    worst
}

//! The same training step around the same stand-in for a network, written with Burn's own operations and with tweedie: time,
//! launches and memory, measured in one run.
//!
//! The stand-in is one multiplication by a parameter for each channel, so that nearly all of what is measured is the work around
//! a network. Each way has a device of its own, so that neither reuses the other's memory.

use anyhow::Context as _;
use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{DType, Device, Distribution, Int, Tensor, TensorData};
use burn_cubecl::cubecl::logging::{LaunchObservation, LaunchObserver};
use clap::Parser;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tweedie::gpu::NoiseKey;
use tweedie::math::{Objective, Weight};
use tweedie::{Quantity, Schedule, wgpu};
use tweedie_burn::{Bridge, Goal, Training};

/// Measures both.
#[derive(Parser, Debug)]
struct Arguments {
    /// Steps that are measured, after a warm-up of a fifth as many.
    #[arg(long, default_value_t = 50)]
    steps: u32,
    /// A JSON file for the figures.
    #[arg(long)]
    out: Option<PathBuf>,
}

const TIMESTEPS: usize = 1000;
const WEIGHT: Weight = Weight::MinSnr { gamma: 5.0 };
const SHAPES: [([usize; 4], DType); 3] =
    [([32, 1, 16, 16], DType::F32), ([64, 4, 64, 64], DType::F32), ([64, 4, 64, 64], DType::F16)];

/// The measurements of one way, by Burn's operations or by tweedie.
#[derive(Clone, Copy, Debug, serde::Serialize)]
struct Figures {
    /// Time of a step, from its first operation until the device is done: the median.
    milliseconds: f64,
    /// Kernels that Burn launched, per step.
    burn_launches: f64,
    /// Dispatches of tweedie, per step.
    tweedie_dispatches: f64,
    /// MiB that Burn's pool has taken from the device at the end, the clean samples included.
    mebibytes: f64,
}

#[derive(Debug, serde::Serialize)]
struct Line {
    shape: [usize; 4],
    elements: String,
    burn: Figures,
    tweedie: Figures,
    plans_made: u64,
    plans_moved: u64,
}

#[derive(Debug, serde::Serialize)]
struct Report {
    adapter: String,
    fusion: bool,
    steps: u32,
    lines: Vec<Line>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut report =
        Report { adapter: String::new(), fusion: cfg!(feature = "fusion"), steps: arguments.steps, lines: Vec::new() };
    println!("| tensors | way | ms a step | launches a step | MiB |\n|---|---|---|---|---|");
    for (shape, dtype) in SHAPES {
        let [plain, through] = [open()?, open()?];
        report.adapter = tweedie::headless::Gpu::describe(&plain.1.adapter.get_info());
        let burn = Plain::new(&plain.0, shape, dtype)?;
        let tweedie = Tweedie::new(&through.0, &through.1, shape, dtype)?;
        let (a, b) = measure(arguments.steps, [&burn, &tweedie])?;
        let elements = format!("{dtype:?}").to_lowercase();
        for (way, figures) in [("Burn's operations", a), ("tweedie", b)] {
            let launches = figures.burn_launches + figures.tweedie_dispatches;
            let Figures { milliseconds, mebibytes, .. } = figures;
            println!("| {shape:?} {elements} | {way} | {milliseconds:.2} | {launches:.1} | {mebibytes:.0} |");
        }
        let [plans_made, plans_moved] = [tweedie.training.plans_made(), tweedie.training.plans_moved()];
        report.lines.push(Line { shape, elements, burn: a, tweedie: b, plans_made, plans_moved });
    }
    println!("adapter: {}; fusion: {}", report.adapter, if report.fusion { "on" } else { "off" });
    if let Some(path) = arguments.out {
        std::fs::write(path, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}

/// A device of our own, given to Burn.
fn open() -> anyhow::Result<(Device, WgpuSetup)> {
    let instance = wgpu::Instance::default();
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let descriptor = wgpu::DeviceDescriptor {
        required_features: adapter.features() - wgpu::Features::all_experimental_mask(),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let backend = adapter.get_info().backend;
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let device = Device::wgpu_options().setup(setup.clone()).init().context("Burn on this device")?;
    Ok((device, setup))
}

/// A way to take the step.
trait Way {
    fn step(&self, step: u32) -> anyhow::Result<()>;
    fn device(&self) -> &Device;
    fn dispatches(&self) -> u64;
}

/// Measures the median times of steps that take turns, and the counts of each way.
fn measure(steps: u32, ways: [&dyn Way; 2]) -> anyhow::Result<(Figures, Figures)> {
    let launches = Arc::new(Launches::default());
    let watching = LaunchObservation::new(launches.clone());
    let (mut times, mut counts, mut before) = ([const { Vec::new() }; 2], [0; 2], [0; 2]);
    let warm = steps / 5;
    for step in 0..warm + steps {
        for (index, way) in ways.iter().enumerate() {
            if step == warm {
                before[index] = way.dispatches();
            }
            let (first, begun) = (launches.0.load(Ordering::Relaxed), Instant::now());
            way.step(step)?;
            way.device().sync()?;
            if step >= warm {
                times[index].push(begun.elapsed().as_secs_f64());
                counts[index] += launches.0.load(Ordering::Relaxed) - first;
            }
        }
    }
    drop(watching);
    let figures = |index: usize| {
        let mut times: Vec<f64> = times[index].clone();
        times.sort_by(f64::total_cmp);
        let a_step = |count: u64| count as f64 / f64::from(steps);
        let usage = ways[index].device().memory_pool_usage();
        Figures {
            milliseconds: 1000.0 * times[times.len() / 2],
            burn_launches: a_step(counts[index]),
            tweedie_dispatches: a_step(ways[index].dispatches() - before[index]),
            mebibytes: usage.map_or(f64::NAN, |usage| usage.bytes_reserved as f64 / f64::from(1 << 20)),
        }
    };
    Ok((figures(0), figures(1)))
}

/// Counts what Burn launches.
#[derive(Default)]
struct Launches(AtomicU64);

impl LaunchObserver for Launches {
    fn launched(&self, _kernel: &'static str) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn schedule() -> anyhow::Result<Schedule> {
    Ok(Schedule::scaled_linear(TIMESTEPS, 0.00085, 0.012)?)
}

fn clean(device: &Device, shape: [usize; 4], dtype: DType) -> Tensor<4> {
    Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device).cast(dtype)
}

/// The stand-in's parameter.
fn gain(device: &Device, shape: [usize; 4], dtype: DType) -> Tensor<4> {
    Tensor::<4>::ones([1, shape[1], 1, 1], device).cast(dtype).autodiff().require_grad()
}

/// The step in Burn's own operations.
struct Plain {
    device: Device,
    x0: Tensor<4>,
    /// Alpha, sigma and weight of each timestep.
    tables: [Tensor<1>; 3],
    gain: Tensor<4>,
}

impl Plain {
    fn new(device: &Device, shape: [usize; 4], dtype: DType) -> anyhow::Result<Self> {
        let schedule = schedule()?;
        let level = |f: fn(tweedie::math::NoiseLevel) -> f64| schedule.levels().iter().map(|&level| f(level)).collect();
        let columns =
            [level(|level| level.alpha()), level(|level| level.sigma()), schedule.loss_weights(&WEIGHT, Quantity::V)?];
        let tables = columns.map(|column: Vec<f64>| {
            let column: Vec<f32> = column.into_iter().map(|x| x as f32).collect();
            Tensor::from_data(TensorData::new(column, [TIMESTEPS]), device)
        });
        Ok(Self { device: device.clone(), x0: clean(device, shape, dtype), tables, gain: gain(device, shape, dtype) })
    }
}

impl Way for Plain {
    fn step(&self, _step: u32) -> anyhow::Result<()> {
        let [batch, ..] = self.x0.dims();
        let dtype = self.x0.dtype();
        let t = Tensor::<1, Int>::random([batch], Distribution::Uniform(0.0, TIMESTEPS as f64), &self.device);
        let [alpha, sigma, weight] =
            self.tables.clone().map(|table| table.select(0, t.clone()).reshape([batch, 1, 1, 1]));
        let (alpha, sigma) = (alpha.cast(dtype), sigma.cast(dtype));
        let noise = self.x0.random_like(Distribution::Normal(0.0, 1.0));
        let x_t = self.x0.clone() * alpha.clone() + noise.clone() * sigma.clone();
        let target = noise * alpha - self.x0.clone() * sigma;
        let prediction = x_t.autodiff() * self.gain.clone();
        let errors = (prediction - target.autodiff()).cast(DType::F32).square();
        let loss = (errors * weight.autodiff()).mean();
        let gradient = self.gain.grad(&loss.backward()).context("a gradient")?;
        drop(gradient);
        Ok(())
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn dispatches(&self) -> u64 {
        0
    }
}

/// The step with tweedie.
struct Tweedie {
    bridge: Bridge,
    training: Training,
    x0: Tensor<4>,
    gain: Tensor<4>,
}

impl Tweedie {
    fn new(device: &Device, setup: &WgpuSetup, shape: [usize; 4], dtype: DType) -> anyhow::Result<Self> {
        let bridge = Bridge::new(device, setup);
        let goal = Goal::new(Objective::of(Quantity::V).weighted(WEIGHT), TIMESTEPS)?;
        let training = Training::new(&bridge, &schedule()?, goal)?;
        Ok(Self { bridge, training, x0: clean(device, shape, dtype), gain: gain(device, shape, dtype) })
    }
}

impl Way for Tweedie {
    fn step(&self, step: u32) -> anyhow::Result<()> {
        let noisy = self.training.noise(self.x0.clone(), NoiseKey::seed(1).stream(step))?;
        let prediction = noisy.x_t.clone().autodiff() * self.gain.clone();
        let loss = self.training.loss(&noisy, prediction)?.mean;
        let gradient = self.gain.grad(&loss.backward()).context("a gradient")?;
        drop(gradient);
        Ok(())
    }

    fn device(&self) -> &Device {
        self.bridge.device()
    }

    fn dispatches(&self) -> u64 {
        self.bridge.dispatches()
    }
}

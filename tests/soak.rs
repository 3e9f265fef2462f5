//! A hundred thousand steps in one process: plans of changing shapes are made, recorded and dropped; memory stays where it is
//! after the first rounds, and the last results are the first ones to the bit.
//!
//! ```text
//! cargo test --test soak -- [--steps N] [--leak]
//! ```
//!
//! A round takes one shape through a training and a sampling loop, with noise given and drawn and keys set anew, and drops
//! everything at its end. `--leak` keeps a buffer of every round instead, to see the check fail. The last line is a summary.
//! Exit codes: 0 all held, 1 memory grew or a result changed, 2 wrong usage, 3 no adapter or a GPU error.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::process::ExitCode;
use std::time::Instant;
use tweedie::gpu::{Drawn, Gradient, Noise, NoiseKey, Recording, Timesteps};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::math::sampler::{Denoiser, DpmSolver, Grid};
use tweedie::math::{NoiseLevel, Objective, Sampler, Spacing, TimestepDensity, Weight};
use tweedie::table::{Clip, Penalty};
use tweedie::{
    Context, Conversion, Guidance, Noising, OnUndefined, Quantity, Sampling, Schedule, Shape, Tensor, TimestepSource,
    Training, TrainingStep,
};

/// Samples of whole lanes and of any other size, without gaps; large and small ones.
const SHAPES: [Shape; 10] = [
    Shape::new(1, 4096),
    Shape::new(16, 64),
    Shape::new(3, 1000),
    Shape::new(7, 63),
    Shape::new(64, 4),
    Shape::new(5, 2),
    Shape::new(1, 1),
    Shape::new(2, 12_288),
    Shape::new(9, 333),
    Shape::new(128, 17),
];

/// The number of steps in each loop of a round.
const LOOP: u32 = 8;

/// How many more bytes the process may hold at the end than after the warm-up. Allocators round up, and drivers keep some of the
/// memory that is returned to them, but not more with every round: over a hundred thousand steps this is about 2 KiB a round.
const ALLOWED: usize = 4 << 20;

/// The bytes that `--leak` keeps in each round.
const LEAK: usize = 256 << 10;

/// The fewest steps of a run: the first measurement, after the 420 steps of all shapes, then falls into its second part.
const LEAST: u64 = 1051;

/// The number of equal parts of a run. The first is the warm-up, in which every pipeline is compiled and every pool of the driver
/// filled. The most memory held in the second part is compared with the most held in the last.
const WARM_UP: u64 = 5;

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match Arguments::read().map(|arguments| (arguments.steps, soak(&arguments))) {
        Err(usage) => {
            eprintln!("error: {usage}");
            ExitCode::from(2)
        }
        Ok((_, Err(error))) => {
            eprintln!("error: {error}");
            ExitCode::from(3)
        }
        Ok((_, Ok(true))) => ExitCode::SUCCESS,
        Ok((_, Ok(false))) => ExitCode::from(1),
    }
}

struct Arguments {
    steps: u64,
    leak: bool,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let mut found = Self { steps: 100_000, leak: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--leak" => found.leak = true,
                "--steps" => {
                    let steps = arguments.next().and_then(|steps| steps.parse().ok()).filter(|steps| *steps >= LEAST);
                    found.steps = steps.ok_or_else(|| format!("--steps: expected a number of at least {LEAST}"))?;
                }
                other => return Err(format!("expected --steps N or --leak, found {other}")),
            }
        }
        Ok(found)
    }
}

/// The device and the mathematics that all rounds share.
struct Bench {
    gpu: Gpu,
    context: Context,
    schedule: Schedule,
    sampler: Sampler,
    objective: Objective,
    density: TimestepDensity,
}

impl Bench {
    fn open() -> Result<Self, Failure> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        let gpu = pollster::block_on(Gpu::open(which.as_deref()))?;
        let context = Context::new(&gpu.device);
        let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012)?.zero_terminal_snr()?;
        let timesteps = Spacing::Trailing.timesteps(1000, LOOP as usize)?;
        let grid = Grid::of_schedule(&schedule, &timesteps, NoiseLevel::CLEAN)?;
        let denoiser = Denoiser::new(Quantity::V).clipped(Clip::Quantile { ratio: 0.95, least: 1.0, most: 4.0 });
        Ok(Self {
            sampler: Sampler::new(&DpmSolver::sde(2), &grid, &denoiser)?,
            objective: Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 }),
            density: TimestepDensity::uniform(schedule.len())?,
            schedule,
            gpu,
            context,
        })
    }

    /// Takes a shape through both loops. Returns the number of recorded steps and one digest of all results.
    fn round(&self, shape: Shape) -> Result<(u64, u64), Failure> {
        let tensor = |seed: u64| {
            let values: Vec<f32> = (0..shape.batch)
                .flat_map(|i| tweedie::NoiseKey::normals(seed, 0, u64::from(i), shape.elements as usize))
                .map(|x| x as f32)
                .collect();
            self.gpu.upload("soak::tensor", bytemuck::cast_slice(&values))
        };
        let buffers: [wgpu::Buffer; 8] = std::array::from_fn(|i| tensor(i as u64));
        let [timesteps, losses, mean] =
            [shape.batch, shape.batch, 1].map(|n| self.gpu.buffer("soak::words", 4 * u64::from(n)));
        let [x0, x_t, prediction, gradient, x, preview, noise, target] = buffers.each_ref().map(Tensor::f32);
        let key = NoiseKey::seed(42);
        let step = TrainingStep::new(
            &self.context,
            &self.schedule,
            &Training {
                objective: &self.objective,
                penalty: Penalty::MSE,
                shape,
                noise: Drawn::new(key).steps(2),
                timestep_source: TimestepSource::Drawn { density: &self.density, stratified: Some(shape.batch) },
                timesteps: &timesteps,
                groups: None,
                x0,
                x_t,
                prediction,
                gradient: Gradient::mean(gradient),
                losses: &losses,
                mean: Some(&mean),
                variance: None,
            },
        )?;
        let mut recorded = 0;
        // Two steps in each submit, each with a key of its own.
        for pair in 0..LOOP / 2 {
            for k in 0..2 {
                step.set_key(&self.gpu.queue, k, key.stream(2 * pair + k))?;
            }
            self.gpu.submit(|encoder| -> Result<(), Failure> {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                for k in 0..2 {
                    step.record_before(&mut pass, k)?;
                    step.record_after(&mut pass, k)?;
                    recorded += 2;
                }
                Ok(())
            })??;
        }
        let pair = Noising {
            schedule: &self.schedule,
            shape,
            timesteps: Timesteps::per_sample(&timesteps),
            x0,
            epsilon: Noise::Tensor(noise),
            outputs: &[(Quantity::Xt, x_t), (Quantity::V, target)],
        };
        let back = Conversion {
            schedule: &self.schedule,
            shape,
            timesteps: Timesteps::Batch,
            x_t,
            prediction: (Quantity::V, target),
            outputs: &[(Quantity::X0, x_t)],
            on_undefined: OnUndefined::Error,
        };
        let (pair, back) = (pair.plan(&self.context)?, back.plan(&self.context)?);
        let guidance = Some(Guidance { rescale: 0.5, ..Guidance::new(noise, 3.0) });
        let sampling = Sampling {
            guidance,
            x0: Some(preview),
            ..Sampling::in_place(&self.sampler, shape, x, prediction, Noise::drawn(key))
        };
        let (start, steps) = (sampling.start(&self.context, key)?, sampling.plan(&self.context)?);
        let fill = tweedie::gpu::Plan::fill(&self.context, shape, Drawn::new(key).steps(2), target)?;
        self.gpu.submit(|encoder| -> Result<(), Failure> {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            start.record(&mut pass, Recording::timestep(0))?;
            for call in 0..LOOP {
                steps.record(&mut pass, Recording::call(call))?;
                pair.record(&mut pass, Recording::per_sample())?;
                back.record(&mut pass, Recording::timestep(100 * call))?;
            }
            fill.record(&mut pass, Recording::timestep(0).step(1))?;
            recorded += 2 + 3 * u64::from(LOOP);
            Ok(())
        })??;
        let mut digest = DefaultHasher::new();
        for buffer in buffers.iter().chain([&timesteps, &losses, &mean]) {
            pollster::block_on(self.gpu.download(buffer, 0..buffer.size()))?.hash(&mut digest);
        }
        Ok((recorded, digest.finish()))
    }
}

fn held() -> Option<usize> {
    memory_stats::memory_stats().map(|memory| memory.physical_mem)
}

/// Runs all rounds. Returns `true` if memory stayed where it was and no result changed.
fn soak(arguments: &Arguments) -> Result<bool, Failure> {
    let bench = Bench::open()?;
    println!("adapter: {}", Gpu::describe(&bench.gpu.info));
    let begun = Instant::now();
    let (mut steps, mut rounds, mut changed) = (0, 0u64, 0u64);
    let mut digests: HashMap<Shape, u64> = HashMap::new();
    let mut kept = Vec::new();
    let (mut warm, mut last) = (0usize, 0usize);
    let mut told = 0;
    while steps < arguments.steps {
        for shape in SHAPES {
            let (recorded, digest) = bench.round(shape)?;
            steps += recorded;
            rounds += 1;
            changed += u64::from(*digests.entry(shape).or_insert(digest) != digest);
            if arguments.leak {
                kept.push(bench.gpu.upload("soak::leak", &vec![1; LEAK]));
            }
        }
        let now = held().ok_or(HeadlessError::Device("this system does not report the memory of a process".into()))?;
        let part = steps * WARM_UP / arguments.steps;
        match part {
            0 => {}
            1 => warm = warm.max(now),
            _ if part + 1 >= WARM_UP => last = last.max(now),
            _ => {}
        }
        if part > told {
            told = part;
            println!("{steps:>7} steps, {:.1} MiB", mebibytes(now));
        }
    }
    let flat = last <= warm + ALLOWED;
    let verdict = |held: bool| if held { "ok" } else { "FAILED" };
    println!(
        "soak: {steps} steps in {rounds} rounds of {} shapes, {:.0} s: memory {:.1} MiB after the warm-up, {:.1} MiB at the end \
         (up to {:.0} more are allowed): {}; {changed} of {rounds} results changed: {}",
        SHAPES.len(),
        begun.elapsed().as_secs_f64(),
        mebibytes(warm),
        mebibytes(last),
        mebibytes(ALLOWED),
        verdict(flat),
        verdict(changed == 0),
    );
    drop(kept);
    Ok(flat && changed == 0)
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

//! What a plan, a recording, a kernel and a readback cost on the adapter that `TWEEDIE_ADAPTER` names, or the best one.
//!
//! - `plan`: host time for a plan with a table of 1000 rows, after its shader was compiled; `table` is its f64 part.
//! - `record`: host time for 1000 recordings in one pass of an encoder that is dropped. wgpu 30 validates and encodes a
//!   pass when the encoder is finished, which the `finish` line includes and the caller pays in any case.
//! - `map`, `step`, `loss`, `bound`: wall time from submit to done. Bytes are each input read once and each output written
//!   once; `copy` is `copy_buffer_to_buffer` that moves as many, half of them read and half written.
//! - `readback`: wall time of [`Gpu::download`].

use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, measurement::WallTime};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tweedie::gpu::{
    At, Context, Drawn, Loss, LossPlan, MapPlan, Noise, NoiseKey, Of, Recordable, Second, Shape, StepPlan, Storage,
    Tensor, Timesteps, VlbInputs, VlbPlan, VlbTerms,
};
use tweedie::headless::{Gpu, describe};
use tweedie::math::sampler::{Denoiser, FirstOrder, Grid, Sampler};
use tweedie::math::{LossInputs, ModelVariance, NoiseLevel, Objective, Vlb, Weight};
use tweedie::table::{Clip, Penalty};
use tweedie::{Conversion, Diffusion, Holes, Noising, Quantity, Sampling, Schedule};

const STEPS: u32 = 1000;
const RECORDINGS: u32 = 1000;
/// 16 latents of Stable Diffusion 1.5, and 64 images of 256 x 256.
const SHAPES: [(&str, Shape); 2] =
    [("latent_sd15", Shape::new(16, 4 * 64 * 64)), ("image256", Shape::new(64, 3 * 256 * 256))];

fn main() {
    let which = std::env::var("TWEEDIE_ADAPTER").ok();
    let gpu = match pollster::block_on(Gpu::open(which.as_deref())) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("the benches are skipped: {error}");
            return;
        }
    };
    println!("adapter: {}", describe(&gpu.info));
    let schedule = Schedule::scaled_linear(STEPS as usize, 0.00085, 0.012).expect("a schedule that everybody uses");
    let bench = Bench { context: Context::new(&gpu.device), diffusion: Diffusion::new(schedule), gpu };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    bench.plan(&mut criterion);
    bench.record(&mut criterion);
    for (name, shape) in SHAPES {
        bench.kernels(&mut criterion, name, shape);
    }
    bench.readback(&mut criterion);
    criterion.final_summary();
}

struct Bench {
    gpu: Gpu,
    context: Context,
    diffusion: Diffusion,
}

/// A batch as a training or sampling loop has it: two inputs, two outputs and a timestep for each sample.
struct Batch {
    shape: Shape,
    storage: Storage,
    buffers: [wgpu::Buffer; 4],
    timesteps: wgpu::Buffer,
    /// Room for an f32 of each sample.
    results: wgpu::Buffer,
}

impl Batch {
    fn new(gpu: &Gpu, shape: Shape, storage: Storage) -> Self {
        let piece: Vec<f32> = (0..1 << 16).map(|i| (i as f32 * 0.37).sin()).collect();
        let bytes: Vec<u8> = storage.encode(&piece).into_iter().cycle().take(bytes_of(shape, storage)).collect();
        let timesteps: Vec<u32> = (0..shape.batch).map(|i| (i * 61) % STEPS).collect();
        Self {
            shape,
            storage,
            buffers: ["in0", "in1", "out0", "out1"].map(|name| gpu.upload(name, &bytes)),
            timesteps: gpu.upload("timesteps", bytemuck::cast_slice(&timesteps)),
            results: gpu.buffer("results", 4 * u64::from(shape.batch)),
        }
    }

    fn tensors(&self) -> [Tensor<'_>; 4] {
        self.buffers.each_ref().map(|buffer| Tensor::new(buffer, self.storage))
    }

    fn per_sample(&self) -> Timesteps<'_> {
        Timesteps::per_sample(&self.timesteps)
    }
}

fn bytes_of(shape: Shape, storage: Storage) -> usize {
    (shape.total() * storage.bytes()) as usize
}

/// An op by the name of its kernel and its own, and how many tensors it reads and writes.
type Op = (&'static str, &'static str, u64, fn(&Bench, &Batch) -> Box<dyn Recordable>);
const OPS: [Op; 6] = [
    ("map", "noise", 3, |bench, batch| Box::new(bench.noise(batch, batch.per_sample()))),
    ("map", "pair_drawn", 3, |bench, batch| Box::new(bench.pair_drawn(batch))),
    ("map", "convert", 4, |bench, batch| Box::new(bench.convert(batch))),
    ("step", "ddim_v_clip", 3, |bench, batch| Box::new(bench.ddim(batch))),
    ("loss", "grad_v_drawn", 3, |bench, batch| Box::new(bench.loss(batch))),
    ("bound", "grad_eps_drawn", 3, |bench, batch| Box::new(bench.bound(batch))),
];

impl Bench {
    /// (x0, epsilon) to x_t.
    fn noise(&self, batch: &Batch, timesteps: Timesteps<'_>) -> MapPlan {
        let [x0, epsilon, x_t, _] = batch.tensors();
        let noising = Noising {
            shape: batch.shape,
            timesteps,
            x0,
            epsilon: Second::Given(epsilon),
            first: (Quantity::Xt, x_t),
            second: None,
        };
        self.diffusion.noising(&self.context, &noising).expect("a plan")
    }

    /// x0 and drawn noise to x_t and the target v.
    fn pair_drawn(&self, batch: &Batch) -> MapPlan {
        let [x0, _, x_t, v] = batch.tensors();
        let noising = Noising {
            shape: batch.shape,
            timesteps: batch.per_sample(),
            x0,
            epsilon: Second::Drawn(Drawn::new(NoiseKey::seed(1))),
            first: (Quantity::Xt, x_t),
            second: Some((Quantity::V, v)),
        };
        self.diffusion.noising(&self.context, &noising).expect("a plan")
    }

    /// (x_t, v) to x0 and epsilon.
    fn convert(&self, batch: &Batch) -> MapPlan {
        let [x_t, v, x0, epsilon] = batch.tensors();
        let conversion = Conversion {
            shape: batch.shape,
            timesteps: batch.per_sample(),
            x_t,
            prediction: (Quantity::V, v),
            first: (Quantity::X0, x0),
            second: Some((Quantity::Epsilon, epsilon)),
            holes: Holes::Reject,
        };
        self.diffusion.conversion(&self.context, &conversion).expect("a plan")
    }

    /// A step of DDIM from v, clipped, each sample at a call of its own.
    fn ddim(&self, batch: &Batch) -> StepPlan {
        let [x, v, next, _] = batch.tensors();
        let schedule = self.diffusion.schedule();
        let timesteps: Vec<usize> = (0..schedule.len()).rev().collect();
        let grid = Grid::of_schedule(schedule, &timesteps, NoiseLevel::CLEAN).expect("a grid");
        let denoiser = Denoiser::new(Quantity::V).clipped(Clip::Range(1.0));
        let sampler = Sampler::new(&FirstOrder::ddim(0.0), &grid, &denoiser).expect("a sampler");
        let in_place = Sampling::in_place(&sampler, batch.shape, x, v, Noise::None);
        Sampling { calls: batch.per_sample(), next, ..in_place }.plan(&self.context).expect("a plan")
    }

    /// The loss of v and its gradient, the noise drawn again.
    fn loss(&self, batch: &Batch) -> LossPlan {
        let [prediction, x0, gradient, _] = batch.tensors();
        let objective = Objective::of(Quantity::V).weighted(Weight::MinSnr { gamma: 5.0 });
        let loss = Loss {
            table: &self.diffusion.schedule().loss(&objective, LossInputs::CleanAndNoise).expect("rows"),
            penalty: Penalty::MSE,
            shape: batch.shape,
            timesteps: batch.per_sample(),
            prediction,
            in0: Some(x0),
            in1: Some(Second::Drawn(Drawn::new(NoiseKey::seed(1)))),
            seeds: None,
            losses: (&batch.results, 0),
            mean: None,
            gradient: Some((gradient, Of::Mean)),
        };
        LossPlan::new(&self.context, &loss).expect("a plan")
    }

    /// The variational bound of epsilon with a learned variance and the gradient of that, the noise drawn again; x0 is not
    /// read but at timestep 0.
    fn bound(&self, batch: &Batch) -> VlbPlan {
        let [prediction, learned, gradient, x0] = batch.tensors();
        let schedule = self.diffusion.schedule();
        let bound = Vlb::new(schedule, Quantity::Epsilon, ModelVariance::LearnedRange, None).expect("a bound");
        let inputs = VlbInputs {
            table: &bound.table(LossInputs::CleanAndNoise).expect("rows"),
            clip: None,
            shape: batch.shape,
            prediction,
            learned: Some(learned),
            x0,
            in1: Some(Second::Drawn(Drawn::new(NoiseKey::seed(1)))),
            seeds: None,
        };
        let terms = VlbTerms {
            inputs,
            timesteps: batch.per_sample(),
            terms: (&batch.results, 0),
            mean: None,
            gradient: None,
            learned_gradient: Some(gradient),
            of: Of::Mean,
        };
        VlbPlan::new(&self.context, &terms).expect("a plan")
    }

    fn plan(&self, criterion: &mut Criterion) {
        let batch = Batch::new(&self.gpu, SHAPES[0].1, Storage::F32);
        let mut group = criterion.benchmark_group("plan");
        let schedule = self.diffusion.schedule();
        group.bench_function("table", |b| b.iter(|| schedule.rows_of(Quantity::Xt, None).map(|table| table.rounded())));
        group.bench_function("per_sample", |b| self.time_plan(b, || self.noise(&batch, batch.per_sample())));
        group.bench_function("batch", |b| self.time_plan(b, || self.noise(&batch, Timesteps::Batch)));
        group.finish();
    }

    /// A plan's uploads wait for the next submit, so one follows each plan, off the clock: nothing piles up.
    fn time_plan(&self, bencher: &mut Bencher<'_>, make: impl Fn() -> MapPlan) {
        bencher.iter_custom(|count| {
            (0..count)
                .map(|_| {
                    let start = Instant::now();
                    let plan = make();
                    let taken = start.elapsed();
                    drop(plan);
                    self.gpu.submit(|_| ()).expect("the device works");
                    taken
                })
                .sum()
        });
    }

    fn record(&self, criterion: &mut Criterion) {
        let batch = Batch::new(&self.gpu, SHAPES[0].1, Storage::F32);
        let (per_sample, whole) = (self.noise(&batch, batch.per_sample()), self.noise(&batch, Timesteps::Batch));
        let mut group = criterion.benchmark_group("record");
        group.bench_function("one_with_its_pass_and_finish", |b| {
            b.iter(|| {
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                per_sample.encode(&mut encoder, At::per_sample()).expect("a recording");
                encoder.finish()
            });
        });
        group.throughput(Throughput::Elements(u64::from(RECORDINGS)));
        group.bench_function("per_sample_1000", |b| b.iter(|| self.pass(&per_sample, |_| At::per_sample())));
        group.bench_function("batch_1000", |b| b.iter(|| self.pass(&whole, |i| At::timestep(i % STEPS))));
        group.bench_function("per_sample_1000_finish", |b| {
            b.iter(|| self.pass(&per_sample, |_| At::per_sample()).finish());
        });
        group.bench_function("batch_1000_finish", |b| {
            b.iter(|| self.pass(&whole, |i| At::timestep(i % STEPS)).finish());
        });
        group.finish();
    }

    fn pass(&self, plan: &MapPlan, at: impl Fn(u32) -> At) -> wgpu::CommandEncoder {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for i in 0..RECORDINGS {
            plan.record(&mut pass, at(i)).expect("a recording");
        }
        drop(pass);
        encoder
    }

    fn kernels(&self, criterion: &mut Criterion, name: &str, shape: Shape) {
        for kernel in ["map", "step", "loss", "bound"] {
            let mut group = criterion.benchmark_group(format!("{kernel}/{name}"));
            group.sampling_mode(SamplingMode::Flat);
            for storage in Storage::ALL {
                let batch = Batch::new(&self.gpu, shape, storage);
                for (_, op, tensors, plan) in OPS.iter().filter(|(of, ..)| *of == kernel) {
                    let plan = plan(self, &batch);
                    group.throughput(Throughput::BytesDecimal(tensors * bytes_of(shape, storage) as u64));
                    group.bench_function(BenchmarkId::new(*op, storage), |b| {
                        self.time_submit(b, |encoder| {
                            let mut pass = encoder.begin_compute_pass(&Default::default());
                            plan.record(&mut pass, At::per_sample()).expect("a recording");
                        });
                    });
                }
            }
            if kernel == "map" {
                for (tensors, storage) in [3, 4].into_iter().flat_map(|n| [(n, Storage::F32), (n, Storage::F16)]) {
                    let bytes = tensors * bytes_of(shape, storage) as u64;
                    self.copy(&mut group, bytes, &format!("{tensors}x{}", storage.bytes() * 8));
                }
            }
            group.finish();
        }
    }

    fn copy(&self, group: &mut BenchmarkGroup<'_, WallTime>, bytes: u64, name: &str) {
        let [from, to] = ["from", "to"].map(|label| self.gpu.buffer(label, bytes / 2));
        group.throughput(Throughput::BytesDecimal(bytes));
        group.bench_function(BenchmarkId::new("copy", name), |b| {
            self.time_submit(b, |encoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes / 2));
        });
    }

    fn time_submit(&self, bencher: &mut Bencher<'_>, record: impl Fn(&mut wgpu::CommandEncoder)) {
        bencher.iter(|| self.gpu.submit(&record).expect("the device works"));
    }

    fn readback(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("readback");
        group.sampling_mode(SamplingMode::Flat);
        for (name, shape) in SHAPES {
            let bytes = bytes_of(shape, Storage::F32) as u64;
            let buffer = self.gpu.buffer(name, bytes);
            group.throughput(Throughput::BytesDecimal(bytes));
            group.bench_function(name, |b| {
                b.iter(|| black_box(pollster::block_on(self.gpu.download(&buffer, 0..bytes)).expect("readback")));
            });
        }
        group.finish();
    }
}

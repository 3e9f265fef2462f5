//! The cost of plans, recordings, kernels and readback on the adapter that `TWEEDIE_ADAPTER` names, or the best one.
//!
//! - `plan`: host time for a plan with a table of 1000 rows, after its shader was compiled; `table` is its f64 part.
//! - `record`: host time for 1000 recordings in one pass of an encoder that is dropped. wgpu 30 validates and encodes a
//!   pass when the encoder is finished, which the `finish` lines include and the caller pays in any case.
//! - `latent_sd15`, `image256`: wall time from submit to done, of every op of [`OPS`] in every storage. Bytes are each
//!   input read once and each output written once; `copy` is `copy_buffer_to_buffer` that moves as many bytes as three or
//!   four tensors have.
//! - `readback`: wall time of [`Gpu::download`].

use criterion::{Bencher, BenchmarkId, Criterion, SamplingMode, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tweedie::gpu::{Context, Plan, Recording, Timesteps};
use tweedie::headless::{Gpu, describe};
use tweedie::{Noising, Quantity, Schedule, Shape, Storage};
use tweedie_bench::ops::{self, OPS, Op};
use tweedie_bench::set::{STEPS, Set};
use tweedie_bench::workloads::Workload;

const RECORDINGS: u32 = 1000;
const WORKLOADS: [&str; 2] = ["latent_sd15", "image256"];
/// The seed of every set of buffers.
const SEED: u64 = 1;

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
    let schedule = ops::schedule().expect("a schedule that everybody uses");
    let bench = Bench { context: Context::new(&gpu.device), schedule, gpu };
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    let workloads = WORKLOADS.map(|name| Workload::named(name).expect("a workload of the table"));
    bench.host(&mut criterion, workloads[0].shape);
    for workload in &workloads {
        bench.kernels(&mut criterion, workload);
    }
    bench.readback(&mut criterion, &workloads);
    criterion.final_summary();
}

struct Bench {
    gpu: Gpu,
    context: Context,
    schedule: Schedule,
}

impl Bench {
    fn set(&self, op: &Op, shape: Shape, storage: Storage) -> Set {
        Set::new(&self.gpu, &self.context, op, shape, storage, SEED).expect("memory for the tensors")
    }

    /// Measures plans and recordings of noising, with a timestep for each sample and with one for the batch.
    fn host(&self, criterion: &mut Criterion, shape: Shape) {
        let set = self.set(Op::named("noise").expect("an op of the table"), shape, Storage::F32);
        self.plan(criterion, &set);
        self.record(criterion, &set);
    }

    fn noising(&self, set: &Set, timesteps: Timesteps<'_>) -> Plan {
        let (x0, epsilon, outputs) = (set.input(0), set.noise(1), &[(Quantity::Xt, set.output(0))]);
        let noising = Noising { schedule: &self.schedule, shape: set.shape, timesteps, x0, epsilon, outputs };
        noising.plan(&self.context).expect("a plan")
    }

    fn plan(&self, criterion: &mut Criterion, set: &Set) {
        let schedule = &self.schedule;
        let mut group = criterion.benchmark_group("plan");
        group.bench_function("table", |b| b.iter(|| schedule.rows_of(Quantity::Xt, None).map(|table| table.rounded())));
        group.bench_function("per_sample", |b| self.time_plan(b, || self.noising(set, set.timesteps())));
        group.bench_function("batch", |b| self.time_plan(b, || self.noising(set, Timesteps::Batch)));
        group.finish();
    }

    /// Times plans alone. A plan's uploads wait for the next submit, so one follows each plan, off the clock: nothing piles
    /// up.
    fn time_plan(&self, bencher: &mut Bencher<'_>, make: impl Fn() -> Plan) {
        let once = || {
            let start = Instant::now();
            let plan = make();
            let taken = start.elapsed();
            drop(plan);
            self.gpu.submit(|_| ()).expect("the device works");
            taken
        };
        bencher.iter_custom(|count| (0..count).map(|_| once()).sum());
    }

    fn record(&self, criterion: &mut Criterion, set: &Set) {
        let (per_sample, batch) = (self.noising(set, set.timesteps()), self.noising(set, Timesteps::Batch));
        let mut group = criterion.benchmark_group("record");
        group.bench_function("one_with_its_pass_and_finish", |b| {
            b.iter(|| {
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                per_sample.encode(&mut encoder, Recording::per_sample()).expect("a recording");
                encoder.finish()
            });
        });
        group.throughput(Throughput::Elements(u64::from(RECORDINGS)));
        let of_samples = || self.pass(&per_sample, |_| Recording::per_sample());
        let of_batch = || self.pass(&batch, |i| Recording::timestep(i % STEPS));
        group.bench_function("per_sample_1000", |b| b.iter(of_samples));
        group.bench_function("batch_1000", |b| b.iter(of_batch));
        group.bench_function("per_sample_1000_finish", |b| b.iter(|| of_samples().finish()));
        group.bench_function("batch_1000_finish", |b| b.iter(|| of_batch().finish()));
        group.finish();
    }

    fn pass(&self, plan: &Plan, at: impl Fn(u32) -> Recording) -> wgpu::CommandEncoder {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for i in 0..RECORDINGS {
            plan.record(&mut pass, at(i)).expect("a recording");
        }
        drop(pass);
        encoder
    }

    fn kernels(&self, criterion: &mut Criterion, &Workload { name, shape, .. }: &Workload) {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        for storage in Storage::ALL {
            let tensor = shape.total() * storage.bytes();
            for op in &OPS {
                let set = self.set(op, shape, storage);
                let plan = op.plan(&self.schedule, &self.context, &set).expect("a plan");
                group.throughput(Throughput::BytesDecimal(op.bytes(tensor)));
                group.bench_function(BenchmarkId::new(op.name, storage), |b| {
                    self.time_submit(b, |encoder| {
                        let mut pass = encoder.begin_compute_pass(&Default::default());
                        plan.record(&mut pass, Recording::per_sample()).expect("a recording");
                    });
                });
            }
            for tensors in [3, 4] {
                let half = tensors * tensor / 2;
                let [from, to] = ["from", "to"].map(|label| self.gpu.buffer(label, half));
                group.throughput(Throughput::BytesDecimal(2 * half));
                group.bench_function(BenchmarkId::new(format!("copy_{tensors}"), storage), |b| {
                    self.time_submit(b, |encoder| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, half));
                });
            }
        }
        group.finish();
    }

    fn time_submit(&self, bencher: &mut Bencher<'_>, record: impl Fn(&mut wgpu::CommandEncoder)) {
        bencher.iter(|| self.gpu.submit(&record).expect("the device works"));
    }

    fn readback(&self, criterion: &mut Criterion, workloads: &[Workload]) {
        let mut group = criterion.benchmark_group("readback");
        group.sampling_mode(SamplingMode::Flat);
        for Workload { name, shape, .. } in workloads {
            let bytes = shape.total() * Storage::F32.bytes();
            let buffer = self.gpu.buffer(name, bytes);
            group.throughput(Throughput::BytesDecimal(bytes));
            group.bench_function(*name, |b| {
                b.iter(|| black_box(pollster::block_on(self.gpu.download(&buffer, 0..bytes)).expect("readback")));
            });
        }
        group.finish();
    }
}

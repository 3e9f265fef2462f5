//! The host's times by criterion: plans and recordings of every kind (`KINDS` of the runner, as in `tweedie bench --host`), and
//! readback, on the adapter that `TWEEDIE_ADAPTER` names, or the best one. Each can be compared with an earlier run.

use criterion::{Bencher, Criterion, SamplingMode, Throughput};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tweedie::gpu::Context;
use tweedie::headless::Gpu;
use tweedie::{Schedule, Storage};
use tweedie_bench::kinds::{KINDS, Kind};
use tweedie_bench::ops;
use tweedie_bench::set::Set;
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
    println!("adapter: {}", Gpu::describe(&gpu.info));
    let context = Context::new(&gpu.device);
    let schedule = ops::schedule().expect("a schedule that everybody uses");
    let set = Kind::set(&gpu, &context, SEED).expect("memory for the tensors");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .without_plots()
        .configure_from_args();
    plans(&mut criterion, &gpu, |kind| kind.plan(&schedule, &context, &set).expect("a plan"));
    recordings(&mut criterion, &gpu, (&schedule, &context, &set));
    readback(&mut criterion, &gpu);
    criterion.final_summary();
}

/// Times plans alone. A plan's uploads wait for the next submit, so a submit follows each plan, off the clock.
fn plans<T>(criterion: &mut Criterion, gpu: &Gpu, make: impl Fn(&Kind) -> T) {
    let mut group = criterion.benchmark_group("plan");
    for kind in &KINDS {
        let once = || {
            let start = Instant::now();
            let plan = make(kind);
            let taken = start.elapsed();
            drop(plan);
            gpu.submit(|_| ()).expect("the device works");
            taken
        };
        group.bench_function(kind.name, |b: &mut Bencher<'_>| b.iter_custom(|count| (0..count).map(|_| once()).sum()));
    }
    group.finish();
}

/// Times recordings in one pass of an encoder that is dropped: wgpu encodes a pass when the encoder is finished, which the
/// caller pays in any case.
fn recordings(criterion: &mut Criterion, gpu: &Gpu, (schedule, context, set): (&Schedule, &Context, &Set)) {
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(u64::from(RECORDINGS)));
    for kind in &KINDS {
        let made = kind.plan(schedule, context, set).expect("a plan");
        group.bench_function(kind.name, |b| {
            b.iter(|| {
                let mut encoder = gpu.device.create_command_encoder(&Default::default());
                let mut pass = encoder.begin_compute_pass(&Default::default());
                (0..RECORDINGS).for_each(|_| made.record(&mut pass).expect("a recording"));
                drop(pass);
                encoder
            });
        });
    }
    group.finish();
}

fn readback(criterion: &mut Criterion, gpu: &Gpu) {
    let mut group = criterion.benchmark_group("readback");
    group.sampling_mode(SamplingMode::Flat);
    for name in WORKLOADS {
        let shape = Workload::named(name).expect("a workload of the table").shape;
        let bytes = shape.total() * Storage::F32.bytes();
        let buffer = gpu.buffer(name, bytes);
        group.throughput(Throughput::BytesDecimal(bytes));
        group.bench_function(name, |b| {
            b.iter(|| black_box(pollster::block_on(gpu.download(&buffer, 0..bytes)).expect("readback")));
        });
    }
    group.finish();
}

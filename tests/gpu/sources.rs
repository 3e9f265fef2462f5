//! The noise of other systems, drawn by kernels, against the host's.

use crate::harness::Harness;
use tweedie::gpu::{PlanError, SourceDraw};
use tweedie::noise::{CudaDevice, Dtype, Generator, JaxLayout, Source};

pub const TESTS: &[crate::Test] = &[
    ("sources::are_those_of_the_host", are_those_of_the_host),
    ("sources::draws_follow_each_other", draws_follow_each_other),
    ("sources::errors_name_what_was_found", errors_name_what_was_found),
];

/// A card of two multiprocessors with 512 threads each, so that each thread draws several times.
const SMALL_CARD: CudaDevice = CudaDevice { multiprocessors: 2, threads_per_multiprocessor: 512 };

const SOURCES: [Source; 5] = [
    Source::TorchCuda(SMALL_CARD),
    Source::TorchCuda(CudaDevice { multiprocessors: 132, threads_per_multiprocessor: 2048 }),
    Source::Nv,
    Source::Jax { layout: JaxLayout::Partitionable, x64: true },
    Source::Jax { layout: JaxLayout::Original, x64: true },
];

const SEED: u64 = 0x1234_5678_9abc_def0;

/// How many numbers are drawn: odd, and more than the threads of the small card make in one call.
const COUNT: u32 = 70_001;

/// Words of the buffer before the draw.
const BEFORE: usize = 3;

fn drawn(harness: &Harness, draw: &SourceDraw, buffer: &wgpu::Buffer) -> Vec<f64> {
    let record = |encoder: &mut wgpu::CommandEncoder| draw.record(&mut encoder.begin_compute_pass(&Default::default()));
    harness.gpu.submit(record).expect("device");
    let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(&harness.read(buffer));
    assert_eq!(numbers[..BEFORE], [0.0; BEFORE]);
    numbers[BEFORE..].iter().map(|&z| f64::from(z)).collect()
}

fn expected(generator: &mut Generator) -> Vec<f64> {
    generator.draw(&[COUNT as usize], Dtype::F32).expect("a draw")
}

/// Returns `true` if the numbers agree, without those in the far tail.
fn agree(found: &[f64], expected: &[f64]) -> bool {
    assert_eq!(found.len(), expected.len());
    let mut pairs = found.iter().zip(expected).filter(|(_, expected)| expected.abs() < 5.0);
    pairs.all(|(found, expected)| (found - expected).abs() <= SourceDraw::TOLERANCE)
}

fn are_those_of_the_host(harness: &Harness) {
    for source in SOURCES {
        let buffer = harness.gpu.buffer("noise", 4 * (BEFORE as u64 + u64::from(COUNT)));
        let mut generator = source.generator(SEED).expect("a generator");
        let draw = SourceDraw::new(&harness.context, &generator, COUNT, &buffer, 4 * BEFORE as u64).expect("a draw");
        let found = drawn(harness, &draw, &buffer);
        let expected = expected(&mut generator);
        let worst = found.iter().zip(&expected).map(|(f, e)| (f - e).abs()).fold(0.0, f64::max);
        println!("{source:?}: {worst:e}");
        assert!(agree(&found, &expected), "{source:?}: {worst:e}");
        let other =
            source.generator(SEED + 1).expect("a generator").draw(&[COUNT as usize], Dtype::F32).expect("a draw");
        assert!(!agree(&found, &other), "{source:?}: another seed passes");
    }
}

fn draws_follow_each_other(harness: &Harness) {
    let buffer = harness.gpu.buffer("noise", 4 * (BEFORE as u64 + u64::from(COUNT)));
    for source in SOURCES {
        let mut generator = source.generator(SEED).expect("a generator");
        let draw = SourceDraw::new(&harness.context, &generator, COUNT, &buffer, 4 * BEFORE as u64).expect("a draw");
        generator.advance(&[COUNT as usize], Dtype::F32).expect("a draw");
        draw.set(&harness.gpu.queue, &generator).expect("a state");
        let found = drawn(harness, &draw, &buffer);
        assert!(agree(&found, &expected(&mut generator)), "{source:?}");
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let buffer = harness.gpu.buffer("noise", 40);
    let refused = |source: Source, count, offset| -> PlanError {
        let generator = source.generator(0).expect("a generator");
        SourceDraw::new(&harness.context, &generator, count, &buffer, offset).expect_err("a refusal")
    };
    let text = refused(Source::TorchCpu, 4, 0).to_string();
    assert!(text.contains("torch-cuda, nv, jax or jax-original") && text.contains("torch-cpu"), "{text}");
    assert!(matches!(refused(Source::Nv, 0, 0), PlanError::NoWords));
    assert!(matches!(refused(Source::Nv, 11, 0), PlanError::BufferTooSmall { .. }));
    assert!(matches!(refused(Source::Nv, 4, 2), PlanError::WordOffset { .. }));
}

//! Digits: that the loop is the library's, that a known part stays, and what happens where nothing can be written.

use crate::harness::{FORMAT, Harness, Test};
use ::digits::{Calls, Kernels, NO_CLASS, Network, Tensors, Times, Weights};
use tweedie::gpu::Noise;
use tweedie::headless::Gpu;
use tweedie::{Context, Guidance, Loop, NoiseKey, Quantity, Sampling, Shape, Tensor};
use tweedie_viewer::digits::{DigitsScene, solvers};
use tweedie_viewer::region::{Region, Stroke};
use tweedie_viewer::renderer::{ImageId, Renderer, Request};
use tweedie_viewer::solvers::Solver;
use tweedie_viewer::state::State;

pub const TESTS: &[Test] = &[
    ("digits::the_loop_is_the_library_s", the_loop_is_the_library_s),
    ("digits::every_solver_writes_a_digit", every_solver_writes_a_digit),
    ("digits::a_known_part_stays_and_the_rest_is_written", a_known_part_stays_and_the_rest_is_written),
    ("digits::what_is_erased_meanwhile_is_written_next", what_is_erased_meanwhile_is_written_next),
    ("digits::looking_back_computes_nothing", looking_back_computes_nothing),
    ("digits::a_frame_records_as_many_calls_as_it_may", a_frame_records_as_many_calls_as_it_may),
    ("digits::weights_may_come_later_or_never", weights_may_come_later_or_never),
    ("digits::a_device_that_is_too_small_is_told", a_device_that_is_too_small_is_told),
    ("digits::a_lost_device_is_no_panic", a_lost_device_is_no_panic),
];

const PIXELS: usize = 32 * 32;

/// A scene that does not take long.
fn scene() -> DigitsScene {
    DigitsScene { count: 2, steps: 6, ..State::default().digits() }
}

fn request(scene: &DigitsScene, wanted: usize, most: usize) -> Request {
    Request::Digits { scene: scene.clone(), wanted, most }
}

fn calls(scene: &DigitsScene) -> usize {
    scene.sampler().expect("a sampler").calls().len()
}

/// Writes digits to their end, in frames of so many calls.
fn write(harness: &Harness, renderer: &mut Renderer, scene: &DigitsScene, most: usize) -> Vec<Vec<f32>> {
    let calls = calls(scene);
    harness.frame(renderer, &request(scene, calls, most));
    while renderer.look().written < calls {
        assert!(harness.frame(renderer, &request(scene, calls, most)) > 0, "a frame without progress");
    }
    assert_eq!(renderer.look().trouble, None);
    (0..scene.count).map(|digit| harness.read(renderer, ImageId::Digit(digit, calls))).collect()
}

/// The largest difference of two loops whose steps are compiled apart, with a mask and without: roundings that six calls of
/// the network carry on. Another seed, class or guidance differs by more than 1.
const SAME: f32 = 2e-3;

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The same digits by the library's recorded loop, on buffers of its own and without a mask.
fn reference(harness: &Harness, scene: &DigitsScene) -> Vec<f32> {
    let gpu = &harness.gpu;
    let (context, kernels) = (Context::new(&gpu.device), Kernels::new(&gpu.device).expect("kernels"));
    let weights = Weights::trained(scene.predicts).expect("weights");
    let (sampler, shape) = (scene.sampler().expect("a sampler"), Shape::new(scene.count, PIXELS as u32));
    let of = |class| vec![class; scene.count as usize];
    let labels = [of(scene.class.unwrap_or(NO_CLASS)), of(NO_CLASS)].concat();
    let [x, input] = ["x", "input"].map(|label| gpu.buffer(label, 4 * shape.total()));
    let predictions = gpu.buffer("predictions", 8 * shape.total());
    let times: Vec<f32> = sampler.calls().iter().map(|call| call.timestep as f32).collect();
    let tensors = Tensors { x: &input, samples: scene.count, labels: &labels, prediction: &predictions };
    let network = Network::new(&kernels, &weights, tensors, Times::Shared(&times), Calls::Recorded).expect("a network");
    let (key, predicted) = (NoiseKey::seed(scene.seed), Tensor::f32(&predictions));
    let sampling = Sampling {
        guidance: Some(Guidance::new(predicted.at(4 * shape.total()), scene.guidance)),
        input: Some(Tensor::f32(&input)),
        ..Sampling::in_place(&sampler, shape, Tensor::f32(&x), predicted, Noise::drawn(key))
    };
    let whole = Loop::of_sampling(&context, &sampling, key, None).expect("a loop");
    let recorded = gpu.submit(|encoder| {
        whole.record(encoder, |encoder, call| -> Result<(), ::digits::DigitsError> {
            network.record(&mut encoder.begin_compute_pass(&Default::default()), call.index as u32)
        })
    });
    recorded.expect("a device").expect("a recording");
    bytemuck::pod_collect_to_vec(&pollster::block_on(gpu.download(&x, 0..x.size())).expect("readback"))
}

fn the_loop_is_the_library_s(harness: &Harness) {
    let solver = |name| Solver::find(name).expect(name);
    let scenes = [
        scene(),
        DigitsScene { predicts: Quantity::X0, guidance: 1.0, solver: solver("heun"), ..scene() },
        DigitsScene { predicts: Quantity::Epsilon, solver: solver("ddim"), stochasticity: 1.0, class: None, ..scene() },
    ];
    let mut renderer = harness.renderer();
    for scene in scenes {
        let found = write(harness, &mut renderer, &scene, 3).concat();
        let name = scene.solver.name();
        let off = difference(&found, &reference(harness, &scene));
        assert!(off < SAME, "{name}: {off}");
        let other = DigitsScene { seed: scene.seed + 1, ..scene };
        assert!(difference(&found, &reference(harness, &other)) > 0.5, "{name}: the comparison must be able to fail");
    }
}

/// The least part of a digit that is black or white, and the least and the largest part of it that is ink. Noise has less of
/// the first and more of the second, an empty picture has no ink.
const DECIDED: f64 = 0.7;
const INK: f64 = 0.03;
const MOST_INK: f64 = 0.4;

fn every_solver_writes_a_digit(harness: &Harness) {
    let mut renderer = harness.renderer();
    let mut failed = Vec::new();
    for solver in solvers() {
        let scene = DigitsScene { solver, count: 1, steps: 12, class: Some(7), ..scene() };
        let digit = &write(harness, &mut renderer, &scene, 8)[0];
        let part = |is: fn(f32) -> bool| digit.iter().filter(|value| is(**value)).count() as f64 / PIXELS as f64;
        let (decided, ink) = (part(|value| (0.8..1.01).contains(&value.abs())), part(|value| value > 0.5));
        if decided < DECIDED || !(INK..MOST_INK).contains(&ink) {
            failed.push(format!("{}: {decided:.2} decided, {ink:.2} ink", solver.name()));
        }
        let start = harness.read(&renderer, ImageId::Digit(0, 0));
        assert!(start.iter().all(|value| value.is_finite()) && difference(&start, digit) > 1.0);
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// A digit of class 3 with its lower half erased.
fn half_erased(harness: &Harness, renderer: &mut Renderer) -> Region {
    let digit = &write(harness, renderer, &DigitsScene { class: Some(3), ..scene() }, 6)[0];
    let mut region = Region::of(digit).expect("a digit");
    region.erase(&Stroke { ends: [[0.0, 24.0], [32.0, 24.0]], radius: 8.0 });
    region
}

/// Rounding of `known + (1 - mask)*(x - known)` in f32.
const KEPT: f32 = 1e-6;

fn a_known_part_stays_and_the_rest_is_written(harness: &Harness) {
    let mut renderer = harness.renderer();
    let region = half_erased(harness, &mut renderer);
    assert!(renderer.find(ImageId::Erased).is_none());
    let erased: Vec<usize> = region.erased().collect();
    assert_eq!(erased.len(), PIXELS / 2);
    for solver in ["dpm++", "euler", "repaint"] {
        let solver = Solver::find(solver).expect(solver);
        let free = DigitsScene { solver, class: Some(8), seed: 5, region: None, ..scene() };
        let masked = DigitsScene { region: Some(region.clone()), ..free.clone() };
        let without = write(harness, &mut renderer, &free, 6);
        let digits = write(harness, &mut renderer, &masked, 6);
        let parts = |digit: &[f32], known: bool| -> Vec<f32> {
            (0..PIXELS).filter(|pixel| erased.contains(pixel) != known).map(|pixel| digit[pixel]).collect()
        };
        for (digit, without) in digits.iter().zip(&without) {
            let name = solver.name();
            assert!(difference(&parts(digit, true), &parts(region.digit(), true)) < KEPT, "{name}: it did not stay");
            assert!(difference(&parts(without, true), &parts(region.digit(), true)) > 0.5, "{name}");
            assert!(difference(&parts(digit, false), &parts(region.digit(), false)) > 0.5, "{name}: not written");
        }
        assert!(difference(&digits[0], &digits[1]) > 0.5, "each digit is written by itself");
        // What is shown of it: NaN where it is erased.
        let left = harness.read(&renderer, ImageId::Erased);
        assert!((0..PIXELS).all(|pixel| left[pixel].is_nan() == erased.contains(&pixel)));
    }
}

fn what_is_erased_meanwhile_is_written_next(harness: &Harness) {
    let mut renderer = harness.renderer();
    let region = half_erased(harness, &mut renderer);
    let free = DigitsScene { seed: 9, ..scene() };
    let masked = DigitsScene { region: Some(region), ..free.clone() };
    let all = calls(&free);
    let last = |renderer: &Renderer| harness.read(renderer, ImageId::Digit(0, all));
    let whole = write(harness, &mut harness.renderer(), &free, all);
    harness.frame(&mut renderer, &request(&free, all, 2));
    assert_eq!(renderer.look().written, 2);
    // The loop goes on as it began ...
    while renderer.look().written < all {
        harness.frame(&mut renderer, &request(&masked, all, 2));
    }
    assert!(last(&renderer) == whole[0] && renderer.find(ImageId::Erased).is_none());
    // ... and the next one knows of it.
    harness.frame(&mut renderer, &request(&masked, all, 2));
    assert_eq!(renderer.look().written, 2);
    assert!(renderer.find(ImageId::Erased).is_some());
    let found = write(harness, &mut renderer, &masked, 2);
    assert!(found == write(harness, &mut harness.renderer(), &masked, all));
    assert!(found != whole);
    // Another seed does not wait.
    harness.frame(&mut renderer, &request(&DigitsScene { seed: 1, ..masked.clone() }, all, 2));
    harness.frame(&mut renderer, &request(&DigitsScene { seed: 2, ..masked }, all, 2));
    assert_eq!(renderer.look().written, 2);
}

fn looking_back_computes_nothing(harness: &Harness) {
    let (mut renderer, scene) = (harness.renderer(), scene());
    let all = calls(&scene);
    write(harness, &mut renderer, &scene, all);
    let seen: Vec<_> = (0..=all).map(|call| harness.read(&renderer, ImageId::Digit(1, call))).collect();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    for call in [0, 3, all, 2] {
        assert_eq!(harness.frame(&mut renderer, &request(&scene, call, 1)), 0);
        assert_eq!(harness.read(&renderer, ImageId::Digit(1, call)), seen[call], "call {call}");
    }
    // A digit that is not finished is shown as far as it is.
    let mut slow = harness.renderer();
    harness.frame(&mut slow, &request(&scene, 2, 1));
    assert_eq!(harness.read(&slow, ImageId::Digit(1, all)), seen[1]);
    assert!(slow.find(ImageId::Digit(2, 0)).is_none(), "there are two digits");
}

fn a_frame_records_as_many_calls_as_it_may(harness: &Harness) {
    let (mut renderer, scene) = (harness.renderer(), scene());
    let all = calls(&scene);
    for written in [2, 4, 6, 6] {
        harness.frame(&mut renderer, &request(&scene, all, 2));
        assert_eq!(renderer.look().written, written);
    }
    let guided = harness.frame(&mut renderer, &request(&DigitsScene { seed: 3, ..scene.clone() }, 1, 1));
    assert!(guided > 0 && renderer.look().written == 1);
    assert_eq!(renderer.look().digits, scene.count);
}

fn weights_may_come_later_or_never(harness: &Harness) {
    let mut waiting = harness.renderer_with(|_| None);
    assert_eq!(harness.frame(&mut waiting, &request(&scene(), 6, 6)), 0);
    let status = waiting.look();
    assert!(status.waiting && status.pending && status.trouble.is_none(), "{status:?}");
    // Whoever looks at something else does not wait.
    harness.frame(&mut waiting, &Request::Plane(crate::harness::small().plane()));
    assert!(!waiting.look().waiting);
    let mut broken = harness.renderer_with(|_| Some(Weights::read(b"text")));
    assert_eq!(harness.frame(&mut broken, &request(&scene(), 6, 6)), 0);
    let trouble = broken.look().trouble.expect("a reason");
    assert!(trouble.contains("safetensors"), "{trouble}");
}

fn a_device_that_is_too_small_is_told(harness: &Harness) {
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..harness.gpu.device.limits() };
    let adapters = pollster::block_on(Gpu::adapters());
    let same = adapters.iter().find(|adapter| adapter.get_info() == harness.gpu.info).expect("the adapter");
    let small = pollster::block_on(Gpu::with_limits(same, limits)).expect("a device");
    let mut renderer = Renderer::new(&small.device, &small.queue, FORMAT, |quantity| Some(Weights::trained(quantity)));
    let recorded = small.submit(|encoder| renderer.record(encoder, &request(&scene(), 6, 6)));
    recorded.expect("a device");
    let trouble = renderer.look().trouble.expect("a reason");
    assert!(trouble.contains("storage buffers"), "{trouble}");
}

fn a_lost_device_is_no_panic(_: &Harness) {
    let which = std::env::var("TWEEDIE_ADAPTER").ok();
    let gpu = pollster::block_on(Gpu::open(which.as_deref())).expect("a device");
    let mut renderer = Renderer::new(&gpu.device, &gpu.queue, FORMAT, |quantity| Some(Weights::trained(quantity)));
    gpu.submit(|encoder| renderer.record(encoder, &request(&scene(), 6, 2))).expect("a device");
    gpu.device.destroy();
    // The loop goes on, and a frame asks for other digits: nothing comes of either.
    for seed in [1, 2] {
        let scene = DigitsScene { seed, count: 1 + seed as u32, ..scene() };
        assert!(gpu.submit(|encoder| renderer.record(encoder, &request(&scene, 6, 2))).is_err());
    }
    renderer.want(ImageId::Digit(0, 0));
    let _ = gpu.submit(|encoder| renderer.record(encoder, &request(&scene(), 6, 2)));
    let _ = renderer.look();
    let _ = renderer.wanted();
}

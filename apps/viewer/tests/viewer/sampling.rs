//! Trajectories: where they begin, what the network predicts, where they end, and that looking back changes nothing.

use crate::harness::{Harness, Test, small, wide};
use networks::{Ask, Mixture};
use pictures::Set;
use std::sync::Arc;
use tweedie::NoiseKey;
use tweedie::Quantity;
use tweedie_viewer::renderer::{ImageId, Renderer, Request};
use tweedie_viewer::solvers::Solver;
use tweedie_viewer::trajectory::RunScene;

pub const TESTS: &[Test] = &[
    ("sampling::every_solver_ends_on_a_picture", every_solver_ends_on_a_picture),
    ("sampling::previews_are_the_ideal_denoiser", previews_are_the_ideal_denoiser),
    ("sampling::looking_back_computes_nothing", looking_back_computes_nothing),
    ("sampling::an_error_and_a_seed_change_the_way", an_error_and_a_seed_change_the_way),
    ("sampling::a_strength_begins_with_a_picture", a_strength_begins_with_a_picture),
    ("sampling::what_does_not_exist_is_told", what_does_not_exist_is_told),
];

/// The least likeness in decibels at which a sample counts as landed; see the tool's `sample`.
const LANDED: f64 = 50.0;

/// Samplers that weight the last slopes as if all steps were equally long, and the likeness that they reach in ten steps.
const FIXED_WEIGHTS: [&str; 3] = ["pndm", "f-pndm", "ipndm"];
const NEAR: f64 = 18.0;

/// A sampler that ends at the last sigma of its grid above 0, as in ComfyUI: that noise is left, in ten steps 15 dB below the
/// picture.
const NOISY_AT_THE_END: (&str, f64) = ("ComfyUI dpm_fast", 14.0);

/// The side of the pictures: enough to tell them apart, quick on any device.
const SIDE: u32 = 24;

fn solver(name: &str) -> Solver {
    Solver::find(name).expect(name)
}

fn scene(solver: Solver, steps: usize) -> RunScene {
    RunScene {
        set: Arc::new(Set::open(&[], SIDE).expect("posters")),
        solver,
        steps,
        stochasticity: solver.stochasticity().map_or(0.0, |(_, most)| 0.5 * most),
        ..small().run()
    }
}

/// Runs a trajectory to its end and returns the number of its calls.
fn run(harness: &Harness, renderer: &mut Renderer, scene: &RunScene) -> usize {
    let calls = scene.course().expect("a loop").calls().len();
    harness.frame(renderer, &Request::Run(scene.clone(), 0));
    while renderer.look().done < calls {
        assert!(harness.frame(renderer, &Request::Run(scene.clone(), calls)) > 0, "a frame without progress");
    }
    calls
}

fn every_solver_ends_on_a_picture(harness: &Harness) {
    let mut renderer = harness.renderer();
    let mut missed = Vec::new();
    for solver in Solver::all() {
        let landed = match solver.name() {
            name if name == NOISY_AT_THE_END.0 => NOISY_AT_THE_END.1,
            name if FIXED_WEIGHTS.contains(&name) => NEAR,
            _ => LANDED,
        };
        let scene = scene(solver, 10);
        let calls = run(harness, &mut renderer, &scene);
        for sample in 0..renderer.look().samples {
            let end = harness.read(&renderer, ImageId::Sample(sample, calls));
            let nearest = scene.set.nearest(&end);
            if nearest.psnr < landed {
                missed.push(format!("{}: {:.1} dB", solver.name(), nearest.psnr));
            }
            let start = harness.read(&renderer, ImageId::Sample(sample, 0));
            assert!(scene.set.nearest(&start).psnr < landed.min(NEAR), "it began there");
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The shares of pictures are exponentials of distances that are summed in f32; where two pictures have a share, the rounding
/// of these sums shows. A wrong picture would be off by 1.
const DENOISED: f64 = 1e-2;

fn previews_are_the_ideal_denoiser(harness: &Harness) {
    let (mut renderer, scene) = (harness.renderer(), scene(solver("ddim"), 8));
    run(harness, &mut renderer, &scene);
    let mixture = Mixture::pictures(scene.set.elements(), &scene.set.numbers());
    let start = harness.read(&renderer, ImageId::Sample(1, 0));
    let noise = NoiseKey::seed(scene.seed).stream(u32::MAX).first_sample(1).reference(1, start.len());
    assert!(start.iter().zip(&noise).all(|(&x, z)| (f64::from(x) - z).abs() < 2.0 * NoiseKey::TOLERANCE));
    for (k, call) in scene.course().expect("a loop").calls().iter().enumerate() {
        let x = wide(&harness.read(&renderer, ImageId::Sample(1, k)));
        let expected = mixture.answer(&Ask::new(Quantity::X0, call.level.alpha(), call.level.sigma()), &x);
        let found = harness.read(&renderer, ImageId::Preview(1, k));
        let near = |(a, b): &(&f32, f64)| (f64::from(**a) - b).abs() < DENOISED;
        let far = found.iter().zip(expected).find(|pair| !near(pair));
        assert_eq!(far, None, "call {k}");
    }
}

fn looking_back_computes_nothing(harness: &Harness) {
    let scene = scene(solver("dpm++"), 12);
    let mut renderer = harness.renderer();
    let calls = run(harness, &mut renderer, &scene);
    let status: Vec<_> = (0..=calls).map(|k| harness.read(&renderer, ImageId::Sample(0, k))).collect();
    assert!(status.windows(2).all(|pair| pair[0] != pair[1]));
    for k in [0, 5, calls, 3] {
        assert_eq!(harness.frame(&mut renderer, &Request::Run(scene.clone(), k)), 0);
        assert_eq!(harness.read(&renderer, ImageId::Sample(0, k)), status[k], "call {k}");
    }
    // One call a frame gives the same as many.
    let mut slow = harness.renderer();
    for (k, before) in status.iter().enumerate() {
        harness.frame(&mut slow, &Request::Run(scene.clone(), k));
        assert_eq!(slow.look().done, k);
        assert_eq!(&harness.read(&slow, ImageId::Sample(0, k)), before, "call {k}");
        assert!(slow.find(ImageId::Sample(0, k + 1)).is_none() && slow.find(ImageId::Preview(0, k)).is_none());
    }
}

fn an_error_and_a_seed_change_the_way(harness: &Harness) {
    let plain = scene(solver("euler"), 10);
    let mut renderer = harness.renderer();
    let calls = run(harness, &mut renderer, &plain);
    let middle = |renderer: &Renderer| harness.read(renderer, ImageId::Sample(0, calls / 2));
    let first = middle(&renderer);

    run(harness, &mut renderer, &RunScene { seed: plain.seed + 1, ..plain.clone() });
    assert_ne!(middle(&renderer), first);

    run(harness, &mut renderer, &RunScene { error: 0.3, ..plain.clone() });
    assert_ne!(middle(&renderer), first);
    let end = harness.read(&renderer, ImageId::Sample(0, calls));
    assert!(plain.set.nearest(&end).psnr < LANDED, "a network that errs does not end on a picture");

    run(harness, &mut renderer, &plain);
    assert_eq!(middle(&renderer), first, "a seed repeats");
}

/// With a strength below 1 each sample begins with a picture of the set, noised to the level of its first call, and ends on it.
fn a_strength_begins_with_a_picture(harness: &Harness) {
    let whole = scene(solver("ddim"), 20);
    let weak = RunScene { strength: 0.3, ..whole.clone() };
    let mut renderer = harness.renderer();
    let calls = run(harness, &mut renderer, &weak);
    assert_eq!(calls, 6);
    for sample in 0..2 {
        let read = |call| harness.read(&renderer, ImageId::Sample(sample, call));
        let (begin, end) = (weak.set.nearest(&read(0)), weak.set.nearest(&read(calls)));
        assert_eq!((begin.member, end.member), (sample as usize, sample as usize), "sample {sample}");
        assert!(begin.psnr < LANDED && end.psnr > LANDED, "sample {sample}: {} then {}", begin.psnr, end.psnr);
    }
    let begin = harness.read(&renderer, ImageId::Sample(0, 0));
    run(harness, &mut renderer, &whole);
    assert_ne!(harness.read(&renderer, ImageId::Sample(0, 0)), begin, "noise alone");
    // A strength that leaves no step is an error.
    let none = RunScene { strength: 0.01, ..whole };
    assert!(none.course().is_err(), "no step is left");
}

fn what_does_not_exist_is_told(harness: &Harness) {
    let mut scene = scene(solver("ddim"), 10);
    (scene.schedule.zero_terminal_snr, scene.predicts) = (true, Quantity::Epsilon);
    let mut renderer = harness.renderer();
    assert_eq!(harness.frame(&mut renderer, &Request::Run(scene.clone(), 1)), 0);
    assert!(renderer.look().trouble.expect("a reason").contains("epsilon"));
    scene.predicts = Quantity::V;
    assert!(harness.frame(&mut renderer, &Request::Run(scene, 1)) > 0);
    assert_eq!(renderer.look().trouble, None);
}

//! Runs that cannot be recorded as a loop, and the errors that say so.

use crate::harness::Harness;
use crate::loop_scene::{SMALL, Scene, small_data, small_run};
use tweedie::math::Guider;
use tweedie::math::run::{Node, Run, RunGuidance, RunInputs, RunModel};
use tweedie::{Loop, LoopMask, LoopNoise, LoopTensors, NoiseKey, Tensor};

pub const TESTS: &[crate::Test] =
    &[("loop_refusals::what_cannot_be_recorded_is_refused", what_cannot_be_recorded_is_refused)];

const fn same(tensors: LoopTensors<'_>) -> LoopTensors<'_> {
    tensors
}

fn what_cannot_be_recorded_is_refused(harness: &Harness) {
    let data = small_data();
    let refused = |run: Run, change: &dyn Fn(LoopTensors<'_>) -> LoopTensors<'_>, noise: LoopNoise<'_>| {
        let planned = run.plan().expect("a plan");
        let scene = Scene::new(harness, &planned, SMALL, &data);
        // A loop must not borrow the caller's noise here, so any noise but none becomes one that is drawn in kernels.
        let noise = match noise {
            LoopNoise::None => LoopNoise::None,
            _ => LoopNoise::Drawn(NoiseKey::seed(1)),
        };
        let result = Loop::new(&harness.context, &planned, SMALL, &change(scene.tensors()), noise);
        result.map(drop).expect_err("a refusal").to_string()
    };
    let drawn = || LoopNoise::Drawn(NoiseKey::seed(1));
    let adaptive = refused(small_run("dpm_adaptive"), &same, drawn());
    assert!(
        adaptive.starts_with("dpm_adaptive") && adaptive.ends_with("use Loop::adaptive or math::run::HostLoop"),
        "{adaptive}"
    );
    let without_input = refused(small_run("euler"), &|it| LoopTensors { input: None, ..it }, drawn());
    assert_eq!(without_input, "expected `input`, found none: the network is given the sample in another scale");
    let guided = || Run { guidance: Some(RunGuidance::Scale(2.0)), ..small_run("euler") };
    let alone = refused(guided(), &|it| LoopTensors { unconditional: None, ..it }, drawn());
    assert_eq!(alone, "expected `unconditional`, found none: the guidance or the sampler of the run needs it");
    assert_eq!(
        refused(small_run("euler"), &same, LoopNoise::None),
        "expected `start`, found none: the run starts with noise"
    );
    let quiet = Run { add_noise: false, ..small_run("euler_ancestral") };
    let steps = refused(quiet, &same, LoopNoise::None);
    assert_eq!(steps, "expected `steps`, found none: the sampler of the run draws noise between its steps");
    let clipped = Run { options: vec![("noise_clip_std".to_owned(), 2.0.into())], ..small_run("lcm") };
    let clipped = refused(clipped, &same, drawn());
    assert_eq!(clipped, "noise that is clipped by its deviation cannot be recorded in this loop: use LoopNoise::Host");
    let norm = Guider::CATALOGUE.find("cfg-norm").and_then(|entry| entry.build(&[])).expect("a guider");
    let kind = RunGuidance::Kind { node: Node::named("cfg-norm"), guider: Box::new(norm) };
    let compared = || Run { guidance: Some(kind.clone()), ..small_run("euler") };
    assert_eq!(
        refused(compared(), &same, drawn()),
        "expected `dims`, found none: the guider compares channels, positions or samples"
    );
    let short = refused(compared(), &|it| LoopTensors { dims: Some(&[2, 5, 3]), ..it }, drawn());
    assert_eq!(short, "dims: expected [2, ...] with 20 elements in each sample, found [2, 5, 3]");
    let other = refused(compared(), &|it| LoopTensors { dims: Some(&[1, 40]), ..it }, drawn());
    assert_eq!(other, "dims: expected [2, ...] with 20 elements in each sample, found [1, 40]");
    let hostile = refused(compared(), &|it| LoopTensors { dims: Some(&[2, usize::MAX, usize::MAX]), ..it }, drawn());
    assert!(hostile.starts_with("dims: expected [2, ...] with 20 elements"), "{hostile}");
    let levels = Guider::CATALOGUE.find("fdg").and_then(|entry| entry.build(&[])).expect("a guider");
    let kind = RunGuidance::Kind { node: Node::named("fdg"), guider: Box::new(levels) };
    let levels = Run { guidance: Some(kind), ..small_run("euler") };
    let video = refused(levels, &|it| LoopTensors { dims: Some(&[2, 1, 1, 4, 5]), ..it }, drawn());
    assert!(video.contains("all but the last of 2 levels") && video.ends_with("found [2, 1, 1, 4, 5]"), "{video}");
    let short = refused(small_run("euler"), &|it| LoopTensors { mask: Some(LoopMask::Host(&[1.0; 3])), ..it }, drawn());
    assert_eq!(short, "mask: expected 40 numbers for the loop's shape, found 3");
    let planned = Run { flip_sigmas: true, ..small_run("euler") };
    let flow = Run { model: Some(RunModel::named("flow3").expect("a model")), ..planned };
    let endless = refused(flow, &same, drawn());
    assert!(endless.starts_with("a flow that ends at pure noise"), "{endless}");
    let planned = small_run("euler").plan().expect("a plan");
    let noise = planned.noise(&RunInputs { shape: &[1, 3], ..RunInputs::default() }).expect("noise");
    let scene = Scene::new(harness, &planned, SMALL, &data);
    let other =
        Loop::new(&harness.context, &planned, SMALL, &scene.tensors(), noise).map(drop).expect_err("other noise");
    assert_eq!(other.to_string(), "noise: expected 40 numbers for the loop's shape, found 3");
    let short = harness.gpu.buffer("input", 160);
    let tensors = LoopTensors { is_twice: true, input: Some(Tensor::f32(&short)), ..scene.tensors() };
    let twice = Loop::new(&harness.context, &planned, SMALL, &tensors, NoiseKey::seed(1)).map(drop).expect_err("room");
    assert_eq!(twice.to_string(), "input: expected a buffer of at least 320 bytes, found 160");
}

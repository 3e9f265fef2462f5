//! Recorded loops: noise in every form, guiders and masks, what a loop tells the network, how it stops and goes on, and that
//! recording waits for nothing.

use crate::harness::{Harness, harness_with_limits};
use crate::loop_scene::{SMALL, Scene, small_data, small_inputs, small_run, upload};
use crate::support::loops::deviation;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tweedie::error::LoopError;
use tweedie::gpu::Inpainting;
use tweedie::math::Guider;
use tweedie::math::Recipe;
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::run::{Node, Run, RunGrid, RunGuidance, RunInputs, RunModel};
use tweedie::{
    Error, Guidance, Loop, LoopMask, LoopNoise, LoopTensors, Model, Noise, NoiseKey, Recording, Sampler, Sampling,
    Storage, Tensor,
};

pub const TESTS: &[crate::Test] = &[
    ("loops::nothing_waits_inside_a_loop", nothing_waits_inside_a_loop),
    ("loops::noise_of_every_form_is_the_same_run", noise_of_every_form_is_the_same_run),
    ("loops::a_run_goes_on_from_what_was_kept", a_run_goes_on_from_what_was_kept),
    ("loops::a_network_is_told_its_numbers", a_network_is_told_its_numbers),
    ("loops::a_network_may_stop_the_loop", a_network_may_stop_the_loop),
    ("loops::guiders_and_masks_in_tensors", guiders_and_masks_in_tensors),
    ("loops::two_schedules_at_once", two_schedules_at_once),
    ("loops::differential_masks_are_those_of_the_host", differential_masks_are_those_of_the_host),
    ("loops::a_run_that_adds_no_noise_keeps_its_region_clean", a_run_that_adds_no_noise_keeps_its_region_clean),
    ("loops::a_run_of_nothing_is_its_latent_image", a_run_of_nothing_is_its_latent_image),
    ("loops::a_sampler_is_the_loop_of_its_plans", a_sampler_is_the_loop_of_its_plans),
];

/// Submitted work is reported as done only when somebody polls or submits, and recording does neither.
fn nothing_waits_inside_a_loop(harness: &Harness) {
    // A device of its own, on which no other test submits or polls.
    let harness = &harness_with_limits(harness, harness.gpu.device.limits());
    let (data, mask, image) = (small_data(), [0.5; 40], [0.25; 40]);
    let latent = upload(harness, &image);
    let guided = RunGuidance::Scale(5.0);
    for (sampler, is_masked) in [("dpmpp_sde", false), ("uni_pc", false), ("heunpp2", true)] {
        let planned = Run { guidance: Some(guided.clone()), ..small_run(sampler) }.plan().expect("a plan");
        let scene = Scene::new(harness, &planned, SMALL, &data);
        let mask = is_masked.then_some(LoopMask::Host(&mask));
        let tensors = LoopTensors { latent_image: Some(Tensor::f32(&latent)), mask, ..scene.tensors() };
        let recorded = scene.recorded(&tensors, planned.noise(&small_inputs()).expect("noise"));
        let networks = scene.networks(&recorded, scene.apart());
        let gpu = &harness.gpu;
        gpu.wait().expect("device");
        let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        // A submit polls, so the events are asked for after it. What that itself submits is counted once without a loop.
        let watch = || {
            let [done, mapped] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let before = number(&gpu.queue.submit([]));
            let seen = Arc::clone(&done);
            gpu.queue.on_submitted_work_done(move || seen.store(true, Ordering::SeqCst));
            let seen = Arc::clone(&mapped);
            staging.slice(..).map_async(wgpu::MapMode::Read, move |_| seen.store(true, Ordering::SeqCst));
            (before, move || [&done, &mapped].map(|event| event.load(Ordering::SeqCst)))
        };
        let (before, _) = watch();
        let alone = number(&gpu.queue.submit([])) - before;
        gpu.wait().expect("device");
        staging.unmap();
        let (before, events) = watch();
        let already = events();
        assert!(!already[1], "{sampler}: the mapping is done, so that nothing can show a poll");
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        let recorded = recorded.record(&mut encoder, |encoder, call| -> Result<(), Error> {
            networks.iter().for_each(|network| network.record(encoder, call.index));
            Ok(())
        });
        recorded.expect("a recording");
        assert_eq!(events(), already, "{sampler}: something was polled while the loop was recorded");
        let commands = encoder.finish();
        let after = number(&gpu.queue.submit([]));
        assert_eq!(after, before + alone, "{sampler}: something was submitted while it was recorded");
        gpu.queue.submit([commands]);
        gpu.wait().expect("device");
        assert_eq!(events(), [true; 2], "the events must be seen after a poll");
        assert!(scene.read(&scene.x).iter().all(|x| x.is_finite()), "{sampler}");
    }
}

/// Returns the number of a submission, from its `Debug` text.
fn number(index: &wgpu::SubmissionIndex) -> u64 {
    let text = format!("{index:?}");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("a submission without a number: {text}"))
}

/// Noise that kernels draw, the same numbers from the host, and the same in tensors that the application fills, give the same run.
fn noise_of_every_form_is_the_same_run(harness: &Harness) {
    let key = NoiseKey::seed(5).stream(7);
    let draws = |stream: u32| key.stream(stream).reference(2, 20);
    let [start, known] = [draws(6), draws(5)];
    let (mask, image, data) = ([1.0, 0.0, 0.25, 1.0].repeat(10), [0.5; 40], small_data());
    let latent = upload(harness, &image);
    let churned = |run: Run| Run { options: vec![("s_churn".to_owned(), 3.0.into())], ..run };
    let runs = [
        (small_run("dpmpp_sde"), false),
        (small_run("seeds_3"), true),
        (small_run("euler_ancestral"), false),
        (churned(small_run("euler")), false),
        (churned(small_run("ddim")), true),
    ];
    let mut refused = Vec::new();
    for (run, is_masked) in runs {
        let name = run.sampler.clone().expect("a name");
        let planned = Run { seed: None, ..run }.plan().expect("a plan");
        let noises: Vec<f64> = (0..planned.draws() as u32).flat_map(|draw| draws(7 + draw)).collect();
        let anew = planned.redraws_known_noise();
        let inputs = RunInputs {
            noise: Some(&start),
            noises: &noises,
            latent_image: Some(&image),
            mask: is_masked.then_some(&mask[..]),
            inpaint_noise: anew.then_some(&known[..]),
            ..small_inputs()
        };
        let scene = Scene::new(harness, &planned, SMALL, &data);
        let mask = inputs.mask.map(LoopMask::Host);
        let tensors = LoopTensors { latent_image: Some(Tensor::f32(&latent)), mask, ..scene.tensors() };
        let host = scene.run(&scene.recorded(&tensors, planned.noise(&inputs).expect("noise")));
        let exact = scene.on_host(&inputs);
        // Samples are up to 20 and noise is drawn to 2e-6, and the network corrects most of that.
        let near = |found: &[f64]| deviation(found, &exact) < 2e-5;
        assert!(near(&host), "{name} from the host: {:.1e}", deviation(&host, &exact));
        let drawn = scene.run(&scene.recorded(&tensors, key));
        assert!(near(&drawn), "{name} drawn in kernels: {:.1e}", deviation(&drawn, &exact));
        let other = scene.run(&scene.recorded(&tensors, NoiseKey::seed(6)));
        assert!(deviation(&other, &exact) > 1e-2, "{name}: another seed");
        // Tensors, which the application fills before each call that draws.
        let [first, region] = [&start, if anew { &known } else { &start }].map(|noise| upload(harness, noise));
        let (all, step) = (upload(harness, &noises), harness.gpu.buffer("step", 160));
        let [start, known, steps] = [&first, &region, &step].map(|buffer| Some(Tensor::f32(buffer)));
        let noise = LoopNoise::Tensors { start, known, steps };
        let recorded = match Loop::new(&harness.context, &planned, SMALL, &tensors, noise) {
            Ok(recorded) => recorded,
            Err(Error::Loop(LoopError::Unsupported { what, .. })) => {
                refused.push(what);
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let networks = scene.networks(&recorded, scene.apart());
        let record = |encoder: &mut wgpu::CommandEncoder| {
            recorded.record(encoder, |encoder, call| -> Result<(), Error> {
                networks.iter().for_each(|network| network.record(encoder, call.index));
                if let Some(draw) = call.draw {
                    encoder.copy_buffer_to_buffer(&all, 160 * draw as u64, &step, 0, 160);
                }
                Ok(())
            })
        };
        harness.gpu.submit(record).expect("device").expect("a recording");
        let found = scene.read(&scene.x);
        assert!(near(&found), "{name} in tensors: {:.1e}", deviation(&found, &exact));
    }
    let churn = "churn before the first call with noise from a tensor";
    assert_eq!(refused, ["a step with two noises from a tensor", churn, churn]);
}

/// A run that stops after some calls, and goes on in other buffers from copies of its state.
fn a_run_goes_on_from_what_was_kept(harness: &Harness) {
    let data = small_data();
    for sampler in ["dpmpp_2m", "sa_solver", "dpmpp_3m_sde"] {
        let planned = small_run(sampler).plan().expect("a plan");
        let noise = || planned.noise(&small_inputs()).expect("noise");
        let scene = Scene::new(harness, &planned, SMALL, &data);
        let whole = scene.run(&scene.recorded(&scene.tensors(), noise()));
        let depth = planned.rows().iter().map(tweedie::table::StepRow::depth).max().unwrap_or(0) as u64;
        let memory = || harness.gpu.buffer("memory", 160 * depth);
        let run_part = |scene: &Scene<'_>, memory: &wgpu::Buffer, calls: std::ops::Range<usize>| {
            let memory = (depth > 0).then(|| Tensor::f32(memory));
            let recorded = scene.recorded(&LoopTensors { memory, ..scene.tensors() }, noise());
            let networks = scene.networks(&recorded, scene.apart());
            let record = |encoder: &mut wgpu::CommandEncoder| -> Result<(), Error> {
                if calls.start == 0 {
                    recorded.record_start(encoder)?;
                }
                calls.clone().try_for_each(|k| {
                    recorded.record_call(encoder, k, |encoder, call| -> Result<(), Error> {
                        assert_eq!((call.index, call.calls), (k, recorded.calls()));
                        networks.iter().for_each(|network| network.record(encoder, call.index));
                        Ok(())
                    })
                })
            };
            harness.gpu.submit(record).expect("device").expect("a recording");
            recorded.calls()
        };
        let kept = memory();
        let calls = run_part(&scene, &kept, 0..4);
        let there = Scene::new(harness, &planned, SMALL, &data);
        let elsewhere = memory();
        let copy = |encoder: &mut wgpu::CommandEncoder| {
            for (from, to) in [(&scene.x, &there.x), (&scene.input, &there.input), (&kept, &elsewhere)] {
                encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
            }
        };
        harness.gpu.submit(copy).expect("device");
        run_part(&there, &elsewhere, 4..calls);
        assert_eq!(there.read(&there.x), whole, "{sampler}");
        assert_ne!(scene.read(&scene.x), whole, "{sampler}: the first part alone");
    }
}

fn a_network_is_told_its_numbers(harness: &Harness) {
    let (planned, data) = (small_run("heun").plan().expect("a plan"), small_data());
    let scene = Scene::new(harness, &planned, SMALL, &data);
    let recorded = scene.recorded(&scene.tensors(), planned.noise(&small_inputs()).expect("noise"));
    let asked: Vec<_> = planned.calls().iter().zip(planned.asks()).filter(|(_, asks)| **asks).collect();
    for (k, (call, _)) in asked.iter().enumerate() {
        let told = recorded.call(k).expect("a call");
        assert_eq!((told.index, told.step, told.told, told.input), (k, call.step, call.timestep, call.input));
        assert_eq!((told.sigma, told.asks, told.draw), (planned.call_sigmas()[k], [false; 3], None));
        assert!(told.offset.is_multiple_of(256));
        let bytes = harness.read(told.values);
        let numbers = Storage::F32.decode(&bytes[told.offset as usize..][..4 * (4 + 2 * 2)]);
        let [t, sigma, input] = [told.told, told.sigma, told.input].map(|number| number as f32);
        assert_eq!(numbers, [t, sigma, input, 0.0, t, t, t, t]);
    }
    assert!(recorded.call(asked.len()).is_none());
}

fn a_network_may_stop_the_loop(harness: &Harness) {
    let (planned, data) = (small_run("euler").plan().expect("a plan"), small_data());
    let scene = Scene::new(harness, &planned, SMALL, &data);
    let recorded = scene.recorded(&scene.tensors(), planned.noise(&small_inputs()).expect("noise"));
    let mut seen = Vec::new();
    let record = |encoder: &mut wgpu::CommandEncoder| {
        recorded.record(encoder, |_, call| {
            seen.push(call.index);
            if call.index == 2 { Err(anyhow::anyhow!("enough")) } else { Ok(()) }
        })
    };
    let stopped = harness.gpu.submit(record).expect("device").expect_err("the network's own error");
    assert_eq!((stopped.to_string().as_str(), &seen[..]), ("enough", &[0, 1, 2][..]));
    let mut encoder = harness.gpu.device.create_command_encoder(&Default::default());
    let beyond = recorded.before_call(&mut encoder, 6).expect_err("six calls");
    assert_eq!(beyond, Error::Loop(LoopError::Call { calls: 6, found: 6 }));
    assert_eq!(beyond.to_string(), "expected a call below 6, found 6");
    assert!(recorded.after_call(&mut encoder, 6).is_err());
}

/// A rounding of f32 in a sample of 40 is 2.4e-6, and a guidance of 7.5 makes it 7.5 times as large. The roundings of a few calls
/// remain.
const GUIDED: f64 = 5e-5;

/// Guiders by name, and a mask in a tensor, against the same on the host.
fn guiders_and_masks_in_tensors(harness: &Harness) {
    let data = small_data();
    let (mask, image) = ([1.0, 0.0, 0.25, 1.0].repeat(10), [0.5; 40]);
    let (latent, known) = (upload(harness, &image), upload(harness, &mask));
    const GUIDERS: [(&str, &[(&str, f64)]); 11] = [
        ("apg", &[("guidance_scale", 7.5), ("adaptive_projected_guidance_momentum", -0.5)]),
        ("cfg-zero-star", &[("guidance_scale", 4.0)]),
        // It mixes v, so its mixture is converted back to a clean sample.
        ("cfg", &[("guidance_scale", 7.5), ("guidance_rescale", 0.7)]),
        // These depend on positions, on channels or on the whole batch.
        ("cfg-norm", &[("norm_axis", -1.0), ("strength", 0.9)]),
        ("cfg-norm", &[("norm_axis", 1.0)]),
        ("cfg-norm-clamped", &[("guidance_scale", 3.0)]),
        ("mahiro", &[("guidance_scale", 3.0), ("stop", 0.6)]),
        ("mahiro-batch", &[("guidance_scale", 3.0)]),
        ("apg-comfyui", &[("guidance_scale", 4.0), ("adaptive_projected_guidance_rescale", 1.0)]),
        // These depend on levels of pictures, which are filled up.
        ("fdg", &[("w_high", 7.5), ("parallel_weights", 0.5), ("start", 0.2)]),
        ("fdg", &[("w_high", 4.0), ("guidance_rescale", 0.7), ("stop", 0.6)]),
    ];
    for (name, options) in GUIDERS {
        let guider = Guider::CATALOGUE.find(name).and_then(|entry| entry.build(options)).expect("a guider");
        let node = Node::named(name);
        for is_masked in [false, true] {
            let guidance = RunGuidance::Kind { node: node.clone(), guider: Box::new(guider.clone()) };
            let planned = Run { guidance: Some(guidance), ..small_run("dpmpp_2m_sde") }.plan().expect("a plan");
            let scene = Scene::new(harness, &planned, SMALL, &data);
            let inputs = RunInputs {
                shape: if name == "fdg" { &[2, 1, 4, 5] } else { &[2, 2, 5, 1, 2] },
                latent_image: Some(&image),
                mask: is_masked.then_some(&mask[..]),
                ..small_inputs()
            };
            let preview = harness.gpu.buffer("preview", 160);
            let tensors = LoopTensors {
                latent_image: Some(Tensor::f32(&latent)),
                mask: is_masked.then(|| LoopMask::Tensor(Tensor::f32(&known))),
                preview: Some(Tensor::f32(&preview)),
                dims: Some(inputs.shape),
                ..scene.tensors()
            };
            let found = scene.run(&scene.recorded(&tensors, planned.noise(&inputs).expect("noise")));
            let exact = scene.on_host(&inputs);
            let off = deviation(&found, &exact);
            println!("{name}, masked {is_masked}: off by {off:.1e}");
            assert!(off < GUIDED, "{name}, masked {is_masked}: off by {off:.1e}");
            // The last step goes to the clean sample, which is the preview unless there is a mask.
            assert!(is_masked || deviation(&scene.read(&preview), &found) < 1e-6, "{name}: the preview");
        }
    }
}

/// Two loops around one network, each with its own schedule, model and sampler, give what each gives by itself.
fn two_schedules_at_once(harness: &Harness) {
    let data = small_data();
    let of_flow = Run { model: Some(RunModel::named("flow3").expect("a model")), ..small_run("dpmpp_2m") };
    let grid = Some(RunGrid::Scheduler(Node::named("beta")));
    let runs = [small_run("dpmpp_2m_sde"), Run { grid, seed: Some(2), ..of_flow }];
    let planned = runs.map(|run| run.plan().expect("a plan"));
    let scenes = planned.each_ref().map(|planned| Scene::new(harness, planned, SMALL, &data));
    let tensors = scenes.each_ref().map(Scene::tensors);
    let loops = [0, 1].map(|i| scenes[i].recorded(&tensors[i], planned[i].noise(&small_inputs()).expect("noise")));
    let apart = [0, 1].map(|i| scenes[i].run(&loops[i]));
    assert!(apart[0] != apart[1] && loops[0].call(2).expect("a call").sigma != loops[1].call(2).expect("a call").sigma);
    let networks = [0, 1].map(|i| scenes[i].networks(&loops[i], scenes[i].apart()));
    let mut steps = Vec::new();
    let record = |encoder: &mut wgpu::CommandEncoder| {
        Loop::record_together(loops.each_ref(), encoder, |encoder, calls| -> Result<(), Error> {
            assert_eq!(calls[0].index, calls[1].index);
            steps.push(calls.map(|call| call.sigma));
            networks.iter().flatten().for_each(|network| network.record(encoder, calls[0].index));
            Ok(())
        })
    };
    harness.gpu.submit(record).expect("device").expect("a recording");
    assert_eq!([0, 1].map(|i| scenes[i].read(&scenes[i].x)), apart);
    assert_eq!(steps.len(), loops[0].calls());
    let other = Run { steps: Some(7), ..small_run("euler") }.plan().expect("a plan");
    let other = Scene::new(harness, &other, SMALL, &data);
    let longer = other.recorded(&tensors[0], NoiseKey::seed(1));
    let record = |encoder: &mut wgpu::CommandEncoder| {
        Loop::record_together([&loops[0], &longer], encoder, |_, _| -> Result<(), Error> { Ok(()) })
    };
    let refused = harness.gpu.submit(record).expect("device").expect_err("other calls").to_string();
    assert_eq!(refused, "expected 6 calls in each of the loops that are recorded together, found 7");
}

/// A mask in a tensor of any storage, with gaps, gives the bits of the same mask from the host. Kernels compare its thresholds.
fn differential_masks_are_those_of_the_host(harness: &Harness) {
    let data = small_data();
    // Numbers that every storage holds.
    let mask: Vec<f64> = (0..40).map(|i| f64::from(i % 17) / 16.0).collect();
    let image = [0.5; 40];
    let latent = upload(harness, &image);
    let mut results = Vec::new();
    for strength in [1.0, 0.25] {
        let run = Run { differential_diffusion_strength: Some(strength), ..small_run("dpmpp_2m") };
        let planned = run.plan().expect("a plan");
        let scene = Scene::new(harness, &planned, SMALL, &data);
        let inputs = RunInputs { latent_image: Some(&image), mask: Some(&mask), ..small_inputs() };
        let run = |mask: LoopMask<'_>| {
            let tensors = LoopTensors { latent_image: Some(Tensor::f32(&latent)), mask: Some(mask), ..scene.tensors() };
            scene.run(&scene.recorded(&tensors, planned.noise(&inputs).expect("noise")))
        };
        let host = run(LoopMask::Host(&mask));
        for storage in Storage::ALL {
            let gap = |sample: usize| mask[20 * sample..20 * (sample + 1)].iter().map(|m| *m as f32);
            let values: Vec<f32> = [0, 1].into_iter().flat_map(|i| gap(i).chain([7.0; 4])).collect();
            let buffer = harness.gpu.upload("mask", &storage.encode(&values));
            let tensor = Tensor { stride: Some(24), ..Tensor::new(&buffer, storage) };
            assert!(run(LoopMask::Tensor(tensor)) == host, "{storage}, strength {strength}");
        }
        results.push(host);
    }
    assert!(deviation(&results[0], &results[1]) > 1e-3, "the strength is seen");
}

/// The second part of a run, from a sample with leftover noise: no noise is added to its known region (as in ComfyUI).
fn a_run_that_adds_no_noise_keeps_its_region_clean(harness: &Harness) {
    let (data, mask) = (small_data(), [1.0, 0.0, 0.25, 1.0].repeat(10));
    let image = NoiseKey::seed(8).reference(2, 20);
    let latent = upload(harness, &image);
    let run = Run { add_noise: false, start_step: Some(3), ..small_run("dpmpp_2m") };
    let planned = run.plan().expect("a plan");
    let inputs = RunInputs { latent_image: Some(&image), mask: Some(&mask), ..small_inputs() };
    let scene = Scene::new(harness, &planned, SMALL, &data);
    let exact = scene.on_host(&inputs);
    let host = planned.noise(&inputs).expect("noise");
    for noise in [LoopNoise::None, LoopNoise::Drawn(NoiseKey::seed(1)), LoopNoise::Host(host)] {
        let tensors = LoopTensors {
            latent_image: Some(Tensor::f32(&latent)),
            mask: Some(LoopMask::Host(&mask)),
            ..scene.tensors()
        };
        let name = format!("{noise:?}").chars().take(5).collect::<String>();
        let off = deviation(&scene.run(&scene.recorded(&tensors, noise)), &exact);
        // A dozen roundings of samples of up to 3.
        assert!(off < 3e-6, "{name}: off by {off:.1e}");
    }
}

fn a_run_of_nothing_is_its_latent_image(harness: &Harness) {
    let (data, image) = (small_data(), [0.75; 40]);
    let planned = Run { denoise: Some(0.0), ..small_run("euler") }.plan().expect("a plan");
    let scene = Scene::new(harness, &planned, SMALL, &data);
    let latent = upload(harness, &image);
    for (latent_image, expected) in [(Some(Tensor::f32(&latent)), 0.75), (None, 0.0)] {
        let recorded = scene.recorded(&LoopTensors { latent_image, ..scene.tensors() }, LoopNoise::None);
        assert_eq!((recorded.calls(), scene.run(&recorded)), (0, vec![expected; 40]));
    }
}

/// The usual run of a model with guidance and a known region, from noise and from a picture: the loop gives the bits that its plans
/// give when they are recorded by hand.
fn a_sampler_is_the_loop_of_its_plans(harness: &Harness) {
    let options = SamplerOptions { strength: Some(0.5), ..SamplerOptions::steps(8) };
    let build = |name: &str, model: &str, options: &SamplerOptions| {
        let entry = Sampler::CATALOGUE.find(name).expect("a sampler");
        entry.build(&Model::named(model).expect("a model"), options).expect("rows")
    };
    let samplers = [
        (Recipe::named("sdxl").and_then(|recipe| recipe.sampler(None, Some(8))).expect("the usual run"), false),
        (build("dpm++", "sd15", &options), true),
        (build("euler-ancestral", "sd15", &SamplerOptions::steps(5)), false),
    ];
    let tensor = |seed: u64| upload(harness, &NoiseKey::seed(seed).reference(2, 20));
    let [picture, prediction, unconditional, mask] = [1, 2, 3, 4].map(tensor);
    for (sampler, is_of_picture) in samplers {
        let key = NoiseKey::seed(3).stream(5);
        let run = |by_hand: bool| {
            let [x, input] = [5, 6].map(tensor);
            let known = Inpainting { mask: Tensor::f32(&mask), x0: Tensor::f32(&picture) };
            let [x_tensor, prediction] = [&x, &prediction].map(Tensor::f32);
            let sampling = Sampling {
                guidance: Some(Guidance::new(Tensor::f32(&unconditional), 3.0)),
                input: Some(Tensor::f32(&input)),
                known: Some(known),
                ..Sampling::in_place(&sampler, SMALL, x_tensor, prediction, Noise::drawn(key))
            };
            let x0 = is_of_picture.then(|| Tensor::f32(&picture));
            let recorded = Loop::of_sampling(&harness.context, &sampling, key, x0).expect("a loop");
            let (start, steps) = match x0 {
                Some(x0) => (sampling.start_from(&harness.context, key, x0), sampling.plan(&harness.context)),
                None => (sampling.start(&harness.context, key), sampling.plan(&harness.context)),
            };
            let (start, steps) = (start.expect("a start"), steps.expect("steps"));
            let mut told = Vec::new();
            let record = |encoder: &mut wgpu::CommandEncoder| -> Result<(), Error> {
                if by_hand {
                    start.encode(encoder, Recording::timestep(0))?;
                    return (0..sampler.calls().len() as u32)
                        .try_for_each(|k| Ok(steps.encode(encoder, Recording::call(k))?));
                }
                recorded.record(encoder, |_, call| {
                    told.push(call.told);
                    assert_eq!((call.asks, call.draw), ([true, false, false], None));
                    Ok(())
                })
            };
            harness.gpu.submit(record).expect("device").expect("a recording");
            assert!(by_hand || told == sampler.timesteps().collect::<Vec<_>>(), "{told:?}");
            [harness.read(&x), harness.read(&input)]
        };
        assert!(run(false) == run(true), "{}", sampler.grid());
    }
}

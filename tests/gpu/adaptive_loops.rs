//! Loops whose steps the GPU chooses, against the same steps on the host.

use crate::harness::Harness;
use crate::loop_scene::{Data, small_data, small_run, upload};
use crate::support::loops::{deviation, gaussian_output};
use tweedie::math::run::{Run, RunError, RunGuidance, RunInputs, RunLoop, RunModel, RunRecord};
use tweedie::{Error, ErrorOver, Loop, LoopMask, LoopNoise, LoopTensors, NoiseKey, Shape, Storage, Tensor, wgpu};

pub const TESTS: &[crate::Test] = &[
    ("adaptive_loops::steps_are_those_of_the_host", steps_are_those_of_the_host),
    ("adaptive_loops::every_sample_goes_its_own_way", every_sample_goes_its_own_way),
    ("adaptive_loops::attempts_after_the_end_change_nothing", attempts_after_the_end_change_nothing),
    ("adaptive_loops::noise_makes_good_what_a_step_goes_too_far", noise_makes_good_what_a_step_goes_too_far),
    ("adaptive_loops::what_the_gpu_cannot_choose_is_refused", what_the_gpu_cannot_choose_is_refused),
];

/// The largest difference from the host's f64, of samples whose size is about 1 at the end. They begin 15 times as large; a dozen
/// steps of order 3 round a few sums of that size each, and the network corrects most of it.
const ROUNDED: f64 = 5e-6;

/// The same where the controller chooses. An error in f32 may change a step by a unit of the table, 1/4096, which changes a result by
/// far less than the tolerances here allow a step. The first step is long enough for an error estimate that is more than rounding.
const CHOSEN: f64 = 5e-4;

/// The largest relative difference of the last error estimate from the host's. It is a difference of two results that are only a few
/// roundings apart, and its step may be a unit longer.
const OF_ERROR: f64 = 0.05;

/// Attempts that suffice for all runs here.
const ENOUGH: u32 = 90;

/// A controller that keeps every step as long as the first, so that rounding cannot change it.
const EVEN: [(&str, f64); 4] = [("icoeff", 0.0), ("pcoeff", 0.0), ("h_init", 0.8), ("dcoeff", 0.0)];

/// A run on buffers of its own, and a network that reads its level on the GPU.
struct Scene<'a> {
    harness: &'a Harness,
    run: &'a RunLoop,
    shape: Shape,
    data: &'a Data,
    buffers: [wgpu::Buffer; 4],
}

impl<'a> Scene<'a> {
    fn new(harness: &'a Harness, run: &'a RunLoop, shape: Shape, data: &'a Data) -> Self {
        let buffers = ["x", "input", "prediction", "unconditional"];
        let buffers = buffers.map(|name| harness.gpu.buffer(name, 4 * shape.total()));
        Self { harness, run, shape, data, buffers }
    }

    fn tensors(&self) -> LoopTensors<'_> {
        let [x, input, prediction, unconditional] = self.buffers.each_ref().map(Tensor::f32);
        LoopTensors { unconditional: Some(unconditional), ..LoopTensors::new(x, input, prediction) }
    }

    fn recorded<'t>(
        &self,
        tensors: &LoopTensors<'t>,
        noise: impl Into<LoopNoise<'t>>,
        attempts: u32,
        over: ErrorOver,
    ) -> Loop {
        Loop::adaptive(&self.harness.context, self.run, self.shape, tensors, noise, attempts, over).expect("a loop")
    }

    /// The bind groups of both networks for the stages of a step.
    fn networks(&self, recorded: &Loop) -> (wgpu::ComputePipeline, Vec<[wgpu::BindGroup; 2]>) {
        let device = &self.harness.gpu.device;
        let pipeline = self.harness.pipeline(include_str!("adaptive.wgsl"), "answer");
        let is_flow = self.run.model().alpha(0.5) != 1.0;
        let by_told = if is_flow { 0.5 / self.run.model().told(0.5) } else { 0.0 };
        let model = [by_told as f32, f32::from(u8::from(is_flow)), self.shape.elements as f32, 0.0];
        let model = self.harness.gpu.upload("model", bytemuck::cast_slice(&model));
        let group = |stage: usize, [mean, deviation]: &[Vec<f64>; 2], output: &wgpu::Buffer| {
            let data: Vec<f32> = mean.iter().zip(deviation).flat_map(|(m, s)| [*m as f32, *s as f32]).collect();
            let data = self.harness.gpu.upload("data", bytemuck::cast_slice(&data));
            let call = recorded.call(stage).expect("a stage");
            let told = wgpu::BufferBinding {
                buffer: call.values,
                offset: call.offset,
                size: wgpu::BufferSize::new(u64::from(4 * (4 + 2 * self.shape.batch))),
            };
            let resources = [
                wgpu::BindingResource::Buffer(told),
                model.as_entire_binding(),
                self.buffers[1].as_entire_binding(),
                data.as_entire_binding(),
                output.as_entire_binding(),
            ];
            let entries = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
            device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries.collect::<Vec<_>>(),
            })
        };
        let of_stage = |stage| {
            [
                group(stage, &self.data.conditional, &self.buffers[2]),
                group(stage, &self.data.unconditional, &self.buffers[3]),
            ]
        };
        let groups = (0..self.run.stages()).map(of_stage).collect();
        (pipeline, groups)
    }

    /// Runs a loop in one submit, and returns the result and the states.
    fn run(&self, recorded: &Loop) -> (Vec<f64>, Vec<[u32; 8]>) {
        let (pipeline, groups) = self.networks(recorded);
        let record = |encoder: &mut wgpu::CommandEncoder| {
            recorded.record(encoder, |encoder, call| -> Result<(), Error> {
                answer(encoder, &pipeline, &groups[call.index % groups.len()], self.shape);
                Ok(())
            })
        };
        self.harness.gpu.submit(record).expect("device").expect("a recording");
        (self.read(), self.states(recorded))
    }

    fn read(&self) -> Vec<f64> {
        let all = Storage::F32.decode(&self.harness.read(&self.buffers[0]));
        all.into_iter().take(self.shape.total() as usize).map(f64::from).collect()
    }

    fn states(&self, recorded: &Loop) -> Vec<[u32; 8]> {
        let (buffer, offset) = recorded.state().expect("states");
        let bytes = self.harness.read(buffer)[offset as usize..].to_vec();
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
        words.chunks_exact(8).map(|words| std::array::from_fn(|i| words[i])).collect()
    }

    /// The same in f64 on the host.
    fn on_host(&self, run: &RunLoop, inputs: &RunInputs<'_>) -> RunRecord {
        let record = run.drive::<RunError>(inputs, |ask| {
            let of =
                |[mean, deviation]: &[Vec<f64>; 2]| gaussian_output(run.model(), ask.sigma, ask.x, [mean, deviation]);
            Ok([of(&self.data.conditional), of(&self.data.unconditional), Vec::new(), Vec::new()])
        });
        record.expect("a run")
    }
}

fn answer(
    encoder: &mut wgpu::CommandEncoder,
    pipeline: &wgpu::ComputePipeline,
    groups: &[wgpu::BindGroup; 2],
    shape: Shape,
) {
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(pipeline);
    for group in groups {
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(shape.total().div_ceil(64) as u32, 1, 1);
    }
}

fn adaptive_run(model: &str, options: &[(&str, f64)]) -> Run {
    Run {
        model: Some(RunModel::named(model).expect("a model")),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        seed: None,
        ..small_run("dpm_adaptive")
    }
}

/// The numbers of accepted attempts and of all attempts of the host.
fn counts(record: &RunRecord) -> [u32; 2] {
    let accepted = record.attempts.iter().filter(|attempt| attempt.is_accepted).count();
    [accepted as u32, record.attempts.len() as u32]
}

/// Runs of both orders, with guidance and a mask, of a diffusion and a flow, of one chunk and several.
fn steps_are_those_of_the_host(harness: &Harness) {
    let data = small_data();
    let key = NoiseKey::seed(5).stream(7);
    for (model, options, shape, guidance, is_masked) in [
        (
            "sd15",
            &[("order", 3.0), ("rtol", 0.003), ("atol", 0.001), ("h_init", 1.1)][..],
            Shape::new(2, 20),
            1.0,
            false,
        ),
        ("sd15", &[("order", 2.0), ("rtol", 0.003), ("atol", 0.001), ("h_init", 0.8)], Shape::new(3, 5000), 2.0, false),
        ("sd15", &[("rtol", 0.003), ("atol", 0.001), ("h_init", 1.5)], Shape::new(2, 20), 1.0, true),
        (
            "flow3",
            &[("pcoeff", 0.2), ("icoeff", 0.7), ("dcoeff", 0.1), ("rtol", 0.003), ("atol", 0.001), ("h_init", 0.8)],
            Shape::new(1, 4200),
            1.0,
            false,
        ),
        ("sd15", &EVEN, Shape::new(2, 20), 2.0, true),
        ("sd15", &EVEN, Shape::new(3, 5000), 1.0, false),
        ("flow3", &EVEN, Shape::new(5, 70), 2.0, false),
    ] {
        let is_even = options == EVEN;
        let run = Run { guidance: Some(RunGuidance::Scale(guidance)), ..adaptive_run(model, options) };
        let planned = run.plan().expect("a plan").on_table();
        let scene = Scene::new(harness, &planned, shape, &data);
        let count = shape.total() as usize;
        let noise = key.stream(6).reference(shape.batch as usize, shape.elements as usize);
        let (image, mask) = (vec![0.5; count], [1.0, 0.0, 0.25, 1.0].repeat(count / 4));
        let latent = upload(harness, &image);
        let mask = is_masked.then_some(&mask[..]);
        let tensors = LoopTensors {
            latent_image: is_masked.then(|| Tensor::f32(&latent)),
            mask: mask.map(LoopMask::Host),
            ..scene.tensors()
        };
        let dispatches = |attempts| scene.recorded(&tensors, key, attempts, ErrorOver::Batch).dispatches();
        let of_attempt = 7 + planned.stages() * (3 + usize::from(is_masked));
        assert_eq!(dispatches(10) - dispatches(9), of_attempt, "{model} {options:?}");
        let (found, states) = scene.run(&scene.recorded(&tensors, key, ENOUGH, ErrorOver::Batch));
        let dims = [shape.batch as usize, shape.elements as usize];
        let latent_image = is_masked.then_some(&image[..]);
        let inputs = RunInputs { shape: &dims, noise: Some(&noise), latent_image, mask, ..RunInputs::default() };
        let exact = scene.on_host(&planned, &inputs);
        let off = deviation(&found, &exact.output);
        println!("{model} {options:?}: {states:?}, host {:?}, off by {off:.1e}", counts(&exact));
        let [accepted, attempts] = counts(&exact);
        assert!(states.iter().all(|state| state[..4] == [4096, accepted, attempts, 1]), "{model} {options:?}");
        let allowed = if is_even { ROUNDED } else { CHOSEN };
        assert!(off < allowed, "{model} {options:?}: off by {off:.1e}");
        let (error, exact_error) = (f32::from_bits(states[0][4]), exact.attempts.last().expect("an attempt").error);
        let of_error = (f64::from(error) / exact_error - 1.0).abs();
        assert!(
            is_even || of_error < OF_ERROR,
            "{model} {options:?}: the last error {error}, the host's {exact_error}"
        );
        // A controller with other tolerances gives another result.
        let changed = ["rtol", "atol", "h_init"];
        let loose = options.iter().copied().filter(|(name, _)| !changed.contains(name));
        let loose = loose.chain([("rtol", 0.2), ("atol", 0.05), ("h_init", 1.2)]);
        let other = adaptive_run(model, &loose.collect::<Vec<_>>());
        let other = Run { guidance: run.guidance.clone(), ..other }.plan().expect("a plan").on_table();
        let other = scene.on_host(&other, &inputs);
        let seen = deviation(&other.output, &exact.output);
        assert!(seen > 2.0 * allowed, "{model} {options:?}: another controller makes {seen:.1e}");
    }
}

/// With an error for each sample, a sample has the same bits alone as in a batch, and agrees with the host's run of it alone.
fn every_sample_goes_its_own_way(harness: &Harness) {
    // Data that is narrow in every other sample and wide in the rest.
    let spread = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0];
    let one = [(0..12).map(|i| 0.1 * f64::from(i)).collect::<Vec<_>>(), spread.to_vec()];
    let data = Data { conditional: one.clone(), unconditional: one };
    let key = NoiseKey::seed(3).stream(7);
    let options = [("rtol", 0.005), ("atol", 0.001), ("h_init", 0.8)];
    let planned = adaptive_run("flow3", &options).plan().expect("a plan").on_table();
    let shape = Shape::new(4, 6);
    let scene = Scene::new(harness, &planned, shape, &data);
    let (together, states) = scene.run(&scene.recorded(&scene.tensors(), key, ENOUGH, ErrorOver::Sample));
    let noise = key.stream(6).reference(4, 6);
    let mut attempts = Vec::new();
    for (i, found) in states.iter().enumerate() {
        let part = 6 * i..6 * (i + 1);
        let half = 6 * (i % 2)..6 * (i % 2) + 6;
        let own_data = || data.conditional.each_ref().map(|values| values[half.clone()].to_vec());
        let own_data = Data { conditional: own_data(), unconditional: own_data() };
        let one = Scene::new(harness, &planned, Shape::new(1, 6), &own_data);
        let own = NoiseKey { first_sample: i as u64, ..key };
        let (alone, state) = one.run(&one.recorded(&one.tensors(), own, ENOUGH, ErrorOver::Sample));
        assert_eq!((&alone[..], state[0]), (&together[part.clone()], *found), "sample {i}");
        let inputs = RunInputs { shape: &[1, 6], noise: Some(&noise[part.clone()]), ..RunInputs::default() };
        let exact = one.on_host(&planned, &inputs);
        let off = deviation(&alone, &exact.output);
        assert!(off < CHOSEN, "sample {i}: off by {off:.1e}");
        let [accepted, tried] = counts(&exact);
        assert_eq!(found[..4], [4096, accepted, tried, 1], "sample {i}");
        attempts.push(tried);
    }
    assert!(attempts.iter().any(|tried| *tried != attempts[0]), "all samples take {attempts:?} attempts");
}

/// A loop with more attempts than it needs gives the same bits as one with just enough, and as attempts that the host records one by
/// one until the run is done. One attempt too few does not reach the end.
fn attempts_after_the_end_change_nothing(harness: &Harness) {
    let (data, key) = (small_data(), NoiseKey::seed(5).stream(7));
    let planned = adaptive_run("sd15", &[]).plan().expect("a plan").on_table();
    let shape = Shape::new(2, 20);
    let scene = Scene::new(harness, &planned, shape, &data);
    let tensors = scene.tensors();
    let recorded = scene.recorded(&tensors, key, ENOUGH, ErrorOver::Batch);
    let (found, states) = scene.run(&recorded);
    let tried = states[0][2];
    assert!(tried < ENOUGH && states[0][3] == 1);
    assert_eq!(scene.run(&recorded), (found.clone(), states.clone()), "the same loop once more");
    let exactly = scene.run(&scene.recorded(&tensors, key, tried, ErrorOver::Batch));
    assert_eq!(exactly, (found.clone(), states.clone()));
    let (_, short) = scene.run(&scene.recorded(&tensors, key, tried - 1, ErrorOver::Batch));
    assert!(short[0][2] == tried - 1 && short[0][3] == 0 && short[0][0] < 4096, "{short:?}");
    // Driven by the host.
    let (pipeline, groups) = scene.networks(&recorded);
    harness.gpu.submit(|encoder| recorded.record_start(encoder)).expect("device").expect("a start");
    let mut attempts = 0;
    while scene.states(&recorded)[0][3] == 0 {
        let calls = attempts * planned.stages()..(attempts + 1) * planned.stages();
        let record = |encoder: &mut wgpu::CommandEncoder| {
            calls.clone().try_for_each(|index| {
                recorded.record_call(encoder, index, |encoder, call| -> Result<(), Error> {
                    assert!(call.told.is_nan() && call.step == attempts, "the GPU chooses");
                    answer(encoder, &pipeline, &groups[index % groups.len()], shape);
                    Ok(())
                })
            })
        };
        harness.gpu.submit(record).expect("device").expect("a recording");
        attempts += 1;
    }
    assert_eq!((scene.read(), attempts as u32), (found, tried));
}

/// With eta a step goes below its target level and noise is added back, drawn for the accepted steps in their order.
fn noise_makes_good_what_a_step_goes_too_far(harness: &Harness) {
    let (data, key) = (small_data(), NoiseKey::seed(9).stream(7));
    let noisy = |s_noise: f64| [&EVEN[..], &[("eta", 0.8), ("s_noise", s_noise)]].concat();
    let planned = adaptive_run("sd15", &noisy(0.9)).plan().expect("a plan").on_table();
    let shape = Shape::new(2, 20);
    let scene = Scene::new(harness, &planned, shape, &data);
    let of = |attempts| scene.recorded(&scene.tensors(), key, attempts, ErrorOver::Batch).dispatches();
    assert_eq!(of(10) - of(9), 7 + planned.stages() * 3 + 2);
    let (found, states) = scene.run(&scene.recorded(&scene.tensors(), key, ENOUGH, ErrorOver::Batch));
    let draws = |stream: u32| key.stream(stream).reference(2, 20);
    let noises: Vec<f64> = (0..ENOUGH).flat_map(|k| draws(7 + k)).collect();
    let noise = draws(6);
    let inputs = RunInputs { shape: &[2, 20], noise: Some(&noise), noises: &noises, ..RunInputs::default() };
    let exact = scene.on_host(&planned, &inputs);
    let off = deviation(&found, &exact.output);
    println!("{states:?}, host {:?}, off by {off:.1e}", counts(&exact));
    let [accepted, attempts] = counts(&exact);
    assert_eq!(states[0][..4], [4096, accepted, attempts, 1]);
    assert!(off < ROUNDED, "off by {off:.1e}");
    let quiet = adaptive_run("sd15", &noisy(0.8)).plan().expect("a plan").on_table();
    assert!(deviation(&scene.on_host(&quiet, &inputs).output, &exact.output) > 1e-3, "noise is seen");
}

fn what_the_gpu_cannot_choose_is_refused(harness: &Harness) {
    let data = small_data();
    let refused = |run: Run, tensors: &dyn Fn(LoopTensors<'_>) -> LoopTensors<'_>, noise: LoopNoise<'_>, attempts| {
        let planned = run.plan().expect("a plan");
        let shape = Shape::new(2, 20);
        let scene = Scene::new(harness, &planned, shape, &data);
        let noise = match noise {
            LoopNoise::Drawn(key) => LoopNoise::Drawn(key),
            _ => LoopNoise::None,
        };
        let over = ErrorOver::Batch;
        let tensors = tensors(scene.tensors());
        let result = Loop::adaptive(&harness.context, &planned, shape, &tensors, noise, attempts, over);
        result.map(drop).expect_err("a refusal").to_string()
    };
    fn same(tensors: LoopTensors<'_>) -> LoopTensors<'_> {
        tensors
    }
    let drawn = || LoopNoise::Drawn(NoiseKey::seed(1));
    let adaptive = || adaptive_run("sd15", &[]);
    let planned = refused(small_run("euler"), &same, drawn(), 9);
    assert_eq!(planned, "a run whose steps are known in advance cannot be recorded in this loop: use Loop::new");
    for attempts in [0, 10_001, u32::MAX] {
        let text = refused(adaptive(), &same, drawn(), attempts);
        assert_eq!(text, format!("attempts: expected a number that is from 1 to 10,000, found {attempts}"));
    }
    let rising = Run { flip_sigmas: true, ..adaptive() };
    let rising = refused(rising, &same, drawn(), 9);
    assert!(rising.starts_with("steps that the GPU chooses, where the sigmas do not fall"), "{rising}");
    let bare = refused(adaptive(), &|it| LoopTensors { input: None, ..it }, drawn(), 9);
    assert!(bare.starts_with("expected `input`, found none: the network is"), "{bare}");
    let soft = Run { differential_diffusion_strength: Some(1.0), ..adaptive() };
    let masked = refused(soft, &|it| LoopTensors { mask: Some(LoopMask::Tensor(it.x)), ..it }, drawn(), 9);
    assert!(masked.starts_with("differential diffusion with steps that the GPU chooses"), "{masked}");
    let noisy = refused(adaptive_run("sd15", &[("eta", 1.0)]), &same, LoopNoise::None, 9);
    assert!(noisy.starts_with("noise of steps that the GPU chooses"), "{noisy}");
}

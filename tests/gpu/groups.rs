//! Timesteps of groups: tokens, frames or channels of a sample that have noise levels of their own.
//!
//! Each plan is compared, to the bit, with the plan whose samples are the runs of the groups, with a timestep for each, under the
//! noise that the same key gives to whole samples. Maps are also compared with the f64 twin, element by element.

use crate::harness::{Harness, TestRng, harness_with_binding_limit};
use tweedie::gpu::compare::Comparison;
use tweedie::gpu::{
    Drawn, Gradient, Groups, Guide, Loss, Map, Noise, NoiseKey, Plan, PlanError, Recording, Shape, Step, Storage,
    Tensor, TimestepDraw, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::{ModelVariance, Objective, Schedule, TimestepDensity, Vlb};
use tweedie::noise::Perturbation;
use tweedie::table::{Clip, GuideRow, LossRow, Matrix, Penalty, StepRow, Table};
use tweedie::{Error, Model, Noising, Quantity, Sampler, Sampling, TimestepSource, Training, TrainingStep};

pub const TESTS: &[crate::Test] = &[
    ("groups::each_element_has_the_row_of_its_group", each_element_has_the_row_of_its_group),
    ("groups::noise_does_not_depend_on_the_groups", noise_does_not_depend_on_the_groups),
    ("groups::windows_give_the_bits_of_one", windows_give_the_bits_of_one),
    ("groups::losses_of_runs", losses_of_runs),
    ("groups::terms_of_runs", terms_of_runs),
    ("groups::every_group_at_its_own_call", every_group_at_its_own_call),
    ("groups::a_known_frame_rests", a_known_frame_rests),
    ("groups::a_training_draws_a_timestep_for_each_group", a_training_draws_a_timestep_for_each_group),
    ("groups::a_timestep_without_a_row", a_timestep_without_a_row),
    ("groups::what_is_made_of_whole_samples_is_refused", what_is_made_of_whole_samples_is_refused),
];

const KEY: NoiseKey = NoiseKey { seed: 41, stream: 2, first_sample: 0xffff_fffe };
/// The number of rows of a table.
const ROWS: u32 = 7;

/// The batch, the elements of a sample, and their groups: tokens of channels, frames of channels and pixels, and sizes that are
/// not whole lanes.
const CASES: [(u32, u32, Groups); 9] = [
    (3, 64, Groups::new(4, 16)),
    (2, 3 * 5 * 16, Groups::new(5, 16)),
    (2, 5 * 3, Groups::new(5, 3)),
    (3, 2 * 4 * 2, Groups::new(4, 2)),
    (2, 3 * 4 * 6, Groups::new(4, 6)),
    (2, 12, Groups::new(12, 1)),
    (1, 2 * 3 * 5, Groups::new(3, 5)),
    (2, 2 * 2 * 4100, Groups::new(2, 4100)),
    (5, 30, Groups::new(1, 30)),
];

fn words(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<u32> {
    bytemuck::pod_collect_to_vec(&harness.read(buffer))
}

fn floats(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(&harness.read(buffer))
}

fn uploaded(harness: &Harness, numbers: &[f32]) -> wgpu::Buffer {
    harness.gpu.upload("numbers", bytemuck::cast_slice(numbers))
}

fn numbers(rng: &mut TestRng, shape: Shape) -> Vec<f32> {
    (0..shape.total()).map(|_| rng.float()).collect()
}

fn table(rng: &mut TestRng) -> Table {
    let mut row = || [[0; 2]; 2].map(|row| row.map(|_| f64::from(rng.float())));
    Table::new((0..ROWS).map(|_| row()).collect::<Vec<Matrix>>())
}

/// A timestep for each group of each sample.
fn timesteps(rng: &mut TestRng, batch: u32, groups: Groups) -> Vec<u32> {
    (0..batch * groups.count).map(|_| rng.below(ROWS)).collect()
}

/// The timestep of each element of the batch, by the definition of a group.
fn of_elements(timesteps: &[u32], shape: Shape, groups: Groups) -> Vec<u32> {
    let group = |element: u32| groups.group_of(element).expect("groups");
    let of_sample = |sample: u32| (0..shape.elements).map(move |element| sample * groups.count + group(element));
    (0..shape.batch).flat_map(of_sample).map(|index| timesteps[index as usize]).collect()
}

/// The runs of the groups as samples, and the timestep of each.
fn of_runs(timesteps: &[u32], shape: Shape, groups: Groups) -> (Shape, Vec<u32>) {
    let elements = of_elements(timesteps, shape, groups);
    let runs: Vec<u32> = elements.chunks(groups.run as usize).map(|run| run[0]).collect();
    (Shape::new(runs.len() as u32, groups.run), runs)
}

/// The normals that a key gives to whole samples, as a kernel draws them.
fn kept_noise(harness: &Harness, shape: Shape, drawn: Drawn<'_>, step: u32) -> wgpu::Buffer {
    let out = harness.gpu.buffer("noise", 4 * shape.total());
    let plan = Plan::fill(&harness.context, shape, drawn, Tensor::f32(&out)).expect("a plan");
    harness.run(&plan, Recording::timestep(0).step(step));
    out
}

fn each_element_has_the_row_of_its_group(harness: &Harness) {
    for (batch, elements, groups) in CASES {
        let (shape, mut rng) = (Shape::new(batch, elements), TestRng(u64::from(elements)));
        let (table, t) = (table(&mut rng), timesteps(&mut rng, batch, groups));
        let [in0, in1] = [(); 2].map(|()| numbers(&mut rng, shape));
        let [first, second] = [&in0, &in1].map(|numbers| uploaded(harness, numbers));
        let [out0, out1] = ["out0", "out1"].map(|label| harness.gpu.buffer(label, 4 * shape.total()));
        // An offset, so that the first timestep is not the first word.
        let buffer = harness.gpu.upload("timesteps", bytemuck::cast_slice(&[&[ROWS], &t[..]].concat()));
        let map = Map {
            table: &table,
            shape,
            timesteps: Timesteps::PerGroup { buffer: &buffer, offset: 4, groups },
            in0: Some(Tensor::f32(&first)),
            in1: Tensor::f32(&second).into(),
            out0: Tensor::f32(&out0),
            out1: Some(Tensor::f32(&out1)),
        };
        harness.run(&map.plan(&harness.context).expect("a plan"), Recording::per_sample());
        let [in0, in1] = [in0, in1].map(|input| input.into_iter().map(f64::from).collect::<Vec<_>>());
        let compared = |t: &[u32]| {
            let expected = Map::reference(&table, &of_elements(t, shape, groups), 1, &in0, &in1);
            let mut comparison = Comparison::new(Storage::F32);
            [(&out0, &expected[0]), (&out1, &expected[1])]
                .into_iter()
                .for_each(|(found, expected)| comparison.add_all(&floats(harness, found), expected));
            comparison
        };
        assert!(compared(&t).passes(), "{shape} of {groups:?}: {:?}", compared(&t));
        let mut other = t.clone();
        other[0] = (other[0] + 1) % ROWS;
        assert!(!compared(&other).passes(), "{shape} of {groups:?}: another timestep of the first group is seen");
    }
}

/// Maps of drawn noise: with groups, and with the runs as samples, whose noise is in a tensor.
fn noise_does_not_depend_on_the_groups(harness: &Harness) {
    let seeds: Vec<u32> = (0..4 * 5).map(|i| 0x9e37_79b9u32.wrapping_mul(i)).collect();
    let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&seeds));
    for (batch, elements, groups) in CASES {
        let shape = Shape::new(batch, elements);
        // One channel that is the whole sample, whatever its groups.
        let perturbed = |drawn: Drawn<'static>| drawn.perturbed(Perturbation { offset: 0.5, input: 0.25 }, elements);
        let white: fn(Drawn<'static>) -> Drawn<'static> = |drawn| drawn;
        for storage in Storage::ALL {
            let changes: [&dyn Fn(Drawn<'static>) -> Drawn<'static>; 2] = [&white, &perturbed];
            for (change, seeded) in changes.into_iter().zip([false, true]) {
                let drawn = change(Drawn::new(KEY).steps(2));
                let drawn = if seeded { drawn.seeded(&seeds) } else { drawn };
                let mut rng = TestRng(u64::from(elements));
                let (table, t) = (table(&mut rng), timesteps(&mut rng, batch, groups));
                let (runs, of_run) = of_runs(&t, shape, groups);
                let x0 = uploaded(harness, &numbers(&mut rng, shape));
                let given = kept_noise(harness, shape, drawn, 1);
                let [t, of_run] =
                    [&t, &of_run].map(|words| harness.gpu.upload("timesteps", bytemuck::cast_slice(words)));
                let bytes = (storage.bytes() * shape.total()).next_multiple_of(4);
                let run = |shape, timesteps, noise: Noise<'_>| {
                    let out = harness.gpu.buffer("out", bytes);
                    let (out0, in0) = (Tensor::new(&out, storage), Some(Tensor::f32(&x0)));
                    let map = Map { table: &table, shape, timesteps, in0, in1: noise, out0, out1: None };
                    let plan = map.plan(&harness.context).expect("a plan");
                    let step = u32::from(noise_is_drawn(&noise));
                    harness.run(&plan, Recording::per_sample().step(step));
                    words(harness, &out)
                };
                let grouped = run(shape, Timesteps::per_group(&t, groups), drawn.into());
                let expected = run(runs, Timesteps::per_sample(&of_run), Tensor::f32(&given).into());
                assert_eq!(grouped, expected, "{shape} of {groups:?}, {storage}, seeds of samples: {seeded}");
            }
        }
    }
}

fn noise_is_drawn(noise: &Noise<'_>) -> bool {
    matches!(noise, Noise::Drawn(_))
}

/// A device with a small binding limit: a batch in many windows, which end between runs and within them.
fn windows_give_the_bits_of_one(harness: &Harness) {
    let small = harness_with_binding_limit(harness, 16 * 1024);
    for groups in [Groups::new(3, 8192), Groups::new(64, 64), Groups::new(6, 2050)] {
        let shape = Shape::new(2, 2 * groups.count * groups.run);
        let mut rng = TestRng(5);
        let (table, t) = (table(&mut rng), timesteps(&mut rng, shape.batch, groups));
        let x0 = numbers(&mut rng, shape);
        let run = |harness: &Harness| {
            let (x0, out) = (uploaded(harness, &x0), harness.gpu.buffer("out", 4 * shape.total()));
            let t = harness.gpu.upload("timesteps", bytemuck::cast_slice(&t));
            let map = Map {
                table: &table,
                shape,
                timesteps: Timesteps::per_group(&t, groups),
                in0: Some(Tensor::f32(&x0)),
                in1: Noise::drawn(KEY),
                out0: Tensor::f32(&out),
                out1: None,
            };
            harness.run(&map.plan(&harness.context).expect("a plan"), Recording::per_sample());
            words(harness, &out)
        };
        assert_eq!(run(&small), run(harness), "{groups:?}");
    }
}

/// Losses and gradients with drawn noise: with groups, and with the runs as samples, whose noise is in a tensor.
fn losses_of_runs(harness: &Harness) {
    for (batch, elements, groups) in CASES {
        let (shape, mut rng) = (Shape::new(batch, elements), TestRng(u64::from(elements)));
        let mut number = || f64::from(rng.float()) + 0.1;
        let rows =
            (0..ROWS).map(|_| LossRow { prediction: number(), inputs: [number(), number()], weight: 3.0 + number() });
        let table = Table::new(rows.collect::<Vec<_>>());
        let t = timesteps(&mut rng, batch, groups);
        let (runs, of_run) = of_runs(&t, shape, groups);
        let [prediction, in0] = [(); 2].map(|()| uploaded(harness, &numbers(&mut rng, shape)));
        let given = kept_noise(harness, shape, Drawn::new(KEY), 0);
        let [t, of_run] = [&t, &of_run].map(|words| harness.gpu.upload("timesteps", bytemuck::cast_slice(words)));
        let run = |shape: Shape, timesteps, in1| {
            let losses = harness.gpu.buffer("losses", 4 * u64::from(runs.batch));
            let (mean, gradient) = (harness.gpu.buffer("mean", 4), harness.gpu.buffer("gradient", 4 * shape.total()));
            let loss = Loss {
                table: &table,
                penalty: Penalty::MSE,
                shape,
                timesteps,
                prediction: Tensor::f32(&prediction),
                in0: Some(Tensor::f32(&in0)),
                in1,
                losses: (&losses, 0),
                mean: Some((&mean, 0)),
                gradient: Some(Gradient::mean(Tensor::f32(&gradient))),
            };
            harness.run(&loss.plan(&harness.context).expect("a plan"), Recording::per_sample());
            [losses, mean, gradient].map(|buffer| words(harness, &buffer))
        };
        let grouped = run(shape, Timesteps::per_group(&t, groups), Noise::drawn(KEY));
        let expected = run(runs, Timesteps::per_sample(&of_run), Tensor::f32(&given).into());
        assert_eq!(grouped, expected, "{shape} of {groups:?}");
        assert_ne!(grouped[2], vec![0; grouped[2].len()], "a gradient");
    }
}

/// Terms of the variational bound, compared as losses are.
fn terms_of_runs(harness: &Harness) {
    let schedule = Schedule::cosine(ROWS as usize).expect("a schedule");
    let vlb = Vlb::new(&schedule, Quantity::Epsilon, ModelVariance::FixedSmall, None).expect("a bound");
    let table = vlb.table(tweedie::math::LossInputs::CleanAndNoise).expect("a table");
    for (batch, elements, groups) in CASES {
        let (shape, mut rng) = (Shape::new(batch, elements), TestRng(u64::from(elements)));
        let t = timesteps(&mut rng, batch, groups);
        let (runs, of_run) = of_runs(&t, shape, groups);
        let [prediction, x0] = [(); 2].map(|()| uploaded(harness, &numbers(&mut rng, shape)));
        let given = kept_noise(harness, shape, Drawn::new(KEY), 0);
        let [t, of_run] = [&t, &of_run].map(|words| harness.gpu.upload("timesteps", bytemuck::cast_slice(words)));
        let run = |shape, timesteps, in1| {
            let results = harness.gpu.buffer("terms", 4 * u64::from(runs.batch));
            let inputs = VlbInputs {
                table: &table,
                clip: None,
                shape,
                prediction: Tensor::f32(&prediction),
                learned: None,
                x0: Tensor::f32(&x0),
                in1,
            };
            let terms = VlbTerms {
                inputs,
                timesteps,
                terms: (&results, 0),
                mean: None,
                gradient: None,
                learned_gradient: None,
                reduction: tweedie::gpu::Reduction::Sum,
                scale: tweedie::gpu::GradientScale::ONE,
            };
            harness.run(&terms.plan(&harness.context).expect("a plan"), Recording::per_sample());
            words(harness, &results)
        };
        let grouped = run(shape, Timesteps::per_group(&t, groups), Noise::drawn(KEY));
        assert_eq!(
            grouped,
            run(runs, Timesteps::per_sample(&of_run), Tensor::f32(&given).into()),
            "{shape} of {groups:?}"
        );
    }
}

/// A sampler that remembers and one that draws, with each group one call behind the group before it. The samples end as they do with
/// all groups at the same call, and as they do without groups.
fn every_group_at_its_own_call(harness: &Harness) {
    let model = Model::named("sd15").expect("a model");
    let samplers = [
        Sampler::dpm_solver_pp(&model, 6).expect("a sampler"),
        Sampler::euler_ancestral(&model, 5).expect("a sampler"),
    ];
    for sampler in &samplers {
        for (batch, elements, groups) in CASES {
            let (shape, mut rng) = (Shape::new(batch, elements), TestRng(u64::from(elements)));
            let [start, prediction] = [(); 2].map(|()| numbers(&mut rng, shape));
            let prediction = uploaded(harness, &prediction);
            let (calls, rest) = (sampler.calls().len() as u32, sampler.calls().len() as u32);
            // The prediction is always the same, so that a step depends on its sample and its call alone.
            let run = |which: &dyn Fn(u32) -> Vec<u32>, recordings: u32| {
                let x = uploaded(harness, &start);
                let input = harness.gpu.buffer("input", 4 * shape.total());
                let at = harness.gpu.buffer("calls", 4 * u64::from(batch * groups.count));
                let sampling = Sampling {
                    calls: Timesteps::per_group(&at, groups),
                    input: Some(Tensor::f32(&input)),
                    ..Sampling::in_place(sampler, shape, Tensor::f32(&x), Tensor::f32(&prediction), Noise::drawn(KEY))
                };
                let rows = [sampling.rows(), vec![StepRow::IDENTITY]].concat();
                let plan = sampling.with_rows(&rows).plan(&harness.context).expect("a plan");
                for recording in 0..recordings {
                    harness.gpu.queue.write_buffer(&at, 0, bytemuck::cast_slice(&which(recording)));
                    harness.run(&plan, Recording::per_sample());
                }
                words(harness, &x)
            };
            let together = |recording: u32| vec![recording; (batch * groups.count) as usize];
            let behind = |recording: u32| {
                let call = |group: u32| recording.checked_sub(group).filter(|&call| call < calls).unwrap_or(rest);
                (0..batch).flat_map(|_| (0..groups.count).map(call)).collect()
            };
            let all = run(&together, calls);
            assert_eq!(run(&behind, calls + groups.count - 1), all, "{shape} of {groups:?}");

            // The same without groups.
            let x = uploaded(harness, &start);
            let input = harness.gpu.buffer("input", 4 * shape.total());
            let sampling = Sampling {
                input: Some(Tensor::f32(&input)),
                ..Sampling::in_place(sampler, shape, Tensor::f32(&x), Tensor::f32(&prediction), Noise::drawn(KEY))
            };
            let plan = sampling.plan(&harness.context).expect("a plan");
            (0..calls).for_each(|call| harness.run(&plan, Recording::call(call)));
            assert_eq!(words(harness, &x), all, "{shape}");
        }
    }
}

/// A video whose first frame is given (Wan 2.2's image to video of 5B): that frame does not change, and the others are as they are
/// in a run without a given frame.
fn a_known_frame_rests(harness: &Harness) {
    let sampler = Sampler::euler(&Model::named("wan22-ti2v-5b").expect("a model"), 4).expect("a sampler");
    let (frames, pixels, channels) = (3, 20, 2);
    let (shape, groups) = (Shape::new(1, channels * frames * pixels), Groups::new(frames, pixels));
    let mut rng = TestRng(8);
    let [start, prediction] = [(); 2].map(|()| numbers(&mut rng, shape));
    let (x, alone) = (uploaded(harness, &start), uploaded(harness, &start));
    let prediction = uploaded(harness, &prediction);
    let rest = sampler.calls().len() as u32;
    let at = harness.gpu.buffer("calls", 4 * u64::from(frames));
    let sampling = Sampling::in_place(&sampler, shape, Tensor::f32(&x), Tensor::f32(&prediction), Noise::None);
    let rows = [sampling.rows(), vec![StepRow::IDENTITY]].concat();
    let grouped = Sampling { calls: Timesteps::per_group(&at, groups), ..sampling };
    let plan = grouped.with_rows(&rows).plan(&harness.context).expect("a plan");
    let all = Sampling { x: Tensor::f32(&alone), next: Tensor::f32(&alone), ..sampling }
        .plan(&harness.context)
        .expect("a plan");
    for call in 0..rest {
        harness.gpu.queue.write_buffer(&at, 0, bytemuck::cast_slice(&[rest, call, call]));
        harness.run(&plan, Recording::per_sample());
        harness.run(&all, Recording::call(call));
    }
    let (found, others) = (floats(harness, &x), floats(harness, &alone));
    for element in 0..shape.elements {
        let first = groups.group_of(element) == Some(0);
        let expected = if first { start[element as usize] } else { others[element as usize] };
        assert_eq!(found[element as usize].to_bits(), expected.to_bits(), "element {element}");
    }
    assert_ne!(start, others);
}

/// Diffusion forcing: a timestep for each frame, drawn on the GPU.
fn a_training_draws_a_timestep_for_each_group(harness: &Harness) {
    let (batch, groups) = (4, Groups::new(3, 10));
    let shape = Shape::new(batch, 2 * groups.count * groups.run);
    let losses_of_batch = u64::from(batch) * 6;
    let density = TimestepDensity::uniform(50).expect("a density");
    let schedule = Schedule::cosine(50).expect("a schedule");
    let mut rng = TestRng(3);
    let [x0, prediction] = [(); 2].map(|()| uploaded(harness, &numbers(&mut rng, shape)));
    let trained = |stratified, seeds: Option<(&wgpu::Buffer, u64)>| {
        let [x_t, gradient] = ["x_t", "gradient"].map(|label| harness.gpu.buffer(label, 4 * shape.total()));
        let t = harness.gpu.buffer("timesteps", 4 * u64::from(batch * groups.count));
        let losses = harness.gpu.buffer("losses", 4 * losses_of_batch);
        let training = Training {
            objective: &Objective::of(Quantity::V),
            penalty: Penalty::MSE,
            shape,
            noise: Drawn { seeds, ..Drawn::new(KEY).steps(2) },
            timestep_source: TimestepSource::Drawn { density: &density, stratified },
            timesteps: &t,
            groups: Some(groups),
            x0: Tensor::f32(&x0),
            x_t: Tensor::f32(&x_t),
            prediction: Tensor::f32(&prediction),
            gradient: Gradient::mean(Tensor::f32(&gradient)),
            losses: &losses,
            mean: None,
            variance: None,
        };
        let step = TrainingStep::new(&harness.context, &schedule, &training)?;
        let record = |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            step.record_before(&mut pass, 1)?;
            step.record_after(&mut pass, 1)
        };
        harness.gpu.submit(record).expect("device")?;
        Ok::<_, Error>([t, x_t, losses, gradient].map(|buffer| words(harness, &buffer)))
    };
    let key = KEY.stream(KEY.stream + 1);
    let [t, x_t, losses, _] = trained(None, None).expect("a step");
    assert_eq!(t, density.draw_groups(key, batch as usize, groups.count), "the host's draws");
    let first: Vec<u32> = t.iter().copied().step_by(groups.count as usize).collect();
    assert_eq!(first, density.draw(key, batch as usize), "the first group's are those of samples");
    assert!(t.chunks(3).any(|own| own[0] != own[1]), "groups draw apart");
    let (runs, of_run) = of_runs(&t, shape, groups);
    let of_run = harness.gpu.upload("timesteps", bytemuck::cast_slice(&of_run));
    let (given, out) = (kept_noise(harness, shape, Drawn::new(key), 0), harness.gpu.buffer("x_t", 4 * shape.total()));
    let noising = Noising {
        schedule: &schedule,
        shape: runs,
        timesteps: Timesteps::per_sample(&of_run),
        x0: Tensor::f32(&x0),
        epsilon: Tensor::f32(&given).into(),
        outputs: &[(Quantity::Xt, Tensor::f32(&out))],
    };
    harness.run(&noising.plan(&harness.context).expect("a plan"), Recording::per_sample());
    assert_eq!(x_t, words(harness, &out), "each run has the level of its group");

    let [strata, ..] = trained(Some(batch), None).expect("a step");
    let expected = density.draw_groups_stratified(key, batch as usize, groups.count, batch);
    assert_eq!(strata, expected, "the host's strata");

    // Samples whose own seeds say the same as the key draw the same.
    let own: Vec<[u32; 4]> =
        (0..batch).map(|i| [KEY.seed as u32, 0, (KEY.first_sample as u32).wrapping_add(i), u32::from(i > 1)]).collect();
    let own = harness.gpu.upload("seeds", bytemuck::cast_slice(&own));
    let [seeded, seeded_x, seeded_losses, _] = trained(None, Some((&own, 0))).expect("a step");
    assert_eq!([seeded, seeded_x, seeded_losses], [t, x_t, losses]);
}

fn a_timestep_without_a_row(harness: &Harness) {
    let (shape, groups) = (Shape::new(1, 12), Groups::new(3, 2));
    let table = Table::new([[[1.0, 0.0], [0.0, 0.0]]; 2]);
    let (x, out) = (uploaded(harness, &[1.0; 12]), harness.gpu.buffer("out", 48));
    let t = harness.gpu.upload("timesteps", bytemuck::cast_slice(&[0u32, 2, 1]));
    let timesteps = Timesteps::per_group(&t, groups);
    let (in0, out0) = (Some(Tensor::f32(&x)), Tensor::f32(&out));
    let map = Map { table: &table, shape, timesteps, in0, in1: Noise::None, out0, out1: None };
    let plan = map.plan(&harness.context).expect("a plan");
    harness.run(&plan, Recording::per_sample());
    let undefined: Vec<bool> = floats(harness, &out).into_iter().map(f32::is_nan).collect();
    let expected: Vec<bool> = (0..12).map(|element| groups.group_of(element) == Some(1)).collect();
    assert_eq!(undefined, expected);
    assert_eq!(words(harness, plan.status().expect("a count"))[0], 2, "both runs of the group");
}

fn what_is_made_of_whole_samples_is_refused(harness: &Harness) {
    let shape = Shape::new(2, 24);
    let buffer = |elements: u64| harness.gpu.buffer("tensor", 4 * elements);
    let (x, other, t) = (buffer(96), buffer(96), buffer(16));
    let tensor = Tensor::f32(&x);
    let groups = Groups::new(4, 3);
    let timesteps = |groups| Timesteps::per_group(&t, groups);
    let table = Table::new([[[1.0, 0.0], [0.0, 0.0]]]);
    let map = |groups, out0| {
        let map = Map {
            table: &table,
            shape,
            timesteps: timesteps(groups),
            in0: Some(tensor),
            in1: Noise::None,
            out0,
            out1: None,
        };
        map.plan(&harness.context).map(drop)
    };
    assert_eq!(map(groups, tensor), Ok(()));
    for (count, run) in [(5, 3), (0, 3), (4, 0), (4, 5), (48, 1), (3, 16)] {
        let expected = PlanError::Groups { elements: 24, count, run };
        assert_eq!(map(Groups::new(count, run), tensor), Err(expected), "{count} groups of {run}");
    }
    let strided = Tensor::f32(&other).stride(48);
    assert_eq!(map(groups, strided), Err(PlanError::GroupStride { tensor: "out0", found: 48 }));
    let small = harness.gpu.buffer("timesteps", 28);
    let short = Timesteps::per_group(&small, groups);
    let map =
        Map { table: &table, shape, timesteps: short, in0: Some(tensor), in1: Noise::None, out0: tensor, out1: None };
    let expected = PlanError::BufferTooSmall { tensor: "timesteps", expected: 32, found: 28 };
    assert_eq!(map.plan(&harness.context).map(drop), Err(expected));

    let rows = [StepRow { guidance: [2.0, -1.0], ..StepRow::IDENTITY }];
    let step = Step {
        calls: timesteps(groups),
        unconditional: Some(Tensor::f32(&other)),
        ..Step::in_place(&rows, shape, tensor, Tensor::f32(&other))
    };
    let refused = |step: Step<'_>| match step.plan(&harness.context) {
        Err(PlanError::Grouped { found, .. }) => found,
        other => panic!("expected a refusal, found {:?}", other.map(drop)),
    };
    let mut rescaled = step;
    rescaled.options.rescale = 0.5;
    assert_eq!(refused(rescaled), "guidance that is rescaled for each sample");
    let mut threshold = step;
    threshold.options.clip = Clip::Quantile { ratio: 0.9, least: 1.0, most: 2.0 };
    assert_eq!(refused(threshold), "a threshold for each sample");
    assert_eq!(refused(Step { slices: 2, ..step }), "a prediction of several slices");

    let guider = tweedie::math::Guider::CATALOGUE.find("apg").expect("apg").build(&[]).expect("a guider");
    let summed: Vec<GuideRow> = guider.calls(1).expect("calls").map(|call| call.row).collect();
    let guide = Guide {
        calls: timesteps(groups),
        unconditional: Some(Tensor::f32(&other)),
        ..Guide::in_place(&summed, shape, tensor)
    };
    match guide.plan(&harness.context) {
        Err(PlanError::Grouped { found, .. }) => assert_eq!(found, "weights that follow from sums of a sample"),
        other => panic!("expected a refusal, found {:?}", other.map(drop)),
    }

    let density = TimestepDensity::uniform(5).expect("a density");
    let draw = TimestepDraw {
        ends: density.ends(),
        batch: 2,
        groups: 0,
        key: KEY,
        steps: 1,
        seeds: None,
        stratified: None,
        buffer: &t,
        offset: 0,
    };
    assert_eq!(draw.plan(&harness.context).map(drop), Err(PlanError::EmptyShape { batch: 2, elements: 0 }));
}

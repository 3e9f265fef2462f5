//! Sampling end to end: noise drawn on the GPU, a network whose best answer is known, every solver, and what comes out.
//!
//! No step is checked by itself here (see `steps`): a loop runs freely, and where it ends is held against its f64 twin,
//! against the end of the differential equation, and against the distribution of the data.

use crate::closed_loop::Loop;
use crate::harness::{Harness, TestRng};
use crate::solvers::{Case, Course, Wrong, cases, schedule};
use crate::support::loops::deviation;
use networks::Mixture;
use std::cell::Cell;
use tweedie::error::SamplerError;
use tweedie::gpu::{Noise, NoiseKey, Plan, PlanError, Recording, Timesteps};
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::Denoiser;
use tweedie::math::{Model, Sampler};
use tweedie::table::StepRow;
use tweedie::{Quantity, Sampling, Shape, Tensor};

pub const TESTS: &[crate::Test] = &[
    ("sampling::every_solver_ends_where_its_twin_does", every_solver_ends_where_its_twin_does),
    ("sampling::a_wrong_coefficient_ends_elsewhere", a_wrong_coefficient_ends_elsewhere),
    ("sampling::deterministic_solvers_end_where_the_ode_does", deterministic_solvers_end_where_the_ode_does),
    ("sampling::every_solver_has_the_right_moments", every_solver_has_the_right_moments),
    ("sampling::a_mixture_in_the_plane", a_mixture_in_the_plane),
    ("sampling::a_set_of_pictures", a_set_of_pictures),
    ("sampling::from_zero_terminal_snr", from_zero_terminal_snr),
    ("sampling::a_loop_begins_with_a_noised_picture", a_loop_begins_with_a_noised_picture),
    ("sampling::plans_beside_each_other_remember_together", plans_beside_each_other_remember_together),
];

/// The data of most tests: `N(MEAN, DEVIATION^2)` in every element.
const MEAN: f32 = 0.5;
const DEVIATION: f32 = 0.8;

const KEY: NoiseKey = NoiseKey::seed(7).stream(3);

/// How far a loop of a dozen calls may be from its twin: each call rounds about 5 times, by half an epsilon (6e-8) of terms that add
/// up to 4 in the scale of the data. The error of drawn noise, 2e-6, is within that.
const FREE_RUN: f64 = 12.0 * 5.0 * 6e-8 * 4.0;

/// The standard errors by which a moment may miss, which one in 16,000 exceeds.
const SIGMAS: f64 = 4.0;

fn gaussian(elements: usize) -> Mixture {
    Mixture::gaussian(elements, MEAN, DEVIATION)
}

fn every_solver_ends_where_its_twin_does(harness: &Harness) {
    let mixture = gaussian(37);
    for case in cases() {
        for &predicts in case.course.predictions() {
            let sampler = case.sampler(&schedule(), predicts, 12);
            let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: 5, key: KEY };
            let apart = deviation(&closed_loop.on_gpu(harness), &closed_loop.in_f64());
            assert!(apart < FREE_RUN, "{}, {predicts}: {apart:e}", case.name);
        }
    }
}

/// Each coefficient that a step uses, wrong by a hundredth in one call of the loop (see `Case::telling_call`).
fn a_wrong_coefficient_ends_elsewhere(harness: &Harness) {
    const COEFFICIENTS: [fn(&mut StepRow) -> &mut f64; 8] = [
        |row| &mut row.x0[0],
        |row| &mut row.x0[1],
        |row| &mut row.x,
        |row| &mut row.p,
        |row| &mut row.clean,
        |row| &mut row.history[0],
        |row| &mut row.history[1],
        |row| &mut row.z,
    ];
    /// A hundredth of this coefficient changes a sample, of the order of 1, by twice what rounding may. Smaller coefficients are not
    /// tested (the boundary term of LCM, slopes whose weights nearly cancel).
    const NEGLIGIBLE: f64 = 2.0 * 100.0 * FREE_RUN;
    let (mixture, steps) = (gaussian(37), 12);
    for case in cases() {
        let predicts = case.course.predictions()[0];
        let sampler = case.sampler(&schedule(), predicts, steps);
        let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: 5, key: KEY };
        let found = closed_loop.on_gpu(harness);
        let grid = case.course.grid(&schedule(), steps);
        let mut changed = 0;
        for coefficient in COEFFICIENTS {
            let used = Cell::new(false);
            let change = |row: &mut StepRow| {
                used.set(coefficient(row).abs() > NEGLIGIBLE);
                *coefficient(row) *= 1.01;
            };
            let wrong = Wrong { solver: &*case.solver, call: case.telling_call(sampler.calls().len()), change };
            let wrong = Sampler::new(&wrong, &grid, &Denoiser::new(predicts)).expect("a sampler");
            if used.get() {
                changed += 1;
                let apart = deviation(&found, &Loop { sampler: &wrong, ..closed_loop }.in_f64());
                assert!(apart > FREE_RUN, "{}: {apart:e}", case.name);
            }
        }
        assert!(changed >= 3, "{}", case.name);
    }
}

/// The probability flow of Gaussian data moves every element along its quantile: it ends at
/// `MEAN + DEVIATION/spread*(x - alpha*MEAN)`, with `spread` the deviation of `x` at the start.
fn deterministic_solvers_end_where_the_ode_does(harness: &Harness) {
    /// The largest error after 40 steps, of samples that spread over 5, for solvers of first and of higher order.
    const LIMITS: [f64; 2] = [0.12, 0.02];
    /// What twice as many steps may leave of the error: not much more than half of it, since every solver's last step is of first
    /// order.
    const HALVED: f64 = 0.6;
    let (mixture, mean, s) = (gaussian(37), f64::from(MEAN), f64::from(DEVIATION));
    let error = |case: &Case, predicts: Quantity, steps: usize| {
        let sampler = case.sampler(&schedule(), predicts, steps);
        let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: 5, key: KEY };
        let level = sampler.calls()[0].level;
        let spread = (level.alpha() * s).hypot(level.sigma());
        let end = |x: f64| mean + s / spread * (x - level.alpha() * mean);
        let ends: Vec<f64> = closed_loop.start().into_iter().map(end).collect();
        deviation(&closed_loop.on_gpu(harness), &ends)
    };
    for case in cases().into_iter().filter(|case| !case.draws()) {
        let limit = LIMITS[usize::from(!case.first_order())];
        for &predicts in case.course.predictions() {
            let [coarse, fine] = [40, 80].map(|steps| error(&case, predicts, steps));
            assert!(coarse < limit && fine < HALVED * coarse, "{}, {predicts}: {coarse:e}, {fine:e}", case.name);
        }
    }
}

/// Mean and variance of 65,536 elements are those that the affine loop has exactly, and the latter approach those of the data as steps
/// get small.
fn every_solver_has_the_right_moments(harness: &Harness) {
    /// How far mean and variance may be from the data's after 1000 steps, relative to them. Starting from pure noise where there should
    /// be some signal (a hundredth) costs up to 0.010 of the mean, and steps of first order cost 0.0105 of the variance.
    const LEFT: f64 = 0.012;
    let (mixture, one) = (gaussian(2048), gaussian(1));
    for case in cases() {
        let predicts = case.course.predictions()[0];
        let sampler = case.sampler(&schedule(), predicts, 50);
        let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: 32, key: KEY };
        let found = closed_loop.on_gpu(harness);
        let law @ [mean, variance] = Loop { mixture: &one, ..closed_loop }.law();
        assert!(fits(&found, law), "{}: {:?}, expected {law:?}", case.name, moments(&found));
        assert!(!fits(&found, [mean, 1.05 * variance]) && !fits(&found, [mean + 0.02, variance]), "{}", case.name);

        let sampler = case.sampler(&schedule(), predicts, 1000);
        let [mean, variance] = Loop { sampler: &sampler, mixture: &one, ..closed_loop }.law();
        let missed = [mean / f64::from(MEAN) - 1.0, variance / f64::from(DEVIATION).powi(2) - 1.0];
        let right = missed.iter().all(|missed| missed.abs() < case.repeats() * LEFT);
        assert_eq!(right, !case.wants_consistency(), "{}: {missed:?}", case.name);
    }
}

fn moments(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    [mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n]
}

/// Returns `true` if these independent Gaussian numbers have these moments, within [`SIGMAS`] standard errors.
fn fits(values: &[f64], [mean, variance]: [f64; 2]) -> bool {
    let (n, found) = (values.len() as f64, moments(values));
    let misses = [(found[0] - mean) / (variance / n).sqrt(), (found[1] / variance - 1.0) / (2.0 / n).sqrt()];
    misses.iter().all(|miss| miss.abs() < SIGMAS)
}

/// Four unequal clouds of points: the energy distance from exact points is that of other exact points.
fn a_mixture_in_the_plane(harness: &Harness) {
    const POINTS: usize = 1024;
    const FRESH: usize = 16;
    let (means, weights) = ([1.0, 0.2, -0.8, 0.9, 0.1, -1.2, -1.1, -0.6], [0.4, 0.3, 0.2, 0.1]);
    let mixture = Mixture::new(2, &means, &weights, CLOUD);
    let mut rng = TestRng(5);
    let held_out = exact(&mixture, &mut rng, KEY.stream(1000), POINTS);
    let within = mean_distance(&held_out, &held_out);
    let distance = |set: &[Point]| 2.0 * mean_distance(&held_out, set) - within - mean_distance(set, set);
    let fresh = (0..FRESH).map(|i| distance(&exact(&mixture, &mut rng, KEY.stream(1001 + i as u32), POINTS)));
    let [mean, variance] = moments(&fresh.collect::<Vec<_>>());
    let limit = mean + SIGMAS * variance.sqrt();
    for case in cases() {
        let predicts = case.course.predictions()[0];
        let sampler = case.sampler(&schedule(), predicts, 50);
        let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: POINTS as u32, key: KEY };
        let found = distance(closed_loop.on_gpu(harness).as_chunks().0);
        // TCD's detours are as short as its steps, so that clouds this far apart show nothing of them.
        let loses = case.wants_consistency() && case.name != "tcd";
        assert_eq!(found < limit, !loses, "{}: {found:e}, limit {limit:e}", case.name);
    }
}

type Point = [f64; 2];

/// The deviation of a cloud.
const CLOUD: f32 = 0.2;

/// Points of a mixture, drawn as its definition says.
fn exact(mixture: &Mixture, rng: &mut TestRng, key: NoiseKey, count: usize) -> Vec<Point> {
    let (weights, means): (_, Vec<&[f32]>) = (mixture.weights(), mixture.means().collect());
    let mut component = || {
        let mut left = f64::from(rng.word()) / 2f64.powi(31);
        let reached = |weight: &f64| {
            left -= weight;
            left < 0.0
        };
        means[weights.iter().position(reached).unwrap_or(0)]
    };
    let mut point = |z: &Point| {
        let mean = component();
        std::array::from_fn(|i| f64::from(mean[i]) + f64::from(CLOUD) * z[i])
    };
    key.reference(count, 2).as_chunks().0.iter().map(&mut point).collect()
}

/// The mean distance between the points of two sets. Three of these make up an energy distance (Szekely & Rizzo 2013).
fn mean_distance(a: &[Point], b: &[Point]) -> f64 {
    let to_all = |p: &Point| b.iter().map(|q| ((p[0] - q[0]).powi(2) + (p[1] - q[1]).powi(2)).sqrt()).sum::<f64>();
    a.iter().map(to_all).sum::<f64>() / (a.len() * b.len()) as f64
}

/// Every sample is a picture of the set, and each picture comes as often as the others.
fn a_set_of_pictures(harness: &Harness) {
    const PICTURES: usize = 4;
    const SAMPLES: u32 = 256;
    /// The last call's noise, 0.09 at most, is far less than the distance between pictures, about 16, so that only rounding is left.
    const LANDED: f64 = 1e-5;
    let mut rng = TestRng(3);
    let numbers: Vec<f32> = (0..PICTURES * 3 * 8 * 8).map(|_| 0.5 * rng.float()).collect();
    let mixture = Mixture::pictures(3 * 8 * 8, &numbers);
    let pictures: Vec<Vec<f64>> = mixture.means().map(|mean| mean.iter().map(|&x| f64::from(x)).collect()).collect();
    // The noise of a protein's flow is that of its steps, not of its levels: in equal steps the last call sees 0.33.
    for case in cases().into_iter().filter(|case| case.name != "proteina" && !case.mixes_at_the_end()) {
        let predicts = case.course.predictions()[0];
        let sampler = case.sampler(&schedule(), predicts, 20);
        let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: SAMPLES, key: KEY };
        let mut counts = [0; PICTURES];
        for sample in closed_loop.on_gpu(harness).chunks(mixture.elements()) {
            let reached = pictures.iter().position(|picture| deviation(sample, picture) < LANDED);
            counts[reached.unwrap_or_else(|| panic!("{}: a sample is none of the pictures", case.name))] += 1;
        }
        let (expected, share) = (f64::from(SAMPLES) / PICTURES as f64, 1.0 / PICTURES as f64);
        let limit = SIGMAS * (expected * (1.0 - share)).sqrt();
        assert!(counts.iter().all(|&count| (f64::from(count) - expected).abs() < limit), "{}: {counts:?}", case.name);
    }
}

/// From a level without any signal, the first step is as good as any other if the network predicts v or x0. Epsilon says nothing
/// about x0 there, and is refused.
fn from_zero_terminal_snr(harness: &Harness) {
    /// The start is exact here, so that the mean has almost no error.
    const MEAN_LEFT: f64 = 1e-3;
    const VARIANCE_LEFT: f64 = 0.012;
    let schedule = schedule().zero_terminal_snr().expect("a schedule");
    let (mixture, one) = (gaussian(37), gaussian(1));
    for case in cases().into_iter().filter(|case| case.course == Course::Preserving) {
        for predicts in [Quantity::V, Quantity::X0] {
            let sampler = case.sampler(&schedule, predicts, 12);
            assert_eq!(sampler.calls()[0].level.alpha(), 0.0);
            let closed_loop = Loop { sampler: &sampler, mixture: &mixture, predicts, batch: 5, key: KEY };
            let apart = deviation(&closed_loop.on_gpu(harness), &closed_loop.in_f64());
            assert!(apart < FREE_RUN, "{}, {predicts}: {apart:e}", case.name);

            let sampler = case.sampler(&schedule, predicts, 1000);
            let [mean, variance] = Loop { sampler: &sampler, mixture: &one, ..closed_loop }.law();
            let missed = [mean / f64::from(MEAN) - 1.0, variance / f64::from(DEVIATION).powi(2) - 1.0];
            let right = missed[0].abs() < MEAN_LEFT && missed[1].abs() < case.repeats() * VARIANCE_LEFT;
            assert_eq!(right, !case.wants_consistency(), "{}, {predicts}: {missed:?}", case.name);
        }
        let grid = case.course.grid(&schedule, 12);
        let refused = Sampler::new(&*case.solver, &grid, &Denoiser::new(Quantity::Epsilon));
        assert!(matches!(refused, Err(SamplerError::Undefined { step: 0, .. })), "{}: {refused:?}", case.name);
    }
}

/// A loop whose tensors are in other buffers at every call, as with some frameworks' allocators.
fn plans_beside_each_other_remember_together(harness: &Harness) {
    let case = cases().into_iter().find(|case| case.name == "dpm++-3m").expect("a solver that looks back twice");
    let sampler = case.sampler(&schedule(), Quantity::V, 8);
    let shape = Shape::new(3, 37);
    let buffer = |label| harness.gpu.buffer(label, shape.total() * 4);
    let [xs, predictions] = ["x", "prediction"].map(|label| [0, 1].map(|_| buffer(label)));
    let input = buffer("input");
    let numbers = |seed| -> Vec<u8> {
        let normals = tweedie::NoiseKey::normals(seed, 0, 0, shape.total() as usize);
        normals.into_iter().flat_map(|z| (z as f32).to_le_bytes()).collect()
    };
    let sampling = |from: usize, to: usize| Sampling {
        next: Tensor::f32(&xs[to]),
        input: Some(Tensor::f32(&input)), // the solver is on sigmas
        ..Sampling::in_place(
            &sampler,
            shape,
            Tensor::f32(&xs[from]),
            Tensor::f32(&predictions[from]),
            Noise::drawn(KEY),
        )
    };
    let run = |plans: &[Plan]| {
        harness.gpu.queue.write_buffer(&xs[0], 0, &numbers(100));
        for call in 0..sampler.calls().len() {
            let plan = &plans[call % plans.len()];
            harness.gpu.queue.write_buffer(&predictions[call % plans.len()], 0, &numbers(call as u64));
            harness.run(plan, Recording::call(call as u32));
        }
        harness.read(&xs[0])
    };
    let plan = |from, to| sampling(from, to).plan(&harness.context).expect("a plan");
    let alone = run(&[plan(0, 0)]);
    // Memory that the caller gives is shared by both plans.
    let memory = harness.gpu.buffer("memory", 3 * shape.total() * 4);
    let sharing = |from, to| {
        let sampling = Sampling { memory: Some(Tensor::f32(&memory)), ..sampling(from, to) };
        sampling.plan(&harness.context).expect("a plan on memory of the caller's")
    };
    assert!(run(&[sharing(0, 1), sharing(1, 0)]) == alone);
    let first = plan(0, 1);
    let roles = [("x", &xs[1]), ("prediction", &predictions[1]), ("next", &xs[0])];
    let second = first.moved(&harness.context, &roles.map(|(role, buffer)| (role, Tensor::f32(buffer))));
    assert!(run(&[first, second.expect("a moved plan")]) == alone, "a moved plan keeps the loop's memory");
    assert!(run(&[plan(0, 1), plan(1, 0)]) != alone, "they must look back");

    // Rows that are written later give the bits of rows from the beginning, with the call in the recording or in a buffer.
    for per_sample in [false, true] {
        rows_written_later_are_the_rows(harness, &sampling(0, 0), per_sample);
    }
}

/// Runs three calls of a loop whose rows are written into a plan of other rows, and compares with a plan of its own rows. Also checks
/// which rows are refused.
fn rows_written_later_are_the_rows(harness: &Harness, sampling: &Sampling<'_>, per_sample: bool) {
    let shape = sampling.shape;
    let call = harness.gpu.buffer("call", 4);
    let calls = if per_sample { Timesteps::Shared { buffer: &call, offset: 0 } } else { Timesteps::Batch };
    let sampling = Sampling { calls, ..*sampling };
    let rows = sampling.rows();
    let planned = |rows: &[StepRow]| sampling.with_rows(rows).plan(&harness.context).expect("a plan");
    // Other coefficients, which look back as far.
    let other: Vec<StepRow> = rows.iter().map(|row| StepRow { x: 0.5 * row.x, p: 0.25, ..*row }).collect();
    let run = |plan: &Plan| {
        let ones = 1f32.to_le_bytes().repeat(shape.total() as usize);
        [sampling.x, sampling.prediction].into_iter().for_each(|t| harness.gpu.queue.write_buffer(t.buffer, 0, &ones));
        for k in 0..3u32 {
            harness.gpu.queue.write_buffer(&call, 0, &k.to_le_bytes());
            let at = if per_sample { Recording::per_sample() } else { Recording::call(k) };
            harness.run(plan, at);
        }
        harness.read(sampling.x.buffer)
    };
    let expected = run(&planned(&rows));
    let plan = planned(&other);
    assert!(run(&plan) != expected, "other rows must give something else");
    let queue = &harness.gpu.queue;
    plan.set_rows(queue, 2, &rows[2..]).expect("the last rows");
    plan.set_rows(queue, 0, &rows[..2]).expect("the first rows");
    assert!(run(&plan) == expected);

    let error = |first, row: StepRow| plan.set_rows(queue, first, &[row]).expect_err("rows that do not fit");
    let guided = StepRow::IDENTITY.guided([2.0, -1.0]);
    assert_eq!(error(1, guided), PlanError::Missing { what: "unconditional", row: 1 });
    let count = rows.len() as u32;
    let (expected_rows, found) = (u64::from(count), u64::from(count) + 1);
    assert_eq!(error(count, StepRow::IDENTITY), PlanError::Rows { expected: expected_rows, found });
    assert_eq!(error(u32::MAX, StepRow::IDENTITY), PlanError::Rows { expected: expected_rows, found: 1 << 32 });
    let far = StepRow { x: 1e39, ..StepRow::IDENTITY };
    assert!(matches!(error(0, far), PlanError::Table(_)));
    let near = planned(&[StepRow::IDENTITY.looking_back(&[0.5])]);
    let back = StepRow::IDENTITY.looking_back(&[0.0, 0.5]);
    let error = near.set_rows(queue, 0, &[back]).expect_err("further back");
    assert_eq!(error, PlanError::Depth { row: 0, expected: 1, found: 2 });
    assert!(run(&plan) == expected, "what is refused writes nothing");
}

/// The relative error of a start: a sum of two terms rounds to f32, and drawn noise may be off by 2e-6 times its factor.
const START: f64 = 3e-6;

/// With a strength, a loop starts from the picture at the level of the first step that is left, with the noise of a start from pure
/// noise.
fn a_loop_begins_with_a_noised_picture(harness: &Harness) {
    let model = Model::new(schedule(), Quantity::Epsilon);
    let options = SamplerOptions { strength: Some(0.6), ..SamplerOptions::steps(10) };
    let sampler = Sampler::CATALOGUE.find("euler").expect("a sampler").build(&model, &options).expect("six steps");
    let (shape, call) = (Shape::new(3, 50), sampler.calls()[0]);
    let picture: Vec<f32> = (0..150).map(|i| (i as f32 * 0.37).sin()).collect();
    let x0 = harness.gpu.upload("x0", bytemuck::cast_slice(&picture));
    let [x, input, prediction] = ["x", "input", "prediction"].map(|label| harness.gpu.buffer(label, 600));
    let sampling = Sampling {
        input: Some(Tensor::f32(&input)),
        ..Sampling::in_place(&sampler, shape, Tensor::f32(&x), Tensor::f32(&prediction), Noise::None)
    };
    let start = sampling.start_from(&harness.context, KEY, Tensor::f32(&x0)).expect("a start");
    harness.run(&start, Recording::timestep(0));
    let noise = KEY.stream(KEY.stream - 1).reference(3, 50);
    let read = |buffer| bytemuck::pod_collect_to_vec::<u8, f32>(&harness.read(buffer));
    for ((x, input), (x0, z)) in read(&x).into_iter().zip(read(&input)).zip(picture.iter().zip(noise)) {
        let sigma = call.level.sigma();
        let expected = f64::from(*x0) + sigma * z;
        let bound = START * (1.0 + sigma * z.abs());
        assert!((f64::from(x) - expected).abs() <= bound, "expected {expected}, found {x}");
        assert!((f64::from(input) - call.input * expected).abs() <= bound * call.input, "{input}");
    }
}

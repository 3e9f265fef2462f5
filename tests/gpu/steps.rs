//! The step kernel against its f64 twin: random rows over every kind of tensor, whole loops, and what its documentation promises.

use crate::harness::{Harness, TestRng, step};
use crate::stage::{Layout, Placed, Stage};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::{Sample, Stepped};
use tweedie::gpu::{
    CleanStats, Counter, Drawn, Inpainting, Noise, NoiseKey, PlanError, Recording, Shape, Step, StepOptions, Storage,
    Tensor, Timesteps,
};
use tweedie::table::{Clip, Deviation, StepRow};

pub const TESTS: &[crate::Test] = &[
    ("steps::every_kind_of_tensor", every_kind_of_tensor),
    ("steps::a_wrong_coefficient_fails", a_wrong_coefficient_fails),
    ("steps::a_loop_that_looks_back", a_loop_that_looks_back),
    ("steps::a_sample_does_not_depend_on_its_batch", a_sample_does_not_depend_on_its_batch),
    ("steps::a_counter_on_the_gpu_chooses_the_rows", a_counter_on_the_gpu_chooses_the_rows),
    ("steps::what_a_row_does_not_need_may_hold_anything", what_a_row_does_not_need_may_hold_anything),
    ("steps::health_counts_what_was_seen", health_counts_what_was_seen),
    ("steps::errors_name_what_was_found", errors_name_what_was_found),
];

/// The allowance in place of `Step::ROUNDINGS` where a step computes an `exp`, which may be off by 3 + 2|x| ULP (WGSL), for |x| of up
/// to 4 here: 11 ULP more than the 4 half ULP of a bound. Some drivers are less exact.
const EXP: f64 = 16.0;

#[derive(Clone, Copy, Debug)]
struct Case {
    shape: Shape,
    layout: Layout,
    /// The layout of the outputs.
    out: Layout,
    clip: Clip,
    deviation: Deviation,
    guided: bool,
    masked: bool,
    drawn: bool,
    seeds: bool,
    per_sample: bool,
    in_place: bool,
    shared: bool,
    /// Write x0, the network's input and the drawn noise too.
    all: bool,
    depth: usize,
    calls: u32,
}

impl Case {
    fn plain(shape: Shape, storage: Storage) -> Self {
        let layout = Layout::plain(storage);
        Self {
            shape,
            layout,
            out: layout,
            clip: Clip::None,
            deviation: Deviation::Fixed,
            guided: false,
            masked: false,
            drawn: false,
            seeds: false,
            per_sample: false,
            in_place: false,
            shared: false,
            all: true,
            depth: 0,
            calls: 1,
        }
    }

    fn options(&self) -> StepOptions {
        StepOptions { clip: self.clip, deviation: self.deviation, rescale: 0.0 }
    }
}

fn random_rows(case: &Case, rng: &mut TestRng) -> Vec<StepRow> {
    let mut number = || f64::from(rng.float());
    (0..case.calls as usize)
        .map(|call| {
            let mut history = [0.0; StepRow::HISTORY];
            // A first call has nothing to look back to.
            history.iter_mut().take(case.depth.min(call)).for_each(|h| *h = number());
            StepRow {
                guidance: if case.guided { [number(), number()] } else { [1.0, 0.0] },
                x0: [number(), number(), number() * 0.25],
                x: number(),
                p: number(),
                clean: number(),
                history,
                z: number(),
                learned: [number() * 0.5, number() * 0.5],
                known: [number(), number()],
                input: number(),
                // Some rows draw on a stream of their own.
                stream: (call % 2 == 1).then_some(70_000 + 3 * call as u32),
                ..StepRow::IDENTITY
            }
        })
        .collect()
}

fn comparison(storage: Storage, drawn: bool) -> Comparison {
    // An upper bound of what one unit of noise adds: coefficients are within 2 and a learned deviation within e^3.
    Comparison::new(storage).with_noise(if drawn { 60.0 } else { 0.0 })
}

/// Runs all calls of a case, and compares every element of the next sample, the clean sample and the input with the twin. Fails if a
/// byte outside the outputs changed.
fn check_with(
    harness: &Harness,
    case: &Case,
    seed: u64,
    tamper: impl Fn(&mut [StepRow]),
) -> Result<Comparison, PlanError> {
    let mut rng = TestRng(seed);
    let shape = case.shape;
    let rows = random_rows(case, &mut rng);
    let mut stage = Stage::new(shape, case.shared);
    let input = |stage: &mut Stage, used: bool, rng: &mut TestRng| {
        used.then(|| {
            let placed = stage.place(case.layout, false);
            stage.fill(placed, || rng.float());
            placed
        })
    };
    let x = input(&mut stage, true, &mut rng).expect("x");
    let prediction = input(&mut stage, true, &mut rng).expect("prediction");
    let unconditional = input(&mut stage, case.guided, &mut rng);
    let given = input(&mut stage, !case.drawn, &mut rng);
    let learned = input(&mut stage, case.deviation != Deviation::Fixed, &mut rng);
    let mask = input(&mut stage, case.masked, &mut rng);
    let known = input(&mut stage, case.masked, &mut rng);
    let next = if case.in_place { x } else { stage.place(case.out, false) };
    let x0 = (case.all || case.depth > 0).then(|| stage.place(case.out, false));
    let scaled = case.all.then(|| stage.place(case.out, false));
    let keep = (case.all && case.drawn).then(|| stage.place(case.out, false));

    let buffers = stage.upload(harness);
    let tensor = |p: Placed| Stage::tensor(&buffers, p);
    let key = NoiseKey { seed, stream: 3, first_sample: 0xffff_fff0 };
    let ids: Vec<[u32; 4]> = (0..shape.batch).map(|i| [rng.word(), i, 7 + i, i & 1]).collect();
    let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&ids));
    let at: Vec<u32> = (0..shape.batch).map(|_| if case.per_sample { rng.below(case.calls) } else { 0 }).collect();
    let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&at));

    let mut tampered = rows.clone();
    tamper(&mut tampered);
    let plan = Step {
        options: case.options(),
        calls: if case.per_sample { Timesteps::per_sample(&calls) } else { Timesteps::Batch },
        unconditional: unconditional.map(tensor),
        noise: match given {
            Some(given) => Noise::Tensor(tensor(given)),
            None => {
                let seeds = case.seeds.then_some((&seeds, 0));
                Noise::Drawn(Drawn { seeds, keep: keep.map(tensor), ..Drawn::new(key) })
            }
        },
        learned: learned.map(tensor),
        known: mask.zip(known).map(|(mask, known)| Inpainting { mask: tensor(mask), x0: tensor(known) }),
        next: tensor(next),
        x0: x0.map(tensor),
        input: scaled.map(tensor),
        ..Step::in_place(&tampered, shape, tensor(x), tensor(prediction))
    }
    .plan(&harness.context)?;
    assert!(plan.dispatches() == 1 || harness.is_narrow());

    let mut total = comparison(case.out.storage, case.drawn);
    let mut past: Vec<Vec<f64>> = Vec::new();
    let mut current = stage.values(x);
    for call in 0..case.calls {
        let at_call = if case.per_sample { Recording::per_sample() } else { Recording::call(call) };
        harness.run(&plan, at_call);
        let after: Vec<Vec<u8>> = buffers.iter().map(|buffer| harness.read(buffer)).collect();
        let call_of = |sample: usize| if case.per_sample { at[sample] } else { call };
        let noise = |sample: usize| -> Vec<f64> {
            let call = call_of(sample);
            let stream = key.stream + rows[call as usize].stream.unwrap_or(call);
            let [low, high, index_low, index_high] = ids[sample].map(u64::from);
            let (seed, index) = if case.seeds {
                (low | high << 32, index_low | index_high << 32)
            } else {
                (key.seed, key.first_sample + sample as u64)
            };
            tweedie::NoiseKey::normals(seed, stream, index, shape.elements as usize)
        };
        let stepped = expected(case, &rows, call_of, |sample| {
            let elements = shape.elements as usize;
            let range = sample * elements..(sample + 1) * elements;
            let of = |placed: Option<Placed>| -> Vec<f64> {
                placed.map_or(Vec::new(), |placed| stage.values(placed)[range.clone()].to_vec())
            };
            let z = given.map_or_else(|| noise(sample), |given| of(Some(given)));
            let history: Vec<Vec<f64>> =
                past.iter().rev().take(StepRow::HISTORY).map(|x0| x0[range.clone()].to_vec()).collect();
            [
                vec![
                    current[range.clone()].to_vec(),
                    of(Some(prediction)),
                    of(unconditional),
                    z,
                    of(learned),
                    of(mask),
                ],
                vec![of(known)],
                history,
            ]
        });
        let outputs = [
            (Some(next), stepped.iter().flat_map(|s| s.next.clone()).collect::<Vec<_>>()),
            (x0, stepped.iter().flat_map(|s| s.x0.clone()).collect()),
            (scaled, stepped.iter().flat_map(|s| s.input.clone()).collect()),
        ];
        for (placed, exact) in outputs.iter().filter_map(|(placed, exact)| Some(((*placed)?, exact))) {
            let got: Vec<f32> = stage.values_in(&after, placed).iter().map(|&x| x as f32).collect();
            let widened: Vec<Expected> = exact
                .iter()
                .map(|e| Expected {
                    magnitude: e.magnitude * if case.deviation == Deviation::Log { EXP } else { Step::ROUNDINGS },
                    ..*e
                })
                .collect();
            total.add_all(&got, &widened);
        }
        if let Some(keep) = keep {
            let got: Vec<f32> = stage.values_in(&after, keep).iter().map(|&z| z as f32).collect();
            let exact: Vec<f64> = (0..shape.batch as usize).flat_map(noise).collect();
            let exact: Vec<Expected> = exact.iter().map(|&z| Expected { value: z, magnitude: z.abs() }).collect();
            let mut kept = Comparison::new(case.out.storage).with_noise(1.0);
            kept.add_all(&got, &exact);
            assert!(kept.passes(), "{case:?}: the kept noise: {kept}");
        }
        let written: Vec<Placed> = [Some(next), x0, scaled, keep].into_iter().flatten().collect();
        stage.assert_untouched(&after, &written, case);
        if let Some(x0) = x0 {
            past.push(stage.values_in(&after, x0));
        }
        if case.in_place {
            current = stage.values_in(&after, next);
        }
    }
    Ok(total)
}

/// The twin's results for every sample.
fn expected(
    case: &Case,
    rows: &[StepRow],
    call_of: impl Fn(usize) -> u32,
    tensors: impl Fn(usize) -> [Vec<Vec<f64>>; 3],
) -> Vec<Stepped> {
    (0..case.shape.batch as usize)
        .map(|i| {
            let [first, known, past] = tensors(i);
            let [x, p, u, z, v, mask] = &first[..] else { panic!("six tensors") };
            let history = std::array::from_fn(|back| past.get(back).map_or(&[][..], Vec::as_slice));
            let known = case.masked.then(|| [&mask[..], &known[0][..]]);
            let sample = Sample { x, predictions: [p, u], history, noise: z, learned: v, known, ..Sample::default() };
            Step::reference(&rows[call_of(i) as usize], &case.options(), &sample)
        })
        .collect()
}

/// The part of a case that fits a device with four storage buffers: in place, without the network's input, with drawn noise where
/// there is more to read, and without guidance where there is a known region.
fn fitting(harness: &Harness, case: &Case) -> Case {
    if !harness.is_narrow() {
        return *case;
    }
    let drawn = case.drawn || case.masked || case.guided && case.depth > 0;
    Case { all: false, in_place: true, drawn, guided: case.guided && !case.masked, ..*case }
}

#[track_caller]
fn assert_passes(harness: &Harness, case: &Case, seed: u64) {
    let case = &fitting(harness, case);
    let comparison = check_with(harness, case, seed, |_| {}).unwrap_or_else(|error| panic!("{error}: {case:?}"));
    assert!(comparison.passes(), "{comparison}: {case:?}");
}

fn every_kind_of_tensor(harness: &Harness) {
    let mut rng = TestRng(11);
    let shapes = [(1, 1), (3, 2), (2, 8), (5, 63), (3, 1023), (2, 4096), (65, 4), (2, 70_000)];
    // Every storage and turn meets every third shape, since compiling takes most of the time.
    for (i, (batch, elements)) in shapes.into_iter().enumerate() {
        for (s, storage) in Storage::ALL.into_iter().enumerate() {
            for turn in (0..4).filter(|turn| (i + s + turn) % 3 == 0) {
                let mut coin = || rng.below(2) == 1;
                let plain = Layout::plain(storage);
                let odd = Layout { storage, before: 3, gap: 1 };
                let case = Case {
                    layout: if coin() { plain } else { odd },
                    out: plain,
                    clip: [Clip::None, Clip::Range(1.25)][usize::from(coin())],
                    deviation: [Deviation::Fixed, Deviation::Log, Deviation::Variance, Deviation::Fixed][turn],
                    // No case needs more than the eight storage buffers that every device has.
                    guided: turn == 0,
                    masked: turn == 3,
                    drawn: turn > 0,
                    seeds: turn == 2,
                    per_sample: turn == 1,
                    shared: coin(),
                    all: turn == 0 || turn == 3 && coin(),
                    calls: 2,
                    ..Case::plain(Shape::new(batch, elements), storage)
                };
                assert_passes(harness, &case, 100 * i as u64 + turn as u64);
            }
        }
    }
}

fn a_wrong_coefficient_fails(harness: &Harness) {
    let case = Case {
        guided: true,
        clip: Clip::Range(1.0),
        in_place: true,
        calls: 4,
        depth: 3,
        ..Case::plain(Shape::new(3, 40), Storage::F32)
    };
    let masked = Case { masked: true, calls: 1, depth: 0, all: false, in_place: false, ..case };
    let (case, masked) = (fitting(harness, &case), fitting(harness, &masked));
    assert_passes(harness, &case, 5);
    assert_passes(harness, &masked, 5);
    type Break = (&'static str, fn(&mut StepRow));
    let breaks: [Break; 12] = [
        ("conditional", |row| row.guidance[0] *= 1.001),
        ("unconditional", |row| row.guidance[1] *= 1.001),
        ("x0 of x", |row| row.x0[0] *= 1.001),
        ("x0 of p", |row| row.x0[1] *= 1.001),
        ("x0 of z", |row| row.x0[2] *= 1.001),
        ("x", |row| row.x *= 1.001),
        ("p", |row| row.p *= 1.001),
        ("clean", |row| row.clean *= 1.001),
        ("z", |row| row.z *= 1.001),
        ("input", |row| row.input *= 1.001),
        ("latest", |row| row.history[0] *= 1.001),
        ("oldest", |row| row.history[2] *= 1.001),
    ];
    // The network's input can be compared only where it is written.
    for (name, change) in breaks.into_iter().filter(|(name, _)| case.all || *name != "input") {
        let found = check_with(harness, &case, 5, |rows| rows.iter_mut().for_each(change)).expect(name);
        assert!(!found.passes(), "{name}: {found}");
    }
    for change in [|row: &mut StepRow| row.known[0] *= 1.001, |row: &mut StepRow| row.known[1] *= 1.001] {
        let found = check_with(harness, &masked, 5, |rows| rows.iter_mut().for_each(change)).expect("known");
        assert!(!found.passes(), "known: {found}");
    }
}

fn a_loop_that_looks_back(harness: &Harness) {
    for (batch, elements) in [(1, 5), (3, 40), (2, 6), (4, 1030)] {
        for depth in [1, 2, 3, 5, 8] {
            for in_place in [false, true] {
                let shape = Shape::new(batch, elements);
                let case = Case { depth, in_place, calls: 10, ..Case::plain(shape, Storage::F32) };
                assert_passes(harness, &case, 40 + depth as u64);
                assert_passes(harness, &Case { drawn: true, ..case }, 50 + depth as u64);
            }
        }
    }
    // In 16 bits, what is remembered is rounded as the clean sample is, where samples are whole lanes.
    for storage in [Storage::F16, Storage::Bf16] {
        let case = Case { depth: 2, calls: 5, ..Case::plain(Shape::new(3, 40), storage) };
        assert_passes(harness, &case, 60);
    }
}

/// A sample with its own seed and call has the same bits alone, and in any batch.
fn a_sample_does_not_depend_on_its_batch(harness: &Harness) {
    let elements = 36;
    let rows: Vec<StepRow> =
        random_rows(&Case { calls: 6, ..Case::plain(Shape::new(1, elements), Storage::F32) }, &mut TestRng(9));
    let mut rng = TestRng(10);
    let data: Vec<f32> = (0..3 * elements).map(|_| rng.float()).collect();
    let run = |samples: &[usize]| -> Vec<Vec<u8>> {
        let batch = samples.len() as u32;
        let part = |i: usize| &data[i * elements as usize..(i + 1) * elements as usize];
        let gather =
            |shift: usize| -> Vec<f32> { samples.iter().flat_map(|i| part((i + shift) % 3)).copied().collect() };
        let x = harness.gpu.upload("x", bytemuck::cast_slice(&gather(0)));
        let p = harness.gpu.upload("p", bytemuck::cast_slice(&gather(1)));
        let ids: Vec<[u32; 4]> = samples.iter().map(|&i| [5 + i as u32, 0, 90 + i as u32, 0]).collect();
        let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&ids));
        let calls: Vec<u32> = samples.iter().map(|&i| 2 * i as u32).collect();
        let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&calls));
        let next = harness.gpu.buffer("next", u64::from(batch * elements) * 4);
        let noise = Drawn::new(NoiseKey::seed(1)).seeded(&seeds);
        let step = Step {
            calls: Timesteps::per_sample(&calls),
            noise: Noise::Drawn(noise),
            next: Tensor::f32(&next),
            ..step(&rows, Shape::new(batch, elements), &x, &p)
        };
        let plan = step.plan(&harness.context).expect("plan");
        harness.run(&plan, Recording::per_sample());
        harness.read(&next).chunks(elements as usize * 4).map(<[u8]>::to_vec).collect()
    };
    let whole = run(&[0, 1, 2]);
    let swapped = run(&[2, 0]);
    assert_eq!((&whole[2], &whole[0]), (&swapped[0], &swapped[1]));
    assert_eq!(run(&[1]), [whole[1].clone()]);
    assert_ne!(whole[0], whole[1]);
}

/// Rows that add the prediction times 10 to the power of the call.
fn powers(calls: i32) -> Vec<StepRow> {
    (0..calls).map(|k| StepRow { p: 10f64.powi(k), ..StepRow::IDENTITY }).collect()
}

fn a_counter_on_the_gpu_chooses_the_rows(harness: &Harness) {
    let rows = powers(4);
    let x = harness.gpu.upload("x", bytemuck::cast_slice(&[0.0f32; 8]));
    let p = harness.gpu.upload("p", bytemuck::cast_slice(&[1.0f32; 8]));
    let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&[77u32, 0, 1, 77]));
    let shape = Shape::new(2, 4);
    let run = |timesteps, counters, recordings: usize| {
        harness.gpu.submit(|encoder| encoder.clear_buffer(&x, 0, None)).expect("device");
        let plan = Step { calls: timesteps, ..step(&rows, shape, &x, &p) }.plan(&harness.context);
        let plan = plan.expect("plan");
        let counter = Counter::new(&harness.context, &calls, 4, counters).expect("counter");
        let record = |encoder: &mut wgpu::CommandEncoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for _ in 0..recordings {
                plan.record(&mut pass, Recording::per_sample()).expect("recording");
                counter.record(&mut pass);
            }
        };
        harness.gpu.submit(record).expect("device");
        bytemuck::cast_slice::<u8, f32>(&harness.read(&x)).to_vec()
    };
    let per_sample = Timesteps::PerSample { buffer: &calls, offset: 4 };
    assert_eq!(run(per_sample, 2, 3), [111.0, 111.0, 111.0, 111.0, 1110.0, 1110.0, 1110.0, 1110.0]);
    assert_eq!(bytemuck::cast_slice::<u8, u32>(&harness.read(&calls)), [77, 3, 4, 77]);
    let shared = Timesteps::Shared { buffer: &calls, offset: 4 };
    assert_eq!(run(shared, 1, 1), [1000.0; 8], "one counter for the batch, which stood at 3");
    let beyond = run(shared, 1, 1);
    assert!(beyond.iter().all(|x| x.is_nan()), "a call that the loop does not have: {beyond:?}");
    assert!(Counter::new(&harness.context, &calls, 4, 4).is_err(), "beyond the buffer");
    assert!(Counter::new(&harness.context, &calls, 2, 1).is_err(), "an offset within a word");
}

fn what_a_row_does_not_need_may_hold_anything(harness: &Harness) {
    let rows = [StepRow { x: 0.5, ..StepRow::IDENTITY }];
    let x = harness.gpu.upload("x", bytemuck::cast_slice(&[2.0f32; 5]));
    let p = harness.gpu.upload("p", bytemuck::cast_slice(&[1.0f32; 5]));
    let nan = harness.gpu.upload("nan", bytemuck::cast_slice(&[f32::NAN; 5]));
    let next = harness.gpu.buffer("next", 20);
    let plan = Step {
        unconditional: Some(Tensor::f32(&nan)),
        noise: Noise::Tensor(Tensor::f32(&nan)),
        next: Tensor::f32(&next),
        ..step(&rows, Shape::new(1, 5), &x, &p)
    }
    .plan(&harness.context)
    .expect("plan");
    harness.run(&plan, Recording::call(0));
    assert_eq!(bytemuck::cast_slice::<u8, f32>(&harness.read(&next)), [1.0f32; 5]);

    // Samples without gaps, so that neighbours share lanes; every other sample reads the noise.
    let rows = [rows[0], StepRow { z: 1.0, ..rows[0] }];
    let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&[0u32, 1, 0, 1]));
    let x = harness.gpu.upload("x", bytemuck::cast_slice(&[2.0f32; 20]));
    let next = harness.gpu.buffer("next", 80);
    let noise: Vec<f32> = (0..20).map(|i| if i / 5 % 2 == 0 { f32::NAN } else { 4.0 }).collect();
    let noise = harness.gpu.upload("noise", bytemuck::cast_slice(&noise));
    let plan = Step {
        calls: Timesteps::per_sample(&calls),
        noise: Noise::Tensor(Tensor::f32(&noise)),
        next: Tensor::f32(&next),
        ..step(&rows, Shape::new(4, 5), &x, &x)
    }
    .plan(&harness.context)
    .expect("plan");
    harness.run(&plan, Recording::per_sample());
    let expected: Vec<f32> = (0..20).map(|i| if i / 5 % 2 == 0 { 1.0 } else { 5.0 }).collect();
    assert_eq!(bytemuck::cast_slice::<u8, f32>(&harness.read(&next)), expected);
}

fn health_counts_what_was_seen(harness: &Harness) {
    for (batch, elements) in [(1, 5), (3, 7), (2, 4096), (3, 70_000)] {
        for per_sample in [false, true] {
            let shape = Shape::new(batch, elements);
            let total = (batch * elements) as usize;
            let mut rng = TestRng(4);
            let mut values: Vec<f32> = (0..total).map(|_| rng.float()).collect();
            values[total / 2] = f32::NAN;
            values[total - 1] = f32::INFINITY;
            let x = harness.gpu.upload("x", bytemuck::cast_slice(&values));
            let next = harness.gpu.buffer("next", 4 * total as u64);
            let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&vec![1u32; batch as usize]));
            let rows = [StepRow::IDENTITY; 3];
            let step = Step {
                options: StepOptions { clip: Clip::Range(1.5), ..StepOptions::default() },
                calls: if per_sample { Timesteps::per_sample(&calls) } else { Timesteps::Batch },
                clean_stats: true,
                next: Tensor::f32(&next),
                ..step(&rows, shape, &x, &x)
            };
            let plan = step.plan(&harness.context).expect("plan");
            let at = if per_sample { Recording::per_sample() } else { Recording::call(1) };
            harness.run(&plan, at);
            let record = CleanStats::decode(&harness.read(plan.clean_stats().expect("a record")));
            let finite = || values.iter().copied().filter(|x| x.is_finite());
            let expected = CleanStats {
                not_finite: 2,
                clipped: finite().filter(|x| x.abs() > 1.5).count() as u32,
                range: Some([finite().fold(f32::MAX, f32::min), finite().fold(f32::MIN, f32::max)]),
            };
            let nothing = CleanStats { not_finite: 0, clipped: 0, range: None };
            assert_eq!(record, [nothing, expected, nothing], "{shape}, per sample: {per_sample}");
            let after = harness.read(&next);
            assert!(bytemuck::cast_slice::<u8, f32>(&after)[total / 2].is_nan(), "a NaN is not clipped away");
        }
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let x = harness.gpu.upload("x", bytemuck::cast_slice(&[2.0f32; 8]));
    let next = harness.gpu.buffer("next", 32);
    let error = |rows: &[StepRow], change: &dyn Fn(&mut Step<'_>)| {
        let mut step = Step { next: Tensor::f32(&next), ..step(rows, Shape::new(2, 4), &x, &x) };
        change(&mut step);
        step.plan(&harness.context).map(|_| ()).expect_err("a plan")
    };
    let noisy = [StepRow::IDENTITY, StepRow { z: 1.0, ..StepRow::IDENTITY }];
    assert_eq!(error(&noisy, &|_| {}), PlanError::Missing { what: "noise", row: 1 });
    let guided = [StepRow::IDENTITY.guided([2.0, -1.0])];
    assert_eq!(error(&guided, &|_| {}), PlanError::Missing { what: "unconditional", row: 0 });
    let learned = error(&noisy, &|step| {
        step.noise = Noise::drawn(NoiseKey::seed(0));
        step.options.deviation = Deviation::Log;
    });
    assert_eq!(learned, PlanError::Missing { what: "learned", row: 1 });
    assert_eq!(error(&[], &|_| {}), PlanError::EmptyTable);
    let clips = [
        Clip::Range(0.0),
        Clip::Range(f64::NAN),
        Clip::Quantile { ratio: 1.5, least: 1.0, most: 2.0 },
        Clip::Quantile { ratio: 0.5, least: f64::NAN, most: 2.0 },
        Clip::Quantile { ratio: 0.5, least: 1.0, most: 0.5 },
    ];
    for clip in clips {
        let found = error(&[StepRow::IDENTITY], &|step| step.options.clip = clip);
        assert!(matches!(found, PlanError::Rule { .. }), "{clip:?}: {found}");
    }
    let far = [StepRow { x: 1e39, ..StepRow::IDENTITY }];
    assert!(matches!(error(&far, &|_| {}), PlanError::Table(_)));
    let small = harness.gpu.buffer("small", 28);
    let short = Step { next: Tensor::f32(&small), ..step(&[StepRow::IDENTITY], Shape::new(2, 4), &x, &x) };
    let found = short.plan(&harness.context).map(|_| ()).expect_err("a plan");
    assert!(found.to_string().starts_with("next: expected a buffer of at least 32 bytes"), "{found}");
    let plan = Step { next: Tensor::f32(&next), ..step(&[StepRow::IDENTITY], Shape::new(2, 4), &x, &x) };
    let plan = plan.plan(&harness.context).expect("plan");
    let outside = harness.gpu.submit(|encoder| plan.encode(encoder, Recording::call(1))).expect("device");
    assert!(outside.is_err(), "a call that the loop does not have");
}

//! Rows with further parts: a look back of up to twelve calls, the clean sample of the unconditional prediction, what a call
//! remembers, a second noise, slices of a prediction, and a clip of the row's own.

use crate::harness::{Harness, TestRng, step};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::{Sample, Stepped};
use tweedie::gpu::{Noise, NoiseKey, PlanError, Recording, Shape, Step, StepOptions, Storage, Tensor, Timesteps};
use tweedie::table::{Clip, StepRow};

pub const TESTS: &[crate::Test] = &[
    ("extended::every_part_of_a_row", every_part_of_a_row),
    ("extended::a_wrong_part_fails", a_wrong_part_fails),
    ("extended::rows_share_a_plan_with_those_that_clip", rows_share_a_plan_with_those_that_clip),
    ("extended::what_a_plan_has_no_place_for_is_refused", what_a_plan_has_no_place_for_is_refused),
];

const KEY: NoiseKey = NoiseKey { seed: 9, stream: 5, first_sample: 3 };
const CALLS: u32 = 14;

/// An upper bound of what one unit of noise adds to a result: coefficients are within 1, and there are two noises.
const NOISE: f64 = 8.0;

#[derive(Clone, Copy, Debug)]
struct Case {
    shape: Shape,
    storage: Storage,
    depth: usize,
    slices: u32,
    per_sample: bool,
}

/// Rows that use every part, except for the slices where a prediction has one.
fn rows_of(case: &Case, rng: &mut TestRng) -> Vec<StepRow> {
    let mut number = || f64::from(rng.float()) * 0.5;
    let row = |call: u32| {
        let past: Vec<f64> = (0..case.depth.min(call as usize)).map(|_| number()).collect();
        let mut slices = [0.0; StepRow::SLICES];
        slices.iter_mut().take(case.slices as usize).for_each(|weight| *weight = number());
        let slices = if case.slices > 1 { slices } else { StepRow::IDENTITY.slices };
        StepRow {
            guidance: [number(), number()],
            x0: [number(), number(), number()],
            x: number(),
            p: number(),
            clean: number(),
            z: number(),
            input: number(),
            unconditional_clean: number(),
            kept: if call % 2 == 1 { StepRow::IDENTITY.kept } else { [number(), number(), number()] },
            second_z: if call % 4 == 3 { (0.0, 0) } else { (number(), 40 + call) },
            slices,
            clip: [None, Some(Clip::Range(f64::INFINITY)), Some(Clip::Range(0.5))][call as usize % 3],
            ..StepRow::IDENTITY.looking_back(&past)
        }
    };
    (0..CALLS).map(row).collect()
}

fn values(rng: &mut TestRng, storage: Storage, count: usize) -> Vec<f32> {
    let values: Vec<f32> = (0..count).map(|_| rng.float()).collect();
    storage.decode(&storage.encode(&values))[..count].to_vec()
}

/// Runs a loop whose memory the test reads, and compares the samples and what each call remembers.
fn check(harness: &Harness, case: &Case, tamper: impl Fn(&mut StepRow)) -> Comparison {
    let Case { shape, storage, depth, slices, per_sample } = *case;
    let mut rng = TestRng(17);
    let rows = rows_of(case, &mut rng);
    let mut tampered = rows.clone();
    tampered.iter_mut().for_each(tamper);
    let (batch, elements) = (shape.batch as usize, shape.elements as usize);
    let count = batch * elements;
    let x = values(&mut rng, storage, count);
    let predictions = [(); 2].map(|()| values(&mut rng, storage, count * slices as usize));
    let upload = |values: &[f32]| harness.gpu.upload("tensor", &storage.encode(values));
    let x_buffer = upload(&x);
    let [conditional, unconditional] = predictions.each_ref().map(|values| upload(values));
    // Memory is f32 where a walk goes word by word.
    let flat = depth == 1 && slices == 1 && shape.total().is_multiple_of(4);
    let words = !shape.elements.is_multiple_of(4) && !flat;
    let kept_as = if words { Storage::F32 } else { storage };
    let memory = harness.gpu.buffer("memory", (depth * count) as u64 * kept_as.bytes());
    let call_buffer = harness.gpu.buffer("calls", 4 * u64::from(shape.batch));
    let at = |buffer| Tensor::new(buffer, storage);
    let plan = Step {
        options: StepOptions { clip: Clip::Range(0.75), ..StepOptions::default() },
        calls: if per_sample { Timesteps::per_sample(&call_buffer) } else { Timesteps::Batch },
        slices,
        unconditional: Some(at(&unconditional)),
        noise: Noise::drawn(KEY),
        memory: Some(Tensor::new(&memory, kept_as)),
        ..Step::in_place(&tampered, shape, at(&x_buffer), at(&conditional))
    };
    let plan = plan.plan(&harness.context).unwrap_or_else(|error| panic!("{error}: {case:?}"));

    let options = StepOptions { clip: Clip::Range(0.75), ..StepOptions::default() };
    let mut total = Comparison::new(storage).with_noise(NOISE);
    let mut current = x;
    let mut past: Vec<Vec<f32>> = Vec::new();
    for (call, row) in (0u32..).zip(&rows) {
        harness.gpu.queue.write_buffer(&call_buffer, 0, &call.to_le_bytes().repeat(batch));
        let recording = if per_sample { Recording::per_sample() } else { Recording::call(call) };
        harness.run(&plan, recording);
        let stepped: Vec<Stepped> = (0..batch)
            .map(|sample| {
                let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
                let own = |values: &[f32], size: usize| wide(&values[sample * size..(sample + 1) * size]);
                let noise = |stream| {
                    KEY.stream(KEY.stream + stream).reference(batch, elements)[sample * elements..][..elements].to_vec()
                };
                let history: Vec<Vec<f64>> =
                    past.iter().rev().take(StepRow::HISTORY).map(|x0| own(x0, elements)).collect();
                let [p, u] = predictions.each_ref().map(|values| own(values, elements * slices as usize));
                let sample = Sample {
                    x: &own(&current, elements),
                    predictions: [&p, &u],
                    history: std::array::from_fn(|back| history.get(back).map_or(&[][..], Vec::as_slice)),
                    noise: &noise(call),
                    second_noise: &noise(row.second_z.1),
                    ..Sample::default()
                };
                Step::reference(row, &options, &sample)
            })
            .collect();
        let found = storage.decode(&harness.read(&x_buffer))[..count].to_vec();
        let remembered = kept_as.decode(&harness.read(&memory));
        let slot = |sample: usize| (sample * depth + call as usize % depth) * elements;
        let kept: Vec<f32> = (0..batch).flat_map(|sample| remembered[slot(sample)..][..elements].to_vec()).collect();
        for (found, pick) in [
            (&found, (|stepped: &Stepped| stepped.next.clone()) as fn(&Stepped) -> Vec<Expected>),
            (&kept, |stepped: &Stepped| stepped.remembered.clone()),
        ] {
            let exact: Vec<Expected> = stepped.iter().flat_map(pick).collect();
            let widened: Vec<_> =
                exact.iter().map(|e| Expected { magnitude: e.magnitude * Step::ROUNDINGS, ..*e }).collect();
            total.add_all(found, &widened);
        }
        (current, past) = (found, [past, vec![kept]].concat());
    }
    total
}

fn every_part_of_a_row(harness: &Harness) {
    let shapes = [(3, 40), (2, 35), (1, 5), (4, 1030)];
    for (i, (batch, elements)) in shapes.into_iter().enumerate() {
        for storage in Storage::ALL {
            for (depth, slices) in [(12, 1), (8, 1), (4, 10), (1, 2), (5, 1), (1, 1)] {
                let case = Case { shape: Shape::new(batch, elements), storage, depth, slices, per_sample: i % 2 == 1 };
                let found = check(harness, &case, |_| {});
                assert!(found.passes(), "{found}: {case:?}");
            }
        }
    }
}

fn a_wrong_part_fails(harness: &Harness) {
    let case = Case { shape: Shape::new(3, 40), storage: Storage::F32, depth: 12, slices: 3, per_sample: false };
    type Break = (&'static str, fn(&mut StepRow));
    let breaks: [Break; 11] = [
        ("the clean sample of the unconditional prediction", |row| row.unconditional_clean *= 1.001),
        ("the clean sample of the unconditional prediction in what is remembered", |row| row.kept[2] *= 1.001),
        ("the second noise", |row| row.second_z.0 *= 1.001),
        ("its stream", |row| row.second_z.1 += 1),
        ("a slice", |row| row.slices[2] *= 1.001),
        ("four calls ago", |row| row.history[3] *= 1.001),
        ("eight calls ago", |row| row.history[7] *= 1.001),
        ("twelve calls ago", |row| row.history[11] *= 1.001),
        ("the sample in what is remembered", |row| row.kept[0] *= 1.001),
        ("the clean sample in what is remembered", |row| {
            if row.kept[0] != 0.0 {
                row.kept[1] *= 1.001;
            }
        }),
        ("the clip of a row", |row| {
            if let Some(Clip::Range(range)) = &mut row.clip {
                *range *= 0.999;
            }
        }),
    ];
    assert!(check(harness, &case, |_| {}).passes());
    for (name, change) in breaks {
        let found = check(harness, &case, change);
        assert!(!found.passes(), "{name}: {found}");
    }
}

/// A row with a clip of infinity is not clipped in a plan that clips: it has the bits of a plan that does not clip.
fn rows_share_a_plan_with_those_that_clip(harness: &Harness) {
    let shape = Shape::new(1, 64);
    let mut rng = TestRng(3);
    let (x, p) = (values(&mut rng, Storage::F32, 64), values(&mut rng, Storage::F32, 64));
    let p = harness.gpu.upload("p", bytemuck::cast_slice(&p));
    let run = |clip: Clip, own: Option<f64>| {
        let x = harness.gpu.upload("x", bytemuck::cast_slice(&x));
        let rows =
            [StepRow { x0: [2.0, 1.0, 0.0], x: 0.0, clean: 1.0, clip: own.map(Clip::Range), ..StepRow::IDENTITY }];
        let step = Step { options: StepOptions { clip, ..StepOptions::default() }, ..step(&rows, shape, &x, &p) };
        let plan = step.plan(&harness.context).expect("a plan");
        harness.run(&plan, Recording::call(0));
        harness.read(&x)
    };
    assert!(run(Clip::Range(0.5), Some(f64::INFINITY)) == run(Clip::None, None));
    assert!(run(Clip::Range(0.5), Some(0.25)) == run(Clip::Range(0.25), None));
    assert!(run(Clip::Range(0.5), None) != run(Clip::None, None));
}

fn what_a_plan_has_no_place_for_is_refused(harness: &Harness) {
    let shape = Shape::new(1, 64);
    let [x, p] = [(); 2].map(|()| harness.gpu.buffer("tensor", 4 * 64));
    let plan = |row: StepRow, change: fn(&mut Step<'_>)| {
        let rows = [row];
        let mut step = step(&rows, shape, &x, &p);
        change(&mut step);
        step.plan(&harness.context).map(drop)
    };
    let row = StepRow::IDENTITY;
    let needs = |what| Err(PlanError::Missing { what, row: 0 });
    assert_eq!(plan(StepRow { unconditional_clean: 0.5, ..row }, |_| {}), needs("unconditional"));
    assert_eq!(plan(StepRow { kept: [0.0, 0.0, 1.0], ..row }, |_| {}), needs("unconditional"));
    assert_eq!(plan(StepRow { second_z: (1.0, 0), ..row }, |_| {}), needs("noise"));
    assert_eq!(plan(StepRow { clip: Some(Clip::Range(1.0)), ..row }, |_| {}), Err(PlanError::Clip { row: 0 }));
    let clipped = |step: &mut Step<'_>| step.options.clip = Clip::Range(1.0);
    let zero = PlanError::Rule { what: "clip range", expected: "above 0", found: 0.0 };
    assert_eq!(plan(StepRow { clip: Some(Clip::Range(0.0)), ..row }, clipped), Err(zero));
    assert_eq!(plan(row, |step| step.slices = 0), Err(PlanError::SliceCount { most: 16, found: 0 }));
    assert_eq!(plan(row, |step| step.slices = 17), Err(PlanError::SliceCount { most: 16, found: 17 }));
    let mut slices = row.slices;
    slices[1] = 0.5;
    assert_eq!(plan(StepRow { slices, ..row }, |_| {}), Err(PlanError::Slices { row: 0, expected: 1, found: 2 }));
    let short = PlanError::BufferTooSmall { tensor: "prediction", expected: 4 * 128, found: 4 * 64 };
    assert_eq!(plan(StepRow { slices, ..row }, |step| step.slices = 2), Err(short));
    assert!(matches!(plan(StepRow { stream: Some(1 << 24), ..row }, |_| {}), Err(PlanError::Stream { row: 0, .. })));
    let given = |step: &mut Step<'_>| step.noise = Noise::Tensor(step.prediction);
    let found = plan(StepRow { second_z: (1.0, 0), ..row }, given);
    assert!(matches!(found, Err(PlanError::Noise { found: "a tensor", .. })), "{found:?}");
    // Rows that are written later.
    let rows = [row];
    let step = Step { noise: Noise::None, least_depth: 1, ..step(&rows, shape, &x, &p) };
    let plan = step.plan(&harness.context).expect("a plan");
    let late = |row| plan.set_rows(&harness.gpu.queue, 0, &[row]);
    assert_eq!(late(StepRow { kept: [0.0, 0.0, 1.0], ..row }), needs("unconditional"));
    assert_eq!(late(row.looking_back(&[0.0, 0.0, 0.0, 1.0])), Err(PlanError::Extended { row: 0 }));
    assert_eq!(late(StepRow { clip: Some(Clip::Range(1.0)), ..row }), Err(PlanError::Clip { row: 0 }));
    assert_eq!(late(row.looking_back(&[1.0])), Ok(()));
}

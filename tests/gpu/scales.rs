//! What a step computes about each sample before it begins: guidance rescale and dynamic thresholding.

use crate::harness::{Harness, TestRng, harness_with_binding_limit};
use crate::stage::{Layout, Placed, Stage};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::Sample;
use tweedie::gpu::{Noise, NoiseKey, Recording, Shape, Step, StepOptions, Storage, Timesteps};
use tweedie::table::{Clip, StepRow};

pub const TESTS: &[crate::Test] = &[
    ("scales::every_size_and_storage", every_size_and_storage),
    ("scales::every_layout", every_layout),
    ("scales::every_sample_at_its_own_call", every_sample_at_its_own_call),
    ("scales::drawn_noise_is_part_of_the_clean_sample", drawn_noise_is_part_of_the_clean_sample),
    ("scales::the_quantile_is_exact", the_quantile_is_exact),
    ("scales::ties_and_constants", ties_and_constants),
    ("scales::not_everything_is_a_number", not_everything_is_a_number),
    ("scales::a_mean_far_from_zero", a_mean_far_from_zero),
    ("scales::bit_identical_in_every_run_and_batch", bit_identical_in_every_run_and_batch),
    ("scales::many_small_samples", many_small_samples),
    ("scales::windows_of_a_small_binding_limit", windows_of_a_small_binding_limit),
    ("scales::twenty_million_elements", twenty_million_elements),
    ("scales::a_wrong_rule_fails", a_wrong_rule_fails),
];

/// The roundings of a step's sums (`Step::ROUNDINGS`), and a few more of the factor and the threshold, which divides what it scales.
const ROUNDINGS: f64 = 12.0;

#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    layout: Layout,
    options: StepOptions,
    guided: bool,
    drawn: bool,
    per_sample: bool,
}

const THRESHOLD: Clip = Clip::Quantile { ratio: 0.85, least: 0.05, most: f64::INFINITY };

impl Case {
    fn new(batch: u32, elements: u32, storage: Storage) -> Self {
        Self {
            shape: Shape::new(batch, elements),
            layout: Layout::plain(storage),
            options: StepOptions { clip: THRESHOLD, rescale: 0.7, ..StepOptions::default() },
            guided: true,
            drawn: false,
            per_sample: false,
        }
    }

    fn rows(&self) -> [StepRow; 3] {
        let row = |i: usize| StepRow {
            guidance: if self.guided { [3.5 - i as f64, i as f64 - 2.5] } else { [1.0, 0.0] },
            x0: [1.25, -0.5 - 0.25 * i as f64, if self.drawn { 0.5 } else { 0.0 }],
            x: 0.0,
            p: 0.25,
            clean: 1.0,
            ..StepRow::IDENTITY
        };
        [0, 1, 2].map(row)
    }
}

struct Ran {
    next: Vec<f32>,
    x0: Vec<f32>,
}

const KEY: NoiseKey = NoiseKey { seed: 11, stream: 5, first_sample: 3 };

/// Runs call 1 of a case, or each sample's own call, and compares its results with the twin's under these options.
fn check(harness: &Harness, case: &Case, options: &StepOptions, mut value: impl FnMut() -> f32) -> (Comparison, Ran) {
    let shape = case.shape;
    let mut stage = Stage::new(shape, false);
    let mut input = |stage: &mut Stage| {
        let placed = stage.place(case.layout, false);
        stage.fill(placed, &mut value);
        placed
    };
    let [x, conditional, unconditional] = [(); 3].map(|()| input(&mut stage));
    let [next, x0] = [(); 2].map(|()| stage.place(Layout::plain(Storage::F32), false));
    let buffers = stage.upload(harness);
    let tensor = |p: Placed| Stage::tensor(&buffers, p);
    let at: Vec<u32> = (0..shape.batch).map(|i| if case.per_sample { (i * 7) % 3 } else { 1 }).collect();
    let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&at));
    let rows = case.rows();
    let plan = Step {
        options: case.options,
        calls: if case.per_sample { Timesteps::per_sample(&calls) } else { Timesteps::Batch },
        unconditional: case.guided.then(|| tensor(unconditional)),
        noise: if case.drawn { Noise::drawn(KEY) } else { Noise::None },
        next: tensor(next),
        x0: Some(tensor(x0)),
        ..Step::in_place(&rows, shape, tensor(x), tensor(conditional))
    }
    .plan(&harness.context)
    .expect("plan");
    let when = if case.per_sample { Recording::per_sample() } else { Recording::call(1) };
    // Twice in one submission: what the first recording leaves behind must not change the second.
    harness
        .gpu
        .submit(|encoder| (0..2).try_for_each(|_| plan.encode(encoder, when)))
        .expect("device")
        .expect("recording");
    let after: Vec<Vec<u8>> = buffers.iter().map(|buffer| harness.read(buffer)).collect();
    let found = |p: Placed| -> Vec<f32> { stage.values_in(&after, p).iter().map(|&x| x as f32).collect() };
    let ran = Ran { next: found(next), x0: found(x0) };

    let mut total = Comparison::new(Storage::F32).with_noise(if case.drawn { 20.0 } else { 0.0 });
    let elements = shape.elements as usize;
    let [x, p, u] = [x, conditional, unconditional].map(|placed| stage.values(placed));
    for sample in 0..shape.batch as usize {
        let range = sample * elements..(sample + 1) * elements;
        let stream = KEY.stream + at[sample];
        let noise = if case.drawn {
            tweedie::NoiseKey::normals(KEY.seed, stream, KEY.first_sample + sample as u64, elements)
        } else {
            Vec::new()
        };
        let tensors = Sample {
            x: &x[range.clone()],
            predictions: [&p[range.clone()], &u[range.clone()]],
            noise: &noise,
            ..Sample::default()
        };
        let stepped = Step::reference(&rows[at[sample] as usize], options, &tensors);
        let widened = |exact: &[Expected]| -> Vec<Expected> {
            exact.iter().map(|e| Expected { magnitude: e.magnitude * ROUNDINGS, ..*e }).collect()
        };
        total.add_all(&ran.next[range.clone()], &widened(&stepped.next));
        total.add_all(&ran.x0[range], &widened(&stepped.x0));
    }
    (total, ran)
}

#[track_caller]
fn assert_passes(harness: &Harness, case: &Case, value: impl FnMut() -> f32) -> Ran {
    let (comparison, ran) = check(harness, case, &case.options, value);
    assert!(comparison.passes(), "{comparison}: {case:?}");
    ran
}

fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut rng = TestRng(seed);
    // The sum of three is more like the outputs of networks than one uniform number, and has tails.
    move || (0..3).map(|_| rng.float()).sum::<f32>() * 0.5
}

fn every_size_and_storage(harness: &Harness) {
    for (batch, elements) in [(1, 1), (3, 2), (2, 3), (5, 5), (2, 1023), (3, 4096), (2, 4097), (1, 100_003)] {
        for storage in Storage::ALL {
            assert_passes(harness, &Case::new(batch, elements, storage), random(u64::from(elements)));
        }
    }
    let only = |options: StepOptions, guided: bool| Case { options, guided, ..Case::new(3, 1029, Storage::F32) };
    assert_passes(harness, &only(StepOptions { rescale: 1.0, ..StepOptions::default() }, true), random(1));
    assert_passes(harness, &only(StepOptions { clip: THRESHOLD, ..StepOptions::default() }, true), random(2));
    assert_passes(
        harness,
        &only(StepOptions { clip: THRESHOLD, rescale: 0.3, ..StepOptions::default() }, false),
        random(3),
    );
}

fn every_layout(harness: &Harness) {
    let mut rng = TestRng(8);
    for storage in Storage::ALL {
        for (batch, elements) in [(3, 64), (4, 63), (2, 8191), (2, 20_000)] {
            for (before, gap) in [(4, 4), (rng.below(8), 1), (1, rng.below(8))] {
                let layout = Layout { storage, before, gap };
                assert_passes(harness, &Case { layout, ..Case::new(batch, elements, storage) }, random(4));
            }
        }
    }
}

fn every_sample_at_its_own_call(harness: &Harness) {
    for (batch, elements) in [(7, 40), (5, 5001)] {
        assert_passes(harness, &Case { per_sample: true, ..Case::new(batch, elements, Storage::F32) }, random(5));
    }
}

fn drawn_noise_is_part_of_the_clean_sample(harness: &Harness) {
    for elements in [64, 63, 4101] {
        let case = Case { drawn: true, ..Case::new(3, elements, Storage::F32) };
        assert_passes(harness, &case, random(6));
        assert_passes(harness, &Case { per_sample: true, ..case }, random(6));
    }
}

/// Thresholds a sample that is its own clean sample: `x0 = clamp(x, -s, s)/s`, so that elements that are not clipped show `s`.
fn thresholded(harness: &Harness, values: &[f32], clip: Clip) -> Vec<f32> {
    let x = harness.gpu.upload("x", bytemuck::cast_slice(values));
    let [none, next, out] =
        ["prediction", "next", "x0"].map(|label| harness.gpu.buffer(label, 4 * values.len() as u64));
    let shape = Shape::new(1, values.len() as u32);
    let step = Step { x0: Some(tweedie::Tensor::f32(&out)), ..simple(&x, &none, &next, shape, clip) };
    let plan = step.plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::call(0));
    Storage::F32.decode(&harness.read(&out))
}

fn simple<'a>(
    x: &'a wgpu::Buffer,
    prediction: &'a wgpu::Buffer,
    next: &'a wgpu::Buffer,
    shape: Shape,
    clip: Clip,
) -> Step<'a> {
    const ROWS: &[StepRow] = &[StepRow { x: 0.0, clean: 1.0, ..StepRow::IDENTITY }];
    let tensor = tweedie::Tensor::f32;
    Step {
        options: StepOptions { clip, ..StepOptions::default() },
        next: tensor(next),
        ..Step::in_place(ROWS, shape, tensor(x), tensor(prediction))
    }
}

/// A division of f32 may be off by 2.5 ULP (WGSL), and an interpolation by one more.
const DIVISION: f32 = 4.0 * f32::EPSILON;

#[track_caller]
fn assert_thresholded(harness: &Harness, values: &[f32], clip: Clip) {
    let Clip::Quantile { ratio, least, most } = clip else { panic!("a threshold") };
    let magnitudes: Vec<f64> = values.iter().map(|x| f64::from(x.abs())).collect();
    let s = tweedie::gpu::Step::quantile(&magnitudes, ratio).max(least).min(most) as f32;
    for (i, (found, x)) in thresholded(harness, values, clip).into_iter().zip(values).enumerate() {
        let expected = x.clamp(-s, s) / s;
        assert!((found - expected).abs() <= DIVISION * expected.abs(), "{i}: {x}/{s} = {expected}, found {found}");
    }
}

fn the_quantile_is_exact(harness: &Harness) {
    let mut value = random(7);
    for elements in [1, 2, 3, 100, 4096, 9999] {
        let values: Vec<f32> = (0..elements).map(|_| value()).collect();
        for ratio in [0.0, 0.25, 0.5, 0.9, 0.995, 1.0] {
            assert_thresholded(harness, &values, Clip::Quantile { ratio, least: 1e-30, most: 1e30 });
        }
        assert_thresholded(harness, &values, Clip::Quantile { ratio: 0.5, least: 3.0, most: 4.0 });
        assert_thresholded(harness, &values, Clip::Quantile { ratio: 1.0, least: 0.25, most: 0.5 });
    }
    // Neighbours that differ in each of the three digits, and across the whole range.
    for (a, b) in [(1.0f32, 1.0 + f32::EPSILON), (1.0, 1.001), (1.0, 300.0), (1e-30, 1e30), (0.0, 1.0)] {
        for ratio in [0.3, 0.5, 1.0] {
            assert_thresholded(harness, &[b, -a, a, -b], Clip::Quantile { ratio, least: 1e-35, most: f64::INFINITY });
        }
    }
}

fn ties_and_constants(harness: &Harness) {
    let clip = |ratio| Clip::Quantile { ratio, least: 0.01, most: 100.0 };
    for elements in [5, 6000] {
        for ratio in [0.0, 0.37, 1.0] {
            assert_thresholded(harness, &vec![-0.75; elements], clip(ratio));
            let ties: Vec<f32> = (0..elements).map(|i| [0.5, -0.5, 0.5, 2.0][i % 4]).collect();
            assert_thresholded(harness, &ties, clip(ratio));
        }
        assert_eq!(thresholded(harness, &vec![0.0; elements], clip(0.9)), vec![0.0; elements]);
    }
    // A mixture without deviation is not rescaled.
    let flat = StepOptions { rescale: 1.0, ..StepOptions::default() };
    let ran = assert_passes(harness, &Case { options: flat, ..Case::new(2, 70, Storage::F32) }, || 0.5);
    assert!(ran.next.iter().all(|x| x.is_finite()));
}

fn not_everything_is_a_number(harness: &Harness) {
    let clip = Clip::Quantile { ratio: 0.9, least: 0.5, most: f64::INFINITY };
    for elements in [9usize, 5000] {
        let mut values: Vec<f32> = (0..elements).map(|i| i as f32 / elements as f32).collect();
        values[elements / 3] = f32::NAN;
        assert!(thresholded(harness, &values, clip).iter().all(|x| x.is_nan()), "a NaN leaves no threshold");
        values[elements / 3] = f32::INFINITY;
        values[1] = f32::NEG_INFINITY;
        let found = thresholded(harness, &values, Clip::Quantile { ratio: 0.5, least: 0.5, most: 2.0 });
        assert_eq!((found[elements / 3], found[1]), (1.0, -1.0), "an infinity is clipped like anything else");
        assert!(found.iter().all(|x| x.is_finite()));
        let found = thresholded(harness, &values, Clip::Quantile { ratio: 1.0, least: 0.5, most: 2.0 });
        assert_eq!(found[0], 0.0);
        assert_eq!(found[1], -1.0, "an infinite quantile is held to its bound");
    }
    // The NaN of one sample does not reach another.
    let mut at = 0;
    let case = Case::new(3, 50, Storage::F32);
    let mut value = random(9);
    let ran = assert_passes(harness, &case, || {
        at += 1;
        if at == 60 { f32::NAN } else { value() }
    });
    let nan = |sample: usize| ran.x0[sample * 50..(sample + 1) * 50].iter().filter(|x| x.is_nan()).count();
    assert_eq!([nan(0), nan(1), nan(2)], [0, 50, 0]);
}

/// A deviation of about one around a mean of a thousand, which a difference of squares would lose.
fn a_mean_far_from_zero(harness: &Harness) {
    let options = StepOptions { rescale: 1.0, ..StepOptions::default() };
    let mut value = random(10);
    // The mixture rounds by 6e-8 of 1000 times the weights.
    let case = Case { options, ..Case::new(2, 50_000, Storage::F32) };
    assert_passes(harness, &case, || 1000.0 + value());
}

fn bit_identical_in_every_run_and_batch(harness: &Harness) {
    for (elements, storage) in [(40, Storage::F32), (5003, Storage::Bf16), (30_000, Storage::F32)] {
        let case = Case::new(4, elements, storage);
        let run = |batch: u32| {
            // A generator for each tensor, so that smaller batches hold the first samples of the whole.
            let mut tensors = [random(1), random(2), random(3)];
            let mut at = 0u64;
            let total = u64::from(batch * elements);
            let shape = Shape::new(batch, elements);
            check(harness, &Case { shape, ..case.clone() }, &case.options, || {
                at += 1;
                tensors[((at - 1) / total) as usize]()
            })
            .1
        };
        let whole = run(4);
        for batch in [4, 1, 3] {
            let part = run(batch);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            let total = (batch * elements) as usize;
            assert_eq!(bits(&part.next), bits(&whole.next[..total]), "{batch} x {elements}");
            assert_eq!(bits(&part.x0), bits(&whole.x0[..total]), "{batch} x {elements}");
        }
    }
}

/// More samples than scratch memory holds at once, and more than a dimension may have workgroups.
fn many_small_samples(harness: &Harness) {
    assert_passes(harness, &Case::new(1100, 4, Storage::F32), random(12));
    assert_passes(
        harness,
        &Case { options: StepOptions { rescale: 0.5, ..StepOptions::default() }, ..Case::new(66_000, 3, Storage::F32) },
        random(13),
    );
}

fn windows_of_a_small_binding_limit(harness: &Harness) {
    let small = harness_with_binding_limit(harness, 64 << 10);
    for (batch, elements) in [(9, 5000), (3, 50_001), (2, 65_536)] {
        for storage in [Storage::F32, Storage::F16] {
            let case = Case::new(batch, elements, storage);
            let ran = assert_passes(&small, &case, random(14));
            let whole = assert_passes(harness, &case, random(14));
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&ran.next), bits(&whole.next), "windows change nothing: {case:?}");
        }
    }
}

/// More elements than torch.quantile takes, which is 16 million.
fn twenty_million_elements(harness: &Harness) {
    let elements = 20_000_003u32;
    let mut rng = TestRng(15);
    let values: Vec<f32> = (0..elements).map(|_| rng.float()).collect();
    let x = harness.gpu.upload("x", bytemuck::cast_slice(&values));
    let clip = Clip::Quantile { ratio: 0.995, least: 0.5, most: 10.0 };
    let plan = simple(&x, &x, &x, Shape::new(1, elements), clip).plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::call(0));
    let found = Storage::F32.decode(&harness.read(&x));
    let magnitudes: Vec<f64> = values.iter().map(|x| f64::from(x.abs())).collect();
    let s = tweedie::gpu::Step::quantile(&magnitudes, 0.995) as f32;
    assert!(s > 1.9 && s < 2.0, "{s}");
    for (x, found) in values.iter().zip(found) {
        let expected = x.clamp(-s, s) / s;
        assert!((found - expected).abs() <= DIVISION * expected.abs(), "{x}/{s} = {expected}, found {found}");
    }
}

/// The comparison notices another rescale, and another ratio or least value of the threshold.
fn a_wrong_rule_fails(harness: &Harness) {
    let case = Case::new(3, 2000, Storage::F32);
    let quantile = |ratio, least| Clip::Quantile { ratio, least, most: f64::INFINITY };
    let wrong = [
        StepOptions { rescale: 0.7001, ..case.options },
        StepOptions { rescale: 0.0, ..case.options },
        StepOptions { clip: quantile(0.8502, 0.05), ..case.options },
        StepOptions { clip: quantile(0.85, 4.0), ..case.options },
        StepOptions { clip: Clip::None, ..case.options },
    ];
    for options in wrong {
        let (comparison, _) = check(harness, &case, &options, random(16));
        assert!(!comparison.passes(), "{options:?} was not noticed: {comparison}");
    }
    assert_passes(harness, &case, random(16));
}

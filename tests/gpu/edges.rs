//! Edge cases of plans: slices under a threshold, tensors of several windows, numbers at the ends of f32's range.

use crate::harness::{Harness, TestRng};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::step::Sample;
use tweedie::gpu::{
    Context, Drawn, Gradient, GradientScale, Loss, Map, Noise, NoiseKey, Plan, PlanError, Recording, Reduction, Shape,
    Step, StepOptions, Storage, Tensor, Timesteps,
};
use tweedie::table::{Clip, Deviation, LossRow, Matrix, Penalty, StepRow, Table};

pub const TESTS: &[crate::Test] = &[
    ("edges::slices_are_rescaled_as_their_sum", slices_are_rescaled_as_their_sum),
    ("edges::a_wrong_slice_is_seen_under_a_rescale", a_wrong_slice_is_seen_under_a_rescale),
    ("edges::small_windows_give_the_bits_of_one", small_windows_give_the_bits_of_one),
    ("edges::a_scale_lies_apart_from_results", a_scale_lies_apart_from_results),
    ("edges::a_scale_that_loses_the_losses", a_scale_that_loses_the_losses),
    ("edges::a_context_kept_from_a_warm_up_compiles", a_context_kept_from_a_warm_up_compiles),
    ("edges::a_row_without_a_clip_shows_an_overflow", a_row_without_a_clip_shows_an_overflow),
    ("edges::a_deviation_that_is_not_learned", a_deviation_that_is_not_learned),
];

/// The roundings of a step's sums, its factor and its threshold, as in `tests/gpu/scales.rs`.
const ROUNDINGS: f64 = 12.0;
/// An upper bound of what one unit of noise adds to a result.
const NOISE: f64 = 20.0;
const KEY: NoiseKey = NoiseKey { seed: 9, stream: 5, first_sample: 3 };
const THRESHOLD: Clip = Clip::Quantile { ratio: 0.85, least: 0.05, most: f64::INFINITY };

pub fn random(seed: u64, count: u64) -> Vec<f32> {
    let mut rng = TestRng(seed);
    (0..count).map(|_| rng.float()).collect()
}

fn upload(harness: &Harness, seed: u64, count: u64) -> wgpu::Buffer {
    harness.gpu.upload("numbers", bytemuck::cast_slice(&random(seed, count)))
}

fn floats(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<f32> {
    Storage::F32.decode(&harness.read(buffer))
}

/// Calls of guided predictions of this many slices, with a second noise.
fn sliced_rows(slices: u32) -> Vec<StepRow> {
    let row = |call: u32| {
        let mut weights = [0.0; StepRow::SLICES];
        (0..slices).for_each(|slice| weights[slice as usize] = 0.75 - 0.5 * f64::from(slice + call));
        StepRow {
            guidance: [3.5 - f64::from(call), f64::from(call) - 2.5],
            x0: [1.25, -0.5, 0.5],
            x: 0.0,
            p: 0.25,
            clean: 1.0,
            second_z: (0.5, 40 + call),
            slices: if slices > 1 { weights } else { StepRow::IDENTITY.slices },
            ..StepRow::IDENTITY
        }
    };
    (0..3).map(row).collect()
}

/// Runs rows with further parts through a rescale and a threshold, and compares the results with the twin's.
fn check(harness: &Harness, shape: Shape, slices: u32, per_sample: bool, change: fn(&mut StepRow)) -> Comparison {
    let (batch, elements) = (shape.batch as usize, shape.elements as usize);
    let (count, all) = (shape.total(), shape.total() * u64::from(slices));
    let rows = sliced_rows(slices);
    let mut changed = rows.clone();
    changed.iter_mut().for_each(change);
    let [x, p, u] = [(1, count), (2, all), (3, all)].map(|(seed, count)| upload(harness, seed, count));
    let [next, x0] = ["next", "x0"].map(|label| harness.gpu.buffer(label, 4 * count));
    let at: Vec<u32> = (0..shape.batch).map(|i| if per_sample { (i * 7) % 3 } else { 1 }).collect();
    let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&at));
    let options = StepOptions { clip: THRESHOLD, rescale: 0.7, ..StepOptions::default() };
    let step = Step {
        options,
        calls: if per_sample { Timesteps::per_sample(&calls) } else { Timesteps::Batch },
        slices,
        unconditional: Some(Tensor::f32(&u)),
        noise: Noise::drawn(KEY),
        next: Tensor::f32(&next),
        x0: Some(Tensor::f32(&x0)),
        ..Step::in_place(&changed, shape, Tensor::f32(&x), Tensor::f32(&p))
    };
    let when = if per_sample { Recording::per_sample() } else { Recording::call(1) };
    harness.run(&step.plan(&harness.context).expect("a plan"), when);

    let (found_next, found_x0) = (floats(harness, &next), floats(harness, &x0));
    let wide = |seed, count| random(seed, count).into_iter().map(f64::from).collect::<Vec<f64>>();
    let [x, p, u] = [wide(1, count), wide(2, all), wide(3, all)];
    let mut total = Comparison::new(Storage::F32).with_noise(NOISE);
    for sample in 0..batch {
        let row = &rows[at[sample] as usize];
        let own = |values: &[f64], size: usize| values[sample * size..(sample + 1) * size].to_vec();
        let noise =
            |stream| NoiseKey::normals(KEY.seed, KEY.stream + stream, KEY.first_sample + sample as u64, elements);
        let sliced = elements * slices as usize;
        let tensors = Sample {
            x: &own(&x, elements),
            predictions: [&own(&p, sliced), &own(&u, sliced)],
            noise: &noise(at[sample]),
            second_noise: &noise(row.second_z.1),
            ..Sample::default()
        };
        let stepped = Step::reference(row, &options, &tensors);
        for (found, exact) in [(&found_next, &stepped.next), (&found_x0, &stepped.x0)] {
            let widened = exact.iter().map(|e| Expected { magnitude: e.magnitude * ROUNDINGS, ..*e });
            total.add_all(&found[sample * elements..][..elements], &widened.collect::<Vec<_>>());
        }
    }
    total
}

fn slices_are_rescaled_as_their_sum(harness: &Harness) {
    for (batch, elements) in [(3, 40), (2, 35), (1, 5), (2, 4101)] {
        for slices in [1, 2, 5] {
            for per_sample in [false, true] {
                let found = check(harness, Shape::new(batch, elements), slices, per_sample, |_| {});
                assert!(found.passes(), "{found}: {slices} slices of {batch} x {elements}, {per_sample}");
            }
        }
    }
}

fn a_wrong_slice_is_seen_under_a_rescale(harness: &Harness) {
    let changes: [fn(&mut StepRow); 2] = [|row| row.slices[1] *= 1.001, |row| row.second_z.0 *= 1.001];
    for change in changes {
        let found = check(harness, Shape::new(2, 40), 2, false, change);
        assert!(!found.passes(), "{found}");
    }
}

/// Runs four calls of a step that looks back two calls, on predictions of this many slices.
fn loop_of(harness: &Harness, context: &Context, shape: Shape, storage: Storage, slices: u32, per_sample: bool) -> Ran {
    let rows: Vec<StepRow> = (0..4u32)
        .map(|call| StepRow {
            x0: [0.5, 0.5, 0.0],
            x: 0.25,
            clean: 0.5,
            z: 0.125,
            ..sliced_rows(slices)[0].looking_back(&[0.25, -0.5][..call.min(2) as usize])
        })
        .collect();
    let encoded = |seed, count| harness.gpu.upload("numbers", &storage.encode(&random(seed, count)));
    let all = shape.total() * u64::from(slices);
    let [x, p, u] = [encoded(1, shape.total()), encoded(2, all), encoded(3, all)];
    let calls = harness.gpu.buffer("calls", 4 * u64::from(shape.batch));
    let at = |buffer| Tensor::new(buffer, storage);
    let step = Step {
        options: StepOptions { clip: THRESHOLD, rescale: 0.7, ..StepOptions::default() },
        calls: if per_sample { Timesteps::per_sample(&calls) } else { Timesteps::Batch },
        slices,
        unconditional: Some(at(&u)),
        noise: Noise::drawn(KEY),
        ..Step::in_place(&rows, shape, at(&x), at(&p))
    };
    let plan = step.plan(context).expect("a plan");
    for call in 0..rows.len() as u32 {
        harness.gpu.queue.write_buffer(&calls, 0, &call.to_le_bytes().repeat(shape.batch as usize));
        harness.run(&plan, if per_sample { Recording::per_sample() } else { Recording::call(call) });
    }
    (plan.dispatches(), harness.read(&x))
}

/// The number of dispatches of a plan, and the bytes of its result.
type Ran = (usize, Vec<u8>);

fn map_of(harness: &Harness, context: &Context, shape: Shape) -> Ran {
    const ROW: Matrix = [[0.5, 0.25], [1.0, -1.0]];
    let (x, out) = (upload(harness, 1, shape.total()), harness.gpu.buffer("out", 4 * shape.total()));
    let map = Map {
        table: &Table::new([ROW]),
        shape,
        timesteps: Timesteps::Batch,
        in0: Some(Tensor::f32(&x)),
        in1: Noise::drawn(KEY),
        out0: Tensor::f32(&out),
        out1: None,
    };
    let plan = map.plan(context).expect("a plan");
    harness.run(&plan, Recording::timestep(0));
    (plan.dispatches(), harness.read(&out))
}

fn small_windows_give_the_bits_of_one(harness: &Harness) {
    // A window within a sample holds at least four chunks.
    let small = harness.context.with_largest_window(16 << 10);
    let compare = |what: &str, of: &dyn Fn(&Context) -> Ran| {
        let ((one, whole), (several, parts)) = (of(&harness.context), of(&small));
        assert!(several > one, "{what}: {several} dispatches, {one} in one window");
        assert!(whole == parts, "{what}: the bits differ");
    };
    for (batch, elements) in [(1, 20_000), (2, 9000), (2, 8195)] {
        let shape = Shape::new(batch, elements);
        compare(&format!("a map of {shape}"), &|context| map_of(harness, context, shape));
        let cases = [(1, false), (3, false), (2, true)];
        for ((slices, per_sample), storage) in cases.into_iter().zip(Storage::ALL) {
            let what = format!("{slices} slices of {shape}, {storage}, {per_sample}");
            compare(&what, &|context| loop_of(harness, context, shape, storage, slices, per_sample));
        }
    }
}

/// A factor of a gradient: a number, or its byte offset in the buffer of results.
enum Scale {
    Factor(f64),
    At(u64),
}

/// A loss with a scaled gradient. The losses lie in the buffer of results from byte 0 on, their mean at 512.
fn scaled_loss(harness: &Harness, weight: f64, reduction: Reduction, scale: Scale) -> Result<(), PlanError> {
    let shape = Shape::new(64, 64);
    let [prediction, out] = ["prediction", "gradient"].map(|label| harness.gpu.buffer(label, 4 * shape.total()));
    let results = harness.gpu.buffer("results", 1024);
    let scale = match scale {
        Scale::Factor(factor) => factor.into(),
        Scale::At(byte) => GradientScale::Buffer(&results, byte),
    };
    let loss = Loss {
        table: &Table::new([LossRow { prediction: 1.0, inputs: [0.0; 2], weight }]),
        penalty: Penalty::MSE,
        shape,
        timesteps: Timesteps::Batch,
        prediction: Tensor::f32(&prediction),
        in0: None,
        in1: Noise::None,
        losses: (&results, 0),
        mean: Some((&results, 512)),
        gradient: Some(Gradient { tensor: Tensor::f32(&out), reduction, scale }),
    };
    loss.plan(&harness.context).map(drop)
}

fn a_scale_lies_apart_from_results(harness: &Harness) {
    let plan = |byte| scaled_loss(harness, 1.0, Reduction::Sum, Scale::At(byte));
    let overlap = |output| Err(PlanError::Overlap { output, other: "scale" });
    assert_eq!(plan(0), overlap("losses"));
    assert_eq!(plan(512), overlap("mean"));
    assert_eq!(plan(768), Ok(()));
}

fn a_scale_that_loses_the_losses(harness: &Harness) {
    let plan = |weight, factor, reduction| scaled_loss(harness, weight, reduction, Scale::Factor(factor));
    let refused = |found| {
        let expected = "large enough that the weights of the losses, and 1 over it, are normal numbers of f32";
        Err(PlanError::Rule { what: "gradient scale", expected, found })
    };
    // A weight of 1e-37/64 is not a normal number of f32, and neither is 1/(1e-37/64).
    assert_eq!(plan(1.0, 1e-37, Reduction::Sum), refused(1e-37));
    assert_eq!(plan(1e30, 1e-37, Reduction::Mean), refused(1e-37));
    assert_eq!(plan(1e30, 1e-37, Reduction::Sum), Ok(()));
    assert_eq!(plan(0.0, 1e-37, Reduction::Sum), Ok(()), "a weight of 0 stays 0");
    assert_eq!(plan(1e-36, 1.0, Reduction::Sum), Ok(()), "a small weight without a scale");
    assert_eq!(plan(1.0, 1e-20, Reduction::Mean), Ok(()));
}

fn a_context_kept_from_a_warm_up_compiles(harness: &Harness) {
    let context = Context::new(&harness.gpu.device);
    let (kept, warm_up) = context.warm_up(Context::clone);
    assert_eq!(warm_up.wait(), Ok(()));
    map_of(harness, &context, Shape::new(1, 64));
    let before = context.compiled_pipelines();
    let out = harness.gpu.buffer("out", 4 * 35);
    Plan::fill(&kept, Shape::new(1, 35), Drawn::new(KEY), Tensor::f32(&out)).expect("a plan");
    assert_eq!(context.compiled_pipelines(), before + 1, "a plan after the warm-up compiles at once");
}

/// Runs a step whose clean sample is four times its prediction. Returns the next sample and the clean one.
fn of_prediction(harness: &Harness, shape: Shape, row: StepRow, options: StepOptions, p: &[f32]) -> [Vec<f32>; 2] {
    let (x, p) = (upload(harness, 1, shape.total()), harness.gpu.upload("p", bytemuck::cast_slice(p)));
    let x0 = harness.gpu.buffer("x0", 4 * shape.total());
    let rows = [StepRow { x0: [0.0, 4.0, 0.0], x: 0.0, clean: 1.0, ..row }];
    let step =
        Step { options, x0: Some(Tensor::f32(&x0)), ..Step::in_place(&rows, shape, Tensor::f32(&x), Tensor::f32(&p)) };
    harness.run(&step.plan(&harness.context).expect("a plan"), Recording::call(0));
    [floats(harness, &x), floats(harness, &x0)]
}

fn a_row_without_a_clip_shows_an_overflow(harness: &Harness) {
    // Infinity times the coefficient 0 of the prediction in the next sample is NaN there.
    let p = [3e38, -3e38, 5e37, f32::INFINITY, 0.75];
    let options = StepOptions { clip: Clip::Range(0.5), ..StepOptions::default() };
    for shape in [Shape::new(1, 5), Shape::new(1, 4)] {
        let p = &p[..shape.elements as usize];
        let exact: Vec<f32> = p.iter().map(|p| 4.0 * p).collect();
        let row = |clip| StepRow { clip: Some(Clip::Range(clip)), ..StepRow::IDENTITY };
        let [next, x0] = of_prediction(harness, shape, row(f64::INFINITY), options, p);
        assert_eq!(x0, exact);
        assert_eq!((&next[..3], next[3].is_nan(), &next[4..]), (&exact[..3], true, &exact[4..]));
        // A range that is given clips an infinite number, however large it is.
        for found in of_prediction(harness, shape, row(1e38), options, p) {
            assert_eq!(found[..2], [1e38, -1e38]);
        }
    }
}

fn a_deviation_that_is_not_learned(harness: &Harness) {
    const LOG: f64 = -0.5;
    let row = StepRow { x: 0.0, clean: 1.0, x0: [1.0, 0.0, 0.0], z: 0.5, learned: [LOG, 0.0], ..StepRow::IDENTITY };
    let options = StepOptions { deviation: Deviation::Log, ..StepOptions::default() };
    for (batch, elements) in [(2, 8), (1, 5), (2, 6)] {
        let shape = Shape::new(batch, elements);
        let x = random(1, shape.total());
        let noise = random(4, shape.total());
        let learned: Vec<f32> = (0..shape.total()).map(|i| [f32::NAN, f32::INFINITY][i as usize % 2]).collect();
        let [x_buffer, z, v] = [&x, &noise, &learned].map(|v| harness.gpu.upload("x", bytemuck::cast_slice(v)));
        let rows = [row];
        let step = Step {
            options,
            noise: Noise::Tensor(Tensor::f32(&z)),
            learned: Some(Tensor::f32(&v)),
            ..Step::in_place(&rows, shape, Tensor::f32(&x_buffer), Tensor::f32(&z))
        };
        harness.run(&step.plan(&harness.context).expect("a plan"), Recording::call(0));
        let [x, noise, learned] = [&x, &noise, &learned].map(|v| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        let sample =
            Sample { x: &x, predictions: [&noise, &[]], noise: &noise, learned: &learned, ..Sample::default() };
        let exact = Step::reference(&row, &options, &sample).next;
        let by_hand = |i: usize| x[i] + 0.5 * LOG.exp() * noise[i];
        assert!((0..x.len()).all(|i| (exact[i].value - by_hand(i)).abs() < 1e-12), "the twin: {exact:?}");
        let mut compared = Comparison::new(Storage::F32);
        let widened = exact.iter().map(|e| Expected { magnitude: e.magnitude * ROUNDINGS, ..*e });
        compared.add_all(&floats(harness, &x_buffer), &widened.collect::<Vec<_>>());
        assert!(compared.passes(), "{shape}: {compared}");
    }
}

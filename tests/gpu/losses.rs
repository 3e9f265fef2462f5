//! The loss kernel against its f64 twin and against torch: every penalty, storage and layout, sums and gradients.

use crate::harness::{Harness, TestRng, multiplied};
use crate::stage::{Layout, Placed, Stage};
use crate::support::{Vectors, cases, id};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::loss::{Batch, Losses};
use tweedie::gpu::{
    Drawn, Gradient, Loss, Noise, NoiseKey, Plan, PlanError, Recording, Reduction, Shape, Storage, Tensor, Timesteps,
};
use tweedie::table::{LossRow, Penalty, Table};

pub const TESTS: &[crate::Test] = &[
    ("losses::every_penalty_and_storage", every_penalty_and_storage),
    ("losses::every_layout", every_layout),
    ("losses::noise_drawn_again", noise_drawn_again),
    ("losses::noise_is_kept_where_it_is_not_looked_at", noise_is_kept_where_it_is_not_looked_at),
    ("losses::in_place_and_alone", in_place_and_alone),
    ("losses::torch_to_one_part_in_a_million", torch_to_one_part_in_a_million),
    ("losses::three_million_elements", three_million_elements),
    ("losses::holes_and_numbers_that_are_none", holes_and_numbers_that_are_none),
    ("losses::a_wrong_coefficient_fails", a_wrong_coefficient_fails),
    ("losses::errors_name_what_was_found", errors_name_what_was_found),
];

/// The tolerance of a loss in f32, relative to the magnitudes that were added: three roundings for each element and one for each
/// doubling of their number, most of which cancel. Losses are held to it against the vectors of torch too.
const SUM: f64 = 1e-6;

#[derive(Clone, Debug)]
pub struct Case {
    pub shape: Shape,
    pub layout: Layout,
    pub gradient: Option<(Layout, Reduction)>,
    /// A factor of the gradient.
    pub scale: f64,
    pub penalty: Penalty,
    pub drawn: bool,
    pub seeds: bool,
    pub per_sample: bool,
    pub in_place: bool,
    pub mean: bool,
}

impl Case {
    pub fn new(batch: u32, elements: u32, storage: Storage) -> Self {
        let layout = Layout::plain(storage);
        Self {
            shape: Shape::new(batch, elements),
            layout,
            gradient: Some((layout, Reduction::Sum)),
            scale: 1.0,
            penalty: Penalty::MSE,
            drawn: false,
            seeds: false,
            per_sample: true,
            in_place: false,
            mean: true,
        }
    }
}

pub fn penalties() -> [Penalty; 6] {
    [
        Penalty::MSE,
        Penalty::L1,
        Penalty::huber(0.8).expect("delta"),
        Penalty::smooth_l1(0.5).expect("beta"),
        Penalty::pseudo_huber(0.3).expect("c"),
        Penalty::pseudo_huber(0.001).expect("c"),
    ]
}

fn random_table(rng: &mut TestRng) -> Table<LossRow> {
    let mut number = || f64::from(rng.float()) + 0.1;
    Table::new([(); 5].map(|()| LossRow { prediction: number(), inputs: [number(), number()], weight: 3.0 + number() }))
}

const KEY: NoiseKey = NoiseKey { seed: 77, stream: 2, first_sample: 0xffff_fffe };

/// The results of a case on the GPU.
pub struct Ran {
    pub losses: Vec<f32>,
    mean: Option<f32>,
    gradient: Option<Vec<f32>>,
}

/// Runs a case with a tampered table, and compares with the twin of the right one. Returns whether they agree, and the results.
fn check_with(
    harness: &Harness,
    case: &Case,
    seed: u64,
    tamper: impl Fn(Table<LossRow>) -> Table<LossRow>,
) -> (bool, Ran) {
    let mut rng = TestRng(seed);
    let shape = case.shape;
    let table = random_table(&mut rng);
    let mut stage = Stage::new(shape, false);
    let mut input = |stage: &mut Stage, used: bool| {
        used.then(|| {
            let placed = stage.place(case.layout, false);
            stage.fill(placed, || rng.float());
            placed
        })
    };
    let [prediction, in0, in1] = [true, true, !case.drawn].map(|used| input(&mut stage, used));
    let (prediction, in0) = (prediction.expect("a prediction"), in0.expect("an input"));
    let gradient = case.gradient.map(|(layout, of)| {
        let placed = if case.in_place { prediction } else { stage.place(layout, false) };
        (placed, of)
    });
    let buffers = stage.upload(harness);
    let tensor = |p: Placed| Stage::tensor(&buffers, p);
    let timesteps: Vec<u32> = (0..shape.batch).map(|i| if case.per_sample { (i * 3) % 5 } else { 2 }).collect();
    let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(&timesteps));
    let ids: Vec<[u32; 4]> = (0..shape.batch).map(|i| [rng.word(), i, 9 + i, i & 1]).collect();
    let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&ids));
    let [results, apart] = [8, 4].map(|more| harness.gpu.buffer("results", 4 * u64::from(shape.batch) + more));
    // A mean lies in the same buffer as its losses, or in one of its own.
    let means = if shape.batch.is_multiple_of(2) { &apart } else { &results };
    let tampered = tamper(table.clone());
    let loss = Loss {
        table: &tampered,
        penalty: case.penalty,
        shape,
        timesteps: if case.per_sample { Timesteps::per_sample(&times) } else { Timesteps::Batch },
        prediction: tensor(prediction),
        in0: Some(tensor(in0)),
        in1: match in1 {
            Some(in1) => Noise::Tensor(tensor(in1)),
            None => Noise::Drawn(Drawn { seeds: case.seeds.then_some((&seeds, 0)), ..Drawn::new(KEY).steps(2) }),
        },
        losses: (&results, 4),
        mean: case.mean.then_some((means, 0)),
        gradient: gradient.map(|(placed, reduction)| Gradient {
            tensor: tensor(placed),
            reduction,
            scale: case.scale.into(),
        }),
    };
    let plan = loss.plan(&harness.context).unwrap_or_else(|error| panic!("{error}: {case:?}"));
    let at = Recording { timestep: (!case.per_sample).then_some(2), step: u32::from(case.drawn) };
    harness.run(&plan, at);
    let after: Vec<Vec<u8>> = buffers.iter().map(|buffer| harness.read(buffer)).collect();
    let written: Vec<Placed> = gradient.iter().map(|(placed, _)| *placed).collect();
    stage.assert_untouched(&after, &written, case);
    let words = Storage::F32.decode(&harness.read(&results));
    assert_eq!(words[shape.batch as usize + 1], 0.0, "beyond the results");
    let ran = Ran {
        losses: words[1..=shape.batch as usize].to_vec(),
        mean: case.mean.then(|| Storage::F32.decode(&harness.read(means))[0]),
        gradient: gradient.map(|(placed, _)| stage.values_in(&after, placed).iter().map(|&x| x as f32).collect()),
    };

    let noise: Vec<f64> = (0..shape.batch as usize)
        .flat_map(|i| {
            let [low, high, index_low, index_high] = ids[i].map(u64::from);
            let own = (low | high << 32, index_low | index_high << 32);
            let (seed, index) = if case.seeds { own } else { (KEY.seed, KEY.first_sample + i as u64) };
            tweedie::NoiseKey::normals(seed, KEY.stream + 1, index, shape.elements as usize)
        })
        .collect();
    let [p, a] = [prediction, in0].map(|placed| stage.values(placed));
    let b = in1.map_or(noise, |in1| stage.values(in1));
    let batch = Batch { timesteps: &timesteps, elements: shape.elements as usize, prediction: &p, inputs: [&a, &b] };
    let exact = Loss::reference(&table, case.penalty, &batch, case.gradient.map_or(Reduction::Sum, |(_, of)| of));
    (agrees(case, &ran, &exact), ran)
}

fn agrees(case: &Case, ran: &Ran, exact: &Losses) -> bool {
    let near = |found: f32, exact: &Expected| (f64::from(found) - exact.value).abs() <= SUM * exact.magnitude;
    let losses = ran.losses.iter().zip(&exact.samples).all(|(found, exact)| near(*found, exact));
    let mean = ran.mean.is_none_or(|found| near(found, &exact.mean));
    let gradient = ran.gradient.as_ref().is_none_or(|found| {
        let storage = case.gradient.map_or(Storage::F32, |(layout, _)| layout.storage);
        let exact: Vec<Expected> = exact.gradient.iter().map(|e| multiplied(e, case.scale)).collect();
        let largest = exact.iter().map(|e| e.magnitude).fold(0.0, f64::max);
        // A drawn normal moves the gradient by as much as the error does.
        let mut comparison = Comparison::new(storage).with_noise(if case.drawn { 5.0 * largest } else { 0.0 });
        let widen = |e: &Expected| Expected { magnitude: e.magnitude * Loss::ROUNDINGS, ..*e };
        comparison.add_all(found, &exact.iter().map(widen).collect::<Vec<_>>());
        comparison.passes()
    });
    losses && mean && gradient
}

#[track_caller]
pub fn assert_passes(harness: &Harness, case: &Case, seed: u64) -> Ran {
    let (agrees, ran) = check_with(harness, case, seed, |table| table);
    assert!(agrees, "{case:?}: losses {:?}..., mean {:?}", &ran.losses[..ran.losses.len().min(4)], ran.mean);
    ran
}

fn every_penalty_and_storage(harness: &Harness) {
    for (i, (batch, elements)) in [(1, 1), (3, 2), (5, 63), (2, 1024), (3, 4097), (2, 9000)].into_iter().enumerate() {
        for storage in Storage::ALL {
            for (j, penalty) in penalties().into_iter().enumerate() {
                let of = [Reduction::Sum, Reduction::Mean][(i + j) % 2];
                let case = Case { penalty, per_sample: j % 2 == 0, ..Case::new(batch, elements, storage) };
                let gradient = (i + j) % 3 > 0;
                let (gradient, scale) = (gradient.then_some((case.layout, of)), [1.0, 8.0][j % 2]);
                assert_passes(harness, &Case { gradient, scale, ..case }, (10 * i + j) as u64);
            }
        }
    }
}

fn every_layout(harness: &Harness) {
    let mut rng = TestRng(21);
    for storage in Storage::ALL {
        for (batch, elements) in [(3, 64), (4, 63), (3, 5), (2, 8191)] {
            for _ in 0..3 {
                let mut layout = |storage| Layout { storage, before: rng.below(6), gap: rng.below(5) };
                let case = Case::new(batch, elements, storage);
                let target = Storage::ALL[(batch as usize + elements as usize) % 3];
                let gradient = Some((layout(target), Reduction::Mean));
                assert_passes(harness, &Case { layout: layout(storage), gradient, ..case }, u64::from(elements));
            }
        }
    }
}

fn noise_drawn_again(harness: &Harness) {
    for elements in [6, 64, 63, 5000] {
        for storage in [Storage::F32, Storage::Bf16] {
            let case = Case { drawn: true, ..Case::new(4, elements, storage) };
            assert_passes(harness, &case, 31);
            assert_passes(harness, &Case { seeds: true, ..case.clone() }, 32);
            assert_passes(harness, &Case { per_sample: false, ..case }, 33);
        }
    }
}

/// A row that does not read the noise, a row that does, and a timestep without a row: the noise of the sample is kept all the same.
fn noise_is_kept_where_it_is_not_looked_at(harness: &Harness) {
    let row = LossRow { prediction: 1.0, inputs: [-1.0, 0.0], weight: 1.0 };
    let table = Table::with_undefined([Some(row), Some(LossRow { inputs: [-0.6, 0.8], ..row }), None]);
    let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(&[0u32, 1, 2, 0]));
    for (elements, storage) in [(64, Storage::F32), (63, Storage::F32), (63, Storage::F16), (5000, Storage::Bf16)] {
        let shape = Shape::new(4, elements);
        let [p, x0, gradient] = [(); 3].map(|()| harness.gpu.buffer("tensor", storage.bytes() * shape.total()));
        let [kept, filled] = [(); 2].map(|()| harness.gpu.buffer("noise", 4 * shape.total()));
        let losses = harness.gpu.buffer("losses", 16);
        let loss = Loss {
            table: &table,
            penalty: Penalty::MSE,
            shape,
            timesteps: Timesteps::per_sample(&times),
            prediction: Tensor::new(&p, storage),
            in0: Some(Tensor::new(&x0, storage)),
            in1: Noise::Drawn(Drawn::new(KEY).keep(Tensor::f32(&kept))),
            losses: (&losses, 0),
            mean: None,
            gradient: Some(Gradient::sum(Tensor::new(&gradient, storage))),
        };
        let plan = loss.plan(&harness.context).expect("plan");
        let fill = Plan::fill(&harness.context, shape, Drawn::new(KEY), Tensor::f32(&filled)).expect("plan");
        harness.run(&plan, Recording::per_sample());
        harness.run(&fill, Recording::timestep(0));
        assert!(harness.read(&kept) == harness.read(&filled), "{elements} of {storage}");
    }
}

fn in_place_and_alone(harness: &Harness) {
    for (elements, storage) in [(64, Storage::F16), (63, Storage::Bf16), (63, Storage::F32), (4099, Storage::F32)] {
        let case = Case::new(3, elements, storage);
        assert_passes(harness, &Case { in_place: true, ..case.clone() }, 41);
        assert_passes(harness, &Case { gradient: None, mean: false, ..case }, 42);
    }
}

pub fn difference() -> Table<LossRow> {
    Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }])
}

/// The loss and the gradient of `prediction - target`.
pub fn plain(
    harness: &Harness,
    penalty: Penalty,
    batch: u32,
    prediction: &[f32],
    target: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let [p, t] = [prediction, target].map(|values| harness.gpu.upload("test", bytemuck::cast_slice(values)));
    let losses = harness.gpu.buffer("losses", 4 * u64::from(batch));
    let gradient = harness.gpu.buffer("gradient", 4 * prediction.len() as u64);
    let loss = Loss {
        table: &difference(),
        penalty,
        shape: Shape::new(batch, prediction.len() as u32 / batch),
        timesteps: Timesteps::Batch,
        prediction: Tensor::f32(&p),
        in0: None,
        in1: Noise::Tensor(Tensor::f32(&t)),
        losses: (&losses, 0),
        mean: None,
        gradient: Some(Gradient::sum(Tensor::f32(&gradient))),
    };
    let plan = loss.plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::timestep(0));
    [&losses, &gradient].map(|buffer| Storage::F32.decode(&harness.read(buffer))).into()
}

/// The penalty that a tensor of the vectors is named after.
fn named(name: &str) -> Option<Penalty> {
    let number = |text: &str| text.parse::<f64>().ok();
    let huber = name.strip_prefix("huber_delta").and_then(number).map(Penalty::huber);
    let smooth = name.strip_prefix("smooth_l1_beta").and_then(number).map(Penalty::smooth_l1);
    let pseudo = name.strip_prefix("pseudo_huber_c").and_then(number).map(Penalty::pseudo_huber);
    match name {
        "mse" => Some(Penalty::MSE),
        "l1" => Some(Penalty::L1),
        _ => huber.or(smooth).or(pseudo).and_then(Result::ok),
    }
}

/// The vectors' tolerance of a gradient, relative to the largest one.
const GRADIENT: f64 = 4e-7;

fn torch_to_one_part_in_a_million(harness: &Harness) {
    for name in ["D_losses_normal_5x3x7x9", "D_losses_extreme_6x40"] {
        let case = cases("D").into_iter().find(|case| id(case) == name).expect("the case");
        let file = Vectors::load(name);
        let batch = case["config"]["shape"][0].as_u64().expect("a shape") as u32;
        let [prediction, target] =
            ["pred", "target"].map(|name| file.f64(name).iter().map(|&x| x as f32).collect::<Vec<_>>());
        let names = case["tensors"].as_object().expect("tensors").keys();
        let mut seen = 0;
        for (tensor, penalty) in names.filter_map(|name| Some((name, named(name)?))) {
            let (losses, gradient) = plain(harness, penalty, batch, &prediction, &target);
            for (found, exact) in losses.iter().zip(file.f64(tensor)) {
                assert!(
                    (f64::from(*found) - exact).abs() <= SUM * exact,
                    "{name} {tensor}: expected {exact}, found {found}"
                );
            }
            let exact = file.f64(&format!("grad_{tensor}"));
            let largest = exact.iter().fold(0f64, |most, x| most.max(x.abs()));
            for (found, exact) in gradient.iter().zip(exact) {
                let error = (f64::from(*found) - exact).abs();
                assert!(error <= GRADIENT * largest, "{name} grad_{tensor}: expected {exact}, found {found}");
            }
            seen += 1;
        }
        assert!(seen >= 5, "{seen} penalties");
    }
}

/// Losses of three samples of a million elements, whose inputs follow a rule: `((mul*i + add) mod 2^32 >> 8) * 2^-23 - 1`.
fn three_million_elements(harness: &Harness) {
    let name = "D_losses_big_3x1000003";
    let case = cases("D").into_iter().find(|case| id(case) == name).expect("the case");
    let ruled = |tensor: &str| -> Vec<f32> {
        let rule = &case["config"]["input_rule"][tensor];
        let number = |key: &str| rule[key].as_u64().expect("a number") as u32;
        let word = |i: u32| number("mul").wrapping_mul(i).wrapping_add(number("add")) >> 8;
        (0..3 * 1_000_003).map(|i| word(i) as f32 / 2f32.powi(23) - 1.0).collect()
    };
    let (prediction, target, file) = (ruled("pred"), ruled("target"), Vectors::load(name));
    let mut worst = 0f64;
    for tensor in case["tensors"].as_object().expect("tensors").keys() {
        let (losses, _) = plain(harness, named(tensor).expect("a penalty"), 3, &prediction, &target);
        for (found, exact) in losses.iter().zip(file.f64(tensor)) {
            let error = (f64::from(*found) / exact - 1.0).abs();
            assert!(error <= SUM, "{tensor}: expected {exact}, found {found}");
            worst = worst.max(error);
        }
    }
    println!("losses of a million elements: worst relative error {worst:.1e}");
}

fn holes_and_numbers_that_are_none(harness: &Harness) {
    let row = LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 2.0 };
    let unseeing = LossRow { prediction: 0.0, ..row };
    let table = Table::with_undefined([Some(row), None, Some(unseeing)]);
    let short = (2usize..=7).map(|elements| (elements, Storage::F32));
    for (elements, storage) in short.chain([(3, Storage::Bf16), (22, Storage::F16), (5000, Storage::F32)]) {
        let batch = 8;
        let mut values = vec![1.0f32; batch * elements];
        values[3 * elements] = f32::NAN;
        values[5 * elements..6 * elements].fill(f32::NAN);
        let p = harness.gpu.upload("p", &storage.encode(&values));
        let t = harness.gpu.upload("t", &storage.encode(&vec![0.0; batch * elements]));
        let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(&[0u32, 1, 9, 0, 0, 2, 0, 0]));
        let losses = harness.gpu.buffer("losses", 32);
        let gradient = harness.gpu.buffer("gradient", p.size());
        for penalty in penalties() {
            let loss = Loss {
                table: &table,
                penalty,
                shape: Shape::new(batch as u32, elements as u32),
                timesteps: Timesteps::per_sample(&times),
                prediction: Tensor::new(&p, storage),
                in0: None,
                in1: Noise::Tensor(Tensor::new(&t, storage)),
                losses: (&losses, 0),
                mean: None,
                gradient: Some(Gradient::sum(Tensor::new(&gradient, storage))),
            };
            let plan = loss.plan(&harness.context).expect("plan");
            harness.run(&plan, Recording::per_sample());
            let losses = Storage::F32.decode(&harness.read(&losses));
            let nan: Vec<bool> = losses.iter().map(|loss| loss.is_nan()).collect();
            assert_eq!(nan, [false, true, true, true, false, false, false, false], "{elements}: {losses:?}");
            for sample in [0, 4, 6, 7] {
                assert!((f64::from(losses[sample]) / (2.0 * penalty.cost(1.0)) - 1.0).abs() < SUM, "{losses:?}");
            }
            assert_eq!(losses[5], 0.0, "what a row does not look at may hold anything");
            let gradient = storage.decode(&harness.read(&gradient));
            let count = |sample: usize| {
                gradient[sample * elements..(sample + 1) * elements].iter().filter(|x| x.is_nan()).count()
            };
            assert_eq!(
                [0, 1, 2, 3, 4, 5, 6, 7].map(count),
                [0, elements, elements, 1, 0, 0, 0, 0],
                "{storage}, {elements}"
            );
            let status = harness.read(plan.status().expect("a count"));
            assert_eq!(bytemuck::cast_slice::<u8, u32>(&status)[0], 2, "a hole and a timestep out of range");
        }
    }
}

/// The comparison notices each wrong number of a row.
fn a_wrong_coefficient_fails(harness: &Harness) {
    type Break = (&'static str, fn(&mut LossRow));
    let breaks: [Break; 4] = [
        ("prediction", |row| row.prediction *= 1.0001),
        ("in0", |row| row.inputs[0] *= 1.0001),
        ("in1", |row| row.inputs[1] *= 1.0001),
        ("weight", |row| row.weight *= 1.0001),
    ];
    let gradient = Some((Layout::plain(Storage::F32), Reduction::Sum));
    for (batch, elements, gradient) in [(7, 200, gradient), (7, 200, None), (8, 2, gradient)] {
        let case = Case { gradient, ..Case::new(batch, elements, Storage::F32) };
        assert_passes(harness, &case, 81);
        for (name, change) in breaks {
            let (agrees, _) = check_with(harness, &case, 81, |table| {
                let mut rows: Vec<LossRow> = table.rows().iter().map(|row| row.expect("no holes")).collect();
                change(&mut rows[3]);
                Table::new(rows)
            });
            assert!(!agrees, "{name} was not noticed in {batch} x {elements}");
        }
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let tensors = [(); 3].map(|()| harness.gpu.buffer("tensor", 32));
    let [p, t, results] = &tensors;
    let table = difference();
    let good = Loss {
        table: &table,
        penalty: Penalty::MSE,
        shape: Shape::new(2, 4),
        timesteps: Timesteps::Batch,
        prediction: Tensor::f32(p),
        in0: None,
        in1: Noise::Tensor(Tensor::f32(t)),
        losses: (results, 0),
        mean: Some((results, 8)),
        gradient: Some(Gradient::mean(Tensor::f32(p))),
    };
    let fails = |loss: Loss<'_>| loss.plan(&harness.context).map(|_| ()).expect_err("a plan that cannot be made");
    let second = Table::new([
        LossRow { inputs: [0.0; 2], ..*table.row(0).expect("a row") },
        LossRow { prediction: 1.0, inputs: [1.0, 0.0], weight: 1.0 },
    ]);
    assert_eq!(fails(Loss { in1: Noise::None, ..good }), PlanError::Missing { what: "in1", row: 0 });
    assert_eq!(fails(Loss { table: &second, ..good }), PlanError::Missing { what: "in0", row: 1 });
    assert_eq!(fails(Loss { table: &Table::new([]), ..good }), PlanError::EmptyTable);
    assert_eq!(fails(Loss { shape: Shape::new(0, 4), ..good }), PlanError::EmptyShape { batch: 0, elements: 4 });
    assert_eq!(
        fails(Loss { mean: Some((results, 4)), ..good }),
        PlanError::Overlap { output: "mean", other: "losses" }
    );
    assert_eq!(fails(Loss { losses: (t, 0), ..good }), PlanError::Overlap { output: "losses", other: "in1" });
    let short = fails(Loss { losses: (results, 28), ..good });
    assert_eq!(short, PlanError::BufferTooSmall { tensor: "losses", expected: 36, found: 32 });
    let between = fails(Loss { mean: Some((results, 10)), ..good });
    assert_eq!(between, PlanError::WordOffset { words: "mean", found: 10 });
    let far = Table::new([LossRow { weight: 1e40, ..*table.row(0).expect("a row") }]);
    assert!(matches!(fails(Loss { table: &far, ..good }), PlanError::Table(_)));
    let mean = harness.gpu.buffer("mean", 4);
    let apart = Loss { mean: Some((&mean, 0)), ..good };
    // One dispatch for the tensors and the samples' losses. The mean takes two more in the buffer of the losses, and one in another.
    for (loss, dispatches) in [(good, 3), (apart, 2), (Loss { mean: None, ..good }, 1)] {
        let plan = loss.plan(&harness.context).expect("plan");
        assert_eq!(plan.dispatches(), dispatches);
        harness.run(&plan, Recording::timestep(0));
    }
}

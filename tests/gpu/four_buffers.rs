//! Devices with four storage buffers: the four-buffer form of every op gives the bits of the usual one, and a plan that does not fit
//! is refused with an error that says what it needs.

use crate::Test;
use crate::harness::{Harness, TestRng, harness_with_limits};
use tweedie::gpu::{
    Drawn, Gradient, GradientScale, Loss, Map, Noise, NoiseKey, Plan, PlanError, Recording, Reduction, Shape, Step,
    StepOptions, Storage, Tensor, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::table::{Clip, LossRow, Matrix, Penalty, StepRow, Table, Term, VlbRow};

pub const TESTS: &[Test] = &[
    ("four_buffers::maps_have_the_same_bits", maps_have_the_same_bits),
    ("four_buffers::losses_have_the_same_bits", losses_have_the_same_bits),
    ("four_buffers::vlb_terms_have_the_same_bits", vlb_terms_have_the_same_bits),
    ("four_buffers::a_wrong_coefficient_differs", a_wrong_coefficient_differs),
    ("four_buffers::steps_have_the_same_bits", steps_have_the_same_bits),
    ("four_buffers::what_does_not_fit_says_what_it_needs", what_does_not_fit_says_what_it_needs),
];

/// The harness's adapter with room for eight storage buffers, and with room for four.
fn both(harness: &Harness) -> [Harness; 2] {
    let few = wgpu::Limits::downlevel_defaults();
    let usual = wgpu::Limits { max_storage_buffers_per_shader_stage: 8, ..few.clone() };
    [usual, few].map(|limits| harness_with_limits(harness, limits))
}

/// Buffers with the same random numbers on every harness, and a timestep for each sample. The first and the last have no row.
struct Stage<'a> {
    harness: &'a Harness,
    shape: Shape,
    tensors: Vec<wgpu::Buffer>,
    times: wgpu::Buffer,
}

impl<'a> Stage<'a> {
    fn new(harness: &'a Harness, shape: Shape, rows: u32) -> Self {
        let mut rng = TestRng(5);
        let total = shape.total() as usize + 8;
        let mut tensor = || {
            let values: Vec<f32> = (0..total).map(|_| rng.float()).collect();
            harness.gpu.upload("tensor", bytemuck::cast_slice(&values))
        };
        let tensors = (0..8).map(|_| tensor()).collect();
        let mut times: Vec<u32> = (0..shape.batch).map(|_| rng.below(rows)).collect();
        times[0] = rows;
        if let Some(last) = times.last_mut() {
            *last = u32::MAX;
        }
        Self { harness, shape, tensors, times: harness.gpu.upload("times", bytemuck::cast_slice(&times)) }
    }

    fn tensor(&self, index: usize, storage: Storage) -> Tensor<'_> {
        Tensor::new(&self.tensors[index], storage)
    }

    /// Runs these recordings. Returns the bytes of all tensors and of the status, and the number of dispatches of one recording.
    fn run(&self, plan: &Plan, status: Option<&wgpu::Buffer>, at: &[Recording]) -> (Vec<Vec<u8>>, usize) {
        for at in at {
            let record = |encoder: &mut wgpu::CommandEncoder| {
                plan.record(&mut encoder.begin_compute_pass(&Default::default()), *at)
            };
            self.harness.gpu.submit(record).expect("device").expect("recording");
        }
        let bytes = self.tensors.iter().chain(status).map(|buffer| self.harness.read(buffer)).collect();
        (bytes, plan.dispatches())
    }
}

/// Fails if the results of the two devices differ, or if the second did not take the four-buffer form.
#[track_caller]
fn assert_same(devices: &[Harness; 2], shape: Shape, rows: u32, run: impl Fn(&Stage<'_>) -> (Vec<Vec<u8>>, usize)) {
    let difference = first_difference(devices, shape, rows, run);
    assert_eq!(difference, None, "{shape}: buffer and word");
}

/// Returns the first buffer that differs, and its first word that does.
fn first_difference(
    devices: &[Harness; 2],
    shape: Shape,
    rows: u32,
    run: impl Fn(&Stage<'_>) -> (Vec<Vec<u8>>, usize),
) -> Option<(usize, usize)> {
    let [usual, few] = devices.each_ref().map(|harness| run(&Stage::new(harness, shape, rows)));
    assert!(few.1 > usual.1, "{} and {} dispatches of {shape}", usual.1, few.1);
    usual.0.iter().zip(&few.0).enumerate().find_map(|(index, (usual, few))| {
        Some((index, usual.chunks(4).zip(few.chunks(4)).position(|(a, b)| !same(a, b))?))
    })
}

/// Whether two words have the same bits, where every NaN counts as the same: of the word as f32, and of each half as bf16.
fn same(a: &[u8], b: &[u8]) -> bool {
    let nan = |word: &[u8]| Storage::F32.decode(word)[0].is_nan();
    let half = |a: &[u8], b: &[u8]| a == b || [a, b].iter().all(|half| Storage::Bf16.decode(half)[0].is_nan());
    a == b || (nan(a) && nan(b)) || (half(&a[..2], &b[..2]) && half(&a[2..], &b[2..]))
}

/// Samples of whole lanes, of a few elements without gaps, and of any size; batches beyond one uniform binding.
const SHAPES: [Shape; 5] =
    [Shape::new(5, 64), Shape::new(2100, 4), Shape::new(1500, 2), Shape::new(1301, 3), Shape::new(3, 4097)];

fn maps_have_the_same_bits(harness: &Harness) {
    let devices = both(harness);
    let mut rng = TestRng(7);
    let rows: Vec<Option<Matrix>> = (0..2000)
        .map(|i| (i % 7 != 3).then(|| [[0; 2], [0; 2]].map(|row| row.map(|_| f64::from(rng.float())))))
        .collect();
    for (i, shape) in SHAPES.into_iter().enumerate() {
        // Tables that fit a uniform binding, and tables that do not; a timestep for each sample, and one for all.
        let table = Table::with_undefined(rows[..[40, 2000][i % 2]].iter().copied());
        for (storage, shared) in [(Storage::F32, false), (Storage::Bf16, false), (Storage::F32, true)] {
            assert_same(&devices, shape, table.len() as u32, |stage| {
                let (buffer, offset) = (&stage.times, 4);
                let map = Map {
                    table: &table,
                    shape,
                    timesteps: match shared {
                        true => Timesteps::Shared { buffer, offset },
                        false => Timesteps::per_sample(buffer),
                    },
                    in0: Some(stage.tensor(0, Storage::F32)),
                    in1: Noise::Tensor(stage.tensor(1, storage)),
                    out0: stage.tensor(2, storage),
                    out1: Some(stage.tensor(3, Storage::F32)),
                };
                let plan = map.plan(&stage.harness.context).expect("given");
                stage.run(&plan, plan.status(), &[Recording::per_sample()])
            });
        }
        assert_same(&devices, shape, table.len() as u32, |stage| {
            let drawn = Drawn::new(NoiseKey::seed(3)).keep(stage.tensor(1, Storage::F32));
            let map = Map {
                table: &table,
                shape,
                timesteps: Timesteps::per_sample(&stage.times),
                in0: Some(stage.tensor(0, Storage::F32)),
                in1: Noise::Drawn(drawn),
                out0: stage.tensor(2, Storage::F32),
                out1: Some(stage.tensor(3, Storage::F32)),
            };
            let plan = map.plan(&stage.harness.context).expect("drawn");
            stage.run(&plan, plan.status(), &[Recording::per_sample(), Recording::per_sample()])
        });
    }
}

fn losses_have_the_same_bits(harness: &Harness) {
    let devices = both(harness);
    let mut rng = TestRng(9);
    let mut number = || f64::from(rng.float());
    let rows: Vec<LossRow> = (0..30)
        .map(|_| LossRow { prediction: number(), inputs: [number(), number()], weight: number().abs() })
        .collect();
    let table = Table::new(rows);
    for shape in SHAPES {
        for given in [true, false] {
            assert_same(&devices, shape, 30, |stage| {
                let in1 = match given {
                    true => Noise::Tensor(stage.tensor(2, Storage::F32)),
                    false => Noise::Drawn(Drawn::new(NoiseKey::seed(3)).keep(stage.tensor(2, Storage::F32))),
                };
                let loss = Loss {
                    table: &table,
                    penalty: Penalty::MSE,
                    shape,
                    timesteps: Timesteps::per_sample(&stage.times),
                    prediction: stage.tensor(0, Storage::F32),
                    in0: Some(stage.tensor(1, Storage::F32)),
                    in1,
                    losses: (&stage.tensors[3], 0),
                    mean: Some((&stage.tensors[4], 0)),
                    gradient: Some(Gradient::mean(stage.tensor(5, Storage::F32))),
                };
                let plan = loss.plan(&stage.harness.context).expect("a loss");
                stage.run(&plan, plan.status(), &[Recording::per_sample()])
            });
        }
    }
}

/// A term of the variational bound with both gradients, in place.
fn vlb_terms<'a>(stage: &'a Stage<'_>, table: &'a Table<VlbRow>, drawn: bool) -> VlbTerms<'a> {
    let [prediction, x0, other] = [0, 1, 2].map(|i| stage.tensor(i, Storage::F32));
    // With noise in a tensor the variance is fixed, or there would be five storage buffers.
    let learned = drawn.then_some(other);
    let in1 = if drawn { Noise::Drawn(Drawn::new(NoiseKey::seed(3))) } else { Noise::Tensor(other) };
    VlbTerms {
        inputs: VlbInputs { table, clip: Some(1.0), shape: stage.shape, prediction, learned, x0, in1 },
        timesteps: Timesteps::per_sample(&stage.times),
        terms: (&stage.tensors[3], 0),
        mean: Some((&stage.tensors[4], 0)),
        gradient: Some(prediction),
        learned_gradient: learned,
        reduction: Reduction::Mean,
        scale: GradientScale::ONE,
    }
}

fn vlb_terms_have_the_same_bits(harness: &Harness) {
    let devices = both(harness);
    let mut rng = TestRng(10);
    let mut number = || f64::from(rng.float());
    let terms = [Term::Divergence, Term::Decoder, Term::SquaredError];
    for drawn in [true, false] {
        let rows = (0..30).map(|i| VlbRow {
            prediction: number(),
            inputs: [number(), number()],
            inverse_deviation: 1.0 + number().abs(),
            log_ratio: [number(), if drawn { number() } else { 0.0 }],
            weight: 1.0,
            term: terms[i % 3],
        });
        let table = Table::new(rows);
        for shape in SHAPES {
            assert_same(&devices, shape, 30, |stage| {
                let plan = vlb_terms(stage, &table, drawn).plan(&stage.harness.context).expect("a term");
                stage.run(&plan, plan.status(), &[Recording::per_sample()])
            });
        }
    }
}

/// A term with a fixed variance.
const DIVERGENCE: VlbRow = VlbRow {
    prediction: 0.1,
    inputs: [0.2, 0.3],
    inverse_deviation: 2.0,
    log_ratio: [0.1, 0.0],
    weight: 1.0,
    term: Term::Divergence,
};

fn a_wrong_coefficient_differs(harness: &Harness) {
    let devices = both(harness);
    let shape = Shape::new(5, 64);
    let right = DIVERGENCE;
    let wrong = VlbRow { inputs: [0.2, 0.3 * (1.0 + f64::from(f32::EPSILON))], ..right };
    let with = |on_narrow: VlbRow| {
        first_difference(&devices, shape, 2, |stage| {
            let has_few = std::ptr::eq(stage.harness, &devices[1]);
            let table = Table::new([if has_few { on_narrow } else { right }; 2]);
            let plan = vlb_terms(stage, &table, false).plan(&stage.harness.context).expect("a term");
            stage.run(&plan, plan.status(), &[Recording::per_sample()])
        })
    };
    assert_eq!(with(right), None);
    assert!(with(wrong).is_some());
}

/// A guided step of every sample at a call of its own, rescaled and clipped to a threshold, with a preview.
fn guided<'a>(stage: &'a Stage<'_>, rows: &'a [StepRow]) -> Step<'a> {
    Step {
        options: StepOptions {
            clip: Clip::Quantile { ratio: 0.9, least: 0.5, most: 3.0 },
            rescale: 0.5,
            ..StepOptions::default()
        },
        calls: Timesteps::per_sample(&stage.times),
        unconditional: Some(stage.tensor(2, Storage::F32)),
        noise: Noise::drawn(NoiseKey::seed(3)),
        x0: Some(stage.tensor(3, Storage::F32)),
        ..Step::in_place(rows, stage.shape, stage.tensor(0, Storage::F32), stage.tensor(1, Storage::F32))
    }
}

fn random_row(rng: &mut TestRng) -> StepRow {
    let mut number = || f64::from(rng.float());
    StepRow {
        guidance: [number(), number()],
        x0: [number(), number(), 0.0],
        x: number(),
        p: number(),
        clean: number(),
        z: number().abs(),
        ..StepRow::IDENTITY.looking_back(&[number()])
    }
}

fn steps_have_the_same_bits(harness: &Harness) {
    let devices = both(harness);
    let mut rng = TestRng(11);
    let rows: Vec<StepRow> = (0..30).map(|_| random_row(&mut rng)).collect();
    for shape in [Shape::new(5, 64), Shape::new(500, 4), Shape::new(430, 3)] {
        assert_same(&devices, shape, 30, |stage| {
            let plan = guided(stage, &rows).plan(&stage.harness.context).expect("a step");
            stage.run(&plan, plan.status(), &[Recording::per_sample(), Recording::per_sample()])
        });
    }
}

fn what_does_not_fit_says_what_it_needs(harness: &Harness) {
    let [usual, few] = both(harness);
    let rows = [random_row(&mut TestRng(1))];
    let plan = |harness: &Harness| {
        let stage = Stage::new(harness, Shape::new(4, 64), 1);
        let step = guided(&stage, &rows);
        Step { input: Some(stage.tensor(4, Storage::F32)), ..step }.plan(&harness.context).map(drop)
    };
    assert_eq!(plan(&usual), Ok(()));
    let error = plan(&few).expect_err("five buffers");
    assert!(matches!(error, PlanError::Bindings { op: "Step", allowed: 4, found: 5, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "Step: expected at most 4 storage buffers in a dispatch (the device's limit \
         `max_storage_buffers_per_shader_stage`), found 5: prediction, unconditional, next, input, memory"
    );
    let table = Table::new([VlbRow { log_ratio: [0.0, 0.1], ..DIVERGENCE }]);
    let plan = |harness: &Harness| {
        let stage = Stage::new(harness, Shape::new(4, 64), 1);
        let drawn = vlb_terms(&stage, &table, true);
        let in1 = Noise::Tensor(stage.tensor(5, Storage::F32));
        VlbTerms { inputs: VlbInputs { in1, ..drawn.inputs }, ..drawn }.plan(&harness.context).map(drop)
    };
    assert_eq!(plan(&usual), Ok(()));
    let error = plan(&few).expect_err("five buffers");
    assert!(matches!(error, PlanError::Bindings { op: "Vlb", allowed: 4, found: 5, .. }), "{error}");
}

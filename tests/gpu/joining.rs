//! Rows that join a plan made before them: what the plan takes, what it refuses and with which error, and that a request has
//! the same bits there as alone.

use crate::batching::server::{JoinError, Request, Server};
use crate::harness::Harness;
use tweedie::gpu::{Drawn, Map, Noise, NoiseKey, Plan, PlanError, Recording, Shape, Step, StepOptions, Tensor};
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::Variance;
use tweedie::table::{Clip, Deviation, StepRow, Table, TableError};
use tweedie::{Model, Sampler, Sampling, Timesteps};

pub const TESTS: &[crate::Test] = &[
    ("joining::a_second_noise_is_drawn", a_second_noise_is_drawn),
    ("joining::a_scaled_input_has_a_place", a_scaled_input_has_a_place),
    ("joining::what_is_given_is_bound", what_is_given_is_bound),
    ("joining::a_row_is_refused_for_its_own_reason", a_row_is_refused_for_its_own_reason),
    ("joining::an_error_names_the_row_of_the_plan", an_error_names_the_row_of_the_plan),
    ("joining::rows_of_another_deviation_are_refused", rows_of_another_deviation_are_refused),
    ("joining::a_clip_goes_with_its_rows", a_clip_goes_with_its_rows),
    ("joining::rows_of_slots_leave_their_neighbours", rows_of_slots_leave_their_neighbours),
    ("joining::a_start_has_the_seeds_of_its_samples", a_start_has_the_seeds_of_its_samples),
    ("joining::a_server_refuses_what_it_cannot_run", a_server_refuses_what_it_cannot_run),
];

const SHAPE: Shape = Shape::new(2, 36);
const KEY: NoiseKey = NoiseKey { seed: 21, stream: 4, first_sample: 2 };
const THRESHOLD: Clip = Clip::Quantile { ratio: 0.9, least: 0.5, most: f64::INFINITY };
const ROW: StepRow = StepRow::IDENTITY;

fn numbers(harness: &Harness, seed: u64) -> wgpu::Buffer {
    let count = SHAPE.total() as usize;
    let values: Vec<f32> = NoiseKey::normals(seed, 0, 0, count).into_iter().map(|z| z as f32).collect();
    harness.gpu.upload("numbers", bytemuck::cast_slice(&values))
}

/// The tensors of a step.
struct Scene {
    x: wgpu::Buffer,
    others: [wgpu::Buffer; 4],
}

impl Scene {
    fn new(harness: &Harness) -> Self {
        Self { x: numbers(harness, 1), others: [2, 3, 4, 5].map(|seed| numbers(harness, seed)) }
    }

    fn other(&self, index: usize) -> Tensor<'_> {
        Tensor::f32(&self.others[index])
    }

    /// A step in place with a prediction and nothing else.
    fn step<'a>(&'a self, rows: &'a [StepRow]) -> Step<'a> {
        Step::in_place(rows, SHAPE, Tensor::f32(&self.x), self.other(0))
    }
}

/// Returns the sample after call 0, and restores the sample of the scene.
fn stepped(harness: &Harness, scene: &Scene, plan: &Plan) -> Vec<u8> {
    let before = harness.read(&scene.x);
    harness.run(plan, Recording::call(0));
    let after = harness.read(&scene.x);
    harness.gpu.queue.write_buffer(&scene.x, 0, &before);
    after
}

fn planned(harness: &Harness, step: &Step<'_>) -> Plan {
    step.plan(&harness.context).expect("a plan")
}

fn late(harness: &Harness, plan: &Plan, row: StepRow) -> Result<(), PlanError> {
    plan.set_rows(&harness.gpu.queue, 0, &[row])
}

/// A tensor holds one noise: a row with two is refused, whether it is one of the first rows or is written later.
fn a_second_noise_is_drawn(harness: &Harness) {
    let scene = Scene::new(harness);
    let first = [StepRow { unconditional_clean: 0.25, ..ROW }]; // has a place for a second noise
    let plan = |noise, rows: &[StepRow]| {
        let step = Step { noise, unconditional: Some(scene.other(1)), ..scene.step(rows) };
        step.plan(&harness.context)
    };
    let row = StepRow { second_z: (0.5, 3), ..first[0] };
    let given = Noise::Tensor(scene.other(2));
    let expected = "noise drawn in the kernel for a second noise";
    let refused = PlanError::Noise { what: "noise of a loop", expected, found: "a tensor" };
    assert_eq!(plan(given, &[row]).map(drop), Err(refused.clone()));
    let taken = plan(given, &first).expect("a plan");
    assert_eq!(late(harness, &taken, row), Err(refused));
    assert_eq!(late(harness, &taken, StepRow { z: 0.5, ..first[0] }), Ok(()));
    let drawn = plan(Noise::drawn(KEY), &first).expect("a plan");
    assert_eq!(late(harness, &drawn, row), Ok(()));
}

/// A plan that writes no input for the network refuses rows whose input is scaled, unless its first rows are: then the host scales.
fn a_scaled_input_has_a_place(harness: &Harness) {
    let scene = Scene::new(harness);
    let (rows, scaled) = ([ROW], StepRow { input: 0.5, ..ROW });
    let none = planned(harness, &scene.step(&rows));
    assert_eq!(late(harness, &none, scaled), Err(PlanError::Missing { what: "input", row: 0 }));
    assert_eq!(late(harness, &none, ROW), Ok(()));
    let there = planned(harness, &Step { input: Some(scene.other(1)), ..scene.step(&rows) });
    assert_eq!(late(harness, &there, scaled), Ok(()));
    let own = [scaled];
    assert_eq!(late(harness, &planned(harness, &scene.step(&own)), scaled), Ok(()));
}

/// Noise, its copy and a second output are bound where they are given, whatever the first rows use.
fn what_is_given_is_bound(harness: &Harness) {
    let scene = Scene::new(harness);
    let (idle, row) = ([ROW], StepRow { x: 0.5, z: 0.75, ..ROW });
    let kept = numbers(harness, 9);
    let noise = Noise::Drawn(Drawn::new(KEY).keep(Tensor::f32(&kept)));
    let own = [row];
    let expected = stepped(harness, &scene, &planned(harness, &Step { noise, ..scene.step(&own) }));
    let drawn = harness.read(&kept);

    let plan = planned(harness, &Step { noise, ..scene.step(&idle) });
    let untouched = stepped(harness, &scene, &plan);
    assert!(harness.read(&kept) == vec![0; drawn.len()], "a call that draws nothing keeps zeros");
    assert_eq!(late(harness, &plan, row), Ok(()));
    assert!(stepped(harness, &scene, &plan) == expected && expected != untouched);
    assert!(harness.read(&kept) == drawn && drawn != vec![0; drawn.len()]);

    let options = StepOptions { deviation: Deviation::Log, ..StepOptions::default() };
    let (noise, learned) = (Noise::drawn(KEY), Some(scene.other(3)));
    let of_learned = StepRow { learned: [0.25, 0.5], ..row };
    let own = [of_learned];
    let expected = stepped(harness, &scene, &planned(harness, &Step { options, noise, learned, ..scene.step(&own) }));
    let plan = planned(harness, &Step { options, noise, learned, ..scene.step(&idle) });
    assert_eq!(late(harness, &plan, of_learned), Ok(()));
    assert!(stepped(harness, &scene, &plan) == expected && expected != untouched);
    let bare = planned(harness, &Step { options, noise, ..scene.step(&idle) });
    assert_eq!(late(harness, &bare, of_learned), Err(PlanError::Missing { what: "learned", row: 0 }));

    // A memory of depth 0: nothing would be written to it.
    let memory = Some(scene.other(2));
    let refused = Step { memory, ..scene.step(&idle) }.plan(&harness.context).map(drop);
    let (what, expected) = ("least_depth with a memory", "at least 1 where no row looks back");
    assert_eq!(refused, Err(PlanError::Rule { what, expected, found: 0.0 }));
    planned(harness, &Step { memory, least_depth: 1, ..scene.step(&idle) });
}

/// Guidance of one prediction needs no second one. A row that needs a tensor which the plan lacks, and a row that needs reductions
/// over a tensor which the plan's reductions do not read, are refused with different errors.
fn a_row_is_refused_for_its_own_reason(harness: &Harness) {
    let scene = Scene::new(harness);
    let rows = [ROW];
    let (doubled, mixed) = (ROW.guided([2.0, 0.0]), ROW.guided([2.0, -1.0]));
    let alone = planned(harness, &scene.step(&rows));
    assert_eq!(late(harness, &alone, doubled), Ok(()));
    assert_eq!(late(harness, &alone, mixed), Err(PlanError::Missing { what: "unconditional", row: 0 }));
    let own = [doubled];
    planned(harness, &scene.step(&own));

    // Reductions read what the first rows use.
    let (unconditional, noise) = (Some(scene.other(1)), Noise::drawn(KEY));
    let needs = |what| Err(PlanError::FirstRows { row: 0, what });
    let options = StepOptions { rescale: 0.7, ..StepOptions::default() };
    let unguided = planned(harness, &Step { options, unconditional, ..scene.step(&rows) });
    assert_eq!(late(harness, &unguided, mixed), needs("is guided"));
    let own = [mixed];
    let guided = planned(harness, &Step { options, unconditional, ..scene.step(&own) });
    assert_eq!(late(harness, &guided, ROW.guided([3.0, -2.0])), Ok(()));
    let options = StepOptions { clip: THRESHOLD, ..StepOptions::default() };
    let noisy = StepRow { x0: [0.5, 0.25, 0.125], ..ROW };
    let dry = planned(harness, &Step { options, noise, ..scene.step(&rows) });
    assert_eq!(late(harness, &dry, noisy), needs("has noise within its clean sample"));
    let own = [noisy];
    assert_eq!(late(harness, &planned(harness, &Step { options, noise, ..scene.step(&own) }), noisy), Ok(()));
    let dry = planned(harness, &Step { options, ..scene.step(&rows) });
    assert_eq!(late(harness, &dry, noisy), Err(PlanError::Missing { what: "noise", row: 0 }));

    // Further parts have a place where rows have them, or where it is asked for.
    let unconditional = Some(scene.other(1));
    let parts = [
        StepRow { unconditional_clean: 0.5, ..ROW },
        StepRow { kept: [0.0, 0.0, 1.0], ..ROW },
        StepRow { second_z: (0.5, 1), ..ROW },
    ];
    let narrow = Step { unconditional, noise, ..scene.step(&rows) };
    let wide = planned(harness, &Step { extended: true, ..narrow });
    for row in parts {
        assert_eq!(late(harness, &planned(harness, &narrow), row), Err(PlanError::Extended { row: 0 }));
        assert_eq!(late(harness, &wide, row), Ok(()));
        let own = [row];
        let expected = stepped(harness, &scene, &planned(harness, &Step { rows: &own, ..narrow }));
        assert!(stepped(harness, &scene, &wide) == expected, "{row:?}");
    }
}

/// A number that f32 cannot hold is named by its row in the plan, not in the slice.
fn an_error_names_the_row_of_the_plan(harness: &Harness) {
    let scene = Scene::new(harness);
    let rows = [ROW; 8];
    let plan = planned(harness, &scene.step(&rows));
    let far = StepRow { x: 1e39, ..ROW };
    let refused = plan.set_rows(&harness.gpu.queue, 5, &[ROW, far]);
    assert_eq!(refused, Err(PlanError::Table(TableError::NotFinite { index: 6, value: 1e39 })));
    let table = Table::new([[[1.0, 0.0]; 2]; 4]);
    let map = Map {
        table: &table,
        shape: SHAPE,
        timesteps: Timesteps::Batch,
        in0: Some(Tensor::f32(&scene.x)),
        in1: Noise::None,
        out0: scene.other(0),
        out1: None,
    };
    let map = map.plan(&harness.context).expect("a map");
    let refused = map.set_rows(&harness.gpu.queue, 3, &[[[f64::INFINITY, 0.0], [0.0; 2]]]);
    assert!(matches!(refused, Err(PlanError::Table(TableError::NotFinite { index: 3, .. }))), "{refused:?}");
}

/// Rows of DDPM with every variance, in a plan of every deviation. They run in plans of their own deviation, and those of a fixed
/// variance in plans of logarithms too. Other plans refuse them, as first rows and as later ones.
fn rows_of_another_deviation_are_refused(harness: &Harness) {
    let scene = Scene::new(harness);
    let model = Model::named("sdxl").expect("a model");
    let idle = [ROW; 4];
    let deviations = [Deviation::Fixed, Deviation::Log, Deviation::Variance];
    for entry in Variance::CATALOGUE.entries {
        let variance = entry.build(&[]).expect("a variance");
        let options = SamplerOptions { variance: Some(variance), ..SamplerOptions::steps(4) };
        let sampler = Sampler::CATALOGUE.find("ddpm").expect("ddpm").build(&model, &options).expect("rows");
        let rows: Vec<StepRow> = sampler.calls().iter().map(|call| call.row).collect();
        assert!(rows[0].z != 0.0 && rows[3].z == 0.0, "{}", entry.name);
        for expected in deviations {
            let options = StepOptions { deviation: expected, ..StepOptions::default() };
            let (noise, learned) = (Noise::drawn(KEY), Some(scene.other(3)));
            let of = |rows| Step { options, noise, learned, ..scene.step(rows) };
            let plan = planned(harness, &of(&idle));
            let found = sampler.deviation();
            let fits = found == expected || (found, expected) == (Deviation::Fixed, Deviation::Log);
            let outcome = if fits { Ok(()) } else { Err(PlanError::Deviation { row: 0, expected, found }) };
            assert_eq!(of(&rows).plan(&harness.context).map(drop), outcome, "{}", entry.name);
            assert_eq!(plan.set_rows(&harness.gpu.queue, 0, &rows), outcome, "{}", entry.name);
            // The last call adds no noise, of whatever deviation.
            assert_eq!(late(harness, &plan, rows[3]), Ok(()), "{}", entry.name);
            if fits {
                let own = Step { options: StepOptions { deviation: found, ..options }, ..of(&rows) };
                let own = stepped(harness, &scene, &planned(harness, &own));
                assert_eq!(late(harness, &plan, rows[0]), Ok(()));
                assert!(stepped(harness, &scene, &plan) == own, "{} beside {expected:?}", entry.name);
            }
        }
        // A row that states no deviation takes the plan's.
        let silent = StepRow { deviation: None, learned: [0.0, 0.5], ..rows[0] };
        let options = StepOptions { deviation: Deviation::Log, ..StepOptions::default() };
        let log = Step { options, noise: Noise::drawn(KEY), learned: Some(scene.other(3)), ..scene.step(&idle) };
        let log = planned(harness, &log);
        assert_eq!(late(harness, &log, silent), Ok(()));
        let fixed = StepRow { deviation: Some(Deviation::Fixed), ..silent };
        let (expected, found) = (Deviation::Log, Deviation::Fixed);
        assert_eq!(late(harness, &log, fixed), Err(PlanError::Deviation { row: 0, expected, found }));
    }
}

/// Rows of a sampler are clipped as the sampler says in every plan that takes them, and other plans refuse them.
fn a_clip_goes_with_its_rows(harness: &Harness) {
    let scene = Scene::new(harness);
    let model = Model::named("sdxl").expect("a model");
    let plain = Sampler::ddim(&model, 4).expect("a sampler");
    let with = |clip| plain.clone().with_clip(clip).expect("a sampler");
    // Ranges that the clean samples of the scene exceed.
    let clips = [Clip::None, Clip::Range(0.25), Clip::Range(0.5), THRESHOLD];
    let rows = |clip| {
        let sampler = with(clip);
        let sampling = Sampling::in_place(&sampler, SHAPE, Tensor::f32(&scene.x), scene.other(0), Noise::None);
        (sampling.rows(), sampling.options())
    };
    let alone = clips.map(|clip| {
        let (rows, options) = rows(clip);
        stepped(harness, &scene, &planned(harness, &Step { options, ..scene.step(&rows) }))
    });
    assert!((1..4).all(|clip| alone[clip] != alone[0] && alone[clip] != alone[clip - 1]), "all of them clip");
    for plan_clip in clips {
        let options = StepOptions { clip: plan_clip, ..StepOptions::default() };
        let idle = [ROW; 4];
        let plan = planned(harness, &Step { options, ..scene.step(&idle) });
        for (clip, alone) in clips.into_iter().zip(&alone) {
            let ranged = |clip| matches!(clip, Clip::None | Clip::Range(_));
            let fits = clip == plan_clip || matches!(plan_clip, Clip::Range(_)) && ranged(clip);
            let outcome = if fits { Ok(()) } else { Err(PlanError::Clip { row: 0 }) };
            let (rows, _) = rows(clip);
            assert_eq!(plan.set_rows(&harness.gpu.queue, 0, &rows), outcome, "{clip:?} in a plan of {plan_clip:?}");
            let request = Step { options, ..scene.step(&rows) };
            assert_eq!(request.plan(&harness.context).map(drop), outcome, "{clip:?} in a plan of {plan_clip:?}");
            if fits {
                assert!(stepped(harness, &scene, &plan) == *alone, "{clip:?} in a plan of {plan_clip:?}");
            }
        }
    }
}

/// Rows that are written in the middle of a plan leave those before and after them as they were.
fn rows_of_slots_leave_their_neighbours(harness: &Harness) {
    let scene = Scene::new(harness);
    let row = |x: usize| StepRow { x: 0.5 + x as f64, ..ROW };
    let rows: Vec<StepRow> = (0..9).map(row).collect();
    let written: Vec<StepRow> = (20..24).map(row).collect();
    let plan = planned(harness, &scene.step(&rows));
    plan.set_rows(&harness.gpu.queue, 3, &written).expect("rows");
    assert_eq!(plan.set_rows::<StepRow>(&harness.gpu.queue, 9, &[]), Ok(()));
    let before: Vec<f32> = bytemuck::pod_collect_to_vec(&harness.read(&scene.x));
    for call in 0..9 {
        harness.gpu.queue.write_buffer(&scene.x, 0, bytemuck::cast_slice(&before));
        harness.run(&plan, Recording::call(call));
        let factor = if (3..7).contains(&call) { 17.5 + call as f32 } else { 0.5 + call as f32 };
        let expected: Vec<f32> = before.iter().map(|x| x * factor).collect();
        let found: Vec<f32> = bytemuck::pod_collect_to_vec(&harness.read(&scene.x));
        assert_eq!(found, expected, "row {call}");
    }
}

/// Samples of a batch that start with seeds of their own have the bits of a request alone.
fn a_start_has_the_seeds_of_its_samples(harness: &Harness) {
    let sampler = Sampler::euler(&Model::named("sdxl").expect("a model"), 4).expect("a sampler");
    let requests = [(5u64, 0u64), (6 | 1 << 32, 3)];
    let words: Vec<u32> = requests
        .iter()
        .flat_map(|(seed, sample)| [seed, sample].map(|n| [*n as u32, (n >> 32) as u32]))
        .flatten()
        .collect();
    let seeds = harness.gpu.upload("seeds", bytemuck::cast_slice(&words));
    let picture = numbers(harness, 8);
    let bytes = 4 * u64::from(SHAPE.elements);
    let run = |shape: Shape, noise: Drawn<'_>, x0: Option<Tensor<'_>>| {
        let [x, p, input] = [1, 2, 3].map(|seed| numbers(harness, seed));
        let at = Sampling::in_place(&sampler, shape, Tensor::f32(&x), Tensor::f32(&p), noise.into());
        let at = Sampling { input: Some(Tensor::f32(&input)), ..at };
        let plan = match x0 {
            None => at.start(&harness.context, noise),
            Some(x0) => at.start_from(&harness.context, noise, x0),
        };
        harness.run(&plan.expect("a start"), Recording::timestep(0));
        [x, input].map(|buffer| harness.read(&buffer))
    };
    for from in [false, true] {
        let x0 = |sample: u64| from.then(|| Tensor::f32(&picture).at(sample * bytes));
        let batch = run(SHAPE, Drawn::new(KEY).seeded(&seeds), x0(0));
        for (place, (seed, first_sample)) in (0u64..).zip(requests) {
            let key = NoiseKey { seed, first_sample, ..KEY };
            let alone = run(Shape::new(1, SHAPE.elements), key.into(), x0(place));
            for (batch, alone) in batch.iter().zip(&alone) {
                let (begin, end) = ((place * bytes) as usize, ((place + 1) * bytes) as usize);
                assert!(batch[begin..end] == alone[..bytes as usize], "sample {place} from a picture: {from}");
            }
        }
    }
}

/// How the example `continuous_batching` refuses requests that cannot join: nothing runs, and the slot is as it was.
fn a_server_refuses_what_it_cannot_run(harness: &Harness) {
    let model = Model::named("sdxl").expect("a model");
    let request = |name: &str, options: SamplerOptions| {
        let sampler = Sampler::CATALOGUE.find(name).expect("a sampler").build(&model, &options).expect("rows");
        Request::new(sampler, 2.0, 7)
    };
    let steps = SamplerOptions::steps(3);
    let learned = request("ddpm", SamplerOptions { variance: Some(Variance::LearnedRange), ..steps.clone() });
    let clipped = request("ddim", SamplerOptions { clip: Some(Clip::Range(1.0)), ..steps.clone() });
    let good = request("ddpm", steps);
    let mut server = Server::new(&harness.gpu, &harness.context).expect("plans");
    let (expected, found) = (Deviation::Fixed, Deviation::Log);
    let refused = PlanError::Deviation { row: 0, expected, found };
    assert_eq!(server.join(0, 0, &learned), Err(JoinError::Plan(refused)));
    assert_eq!(server.join(0, 0, &clipped), Err(JoinError::Plan(PlanError::Clip { row: 0 })));
    assert_eq!(server.free_slot(), Some(0));
    assert!((0..3).all(|_| server.tick().expect("a tick").is_empty()), "nothing runs");
    assert_eq!(server.join(0, 1, &good), Ok(()));
    assert_eq!(server.join(0, 2, &good), Err(JoinError::Occupied(0)));
    assert_eq!(server.free_slot(), Some(1));
    let left: Vec<usize> = (0..3).flat_map(|_| server.tick().expect("a tick")).map(|left| left.id).collect();
    assert_eq!(left, [1], "the one that joined");
}

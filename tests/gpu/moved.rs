//! Plans that move to other tensors: they give the same bits, compile no further pipeline, and refuse what does not fit.

use crate::harness::Harness;
use tweedie::gpu::{
    Context, Drawn, Gradient, GradientScale, Loss, Map, Noise, NoiseKey, Plan, PlanError, Recording, Reduction, Shape,
    Storage, Tensor, TimestepDraw, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::{LossInputs, ModelVariance, Quantity, Schedule, TimestepDensity, Vlb};
use tweedie::table::{LossRow, Matrix, Penalty, Table};

pub const TESTS: &[crate::Test] = &[
    ("moved::a_map_in_place", a_map_in_place),
    ("moved::a_loss_and_its_results", a_loss_and_its_results),
    ("moved::a_term_of_the_bound", a_term_of_the_bound),
    ("moved::a_draw_of_timesteps", a_draw_of_timesteps),
    ("moved::tensors_that_lie_otherwise_are_refused", tensors_that_lie_otherwise_are_refused),
];

const SHAPE: Shape = Shape::new(5, 72);
const KEY: NoiseKey = NoiseKey { seed: 11, stream: 2, first_sample: 3 };
/// No device asks for a larger alignment of bindings, so offsets may always differ by this many bytes.
const FURTHER: u64 = 256;
const ROWS: [Matrix; 3] = [[[0.5, 0.25], [1.0, -1.0]], [[0.1, 2.0], [-0.5, 1.5]], [[-1.0, 0.75], [0.3, 0.2]]];

/// A buffer of numbers, the first of which is at this byte.
fn numbers(harness: &Harness, seed: u64, offset: u64) -> wgpu::Buffer {
    let mut bytes = vec![0; offset as usize];
    let normals = tweedie::NoiseKey::normals(seed, 0, 0, SHAPE.total() as usize);
    bytes.extend(normals.into_iter().flat_map(|z| (z as f32).to_le_bytes()));
    harness.gpu.upload("numbers", &bytes)
}

/// The buffer from this byte on.
fn from(harness: &Harness, buffer: &wgpu::Buffer, offset: u64) -> Vec<u8> {
    harness.read(buffer)[offset as usize..].to_vec()
}

/// The tensors of a plan, all at the same offset in their buffers.
struct Scene {
    offset: u64,
    x: wgpu::Buffer,
    y: wgpu::Buffer,
    z: wgpu::Buffer,
    words: wgpu::Buffer,
    results: [wgpu::Buffer; 2],
}

impl Scene {
    fn new(harness: &Harness, seed: u64, offset: u64) -> Self {
        let [x, y, z] = [0, 1, 2].map(|k| numbers(harness, seed + k, offset));
        let mut words = vec![0u32; offset as usize / 4];
        words.extend([2, 0, 1, 1, 2]);
        let words = harness.gpu.upload("words", bytemuck::cast_slice(&words));
        let results = [(); 2].map(|()| harness.gpu.buffer("results", offset + 4 * u64::from(SHAPE.batch)));
        Self { offset, x, y, z, words, results }
    }

    fn tensor<'a>(&self, buffer: &'a wgpu::Buffer) -> Tensor<'a> {
        Tensor::f32(buffer).at(self.offset)
    }

    fn timesteps(&self) -> Timesteps<'_> {
        Timesteps::PerSample { buffer: &self.words, offset: self.offset }
    }

    fn all(&self, harness: &Harness) -> [Vec<u8>; 5] {
        let [losses, mean] = &self.results;
        [&self.x, &self.y, &self.z, losses, mean].map(|buffer| from(harness, buffer, self.offset))
    }
}

/// Two scenes of the same numbers at different offsets.
fn scenes(harness: &Harness) -> [Scene; 2] {
    [0, FURTHER].map(|offset| Scene::new(harness, 40, offset))
}

fn a_map_in_place(harness: &Harness) {
    // A context of its own, since other tests compile in the shared one.
    let context = &Context::new(&harness.gpu.device);
    let table = Table::new(ROWS);
    let map = |scene: &Scene| -> Plan {
        let map = Map {
            table: &table,
            shape: SHAPE,
            timesteps: scene.timesteps(),
            in0: Some(scene.tensor(&scene.x)),
            in1: Noise::Drawn(Drawn::new(KEY).steps(2).keep(scene.tensor(&scene.z))),
            out0: scene.tensor(&scene.x),
            out1: Some(scene.tensor(&scene.y)),
        };
        map.plan(context).expect("a plan")
    };
    let [here, there] = scenes(harness);
    let plan = map(&here);
    let compiled = context.compiled_pipelines();
    let roles = [
        ("in0", there.tensor(&there.x)),
        ("out0", there.tensor(&there.x)),
        ("out1", there.tensor(&there.y)),
        ("keep", there.tensor(&there.z)),
        ("timesteps", there.tensor(&there.words)),
    ];
    let moved = plan.moved(context, &roles).expect("a moved plan");
    assert_eq!((context.compiled_pipelines(), moved.dispatches()), (compiled, plan.dispatches()));
    // A key that is set in one is set in both.
    plan.set_key(&harness.gpu.queue, 1, NoiseKey::seed(77)).expect("a key");
    [&plan, &moved].into_iter().for_each(|plan| harness.run(plan, Recording::per_sample().step(1)));
    assert!(here.all(harness) == there.all(harness));
    let untouched = Scene::new(harness, 40, 0);
    assert!(here.all(harness) != untouched.all(harness), "the plan must change something");
    // A moved plan may move again, with some of its tensors.
    let initial = harness.read(&untouched.y);
    let back = moved.moved(context, &[("out1", Tensor::f32(&untouched.y))]).expect("a moved plan");
    harness.run(&back, Recording::per_sample().step(1));
    // The move went to `untouched`; a run of the plan before it writes the same into its own tensor.
    let [x, found] = [&there.x, &untouched.y].map(|buffer| harness.read(buffer));
    assert!(found != initial, "the plan must write into the moved tensor");
    harness.run(&moved, Recording::per_sample().step(1));
    assert!(harness.read(&there.x) != x, "each run takes x further");
    assert!(found != harness.read(&there.y), "x has changed between the two runs");
}

fn a_loss_and_its_results(harness: &Harness) {
    // A context of its own, since other tests compile in the shared one.
    let context = &Context::new(&harness.gpu.device);
    let row = |w: f64| LossRow { prediction: 1.0, inputs: [-0.5, 0.25], weight: w };
    let table = Table::new([row(1.0), row(2.0), row(0.5)]);
    let [here, there] = scenes(harness);
    let loss = Loss {
        table: &table,
        penalty: Penalty::MSE,
        shape: SHAPE,
        timesteps: here.timesteps(),
        prediction: here.tensor(&here.x),
        in0: Some(here.tensor(&here.y)),
        in1: Noise::Tensor(here.tensor(&here.z)),
        losses: (&here.results[0], here.offset),
        mean: Some((&here.results[1], here.offset)),
        gradient: Some(Gradient::mean(here.tensor(&here.x))),
    };
    let plan = loss.plan(context).expect("a plan");
    let compiled = context.compiled_pipelines();
    let roles = [
        ("prediction", there.tensor(&there.x)),
        ("gradient", there.tensor(&there.x)),
        ("in0", there.tensor(&there.y)),
        ("in1", there.tensor(&there.z)),
        ("timesteps", there.tensor(&there.words)),
        ("losses", there.tensor(&there.results[0])),
        ("mean", there.tensor(&there.results[1])),
    ];
    let moved = plan.moved(context, &roles).expect("a moved plan");
    assert_eq!(context.compiled_pipelines(), compiled);
    [&plan, &moved].into_iter().for_each(|plan| harness.run(plan, Recording::per_sample()));
    assert!(here.all(harness) == there.all(harness));
    assert!(harness.read(&here.results[0]).iter().any(|&byte| byte != 0), "the plan must write losses");
}

fn a_term_of_the_bound(harness: &Harness) {
    let schedule = Schedule::linear(3, 1e-2, 0.5).expect("a schedule");
    let vlb = Vlb::new(&schedule, Quantity::Epsilon, ModelVariance::FixedSmall, None).expect("a bound");
    let table = vlb.table_where_defined(LossInputs::CleanAndNoise);
    let [here, there] = scenes(harness);
    let inputs = VlbInputs {
        table: &table,
        clip: None,
        shape: SHAPE,
        prediction: here.tensor(&here.x),
        learned: None,
        x0: here.tensor(&here.y),
        in1: Noise::Tensor(here.tensor(&here.z)),
    };
    let terms = VlbTerms {
        inputs,
        timesteps: here.timesteps(),
        terms: (&here.results[0], here.offset),
        mean: None,
        gradient: None,
        learned_gradient: None,
        reduction: Reduction::Sum,
        scale: GradientScale::ONE,
    };
    let plan = terms.plan(&harness.context).expect("a plan");
    let roles = [
        ("prediction", there.tensor(&there.x)),
        ("x0", there.tensor(&there.y)),
        ("in1", there.tensor(&there.z)),
        ("timesteps", there.tensor(&there.words)),
        ("terms", there.tensor(&there.results[0])),
    ];
    let moved = plan.moved(&harness.context, &roles).expect("a moved plan");
    [&plan, &moved].into_iter().for_each(|plan| harness.run(plan, Recording::per_sample()));
    assert!(here.all(harness) == there.all(harness));
    assert!(harness.read(&here.results[0]).iter().any(|&byte| byte != 0), "the plan must write terms");
}

fn a_draw_of_timesteps(harness: &Harness) {
    let density = TimestepDensity::uniform(1000).expect("a density");
    let [here, there] = [(); 2].map(|()| harness.gpu.buffer("timesteps", FURTHER + 4 * 33));
    let draw = TimestepDraw {
        ends: density.ends(),
        batch: 33,
        groups: 1,
        key: KEY,
        steps: 1,
        seeds: None,
        stratified: None,
        buffer: &here,
        offset: 0,
    };
    let plan = draw.plan(&harness.context).expect("a plan");
    let moved = plan.moved(&harness.context, &[("timesteps", Tensor::f32(&there).at(FURTHER))]).expect("moved");
    [&plan, &moved].into_iter().for_each(|plan| harness.run(plan, Recording::per_sample()));
    assert!(harness.read(&here)[..4 * 33] == from(harness, &there, FURTHER));
}

fn tensors_that_lie_otherwise_are_refused(harness: &Harness) {
    let table = Table::new(ROWS);
    let [a, b, c, other] = [0, 1, 2, 3].map(|k| numbers(harness, k, FURTHER));
    let map = Map {
        table: &table,
        shape: Shape::new(4, 16),
        timesteps: Timesteps::Batch,
        in0: Some(Tensor::f32(&a)),
        in1: Noise::Tensor(Tensor::f32(&b)),
        out0: Tensor::f32(&a),
        out1: Some(Tensor::f32(&c).at(FURTHER)),
    };
    let plan = map.plan(&harness.context).expect("a plan");
    let error = |tensors: &[(&str, Tensor<'_>)]| plan.moved(&harness.context, tensors).map(|_| ()).expect_err("moved");
    let what = |tensors: &[(&str, Tensor<'_>)]| match error(tensors) {
        PlanError::Moved { tensor, what, .. } => (tensor, what),
        error => panic!("{error}"),
    };
    let there = Tensor::f32(&other);
    assert_eq!(what(&[("in1", Tensor::new(&other, Storage::F16))]), ("in1", "storage"));
    assert_eq!(what(&[("in1", there.stride(17))]), ("in1", "stride"));
    assert_eq!(what(&[("in1", there.at(4))]), ("in1", "offset"));
    assert_eq!(what(&[("in0", there)]), ("in0", "place"), "it was in place");
    assert_eq!(what(&[("in0", Tensor::f32(&a).at(FURTHER))]), ("in0", "place"), "the same buffer is not enough");
    assert_eq!(what(&[("in1", Tensor::f32(&c))]), ("in1", "place"), "an output lies there");
    assert_eq!(what(&[("in0", there), ("out0", there), ("out1", there.at(FURTHER))]), ("in0", "place"));
    assert!(matches!(error(&[("in1", there.at(1 << 20))]), PlanError::BufferTooSmall { tensor: "in1", .. }));
    let text = error(&[("x0", there)]).to_string();
    assert_eq!(text, "expected a role of the plan (in0, in1, out0, out1), found `x0`");
    let text = error(&[("in0", there)]).to_string();
    assert_eq!(
        text,
        "in0: a moved plan expects the same place as before (in the buffer of out0), found another buffer than that of out0"
    );
    assert!(plan.moved(&harness.context, &[("in0", there), ("out0", there)]).is_ok());
    assert!(plan.moved(&harness.context, &[]).is_ok(), "a plan may be moved with no tensor at all");
}

//! Every role of every plan moves: a plan that is moved from one scene to another writes what a plan made there writes, and
//! touches nothing of the first.

use crate::harness::Harness;
use tweedie::gpu::{
    Context, Drawn, Gradient, GradientScale, Inpainting, Loss, Map, Noise, NoiseKey, Plan, PlanError, Recording,
    Reduction, Shape, Step, StepOptions, Tensor, TimestepDraw, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::table::{Clip, Deviation, LossRow, Matrix, Penalty, StepRow, Table, Term, VlbRow};

pub const TESTS: &[crate::Test] = &[
    ("moved_roles::of_maps", of_maps),
    ("moved_roles::of_steps", of_steps),
    ("moved_roles::of_losses", of_losses),
    ("moved_roles::of_terms_of_the_bound", of_terms_of_the_bound),
    ("moved_roles::of_draws_of_timesteps", of_draws_of_timesteps),
];

const SHAPE: Shape = Shape::new(5, 72);
const KEY: NoiseKey = NoiseKey { seed: 11, stream: 2, first_sample: 3 };
/// No device asks for a larger alignment of bindings.
const FURTHER: u64 = 256;
/// The words of each buffer, enough for every role: the memory of two clean samples takes 720.
const WORDS: usize = 1024;
/// A NaN as f32, and as a timestep one that no table has.
const POISON: u32 = 0x7fc0_0000;

/// Roles that are always outputs: each must have changed.
const OUTPUTS: [&str; 11] =
    ["out0", "out1", "keep", "next", "input", "memory", "gradient", "learned_gradient", "losses", "terms", "mean"];

/// A buffer for each role, at an offset.
struct Scene {
    offset: u64,
    buffers: Vec<(&'static str, wgpu::Buffer)>,
}

/// The initial words of a role.
fn content(role: &str, seed: u64) -> Vec<u32> {
    match role {
        "timesteps" | "calls" => vec![2, 0, 1, 1, 2],
        "scale" => vec![8f32.to_bits(), 0, 0],
        "seeds" => (0..4 * SHAPE.batch).map(|word| if word % 4 == 2 { word } else { 77 * word % 3 }).collect(),
        _ => NoiseKey::normals(seed, 0, 0, WORDS).into_iter().map(|z| (z as f32).to_bits()).collect(),
    }
}

impl Scene {
    fn new(harness: &Harness, offset: u64, roles: &[&'static str]) -> Self {
        let buffer = |(seed, role): (u64, &&'static str)| {
            let mut words = vec![0; offset as usize / 4];
            words.extend(content(role, seed));
            words.resize(offset as usize / 4 + WORDS, 0);
            (*role, harness.gpu.upload(role, bytemuck::cast_slice(&words)))
        };
        Self { offset, buffers: (0..).zip(roles).map(buffer).collect() }
    }

    /// A role without a tensor fails the test.
    fn buffer(&self, role: &str) -> &wgpu::Buffer {
        let found = self.buffers.iter().find(|(name, _)| *name == role);
        &found.unwrap_or_else(|| panic!("a tensor of {role}")).1
    }

    fn tensor(&self, role: &str) -> Tensor<'_> {
        Tensor::f32(self.buffer(role)).at(self.offset)
    }

    fn words(&self, role: &str) -> (&wgpu::Buffer, u64) {
        (self.buffer(role), self.offset)
    }

    fn per_sample(&self, role: &str) -> Timesteps<'_> {
        Timesteps::PerSample { buffer: self.buffer(role), offset: self.offset }
    }

    fn drawn(&self) -> Drawn<'_> {
        Drawn { seeds: Some(self.words("seeds")), ..Drawn::new(KEY) }.keep(self.tensor("keep"))
    }

    fn all(&self, harness: &Harness) -> Vec<Vec<u8>> {
        self.buffers.iter().map(|(_, buffer)| harness.read(buffer)).collect()
    }

    fn poison(&self, harness: &Harness) {
        for (_, buffer) in &self.buffers {
            let words = vec![POISON; buffer.size() as usize / 4];
            harness.gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&words));
        }
    }
}

/// A plan on the tensors of a scene.
type Request = fn(&Context, &Scene) -> Result<Plan, PlanError>;

/// Checks that these are the roles of a plan, moves them all, and compares what the moved plan writes with a plan made there.
fn assert_moves(harness: &Harness, roles: &[&'static str], request: Request, recordings: &[Recording]) {
    let context = &harness.context;
    let [here, there, own] = [0, FURTHER, FURTHER].map(|offset| Scene::new(harness, offset, roles));
    let before = there.all(harness);
    let plan = request(context, &here).expect("a plan");
    let mut found: Vec<&str> = plan.roles().collect();
    let mut expected = roles.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let tensors: Vec<_> = plan.roles().map(|role| (role, there.tensor(role))).collect();
    let moved = plan.moved(context, &tensors).expect("a moved plan");
    // Poison would show in the results if anything were still read here.
    here.poison(harness);
    let poisoned = here.all(harness);
    let made = request(context, &own).expect("a plan");
    for at in recordings {
        [&moved, &made].into_iter().for_each(|plan| harness.run(plan, *at));
    }
    let (found, expected) = (there.all(harness), own.all(harness));
    for (i, role) in roles.iter().enumerate() {
        assert!(found[i] == expected[i], "{role} of {roles:?}");
        assert!(!OUTPUTS.contains(role) || expected[i] != before[i], "{roles:?}: the plan must write {role}");
    }
    assert!(here.all(harness) == poisoned, "{roles:?}: the moved plan still writes to the first scene");
}

const MATRICES: [Matrix; 3] = [[[0.5, 0.25], [1.0, -1.0]], [[0.1, 2.0], [-0.5, 1.5]], [[-1.0, 0.75], [0.3, 0.2]]];

fn of_maps(harness: &Harness) {
    fn map<'a>(
        scene: &'a Scene,
        in1: Noise<'a>,
        timesteps: Timesteps<'a>,
        context: &Context,
    ) -> Result<Plan, PlanError> {
        let (table, in0) = (Table::new(MATRICES), Some(scene.tensor("in0")));
        let [out0, out1] = ["out0", "out1"].map(|role| scene.tensor(role));
        Map { table: &table, shape: SHAPE, timesteps, in0, in1, out0, out1: Some(out1) }.plan(context)
    }
    let given: Request = |context, scene| map(scene, Noise::Tensor(scene.tensor("in1")), Timesteps::Batch, context);
    assert_moves(harness, &["in0", "in1", "out0", "out1"], given, &[Recording::timestep(1)]);
    let drawn: Request =
        |context, scene| map(scene, Noise::Drawn(scene.drawn()), scene.per_sample("timesteps"), context);
    let roles = ["in0", "out0", "out1", "keep", "seeds", "timesteps"];
    assert_moves(harness, &roles, drawn, &[Recording::per_sample()]);
}

fn rows(row: StepRow) -> [StepRow; 3] {
    let row = StepRow { x0: [0.5, -0.25, 0.0], p: 0.25, x: 0.75, clean: 0.5, input: 0.5, ..row };
    [row, row.looking_back(&[0.5, -0.25]), row.looking_back(&[0.25, 0.125])]
}

fn step<'a>(scene: &'a Scene, rows: &'a [StepRow]) -> Step<'a> {
    let next = scene.tensor("next");
    Step { next, ..Step::in_place(rows, SHAPE, scene.tensor("x"), scene.tensor("prediction")) }
}

fn of_steps(harness: &Harness) {
    let guided: Request = |context, scene| {
        let options = StepOptions { clip: Clip::Range(1.0), deviation: Deviation::Log, rescale: 0.0 };
        let row = StepRow { guidance: [2.0, -1.0], z: 0.5, learned: [0.5, 0.25], ..StepRow::IDENTITY };
        let rows = [StepRow { x0: [0.5, -0.25, 0.25], p: 0.25, clean: 0.5, input: 0.5, ..row }];
        let step = Step {
            options,
            unconditional: Some(scene.tensor("unconditional")),
            noise: Noise::Tensor(scene.tensor("noise")),
            learned: Some(scene.tensor("learned")),
            x0: Some(scene.tensor("x0")),
            input: Some(scene.tensor("input")),
            ..step(scene, &rows)
        };
        step.plan(context)
    };
    let roles = ["x", "prediction", "unconditional", "noise", "learned", "next", "x0", "input"];
    assert_moves(harness, &roles, guided, &[Recording::call(0)]);

    let known: Request = |context, scene| {
        let rows = [StepRow { z: 0.5, known: [0.5, 0.25], ..StepRow::IDENTITY }];
        let step = Step {
            noise: Noise::Drawn(scene.drawn()),
            known: Some(Inpainting { mask: scene.tensor("known.mask"), x0: scene.tensor("known.x0") }),
            ..step(scene, &rows)
        };
        step.plan(context)
    };
    let roles = ["x", "prediction", "known.mask", "known.x0", "next", "keep", "seeds"];
    assert_moves(harness, &roles, known, &[Recording::call(0)]);

    let remembering: Request = |context, scene| {
        let rows = rows(StepRow::IDENTITY);
        let (calls, memory) = (scene.per_sample("calls"), Some(scene.tensor("memory")));
        Step { calls, memory, ..step(scene, &rows) }.plan(context)
    };
    let roles = ["x", "prediction", "next", "memory", "calls"];
    assert_moves(harness, &roles, remembering, &[Recording::per_sample(), Recording::per_sample()]);
}

fn of_losses(harness: &Harness) {
    fn loss<'a>(scene: &'a Scene, table: &'a Table<LossRow>) -> Loss<'a> {
        Loss {
            table,
            penalty: Penalty::MSE,
            shape: SHAPE,
            timesteps: Timesteps::Batch,
            prediction: scene.tensor("prediction"),
            in0: Some(scene.tensor("in0")),
            in1: Noise::None,
            losses: scene.words("losses"),
            mean: Some(scene.words("mean")),
            gradient: None,
        }
    }
    fn table() -> Table<LossRow> {
        Table::new([1.0, 2.0, 0.5].map(|weight| LossRow { prediction: 1.0, inputs: [-0.5, 0.25], weight }))
    }
    let scaled: Request = |context, scene| {
        let scale = GradientScale::Buffer(scene.buffer("scale"), scene.offset);
        let gradient = Some(Gradient::mean(scene.tensor("gradient")).scaled(scale));
        let in1 = Noise::Tensor(scene.tensor("in1"));
        Loss { in1, gradient, ..loss(scene, &table()) }.plan(context)
    };
    let roles = ["prediction", "in0", "in1", "gradient", "scale", "losses", "mean"];
    assert_moves(harness, &roles, scaled, &[Recording::timestep(1)]);
    let drawn: Request = |context, scene| {
        let (timesteps, in1) = (scene.per_sample("timesteps"), Noise::Drawn(scene.drawn()));
        Loss { timesteps, in1, ..loss(scene, &table()) }.plan(context)
    };
    let roles = ["prediction", "in0", "keep", "seeds", "timesteps", "losses", "mean"];
    assert_moves(harness, &roles, drawn, &[Recording::per_sample()]);
}

fn of_terms_of_the_bound(harness: &Harness) {
    fn terms<'a>(scene: &'a Scene, table: &'a Table<VlbRow>, in1: Noise<'a>) -> VlbTerms<'a> {
        let (prediction, x0) = (scene.tensor("prediction"), scene.tensor("x0"));
        VlbTerms {
            inputs: VlbInputs { table, clip: None, shape: SHAPE, prediction, learned: None, x0, in1 },
            timesteps: Timesteps::Batch,
            terms: scene.words("terms"),
            mean: Some(scene.words("mean")),
            gradient: None,
            learned_gradient: None,
            reduction: Reduction::Sum,
            scale: GradientScale::ONE,
        }
    }
    fn table(log_ratio: [f64; 2]) -> Table<VlbRow> {
        let row = |weight| VlbRow {
            prediction: 1.0,
            inputs: [-1.0, 0.5],
            inverse_deviation: 2.0,
            log_ratio,
            weight,
            term: Term::Divergence,
        };
        Table::new([1.0, 2.0, 0.5].map(row))
    }
    let learned: Request = |context, scene| {
        let table = table([0.0, 1.0]);
        let mut terms = VlbTerms {
            gradient: Some(scene.tensor("gradient")),
            learned_gradient: Some(scene.tensor("learned_gradient")),
            scale: GradientScale::Buffer(scene.buffer("scale"), scene.offset),
            ..terms(scene, &table, Noise::Tensor(scene.tensor("in1")))
        };
        terms.inputs.learned = Some(scene.tensor("learned"));
        terms.plan(context)
    };
    let roles = ["prediction", "learned", "x0", "in1", "gradient", "learned_gradient", "scale", "terms", "mean"];
    assert_moves(harness, &roles, learned, &[Recording::timestep(1)]);
    let drawn: Request = |context, scene| {
        let (table, timesteps) = (table([0.5, 0.0]), scene.per_sample("timesteps"));
        VlbTerms { timesteps, ..terms(scene, &table, Noise::Drawn(scene.drawn())) }.plan(context)
    };
    let roles = ["prediction", "x0", "keep", "seeds", "timesteps", "terms", "mean"];
    assert_moves(harness, &roles, drawn, &[Recording::per_sample()]);
}

fn of_draws_of_timesteps(harness: &Harness) {
    let draw: Request = |context, scene| {
        let draw = TimestepDraw {
            ends: &[1 << 30, 1 << 31, 1 << 32],
            batch: SHAPE.batch,
            groups: 1,
            key: KEY,
            steps: 1,
            seeds: Some(scene.words("seeds")),
            stratified: None,
            buffer: scene.buffer("timesteps"),
            offset: scene.offset,
        };
        draw.plan(context)
    };
    assert_moves(harness, &["timesteps", "seeds"], draw, &[Recording::per_sample()]);
}

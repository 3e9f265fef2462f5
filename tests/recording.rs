//! Allocations on the host, on wgpu's noop backend, when plans are recorded and their keys and rows are written.

use crate::embedding::{buffer, device};
use std::sync::Arc;
use tweedie::gpu::{
    Context, Drawn, Gradient, GradientScale, Loss, Map, Noise, NoiseKey, Plan, Recording, Reduction, Shape, Step,
    StepOptions, Tensor, TimestepDraw, Timesteps, VlbInputs, VlbTerms,
};
use tweedie::math::run::{Node, Run, RunGrid, RunGuidance, RunModel};
use tweedie::math::{Objective, Quantity, Schedule, TimestepDensity};
use tweedie::table::{LossRow, Matrix, Penalty, StepRow, Table, Term, VlbRow};
use tweedie::{Error, Loop, LoopMask, LoopTensors, TimestepSource, Training, TrainingStep};

const RECORDINGS: u32 = 1000;
/// Samples of more than a chunk, so that sums take several dispatches.
const SHAPE: Shape = Shape::new(4, 5000);
const SUM: Matrix = [[1.0, 1.0], [1.0, -1.0]];

/// The buffers of a plan.
pub struct Scene {
    tensors: [wgpu::Buffer; 4],
    words: [wgpu::Buffer; 3],
}

impl Scene {
    pub fn new(device: &wgpu::Device) -> Self {
        Self {
            tensors: [(); 4].map(|()| buffer(device, 4 * SHAPE.total())),
            words: [(); 3].map(|()| buffer(device, 4 * u64::from(SHAPE.batch))),
        }
    }

    fn tensors(&self) -> [Tensor<'_>; 4] {
        self.tensors.each_ref().map(Tensor::f32)
    }

    fn words(&self) -> [Tensor<'_>; 3] {
        self.words.each_ref().map(Tensor::f32)
    }

    fn timesteps(&self) -> Timesteps<'_> {
        Timesteps::per_sample(&self.words[0])
    }

    fn map(&self, context: &Context, timesteps: Timesteps<'_>) -> Plan {
        let [in0, kept, out0, out1] = self.tensors();
        let in1 = Noise::Drawn(Drawn::new(NoiseKey::seed(1)).keep(kept));
        let table = &Table::new([SUM; 1000]);
        Map { table, shape: SHAPE, timesteps, in0: Some(in0), in1, out0, out1: Some(out1) }.plan(context).unwrap()
    }

    pub fn loss(&self, context: &Context) -> Plan {
        let [prediction, in0, in1, gradient] = self.tensors();
        let row = LossRow { prediction: 1.0, inputs: [-1.0, 0.5], weight: 1.0 };
        let loss = Loss {
            table: &Table::new([row; 1000]),
            penalty: Penalty::MSE,
            shape: SHAPE,
            timesteps: self.timesteps(),
            prediction,
            in0: Some(in0),
            in1: Noise::Tensor(in1),
            losses: (&self.words[1], 0),
            mean: Some((&self.words[2], 0)),
            gradient: Some(Gradient::mean(gradient)),
        };
        loss.plan(context).unwrap()
    }

    fn vlb(&self, context: &Context) -> Plan {
        let [prediction, x0, in1, gradient] = self.tensors();
        let row = VlbRow {
            prediction: 1.0,
            inputs: [0.0, -1.0],
            inverse_deviation: 1.0,
            log_ratio: [0.0; 2],
            weight: 1.0,
            term: Term::Divergence,
        };
        let inputs = VlbInputs {
            table: &Table::new([row; 1000]),
            clip: None,
            shape: SHAPE,
            prediction,
            learned: None,
            x0,
            in1: Noise::Tensor(in1),
        };
        let terms = VlbTerms {
            inputs,
            timesteps: self.timesteps(),
            terms: (&self.words[1], 0),
            mean: None,
            gradient: Some(gradient),
            learned_gradient: None,
            reduction: Reduction::Mean,
            scale: GradientScale::ONE,
        };
        terms.plan(context).unwrap()
    }

    /// A step with rescaled guidance, which takes further dispatches.
    fn step(&self, context: &Context) -> Plan {
        let [x, prediction, unconditional, next] = self.tensors();
        let row = StepRow { guidance: [2.0, -1.0], p: 0.5, z: 1.0, ..StepRow::IDENTITY };
        let rows = [row; 1000];
        let step = Step {
            options: StepOptions { rescale: 0.5, ..StepOptions::default() },
            unconditional: Some(unconditional),
            noise: Noise::drawn(NoiseKey::seed(1)),
            next,
            clean_stats: true,
            ..Step::in_place(&rows, SHAPE, x, prediction)
        };
        step.plan(context).unwrap()
    }

    pub fn draw(&self, context: &Context) -> Plan {
        let density = TimestepDensity::uniform(1000).unwrap();
        let (ends, key, buffer) = (density.ends(), NoiseKey::seed(1), &self.words[0]);
        let draw = TimestepDraw {
            ends,
            batch: SHAPE.batch,
            groups: 1,
            key,
            steps: 2,
            seeds: None,
            stratified: None,
            buffer,
            offset: 0,
        };
        draw.plan(context).unwrap()
    }

    fn training(&self, context: &Context) -> TrainingStep {
        let [x0, x_t, prediction, gradient] = self.tensors();
        let training = Training {
            objective: &Objective::of(Quantity::V),
            penalty: Penalty::MSE,
            shape: SHAPE,
            noise: Drawn::new(NoiseKey::seed(1)).steps(2),
            timestep_source: TimestepSource::Drawn {
                density: &TimestepDensity::uniform(1000).unwrap(),
                stratified: None,
            },
            timesteps: &self.words[0],
            groups: None,
            x0,
            x_t,
            prediction,
            gradient: Gradient::mean(gradient),
            losses: &self.words[1],
            mean: Some(&self.words[2]),
            variance: None,
        };
        TrainingStep::new(context, &Schedule::cosine(1000).unwrap(), &training).unwrap()
    }

    /// Tensors of this scene for the roles of a plan of another scene: of the same kinds, all in different buffers.
    fn roles(&self, names: [&'static str; 4], words: [&'static str; 3]) -> Vec<(&'static str, Tensor<'_>)> {
        let pairs = names.into_iter().zip(self.tensors()).chain(words.into_iter().zip(self.words()));
        pairs.filter(|(name, _)| !name.is_empty()).collect()
    }
}

/// The number of allocations of `record` in a compute pass, which is dropped with its encoder.
fn allocations(device: &wgpu::Device, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> u64 {
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    allocation_counter::measure(|| record(&mut pass)).count_total
}

/// The number of allocations of an application that records this many dispatches by hand `RECORDINGS` times, each with two
/// dynamic offsets.
fn by_hand(device: &wgpu::Device, dispatches: usize) -> u64 {
    let own: Vec<_> = (0..dispatches).map(|_| own_dispatch(device)).collect();
    allocations(device, |pass| {
        for i in 0..RECORDINGS * dispatches as u32 {
            let (pipeline, group) = &own[i as usize % dispatches];
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[256 * (i % 2), 256]);
            pass.dispatch_workgroups(1, 16, 1);
        }
    })
}

/// The pipeline and the bind group that an application would make by hand for a dispatch with two dynamic offsets.
fn own_dispatch(device: &wgpu::Device) -> (wgpu::ComputePipeline, wgpu::BindGroup) {
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(
            "@group(0) @binding(0) var<uniform> a: vec4<f32>; @group(0) @binding(1) var<uniform> b: vec4<f32>;
             @group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
             @compute @workgroup_size(64) fn main() { c[0] = a + b; }"
                .into(),
        ),
    });
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, wgpu::BufferBindingType::Uniform, true),
            entry(2, wgpu::BufferBindingType::Storage { read_only: false }, false),
        ],
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let uniform = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 1024,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: false,
    });
    let storage = buffer(device, 1024);
    let part = || {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &uniform,
            offset: 0,
            size: std::num::NonZero::new(16),
        })
    };
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: part() },
            wgpu::BindGroupEntry { binding: 1, resource: part() },
            wgpu::BindGroupEntry { binding: 2, resource: storage.as_entire_binding() },
        ],
    });
    (pipeline, group)
}

/// Maps, losses, terms of the bound, steps and draws, as planned and as moved to other tensors.
#[test]
fn recording_allocates_nothing_beyond_wgpu_itself() {
    let (device, _queue) = device(wgpu::Limits::default());
    device.on_uncaptured_error(Arc::new(|error| panic!("{error}")));
    let context = Context::new(&device);
    let [here, there] = [(); 2].map(|()| Scene::new(&device));
    let batch: fn(u32) -> Recording = Recording::timestep;
    let per_sample: fn(u32) -> Recording = |_| Recording::per_sample();
    let none = ["", "", ""];
    let kinds = [
        ("a map", here.map(&context, Timesteps::Batch), batch, ["in0", "keep", "out0", "out1"], none),
        (
            "a map",
            here.map(&context, here.timesteps()),
            per_sample,
            ["in0", "keep", "out0", "out1"],
            ["timesteps", "", ""],
        ),
        (
            "a loss",
            here.loss(&context),
            per_sample,
            ["prediction", "in0", "in1", "gradient"],
            ["timesteps", "losses", "mean"],
        ),
        (
            "a bound",
            here.vlb(&context),
            per_sample,
            ["prediction", "x0", "in1", "gradient"],
            ["timesteps", "terms", ""],
        ),
        ("a step", here.step(&context), batch, ["x", "prediction", "unconditional", "next"], none),
        ("a draw", here.draw(&context), per_sample, ["", "", "", ""], ["timesteps", "", ""]),
    ];
    for (kind, plan, at, names, words) in &kinds {
        let moved = plan.moved(&context, &there.roles(*names, *words)).unwrap();
        let wgpu = by_hand(&device, plan.dispatches());
        for plan in [plan, &moved] {
            let record =
                |pass: &mut wgpu::ComputePass<'_>| (0..RECORDINGS).for_each(|i| plan.record(pass, at(i)).unwrap());
            let ours = allocations(&device, record);
            assert!(ours <= wgpu, "{RECORDINGS} recordings of {kind}: {ours} allocations, by hand {wgpu}");
            let wasteful = allocations(&device, |pass| {
                record(pass);
                (0..RECORDINGS).for_each(|i| drop(std::hint::black_box(vec![i])));
            });
            assert!(wasteful >= ours + u64::from(RECORDINGS), "the count misses an allocation in each recording");
        }
    }
}

#[test]
fn recording_a_training_step_allocates_nothing_beyond_wgpu_itself() {
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let [here, there] = [(); 2].map(|()| Scene::new(&device));
    let step = here.training(&context);
    let roles = there.roles(["x0", "x_t", "prediction", "gradient"], ["timesteps", "losses", "mean"]);
    let moved = step.moved(&context, &roles).unwrap();
    // A draw and the noisy sample, then the loss, its fold and its mean.
    let wgpu = by_hand(&device, 5);
    for step in [&step, &moved] {
        let ours = allocations(&device, |pass| {
            for i in 0..RECORDINGS {
                step.record_before(pass, i % 2).unwrap();
                step.record_after(pass, i % 2).unwrap();
            }
        });
        assert!(ours <= wgpu, "{RECORDINGS} training steps: {ours} allocations, by hand {wgpu}");
    }
}

/// A whole loop: start, calls and end.
#[test]
fn recording_a_loop_allocates_nothing_beyond_wgpu_itself() {
    let (device, _queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let tensors = [(); 4].map(|()| buffer(&device, 4 * SHAPE.total()));
    let [x, input, prediction, unconditional] = tensors.each_ref().map(Tensor::f32);
    let run = Run {
        model: Some(RunModel::named("sd15").unwrap()),
        sampler: Some("dpmpp_sde".to_owned()),
        grid: Some(RunGrid::Scheduler(Node::named("karras"))),
        steps: Some(100),
        guidance: Some(RunGuidance::Scale(7.0)),
        ..Run::default()
    };
    let run = run.plan().unwrap();
    let mask = vec![0.5; SHAPE.total() as usize];
    for is_masked in [false, true] {
        let mask = is_masked.then_some(LoopMask::Host(&mask));
        let tensors =
            LoopTensors { unconditional: Some(unconditional), mask, ..LoopTensors::new(x, input, prediction) };
        let recorded = Loop::new(&context, &run, SHAPE, &tensors, NoiseKey::seed(1)).unwrap();
        let own = own_dispatch(&device);
        let count = |record: &dyn Fn(&mut wgpu::CommandEncoder)| {
            let mut encoder = device.create_command_encoder(&Default::default());
            allocation_counter::measure(|| record(&mut encoder)).count_total
        };
        let by_hand = count(&|encoder| {
            for _ in 0..recorded.dispatches() {
                let descriptor = wgpu::ComputePassDescriptor { label: Some("by hand"), timestamp_writes: None };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                pass.set_pipeline(&own.0);
                pass.set_bind_group(0, &own.1, &[256, 256]);
                pass.dispatch_workgroups(1, 16, 1);
            }
        });
        let ours = count(&|encoder| recorded.record(encoder, |_, _| Ok::<(), Error>(())).unwrap());
        assert!(ours <= by_hand, "masked {is_masked}: {ours} allocations, by hand {by_hand}");
    }
}

/// A key allocates no more than wgpu's own write, and many rows no more than a few.
#[test]
fn writing_keys_and_rows_allocates_little() {
    let (device, queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let scene = Scene::new(&device);
    let plan = scene.map(&context, scene.timesteps());
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 1 << 14, usage, mapped_at_creation: false };
    let own = device.create_buffer(&descriptor);
    let writes = |write: &dyn Fn()| {
        write(); // wgpu sets some things up once
        queue.submit([]);
        allocation_counter::measure(write).count_total
    };
    let wgpu = writes(&|| queue.write_buffer(&own, 0, &[0; 32]));
    let key = writes(&|| plan.set_key(&queue, 0, NoiseKey::seed(2)).unwrap());
    assert!(key <= wgpu, "a key: {key} allocations, by hand {wgpu}");
    let step = scene.training(&context);
    let key = writes(&|| step.set_key(&queue, 1, NoiseKey::seed(2)).unwrap());
    assert!(key <= wgpu, "a key that three plans share: {key} allocations, by hand {wgpu}");
    let rows = |count: usize| writes(&|| plan.set_rows(&queue, 0, &[SUM; 1000][..count]).unwrap());
    let (few, many) = (rows(20), rows(1000));
    assert_eq!(few, many, "20 rows and 1000");
}

/// Many rows of steps allocate no more than a few, whether they lie in a table or in an aligned slot each.
#[test]
fn writing_rows_of_steps_allocates_little() {
    let (device, queue) = device(wgpu::Limits::default());
    let context = Context::new(&device);
    let scene = Scene::new(&device);
    let rows = [StepRow::IDENTITY; 1000];
    let [x, prediction, ..] = scene.tensors();
    for calls in [Timesteps::Batch, scene.timesteps()] {
        let plan = Step { calls, ..Step::in_place(&rows, SHAPE, x, prediction) }.plan(&context).unwrap();
        let writes = |count: usize| {
            let write = || plan.set_rows(&queue, 0, &rows[..count]).unwrap();
            write(); // wgpu sets some things up once
            queue.submit([]);
            allocation_counter::measure(write).count_total
        };
        let (few, many) = (writes(20), writes(1000));
        assert_eq!(few, many, "{calls:?}: 20 rows and 1000");
    }
}

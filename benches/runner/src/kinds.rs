//! A plan of every kind, which can move to other tensors, and wgpu's own bind groups of the same bindings.

use crate::ops::Op;
use crate::set::{STEPS, Set};
use anyhow::Result;
use tweedie::gpu::{Context, Drawn, NoiseKey, Plan, PlanError, RecordError, Recording, TimestepDraw};
use tweedie::headless::Gpu;
use tweedie::math::{Objective, Quantity, TimestepDensity};
use tweedie::table::Penalty;
use tweedie::{Gradient, Schedule, Shape, Storage, Tensor, TimestepSource, Training, TrainingStep};

/// The batch of every plan: samples of one chunk, so that a loss is one dispatch.
pub const SHAPE: Shape = Shape::new(16, 4096);

/// The op whose set of tensors is enough for all kinds.
const LARGEST: &str = "loss_grad_v";

/// A plan or several, which can be recorded and moved.
#[derive(Debug)]
pub enum Made {
    /// A plan of one op.
    Plan(Plan),
    /// The plans of a training step.
    Training(Box<TrainingStep>),
}

/// Roles, and the tensors of a set that take them.
type Roles<'a> = Vec<(&'static str, Tensor<'a>)>;

/// A kind of plan.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the lines.
    pub name: &'static str,
    make: fn(&Schedule, &Context, &Set) -> Result<Made>,
    roles: for<'a> fn(&'a Set) -> Roles<'a>,
    /// The bindings of each dispatch.
    pub dispatches: &'static [Bindings],
}

/// The numbers of bindings of a dispatch: uniform buffers, those with a dynamic offset, storage buffers that are read, and others.
pub type Bindings = [usize; 4];

/// Every kind of plan, with 1000 rows and a timestep for each sample.
pub const KINDS: [Kind; 6] = [
    Kind {
        name: "map",
        make: |schedule, context, set| op("noise", schedule, context, set),
        roles: |it| roles(it, [("x0", it.input(0)), ("epsilon", it.input(1)), ("outputs[0]", it.output(0))]),
        dispatches: &[[2, 1, 3, 2]],
    },
    Kind {
        name: "loss",
        make: |schedule, context, set| op("loss_grad_v", schedule, context, set),
        roles: |it| {
            let named = [("prediction", it.input(0)), ("in0", it.input(1)), ("in1", it.input(2))];
            let [prediction, in0, in1] = named;
            roles(it, [prediction, in0, in1, ("gradient", it.output(0)), ("losses", Tensor::f32(&it.losses))])
        },
        dispatches: &[[2, 1, 4, 3]],
    },
    Kind {
        name: "vlb",
        make: |schedule, context, set| op("vlb_grad_eps", schedule, context, set),
        roles: |it| {
            let [prediction, learned] = [("prediction", it.input(0)), ("learned", it.input(1))];
            let [x0, in1] = [("x0", it.input(0)), ("in1", it.input(2))];
            let [gradient, terms] = [("learned_gradient", it.output(0)), ("terms", Tensor::f32(&it.losses))];
            roles(it, [prediction, learned, x0, in1, gradient, terms])
        },
        dispatches: &[[1, 1, 6, 3]],
    },
    Kind {
        name: "step",
        make: |schedule, context, set| op("ddim_v_clip", schedule, context, set),
        roles: |it| {
            let calls = ("calls", Tensor::f32(it.timestep_buffer()));
            vec![("x", it.input(0)), ("prediction", it.input(1)), ("next", it.output(0)), calls]
        },
        dispatches: &[[1, 1, 4, 2]],
    },
    Kind {
        name: "timesteps",
        make: |_, context, set| draw(context, set),
        roles: |it| roles(it, []),
        dispatches: &[[1, 1, 1, 1]],
    },
    Kind {
        name: "training_step",
        make: training,
        roles: |it| {
            let [x0, x_t] = [("x0", it.input(0)), ("x_t", it.input(2))];
            let [prediction, gradient] = [("prediction", it.input(1)), ("gradient", it.output(0))];
            roles(it, [x0, x_t, prediction, gradient, ("losses", Tensor::f32(&it.losses))])
        },
        dispatches: &[[1, 1, 1, 1], [2, 1, 2, 2], [2, 1, 3, 3]],
    },
];

/// These roles and that of the timesteps.
fn roles<'a, const N: usize>(set: &'a Set, tensors: [(&'static str, Tensor<'a>); N]) -> Roles<'a> {
    tensors.into_iter().chain([("timesteps", Tensor::f32(set.timestep_buffer()))]).collect()
}

fn op(name: &str, schedule: &Schedule, context: &Context, set: &Set) -> Result<Made> {
    let op = Op::named(name).map_err(anyhow::Error::msg)?;
    Ok(Made::Plan(op.plan(schedule, context, set)?))
}

fn draw(context: &Context, set: &Set) -> Result<Made> {
    let density = TimestepDensity::uniform(STEPS as usize)?;
    let (ends, key, buffer) = (density.ends(), NoiseKey::seed(1), set.timestep_buffer());
    let draw = TimestepDraw {
        ends,
        batch: SHAPE.batch,
        groups: 1,
        key,
        steps: 1,
        seeds: None,
        stratified: None,
        buffer,
        offset: 0,
    };
    Ok(Made::Plan(draw.plan(context)?))
}

fn training(schedule: &Schedule, context: &Context, set: &Set) -> Result<Made> {
    let training = Training {
        objective: &Objective::of(Quantity::V),
        penalty: Penalty::MSE,
        shape: SHAPE,
        noise: Drawn::new(NoiseKey::seed(1)),
        timestep_source: TimestepSource::Drawn {
            density: &TimestepDensity::uniform(schedule.len())?,
            stratified: None,
        },
        timesteps: set.timestep_buffer(),
        groups: None,
        x0: set.input(0),
        x_t: set.input(2),
        prediction: set.input(1),
        gradient: Gradient::mean(set.output(0)),
        losses: &set.losses,
        mean: None,
        variance: None,
    };
    Ok(Made::Training(Box::new(TrainingStep::new(context, schedule, &training)?)))
}

impl Kind {
    /// Makes a set of tensors for any kind.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn set(gpu: &Gpu, context: &Context, seed: u64) -> Result<Set> {
        let op = Op::named(LARGEST).map_err(anyhow::Error::msg)?;
        Set::new(gpu, context, op, SHAPE, Storage::F32, seed)
    }

    /// Makes a plan on the tensors of a set.
    ///
    /// # Errors
    /// The device is unable to run it.
    pub fn plan(&self, schedule: &Schedule, context: &Context, set: &Set) -> Result<Made> {
        (self.make)(schedule, context, set)
    }

    /// All roles, with the tensors of this set.
    pub fn roles<'a>(&self, set: &'a Set) -> Roles<'a> {
        (self.roles)(set)
    }
}

impl Made {
    /// Moves it to other tensors.
    ///
    /// # Errors
    /// As [`Plan::moved`].
    pub fn moved(&self, context: &Context, roles: &[(&str, Tensor<'_>)]) -> Result<Self, PlanError> {
        Ok(match self {
            Made::Plan(plan) => Made::Plan(plan.moved(context, roles)?),
            Made::Training(step) => Made::Training(Box::new(step.moved(context, roles)?)),
        })
    }

    /// Records it once; of a training step, the parts before and after the network.
    ///
    /// # Errors
    /// As [`Plan::record`].
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) -> Result<(), RecordError> {
        match self {
            Made::Plan(plan) => plan.record(pass, Recording::per_sample()),
            Made::Training(step) => {
                step.record_before(pass, 0)?;
                step.record_after(pass, 0)
            }
        }
    }
}

/// Makes bind groups, as an application does for a kernel of its own.
#[derive(Debug)]
pub struct ByHand {
    device: wgpu::Device,
    layout: wgpu::BindGroupLayout,
    buffers: Vec<(wgpu::Buffer, Option<std::num::NonZero<u64>>)>,
}

impl ByHand {
    /// Makes a layout of these bindings, and buffers for them.
    pub fn new(device: &wgpu::Device, [uniforms, dynamic, reads, writes]: Bindings) -> Self {
        const BYTES: u64 = 1 << 16;
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let uniform = wgpu::BufferBindingType::Uniform;
        let counts = [(uniforms, uniform, false), (dynamic, uniform, true), (reads, storage(true), false)];
        let counts = counts.into_iter().chain([(writes, storage(false), false)]);
        let types = counts.flat_map(|(count, ty, dynamic)| std::iter::repeat_n((ty, dynamic), count));
        let types: Vec<_> = types.collect();
        let entry = |(binding, &(ty, has_dynamic_offset)): (u32, &_)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
            count: None,
        };
        let entries: Vec<_> = (0..).zip(&types).map(entry).collect();
        let (label, usage) =
            (Some("tweedie-bench::by_hand"), wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let descriptor = wgpu::BufferDescriptor { label, size: BYTES, usage, mapped_at_creation: false };
        // A dynamic offset moves a window of the buffer.
        let size = |dynamic: bool| std::num::NonZero::new(32).filter(|_| dynamic);
        let buffers = types.iter().map(|(_, dynamic)| (device.create_buffer(&descriptor), size(*dynamic))).collect();
        Self { device: device.clone(), layout, buffers }
    }

    /// Makes a bind group of them.
    pub fn group(&self) -> wgpu::BindGroup {
        let bound = (0..).zip(&self.buffers).map(|(binding, (buffer, size))| {
            let resource = wgpu::BufferBinding { buffer, offset: 0, size: *size };
            wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(resource) }
        });
        let entries: Vec<_> = bound.collect();
        let (label, layout) = (Some("tweedie-bench::by_hand"), &self.layout);
        self.device.create_bind_group(&wgpu::BindGroupDescriptor { label, layout, entries: &entries })
    }
}

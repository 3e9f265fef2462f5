//! Failures of a device or of its buffers: a typed error before anything is recorded where the host can know of it, otherwise
//! wgpu's own error with the name of the object. Nothing panics, and a new device computes correctly afterwards.

use crate::Test;
use crate::harness::{Harness, harness_with_limits};
use tweedie::gpu::{Counter, Map, Noise, NoiseKey, Plan, PlanError, Recording, Shape, Tensor, TimestepDraw, Timesteps};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::table::{Matrix, Table};
use wgpu::BufferUsages;

pub const TESTS: &[Test] = &[
    ("failures::a_lost_device", a_lost_device),
    ("failures::a_device_lost_between_plan_and_submit", a_device_lost_between_plan_and_submit),
    ("failures::a_destroyed_buffer", a_destroyed_buffer),
    ("failures::a_mapped_buffer", a_mapped_buffer),
    ("failures::a_buffer_of_another_device", a_buffer_of_another_device),
    ("failures::a_buffer_that_could_not_be_made", a_buffer_that_could_not_be_made),
    ("failures::what_the_host_can_know", what_the_host_can_know),
    ("failures::a_device_with_fewer_limits", a_device_with_fewer_limits),
];

const SUM: Matrix = [[1.0, 1.0], [0.0, 0.0]];
const SHAPE: Shape = Shape::new(2, 8);

/// Another device of the harness's adapter, to be broken.
fn fresh(harness: &Harness) -> Harness {
    harness_with_limits(harness, harness.gpu.device.limits())
}

struct Buffers([wgpu::Buffer; 3]);

impl Buffers {
    fn new(harness: &Harness) -> Self {
        let [a, b] = [1f32, 2.0].map(|x| harness.gpu.upload("host::input", bytemuck::cast_slice(&[x; 16])));
        Self([a, b, harness.gpu.buffer("host::output", 64)])
    }

    fn plan(&self, harness: &Harness) -> Result<Plan, PlanError> {
        let Self([a, b, out]) = self;
        plan(harness, a, b, out)
    }
}

fn plan(harness: &Harness, a: &wgpu::Buffer, b: &wgpu::Buffer, out: &wgpu::Buffer) -> Result<Plan, PlanError> {
    let table = Table::new([SUM]);
    let (timesteps, in1) = (Timesteps::Batch, Noise::Tensor(Tensor::f32(b)));
    let (in0, out0) = (Some(Tensor::f32(a)), Tensor::f32(out));
    Map { table: &table, shape: SHAPE, timesteps, in0, in1, out0, out1: None }.plan(&harness.context)
}

/// Fails unless the device computes the sum of one and two.
fn assert_computes(harness: &Harness) {
    let buffers = Buffers::new(harness);
    harness.run(&buffers.plan(harness).expect("a plan"), Recording::timestep(0));
    let found: Vec<f32> = bytemuck::pod_collect_to_vec(&harness.read(&buffers.0[2]));
    assert_eq!(found, [3.0; 16]);
}

/// Returns wgpu's validation error from `run`, or an empty string.
fn complaint(harness: &Harness, run: impl FnOnce()) -> String {
    let scope = harness.gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    run();
    pollster::block_on(scope.pop()).map_or_else(String::new, |error| error.to_string())
}

/// Records and submits the plan, without a check for errors of the device.
fn submit(harness: &Harness, plan: &Plan) {
    let mut encoder = harness.gpu.device.create_command_encoder(&Default::default());
    plan.record(&mut encoder.begin_compute_pass(&Default::default()), Recording::timestep(0)).expect("recorded");
    harness.gpu.queue.submit([encoder.finish()]);
}

fn a_lost_device(harness: &Harness) {
    let broken = fresh(harness);
    let buffers = Buffers::new(&broken);
    broken.gpu.device.destroy();
    let error = buffers.plan(&broken).expect_err("no memory on a lost device");
    assert!(matches!(&error, PlanError::Device { buffer, .. } if buffer.starts_with("tweedie::Map::")), "{error}");
    let (ends, out) = ([1 << 32], &buffers.0[2]);
    let draw = TimestepDraw {
        ends: &ends,
        batch: 4,
        groups: 1,
        key: NoiseKey::seed(1),
        steps: 1,
        seeds: None,
        stratified: None,
        buffer: out,
        offset: 0,
    };
    let drawn = draw.plan(&broken.context).map(drop);
    assert!(matches!(drawn, Err(PlanError::Device { .. })), "{drawn:?}");
    let counter = Counter::new(&broken.context, out, 0, 4).map(drop);
    assert!(matches!(counter, Err(PlanError::Device { .. })), "{counter:?}");
    let submitted = broken.gpu.submit(|_| ());
    assert!(matches!(&submitted, Err(HeadlessError::Device(said)) if said.contains("lost")), "{submitted:?}");
    assert_computes(&fresh(harness));
}

fn a_device_lost_between_plan_and_submit(harness: &Harness) {
    for early in [true, false] {
        let broken = fresh(harness);
        let buffers = Buffers::new(&broken);
        let plan = buffers.plan(&broken).expect("a plan");
        let mut encoder = broken.gpu.device.create_command_encoder(&Default::default());
        if early {
            broken.gpu.device.destroy();
        }
        plan.encode(&mut encoder, Recording::timestep(0)).expect("the host cannot know");
        let commands = encoder.finish();
        broken.gpu.device.destroy();
        broken.gpu.queue.submit([commands]);
        let waited = broken.gpu.wait();
        assert!(matches!(&waited, Err(HeadlessError::Device(said)) if said.contains("lost")), "{waited:?}");
        let read = pollster::block_on(broken.gpu.download(&buffers.0[2], 0..64));
        assert!(read.is_err(), "nothing comes back from a lost device");
    }
    assert_computes(&fresh(harness));
}

fn a_destroyed_buffer(harness: &Harness) {
    let broken = fresh(harness);
    let buffers = Buffers::new(&broken);
    let before = buffers.plan(&broken).expect("a plan");
    buffers.0[1].destroy();
    let said = complaint(&broken, || submit(&broken, &before));
    assert!(said.contains("host::input") && said.contains("destroyed"), "{said}");
    let said = complaint(&broken, || submit(&broken, &buffers.plan(&broken).expect("the host cannot know")));
    assert!(said.contains("host::input") && said.contains("destroyed"), "{said}");
    assert_computes(&broken);
}

fn a_mapped_buffer(harness: &Harness) {
    let broken = fresh(harness);
    let Buffers([a, b, _]) = Buffers::new(&broken);
    let mapped = broken.gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("host::mapped"),
        size: 64,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let plan = plan(&broken, &a, &b, &mapped).expect("it may be unmapped before it is used");
    let said = complaint(&broken, || submit(&broken, &plan));
    assert!(said.contains("host::mapped") && said.contains("mapped"), "{said}");
    mapped.unmap();
    assert_eq!(complaint(&broken, || submit(&broken, &plan)), "");
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&broken.read(&mapped)), [3.0; 16]);
}

fn a_buffer_of_another_device(harness: &Harness) {
    // Both devices are of one instance, since wgpu does not accept objects of another instance.
    let adapters = pollster::block_on(tweedie::headless::Gpu::adapters());
    let adapter =
        adapters.iter().find(|adapter| adapter.get_info() == harness.gpu.info).expect("the harness's adapter");
    let open = || Harness::of(pollster::block_on(Gpu::with_limits(adapter, adapter.limits())).expect("a device"));
    let [one, other] = [open(), open()];
    let (Buffers([a, b, _]), Buffers([_, _, out])) = (Buffers::new(&one), Buffers::new(&other));
    let said = complaint(&one, || drop(plan(&one, &a, &b, &out)));
    assert!(said.contains("tweedie::Map::group") && said.contains("host::output"), "{said}");
    assert_computes(&one);
    assert_computes(&other);
}

/// A buffer larger than any may be: its creation is the host's own error, and wgpu reports each later use of the handle.
fn a_buffer_that_could_not_be_made(harness: &Harness) {
    let broken = fresh(harness);
    let Buffers([a, b, _]) = Buffers::new(&broken);
    let mut huge = None;
    let said = complaint(&broken, || huge = Some(broken.gpu.buffer("host::huge", 1 << 50)));
    assert!(said.contains("host::huge"), "{said}");
    let huge = huge.expect("a handle");
    let said = complaint(&broken, || drop(plan(&broken, &a, &b, &huge)));
    assert!(said.contains("tweedie::Map::group") && said.contains("host::huge"), "{said}");
    assert_computes(&broken);
}

fn what_the_host_can_know(harness: &Harness) {
    let Buffers([a, b, out]) = Buffers::new(harness);
    let with = |out0: Tensor<'_>| {
        let table = Table::new([SUM]);
        let (timesteps, in1) = (Timesteps::Batch, Noise::Tensor(Tensor::f32(&b)));
        let in0 = Some(Tensor::f32(&a));
        let map = Map { table: &table, shape: SHAPE, timesteps, in0, in1, out0, out1: None };
        map.plan(&harness.context).map(drop).expect_err("a plan")
    };
    let unusable = harness.gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 64,
        usage: BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let short = harness.gpu.buffer("short", 60);
    let (tensor, expected) = ("out0", 64);
    assert_eq!(with(Tensor::f32(&short)), PlanError::BufferTooSmall { tensor, expected, found: 60 });
    assert!(matches!(with(Tensor::f32(&out).at(2)), PlanError::Offset { tensor: "out0", expected: 4, found: 2, .. }));
    assert!(matches!(with(Tensor::f32(&out).at(u64::MAX - 3)), PlanError::BufferTooSmall { found: 64, .. }));
    assert!(matches!(with(Tensor::f32(&unusable)), PlanError::BufferUsage { tensor: "out0", .. }));
    let counter = Counter::new(&harness.context, &out, 0, 17).map(drop);
    assert!(matches!(counter, Err(PlanError::BufferTooSmall { tensor: "counter", .. })), "{counter:?}");
    assert_computes(harness);
}

fn a_device_with_fewer_limits(harness: &Harness) {
    // A limit above the adapter's: no device, and an error that names the limit.
    let adapters = pollster::block_on(tweedie::headless::Gpu::adapters());
    let adapter =
        adapters.iter().find(|adapter| adapter.get_info() == harness.gpu.info).expect("the harness's adapter");
    let absurd = wgpu::Limits { max_storage_buffers_per_shader_stage: u32::MAX, ..adapter.limits() };
    let refused = pollster::block_on(Gpu::with_limits(adapter, absurd)).map(drop).expect_err("a device");
    assert!(
        matches!(&refused, HeadlessError::NoDevice { reason, .. } if reason.contains("max_storage_buffers")),
        "{refused}"
    );
    // A limit below WebGPU's default: an error that names the limit.
    let small = wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..adapter.limits() };
    let small = harness_with_limits(harness, small);
    let error = Buffers::new(&small).plan(&small).expect_err("a plan");
    let limit = "max_compute_invocations_per_workgroup";
    assert_eq!(error, PlanError::DeviceLimit { what: "workgroup", limit, allowed: 128, found: 256 });
    let none =
        harness_with_limits(harness, wgpu::Limits { max_storage_buffers_per_shader_stage: 2, ..adapter.limits() });
    let error = Buffers::new(&none).plan(&none).expect_err("a plan");
    assert!(matches!(error, PlanError::Bindings { op: "Map", allowed: 2, found: 3, .. }), "{error}");
    assert_computes(&fresh(harness));
}

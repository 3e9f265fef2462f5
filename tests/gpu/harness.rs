//! The test harness: a device, and a general case of a map that is run and checked element by element, gaps included.

use crate::stage::{Layout, Placed, Stage};
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{
    Context, Drawn, Map, Noise, NoiseKey, Plan, PlanError, Recording, Shape, Step, Storage, Tensor, Timesteps,
};
use tweedie::headless::{Gpu, HeadlessError};
use tweedie::table::{Matrix, StepRow, Table};

pub struct Harness {
    pub gpu: Gpu,
    pub context: Context,
}

impl Harness {
    pub async fn open() -> Result<Self, HeadlessError> {
        let which = std::env::var("TWEEDIE_ADAPTER").ok();
        let gpu = Gpu::open(which.as_deref()).await?;
        match limits() {
            None => Ok(Self::of(gpu)),
            Some(limits) => Ok(Self::of(again(&gpu, limits).await)),
        }
    }

    pub fn of(gpu: Gpu) -> Self {
        let context = Context::new(&gpu.device);
        Self { gpu, context }
    }

    /// Returns `true` if the device allows a shader fewer storage buffers than WebGPU's default limits do.
    pub fn is_narrow(&self) -> bool {
        self.gpu.device.limits().max_storage_buffers_per_shader_stage < crate::USUAL_BUFFERS
    }

    pub fn read(&self, buffer: &wgpu::Buffer) -> Vec<u8> {
        pollster::block_on(self.gpu.download(buffer, 0..buffer.size())).expect("readback")
    }

    /// Creates the pipeline of a kernel that a test supplies.
    pub fn pipeline(&self, source: &str, entry: &str) -> wgpu::ComputePipeline {
        let device = &self.gpu.device;
        let source = wgpu::ShaderSource::Wgsl(source.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some(entry),
            compilation_options: Default::default(),
            cache: None,
        })
    }

    #[track_caller]
    pub fn run(&self, plan: &Plan, at: Recording) {
        self.gpu.submit(|encoder| plan.encode(encoder, at)).expect("device").expect("recording");
    }
}

/// A step in place of f32 tensors, without noise.
pub fn step<'a>(rows: &'a [StepRow], shape: Shape, x: &'a wgpu::Buffer, prediction: &'a wgpu::Buffer) -> Step<'a> {
    Step::in_place(rows, shape, Tensor::f32(x), Tensor::f32(prediction))
}

/// An expected number times a factor.
pub fn multiplied(exact: &Expected, factor: f64) -> Expected {
    Expected { value: exact.value * factor, magnitude: exact.magnitude * factor }
}

/// The limits that `TWEEDIE_LIMITS` asks for: `default`, which every WebGPU device has, or `downlevel`, wgpu's
/// `downlevel_defaults`. `None` if it is not set, for the adapter's own.
fn limits() -> Option<wgpu::Limits> {
    match std::env::var("TWEEDIE_LIMITS").as_deref() {
        Ok("default") => Some(wgpu::Limits::default()),
        Ok("downlevel") => Some(wgpu::Limits::downlevel_defaults()),
        Ok(other) => panic!("TWEEDIE_LIMITS: expected default or downlevel, found {other}"),
        Err(_) => None,
    }
}

/// Another device of the same adapter, with these limits.
async fn again(gpu: &Gpu, limits: wgpu::Limits) -> Gpu {
    Gpu::with_limits(&adapter_of(gpu).await, limits).await.expect("a device")
}

async fn adapter_of(gpu: &Gpu) -> wgpu::Adapter {
    let same = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        info.name == gpu.info.name && info.backend == gpu.info.backend
    };
    tweedie::headless::Gpu::adapters().await.into_iter().find(same).expect("the adapter of the harness")
}

/// A harness on the same adapter with these limits.
pub fn harness_with_limits(harness: &Harness, limits: wgpu::Limits) -> Harness {
    Harness::of(pollster::block_on(again(&harness.gpu, limits)))
}

/// A harness on the same adapter that binds at most this many bytes of a buffer.
pub fn harness_with_binding_limit(harness: &Harness, bytes: u64) -> Harness {
    harness_with_limits(harness, wgpu::Limits { max_storage_buffer_binding_size: bytes, ..harness.gpu.device.limits() })
}

/// A harness on the same adapter without any optional feature.
pub fn harness_without_features(harness: &Harness) -> Harness {
    pollster::block_on(async {
        let adapter = adapter_of(&harness.gpu).await;
        let limits = harness.gpu.device.limits();
        Harness::of(Gpu::with_features(&adapter, wgpu::Features::empty(), limits).await.expect("a device"))
    })
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InPlace {
    No,
    /// out0 replaces in0.
    First,
    /// out0 replaces in0 and out1 replaces in1.
    Both,
}

/// A map over random data with a random table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub shape: Shape,
    pub in0: Layout,
    pub in1: Layout,
    pub out0: Layout,
    pub out1: Option<Layout>,
    pub drawn: bool,
    pub keep: Option<Layout>,
    pub per_sample: bool,
    pub rows: u32,
    pub in_place: InPlace,
    /// All tensors in one buffer, as some frameworks' allocators do.
    pub shared: bool,
    /// One in0 that all samples share.
    pub broadcast: bool,
}

impl Case {
    pub fn plain(shape: Shape, storage: Storage) -> Self {
        let layout = Layout::plain(storage);
        Self {
            shape,
            in0: layout,
            in1: layout,
            out0: layout,
            out1: Some(layout),
            drawn: false,
            keep: None,
            per_sample: true,
            rows: 10,
            in_place: InPlace::No,
            shared: false,
            broadcast: false,
        }
    }
}

/// A small deterministic generator for test data. Its values do not matter, only that they are reproducible.
pub struct TestRng(pub u64);

impl TestRng {
    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, n: u32) -> u32 {
        self.word() % n
    }

    /// Draws a number in [-2, 2]. The largest words round up to the end.
    pub fn float(&mut self) -> f32 {
        self.word() as f32 / 2f32.powi(29) - 2.0
    }
}

/// Lays tensors out, runs the map on the GPU, and compares each output element with the f64 reference. Fails if a byte outside
/// the outputs changed; whether the comparison passes is for the caller to assert.
pub fn check(harness: &Harness, case: &Case, seed: u64) -> Result<Comparison, PlanError> {
    check_with(harness, case, seed, |table| table)
}

/// The same with a table that is changed for the GPU only, to see the comparison fail.
pub fn check_with(
    harness: &Harness,
    case: &Case,
    seed: u64,
    tamper: impl Fn(Table) -> Table,
) -> Result<Comparison, PlanError> {
    let mut rng = TestRng(seed);
    let shape = case.shape;
    let rows: Vec<Matrix> =
        (0..case.rows).map(|_| [[0; 2], [0; 2]].map(|r| r.map(|_| f64::from(rng.float())))).collect();
    let table = Table::new(rows);

    let mut stage = Stage::new(shape, case.shared);
    let in0 = stage.place(case.in0, case.broadcast);
    let in1 = (!case.drawn).then(|| stage.place(case.in1, false));
    let out0 = if case.in_place == InPlace::No { stage.place(case.out0, false) } else { in0 };
    let out1 = case.out1.map(|layout| match in1 {
        Some(in1) if case.in_place == InPlace::Both => in1,
        _ => stage.place(layout, false),
    });
    let keep = case.keep.filter(|_| case.drawn).map(|layout| stage.place(layout, false));
    [Some(in0), in1].into_iter().flatten().for_each(|placed| stage.fill(placed, || rng.float()));
    let timesteps: Vec<u32> = (0..shape.batch).map(|_| rng.below(case.rows)).collect();
    let timesteps = if case.per_sample { timesteps } else { vec![timesteps[0]; shape.batch as usize] };

    let buffers = stage.upload(harness);
    let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(&timesteps));
    let tensor = |p: Placed| Stage::tensor(&buffers, p);
    let key = NoiseKey { seed, stream: 3, first_sample: 0xffff_fff0 };
    let map = Map {
        table: &tamper(table.clone()),
        shape,
        timesteps: if case.per_sample { Timesteps::per_sample(&times) } else { Timesteps::Batch },
        in0: Some(tensor(in0)),
        in1: match in1 {
            Some(in1) => Noise::Tensor(tensor(in1)),
            None => Noise::Drawn(Drawn { keep: keep.map(tensor), ..Drawn::new(key).steps(2) }),
        },
        out0: tensor(out0),
        out1: out1.map(tensor),
    };
    let plan = map.plan(&harness.context)?;
    let at = Recording { timestep: (!case.per_sample).then_some(timesteps[0]), step: u32::from(case.drawn) };
    harness.run(&plan, at);
    if let Some(status) = plan.status() {
        assert_eq!(bytemuck::cast_slice::<u8, u32>(&harness.read(status))[0], 0, "every timestep is in range");
    }

    let noise = key.stream(4).reference(shape.batch as usize, shape.elements as usize);
    let second = in1.map_or_else(|| noise.clone(), |in1| stage.values(in1));
    let expected = Map::reference(&table, &timesteps, shape.elements as usize, &stage.values(in0), &second);

    let after: Vec<Vec<u8>> = buffers.iter().map(|buffer| harness.read(buffer)).collect();
    let largest = if case.drawn { 2.0 } else { 0.0 };
    let mut total = Comparison::new(out0.layout.storage);
    let [first, second] = expected;
    let kept: Vec<Expected> = noise.iter().map(|&z| Expected { value: z, magnitude: z.abs() }).collect();
    let outputs = [(Some(out0), first), (out1, second), (keep, kept)];
    for (placed, exact) in outputs.iter().filter_map(|(placed, exact)| Some(((*placed)?, exact))) {
        let mut comparison = Comparison::new(placed.layout.storage).with_noise(largest);
        let got: Vec<f32> = stage.values_in(&after, placed).iter().map(|&x| x as f32).collect();
        comparison.add_all(&got, exact);
        total.merge(&comparison);
    }
    let written: Vec<Placed> = outputs.iter().filter_map(|(placed, _)| *placed).collect();
    stage.assert_untouched(&after, &written, case);
    Ok(total)
}

//! First uses: what a warm-up compiles, threads that compile at the same time, and pipeline caches.

use crate::harness::Harness;
use tweedie::gpu::{Context, Drawn, Gradient, Loss, Map, Noise, NoiseKey, Plan, Recording, Shape, Tensor, Timesteps};
use tweedie::table::{LossRow, Matrix, Penalty, Table};

pub const TESTS: &[crate::Test] = &[
    ("first_use::a_warm_up_compiles_what_its_plans_need", a_warm_up_compiles_what_its_plans_need),
    ("first_use::a_plan_is_recorded_before_its_warm_up_is_done", a_plan_is_recorded_before_its_warm_up_is_done),
    ("first_use::threads_compile_each_pipeline_once", threads_compile_each_pipeline_once),
    (WITH_CACHE, a_pipeline_cache_is_filled_and_read),
];

/// The test that asks for a device with pipeline caches.
pub const WITH_CACHE: &str = "first_use::a_pipeline_cache_is_filled_and_read";

/// Samples of more than one chunk, so that a loss has a second pass with a kernel of its own.
const SHAPE: Shape = Shape::new(2, 5000);
/// Drivers whose pipeline caches stay empty, at least until the first dispatch, which is when these drivers compile.
const KEEP_NOTHING: [&str; 2] = ["llvmpipe", "swiftshader"];
const ROW: Matrix = [[0.75, 0.5], [0.0, 0.0]];

struct Scene {
    x: wgpu::Buffer,
    out: wgpu::Buffer,
    losses: wgpu::Buffer,
}

impl Scene {
    fn new(harness: &Harness) -> Self {
        let numbers: Vec<f32> = (0..SHAPE.total()).map(|i| (i % 97) as f32 / 31.0).collect();
        let x = harness.gpu.upload("x", bytemuck::cast_slice(&numbers));
        let [out, losses] = [4 * SHAPE.total(), 8].map(|bytes| harness.gpu.buffer("out", bytes));
        Self { x, out, losses }
    }

    /// A map that adds drawn noise to `x`.
    fn map(&self, context: &Context) -> Plan {
        let map = Map {
            table: &Table::new([ROW]),
            shape: SHAPE,
            timesteps: Timesteps::Batch,
            in0: Some(Tensor::f32(&self.x)),
            in1: Noise::Drawn(Drawn::new(NoiseKey::seed(3))),
            out0: Tensor::f32(&self.out),
            out1: None,
        };
        map.plan(context).expect("a map")
    }

    /// The loss of `x` against noise, and its gradient.
    fn loss(&self, context: &Context) -> Plan {
        let loss = Loss {
            table: &Table::new([LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 }]),
            penalty: Penalty::MSE,
            shape: SHAPE,
            timesteps: Timesteps::Batch,
            prediction: Tensor::f32(&self.x),
            in0: None,
            in1: Noise::Drawn(Drawn::new(NoiseKey::seed(3))),
            losses: (&self.losses, 0),
            mean: None,
            gradient: Some(Gradient::sum(Tensor::f32(&self.out))),
        };
        loss.plan(context).expect("a loss")
    }

    fn results(&self, harness: &Harness, plans: [&Plan; 2]) -> [Vec<u8>; 3] {
        let [map, loss] = plans.map(|plan| {
            harness.run(plan, Recording::timestep(0));
            harness.read(&self.out)
        });
        [map, loss, harness.read(&self.losses)]
    }
}

fn a_warm_up_compiles_what_its_plans_need(harness: &Harness) {
    let (context, scene) = (Context::new(&harness.gpu.device), Scene::new(harness));
    let ([map, loss, _], warm_up) = context.warm_up(|context| {
        // Two plans of a kind share one pipeline.
        let plans = [scene.map(context), scene.loss(context), scene.map(context)];
        assert_eq!(context.compiled_pipelines(), 0, "a plan of a warm-up compiles nothing");
        plans
    });
    let pipelines = warm_up.pipelines();
    assert_eq!(pipelines, 3, "a map, a loss and the fold of its chunks");
    assert_eq!(warm_up.wait(), Ok(()));
    assert_eq!(context.compiled_pipelines(), pipelines);
    let later = [scene.map(&context), scene.loss(&context)];
    assert_eq!(context.compiled_pipelines(), pipelines, "later plans find their pipelines compiled");
    let warm = scene.results(harness, [&map, &loss]);
    assert!(warm == scene.results(harness, later.each_ref()));
    let cold = Context::new(&harness.gpu.device);
    assert!(warm == scene.results(harness, [&scene.map(&cold), &scene.loss(&cold)]));

    let (_, nothing) = context.warm_up(|context| scene.map(context));
    assert!(nothing.is_done(), "nothing is left to compile");
    assert_eq!((nothing.pipelines(), nothing.compiled()), (0, 0));
}

fn a_plan_is_recorded_before_its_warm_up_is_done(harness: &Harness) {
    let (context, scene) = (Context::new(&harness.gpu.device), Scene::new(harness));
    let (plans, warm_up) = context.warm_up(|context| [scene.map(context), scene.loss(context)]);
    let early = scene.results(harness, plans.each_ref());
    assert_eq!(warm_up.wait(), Ok(()));
    assert!(early == scene.results(harness, plans.each_ref()));
    assert!(early[2].iter().any(|&byte| byte != 0), "the loss must write something");
}

fn threads_compile_each_pipeline_once(harness: &Harness) {
    const THREADS: usize = 8;
    let (context, scene) = (Context::new(&harness.gpu.device), Scene::new(harness));
    std::thread::scope(|scope| {
        for i in 0..THREADS {
            let (context, scene) = (&context, &scene);
            scope.spawn(move || if i % 2 == 0 { scene.map(context) } else { scene.loss(context) });
        }
    });
    harness.gpu.check().expect("no error");
    assert_eq!(context.compiled_pipelines(), 3);
}

/// Creates an empty cache, or one that holds this data.
fn cache(harness: &Harness, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("cache"), data, fallback: false };
    #[expect(unsafe_code, reason = "wgpu trusts the data, which came from a cache of this device")]
    // SAFETY: the data comes from `get_data` of a cache of the same device.
    unsafe {
        harness.gpu.device.create_pipeline_cache(&descriptor)
    }
}

fn a_pipeline_cache_is_filled_and_read(harness: &Harness) {
    let (device, scene) = (&harness.gpu.device, Scene::new(harness));
    let empty = cache(harness, None);
    let stored = |cache: &wgpu::PipelineCache| cache.get_data().map_or(0, |data| data.len());
    let before = stored(&empty);
    let without = scene.map(&Context::new(device));
    assert_eq!(stored(&empty), before, "nothing has used it yet");
    let with = scene.map(&Context::with_cache(device, Some(&empty)));
    let data = empty.get_data().expect("data");
    let driver = harness.gpu.info.driver.to_lowercase();
    let keeps = !KEEP_NOTHING.iter().any(|name| driver.contains(name));
    if keeps {
        assert!(data.len() > before, "expected more than {before} bytes of a cache in use");
    } else {
        println!("{driver} has pipeline caches and keeps nothing in them: their growth is not checked");
    }
    let filled = cache(harness, Some(&data));
    let again = scene.map(&Context::with_cache(device, Some(&filled)));
    harness.gpu.check().expect("a cache of this device's own data is no error");
    assert!(!keeps || stored(&filled) == data.len(), "it held all that was needed");
    let [first, second, third] = [&without, &with, &again].map(|plan| {
        harness.run(plan, Recording::timestep(0));
        harness.read(&scene.out)
    });
    assert!(first == second && second == third);
}

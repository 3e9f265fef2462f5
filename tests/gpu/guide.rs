//! Guidance on the GPU against its f64 reference.

use crate::harness::Harness;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{Guide, GuideFinish, PlanError, Recording, Shape, Storage, Tensor, Timesteps};
use tweedie::math::Guider;
use tweedie::math::guidance::{Finish, GuidanceLoop, GuiderCall, Over, Predictions};
use tweedie::table::GuideRow;

pub const TESTS: &[crate::Test] = &[
    ("guide::every_guider_size_and_storage", every_guider_size_and_storage),
    ("guide::a_wrong_weight_fails", a_wrong_weight_fails),
    ("guide::momentum_of_a_run", momentum_of_a_run),
    ("guide::every_sample_at_its_own_call", every_sample_at_its_own_call),
    ("guide::bit_identical_in_every_run_and_batch", bit_identical_in_every_run_and_batch),
    ("guide::what_a_row_does_not_read_may_hold_anything", what_a_row_does_not_read_may_hold_anything),
    ("guide::other_rows_and_other_tensors", other_rows_and_other_tensors),
    ("guide::what_is_missing_is_named", what_is_missing_is_named),
    ("guide::mixtures_are_finished_along_every_axis", mixtures_are_finished_along_every_axis),
    ("guide::a_finish_that_does_not_fit_is_refused", a_finish_that_does_not_fit_is_refused),
];

/// The roundings of f32 in a result, relative to the sum of its predictions' magnitudes times the largest weight. They include those
/// of the sums from which weights follow.
const ROUNDINGS: f64 = 8.0;

/// The predictions of a batch, rounded to their storage, and close to each other, as a network's are.
fn predictions(shape: Shape, storage: Storage, seed: u64) -> [Vec<f64>; 4] {
    let total = shape.total() as usize;
    let normals = |stream: u32| tweedie::NoiseKey::normals(seed, stream, 0, total);
    let common = normals(0);
    [1, 2, 3, 4].map(|stream| {
        let own = normals(stream);
        common.iter().zip(own).map(|(c, z)| storage.round(0.1 + c + 0.4 * z)).collect()
    })
}

struct Scene<'a> {
    harness: &'a Harness,
    shape: Shape,
    storage: Storage,
    buffers: [wgpu::Buffer; 4],
    momentum: wgpu::Buffer,
    guided: wgpu::Buffer,
}

impl<'a> Scene<'a> {
    fn new(harness: &'a Harness, shape: Shape, storage: Storage, values: &[Vec<f64>; 4]) -> Self {
        let upload = |values: &Vec<f64>| harness.gpu.upload("prediction", &encoded(storage, values));
        // NaN shows if anything is read before it is written.
        let nans = vec![f64::NAN; shape.total() as usize];
        Self {
            harness,
            shape,
            storage,
            buffers: [0, 1, 2, 3].map(|i| upload(&values[i])),
            momentum: upload(&nans),
            guided: upload(&nans),
        }
    }

    fn refill(&self, values: &[Vec<f64>; 4]) {
        for (buffer, values) in self.buffers.iter().zip(values) {
            self.harness.gpu.queue.write_buffer(buffer, 0, &encoded(self.storage, values));
        }
    }

    fn tensor(&self, i: usize) -> Tensor<'_> {
        Tensor::new(&self.buffers[i], self.storage)
    }

    fn guide<'b>(&'b self, rows: &'b [GuideRow]) -> Guide<'b> {
        Guide {
            unconditional: Some(self.tensor(1)),
            third: Some(self.tensor(2)),
            fourth: Some(self.tensor(3)),
            guided: Tensor::new(&self.guided, self.storage),
            ..Guide::in_place(rows, self.shape, self.tensor(0))
        }
    }

    fn read(&self, buffer: &wgpu::Buffer) -> Vec<f32> {
        let mut values = self.storage.decode(&self.harness.read(buffer));
        values.truncate(self.shape.total() as usize);
        values
    }
}

fn encoded(storage: Storage, values: &[f64]) -> Vec<u8> {
    storage.encode(&values.iter().map(|&x| x as f32).collect::<Vec<_>>())
}

/// The reference's result, with the magnitude that errors are relative to.
fn expected(guidance: &mut GuidanceLoop, call: &GuiderCall, values: &[Vec<f64>; 4], scale: f64) -> Vec<Expected> {
    let [conditional, unconditional, third, fourth] = values.each_ref().map(Vec::as_slice);
    let predictions = Predictions { conditional, unconditional, third, fourth };
    let guided = guidance.call(call, predictions).expect("predictions that fit");
    let most = ROUNDINGS * (1.0 + scale.abs());
    let magnitude = |i: usize| most * values.iter().map(|values| values[i].abs()).sum::<f64>();
    guided.iter().enumerate().map(|(i, &value)| Expected { value, magnitude: magnitude(i) }).collect()
}

fn shape_of(shape: Shape) -> [usize; 2] {
    [shape.batch as usize, shape.elements as usize]
}

/// The guiders that a row alone describes, each with a call outside of a run.
fn guiders() -> Vec<(&'static str, Guider, GuiderCall)> {
    let built = Guider::CATALOGUE.entries.iter().map(|entry| {
        let scale = entry.parameter("guidance_scale").map(|_| ("guidance_scale", 4.0));
        let rescaled = entry.parameter("guidance_rescale").map(|_| ("guidance_rescale", 0.7));
        let short = entry.parameter("adaptive_projected_guidance_rescale");
        let short = short.map(|_| ("adaptive_projected_guidance_rescale", 2.0));
        let eta = entry.parameter("eta").map(|_| ("eta", 0.3));
        let third = entry.parameter("stg_scale").map(|_| ("stg_scale", 1.5));
        let given: Vec<(&str, f64)> = [scale, rescaled, short, eta, third].into_iter().flatten().collect();
        let guider = entry.build(&given).expect("a guider");
        let call = guider.alone(None).expect("a call");
        (entry.name, guider, call)
    });
    built.filter(|(_, _, call)| call.finish.is_none() && call.over != Over::Batch).collect()
}

fn compare(
    harness: &Harness,
    shape: Shape,
    storage: Storage,
    of: &GuiderCall,
    other: &GuiderCall,
    in_place: bool,
) -> Comparison {
    let values = predictions(shape, storage, 5);
    let scene = Scene::new(harness, shape, storage, &values);
    let rows = [GuideRow::CONDITIONAL, other.row];
    let guide = scene.guide(&rows);
    let guide = if in_place { Guide { guided: guide.conditional, ..guide } } else { guide };
    let plan = guide.plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::call(1));
    let found = scene.read(if in_place { &scene.buffers[0] } else { &scene.guided });
    let mut guidance = GuidanceLoop::new(&shape_of(shape)).expect("a shape");
    let mut comparison = Comparison::new(storage);
    comparison.add_all(&found, &expected(&mut guidance, of, &values, 4.0));
    comparison
}

fn every_guider_size_and_storage(harness: &Harness) {
    let shapes = [(3, 7), (5, 64), (2, 5001), (9, 2), (4, 1024)].map(|(batch, elements)| Shape::new(batch, elements));
    for (name, _, call) in guiders() {
        for (i, storage) in Storage::ALL.into_iter().enumerate() {
            for (k, &shape) in shapes.iter().enumerate() {
                // The deviation of two elements may be as small as their own roundings, and a factor is divided by it.
                let rescale = if shape.elements == 2 { 0.0 } else { call.row.rescale };
                let call = GuiderCall { row: GuideRow { rescale, ..call.row }, ..call };
                let comparison = compare(harness, shape, storage, &call, &call, (i + k) % 2 == 0);
                assert!(comparison.passes(), "{name} {shape:?}: {comparison}");
            }
        }
    }
}

fn a_wrong_weight_fails(harness: &Harness) {
    let shape = Shape::new(3, 60);
    for (name, guider, call) in guiders() {
        let wrong = Guider { scale: guider.scale * 1.001, ..guider }.alone(None).expect("a call");
        let comparison = compare(harness, shape, Storage::F32, &call, &wrong, false);
        assert!(!comparison.passes(), "{name}: {comparison}");
    }
}

/// A run of adaptive projected guidance: linear first, then projected, with the momentum of the earlier calls.
fn run() -> Vec<GuiderCall> {
    let options = [("adaptive_projected_guidance_start_step", 1.0), ("guidance_rescale", 0.5), ("stop", 0.8)];
    let guider = Guider::CATALOGUE.find("apg-mix").expect("a name").build(&options).expect("a guider");
    guider.calls(6).expect("calls").collect()
}

fn momentum_of_a_run(harness: &Harness) {
    let shape = Shape::new(3, 130);
    let calls = run();
    let rows: Vec<GuideRow> = calls.iter().map(|call| call.row).collect();
    let values = |k: usize| predictions(shape, Storage::F32, 20 + k as u64);
    let scene = Scene::new(harness, shape, Storage::F32, &values(0));
    let momentum = Some(Tensor::f32(&scene.momentum));
    let plan = Guide { momentum, ..scene.guide(&rows) }.plan(&harness.context).expect("plan");
    let mut guidance = GuidanceLoop::new(&shape_of(shape)).expect("a shape");
    let [mut comparison, mut of_momentum] = [Comparison::new(Storage::F32); 2];
    for (k, call) in calls.iter().enumerate() {
        scene.refill(&values(k));
        harness.run(&plan, Recording::call(k as u32));
        comparison.add_all(&scene.read(&scene.guided), &expected(&mut guidance, call, &values(k), 10.0));
        let exact = guidance.momentum().iter().map(|&value| Expected { value, magnitude: ROUNDINGS });
        of_momentum.add_all(&scene.read(&scene.momentum), &exact.collect::<Vec<_>>());
    }
    assert!(comparison.passes() && of_momentum.passes(), "{comparison}; momentum: {of_momentum}");
}

fn every_sample_at_its_own_call(harness: &Harness) {
    let shape = Shape::new(4, 33);
    let all: Vec<GuiderCall> = guiders().into_iter().map(|(_, _, call)| call).collect();
    let rows: Vec<GuideRow> = all.iter().map(|call| call.row).collect();
    let values = predictions(shape, Storage::F32, 9);
    let scene = Scene::new(harness, shape, Storage::F32, &values);
    for first in 0..all.len() {
        let at: Vec<u32> = (0..4).map(|i| ((first + 5 * i) % all.len()) as u32).collect();
        let calls = harness.gpu.upload("calls", bytemuck::cast_slice(&at));
        let guide = Guide { calls: Timesteps::per_sample(&calls), ..scene.guide(&rows) };
        harness.run(&guide.plan(&harness.context).expect("plan"), Recording::per_sample());
        let found = scene.read(&scene.guided);
        for (sample, found) in found.chunks(33).enumerate() {
            let own = values.each_ref().map(|values| values[33 * sample..33 * (sample + 1)].to_vec());
            let mut guidance = GuidanceLoop::new(&[1, 33]).expect("a shape");
            let mut comparison = Comparison::new(Storage::F32);
            comparison.add_all(found, &expected(&mut guidance, &all[at[sample] as usize], &own, 4.0));
            assert!(comparison.passes(), "call {}: {comparison}", at[sample]);
        }
    }
}

fn bit_identical_in_every_run_and_batch(harness: &Harness) {
    for elements in [35, 4100] {
        let shape = Shape::new(5, elements);
        let values = predictions(shape, Storage::F32, 11);
        let part = |i: usize| i * elements as usize..(i + 1) * elements as usize;
        for (name, _, call) in guiders() {
            let rows = [call.row];
            let bits = |shape: Shape, values: &[Vec<f64>; 4]| -> Vec<u32> {
                let scene = Scene::new(harness, shape, Storage::F32, values);
                harness.run(&scene.guide(&rows).plan(&harness.context).expect("plan"), Recording::call(0));
                scene.read(&scene.guided).iter().map(|x| x.to_bits()).collect()
            };
            let together = bits(shape, &values);
            for i in [0, 3] {
                let alone = bits(Shape::new(1, elements), &values.each_ref().map(|values| values[part(i)].to_vec()));
                assert!(together[part(i)] == alone[..], "{name}: sample {i} of {elements} elements");
            }
        }
    }
}

fn what_a_row_does_not_read_may_hold_anything(harness: &Harness) {
    let shape = Shape::new(2, 20);
    for (name, _, call) in guiders() {
        let mut values = predictions(shape, Storage::F32, 3);
        let kept = values.clone();
        for (values, reads) in values[1..].iter_mut().zip(call.row.reads()) {
            if !reads {
                values.fill(f64::NAN);
            }
        }
        let scene = Scene::new(harness, shape, Storage::F32, &values);
        let rows = [call.row];
        harness.run(&scene.guide(&rows).plan(&harness.context).expect("plan"), Recording::call(0));
        let mut comparison = Comparison::new(Storage::F32);
        let mut guidance = GuidanceLoop::new(&shape_of(shape)).expect("a shape");
        comparison.add_all(&scene.read(&scene.guided), &expected(&mut guidance, &call, &kept, 4.0));
        assert!(comparison.passes(), "{name}: {comparison}");
    }
}

fn other_rows_and_other_tensors(harness: &Harness) {
    let shape = Shape::new(2, 48);
    let values = predictions(shape, Storage::F32, 7);
    let (scene, other) = (
        Scene::new(harness, shape, Storage::F32, &values),
        Scene::new(harness, shape, Storage::F32, &predictions(shape, Storage::F32, 8)),
    );
    let all = guiders();
    let rows = [all[3].2.row];
    let plan = scene.guide(&rows).plan(&harness.context).expect("plan");
    let moved = plan.moved(
        &harness.context,
        &[
            ("conditional", other.tensor(0)),
            ("unconditional", other.tensor(1)),
            ("third", other.tensor(2)),
            ("fourth", other.tensor(3)),
            ("guided", Tensor::f32(&other.guided)),
        ],
    );
    harness.run(&moved.expect("a plan"), Recording::call(0));
    let fresh = Scene::new(harness, shape, Storage::F32, &predictions(shape, Storage::F32, 8));
    harness.run(&fresh.guide(&rows).plan(&harness.context).expect("plan"), Recording::call(0));
    assert_eq!(other.read(&other.guided), fresh.read(&fresh.guided));
    for (name, _, call) in &all {
        plan.set_rows(&harness.gpu.queue, 0, &[call.row]).expect("rows");
        harness.run(&plan, Recording::call(0));
        let mut comparison = Comparison::new(Storage::F32);
        let mut guidance = GuidanceLoop::new(&shape_of(shape)).expect("a shape");
        comparison.add_all(&scene.read(&scene.guided), &expected(&mut guidance, call, &values, 4.0));
        assert!(comparison.passes(), "{name}: {comparison}");
    }
}

fn what_is_missing_is_named(harness: &Harness) {
    let shape = Shape::new(2, 8);
    let scene = Scene::new(harness, shape, Storage::F32, &predictions(shape, Storage::F32, 1));
    let calls = run();
    let rows: Vec<GuideRow> = calls.iter().map(|call| call.row).collect();
    let refused = |guide: Guide<'_>| guide.plan(&harness.context).map(drop).unwrap_err();
    assert_eq!(refused(scene.guide(&rows)), PlanError::Missing { what: "momentum", row: 1 });
    let alone = Guide { unconditional: None, ..scene.guide(&rows) };
    assert_eq!(refused(alone), PlanError::Missing { what: "unconditional", row: 0 });
    let linear = [GuideRow::CONDITIONAL];
    let plan = scene.guide(&linear).plan(&harness.context).expect("plan");
    let error = plan.set_rows(&harness.gpu.queue, 0, &[GuideRow { momentum: 0.0, ..rows[3] }]).unwrap_err();
    assert_eq!(error, PlanError::FirstRows { row: 0, what: "has weights that follow from sums" });
}

/// Finishes of a mixture, along axes that are short, long, the last one and in between.
fn finishes() -> Vec<(&'static [usize], Finish)> {
    let norm = |axis, strength, clamped| Finish::Norm { axis, strength, clamped };
    let mahiro = |over_batch| Finish::Mahiro { scale: 3.0, over_batch };
    vec![
        (&[2, 4, 9, 5], norm(1, 1.0, true)),
        (&[2, 4, 9, 5], norm(-1, 0.75, false)),
        (&[3, 700, 16], norm(-1, 1.0, false)),
        (&[1, 3, 2, 8, 8], norm(2, 1.25, true)),
        (&[2, 4, 9, 5], mahiro(false)),
        (&[3, 16, 70, 70], mahiro(true)),
        (&[3, 16, 70, 70], mahiro(false)),
        (&[5, 1], mahiro(false)),
    ]
}

/// Mixes in one plan and finishes in another, as a loop does, and compares with the reference. The finish that the GPU does may be
/// another one than the reference expects.
fn finished(harness: &Harness, dims: &[usize], [expects, does]: [Finish; 2]) -> Comparison {
    let shape = Shape::new(dims[0] as u32, dims[1..].iter().product::<usize>() as u32);
    let values = predictions(shape, Storage::F32, 13);
    let scene = Scene::new(harness, shape, Storage::F32, &values);
    let call = Guider::linear(3.0).alone(None).expect("a call");
    let call = GuiderCall { finish: Some(expects), ..call };
    let rows = [call.row];
    let guide = Guide { third: None, fourth: None, ..scene.guide(&rows) };
    harness.run(&guide.plan(&harness.context).expect("a plan"), Recording::call(0));
    let request = GuideFinish {
        finish: does,
        dims,
        guided: (&scene.guided, 0),
        conditional: (&scene.buffers[0], 0),
        unconditional: Some((&scene.buffers[1], 0)),
    };
    harness.run(&request.plan(&harness.context).expect("a plan"), Recording::per_sample());
    let mut guidance = GuidanceLoop::new(dims).expect("a shape");
    let mut comparison = Comparison::new(Storage::F32);
    comparison.add_all(&scene.read(&scene.guided), &expected(&mut guidance, &call, &values, 3.0));
    comparison
}

fn mixtures_are_finished_along_every_axis(harness: &Harness) {
    for (dims, finish) in finishes() {
        let comparison = finished(harness, dims, [finish; 2]);
        assert!(comparison.passes(), "{dims:?} {finish:?}: {comparison}");
        let wrong = match finish {
            Finish::Norm { axis, strength, clamped } => Finish::Norm { axis, strength: 1.001 * strength, clamped },
            Finish::Mahiro { scale, over_batch } => Finish::Mahiro { scale: 1.001 * scale, over_batch },
            Finish::Pyramid(_) => panic!("pyramids have a test of their own"),
        };
        let comparison = finished(harness, dims, [finish, wrong]);
        assert!(!comparison.passes(), "{dims:?} {wrong:?}: {comparison}");
    }
    // The similarity within a sample is not that of the batch.
    let of = |over_batch| Finish::Mahiro { scale: 3.0, over_batch };
    assert!(!finished(harness, &[2, 4, 9], [of(true), of(false)]).passes());
}

fn a_finish_that_does_not_fit_is_refused(harness: &Harness) {
    let [guided, other, short] = [160, 160, 80].map(|bytes| harness.gpu.buffer("prediction", bytes));
    let norm = Finish::Norm { axis: 1, strength: 1.0, clamped: false };
    let request = GuideFinish {
        finish: norm,
        dims: &[2, 4, 5],
        guided: (&guided, 0),
        conditional: (&other, 0),
        unconditional: None,
    };
    let refused = |request: GuideFinish<'_>| request.plan(&harness.context).map(drop).expect_err("a refusal");
    let (what, expected) = ("norm_axis", "an axis of the dimensions other than the batch");
    for axis in [0i64, 3, -3, -4] {
        let finish = Finish::Norm { axis, strength: 1.0, clamped: false };
        let found = axis as f64;
        assert_eq!(refused(GuideFinish { finish, ..request }), PlanError::Rule { what, expected, found });
    }
    let mahiro = Finish::Mahiro { scale: 2.0, over_batch: false };
    assert_eq!(
        refused(GuideFinish { finish: mahiro, ..request }),
        PlanError::Missing { what: "unconditional", row: 0 }
    );
    let shared = refused(GuideFinish { conditional: (&guided, 0), ..request });
    assert_eq!(shared, PlanError::Overlap { output: "guided", other: "conditional" });
    let small = refused(GuideFinish { conditional: (&short, 0), ..request });
    assert_eq!(small, PlanError::BufferTooSmall { tensor: "conditional", expected: 160, found: 80 });
    let empty = PlanError::Rule { what: "dims", expected: "all at least 1", found: 0.0 };
    assert_eq!(refused(GuideFinish { dims: &[2, 0], ..request }), empty);
    let none =
        PlanError::Rule { what: "the number of dims", expected: "at least 2: [batch, channels, ...]", found: 0.0 };
    assert_eq!(refused(GuideFinish { dims: &[], ..request }), none);
    let beyond = refused(GuideFinish { dims: &[2, usize::MAX], ..request });
    assert!(matches!(beyond, PlanError::DeviceLimit { .. }), "{beyond}");
}

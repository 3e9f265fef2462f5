//! The embedding contract: what recording does and does not do, and each error with the recovery after it.

use crate::Test;
use crate::harness::Harness;
use crate::support::largest;
use tweedie::gpu::{
    Context, Drawn, Map, Noise, NoiseKey, Plan, PlanError, RecordError, Recording, Shape, Step, Storage, Tensor,
    Timesteps,
};
use tweedie::table::{Matrix, StepRow, Table};

pub const TESTS: &[Test] = &[
    ("contract::a_timestep_out_of_range_is_nan_and_counted", a_timestep_out_of_range_is_nan_and_counted),
    ("contract::a_plan_of_two_dispatches_counts_once", a_plan_of_two_dispatches_counts_once),
    ("contract::holes_are_nan_per_sample_and_an_error_per_batch", holes_are_nan_per_sample_and_an_error_per_batch),
    ("contract::recording_submits_nothing", recording_submits_nothing),
    ("contract::pipelines_are_shared", pipelines_are_shared),
    ("contract::a_loop_recorded_ahead", a_loop_recorded_ahead),
    ("contract::plan_errors_name_what_was_found", plan_errors_name_what_was_found),
    ("contract::record_errors_record_nothing", record_errors_record_nothing),
    ("contract::halves_round_and_overflow_as_they_should", halves_round_and_overflow_as_they_should),
];

const SUM: Matrix = [[1.0, 1.0], [1.0, -1.0]];

struct Pair {
    a: wgpu::Buffer,
    b: wgpu::Buffer,
    out: wgpu::Buffer,
}

fn pair(harness: &Harness, a: &[f32], b: &[f32]) -> Pair {
    Pair {
        a: harness.gpu.upload("a", bytemuck::cast_slice(a)),
        b: harness.gpu.upload("b", bytemuck::cast_slice(b)),
        out: harness.gpu.buffer("out", 4 * a.len() as u64),
    }
}

impl Pair {
    fn map<'a>(&'a self, table: &'a Table, shape: Shape, timesteps: Timesteps<'a>) -> Map<'a> {
        Map {
            table,
            shape,
            timesteps,
            in0: Some(Tensor::f32(&self.a)),
            in1: Noise::Tensor(Tensor::f32(&self.b)),
            out0: Tensor::f32(&self.out),
            out1: None,
        }
    }
}

fn floats(harness: &Harness, buffer: &wgpu::Buffer) -> Vec<f32> {
    Storage::F32.decode(&harness.read(buffer))
}

fn count(harness: &Harness, plan: &Plan) -> u32 {
    bytemuck::pod_read_unaligned(&harness.read(plan.status().expect("timesteps from a buffer"))[..4])
}

fn a_timestep_out_of_range_is_nan_and_counted(harness: &Harness) {
    for elements in [4, 5, 1024] {
        let total = 6 * elements;
        let p = pair(harness, &vec![1.0; total], &vec![2.0; total]);
        let times = harness.gpu.upload("t", bytemuck::cast_slice(&[0u32, 3, 2, u32::MAX, 1, 1 << 31]));
        let table = Table::new([SUM; 3]);
        let shape = Shape::new(6, elements as u32);
        let plan = p.map(&table, shape, Timesteps::per_sample(&times)).plan(&harness.context).expect("plan");
        harness.run(&plan, Recording::per_sample());
        for (sample, values) in floats(harness, &p.out).chunks(elements).enumerate() {
            if [1, 3, 5].contains(&sample) {
                assert!(values.iter().all(|x| x.is_nan()), "sample {sample} of {elements}: {values:?}");
            } else {
                assert!(values.iter().all(|&x| x == 3.0), "sample {sample} of {elements}: {values:?}");
            }
        }
        assert_eq!(count(harness, &plan), 3, "one count for each sample, whatever its number of elements");
        harness.run(&plan, Recording::per_sample());
        assert_eq!(count(harness, &plan), 6, "the count goes on until it is cleared");
        harness.gpu.submit(|encoder| encoder.clear_buffer(plan.status().expect("status"), 0, None)).expect("device");
        assert_eq!(count(harness, &plan), 0);
    }
}

/// Two 16-bit outputs in different halves of a word take two dispatches, and still count a sample once.
fn a_plan_of_two_dispatches_counts_once(harness: &Harness) {
    let p = pair(harness, &[1.0; 6], &[2.0; 6]);
    let times = harness.gpu.upload("t", bytemuck::cast_slice(&[0u32, 9]));
    let [first, second] = [harness.gpu.buffer("first", 16), harness.gpu.buffer("second", 16)];
    let table = Table::new([SUM]);
    let map = Map {
        out0: Tensor::new(&first, Storage::Bf16),
        out1: Some(Tensor::new(&second, Storage::Bf16).at(2)),
        ..p.map(&table, Shape::new(2, 3), Timesteps::per_sample(&times))
    };
    let plan = map.plan(&harness.context).expect("plan");
    let gathers = harness.gpu.device.limits().max_storage_buffers_per_shader_stage < 5;
    assert_eq!(plan.dispatches(), 2 + usize::from(gathers));
    harness.run(&plan, Recording::per_sample());
    assert_eq!(count(harness, &plan), 1);
}

fn holes_are_nan_per_sample_and_an_error_per_batch(harness: &Harness) {
    let table = Table::with_undefined([Some(SUM), None]);
    let shape = Shape::new(2, 3);
    let p = pair(harness, &[1.0; 6], &[2.0; 6]);
    let times = harness.gpu.upload("t", bytemuck::cast_slice(&[0u32, 1]));
    let plan = p.map(&table, shape, Timesteps::per_sample(&times)).plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::per_sample());
    let found = floats(harness, &p.out);
    assert!(found[..3] == [3.0; 3] && found[3..].iter().all(|x| x.is_nan()), "{found:?}");
    assert_eq!(count(harness, &plan), 1);
    for storage in [Storage::F16, Storage::Bf16] {
        let out = harness.gpu.buffer("halves", 12);
        let map = Map { out0: Tensor::new(&out, storage), ..p.map(&table, shape, Timesteps::per_sample(&times)) };
        harness.run(&map.plan(&harness.context).expect("plan"), Recording::per_sample());
        let found = storage.decode(&harness.read(&out));
        assert!(found[..3] == [3.0; 3] && found[3..].iter().all(|x| x.is_nan()), "{storage}: {found:?}");
    }
    let plan = p.map(&table, shape, Timesteps::Batch).plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::timestep(0));
    assert_eq!(floats(harness, &p.out), [3.0; 6]);
    let error = harness.gpu.submit(|encoder| plan.encode(encoder, Recording::timestep(1))).expect("device");
    assert_eq!(error, Err(RecordError::Undefined { found: 1 }));
}

/// A recording that is thrown away writes nothing, and its plan works afterwards.
fn recording_submits_nothing(harness: &Harness) {
    let p = pair(harness, &[1.0; 8], &[2.0; 8]);
    let table = Table::new([SUM]);
    let plan = p.map(&table, Shape::new(2, 4), Timesteps::Batch).plan(&harness.context).expect("plan");
    let mut encoder = harness.gpu.device.create_command_encoder(&Default::default());
    for _ in 0..100 {
        plan.encode(&mut encoder, Recording::timestep(0)).expect("recording");
    }
    drop(encoder);
    harness.gpu.wait().expect("device");
    assert_eq!(floats(harness, &p.out), [0.0; 8]);
    harness.run(&plan, Recording::timestep(0));
    assert_eq!(floats(harness, &p.out), [3.0; 8]);
}

fn pipelines_are_shared(harness: &Harness) {
    let context = Context::new(&harness.gpu.device);
    let p = pair(harness, &[1.0; 8], &[2.0; 8]);
    for rows in [1, 5, 1000] {
        let table = Table::new(vec![SUM; rows]);
        p.map(&table, Shape::new(2, 4), Timesteps::Batch).plan(&context.clone()).expect("plan");
    }
    assert_eq!(context.compiled_pipelines(), 1);
}

/// Many steps in one pass, in place, each with its own row and noise: what a sampling loop does.
fn a_loop_recorded_ahead(harness: &Harness) {
    const STEPS: u32 = 20;
    let rows: Vec<Matrix> = (0..STEPS).map(|t| [[0.9, 0.1 + 0.01 * f64::from(t)], [0.0; 2]]).collect();
    let table = Table::new(rows.clone());
    let shape = Shape::new(3, 8);
    let state = harness.gpu.upload("state", bytemuck::cast_slice(&[1f32; 24]));
    let key = NoiseKey::seed(5);
    let map = Map {
        table: &table,
        shape,
        timesteps: Timesteps::Batch,
        in0: Some(Tensor::f32(&state)),
        in1: Noise::Drawn(Drawn::new(key).steps(STEPS)),
        out0: Tensor::f32(&state),
        out1: None,
    };
    let plan = map.plan(&harness.context).expect("plan");
    harness
        .gpu
        .submit(|encoder| {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for t in (0..STEPS).rev() {
                plan.record(&mut pass, Recording::timestep(t).step(STEPS - 1 - t)).expect("recording");
            }
        })
        .expect("device");
    let mut expected = vec![1f64; 24];
    for t in (0..STEPS).rev() {
        let noise = key.stream(STEPS - 1 - t).reference(3, 8);
        let [[a, b], _] = rows[t as usize];
        expected.iter_mut().zip(noise).for_each(|(x, z)| *x = a * *x + b * z);
    }
    // Each of the 20 steps adds its own rounding, and up to 2e-6 * 0.3 of error in the normals.
    let worst = largest(floats(harness, &state).iter().zip(&expected).map(|(x, e)| (f64::from(*x) - e).abs()));
    assert!(worst < 1e-5, "{worst}");
    assert!(floats(harness, &state).iter().any(|&x| x != 1.0));
}

fn plan_errors_name_what_was_found(harness: &Harness) {
    let p = pair(harness, &[1.0; 8], &[2.0; 8]);
    let table = Table::new([SUM]);
    let good = p.map(&table, Shape::new(2, 4), Timesteps::Batch);
    let fails = |map: Map<'_>| map.plan(&harness.context).expect_err("a plan that cannot be made");
    assert_eq!(fails(Map { shape: Shape::new(0, 4), ..good }), PlanError::EmptyShape { batch: 0, elements: 4 });
    assert_eq!(fails(Map { shape: Shape::new(4, 0), ..good }), PlanError::EmptyShape { batch: 4, elements: 0 });
    assert_eq!(fails(Map { table: &Table::new([]), ..good }), PlanError::EmptyTable);
    assert_eq!(
        fails(Map { shape: Shape::new(3, 4), ..good }),
        PlanError::BufferTooSmall { tensor: "in0", expected: 48, found: 32 }
    );
    assert_eq!(
        fails(Map { shape: Shape::new(u32::MAX, u32::MAX), ..good }),
        PlanError::BufferTooSmall { tensor: "in0", expected: u64::MAX, found: 32 }
    );
    assert_eq!(
        fails(Map { out0: good.out0.at(2), ..good }),
        PlanError::Offset { tensor: "out0", storage: Storage::F32, expected: 4, found: 2 }
    );
    assert!(matches!(fails(Map { out0: good.out0.at(u64::MAX - 3), ..good }), PlanError::BufferTooSmall { .. }));
    assert_eq!(
        fails(Map { out0: good.out0.stride(3), ..good }),
        PlanError::Stride { tensor: "out0", expected: 4, found: 3 }
    );
    assert!(matches!(fails(Map { out0: good.out0.stride(0), ..good }), PlanError::Stride { .. }));
    let small = Shape::new(1, 4);
    let shifted = Tensor::f32(&p.a).at(4);
    assert_eq!(fails(Map { shape: small, out0: shifted, ..good }), PlanError::Overlap { output: "out0", other: "in0" });
    assert_eq!(fails(Map { out1: Some(good.out0), ..good }), PlanError::Overlap { output: "out0", other: "out1" });
    let unusable = harness.gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 32,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let error = fails(Map { out0: Tensor::f32(&unusable), ..good });
    assert_eq!(error, PlanError::BufferUsage { tensor: "out0", found: "BufferUsages(COPY_DST)".into() });
    let per_sample = Timesteps::PerSample { buffer: &p.b, offset: 28 };
    assert!(matches!(
        fails(Map { timesteps: per_sample, ..good }),
        PlanError::BufferTooSmall { tensor: "timesteps", .. }
    ));
    let per_sample = Timesteps::per_sample(&p.out);
    assert_eq!(fails(Map { timesteps: per_sample, ..good }), PlanError::Overlap { output: "out0", other: "timesteps" });
    let huge = Table::new([[[1e39, 0.0], [0.0, 0.0]]]);
    assert!(matches!(fails(Map { table: &huge, ..good }), PlanError::Table(_)));
    let drawn = Noise::Drawn(Drawn::new(NoiseKey::seed(0)).steps(0));
    assert_eq!(fails(Map { in1: drawn, ..good }), PlanError::Steps { most: 65_536, found: 0 });
    let drawn = Noise::Drawn(Drawn::new(NoiseKey::seed(0)).steps(u32::MAX));
    assert_eq!(fails(Map { in1: drawn, ..good }), PlanError::Steps { most: 65_536, found: u32::MAX });

    // After all that, the device and the context are as good as before.
    let plan = good.plan(&harness.context).expect("plan");
    harness.run(&plan, Recording::timestep(0));
    assert_eq!(floats(harness, &p.out), [3.0; 8]);
}

fn record_errors_record_nothing(harness: &Harness) {
    let p = pair(harness, &[1.0; 8], &[2.0; 8]);
    let table = Table::new([SUM; 2]);
    let times = harness.gpu.upload("t", bytemuck::cast_slice(&[0u32, 1]));
    let batch = p.map(&table, Shape::new(2, 4), Timesteps::Batch).plan(&harness.context).expect("plan");
    let each = p.map(&table, Shape::new(2, 4), Timesteps::per_sample(&times)).plan(&harness.context).expect("plan");
    let fails = |plan: &Plan, at| {
        harness
            .gpu
            .submit(|encoder| plan.encode(encoder, at))
            .expect("device")
            .expect_err("a recording that cannot be made")
    };
    assert_eq!(fails(&batch, Recording::per_sample()), RecordError::TimestepMissing { rows: 2 });
    assert_eq!(fails(&batch, Recording::timestep(2)), RecordError::Timestep { rows: 2, found: 2 });
    assert_eq!(fails(&batch, Recording::timestep(0).step(1)), RecordError::Step { steps: 1, found: 1 });
    assert_eq!(fails(&each, Recording::timestep(0)), RecordError::TimestepUnused { found: 0 });
    let [x, prediction] = [&p.a, &p.b].map(Tensor::f32);
    let steps = Step::in_place(&[StepRow::IDENTITY; 2], Shape::new(2, 4), x, prediction);
    let steps = steps.plan(&harness.context).expect("plan");
    assert_eq!(fails(&steps, Recording::per_sample()), RecordError::CallMissing { calls: 2 });
    assert_eq!(fails(&steps, Recording::call(2)), RecordError::Call { calls: 2, found: 2 });
    assert_eq!(batch.set_key(&harness.gpu.queue, 0, NoiseKey::seed(1)), Err(RecordError::NoNoise));
    assert_eq!(floats(harness, &p.out), [0.0; 8]);
    harness.run(&each, Recording::per_sample());
    assert_eq!(floats(harness, &p.out), [3.0; 8]);
}

/// Numbers of a 16-bit storage (bits 0 to 0x7bff, of both signs), the ties between neighbours and the numbers next to the ties, and
/// special numbers: the bits are those of rounding to nearest even on the host.
fn halves_round_and_overflow_as_they_should(harness: &Harness) {
    for storage in [Storage::F16, Storage::Bf16] {
        let mut values =
            vec![f32::INFINITY, f32::NAN, 70_000.0, 65_519.0, 65_520.0, 65_519.996, 3.4e38, 6e-8, 2.98e-8, 2.99e-8];
        for bits in 0..0x7c00_u16 {
            let [here, next] = [bits, bits + 1].map(|bits| storage.decode(&[bits.to_le_bytes(), [0; 2]].concat())[0]);
            let tie = ((f64::from(here) + f64::from(next)) / 2.0) as f32;
            values.extend([here, tie.next_down(), tie, tie.next_up()]);
        }
        values.extend(values.clone().into_iter().map(|value| -value));
        // Devices may flush subnormal numbers of f32 to 0, and -0 plus 0 is 0.
        values.retain(|value| value.is_normal() || !value.is_finite());
        values.resize(values.len().next_multiple_of(4 * 4099), 0.0);
        let total = values.len() as u32;
        let p = pair(harness, &values, &vec![0.0; values.len()]);
        let table = Table::new([[[1.0, 0.0], [0.0, 0.0]]]);
        // Whole lanes, lanes without gaps, words.
        for elements in [total, 4099, 3] {
            let batch = total / elements;
            let out = harness.gpu.buffer("halves", 2 * u64::from(total));
            let map = Map {
                out0: Tensor::new(&out, storage),
                ..p.map(&table, Shape::new(batch, elements), Timesteps::Batch)
            };
            harness.run(&map.plan(&harness.context).expect("plan"), Recording::timestep(0));
            let found = harness.read(&out);
            let expected = storage.encode(&values);
            let halves =
                |bytes: &[u8]| bytes.chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect();
            let [found, expected]: [Vec<u16>; 2] = [halves(&found), halves(&expected)];
            for ((found, expected), value) in found.into_iter().zip(expected).zip(&values) {
                let both_nan = value.is_nan() && storage.decode(&[found.to_le_bytes(), [0; 2]].concat())[0].is_nan();
                assert!(
                    found == expected || both_nan,
                    "{storage}: {value:e} became {found:#x}, expected {expected:#x}"
                );
            }
        }
    }
}

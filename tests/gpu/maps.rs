//! The map kernels against their f64 twin: shapes, storages, layouts, windows, and what must not pass.

use crate::Test;
use crate::harness::{
    Case, Harness, InPlace, TestRng, check, check_with, harness_with_binding_limit, harness_without_features,
};
use crate::stage::Layout;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tweedie::gpu::{Map, Noise, PlanError, Recording, Shape, Storage, Tensor, Timesteps};
use tweedie::table::Table;

pub const TESTS: &[Test] = &[
    ("maps::plain_shapes_and_storages", plain_shapes_and_storages),
    ("maps::gapless_samples_of_every_small_size", gapless_samples_of_every_small_size),
    ("maps::any_layout", any_layout),
    ("maps::a_wrong_coefficient_fails", a_wrong_coefficient_fails),
    ("maps::long_tables", long_tables),
    ("maps::a_million_samples", a_million_samples),
    ("maps::windows_of_a_small_binding_limit", windows_of_a_small_binding_limit),
    ("maps::buffers_beyond_one_binding", buffers_beyond_one_binding),
    ("maps::more_workgroups_than_a_dimension", more_workgroups_than_a_dimension),
    ("maps::in_place_with_odd_halves", in_place_with_odd_halves),
];

const SHAPES: [(u32, u32); 12] = [
    (1, 1),
    (1, 4),
    (5, 7),
    (3, 63),
    (129, 2),
    (4, 64),
    (1000, 4),
    (2, 4096),
    (1, 4099),
    (3, 1027),
    (70_000, 1),
    (70_000, 4),
];

fn assert_passes(harness: &Harness, case: &Case, seed: u64) {
    let comparison = check(harness, case, seed).unwrap_or_else(|error| panic!("{error}: {case:?}"));
    assert!(comparison.passes(), "{comparison}: {case:?}");
}

fn plain_shapes_and_storages(harness: &Harness) {
    for (i, (batch, elements)) in SHAPES.into_iter().enumerate() {
        for storage in Storage::ALL {
            let case = Case::plain(Shape::new(batch, elements), storage);
            for per_sample in [true, false] {
                for drawn in [false, true] {
                    if batch == 70_000 && (drawn || !per_sample) {
                        continue; // what these add is covered by the smaller shapes
                    }
                    let keep = drawn.then_some(case.in0);
                    assert_passes(harness, &Case { per_sample, drawn, keep, ..case }, i as u64);
                }
            }
        }
    }
}

/// Samples without gaps are walked as one run of lanes, and two samples share a lane wherever their size is not a multiple of 4.
/// With 64-bit integers, lanes may be loaded in another way.
fn gapless_samples_of_every_small_size(harness: &Harness) {
    let without = harness_without_features(harness);
    for elements in 1..=13 {
        for (batch, storage) in [(1, Storage::F32), (4, Storage::Bf16), (5, Storage::F32), (36, Storage::F16)] {
            let case = Case::plain(Shape::new(batch, elements), storage);
            for (drawn, in_place) in [(false, InPlace::Both), (false, InPlace::No), (true, InPlace::First)] {
                let case = Case { drawn, keep: drawn.then_some(case.in0), in_place, ..case };
                assert_passes(harness, &case, u64::from(elements));
                assert_passes(&without, &case, u64::from(elements));
            }
        }
    }
}

/// How many random layouts are tried; each makes a plan, and many compile a shader.
const LAYOUTS: u32 = 120;

fn any_layout(harness: &Harness) {
    let storage = prop::sample::select(&Storage::ALL[..]);
    let layout = (storage, 0..9u32, prop_oneof![Just(0), Just(4), 1..8u32]);
    let layout = layout.prop_map(|(storage, before, gap)| Layout { storage, before, gap });
    let elements = prop_oneof![1..20u32, prop::sample::select(vec![63u32, 64, 255, 256, 1024])];
    let in_place = prop::sample::select(vec![InPlace::No, InPlace::No, InPlace::First, InPlace::Both]);
    let shape = (1..40u32, elements).prop_map(|(batch, elements)| Shape::new(batch, elements));
    let layouts = (layout.clone(), layout.clone(), layout.clone(), prop::option::of(layout.clone()), layout);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let case = (shape, layouts, flags, in_place, 1..20u32, any::<u32>());
    let mut runner = TestRunner::new(Config { cases: LAYOUTS, failure_persistence: None, ..Config::default() });
    let result = runner.run(&case, |(shape, layouts, flags, in_place, rows, seed)| {
        let (in0, in1, out0, out1, keep) = layouts;
        let (drawn, keeps, per_sample, shared, broadcast) = flags;
        let case = Case {
            shape,
            in0,
            in1,
            out0,
            out1,
            drawn,
            keep: keeps.then_some(keep),
            per_sample,
            rows,
            in_place,
            shared,
            broadcast: broadcast && in_place == InPlace::No,
        };
        match check(harness, &case, u64::from(seed)) {
            Ok(comparison) => prop_assert!(comparison.passes(), "{comparison}: {case:?}"),
            // Two outputs in place that own different halves of words are refused, which has a test of its own below.
            Err(PlanError::Halves { .. }) => prop_assume!(false),
            Err(error) => prop_assert!(false, "{error}: {case:?}"),
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// The comparison is worth something only if it notices each wrong coefficient.
fn a_wrong_coefficient_fails(harness: &Harness) {
    for storage in Storage::ALL {
        for (drawn, elements) in [(false, 64), (false, 63), (true, 64), (true, 63)] {
            let case = Case { rows: 3, drawn, ..Case::plain(Shape::new(40, elements), storage) };
            for (row, i, j) in [(0, 0, 0), (1, 0, 1), (2, 1, 0), (0, 1, 1)] {
                // Drawn normals have an absolute allowance of their own, 2e-6 of the coefficient.
                let factor = 1.0 + 40.0 * storage.unit_roundoff() + if drawn { 3e-5 } else { 0.0 };
                let comparison = check_with(harness, &case, 5, |table| {
                    let mut rows: Vec<_> = table.rows().iter().map(|row| row.expect("no holes")).collect();
                    rows[row][i][j] *= factor;
                    Table::new(rows)
                })
                .expect("plan");
                assert!(!comparison.passes(), "{storage}: row {row}, coefficient {i}{j} was not noticed: {comparison}");
            }
            assert_passes(harness, &case, 5);
        }
    }
}

/// 1024 rows fill the smallest uniform binding, 4096 the default one; longer tables go to a storage buffer.
fn long_tables(harness: &Harness) {
    for rows in [1024, 1025, 4096, 4097, 10_000] {
        for per_sample in [true, false] {
            assert_passes(harness, &Case { rows, per_sample, ..Case::plain(Shape::new(300, 8), Storage::F32) }, 1);
        }
    }
}

/// More samples than a dimension of a dispatch may have workgroups.
fn a_million_samples(harness: &Harness) {
    let case = Case::plain(Shape::new(1 << 20, 2), Storage::F32);
    assert_passes(harness, &Case { out1: None, ..case }, 2);
    assert_passes(harness, &Case { out1: None, ..Case::plain(Shape::new(1 << 20, 1), Storage::Bf16) }, 2);
}

fn windows_of_a_small_binding_limit(harness: &Harness) {
    let small = harness_with_binding_limit(harness, 16 << 10);
    let mut rng = TestRng(3);
    for storage in Storage::ALL {
        for (batch, elements) in [(100, 64), (100, 63), (4000, 3), (3, 9001), (2, 16384), (5, 10_003)] {
            for drawn in [false, true] {
                for shared in [false, true] {
                    let case = Case::plain(Shape::new(batch, elements), storage);
                    let odd = Layout { before: rng.below(5), gap: rng.below(5), ..case.in1 };
                    assert_passes(&small, &Case { drawn, keep: drawn.then_some(odd), shared, in1: odd, ..case }, 4);
                    assert_passes(&small, &Case { drawn, in_place: InPlace::First, ..case }, 4);
                }
            }
        }
    }
    let case = Case { rows: 2000, ..Case::plain(Shape::new(100, 64), Storage::F32) };
    assert_passes(&small, &case, 4);
}

/// A tensor of 160 MiB, most of it gaps, on a device that binds the default 128 MiB.
fn buffers_beyond_one_binding(harness: &Harness) {
    let default = harness_with_binding_limit(harness, wgpu::Limits::default().max_storage_buffer_binding_size);
    for elements in [1024, 1023] {
        let case = Case::plain(Shape::new(10, elements), Storage::F32);
        let wide = Layout { gap: (4 << 20) - elements, ..case.in0 };
        let case = Case { in0: wide, out1: None, in_place: InPlace::First, ..case };
        assert_passes(&default, &case, 6);
    }
}

/// More samples of one workgroup each than a dimension may have workgroups: the third dimension is used too.
fn more_workgroups_than_a_dimension(harness: &Harness) {
    let (rows, elements) = (4, 516);
    let table = Table::new((0..rows).map(|row| [[f64::from(row), 1.0], [0.0, 0.0]]));
    let run = |timesteps: &[u32]| {
        let shape = Shape::new(timesteps.len() as u32, elements);
        let one: Vec<f32> = (0..elements).map(|i| i as f32 / 64.0).collect();
        let input = harness.gpu.upload("input", bytemuck::cast_slice(&one));
        let times = harness.gpu.upload("timesteps", bytemuck::cast_slice(timesteps));
        let out = harness.gpu.buffer("out", shape.total() * Storage::Bf16.bytes());
        let map = Map {
            table: &table,
            shape,
            timesteps: Timesteps::per_sample(&times),
            in0: Some(Tensor::f32(&input).stride(0)),
            in1: Noise::Tensor(Tensor::f32(&input).stride(0)),
            out0: Tensor::new(&out, Storage::Bf16),
            out1: None,
        };
        harness.run(&map.plan(&harness.context).expect("plan"), Recording::per_sample());
        harness.read(&out)
    };
    let each: Vec<u32> = (0..rows).collect();
    let expected: Vec<Vec<u8>> = run(&each).chunks(elements as usize * 2).map(<[u8]>::to_vec).collect();
    assert_ne!(expected[1], expected[2]);
    let many: Vec<u32> = (0..70_000u32).map(|i| i * 7 % rows).collect();
    for (sample, (found, t)) in run(&many).chunks(elements as usize * 2).zip(&many).enumerate() {
        assert!(found == expected[*t as usize], "sample {sample}");
    }
}

/// Two 16-bit outputs that begin in different halves of a word go one after the other; only where both replace an input
/// can neither go first.
fn in_place_with_odd_halves(harness: &Harness) {
    let layout = |before| Layout { storage: Storage::Bf16, before, gap: 0 };
    let case = Case {
        in0: layout(0),
        in1: layout(1),
        out0: layout(0),
        out1: Some(layout(1)),
        ..Case::plain(Shape::new(5, 7), Storage::Bf16)
    };
    assert_passes(harness, &case, 7);
    assert_passes(harness, &Case { in_place: InPlace::First, ..case }, 7);
    let refused = check(harness, &Case { in_place: InPlace::Both, ..case }, 7);
    assert_eq!(refused.unwrap_err(), PlanError::Halves { first: "out0", second: "out1" });
    assert_passes(harness, &Case { in1: layout(2), in_place: InPlace::Both, ..case }, 7);
}

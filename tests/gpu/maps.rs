//! The map kernels against their f64 twin.

use crate::Test;
use crate::bed::{Bed, Case, InPlace, Layout, check};
use tweedie::gpu::{Shape, Storage};

pub const TESTS: &[Test] = &[("maps::plain_shapes_and_storages", plain_shapes_and_storages)];

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
    (70000, 1),
    (70000, 4),
];

fn assert_passes(bed: &Bed, case: &Case, seed: u64) {
    let comparison = check(bed, case, seed).unwrap_or_else(|error| panic!("{error}: {case:?}"));
    assert!(comparison.passes(), "{comparison}: {case:?}");
}

fn plain_shapes_and_storages(bed: &Bed) {
    for (i, (batch, elements)) in SHAPES.into_iter().enumerate() {
        for storage in Storage::ALL {
            let case = Case::plain(Shape::new(batch, elements), storage);
            for per_sample in [true, false] {
                for drawn in [false, true] {
                    assert_passes(bed, &Case { per_sample, drawn, keep: drawn.then_some(case.in0), ..case }, i as u64);
                }
            }
            let _ = (InPlace::No, Layout::plain(storage));
        }
    }
}

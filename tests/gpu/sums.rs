//! The sums of losses: of samples of every size, in any number, in any windows, and with their results in any place.

use crate::harness::{Harness, TestRng, harness_with_binding_limit, harness_without_features};
use crate::losses::{Case, assert_passes, difference, penalties, plain};
use tweedie::gpu::{Loss, Noise, Recording, Reduction, Shape, Storage, Tensor, Timesteps};
use tweedie::table::{LossRow, Penalty, Table};

pub const TESTS: &[crate::Test] = &[
    ("sums::every_short_sample", every_short_sample),
    ("sums::mean_of_a_million_samples", mean_of_a_million_samples),
    ("sums::bit_identical_in_every_run_and_batch", bit_identical_in_every_run_and_batch),
    ("sums::order_of_additions", order_of_additions),
    ("sums::many_samples", many_samples),
    ("sums::results_beside_a_tensor", results_beside_a_tensor),
    ("sums::windows_of_a_small_binding_limit", windows_of_a_small_binding_limit),
    ("sums::windows_of_short_samples", windows_of_short_samples),
];

/// Samples that one invocation takes as a whole, and the smallest that several take; batches of whole pairs, and one that does not end
/// with a pair.
fn every_short_sample(harness: &Harness) {
    for elements in 1..=17 {
        for (batch, storage) in [(8, Storage::F32), (1024, Storage::F16), (12, Storage::Bf16), (7, Storage::F32)] {
            let seed = u64::from(100 * elements + batch);
            let case = Case { penalty: penalties()[elements as usize % 6], ..Case::new(batch, elements, storage) };
            assert_passes(harness, &Case { drawn: true, ..case.clone() }, seed);
            assert_passes(harness, &Case { gradient: None, ..case.clone() }, seed);
            assert_passes(harness, &Case { in_place: true, per_sample: false, ..case }, seed);
        }
    }
}

/// Samples that all have the same loss, so that a running sum would round the same way again and again.
fn mean_of_a_million_samples(harness: &Harness) {
    let batch = 1 << 20;
    let values = vec![0.1f32; batch as usize];
    let p = harness.gpu.upload("p", bytemuck::cast_slice(&values));
    let results = harness.gpu.buffer("results", 4 * u64::from(batch) + 4);
    for value in [0.1f32, 0.3, 0.7] {
        let table = Table::new([LossRow { prediction: f64::from(value), inputs: [0.0; 2], weight: 1.0 }]);
        let loss = Loss {
            table: &table,
            penalty: Penalty::L1,
            shape: Shape::new(batch, 1),
            timesteps: Timesteps::Batch,
            prediction: Tensor::f32(&p),
            in0: None,
            in1: Noise::None,
            losses: (&results, 4),
            mean: Some((&results, 0)),
            gradient: None,
        };
        let plan = loss.plan(&harness.context).expect("plan");
        harness.run(&plan, Recording::timestep(0));
        let found = Storage::F32.decode(&harness.read(&results));
        let error = (f64::from(found[0]) / f64::from(found[1]) - 1.0).abs();
        println!("mean of a million losses of {}: relative error {error:.1e}", found[1]);
        assert!(error <= MEAN, "{} is the mean of {}", found[0], found[1]);
    }
}

/// The relative error of a mean: half an ULP for each doubling of the samples, most of which cancel. A sum of a million in a row would
/// be off by up to a thousand.
const MEAN: f64 = 4.0 / (1u64 << 24) as f64;

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn bit_identical_in_every_run_and_batch(harness: &Harness) {
    let without = harness_without_features(harness);
    for elements in [1, 2, 3, 5, 6, 14, 15, 16, 40, 63, 20_001] {
        let mut rng = TestRng(51);
        let mut values = || (0..4 * elements).map(|_| rng.float()).collect::<Vec<f32>>();
        let (prediction, target) = (values(), values());
        let penalty = Penalty::pseudo_huber(0.1).expect("c");
        let whole = plain(harness, penalty, 4, &prediction, &target).0;
        assert_eq!(bits(&plain(harness, penalty, 4, &prediction, &target).0), bits(&whole));
        assert_eq!(bits(&plain(&without, penalty, 4, &prediction, &target).0), bits(&whole), "64-bit integers");
        for (first, batch) in [(0, 1), (2, 2), (3, 1)] {
            let part = first * elements..(first + batch) * elements;
            let found = plain(harness, penalty, batch as u32, &prediction[part.clone()], &target[part]).0;
            assert_eq!(bits(&found), bits(&whole[first..first + batch]), "{batch} x {elements} from {first}");
        }
    }
}

/// The sum of a team of invocations: at each level, 16 numbers that lie a width apart are added from left to right.
fn tree(mut sums: Vec<f32>) -> f32 {
    while sums.len() > 1 {
        let branches = sums.len().min(16);
        let width = sums.len() / branches;
        sums = (0..width).map(|i| (1..branches).fold(sums[i], |sum, k| sum + sums[i + k * width])).collect();
    }
    sums[0]
}

/// The order of additions is that of every earlier version, in whatever form a kernel does them, so that the bits of losses stay.
fn order_of_additions(harness: &Harness) {
    for elements in [16usize, 64, 1024, 4096, 8192, 65_536] {
        let mut rng = TestRng(52);
        // One element of each lane, since a driver may add up the four of a lane in any order. The magnitudes make every rounding count.
        let numbers: Vec<f32> = (0..elements / 4).map(|i| rng.float() * ((i % 7) as f32).exp2()).collect();
        let prediction: Vec<f32> = numbers.iter().flat_map(|&x| [x, 0.0, 0.0, 0.0]).collect();
        let of_chunk = |chunk: &[f32]| {
            let team = (4 * chunk.len()).div_ceil(16).next_power_of_two();
            let own = |first: usize| chunk.iter().skip(first).step_by(team).fold(0f32, |sum, x| sum + x.abs());
            tree((0..team).map(own).collect())
        };
        let expected = tree(numbers.chunks(1024).map(of_chunk).collect()) / elements as f32;
        let found = plain(harness, Penalty::L1, 1, &prediction, &vec![0.0; elements]).0;
        assert_eq!(bits(&found), bits(&[expected]), "{elements}: {found:?}, {expected}");
        let in_a_row = numbers.iter().fold(0f32, |sum, x| sum + x.abs()) / elements as f32;
        assert!(elements < 1024 || in_a_row != expected, "{elements}: a sum in a row must have other bits");
    }
}

/// More samples than a dimension may have workgroups.
fn many_samples(harness: &Harness) {
    assert_passes(harness, &Case::new(66_000, 4, Storage::F32), 61);
    assert_passes(harness, &Case::new(1_000_000, 2, Storage::F16), 63);
    assert_passes(harness, &Case { gradient: None, ..Case::new(66_000, 1, Storage::Bf16) }, 62);
}

/// Results in the buffer of a tensor that is read, which one dispatch may not bind both for reading and for writing: the bits are the
/// same.
fn results_beside_a_tensor(harness: &Harness) {
    for (batch, elements) in [(4u32, 2u32), (3, 5), (2, 64)] {
        let total = (batch * elements) as usize;
        let room = total.next_multiple_of(64); // where results begin, in words: a multiple of any device's alignment
        let mut rng = TestRng(91);
        let mut values: Vec<f32> = (0..2 * room).map(|_| rng.float()).collect();
        values[room..].fill(0.0);
        let table = difference();
        let target = harness.gpu.upload("target", bytemuck::cast_slice(&vec![0.5f32; total]));
        let apart = harness.gpu.buffer("losses", 4 * u64::from(batch));
        let run = |beside: bool| {
            let prediction = harness.gpu.upload("prediction", bytemuck::cast_slice(&values));
            let (losses, offset) = if beside { (&prediction, 4 * room as u64) } else { (&apart, 0) };
            let loss = Loss {
                table: &table,
                penalty: Penalty::MSE,
                shape: Shape::new(batch, elements),
                timesteps: Timesteps::Batch,
                prediction: Tensor::f32(&prediction),
                in0: None,
                in1: Noise::Tensor(Tensor::f32(&target)),
                losses: (losses, offset),
                mean: None,
                gradient: None,
            };
            let plan = loss.plan(&harness.context).expect("plan");
            harness.run(&plan, Recording::timestep(0));
            let found = harness.read(losses);
            let found = Storage::F32.decode(&found[offset as usize..]);
            (bits(&found[..batch as usize]), plan.dispatches())
        };
        let [(beside, two), (apart, one)] = [run(true), run(false)];
        assert!(apart.iter().all(|bits| f32::from_bits(*bits) > 0.0), "{batch} x {elements}");
        assert_eq!((beside, two, one), (apart, 2, 1), "{batch} x {elements}");
    }
}

fn windows_of_a_small_binding_limit(harness: &Harness) {
    windows_change_nothing(harness, &[(40, 1000), (3, 50_001), (2, 65_536)]);
}

fn windows_of_short_samples(harness: &Harness) {
    windows_change_nothing(harness, &[(16_000, 3), (16_002, 2)]);
}

fn windows_change_nothing(harness: &Harness, shapes: &[(u32, u32)]) {
    let small = harness_with_binding_limit(harness, 64 << 10);
    for &(batch, elements) in shapes {
        for storage in [Storage::F32, Storage::F16] {
            let case = Case { gradient: None, ..Case::new(batch, elements, storage) };
            let case = Case { gradient: Some((case.layout, Reduction::Mean)), ..case };
            let parts = assert_passes(&small, &case, 71);
            let whole = assert_passes(harness, &case, 71);
            assert_eq!(bits(&parts.losses), bits(&whole.losses), "windows change nothing: {case:?}");
        }
    }
}

//! Guidance of the levels of a Laplacian pyramid on the GPU against its f64 reference.

use crate::harness::Harness;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{GuideFinish, PlanError, Recording, Storage};
use tweedie::math::Guider;
use tweedie::math::guidance::{FrequencyLevel, GuidanceLoop, Method, Predictions};

pub const TESTS: &[crate::Test] = &[
    ("guide_levels::every_size_and_option", every_size_and_option),
    ("guide_levels::a_wrong_number_fails", a_wrong_number_fails),
    ("guide_levels::bit_identical_in_every_run_and_batch", bit_identical_in_every_run_and_batch),
    ("guide_levels::a_pyramid_moves_with_its_result", a_pyramid_moves_with_its_result),
    ("guide_levels::predictions_without_the_levels_are_refused", predictions_without_the_levels_are_refused),
];

/// The roundings of f32 in a result, relative to the largest prediction times the largest scale plus 1. They include those of the
/// blurs, the sums and the deviations. The weights of the blurs are exact.
const ROUNDINGS: f64 = 2.0;

/// Predictions of every kind of size (powers of two and others, filled up or not), with one level up to the most.
fn cases() -> Vec<([usize; 4], Guider)> {
    let original = Guider { original: true, ..levels(&[(10.0, 0.25), (5.0, 0.75)]) };
    let mut of_levels = levels(&[(6.0, 1.0), (4.0, 1.0), (3.0, 1.0), (2.0, 1.0)]);
    if let Method::Frequencies { levels } = &mut of_levels.method {
        levels.iter_mut().zip([0.2, 0.9, 0.5, 0.7]).for_each(|(level, rescale)| level.rescale = rescale);
    }
    vec![
        ([2, 3, 8, 8], levels(&[(10.0, 1.0), (5.0, 1.0)])),
        ([1, 4, 64, 64], rescaled(levels(&[(9.0, 0.0), (6.0, 0.5), (4.0, 1.5)]), 0.7)),
        ([3, 2, 5, 7], three()),
        ([2, 4, 96, 40], of_levels),
        ([1, 2, 128, 24], original),
        ([2, 1, 16, 9], levels(&[(8.0, 0.0), (1.0, 0.0), (3.0, 0.0)])),
        ([2, 2, 3, 1], rescaled(levels(&[(7.5, 0.25)]), 0.5)),
        ([1, 1, 256, 256], levels(&[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0].map(|scale| (scale, 1.0)))),
    ]
}

/// Three levels, whose sum is rescaled.
fn three() -> Guider {
    rescaled(levels(&[(6.0, 0.5), (4.0, 0.5), (2.0, 0.5)]), 0.4)
}

/// A guider of levels, given by their scales and their factors along the conditional prediction.
fn levels(each: &[(f64, f64)]) -> Guider {
    let level = |&(scale, parallel)| FrequencyLevel { parallel, ..FrequencyLevel::new(scale) };
    Guider { method: Method::Frequencies { levels: each.iter().map(level).collect() }, ..Guider::linear(each[0].0) }
}

fn rescaled(guider: Guider, rescale: f64) -> Guider {
    Guider { rescale, ..guider }
}

/// Two predictions close to each other, as a network's are, rounded to f32.
fn predictions(dims: [usize; 4], seed: u64) -> [Vec<f64>; 2] {
    let total = dims.iter().product();
    let normals = |stream: u32| tweedie::NoiseKey::normals(seed, stream, 0, total);
    let common = normals(0);
    [1, 2].map(|stream| {
        let own = normals(stream);
        common.iter().zip(own).map(|(c, z)| Storage::F32.round(0.1 + c + 0.4 * z)).collect()
    })
}

fn upload(harness: &Harness, values: &[f64]) -> wgpu::Buffer {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    harness.gpu.upload("prediction", bytemuck::cast_slice(&values))
}

fn read(harness: &Harness, buffer: &wgpu::Buffer, count: usize) -> Vec<f32> {
    let mut values = Storage::F32.decode(&harness.read(buffer));
    values.truncate(count);
    values
}

/// Returns the GPU's result, from a tensor that held NaN before.
fn guided(harness: &Harness, dims: [usize; 4], guider: &Guider, [c, u]: &[Vec<f64>; 2]) -> Vec<f32> {
    let [conditional, unconditional, guided] = [c, u, &vec![f64::NAN; c.len()]].map(|values| upload(harness, values));
    let request = GuideFinish {
        finish: guider.alone(None).expect("a call").finish.expect("a pyramid"),
        dims: &dims,
        guided: (&guided, 0),
        conditional: (&conditional, 0),
        unconditional: Some((&unconditional, 0)),
    };
    harness.run(&request.plan(&harness.context).expect("a plan"), Recording::per_sample());
    let kept = [&conditional, &unconditional].map(|buffer| read(harness, buffer, c.len()));
    assert!(kept.iter().zip([c, u]).all(|(kept, given)| kept.iter().zip(given).all(|(a, b)| f64::from(*a) == *b)));
    read(harness, &guided, c.len())
}

/// Compares the GPU's results with the guider `does` with the reference of the guider `of`.
fn compare(harness: &Harness, dims: [usize; 4], of: &Guider, does: &Guider) -> Comparison {
    let values = predictions(dims, 5);
    let [conditional, unconditional] = values.each_ref().map(Vec::as_slice);
    let given = Predictions { unconditional, ..Predictions::of(conditional) };
    let call = of.alone(None).expect("a call");
    let exact = GuidanceLoop::new(&dims).expect("a shape").call(&call, given).expect("predictions that fit");
    let Method::Frequencies { levels } = &of.method else { panic!("{of:?}") };
    let scale = levels.iter().fold(0.0, |most: f64, level| most.max(level.scale));
    let largest = values.iter().flatten().fold(0.0, |most: f64, x| most.max(x.abs()));
    let magnitude = ROUNDINGS * (1.0 + scale) * largest;
    let expected: Vec<Expected> = exact.iter().map(|&value| Expected { value, magnitude }).collect();
    let mut comparison = Comparison::new(Storage::F32);
    comparison.add_all(&guided(harness, dims, does, &values), &expected);
    comparison
}

fn every_size_and_option(harness: &Harness) {
    for (dims, guider) in cases() {
        let comparison = compare(harness, dims, &guider, &guider);
        println!("{dims:?} {:?}: {comparison}", guider.method);
        assert!(comparison.passes(), "{dims:?} {guider:?}: {comparison}");
    }
}

/// The comparison notices a number of a level that is wrong by a hundredth.
fn a_wrong_number_fails(harness: &Harness) {
    // With the most levels, the last ones have so few elements that the roundings of the others would hide them.
    for (dims, guider) in cases().into_iter().filter(|(dims, _)| dims[2] < 256) {
        let Method::Frequencies { levels } = &guider.method else { panic!("{guider:?}") };
        let neutral = if guider.original { 0.0 } else { 1.0 };
        for (k, level) in levels.iter().enumerate().filter(|(_, level)| level.scale != neutral) {
            let FrequencyLevel { scale, parallel, rescale, .. } = *level;
            let wrong = [
                FrequencyLevel { scale: 1.01 * scale, ..*level },
                FrequencyLevel { parallel: parallel + 0.01, ..*level },
                FrequencyLevel { rescale: (rescale - 0.01).abs(), ..*level },
            ];
            for level in wrong {
                let mut levels = levels.clone();
                levels[k] = level;
                let wrong = Guider { method: Method::Frequencies { levels }, ..guider.clone() };
                let comparison = compare(harness, dims, &guider, &wrong);
                assert!(!comparison.passes(), "{dims:?} {guider:?}: {level:?}: {comparison}");
            }
        }
        let wrong = Guider { rescale: (guider.rescale - 0.01).abs(), ..guider.clone() };
        let comparison = compare(harness, dims, &guider, &wrong);
        assert!(!comparison.passes(), "{dims:?} {guider:?}: {comparison}");
    }
}

fn bit_identical_in_every_run_and_batch(harness: &Harness) {
    let guider = three();
    for [channels, height, width] in [[2, 5, 7], [3, 64, 32], [4, 96, 80]] {
        let dims = [5, channels, height, width];
        let values = predictions(dims, 11);
        let bits = |dims, values: &[Vec<f64>; 2]| -> Vec<u32> {
            guided(harness, dims, &guider, values).iter().map(|x| x.to_bits()).collect()
        };
        let together = bits(dims, &values);
        assert!(together == bits(dims, &values));
        let sample = channels * height * width;
        for i in [0, 3] {
            let part = i * sample..(i + 1) * sample;
            let own = values.each_ref().map(|values| values[part.clone()].to_vec());
            assert!(together[part] == bits([1, channels, height, width], &own)[..], "sample {i} of {dims:?}");
        }
    }
}

fn a_pyramid_moves_with_its_result(harness: &Harness) {
    let (dims, guider) = ([1, 2, 5, 7], rescaled(levels(&[(10.0, 1.0), (5.0, 1.0)]), 0.5));
    let values = predictions(dims, 3);
    let expected = guided(harness, dims, &guider, &values);
    let [conditional, unconditional] = values.each_ref().map(|values| upload(harness, values));
    let [first, second] = [(); 2].map(|()| harness.gpu.buffer("guided", 4 * 70));
    let request = GuideFinish {
        finish: guider.alone(None).expect("a call").finish.expect("a pyramid"),
        dims: &dims,
        guided: (&first, 0),
        conditional: (&conditional, 0),
        unconditional: Some((&unconditional, 0)),
    };
    let plan = request.plan(&harness.context).expect("a plan");
    let moved = plan.moved(&harness.context, &[("guided", tweedie::Tensor::f32(&second))]).expect("a plan");
    harness.run(&moved, Recording::per_sample());
    assert_eq!(read(harness, &second, 70), expected);
    assert_eq!(read(harness, &first, 70), [0.0; 70]);
}

fn predictions_without_the_levels_are_refused(harness: &Harness) {
    let [guided, other, third] = [(); 3].map(|()| harness.gpu.buffer("prediction", 4 * 256));
    let three = levels(&[(3.0, 1.0), (2.0, 1.0), (1.5, 1.0)]);
    let finish = three.alone(None).expect("a call").finish.expect("a pyramid");
    let request = GuideFinish {
        finish,
        dims: &[1, 1, 8, 8],
        guided: (&guided, 0),
        conditional: (&other, 0),
        unconditional: Some((&third, 0)),
    };
    assert!(request.plan(&harness.context).is_ok());
    let refused = |request: GuideFinish<'_>| request.plan(&harness.context).map(drop).expect_err("a refusal");
    for dims in [&[1, 64][..], &[4, 4, 4], &[1, 1, 1, 8, 8], &[1, 1, 4, 8], &[1, 1, 2, 32]] {
        let expected = PlanError::Pyramid { levels: 3, found: dims.to_vec() };
        assert_eq!(refused(GuideFinish { dims, ..request }), expected);
    }
    assert_eq!(
        refused(GuideFinish { unconditional: None, ..request }),
        PlanError::Missing { what: "unconditional", row: 0 }
    );
    let shared = refused(GuideFinish { unconditional: Some((&guided, 0)), ..request });
    assert_eq!(shared, PlanError::Overlap { output: "guided", other: "unconditional" });
}

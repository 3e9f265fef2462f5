//! Noise, targets and losses against their f64 references, and the loss as a node of Burn's graph against Burn's own operations.

use crate::harness::{ELEMENTS, Harness, compare, download, download_words, upload, upload_words, values};
use burn::tensor::{DType, Tensor};
use tweedie::gpu::compare::Comparison;
use tweedie::gpu::loss::Batch;
use tweedie::gpu::{Loss, NoiseKey, Reduction};
use tweedie::math::{LossInputs, Objective, Weight};
use tweedie::table::{Penalty, Table};
use tweedie::{Quantity, Schedule, Storage};
use tweedie_burn::{Bridge, Goal, Noisy, Training};

pub const TESTS: &[crate::Test] = &[
    ("training::noise_and_target_are_their_twins", noise_and_target_are_their_twins),
    ("training::losses_and_gradient_are_their_twins", losses_and_gradient_are_their_twins),
    ("training::the_gradient_is_burns_own", the_gradient_is_burns_own),
    ("training::a_scaled_loss_keeps_small_gradients", a_scaled_loss_keeps_small_gradients),
    ("training::a_few_plans_serve_a_long_run", a_few_plans_serve_a_long_run),
    ("training::plans_move_where_places_are_new", plans_move_where_places_are_new),
];

const KEY: NoiseKey = NoiseKey::seed(11).stream(4).first_sample(1000);
const SHAPE: [usize; 3] = [5, 3, 37];
const STEPS: usize = 100;

fn schedule() -> Schedule {
    Schedule::cosine(STEPS).expect("a schedule")
}

fn goal(predicts: Quantity) -> Goal {
    let objective = Objective::of(predicts).weighted(Weight::MinSnr { gamma: 5.0 });
    Goal { stratified: Some(SHAPE[0] as u32), ..Goal::new(objective, STEPS).expect("a goal") }
}

fn training(bridge: &Bridge, predicts: Quantity) -> Training {
    Training::new(bridge, &schedule(), goal(predicts)).expect("a training")
}

fn elements() -> usize {
    SHAPE[1] * SHAPE[2]
}

/// A table with every coefficient wrong by a hundredth.
fn wrong(table: &Table) -> Table {
    table.map(|row| row.map(|row| row.map(|c| 1.01 * c)))
}

fn noise_and_target_are_their_twins(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        for (dtype, storage) in ELEMENTS {
            for predicts in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
                let what = format!("{name}, {dtype:?}, {predicts}");
                let data = values(1, SHAPE.iter().product(), storage);
                let x0 = upload(bridge, &data, SHAPE, dtype);
                let training = training(bridge, predicts);
                let noisy = training.noise(x0.clone(), KEY).expect("noise");
                let t = download_words(&noisy.t);
                let drawn = training.goal().density.draw_stratified(KEY, SHAPE[0], SHAPE[0] as u32);
                assert_eq!(t, drawn, "{what}");
                let [again, target] = training.noise_and_target(&x0, &noisy.t, KEY).expect("a pair");
                assert_eq!(download(&again), download(&noisy.x_t), "{what}");

                let table = schedule().rows_of(Quantity::Xt, Some(predicts)).expect("rows");
                let noise = KEY.reference(SHAPE[0], elements());
                let against = |table: &Table| {
                    let [x_t, exact] = tweedie::gpu::Map::reference(table, &t, elements(), &data, &noise);
                    [compare(&noisy.x_t, &x_t, 1.0), compare(&target, &exact, 1.0)]
                };
                for comparison in against(&table) {
                    assert!(comparison.passes(), "{what}: {comparison}");
                }
                for comparison in against(&wrong(&table)) {
                    assert!(!comparison.passes(), "{what}: a wrong coefficient is not seen: {comparison}");
                }
            }
        }
    }
}

fn losses_and_gradient_are_their_twins(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        for (dtype, storage) in ELEMENTS {
            for predicts in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
                let what = format!("{name}, {dtype:?}, {predicts}");
                let [data, guess] = [1, 2].map(|seed| values(seed, SHAPE.iter().product(), storage));
                let training = training(bridge, predicts);
                let noisy = training.noise(upload(bridge, &data, SHAPE, dtype), KEY).expect("noise");
                let prediction = upload(bridge, &guess, SHAPE, dtype).autodiff().require_grad();
                let losses = training.loss(&noisy, prediction.clone()).expect("a loss");
                let gradient = prediction.grad(&losses.mean.backward()).expect("a gradient");
                assert_eq!((gradient.dtype(), losses.mean.dtype()), (dtype, DType::F32), "{what}");
                let quiet = training.loss(&noisy, prediction.without_autodiff()).expect("a loss");
                assert_eq!(download(&quiet.samples), download(&losses.samples), "{what}");
                assert_eq!(download(&quiet.mean), download(&losses.mean), "{what}");

                let table = schedule().loss(&training.goal().objective, LossInputs::CleanAndNoise).expect("rows");
                let noise = KEY.reference(SHAPE[0], elements());
                let t = download_words(&noisy.t);
                let batch = Batch { timesteps: &t, elements: elements(), prediction: &guess, inputs: [&data, &noise] };
                let holds = |table: &Table<tweedie::table::LossRow>| {
                    let exact = Loss::reference(table, Penalty::MSE, &batch, Reduction::Mean);
                    let mut sums = Comparison::new(Storage::F32).with_noise(1.0);
                    sums.add_all(&download(&losses.samples), &exact.samples);
                    sums.add_all(&download(&losses.mean), &[exact.mean]);
                    let slope = compare(&gradient, &exact.gradient, 1.0);
                    (
                        sums.worst_bound < Loss::ROUNDINGS
                            && sums.mismatched == 0
                            && slope.mismatched == 0
                            && slope.worst_bound < Loss::ROUNDINGS,
                        sums,
                        slope,
                    )
                };
                let (fits, sums, slope) = holds(&table);
                assert!(fits, "{what}: {sums}; {slope}");
                let off = table.map(|row| tweedie::table::LossRow { weight: 1.01 * row.weight, ..*row });
                let (fits, sums, slope) = holds(&off);
                assert!(!fits, "{what}: a wrong weight is not seen: {sums}; {slope}");
            }
        }
    }
}

/// Allowed difference of two f32 gradients of the same loss, relative to the largest element: about one rounding for each of the 555
/// terms of a sum.
const APART: f32 = 3e-5;

/// A network of two parameters, `x_t*scale + shift`, under `3*loss + sum(shift^2)`: through tweedie's node, and written in
/// Burn's own operations with the same noise.
fn the_gradient_is_burns_own(harness: &Harness) {
    for (name, bridge) in &harness.bridges {
        for predicts in [Quantity::Epsilon, Quantity::X0, Quantity::V] {
            let training = training(bridge, predicts);
            let x0 = upload(bridge, &values(1, SHAPE.iter().product(), Storage::F32), SHAPE, DType::F32);
            let noisy = training.noise(x0, KEY).expect("noise");
            let gradients = |weight: f64, loss: &dyn Fn(Tensor<3>) -> Tensor<1>| {
                let leaf = |seed| {
                    let data = values(seed, elements(), Storage::F32);
                    upload(bridge, &data, [1, SHAPE[1], SHAPE[2]], DType::F32).autodiff().require_grad()
                };
                let (scale, shift) = (leaf(5), leaf(6));
                let prediction = noisy.x_t.clone().autodiff() * scale.clone() + shift.clone();
                let total = loss(prediction) * weight + shift.clone().square().sum();
                let grads = total.clone().backward();
                let found = [scale, shift].map(|leaf| download(&leaf.grad(&grads).expect("a gradient")));
                (download(&total)[0], found)
            };
            let (ours, through) = gradients(3.0, &|prediction| training.loss(&noisy, prediction).expect("a loss").mean);
            let (theirs, own) = gradients(3.0, &|prediction| in_burn(&training, &noisy, prediction));
            assert!((ours - theirs).abs() <= APART * theirs.abs(), "{name}, {predicts}: {ours} and {theirs}");
            let apart = worst(&through, &own);
            assert!(apart <= APART, "{name}, {predicts}: {apart:e}");
            let (_, off) = gradients(3.003, &|prediction| training.loss(&noisy, prediction).expect("a loss").mean);
            assert!(worst(&off, &own) > APART, "{name}, {predicts}: a loss that is off by a thousandth is not seen");
        }
    }
}

fn worst(found: &[Vec<f32>; 2], expected: &[Vec<f32>; 2]) -> f32 {
    let pairs = found.iter().zip(expected).map(|(found, expected)| {
        let largest = expected.iter().fold(0f32, |most, x| most.max(x.abs()));
        worst_of(found.iter().zip(expected).map(|(a, b)| (a - b).abs())) / largest
    });
    worst_of(pairs)
}

/// The largest; NaN if one is NaN, so that it is within no bound.
fn worst_of(all: impl Iterator<Item = f32>) -> f32 {
    all.fold(0.0, |most: f32, it| if most.is_nan() || it <= most { most } else { it })
}

/// The weighted mean squared error in Burn's own operations.
fn in_burn(training: &Training, noisy: &Noisy<3>, prediction: Tensor<3>) -> Tensor<1> {
    let [_, target] = training.noise_and_target(&noisy.x0, &noisy.t, noisy.key).expect("a target");
    let objective = &training.goal().objective;
    let weights = schedule().loss_weights(&objective.weight, objective.on).expect("weights");
    let weights: Vec<f64> = download_words(&noisy.t).iter().map(|&t| weights[t as usize]).collect();
    let weights = Tensor::<3>::from_data(
        burn::tensor::TensorData::new(weights.iter().map(|&w| w as f32).collect(), [SHAPE[0], 1, 1]),
        &prediction.device(),
    );
    ((prediction - target.autodiff()).square() * weights).mean()
}

/// The elements of the gradient of a mean are too small for f16, unless the loss is scaled up.
fn a_scaled_loss_keeps_small_gradients(harness: &Harness) {
    const SCALE: f64 = 65536.0;
    for (name, bridge) in &harness.bridges {
        let training = training(bridge, Quantity::V);
        let data = values(1, SHAPE.iter().product(), Storage::F16);
        // A prediction that is nearly right: the target rounded to f16, so that every error is below a thousandth.
        let noisy = training.noise(upload(bridge, &data, SHAPE, DType::F32), KEY).expect("noise");
        let [_, target] = training.noise_and_target(&noisy.x0, &noisy.t, KEY).expect("a target");
        let near = target.cast(DType::F16);
        let gradient = |prediction: Tensor<3>, scale: f64| {
            let prediction = prediction.autodiff().require_grad();
            let mean = training.loss(&noisy, prediction.clone()).expect("a loss").mean * scale;
            download(&prediction.grad(&mean.backward()).expect("a gradient"))
        };
        let exact = gradient(near.clone().cast(DType::F32), SCALE);
        let found = gradient(near.clone(), SCALE);
        let allowed = |x: f32| 1.01 * Storage::F16.unit_roundoff() as f32 * x.abs() + 1e-6;
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() <= allowed(*exact), "{name}: {found:e}, expected {exact:e}");
        }
        // Without scaling, most elements are off in f16.
        let unscaled = gradient(near, 1.0).into_iter().map(|x| SCALE as f32 * x);
        let lost = unscaled.zip(&exact).filter(|(found, exact)| (found - *exact).abs() > allowed(**exact)).count();
        assert!(lost > exact.len() / 2, "{name}: {lost} of {}", exact.len());
    }
}

/// With so small a network, Burn's pool hands out the same places again and again.
fn a_few_plans_serve_a_long_run(harness: &Harness) {
    const ROUNDS: u32 = 60;
    for (name, bridge) in &harness.bridges {
        let training = training(bridge, Quantity::Epsilon);
        let mut made = Vec::new();
        for round in 0..ROUNDS {
            let x0 = upload(bridge, &values(u64::from(round), SHAPE.iter().product(), Storage::F32), SHAPE, DType::F32);
            let noisy = training.noise(x0, KEY.stream(round)).expect("noise");
            let leaf = noisy.x_t.clone().mul_scalar(0.5).autodiff().require_grad();
            let losses = training.loss(&noisy, leaf.clone().exp()).expect("a loss");
            let gradient = leaf.grad(&losses.mean.backward()).expect("a gradient");
            assert!(download(&gradient).iter().all(|x| x.is_finite()));
            made.push(training.plans_made());
        }
        assert_eq!(made[ROUNDS as usize / 2], made[ROUNDS as usize - 1], "{name}: {made:?}");
    }
    let [(_, own), _] = &harness.bridges;
    // A timestep that is not in the schedule makes a sample NaN, as it does without Burn.
    let training = training(own, Quantity::V);
    let x0 = upload(own, &[1.0, 1.0], [2, 1], DType::F32);
    let noisy = training.noise_at(x0, upload_words(own, &[0, STEPS as u32]), KEY).expect("noise");
    let found = download(&noisy.x_t);
    assert!(found[0].is_finite() && found[1].is_nan(), "{found:?}");
}

/// Tensors that stay alive keep their places: plans are moved to new ones, and write what plans made there would write.
fn plans_move_where_places_are_new(harness: &Harness) {
    const ROUNDS: u32 = 20;
    for (name, bridge) in &harness.bridges {
        let fresh = |bridge: &Bridge, predicts| training(bridge, predicts);
        let training = fresh(bridge, Quantity::Epsilon);
        let mut kept = Vec::new();
        for round in 0..ROUNDS {
            let data = values(u64::from(round), SHAPE.iter().product(), Storage::F32);
            let x0 = upload(bridge, &data, SHAPE, DType::F32);
            kept.push((x0.clone(), training.noise(x0, KEY.stream(round)).expect("noise")));
        }
        let [made, moved] = [training.plans_made(), training.plans_moved()];
        println!("{name}: {made} plans made, {moved} moved");
        assert!(moved >= u64::from(ROUNDS) && made < u64::from(ROUNDS), "{name}: {made} made, {moved} moved");
        for (round, (x0, noisy)) in (0..).zip(&kept) {
            let own = fresh(bridge, Quantity::Epsilon);
            let expected = own.noise(x0.clone(), KEY.stream(round)).expect("noise");
            assert_eq!(own.plans_moved(), 0);
            assert_eq!(download_words(&noisy.t), download_words(&expected.t), "{name} {round}");
            assert_eq!(download(&noisy.x_t), download(&expected.x_t), "{name} {round}");
        }
    }
}

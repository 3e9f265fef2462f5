//! The plane's buffers against the f64 references of the library.

use crate::harness::{Harness, Test, small, wide};
use pictures::{Picture, test_card::test_card};
use tweedie::Quantity;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{Map, NoiseKey, Storage};
use tweedie::table::Table;
use tweedie_viewer::plane::expected_rms;
use tweedie_viewer::renderer::{ImageId, Renderer, Request};
use tweedie_viewer::schedules::RECIPES;
use tweedie_viewer::state::{PREDICTIONS, State};

pub const TESTS: &[Test] = &[
    ("plane::every_picture_is_the_reference", every_picture_is_the_reference),
    ("plane::another_seed_is_another_reference", another_seed_is_another_reference),
    ("plane::changes_are_taken_in_and_nothing_costs_nothing", changes_are_taken_in_and_nothing_costs_nothing),
    ("plane::errors_are_measured", errors_are_measured),
    ("plane::where_no_signal_is_left", where_no_signal_is_left),
];

/// Compares numbers with the exact ones; `noise` is the coefficient of drawn noise in them, for `Comparison::with_noise`.
fn check(name: &str, found: &[f32], exact: &[Expected], noise: f64) -> Comparison {
    let mut comparison = Comparison::new(Storage::F32).with_noise(noise);
    comparison.add_all(found, exact);
    assert!(comparison.worst_bound.is_finite(), "{name}");
    comparison
}

/// Compares everything that a renderer shows of a state with the references. Returns the largest error as a fraction of its
/// bound; at most 1 is right.
fn worst(harness: &Harness, renderer: &Renderer, state: &State) -> f64 {
    let schedule = state.schedule.schedule().expect("a schedule");
    let (t, n) = (state.timestep, state.picture.data.len());
    let level = schedule.level(t as usize).expect("a level");
    let (x0, noise) = (wide(&state.picture.data), NoiseKey::seed(state.seed).reference(1, n));
    let x_t = harness.read(renderer, ImageId::Xt);
    let row = |quantity: Quantity| quantity.row(level).expect("a row");
    let one = |[a, b]: [f64; 2], in0: &[f64], in1: &[f64]| {
        let [exact, _] = Map::reference(&Table::new([[[a, b], [0.0, 0.0]]]), &[0], n, in0, in1);
        exact
    };
    let mut all = vec![check("x_t", &x_t, &one(row(Quantity::Xt), &x0, &noise), level.sigma())];
    for (column, quantity) in state.quantities().into_iter().enumerate() {
        let target = harness.read(renderer, ImageId::Target(column));
        let [a, b] = row(quantity);
        all.push(check(quantity.name(), &target, &one([a, b], &x0, &noise), b.abs()));

        let rms = expected_rms(level, quantity, state.mean_square).expect("a size");
        let errors = NoiseKey::seed(state.seed).stream(1 + column as u32).reference(1, n);
        let prediction = harness.read(renderer, ImageId::Prediction(column));
        let size = state.error * rms;
        all.push(check("prediction", &prediction, &one([1.0, size], &wide(&target), &errors), size));

        let table = schedule.conversion_where_defined(quantity, Quantity::X0, None);
        let [exact, _] = Map::reference(&table, &[t], n, &wide(&x_t), &wide(&prediction));
        all.push(check("recovered", &harness.read(renderer, ImageId::Recovered(column)), &exact, 0.0));
    }
    all.iter().map(|comparison| comparison.worst_bound).fold(0.0, f64::max)
}

fn every_picture_is_the_reference(harness: &Harness) {
    let mut renderer = harness.renderer();
    for (recipe, known) in RECIPES.iter().enumerate() {
        for timestep in [0, 990] {
            let mut state = small();
            (state.schedule.recipe, state.timestep, state.seed) = (recipe, timestep, 7 + u64::from(timestep));
            harness.frame(&mut renderer, &Request::Plane(state.plane()));
            assert_eq!(renderer.look().trouble, None);
            let worst = worst(harness, &renderer, &state);
            assert!(worst <= 1.0, "{}, t = {timestep}: {worst}", known.name);
        }
    }
}

/// The comparison above must be able to fail.
fn another_seed_is_another_reference(harness: &Harness) {
    let mut renderer = harness.renderer();
    let state = small();
    harness.frame(&mut renderer, &Request::Plane(state.plane()));
    assert!(worst(harness, &renderer, &state) <= 1.0);
    assert!(worst(harness, &renderer, &State { seed: state.seed + 1, ..state.clone() }) > 1.0);
    assert!(worst(harness, &renderer, &State { timestep: state.timestep + 1, ..state.clone() }) > 1.0);
    assert!(worst(harness, &renderer, &State { error: state.error * 1.01, ..state }) > 1.0);
}

fn changes_are_taken_in_and_nothing_costs_nothing(harness: &Harness) {
    let mut renderer = harness.renderer();
    let mut state = small();
    let first = harness.frame(&mut renderer, &Request::Plane(state.plane()));
    assert!(first > 0);
    assert_eq!(harness.frame(&mut renderer, &Request::Plane(state.plane())), 0, "nothing has changed");
    let changes: [fn(&mut State); 6] = [
        |state| state.timestep += 100,
        |state| state.seed += 1,
        |state| state.error = 0.6,
        |state| state.set_picture(Picture { data: vec![0.5; 36 * 22 * 3], ..(*state.picture).clone() }, "grey".into()),
        |state| state.schedule.recipe = 2,
        |state| state.set_picture(test_card(21, 35), "upright".into()),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        change(&mut state);
        assert_eq!(harness.frame(&mut renderer, &Request::Plane(state.plane())), first, "change {index}");
        let worst = worst(harness, &renderer, &state);
        assert!(worst <= 1.0, "change {index}: {worst}");
        assert_eq!(harness.frame(&mut renderer, &Request::Plane(state.plane())), 0, "after change {index}");
    }
    state.shown = [false, false, true, false, false, false];
    assert!(harness.frame(&mut renderer, &Request::Plane(state.plane())) < first);
    assert!(worst(harness, &renderer, &state) <= 1.0);
}

/// Relative error of a mean of squares in f32, far above one rounding for each doubling of its elements.
const MEASURED: f64 = 1e-5;

fn errors_are_measured(harness: &Harness) {
    let mut renderer = harness.renderer();
    let state = small();
    let status = harness.settle(&mut renderer, &Request::Plane(state.plane()));
    assert_eq!(status.errors.len(), 1 + PREDICTIONS.len());
    let pictures = std::iter::once(ImageId::Xt).chain((0..PREDICTIONS.len()).map(ImageId::Recovered));
    for (what, found) in pictures.zip(status.errors) {
        let data = harness.read(&renderer, what);
        let squares = data.iter().zip(&state.picture.data).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
        let expected = (squares.sum::<f64>() / data.len() as f64).sqrt();
        assert!((found / expected - 1.0).abs() < MEASURED, "{what:?}: {found}, expected {expected}");
    }
}

fn where_no_signal_is_left(harness: &Harness) {
    let mut renderer = harness.renderer();
    let mut state = small();
    (state.schedule.zero_terminal_snr, state.timestep) = (true, 999);
    harness.frame(&mut renderer, &Request::Plane(state.plane()));
    let status = renderer.look();
    assert_eq!(status.trouble, None);
    for (column, (quantity, determined)) in PREDICTIONS.into_iter().zip(status.determined).enumerate() {
        let says_nothing = matches!(quantity, Quantity::Epsilon | Quantity::Score);
        assert_eq!(determined, !says_nothing, "{quantity}");
        assert_eq!(renderer.find(ImageId::Recovered(column)).is_some(), determined);
    }
    state.timestep = 998;
    harness.frame(&mut renderer, &Request::Plane(state.plane()));
    assert!(renderer.look().determined.iter().all(|determined| *determined), "a timestep further there is some");
}

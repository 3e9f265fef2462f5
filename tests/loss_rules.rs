//! Weights that do not depend on what the loss is on, a delta that follows the timestep, and penalties at the ends of their range.

use crate::support::assert_within;
use std::f64::consts::{FRAC_2_PI, PI};
use tweedie::Quantity::{Epsilon, Flow, V, X0};
use tweedie::gpu::loss::Batch;
use tweedie::gpu::{Loss, Reduction};
use tweedie::math::{DeltaSchedule, LossInputs, Objective, Process, Schedule, Weight};
use tweedie::table::{LossRow, Penalty, Table};

/// A few roundings of f64.
const EXACT: f64 = 1e-14;

/// The recorded deltas are those of betas that were rounded to f32.
const OF_F32_BETAS: f64 = 1e-6;

/// diffusers' `compute_loss_weighting_for_sd3` at a few sigmas, as recorded.
#[test]
fn weights_of_flow_trainers() {
    let times = [0.001, 0.025975, 0.05095, 0.5005, 1.0];
    let schedule = Schedule::rectified_flow_times(&times).unwrap();
    let cosmap = [0.6378942851493097, 0.6705500040650898, 0.7047775357239972, 1.2732382714968915, FRAC_2_PI];
    let sigma_sqrt = [1e6, 1482.1388375029294, 385.2224804282903, 3.9920119840199773, 1.0];
    for (weight, expected) in [(Weight::Cosmap, cosmap), (Weight::SigmaSqrt, sigma_sqrt)] {
        // The weight is the same whatever the loss is on.
        for on in [Flow, X0, Epsilon] {
            let found = schedule.loss_weights(&weight, on).unwrap();
            for (found, expected) in found.iter().zip(expected) {
                assert_within(weight.name(), *found, expected, EXACT * expected);
            }
        }
    }
    // In the middle of the cosine map the weight is twice that of its ends: 4/pi.
    let middle = Schedule::rectified_flow_times(&[0.5]).unwrap();
    assert_within("middle", middle.loss_weight(0, &Weight::Cosmap, Flow).unwrap(), 4.0 / PI, EXACT);
    let clean = Schedule::rectified_flow_times(&[0.0, 1.0]).unwrap();
    assert!(clean.loss_weight(0, &Weight::SigmaSqrt, Flow).unwrap_err().to_string().contains("sigma-sqrt"));
    assert_eq!(Weight::CATALOGUE.find("sigma_sqrt").unwrap().build(&[]).unwrap(), Weight::SigmaSqrt);
    // On any other process the time follows from the ratio of noise to signal.
    let exploding = Schedule::variance_exploding(&[0.0, 1.0, 3.0]).unwrap();
    assert_eq!(exploding.loss_weight(2, &Weight::SigmaSqrt, X0), Ok(1.0 / (0.75 * 0.75)));
}

/// kohya's `huber_schedule` at timesteps 0, 10, 250, 700 and 999 of Stable Diffusion's schedule, with 0.1, as recorded.
#[test]
fn deltas_of_kohya() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap();
    let exponential = [1.0, 0.9772372209558107, 0.5623413251903491, 0.199526231496888, 0.10023052380779002];
    let snr = [0.9497098868526846, 0.8461181437350923, 0.41296356349744645, 0.14790566171981245, 0.10369129274625412];
    for (rule, expected) in [(DeltaSchedule::Exponential, exponential), (DeltaSchedule::Snr, snr)] {
        let deltas = schedule.deltas(rule, 0.1).unwrap();
        for (t, expected) in [0, 10, 250, 700, 999].into_iter().zip(expected) {
            assert_within("delta", deltas[t], expected, OF_F32_BETAS);
        }
    }
    assert_eq!(schedule.deltas(DeltaSchedule::Constant, 0.1).unwrap(), [0.1; 1000]);
    for delta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(schedule.deltas(DeltaSchedule::Snr, delta).unwrap_err().to_string().contains("delta"));
    }
    // On a flow the time takes the place of the fraction of the timesteps.
    let flow = Schedule::rectified_flow_times(&[0.0, 0.5, 1.0]).unwrap();
    assert_eq!(flow.process(), Process::Flow);
    assert_eq!(flow.deltas(DeltaSchedule::Exponential, 0.25), Ok(vec![1.0, 0.5, 0.25]));
}

/// Rows that are bent to one shared penalty give the losses and gradients of a penalty with each row's own delta.
#[test]
fn a_row_with_a_delta_of_its_own() {
    let schedule = Schedule::cosine(3).unwrap();
    let table = schedule.loss(&Objective::of(V).on(X0).weighted(Weight::Snr), LossInputs::CleanAndNoise).unwrap();
    let batch = Batch {
        timesteps: &[1],
        elements: 3,
        prediction: &[0.3, -2.0, 0.01],
        inputs: [&[0.1, 0.5, 0.0], &[1.0, -0.4, 0.02]],
    };
    let shapes: [fn(f64) -> Penalty; 3] = [
        |delta| Penalty::huber(delta).unwrap(),
        |delta| Penalty::smooth_l1(delta).unwrap(),
        |delta| Penalty::pseudo_huber(delta).unwrap(),
    ];
    for shape in shapes {
        for delta in [0.02, 0.7, 5.0] {
            let own = Loss::reference(&table, shape(delta), &batch, Reduction::Sum);
            let bent = Table::with_undefined(table.rows().iter().map(|row| (*row)?.under(shape(delta), shape(0.3))));
            let shared = Loss::reference(&bent, shape(0.3), &batch, Reduction::Sum);
            let pairs = own.samples.iter().zip(&shared.samples).chain(own.gradient.iter().zip(&shared.gradient));
            for (own, shared) in pairs {
                assert_within("bent", shared.value, own.value, EXACT * own.value.abs().max(1.0));
            }
        }
    }
    let row = LossRow { prediction: 1.0, inputs: [0.0, -1.0], weight: 1.0 };
    let huber = Penalty::huber(1.0).unwrap();
    for (own, shared) in [(Penalty::L1, huber), (huber, Penalty::MSE), (huber, Penalty::pseudo_huber(1.0).unwrap())] {
        assert_eq!(row.under(own, shared), None);
    }
}

#[test]
fn penalties_at_the_ends_of_their_range() {
    let bent = [Penalty::huber(0.5), Penalty::smooth_l1(0.5), Penalty::pseudo_huber(0.5)].map(Result::unwrap);
    for penalty in [Penalty::MSE, Penalty::L1].into_iter().chain(bent) {
        for d in [f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(penalty.cost(d), f64::INFINITY, "{penalty:?}");
        }
        assert!(penalty.cost(f64::NAN).is_nan());
    }
    for penalty in [Penalty::L1, bent[1], bent[2]] {
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY].map(|d| penalty.slope(d)), [1.0, -1.0], "{penalty:?}");
    }
    assert_eq!(Penalty::MSE.slope(f64::INFINITY), f64::INFINITY);
    // A bend narrower than the normal numbers of f32 is none.
    for delta in [1e-46, 4e-39, 1e-310] {
        assert_eq!(Penalty::smooth_l1(delta), Ok(Penalty::L1));
        assert_eq!(Penalty::pseudo_huber(delta), Ok(Penalty::L1));
    }
    assert!(Penalty::smooth_l1(2e-38).is_ok_and(|penalty| penalty != Penalty::L1));
}

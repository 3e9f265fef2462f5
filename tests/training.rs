//! Losses, weights and the variational bound: what is equivalent, what is finite, and what is refused.

use crate::support::assert_within;
use proptest::prelude::*;
use tweedie::Quantity;
use tweedie::Quantity::{Edm, Epsilon, Flow, Score, V, X0, Xt};
use tweedie::error::LossError;
use tweedie::gpu::Loss;
use tweedie::gpu::Reduction;
use tweedie::gpu::loss::{Batch, Losses};
use tweedie::math::{Gaussian, LossInputs, ModelVariance, Objective, Schedule, SigmaData, Vlb, Weight};
use tweedie::noise::NoiseKey;
use tweedie::noise::Perturbation;
use tweedie::table::{LossRow, Penalty, Table};

/// A weight is a product of a few rounded coefficients and the loss a mean of squares of them: tens of half-ulps, more
/// where a quantity is nearly parallel to `x_t` (1e-5 away in these schedules).
const EQUIVALENT: f64 = 1e-11;

const ELEMENTS: usize = 6;

/// The log probability of an 8-bit value's bin.
fn bin(x: f64, mean: f64, log_scale: f64) -> f64 {
    Gaussian { mean, log_variance: 2.0 * log_scale }.discretized_log_likelihood(x)
}

fn schedules() -> Vec<Schedule> {
    let linear = Schedule::linear(60, 1e-4, 0.02).unwrap();
    vec![
        linear.zero_terminal_snr().unwrap(),
        linear,
        Schedule::linear_scaled(60, 1e-4, 0.02).unwrap(),
        Schedule::scaled_linear(60, 0.00085, 0.012).unwrap(),
        Schedule::cosine(60).unwrap(),
        Schedule::cosine(60).unwrap().zero_terminal_snr().unwrap(),
        Schedule::sigmoid(60, 1e-4, 0.02).unwrap(),
        Schedule::sigmoid_abar(60, -3.0, 3.0, 1.0).unwrap(),
        Schedule::laplace(60).unwrap(),
        Schedule::laplace_paper(60).unwrap(),
        Schedule::rectified_flow(60).unwrap(),
        Schedule::edm(60, 0.002, 80.0, 7.0).unwrap(),
    ]
}

const PREDICTIONS: [Quantity; 6] = [X0, Epsilon, V, Score, Flow, Edm(SigmaData::KARRAS)];

/// Weights that are finite on x0, epsilon, v, flow and EDM's output at both ends of the signal-to-noise ratio.
fn bounded() -> Vec<Weight> {
    vec![
        Weight::None,
        Weight::MinSnr { gamma: 5.0 },
        Weight::SoftMinSnr { gamma: 4.0 },
        Weight::Sigmoid { bias: -1.0 },
        Weight::P2 { k: 1.0, gamma: 1.0 },
    ]
}

/// A batch with a sample for every timestep.
struct Data {
    timesteps: Vec<u32>,
    prediction: Vec<f64>,
    x0: Vec<f64>,
    eps: Vec<f64>,
}

impl Data {
    fn of(schedule: &Schedule) -> Self {
        let batch = schedule.len();
        let normals = |seed| NoiseKey::seed(seed).reference(batch, ELEMENTS);
        let timesteps = (0..batch as u32).collect();
        Self { timesteps, prediction: normals(1), x0: normals(2), eps: normals(3) }
    }

    fn losses(&self, table: &Table<LossRow>, penalty: Penalty, inputs: [&[f64]; 2]) -> Losses {
        let Self { timesteps, prediction, .. } = self;
        Loss::reference(table, penalty, &Batch { timesteps, elements: ELEMENTS, prediction, inputs }, Reduction::Sum)
    }

    fn pair(&self, table: &Table<LossRow>) -> Losses {
        self.losses(table, Penalty::MSE, [&self.x0, &self.eps])
    }

    /// `a*x0 + b*eps` with the row of each sample's timestep; NaN where there is none.
    fn mix(&self, schedule: &Schedule, quantity: Quantity) -> Vec<f64> {
        let row = |i: usize| quantity.row(schedule.levels()[i / ELEMENTS]).unwrap_or([f64::NAN; 2]);
        let element = |i: usize| row(i)[0] * self.x0[i] + row(i)[1] * self.eps[i];
        (0..self.x0.len()).map(element).collect()
    }
}

/// Checks that two losses of the same samples are equal where both are finite.
fn assert_equal(what: &str, a: &Losses, b: &Losses) {
    let mut compared = 0;
    for (a, b) in a.samples.iter().chain(&a.gradient).zip(b.samples.iter().chain(&b.gradient)) {
        if a.value.is_finite() && b.value.is_finite() {
            assert_within(what, a.value, b.value, EQUIVALENT * a.magnitude.max(b.magnitude));
            compared += 1;
        }
    }
    assert!(compared >= ELEMENTS * 30, "{what}: only {compared} compared");
}

fn fails(check: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
}

#[test]
fn an_epsilon_loss_is_snr_times_an_x0_loss_and_a_v_loss_snr_plus_one() {
    for schedule in schedules().into_iter().filter(|schedule| schedule.betas().is_some()) {
        let data = Data::of(&schedule);
        let snr = schedule.snr();
        let table = |of: fn(f64) -> f64| Weight::Table(snr.iter().map(|&snr| of(snr)).collect());
        for predicts in PREDICTIONS {
            let loss = |on, weight: Weight| {
                let objective = Objective::of(predicts).on(on).weighted(weight);
                data.pair(&schedule.loss_where_defined(&objective, LossInputs::CleanAndNoise).unwrap())
            };
            let what = format!("a network that predicts {predicts}");
            let epsilon = loss(Epsilon, Weight::None);
            assert_equal(&what, &epsilon, &loss(X0, table(|snr| snr)));
            assert_equal(&what, &epsilon, &loss(X0, Weight::Snr));
            assert_equal(&what, &loss(V, Weight::None), &loss(X0, table(|snr| snr + 1.0)));
            if snr.iter().all(|snr| *snr > 0.0) {
                assert_equal(&what, &loss(V, Weight::None), &loss(Epsilon, table(|snr| (snr + 1.0) / snr)));
            }
            assert!(fails(|| assert_equal(&what, &epsilon, &loss(X0, table(|snr| snr * (1.0 + 1e-9))))));
        }
    }
}

#[test]
fn a_weight_is_the_same_whatever_the_loss_is_on() {
    for schedule in schedules() {
        let data = Data::of(&schedule);
        let weights = [
            Weight::Snr,
            Weight::MinSnr { gamma: 5.0 },
            Weight::SoftMinSnr { gamma: 4.0 },
            Weight::MaxSnr { gamma: 1.0 },
            Weight::P2 { k: 1.0, gamma: 0.5 },
            Weight::Edm(SigmaData::KARRAS),
            Weight::Sid2 { bias: -1.0 },
        ];
        for weight in weights {
            let of = |predicts, on| {
                let objective = Objective::of(predicts).on(on).weighted(weight.clone());
                data.pair(&schedule.loss_where_defined(&objective, LossInputs::CleanAndNoise).unwrap())
            };
            for predicts in [Epsilon, V] {
                let on_v = of(predicts, V);
                for on in PREDICTIONS {
                    assert_equal(&format!("{} of {on} from {predicts}", weight.name()), &on_v, &of(predicts, on));
                }
            }
        }
    }
}

#[test]
fn a_target_at_hand_gives_what_the_pair_gives() {
    for schedule in schedules() {
        let data = Data::of(&schedule);
        let x_t = data.mix(&schedule, Xt);
        for predicts in PREDICTIONS {
            for on in PREDICTIONS {
                let objective = Objective::of(predicts).on(on);
                let rows = |given| schedule.loss_where_defined(&objective, given).unwrap();
                let target = data.mix(&schedule, on);
                let given = data.losses(&rows(LossInputs::NoisyAndTarget), Penalty::MSE, [&x_t, &target]);
                assert_equal(&format!("{on} from {predicts}"), &given, &data.pair(&rows(LossInputs::CleanAndNoise)));
            }
        }
    }
}

#[test]
fn a_target_of_what_is_predicted_needs_no_noisy_sample() {
    let schedule = Schedule::cosine(60).unwrap();
    let data = Data::of(&schedule);
    let table = schedule.loss(&Objective::of(V), LossInputs::NoisyAndTarget).unwrap();
    let found = data.losses(&table, Penalty::MSE, [&[], &data.mix(&schedule, V)]);
    assert!(found.mean.value.is_finite());
    let converted = schedule.loss(&Objective::of(V).on(X0), LossInputs::NoisyAndTarget).unwrap();
    assert!(data.losses(&converted, Penalty::MSE, [&[], &data.x0]).mean.value.is_nan());
}

fn penalties() -> Vec<Penalty> {
    let mut all = vec![Penalty::MSE, Penalty::L1];
    for delta in [1e-3, 0.3, 1.0, 40.0] {
        all.push(Penalty::huber(delta).unwrap());
        all.push(Penalty::smooth_l1(delta).unwrap());
        all.push(Penalty::pseudo_huber(delta).unwrap());
    }
    all
}

/// A central difference over 2e-6 is off by 1e-12 of the third derivative and by the rounding of the loss over 1e-6.
#[test]
fn the_gradient_is_the_derivative() {
    const STEP: f64 = 1e-6;
    const DIFFERENCE: f64 = 1e-7;
    let schedule = Schedule::cosine(6).unwrap();
    let data = Data::of(&schedule);
    let objective = Objective::of(Epsilon).on(V).weighted(Weight::MinSnr { gamma: 5.0 });
    let table = schedule.loss(&objective, LossInputs::CleanAndNoise).unwrap();
    for penalty in penalties() {
        for of in [Reduction::Sum, Reduction::Mean] {
            let value = |i: usize, step: f64| {
                let mut prediction = data.prediction.clone();
                prediction[i] += step;
                let (timesteps, inputs) = (&data.timesteps[..], [&data.x0[..], &data.eps[..]]);
                Loss::reference(
                    &table,
                    penalty,
                    &Batch { timesteps, elements: ELEMENTS, prediction: &prediction, inputs },
                    of,
                )
            };
            let scalar = |losses: &Losses| match of {
                Reduction::Sum => losses.samples.iter().map(|loss| loss.value).sum::<f64>(),
                Reduction::Mean => losses.mean.value,
            };
            for (i, found) in value(0, 0.0).gradient.iter().enumerate() {
                let slope = (scalar(&value(i, STEP)) - scalar(&value(i, -STEP))) / (2.0 * STEP);
                assert_within(&format!("{penalty:?} {of:?}"), found.value, slope, DIFFERENCE);
            }
        }
    }
}

#[test]
fn penalties_meet_at_their_ends() {
    for d in [-3.0, -0.25, 0.0, 1e-9, 2.0] {
        let huber = |delta| Penalty::huber(delta).unwrap();
        assert_eq!(huber(10.0).cost(d), 0.5 * Penalty::MSE.cost(d));
        assert_eq!(Penalty::smooth_l1(0.5).unwrap().cost(d), 2.0 * huber(0.5).cost(d));
        assert_eq!((Penalty::MSE.cost(d), Penalty::MSE.slope(d)), (d * d, 2.0 * d));
        assert_eq!(Penalty::L1.cost(d), d.abs());
    }
    assert_eq!((Penalty::L1.slope(0.0), Penalty::L1.slope(-1e-300)), (0.0, -1.0));
    assert_eq!(Penalty::smooth_l1(0.0), Ok(Penalty::L1));
    assert_eq!(Penalty::pseudo_huber(0.0), Ok(Penalty::L1));
    let told = |result: Result<Penalty, _>| result.map_err(|error| format!("{error}")).unwrap_err();
    assert_eq!(told(Penalty::huber(0.0)), "delta must be finite and above 0, found 0");
    assert_eq!(told(Penalty::smooth_l1(-1.0)), "beta must be finite and at least 0, found -1");
    assert_eq!(told(Penalty::pseudo_huber(f64::NAN)), "c must be finite and at least 0, found NaN");
}

#[test]
fn bounded_weights_are_finite_on_every_schedule() {
    let ends = Schedule::from_betas(&[0.0, 1e-18, 0.5, 1.0, 0.3]).unwrap(); // snr from infinity to 0
    for schedule in schedules().into_iter().chain([ends]) {
        for weight in bounded() {
            for on in [X0, Epsilon, V, Flow, Edm(SigmaData::KARRAS)] {
                let weights = schedule.loss_weights(&weight, on).unwrap();
                assert!(weights.iter().all(|w| w.is_finite() && *w >= 0.0), "{} on {on}", weight.name());
            }
        }
        for weight in [Weight::Snr, Weight::MaxSnr { gamma: 1.0 }, Weight::Edm(SigmaData::KARRAS)] {
            assert!(schedule.loss_weights(&weight, V).is_ok(), "{} on v", weight.name());
        }
    }
}

#[test]
fn limits_at_both_ends() {
    let schedule = Schedule::from_alphas_cumprod(&[1.0, 0.5, 0.0]).unwrap();
    let ends = |weight: Weight, on| [0, 2].map(|t| schedule.loss_weight(t, &weight, on).ok());
    let some = |a: f64, b: f64| [Some(a), Some(b)];
    let min = Weight::MinSnr { gamma: 5.0 };
    assert_eq!(ends(min.clone(), X0), some(5.0, 0.0));
    assert_eq!(ends(min.clone(), Epsilon), some(0.0, 1.0));
    assert_eq!(ends(min, V), some(0.0, 0.0));
    let soft = Weight::SoftMinSnr { gamma: 4.0 };
    assert_eq!(ends(soft.clone(), X0), some(4.0, 0.0));
    assert_eq!(ends(soft, Epsilon), some(0.0, 1.0));
    let p2 = |gamma| Weight::P2 { k: 1.0, gamma };
    assert_eq!(ends(p2(1.0), X0), some(1.0, 0.0));
    assert_eq!(ends(p2(2.0), X0), some(0.0, 0.0));
    assert_eq!(ends(p2(0.5), X0), [None, Some(0.0)]);
    assert_eq!(ends(p2(0.5), Epsilon), some(0.0, 1.0));
    assert_eq!(ends(Weight::P2 { k: 0.0, gamma: 0.5 }, Epsilon), [Some(0.0), None]);
    assert_eq!(ends(Weight::P2 { k: 0.0, gamma: 0.5 }, V), some(0.0, 0.0));
    assert_eq!(ends(Weight::P2 { k: 0.0, gamma: 0.0 }, Epsilon), some(1.0, 1.0));
    assert_eq!(ends(Weight::MaxSnr { gamma: 1.0 }, X0), [None, Some(1.0)]);
    assert_eq!(ends(Weight::MaxSnr { gamma: 1.0 }, Epsilon), [Some(1.0), None]);
    assert_eq!(ends(Weight::Edm(SigmaData::KARRAS), V), some(1.0, 4.0));
    assert_eq!(ends(Weight::Sid2 { bias: 0.0 }, V), some(0.0, 0.0));
    assert_eq!(ends(Weight::Sid2 { bias: 0.0 }, Epsilon), [Some(0.0), None]);
}

#[test]
fn edm_weighs_v_alike_and_sigmoid_is_a_soft_minimum() {
    for schedule in schedules().into_iter().filter(|schedule| schedule.betas().is_some()) {
        let weights = |weight: Weight, on| schedule.loss_weights(&weight, on).unwrap();
        let unit = weights(Weight::Edm(SigmaData::new(1.0).unwrap()), V);
        let edm = weights(Weight::Edm(SigmaData::KARRAS), Edm(SigmaData::KARRAS));
        let bias = 1.5f64;
        let soft = weights(Weight::SoftMinSnr { gamma: bias.exp() }, Epsilon);
        let sigmoid = schedule.log_snr().into_iter().map(|log_snr| 1.0 / (1.0 + (log_snr - bias).exp()));
        assert_eq!(weights(Weight::Sigmoid { bias }, Epsilon), soft);
        for (((unit, edm), soft), sigmoid) in unit.into_iter().zip(edm).zip(soft).zip(sigmoid) {
            assert_within("edm on v", unit, 1.0, EQUIVALENT);
            assert_within("edm on its own output", edm, 1.0, EQUIVALENT);
            assert_within("sigmoid on epsilon", soft, sigmoid, EQUIVALENT);
        }
    }
}

/// Rectified flow has `ln snr = 2 ln((1-t)/t)`, whose derivative is `-2/(t(1-t))`; central differences over 1/1000 are
/// off by 1e-6 of the third derivative, which here is at most 100 times the first.
#[test]
fn sid2_weighs_log_snrs() {
    let schedule = Schedule::rectified_flow(1000).unwrap();
    for t in 100..900 {
        let time = (t + 1) as f64 / 1000.0;
        let speed = 2.0 / (time * (1.0 - time));
        assert_within("speed", schedule.log_snr_speed(t).unwrap(), speed, 1e-4 * speed);
        let [sid2, sigmoid] = [Weight::Sid2 { bias: -1.0 }, Weight::Sigmoid { bias: -1.0 }]
            .map(|weight| schedule.loss_weight(t, &weight, X0).unwrap());
        assert_within("sid2", sid2, sigmoid * schedule.log_snr_speed(t).unwrap(), EQUIVALENT * sid2);
    }
    assert_eq!(schedule.log_snr_speed(999), Ok(f64::INFINITY));
    assert!(schedule.log_snr_speed(998).unwrap().is_finite());
    assert!(schedule.log_snr_speed(1000).is_err());
    assert_eq!(Schedule::cosine(1).unwrap().log_snr_speed(0), Ok(0.0));
}

#[test]
fn what_has_no_loss_is_named() {
    let schedule = Schedule::cosine(10).unwrap().zero_terminal_snr().unwrap();
    let told = |objective: Objective| schedule.loss(&objective, LossInputs::CleanAndNoise).unwrap_err().to_string();
    assert_eq!(
        told(Objective::of(Epsilon).on(X0)),
        "epsilon does not determine x0 at timestep 9, where alpha = 0 (zero terminal SNR)"
    );
    assert!(told(Objective::of(V).on(Epsilon).weighted(Weight::MaxSnr { gamma: 1.0 })).contains("at timestep 9"));
    assert_eq!(schedule.loss(&Objective::of(Xt), LossInputs::CleanAndNoise), Err(LossError::Observation));
    assert_eq!(schedule.loss(&Objective::of(V).on(Xt), LossInputs::NoisyAndTarget), Err(LossError::Observation));
    let holes = schedule.loss_where_defined(&Objective::of(Epsilon).on(X0), LossInputs::CleanAndNoise).unwrap();
    assert_eq!((holes.len(), holes.first_undefined()), (10, Some(9)));
    let wrong = Objective::of(V).weighted(Weight::MinSnr { gamma: -1.0 });
    assert!(schedule.loss_where_defined(&wrong, LossInputs::CleanAndNoise).is_err(), "a wrong parameter is no hole");
    // Losses that exist on this schedule are still made.
    assert!(schedule.loss(&Objective::of(V).on(X0), LossInputs::CleanAndNoise).is_ok());
    let clean = Schedule::from_betas(&[0.0, 0.5]).unwrap();
    assert!(clean.loss(&Objective::of(Score), LossInputs::CleanAndNoise).unwrap_err().to_string().contains("score"));
}

#[test]
fn tables_and_parameters_are_checked() {
    let schedule = Schedule::cosine(3).unwrap();
    let weights = |weight: Weight| schedule.loss_weights(&weight, X0);
    assert_eq!(weights(Weight::Table(vec![1.0, 0.0, 2.5])), Ok(vec![1.0, 0.0, 2.5]));
    assert_eq!(weights(Weight::Table(vec![1.0])), Err(LossError::Length { expected: 3, found: 1 }));
    let negative = weights(Weight::Table(vec![1.0, -2.0, 1.0])).unwrap_err();
    assert_eq!(negative.to_string(), "a weight must be finite and at least 0, found -2 at timestep 1");
    let told = weights(Weight::MinSnr { gamma: 0.0 }).unwrap_err().to_string();
    assert_eq!(told, "the weight min-snr: gamma must be finite and above 0, found 0");
    for wrong in [
        Weight::P2 { k: -1.0, gamma: 1.0 },
        Weight::P2 { k: 1.0, gamma: f64::NAN },
        Weight::MaxSnr { gamma: f64::INFINITY },
        Weight::Sigmoid { bias: 1e4 },
        Weight::Sid2 { bias: f64::NAN },
    ] {
        assert!(matches!(weights(wrong), Err(LossError::Parameter { .. })));
    }
    assert!(schedule.loss_weight(3, &Weight::None, X0).unwrap_err().to_string().contains("timestep 3 is out of range"));
}

#[test]
fn a_perturbed_input_leaves_the_target_alone() {
    let key = NoiseKey::seed(5);
    let noise = |offset, input| Perturbation { offset, input }.noise(key, 3, 2, 5);
    let (white, offset, input) = (noise(0.0, 0.0), noise(0.5, 0.0), noise(0.0, 0.25));
    assert_eq!(white.target, key.first_sample(3).reference(1, 10));
    assert_eq!(white.target, white.input);
    assert_eq!(input.target, white.target);
    assert_ne!(input.input, white.input);
    assert_eq!(offset.target, offset.input);
    let shifts: Vec<f64> = offset.target.iter().zip(&white.target).map(|(a, b)| a - b).collect();
    for (i, shift) in shifts.iter().enumerate() {
        assert_within("one offset a channel", *shift, shifts[i / 5 * 5], 4.0 * f64::EPSILON);
    }
    assert!((shifts[0] - shifts[5]).abs() > 1e-3, "channels share an offset");
    assert!(Perturbation::default().noise(key, 0, 0, 7).target.is_empty());
    assert!(Perturbation::default().noise(key, 0, 7, 0).target.is_empty());
}

/// The 256 bins cover the whole distribution.
#[test]
fn the_bins_of_the_decoder_sum_to_one() {
    for (mean, log_scale) in [(0.0, -1.0), (0.3, -3.0), (-0.99, -2.0), (0.9, 0.5), (0.1, -5.0)] {
        let probability = |i: i32| bin(f64::from(i) / 127.5 - 1.0, mean, log_scale).exp();
        // Bins that count as 1e-12 add at most 256 of that.
        assert_within("sum", (0..256).map(probability).sum(), 1.0, 3e-10);
    }
}

#[test]
fn the_prior_of_pure_noise_costs_nothing() {
    let schedule = Schedule::cosine(10).unwrap().zero_terminal_snr().unwrap();
    let bound = Vlb::new(&schedule, V, ModelVariance::FixedSmall, None).unwrap();
    assert_eq!(bound.prior(&[0.7, -1.0]), [0.0, 0.0]);
    // A network that is right about x0 pays for the decoder alone.
    let x0 = [0.5, -0.5, 0.0];
    let zeros = |_: usize| vec![0.0; 3];
    let levels = schedule.levels().to_vec();
    let perfect = |t: usize, _: &[f64]| [x0.map(|x| -levels[t].sigma() * x).to_vec(), vec![]];
    let chain = bound.chain(&x0, zeros, perfect).unwrap();
    assert!(chain.terms[1..].iter().chain(&chain.x0_mse).all(|term| term.abs() < 1e-12), "{chain:?}");
    assert_eq!(chain.total, chain.terms.iter().sum::<f64>() + chain.prior);
}

#[test]
fn the_bound_says_what_is_missing() {
    let schedule = Schedule::cosine(10).unwrap().zero_terminal_snr().unwrap();
    let bound = Vlb::new(&schedule, Epsilon, ModelVariance::LearnedRange, Some(f64::NAN)).unwrap();
    let told = |t, prediction: &[f64], learned: &[f64]| {
        bound.term(t, &[0.0; 2], &[0.0; 2], prediction, learned).unwrap_err().to_string()
    };
    assert_eq!(told(1, &[0.0], &[0.0; 2]), "prediction: expected 2 elements, as many as x0 has, found 1");
    assert_eq!(told(1, &[0.0; 2], &[]), "learned: expected 2 elements, as many as x0 has, found 0");
    assert!(told(9, &[0.0; 2], &[0.0; 2]).contains("epsilon does not determine x0 at timestep 9"));
    assert!(told(10, &[0.0; 2], &[0.0; 2]).contains("out of range"));
    assert!(bound.term(8, &[0.0; 2], &[0.0; 2], &[0.0; 2], &[0.0; 2]).is_ok());
    assert!(Vlb::new(&Schedule::rectified_flow(4).unwrap(), V, ModelVariance::FixedLarge, None).is_err());
}

fn any_weight() -> impl Strategy<Value = Weight> {
    let number = || prop_oneof![any::<f64>(), -10.0..10.0];
    prop_oneof![
        Just(Weight::None),
        Just(Weight::Snr),
        number().prop_map(|gamma| Weight::MinSnr { gamma }),
        number().prop_map(|gamma| Weight::SoftMinSnr { gamma }),
        number().prop_map(|gamma| Weight::MaxSnr { gamma }),
        (number(), number()).prop_map(|(k, gamma)| Weight::P2 { k, gamma }),
        number().prop_map(|bias| Weight::Sigmoid { bias }),
        number().prop_map(|bias| Weight::Sid2 { bias }),
        prop::collection::vec(number(), 0..4).prop_map(Weight::Table),
    ]
}

proptest! {
    #[test]
    fn a_weight_is_finite_or_an_error(
        weight in any_weight(),
        betas in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0, 0.0..1e-20], 1..4),
        on in prop::sample::select(Quantity::ALL.to_vec()),
        predicts in prop::sample::select(Quantity::ALL.to_vec()),
    ) {
        let schedule = Schedule::from_betas(&betas).unwrap();
        for t in 0..=betas.len() {
            if let Ok(weight) = schedule.loss_weight(t, &weight, on) {
                prop_assert!(weight.is_finite() && weight >= 0.0);
            }
            let objective = Objective::of(predicts).on(on).weighted(weight.clone());
            for given in [LossInputs::CleanAndNoise, LossInputs::NoisyAndTarget] {
                if let Ok(LossRow { prediction, inputs: [a, b], weight }) = schedule.loss_row(t, &objective, given) {
                    prop_assert!([prediction, a, b, weight].iter().all(|c| c.is_finite()));
                }
            }
        }
    }

    #[test]
    fn a_penalty_is_never_negative_and_its_slope_has_the_sign_of_the_error(
        delta in prop_oneof![any::<f64>(), 0.0..10.0],
        d in prop_oneof![any::<f64>(), -10.0..10.0],
    ) {
        for penalty in [Penalty::huber(delta), Penalty::smooth_l1(delta), Penalty::pseudo_huber(delta)].into_iter().flatten() {
            let (cost, slope) = (penalty.cost(d), penalty.slope(d));
            if d.is_finite() {
                prop_assert!(cost >= 0.0 && slope * d >= 0.0, "{penalty:?} {d}: {cost} {slope}");
            }
        }
    }

    #[test]
    fn a_likelihood_is_a_number(
        x in -1.0..1.0f64, mean in any::<f64>(), log_scale in any::<f64>(), other in any::<f64>(),
    ) {
        let found = bin(x, mean, log_scale);
        let finite = mean.is_finite() && log_scale.is_finite();
        prop_assert!((found.is_nan() && !finite) || (-27.7..=0.0).contains(&found), "{found}");
        let (first, second) = (Gaussian { mean, log_variance: log_scale }, Gaussian { mean: other, log_variance: x });
        let kl = first.kl(second);
        prop_assert!(kl.is_nan() || kl >= -1e-9 * (1.0 + log_scale.abs()), "{kl}");
    }
}

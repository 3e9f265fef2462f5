//! What must hold whatever the numbers: all pairs there and back on every schedule, and the posterior's own identities.

use crate::support::assert_within;
use proptest::prelude::*;
use tweedie::error::{ScheduleError, Undefined};
use tweedie::math::Quantity::{Edm, Epsilon, Flow, RisingFlow, Score, TrigFlow, V, X0, Xt};
use tweedie::math::{NoiseLevel, Posterior, Quantity, Schedule, solve};

/// Coefficients are quotients of differences of products: a few roundings each, twice in a there-and-back. 16 half-ulps
/// of the summed magnitudes leave a factor of about two.
const THERE_AND_BACK: f64 = 16.0 * f64::EPSILON / 2.0;

/// An identity of the posterior adds three table entries of at most six roundings each.
const POSTERIOR: f64 = 32.0 * f64::EPSILON / 2.0;

/// As above between plain levels of a variance-preserving chain: each level is rounded, and a level's rounding weighs
/// `1/(1 - p)` in the posterior between two. Adjacent timesteps here have `1 - p` above 1e-3.
const LEVELS: f64 = 1e3 * POSTERIOR;

fn schedules() -> Vec<Schedule> {
    let linear = Schedule::linear(100, 1e-4, 0.02).unwrap();
    vec![
        linear.zero_terminal_snr().unwrap(),
        linear,
        Schedule::linear_scaled(100, 1e-4, 0.02).unwrap(),
        Schedule::scaled_linear(100, 0.00085, 0.012).unwrap(),
        Schedule::cosine(100).unwrap(),
        Schedule::sigmoid(100, 1e-4, 0.02).unwrap(),
        Schedule::sigmoid_abar(100, -3.0, 3.0, 1.0).unwrap(),
        Schedule::laplace(100).unwrap(),
        Schedule::laplace_paper(100).unwrap(),
        Schedule::from_betas(&[0.0, 1e-30, 1e-18, 1e-9, 0.5, 0.999999999, 1.0, 0.3]).unwrap(),
        Schedule::from_alphas_cumprod(&[1.0, 0.5, 0.7, 0.7, 1e-300, 0.0, 0.0, 0.2]).unwrap(),
        Schedule::edm(40, 0.002, 80.0, 7.0).unwrap(),
        Schedule::variance_exploding(&[0.0, 1e-12, 1e12]).unwrap(),
        Schedule::rectified_flow(100).unwrap(),
        Schedule::rectified_flow_times(&[0.0, 1e-15, 0.5, 1.0 - 1e-15, 1.0]).unwrap(),
        Schedule::from_levels(&[NoiseLevel::new(3.0, 0.25).unwrap(), NoiseLevel::new(0.0, 7.0).unwrap()]).unwrap(),
    ]
}

fn levels() -> impl Iterator<Item = NoiseLevel> {
    schedules().into_iter().flat_map(|schedule| schedule.levels().to_vec())
}

fn pairs() -> impl Iterator<Item = (Quantity, Quantity)> {
    let each = |given| Quantity::ALL.into_iter().map(move |wanted| (given, wanted));
    Quantity::ALL.into_iter().flat_map(each)
}

#[test]
fn every_solve_reproduces_the_wanted_row() {
    for level in levels() {
        for (given, wanted) in pairs() {
            let Ok([c0, c1]) = solve(level, given, wanted) else {
                continue;
            };
            if given == wanted || wanted == Xt {
                continue; // trivial, and the score itself has no row at sigma = 0
            }
            let [x, p, w] = [Xt, given, wanted].map(|quantity| quantity.row(level).unwrap());
            for side in 0..2 {
                let terms = (c0 * x[side]).abs() + (c1 * p[side]).abs();
                let what = format!("{given} to {wanted} at {level:?}");
                assert_within(&what, c0 * x[side] + c1 * p[side], w[side], THERE_AND_BACK * terms);
            }
        }
    }
}

#[test]
fn all_pairs_there_and_back() {
    for level in levels() {
        for (given, wanted) in pairs() {
            let there = solve(level, given, wanted);
            let back = solve(level, wanted, given);
            let (Ok([c0, c1]), Ok([d0, d1])) = (there, back) else {
                continue;
            };
            if wanted == Xt || given == Xt {
                continue; // the observation says nothing about the rest
            }
            let what = format!("{given} to {wanted} and back at {level:?}");
            if c1 != 0.0 && d1 != 0.0 {
                assert_within(&what, d1 * c1, 1.0, THERE_AND_BACK);
                assert_within(&what, d0 + d1 * c0, 0.0, THERE_AND_BACK * (d0.abs() + (d1 * c0).abs()));
            }
        }
    }
}

/// Whether x_t and `given` have parallel rows that `wanted` is not parallel to.
fn blind(level: NoiseLevel, given: Quantity, wanted: Quantity) -> bool {
    let (no_signal, no_noise) = (level.alpha() == 0.0, level.sigma() == 0.0);
    match given {
        Xt if no_signal => !matches!(wanted, Epsilon | Score),
        Xt if no_noise => wanted != X0,
        Xt => true,
        X0 => no_noise,
        Epsilon | Score => no_signal && !matches!(wanted, Epsilon | Score),
        V | Flow | RisingFlow | Edm(_) | TrigFlow(_) => false,
    }
}

#[test]
fn exactly_the_singular_ends_are_undefined() {
    for level in levels() {
        for (given, wanted) in pairs() {
            let no_score = (given == Score || wanted == Score) && level.sigma() == 0.0;
            let trivial = given == wanted || wanted == Xt;
            let expected = trivial || !no_score && !blind(level, given, wanted);
            let found = solve(level, given, wanted);
            assert_eq!(found.is_ok(), expected, "{given} to {wanted} at {level:?}: {found:?}");
        }
    }
}

#[test]
fn known_forms() {
    let level = NoiseLevel::new(0.8, 0.6).unwrap();
    let check = |given, wanted, expected: [f64; 2]| {
        let found = solve(level, given, wanted).unwrap();
        for (f, e) in found.into_iter().zip(expected) {
            assert_within(&format!("{given} to {wanted}"), f, e, THERE_AND_BACK);
        }
    };
    check(Epsilon, X0, [1.0 / 0.8, -0.6 / 0.8]);
    check(X0, Epsilon, [1.0 / 0.6, -0.8 / 0.6]);
    check(V, X0, [0.8, -0.6]);
    check(V, Epsilon, [0.6, 0.8]);
    check(Score, Epsilon, [0.0, -0.6]);
    check(Score, X0, [1.0 / 0.8, 0.36 / 0.8]);
    check(Flow, X0, [1.0 / 1.4, -0.6 / 1.4]);
    check(Epsilon, Flow, [-1.0 / 0.8, 1.4 / 0.8]);
}

#[test]
fn the_singular_ends() {
    let noise = NoiseLevel::new(0.0, 1.0).unwrap();
    let undefined = |level, given, wanted| solve(level, given, wanted).unwrap_err().to_string();
    assert_eq!(undefined(noise, Epsilon, X0), "epsilon does not determine x0 where alpha = 0 (zero terminal SNR)");
    assert_eq!(undefined(NoiseLevel::CLEAN, X0, Epsilon), "x0 does not determine epsilon where sigma = 0 (no noise)");
    assert_eq!(solve(noise, V, X0), Ok([0.0, -1.0]));
    assert_eq!(solve(noise, V, Epsilon), Ok([1.0, 0.0]));
    assert_eq!(solve(noise, X0, Epsilon), Ok([1.0, 0.0]));
    assert_eq!(solve(noise, Score, Epsilon), Ok([0.0, -1.0]));
    assert_eq!(solve(noise, Epsilon, Score), Ok([0.0, -1.0]));
    assert_eq!(solve(NoiseLevel::CLEAN, V, Epsilon), Ok([0.0, 1.0]));
    assert_eq!(solve(NoiseLevel::CLEAN, Epsilon, X0), Ok([1.0, 0.0]));
    // The prediction is the observation itself.
    assert_eq!(solve(NoiseLevel::CLEAN, Xt, X0), Ok([0.0, 1.0]));
    let error: Undefined = Score.row(NoiseLevel::CLEAN).unwrap_err();
    assert_eq!(error.at(3).to_string(), "score does not exist at timestep 3, where sigma = 0 (no noise)");
    let faint = NoiseLevel::new(5e-324, 1.0).unwrap();
    assert_eq!(undefined(faint, Epsilon, X0), "epsilon does not determine x0 where alpha = 5e-324, sigma = 1");
}

/// Checks that the posterior implies the schedule's marginal of x_s: `alpha_s` in its mean, `sigma_s^2` as its whole variance.
fn assert_consistent(what: &str, posterior: Posterior, t: [f64; 3], s: [f64; 3], limit: f64) {
    let Posterior { coef_x0, coef_xt, variance } = posterior;
    assert!(coef_x0 >= 0.0 && coef_xt >= 0.0 && variance >= 0.0, "{what}: {posterior:?}");
    assert_within(what, coef_x0 + coef_xt * t[0], s[0], limit * s[0].max(coef_xt * t[0]));
    assert_within(what, variance + coef_xt * coef_xt * t[2], s[2], limit * s[2]);
}

#[test]
fn every_posterior_implies_the_marginal() {
    for schedule in schedules() {
        let noise = schedule.one_minus_alphas_cumprod();
        let vp = schedule.betas().is_some();
        let at = |t: usize| {
            let level = schedule.levels()[t];
            let square = if vp { noise[t] } else { level.sigma() * level.sigma() };
            [level.alpha(), level.sigma(), square]
        };
        for t in 0..schedule.len() {
            for s in 0..t {
                let what = format!("{t} to {s} of {:?}", schedule.betas().map(|b| b[0]));
                match schedule.posterior(t, Some(s)) {
                    Ok(posterior) => assert_consistent(&what, posterior, at(t), at(s), POSTERIOR),
                    Err(error) => {
                        assert_eq!(error, ScheduleError::NotMarkov { timestep: t });
                        let ratio = |t: usize| schedule.alphas_cumprod()[t];
                        assert!(ratio(t) > ratio(s) || schedule.levels()[s].alpha() == 0.0, "{what}");
                    }
                }
            }
            let last = schedule.posterior(t, None).unwrap();
            assert_eq!((last.coef_x0, last.coef_xt, last.variance), (1.0, 0.0, 0.0));
        }
    }
}

#[test]
fn both_forms_of_the_posterior_agree() {
    let schedule = Schedule::linear_scaled(100, 1e-4, 0.02).unwrap();
    let levels = schedule.levels();
    for t in 1..schedule.len() {
        let chain = schedule.posterior(t, Some(t - 1)).unwrap();
        let plain = Posterior::between(levels[t], levels[t - 1]).unwrap();
        for (a, b) in [(chain.coef_x0, plain.coef_x0), (chain.coef_xt, plain.coef_xt), (chain.variance, plain.variance)]
        {
            assert_within(&format!("timestep {t}"), b, a, LEVELS * a);
        }
    }
}

#[test]
fn posteriors_of_other_families() {
    let flow = Schedule::rectified_flow_times(&[0.25, 0.5, 1.0]).unwrap();
    // r = (1-t)/(1-s) = 2/3, var(t|s) = 1/4 - (4/9)/16 = 2/9
    let found = flow.posterior(1, Some(0)).unwrap();
    assert_within("x0", found.coef_x0, 0.75 * (2.0 / 9.0) / 0.25, POSTERIOR);
    assert_within("x_t", found.coef_xt, (2.0 / 3.0) * 0.0625 / 0.25, POSTERIOR);
    assert_within("variance", found.variance, (2.0 / 9.0) * 0.0625 / 0.25, POSTERIOR);
    let exploding = Schedule::variance_exploding(&[1.0, 2.0, 1.5]).unwrap();
    let found = exploding.posterior(1, Some(0)).unwrap();
    assert_eq!((found.coef_x0, found.coef_xt, found.variance), (0.75, 0.25, 0.75));
    assert_eq!(exploding.posteriors(), Err(ScheduleError::NotMarkov { timestep: 2 }));
    assert_eq!(exploding.posterior(0, Some(1)), Err(ScheduleError::Order { from: 0, to: 1 }));
    assert_eq!(exploding.posterior(3, None), Err(ScheduleError::Timestep { found: 3, steps: 3 }));
}

#[test]
fn names_parse_from_their_synonyms() {
    let synonyms = [
        (Xt, "x_t xt X-T noisy"),
        (X0, "x0 x_0 X0 sample x_start xstart pred_x0 clean pred_original_sample pred-xstart"),
        (Epsilon, "epsilon eps noise EPS Epsilon"),
        (V, "v v_prediction velocity v_pred V-Prediction"),
        (Score, "score Score"),
        (Flow, "flow flow_prediction flow_velocity u rectified_flow Rectified-Flow"),
    ];
    for (quantity, names) in synonyms {
        for name in names.split(' ') {
            assert_eq!(name.parse(), Ok(quantity), "{name}");
        }
        assert_eq!(quantity.to_string().parse(), Ok(quantity));
        assert_eq!(format!("{quantity:>8}").trim(), quantity.name());
    }
    assert_eq!("flow prediction".parse(), Ok(Flow));
    let error = "w".parse::<Quantity>().unwrap_err().to_string();
    assert!(error.contains("`w`") && error.contains("v_prediction") && error.contains("flow"));
}

proptest! {
    #[test]
    fn any_betas_make_sound_tables(betas in prop::collection::vec(any_beta(), 1..60)) {
        let schedule = Schedule::from_betas(&betas).unwrap();
        let (signal, noise) = (schedule.alphas_cumprod(), schedule.one_minus_alphas_cumprod());
        for t in 0..betas.len() {
            prop_assert!((0.0..=1.0).contains(&signal[t]) && (0.0..=1.0).contains(&noise[t]));
            prop_assert!((signal[t] + noise[t] - 1.0).abs() <= f64::EPSILON);
            prop_assert!(t == 0 || signal[t] <= signal[t - 1] && noise[t] >= noise[t - 1]);
            let level = schedule.level(t).unwrap();
            for s in (0..t).map(Some).chain([None]) {
                let posterior = schedule.posterior(t, s).unwrap();
                let cleaner = s.map_or([1.0, 0.0, 0.0], |s| [signal[s].sqrt(), noise[s].sqrt(), noise[s]]);
                let noisy = [level.alpha(), level.sigma(), noise[t]];
                assert_consistent(&format!("{t} to {s:?}"), posterior, noisy, cleaner, POSTERIOR);
            }
            for given in [X0, V, Flow] {
                prop_assert!(solve(level, given, Xt).is_ok());
            }
            prop_assert!(solve(level, V, X0).is_ok() && solve(level, V, Epsilon).is_ok());
        }
        for table in [
            schedule.posterior_log_variance_clipped().unwrap(),
            schedule.posterior_mean_coef1().unwrap(),
            schedule.posterior_mean_coef2().unwrap(),
            schedule.epsilon_mean_coef().unwrap(),
        ] {
            prop_assert!(table.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn bad_betas_are_named(betas in prop::collection::vec(0.0..=1.0, 1..20), at in any::<prop::sample::Index>(),
        bad in prop_oneof![Just(f64::NAN), Just(-1e-300), Just(f64::INFINITY), 1.0000001..1e9]) {
        let mut betas: Vec<f64> = betas;
        let index = at.index(betas.len());
        betas[index] = bad;
        let found = Schedule::from_betas(&betas);
        let named = matches!(found, Err(ScheduleError::Beta { index: i, value }) if i == index && value.to_bits() == bad.to_bits());
        prop_assert!(named);
    }
}

/// Ordinary betas, and the edges.
fn any_beta() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..=1.0, 4 => 1e-6..0.05, 1 => Just(0.0), 1 => Just(1.0), 1 => Just(1e-20), 1 => Just(1.0 - 1e-16)]
}

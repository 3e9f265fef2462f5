//! Schedules: golden numbers, both extremes of length, zero terminal SNR, and errors.

use crate::support::sigmas;
use crate::support::{assert_relative, assert_within, pick, relative};
use tweedie::error::{RowError, ScheduleError};
use tweedie::math::{NoiseLevel, Quantity, Schedule, flow};

/// The golden numbers are printed with twelve digits.
const TWELVE_DIGITS: f64 = 5e-12;

/// Some are printed with nine.
const NINE_DIGITS: f64 = 5e-9;

/// Platforms' logarithms and exponentials differ by an ulp, which `1 - f(t+1)/f(t)` turns into an absolute error.
const LIBRARY_ULP: f64 = 1e-15;

#[test]
fn golden_numbers() {
    let linear = Schedule::linear(1000, 1e-4, 0.02).unwrap();
    let at = [0, 499, 998, 999];
    let check = |schedule: &Schedule, expected: [f64; 4]| {
        assert_relative("abar", &pick(&schedule.alphas_cumprod(), &at), &expected, TWELVE_DIGITS);
    };
    check(&linear, [0.9999, 0.0785872428818, 4.11819363814e-5, 4.03582976538e-5]);
    let scaled = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap();
    check(&scaled, [0.99915, 0.277669650456, 0.00471669889988, 0.00466009851308]);
    let cosine = Schedule::cosine(1000).unwrap();
    check(&cosine, [0.999958715776, 0.493843590441, 2.42876690703e-6, 2.42876690703e-9]);
    let zero = scaled.zero_terminal_snr().unwrap();
    check(&zero, [0.99915, 0.242359166556, 1.96788805662e-7, 0.0]);
    assert_eq!(zero.betas().unwrap()[999], 1.0);
    let variance = linear.posterior_variance().unwrap();
    assert_relative("variance", &[variance[1]], &[5.4531876613e-5], 1e-11);
    let log_variance = linear.posterior_log_variance_clipped().unwrap();
    assert_within("log variance", log_variance[0], -9.8167, 5e-5);
    assert_eq!(log_variance[0], log_variance[1]);
    let posterior = linear.posterior(500, Some(499)).unwrap();
    let found = [posterior.coef_x0, posterior.coef_xt];
    assert_relative("coefficients", &found, &[0.00305805707563, 0.994104350757], TWELVE_DIGITS);
}

#[test]
fn edm_sigmas_ascend() {
    let schedule = Schedule::edm(5, 0.002, 80.0, 7.0).unwrap();
    assert_relative("sigmas", &schedule.sigmas(), &[0.002, 0.169752756, 2.51521898, 17.5278320, 80.0], NINE_DIGITS);
    let one = Schedule::edm(1, 0.002, 80.0, 7.0).unwrap().sigmas();
    assert_relative("one", &one, &[80.0], NINE_DIGITS);
    assert!(schedule.betas().is_none());
    assert_relative("snr", &[schedule.snr()[4]], &[1.0 / 6400.0], NINE_DIGITS);
}

#[test]
fn laplace_is_the_one_of_diffusers() {
    let betas = |schedule: &Schedule| pick(schedule.betas().unwrap(), &[0, 1, 499, 500, 998, 999]);
    // From the same formulas in Python's f64.
    let diffusers = [
        0.021153757200412016,
        0.008747812864309146,
        0.0002501562265064816,
        0.00025003138294010796,
        0.15162966182198967,
        0.8472526270584196,
    ];
    let paper = [
        0.04186003295713003,
        0.0174191014987094,
        0.0005002498748751805,
        0.0005000002501875933,
        0.2802677692997284,
        0.9766682400594457,
    ];
    for (schedule, expected) in
        [(Schedule::laplace(1000).unwrap(), diffusers), (Schedule::laplace_paper(1000).unwrap(), paper)]
    {
        for (found, expected) in betas(&schedule).into_iter().zip(expected) {
            assert_within("beta", found, expected, LIBRARY_ULP);
        }
    }
}

type Constructor = (&'static str, fn(usize) -> Result<Schedule, ScheduleError>);

fn recipes() -> [Constructor; 10] {
    [
        ("linear", |n| Schedule::linear(n, 1e-4, 0.02)),
        ("linear scaled", |n| Schedule::linear_scaled(n, 1e-4, 0.02)),
        ("scaled linear", |n| Schedule::scaled_linear(n, 0.00085, 0.012)),
        ("cosine", Schedule::cosine),
        ("sigmoid", |n| Schedule::sigmoid(n, 1e-4, 0.02)),
        ("sigmoid abar", |n| Schedule::sigmoid_abar(n, -3.0, 3.0, 1.0)),
        ("laplace", Schedule::laplace),
        ("laplace paper", Schedule::laplace_paper),
        ("rectified flow", Schedule::rectified_flow),
        ("edm", |n| Schedule::edm(n, 0.002, 80.0, 7.0)),
    ]
}

#[test]
fn one_timestep_and_ten_thousand() {
    for (name, recipe) in recipes() {
        for steps in [1, 10_000] {
            let schedule = recipe(steps).unwrap();
            assert_eq!((schedule.len(), schedule.is_empty()), (steps, false), "{name}");
            for table in [
                schedule.alphas_cumprod(),
                schedule.one_minus_alphas_cumprod(),
                schedule.sqrt_alphas_cumprod(),
                schedule.sqrt_one_minus_alphas_cumprod(),
                schedule.snr(),
                schedule.posterior_variance().unwrap(),
                schedule.posterior_log_variance_clipped().unwrap(),
                schedule.posterior_mean_coef1().unwrap(),
                schedule.posterior_mean_coef2().unwrap(),
            ] {
                assert_eq!(table.len(), steps);
                assert!(table.iter().all(|value| value.is_finite()), "{name} of {steps}");
            }
            assert!(schedule.lambda().is_sorted_by(|a, b| a >= b), "{name}");
            assert!(schedule.noising(Some(Quantity::Score)).unwrap().rounded().is_ok());
            assert!(schedule.conversion(Quantity::V, Quantity::X0, Some(Quantity::Epsilon)).is_ok());
            assert!(schedule.posterior_mean(Quantity::V).is_ok());
        }
        assert_eq!(recipe(0), Err(ScheduleError::Empty), "{name}");
        let limit = Schedule::MAX_STEPS;
        let found = usize::MAX;
        assert_eq!(recipe(found), Err(ScheduleError::TooLong { found, limit }), "{name}");
    }
}

#[test]
fn one_timestep_has_the_least_log_variance() {
    let schedule = Schedule::linear(1, 0.5, 0.9).unwrap();
    assert_eq!(schedule.betas(), Some([0.5].as_slice()));
    assert_eq!(schedule.posterior_variance().unwrap(), [0.0]);
    assert_eq!(schedule.posterior_log_variance_clipped().unwrap(), [1e-20_f64.ln()]);
}

#[test]
fn ten_thousand_steps_lose_nothing() {
    // beta is constant, so abar_t = exp((t+1) ln(1-beta)) in closed form.
    let beta = 1e-3;
    let schedule = Schedule::from_betas(&[beta; 10_000]).unwrap();
    let (signal, noise) = (schedule.alphas_cumprod(), schedule.one_minus_alphas_cumprod());
    for t in [0, 1, 10, 999, 9_999] {
        let log: f64 = (t + 1) as f64 * (-beta).ln_1p();
        // The closed form itself loses an ulp of its logarithm.
        let limit = f64::EPSILON * (2.0 + log.abs());
        assert!(relative(signal[t], log.exp()) <= limit, "abar at {t}");
        assert!(relative(noise[t], -log.exp_m1()) <= limit, "1 - abar at {t}");
    }
}

#[test]
fn leading_zero_betas_are_no_noise() {
    let schedule = Schedule::from_betas(&[0.0, 0.0, 0.5, 0.5]).unwrap();
    assert_eq!(schedule.alphas_cumprod(), [1.0, 1.0, 0.5, 0.25]);
    assert_eq!(schedule.posterior_mean_coef1().unwrap()[..3], [1.0, 1.0, 1.0]);
    assert_eq!(schedule.posterior_mean_coef2().unwrap()[..3], [0.0, 0.0, 0.0]);
    assert_eq!(schedule.posterior_variance().unwrap()[..3], [0.0, 0.0, 0.0]);
    assert_eq!(schedule.epsilon_mean_coef().unwrap()[..2], [0.0, 0.0]);
    assert_eq!(schedule.snr()[0], f64::INFINITY);
    let error = schedule.noising(Some(Quantity::Score)).unwrap_err();
    assert_eq!(error.to_string(), "score does not exist at timestep 0, where sigma = 0 (no noise)");
}

#[test]
fn rising_alphas_cumprod_convert_but_have_no_posterior() {
    let abar = [0.9, 0.5, 0.75, 0.3];
    let schedule = Schedule::from_alphas_cumprod(&abar).unwrap();
    assert_eq!(schedule.alphas_cumprod(), abar);
    assert_eq!(schedule.betas().unwrap()[2], -0.5);
    assert!(schedule.noising(Some(Quantity::V)).is_ok());
    let error = ScheduleError::NotMarkov { timestep: 2 };
    assert_eq!(schedule.posterior_variance(), Err(error.clone()));
    assert_eq!(schedule.epsilon_mean_coef(), Err(error.clone()));
    assert_eq!(schedule.posterior_mean(Quantity::V), Err(RowError::Schedule(error)));
    assert_eq!(schedule.posterior_mean_where_defined(Quantity::V).first_undefined(), Some(2));
    // The timesteps in between do not matter: here from 0.75 back to 0.9.
    let posterior = schedule.posterior(2, Some(0)).unwrap();
    let beta = 1.0 - 0.75 / 0.9;
    assert_within("variance", posterior.variance, beta * 0.1 / 0.25, LIBRARY_ULP);
}

#[test]
fn zero_terminal_snr_of_any_schedule() {
    for (name, recipe) in recipes() {
        let schedule = recipe(50).unwrap();
        if schedule.betas().is_none() {
            assert_eq!(schedule.zero_terminal_snr(), Err(ScheduleError::NoBetas), "{name}");
            continue;
        }
        let zero = schedule.zero_terminal_snr().unwrap();
        let (first, last) = (schedule.alphas_cumprod()[0], zero.alphas_cumprod()[49]);
        assert!(relative(zero.alphas_cumprod()[0], first) <= LIBRARY_ULP, "{name}");
        assert_eq!((last, zero.betas().unwrap()[49]), (0.0, 1.0), "{name}");
        assert_eq!(zero.zero_terminal_snr().as_ref(), Ok(&zero), "{name}");
        let given = Schedule::from_alphas_cumprod(&schedule.alphas_cumprod()).unwrap();
        let abar = given.zero_terminal_snr().unwrap().alphas_cumprod();
        for (a, b) in abar.iter().zip(zero.alphas_cumprod()) {
            assert_within(name, *a, b, 50.0 * LIBRARY_ULP);
        }
    }
}

#[test]
fn zero_terminal_snr_keeps_trailing_zero_betas() {
    let schedule = Schedule::from_betas(&[0.1, 0.5, 0.0]).unwrap();
    let zero = schedule.zero_terminal_snr().unwrap();
    assert_eq!(zero.betas().unwrap()[1..], [1.0, 0.0]);
    assert_eq!(zero.alphas_cumprod()[1..], [0.0, 0.0]);
}

#[test]
fn zero_terminal_snr_needs_a_fall() {
    for abar in [vec![0.5], vec![0.5, 0.5], vec![0.5, 0.9], vec![0.9, 0.1, 0.5]] {
        let schedule = Schedule::from_alphas_cumprod(&abar).unwrap();
        let found = schedule.zero_terminal_snr();
        assert!(matches!(found, Err(ScheduleError::NoRescale { .. })), "{abar:?}");
    }
}

#[test]
fn the_three_families_of_levels() {
    let flow = Schedule::rectified_flow(4).unwrap();
    assert_eq!(flow.levels()[3], NoiseLevel::new(0.0, 1.0).unwrap());
    assert_eq!(flow.levels()[0], NoiseLevel::rectified_flow(0.25).unwrap());
    assert_eq!(flow.log_snr()[3], f64::NEG_INFINITY);
    let level = NoiseLevel::variance_preserving(0.64).unwrap();
    assert_within("alpha", level.alpha(), 0.8, LIBRARY_ULP);
    assert_within("abar", level.alpha_bar(), 0.64, LIBRARY_ULP);
    assert_within("snr", level.snr(), 0.64 / 0.36, 4.0 * LIBRARY_ULP);
    let exploding = NoiseLevel::variance_exploding(3.0).unwrap();
    assert_within("abar", exploding.alpha_bar(), 0.1, LIBRARY_ULP);
    assert_within("1 - abar", exploding.one_minus_alpha_bar(), 0.9, LIBRARY_ULP);
    let close = NoiseLevel::new(1.0, 1.0 - f64::EPSILON).unwrap();
    assert!(relative(close.log_snr(), 2.0 * f64::EPSILON) < 1e-14);
    let far = NoiseLevel::new(1e-300, 1e300).unwrap();
    assert!(relative(far.lambda(), -600.0 * 10f64.ln()) < 1e-14);
}

#[test]
fn errors_name_what_was_found() {
    let text = |result: Result<Schedule, ScheduleError>| result.unwrap_err().to_string();
    assert_eq!(text(Schedule::linear(10, -0.1, 0.5)), "beta_start must be within 0..=1, found -0.1");
    assert_eq!(text(Schedule::linear(10, 0.1, f64::NAN)), "beta_end must be within 0..=1, found NaN");
    assert_eq!(text(Schedule::from_betas(&[0.1, 1.5])), "beta must be within 0..=1, found 1.5 at timestep 1");
    assert_eq!(
        text(Schedule::from_alphas_cumprod(&[2.0])),
        "alphas_cumprod must be within 0..=1, found 2 at timestep 0"
    );
    assert!(matches!(Schedule::linear_scaled(10, 1e-4, 0.02), Err(ScheduleError::Beta { .. })));
    let tau = Schedule::sigmoid_abar(10, -3.0, 3.0, 0.0);
    assert_eq!(text(tau), "tau must be finite and above 0, found 0");
    for (start, end) in [(1.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (50.0, 60.0)] {
        let found = Schedule::sigmoid_abar(10, start, end, 1.0);
        assert!(matches!(found, Err(ScheduleError::Range { .. })), "{start} to {end}");
    }
    assert!(matches!(Schedule::sigmoid_abar(50, -3.0, 80.0, 1.0), Err(ScheduleError::Beta { .. })));
    assert!(matches!(Schedule::edm(3, 2.0, 1.0, 7.0), Err(ScheduleError::Range { .. })));
    assert!(matches!(Schedule::edm(3, 0.0, 1.0, 7.0), Err(ScheduleError::ParamNotPositive { .. })));
    assert!(matches!(Schedule::variance_exploding(&[-1.0]), Err(ScheduleError::Level { .. })));
    assert!(matches!(Schedule::rectified_flow_times(&[1.5]), Err(ScheduleError::Time { .. })));
    assert!(matches!(NoiseLevel::new(0.0, 0.0), Err(ScheduleError::Level { .. })));
    assert!(matches!(NoiseLevel::variance_preserving(1.1), Err(ScheduleError::AlphasCumprod { .. })));
    assert_eq!(Schedule::from_levels(&[]), Err(ScheduleError::Empty));
    // And the caller recovers.
    assert!(Schedule::linear(10, 0.1, 0.5).is_ok());
}

/// Squares and products of these levels leave the range of f64.
#[test]
fn posteriors_of_extreme_levels_are_finite_or_an_error() {
    let level = |alpha, sigma| NoiseLevel::new(alpha, sigma).unwrap();
    let extremes = [
        vec![level(1.0, 1e300), level(1.0, 1e300)],
        vec![level(1.0, 0.0), level(1.0, 144.0), level(1.0, f64::MAX), level(1.0, f64::MAX)],
        vec![level(1e300, 1e300), level(1e300, 1e301), level(1e200, 1e302)],
    ];
    for levels in extremes {
        let schedule = Schedule::from_levels(&levels).unwrap();
        for t in 1..levels.len() {
            if let Ok(posterior) = schedule.posterior(t, Some(t - 1)) {
                let numbers = [posterior.coef_x0, posterior.coef_xt, posterior.variance];
                assert!(numbers.iter().all(|number| number.is_finite()), "{levels:?}: {posterior:?}");
            }
        }
        for quantity in Quantity::ALL {
            let tables = [
                schedule.posterior_mean_where_defined(quantity),
                schedule.conversion_where_defined(quantity, Quantity::X0, None),
            ];
            let numbers = tables.iter().flat_map(|table| table.rows().iter().flatten().flatten().flatten());
            numbers.for_each(|number| assert!(number.is_finite(), "{levels:?}: {quantity}"));
        }
    }
}

#[test]
fn extreme_exponents_are_exact_or_refused() {
    let middle = sigmas::karras(3, 1e-3, 1e-2, 0.005).unwrap()[1];
    assert!((middle - 0.009_965_402_6).abs() < 1e-10, "{middle}");
    for rho in [1e300, 1e-300, 0.0, -7.0, f64::NAN, f64::INFINITY] {
        let refused = [sigmas::karras(3, 0.1, 1.0, rho), sigmas::polyexponential(3, 0.1, 1.0, rho)];
        for refused in refused.map(|list| list.unwrap_err().to_string()) {
            assert!(refused.starts_with("rho must be within 0.001..=1000, found ") && refused.len() < 50, "{refused}");
        }
    }
}

#[test]
fn numbers_in_messages_are_short() {
    let beta = Schedule::from_betas(&[0.1, -1e-300]).unwrap_err();
    assert_eq!(beta.to_string(), "beta must be within 0..=1, found -1e-300 at timestep 1");
    let level = NoiseLevel::new(1e300, -1e-200).unwrap_err().to_string();
    assert!(level.ends_with("found alpha = 1e300, sigma = -1e-200"), "{level}");
    let shift = flow::shifted(0.5, -1e300).unwrap_err().to_string();
    assert_eq!(shift, "shift must be finite and above 0, found -1e300");
}

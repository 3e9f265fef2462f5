//! Group A: every derived table against 50-digit arithmetic, and the recipes' betas against their own systems.

use crate::support::{Vectors, assert_relative, assert_within, id, pick, recipe, relative, worst};
use serde_json::Value;
use tweedie::math::Schedule;

/// Tables from the stored betas, which the 50-digit tables take as exact. Nothing cancels: a handful of roundings of
/// 1.1e-16, and the ulp of a logarithm. 1e-14 is what the library promises; the worst seen is below 1e-15.
const FROM_STORED_BETAS: f64 = 1e-14;

/// As above, but the bound that the library really keeps: at most six roundings, or a logarithm's ulp and two.
const SIX_ROUNDINGS: f64 = 6.0 * f64::EPSILON / 2.0;

/// Tables of a schedule, each with the name of its 50-digit counterpart less the prefix.
fn tables(schedule: &Schedule) -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("alphas_cumprod", schedule.alphas_cumprod()),
        ("sqrt_alphas_cumprod", schedule.sqrt_alphas_cumprod()),
        ("one_minus_alphas_cumprod", schedule.one_minus_alphas_cumprod()),
        ("sqrt_one_minus_alphas_cumprod", schedule.sqrt_one_minus_alphas_cumprod()),
        ("snr", schedule.snr()),
        ("half_log_snr", schedule.lambda()),
        ("posterior_variance", schedule.posterior_variance().unwrap()),
        ("posterior_mean_coef1", schedule.posterior_mean_coef1().unwrap()),
        ("posterior_mean_coef2", schedule.posterior_mean_coef2().unwrap()),
        ("eps_to_mean_coef", schedule.epsilon_mean_coef().unwrap()),
    ]
}

/// All betas of a case; where the file holds a selection, the recipe's own, which `recomputed_betas` checks.
fn stored(case: &Value, file: &Vectors) -> Schedule {
    let betas = file.f64("betas");
    let steps = case["config"]["T"].as_u64().unwrap() as usize;
    match betas.len() == steps {
        true => Schedule::from_betas(&betas).unwrap(),
        false => recipe(case).unwrap(),
    }
}

/// The recorded schedules.
fn cases() -> Vec<Value> {
    let found = crate::support::cases("A");
    assert_eq!(found.len(), 12);
    found
}

#[test]
fn tables_from_stored_betas_agree_with_50_digits() {
    for case in cases() {
        let file = Vectors::load(id(&case));
        let index = file.indices("mp_index");
        for (name, table) in tables(&stored(&case, &file)) {
            let what = format!("{} {name}", id(&case));
            let (found, expected) = (pick(&table, &index), file.f64(&format!("mp_{name}")));
            println!("{what}: {:e}", worst(&found, &expected).0);
            assert_relative(&what, &found, &expected, FROM_STORED_BETAS);
            assert_relative(&what, &found, &expected, SIX_ROUNDINGS);
        }
    }
}

#[test]
fn tables_agree_with_guided_diffusion() {
    for case in cases() {
        let file = Vectors::load(id(&case));
        let (index, schedule) = (file.indices("index"), stored(&case, &file));
        // numpy forms 1 - abar by a subtraction: its error is T roundings of abar over 1 - abar, as in group B.
        let loss = schedule.one_minus_alphas_cumprod();
        let bound = |t: usize| 128.0 / loss[t] * f64::EPSILON / 2.0;
        let log_variance = schedule.posterior_log_variance_clipped().unwrap();
        for (t, expected) in index.iter().zip(file.f64("posterior_log_variance_clipped")) {
            let what = format!("{} log variance at {t}", id(&case));
            // Entry 0 is entry 1's; a relative error of the variance is an absolute one of its logarithm.
            let at = (*t).max(1);
            assert_within(&what, log_variance[*t], expected, bound(at - 1) + bound(at));
        }
        for (name, table) in tables(&schedule) {
            if matches!(name, "one_minus_alphas_cumprod" | "half_log_snr" | "eps_to_mean_coef") {
                continue;
            }
            for (&t, expected) in index.iter().zip(file.f64(name)) {
                let bound = (bound(t) + bound(t.saturating_sub(1))) * expected.abs();
                assert_within(&format!("{} {name} at {t}", id(&case)), table[t], expected, bound + 1e-300);
            }
        }
    }
}

/// The manifest's `a*beta + b`.
fn betas_tolerance(case: &Value) -> (f64, f64) {
    let text = case["tolerance"]["float64_recomputed_betas"].as_str().unwrap();
    let (scale, constant) = text.split_once("*beta + ").unwrap();
    (scale.parse().unwrap(), constant.parse().unwrap())
}

#[test]
fn recomputed_betas() {
    for case in cases() {
        let Some(schedule) = recipe(&case) else {
            continue;
        };
        let file = Vectors::load(id(&case));
        let found = pick(schedule.betas().unwrap(), &file.indices("index"));
        let expected = file.f64("betas");
        let (scale, constant) = betas_tolerance(&case);
        let unequal = found.iter().zip(&expected).filter(|(f, e)| f != e).count();
        let mut largest = 0.0_f64;
        for (i, (&f, &e)) in found.iter().zip(&expected).enumerate() {
            assert_within(&format!("{} beta entry {i}", id(&case)), f, e, scale * e + constant);
            largest = largest.max((f - e).abs());
        }
        println!("{}: {unequal} of {} betas unequal, at most {largest:e}", id(&case), found.len());
    }
}

#[test]
fn recipes_without_library_functions_are_bit_equal() {
    for name in [
        "linear_T1000",
        "linear_T250",
        "linear_scaled_by_T_T50",
        "linear_scaled_by_T_T4000",
        "scaled_linear_T1000",
        "zero_snr_linear_T50",
    ] {
        let case = cases().into_iter().find(|case| id(case) == format!("A_{name}")).unwrap();
        let file = Vectors::load(id(&case));
        let schedule = recipe(&case).unwrap();
        assert_eq!(pick(schedule.betas().unwrap(), &file.indices("index")), file.f64("betas"), "{name}");
    }
}

/// The relative difference of a recomputed beta from the stored one, which a table that is proportional to beta inherits.
///
/// Only the zero-terminal-SNR rescale of 1000 scaled-linear steps has one that matters: torch's vectorised square root is
/// one ulp low at four timesteps (errors of 0.51 to 0.58 ulp, where IEEE rounding allows 0.5), which is 4e-16 of a beta
/// near 3.5e-3. `recomputed_betas` holds it to the manifest's bound on betas.
fn inherited(name: &str, schedule: &Schedule, stored: &[f64], t: usize) -> f64 {
    let betas = schedule.betas().unwrap();
    match name {
        "posterior_variance" | "posterior_mean_coef1" if stored.len() == betas.len() => relative(betas[t], stored[t]),
        _ => 0.0,
    }
}

#[test]
fn tables_from_recomputed_betas_agree_with_50_digits() {
    for case in cases() {
        let Some(schedule) = recipe(&case) else {
            continue;
        };
        let file = Vectors::load(id(&case));
        let (index, stored) = (file.indices("mp_index"), file.f64("betas"));
        for (name, table) in tables(&schedule) {
            let Some(limit) = case["tolerance"]["float64_tables_vs_mp"][name].as_f64() else {
                continue;
            };
            for (&t, expected) in index.iter().zip(file.f64(&format!("mp_{name}"))) {
                let what = format!("recomputed {} {name} at {t}", id(&case));
                let limit = limit + inherited(name, &schedule, &stored, t);
                assert_relative(&what, &[table[t]], &[expected], limit);
            }
        }
    }
}

#[test]
fn rounded_once_to_f32() {
    for case in cases() {
        let file = Vectors::load(id(&case));
        let index = file.indices("mp_index");
        let limit = case["tolerance"]["float32_tables_vs_mp"].as_f64().unwrap();
        for (name, table) in tables(&stored(&case, &file)) {
            let rounded: Vec<f64> = table.iter().map(|&x| f64::from(x as f32)).collect();
            let expected = file.f64(&format!("mp_{name}"));
            assert_relative(name, &pick(&rounded, &index), &expected, limit);
        }
    }
}

#[test]
fn a_wrong_coefficient_is_noticed() {
    let file = Vectors::load("A_linear_T1000");
    let (mut betas, index) = (file.f64("betas"), file.indices("mp_index"));
    betas[3] *= 1.0 + 1e-9;
    let broken = Schedule::from_betas(&betas).unwrap();
    for (name, table) in tables(&broken) {
        let (deviation, _) = worst(&pick(&table, &index), &file.f64(&format!("mp_{name}")));
        assert!(deviation > FROM_STORED_BETAS, "{name}: {deviation:e}");
    }
}

#[test]
fn rises_of_beta_are_no_obstacle() {
    let betas = Vectors::load("A_custom_T12_nonmonotone").f64("betas");
    assert!(betas.windows(2).any(|pair| pair[1] < pair[0]));
    let from_betas = Schedule::from_betas(&betas).unwrap();
    let again = Schedule::from_alphas_cumprod(&from_betas.alphas_cumprod()).unwrap();
    // abar is rounded here, and its quotient loses 1/beta of that; these betas are above 0.07.
    assert_relative("betas", again.betas().unwrap(), &betas, 4.0 * f64::EPSILON / 0.07);
}

//! Levels, betas and tables at the ends of f64 and of f32.

use tweedie::Quantity::{Epsilon, Flow, V, X0, Xt};
use tweedie::math::{NoiseLevel, Schedule, solve};
use tweedie::table::Table;

#[test]
fn conversions_at_the_ends_of_f64() {
    let level = |alpha, sigma| NoiseLevel::new(alpha, sigma).unwrap();
    // x0 = (alpha*x_t - sigma*v)/(alpha^2 + sigma^2): 1e-300 and 1e-900.
    for (level, wanted) in [(level(1e300, 1e-300), X0), (level(1e-300, 1e300), Epsilon)] {
        let [c0, c1] = solve(level, V, wanted).unwrap();
        assert!((c0 / 1e-300 - 1.0).abs() < 1e-15 && c1 == 0.0, "{wanted}: {c0} {c1}");
    }
    for tiny in [1e-300, 1e-310, 5e-324] {
        for wanted in [V, X0, Epsilon, Flow] {
            assert!(solve(level(tiny, tiny), Xt, wanted).is_err(), "{tiny} {wanted}");
        }
    }
    for huge in [1e300, f64::MAX / 2.0] {
        let [c0, c1] = solve(level(huge, huge), V, X0).unwrap();
        assert!((c0 * huge - 0.5).abs() < 1e-15 && (c1 * huge + 0.5).abs() < 1e-15, "{huge}: {c0} {c1}");
    }
}

#[test]
fn posteriors_of_faint_steps() {
    let faint = Schedule::from_betas(&[1e-300, 1e-300]).unwrap();
    let posterior = faint.posterior(1, Some(0)).unwrap();
    assert_eq!((posterior.variance, posterior.coef_x0, posterior.coef_xt), (5e-301, 0.5, 0.5));
    // A signal below the normal numbers of f64 counts as none, as documented, in both tables.
    let strong = Schedule::from_betas(&[0.999; 103]).unwrap();
    assert_eq!((strong.sqrt_alphas_cumprod()[102], strong.alphas_cumprod()[102]), (0.0, 0.0));
    let root = strong.sqrt_alphas_cumprod()[101];
    assert!((root / 1e-153 - 1.0).abs() < 1e-12, "{root}");
}

#[test]
fn a_row_beyond_f32_is_undefined_on_a_gpu() {
    let rows = [[[1.0, 0.0], [0.0, 1.0]], [[1e39, 0.0], [0.0, 1.0]], [[0.0, 1e-50], [3.0, -f64::from(f32::MAX)]]];
    let table = Table::new(rows.to_vec()).within_f32();
    assert_eq!(table.rows(), [Some(rows[0]), None, Some(rows[2])]);
    assert!(table.rounded().is_ok());
    let long = Schedule::linear(20_000, 1e-4, 0.02).unwrap().conversion_where_defined(Epsilon, X0, None);
    assert!(long.rounded().is_err() && long.within_f32().rounded().is_ok());
    assert!(long.within_f32().row(100).is_some());
}

//! Group B: x_t, v, every conversion and every posterior mean in f64, with the manifest's bound.

use crate::support::{Vectors, assert_within, cases, id, recipe};
use serde_json::Value;
use tweedie::error::RowError;
use tweedie::math::Quantity::{Epsilon, V, X0, Xt};
use tweedie::math::{Quantity, Schedule};
use tweedie::table::{Matrix, Table};

/// `128/(1 - abar)` half-ulps of the summed magnitudes: the peers' own tables (products of T factors, `1 - abar` by a
/// subtraction) are no better. From the manifest.
const PEERS: f64 = 128.0 * f64::EPSILON / 2.0;

struct Case {
    name: String,
    file: Vectors,
    schedule: Schedule,
    /// The timestep of each stored element.
    t: Vec<usize>,
}

impl Case {
    fn new(case: &Value) -> Self {
        let file = Vectors::load(id(case));
        let shape = case["config"]["shape"].as_array().unwrap();
        let per_sample: usize = shape[1..].iter().map(|n| n.as_u64().unwrap() as usize).product();
        let (t, stored) = (file.indices("t"), file.f64("x0").len());
        let elements = match stored == t.len() * per_sample {
            true => (0..stored).collect(),
            false => file.indices("index"),
        };
        let t = elements.into_iter().map(|i: usize| t[i / per_sample]).collect();
        Self { name: id(case).to_owned(), schedule: recipe(case).unwrap(), file, t }
    }

    fn all() -> Vec<Self> {
        let all: Vec<_> = cases("B").iter().map(Self::new).collect();
        assert_eq!(all.len(), 6);
        all
    }

    /// Checks `row(t) . (x, y)` against a tensor, within a bound in proportion to `slack`. Where there is no row, the tensor must
    /// not be finite.
    fn check(&self, tensor: &str, inputs: [&str; 2], row: impl Fn(usize) -> Option<[f64; 2]>, slack: Slack) {
        let [x, y] = inputs.map(|name| self.file.f64(name));
        let noise = self.schedule.one_minus_alphas_cumprod();
        for (i, expected) in self.file.f64(tensor).into_iter().enumerate() {
            let (t, what) = (self.t[i], format!("{} {tensor} element {i}", self.name));
            let Some([a, b]) = row(t) else {
                assert!(!expected.is_finite(), "{what}: a hole, but {expected} is expected");
                continue;
            };
            let terms = match slack {
                Slack::Row => (a * x[i]).abs() + (b * y[i]).abs(),
                Slack::Rows(rows) => rows(&self.schedule, t, x[i], y[i]),
            };
            let bound = PEERS / noise[t] * terms + 1e-300;
            assert_within(&what, a * x[i] + b * y[i], expected, bound);
        }
    }
}

/// The summed magnitudes of an output at a timestep, from x_t and the prediction.
type Terms = fn(&Schedule, usize, f64, f64) -> f64;

/// What the error bound of an output is scaled by.
#[derive(Clone, Copy)]
enum Slack {
    Row,
    Rows(Terms),
}

fn first(table: &Table) -> impl Fn(usize) -> Option<[f64; 2]> + '_ {
    |t| table.row(t).map(|row| row[0])
}

#[test]
fn noising_and_its_targets() {
    for case in Case::all() {
        let table = case.schedule.noising(Some(V)).unwrap();
        case.check("x_t", ["x0", "eps"], first(&table), Slack::Row);
        case.check("v", ["x0", "eps"], |t| table.row(t).map(|row| row[1]), Slack::Row);
    }
}

#[test]
fn every_conversion() {
    let conversions = [
        ("x0_from_v", V, X0),
        ("eps_from_v", V, Epsilon),
        ("x0_from_eps", Epsilon, X0),
        ("x0_from_eps_direct", Epsilon, X0),
        ("eps_from_x0_direct", X0, Epsilon),
        ("v_from_eps", Epsilon, V),
        ("v_from_x0", X0, V),
    ];
    for case in Case::all() {
        for (tensor, given, wanted) in conversions {
            let table = case.schedule.conversion_where_defined(given, wanted, None);
            case.check(tensor, ["x_in", "pred"], first(&table), Slack::Row);
        }
        // guided-diffusion's form of x0 -> epsilon is NaN at abar = 0, where the direct one is finite.
        let table = case.schedule.conversion_where_defined(X0, Epsilon, None);
        let levels = case.schedule.levels();
        let row = |t: usize| first(&table)(t).filter(|_| levels[t].alpha() > 0.0);
        case.check("eps_from_x0", ["x_in", "pred"], row, Slack::Row);
    }
}

/// The magnitudes that pass through x0: `|coef1|*(|a x| + |b p|) + |coef2 x|`.
fn through_x0(given: Quantity, schedule: &Schedule, t: usize, x: f64, p: f64) -> f64 {
    let posterior = schedule.posterior(t, t.checked_sub(1)).unwrap();
    let level = schedule.level(t).unwrap();
    let [a, b] = tweedie::math::solve(level, given, X0).unwrap();
    posterior.coef_x0 * ((a * x).abs() + (b * p).abs()) + (posterior.coef_xt * x).abs()
}

#[test]
fn posterior_means() {
    let through: [(&str, Quantity, Terms); 3] = [
        ("post_mean_x0", X0, |s, t, x, p| through_x0(X0, s, t, x, p)),
        ("post_mean_eps", Epsilon, |s, t, x, p| through_x0(Epsilon, s, t, x, p)),
        ("post_mean_v", V, |s, t, x, p| through_x0(V, s, t, x, p)),
    ];
    for case in Case::all() {
        for (tensor, given, terms) in through {
            let table = case.schedule.posterior_mean_where_defined(given);
            case.check(tensor, ["x_in", "pred"], first(&table), Slack::Rows(terms));
        }
        let betas = case.schedule.betas().unwrap();
        let coef = case.schedule.epsilon_mean_coef().unwrap();
        let direct = |t: usize| {
            let root = (1.0 - betas[t]).sqrt();
            (root > 0.0).then(|| [1.0 / root, -coef[t] / root])
        };
        case.check("post_mean_eps_direct", ["x_in", "pred"], direct, Slack::Row);
    }
}

#[test]
fn the_posterior_mean_of_a_clipped_x0() {
    for case in Case::all() {
        let table = case.schedule.posterior_mean_where_defined(Epsilon);
        let [x, p] = ["x_in", "pred"].map(|name| case.file.f64(name));
        let noise = case.schedule.one_minus_alphas_cumprod();
        for (i, expected) in case.file.f64("post_mean_eps_clipped").into_iter().enumerate() {
            let t = case.t[i];
            let Some(&[_, [a, b]]) = table.row(t) else {
                continue;
            };
            let posterior = case.schedule.posterior(t, t.checked_sub(1)).unwrap();
            let x0 = (a * x[i] + b * p[i]).clamp(-1.0, 1.0);
            let found = posterior.coef_x0 * x0 + posterior.coef_xt * x[i];
            let bound = PEERS / noise[t] * through_x0(Epsilon, &case.schedule, t, x[i], p[i]);
            assert_within(&format!("{} element {i}", case.name), found, expected, bound);
        }
    }
}

#[test]
fn what_each_sample_is_told() {
    for case in Case::all() {
        let noise = case.schedule.one_minus_alphas_cumprod();
        let abar = case.schedule.alphas_cumprod();
        let variance = case.schedule.posterior_variance().unwrap();
        let log_variance = case.schedule.posterior_log_variance_clipped().unwrap();
        let t = case.file.indices("t");
        let bound = |t: usize| PEERS / noise[t] + PEERS / noise[t.saturating_sub(1)];
        for (i, &t) in t.iter().enumerate() {
            let expect = |name: &str| case.file.f64(name)[i];
            let what = format!("{} sample {i}", case.name);
            let previous = t.checked_sub(1).map_or(1.0, |s| abar[s]);
            assert_within(&what, abar[t], expect("alphas_cumprod_t"), PEERS * abar[t]);
            assert_within(&what, previous, expect("alphas_cumprod_prev_t"), PEERS * previous);
            assert_within(&what, variance[t], expect("post_var"), bound(t) * variance[t]);
            assert_within(&what, log_variance[t], expect("post_logvar_clipped"), bound(t.max(1)));
        }
    }
}

#[test]
fn the_end_of_a_zero_snr_schedule_is_named() {
    let case = cases("B").into_iter().find(|case| id(case).contains("zero_snr")).unwrap();
    let schedule = recipe(&case).unwrap();
    let error = schedule.conversion(Epsilon, X0, None).unwrap_err();
    assert_eq!(error.to_string(), "epsilon does not determine x0 at timestep 999, where alpha = 0 (zero terminal SNR)");
    assert_eq!(schedule.posterior_mean(Epsilon).unwrap_err(), RowError::Undefined(error));
    let holes = schedule.conversion_where_defined(Epsilon, X0, Some(V));
    assert_eq!(holes.first_undefined(), Some(999));
    for given in [X0, V] {
        assert!(schedule.posterior_mean(given).is_ok());
        assert!(schedule.conversion(given, X0, Some(Epsilon)).is_ok());
    }
    assert_eq!(schedule.conversion(Epsilon, Xt, None).unwrap().row(999), Some(&[[1.0, 0.0], [0.0, 0.0]]));
}

#[test]
fn a_wrong_coefficient_is_noticed() {
    let case = &Case::all()[0];
    let table = case.schedule.conversion(V, X0, None).unwrap();
    let wrong = |change: fn(Matrix) -> [f64; 2]| {
        let row = |t: usize| table.row(t).map(|&row| change(row));
        let check = || case.check("x0_from_v", ["x_in", "pred"], row, Slack::Row);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    };
    assert!(!wrong(|row| row[0]));
    assert!(wrong(|row| [row[0][0], -row[0][1]]));
    assert!(wrong(|row| [row[0][0] * (1.0 + 1e-9), row[0][1]]));
    assert!(wrong(|row| [f64::NAN, row[0][1]]));
    let hole = || case.check("x0_from_v", ["x_in", "pred"], |_| None, Slack::Row);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(hole)).is_err());
}

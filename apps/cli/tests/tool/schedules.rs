//! `tweedie schedule` against the vectors of group A.

use crate::support::{Folder, OUT, cases, fails, id, load, options};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;

pub const TESTS: &[Test] = &[
    ("recipes_agree_with_their_peers_and_50_digits", Needs::Nothing, recipes),
    ("tables_from_stored_betas_agree_with_50_digits", Needs::Nothing, stored_betas),
    ("a_schedule_from_its_own_alphas_cumprod", Needs::Nothing, from_alphas_cumprod),
    ("zero_terminal_snr", Needs::Nothing, zero_terminal_snr),
    ("synonyms", Needs::Nothing, synonyms),
    ("one_timestep", Needs::Nothing, one_timestep),
    ("long_schedules", Needs::Nothing, long_schedules),
    ("the_plot_is_a_labelled_svg", Needs::Nothing, plot),
    ("json_and_text", Needs::Nothing, json_and_text),
    ("json_says_what_the_file_says", Needs::Nothing, json_and_file),
    ("other_processes_in_text_and_plot", Needs::Nothing, other_processes),
    ("a_wrong_schedule_is_noticed", Needs::Nothing, wrong_schedule),
];

const TABLES: [&str; 9] = [
    "alphas_cumprod",
    "betas",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "posterior_variance",
    "snr",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
];

/// The tables that the vectors do not have to 50 digits.
const NOT_TO_50_DIGITS: [&str; 2] = ["betas", "posterior_log_variance_clipped"];

/// Runs `schedule` with these options: all nine tables, F64, of this length.
#[track_caller]
fn schedule(folder: &Folder, options: &str, steps: usize) -> Tensors {
    let tables = folder.output(&format!("schedule {options} --out {OUT}"));
    assert_eq!(tables.names(), TABLES, "{options}");
    for name in TABLES {
        let tensor = tables.tensor(name);
        assert_eq!((tensor.dtype, &tensor.shape[..]), (Dtype::F64, &[steps][..]), "{options}: {name}");
    }
    tables
}

fn steps(case: &Value) -> usize {
    case["config"]["T"].as_u64().expect("T") as usize
}

/// The relative deviation: 0 if both are equal, even if both are 0; infinite if one is NaN.
fn relative(found: f64, expected: f64) -> f64 {
    if found == expected {
        return 0.0;
    }
    let deviation = ((found - expected) / expected).abs();
    if deviation.is_nan() { f64::INFINITY } else { deviation }
}

#[track_caller]
fn assert_within(what: &str, found: f64, expected: f64, bound: f64) {
    let deviation = (found - expected).abs();
    assert!(deviation <= bound, "{what}: {found:e}, expected {expected:e}, deviation {deviation:e} above {bound:e}");
}

/// Compares the tool's tables with those to 50 digits, within a relative limit.
fn check_digits(what: &str, tables: &Tensors, file: &Tensors, limit: impl Fn(&str, usize) -> f64) {
    let index = file.indices("mp_index");
    for name in TABLES.into_iter().filter(|name| !NOT_TO_50_DIGITS.contains(name)) {
        let (found, expected) = (tables.values(name), file.values(&format!("mp_{name}")));
        assert_eq!(index.len(), expected.len());
        for (&t, expected) in index.iter().zip(expected) {
            let (deviation, limit) = (relative(found[t], expected), limit(name, t));
            let found = found[t];
            assert!(deviation <= limit, "{what} {name} at {t}: {found:e}, expected {expected:e}, {deviation:e} off");
        }
    }
}

/// Compares the log variance. numpy computes `1 - abar` by a subtraction, so its logarithms are off by up to 128 roundings of abar over
/// that difference. A relative error of the variance is an absolute error of its logarithm.
fn check_log_variance(what: &str, tables: &Tensors, file: &Tensors, inherited: impl Fn(usize) -> f64) {
    let sigma = tables.values("sqrt_one_minus_alphas_cumprod");
    let found = tables.values("posterior_log_variance_clipped");
    let bound = |t: usize| 128.0 / (sigma[t] * sigma[t]) * f64::EPSILON / 2.0;
    for (&t, expected) in file.indices("index").iter().zip(file.values("posterior_log_variance_clipped")) {
        let at = t.max(1); // entry 0 is entry 1's
        let bound = bound(at - 1) + bound(at) + inherited(at);
        assert_within(&format!("{what} log variance at {t}"), found[t], expected, bound);
    }
}

/// The manifest's `a*beta + b`.
fn betas_tolerance(case: &Value) -> (f64, f64) {
    let text = case["tolerance"]["float64_recomputed_betas"].as_str().expect("a tolerance");
    let (scale, constant) = text.split_once("*beta + ").expect("a*beta + b");
    (scale.parse().expect("a number"), constant.parse().expect("a number"))
}

/// Relative error that a table proportional to beta inherits from recomputed betas.
///
/// Only one case needs it: the stored betas of the zero-terminal-SNR rescale of 1000 scaled-linear steps come from a
/// square root that is one ulp low at four timesteps, 4e-16 of a beta near 3.5e-3. The bound on betas themselves holds.
fn inherited(name: &str, tables: &Tensors, stored: &[f64], t: usize) -> f64 {
    let betas = tables.values("betas");
    match name {
        "posterior_variance" | "posterior_mean_coef1" if stored.len() == betas.len() => relative(betas[t], stored[t]),
        _ => 0.0,
    }
}

fn recipes() {
    let folder = Folder::new();
    let mut seen = 0;
    for case in cases("A") {
        let Some(options) = options(&case) else {
            continue;
        };
        seen += 1;
        let file = load(&case);
        let tables = schedule(&folder, &options, steps(&case));
        check_recipe(&case, &tables, &file);
    }
    assert_eq!(seen, 11);
}

fn check_recipe(case: &Value, tables: &Tensors, file: &Tensors) {
    let (what, betas, stored) = (id(case), tables.values("betas"), file.values("betas"));
    let (scale, constant) = betas_tolerance(case);
    for (&t, &expected) in file.indices("index").iter().zip(&stored) {
        assert_within(&format!("{what} beta {t}"), betas[t], expected, scale * expected + constant);
    }
    let limits = &case["tolerance"]["float64_tables_vs_mp"];
    check_digits(what, tables, file, |name, t| {
        // The manifest has no limit for the root of abar; that of abar is twice as wide as needed.
        let key = if name == "sqrt_alphas_cumprod" { "alphas_cumprod" } else { name };
        limits[key].as_f64().expect("a limit") + inherited(name, tables, &stored, t)
    });
    check_log_variance(what, tables, file, |t| inherited("posterior_variance", tables, &stored, t));
}

fn stored_betas() {
    let folder = Folder::new();
    let mut seen = 0;
    for case in cases("A") {
        let (file, steps) = (load(&case), steps(&case));
        let betas = file.values("betas");
        if betas.len() != steps {
            continue; // the vectors hold only some of the timesteps
        }
        seen += 1;
        Tensors::default().with("betas", Dtype::F64, &[steps], &betas).save(&folder.path("betas.safetensors"));
        let tables = schedule(&folder, "--betas betas.safetensors", steps);
        assert_eq!(tables.values("betas"), betas, "{}", id(&case));
        check_digits(id(&case), &tables, &file, |_, _| 1e-14);
        check_log_variance(id(&case), &tables, &file, |_| 0.0);
        let again =
            schedule(&folder, &format!("--schedule custom --betas betas.safetensors --train-timesteps {steps}"), steps);
        assert_eq!(again, tables);
    }
    assert_eq!(seen, 11);
}

fn from_alphas_cumprod() {
    let folder = Folder::new();
    let abar = [0.9, 0.5, 0.1];
    Tensors::default().with("alphas_cumprod", Dtype::F64, &[3], &abar).save(&folder.path("abar.safetensors"));
    let tables = schedule(&folder, "--betas abar.safetensors", 3);
    assert_eq!(tables.values("alphas_cumprod"), abar);
    for (found, expected) in tables.values("betas").into_iter().zip([1.0 - 0.9, 1.0 - 0.5 / 0.9, 1.0 - 0.1 / 0.5]) {
        assert!(relative(found, expected) < 1e-14, "{found} {expected}");
    }
}

fn zero_terminal_snr() {
    let folder = Folder::new();
    for (name, steps) in [("linear", 50), ("scaled-linear", 1000), ("cosine", 100), ("sigmoid", 1000), ("laplace", 100)]
    {
        let line = format!("--schedule {name} --train-timesteps {steps} --zero-terminal-snr");
        let tables = schedule(&folder, &line, steps);
        let last = |table: &str| tables.values(table)[steps - 1];
        assert_eq!((last("alphas_cumprod"), last("snr"), last("betas")), (0.0, 0.0, 1.0), "{line}");
        assert_eq!(last("sqrt_one_minus_alphas_cumprod"), 1.0, "{line}");
        for table in TABLES {
            assert!(tables.values(table).iter().all(|x| x.is_finite()), "{line}: {table}");
        }
        let text = folder.succeeds(&format!("schedule {line}"));
        assert!(text.contains("zero terminal SNR"), "{text}");
        let first = |tables: &Tensors| tables.values("alphas_cumprod")[0];
        let plain = schedule(&folder, &format!("--schedule {name} --train-timesteps {steps}"), steps);
        assert!(relative(first(&tables), first(&plain)) < 1e-14, "{line}: the first timestep must stay");
    }
}

fn synonyms() {
    let folder = Folder::new();
    let table = |options: &str| schedule(&folder, options, 20);
    for (ours, theirs) in [
        ("--schedule cosine", "--schedule squaredcos_cap_v2"),
        ("--schedule cosine", "--beta-schedule SquaredCos-Cap-V2"),
        ("--schedule scaled-linear", "--schedule scaled_linear"),
        ("--schedule scaled-linear", "--schedule quad"),
        ("--schedule linear-scaled", "--schedule linear_scaled_by_T"),
        ("--schedule sigmoid-abar", "--schedule sigmoid_jabri"),
        ("--schedule linear", ""),
        ("--schedule linear --zero-terminal-snr", "--schedule linear --rescale-betas-zero-snr"),
        ("--schedule linear", "--schedule LINEAR --beta-start 1e-4 --beta-end 0.02"),
    ] {
        let [ours, theirs] = [ours, theirs].map(|options| format!("{options} --train-timesteps 20"));
        assert_eq!(table(&ours), table(&theirs), "{ours} and {theirs}");
    }
    assert_eq!(table("--num-train-timesteps 20"), table("--train-timesteps 20"));
    assert_ne!(table("--schedule linear --train-timesteps 20"), table("--schedule cosine --train-timesteps 20"));
}

fn one_timestep() {
    let folder = Folder::new();
    for name in
        ["linear", "linear-scaled", "scaled-linear", "cosine", "sigmoid", "sigmoid-abar", "laplace", "laplace-paper"]
    {
        let line = format!("--schedule {name} --train-timesteps 1 --plot plot.svg");
        let tables = schedule(&folder, &line, 1);
        for table in TABLES {
            assert!(tables.values(table)[0].is_finite(), "{name} {table}");
        }
        let [beta] = tables.values("betas")[..] else { panic!("{name}") };
        assert!((0.0..=1.0).contains(&beta), "{name}: {beta}");
        assert_eq!(tables.values("posterior_variance"), [0.0], "{name}");
        assert!(folder.succeeds(&format!("schedule {line}")).contains("timestep"));
    }
}

fn long_schedules() {
    let folder = Folder::new();
    for name in ["linear", "scaled-linear", "cosine", "sigmoid-abar"] {
        let tables = schedule(&folder, &format!("--schedule {name} --train-timesteps 10000"), 10_000);
        let abar = tables.values("alphas_cumprod");
        assert!(abar.windows(2).all(|pair| pair[1] < pair[0]) && abar[9_999] >= 0.0, "{name}");
    }
}

fn plot() {
    let folder = Folder::new();
    for options in ["", "--zero-terminal-snr", "--schedule cosine --train-timesteps 10000", "--train-timesteps 2"] {
        folder.succeeds(&format!("schedule {options} --plot plot.svg"));
        let svg = std::fs::read_to_string(folder.path("plot.svg")).expect("a text");
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{options}");
        for legend in [
            "abar",
            "sqrt(abar)",
            "sqrt(1 - abar)",
            "log snr",
            "predicting epsilon",
            "predicting x0",
            "predicting v",
            "timestep",
        ] {
            let labelled = svg.split(['<', '>', '\n']).any(|text| text.trim() == legend);
            assert!(labelled, "{options}: no {legend}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{options}");
        assert!(svg.len() < 2_000_000, "{options}: {} bytes", svg.len());
    }
    assert_eq!(folder.names(), ["plot.svg"]);
}

fn json_and_text() {
    let folder = Folder::new();
    let line = format!("schedule --schedule scaled-linear --zero-terminal-snr --out {OUT} --plot plot.svg");
    let object = &folder.objects(&format!("{line} --json"))[0];
    assert_eq!(object["timesteps"], 1000);
    assert_eq!(object["files"], serde_json::json!([OUT, "plot.svg"]));
    let rows = object["rows"].as_array().expect("rows");
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert_eq!((&first["t"], &last["t"]), (&Value::from(0), &Value::from(999)));
    assert!(relative(first["beta"].as_f64().expect("a beta"), 0.00085) < 1e-12);
    assert_eq!((last["alphas_cumprod"].as_f64(), &last["log_snr"]), (Some(0.0), &Value::Null));
    let text = folder.succeeds(&line);
    for word in ["1000 timesteps", "abar", "log snr", OUT, "plot.svg"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// serde_json reads a number to within one unit in its last place.
const PARSED: f64 = f64::EPSILON;

/// The JSON has all rows of a schedule of five timesteps, with the numbers of the file.
fn json_and_file() {
    let folder = Folder::new();
    for process in ["vp", "ve", "edm", "flow", "rising-flow", "trigflow"] {
        let line = format!("schedule --process {process} --train-timesteps 5 --out {OUT}");
        let object = &folder.objects(&format!("{line} --json"))[0];
        let rows = object["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 5, "{process}");
        let tensors = Tensors::load(&folder.path(OUT));
        let of_vp = [("alpha", "sqrt_alphas_cumprod"), ("sigma", "sqrt_one_minus_alphas_cumprod"), ("beta", "betas")];
        let of_others = [("alpha", "alpha"), ("sigma", "sigma"), ("told", "told")];
        let names = if process == "vp" { of_vp } else { of_others };
        let shared = ["alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "snr"].map(|name| (name, name));
        for (key, name) in names.into_iter().chain(shared) {
            let shown: Vec<f64> = rows.iter().map(|row| row[key].as_f64().expect("a number")).collect();
            for (shown, &stored) in shown.iter().zip(&tensors.values(name)) {
                assert!(relative(*shown, stored) <= PARSED, "{process}: {key} is {shown}, {stored} in the file");
            }
        }
        for (row, snr) in rows.iter().zip(tensors.values("snr")) {
            let shown = row["log_snr"].as_f64().unwrap_or(f64::NEG_INFINITY);
            assert!(shown == snr.ln() || (shown - snr.ln()).abs() < 1e-13, "{process}: {shown}, {snr}");
            assert!(process == "vp" || row["beta"].is_null(), "{process}");
        }
    }
}

/// These processes have no betas, and their levels are not the roots of `abar` and `1 - abar`.
fn other_processes() {
    let folder = Folder::new();
    for process in ["edm", "flow", "trigflow"] {
        let text = folder.succeeds(&format!("schedule --process {process} --plot plot.svg"));
        assert!(!text.contains("NaN"), "{text}");
        let second = text.lines().nth(2).expect("a row").split_whitespace().nth(1);
        assert_eq!(second, Some("-"), "{text}");
        let svg = std::fs::read_to_string(folder.path("plot.svg")).expect("a text");
        let labelled = |legend: &str| svg.split(['<', '>', '\n']).any(|text| text.trim() == legend);
        assert!(labelled("alpha") && labelled("sigma") && labelled("abar"), "{process}");
        assert!(!labelled("sqrt(abar)") && !labelled("sqrt(1 - abar)"), "{process}");
    }
    let text = folder.succeeds("schedule --process flow");
    let row = text.lines().find(|line| line.trim_start().starts_with("250 ")).expect("timestep 250");
    assert!(row.contains("3.162278e-1"), "{row}");
}

fn wrong_schedule() {
    let folder = Folder::new();
    let all = cases("A");
    let case = all.iter().find(|case| id(case) == "A_linear_T250").expect("the case");
    let (file, right) = (load(case), options(case).expect("options"));
    let verdict = |options: &str| {
        let tables = schedule(&folder, options, 250);
        fails(|| check_recipe(case, &tables, &file))
    };
    assert!(!verdict(&right));
    for wrong in [
        right.replace("--beta-end 0.02", "--beta-end 0.02000001"),
        right.replace("--schedule linear", "--schedule linear-scaled"),
        format!("{right} --zero-terminal-snr"),
    ] {
        assert_ne!(wrong, right);
        assert!(verdict(&wrong), "{wrong}");
    }
}

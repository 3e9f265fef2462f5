//! `tweedie noise`, `convert` and `posterior` against the vectors of group B, with the manifest's bounds.

use crate::support::{Folder, OUT, On, by_rule, cases, id, load, options};
use crate::tensors::{Tensor, Tensors};
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::Value;
use tweedie::Quantity::{Epsilon, V, X0, Xt};
use tweedie::math::solve;
use tweedie::{Quantity, Schedule, Storage};

pub const TESTS: &[Test] = &[
    ("on_the_cpu", Needs::Nothing, || every_small_case(On::Cpu)),
    ("on_the_gpu_as_f32", Needs::Adapter, || every_small_case(On::Gpu(Storage::F32))),
    ("on_the_gpu_as_f16", Needs::Adapter, || every_small_case(On::Gpu(Storage::F16))),
    ("on_the_gpu_as_bf16", Needs::Adapter, || every_small_case(On::Gpu(Storage::Bf16))),
    ("three_million_elements_on_the_gpu", Needs::Adapter, three_million_elements),
    ("what_is_undefined_is_refused_on_the_cpu", Needs::Nothing, || undefined("--on cpu")),
    ("what_is_undefined_is_refused_on_the_gpu", Needs::Adapter, || undefined("--on gpu")),
    ("nan_is_written_only_where_nothing_is_determined", Needs::Nothing, nan_only_where_undefined),
    ("a_wrong_schedule_is_noticed", Needs::Nothing, wrong_schedule),
    ("the_comparison_can_fail", Needs::Nothing, comparison_can_fail),
];

/// The two coefficients of an output at a timestep; `None` where it does not exist.
type Row = fn(&Schedule, usize) -> Option<[f64; 2]>;

/// An output: the tensor of the tool, the tensors of the vectors that it must equal, and its coefficients.
type Output = (&'static str, &'static [&'static str], Row);

/// One run of the tool.
struct Job {
    command: &'static str,
    inputs: [&'static str; 2],
    outputs: &'static [Output],
}

fn of(schedule: &Schedule, t: usize, quantity: Quantity) -> Option<[f64; 2]> {
    quantity.row(schedule.levels()[t]).ok()
}

fn from(schedule: &Schedule, t: usize, given: Quantity, wanted: Quantity) -> Option<[f64; 2]> {
    solve(schedule.levels()[t], given, wanted).ok()
}

/// The mean through x0. Both terms of the first coefficient are positive for each of these predictions, so the terms of
/// this row are as large as those that pass through x0, which the manifest's bound counts.
fn mean(schedule: &Schedule, t: usize, given: Quantity) -> Option<[f64; 2]> {
    let [a, b] = from(schedule, t, given, X0)?;
    let posterior = schedule.posterior(t, t.checked_sub(1)).ok()?;
    Some([posterior.coef_x0 * a + posterior.coef_xt, posterior.coef_x0 * b])
}

const PREDICTED: [&str; 2] = ["x_t", "prediction"];

const JOBS: [Job; 7] = [
    Job {
        command: "noise in.safetensors --target v_prediction",
        inputs: ["x0", "eps"],
        outputs: &[("x_t", &["x_t"], |s, t| of(s, t, Xt)), ("target", &["v"], |s, t| of(s, t, V))],
    },
    Job {
        command: "convert in.safetensors --from v --to x0,epsilon",
        inputs: PREDICTED,
        outputs: &[
            ("x0", &["x0_from_v"], |s, t| from(s, t, V, X0)),
            ("epsilon", &["eps_from_v"], |s, t| from(s, t, V, Epsilon)),
        ],
    },
    Job {
        command: "convert in.safetensors --from epsilon --to x0,v",
        inputs: PREDICTED,
        outputs: &[
            ("x0", &["x0_from_eps", "x0_from_eps_direct"], |s, t| from(s, t, Epsilon, X0)),
            ("v", &["v_from_eps"], |s, t| from(s, t, Epsilon, V)),
        ],
    },
    Job {
        command: "convert in.safetensors --from sample --to eps,v_prediction",
        inputs: PREDICTED,
        outputs: &[
            ("eps", &["eps_from_x0", "eps_from_x0_direct"], |s, t| from(s, t, X0, Epsilon)),
            ("v_prediction", &["v_from_x0"], |s, t| from(s, t, X0, V)),
        ],
    },
    Job {
        command: "posterior in.safetensors --from x0",
        inputs: PREDICTED,
        outputs: &[("mean", &["post_mean_x0"], |s, t| mean(s, t, X0))],
    },
    Job {
        command: "posterior in.safetensors --from epsilon",
        inputs: PREDICTED,
        outputs: &[("mean", &["post_mean_eps", "post_mean_eps_direct"], |s, t| mean(s, t, Epsilon))],
    },
    Job {
        command: "posterior in.safetensors --from v",
        inputs: PREDICTED,
        outputs: &[("mean", &["post_mean_v"], |s, t| mean(s, t, V))],
    },
];

struct Case {
    name: String,
    options: String,
    schedule: Schedule,
    file: Tensors,
    shape: Vec<usize>,
    /// The timestep of each sample.
    t: Vec<usize>,
    /// The elements that the vectors hold of each tensor.
    index: Vec<usize>,
}

impl Case {
    fn new(case: &Value) -> Self {
        let file = load(case);
        let dimensions = case["config"]["shape"].as_array().expect("a shape").iter();
        let shape: Vec<usize> = dimensions.map(|n| n.as_u64().expect("a dimension") as usize).collect();
        let options = options(case).expect("a recipe");
        let all = || (0..shape.iter().product()).collect();
        let index = if file.0.contains_key("index") { file.indices("index") } else { all() };
        Self { name: id(case).to_owned(), options, schedule: recipe(case), t: file.indices("t"), index, shape, file }
    }

    fn small() -> Vec<Self> {
        let all: Vec<Self> = cases("B").iter().filter(|case| !id(case).contains("big")).map(Self::new).collect();
        assert_eq!(all.len(), 5);
        all
    }

    fn named(part: &str) -> Self {
        Self::new(cases("B").iter().find(|case| id(case).contains(part)).expect("the case"))
    }

    fn per_sample(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The tensors under the names that the tool reads.
    fn input(&self) -> Tensors {
        self.file.renamed(&[("x0", "x0"), ("eps", "eps"), ("x_in", "x_t"), ("pred", "prediction"), ("t", "t")])
    }

    fn zero_snr(&self) -> bool {
        self.t.iter().any(|&t| self.schedule.levels()[t].alpha() == 0.0)
    }

    /// Runs a job with the schedule of these options. Undefined results are allowed here and become NaN, and results beyond f16
    /// become infinite; that they are refused by default is tested elsewhere.
    fn run(&self, folder: &Folder, job: &Job, on: On, options: &str) -> Tensors {
        let line = format!("{} {options} {} --out {OUT}", job.command, on.options());
        let holes = job.outputs.iter().any(|(.., row)| self.t.iter().any(|&t| row(&self.schedule, t).is_none()));
        let narrow = on == On::Gpu(Storage::F16);
        if !holes && !narrow {
            return folder.output(&line);
        }
        let allowed = [("--allow-undefined", holes), ("--force", narrow)];
        let allowed: String =
            allowed.iter().filter(|(_, asked)| *asked).map(|(option, _)| format!(" {option}")).collect();
        let run = folder.run(&(line.clone() + &allowed));
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        let foreseen = |told: &str| {
            told.starts_with("warning: sample 4: ") || (narrow && told.contains("beyond the range of f16"))
        };
        assert!(run.stderr.lines().all(foreseen), "{line}: {}", run.stderr);
        Tensors::load(&folder.path(OUT))
    }

    /// Finds an error in a job's outputs, at the elements that the vectors hold.
    fn fault(&self, job: &Job, input: &Tensors, found: &Tensors, on: On) -> Option<String> {
        let [x, y] = job.inputs.map(|name| input.values(name));
        for &(tensor, names, row) in job.outputs {
            let what = format!("{} {} {on:?}: {tensor}", self.name, job.command);
            let Tensor { dtype, shape, .. } = found.tensor(tensor);
            assert_eq!((*dtype, shape), (on.dtype(), &self.shape), "{what}");
            let values = found.values(tensor);
            for name in names {
                for (&i, expected) in self.index.iter().zip(self.file.values(name)) {
                    let t = self.t[i / self.per_sample()];
                    let row = row(&self.schedule, t);
                    // guided-diffusion's form is NaN at abar = 0, where the direct one is finite.
                    let known = !(*name == "eps_from_x0" && self.schedule.levels()[t].alpha() == 0.0);
                    let expected = known.then_some(expected);
                    let noise = self.schedule.levels()[t].sigma().powi(2);
                    if let Some(fault) = element_fault(on, row, [x[i], y[i]], values[i], expected, noise) {
                        return Some(format!("{what} against {name}, element {i}, t = {t}: {fault}"));
                    }
                }
            }
        }
        None
    }

    /// Variance and log variance of each sample, which are F64 wherever the mean was computed.
    fn check_variances(&self, found: &Tensors) {
        let noise = self.schedule.one_minus_alphas_cumprod();
        let bound = |t: usize| PEERS / noise[t] + PEERS / noise[t.saturating_sub(1)];
        assert_eq!(found.names(), ["log_variance_clipped", "mean", "variance"]);
        for (ours, theirs) in [("variance", "post_var"), ("log_variance_clipped", "post_logvar_clipped")] {
            let Tensor { dtype, shape, .. } = found.tensor(ours);
            assert_eq!((*dtype, &shape[..]), (Dtype::F64, &[self.t.len()][..]));
            let pairs = found.values(ours).into_iter().zip(self.file.values(theirs));
            for (sample, (found, expected)) in pairs.enumerate() {
                let t = self.t[sample];
                // A relative error of the variance is an absolute one of its logarithm, whose entry 0 is entry 1's.
                let bound = if ours == "variance" { bound(t) * expected } else { bound(t.max(1)) };
                let deviation = (found - expected).abs();
                assert!(deviation <= bound, "{} {ours} sample {sample}: {found:e}, expected {expected:e}", self.name);
            }
        }
    }
}

fn recipe(case: &Value) -> Schedule {
    let config = &case["config"];
    let peers = &config["diffusers_f32_kwargs"];
    let steps = config["T"].as_u64().expect("T") as usize;
    let beta = |key: &str| peers[key].as_f64().expect("a beta");
    let schedule = match config["schedule"].as_str().expect("a schedule") {
        "linear" => Schedule::linear(steps, beta("beta_start"), beta("beta_end")),
        "scaled_linear" => Schedule::scaled_linear(steps, beta("beta_start"), beta("beta_end")),
        "cosine" => Schedule::cosine(steps),
        "zero_snr(scaled_linear)" => Schedule::scaled_linear(steps, beta("beta_start"), beta("beta_end"))
            .and_then(|schedule| schedule.zero_terminal_snr()),
        other => panic!("no recipe for {other}"),
    };
    schedule.expect("a schedule")
}

/// The manifest's bound for f64, to be divided by `1 - abar`: the peers' own tables are no better than this.
const PEERS: f64 = 128.0 * f64::EPSILON / 2.0;

/// The manifest's bound for f32, in which coefficients, products and the sum are rounded.
const ARITHMETIC: f64 = 4.0 / (1 << 24) as f64;

/// The distance to the next number of a storage.
fn step(storage: Storage, x: f64) -> f64 {
    let power = if x == 0.0 { 0.0 } else { x.abs().log2().floor().exp2() };
    (2.0 * storage.unit_roundoff() * power).max(storage.smallest_step())
}

/// Finds an error in an element that should be `row . inputs`, and equal the vectors' number if that is known.
fn element_fault(
    on: On,
    row: Option<[f64; 2]>,
    inputs: [f64; 2],
    found: f64,
    known: Option<f64>,
    noise: f64,
) -> Option<String> {
    let Some([a, b]) = row else {
        return (!found.is_nan()).then(|| format!("{found:e} where nothing is defined"));
    };
    let [x, y] = match on {
        On::Cpu | On::Gpu(Storage::F32) => inputs,
        On::Gpu(storage) => inputs.map(|input| storage.round(input)),
    };
    let (value, terms) = (a * x + b * y, (a * x).abs() + (b * y).abs());
    let (expected, bound) = match on {
        On::Cpu => (known.unwrap_or(value), PEERS / noise * terms + 1e-300),
        On::Gpu(Storage::F32) => (known.unwrap_or(value), ARITHMETIC * terms + 1e-37),
        On::Gpu(storage) => {
            let arithmetic = ARITHMETIC * terms + 1e-37;
            (value, arithmetic + step(storage, value.abs() + arithmetic))
        }
    };
    if let (On::Gpu(storage), true) = (on, found.is_infinite()) {
        // Beyond the storage's range.
        let right = storage.round(expected.abs() + bound).is_infinite() && found.signum() == expected.signum();
        return (!right).then(|| format!("{found}, expected {expected:e}"));
    }
    let inside = (found - expected).abs() <= bound;
    (!inside).then(|| format!("{found:e}, expected {expected:e} within {bound:e}"))
}

fn every_small_case(on: On) {
    let mut holes = 0;
    for case in Case::small() {
        let input = case.input();
        let folder = Folder::with(&input);
        for job in &JOBS {
            let found = case.run(&folder, job, on, &case.options);
            assert_eq!(case.fault(job, &input, &found, on), None);
            if job.command.starts_with("posterior") {
                case.check_variances(&found);
            } else {
                let mut names: Vec<&str> = job.outputs.iter().map(|(name, ..)| *name).collect();
                names.sort_unstable();
                assert_eq!(found.names(), names, "{} {}", case.name, job.command);
            }
            holes += found.values(job.outputs[0].0).iter().filter(|x| x.is_nan()).count();
        }
        assert_eq!(folder.names(), ["in.safetensors", OUT]);
    }
    // Only the first output of each job is counted. x0 and the mean from epsilon are NaN in the last sample of the
    // zero-terminal-SNR case; the other first outputs have no NaN.
    assert_eq!(holes, 2 * 32);
}

fn undefined(on: &str) {
    let case = Case::named("zero_snr");
    assert!(case.zero_snr());
    let folder = Folder::with(&case.input());
    for command in [
        "convert in.safetensors --from epsilon --to x0",
        "convert in.safetensors --from eps --to score,v",
        "convert in.safetensors --from score --to flow",
        "posterior in.safetensors --from epsilon",
    ] {
        let line = format!("{command} {} {on} --out {OUT}", case.options);
        folder.refuses(&line, &["sample 4", "timestep 999", "does not determine", "--allow-undefined"]);
    }
    // Results that are still determined there need no permission.
    for command in
        ["convert in.safetensors --from epsilon --to score", "convert in.safetensors --from flow --to x0,epsilon,v"]
    {
        folder.output(&format!("{command} {} {on} --out {OUT}", case.options));
    }
    // Nor does a file without that timestep.
    let mut t = case.t.clone();
    t[4] = 998;
    let t: Vec<f64> = t.into_iter().map(|t| t as f64).collect();
    case.input().with("t", Dtype::I64, &[5], &t).save(&folder.path("in.safetensors"));
    let x0 = folder.output(&format!("convert in.safetensors --from epsilon --to x0 {} {on} --out {OUT}", case.options));
    assert!(x0.values("x0").iter().all(|x| x.is_finite()));
}

/// A tensor does not depend on the other outputs: from epsilon at zero SNR, the score exists and x0 does not.
fn nan_only_where_undefined() {
    let case = Case::named("zero_snr");
    let folder = Folder::with(&case.input());
    for wanted in ["score,x0", "x0,score", "x0,v,score"] {
        let command = format!("convert in.safetensors --from epsilon --to {wanted}");
        let run = folder.run(&format!("{command} {} --on cpu --allow-undefined --out {OUT}", case.options));
        assert_eq!(run.code, Some(0), "{command}: {}", run.stderr);
        let found = Tensors::load(&folder.path(OUT));
        let nan = |name: &str| -> Vec<usize> {
            let values = found.values(name);
            (0..5)
                .filter(|sample| values.chunks(32).nth(*sample).is_some_and(|s| s.iter().any(|x| x.is_nan())))
                .collect()
        };
        assert_eq!(nan("x0"), [4], "{command}");
        assert!(found.values("x0")[4 * 32..].iter().all(|x| x.is_nan()), "{command}");
        assert!(nan("score").is_empty(), "{command}: the score is NaN in samples {:?}", nan("score"));
    }
}

fn wrong_schedule() {
    let case = Case::named("image");
    let input = case.input();
    let folder = Folder::with(&input);
    for job in &JOBS {
        let fault = |options: &str| {
            let found = case.run(&folder, job, On::Cpu, options);
            case.fault(job, &input, &found, On::Cpu)
        };
        assert_eq!(fault(&case.options), None);
        for (right, wrong) in
            [("--beta-end 0.02", "--beta-end 0.020001"), ("--schedule linear", "--schedule scaled-linear")]
        {
            let wrong = case.options.replace(right, wrong);
            assert_ne!(wrong, case.options);
            assert!(fault(&wrong).is_some(), "{}: {wrong}", job.command);
        }
    }
}

fn comparison_can_fail() {
    let fault = |on, row, found, known| element_fault(on, row, [1.0, 0.5], found, known, 0.5).is_some();
    let row = Some([0.75, 0.5]); // exactly 1 on these inputs
    for on in [On::Cpu, On::Gpu(Storage::F32), On::Gpu(Storage::F16), On::Gpu(Storage::Bf16)] {
        assert!(!fault(on, row, 1.0, Some(1.0)), "{on:?}");
        assert!(!fault(on, None, f64::NAN, Some(f64::INFINITY)), "{on:?}");
        assert!(fault(on, None, 1.0, Some(f64::INFINITY)), "{on:?}");
        for wrong in [1.02, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(fault(on, row, wrong, Some(1.0)), "{on:?}: {wrong}");
        }
    }
    let huge = Some([1e6, 0.0]);
    assert!(!fault(On::Gpu(Storage::F16), huge, f64::INFINITY, None));
    assert!(fault(On::Gpu(Storage::F16), huge, f64::NEG_INFINITY, None));
    assert!(fault(On::Gpu(Storage::Bf16), huge, f64::INFINITY, None));
    assert!(fault(On::Gpu(Storage::F32), row, 1.0 + 1e-6, Some(1.0)));
    assert!(fault(On::Cpu, row, 1.0 + 1e-12, Some(1.0)));
}

fn three_million_elements() {
    let all = cases("B");
    let manifest = all.iter().find(|case| id(case).contains("big")).expect("the case");
    let case = Case::new(manifest);
    let (elements, total) = (case.per_sample(), case.shape.iter().product());
    let rule = &manifest["config"]["input_rule"];
    let [x0, eps, prediction] = ["x0", "eps", "pred"].map(|name| by_rule(&rule[name], total));
    // As in the vectors, the noisy sample of the conversions is x_t rounded to f32.
    let mut x_t = Vec::with_capacity(total);
    for (sample, &t) in case.t.iter().enumerate() {
        let [a, b] = of(&case.schedule, t, Xt).expect("a row");
        for i in sample * elements..(sample + 1) * elements {
            x_t.push((a * f64::from(x0[i]) + b * f64::from(eps[i])) as f32);
        }
    }
    for (name, values) in [("x0", &x0), ("eps", &eps), ("pred", &prediction), ("x_in", &x_t)] {
        let picked: Vec<f64> = case.index.iter().map(|&i| f64::from(values[i])).collect();
        assert_eq!(picked, case.file.values(name), "{name}");
    }
    let mut input = case.file.renamed(&[("t", "t")]);
    for (name, values) in [("x0", &x0), ("eps", &eps), ("x_t", &x_t), ("prediction", &prediction)] {
        let bytes = bytemuck::cast_slice(values).to_vec();
        input = input.with_tensor(name, Tensor { dtype: Dtype::F32, shape: case.shape.clone(), bytes });
    }
    let (folder, on) = (Folder::with(&input), On::Gpu(Storage::F32));
    for job in &JOBS {
        let found = case.run(&folder, job, on, &case.options);
        if job.command.starts_with("posterior") {
            case.check_variances(&found);
        }
        assert_eq!(case.fault(job, &input, &found, on), None);
        for &(tensor, names, _) in job.outputs {
            let values = found.values(tensor);
            for name in names {
                let what = format!("{} {tensor} against {name}", job.command);
                let moments = case.file.values(&format!("moments_{name}"));
                for (sample, expected) in values.chunks(elements).zip(moments.as_chunks::<3>().0) {
                    check_moments(&what, sample, *expected);
                }
            }
        }
    }
}

/// Sum, sum of squares and largest magnitude of a whole sample, with the manifest's tolerances.
fn check_moments(what: &str, sample: &[f64], [sum, squares, largest]: [f64; 3]) {
    let found =
        sample.iter().fold([0.0; 3], |[sum, squares, largest], x| [sum + x, squares + x * x, x.abs().max(largest)]);
    let magnitude = (sample.len() as f64 * squares).sqrt();
    let bounds = [ARITHMETIC * magnitude, 2e-6 * squares, 1e-6 * largest];
    for ((found, expected), bound) in found.into_iter().zip([sum, squares, largest]).zip(bounds) {
        assert!(
            (found - expected).abs() <= bound,
            "{what}: a moment is {found:e}, expected {expected:e} within {bound:e}"
        );
    }
}

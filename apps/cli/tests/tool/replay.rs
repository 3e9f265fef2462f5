//! `tweedie replay` against the runs of group C, with the manifest's bounds, and on wrong input.

use crate::support::{Folder, OUT, On, cases, fails, id, load};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;
use serde_json::{Value, json};
use tweedie::Storage;

pub const TESTS: &[Test] = &[
    ("diffusers_in_f64", Needs::Nothing, || every_diffusers_case(On::Cpu)),
    ("diffusers_on_the_gpu", Needs::Adapter, || every_diffusers_case(GPU)),
    ("guided_diffusion_in_f64", Needs::Nothing, || every_guided_case(On::Cpu)),
    ("guided_diffusion_on_the_gpu", Needs::Adapter, || every_guided_case(GPU)),
    ("k_diffusion_in_f64", Needs::Nothing, || every_k_case(On::Cpu)),
    ("k_diffusion_on_the_gpu", Needs::Adapter, || every_k_case(GPU)),
    ("a_wrong_coefficient_is_noticed", Needs::Nothing, wrong_coefficients),
    ("a_config_by_options", Needs::Nothing, by_options),
    ("every_storage_type_is_read", Needs::Nothing, storage_types),
    ("mistakes_are_named", Needs::Nothing, mistakes),
];

const GPU: On = On::Gpu(Storage::F32);

/// The keys and options of churn.
const CHURN: [(&str, &str); 4] =
    [("s_churn", "--s-churn"), ("s_tmin", "--s-tmin"), ("s_tmax", "--s-tmax"), ("s_noise", "--s-noise")];

/// Options for the keys of a group that are set, from pairs of key and option.
fn flags(group: &Value, keys: &[(&str, &str)]) -> String {
    let given = keys.iter().filter(|(key, _)| !group[key].is_null());
    given.map(|(key, flag)| format!("{flag} {} ", group[key])).collect()
}

/// Four unit roundoffs of f32: for the sample, the prediction, the sum of their terms, and storing it.
const ROUNDINGS: f64 = 4.0 / (1 << 24) as f64;

/// Tolerance of timesteps. A float timestep of the vectors comes from an f64 logarithm and an interpolation among 1000 of them.
const TIMESTEP: f64 = 1e-9;

/// A recorded run of another system, with its tensors under the names that the tool reads.
struct Run {
    case: Value,
    file: Tensors,
    input: Tensors,
}

impl Run {
    fn new(case: Value, names: &[(&str, &str)]) -> Self {
        let file = load(&case);
        let input = file.renamed(names);
        Self { case, file, input }
    }

    fn named(part: &str) -> Self {
        let case = cases("C").into_iter().find(|case| id(case) == part).expect("the case");
        Self::new(case, &DIFFUSERS)
    }

    fn config(&self) -> &Value {
        &self.case["config"]
    }

    fn folder(&self) -> Folder {
        let folder = Folder::with(&self.input);
        let mut config = self.config()["kwargs"].clone();
        config["_class_name"] = self.config()["scheduler"].clone();
        config["_diffusers_version"] = json!("0.42.1");
        folder.write("scheduler_config.json", config.to_string().as_bytes());
        folder
    }

    /// The options of the run itself: those of `set_timesteps` and of `step`.
    fn options(&self) -> String {
        let config = self.config();
        let mut options = flags(&config["set_timesteps"], &[("num_inference_steps", "--steps"), ("mu", "--mu")]);
        options += &flags(&config["step_kwargs"], &[&[("eta", "--eta")], &CHURN[..]].concat());
        if self.config()["step_kwargs"]["use_clipped_model_output"] == true {
            options.push_str("--rederive-epsilon");
        }
        options
    }

    /// Allowed error of each sample.
    ///
    /// In f64 it is the manifest's. The manifest's bound for f32 assumes a network that sees the rounded sample and so corrects a
    /// part of the error. Recorded outputs do not: if they are epsilon, an error grows with the signal. So each call multiplies the
    /// error so far by its growth and adds some roundings.
    fn bounds(&self, on: On) -> Vec<f64> {
        let tolerance = &self.case["tolerance"];
        let largest = |name: &str| -> Vec<f64> {
            let (tensor, values) = (self.file.tensor(name), self.file.values(name));
            let entries = values.chunks(tensor.shape[1..].iter().product());
            entries.map(|entry| entry.iter().fold(0.0, |most, x| f64::max(most, x.abs()))).collect()
        };
        let samples = largest("samples");
        if on == On::Cpu {
            let bound = tolerance["float64_free_run"].as_f64().expect("a bound");
            return vec![bound; samples.len()];
        }
        let answers =
            if self.file.0.contains_key("model_outputs") { largest("model_outputs") } else { samples.clone() };
        let mut bounds = vec![ROUNDINGS * samples[0]];
        for k in 0..samples.len() - 1 {
            let local = ROUNDINGS * samples[k].max(samples[k + 1]).max(answers[k]);
            bounds.push(bounds[k] * self.growth(k) + local);
        }
        bounds
    }

    /// Growth of an error in call `k`, with a fixed output of the network.
    fn growth(&self, k: usize) -> f64 {
        let config = self.config();
        let exploding =
            config["scheduler"].as_str().is_some_and(|name| !name.starts_with('D') && !name.starts_with('U'));
        let epsilon = config["prediction"] == "epsilon" || config["mean_type"] == "EPSILON";
        if exploding || !epsilon {
            return 1.0;
        }
        let alphas = self.file.values("net_alpha");
        alphas.get(k + 1).copied().unwrap_or(1.0) / alphas[k]
    }

    /// Runs the tool and compares its samples with those of the vectors.
    fn check(&self, folder: &Folder, options: &str, on: On, samples: &str) {
        let name = id(&self.case);
        let found = folder.output(&format!("replay in.safetensors {options} {} --out {OUT}", on.options()));
        let (ours, theirs) = (found.values("samples"), self.file.values(samples));
        assert_eq!(found.tensor("samples").shape[1..], self.file.tensor(samples).shape[1..], "{name}");
        assert_eq!(found.tensor("samples").dtype, on.dtype(), "{name}");
        let entry: usize = found.tensor("samples").shape[1..].iter().product();
        let bounds = self.bounds(on);
        assert_eq!(ours.len() / entry, theirs.len() / entry, "{name}: entries");
        for (k, (ours, theirs)) in ours.chunks(entry).zip(theirs.chunks(entry)).enumerate() {
            let deviation = largest_deviation(ours, theirs);
            let bound = bounds[k];
            assert!(deviation <= bound, "{name} {options}: sample {k} deviates by {deviation:e} above {bound:e}");
        }
        let calls = found.tensor("timesteps").shape[0];
        assert_eq!(found.tensor("pred_x0").shape, [&[calls], &found.tensor("samples").shape[1..]].concat(), "{name}");
        assert_eq!(found.names(), ["pred_x0", "samples", "timesteps"], "{name}");
        if self.file.0.contains_key("timesteps") {
            let (ours, theirs) = (found.values("timesteps"), self.file.values("timesteps"));
            let deviation = largest_deviation(&ours, &theirs);
            assert!(deviation <= TIMESTEP, "{name}: timesteps {ours:?}, expected {theirs:?}");
        }
        for clean in ["pred_original_samples", "pred_xstart"].into_iter().filter(|name| self.file.0.contains_key(*name))
        {
            let (ours, theirs) = (found.values("pred_x0"), self.file.values(clean));
            for (k, (ours, theirs)) in ours.chunks(entry).zip(theirs.chunks(entry)).enumerate() {
                let bound = bounds[k].max(bounds[k + 1]) * self.amplification(k);
                let deviation = largest_deviation(ours, theirs);
                assert!(deviation <= bound, "{name}: clean sample {k} deviates by {deviation:e} above {bound:e}");
            }
        }
    }

    /// Bound on the growth of a sample's error in the clean sample: 1/alpha at the network's level. For v it is less.
    fn amplification(&self, k: usize) -> f64 {
        let alpha = self.file.values("net_alpha")[k];
        1.0 / alpha.max(LEAST_ALPHA)
    }

    fn diffusers(&self, on: On) {
        let options = format!("--config scheduler_config.json --compat diffusers {}", self.options());
        self.check(&self.folder(), &options, on, "samples");
    }
}

/// The manifest's own floor for the signal, in its bound of one step.
const LEAST_ALPHA: f64 = 1e-3;

/// The largest deviation; NaN counts as infinite.
fn largest_deviation(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let each = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    each.fold(0.0, |largest, d| if d.is_nan() { f64::INFINITY } else { f64::max(largest, d) })
}

const DIFFUSERS: [(&str, &str); 4] =
    [("samples", "samples"), ("model_outputs", "model_outputs"), ("noises", "noises"), ("var_values", "var_values")];

const K_DIFFUSION: [(&str, &str); 3] =
    [("x_init", "initial"), ("call_denoised", "model_outputs"), ("noises", "noises")];

fn with_prefix(prefixes: &[&str], names: &[(&str, &str)]) -> Vec<Run> {
    let wanted = |case: &Value| prefixes.iter().any(|prefix| id(case).starts_with(prefix));
    cases("C").into_iter().filter(wanted).map(|case| Run::new(case, names)).collect()
}

fn every_diffusers_case(on: On) {
    let all = cases("C").into_iter().filter(|case| case["config"]["scheduler"].is_string());
    let runs: Vec<Run> = all.map(|case| Run::new(case, &DIFFUSERS)).collect();
    assert!(runs.len() > 30);
    for run in runs {
        run.diffusers(on);
    }
}

/// The schedule of a case of guided-diffusion or k-diffusion.
fn schedule(config: &Value) -> &'static str {
    match config["schedule"].as_str().expect("a schedule") {
        "linear" => "--schedule linear",
        "cosine" => "--schedule cosine",
        "linear_scaled_by_T" => "--schedule linear-scaled",
        other => panic!("no options for {other}"),
    }
}

fn every_guided_case(on: On) {
    let runs = with_prefix(&["C_gd_"], &DIFFUSERS);
    assert_eq!(runs.len(), 6);
    for run in runs {
        run.check(&Folder::with(&run.input), &guided(run.config()), on, "samples");
    }
}

/// The options for a case of guided-diffusion.
fn guided(config: &Value) -> String {
    let text = |key: &str| config[key].as_str().expect("text");
    let sampler = match text("method") {
        "p_sample" => match text("var_type") {
            "FIXED_SMALL" => "ddpm --variance fixed-small",
            "FIXED_LARGE" => "ddpm --variance fixed-large",
            "LEARNED_RANGE" => "ddpm --variance learned-range",
            other => panic!("no option for {other}"),
        },
        "ddim" => "ddim --rederive-epsilon",
        "ddim_reverse" => "ddim-reverse",
        other => panic!("no option for {other}"),
    };
    let prediction = if text("mean_type") == "START_X" { "x0" } else { "epsilon" };
    let eta = if text("method") == "ddim" { format!("--eta {}", config["eta"]) } else { String::new() };
    let clip = if config["clip_denoised"] == true { "--clip 1" } else { "" };
    let (schedule, sections) = (schedule(config), text("section_counts"));
    format!(
        "--sampler {sampler} {schedule} --train-timesteps {} --sections {sections} --prediction {prediction} {eta} {clip}",
        config["T"]
    )
}

fn every_k_case(on: On) {
    let runs = with_prefix(&["C_kd_euler", "C_kd_heun", "C_kd_dpmpp"], &K_DIFFUSION);
    assert_eq!(runs.len(), 5);
    for run in runs {
        // k-diffusion records Heun's samples at the start of each step; the tool also writes the predictors in between.
        if run.config()["sampler"] == "sample_heun" {
            heun_of_k_diffusion(&run, on);
        } else {
            run.check(&Folder::with(&run.input), &k_diffusion(run.config()), on, "samples");
        }
    }
}

fn k_diffusion(config: &Value) -> String {
    let sampler = match config["sampler"].as_str().expect("a sampler") {
        "sample_euler" => "euler",
        "sample_euler_ancestral" => "euler-ancestral",
        "sample_heun" => "heun",
        "sample_dpmpp_2m" => "dpm++ --order 2 --scale ve",
        other => panic!("no option for {other}"),
    };
    let sigmas = &config["sigmas"];
    let range = flags(sigmas, &[("sigma_min", "--sigma-min"), ("sigma_max", "--sigma-max"), ("rho", "--rho")]);
    let churn = flags(&config["sampler_kwargs"], &CHURN);
    let (kind, n) = (sigmas["function"].as_str().expect("a schedule of sigmas"), &sigmas["n"]);
    format!("--sampler {sampler} --prediction x0 --sigmas {kind} {range} --steps {n} {churn}")
}

fn heun_of_k_diffusion(run: &Run, on: On) {
    let folder = Folder::with(&run.input);
    let options = format!("{} {}", k_diffusion(run.config()), on.options());
    let found = folder.output(&format!("replay in.safetensors {options} --out {OUT}"));
    let entry: usize = found.tensor("samples").shape[1..].iter().product();
    let (ours, theirs) = (found.values("samples"), run.file.values("samples"));
    let steps: Vec<&[f64]> = ours.chunks(entry).step_by(2).chain(ours.chunks(entry).last()).collect();
    let bounds = run.bounds(on);
    assert_eq!((ours.len() / entry, steps.len()), (20, theirs.len() / entry));
    for (k, (ours, theirs)) in steps.into_iter().zip(theirs.chunks(entry)).enumerate() {
        let deviation = largest_deviation(ours, theirs);
        assert!(deviation <= bounds[k], "{}: step {k} deviates by {deviation:e} above {:e}", id(&run.case), bounds[k]);
    }
}

/// Damage to a run.
type Change = fn(&mut Run);

/// The bounds are tight enough to notice each of these changes.
fn wrong_coefficients() {
    let changes: [(&str, Change); 6] = [
        ("C_ddim_scaled_eps_eta05_leading_offset1_N50", |run| run.case["config"]["step_kwargs"]["eta"] = json!(0.5001)),
        ("C_dpmpp3m_linear_eps_N20", |run| run.case["config"]["kwargs"]["solver_order"] = json!(2)),
        ("C_unipc2_bh2_linear_eps_N10", |run| run.case["config"]["kwargs"]["disable_corrector"] = json!([3])),
        ("C_ddpm_linear_eps_large_clip_N10", |run| run.case["config"]["kwargs"]["clip_sample_range"] = json!(0.999)),
        ("C_euler_linear_eps_N10", |run| run.case["config"]["kwargs"]["beta_end"] = json!(0.020001)),
        ("C_flow_euler_shift3_N4", |run| run.case["config"]["kwargs"]["shift"] = json!(3.0001)),
    ];
    for (name, change) in changes {
        let mut run = Run::named(name);
        run.diffusers(On::Cpu);
        change(&mut run);
        assert!(fails(|| run.diffusers(On::Cpu)), "{name}: not noticed");
    }
    // diffusers applies the shift twice; without `--compat diffusers` it is applied once.
    let run = Run::named("C_flow_euler_shift3_N4");
    assert!(fails(|| run.check(&run.folder(), "--config scheduler_config.json --steps 4", On::Cpu, "samples")));
}

/// A sampler given by name and options is the same as by a configuration, both without `--compat diffusers`.
fn by_options() {
    let linear = "--schedule linear --beta-start 0.0001 --beta-end 0.02";
    let scaled = "--schedule scaled-linear --beta-start 0.00085 --beta-end 0.012";
    let pairs: [(&str, &str, String); 8] = [
        ("C_ddpm_linear_eps_learned_range_N10", "", format!("ddpm --variance learned-range --clip 1 {linear}")),
        ("C_ddpm_linear_eps_threshold_N10", "", format!("ddpm --threshold 0.9 --threshold-max 2 {linear}")),
        (
            "C_ddim_scaled_eps_eta05_leading_offset1_N50",
            "--eta 0.5",
            format!("ddim --offset 1 --final sigma-min {scaled}"),
        ),
        ("C_dpmpp3m_karras_scaled_v_N10", "", format!("dpmpp --order 3 --sigmas karras --prediction v {scaled}")),
        ("C_unipc2_bh2_linear_eps_N10", "", format!("unipc --solver-type bh2 {linear}")),
        ("C_euler_churn_scaled_eps_N10", "", format!("euler {scaled}")),
        ("C_heun_karras_linear_v_N10", "", format!("heun --sigmas karras --prediction v {linear}")),
        ("C_flow_euler_shift3_N4", "", "flow-euler --shift 3".to_owned()),
    ];
    for (case, both, named) in pairs {
        let run = Run::named(case);
        let folder = run.folder();
        let options = if both.is_empty() { run.options() } else { format!("--steps 50 {both}") };
        let samples = |sampler: &str| {
            folder.output(&format!("replay in.safetensors {sampler} {options} --on cpu --out {OUT}")).values("samples")
        };
        let configured = samples("--config scheduler_config.json");
        assert_eq!(samples(&format!("--sampler {named}")), configured, "{case}");
    }
}

/// A file of any storage type gives the same result, to the bit, as the same values stored as F64.
fn storage_types() {
    let run = Run::named("C_ddim_linear_eps_eta0_leading_N10");
    let line = format!("replay in.safetensors --config scheduler_config.json {} --on cpu --out {OUT}", run.options());
    let folder = run.folder();
    let samples = |tensors: &Tensors| {
        tensors.save(&folder.path("in.safetensors"));
        folder.output(&line).values("samples")
    };
    let whole = samples(&run.input);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let rounded = run.input.stored(dtype);
        let found = samples(&rounded);
        assert_eq!(found, samples(&rounded.stored(Dtype::F64)), "{dtype:?}");
        assert_ne!(found, whole, "{dtype:?}");
    }
}

fn mistakes() {
    let run = Run::named("C_ddpm_linear_eps_learned_range_N10");
    let folder = run.folder();
    let line = |options: &str| format!("replay in.safetensors {options} --on cpu --out {OUT}");
    let config = "--config scheduler_config.json";
    for (options, words) in [
        ("--steps 10", &["expected --sampler NAME or --config FILE"][..]),
        ("--sampler ddim", &["--steps N or --timesteps"]),
        ("--sampler restart --steps 10", &["expected ddpm, ddim"]),
        ("--sampler eulr --steps 10", &["expected ddpm, ddim", "did you mean `euler`?"]),
        ("--sampler ddim --steps 10 --order 2", &["--order does not apply to the ddim sampler"]),
        ("--sampler ddim --steps 10 --timesteps 9,8", &["--steps contradicts --timesteps"]),
        ("--sampler ddim --timesteps 9,9.5", &["whole numbers in 0..1000, found 9.5"]),
        ("--sampler ddim --timesteps 8,9,9", &["timestep 9 appears twice"]),
        ("--sampler ddim --timesteps 5,9,7", &["noise must fall"]),
        ("--sampler ddim --steps 1001", &["at most 1000 steps", "found 1001"]),
        ("--sampler ddim --steps 0", &["at least 1 step"]),
        ("--sampler ddim --steps 10 --storage f16", &["--storage does not apply to --on cpu"]),
        ("--sampler ddim --steps 10 --adapter nothing", &["--adapter does not apply to --on cpu"]),
        ("--sampler euler --sigmas -1", &["sigma = -1"]),
        ("--sampler ddim --steps 18446744073709551615", &["at most 1000 steps"]),
        ("--sampler flow-euler --steps 18446744073709551615", &["at most"]),
        ("--sampler euler --sigmas karras --steps 4 --sigma-max nan", &["sigma_max", "NaN"]),
        ("--sampler euler --steps 4 --sigma-max 3", &["apply only together with --sigmas"]),
        ("--sampler euler --steps 4 --s-churn -1", &["churn", "at least 0, found -1"]),
        ("--sampler ddim --steps 4 --eta 2", &["eta", "within 0..=1, found 2"]),
        ("--sampler ddim --steps 4 --zero-terminal-snr --spacing trailing", &["step 0", "does not determine x0"]),
        ("--sampler dpm++ --order 4 --steps 10", &["orders 1 to 3, found 4"]),
        ("--sampler unipc --solver-type heun --steps 10", &["bh1 or bh2"]),
        ("--sampler ddim --prediction edm --steps 10", &["--prediction edm needs --scale ve"]),
        ("--sampler ddim --sections 10 --steps 10", &["--sections contradicts"]),
        ("--sampler ddim --sections ddim999", &["sections"]),
        ("--sampler ddim --compat comfy --steps 10", &["diffusers"]),
        ("--sampler ddpm --steps 9", &["`model_outputs`", "expected 9 network outputs", "found 10"]),
        (&format!("{config} --steps 10 --eta 1"), &["--eta does not apply to --config"]),
        (&format!("{config} --steps 10 --order 2"), &["--order does not apply to --config"]),
        (&format!("{config} --steps 10 --clip 1"), &["--clip does not apply to --config"]),
        (&format!("{config} --steps 10 --prediction v"), &["--prediction contradicts --config"]),
        (&format!("{config} --steps 10 --timesteps 9,8"), &["--steps contradicts --timesteps"]),
        (config, &["--steps N or --timesteps"]),
        (&format!("{config} --steps 10 --schedule linear"), &["schedule of its own"]),
        ("--config nowhere.json --steps 10", &["nowhere.json"]),
        ("--config in.safetensors --steps 10", &["in.safetensors"]),
    ] {
        folder.refuses(&line(options), words);
    }
    let input = |tensors: Tensors, words: &[&str]| {
        folder.refuses_input(&tensors, &line(&format!("{config} --steps 10")), words);
    };
    input(run.input.clone().without("model_outputs"), &["in.safetensors", "expected a tensor `model_outputs`"]);
    for (name, missing) in [("samples", "initial"), ("noises", "noises"), ("var_values", "var_values")] {
        input(run.input.clone().without(name), &[&format!("expected a tensor `{missing}`")]);
    }
    let shaped = |name: &str, shape: &[usize]| {
        run.input.clone().with(name, Dtype::F32, shape, &vec![0.5; shape.iter().product()])
    };
    input(shaped("initial", &[3, 2, 4]), &["`initial`: expected shape [3, 2, 5]", "found [3, 2, 4]"]);
    input(shaped("samples", &[11, 2, 2, 5]), &["`samples`: expected entries of shape [3, 2, 5]"]);
    input(shaped("noises", &[8, 3, 2, 5]), &["`noises`: expected shape [9, 3, 2, 5]", "found [8, 3, 2, 5]"]);
    input(shaped("var_values", &[10, 3, 2]), &["`var_values`: expected shape [10, 3, 2, 5]"]);
    input(shaped("model_outputs", &[10]), &["`model_outputs`: expected [calls, batch, ...]"]);
    let nan = vec![f64::NAN; 300];
    input(run.input.clone().with("noises", Dtype::F32, &[10, 3, 2, 5], &nan), &["`noises` holds NaN"]);
}

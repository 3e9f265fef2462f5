//! Models of every process, given by a file, by a name or by options; levels from timesteps, sigmas and times.

use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    ("a_flow_is_noised_as_a_flow", Needs::Nothing, || noised("--on cpu", EXACT)),
    ("a_flow_is_noised_as_a_flow_on_the_gpu", Needs::Adapter, || noised("--on gpu", SINGLE)),
    ("a_flow_is_converted_as_a_flow", Needs::Nothing, || converted("--on cpu", EXACT)),
    ("a_flow_is_converted_as_a_flow_on_the_gpu", Needs::Adapter, || converted("--on gpu", SINGLE)),
    ("timesteps_sigmas_and_times_agree", Needs::Nothing, agreement),
    ("levels_of_other_processes", Needs::Nothing, processes),
    ("levels_that_a_process_does_not_have", Needs::Nothing, strangers),
    ("a_posterior_between_levels", Needs::Nothing, posterior),
    ("a_loss_of_a_flow", Needs::Nothing, loss),
    ("what_a_run_visits", Needs::Nothing, visited),
    ("options_that_cannot_act", Needs::Nothing, idle),
];

/// A few roundings of f64, of values below 4.
pub const EXACT: f64 = 1e-14;

/// A few roundings of f32, of values below 4.
const SINGLE: f64 = 1e-6;

/// Tolerance of published timesteps, far below the difference between any two rules.
pub const TOLD: f64 = 1e-9;

const FLUX: &str = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5,
    "max_image_seq_len": 4096, "max_shift": 1.15, "num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": true}"#;
const SCHNELL: &str =
    r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 1.0, "use_dynamic_shifting": false}"#;
const SD3: &str = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000, "shift": 3.0}"#;
const QWEN: &str = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "base_image_seq_len": 256, "base_shift": 0.5,
    "max_image_seq_len": 8192, "max_shift": 0.9, "shift": 1.0, "shift_terminal": 0.02, "use_dynamic_shifting": true}"#;
const MOCHI: &str = r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": true}"#;
const EDM: &str = r#"{"_class_name": "EDMEulerScheduler", "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}"#;
const PNDM: &str = r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1}"#;
const TOKENS: &str = r#"{"_class_name": "VQDiffusionScheduler", "num_vec_classes": 4096}"#;

pub const X0: [f64; 4] = [0.5, -1.25, 2.0, 0.125];
pub const NOISE: [f64; 4] = [-0.75, 0.5, 1.5, -2.0];

/// Clean samples, noise, and the levels of two samples in a tensor of this name.
pub fn pair(name: &str, dtype: Dtype, levels: [f64; 2]) -> Tensors {
    let of = |tensors: Tensors, name: &str, values: &[f64]| tensors.with(name, Dtype::F64, &[2, 2], values);
    of(of(Tensors::default(), "x0", &X0), "eps", &NOISE).with(name, dtype, &[2], &levels)
}

/// A folder with these tensors and every configuration.
pub fn folder(tensors: &Tensors) -> Folder {
    let folder = Folder::with(tensors);
    let files = [("flux", FLUX), ("schnell", SCHNELL), ("sd3", SD3), ("qwen", QWEN), ("mochi", MOCHI), ("edm", EDM)];
    for (name, text) in files.into_iter().chain([("pndm", PNDM), ("tokens", TOKENS)]) {
        folder.write(&format!("{name}.json"), text.as_bytes());
    }
    folder
}

#[track_caller]
pub fn assert_near(what: &str, found: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= bound, "{what}: {found}, expected {expected}");
    }
}

/// `alpha*x0 + sigma*eps`, with a level `[alpha, sigma]` for each sample.
fn mixed(levels: [[f64; 2]; 2]) -> Vec<f64> {
    (0..4).map(|i| levels[i / 2][0] * X0[i] + levels[i / 2][1] * NOISE[i]).collect()
}

fn flow(times: [f64; 2]) -> Vec<f64> {
    mixed(times.map(|t| [1.0 - t, t]))
}

fn velocity() -> Vec<f64> {
    (0..4).map(|i| NOISE[i] - X0[i]).collect()
}

fn noised(on: &str, bound: f64) {
    let folder = folder(&pair("t", Dtype::I64, [500.0, 250.0]));
    for model in
        ["--target flow", "--process flow", "--model sd3", "--config flux.json", "--schedule flow --target flow"]
    {
        let out = folder.output(&format!("noise in.safetensors {model} {on} --out {OUT}"));
        assert_near(model, &out.values("x_t"), &flow([0.5, 0.25]), bound);
        assert_near(model, &out.values("target"), &velocity(), bound);
    }
    // The other sign, and the other direction of time.
    for model in ["--process rising-flow", "--config mochi.json"] {
        let out = folder.output(&format!("noise in.safetensors {model} {on} --out {OUT}"));
        assert_near(model, &out.values("x_t"), &flow([0.5, 0.75]), bound);
        assert_near(model, &out.values("target"), &velocity().iter().map(|u| -u).collect::<Vec<_>>(), bound);
    }
    // A schedule that is named takes precedence.
    let named = folder.output(&format!("noise in.safetensors --schedule linear --target flow {on} --out {OUT}"));
    assert!((named.values("x_t")[0] - flow([0.5, 0.25])[0]).abs() > 0.01);
}

fn converted(on: &str, bound: f64) {
    let x_t = flow([0.5, 0.25]);
    let input = Tensors::default().with("x_t", Dtype::F64, &[2, 2], &x_t).with("t", Dtype::I64, &[2], &[500.0, 250.0]);
    let input = input.with("prediction", Dtype::F64, &[2, 2], &velocity());
    let folder = folder(&input);
    for model in ["--from flow", "--process flow", "--model flux", "--config sd3.json"] {
        let out = folder.output(&format!("convert in.safetensors {model} --to x0,epsilon {on} --out {OUT}"));
        assert_near(model, &out.values("x0"), &X0, bound);
        assert_near(model, &out.values("epsilon"), &NOISE, bound);
    }
    folder.refuses(&format!("convert in.safetensors --to x0 --out {OUT}"), &["--from"]);
}

fn agreement() {
    let x_t = |name: &str, dtype, levels, model: &str| {
        folder(&pair(name, dtype, levels))
            .output(&format!("noise in.safetensors {model} --on cpu --out {OUT}"))
            .values("x_t")
    };
    for (name, dtype, levels) in [
        ("t", Dtype::I64, [125.0, 875.0]),
        ("t", Dtype::F64, [125.0, 875.0]),
        ("sigma", Dtype::F64, [0.125, 0.875]),
        ("time", Dtype::F64, [0.125, 0.875]),
    ] {
        assert_near(name, &x_t(name, dtype, levels, "--process flow"), &flow([0.125, 0.875]), EXACT);
    }
    let between = x_t("t", Dtype::F64, [904.5307667386397, 0.5], "--config flux.json");
    assert_near("between", &between, &flow([0.9045307667386397, 0.0005]), EXACT);
    assert_near("rising", &x_t("time", Dtype::F64, [0.25, 1.0], "--process rising-flow"), &flow([0.75, 0.0]), EXACT);
}

fn processes() {
    let x_t = |name: &str, levels, model: &str| {
        let folder = folder(&pair(name, Dtype::F64, levels));
        folder.output(&format!("noise in.safetensors {model} --on cpu --out {OUT}")).values("x_t")
    };
    let exploding = mixed([[1.0, 3.0], [1.0, 0.25]]);
    for model in ["--process edm", "--process ve", "--model edm", "--config edm.json", "--target edm:1", ""] {
        assert_near(model, &x_t("sigma", [3.0, 0.25], model), &exploding, EXACT);
    }
    let preserving = [3.0f64, 0.25].map(|sigma| [1.0, sigma].map(|part| part / 1f64.hypot(sigma)));
    for model in ["--process vp", "--model sdxl", "--schedule cosine"] {
        assert_near(model, &x_t("sigma", [3.0, 0.25], model), &mixed(preserving), EXACT);
    }
    let angles = [1.3f64, 0.4];
    let trig = mixed(angles.map(|t| [t.cos(), 0.5 * t.sin()]));
    assert_near("trigflow", &x_t("time", angles, "--process trigflow"), &trig, EXACT);
    let sigmas = angles.map(|t| 0.5 * t.tan());
    assert_near("trigflow by sigma", &x_t("sigma", sigmas, "--process trigflow"), &trig, EXACT);
    let one = mixed(angles.map(|t| [t.cos(), t.sin()]));
    assert_near("unit trigflow", &x_t("time", angles, "--process trigflow --target trigflow:1"), &one, EXACT);
}

fn strangers() {
    let refuse = |name: &str, levels, model: &str, words: &[&str]| {
        folder(&pair(name, Dtype::F64, levels))
            .refuses(&format!("noise in.safetensors {model} --on cpu --out {OUT}"), words);
    };
    refuse("time", [0.5, 0.5], "--process vp", &["`time`", "no time"]);
    refuse("time", [0.5, 0.5], "--config edm.json", &["`time`", "no time"]);
    refuse("time", [0.5, 1.5], "--model sd3", &["`time`", "within 0..=1", "1.5", "sample 1"]);
    refuse("sigma", [2.0, 0.5], "--process flow", &["`sigma`", "found 2", "sample 0"]);
    refuse("time", [0.5, 2.0], "--process trigflow", &["`time`", "pi/2", "found 2"]);
    refuse("sigma", [-1.0, 0.5], "--process edm", &["`sigma`", "sigma = -1"]);
    refuse("t", [1000.5, 0.5], "--process flow", &["`t`", "1.0005"]);
    refuse("sigma", [f64::NAN, 0.5], "--process flow", &["`sigma`", "NaN"]);
}

fn posterior() {
    let x_t = flow([0.5, 0.25]);
    let base =
        Tensors::default().with("x_t", Dtype::F64, &[2, 2], &x_t).with("prediction", Dtype::F64, &[2, 2], &velocity());
    let mean_of = |[t, s]: [f64; 2], i: usize| {
        let p = s * (1.0 - t) / (t * (1.0 - s));
        (1.0 - s) * (1.0 - p * p) * X0[i] + p * s / t * x_t[i]
    };
    let check = |tensors: &Tensors, to: [f64; 2], model: &str| {
        let out = folder(tensors).output(&format!("posterior in.safetensors {model} --on cpu --out {OUT}"));
        let expected: Vec<f64> = (0..4).map(|i| mean_of([[0.5, 0.25][i / 2], to[i / 2]], i)).collect();
        assert_near(model, &out.values("mean"), &expected, EXACT);
        let variance = |t: f64, s: f64| s * s * (1.0 - (s * (1.0 - t) / (t * (1.0 - s))).powi(2));
        let expected = [variance(0.5, to[0]), variance(0.25, to[1])];
        assert_near(model, &out.values("variance"), &expected, EXACT);
    };
    let times = base.clone().with("time", Dtype::F64, &[2], &[0.5, 0.25]);
    check(&times.clone().with("time_to", Dtype::F64, &[2], &[0.375, 0.125]), [0.375, 0.125], "--process flow");
    check(&base.with("t", Dtype::I64, &[2], &[500.0, 250.0]), [0.499, 0.249], "--config sd3.json");
    folder(&times).refuses(&format!("posterior in.safetensors --process flow --on cpu --out {OUT}"), &["`time_to`"]);
}

fn loss() {
    let errors = [0.5, 0.25, 1.0, -0.75];
    let of = |(name, dtype, levels): (&str, Dtype, [f64; 2]), sign: f64, options: &str| {
        let prediction: Vec<f64> = velocity().iter().zip(errors).map(|(u, error)| sign * u + error).collect();
        let folder = folder(&pair(name, dtype, levels).with("prediction", Dtype::F64, &[2, 2], &prediction));
        folder.output(&format!("loss in.safetensors {options} --on cpu --out {OUT}")).values("loss")
    };
    let plain: [f64; 2] = [0.15625, 0.78125];
    let by = |factors: [f64; 2]| [plain[0] * factors[0], plain[1] * factors[1]];
    for tensor in [
        ("t", Dtype::I64, [500.0, 250.0]),
        ("t", Dtype::F64, [500.0, 250.0]),
        ("sigma", Dtype::F64, [0.5, 0.25]),
        ("time", Dtype::F64, [0.5, 0.25]),
    ] {
        for model in ["--process flow", "--config flux.json", "--model sd3", "--predicts flow"] {
            // With `--predicts flow`, `sigma` is that of a flow.
            assert_near(model, &of(tensor, 1.0, model), &plain, EXACT);
            // The error of x0 is `-t` times that of the velocity; the signal-to-noise ratios are 1 and 9.
            assert_near(model, &of(tensor, 1.0, &format!("{model} --target x0")), &by([0.25, 0.0625]), EXACT);
            let snr = format!("{model} --target x0 --weight min-snr --gamma 5");
            assert_near(&snr, &of(tensor, 1.0, &snr), &by([0.25, 0.0625 * 5.0]), EXACT);
        }
        // The other sign in the same process, at the same levels.
        let negated = "--process flow --predicts rising-flow";
        assert_near(negated, &of(tensor, -1.0, negated), &plain, EXACT);
        assert_near(negated, &of(tensor, -1.0, &format!("{negated} --target x0")), &by([0.25, 0.0625]), EXACT);
    }
}

/// The tensors that `replay` reads, with network outputs for this number of calls.
pub fn tape(calls: usize) -> Tensors {
    let outputs: Vec<f64> = (0..calls * 4).map(|i| (i % 7) as f64 / 8.0 - 0.375).collect();
    let noises = Tensors::default().with("noises", Dtype::F64, &[9, 2, 2], &[0.25; 36]);
    noises.with("initial", Dtype::F64, &[2, 2], &X0).with("model_outputs", Dtype::F64, &[calls, 2, 2], &outputs)
}

fn told(options: &str, calls: usize) -> Vec<f64> {
    folder(&tape(calls)).output(&format!("replay in.safetensors {options} --on cpu --out {OUT}")).values("timesteps")
}

fn visited() {
    let shifted = |shift: f64| [1.0, 0.75, 0.5, 0.25].map(|t: f64| 1000.0 * shift * t / (1.0 + (shift - 1.0) * t));
    let karras = vec![1000.0, 193.60969430407286, 22.574744025433006, 1.0];
    let bare = vec![1000.0, 857.6923076923076, 602.1505376344086, 8.92857142857143];
    let lee = vec![
        999.0,
        951.9552742685066,
        853.544503955726,
        723.8621225131542,
        576.2484116025238,
        422.7515883974762,
        275.13787748684587,
        145.45549604427416,
        47.04472573149342,
        0.0,
    ];
    for (options, expected) in [
        ("--config schnell.json --steps 4", vec![1000.0, 750.0, 500.0, 250.0]),
        ("--config flux.json --mu 1.15 --steps 4", shifted(1.15f64.exp()).to_vec()),
        ("--config flux.json --tokens 4096 --steps 4", shifted(1.15f64.exp()).to_vec()),
        ("--config flux.json --sampler dpm++ --tokens 4096 --steps 4", shifted(1.15f64.exp()).to_vec()),
        ("--model flux --sampler unipc --mu 1.15 --steps 4", shifted(1.15f64.exp()).to_vec()),
        ("--sampler flow-euler --sigmas karras --sigma-min 0.001 --sigma-max 1 --steps 4", karras.clone()),
        ("--config sd3.json --sigmas karras --sigma-min 0.001 --sigma-max 1 --steps 4", karras.clone()),
        ("--sampler euler --schedule scaled-linear --sigmas beta --steps 10", lee),
        ("--config qwen.json --timesteps 1000,750,500,250", vec![1000.0, 750.0, 500.0, 250.0]),
        ("--config qwen.json --sigmas 1,0.75,0.5,0.25", vec![1000.0, 750.0, 500.0, 250.0]),
        ("--config qwen.json --times 1,0.75,0.5,0.25,0", vec![1000.0, 750.0, 500.0, 250.0]),
        ("--config qwen.json --mu 0.9 --steps 1", vec![1000.0]),
        (
            "--config qwen.json --sampler unipc --mu 0.9 --steps 4",
            vec![1000.0, 787.1451326001452, 484.48700838166934, 20.000000000000128],
        ),
        ("--config sd3.json --steps 4", shifted(3.0).to_vec()),
        ("--config sd3.json --steps 4 --sigmas flow-ends", bare.clone()),
        ("--config sd3.json --steps 4 --compat diffusers", bare.clone()),
        ("--config sd3.json --steps 4 --shift 5", shifted(5.0).to_vec()),
        ("--config sd3.json --steps 4 --strength 0.5", shifted(3.0)[2..].to_vec()),
        ("--config sd3.json --steps 4 --begin-index 1 --end-index 3", shifted(3.0)[1..3].to_vec()),
        ("--model sd3 --sampler flow-euler --steps 4", bare),
        ("--sampler euler --schedule scaled-linear --steps 1", vec![999.0]),
        ("--sampler ddim --spacing linspace --steps 1", vec![999.0]),
        ("--sampler lcm --steps 4 --strength 0.5", vec![499.0, 379.0, 259.0, 139.0]),
        ("--process trigflow --sampler euler --times 1.5707963267948966,1.3", vec![std::f64::consts::FRAC_PI_2, 1.3]),
    ] {
        assert_near(options, &told(options, expected.len()), &expected, TOLD);
    }
    // Inverted, the network is told 0 first.
    let rising = [0.0, 250.0, 500.0, 750.0];
    assert_near("mochi", &told("--config mochi.json --steps 4", 4), &rising, TOLD);
    assert_near("mochi, listed", &told("--config mochi.json --timesteps 0,250,500,750", 4), &rising, TOLD);
    // An EDM network is told ln(sigma)/4, however its levels are chosen.
    for options in ["--process edm --sampler euler --sigmas 80,3,1", "--prediction edm --sampler euler --sigmas 80,3,1"]
    {
        assert_near(options, &told(options, 3), &[80.0f64, 3.0, 1.0].map(|sigma| sigma.ln() / 4.0), TOLD);
    }
}

fn idle() {
    let folder = folder(&tape(4));
    for (options, words) in [
        ("--sampler flow-euler --shift 3 --timesteps 1000,750,500,250", &["--shift", "--timesteps"][..]),
        ("--sampler flow-euler --shift 3 --times 1,0.75,0.5,0.25", &["--shift"]),
        ("--sampler flow-euler --mu 1 --sigmas 1,0.75,0.5,0.25", &["--mu", "--sigmas"]),
        (
            "--sampler flow-euler --sigmas karras --sigma-min 0.001 --sigma-max 1 --steps 4 --shift 3",
            &["--shift", "--sigmas"],
        ),
        ("--config flux.json --mu 1.15 --timesteps 1000,750,500,250", &["--mu", "--timesteps"]),
        ("--config flux.json --steps 4", &["--mu", "--tokens"]),
        ("--sampler flow-euler --schedule scaled-linear --steps 4", &["--schedule", "rectified flow"]),
        ("--sampler dpm++ --prediction flow --zero-terminal-snr --steps 4", &["--zero-terminal-snr"]),
        ("--model sd3 --sampler euler --spacing trailing --steps 4", &["--spacing"]),
        ("--model sd3 --schedule linear --sampler euler --steps 4", &["--model"]),
        ("--process flow --beta-end 0.02 --sampler euler --steps 4", &["--beta-end", "--process flow"]),
        ("--model sdxl --prediction v --sampler euler --steps 4", &["--prediction"]),
        ("--model sdxl --sampler flow-euler --steps 4", &["rectified-flow", "variance-preserving"]),
        ("--config tokens.json --steps 4", &["VQDiffusionScheduler", "DDIMScheduler"]),
        ("--config pndm.json --order 3 --steps 3", &["--order"]),
        ("--sampler dpm++ --prediction flow --timesteps 1000,500,250,0", &["step 3", "already clean"]),
        ("--sampler euler --timesteps 5000,500,250,0", &["5000"]),
        ("--sampler euler --timesteps -1,500,250,0", &["-1"]),
    ] {
        folder.refuses(&format!("replay in.safetensors {options} --on cpu --out {OUT}"), words);
    }
}

//! Configurations of unusual models, and what `schedule` shows of a model.

use crate::models::{EXACT, NOISE, TOLD, X0, assert_near, folder, tape};
use crate::support::{Folder, OUT};
use crate::tensors::Tensors;
use crate::{Needs, Test};
use safetensors::Dtype;

pub const TESTS: &[Test] = &[
    ("sprint_angles", Needs::Nothing, sprint),
    ("a_divided_signal_to_noise_ratio", Needs::Nothing, divided),
    ("what_a_flow_schedule_shows", Needs::Nothing, shown),
    ("which_list_a_run_used", Needs::Nothing, used),
];

/// SCM receives `sigma_data` times TrigFlow's output: `x0 = cos(t)*x - sin(t)*F`.
fn sprint() {
    let folder = folder(&tape(2));
    folder.write("scm.json", br#"{"_class_name": "SCMScheduler", "prediction_type": "trigflow", "sigma_data": 0.5}"#);
    let out = folder.output(&format!("replay in.safetensors --config scm.json --steps 2 --on cpu --out {OUT}"));
    assert_near("told", &out.values("timesteps"), &[std::f64::consts::FRAC_PI_2, 1.3], 1e-5);
    let (samples, clean, outputs) = (out.values("samples"), out.values("pred_x0"), tape(2).values("model_outputs"));
    for i in 0..4 {
        let (first, second) = (-outputs[i], 1.3f64.cos() * samples[4 + i] - 1.3f64.sin() * outputs[4 + i]);
        let next = 1.3f64.cos() * first + 0.5 * 1.3f64.sin() * 0.25;
        assert_near("a call", &[clean[i], samples[4 + i], samples[8 + i]], &[first, next, second], EXACT);
    }
    // With the same file, `convert` takes outputs in the same units.
    let x_t = Tensors::default().with("x_t", Dtype::F64, &[1, 4], &X0).with("prediction", Dtype::F64, &[1, 4], &NOISE);
    x_t.with("time", Dtype::F64, &[1], &[1.3]).save(&folder.path("in.safetensors"));
    let converted = folder.output(&format!("convert in.safetensors --config scm.json --to x0 --on cpu --out {OUT}"));
    let expected: Vec<f64> = X0.iter().zip(NOISE).map(|(x, f)| 1.3f64.cos() * x - 1.3f64.sin() * f).collect();
    assert_near("x0", &converted.values("x0"), &expected, EXACT);
}

/// CogVideoX divides the signal-to-noise ratio of its schedule by `snr_shift_scale`.
fn divided() {
    let folder = Folder::new();
    let file =
        r#"{"_class_name": "CogVideoXDDIMScheduler", "snr_shift_scale": 3.0, "prediction_type": "v_prediction"}"#;
    folder.write("cog.json", file.as_bytes());
    let snr = |model: &str| folder.output(&format!("schedule {model} --out {OUT}")).values("snr");
    let (divided, trained) = (snr("--config cog.json"), snr("--schedule scaled-linear"));
    for (divided, trained) in divided.iter().zip(trained) {
        assert!((divided * 3.0 / trained - 1.0).abs() < 1e-9, "{divided}, a third of {trained}");
    }
}

fn shown() {
    let folder = folder(&Tensors::default());
    let flow = folder.output(&format!("schedule --config flux.json --out {OUT}"));
    assert_near("sigma", &flow.values("sigma")[498..500], &[0.499, 0.5], EXACT);
    assert_near("told", &flow.values("told")[498..500], &[499.0, 500.0], TOLD);
    let shifted = folder.output(&format!("schedule --process flow --shift 3 --out {OUT}"));
    assert_near("shifted", &shifted.values("sigma")[499..500], &[0.75], EXACT);
    let edm = folder.output(&format!("schedule --model edm --out {OUT}"));
    assert_near("edm", &edm.values("told")[999..], &[80.0f64.ln() / 4.0], TOLD);
    folder.refuses("schedule --shift 3 --out out.safetensors", &["--shift", "variance-preserving"]);
}

fn used() {
    let folder = folder(&tape(4));
    folder.write("sd3.json", br#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}"#);
    let line = format!("replay in.safetensors --config sd3.json --steps 4 --on cpu --out {OUT}");
    for (options, words) in [
        ("", "1 - i/n, shift 3"),
        (" --sigmas flow-ends", "from 1 to 1/T, both shifted first, shift 3"),
        (" --compat diffusers", "from 1 to 1/T, both shifted first, shift 3"),
        (" --sampler euler --shift 2", "1 - i/n, shift 2"),
    ] {
        let run = folder.run(&format!("{line}{options}"));
        assert!(run.stdout.ends_with(&format!("grid: {words}\n")), "{options}: {}{}", run.stdout, run.stderr);
        let json = folder.run(&format!("{line}{options} --json"));
        assert!(json.stdout.contains(&format!("\"grid\":\"{words}\"")), "{options}: {}", json.stdout);
    }
}

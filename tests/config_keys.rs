//! Every key of a file is read, noted or refused: real files, and the same with other values, fewer keys and misspelled ones.

use crate::configs::{OPTIONS, value};
use crate::support::cases;
use crate::vectors_p;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use tweedie::config::Scheduler;
use tweedie::math::catalog::SamplerOptions as Run;

/// Files that are published with models: Chroma, CogVideoX 5B, FLUX.1 dev, Hotshot-XL, Hyper-SD, LDM, Qwen-Image, Stable
/// Diffusion 1.5 and 3, Wan 2.1 and Kolors.
const PUBLISHED: &[&str] = &[
    r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.34.0.dev0", "base_image_seq_len": 256,
        "base_shift": 0.5, "invert_sigmas": false, "max_image_seq_len": 4096, "max_shift": 1.15, "num_train_timesteps": 1000,
        "shift": 1.0, "shift_terminal": null, "stochastic_sampling": false, "time_shift_type": "exponential",
        "use_beta_sigmas": true, "use_dynamic_shifting": false, "use_exponential_sigmas": false, "use_karras_sigmas": false}"#,
    r#"{"_class_name": "CogVideoXDDIMScheduler", "_diffusers_version": "0.31.0.dev0", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "clip_sample_range": 1.0,
        "num_train_timesteps": 1000, "prediction_type": "v_prediction", "rescale_betas_zero_snr": true,
        "sample_max_value": 1.0, "set_alpha_to_one": true, "snr_shift_scale": 1.0, "steps_offset": 0,
        "timestep_spacing": "trailing", "trained_betas": null}"#,
    r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.30.0.dev0", "base_image_seq_len": 256,
        "base_shift": 0.5, "max_image_seq_len": 4096, "max_shift": 1.15, "num_train_timesteps": 1000, "shift": 3.0,
        "use_dynamic_shifting": true}"#,
    r#"{"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.18.1", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "interpolation_type": "linear",
        "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": false,
        "skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null,
        "use_karras_sigmas": false}"#,
    r#"{"_class_name": "TCDScheduler", "_diffusers_version": "0.27.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "clip_sample": false, "clip_sample_range": 1.0, "num_train_timesteps": 1000,
        "original_inference_steps": 50, "prediction_type": "epsilon", "set_alpha_to_one": false, "steps_offset": 1,
        "timestep_spacing": "leading"}"#,
    r#"{"_class_name": "DDIMScheduler", "_diffusers_version": "0.0.4", "beta_end": 0.0195, "beta_schedule": "scaled_linear",
        "beta_start": 0.0015, "clip_sample": false, "num_train_timesteps": 1000, "timestep_values": null,
        "trained_betas": null}"#,
    r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.34.0.dev0", "base_image_seq_len": 256,
        "base_shift": 0.5, "invert_sigmas": false, "max_image_seq_len": 8192, "max_shift": 0.9, "num_train_timesteps": 1000,
        "shift": 1.0, "shift_terminal": 0.02, "stochastic_sampling": false, "time_shift_type": "exponential",
        "use_beta_sigmas": false, "use_dynamic_shifting": true, "use_exponential_sigmas": false, "use_karras_sigmas": false}"#,
    r#"{"_class_name": "PNDMScheduler", "_diffusers_version": "0.21.4", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "clip_sample": false, "num_train_timesteps": 1000, "set_alpha_to_one": false,
        "skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null}"#,
    r#"{"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.29.0.dev0", "num_train_timesteps": 1000,
        "shift": 3.0}"#,
    r#"{"_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.33.0.dev0", "beta_end": 0.02,
        "beta_schedule": "linear", "beta_start": 0.0001, "disable_corrector": [], "dynamic_thresholding_ratio": 0.995,
        "final_sigmas_type": "zero", "flow_shift": 3.0, "lower_order_final": true, "num_train_timesteps": 1000,
        "predict_x0": true, "prediction_type": "flow_prediction", "rescale_betas_zero_snr": false, "sample_max_value": 1.0,
        "solver_order": 2, "solver_p": null, "solver_type": "bh2", "steps_offset": 0, "thresholding": false,
        "timestep_spacing": "linspace", "trained_betas": null, "use_beta_sigmas": false, "use_exponential_sigmas": false,
        "use_flow_sigmas": true, "use_karras_sigmas": false}"#,
    r#"{"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.18.0.dev0", "beta_end": 0.014,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "clip_sample_range": 1.0,
        "dynamic_thresholding_ratio": 0.995, "interpolation_type": "linear", "num_train_timesteps": 1100,
        "prediction_type": "epsilon", "rescale_betas_zero_snr": false, "sample_max_value": 1.0, "set_alpha_to_one": false,
        "skip_prk_steps": true, "steps_offset": 1, "thresholding": false, "timestep_spacing": "leading",
        "trained_betas": null, "use_karras_sigmas": false}"#,
];

/// The published files, and the options of every recorded run of a class of diffusers.
static FILES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let recorded = cases("F").into_iter().flat_map(|case| case["config"]["runs"].as_array().unwrap().clone());
    let whole = vectors_p::cases().into_iter().map(|case| case["config"].clone());
    let of_runs = recorded.chain(whole).map(|run| {
        let mut file = run["kwargs"].clone();
        file["_class_name"] = run["scheduler"].clone();
        file
    });
    PUBLISHED.iter().map(|text| serde_json::from_str(text).unwrap()).chain(of_runs).collect()
});

/// Every key of the files, and every option of `configs`.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut keys: Vec<String> = OPTIONS.iter().map(|key| (*key).to_owned()).collect();
    keys.extend(
        FILES.iter().filter_map(Value::as_object).flat_map(Map::keys).filter(|key| !key.starts_with('_')).cloned(),
    );
    keys.sort();
    keys.dedup();
    keys
});

/// The keys of a file that are neither read nor noted; none for a file that is refused. A key counts as read if it refuses a
/// value that no option can have.
fn skipped(file: &Value) -> Vec<String> {
    let Ok(scheduler) = Scheduler::parse(&file.to_string()) else { return Vec::new() };
    let noted = |key: &str| scheduler.notes().iter().any(|note| note.split([' ', ',', ':']).any(|word| word == key));
    let reads = |key: &str| {
        let mut changed = file.clone();
        changed[key] = json!({ "no": "option" });
        Scheduler::parse(&changed.to_string()).is_err_and(|error| error.to_string().contains(key))
    };
    let given = file.as_object().unwrap().iter().filter(|(key, value)| !key.starts_with('_') && !value.is_null());
    given.map(|(key, _)| key.clone()).filter(|key| !noted(key) && !reads(key)).collect()
}

#[test]
fn no_key_of_a_published_file_is_skipped() {
    for (i, file) in FILES.iter().enumerate() {
        assert_eq!(skipped(file), [""; 0], "{file}");
        let read = Scheduler::parse(&file.to_string());
        assert!(read.is_ok() || i >= PUBLISHED.len(), "{file}: {read:?}");
    }
}

#[test]
fn options_of_other_classes_are_noted() {
    let notes = |file: Value| Scheduler::parse(&file.to_string()).unwrap().notes().join("; ");
    let xl = json!({ "_class_name": "EulerDiscreteScheduler", "skip_prk_steps": true, "clip_sample": false });
    assert_eq!(notes(xl), "clip_sample, skip_prk_steps have no effect in EulerDiscreteScheduler");
    let heun = json!({ "_class_name": "FlowMatchHeunDiscreteScheduler", "use_dynamic_shifting": true });
    assert_eq!(notes(heun), "use_dynamic_shifting has no effect in FlowMatchHeunDiscreteScheduler");
    let ends = json!({ "_class_name": "EulerDiscreteScheduler", "sigma_max": 20.0 });
    assert_eq!(notes(ends), "sigma_max has no effect where no rule places sigmas");
    let wan = json!({ "_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": true, "flow_shift": 3.0,
        "prediction_type": "flow_prediction", "timestep_spacing": "trailing" });
    assert_eq!(notes(wan), "timestep_spacing has no effect in DPMSolverMultistepScheduler");
    let usual = json!({ "_class_name": "DDIMScheduler", "beta_end": 0.5, "_use_default_values": ["beta_end"] });
    let ddim = json!({ "_class_name": "DDIMScheduler" });
    let read = |file: &Value| Scheduler::parse(&file.to_string()).unwrap().model().clone();
    assert_eq!(read(&usual), read(&ddim));
    assert!(notes(usual).contains("beta_end is left at the class's default"));
}

#[test]
fn rules_that_place_sigmas_exclude_each_other() {
    for flag in ["use_karras_sigmas", "use_lu_lambdas", "use_beta_sigmas"] {
        let file = json!({ "_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction",
            "use_flow_sigmas": true, flag: true });
        let refused = Scheduler::parse(&file.to_string()).unwrap_err().to_string();
        assert_eq!(refused, format!("use_flow_sigmas and {flag} exclude each other"));
    }
}

#[derive(Clone, Debug)]
enum Change {
    Set(usize, Value),
    Remove(usize),
    Misspell(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), value()).prop_map(|(key, value)| Change::Set(key, value)),
        1 => any::<usize>().prop_map(Change::Remove),
        1 => any::<usize>().prop_map(Change::Misspell),
    ]
}

fn changed(file: &Value, changes: &[Change]) -> Value {
    let mut file = file.clone();
    for change in changes {
        let keys: Vec<String> = file.as_object().unwrap().keys().cloned().collect();
        match change {
            Change::Remove(_) | Change::Misspell(_) if keys.is_empty() => {}
            Change::Set(key, value) => file[&KEYS[key % KEYS.len()]] = value.clone(),
            Change::Remove(key) => drop(file.as_object_mut().unwrap().remove(&keys[key % keys.len()])),
            Change::Misspell(key) => file[format!("{}x", keys[key % keys.len()])] = json!(1),
        }
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A real file with changes is an error, or every key of it is read or noted; its run is an error or a sampler, never a panic.
    #[test]
    fn no_key_of_a_changed_file_is_skipped(
        file in 0..FILES.len(),
        changes in prop::collection::vec(change(), 0..5),
        steps in 0..30usize,
        theirs in any::<bool>(),
    ) {
        let file = changed(&FILES[file], &changes);
        prop_assert_eq!(skipped(&file), [""; 0], "{}", file);
        if let Ok(scheduler) = Scheduler::parse(&file.to_string()) {
            let run = Run { mu: Some(0.9), ..Run::steps(steps) };
            for run in [Run::steps(steps), run] {
                let _ = scheduler.sampler(&if theirs { run.as_diffusers() } else { run });
            }
        }
    }
}

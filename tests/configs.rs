//! Samplers from configurations of diffusers: runs of the real schedulers, defaults, and files that are wrong.

use crate::support::loops::{Inputs, run};
use crate::support::{Vectors, assert_within, cases};
use proptest::prelude::*;
use serde_json::{Value, json};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::math::sampler::{Churn, Compat};
use tweedie::table::Clip;

fn sampler(config: &Value, run: &Run) -> Result<Sampler, ConfigError> {
    Sampler::from_diffusers_config(&config.to_string(), run)
}

fn told(sampler: &Sampler) -> Vec<f64> {
    sampler.timesteps().collect()
}

/// The configuration of an entry of group F, and its run as diffusers computes it.
fn described(entry: &Value) -> (Value, Run) {
    let mut config = entry["kwargs"].clone();
    config["_class_name"] = entry["scheduler"].clone();
    let (set, step) = (&entry["set_timesteps"], &entry["step_kwargs"]);
    let run = match set["timesteps"].as_array() {
        Some(list) => Run::timesteps(list.iter().filter_map(Value::as_f64).collect()),
        None => Run::steps(set["num_inference_steps"].as_u64().unwrap() as usize),
    };
    let number = |key: &str| step[key].as_f64();
    let churn = number("s_churn").map(|amount| Churn {
        amount,
        least: number("s_tmin").unwrap(),
        most: number("s_tmax").unwrap(),
        scale: number("s_noise").unwrap(),
    });
    let run = Run {
        eta: number("eta"),
        rederive_epsilon: step["use_clipped_model_output"] == true,
        mu: set["mu"].as_f64(),
        churn,
        ..run
    };
    (config, run.as_diffusers())
}

#[test]
fn runs_of_diffusers() {
    let [case] = &cases("F")[..] else { panic!("one case") };
    let bound = case["tolerance"]["float64_free_run"].as_f64().unwrap();
    let file = Vectors::load(case["id"].as_str().unwrap());
    let entries = case["config"]["runs"].as_array().unwrap();
    for (i, entry) in entries.iter().enumerate() {
        let (config, how) = described(entry);
        let sampler = sampler(&config, &how).unwrap();
        let calls = sampler.calls().len();
        let parts = |name: &str| -> Vec<Vec<f64>> {
            let values = file.numbers(&format!("{i:02}/{name}"));
            values.chunks(6).map(<[f64]>::to_vec).collect()
        };
        let (samples, answers) = (parts("samples"), parts("model_outputs"));
        let drawn = if sampler.noises() > 0 { parts("noises") } else { Vec::new() };
        let learned = if config["variance_type"] == "learned" { parts("var_values") } else { Vec::new() };
        let inputs = Inputs { batch: 1, initial: samples[0].clone(), noises: drawn, learned, ..Inputs::default() };
        let found = run(&sampler, &inputs, |k, _| answers[k].clone());
        assert_eq!((samples.len(), answers.len()), (calls + 1, calls), "{config}");
        for (found, expected) in found.samples.iter().flatten().zip(samples.iter().flatten()) {
            assert_within(&config.to_string(), *found, *expected, bound);
        }
        for (found, expected) in told(&sampler).iter().zip(file.numbers(&format!("{i:02}/timesteps"))) {
            assert_within(&config.to_string(), *found, expected, 1e-9);
        }
    }
}

#[test]
fn every_class_has_its_defaults() {
    for class in Scheduler::classes() {
        let mut run = Run::steps(10);
        run.class.stage_index = class.starts_with("Helios").then_some(0);
        let mut config = json!({ "_class_name": class });
        if class == "RFD4ProteinaScheduler" {
            // These options have no defaults, and the tail of fine steps must fit into ten steps.
            config = json!({ "_class_name": class, "schedule_mode": "log", "noise_mode": "1/t", "tsr_k": 2.0,
                "tsr_sigma": 0.5, "tail_steps": 2 });
        }
        let sampler = sampler(&config, &run).expect(class);
        // Of ten steps PNDM takes three with four calls each, and seven with one; Heun and its like take all but the last with two.
        let twice = ["Heun", "KDPM2", "DPMSolverSDE"].iter().any(|name| class.contains(name));
        let calls = match class {
            "MiniMaxH3Scheduler" => 9,
            "PNDMScheduler" => 19,
            _ if twice => 19,
            _ => 10,
        };
        assert_eq!(sampler.calls().len(), calls, "{class}");
    }
    let first = |class: &str| told(&sampler(&json!({ "_class_name": class }), &Run::steps(4)).unwrap());
    assert_eq!(first("DDPMScheduler"), [750.0, 500.0, 250.0, 0.0]);
    assert_eq!(first("EulerDiscreteScheduler"), [999.0, 666.0, 333.0, 0.0]);
    assert_eq!(first("DPMSolverMultistepScheduler"), [999.0, 749.0, 500.0, 250.0]);
    assert_eq!(first("LCMScheduler"), [999.0, 759.0, 499.0, 259.0]);
    let flow = first("FlowMatchEulerDiscreteScheduler");
    assert_eq!(flow, [1000.0, 750.0, 500.0, 250.0]);
}

/// The scheduler of Stable Diffusion XL 1.0, with options of other classes, and what Python writes beyond JSON.
#[test]
fn files_from_the_wild() {
    let xl = r#"{
        "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": false, "interpolation_type": "linear",
        "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": false,
        "skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null,
        "use_karras_sigmas": false }"#;
    let sampler = Sampler::from_diffusers_config(xl, &Run::steps(50)).unwrap();
    assert_eq!((told(&sampler)[0], told(&sampler)[49]), (981.0, 1.0));
    let dpm = r#"{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity}"#;
    assert!(Sampler::from_diffusers_config(dpm, &Run::steps(5)).is_ok());
}

#[test]
fn the_default_is_right_where_diffusers_is_not() {
    let both = |config: Value, run: Run| {
        let right = sampler(&config, &run).unwrap();
        (right, sampler(&config, &run.as_diffusers()).unwrap())
    };
    // linspace visits 999, 666, 333, 0; diffusers steps to 749, 416, 83 and clean instead.
    let linspace = json!({ "_class_name": "DDIMScheduler", "timestep_spacing": "linspace" });
    let (right, theirs) = both(linspace, Run::steps(4));
    assert_eq!(told(&right), told(&theirs));
    assert_eq!(right.calls()[0].row.known[0], right.calls()[1].level.alpha());
    assert!(theirs.calls()[0].row.known[0] < right.calls()[0].row.known[0]);

    let (right, theirs) =
        both(json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0 }), Run::steps(3));
    let shifted = |t: f64| 3.0 * t / (1.0 + 2.0 * t);
    assert_within("once", told(&right)[2], 1000.0 * shifted(1.0 / 3.0), 1e-9);
    assert_within("twice", told(&theirs)[2], 1000.0 * shifted(shifted(0.001)), 1e-9);

    let large =
        json!({ "_class_name": "DDPMScheduler", "variance_type": "fixed_large", "timestep_spacing": "trailing" });
    let (right, theirs) = both(large, Run::steps(3));
    assert!(!right.calls()[2].row.draws(false) && theirs.calls()[2].row.draws(false));

    let threshold = |most: Option<f64>| {
        let config = json!({ "_class_name": "DDIMScheduler", "thresholding": true, "sample_max_value": most });
        let (right, theirs) = both(config, Run::steps(3));
        [right.clip(), theirs.clip()].map(|clip| match clip {
            Clip::Quantile { least, most, .. } => (least, most),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(threshold(None), [(1.0, f64::INFINITY), (1.0, 1.0)]);
    assert_eq!(threshold(Some(2.5)), [(1.0, 2.5), (1.0, 2.5)]);
    assert_eq!(threshold(Some(0.5)), [(1.0, f64::INFINITY), (0.5, 0.5)]);
}

#[test]
fn mistakes_are_named() {
    let says = |config: Value, run: &Run, words: &[&str]| {
        let text = sampler(&config, run).unwrap_err().to_string();
        for word in words {
            assert!(text.contains(word), "expected `{word}` in: {text}");
        }
    };
    let ten = Run::steps(10);
    let of = |class: &str, option: &str, value: Value| json!({ "_class_name": class, option: value });
    says(json!({}), &ten, &["_class_name"]);
    says(json!([1]), &ten, &["expected an object", "[1]"]);
    says(of("VQDiffusionScheduler", "num_vec_classes", json!(9)), &ten, &["VQDiffusionScheduler", "LCMScheduler"]);
    says(of("DDIMScheduler", "clip_smaple", json!(true)), &ten, &["DDIMScheduler", "`clip_smaple`"]);
    says(of("DDIMScheduler", "clip_sample", json!("no")), &ten, &["clip_sample: expected true or false, found \"no\""]);
    says(of("DDIMScheduler", "beta_schedule", json!("cubic")), &ten, &["beta_schedule", "scaled_linear", "\"cubic\""]);
    says(of("DDIMScheduler", "beta_end", json!(2)), &ten, &["beta_end must be within 0..=1, found 2"]);
    says(of("DDIMScheduler", "num_train_timesteps", json!(9)), &ten, &["at most 9 steps", "found 10"]);
    says(of("DDIMScheduler", "num_train_timesteps", json!(1e9)), &ten, &["num_train_timesteps"]);
    says(of("DDIMScheduler", "trained_betas", json!([0.1, 0.2])), &ten, &["trained_betas", "1000 betas", "found 2"]);
    says(of("DDIMScheduler", "steps_offset", json!(200)), &ten, &["expected 10 timesteps"]);
    says(of("LCMScheduler", "original_inference_steps", json!(5)), &ten, &["at most 5 steps"]);
    says(of("UniPCMultistepScheduler", "solver_p", json!({})), &ten, &["solver_p"]);
    says(of("DPMSolverMultistepScheduler", "algorithm_type", json!("sde-dpmsolver")), &ten, &["algorithm_type"]);
    says(of("DPMSolverMultistepScheduler", "solver_order", json!(4)), &ten, &["orders 1 to 3, found 4"]);
    says(of("FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting", json!(true)), &ten, &["mu", "tokens"]);
    says(of("EDMEulerScheduler", "sigma_data", json!(0)), &ten, &["sigma_data", "above 0"]);
    let two = json!({ "_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true, "use_beta_sigmas": true });
    says(two, &ten, &["use_karras_sigmas and use_beta_sigmas exclude each other"]);
    let zero =
        json!({ "_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing" });
    says(zero, &ten, &["step 0", "epsilon does not determine x0", "zero terminal SNR"]);
    says(of("DDPMScheduler", "clip_sample", json!(true)), &Run { eta: Some(0.5), ..ten.clone() }, &["eta"]);
    let list = |list: &[f64]| Run::timesteps(list.to_vec());
    let ddpm = of("DDPMScheduler", "clip_sample", json!(false));
    says(ddpm.clone(), &list(&[5.0, 4.5]), &["timesteps", "0..1000", "4.5"]);
    says(ddpm.clone(), &list(&[5.0, 5.0]), &["timestep 5 appears twice"]);
    says(ddpm.clone(), &list(&[]), &["at least 1 step"]);
    says(ddpm, &list(&[f64::NAN]), &["NaN"]);
    says(of("DDIMScheduler", "eta", json!(0)), &list(&[5.0]), &["timesteps"]);
}

/// Values that an option of a file may have, right or wrong.
pub fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("linear"),
        Just("squaredcos_cap_v2"),
        Just("trailing"),
        Just("leading"),
        Just("v_prediction"),
        Just("flow_prediction"),
        Just("sample"),
        Just("sigma_min"),
        Just("zero"),
        Just("heun"),
        Just("bh1"),
        Just("dpmsolver"),
        Just("sde-dpmsolver++"),
        Just("log_linear"),
        Just("exponential"),
        Just("NaN"),
        Just("-Infinity"),
        Just("learned_range"),
        Just("")
    ];
    let number = prop_oneof![
        Just(0.0),
        Just(1.0),
        Just(-1.0),
        Just(2.0),
        Just(3.0),
        Just(0.5),
        Just(1e-300),
        Just(1e300),
        Just(-1e9),
        any::<f64>()
    ];
    prop_oneof![
        3 => any::<bool>().prop_map(Value::from),
        3 => number.prop_map(Value::from),
        2 => (0..40u32).prop_map(Value::from),
        3 => word.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop::collection::vec(0.0..1.0f64, 0..4).prop_map(Value::from),
        1 => Just(json!({ "a": [1] })),
    ]
}

pub const OPTIONS: &[&str] = &[
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "variance_type",
    "clip_sample",
    "clip_sample_range",
    "prediction_type",
    "thresholding",
    "dynamic_thresholding_ratio",
    "sample_max_value",
    "timestep_spacing",
    "steps_offset",
    "rescale_betas_zero_snr",
    "set_alpha_to_one",
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
    "flow_shift",
    "sigma_min",
    "sigma_max",
    "sigma_data",
    "rho",
    "final_sigmas_type",
    "interpolation_type",
    "timestep_type",
    "solver_order",
    "solver_type",
    "algorithm_type",
    "lower_order_final",
    "euler_at_final",
    "lambda_min_clipped",
    "disable_corrector",
    "predict_x0",
    "shift",
    "use_dynamic_shifting",
    "time_shift_type",
    "shift_terminal",
    "invert_sigmas",
    "stochastic_sampling",
    "original_inference_steps",
    "timestep_scaling",
    "sigma_schedule",
    "predictor_order",
    "corrector_order",
    "s",
    "scaler",
    "eta",
    "s_noise",
];

fn any_run() -> impl Strategy<Value = Run> {
    let odd = || prop_oneof![Just(0.0), Just(1.0), Just(0.5), Just(1e300), any::<f64>()];
    let steps = prop_oneof![
        4 => (0..40usize).prop_map(Run::steps),
        1 => Just(Run::steps(usize::MAX)),
        2 => prop::collection::vec(prop_oneof![(0..1000u32).prop_map(f64::from), odd()], 0..5).prop_map(Run::timesteps),
    ];
    let churn = prop::option::weighted(0.2, (odd(), odd(), odd(), odd()));
    (steps, prop::option::weighted(0.2, odd()), any::<bool>(), prop::option::of(odd()), churn, any::<bool>()).prop_map(
        |(run, eta, rederive_epsilon, mu, churn, theirs)| Run {
            eta,
            rederive_epsilon: rederive_epsilon && eta.is_some(),
            mu,
            churn: churn.map(|(amount, least, most, scale)| Churn { amount, least, most, scale }),
            compat: if theirs { Compat::Diffusers } else { Compat::Published },
            ..run
        },
    )
}

fn finite(sampler: &Sampler) -> bool {
    let numbers = |row: &tweedie::table::StepRow| {
        [&row.x0[..], &row.history, &row.known, &row.learned, &[row.x, row.p, row.clean, row.z, row.input]].concat()
    };
    sampler.calls().iter().all(|call| numbers(&call.row).iter().all(|c| c.is_finite()) && call.timestep.is_finite())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the file says, the result is an error or rows of finite numbers.
    #[test]
    fn no_configuration_panics(
        class in 0..Scheduler::classes().count(),
        options in prop::collection::vec((0..OPTIONS.len(), value()), 0..6),
        run in any_run(),
    ) {
        let mut config = json!({ "_class_name": Scheduler::classes().nth(class) });
        for (option, value) in options {
            config[OPTIONS[option]] = value;
        }
        if let Ok(sampler) = sampler(&config, &run) {
            prop_assert!(finite(&sampler), "{config}");
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,60}", place in 0..90usize, byte in any::<u8>()) {
        let _ = Sampler::from_diffusers_config(&text, &Run::steps(3));
        let config = r#"{"_class_name": "DDPMScheduler", "beta_end": 0.01, "a\"b\\": "é", "c": [NaN, -Infinity]}"#;
        let mut bytes = config.as_bytes().to_vec();
        bytes[place % config.len()] = byte;
        let _ = Sampler::from_diffusers_config(&String::from_utf8_lossy(&bytes), &Run::steps(3));
        let _ = Sampler::from_diffusers_config(&String::from_utf8_lossy(&bytes[..place % config.len()]), &Run::steps(3));
    }
}

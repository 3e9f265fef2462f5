//! Runs of files whose options and arguments interact.

use crate::support::assert_within;
use serde_json::{Value, json};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::table::Clip;

/// The error of a timestep near 1000 that is computed in f64 in a different order.
const TOLD: f64 = 1e-9;

fn read(file: &Value) -> Scheduler {
    Scheduler::parse(&file.to_string()).unwrap()
}

fn told(file: &Value, run: &Run) -> Vec<f64> {
    read(file).sampler(run).unwrap().timesteps().collect()
}

#[track_caller]
fn assert_all(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{found:?}, expected {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_within("a timestep or a level", *found, *expected, TOLD);
    }
}

#[test]
fn an_offset_keeps_the_spacing_of_the_file() {
    let one = Run { offset: Some(1), ..Run::steps(5) };
    let ddim = json!({ "_class_name": "DDIMScheduler" });
    assert_eq!(told(&ddim, &one), [801.0, 601.0, 401.0, 201.0, 1.0]);
    let euler = json!({ "_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", "steps_offset": 7 });
    assert_eq!(told(&euler, &one), [801.0, 601.0, 401.0, 201.0, 1.0]);
    assert_eq!(told(&euler, &Run::steps(5)), [807.0, 607.0, 407.0, 207.0, 7.0]);
    for spacing in ["trailing", "linspace"] {
        let file = json!({ "_class_name": "DDIMScheduler", "timestep_spacing": spacing });
        let refused = read(&file).sampler(&one).unwrap_err().to_string();
        assert!(refused.contains("offset") && refused.contains(spacing), "{refused}");
    }
}

#[test]
fn an_option_that_acts_on_nothing_in_its_own_class_is_noted() {
    let cog =
        json!({ "_class_name": "CogVideoXDDIMScheduler", "clip_sample": true, "prediction_type": "v_prediction" });
    let scheduler = read(&cog);
    assert_eq!(scheduler.sampler(&Run::steps(4)).unwrap().clip(), Clip::None);
    assert!(scheduler.notes().iter().any(|note| note.contains("clip_sample has no effect")), "{scheduler:?}");
    let plain = json!({ "_class_name": "CogVideoXDDIMScheduler", "prediction_type": "v_prediction" });
    assert_eq!(read(&plain).notes(), [""; 0]);
}

/// The class of diffusers takes the ends of the list that it is given, shifted, and places Karras' sigmas between them.
#[test]
fn the_placement_of_a_flow_replaces_a_list_as_in_diffusers() {
    let file = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "use_karras_sigmas": true });
    let sampler = |run: Run| read(&file).sampler(&run).unwrap();
    let list = [1000.0, 600.0, 250.0];
    let karras = |most: f64, least: f64| {
        let [high, low] = [most, least].map(|sigma| sigma.powf(1.0 / 7.0));
        [most, (0.5 * (high + low)).powi(7), least]
    };
    let levels = |sampler: &Sampler| sampler.calls().iter().map(|call| call.level.sigma()).collect::<Vec<_>>();
    let theirs = sampler(Run::timesteps(list.to_vec()).as_diffusers());
    assert_all(&levels(&theirs), &karras(1.0, 0.5));
    assert_all(&theirs.timesteps().collect::<Vec<_>>(), &list);
    let sigmas = Run { sigma_list: Some(vec![0.9, 0.5, 0.1]), ..Run::default() };
    let theirs = sampler(sigmas.clone().as_diffusers());
    let shifted = |t: f64| 3.0 * t / (1.0 + 2.0 * t);
    assert_all(&levels(&theirs), &karras(shifted(0.9), shifted(0.1)));
    assert_all(&theirs.timesteps().collect::<Vec<_>>(), &karras(shifted(0.9), shifted(0.1)).map(|s| 1000.0 * s));
    assert_all(&levels(&sampler(sigmas)), &[0.9, 0.5, 0.1]);
}

#[test]
fn angles_are_listed_once() {
    let scm = read(&json!({ "_class_name": "SCMScheduler", "prediction_type": "trigflow" }));
    let times = Run { times: Some(vec![1.5, 1.1, 0.4]), ..Run::default() };
    let sampler = scm.sampler(&times).unwrap();
    assert_eq!(sampler.timesteps().collect::<Vec<_>>(), [1.5, 1.1, 0.4]);
    let both = Run { timesteps: Some(vec![1.5, 1.1]), ..times.clone() };
    let counted = Run { steps: Some(3), ..times };
    for run in [both, counted] {
        let refused = scm.sampler(&run).unwrap_err().to_string();
        assert!(refused.contains("times"), "{refused}");
    }
}

#[test]
fn a_shift_of_ones_own_on_a_model_whose_shift_follows_from_the_size() {
    let flux = read(&json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true }));
    for name in ["euler", "flow-euler", "dpm++"] {
        let entry = Sampler::CATALOGUE.find(name).unwrap();
        let run = Run { shift: Some(3.0), ..Run::steps(4) };
        let found: Vec<f64> = flux.sampler_instead(entry, &run).unwrap().timesteps().collect();
        assert_all(&found, &[1000.0, 900.0, 750.0, 500.0]);
        let refused = flux.sampler_instead(entry, &Run::steps(4)).unwrap_err().to_string();
        assert!(refused.contains("mu") && refused.contains("tokens"), "{refused}");
    }
}

#[test]
fn a_consistency_model_takes_the_steps_it_was_distilled_from() {
    let lcm = json!({ "_class_name": "LCMScheduler" });
    assert_eq!(told(&lcm, &Run::steps(2)), [999.0, 499.0]);
    let twenty = Run { original_steps: Some(20), ..Run::steps(2) };
    assert_eq!(told(&lcm, &twenty), [999.0, 499.0]);
    let four = Run { original_steps: Some(4), ..Run::steps(4) };
    assert_eq!(told(&lcm, &four), [999.0, 749.0, 499.0, 249.0]);
    assert_eq!(told(&lcm, &Run::steps(4)), [999.0, 759.0, 499.0, 259.0]);
}

/// diffusers takes logarithms in f32, where the first falls below that of the largest sigma, and rounds timesteps down.
#[test]
fn the_first_timestep_of_placed_sigmas_is_one_less_in_diffusers() {
    for (class, flag) in [
        ("DPMSolverMultistepScheduler", "use_exponential_sigmas"),
        ("DPMSolverMultistepScheduler", "use_beta_sigmas"),
        ("UniPCMultistepScheduler", "use_exponential_sigmas"),
        ("UniPCMultistepScheduler", "use_beta_sigmas"),
    ] {
        let file = json!({ "_class_name": class, flag: true, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
            "beta_end": 0.012 });
        let [ours, theirs] = [Run::steps(10), Run::steps(10).as_diffusers()].map(|run| told(&file, &run));
        assert_within("the first", ours[0], 999.0, TOLD);
        assert_eq!((theirs[0], theirs[9]), (998.0, 0.0), "{class} {flag}");
        for (ours, theirs) in ours.iter().zip(&theirs).skip(1) {
            assert!(
                theirs.fract() == 0.0 && flag != "use_exponential_sigmas" || *theirs == ours.trunc(),
                "{theirs} {ours}"
            );
        }
        let one = told(&file, &Run::steps(1).as_diffusers());
        assert_eq!(one, [998.0], "{class} {flag}");
    }
    let karras = json!({ "_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true });
    assert_eq!(told(&karras, &Run::steps(4).as_diffusers())[0], 999.0);
}

#[test]
fn an_old_spelling_beside_its_new_one_is_noted() {
    let notes = |file: Value| read(&file).notes().join("; ");
    let both = notes(json!({ "_class_name": "DDIMScheduler", "predict_epsilon": false, "prediction_type": "epsilon" }));
    assert_eq!(both, "predict_epsilon has no effect, since prediction_type is given");
    let alone = json!({ "_class_name": "DDIMScheduler", "predict_epsilon": false });
    assert_eq!(read(&alone).model().prediction(), tweedie::Quantity::X0);
    assert!(notes(alone).contains("prediction_type: sample"));
}

/// A scheduler of tokens is refused for its class.
#[test]
fn a_class_that_is_not_supported_is_named() {
    let tokens = Scheduler::parse(r#"{"_class_name": "VQDiffusionScheduler"}"#).unwrap_err();
    assert!(matches!(tokens, ConfigError::Class { .. }), "{tokens}");
}

//! The models of configurations of diffusers, and the levels at which they are sampled.

use crate::support::assert_within;
use serde_json::{Value, json};
use tweedie::config::{ConfigError, Scheduler};
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::math::{Model, NoiseLevel, Placement, Process, Quantity, Sampler, Schedule};

fn sampler(config: &Value, run: &Run) -> Result<Sampler, ConfigError> {
    Sampler::from_diffusers_config(&config.to_string(), run)
}

fn told(sampler: &Sampler) -> Vec<f64> {
    sampler.timesteps().collect()
}

/// The last sample of a loop of first-order rows with the ideal epsilon for clean samples of `N(0, 0.25)`, at the timestep that
/// the network is told.
fn denoised(sampler: &Sampler, model: &Model, start: f64) -> f64 {
    sampler.calls().iter().fold(start, |x, call| {
        let level = model.schedule().levels()[call.timestep as usize];
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let epsilon = sigma * x / (0.25 * alpha * alpha + sigma * sigma);
        call.row.x * x + call.row.p * epsilon
    })
}

#[test]
fn an_inversion_by_file_is_the_one_by_name() {
    let config = |class: &str| json!({ "_class_name": class, "clip_sample": false });
    let file = |class: &str| sampler(&config(class), &Run::steps(50)).unwrap();
    let model = Scheduler::parse(&config("DDIMScheduler").to_string()).unwrap().model().clone();
    assert_eq!(file("DDIMInverseScheduler"), Sampler::ddim_inverse(&model, 50).unwrap());
    let there = [Sampler::ddim_inverse(&model, 50), Sampler::ddim_reverse(&model, 50)];
    let there = there.map(|sampler| denoised(&sampler.unwrap(), &model, 0.5));
    let [inverse, reverse] = there.map(|noise| denoised(&file("DDIMScheduler"), &model, noise));
    assert!((inverse - 0.5).abs() < 0.03 && (reverse - 0.5).abs() > 0.05, "{inverse} {reverse}");
}

#[test]
fn a_list_for_a_flow_is_final() {
    let list = [1000.0, 750.0, 500.0, 250.0];
    let qwen = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true,
        "shift_terminal": 0.02, "use_beta_sigmas": true });
    let sampler = |run: Run| sampler(&qwen, &run).unwrap();
    let ours = sampler(Run::timesteps(list.to_vec()));
    assert_eq!(told(&ours), list);
    assert_eq!(ours.calls().iter().map(|call| call.level.sigma()).collect::<Vec<_>>(), [1.0, 0.75, 0.5, 0.25]);
    let theirs = sampler(Run { mu: Some(0.9), ..Run::timesteps(list.to_vec()) }.as_diffusers());
    assert_eq!(told(&theirs), list);
    // Quantiles of Beta(0.6, 0.6) at thirds, between 1 and the terminal level.
    let beta = [1.0, 0.724587, 0.275413, 0.0].map(|quantile| 0.02 + 0.98 * quantile);
    for (call, expected) in theirs.calls().iter().zip(beta) {
        assert_within("sigma", call.level.sigma(), expected, 1e-6);
    }
}

#[test]
fn flows_are_sampled_as_their_authors_do() {
    let flux = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true, "base_shift": 0.5,
        "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096 });
    let times = |config: &Value, run: Run| told(&sampler(config, &run).unwrap());
    let by_size = times(&flux, Run { tokens: Some(4096.0), ..Run::steps(4) });
    assert_eq!(by_size, times(&flux, Run { mu: Some(1.15), ..Run::steps(4) }));
    for (found, expected) in by_size.iter().zip([1000.0, 904.5, 759.5, 512.8]) {
        assert!((found - expected).abs() < 0.06, "{by_size:?}");
    }
    let model = Model::named("flux").unwrap();
    assert_eq!(Sampler::euler(&model, 4).unwrap_err().to_string().split(':').next(), Some("expected tokens or mu"));
    let entry = Sampler::CATALOGUE.find("euler").unwrap();
    let by_name = entry.build(&model, &Run { tokens: Some(4096.0), ..Run::steps(4) }).unwrap();
    assert_eq!(told(&by_name), by_size);
    let sd3 = Sampler::flow_euler(&Model::named("sd3").unwrap(), 4).unwrap();
    for (found, expected) in sd3.timesteps().zip([1000.0, 857.7, 602.2, 8.93]) {
        assert!((found - expected).abs() < 0.06, "{found} {expected}");
    }
    let qwen = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true,
        "shift_terminal": 0.02 });
    assert_eq!(times(&qwen, Run { mu: Some(0.9), ..Run::steps(1) }), [1000.0]);
}

#[test]
fn a_file_is_a_model() {
    let model = |config: Value| Scheduler::parse(&config.to_string()).unwrap().model().clone();
    let svd = model(json!({ "_class_name": "EulerDiscreteScheduler", "prediction_type": "v_prediction",
        "timestep_type": "continuous", "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012 }));
    assert_eq!(svd.process(), Process::VariancePreserving);
    let level = NoiseLevel::variance_exploding(700.0).unwrap();
    assert_within("c_noise", svd.told(level), 0.25 * 700f64.ln(), 1e-15);
    let wan = model(json!({ "_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true, "flow_shift": 5.0,
        "prediction_type": "flow_prediction" }));
    assert_eq!((wan.process(), wan.prediction()), (Process::Flow, Quantity::Flow));
    assert_eq!(wan.placement(), Some(Placement::FlowTimes { shift: 5.0 }));
    let sd15 = model(json!({ "_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012 }));
    assert_eq!(*sd15.schedule(), Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap());
    let edm = model(json!({ "_class_name": "EDMEulerScheduler", "sigma_max": 120.0 }));
    assert_eq!(edm.process(), Process::VarianceExploding);
    assert_eq!(edm.schedule().levels()[999].sigma(), 120.0);
}

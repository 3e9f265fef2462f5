//! Files of the classes that mix the slopes of earlier calls: PNDM, LMS, IPNDM and DEIS.

use crate::support::assert_within;
use serde_json::{Value, json};
use tweedie::config::ConfigError;
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::math::{Quantity, Sampler};

fn file(class: &str, option: &str, value: Value) -> Value {
    json!({ "_class_name": class, option: value })
}

fn sampler(file: &Value, run: &Run) -> Result<Sampler, ConfigError> {
    Sampler::from_diffusers_config(&file.to_string(), run)
}

fn told(sampler: &Sampler) -> Vec<f64> {
    sampler.timesteps().collect()
}

#[test]
fn the_default_is_right_where_diffusers_is_not() {
    let both = |config: Value, run: Run| {
        let right = sampler(&config, &run).unwrap();
        (right, sampler(&config, &run.as_diffusers()).unwrap())
    };
    // linspace visits 999, 666, 333, 0; diffusers steps to 749, 416, 83 and clean instead.
    let pndm = |option: &str, value: &str| {
        let file = json!({ "_class_name": "PNDMScheduler", "skip_prk_steps": true, option: value });
        both(file, Run::steps(4))
    };
    let (right, theirs) = pndm("timestep_spacing", "linspace");
    assert_eq!(told(&right), [999.0, 666.0, 666.0, 333.0, 0.0]);
    assert_eq!(told(&right), told(&theirs));
    assert_eq!(right.calls()[1].row.x, 1.0);
    assert!((theirs.calls()[1].row.x - 1.0).abs() > 0.01);
    let (right, theirs) = pndm("prediction_type", "v_prediction");
    assert_eq!([right.keeps(), theirs.keeps()], [Quantity::Epsilon, Quantity::V]);

    // IPNDM begins at pure noise, of which diffusers keeps epsilon alone.
    let (right, theirs) = both(json!({ "_class_name": "IPNDMScheduler" }), Run::steps(4));
    assert_eq!(right.calls()[0].level.alpha(), 0.0);
    assert!(right.calls()[0].row.p < -0.1 && theirs.calls()[0].row.p == 0.0);
    assert_within("noise", right.calls()[0].row.x, theirs.calls()[0].row.x, 1e-12);

    // The last step of DEIS.
    let karras = json!({ "_class_name": "DEISMultistepScheduler", "use_karras_sigmas": true });
    let (right, theirs) = both(karras, Run::steps(5));
    assert_eq!(right.calls()[4].row.known, [1.0, 0.0]);
    assert_eq!((theirs.calls()[4].row.x, theirs.calls()[4].row.p), (1.0, 0.0));
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
    let order = |order| Run { order: Some(order), ..Run::steps(10) };
    says(file("PNDMScheduler", "prediction_type", json!("sample")), &ten, &["epsilon or v_prediction", "x0"]);
    says(file("IPNDMScheduler", "trained_betas", json!([0.5, 0.7, 0.0])), &ten, &["trained_betas", "falling"]);
    says(file("IPNDMScheduler", "trained_betas", json!([0.9, 0.5, 0.0])), &ten, &["steps: expected 2", "found 10"]);
    says(file("DEISMultistepScheduler", "solver_order", json!(0)), &ten, &["orders 1 to 4, found 0"]);
    says(file("DEISMultistepScheduler", "solver_type", json!("rk4")), &ten, &["solver_type", "logrho", "rk4"]);
    says(file("LMSDiscreteScheduler", "prediction_type", json!("sample")), &order(5), &["orders 1 to 4, found 5"]);
    says(file("DDIMScheduler", "eta", json!(1)), &order(2), &["order: this scheduler does not use it"]);
    let mu = Run { mu: Some(1.0), ..Run::steps(10) };
    says(file("DEISMultistepScheduler", "use_flow_sigmas", json!(true)), &mu, &["mu: this scheduler does not use it"]);
    // Three steps are too few for diffusers' Runge-Kutta start; by default all three are Runge-Kutta steps.
    says(
        file("PNDMScheduler", "steps_offset", json!(1)),
        &Run::steps(3).as_diffusers(),
        &["steps: expected at least 4"],
    );
    for (one, calls) in [(true, 4 + 4 + 2), (false, 4 + 4 + 1)] {
        let one = file("PNDMScheduler", "set_alpha_to_one", json!(one));
        assert_eq!(sampler(&one, &Run::steps(3)).unwrap().calls().len(), calls);
    }
}

#[test]
fn deis_of_orders_that_the_class_does_not_have() {
    // At order 4 the class of diffusers computes order 3.
    let of = |order: u32| {
        tweedie::config::Scheduler::parse(&file("DEISMultistepScheduler", "solver_order", json!(order)).to_string())
            .unwrap()
    };
    let run = Run::steps(20);
    assert_eq!(of(4).sampler(&run).unwrap(), of(3).sampler(&run).unwrap());
    assert!(of(4).notes()[0].contains("acts as 3") && of(3).notes().is_empty());
}

#[test]
fn sigmas_of_ipndm_from_the_file() {
    let sigmas = file("IPNDMScheduler", "trained_betas", json!([1.0, 0.6, 0.28, 0.0]));
    let listed = sampler(&sigmas, &Run::steps(3)).unwrap();
    assert_eq!(told(&listed)[0], 1.0);
    for (call, sigma) in listed.calls().iter().zip([1.0, 0.6, 0.28]) {
        assert_within("sigma", call.level.sigma(), sigma, 1e-12);
        assert_within("alpha", call.level.alpha(), (1.0f64 - sigma * sigma).sqrt(), 1e-12);
    }
}

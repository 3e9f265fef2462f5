//! Classes whose solvers call the network several times from one sample, or run towards noise.

use serde_json::{Value, json};
use tweedie::config::Scheduler;
use tweedie::math::Sampler;
use tweedie::math::catalog::SamplerOptions;

fn read(config: Value) -> Scheduler {
    Scheduler::parse(&config.to_string()).unwrap()
}

/// The default run, and the run as diffusers computes it.
fn both(config: Value, run: SamplerOptions) -> [Sampler; 2] {
    let scheduler = read(config);
    [run.clone(), run.as_diffusers()].map(|run| scheduler.sampler(&run).unwrap())
}

fn told(sampler: &Sampler) -> Vec<f64> {
    sampler.timesteps().collect()
}

fn depths(sampler: &Sampler) -> Vec<usize> {
    sampler.calls().iter().map(|call| call.row.depth()).collect()
}

#[test]
fn groups_of_singlestep_calls() {
    let class = |options: Value| {
        let mut config = json!({ "_class_name": "DPMSolverSinglestepScheduler", "prediction_type": "v_prediction" });
        options.as_object().unwrap().iter().for_each(|(name, value)| config[name] = value.clone());
        config
    };
    let run = |options: Value, run: SamplerOptions| both(class(options), run).map(|sampler| depths(&sampler));
    let third = || json!({ "solver_order": 3 });
    assert_eq!(run(third(), SamplerOptions::steps(9)), [[0, 1, 2, 0, 1, 2, 0, 1, 0]; 2]);
    assert_eq!(run(third(), SamplerOptions::steps(8)), [[0, 1, 2, 0, 1, 2, 0, 0]; 2]);
    assert_eq!(run(json!({}), SamplerOptions::steps(6)), [[0, 1, 0, 1, 0, 0]; 2]);
    let noisy = |lower: bool| json!({ "final_sigmas_type": "sigma_min", "lower_order_final": lower });
    assert_eq!(run(noisy(false), SamplerOptions::steps(4)), [[0, 1, 0, 1]; 2]);
    assert_eq!(run(noisy(true), SamplerOptions::steps(4)), [[0, 1, 0, 0]; 2]);
    // A part of a run has groups of its own; in diffusers it has those of the whole run.
    let part = SamplerOptions { begin_index: Some(2), ..SamplerOptions::steps(9) };
    let [ours, theirs] = run(third(), part);
    assert_eq!(ours, [0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(theirs, [0, 0, 1, 2, 0, 1, 0]);
}

/// A few roundings of numbers near 1, for levels that are computed in two ways.
const ROUNDING: f64 = 1e-13;

#[test]
fn the_fresh_noise_of_a_call_is_what_the_old_one_leaves() {
    let singlestep = json!({ "_class_name": "DPMSolverSinglestepScheduler", "algorithm_type": "sde-dpmsolver++",
        "solver_order": 3 });
    for config in [singlestep, json!({ "_class_name": "DPMSolverSDEScheduler" })] {
        let [ours, theirs] = both(config, SamplerOptions::steps(6));
        let mut second = 0;
        for (own, both) in ours.calls().iter().zip(theirs.calls()) {
            let apart = [own.row.x - both.row.x, own.row.clean - both.row.clean];
            assert!(own.row.second_z.0 == 0.0 && apart.iter().all(|d| d.abs() <= ROUNDING * own.row.x.abs().max(1.0)));
            let expected = both.row.z.powi(2) - both.row.second_z.0.powi(2);
            assert!((own.row.z.powi(2) - expected).abs() <= ROUNDING * both.row.z.powi(2).max(1.0), "{own:?}");
            second += usize::from(both.row.second_z.0 != 0.0);
        }
        assert!(second >= 3);
    }
}

#[test]
fn a_class_towards_noise() {
    let inverse = |options: Value| {
        let mut config = json!({ "_class_name": "DPMSolverMultistepInverseScheduler" });
        options.as_object().unwrap().iter().for_each(|(name, value)| config[name] = value.clone());
        config
    };
    let lists = |options: Value, steps: usize| {
        both(inverse(options), SamplerOptions::steps(steps)).map(|sampler| {
            let [first, .., last] = &told(&sampler)[..] else { unreachable!() };
            (first.round(), last.round(), sampler.calls().len())
        })
    };
    assert_eq!(lists(json!({}), 4), [(0.0, 749.0, 4); 2]);
    assert_eq!(lists(json!({ "timestep_spacing": "trailing" }), 4), [(0.0, 749.0, 4), (249.0, 999.0, 4)]);
    let leading = json!({ "timestep_spacing": "leading", "steps_offset": 1 });
    assert_eq!(lists(leading, 5), [(0.0, 665.0, 5), (1.0, 665.0, 5)]);
    // diffusers visits equal timesteps once, so that its run is shorter.
    let karras = json!({ "use_karras_sigmas": true, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012 });
    let [ours, theirs] = lists(karras, 50);
    assert_eq!((ours.0, ours.2), (0.0, 50));
    assert!(theirs.2 < 50 && theirs.1 == 999.0, "{theirs:?}");
    let stochastic = Scheduler::parse(&inverse(json!({ "algorithm_type": "sde-dpmsolver++" })).to_string());
    assert!(stochastic.unwrap_err().to_string().contains("algorithm_type"));
}

#[test]
fn the_last_step_of_cogvideox() {
    let config = |spacing: &str| {
        json!({ "_class_name": "CogVideoXDPMScheduler", "prediction_type": "v_prediction", "set_alpha_to_one": false,
            "timestep_spacing": spacing })
    };
    // 142 - 142 is a timestep, 0 - 142 is not.
    assert_eq!(depths(&both(config("trailing"), SamplerOptions::steps(7))[1])[6], 1);
    assert_eq!(depths(&both(config("leading"), SamplerOptions::steps(7))[1])[6], 0);
}

#[test]
fn what_the_network_of_stable_audio_is_told() {
    let [sampler, _] = both(json!({ "_class_name": "CosineDPMSolverMultistepScheduler" }), SamplerOptions::steps(3));
    for call in sampler.calls() {
        let angle = call.level.sigma().atan() * std::f64::consts::FRAC_2_PI;
        assert!((call.timestep - angle).abs() <= ROUNDING);
    }
    let third = json!({ "_class_name": "CosineDPMSolverMultistepScheduler", "solver_order": 3 });
    assert!(Scheduler::parse(&third.to_string()).unwrap_err().to_string().contains("solver_order"));
    let seeded = read(json!({ "_class_name": "DPMSolverSDEScheduler", "noise_sampler_seed": 3 }));
    assert!(seeded.notes()[0].contains("noise_sampler_seed"));
}

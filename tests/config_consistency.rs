//! Classes of consistency models, UnCLIP, Würstchen and SA-Solver: what their options mean, and where the default differs from
//! diffusers.

use serde_json::{Value, json};
use tweedie::config::Scheduler;
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::math::{Quantity, Sampler, Schedule};
use tweedie::table::Clip;

fn scheduler(class: &str, options: Value) -> Scheduler {
    let mut file = options;
    file["_class_name"] = class.into();
    Scheduler::parse(&file.to_string()).unwrap()
}

fn told(sampler: &Sampler) -> Vec<f64> {
    sampler.timesteps().collect()
}

/// The timesteps of the default run and of that of diffusers, or the error of each.
fn both(scheduler: &Scheduler, run: &Run) -> [Result<Vec<f64>, String>; 2] {
    [run.clone(), run.clone().as_diffusers()]
        .map(|run| scheduler.sampler(&run).map(|sampler| told(&sampler)).map_err(|error| error.to_string()))
}

/// A few roundings of numbers of order 1.
const ROUNDINGS: f64 = 1e-13;

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= ROUNDINGS * expected.abs().max(1.0), "{found} {expected}");
}

/// EDM's scalings for a variance-preserving `x`: the class's tables, written out.
#[test]
fn the_decoder_sees_variance_preserving_samples() {
    let decoder = scheduler("ConsistencyDecoderScheduler", json!({}));
    let sampler = decoder.sampler(&Run::steps(2).as_diffusers()).unwrap();
    assert_eq!(told(&sampler), [1008.0, 512.0]);
    let (schedule, data) = (Schedule::cosine(1024).unwrap(), 0.5f64);
    for (k, call) in sampler.calls().iter().enumerate() {
        let abar = schedule.alphas_cumprod()[call.timestep as usize];
        let sigma = (1.0 / abar - 1.0).sqrt();
        let whole = sigma.hypot(data);
        near(call.input, (1.0 / abar).sqrt() / whole);
        let [skip, out] = [(1.0 / abar).sqrt() * (data / whole).powi(2), sigma * data / whole];
        // Nothing is clamped, so the row mixes the sample and the output directly.
        let kept = if k == 0 { schedule.level(512).unwrap().alpha() } else { 1.0 };
        near(call.row.x, kept * skip);
        near(call.row.p, kept * out);
        near(call.row.z, if k == 0 { schedule.level(512).unwrap().sigma() } else { 0.0 });
    }
    let published = decoder.sampler(&Run::steps(2)).unwrap();
    assert_eq!((told(&published), published.clip()), (vec![1008.0, 512.0], Clip::Range(1.0)));
    let [right, theirs] = both(&decoder, &Run::steps(4));
    assert_eq!(right.unwrap(), [1008.0, 768.0, 512.0, 256.0]);
    assert!(theirs.unwrap_err().contains("the only number of diffusers' decoder"));
    assert!(both(&decoder, &Run::steps(65)).iter().all(Result::is_err));
}

#[test]
fn original_steps_of_tcd_mean_all_timesteps_in_diffusers() {
    let tcd = scheduler("TCDScheduler", json!({ "clip_sample": true }));
    assert_eq!(tcd.notes(), ["clip_sample has no effect in TCDScheduler"]);
    let run = Run { original_steps: Some(20), ..Run::steps(3) };
    let [right, theirs] = both(&tcd, &run);
    assert_eq!((right.unwrap(), theirs.unwrap()), (vec![999.0, 699.0, 349.0], vec![999.0, 666.0, 333.0]));
    assert!(both(&tcd, &Run { original_steps: Some(2), ..Run::steps(3) }).iter().all(Result::is_err));
    // With gamma 1 only the predicted noise of timestep 0 is kept, and the rest is fresh; with gamma 0 this is DDIM.
    let at = |eta| tcd.sampler(&Run { eta: Some(eta), ..Run::steps(4) }).unwrap();
    let first = |sampler: &Sampler| (sampler.calls()[0].row.z, sampler.calls()[0].row.known[1]);
    let ((all, sigma), (none, _)) = (first(&at(1.0)), first(&at(0.0)));
    assert!(none == 0.0 && all > 0.99 * sigma && all < sigma, "{all} {sigma}");
}

#[test]
fn levels_of_a_consistency_model_are_counted_from_the_noisiest() {
    let model = scheduler("CMStochasticIterativeScheduler", json!({}));
    let levels = Schedule::edm(40, 0.002, 80.0, 7.0).unwrap();
    let sigma = |place: usize| levels.levels()[39 - place].sigma();
    let clock = |places: &[usize]| places.iter().map(|&place| 250.0 * sigma(place).ln()).collect::<Vec<_>>();
    let [right, theirs] = both(&model, &Run::steps(3));
    assert_eq!((right.clone().unwrap(), right), (clock(&[0, 13, 26]), theirs));
    let [falling, rising] = [vec![22.0, 0.0], vec![0.0, 22.0]].map(|list| both(&model, &Run::timesteps(list)));
    assert_eq!(falling, [Ok(clock(&[0, 22])), Ok(clock(&[0, 22]))]);
    assert!(rising[0] == falling[0] && rising[1].clone().unwrap_err().contains("a falling list"));
    assert!(both(&model, &Run::steps(41)).iter().all(Result::is_err));
    assert!(both(&model, &Run::timesteps(vec![40.0])).iter().all(Result::is_err));
    // At the least sigma the sample is its own clean sample.
    let least = model.sampler(&Run::timesteps(vec![39.0])).unwrap().calls()[0].row;
    assert_eq!((least.x0[0], least.x0[1]), (1.0, 0.0));
}

#[test]
fn unclip_goes_from_end_to_end() {
    let unclip = scheduler("UnCLIPScheduler", json!({}));
    assert_eq!(both(&unclip, &Run::steps(3)), [Ok(vec![999.0, 500.0, 0.0]), Ok(vec![999.0, 500.0, 0.0])]);
    let [right, theirs] = both(&unclip, &Run::steps(1));
    assert!(right == Ok(vec![999.0]) && theirs.unwrap_err().contains("at least 2"));
    for refused in [json!({ "beta_schedule": "linear" }), json!({ "prediction_type": "v_prediction" })] {
        let mut file = refused;
        file["_class_name"] = "UnCLIPScheduler".into();
        assert!(Scheduler::parse(&file.to_string()).is_err());
    }
}

#[test]
fn a_clock_tells_times() {
    let cascade = scheduler("DDPMWuerstchenScheduler", json!({ "scaler": 2.0 }));
    let model = cascade.model();
    for time in [0.1, 0.25, 0.5, 0.9] {
        near(model.told(model.level_of_time(time).unwrap()), time);
    }
    near(model.level_of_time(0.0).unwrap().alpha_bar(), 0.9999);
    assert!(model.level_of_time(1.5).is_err());
    let list = |list: &[f64]| both(&cascade, &Run::timesteps(list.to_vec()));
    assert_eq!(list(&[1.0, 0.5, 0.0]), [Ok(vec![1.0, 0.5]), Ok(vec![1.0, 0.5])]);
    // diffusers ends its run at the last time of a list.
    assert_eq!(list(&[1.0, 0.5, 0.25]), [Ok(vec![1.0, 0.5, 0.25]), Ok(vec![1.0, 0.5])]);
    let theirs = cascade.sampler(&Run::timesteps(vec![1.0, 0.5, 0.25]).as_diffusers()).unwrap();
    let last = theirs.calls()[1].row;
    near(last.known[0], model.level_of_time(0.25).unwrap().alpha());
    assert!(last.z > 0.0);
    let mean = cascade.sampler(&Run::steps(4)).unwrap().calls()[3].row;
    assert!(mean.z == 0.0 && mean.known[1] > 0.0);
    // Other samplers of the model tell it times too.
    let ddim = cascade.sampler_instead(Sampler::CATALOGUE.find("ddim").unwrap(), &Run::steps(4)).unwrap();
    assert!(ddim.timesteps().all(|time| (0.0..=1.0).contains(&time)), "{:?}", told(&ddim));
    assert_eq!(model.prediction(), Quantity::Epsilon);
}

#[test]
fn sa_solver_adds_noise_between_the_ends() {
    let file = json!({ "predictor_order": 3, "corrector_order": 4 });
    let solver = scheduler("SASolverScheduler", file.clone());
    let noisy = |sampler: &Sampler| sampler.calls().iter().map(|call| call.row.z > 0.0).collect::<Vec<_>>();
    let sampler = solver.sampler(&Run::steps(10)).unwrap();
    let expected: Vec<bool> = sampler.timesteps().map(|t| (200.0..=800.0).contains(&t)).collect();
    assert_eq!(noisy(&sampler), expected);
    assert!(expected.contains(&true) && expected.contains(&false));
    let still = solver.sampler(&Run { tau: Some(0.0), ..Run::steps(10) }).unwrap();
    assert!(noisy(&still).iter().all(|noisy| !noisy));
    // By default the time of a flow decides, whatever number its network is told; in diffusers that number decides.
    let mut flow = file;
    flow["use_flow_sigmas"] = true.into();
    flow["prediction_type"] = "flow_prediction".into();
    let flow = scheduler("SASolverScheduler", flow);
    for run in [Run::steps(8), Run::steps(8).as_diffusers()] {
        let sampler = flow.sampler(&run).unwrap();
        let inside = |call: &tweedie::math::Call| (0.2..=0.8).contains(&call.level.sigma());
        assert_eq!(noisy(&sampler), sampler.calls().iter().map(inside).collect::<Vec<_>>());
    }
    for refused in [json!({ "predictor_order": 5 }), json!({ "corrector_order": 0 }), json!({ "tau_func": "x" })] {
        let mut file = refused;
        file["_class_name"] = "SASolverScheduler".into();
        let read = Scheduler::parse(&file.to_string());
        assert!(read.is_err() || read.is_ok_and(|read| read.sampler(&Run::steps(10)).is_err()));
    }
}

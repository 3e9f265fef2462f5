//! Models: the levels that their samplers visit, the number that a network is told, and the models that a sampler refuses.

use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::sampler::Scale;
use tweedie::math::{Call, Model, Placement, Process, Quantity, Sampler, Schedule, Told};
use tweedie::table::Clip;

/// An image of 1024x1024 pixels, in tokens of 16x16.
const TOKENS: f64 = 4096.0;

type Construct = fn(&Model, usize) -> Result<Sampler, CatalogError>;

/// Samplers of every model, by name and by function.
const CONSTRUCTORS: [(&str, Construct); 4] =
    [("euler", Sampler::euler), ("heun", Sampler::heun), ("dpm++", Sampler::dpm_solver_pp), ("unipc", Sampler::unipc)];

#[test]
fn published_models_have_samplers() {
    for entry in Model::CATALOGUE.entries {
        let model = entry.build(&[]).unwrap();
        let process = match (model.prediction(), model.told_number()) {
            (_, Told::Angle(data)) => Process::TrigFlow(data),
            (Quantity::Flow | Quantity::RisingFlow, _) => Process::Flow,
            (Quantity::Edm(_) | Quantity::TrigFlow(_), _) => Process::VarianceExploding,
            _ => Process::VariancePreserving,
        };
        assert_eq!(model.process(), process, "{}", entry.name);
        // Without signal, or on a clock or an angle of its own, not every solver has a first step: `recipes` runs the usual one.
        let last = model.schedule().levels().last().unwrap().alpha();
        let own = matches!(model.told_number(), Told::Angle(_) | Told::CosineTime(_));
        if own || process == Process::VariancePreserving && last == 0.0 {
            continue;
        }
        let by_size = model.token_line().is_some();
        let options = SamplerOptions { tokens: by_size.then_some(TOKENS), ..SamplerOptions::steps(5) };
        for (name, construct) in CONSTRUCTORS {
            let sampler = Sampler::CATALOGUE.find(name).unwrap().build(&model, &options).unwrap();
            match construct(&model, 5) {
                Ok(plain) => assert!(!by_size && plain == sampler, "{name} of {}", entry.name),
                Err(error) => assert!(by_size, "{name} of {}: {error}", entry.name),
            }
            // Between whole timesteps diffusers interpolates sigmas one way, and timesteps another.
            let between = |call: &Call| process == Process::VariancePreserving && call.timestep.fract() != 0.0;
            let told = |call: &Call| model.told(call.level) - call.timestep;
            assert!(sampler.calls().iter().all(|call| between(call) || told(call).abs() < 1e-9), "{}", entry.name);
        }
    }
    let sd2 = Model::named("stable-diffusion-2-1").unwrap();
    assert_eq!((sd2.prediction(), sd2.latent_scale()), (Quantity::V, 0.18215));
}

#[test]
fn a_model_settles_what_its_samplers_visit_and_say() {
    let [edm, sd3] = ["edm", "sd3"].map(|name| Model::named(name).unwrap());
    let heun = Sampler::heun(&edm, 18).unwrap();
    let sigmas = Schedule::edm(18, 0.002, 80.0, 7.0).unwrap().sigmas();
    for (call, sigma) in heun.calls().iter().step_by(2).zip(sigmas.iter().rev()) {
        assert_eq!((call.level.alpha(), call.level.sigma(), call.timestep), (1.0, *sigma, 0.25 * sigma.ln()));
        assert_eq!(call.input, 1.0 / sigma.hypot(0.5));
    }
    // The model's own shift is 3, and its network is told 1000 times the time.
    let euler = Sampler::euler(&sd3, 4).unwrap();
    assert_eq!(euler, Sampler::flow_euler(&sd3, 4).unwrap());
    assert_eq!(euler.timesteps().next(), Some(1000.0));
    let karras = SamplerOptions {
        placement: Some(Placement::Karras { rho: 7.0 }),
        sigma_min: Some(0.001),
        sigma_max: Some(1.0),
        ..SamplerOptions::steps(4)
    };
    let told: Vec<f64> =
        Sampler::CATALOGUE.find("flow-euler").unwrap().build(&sd3, &karras).unwrap().timesteps().collect();
    for (told, expected) in told.iter().zip([1000.0, 193.6, 22.6, 1.0]) {
        assert!((told - expected).abs() < 0.05, "{told:?}");
    }
    let rising = sd3.clone().negated().told_as(Told::RisingTime(1.0));
    assert_eq!(Sampler::euler(&rising, 4).unwrap().timesteps().next(), Some(0.0));
}

#[test]
fn models_of_another_process_are_refused() {
    let [sdxl, edm, sd3] = ["sdxl", "edm", "sd3"].map(|name| Model::named(name).unwrap());
    let refused = |built: Result<Sampler, CatalogError>| built.unwrap_err().to_string();
    assert_eq!(
        refused(Sampler::flow_euler(&sdxl, 4)),
        "expected a rectified-flow model, found a variance-preserving one"
    );
    let on = |scale| SamplerOptions { scale: Some(scale), ..SamplerOptions::steps(4) };
    let dpm = Sampler::CATALOGUE.find("dpm++").unwrap();
    assert!(refused(dpm.build(&edm, &on(Scale::VariancePreserving))).contains("found a variance-exploding one"));
    assert!(refused(dpm.build(&sd3, &on(Scale::VarianceExploding))).contains("found a rectified-flow one"));
    let at = |timestep| SamplerOptions { timesteps: Some(vec![timestep]), ..SamplerOptions::default() };
    for timestep in [5000.0, 1000.0, -1.0, f64::NAN] {
        let refused = refused(Sampler::CATALOGUE.find("euler").unwrap().build(&sdxl, &at(timestep)));
        assert!(refused.starts_with("a timestep must be from 0 to the model's last"), "{refused}");
    }
}

#[test]
fn a_strength_leaves_the_last_steps() {
    let model = Model::named("sdxl").unwrap();
    let told = |name: &str, options: SamplerOptions| -> Vec<f64> {
        Sampler::CATALOGUE.find(name).unwrap().build(&model, &options).unwrap().timesteps().collect()
    };
    let strength = |strength| SamplerOptions { strength: Some(strength), ..SamplerOptions::steps(10) };
    for name in ["ddim", "euler", "dpm++"] {
        let all = told(name, SamplerOptions::steps(10));
        assert_eq!(told(name, strength(0.65)), all[4..], "{name}");
        assert_eq!(told(name, strength(1.0)), all, "{name}");
    }
    // The first step of a multistep solver has no history.
    let dpm = Sampler::CATALOGUE.find("dpm++").unwrap();
    assert_eq!(dpm.build(&model, &strength(0.5)).unwrap().calls()[0].row.depth(), 0);
    for (wrong, message) in [(0.05, "a sampler needs at least 1 step"), (1.5, "strength must be within 0..=1")] {
        assert!(dpm.build(&model, &strength(wrong)).unwrap_err().to_string().starts_with(message), "{wrong}");
    }
    let lcm = SamplerOptions { strength: Some(0.5), ..SamplerOptions::steps(4) };
    assert_eq!(told("lcm", lcm), [499.0, 379.0, 259.0, 139.0]);
}

#[test]
fn a_window_is_a_part_of_the_run() {
    let model = Model::named("sdxl").unwrap();
    let window = SamplerOptions { begin_index: Some(2), end_index: Some(5), ..SamplerOptions::steps(8) };
    for name in ["ddim", "euler", "dpm++", "dpm++-3m", "unipc"] {
        let entry = Sampler::CATALOGUE.find(name).unwrap();
        let build = |options: &SamplerOptions| entry.build(&model, options).unwrap();
        let (all, part) = (build(&SamplerOptions::steps(8)), build(&window));
        let seen =
            |sampler: &Sampler| -> Vec<_> { sampler.calls().iter().map(|c| (c.level, c.timestep, c.input)).collect() };
        assert_eq!(seen(&part), seen(&all)[2..5], "{name}");
        assert_eq!(part.calls()[0].row.depth(), 0, "{name}: the first step has no history");
        let rows = |sampler: &Sampler| -> Vec<_> { sampler.calls().iter().map(|call| call.row).collect() };
        let mut expected = rows(&all)[2..5].to_vec();
        expected[2].input = 1.0; // no network call follows
        assert_eq!(rows(&part) == expected, all.depth() == 0, "{name}");
    }
    for (begin, end) in [(3, 3), (8, 9), (0, 9), (5, 2)] {
        let options = SamplerOptions { begin_index: Some(begin), end_index: Some(end), ..SamplerOptions::steps(8) };
        assert!(Sampler::CATALOGUE.find("ddim").unwrap().build(&model, &options).is_err(), "{begin}..{end}");
    }
}

#[test]
fn samplers_are_clipped_after_they_are_made() {
    let model = Model::named("sdxl").unwrap();
    let entry = Sampler::CATALOGUE.find("unipc").unwrap();
    let built = |clip| entry.build(&model, &SamplerOptions { clip, ..SamplerOptions::steps(6) }).unwrap();
    let plain = Sampler::unipc(&model, 6).unwrap();
    let clipped = plain.clone().clipped(1.0).unwrap();
    assert_eq!(clipped, built(Some(Clip::Range(1.0))));
    assert_eq!(clipped.clone().with_clip(Clip::None).unwrap(), plain);
    let quantile = Clip::Quantile { ratio: 0.995, least: 1.0, most: f64::INFINITY };
    assert_eq!(plain.clone().thresholded(0.995).unwrap(), built(Some(quantile)));
    assert!(plain.clone().clipped(0.0).is_err() && plain.clone().thresholded(2.0).is_err());
    let mut changed = plain;
    changed.calls_mut()[2].row.guidance = [2.0, -1.0];
    assert_eq!(changed.clipped(1.0).unwrap().calls()[2].row.guidance, [2.0, -1.0]);
}

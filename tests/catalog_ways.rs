//! How named samplers come to their levels: each option that places levels either changes the sampler or is refused.

use tweedie::math::catalog::{CatalogError, SamplerOptions, SolverKind};
use tweedie::math::sampler::Scale;
use tweedie::math::{Model, NoiseLevel, Placement, Process, Quantity, Sampler, Schedule, Sections, Spacing};

type Change = fn(&mut SamplerOptions);

/// Ways to say where the levels are.
const WAYS: &[(&str, Change)] = &[
    ("steps", |o| o.steps = Some(6)),
    ("timesteps", |o| o.timesteps = Some(vec![900.0, 500.0, 100.0])),
    ("sigma list", |o| o.sigma_list = Some(vec![0.9, 0.5, 0.1])),
    ("times", |o| o.times = Some(vec![0.9, 0.5, 0.1])),
    ("sections", |o| o.sections = Some(Sections::Counts(vec![6]))),
    ("karras", |o| (o.steps, o.placement) = (Some(6), Some(Placement::Karras { rho: 7.0 }))),
    ("exponential", |o| (o.steps, o.placement) = (Some(6), Some(Placement::Exponential))),
    ("vp", |o| {
        let vp = Placement::CATALOGUE.find("vp").and_then(|entry| entry.build(&[]));
        (o.steps, o.placement) = (Some(6), vp.ok());
    }),
    ("leading", |o| (o.steps, o.placement) = (Some(6), Some(Placement::Timesteps(Spacing::Leading { offset: 0 })))),
    ("trailing", |o| (o.steps, o.placement) = (Some(6), Some(Placement::Timesteps(Spacing::Trailing)))),
    ("flow-ends", |o| (o.steps, o.placement) = (Some(6), Some(Placement::FlowEnds { shift: 2.0 }))),
];

/// Options that move the levels of a way.
const MOVES: &[(&str, Change)] = &[
    ("spacing", |o| o.placement = Some(Placement::Timesteps(Spacing::Leading { offset: 7 }))),
    ("offset", |o| o.offset = Some(7)),
    ("sections", |o| o.sections = Some(Sections::Counts(vec![5]))),
    ("sigmas", |o| o.placement = Some(Placement::Polyexponential { rho: 2.0 })),
    ("sigma_min", |o| o.sigma_min = Some(0.37)),
    ("sigma_max", |o| o.sigma_max = Some(0.83)),
    ("rho", |o| o.rho = Some(3.0)),
    ("original_steps", |o| o.original_steps = Some(20)),
    ("shift", |o| o.shift = Some(2.5)),
    ("strength", |o| o.strength = Some(0.6)),
    ("begin_index", |o| o.begin_index = Some(1)),
    ("end_index", |o| o.end_index = Some(2)),
];

fn models() -> Vec<Model> {
    let mut models: Vec<Model> = ["sdxl", "sd3"].map(|name| Model::named(name).unwrap()).into();
    models.extend(Model::PROCESSES.entries.iter().map(|entry| entry.build(&[]).unwrap()));
    models
}

#[test]
fn an_option_that_places_levels_acts_or_is_refused() {
    let mut pairs = 0;
    for (model, entry) in models().iter().flat_map(|model| Sampler::CATALOGUE.entries.iter().map(move |it| (model, it)))
    {
        for (way, place) in WAYS {
            let mut options = SamplerOptions::default();
            place(&mut options);
            let Ok(plain) = entry.build(model, &options) else { continue };
            for (name, change) in MOVES {
                let mut moved = options.clone();
                change(&mut moved);
                let built = entry.build(model, &moved);
                assert!(
                    built.as_ref() != Ok(&plain),
                    "{name} changes nothing together with {way}: {} on {}",
                    entry.name,
                    model.process()
                );
                pairs += usize::from(built.is_ok());
            }
        }
    }
    assert!(pairs > 500, "{pairs}");
}

#[test]
fn refusals_of_options_name_what_places_the_levels() {
    let refusal = |model: &str, sampler: &str, options: SamplerOptions| {
        let error = Sampler::CATALOGUE.find(sampler).unwrap().build(&Model::named(model).unwrap(), &options);
        error.unwrap_err().describe(|name| format!("--{}", name.replace('_', "-")))
    };
    let six = || SamplerOptions::steps(6);
    let list = || SamplerOptions { sigma_list: Some(vec![10.0, 5.0, 2.0, 0.5]), ..SamplerOptions::default() };
    let sections = Some(Sections::Ddim(4));
    let cases = [
        (
            refusal("sdxl", "dpm++", SamplerOptions { sections, ..list() }),
            "--sections contradicts --sigmas, which places the levels",
        ),
        (
            refusal("sdxl", "dpm++", SamplerOptions { sigma_min: Some(0.1), ..list() }),
            "--sigma-min contradicts --sigmas, which places the levels",
        ),
        (
            refusal("sdxl", "euler", SamplerOptions { offset: Some(1), ..six() }),
            "--offset does not apply to the linspace spacing",
        ),
        (
            refusal(
                "sdxl",
                "euler",
                SamplerOptions { placement: Some(Placement::Exponential), rho: Some(3.0), ..six() },
            ),
            "--rho does not apply to the exponential sigmas",
        ),
        (
            refusal("sd3", "lcm", SamplerOptions { original_steps: Some(20), ..six() }),
            "--original-steps does not apply to the times of a flow",
        ),
        (
            refusal("sd3", "flow-euler", SamplerOptions { sigma_min: Some(0.3), ..six() }),
            "--sigma-min, --sigma-max and --rho apply only together with --sigmas",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn a_reverse_walk_is_told_the_timestep_of_each_level() {
    let sampler = |name: &str, model: &Model| Sampler::CATALOGUE.find(name)?.build(model, &SamplerOptions::steps(4));
    for model in models() {
        let Ok(reverse) = sampler("ddim-reverse", &model) else {
            // The network of such a model is told ln(sigma)/4, which does not exist at the clean sample.
            assert_eq!(model.scale(), Scale::Edm(model.prediction().sigma_data().unwrap()));
            continue;
        };
        for call in reverse.calls() {
            let own = model.told(call.level);
            assert!((call.timestep - own).abs() <= 1e-9 * own.abs(), "{} {own}", call.timestep);
        }
        assert_eq!(reverse.calls().len(), 4);
        assert_ne!(sampler("ddim-inverse", &model).unwrap(), reverse);
    }
}

#[test]
fn a_run_of_a_multistep_solver_towards_noise_has_its_steps() {
    let karras = || SamplerOptions { placement: Some(Placement::Karras { rho: 7.0 }), ..SamplerOptions::steps(4) };
    let trailing =
        SamplerOptions { placement: Some(Placement::Timesteps(Spacing::Trailing)), ..SamplerOptions::steps(4) };
    let dpm = Sampler::CATALOGUE.find("dpm++-inverse").unwrap();
    let rises = |name: &str, options: &SamplerOptions| {
        let model = Model::named(name).unwrap();
        let sampler = dpm.build(&model, options).unwrap();
        let ratios: Vec<f64> = sampler.calls().iter().map(|call| call.level.lambda()).collect();
        assert!(ratios.windows(2).all(|pair| pair[0] > pair[1]), "{name} {ratios:?}");
        for call in sampler.calls() {
            let own = model.told(call.level);
            assert!((call.timestep - own).abs() <= 1e-9 * own.abs().max(1.0), "{name}: {} {own}", call.timestep);
        }
        sampler.timesteps().map(f64::round).collect::<Vec<_>>()
    };
    assert_eq!(rises("sdxl", &SamplerOptions::steps(4)), [0.0, 250.0, 500.0, 749.0]);
    assert_eq!(rises("sdxl", &trailing), [0.0, 249.0, 499.0, 749.0]);
    assert_eq!(rises("sdxl", &SamplerOptions::timesteps(vec![900.0, 500.0, 0.0])), [0.0, 500.0]);
    assert_eq!(rises("sdxl", &karras()).len(), 4);
    assert_eq!(rises("sd3", &SamplerOptions::steps(4)).len(), 4);
}

#[test]
fn strength_takes_the_steps_next_to_the_clean_sample() {
    let sampler = |name: &str, model: &str, options: &SamplerOptions| {
        let model = Model::named(model).unwrap();
        Sampler::CATALOGUE.find(name).unwrap().build(&model, options).unwrap()
    };
    let list = SamplerOptions::timesteps(vec![999.0, 759.0, 499.0, 259.0]);
    for (name, model, options) in [
        ("lcm", "sdxl", list.clone()),
        ("lcm", "sd3", SamplerOptions::steps(4)),
        ("ddim", "sdxl", list),
        ("euler", "sd3", SamplerOptions::steps(4)),
        ("ddim-inverse", "sdxl", SamplerOptions::steps(4)),
        ("ddim-reverse", "sdxl", SamplerOptions::steps(4)),
        ("ddim-inverse", "sd3", SamplerOptions::steps(4)),
    ] {
        let all = sampler(name, model, &options);
        let half = sampler(name, model, &SamplerOptions { strength: Some(0.5), ..options });
        let clean = |sampler: &Sampler| sampler.calls().iter().map(|call| call.level.sigma()).fold(f64::MAX, f64::min);
        assert_eq!(half.calls().len(), 2, "{name} on {model}");
        assert_eq!(clean(&half), clean(&all), "{name} on {model}");
    }
}

/// The largest difference of a level that is computed in two ways: roundings of a ratio and of the level that follows from it.
const ROUNDING: f64 = 1e-12;

#[test]
fn a_timestep_has_one_level_by_every_way() {
    for model in models() {
        for t in [0.0, 1.0, 250.0, 250.5, 700.25, 999.0] {
            let Ok(level) = model.level_at(t) else {
                assert!(matches!(model.process(), Process::TrigFlow(_)) && model.sigma_at(t).is_err());
                continue;
            };
            let other = model.level_of_sigma(model.sigma_at(t).unwrap()).unwrap();
            let apart = (level.alpha() - other.alpha()).abs().max((level.sigma() - other.sigma()).abs());
            assert!(apart <= ROUNDING * level.sigma().max(1.0), "{} at {t}: {apart:e}", model.process());
        }
    }
}

#[test]
fn levels_on_no_curve_have_none_between_them() {
    let levels = [0.2, 0.5, 0.9].map(|sigma| NoiseLevel::new(0.9, sigma).unwrap());
    let model = Model::new(Schedule::from_levels(&levels).unwrap(), Quantity::Epsilon);
    assert_eq!(model.level_at(1.0).unwrap(), levels[1]);
    for refused in [model.level_at(0.5).map(drop), model.level_of_sigma(0.5).map(drop), model.sigma_at(0.5).map(drop)] {
        assert!(refused.is_err());
    }
    let dpm = Sampler::CATALOGUE.find("dpm++").unwrap();
    let karras = SamplerOptions { placement: Some(Placement::Karras { rho: 7.0 }), ..SamplerOptions::steps(2) };
    let listed = SamplerOptions { sigma_list: Some(vec![0.9, 0.5]), ..SamplerOptions::default() };
    for options in [karras, listed] {
        let error = dpm.build(&model, &options).unwrap_err();
        assert!(matches!(error, CatalogError::Process { found: Process::Levels, .. }), "{error}");
    }
    assert_eq!(dpm.build(&model, &SamplerOptions::steps(2)).unwrap().calls()[0].level, levels[2]);
}

#[test]
fn a_placement_has_its_name_in_the_catalogue() {
    for entry in Placement::CATALOGUE.entries {
        assert_eq!(entry.build(&[]).unwrap().name(), entry.name);
    }
    for entry in SolverKind::CATALOGUE.entries {
        assert!(entry.build(&[]).is_ok());
    }
}

#[test]
fn times_make_a_rectified_flow_whatever_they_are() {
    for times in [&[0.0][..], &[0.5], &[1.0], &[0.0, 1.0]] {
        assert_eq!(Schedule::rectified_flow_times(times).unwrap().process(), Process::Flow);
    }
    assert_eq!(Schedule::variance_exploding(&[0.0]).unwrap().process(), Process::VarianceExploding);
}

#[test]
fn the_speed_of_log_snr_does_not_depend_on_the_direction_of_time() {
    let [rising, falling] = [Quantity::RisingFlow, Quantity::Flow]
        .map(|prediction| Model::new(Schedule::rectified_flow(10).unwrap(), prediction).timesteps().unwrap());
    for t in 1..10 {
        let [here, there] = [rising.log_snr_speed(t).unwrap(), falling.log_snr_speed(10 - t).unwrap()];
        assert!(here > 0.0 && (here - there).abs() <= ROUNDING * here, "{here} {there}");
    }
}

#[test]
fn factors_of_an_output_multiply() {
    let model = Model::named("sdxl").unwrap().negated().with_output_factor(3.0).unwrap();
    assert_eq!(model.output_factor(), -3.0);
    assert_eq!(model.with_output_factor(-0.5).unwrap().output_factor(), 1.5);
}

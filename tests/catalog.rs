//! The catalogues: names, defaults, ranges, and what their entries build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use tweedie::math::catalog::{
    CatalogError, Catalogue, Entry, Make, Parameter, SamplerOptions, SamplerRecipe, SolverKind,
};
use tweedie::math::sampler::{Churn, Corrector, DpmKind, Form, Heun, PiFlow, Scale, ScoreRescaling, Variance};
use tweedie::math::{
    DeltaSchedule, Density, Guider, LatentFormat, Model, Placement, Process, Quantity, Recipe, Sampler, Schedule,
    Sections, SigmaData, Spacing, Weight,
};
use tweedie::noise::{CudaDevice, JaxLayout, Source};
use tweedie::table::{Clip, Penalty};

/// Spellings of a name that all find its entry.
fn spellings(name: &str) -> Vec<String> {
    let dashes = name.replace(['_', ' '], "-");
    vec![name.to_owned(), name.to_uppercase(), dashes.replace('-', "_"), dashes.replace('-', ""), format!(" {dashes} ")]
}

/// Checks the names, summaries and ranges of every entry of a catalogue.
fn assert_sound<T>(catalogue: &Catalogue<T>) {
    let mut owners = BTreeMap::new();
    for entry in catalogue.entries {
        let title = entry.title();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-+".contains(c);
        assert!(entry.name.chars().all(plain) || entry.kind == "quantity", "{title}");
        assert!(!entry.summary.is_empty() && entry.summary.len() < 120 && !entry.summary.ends_with('.'), "{title}");
        for spelling in entry.names().flat_map(spellings) {
            assert_eq!(catalogue.find(&spelling).map(|found| found.name).ok(), Some(entry.name), "{spelling}");
        }
        for name in entry.names() {
            let key = name.to_lowercase().replace(['-', '_', ' '], "");
            assert_eq!(owners.insert(key, entry.name), None, "{name} of {title}");
        }
        for parameter in entry.parameters {
            let Parameter { name, default, min, max, whole, about } = *parameter;
            assert!(min < max && !about.is_empty() && !parameter.range().is_empty(), "{name} of {title}");
            let fits = |value: f64| (min..=max).contains(&value) && (!whole || value.fract() == 0.0);
            assert!(default.is_none_or(fits), "{name} of {title}");
            assert_eq!(entry.parameter(name), Some(parameter));
        }
    }
    let text = catalogue.find("no such name").map(|entry| entry.name).unwrap_err().to_string();
    let first = &catalogue.entries[0];
    assert!(
        text.starts_with(&format!("no {} is called `no such name` (expected {}", first.kind, first.name)),
        "{text}"
    );
}

/// The longest schedule that is built: longer ones would only cost time.
const MOST_STEPS: f64 = 2000.0;

/// Checks that every entry builds from its defaults, never refuses the ends of a range as out of range, and refuses values
/// just beyond them, NaN and unknown parameters.
fn assert_builds<T: Debug>(catalogue: &Catalogue<Make<T>>) {
    for entry in catalogue.entries {
        let title = entry.title();
        entry.build(&[]).unwrap_or_else(|error| panic!("{title}: {error}"));
        for parameter in entry.parameters {
            let with = |value| entry.build(&[(parameter.name, value)]);
            let ends = [parameter.min, parameter.max].into_iter().filter(|end| !parameter.whole || *end <= MOST_STEPS);
            for end in ends {
                let refused = with(end).err();
                assert!(!matches!(refused, Some(CatalogError::Range { .. })), "{title}: {} = {end}", parameter.name);
            }
            let outside = [parameter.min.next_down(), parameter.max.next_up(), f64::NAN];
            for value in outside.into_iter().chain(parameter.whole.then_some(0.5)) {
                let refused = with(value).unwrap_err();
                assert!(matches!(refused, CatalogError::Range { .. }), "{title}: {} = {value}", parameter.name);
            }
        }
        let error = entry.build(&[("colour", 1.0)]).unwrap_err();
        assert_eq!(error.to_string(), format!("colour does not apply to the {title}"));
    }
}

/// The message begins with what was given, and names what was probably meant.
#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    let text = |error: CatalogError| error.to_string();
    let unknown = text(Model::named("sdlx").unwrap_err());
    assert!(unknown.starts_with("no model is called `sdlx`; did you mean `sdxl`? (expected ddpm (or"), "{unknown}");
    let unknown = text(Sampler::CATALOGUE.find("EulerAncestrl").unwrap_err());
    assert!(unknown.starts_with("no sampler is called `EulerAncestrl`; did you mean `euler-ancestral`?"), "{unknown}");
    let long = "x".repeat(1000);
    for strange in ["restart", "", long.as_str()] {
        let unknown = text(Sampler::CATALOGUE.find(strange).unwrap_err());
        assert!(
            unknown.starts_with(&format!("no sampler is called `{strange}` (expected ddpm (or ancestral), ddim")),
            "{unknown}"
        );
    }
}

#[test]
fn entries_are_sound() {
    assert_sound(&Schedule::CATALOGUE);
    assert_sound(&Sampler::CATALOGUE);
    assert_sound(&Placement::CATALOGUE);
    assert_sound(&Scale::CATALOGUE);
    assert_sound(&Variance::CATALOGUE);
    assert_sound(&SolverKind::CATALOGUE);
    assert_sound(&Quantity::CATALOGUE);
    assert_sound(&Weight::CATALOGUE);
    assert_sound(&DeltaSchedule::CATALOGUE);
    assert_sound(&Penalty::CATALOGUE);
    assert_sound(&Density::CATALOGUE);
    assert_sound(&Guider::CATALOGUE);
    assert_sound(&Model::CATALOGUE);
    assert_sound(&Source::CATALOGUE);
    assert_sound(&Recipe::CATALOGUE);
    assert_sound(&LatentFormat::CATALOGUE);
}

#[test]
fn entries_build_from_numbers() {
    assert_builds(&Schedule::CATALOGUE);
    assert_builds(&Placement::CATALOGUE);
    assert_builds(&Scale::CATALOGUE);
    assert_builds(&Variance::CATALOGUE);
    assert_builds(&SolverKind::CATALOGUE);
    assert_builds(&Quantity::CATALOGUE);
    assert_builds(&Weight::CATALOGUE);
    assert_builds(&Penalty::CATALOGUE);
    assert_builds(&Density::CATALOGUE);
    assert_builds(&Guider::CATALOGUE);
    assert_builds(&Source::CATALOGUE);
}

#[test]
fn schedules_are_those_of_their_constructors() {
    let built = |name: &str, given: &[(&str, f64)]| Schedule::CATALOGUE.find(name).unwrap().build(given).unwrap();
    let exploding = Schedule::edm(1000, 0.002, 80.0, 7.0);
    let expected = [
        ("linear", Schedule::linear(1000, 1e-4, 0.02)),
        ("linear-scaled", Schedule::linear_scaled(1000, 1e-4, 0.02)),
        ("scaled-linear", Schedule::scaled_linear(1000, 0.00085, 0.012)),
        ("cosine", Schedule::cosine(1000)),
        ("sigmoid", Schedule::sigmoid(1000, 1e-4, 0.02)),
        ("sigmoid-abar", Schedule::sigmoid_abar(1000, -3.0, 3.0, 1.0)),
        ("laplace", Schedule::laplace(1000)),
        ("laplace-paper", Schedule::laplace_paper(1000)),
        ("exponential", Schedule::exponential(1000)),
        ("constant", Schedule::linear(1000, 0.01, 0.01)),
        ("variance-exploding", exploding),
        ("rectified-flow", Schedule::rectified_flow(1000)),
        ("trigflow", Schedule::trig_flow(1000, SigmaData::KARRAS)),
    ];
    assert_eq!(expected.len(), Schedule::CATALOGUE.entries.len());
    for (name, expected) in expected {
        let expected = expected.unwrap();
        assert_eq!(built(name, &[]), expected, "{name}");
        let rescales = Schedule::CATALOGUE.find(name).unwrap().parameter("zero_terminal_snr").is_some();
        assert_eq!(rescales, expected.betas().is_some(), "{name}");
        if rescales {
            assert_eq!(built(name, &[("zero_terminal_snr", 1.0)]), expected.zero_terminal_snr().unwrap(), "{name}");
        }
        assert_eq!(built(name, &[("train_timesteps", 50.0)]).len(), 50, "{name}");
    }
    let jabri = built("jabri", &[("sigmoid_start", -4.0), ("sigmoid_tau", 0.5), ("train_timesteps", 9.0)]);
    assert_eq!(jabri, Schedule::sigmoid_abar(9, -4.0, 3.0, 0.5).unwrap());
    let refused = |given| Schedule::CATALOGUE.find("jabri").unwrap().build(given).unwrap_err().to_string();
    assert_eq!(refused(&[("sigmoid_tau", 0.0)]), "sigmoid_tau must be finite and above 0, found 0");
    assert!(refused(&[("sigmoid_start", 5.0)]).contains("found 5 to 3"));
    assert_eq!(
        refused(&[("train_timesteps", 1.5)]),
        "train_timesteps must be a whole number between 1 and 16777216, found 1.5"
    );
}

#[test]
fn quantities_are_those_that_parse() {
    let built: Vec<Quantity> = Quantity::CATALOGUE.entries.iter().map(|entry| entry.build(&[]).unwrap()).collect();
    assert_eq!(built, Quantity::ALL);
    for (entry, quantity) in Quantity::CATALOGUE.entries.iter().zip(Quantity::ALL) {
        assert_eq!(entry.name, quantity.name());
        for name in entry.names() {
            assert_eq!(name.parse(), Ok(quantity), "{name}");
        }
    }
    let edm = Quantity::CATALOGUE.find("EDM").unwrap().build(&[("sigma_data", 1.0)]).unwrap();
    assert_eq!(edm, "edm:1".parse().unwrap());
}

#[test]
fn weights_and_penalties_are_those_of_their_papers() {
    for entry in Weight::CATALOGUE.entries {
        let weight = entry.build(&[]).unwrap();
        assert_eq!(entry.name, weight.name());
        Schedule::cosine(10).unwrap().loss_weights(&weight, Quantity::V).unwrap();
    }
    let weight = |name: &str| Weight::CATALOGUE.find(name).unwrap().build(&[]).unwrap();
    assert_eq!(weight("vmin_snr"), Weight::MinSnr { gamma: 5.0 });
    assert_eq!(weight("soft-min-snr"), Weight::SoftMinSnr { gamma: 4.0 });
    assert_eq!(weight("trunc_snr"), Weight::MaxSnr { gamma: 1.0 });
    assert_eq!(weight("p2"), Weight::P2 { k: 1.0, gamma: 1.0 });
    assert_eq!(weight("karras"), Weight::Edm(SigmaData::KARRAS));
    let penalty = |name: &str, given: &[(&str, f64)]| Penalty::CATALOGUE.find(name).unwrap().build(given);
    assert_eq!(penalty("l2", &[]), Ok(Penalty::MSE));
    assert_eq!(penalty("smooth_l1_loss", &[("delta", 0.0)]), Ok(Penalty::L1));
    assert_eq!(penalty("pseudo_huber", &[]), Ok(Penalty::pseudo_huber(0.001).unwrap()));
    assert_eq!(
        penalty("huber", &[("delta", 0.0)]).unwrap_err().to_string(),
        "delta must be finite and above 0, found 0"
    );
}

#[test]
fn placements_make_falling_lists() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap();
    for entry in Placement::CATALOGUE.entries {
        let sigmas = entry.build(&[]).unwrap().sigmas(&schedule, 7, [0.03, 14.0]).unwrap();
        assert!(sigmas.len() == 7 && sigmas.windows(2).all(|pair| pair[0] > pair[1]), "{}: {sigmas:?}", entry.name);
    }
}

/// Sets an option.
type Change = fn(&mut SamplerOptions);

/// Every option, set in addition to six steps or instead of them.
const OPTIONS: &[(&str, Change)] = &[
    ("times", |o| (o.times, o.steps) = (Some(vec![0.9, 0.5, 0.1]), None)),
    ("begin_index", |o| o.begin_index = Some(2)),
    ("end_index", |o| o.end_index = Some(4)),
    ("threshold", |o| o.clip = Some(Clip::Quantile { ratio: 0.995, least: 1.0, most: 10.0 })),
    ("sections", |o| (o.sections, o.steps) = (Some(Sections::Counts(vec![6])), None)),
    ("spacing", |o| o.placement = Some(Placement::Timesteps(Spacing::Trailing))),
    ("sigmas", |o| o.placement = Some(Placement::Exponential)),
    ("strength", |o| o.strength = Some(0.5)),
    ("offset", |o| o.offset = Some(1)),
    ("scale", |o| o.scale = Some(Scale::VariancePreserving)),
    ("sigma_min", |o| o.sigma_min = Some(0.1)),
    ("sigma_max", |o| o.sigma_max = Some(0.9)),
    ("rho", |o| o.rho = Some(2.0)),
    ("final", |o| o.ends_at_least_sigma = Some(true)),
    ("eta", |o| o.eta = Some(0.5)),
    ("rederive_epsilon", |o| o.rederive_epsilon = true),
    ("variance", |o| o.variance = Some(Variance::FixedLarge)),
    ("order", |o| o.order = Some(1)),
    ("solver_type", |o| o.solver_kind = Some(SolverKind::Dpm(DpmKind::Heun))),
    ("form", |o| o.form = Some(Form::Epsilon)),
    ("lower_order_final", |o| o.lower_order_final = Some(false)),
    ("euler_at_final", |o| o.euler_at_final = Some(true)),
    ("timestep_scaling", |o| o.timestep_scaling = Some(1.0)),
    ("stochastic", |o| o.stochastic = true),
    ("corrector", |o| o.corrector = Some(Corrector::Off)),
    ("corrector_order", |o| o.corrector_order = Some(1)),
    ("tau", |o| o.tau = Some(0.5)),
    ("s_noise", |o| o.noise_scale = Some(1.01)),
    ("jump_length", |o| o.jump_length = Some(2)),
    ("jump_n_sample", |o| o.jump_n_sample = Some(3)),
    ("original_steps", |o| o.original_steps = Some(25)),
    ("shift", |o| o.shift = Some(3.0)),
    ("mu", |o| o.mu = Some(0.5)),
    ("tokens", |o| o.tokens = Some(1024.0)),
    ("s_churn", |o| o.churn = Some(Churn::new(1.0))),
    ("s_noise", |o| o.noise_scale = Some(0.5)),
    ("n_grid", |o| o.pi_flow = Some(PiFlow { slices: 4, ..PiFlow::default() })),
    ("tsr_k", |o| o.score_rescaling = Some(ScoreRescaling { inverse_temperature: 2.0, ..ScoreRescaling::default() })),
    ("clip", |o| o.clip = Some(Clip::Range(1.0))),
];

/// Options that no sampler refuses.
const ALWAYS: [&str; 5] = ["clip", "threshold", "strength", "begin_index", "end_index"];

/// Options that change nothing here, and the samplers that accept them all the same.
const IDLE: [(&str, &[&str]); 4] = [
    // These samplers have this scale already.
    (
        "scale",
        &[
            "dpm++",
            "dpm++-3m",
            "dpm++-2m-sde",
            "dpm++-2s",
            "dpm++-inverse",
            "unipc",
            "sa-solver",
            "pndm",
            "f-pndm",
            "deis",
        ],
    ),
    // The last step leads to the clean sample, so it is of first order in any case.
    ("lower_order_final", &["dpm++", "dpm++-2m-sde", "dpm++-2s", "unipc", "sa-solver", "deis"]),
    ("euler_at_final", &["dpm++", "dpm++-3m", "dpm++-2m-sde", "dpm++-inverse"]),
    // Six steps are too few for a jump of ten.
    ("jump_n_sample", &["repaint"]),
];

#[test]
fn every_option_is_tried() {
    let tried: BTreeSet<&str> = OPTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(tried, SamplerOptions::names().collect());
}

#[test]
fn a_sampler_refuses_the_options_that_it_does_not_use() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap();
    for entry in Sampler::CATALOGUE.entries {
        let mut idle = BTreeSet::new();
        let model = entry.usual_model(schedule.clone(), None, None);
        let plain = entry.build(&model, &SamplerOptions::steps(6)).unwrap();
        for (name, set) in OPTIONS {
            let mut options = SamplerOptions::steps(6);
            set(&mut options);
            let used = ALWAYS.contains(name)
                || *name == "times" && model.process() == Process::Flow
                || entry.make.options().any(|option| option == *name);
            match entry.build(&model, &options) {
                Err(CatalogError::Unused { option, by }) if by == entry.title() => {
                    assert!(!used && option == *name, "{name}: {by}");
                }
                built => {
                    assert!(used, "{name}: {}", entry.title());
                    // An offset applies only to leading spacing.
                    if *name != "offset" && built.is_ok_and(|sampler| sampler == plain) {
                        idle.insert(*name);
                    }
                }
            }
        }
        let expected = IDLE.iter().filter(|(_, samplers)| samplers.contains(&entry.name)).map(|(name, _)| *name);
        assert_eq!(idle, expected.collect(), "{}", entry.title());
        let known = |option: &str| OPTIONS.iter().any(|(name, _)| *name == option);
        assert!(entry.make.options().all(known), "{}", entry.title());
        assert!(entry.parameters.iter().all(|p| entry.make.options().any(|option| option == p.name)));
        assert!(entry.parameters.iter().all(|p| SamplerOptions::default().set(p.name, p.min)), "{}", entry.title());
    }
}

#[test]
fn contradictions_are_named() {
    let schedule = Schedule::scaled_linear(1000, 0.00085, 0.012).unwrap();
    let refusal = |name: &str, change: Change| {
        let mut options = SamplerOptions::steps(10);
        change(&mut options);
        let predicts = if name == "ddim-edm" { Quantity::Edm(SigmaData::KARRAS) } else { Quantity::Epsilon };
        let model = Model::new(schedule.clone(), predicts);
        let entry = Sampler::CATALOGUE.find(name.trim_end_matches("-edm")).unwrap();
        let error = entry.build(&model, &options).unwrap_err();
        error.describe(|name| format!("--{}", name.replace('_', "-")))
    };
    let cases: [(&str, Change, &str); 9] = [
        ("ddim", |o| o.steps = None, "expected --steps or --timesteps"),
        ("ddim", |o| o.timesteps = Some(vec![9.0]), "--steps contradicts --timesteps, which says how many there are"),
        (
            "ddim",
            |o| o.sections = Some(Sections::Ddim(10)),
            "--sections contradicts --steps, which says how many there are",
        ),
        (
            "ddim",
            |o| (o.steps, o.timesteps) = (None, Some(vec![9.0, 8.5])),
            "--timesteps: expected whole numbers in 0..1000, found 8.5",
        ),
        ("ddim", |o| o.order = Some(2), "--order does not apply to the ddim sampler"),
        ("ddim-edm", |_| {}, "--prediction edm needs --scale ve"),
        ("euler", |o| o.sigma_max = Some(3.0), "--sigma-min, --sigma-max and --rho apply only together with --sigmas"),
        (
            "unipc",
            |o| o.solver_kind = Some(SolverKind::Dpm(DpmKind::Heun)),
            "--solver-type: expected bh1 or bh2, found heun",
        ),
        (
            "heun",
            |o| {
                (o.steps, o.timesteps) = (None, Some(vec![9.0, 8.5]));
                o.placement = Some(Placement::Karras { rho: 7.0 });
            },
            "--timesteps contradicts --sigmas, which places the levels",
        ),
    ];
    for (name, change, expected) in cases {
        assert_eq!(refusal(name, change), expected);
    }
}

/// A schedule that is in no catalogue.
const PRETENDED_SCHEDULES: &[Entry<Make<Schedule>>] = &[Entry::new(
    "schedule",
    "two-steps",
    &["TWO_BETAS"],
    "two betas: a schedule of a test",
    &[Parameter::new("second", 0.5, [0.0, 1.0], "the second beta")],
    |values| Ok(Schedule::from_betas(&[0.1, values.number("second")])?),
)];

/// A sampler that is in no catalogue.
const PRETENDED_SAMPLERS: &[Entry<SamplerRecipe>] = &[Entry::new(
    "sampler",
    "heun-vp",
    &[],
    "Heun on levels of a schedule: a sampler of a test",
    &[],
    SamplerRecipe::new(Scale::VariancePreserving, Placement::Timesteps(Spacing::Trailing), &[&["spacing"]], |_| {
        Ok(Box::new(Heun))
    }),
)];

#[test]
fn a_pretended_entry_needs_no_further_code() {
    let schedules = Catalogue { entries: PRETENDED_SCHEDULES };
    assert_sound(&schedules);
    assert_builds(&schedules);
    assert_eq!(schedules.accepted(), "two-steps (or TWO_BETAS)");
    let schedule = schedules.find("two betas").unwrap().build(&[("second", 0.25)]).unwrap();
    assert_eq!(schedule.betas(), Some(&[0.1, 0.25][..]));

    let samplers = Catalogue { entries: PRETENDED_SAMPLERS };
    assert_sound(&samplers);
    let entry = samplers.find("Heun_VP").unwrap();
    let model = |schedule| Model::new(schedule, Quantity::Epsilon);
    let sampler = entry.build(&model(Schedule::cosine(100).unwrap()), &SamplerOptions::steps(10)).unwrap();
    assert_eq!((sampler.calls().len(), sampler.calls()[0].timestep), (19, 99.0));
    let options = SamplerOptions { eta: Some(0.1), ..SamplerOptions::steps(10) };
    let refused = entry.build(&model(schedule), &options).unwrap_err();
    assert_eq!(refused.to_string(), "eta does not apply to the heun-vp sampler");
}

/// A source is built by its own name, from its parameters.
#[test]
fn noise_sources_know_their_names() {
    for entry in Source::CATALOGUE.entries {
        assert_eq!(entry.build(&[]).unwrap().name(), entry.name);
    }
    let card = Source::CATALOGUE.find("torch-cuda").unwrap().build(&[("multiprocessors", 40.0)]).unwrap();
    let expected = CudaDevice { multiprocessors: 40, ..CudaDevice::default() };
    assert_eq!(card, Source::TorchCuda(expected));
    let jax = Source::CATALOGUE.find("jax-original").unwrap().build(&[("x64", 1.0)]).unwrap();
    assert_eq!(jax, Source::Jax { layout: JaxLayout::Original, x64: true });
}

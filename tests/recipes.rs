//! Recipes: each has a run, whose levels are those of its class in diffusers or of a published formula.

use tweedie::math::catalog::{CatalogError, SamplerOptions};
use tweedie::math::{
    GridRule, Model, Quantity, Recipe, Sampler, Shift, SigmaData, Size, TimeList, Told, UsualGuidance,
};

/// A few roundings of a time.
const EXACT: f64 = 1e-14;

const SQUARE: Size = Size::picture(1024, 1024);
const VIDEO: Size = Size::video(832, 480, 81);

fn recipe(name: &str) -> Recipe {
    Recipe::named(name).unwrap_or_else(|error| panic!("{error}"))
}

fn times(name: &str, size: Size, steps: usize) -> Vec<f64> {
    let recipe = recipe(name);
    recipe.facts.grid.times(steps, Some(size), Some(recipe.tokens(size))).unwrap().unwrap()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    let close = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= EXACT);
    assert!(close, "{found:?}, expected {expected:?}");
}

#[test]
fn every_recipe_has_a_run() {
    assert!(Recipe::CATALOGUE.entries.len() >= 60);
    for entry in Recipe::CATALOGUE.entries {
        let (name, facts) = (entry.name, entry.make.facts);
        let steps = facts.steps.unwrap_or(6);
        let sampler = entry.make.sampler(Some(VIDEO), Some(steps)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let calls = sampler.calls().len();
        // PNDM takes its first step twice, Heun's steps have two calls, and the last point of a list may be clean.
        assert!(calls >= steps - 1 && calls <= 2 * steps, "{name}: {calls} calls of {steps} steps");
        assert!(sampler.calls().iter().all(|call| call.timestep.is_finite()), "{name}");
        assert!(Sampler::CATALOGUE.find(facts.sampler).is_ok(), "{name}");
        assert!(facts.note.is_empty() || !facts.note.ends_with('.'), "{name}");
        let known = ["sampler", "grid", "steps", "guidance", "latent", "prediction"];
        assert!(facts.uncertain.iter().all(|fact| known.contains(fact)), "{name}: {:?}", facts.uncertain);
        if let Some(latent) = facts.latent {
            let model = entry.make.model().unwrap();
            assert_eq!([model.latent_scale(), model.latent_shift()], [latent.scale, latent.shift], "{name}");
        }
        // The model catalogue has the same model, but for what its network is told.
        let model = Model::named(name).unwrap();
        let own = entry.make.model().unwrap();
        assert_eq!(own, facts.told.map_or(model.clone(), |told| model.told_as(told)), "{name}");
    }
}

#[test]
fn the_models_predict_what_they_were_trained_for() {
    let one = SigmaData::new(1.0).unwrap();
    for (name, prediction, told) in [
        ("sd15", Quantity::Epsilon, "timestep"),
        ("sd2-v", Quantity::V, "timestep"),
        ("sd3", Quantity::Flow, "1000*t"),
        ("flux-dev", Quantity::Flow, "t"),
        ("wan2.1", Quantity::Flow, "1000*t"),
        ("lumina2", Quantity::RisingFlow, "1 - t"),
        ("z-image", Quantity::RisingFlow, "1 - t"),
        ("hidream-i1", Quantity::RisingFlow, "1000*t"),
        ("mochi", Quantity::RisingFlow, "1000*(1 - t)"),
        ("karlo-prior", Quantity::X0, "timestep"),
        ("stable-audio", Quantity::TrigFlow(one), "atan(sigma)*2/pi"),
        ("svd", Quantity::TrigFlow(one), "ln(sigma)/4"),
        ("stable-cascade", Quantity::Epsilon, "time in 0..1"),
    ] {
        let model = recipe(name).model().unwrap();
        assert_eq!(model.prediction(), prediction, "{name}");
        assert_eq!(model.told_number().to_string(), told, "{name}");
    }
    assert!(recipe("flux.3-distilled").model().unwrap().is_flow_map());
    assert_eq!(recipe("kolors").model().unwrap().schedule().len(), 1100);
    let last = recipe("cogvideox-2b").model().unwrap().schedule().levels().last().unwrap().alpha();
    assert_eq!(last, 0.0, "no signal at the end");
    // The run starts at noise, where 1000 times the rising time is 0.
    let mochi = recipe("mochi").sampler(Some(VIDEO), Some(8)).unwrap();
    assert_eq!(mochi.timesteps().next(), Some(0.0));
    let hidream = recipe("hidream-i1").sampler(Some(SQUARE), Some(8)).unwrap();
    assert_eq!(hidream.timesteps().next(), Some(1000.0));
}

#[test]
fn tokens_are_patches_of_cells() {
    assert_eq!(recipe("flux").tokens(SQUARE), 4096.0);
    assert_eq!(recipe("flux2").tokens(SQUARE), 4096.0);
    assert_eq!(recipe("qwen-image").tokens(Size::picture(1328, 1328)), 83.0 * 83.0);
    assert_eq!(recipe("cogview4").tokens(SQUARE), 4096.0);
    assert_eq!(recipe("ltx-video").tokens(Size::video(704, 480, 161)), 22.0 * 15.0 * 21.0);
    assert_eq!(recipe("wan2.1").tokens(VIDEO), 52.0 * 30.0 * 21.0);
    assert_eq!(recipe("flux").tokens(Size::picture(0, 0)), 0.0);
    assert_eq!(recipe("ltx-video").tokens(Size::video(u32::MAX, u32::MAX, 0)), 134_217_727.0 * 134_217_727.0);
}

#[test]
fn the_times_are_those_of_the_published_formulas() {
    // The shift follows from the first of four even times that is not 1, which is 0.75.
    let second = |name: &str, size: Size| times(name, size, 4)[1];
    let shift = |time: f64| 0.25 * time / (0.75 * (1.0 - time)); // the k that shifts 0.75 to this time
    let line = |tokens: f64| 0.5 + 0.65 * (tokens - 256.0) / 3840.0;
    for edge in [512, 1024, 1536] {
        let size = Size::picture(edge, edge);
        let tokens = f64::from(edge / 16).powi(2);
        assert!((shift(second("flux", size)).ln() - line(tokens)).abs() < 1e-12, "{edge}");
        let mu = (8.73809524e-5 * tokens + 1.89833333, 1.6927e-4 * tokens + 0.45666666);
        let expected = if tokens > 4300.0 { mu.1 } else { mu.0 + (mu.1 - mu.0) * (4.0 - 10.0) / 190.0 };
        assert!((shift(second("flux2", size)).ln() - expected).abs() < 1e-12, "{edge}");
    }
    assert!((shift(second("lumina2", SQUARE)) - 6.0).abs() < 1e-12);
    let small = times("wan2.1", VIDEO, 4);
    let unshifted = |time: f64, k: f64| time / (k + (1.0 - k) * time);
    let expected = [1.0, 0.75025, 0.5005, 0.25075];
    assert_close(&small.iter().map(|&time| unshifted(time, 3.0)).collect::<Vec<_>>(), &expected);
    let large = times("wan2.1", Size::video(1280, 720, 81), 4);
    assert_close(&large.iter().map(|&time| unshifted(time, 5.0)).collect::<Vec<_>>(), &expected);
    // A stretched list ends at its terminal time.
    let ltx = times("ltx-video", Size::video(704, 480, 161), 30);
    assert!((ltx[29] - 0.1).abs() < EXACT && ltx[0] == 1.0);
    assert_eq!(times("ltx-distilled", VIDEO, 8)[5], 0.909375);
    // Mochi's `linear_quadratic_schedule` of four steps, by hand: 2 linear ones, then coefficients 0.2375, -0.9375 and 0.95.
    let quadratic = |i: f64| 0.2375 * i * i - 0.9375 * i + 0.95;
    assert_close(&times("mochi", VIDEO, 4), &[1.0, 0.9875, 1.0 - quadratic(2.0), 1.0 - quadratic(3.0)]);
    // CogView 4 at 1024x1024: 0.75*sqrt(16) + 0.25.
    let cogview = times("cogview4", SQUARE, 3);
    assert_close(&cogview.iter().map(|&time| unshifted(time, 3.25)).collect::<Vec<_>>(), &[1.0, 0.5, 0.001]);
    // Cosmos Predict 2: the levels of EDM.
    let cosmos = times("cosmos-predict2", VIDEO, 3);
    let ratios: Vec<f64> = cosmos.iter().map(|&time| time / (1.0 - time)).collect();
    assert!((ratios[0] - 80.0).abs() < 1e-9 && (ratios[2] - 0.002).abs() < 1e-12, "{ratios:?}");
    // Ideogram 4 at 512x512: the middle of a symmetric distribution is 0.5, and the start is cut.
    let ideogram = times("ideogram-4", Size::picture(512, 512), 4);
    assert!((ideogram[2] - 0.5).abs() < EXACT && (ideogram[0] - 1.0 / (1.0 + (-7.5_f64).exp())).abs() < EXACT);
    assert_eq!(times("minimax-h3", VIDEO, 3).len(), 2);
}

#[cfg(feature = "diffusers-config")]
#[test]
fn the_times_are_those_of_a_scheduler() {
    use tweedie::config::Scheduler;
    /// The sigma of a level that is computed in two ways: roundings of its time.
    const SIGMA: f64 = 1e-9;
    /// UniPC of diffusers subtracts 1e-6 from a first time of 1.
    const UNIPC_START: f64 = 1.1e-6;
    let class = "FlowMatchEulerDiscreteScheduler";
    let dynamic = |most: f64, high: f64, base: f64, low: f64, terminal: &str| {
        format!(
            r#"{{"_class_name": "{class}", "use_dynamic_shifting": true, "base_image_seq_len": {base}, "base_shift": {low},
            "max_image_seq_len": {most}, "max_shift": {high}, "shift_terminal": {terminal}}}"#
        )
    };
    let unipc = r#"{"_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": true,
        "flow_shift": 3.0}"#;
    let dpm = r#"{"_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": true,
        "flow_shift": 3.0}"#;
    let sd15 = r#"{"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "skip_prk_steps": true, "steps_offset": 1, "set_alpha_to_one": false}"#;
    let sd3 = format!(r#"{{"_class_name": "{class}", "shift": 3.0}}"#);
    let cogvideox = r#"{"_class_name": "CogVideoXDDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "prediction_type": "v_prediction", "rescale_betas_zero_snr": true,
        "snr_shift_scale": 3.0, "timestep_spacing": "trailing", "clip_sample": false}"#;
    for (name, file, size, lists) in [
        ("flux", dynamic(4096.0, 1.15, 256.0, 0.5, "null"), Size::picture(768, 512), true),
        ("qwen-image", dynamic(8192.0, 0.9, 256.0, 0.5, "0.02"), Size::picture(1328, 1328), true),
        ("ltx-video", dynamic(4096.0, 2.05, 1024.0, 0.95, "0.1"), Size::video(704, 480, 97), true),
        ("wan2.1", unipc.to_owned(), VIDEO, false),
        ("sana", dpm.to_owned(), SQUARE, false),
        ("sd15", sd15.to_owned(), SQUARE, false),
        ("sd3", sd3, SQUARE, false),
        ("cogvideox-2b", cogvideox.to_owned(), VIDEO, false),
    ] {
        let recipe = recipe(name);
        let scheduler = Scheduler::parse(&file).unwrap();
        let tokens = recipe.tokens(size);
        // Pipelines give these classes the list `1 - i/n`, which the class shifts.
        let sigmas: Vec<f64> = (0..7).map(|i| 1.0 - f64::from(i) / 7.0).collect();
        let run = match lists {
            true => SamplerOptions { sigma_list: Some(sigmas), tokens: Some(tokens), ..SamplerOptions::default() }
                .as_diffusers(),
            // These classes place the levels of a flow in their own way.
            false if ["wan2.1", "sana", "sd3"].contains(&name) => SamplerOptions::steps(7).as_diffusers(),
            false => SamplerOptions::steps(7),
        };
        let theirs = scheduler.sampler(&run).unwrap_or_else(|error| panic!("{name}: {error}"));
        let ours = recipe.sampler(Some(size), Some(7)).unwrap();
        assert_eq!(ours.calls().len(), theirs.calls().len(), "{name}");
        let sigmas =
            |sampler: &Sampler| -> Vec<f64> { sampler.calls().iter().map(|call| call.level.sigma()).collect() };
        for (a, b) in sigmas(&ours).iter().zip(sigmas(&theirs)) {
            let bound = if name == "wan2.1" && *a == 1.0 { UNIPC_START } else { SIGMA };
            assert!((a - b).abs() < bound, "{name}: {:?} and {:?}", sigmas(&ours), sigmas(&theirs));
        }
    }
}

#[test]
fn what_is_missing_or_impossible_is_refused() {
    let refusal = |name: &str, size, steps| recipe(name).sampler(size, steps).unwrap_err();
    assert_eq!(refusal("flux", None, None), CatalogError::NoSize);
    assert_eq!(refusal("wan2.1", None, None), CatalogError::NoSize);
    assert_eq!(refusal("flux2", None, None), CatalogError::NoSize);
    assert_eq!(refusal("adm", None, None), CatalogError::NoSteps);
    let listed = refusal("ltx-distilled", None, Some(5)).to_string();
    assert_eq!(listed, "steps: expected 8, the length of the model's list, found 5");
    let crossed = GridRule::Normal { deviation: 1.5, log_snr: [18.0, -15.0] }.times(4, Some(SQUARE), None).unwrap_err();
    assert_eq!(crossed.to_string(), "log_snr: expected bounds in order, found 18..-15");
    let mut patches = recipe("flux");
    patches.facts.patch = [0, usize::MAX];
    assert_eq!(patches.tokens(SQUARE), 0.0);
    for entry in Recipe::CATALOGUE.entries {
        for steps in [0, usize::MAX] {
            assert!(entry.make.sampler(Some(SQUARE), Some(steps)).is_err(), "{} of {steps}", entry.name);
        }
        for size in [Size::picture(0, 0), Size::video(u32::MAX, u32::MAX, u32::MAX)] {
            // Either result will do, as long as nothing panics.
            let _ = entry.make.sampler(Some(size), Some(3));
        }
    }
    assert!(Recipe::named("flux-9").unwrap_err().to_string().contains("flux (or flux-dev, flux.1-dev)"));
}

#[test]
fn a_recipe_is_told_in_words() {
    let words = |name: &str| recipe(name).facts.grid.to_string();
    assert_eq!(words("sd15"), "leading spacing, offset 1");
    assert_eq!(words("qwen-image"), "1 - i/n, ln(shift) from 0.5 at 256 tokens to 0.9 at 8192, stretched to 0.02");
    let fixed = GridRule::Times { list: TimeList::Ends, shift: Shift::Fixed(1.73), terminal: None };
    assert_eq!(fixed, recipe("auraflow").facts.grid);
    assert_eq!(UsualGuidance::Embedded(3.5).to_string(), "embedded 3.5");
    assert_eq!(recipe("flux").facts.told, Some(Told::Time(1.0)));
}

//! The runs of group C by the names and options of the catalogues.

use super::configs::{churn, count, name, number, sampler as constructed, truth};
use super::*;
use tweedie::math::Model;
use tweedie::math::Placement;
use tweedie::math::catalog::{CatalogError, SamplerOptions, SolverKind};
use tweedie::math::sampler::Compat;

fn found<T>(built: Result<T, CatalogError>) -> Option<T> {
    Some(built.unwrap())
}

fn placement(name: &str) -> Option<Placement> {
    found(Placement::CATALOGUE.find(name).unwrap().build(&[]))
}

fn quantity(value: &Value) -> Option<Quantity> {
    found(Quantity::CATALOGUE.find(name(value, "")).unwrap().build(&[]))
}

/// The sampler of a diffusers case by names of the catalogues, which know the vectors' names as synonyms.
fn of_diffusers_by_name(case: &Value) -> Sampler {
    let (options, step) = (&case["config"]["kwargs"], &case["config"]["step_kwargs"]);
    let given = |value: &Value| (!value.is_null()).then(|| value.clone());
    let named = |key: &str| options[key].as_str();
    let (entry, clips) = match name(&case["config"]["scheduler"], "") {
        "DDPMScheduler" => ("ddpm", true),
        "DDIMScheduler" => ("ddim", true),
        "DPMSolverMultistepScheduler" => (named("algorithm_type").unwrap_or("dpmsolver++"), false),
        "UniPCMultistepScheduler" => ("unipc", false),
        "EulerDiscreteScheduler" => ("euler", false),
        "EulerAncestralDiscreteScheduler" => ("euler_a", false),
        "HeunDiscreteScheduler" => ("heun", false),
        "FlowMatchEulerDiscreteScheduler" => ("flow_match_euler", false),
        other => panic!("{other}"),
    };
    let sigmas = truth(&options["use_karras_sigmas"], false).then_some("karras");
    let at_least = !truth(&options["set_alpha_to_one"], true) || named("final_sigmas_type") == Some("sigma_min");
    let denoiser = super::configs::denoiser(case, clips);
    let prediction = quantity(&case["config"]["prediction"]);
    let options = SamplerOptions {
        placement: sigmas.or(named("timestep_spacing")).and_then(placement),
        offset: given(&options["steps_offset"]).map(|value| count(&value, 0)),
        ends_at_least_sigma: at_least.then_some(true),
        clip: (denoiser.clip != Clip::None).then_some(denoiser.clip),
        eta: given(&step["eta"]).map(|value| number(&value, 0.0)),
        rederive_epsilon: truth(&step["use_clipped_model_output"], false),
        variance: named("variance_type").and_then(|name| found(Variance::CATALOGUE.find(name).unwrap().build(&[]))),
        order: given(&options["solver_order"]).map(|value| count(&value, 0)),
        solver_kind: named("solver_type").and_then(|name| found(SolverKind::CATALOGUE.find(name).unwrap().build(&[]))),
        shift: given(&options["shift"]).map(|value| number(&value, 1.0)),
        mu: given(&case["config"]["set_timesteps"]["mu"]).map(|value| number(&value, 0.0)),
        churn: given(&step["s_churn"]).map(|_| churn(step)),
        compat: Compat::Diffusers,
        ..SamplerOptions::steps(steps(case))
    };
    let entry = Sampler::CATALOGUE.find(entry).unwrap();
    entry.build(&entry.usual_model(schedule_by_name(case), prediction, None), &options).unwrap()
}

fn schedule_by_name(case: &Value) -> Schedule {
    let options = &case["config"]["kwargs"];
    let entry = Schedule::CATALOGUE.find(name(&options["beta_schedule"], "linear")).unwrap();
    let known = [("train_timesteps", "num_train_timesteps"), ("beta_start", "beta_start"), ("beta_end", "beta_end")];
    let given = known.into_iter().filter_map(|(ours, theirs)| Some((ours, options[theirs].as_f64()?)));
    let zero_snr = truth(&options["rescale_betas_zero_snr"], false).then_some(("zero_terminal_snr", 1.0));
    entry.build(&given.chain(zero_snr).collect::<Vec<_>>()).unwrap()
}

/// The case whose last level comes from a sigma in one and from the schedule in the other, which differ by a rounding.
const FROM_A_SIGMA: &str = "C_unipc3_bh1_scaled_v_sigma_min_N10";

#[test]
fn diffusers_by_name() {
    for case in of_diffusers() {
        let (file, found, expected) = (Vectors::load(id(&case)), of_diffusers_by_name(&case), constructed(&case));
        let run = replay(&case, &file, &found);
        assert!(worst(&case, &file, &run) <= tolerance(&case), "{}", id(&case));
        // diffusers tells DPM-Solver++ whole timesteps at Karras sigmas, which changes no coefficient.
        for (found, expected) in found.calls().iter().zip(expected.calls()) {
            assert!((found.timestep - expected.timestep).abs() <= 0.5, "{}", id(&case));
            let same = (found.row, found.level, found.input) == (expected.row, expected.level, expected.input);
            assert!(same || id(&case) == FROM_A_SIGMA, "{}: {found:?} {expected:?}", id(&case));
        }
        assert_eq!((found.start(), found.clip()), (expected.start(), expected.clip()), "{}", id(&case));
    }
}

#[test]
fn guided_diffusion_by_name() {
    for case in prefixed("C_gd_") {
        let config = &case["config"];
        let (entry, variance) = match name(&config["method"], "") {
            "p_sample" => ("ddpm", Some(name(&config["var_type"], ""))),
            "ddim" => ("ddim", None),
            "ddim_reverse" => ("ddim-reverse", None),
            other => panic!("{other}"),
        };
        let options = SamplerOptions {
            sections: Some(name(&config["section_counts"], "").parse().unwrap()),
            variance: variance.and_then(|name| found(Variance::CATALOGUE.find(name).unwrap().build(&[]))),
            clip: truth(&config["clip_denoised"], false).then_some(Clip::Range(1.0)),
            eta: (entry == "ddim").then(|| number(&config["eta"], 0.0)),
            rederive_epsilon: entry == "ddim",
            ..SamplerOptions::default()
        };
        let length = [("train_timesteps", number(&config["T"], 1000.0))];
        let schedule = Schedule::CATALOGUE.find(name(&config["schedule"], "")).unwrap().build(&length).unwrap();
        let named = Sampler::CATALOGUE.find(entry).unwrap();
        let sampler =
            named.build(&named.usual_model(schedule, quantity(&config["mean_type"]), None), &options).unwrap();
        let expected = of_guided_diffusion(&case);
        // Inversion does not clip x0, so both epsilons are the same, computed in a different order.
        if entry == "ddim-reverse" {
            let file = Vectors::load(id(&case));
            assert!(worst(&case, &file, &replay(&case, &file, &sampler)) <= tolerance(&case), "{}", id(&case));
        } else {
            assert_eq!(sampler, expected, "{}", id(&case));
        }
    }
}

#[test]
fn k_diffusion_by_name() {
    for case in prefixed("C_kd_").iter().filter(|case| case["config"]["sampler"].is_string()) {
        let (file, config) = (Vectors::load(id(case)), &case["config"]);
        let (sigmas, step) = (&config["sigmas"], &config["sampler_kwargs"]);
        let options = SamplerOptions {
            placement: placement(name(&sigmas["function"], "")),
            scale: Some(Scale::Denoiser),
            sigma_min: sigmas["sigma_min"].as_f64(),
            sigma_max: sigmas["sigma_max"].as_f64(),
            rho: sigmas["rho"].as_f64(),
            churn: (!step["s_churn"].is_null()).then(|| churn(step)),
            ..SamplerOptions::steps(count(&sigmas["n"], 0))
        };
        let entry = Sampler::CATALOGUE.find(name(&config["sampler"], "").trim_start_matches("sample_")).unwrap();
        let sampler =
            entry.build(&Model::new(Schedule::linear(1000, 1e-4, 0.02).unwrap(), Quantity::X0), &options).unwrap();
        let answers = parts(&file, case, "call_denoised");
        let run = run(&sampler, &inputs(&file, case, file.f64("x_init")), |k, _| answers[k].clone());
        let (calls, expected) = (sampler.calls(), parts(&file, case, "samples"));
        let starts = (0..calls.len()).filter(|&k| k == 0 || calls[k - 1].step != calls[k].step);
        for (k, expected) in starts.chain([calls.len()]).zip(&expected) {
            assert!(deviation(&run.samples[k], expected) <= tolerance(case), "{} call {k}", id(case));
        }
    }
}

//! Group C: whole loops of diffusers, guided-diffusion and k-diffusion, replayed in f64 from their networks' answers.

mod by_name;
mod configs;

use crate::support::loops::{Inputs, Run, deviation, run};
use crate::support::sigmas;
use crate::support::{Vectors, assert_relative, assert_within, cases, id, largest};
use configs::*;
use serde_json::Value;
use tweedie::math::sampler::{Ddpm, Denoiser, DpmSolver, FirstOrder, Grid, Heun, Sampler, Scale, Variance};
use tweedie::math::{NoiseLevel, Quantity, Schedule, Sections, Spacing};
use tweedie::table::{Clip, StepRow};

/// Equal parts of a tensor whose first axis is the call.
fn parts(file: &Vectors, case: &Value, name: &str) -> Vec<Vec<f64>> {
    if case["tensors"][name].is_null() {
        return Vec::new();
    }
    let tensor = file.f64(name);
    let calls = count(&case["tensors"][name]["shape"][0], 1);
    tensor.chunks(tensor.len() / calls).map(<[f64]>::to_vec).collect()
}

fn inputs(file: &Vectors, case: &Value, initial: Vec<f64>) -> Inputs {
    Inputs {
        batch: count(&case["config"]["shape"][0], 1),
        initial,
        noises: parts(file, case, "noises"),
        learned: parts(file, case, "var_values"),
        ..Inputs::default()
    }
}

fn replay(case: &Value, file: &Vectors, sampler: &Sampler) -> Run {
    let expected = parts(file, case, "samples");
    let answers = parts(file, case, "model_outputs");
    assert_eq!(sampler.calls().len(), answers.len(), "{}", id(case));
    run(sampler, &inputs(file, case, expected[0].clone()), |k, _| answers[k].clone())
}

fn tolerance(case: &Value) -> f64 {
    case["tolerance"]["float64_free_run"].as_f64().unwrap()
}

fn worst(case: &Value, file: &Vectors, run: &Run) -> f64 {
    let expected = parts(file, case, "samples");
    assert_eq!(run.samples.len(), expected.len(), "{}", id(case));
    largest(run.samples.iter().zip(&expected).map(|(found, expected)| deviation(found, expected)))
}

fn of_diffusers() -> Vec<Value> {
    let cases = cases("C").into_iter().filter(|case| case["config"]["scheduler"].is_string());
    let found: Vec<_> = cases.collect();
    assert_eq!(found.len(), 38);
    found
}

#[test]
fn diffusers() {
    let mut seen = 0;
    for case in of_diffusers() {
        let (file, sampler) = (Vectors::load(id(&case)), sampler(&case));
        let run = replay(&case, &file, &sampler);
        let found = worst(&case, &file, &run);
        println!("{}: {found:e} of {:e}", id(&case), tolerance(&case));
        assert!(found <= tolerance(&case), "{}: {found:e} above {:e}", id(&case), tolerance(&case));
        let clean = parts(&file, &case, "pred_original_samples");
        assert!(clean.is_empty() || run.x0.len() == clean.len(), "{}", id(&case));
        seen += usize::from(!clean.is_empty());
        for (found, expected) in run.x0.iter().zip(clean) {
            // x0 = x/alpha - ... is 1/alpha times as sensitive as the sample; alpha is least at the first level.
            let sensitivity = 1.0 / sampler.calls()[0].level.alpha().max(1e-5);
            assert_within(id(&case), deviation(found, &expected), 0.0, tolerance(&case) * sensitivity);
        }
    }
    assert_eq!(seen, 20);
}

/// The relative rounding of a timestep in diffusers' f32 lists: f32 holds 24 bits.
const F32_TIMESTEPS: f64 = 1.0 / (1 << 24) as f64;

#[test]
fn timesteps_of_diffusers() {
    for case in of_diffusers() {
        let file = Vectors::load(id(&case));
        let found: Vec<f64> = sampler(&case).timesteps().collect();
        let timesteps = file.numbers("timesteps");
        assert_eq!(found.len(), timesteps.len(), "{}", id(&case));
        for (found, expected) in found.iter().zip(timesteps) {
            assert_within(id(&case), *found, expected, F32_TIMESTEPS * expected.max(1.0));
        }
    }
}

#[test]
fn noise_is_drawn_where_diffusers_draws_it() {
    for case in of_diffusers().iter().filter(|case| !case["tensors"]["noise_used"].is_null()) {
        let (file, sampler) = (Vectors::load(id(case)), sampler(case));
        let noise_used = file.indices("noise_used");
        assert_eq!(sampler.calls().len(), noise_used.len(), "{}", id(case));
        for (call, used) in sampler.calls().iter().zip(noise_used) {
            // Noise that diffusers multiplies by 0 counts as drawn there.
            let silent = call.row.known[1] == 0.0;
            assert!(call.row.draws(false) == (used == 1) || silent, "{} at {}", id(case), call.timestep);
        }
    }
}

/// A row with a thousandth more on its largest coefficient.
fn broken(row: &StepRow) -> StepRow {
    let [mut x, mut p, mut clean, mut newest] = [row.x, row.p, row.clean, row.history[0]];
    let largest = [&mut x, &mut p, &mut clean, &mut newest].into_iter().max_by(|a, b| a.abs().total_cmp(&b.abs()));
    *largest.unwrap() *= 1.001;
    let [_, second, third, ..] = row.history;
    StepRow { x, p, clean, ..*row }.looking_back(&[newest, second, third])
}

#[test]
fn a_wrong_coefficient_fails() {
    for case in of_diffusers() {
        let (file, mut sampler) = (Vectors::load(id(&case)), sampler(&case));
        let middle = sampler.calls().len() / 2;
        sampler.calls_mut()[middle].row = broken(&sampler.calls()[middle].row);
        let found = worst(&case, &file, &replay(&case, &file, &sampler));
        assert!(found > tolerance(&case), "{}: {found:e}", id(&case));
    }
}

#[test]
fn a_wrong_option_fails() {
    for (id, solver) in [
        ("C_ddim_scaled_eps_eta05_leading_offset1_N50", FirstOrder::ddim(0.500_001)),
        ("C_ddim_linear_eps_eta1_clip_rederived_N10", FirstOrder::ddim(1.0)),
        ("C_ddim_linear_eps_eta0_clip_linspace_N4", FirstOrder::euler()),
    ] {
        let case = find(id);
        let (file, options) = (Vectors::load(id), &case["config"]["kwargs"]);
        let schedule = schedule(options);
        let timesteps = spacing(options, "leading").timesteps(1000, steps(&case)).unwrap();
        let end = if truth(&options["set_alpha_to_one"], true) { NoiseLevel::CLEAN } else { schedule.levels()[0] };
        let grid = Grid::with_stride(&schedule, &timesteps, 1000 / steps(&case), end).unwrap();
        let sampler = Sampler::new(&solver, &grid, &denoiser(&case, true)).unwrap();
        assert!(worst(&case, &file, &replay(&case, &file, &sampler)) > tolerance(&case), "{id}");
    }
}

fn find(wanted: &str) -> Value {
    cases("C").into_iter().find(|case| id(case) == wanted).unwrap()
}

fn prefixed(prefix: &str) -> Vec<Value> {
    let found: Vec<_> = cases("C").into_iter().filter(|case| id(case).starts_with(prefix)).collect();
    assert!(found.len() >= 6, "{prefix}: {}", found.len());
    found
}

#[test]
fn guided_diffusion() {
    for case in prefixed("C_gd_") {
        let (file, sampler) = (Vectors::load(id(&case)), of_guided_diffusion(&case));
        let run = replay(&case, &file, &sampler);
        let found = worst(&case, &file, &run);
        println!("{}: {found:e} of {:e}", id(&case), tolerance(&case));
        assert!(found <= tolerance(&case), "{}: {found:e}", id(&case));
        let told: Vec<f64> = sampler.timesteps().collect();
        assert_eq!(told, file.numbers("timesteps"));
    }
}

fn of_guided_diffusion(case: &Value) -> Sampler {
    let config = &case["config"];
    let train = count(&config["T"], 1000);
    let schedule = match name(&config["schedule"], "") {
        "linear" => Schedule::linear(train, 1e-4, 0.02),
        "linear_scaled_by_T" => Schedule::linear_scaled(train, 1e-4, 0.02),
        "cosine" => Schedule::cosine(train),
        other => panic!("{other}"),
    };
    let schedule = schedule.unwrap();
    let sections: Sections = name(&config["section_counts"], "").parse().unwrap();
    let mut timesteps = sections.timesteps(train).unwrap();
    let inverts = config["method"] == "ddim_reverse";
    let end = if inverts { NoiseLevel::new(0.0, 1.0).unwrap() } else { NoiseLevel::CLEAN };
    if inverts {
        timesteps.reverse();
    }
    let grid = Grid::respaced(&schedule, &timesteps, end).unwrap();
    let clip = if truth(&config["clip_denoised"], false) { Clip::Range(1.0) } else { Clip::None };
    let quantity = if config["mean_type"] == "START_X" { Quantity::X0 } else { Quantity::Epsilon };
    let denoiser = Denoiser::new(quantity).clipped(clip);
    if config["method"] != "p_sample" {
        let eta = number(&config["eta"], 0.0);
        return Sampler::new(&FirstOrder { eta, ..FirstOrder::euler() }, &grid, &denoiser).unwrap();
    }
    let variance = match name(&config["var_type"], "") {
        "FIXED_SMALL" => Variance::FixedSmall,
        "FIXED_LARGE" => Variance::FixedLarge,
        "LEARNED_RANGE" => Variance::LearnedRange,
        other => panic!("{other}"),
    };
    Sampler::new(&Ddpm::new(variance), &grid, &denoiser).unwrap()
}

fn listed(config: &Value) -> Vec<f64> {
    let (n, least, most) =
        (count(&config["n"], 0), number(&config["sigma_min"], 0.0), number(&config["sigma_max"], 0.0));
    let list = match name(&config["function"], "") {
        "karras" => sigmas::karras(n, least, most, number(&config["rho"], 7.0)),
        "exponential" => sigmas::exponential(n, least, most),
        "vp" => {
            let [d, min, eps] = ["beta_d", "beta_min", "eps_s"].map(|name| number(&config[name], f64::NAN));
            sigmas::variance_preserving(n, d, min, eps)
        }
        other => panic!("{other}"),
    };
    list.unwrap()
}

#[test]
fn k_diffusion() {
    for case in prefixed("C_kd_").iter().filter(|case| case["config"]["sampler"].is_string()) {
        let (file, config) = (Vectors::load(id(case)), &case["config"]);
        let list = listed(&config["sigmas"]);
        let grid = Grid::of_sigmas(Scale::Denoiser, &list, &list, 0.0).unwrap();
        let denoiser = Denoiser::new(Quantity::X0);
        let churned = grid.churned(&churn(&config["sampler_kwargs"]), |sigma| sigma).unwrap();
        let multistep = DpmSolver { lower_order_final: false, ..DpmSolver::new(2) };
        let sampler = match name(&config["sampler"], "") {
            "sample_euler" => Sampler::new(&FirstOrder::euler(), &churned, &denoiser),
            "sample_euler_ancestral" => Sampler::new(&FirstOrder::ancestral(1.0), &grid, &denoiser),
            "sample_heun" => Sampler::new(&Heun, &churned, &denoiser),
            "sample_dpmpp_2m" => Sampler::new(&multistep, &grid, &denoiser),
            other => panic!("{other}"),
        };
        let sampler = sampler.unwrap();
        let answers = parts(&file, case, "call_denoised");
        let run = run(&sampler, &inputs(&file, case, file.f64("x_init")), |k, _| answers[k].clone());
        let told: Vec<f64> = sampler.timesteps().collect();
        assert_relative(id(case), &told, &file.f64("call_sigmas"), SIGMAS);
        assert_relative(id(case), &list, &file.f64("sigmas")[..list.len()], SIGMAS);
        let expected = parts(&file, case, "samples");
        // k-diffusion reports the sample at the start of each step, churned, and the last one: not Heun's Euler sample.
        let calls = sampler.calls();
        let starts = (0..calls.len()).filter(|&k| k == 0 || calls[k - 1].step != calls[k].step);
        let starts: Vec<usize> = starts.chain([calls.len()]).collect();
        assert_eq!(starts.len(), expected.len());
        for (&k, expected) in starts.iter().zip(&expected) {
            let found = deviation(&run.samples[k], expected);
            assert!(found <= tolerance(case), "{} call {k}: {found:e} above {:e}", id(case), tolerance(case));
        }
    }
}

/// The manifest's bound, for powers of order rho.
const SIGMAS: f64 = 2e-12;

#[test]
fn sigmas_of_k_diffusion() {
    let case = find("C_kd_sigma_schedules_public");
    let file = Vectors::load(id(&case));
    for (i, config) in case["config"]["schedules"].as_array().unwrap().iter().enumerate() {
        let name = format!("sigmas_{i}_{}", name(&config["function"], ""));
        let expected = file.f64(&name);
        let (last, expected) = expected.split_last().unwrap();
        assert_eq!(*last, 0.0);
        assert_relative(&name, &listed(config), expected, SIGMAS);
        let other = sigmas::karras(expected.len(), 0.03, 14.0, 7.0).unwrap();
        assert!(deviation(&other, expected) > SIGMAS, "{name}");
    }
}

#[test]
fn lists_of_timesteps() {
    let case = find("C_timesteps");
    let file = Vectors::load(id(&case));
    for key in case["tensors"].as_object().unwrap().keys() {
        let expected: Vec<usize> = file.indices(key);
        let fields: Vec<&str> = key.split('_').collect();
        let field = |prefix: char| fields.iter().find_map(|f| f.strip_prefix(prefix)?.parse::<usize>().ok()).unwrap();
        let found = if fields[0] == "gd" {
            let mut list = fields[3].parse::<Sections>().unwrap().timesteps(field('T')).unwrap();
            list.reverse();
            list
        } else {
            let spacing = match fields[1] {
                "leading" => Spacing::Leading { offset: fields[4].strip_prefix("offset").unwrap().parse().unwrap() },
                "trailing" => Spacing::Trailing,
                _ => Spacing::Linspace,
            };
            let (train, n) = (field('T'), field('N'));
            match fields[0] {
                "dpmsolver" => spacing.timesteps_before_zero(train, n).unwrap(),
                _ => spacing.timesteps(train, n).unwrap(),
            }
        };
        assert_eq!(found, expected, "{key}");
    }
}

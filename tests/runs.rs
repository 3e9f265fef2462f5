//! Runs by name: every sampler on every scheduler of ComfyUI, the orders of solvers, and workflows.

use crate::support::loops::{self, Inputs, gaussian_output};
use tweedie::math::catalog::{SamplerOptions, SolverKind};
use tweedie::math::run::{
    HostLoop, Node, Run, RunCompat, RunError, RunGrid, RunGuidance, RunInputs, RunModel, RunSampler,
};
use tweedie::math::sampler::UniPcKind;
use tweedie::math::{Guider, Model, Sampler};

fn run(model: &str, sampler: &str, grid: RunGrid) -> Run {
    Run {
        model: Some(RunModel::named(model).unwrap()),
        sampler: Some(sampler.to_owned()),
        grid: Some(grid),
        ..Run::default()
    }
}

/// The schedulers of ComfyUI.
const SCHEDULERS: [&str; 9] = [
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
];

/// Data of this mean and deviation.
const DATA: [f64; 2] = [0.4, 0.6];

/// The raw output of the ideal network for such data.
fn output(model: &RunModel, sigma: f64, x: &[f64]) -> Vec<f64> {
    let [mean, deviation] = DATA;
    gaussian_output(model, sigma, x, [&[mean], &[deviation]])
}

#[test]
fn every_sampler_runs_on_every_grid() {
    let noises: Vec<f64> = (0..400).map(|i| f64::from(i % 7) / 3.0 - 1.0).collect();
    for model in ["sd15", "zsnrv", "flow3", "edm"] {
        for entry in RunSampler::CATALOGUE.entries {
            for scheduler in SCHEDULERS {
                let name = format!("{model} {} {scheduler}", entry.name);
                let run = Run { steps: Some(6), ..run(model, entry.name, RunGrid::Scheduler(Node::named(scheduler))) };
                let planned = run.plan().unwrap_or_else(|error| panic!("{name}: {error}"));
                let noise = [0.7, -1.1];
                let inputs = RunInputs { noise: Some(&noise), noises: &noises, ..RunInputs::default() };
                let record = planned.drive::<RunError>(&inputs, |ask| {
                    let output = output(planned.model(), ask.sigma, ask.x);
                    Ok([output.clone(), output, Vec::new(), Vec::new()])
                });
                let record = record.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(record.output.iter().all(|x| x.is_finite()), "{name}: {:?}", record.output);
                // With the karras scheduler samplers end near the data, but for two that stop early. With others some are unstable.
                let [mean, deviation] = DATA;
                let ends_early = ["dpm_fast", "dpm_adaptive"].contains(&entry.name);
                let near = record.output.iter().all(|x| (x - mean).abs() < 6.0 * deviation);
                assert!(near || ends_early || scheduler != "karras", "{name}: {:?}", record.output);
            }
        }
    }
}

/// With a network that knows the only sample there is, a run ends at that sample with the noise of the run's last sigma.
#[test]
fn the_last_sigma_is_that_of_the_noise_which_remains() {
    // In one step some samplers return the start, so that only noise has a certain size there.
    for (model, (steps, mean)) in
        ["sd15", "flow3"].into_iter().flat_map(|model| [(8, 0.4), (1, 0.0)].map(|it| (model, it)))
    {
        for entry in RunSampler::CATALOGUE.entries {
            let name = format!("{model} {} in {steps}", entry.name);
            let mut run =
                Run { steps: Some(steps), ..run(model, entry.name, RunGrid::Scheduler(Node::named("simple"))) };
            if entry.parameter("eta").is_some() {
                run.options.push(("eta".to_owned(), 0.0.into()));
            }
            let planned = run.plan().unwrap_or_else(|error| panic!("{name}: {error}"));
            let model = planned.model();
            let exact = |sigma: f64| model.alpha(sigma) * mean + sigma;
            let start = [exact(planned.sigmas()[0])];
            let inputs = RunInputs { initial: Some(&start), noises: &[0.0; 400], ..RunInputs::default() };
            let record = planned.drive::<RunError>(&inputs, |ask| {
                let output = gaussian_output(model, ask.sigma, ask.x, [&[mean], &[0.0]]);
                Ok([output.clone(), output, Vec::new(), Vec::new()])
            });
            let found = record.unwrap_or_else(|error| panic!("{name}: {error}")).output[0];
            let expected = planned.end() * exact(planned.last_sigma());
            assert!((found - expected).abs() < REMAINS, "{name}: {found}, expected {expected}");
            let leaves_noise = ["dpm_fast", "dpm_adaptive", "uni_pc", "uni_pc_bh2"].contains(&entry.name);
            assert_eq!(planned.last_sigma() > 0.0, leaves_noise, "{name}");
        }
    }
}

/// Rounding in f64; `dpm_adaptive` stops within 1e-5 of the end.
const REMAINS: f64 = 1e-5;

/// The error at the end of a run of `n` steps that are equal in half the log SNR, without noise.
fn error(model: &RunModel, sampler: &str, n: usize) -> f64 {
    let ends = if model.is_flow() { [0.9, 0.1] } else { [5.0, 0.2] };
    let half_log_snr = |sigma: f64| (model.alpha(sigma) / sigma).ln();
    let sigma = |at: f64| if model.is_flow() { 1.0 / (1.0 + at.exp()) } else { (-at).exp() };
    let [first, last] = ends.map(half_log_snr);
    let grid = (0..=n).map(|i| sigma(first + (last - first) * i as f64 / n as f64)).collect();
    let mut run = run("sd15", sampler, RunGrid::Sigmas(grid));
    run.model = Some(model.clone());
    if RunSampler::CATALOGUE.find(sampler).unwrap().parameter("eta").is_some() {
        run.options.push(("eta".to_owned(), 0.0.into()));
    }
    let [mean, deviation] = DATA;
    let exact = |sigma: f64| model.alpha(sigma) * mean + (model.alpha(sigma) * deviation).hypot(sigma) * 1.3;
    let (start, planned) = ([exact(ends[0])], run.plan().unwrap());
    let inputs = RunInputs { initial: Some(&start), noises: &[0.0; 400], ..RunInputs::default() };
    let record = planned.drive::<RunError>(&inputs, |ask| {
        let output = output(model, ask.sigma, ask.x);
        Ok([output.clone(), output, Vec::new(), Vec::new()])
    });
    (record.unwrap().samples.last().unwrap()[0] - exact(ends[1])).abs()
}

/// The orders of solvers on the exact ODE, from 40 steps to 80. Those of three stages or more slopes differ by how far the
/// highest terms have taken over.
const ORDERS: [(&str, f64); 17] = [
    ("euler", 1.0),
    ("euler_cfg_pp", 1.0),
    ("gradient_estimation", 1.0),
    ("heun", 2.0),
    ("dpm_2", 2.0),
    ("dpmpp_2s_ancestral", 2.0),
    ("dpmpp_sde", 2.0),
    ("dpmpp_2m", 2.0),
    ("dpmpp_2m_sde_heun", 2.0),
    ("exp_heun_2_x0", 2.0),
    ("ipndm", 2.0),
    ("res_multistep", 2.0),
    ("res_2m", 2.0),
    ("res_2s", 2.0),
    ("seeds_2", 2.0),
    ("seeds_3", 3.0),
    ("res_3s", 3.0),
];

/// The largest difference of a measured order from that of the method.
const ORDER: f64 = 0.2;

/// Guidance that does not fit is refused, and the call can be answered again.
#[test]
fn a_refused_answer_leaves_the_call_open() {
    let guider = Box::new(Guider::CATALOGUE.find("cfg-norm").unwrap().build(&[("norm_axis", 3.0)]).unwrap());
    let grid = RunGrid::Scheduler(Node::named("karras"));
    let guidance = Some(RunGuidance::Kind { node: Node::named("cfg-norm"), guider });
    let planned = Run { steps: Some(3), guidance, ..run("sd15", "euler", grid) }.plan().unwrap();
    let noise = [0.5; 8];
    let inputs = RunInputs { shape: &[1, 2, 4], noise: Some(&noise), ..RunInputs::default() };
    let mut host = HostLoop::new(&planned, inputs).unwrap();
    for _ in 0..2 {
        assert!(matches!(host.give(&[&noise[..], &noise]), Err(RunError::Guidance(_))));
        assert_eq!(host.call().map(|call| call.call), Some(0));
    }
}

#[test]
fn solvers_have_their_orders() {
    for model in ["sd15", "flow3"].map(|name| RunModel::named(name).unwrap()) {
        for (sampler, order) in ORDERS {
            let found = (error(&model, sampler, 40) / error(&model, sampler, 80)).log2();
            assert!((found - order).abs() < ORDER, "{sampler}: order {found:.2}, expected {order}");
        }
    }
}

#[test]
fn res_of_three_calls_is_nearer_than_of_two() {
    for model in ["sd15", "flow3"].map(|name| RunModel::named(name).unwrap()) {
        assert!(error(&model, "res_3m", 40) < 0.2 * error(&model, "res_2m", 40));
    }
}

#[test]
fn an_option_that_cannot_act_is_refused() {
    let mut run = Run { steps: Some(4), ..run("sd15", "euler", RunGrid::Scheduler(Node::named("normal"))) };
    run.options.push(("eta".to_owned(), 0.5.into()));
    assert_eq!(run.plan().unwrap_err().to_string(), "eta does not apply to the euler sampler");
    run.options = vec![("s_churn".to_owned(), "much".into())];
    assert!(run.plan().unwrap_err().to_string().contains("s_churn: expected a number"));
    run.sampler = Some("eulr".to_owned());
    assert!(run.plan().unwrap_err().to_string().contains("eulr"));
}

/// A few roundings of numbers near 1.
const ROUNDINGS: f64 = 1e-13;

#[test]
fn a_rescaled_mixture_has_the_deviation_of_v() {
    let (sigma, scale, share) = (2.0f64, 3.0, 0.7);
    let guider = Guider { rescale: share, ..Guider::linear(scale) };
    let mut run = run("sd15", "euler", RunGrid::Sigmas(vec![sigma, 0.0]));
    run.guidance = Some(RunGuidance::Kind { node: Node::named("RescaleCFG"), guider: Box::new(guider) });
    let x = [0.3, -1.2, 2.0, 0.9];
    let [conditional, unconditional] = [[0.5, -0.4, 1.1, 0.2], [0.1, -0.9, 0.8, 0.6]];
    let inputs = RunInputs { initial: Some(&x), ..RunInputs::default() };
    let planned = run.plan().unwrap();
    let found = planned
        .drive::<RunError>(&inputs, |_| Ok([conditional.to_vec(), unconditional.to_vec(), Vec::new(), Vec::new()]));
    // The outputs are noises: x0 = x - sigma*e, and v = (x/(sigma^2 + 1) - x0)*sqrt(sigma^2 + 1)/sigma.
    let root = sigma.hypot(1.0);
    let v = |e: [f64; 4]| -> Vec<f64> {
        x.iter().zip(e).map(|(x, e)| (x / (root * root) - (x - sigma * e)) * root / sigma).collect()
    };
    let deviation = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / 4.0;
        (v.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0).sqrt()
    };
    let (c, u) = (v(conditional), v(unconditional));
    let mixed: Vec<f64> = c.iter().zip(&u).map(|(c, u)| u + scale * (c - u)).collect();
    let factor = share * deviation(&c) / deviation(&mixed) + 1.0 - share;
    for ((found, x), mixed) in found.unwrap().output.iter().zip(x).zip(mixed) {
        let expected = x / (root * root) - factor * mixed * sigma / root;
        assert!((found - expected).abs() < ROUNDINGS, "{found} {expected}");
    }
}

#[cfg(feature = "run-files")]
mod workflows {
    use super::*;
    use tweedie::run_file::WorkflowError;

    const KSAMPLER: &str = include_str!("vectors/workflow_ksampler_sd15.json");
    const CUSTOM: &str = include_str!("vectors/workflow_custom_advanced_flux.json");
    const TWO_STAGES: &[u8] = include_bytes!("vectors/workflow_two_stage_sdxl.png");

    /// The end of the chunk with the text: nothing after it is read.
    const TEXT_END: usize = 1125;

    #[test]
    fn a_sampler_by_name() {
        let model = RunModel::named("sd15").unwrap();
        let run = Run::from_comfyui(KSAMPLER, Some(("sd15", &model)), None).unwrap();
        let expected = r#"{"model": "sd15", "sampler": "dpmpp_2m_sde", "scheduler": "karras", "steps": 7, "denoise": 1,
            "guidance": 7, "seed": 42}"#;
        assert_eq!(run, Run::from_json(expected).unwrap());
        let error = Run::from_comfyui(KSAMPLER, None, None).unwrap_err();
        let checkpoint = "sd15.safetensors".to_owned();
        assert_eq!(error, WorkflowError::Checkpoint { checkpoint });
    }

    #[test]
    fn a_sampler_of_nodes() {
        let run = Run::from_comfyui(CUSTOM, None, None).unwrap();
        // 1024 pixels a side are 4096 tokens, where the line of shifts ends.
        let shifted = r#"{"model": {"base": "ModelSamplingFlux", "parameterisation": "CONST", "settings": {"shift": 1.15}},
            "sampler": "res_multistep", "scheduler": {"node": "BasicScheduler", "inputs": {"scheduler": "beta", "steps": 6,
            "denoise": 0.6}}, "guidance": 1, "seed": 4294967301}"#;
        let expected = Run::from_json(shifted).unwrap();
        assert_eq!((run.sigmas(), run.seed, &run.sampler), (expected.sigmas(), expected.seed, &expected.sampler));
    }

    #[test]
    fn a_picture_with_two_stages() {
        let model = RunModel::named("sdxl").unwrap();
        let named = Some(("sdxl", &model));
        let error = Run::from_comfyui_png(TWO_STAGES, named, None).unwrap_err();
        assert_eq!(error.to_string(), "the workflow has several sampler nodes: name one of 10, 3");
        let [first, second] = ["3", "10"].map(|id| Run::from_comfyui_png(TWO_STAGES, named, Some(id)).unwrap());
        let [a, b] = [&first, &second].map(|run| run.sigmas().unwrap());
        assert_eq!((a.len(), b.len(), a.last(), b.last()), (13, 9, b.first(), Some(&0.0)));
        assert_eq!((first.add_noise, second.add_noise, first.seed), (true, false, Some(0)));
        for length in (0..TWO_STAGES.len()).step_by(7) {
            assert!(Run::from_comfyui_png(&TWO_STAGES[..length], named, Some("3")).is_err() || length > TEXT_END);
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let model = RunModel::named("sd15").unwrap();
        let named = Some(("sd15", &model));
        let with =
            |from: &str, to: &str| Run::from_comfyui(&KSAMPLER.replace(from, to), named, None).unwrap_err().to_string();
        assert!(with("CheckpointLoaderSimple", "Mystery").ends_with("found Mystery, which is not supported there"));
        assert!(with("\"KSampler\"", "\"SaveImage\"").contains("has no KSampler"));
        assert!(with("7.0", "\"strong\"").contains("input cfg of node 3"));
        assert!(Run::from_comfyui("[]", named, None).is_err() && Run::from_comfyui("{}", named, None).is_err());
        assert!(Run::from_comfyui(KSAMPLER, named, Some("4")).unwrap_err().to_string().contains("not a sampler node"));
    }
}

/// Options of a run by name.
type Options = &'static [(&'static str, f64)];

/// The name of a run's sampler, the sampler of the catalogue whose formulas its published form has, and options of the run.
const PUBLISHED: [(&str, &str, Options); 8] = [
    ("dpmpp_2m", "dpm++-2m", &[]),
    ("dpmpp_sde", "dpm++-sde", &[]),
    // With an eta of 1 DDIM is the posterior (Song et al. 2021, equation 16).
    ("ddpm", "ddim", &[]),
    ("lcm", "lcm", &[]),
    ("deis", "deis", &[("max_order", 2.0)]),
    ("ipndm_v", "lms", &[]),
    ("uni_pc", "unipc", &[]),
    ("uni_pc_bh2", "unipc", &[]),
];

/// Rounding of a loop of 17 steps; the two forms group their sums differently.
const SAME_METHOD: f64 = 1e-11;

#[test]
fn a_published_name_is_the_method_of_the_catalogue() {
    let model = Model::flow(1000).unwrap();
    let sigmas: Vec<f64> = (0..17).map(|i| 0.95 - 0.055 * f64::from(i)).chain([0.0]).collect();
    let noises: Vec<Vec<f64>> =
        (0..40).map(|k| (0..2).map(|i| f64::from((7 * k + 5 * i) % 11) / 4.0 - 1.2).collect()).collect();
    let noise = [0.7, -1.1];
    for (name, method, options) in PUBLISHED {
        let loops = |compat: RunCompat| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            let run = Run { options, compat, ..run("flow1", name, RunGrid::Sigmas(sigmas.clone())) };
            let planned = run.plan().unwrap();
            let inputs = RunInputs { initial: Some(&noise), noises: &noises.concat(), ..RunInputs::default() };
            let record = planned.drive::<RunError>(&inputs, |ask| {
                let output = output(planned.model(), ask.sigma, ask.x);
                Ok([output, Vec::new(), Vec::new(), Vec::new()])
            });
            // The step to the clean sample is Euler's in every multistep method of a run, so it is left out where that differs.
            let record = record.unwrap();
            let last = if name == "ipndm_v" { record.call_x.last().unwrap() } else { &record.output };
            last.clone()
        };
        let entry = Sampler::CATALOGUE.find(method).unwrap();
        let kind = match name {
            "uni_pc" => Some(UniPcKind::Bh1),
            "uni_pc_bh2" => Some(UniPcKind::Bh2),
            _ => None,
        };
        let options = SamplerOptions {
            times: Some(sigmas[..17].to_vec()),
            solver_kind: kind.map(SolverKind::UniPc),
            order: kind.map(|_| 3),
            eta: (name == "ddpm").then_some(1.0),
            ..SamplerOptions::default()
        };
        let sampler = entry.build(&model, &options).unwrap_or_else(|error| panic!("{method}: {error}"));
        let inputs = Inputs { batch: 1, initial: noise.to_vec(), noises: noises.clone(), ..Inputs::default() };
        let of_run = RunModel::named("flow1").unwrap();
        let found = loops::run(&sampler, &inputs, |k, x| output(&of_run, sampler.calls()[k].level.sigma(), x));
        let [published, comfyui] = [RunCompat::Published, RunCompat::ComfyUi].map(loops);
        let last = if name == "ipndm_v" { &found.samples[sampler.calls().len() - 1] } else { found.last() };
        let far = |other: &[f64]| loops::deviation(other, last);
        assert!(far(&published) < SAME_METHOD, "{name}: {published:?} is not {last:?}");
        assert!(far(&comfyui) > 1e3 * SAME_METHOD, "{name}: ComfyUI's numbers are the same");
    }
    // A published grid.
    let beta = |compat| {
        Run { steps: Some(8), compat, ..run("sd15", "euler", RunGrid::Scheduler(Node::named("beta"))) }
            .sigmas()
            .unwrap()
    };
    assert_ne!(beta(RunCompat::Published), beta(RunCompat::ComfyUi));
}

//! The words in which a sampler describes the list of its levels.

use serde_json::{Value, json};
use tweedie::config::Scheduler;
use tweedie::math::catalog::SamplerOptions as Run;
use tweedie::math::sampler::{FirstOrder, Grid, Scale};
use tweedie::math::{Model, Placement, Sampler, Sections, Spacing};

fn by_file(file: &Value, run: &Run) -> String {
    Scheduler::parse(&file.to_string()).unwrap().sampler(run).unwrap().grid().to_owned()
}

fn by_name(sampler: &str, model: &Model, run: &Run) -> String {
    Sampler::CATALOGUE.find(sampler).unwrap().build(model, run).unwrap().grid().to_owned()
}

#[test]
fn flows() {
    let sd3 = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0 });
    let four = Run::steps(4);
    assert_eq!(by_file(&sd3, &four), "1 - i/n, shift 3");
    assert_eq!(by_file(&sd3, &four.clone().as_diffusers()), "from 1 to 1/T, both shifted first, shift 3");
    let ends = Run { placement: Some(Placement::FlowEnds { shift: 3.0 }), ..four.clone() };
    assert_eq!(by_file(&sd3, &ends), "from 1 to 1/T, both shifted first, shift 3");
    assert_eq!(by_file(&sd3, &Run::timesteps(vec![900.0, 100.0])), "listed timesteps");
    assert_eq!(by_file(&sd3, &Run::timesteps(vec![900.0, 100.0]).as_diffusers()), "listed timesteps, shift 3");
    assert_eq!(by_file(&sd3, &Run { sigma_list: Some(vec![0.9, 0.1]), ..Run::default() }), "listed sigmas");
    let part = Run { strength: Some(0.5), begin_index: Some(0), end_index: Some(1), ..four.clone() };
    assert_eq!(by_file(&sd3, &part), "1 - i/n, shift 3, strength 0.5, from step 0, up to step 1");
    let qwen = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": true,
        "shift_terminal": 0.02 });
    let mu = Run { mu: Some(0.9), ..four.clone() };
    assert_eq!(by_file(&qwen, &mu), "1 - i/n, shift 2.4596 (mu 0.9), stretched to 0.02");
    let tokens = Run { tokens: Some(4096.0), ..four.clone() };
    assert_eq!(by_name("euler", &Model::named("flux").unwrap(), &tokens), "1 - i/n, shift 3.15819 (4096 tokens)");
    let chroma = json!({ "_class_name": "FlowMatchEulerDiscreteScheduler", "use_beta_sigmas": true });
    assert_eq!(by_file(&chroma, &four), "beta sigmas, from 1 to 0.25");
    let wan = json!({ "_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": true, "flow_shift": 3.0,
        "prediction_type": "flow_prediction" });
    assert_eq!(by_file(&wan, &four), "from 1 to 1/T without the last of n + 1, shift 3");
    assert_eq!(
        by_file(&json!({ "_class_name": "SCMScheduler", "prediction_type": "trigflow" }), &Run::steps(2)),
        "angles of TrigFlow"
    );
    assert_eq!(by_name("flow-euler", &Model::flow(1000).unwrap(), &four), "1 - i/n");
}

#[test]
fn schedules() {
    let sd15 = Model::named("sd15").unwrap();
    let four = Run::steps(4);
    assert_eq!(by_name("ddim", &sd15, &four), "leading spacing");
    assert_eq!(by_name("ddim", &sd15, &Run { offset: Some(1), ..four.clone() }), "leading spacing, offset 1");
    let trailing = Run { placement: Some(Placement::Timesteps(Spacing::Trailing)), ..four.clone() };
    assert_eq!(by_name("ddim", &sd15, &trailing), "trailing spacing");
    let sections = Run { sections: Some(Sections::Ddim(25)), ..Run::default() };
    assert_eq!(by_name("ddpm", &sd15, &sections), "sections ddim25");
    assert_eq!(by_name("lcm", &sd15, &four), "those of a model distilled from 50 steps");
    let karras = Run { placement: Some(Placement::Karras { rho: 7.0 }), sigma_max: Some(120.0), ..four.clone() };
    assert_eq!(by_name("dpm++", &sd15, &karras), "karras sigmas, rho 7, from 120 to 0.0291672");
    let beta = Run { placement: Some(Placement::Beta { a: 0.6, b: 0.6 }), ..four.clone() };
    assert_eq!(by_name("euler", &sd15, &beta), "beta quantiles of timesteps, from 14.6146 to 0.0291672");
    assert_eq!(by_name("euler", &sd15, &beta.as_diffusers()), "beta sigmas, from 14.6146 to 0.0291672");
    assert_eq!(by_name("heun", &Model::named("edm").unwrap(), &four), "karras sigmas, rho 7, from 80 to 0.002");
    let grid = Grid::of_sigmas(Scale::VarianceExploding, &[2.0, 1.0], &[10.0, 5.0], 0.0).unwrap();
    let own = Sampler::new(&FirstOrder::ddim(0.0), &grid, &sd15.denoiser()).unwrap();
    assert_eq!(own.grid(), "");
}

/// Every sampler that a process has for a number of steps describes its levels, in fewer than 100 bytes.
#[test]
fn every_sampler_has_words() {
    for model in Model::PROCESSES.entries.iter().map(|entry| entry.build(&[]).unwrap()) {
        for entry in Sampler::CATALOGUE.entries {
            if let Ok(sampler) = entry.build(&model, &Run::steps(6)) {
                assert!(!sampler.grid().is_empty() && sampler.grid().len() < 100, "{}: {}", entry.name, sampler.grid());
            }
        }
    }
}

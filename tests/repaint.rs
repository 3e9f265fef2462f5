//! RePaint: its walk, and a recorded run of diffusers with all its jumps.

use crate::support::Vectors;
use crate::support::loops::deviation;
use crate::vectors_p::{arguments, cases, parts, scheduler, tensor};
use serde_json::Value;
use tweedie::gpu::Step;
use tweedie::gpu::step::{Sample, StepOptions};
use tweedie::math::catalog::SamplerOptions;
use tweedie::math::sampler::Compat;
use tweedie::math::{Model, Sampler};

fn case() -> Value {
    cases().into_iter().find(|case| case["id"] == "P_repaint_eta0_N6").unwrap()
}

fn recorded(compat: bool) -> Sampler {
    let case = case();
    let theirs = arguments(&case);
    let options = if compat { theirs } else { SamplerOptions { compat: Compat::Published, ..theirs } };
    scheduler(&case).unwrap().sampler(&options).unwrap()
}

/// diffusers draws one noise for a step and one for each timestep of a jump. A row has their sum at unit variance: one for the
/// unknown region, and one for the known region, which goes through the jump too.
#[test]
fn a_recorded_run_with_jumps() {
    let (file, case, sampler) = (Vectors::load("P"), case(), recorded(true));
    let schedule = scheduler(&case).unwrap().model().schedule().clone();
    let (betas, levels) = (schedule.betas().unwrap(), schedule.levels());
    let list = |name: &str| parts(&file, &case, name);
    let [samples, outputs, noises] = ["samples", "model_outputs", "noises"].map(list);
    let [mask, original, kind, told, offsets] =
        ["mask", "original", "kind", "call_timesteps", "noise_offset"].map(|name| tensor(&file, &case, name));
    let stride = schedule.len() / 6;
    let bound = case["tolerance"].as_f64().unwrap();
    let steps: Vec<usize> = (0..kind.len()).filter(|&entry| kind[entry] == 0.0).collect();
    assert_eq!(sampler.calls().len(), steps.len());
    for (index, (call, &entry)) in sampler.calls().iter().zip(&steps).enumerate() {
        let end = steps.get(index + 1).copied().unwrap_or(kind.len());
        assert_eq!(call.timestep, told[entry]);
        let first = &noises[offsets[entry] as usize];
        let sigma = (told[entry] as usize).checked_sub(stride).map_or(0.0, |t| levels[t].sigma());
        let mut unknown = vec![0.0; first.len()];
        let mut known: Vec<f64> = first.iter().map(|z| sigma * z).collect();
        for jump in entry + 1..end {
            for i in 0..stride {
                let (beta, z) = (betas[told[jump] as usize + i], &noises[offsets[jump] as usize + i]);
                for part in [&mut unknown, &mut known] {
                    part.iter_mut().zip(z).for_each(|(x, z)| *x = (1.0 - beta).sqrt() * *x + beta.sqrt() * z);
                }
            }
        }
        let scaled = |value: f64, scale: f64| if scale == 0.0 { 0.0 } else { value / scale };
        let z = |i: usize| match mask[i] == 1.0 {
            true => scaled(known[i], call.row.known[1]),
            false => scaled(unknown[i], call.row.z),
        };
        let noise: Vec<f64> = (0..mask.len()).map(z).collect();
        let parts = sampler.noise_parts(index);
        assert_eq!(parts.len(), if end == entry + 1 { 0 } else { 1 + stride * (end - entry - 1) });
        for (place, whole) in [unknown[0] / call.row.z, known[0] / call.row.known[1]].into_iter().enumerate() {
            let drawn = noises[offsets[entry] as usize..].iter().zip(parts);
            let sum: f64 = drawn.map(|(z, part)| part[place] * z[0]).sum();
            assert!(parts.is_empty() || (sum - whole).abs() < ROUNDINGS, "call {index}: {sum} {whole}");
        }
        let sample = Sample {
            x: &samples[entry],
            predictions: [&outputs[entry], &[]],
            noise: &noise,
            known: Some([&mask, &original]),
            ..Sample::default()
        };
        let rules = StepOptions { clip: sampler.clip(), ..StepOptions::default() };
        let next = Step::reference(&call.row, &rules, &sample).next;
        let found: Vec<f64> = next.iter().map(|exact| exact.value).collect();
        assert!(deviation(&found, &samples[end]) <= bound, "call {index}: {:e}", deviation(&found, &samples[end]));
    }
}

/// The schedule of the authors' code visits `5 4 3 | 4 3 2 1 | 2 1 0`; that of diffusers jumps one step later.
#[test]
fn the_walk_is_the_papers() {
    let told = |sampler: &Sampler| sampler.timesteps().map(|t| t / 4.0).collect::<Vec<_>>();
    assert_eq!(told(&recorded(false)), [5.0, 4.0, 3.0, 4.0, 3.0, 2.0, 1.0, 2.0, 1.0, 0.0]);
    assert_eq!(told(&recorded(true)), [5.0, 4.0, 3.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 0.0]);
}

/// A few roundings of numbers of order 1.
const ROUNDINGS: f64 = 1e-14;

/// Each call is made at the level that the row before it leads to, and the noises of a jump have unit variance in sum.
#[test]
fn a_jump_leads_to_the_level_of_the_next_call() {
    let model = Model::named("ddpm").unwrap();
    for eta in [0.0, 0.4, 1.0] {
        let (jump_length, jump_n_sample) = (Some(3), Some(4));
        let options = SamplerOptions { eta: Some(eta), jump_length, jump_n_sample, ..SamplerOptions::steps(20) };
        let sampler = Sampler::CATALOGUE.find("repaint").unwrap().build(&model, &options).unwrap();
        let calls = sampler.calls();
        assert_eq!(calls.len(), 20 + 6 * 3 * 3);
        for (k, call) in calls.iter().enumerate() {
            let squares = |place: usize| sampler.noise_parts(k).iter().map(|part| part[place].powi(2)).sum::<f64>();
            let jumps = !sampler.noise_parts(k).is_empty();
            assert!(!jumps || (squares(0) - 1.0).abs().max((squares(1) - 1.0).abs()) < ROUNDINGS, "{}", call.timestep);
        }
        for pair in calls.windows(2) {
            let (row, [alpha, sigma]) = (pair[0].row, pair[0].row.known);
            let level = pair[1].level;
            assert!((alpha - level.alpha()).abs() < ROUNDINGS && (sigma - level.sigma()).abs() < ROUNDINGS);
            // Of x0 and epsilon: row.x*x + row.p*epsilon + row.clean*x0, with the noise of the row.
            let from = pair[0].level;
            let signal = row.x * from.alpha() + row.clean;
            let noise = (row.x * from.sigma() + row.p).hypot(row.z);
            assert!((signal - level.alpha()).abs() < ROUNDINGS && (noise - level.sigma()).abs() < ROUNDINGS);
        }
    }
}

#[test]
fn jumps_that_are_none_or_too_many_are_refused() {
    let model = Model::named("ddpm").unwrap();
    let refused = |jump_length, jump_n_sample| {
        let options = SamplerOptions {
            jump_length: Some(jump_length),
            jump_n_sample: Some(jump_n_sample),
            ..SamplerOptions::steps(50)
        };
        Sampler::CATALOGUE.find("repaint").unwrap().build(&model, &options).map(|sampler| sampler.calls().len())
    };
    assert!(refused(0, 3).unwrap_err().to_string().contains("at least 1"));
    assert!(refused(1, usize::MAX).unwrap_err().to_string().contains("at most 65536"));
    assert_eq!(refused(50, usize::MAX), Ok(50));
    assert_eq!(refused(10, 0), Ok(50));
}

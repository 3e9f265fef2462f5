//! Group K: whole runs of ComfyUI from their settings alone, replayed in f64.

use crate::support::loops::gaussian_output;
use crate::support::{Vectors, id, largest};
use serde_json::Value;
use std::collections::BTreeSet;
use tweedie::math::run::{Run, RunAsk, RunError, RunInputs, RunLoop, RunRecord, RunSampler};
use tweedie::table::StepRow;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/K.json")).unwrap()
}

fn is_steps(case: &Value) -> bool {
    id(case).starts_with("K_steps")
}

/// A recorded run.
struct Recorded<'a> {
    file: &'a Vectors,
    case: &'a Value,
}

impl Recorded<'_> {
    fn tensor(&self, name: &str) -> Option<Vec<f64>> {
        let has = self.case["tensors"].as_array().unwrap().iter().any(|it| it == name);
        has.then(|| self.file.numbers(&format!("{}/{name}", id(self.case).trim_start_matches("K_"))))
    }

    fn run(&self) -> Run {
        Run::from_json(&self.case["config"].to_string()).unwrap_or_else(|error| panic!("{}: {error}", id(self.case)))
    }

    /// The run over its recorded outputs.
    fn driven(&self, of: &RunLoop) -> Result<RunRecord, RunError> {
        let named = ["noise", "latent_image", "mask", "inpaint_noise"].map(|name| self.tensor(name));
        let [noise, latent_image, mask, inpaint_noise] = named.each_ref().map(Option::as_deref);
        let noises = self.tensor("noises").unwrap_or_default();
        let inputs = RunInputs { noise, latent_image, mask, inpaint_noise, noises: &noises, ..RunInputs::default() };
        let count = noise.map_or(0, <[f64]>::len);
        let outputs = ["call_output", "call_output_uncond"].map(|name| self.tensor(name).unwrap_or_default());
        of.drive(&inputs, |ask: RunAsk<'_>| {
            let part =
                |list: &Vec<f64>| list.get(ask.call * count..(ask.call + 1) * count).unwrap_or_default().to_vec();
            let [conditional, unconditional] = outputs.each_ref().map(part);
            Ok([conditional, unconditional, Vec::new(), Vec::new()])
        })
    }

    /// The tolerance of each entry of `samples`.
    fn tolerances(&self) -> Vec<f64> {
        self.case["tolerance"].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
    }

    /// Everything that is not as recorded.
    fn differences(&self, record: &RunRecord) -> Vec<String> {
        let tolerances = self.tolerances();
        let last = *tolerances.last().unwrap();
        let sigma = self.tensor("call_sigma").unwrap_or_default().first().copied().unwrap_or(1.0);
        let attempt = |value: fn(&tweedie::math::run::Attempt) -> f64| record.attempts.iter().map(value).collect();
        // The end of a flow divides by 1 minus the last sigma, a difference of at least 0.4 here.
        let end = 2.5 * last;
        let found: [(&str, Vec<f64>, Vec<f64>); 9] = [
            ("samples", record.samples.concat(), tolerances),
            ("result", record.samples.last().unwrap().clone(), vec![last]),
            ("output", record.output.clone(), vec![end]),
            ("call_sigma", record.call_sigma.clone(), vec![SIGMA * sigma]),
            ("call_timestep", record.timesteps.clone(), vec![TOLD]),
            ("attempt_error", attempt(|it| it.error), vec![ATTEMPT]),
            ("attempt_h_next", attempt(|it| it.next_step), vec![ATTEMPT]),
            ("attempt_sigma", attempt(|it| it.sigma), vec![ATTEMPT]),
            ("attempt_accepted", attempt(|it| f64::from(u8::from(it.is_accepted))), vec![0.0]),
        ];
        let mut differences = Vec::new();
        for (name, found, tolerances) in found {
            let Some(expected) = self.tensor(name) else { continue };
            if found.len() != expected.len() {
                differences.push(format!("{name}: {} numbers, expected {}", found.len(), expected.len()));
                continue;
            }
            let entry = expected.len() / tolerances.len();
            for (k, (found, expected)) in found.chunks(entry).zip(expected.chunks(entry)).enumerate() {
                let worst = worst(found, expected);
                if worst.is_nan() || worst > tolerances[k] {
                    differences.push(format!("{name} {k}: off by {worst:.1e}, allowed {:.1e}", tolerances[k]));
                }
            }
        }
        let shown = self.tensor("call_output").map_or(0, |all| all.len() / record.output.len().max(1));
        if record.call_x.len() != shown {
            differences.push(format!("{} calls, recorded {shown}", record.call_x.len()));
        }
        differences
    }
}

/// Sigmas of calls within a step pass through a logarithm and back: a few roundings, and 1 - abar by subtraction in the source.
const SIGMA: f64 = 1e-11;

/// Numbers that the network is told are up to 1000.
const TOLD: f64 = 1e-9;

/// Errors of attempts are differences of two samples, divided by a tolerance of about 1/20: they lose two digits.
const ATTEMPT: f64 = 1e-7;

fn worst(found: &[f64], expected: &[f64]) -> f64 {
    largest(found.iter().zip(expected).map(|(a, b)| (a - b).abs()))
}

#[test]
fn every_run_is_as_recorded() {
    let (file, all) = (Vectors::load("K"), cases());
    let mut seen = BTreeSet::new();
    for case in all.iter().filter(|case| !is_steps(case)) {
        let recorded = Recorded { file: &file, case };
        let run = recorded.run();
        let planned = run.plan().unwrap_or_else(|error| panic!("{}: {error}", id(case)));
        let record = recorded.driven(&planned).unwrap_or_else(|error| panic!("{}: {error}", id(case)));
        let differences = recorded.differences(&record);
        assert!(differences.is_empty(), "{}: {differences:#?}", id(case));
        seen.insert(RunSampler::CATALOGUE.find(run.sampler.as_deref().unwrap()).unwrap().name);
        // As a file, and back.
        assert_eq!(Run::from_json(&run.to_json()).unwrap(), run, "{}", id(case));
    }
    let all: BTreeSet<_> = RunSampler::CATALOGUE.entries.iter().map(|entry| entry.name).collect();
    let missing: Vec<_> = all.difference(&seen).copied().collect();
    assert_eq!(missing, ["res_2m", "res_2s", "res_3m", "res_3s"], "samplers of RES4LYF, whose orders are measured");
}

/// A number of a row that a solver may get wrong.
type Part = (&'static str, fn(&mut StepRow) -> &mut f64);

const PARTS: [Part; 9] = [
    ("x", |row| &mut row.x),
    ("the clean sample", |row| &mut row.clean),
    ("the unconditional clean sample", |row| &mut row.unconditional_clean),
    ("the call before", |row| &mut row.history[0]),
    ("two calls before", |row| &mut row.history[1]),
    ("three calls before", |row| &mut row.history[2]),
    ("noise", |row| &mut row.z),
    ("the second noise", |row| &mut row.second_z.0),
    ("x in what is remembered", |row| &mut row.kept[0]),
];

#[test]
fn a_wrong_coefficient_is_seen() {
    let (file, all) = (Vectors::load("K"), cases());
    let mut broken = BTreeSet::new();
    for case in all.iter().filter(|case| !is_steps(case)) {
        let recorded = Recorded { file: &file, case };
        let planned = recorded.run().plan().unwrap();
        for (name, part) in PARTS {
            // The row in which the coefficient is largest.
            let sizes = planned.calls().iter().enumerate().map(|(k, call)| (k, part(&mut call.row.clone()).abs()));
            let Some((k, size)) = sizes.max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
            if size < 1e-3 {
                continue;
            }
            let mut wrong = planned.clone();
            *part(&mut wrong.calls_mut()[k].row) *= 1.001;
            let record = recorded.driven(&wrong).unwrap();
            assert!(!recorded.differences(&record).is_empty(), "{}: {name} of row {k}", id(case));
            broken.insert(name);
        }
    }
    assert_eq!(broken.len(), PARTS.len(), "{broken:?}");
}

#[test]
fn few_steps_are_as_recorded() {
    let (file, all) = (Vectors::load("K"), cases());
    let mut count = 0;
    for case in all.iter().filter(|case| is_steps(case)) {
        let recorded = Recorded { file: &file, case };
        let tolerance = case["tolerance"].as_f64().unwrap();
        let [mean, deviation, other_mean, other_deviation] =
            ["mu", "s", "mu_uncond", "s_uncond"].map(|name| recorded.tensor(name).unwrap());
        let (noise, noises) = (recorded.tensor("noise").unwrap(), recorded.tensor("noises").unwrap());
        for name in case["tensors"].as_array().unwrap() {
            let Some(sampler) = name.as_str().unwrap().strip_prefix("output__") else { continue };
            let is_guided = sampler.contains("cfg_pp") || sampler.contains("cfgpp");
            let mut config = case["config"].clone();
            config["sampler"] = sampler.into();
            config["guidance"] = (if is_guided { 3.0 } else { 1.0 }).into();
            let planned = Run::from_json(&config.to_string()).unwrap().plan().unwrap();
            let inputs = RunInputs { noise: Some(&noise), noises: &noises, ..RunInputs::default() };
            let record = planned.drive::<RunError>(&inputs, |ask| {
                let model = planned.model();
                let conditional = gaussian_output(model, ask.sigma, ask.x, [&mean, &deviation]);
                let unconditional = gaussian_output(model, ask.sigma, ask.x, [&other_mean, &other_deviation]);
                Ok([conditional, unconditional, Vec::new(), Vec::new()])
            });
            let record = record.unwrap_or_else(|error| panic!("{} {sampler}: {error}", id(case)));
            let expected = recorded.tensor(name.as_str().unwrap()).unwrap();
            let worst = worst(&record.output, &expected);
            assert!(worst <= tolerance, "{} {sampler}: off by {worst:.1e}", id(case));
            assert_eq!(config["network_calls"][sampler], record.call_x.len(), "{} {sampler}", id(case));
            if !planned.is_adaptive() {
                assert_eq!(config["noise_draws"][sampler], planned.draws(), "{} {sampler}", id(case));
            }
            count += 1;
        }
    }
    assert_eq!(count, 123);
}

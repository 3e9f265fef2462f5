//! `tweedie replay`: a recorded sampling run, step by step.

use super::Files;
use crate::engine::ComputeArgs;
use crate::finite::FiniteArgs;
use crate::model_args::ModelArgs;
use crate::recorded_run::RecordedRun;
use crate::report::{Outcome, say};
use crate::sampler_args::{SamplerArgs, SamplerEntry, sampler_entry, samplers_help};
use files::{TensorFile, TensorWriter};
use safetensors::Dtype;
use serde_json::json;

/// Run a sampler over recorded network outputs
///
/// Reads `initial` (the noisy samples to start with, [batch, ...]; or `samples`, whose first entry is taken) and
/// `model_outputs` ([calls, batch, ...], what the network said at each call), `noises` of the same shape where the
/// sampler draws noise and `var_values` where the network predicts the variance. A region is known where `mask` is 1: there
/// samples are those of `original`. Of RePaint, `noises` may have all that were drawn, those of its jumps among them, and
/// `model_outputs` entries of the jumps, if `kind` has another number than 0 there. Where a prediction has several slices, they
/// lie on the last axis of `model_outputs`; where `emit_mask` (1 or 0 for each leading index of a sample) is there, the rest of
/// the sample is 0. Writes `samples` (the first and the one after each call), `pred_x0` (the clean sample that each call implies)
/// and `timesteps` (what the network is told; of a flow map also `next_timesteps`, where it is to lead).
///
/// The sampler is named with its options, or described by the scheduler_config.json of a diffusers model; both: the model of
/// that file, this sampler. A flow visits the times 1 - i/n, shifted, unless --sigmas flow-ends or a list says otherwise.
/// With --compat diffusers, --timesteps, --sigmas LIST and --mu are the arguments of set_timesteps, from which a flow's class
/// computes other times: replay a recorded list without --compat.
#[derive(clap::Args, Clone, Debug)]
pub struct Replay {
    #[command(flatten)]
    files: Files,

    /// The sampler
    #[arg(long = "sampler", id = "sampler", value_name = "NAME", help = samplers_help(), value_parser = sampler_entry)]
    name: Option<SamplerEntry>,

    #[command(flatten)]
    options: SamplerArgs,

    #[command(flatten)]
    finite: FiniteArgs,

    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    compute: ComputeArgs,
}

impl Replay {
    pub fn run(&self, json: bool) -> Outcome {
        self.files.check()?;
        let arguments = SamplerArgs { sampler: self.name, ..self.options.clone() };
        let model = self.model.open()?;
        let (sampler, _) = arguments.sampler(&model)?;
        let file = TensorFile::open(&self.files.input)?;
        let run = RecordedRun::read(&file, &sampler)?;
        let replayed = self.compute.open()?.replay(&sampler, &run)?;
        replayed.check(self.finite, &sampler, &run)?;
        let mut writer = TensorWriter::new();
        let calls = sampler.calls().len();
        let entries = |count: usize| -> Vec<usize> { [&[count], &run.initial.shape[..]].concat() };
        replayed.samples.write(&mut writer, "samples", &entries(calls + 1))?;
        replayed.clean.write(&mut writer, "pred_x0", &entries(calls))?;
        let timesteps: Vec<f64> = sampler.timesteps().collect();
        write_timesteps(&mut writer, "timesteps", &timesteps)?;
        let next: Vec<f64> = sampler.calls().iter().filter_map(|call| call.next_timestep).collect();
        if !next.is_empty() {
            write_timesteps(&mut writer, "next_timesteps", &next)?;
        }
        writer.save(&self.files.out)?;
        let (shape, name, out) = (&run.initial.shape, arguments.title(&self.model), self.files.out.display());
        if json {
            let calls = timesteps.as_slice();
            let (grid, out) = (sampler.grid(), out.to_string());
            return say(json!({ "shape": shape, "sampler": name, "grid": grid, "timesteps": calls, "out": out }));
        }
        say(format_args!("{shape:?}: {name}, {calls} calls of the network -> {out}"))?;
        say(format_args!("grid: {}", sampler.grid()))
    }
}

/// Integers where all of them are.
fn write_timesteps(writer: &mut TensorWriter, name: &str, timesteps: &[f64]) -> anyhow::Result<()> {
    let shape = [timesteps.len()];
    if timesteps.iter().any(|t| t.fract() != 0.0) {
        return writer.doubles(name, &shape, timesteps);
    }
    let whole = timesteps.iter().flat_map(|&t| (t as i64).to_le_bytes());
    writer.raw(name, Dtype::I64, &shape, whole.collect())
}

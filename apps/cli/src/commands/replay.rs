//! `tweedie replay`: a recorded sampling run, step by step.

use super::Files;
use crate::engine::ComputeArgs;
use crate::finite::FiniteArgs;
use crate::model_args::ModelArgs;
use crate::recorded_run::RecordedRun;
use crate::report::{Outcome, say};
use crate::run_arg;
use crate::run_replay::ReplayedRun;
use crate::run_tape::RunTape;
use crate::sampler_args::{SamplerArgs, SamplerEntry, sampler_entry, samplers_help};
use crate::schedule_args::ScheduleArgs;
use crate::windows::Window;
use anyhow::{Context, anyhow};
use clap::Args as _;
use files::{TensorFile, TensorWriter};
use safetensors::Dtype;
use serde_json::json;
use std::path::{Path, PathBuf};
use tweedie::math::run::Attempt;

/// Run a sampler over recorded network outputs
///
/// Reads `initial` (the noisy samples to start from, [batch, ...]; or the first entry of `samples` instead), `model_outputs` (the
/// output of the network at each call, [calls, batch, ...]; if a prediction has several slices, they lie on the last axis),
/// `noises` of the same shape where the sampler draws noise, and `var_values` where the network predicts the variance. Writes
/// `samples` (the first one, and the one after each call), `pred_x0` (the clean sample that each call implies) and `timesteps`
/// (the time that the network is given; for a flow map also `next_timesteps`, the time to step to).
///
/// A region is known where `mask` is 1: samples are those of `original` there. For RePaint, `noises` may hold all that were
/// drawn, those of jumps included, and `model_outputs` may have entries for the jumps, where `kind` is not 0. Where `emit_mask`
/// is 0 (its axes are the first ones of `initial`), samples are set to 0. Tokens at levels of their own (or frames, or channels)
/// have `token_timesteps` ([calls, batch, tokens], or the rank of a sample with one axis that is not 1) and `moves` (0 for a
/// token that stays as it is), or `conditioning` ([batch, tokens], 1 for a token that is known), with Euler's method on a flow.
///
/// The sampler is that of --sampler with its options, or that of --config; with both, it is the sampler of the option on the
/// model of the file. A flow visits the times 1 - i/n, shifted, unless --sigmas flow-ends or a list says otherwise. With --compat
/// diffusers, --timesteps, --sigmas LIST and --mu are the arguments of set_timesteps, from which a flow's class computes other
/// times: to replay a recorded list, leave --compat out.
///
/// With --run FILE, the run is that of a run file (`tweedie grid` shows its sigmas): a model, a sampler and a scheduler by
/// ComfyUI's names, computed as ComfyUI does; with --compat published, the names have the meaning of the papers. Reads `noise`,
/// `latent_image` (zeros if it is missing) or `initial` (the sample itself), `mask` (1 where the sample is written; it may have
/// one channel, or a lower resolution that divides that of the samples), `inpaint_noise`, `model_outputs`,
/// `unconditional_outputs`, `third_outputs` and `fourth_outputs` ([calls, batch, ...]), and `noises` in the order of draws. Noise
/// that is missing is drawn as ComfyUI draws it, from the seed of the run file. Writes `samples` (at the first call of each step,
/// then the result), `output`, `call_x`, `pred_x0`, `sigmas`, `call_sigma` and `timesteps`; for dpm_adaptive also
/// `attempt_error`, `attempt_h_next`, `attempt_accepted` and `attempt_sigma`.
#[derive(clap::Args, Clone, Debug)]
pub struct Replay {
    #[command(flatten)]
    files: Files,

    /// The sampler
    #[arg(long = "sampler", id = "sampler", value_name = "NAME", help = samplers_help(), value_parser = sampler_entry)]
    name: Option<SamplerEntry>,

    /// A run file, instead of a sampler and a model: JSON with the names of ComfyUI's nodes; or, with --model, a workflow of ComfyUI
    /// in its API form, or a PNG that holds one
    #[arg(long = "run", value_name = "FILE.json",
        conflicts_with_all = options_of_a_sampler())]
    run_file: Option<PathBuf>,

    /// The id of the sampler node, for a workflow that has several
    #[arg(long, value_name = "ID", requires = "run_file")]
    node: Option<String>,

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
        if let Some(path) = &self.run_file {
            return self.replay_run(path, json);
        }
        let arguments = SamplerArgs { sampler: self.name, ..self.options.clone() };
        let model = self.model.open()?;
        let (sampler, described) = arguments.sampler(&model)?;
        let file = TensorFile::open(&self.files.input)?;
        let run = RecordedRun::read(&file, &described, &sampler)?;
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

impl Replay {
    /// Replays the run of a run file.
    fn replay_run(&self, path: &Path, json: bool) -> Outcome {
        if self.model.schedule != ScheduleArgs::default() {
            return Err(anyhow!(
                "--run FILE brings a schedule of its own, which options such as --schedule contradict"
            )
            .into());
        }
        let model = self.model.model.map(|named| named.of_run);
        let run = run_arg::open(path, model, self.node.as_deref(), self.options.compat)?;
        let name = run.sampler.clone().unwrap_or_default();
        let planned = run.plan().with_context(|| path.display().to_string())?;
        let file = TensorFile::open(&self.files.input)?;
        let tape = RunTape::read(&file, &planned)?;
        let ReplayedRun { record, number } = self.compute.open()?.replay_run(&planned, &tape)?;
        let mut writer = TensorWriter::new();
        let shape = &tape.shape;
        let entries = |count: usize| -> Vec<usize> { [&[count], &shape[..]].concat() };
        let lists = [("samples", &record.samples), ("call_x", &record.call_x), ("pred_x0", &record.pred_x0)];
        for (name, list) in lists {
            let values = number.of(&list.concat());
            self.finite.check(name, &values, &Window::all(list.len(), tape.total()))?;
            values.write(&mut writer, name, &entries(list.len()))?;
        }
        let output = number.of(&record.output);
        // A flow that ends at pure noise has no result; ComfyUI divides by 0 there.
        if planned.end().is_finite() {
            self.finite.check("output", &output, &Window::all(1, tape.total()))?;
        }
        output.write(&mut writer, "output", shape)?;
        let mut doubles = |name: &str, values: &[f64]| writer.doubles(name, &[values.len()], values);
        doubles("sigmas", planned.sigmas())?;
        doubles("call_sigma", &record.call_sigma)?;
        doubles("timesteps", &record.timesteps)?;
        if planned.is_adaptive() {
            let of = |value: fn(&Attempt) -> f64| record.attempts.iter().map(value).collect::<Vec<_>>();
            doubles("attempt_error", &of(|it| it.error))?;
            doubles("attempt_h_next", &of(|it| it.next_step))?;
            doubles("attempt_sigma", &of(|it| it.sigma))?;
            doubles("attempt_accepted", &of(|it| f64::from(u8::from(it.is_accepted))))?;
        }
        writer.save(&self.files.out)?;
        let (calls, out) = (record.call_x.len(), self.files.out.display());
        if json {
            let (sigmas, timesteps, out) = (planned.sigmas(), &record.timesteps, out.to_string());
            return say(
                json!({ "shape": shape, "sampler": name, "sigmas": sigmas, "timesteps": timesteps, "out": out }),
            );
        }
        say(format_args!("{shape:?}: {name}, {calls} calls of the network -> {out}"))
    }
}

/// The options that a run has no use for: all of a sampler but `--compat`, whose kinds a run has too, and those of a model that is not a
/// run's.
fn options_of_a_sampler() -> Vec<clap::Id> {
    let command = SamplerArgs::augment_args(clap::Command::new("sampler"));
    let options = command.get_arguments().map(|option| option.get_id().clone()).filter(|id| *id != "compat");
    options.chain(["sampler", "config", "process"].map(clap::Id::from)).collect()
}

/// Writes timesteps, as integers where all of them are whole.
fn write_timesteps(writer: &mut TensorWriter, name: &str, timesteps: &[f64]) -> anyhow::Result<()> {
    let shape = [timesteps.len()];
    if timesteps.iter().any(|t| t.fract() != 0.0) {
        return writer.doubles(name, &shape, timesteps);
    }
    let whole = timesteps.iter().flat_map(|&t| (t as i64).to_le_bytes());
    writer.raw(name, Dtype::I64, &shape, whole.collect())
}

#[cfg(test)]
mod tests {
    use super::Replay;
    use clap::Args as _;

    #[test]
    fn a_run_file_excludes_every_option_of_a_sampler() {
        let command = Replay::augment_args(clap::Command::new("replay"));
        let run = command.get_arguments().find(|arg| arg.get_id() == "run_file").expect("--run");
        let excluded: Vec<_> = command.get_arg_conflicts_with(run).iter().map(|arg| arg.get_id().clone()).collect();
        let of_a_sampler: Vec<_> = command
            .get_arguments()
            .filter(|arg| arg.get_help_heading().is_some_and(|heading| heading.to_lowercase().contains("sampler")))
            .map(|arg| arg.get_id().clone())
            .collect();
        assert!(of_a_sampler.len() > 30, "{of_a_sampler:?}");
        // A run has a compat of its own kind.
        for id in of_a_sampler.iter().filter(|id| *id != "compat") {
            assert!(excluded.contains(id), "{id}");
        }
    }
}

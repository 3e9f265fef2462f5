//! `tweedie grid`: the sigmas that reach the sampler of a run.

use crate::report::{Outcome, say};
use crate::run_arg;
use crate::sampler_args::System;
use anyhow::anyhow;
use files::{TensorWriter, atomic};
use serde_json::json;
use std::path::PathBuf;
use tweedie::math::run::{Node, Run, RunGrid, RunModel};

/// Print the sigmas of a run, as a scheduler places them and a sampler node cuts them
///
/// The run is that of a run file, or of the options. Prints the sigmas, one more than there are steps, and what the network is
/// told as its time at each but the last; with --json as {"sigmas": [..], "timesteps": [..]}. A run with nothing to do has no
/// sigmas. `tweedie list run-grids` and `tweedie list run-models` have the names.
#[derive(clap::Args, Clone, Debug)]
pub struct GridCommand {
    /// A run file (JSON with the keys model, scheduler or sigmas, steps, denoise, start_step, last_step and so on), a workflow of
    /// ComfyUI in its API form, or a PNG that holds one
    #[arg(long = "run", value_name = "FILE.json", conflicts_with_all = ["scheduler", "steps", "denoise", "sampler"])]
    run_file: Option<PathBuf>,

    /// The id of the sampler node, for a workflow that has several
    #[arg(long, value_name = "ID", requires = "run_file")]
    node: Option<String>,

    /// The model: sd15, zsnrv, flow3, flux, edm ..; also for a workflow, which does not say what its checkpoint is
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// The scheduler: simple, normal, karras, beta .., or a node such as AlignYourStepsScheduler
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,

    /// The number of steps
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// The part of the schedule that is run, counted from its end, 0 to 1
    #[arg(long, value_name = "PART")]
    denoise: Option<f64>,

    /// The sampler: for some, one more step is placed and the last sigma but one is dropped
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,

    /// Whose meaning the names have: comfyui, or published for that of the papers [default: that of the run file, or comfyui]
    #[arg(long, value_name = "SYSTEM")]
    compat: Option<System>,

    /// Compute the sigmas in f32, as a program does, instead of f64
    #[arg(long)]
    float32: bool,

    /// Write both lists to this safetensors file, as F64 tensors `sigmas` and `timesteps`
    #[arg(long, value_name = "OUT.safetensors")]
    out: Option<PathBuf>,
}

impl GridCommand {
    pub fn run(&self, json: bool) -> Outcome {
        if let Some(out) = &self.out {
            atomic::check_destination(out)?;
        }
        let run = self.described()?;
        let sigmas = run.sigmas().map_err(anyhow::Error::from)?;
        // A run that lists its sigmas needs no model; there are no timesteps then.
        let timesteps = match &run.model {
            Some(_) => Some(run.timesteps().map_err(anyhow::Error::from)?),
            None => None,
        };
        if let Some(out) = &self.out {
            let mut writer = TensorWriter::new();
            writer.doubles("sigmas", &[sigmas.len()], &sigmas)?;
            if let Some(timesteps) = &timesteps {
                writer.doubles("timesteps", &[timesteps.len()], timesteps)?;
            }
            writer.save(out)?;
        }
        if json {
            return say(json!({ "sigmas": sigmas, "timesteps": timesteps }));
        }
        say(format_args!("{:>6}  {:<24}{}", "step", "sigma", "told"))?;
        let told = timesteps.unwrap_or_default();
        for (step, sigma) in sigmas.iter().enumerate() {
            let told = told.get(step).map_or_else(String::new, f64::to_string);
            say(format_args!("{step:>6}  {sigma:<24}{told}").to_string().trim_end())?;
        }
        self.out.iter().try_for_each(|out| say(format_args!("-> {}", out.display())))
    }

    fn described(&self) -> anyhow::Result<Run> {
        let run = match &self.run_file {
            Some(path) => run_arg::open(path, self.model.as_deref(), self.node.as_deref(), self.compat)?,
            None => {
                let scheduler = self.scheduler.as_deref();
                let scheduler =
                    scheduler.ok_or_else(|| anyhow!("expected --run FILE, or --scheduler NAME with --steps N"))?;
                Run {
                    model: self.model.as_deref().map(RunModel::named).transpose()?,
                    model_name: self.model.clone(),
                    sampler: self.sampler.clone(),
                    grid: Some(RunGrid::Scheduler(Node::named(scheduler))),
                    steps: self.steps,
                    denoise: self.denoise,
                    compat: run_arg::of_system(self.compat)?.unwrap_or_default(),
                    ..Run::default()
                }
            }
        };
        Ok(Run { float32: run.float32 || self.float32, ..run })
    }
}

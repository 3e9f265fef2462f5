//! `tweedie grid`: the sigmas that reach the sampler of a run.

use crate::report::{Outcome, say};
use crate::run_arg;
use crate::sampler_args::System;
use anyhow::anyhow;
use files::{TensorWriter, atomic};
use serde_json::json;
use std::path::PathBuf;
use tweedie::math::run::{Node, Run, RunGrid, RunModel};

/// The sigmas of a run, as a scheduler places them and a sampler node cuts them
///
/// From a run file, or from the options. Prints the sigmas, one more than steps, and what the network is told at each but the
/// last; with --json as {"sigmas": [..], "timesteps": [..]}. A run with nothing to do has none. `tweedie list run-grids` and
/// `tweedie list run-models` have the names.
#[derive(clap::Args, Clone, Debug)]
pub struct GridCommand {
    /// A run file: JSON with the keys model, scheduler or sigmas, steps, denoise, start_step, last_step and so on; or a workflow of
    /// ComfyUI in its API form, or a PNG with one in it
    #[arg(long = "run", value_name = "FILE.json", conflicts_with_all = ["scheduler", "steps", "denoise", "sampler"])]
    run_file: Option<PathBuf>,

    /// The sampler node of a workflow that has several: its id
    #[arg(long, value_name = "ID", requires = "run_file")]
    node: Option<String>,

    /// The model: sd15, zsnrv, flow3, flux, edm ..; of a workflow, which does not say what its checkpoint is
    #[arg(long, value_name = "NAME")]
    model: Option<String>,

    /// The scheduler: simple, normal, karras, beta .., or a node such as AlignYourStepsScheduler
    #[arg(long, value_name = "NAME")]
    scheduler: Option<String>,

    /// The steps of the sampler
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// The last part of the schedule that is run, 0 to 1
    #[arg(long, value_name = "PART")]
    denoise: Option<f64>,

    /// The sampler: some make one step more and drop the last sigma but one
    #[arg(long, value_name = "NAME")]
    sampler: Option<String>,

    /// Whose names: comfyui, or published for the papers'
    #[arg(long, value_name = "SYSTEM")]
    compat: Option<System>,

    /// Sigmas as a program computes them in f32
    #[arg(long)]
    float32: bool,

    /// A safetensors file for both lists, F64
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
        // A grid of its own sigmas needs no model; nothing is told then.
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

//! The options that describe a model, and the model that they add up to.
//!
//! A model comes from a file, from a name, or from options by hand. Commands ask it for every level.

use crate::levels;
use crate::names::{find, in_flags, joined};
use crate::report::warn;
use crate::schedule_args::ScheduleArgs;
use anyhow::{Context, Result, bail};
use clap::Args;
use files::{TensorFile, regular};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use tweedie::config::Scheduler;
use tweedie::math::catalog::{Entry, Make};
use tweedie::math::run::RunModel;
use tweedie::math::{Model, Process, Told};
use tweedie::{Quantity, Schedule};

/// A model of a catalogue.
pub type ModelEntry = &'static Entry<Make<Model>>;

/// A name of `--model`: of a model of the library, of a model of a run, or of both.
#[derive(Clone, Copy, Debug)]
pub struct ModelName {
    entry: Option<ModelEntry>,
    /// The name as a run has it.
    pub of_run: &'static str,
}

impl ModelName {
    fn parse(text: &str) -> Result<Self, String> {
        let of_run = RunModel::CATALOGUE.find(text).map(|entry| entry.name).ok();
        match (find(&Model::CATALOGUE, text), of_run) {
            (Ok(entry), of_run) => Ok(Self { entry: Some(entry), of_run: of_run.unwrap_or(entry.name) }),
            (Err(_), Some(of_run)) => Ok(Self { entry: None, of_run }),
            (Err(error), None) => Err(error),
        }
    }

    fn build(self) -> Result<Model> {
        match self.entry {
            Some(entry) => entry.build(&[]).map_err(|error| in_flags(&error)),
            None => bail!(
                "--model {}: only a run (--run FILE) has this model; expected {}",
                self.of_run,
                joined(&Model::CATALOGUE)
            ),
        }
    }
}

/// The process of this name.
fn process_entry(text: &str) -> Result<ModelEntry, String> {
    find(&Model::PROCESSES, text)
}

/// The options that describe a model: its file, its name, or its process and schedule by hand.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Model (must describe the trained network)")]
pub struct ModelArgs {
    /// The scheduler_config.json of a diffusers model: its process, its schedule and its prediction; or the name of a class
    /// (`tweedie list classes`), with its defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A published model: sd15, sdxl, sd3, flux, edm, ...; `tweedie list models` has them all, `tweedie list run-models` those of
    /// runs (--run FILE)
    #[arg(long, value_name = "NAME", conflicts_with = "config", value_parser = ModelName::parse)]
    pub model: Option<ModelName>,

    /// The process by hand: vp (betas or abar, see --schedule), ve, edm, flow (rectified flow, velocity epsilon - x0),
    /// rising-flow (velocity x0 - epsilon, time from noise to data) or trigflow
    /// [default: vp; where no schedule is named, that of a flow, edm or trigflow prediction, or else that of the levels in the
    /// file: ve for `sigma`, flow for `time`]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["config", "model"], value_parser = process_entry)]
    pub process: Option<ModelEntry>,

    #[command(flatten)]
    pub schedule: ScheduleArgs,
}

/// The options and the content of their files, each read once.
pub struct Opened<'a> {
    pub args: &'a ModelArgs,
    /// The scheduler of `--config`.
    pub scheduler: Option<Scheduler>,
    /// The schedule by hand, built on first use.
    by_hand: OnceCell<Schedule>,
}

impl ModelArgs {
    /// True if the options describe a model: a file, a name, a process or a schedule.
    pub fn is_given(&self) -> bool {
        self.config.is_some() || self.model.is_some() || self.process.is_some() || self.schedule.names_levels()
    }

    /// True if the options settle what the network predicts.
    pub fn settles_prediction(&self) -> bool {
        self.config.is_some() || self.model.is_some() || self.process.is_some()
    }

    /// Reads the file of `--config`, and warns of old spellings in it.
    pub fn open(&self) -> Result<Opened<'_>> {
        let rival = self.config.as_ref().map(|_| "--config FILE").or(self.model.map(|_| "--model NAME"));
        if let Some(rival) = rival.filter(|_| self.schedule != ScheduleArgs::default()) {
            bail!("{rival} brings a schedule of its own, which options such as --schedule contradict");
        }
        let scheduler = self.config.as_deref().map(read).transpose()?;
        for note in scheduler.iter().flat_map(Scheduler::notes) {
            warn(format_args!("--config: {note}"));
        }
        Ok(Opened { args: self, scheduler, by_hand: OnceCell::new() })
    }

    /// The schedule of a command that looks at whole timesteps.
    pub fn schedule(&self) -> Result<Schedule> {
        Ok(self.open()?.model(None)?.schedule().clone())
    }
}

impl Opened<'_> {
    /// The model of the samples in a file. Where the options describe none, sigmas are ratios with the signal at 1 and times are
    /// those of a rectified flow.
    pub fn model_of(&self, file: &TensorFile, prediction: Option<Quantity>) -> Result<Model> {
        let implied = match levels::tensor(file) {
            _ if self.args.is_given() || prediction.is_some_and(|it| implied_process(it).is_some()) => None,
            Some("sigma") => Some("ve"),
            Some("time") => Some("flow"),
            _ => None,
        };
        match implied {
            Some(name) => {
                let entry = Model::PROCESSES.find(name).map_err(|error| in_flags(&error))?;
                self.of_process(entry, prediction)
            }
            None => self.model(prediction),
        }
    }

    /// The model. A prediction that belongs to a single process implies that process, unless the options name another.
    pub fn model(&self, prediction: Option<Quantity>) -> Result<Model> {
        match (&self.scheduler, self.args.model) {
            (Some(scheduler), _) => Ok(scheduler.model().clone()),
            (None, Some(named)) => named.build(),
            (None, None) => self.by_hand(prediction),
        }
    }

    /// The schedule by hand. Reads the file of `--betas` on first use.
    pub fn schedule(&self) -> Result<&Schedule> {
        if self.by_hand.get().is_none() {
            let _ = self.by_hand.set(self.args.schedule.build()?);
        }
        self.by_hand.get().context("a schedule")
    }

    fn by_hand(&self, prediction: Option<Quantity>) -> Result<Model> {
        let ModelArgs { process, schedule: options, .. } = self.args;
        if let Some(entry) = process.filter(|entry| entry.name != "vp") {
            return self.of_process(entry, prediction);
        }
        if process.is_none() && !options.names_levels() {
            let implied = prediction.and_then(implied_process);
            if let Some(name) = implied {
                let entry = Model::PROCESSES.find(name).map_err(|error| in_flags(&error))?;
                return self.of_process(entry, prediction);
            }
        }
        let schedule = self.schedule()?.clone();
        if process.is_some() && schedule.process() != Process::VariancePreserving {
            bail!("--process vp contradicts --schedule, whose levels are those of a {} process", schedule.process());
        }
        let usual = match schedule.process() {
            Process::Flow => Quantity::Flow,
            Process::TrigFlow(sigma_data) => Quantity::TrigFlow(sigma_data),
            _ => Quantity::Epsilon,
        };
        let model = Model::new(schedule, prediction.unwrap_or(usual));
        Ok(if process.is_some() { model.told_as(Told::Timestep) } else { model })
    }

    fn of_process(&self, entry: ModelEntry, prediction: Option<Quantity>) -> Result<Model> {
        let options = &self.args.schedule;
        if let Some(option) = options.level_option() {
            bail!("{option} does not apply to --process {}", entry.name);
        }
        let length = options.train_timesteps.map(|t| ("train_timesteps", f64::from(t)));
        let data = prediction.and_then(Quantity::sigma_data).map(|it| ("sigma_data", it.value()));
        let data = data.filter(|(name, _)| entry.parameter(name).is_some());
        let given: Vec<_> = length.into_iter().chain(data).collect();
        let usual = entry.build(&given).map_err(|error| in_flags(&error))?;
        let Some(prediction) = prediction else { return Ok(usual) };
        let model = Model::new(usual.schedule().clone(), prediction);
        // The process settles the number that a network is told; a preconditioned network on ve is EDM's.
        let edm = entry.name == "ve" && prediction.sigma_data().is_some();
        Ok(if edm { model } else { model.told_as(usual.told_number()) })
    }
}

/// The process that a prediction belongs to, if there is one.
fn implied_process(prediction: Quantity) -> Option<&'static str> {
    match prediction {
        Quantity::Flow => Some("flow"),
        Quantity::RisingFlow => Some("rising-flow"),
        Quantity::Edm(_) => Some("edm"),
        Quantity::TrigFlow(_) => Some("trigflow"),
        _ => None,
    }
}

/// The values of `--config`, in the words of an error.
const KIND: &str = "a scheduler_config.json, or a class of `tweedie list classes`";

/// The most bytes of such a file.
const MOST: u64 = 1 << 20;

/// Reads a `scheduler_config.json`. A path that does not exist may be the name of a class.
fn read(path: &Path) -> Result<Scheduler> {
    let class = path.to_str().filter(|name| !path.exists() && Scheduler::classes().any(|known| known == *name));
    let read = || -> Result<Scheduler> {
        match class {
            Some(class) => Ok(Scheduler::of_class(class)?),
            None => Ok(Scheduler::parse(std::str::from_utf8(&regular::read(path, KIND, MOST)?)?)?),
        }
    };
    read().with_context(|| format!("--config {}", path.display()))
}
